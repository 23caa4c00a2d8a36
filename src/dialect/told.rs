//! What decoders tell, in the order and with the kinds that the trait's readers expect.
//!
//! | heard | told |
//! |---|---|
//! | a connection was asked for | `on_client_connect` |
//! | a connection was accepted | `on_client_connack`, then `on_client_connected` |
//! | a connection was refused | `on_client_connack` with the reason |
//! | a connection ended | `on_client_disconnected` |
//! | a session ended | `on_session_terminated` |
//! | a subscription took effect, or ended | the `on_client_` kind, then the `on_session_` kind |
//! | a subscription was denied | the `on_client_` kind |
//! | a message was sent to a client | `on_message_delivered` |

use bytestring::ByteString;

use crate::event::{
    Client, Connection, Detail, End, Happening, Kind, Message, Reason, Subscription, Timestamp,
};

/// When and to whom: what the happenings of one message have in common.
#[derive(Debug, Clone)]
pub(super) struct About {
    /// When, if the broker told.
    pub(super) time: Option<Timestamp>,
    /// To whom.
    pub(super) client: Client,
}

impl About {
    /// A connection was asked for.
    pub(super) fn requested(self, connection: Connection) -> Happening {
        self.happening(Kind::ClientConnect, Detail::Connection(connection))
    }

    /// A connection was accepted.
    pub(super) fn accepted(self, connection: Connection) -> [Happening; 2] {
        let detail = Detail::Connection(connection);
        [Kind::ClientConnack, Kind::ClientConnected]
            .map(|kind| self.clone().happening(kind, detail.clone()))
    }

    /// A connection was refused.
    pub(super) fn refused(self, reason: Reason, mut connection: Connection) -> Happening {
        connection.refused = Some(reason);
        self.happening(Kind::ClientConnack, Detail::Connection(connection))
    }

    /// A connection ended.
    pub(super) fn disconnected(self, reason: Reason, connected_at: Option<Timestamp>) -> Happening {
        let detail = Detail::End(End {
            reason,
            connected_at,
        });
        self.happening(Kind::ClientDisconnected, detail)
    }

    /// A session ended.
    pub(super) fn terminated(self, reason: Reason, connected_at: Option<Timestamp>) -> Happening {
        let detail = Detail::End(End {
            reason,
            connected_at,
        });
        self.happening(Kind::SessionTerminated, detail)
    }

    /// A subscription took effect.
    pub(super) fn subscribed(self, topic_filter: ByteString, qos: Option<u8>) -> [Happening; 2] {
        let detail = Detail::Subscription(Subscription { topic_filter, qos });
        [Kind::ClientSubscribe, Kind::SessionSubscribed]
            .map(|kind| self.clone().happening(kind, detail.clone()))
    }

    /// A subscription was asked for and denied.
    pub(super) fn denied(self, topic_filter: ByteString) -> Happening {
        let detail = Detail::Subscription(Subscription {
            topic_filter,
            qos: None,
        });
        self.happening(Kind::ClientSubscribe, detail)
    }

    /// A message was sent to the client.
    pub(super) fn delivered(self, message: Message) -> Happening {
        self.happening(Kind::MessageDelivered, Detail::Message(message))
    }

    /// A subscription ended.
    pub(super) fn unsubscribed(self, topic_filter: ByteString) -> [Happening; 2] {
        let detail = Detail::Subscription(Subscription {
            topic_filter,
            qos: None,
        });
        [Kind::ClientUnsubscribe, Kind::SessionUnsubscribed]
            .map(|kind| self.clone().happening(kind, detail.clone()))
    }

    fn happening(self, kind: Kind, detail: Detail) -> Happening {
        Happening {
            kind,
            time: self.time,
            client: self.client,
            detail,
        }
    }
}

/// Returns the time that a broker told in milliseconds, `None` if its clock cannot be meant.
///
/// `NanoMQ` told negative times on ARM (nanomq issue 1806) and wrong ones (issue 580);
/// a gateway without a clock starts in 1970. Accepted are the years from 2010 to 2099.
pub(crate) fn plausible(ms: u64) -> Option<Timestamp> {
    const FROM: u64 = 1_262_304_000_000;
    const TO: u64 = 4_102_444_800_000;
    (FROM..TO)
        .contains(&ms)
        .then_some(Timestamp::from_millis(ms))
}
