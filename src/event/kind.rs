//! The kinds of events: the one place to add one.

use std::fmt;
use std::str::FromStr;

/// A kind of event. Names are `NanoMQ`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A CONNECT was received.
    ClientConnect,
    /// A CONNECT was answered: accepted or refused.
    ClientConnack,
    /// A connection was accepted.
    ClientConnected,
    /// A connection ended, in whatever way.
    ClientDisconnected,
    /// A SUBSCRIBE was received.
    ClientSubscribe,
    /// An UNSUBSCRIBE was received.
    ClientUnsubscribe,
    /// A subscription took effect.
    SessionSubscribed,
    /// A subscription ended.
    SessionUnsubscribed,
    /// A session expired or was removed.
    SessionTerminated,
    /// A message was published.
    MessagePublish,
    /// A message was sent to a subscriber.
    MessageDelivered,
    /// A subscriber acknowledged a message.
    MessageAcked,
    /// mqhook gave up a delivery.
    DeliveryFailed,
    /// mqhook disabled a webhook.
    WebhookDisabled,
    /// A client was accepted that was not remembered.
    DeviceProvisioned,
    /// The status of a device that is remembered changed.
    DeviceStatusChanged,
    /// A device is remembered no more.
    DeviceDecommissioned,
    /// An application published an event of its own to a group.
    ApplicationEvent,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 18] = [
        Self::ClientConnect,
        Self::ClientConnack,
        Self::ClientConnected,
        Self::ClientDisconnected,
        Self::ClientSubscribe,
        Self::ClientUnsubscribe,
        Self::SessionSubscribed,
        Self::SessionUnsubscribed,
        Self::SessionTerminated,
        Self::MessagePublish,
        Self::MessageDelivered,
        Self::MessageAcked,
        Self::DeliveryFailed,
        Self::WebhookDisabled,
        Self::DeviceProvisioned,
        Self::DeviceStatusChanged,
        Self::DeviceDecommissioned,
        Self::ApplicationEvent,
    ];

    /// Returns the name that rules use, such as `on_client_connack`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientConnect => "on_client_connect",
            Self::ClientConnack => "on_client_connack",
            Self::ClientConnected => "on_client_connected",
            Self::ClientDisconnected => "on_client_disconnected",
            Self::ClientSubscribe => "on_client_subscribe",
            Self::ClientUnsubscribe => "on_client_unsubscribe",
            Self::SessionSubscribed => "on_session_subscribed",
            Self::SessionUnsubscribed => "on_session_unsubscribed",
            Self::SessionTerminated => "on_session_terminated",
            Self::MessagePublish => "on_message_publish",
            Self::MessageDelivered => "on_message_delivered",
            Self::MessageAcked => "on_message_acked",
            Self::DeliveryFailed => "on_delivery_failed",
            Self::WebhookDisabled => "on_webhook_disabled",
            Self::DeviceProvisioned => "on_device_provisioned",
            Self::DeviceStatusChanged => "on_device_status_changed",
            Self::DeviceDecommissioned => "on_device_decommissioned",
            Self::ApplicationEvent => "on_application_event",
        }
    }

    /// Returns the `action` that bodies carry: the name without `on_`.
    #[must_use]
    pub fn action(self) -> &'static str {
        &self.name()["on_".len()..]
    }

    /// Returns whether events of this kind carry a message, so that a rule's topic filter applies.
    #[must_use]
    pub const fn is_message(self) -> bool {
        matches!(
            self,
            Self::MessagePublish
                | Self::MessageDelivered
                | Self::MessageAcked
                | Self::ApplicationEvent
        )
    }

    /// Returns whether mqhook tells it of itself, so that no broker has to.
    #[must_use]
    pub const fn is_notice(self) -> bool {
        matches!(self, Self::DeliveryFailed | Self::WebhookDisabled)
    }

    /// Returns whether an application publishes it, so that no broker has to tell it.
    #[must_use]
    pub const fn is_of_application(self) -> bool {
        matches!(self, Self::ApplicationEvent)
    }

    /// Returns whether mqhook tells it of a device that it remembers, by what brokers tell of clients.
    #[must_use]
    pub const fn is_device(self) -> bool {
        matches!(
            self,
            Self::DeviceProvisioned | Self::DeviceStatusChanged | Self::DeviceDecommissioned
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = ();

    /// Reads a rule's event name; case does not matter, as in `NanoMQ`.
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(text))
            .ok_or(())
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KindSet(u32);

impl KindSet {
    /// Returns the set of these kinds.
    #[must_use]
    pub const fn of(kinds: &[Kind]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < kinds.len() {
            bits |= 1 << kinds[i] as u16;
            i += 1;
        }
        Self(bits)
    }

    /// Returns whether the set holds `kind`.
    #[must_use]
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// Adds a kind.
    pub fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u16;
    }

    /// Returns whether the set holds no kind.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the kinds in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the kinds of the set in the order of [`Kind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_in_any_case() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(kind.name().to_uppercase().parse(), Ok(kind));
        }
        assert_eq!("on_client_conack".parse::<Kind>(), Err(()));
    }

    #[test]
    fn action_is_the_name_without_on() {
        assert_eq!(Kind::MessagePublish.action(), "message_publish");
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set = KindSet::of(&[Kind::ClientConnect, Kind::MessageAcked]);
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            [Kind::ClientConnect, Kind::MessageAcked]
        );
        assert!(set.without(set).is_empty());
    }
}
