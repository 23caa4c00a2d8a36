//! An event as expressions see it: its attributes, by name.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytestring::ByteString;
use cel::common::types::{CelBool, CelInt, CelList, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use super::json::{self, Boxed};
use crate::event::{
    Client, Connection, Detail, Device, End, Happening, Kind, Message, Subscription, TopicName,
};

/// Variables of events of every kind.
const ALL: [&str; 4] = ["kind", "client_id", "username", "address"];

/// Variables of events with a [`Message`].
const MESSAGE: [&str; 8] = [
    "topic",
    "topic_levels",
    "payload",
    "payload_text",
    "payload_size",
    "qos",
    "retain",
    "protocol_version",
];

/// Variables of events with a [`Connection`].
const CONNECTION: [&str; 4] = ["protocol_version", "keep_alive", "clean_start", "reason"];

/// Variables of events with an [`End`].
const END: [&str; 1] = ["reason"];

/// Variables of events with a [`Subscription`].
const SUBSCRIPTION: [&str; 2] = ["topic_filter", "qos"];

/// Variables of events with a [`Notice`](crate::event::Notice).
const NOTICE: [&str; 3] = ["webhook", "attempts", "reason"];

/// Variables of events with a [`Device`].
const DEVICE: [&str; 3] = ["status", "previous_status", "reason"];

/// The most levels of a topic of which there is a list; as many as Mosquitto takes.
const MAX_LEVELS: usize = 200;

/// The most bytes that the variables of a message may hold together, counted at each mention. A loop
/// mentions them once per element, so this bounds elements times bytes.
const MAX_MENTIONED_BYTES: usize = 32 << 20;

static NULL: CelNull = CelNull;

/// Returns the variables that events of a kind have.
pub(super) fn variables(kind: Kind) -> impl Iterator<Item = &'static str> + Clone {
    let own: &'static [&'static str] = match kind {
        Kind::MessagePublish
        | Kind::MessageDelivered
        | Kind::MessageAcked
        | Kind::ApplicationEvent => &MESSAGE,
        Kind::ClientConnect | Kind::ClientConnack | Kind::ClientConnected => &CONNECTION,
        Kind::ClientDisconnected | Kind::SessionTerminated => &END,
        Kind::ClientSubscribe
        | Kind::ClientUnsubscribe
        | Kind::SessionSubscribed
        | Kind::SessionUnsubscribed => &SUBSCRIPTION,
        Kind::DeliveryFailed | Kind::WebhookDisabled => &NOTICE,
        Kind::DeviceProvisioned | Kind::DeviceStatusChanged | Kind::DeviceDecommissioned => &DEVICE,
    };
    ALL.iter().chain(own).copied()
}

/// Returns whether events of any kind have this variable.
pub(super) fn is_known(name: &str) -> bool {
    Kind::ALL
        .into_iter()
        .any(|kind| variables(kind).any(|known| known == name))
}

/// One event, whose payload is read at most once, however many conditions look at it.
pub struct Subject<'a> {
    kind: Kind,
    client: &'a Client,
    detail: &'a Detail,
    /// `Some(None)`: it is no JSON that may be looked into.
    payload: OnceLock<Option<Boxed<'a>>>,
    /// `Some(None)`: there are too many.
    levels: OnceLock<Option<Boxed<'a>>>,
    /// What is left of [`MAX_MENTIONED_BYTES`] for the condition that looks.
    left: AtomicUsize,
    is_exhausted: AtomicBool,
}

impl<'a> Subject<'a> {
    /// Returns what expressions see of a happening.
    #[must_use]
    pub fn new(happening: &'a Happening) -> Self {
        Self {
            kind: happening.kind,
            client: &happening.client,
            detail: &happening.detail,
            payload: OnceLock::new(),
            levels: OnceLock::new(),
            left: AtomicUsize::new(MAX_MENTIONED_BYTES),
            is_exhausted: AtomicBool::new(false),
        }
    }

    /// Returns the topic of a message.
    pub(in crate::rule) fn topic(&self) -> Option<&'a TopicName> {
        match self.detail {
            Detail::Message(message) => Some(&message.topic),
            _ => None,
        }
    }

    /// Allows another condition as much as the one before it.
    pub(super) fn begin(&self) {
        self.left.store(MAX_MENTIONED_BYTES, Ordering::Relaxed);
        self.is_exhausted.store(false, Ordering::Relaxed);
    }

    /// Returns whether the condition mentioned more than it may.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted.load(Ordering::Relaxed)
    }

    /// Counts a mention of a variable that holds so many bytes; `None` if that is too much.
    fn mention(&self, bytes: usize) -> Option<()> {
        let left = self.left.load(Ordering::Relaxed).checked_sub(bytes);
        match left {
            Some(left) => self.left.store(left, Ordering::Relaxed),
            None => self.is_exhausted.store(true, Ordering::Relaxed),
        }
        left.map(drop)
    }

    /// Returns whether the payload was asked for, and could not be read.
    pub(super) fn payload_is_unreadable(&self) -> bool {
        matches!(self.payload.get(), Some(None))
    }

    fn payload<'b>(&'b self, message: &'a Message) -> CowVal<'b, 'b> {
        let read = || json::read(&message.payload);
        borrowed(self.payload.get_or_init(read).as_ref())
    }

    fn levels<'b>(&'b self, message: &'a Message) -> CowVal<'b, 'b> {
        let read = || {
            let levels = message.topic.levels().take(MAX_LEVELS + 1);
            let level = |level| Box::new(CelString::from(level)) as Boxed<'a>;
            let levels: Vec<Boxed<'a>> = levels.map(level).collect();
            let is_few = levels.len() <= MAX_LEVELS;
            is_few.then(|| Box::new(CelList::from(levels)) as Boxed<'a>)
        };
        borrowed(self.levels.get_or_init(read).as_ref())
    }

    fn of_detail<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        match self.detail {
            Detail::Message(message) => self.of_message(message, name),
            Detail::Connection(connection) => of_connection(connection, name),
            Detail::End(End { reason, .. }) => (name == "reason").then(|| text(reason.name())),
            Detail::Subscription(subscription) => of_subscription(subscription, name),
            Detail::Notice(notice) => match name {
                "webhook" => Some(text(&notice.webhook)),
                "attempts" => Some(int(notice.attempts)),
                "reason" => Some(text(&notice.reason)),
                _ => None,
            },
            Detail::Device(device) => of_device(device, name),
        }
    }

    fn of_message<'b>(&'b self, message: &'a Message, name: &str) -> Option<CowVal<'b, 'b>> {
        Some(match name {
            "topic" => {
                self.mention(message.topic.as_str().len())?;
                text(message.topic.as_str())
            }
            "topic_levels" => {
                self.mention(message.topic.as_str().len())?;
                self.levels(message)
            }
            "payload" => {
                self.mention(readable(message).len())?;
                self.payload(message)
            }
            "payload_text" => {
                self.mention(readable(message).len())?;
                payload_text(message)
            }
            "payload_size" => size(message.payload.len()),
            "qos" => int(message.qos),
            "protocol_version" => or_null(message.protocol_version, int),
            "retain" => boolean(message.retain),
            _ => return None,
        })
    }
}

/// Returns the payload, or nothing if it is larger than conditions look into.
fn readable(message: &Message) -> &[u8] {
    let is_readable = message.payload.len() <= json::MAX_BYTES;
    if is_readable { &message.payload } else { &[] }
}

fn payload_text(message: &Message) -> CowVal<'_, '_> {
    if message.payload.len() > json::MAX_BYTES {
        return null();
    }
    std::str::from_utf8(&message.payload).map_or_else(|_| null(), text)
}

fn borrowed<'b>(value: Option<&'b Boxed<'_>>) -> CowVal<'b, 'b> {
    match value {
        Some(value) => {
            let value: &'b (dyn Val + 'b) = value.as_ref();
            CowVal::Borrowed(value)
        }
        None => null(),
    }
}

impl VariableResolver for Subject<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        match name {
            "kind" => Some(text(self.kind.name())),
            "client_id" => Some(or_null(self.client.id.as_ref(), known)),
            "username" => Some(or_null(self.client.username.as_ref(), known)),
            "address" => Some(or_null(self.client.address.as_ref(), known)),
            name => self.of_detail(name),
        }
    }
}

fn of_connection<'b>(connection: &'b Connection, name: &str) -> Option<CowVal<'b, 'b>> {
    Some(match name {
        "protocol_version" => or_null(connection.protocol_version, int),
        "keep_alive" => or_null(connection.keep_alive, int),
        "clean_start" => or_null(connection.clean_start, boolean),
        "reason" => or_null(connection.refused, |reason| text(reason.name())),
        _ => return None,
    })
}

fn of_device<'b>(device: &'b Device, name: &str) -> Option<CowVal<'b, 'b>> {
    Some(match name {
        "status" => text(device.status.name()),
        "previous_status" => or_null(device.previous, |status| text(status.name())),
        "reason" => or_null(device.reason, |reason| text(reason.name())),
        _ => return None,
    })
}

fn of_subscription<'b>(subscription: &'b Subscription, name: &str) -> Option<CowVal<'b, 'b>> {
    Some(match name {
        "topic_filter" => text(&subscription.topic_filter),
        "qos" => or_null(subscription.qos, int),
        _ => return None,
    })
}

/// Returns the value of what may not be known.
fn or_null<'b, T>(known: Option<T>, value: impl FnOnce(T) -> CowVal<'b, 'b>) -> CowVal<'b, 'b> {
    known.map_or_else(null, value)
}

fn known(known: &ByteString) -> CowVal<'_, '_> {
    text(known)
}

fn null<'b>() -> CowVal<'b, 'b> {
    CowVal::Borrowed(&NULL)
}

fn text(text: &str) -> CowVal<'_, '_> {
    CowVal::owned(CelString::from(text))
}

fn int<'b>(number: impl Into<i64>) -> CowVal<'b, 'b> {
    CowVal::owned(CelInt::from(number.into()))
}

fn size<'b>(bytes: usize) -> CowVal<'b, 'b> {
    int(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn boolean<'b>(value: bool) -> CowVal<'b, 'b> {
    CowVal::owned(CelBool::from(value))
}
