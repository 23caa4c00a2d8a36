//! Bodies as Mender's webhooks have them: `{"id", "type", "data", "time"}`.
//!
//! `id` is the event's, as a UUID, which Mender's are. `data.id` is the device: the client identifier.
//! `type` is Mender's where something of Mender's means the same, and named alike where not:
//!
//! | kind | `type` | `data` |
//! |---|---|---|
//! | `on_client_connack` | `device-status-changed` | `id`, `status`: `accepted` or `rejected` |
//! | `on_client_connected` | `device-status-changed` | `id`, `status`: `connected` |
//! | `on_client_disconnected` | `device-status-changed` | `id`, `status`: `disconnected` |
//! | `on_device_provisioned` | `device-provisioned` | `id`, `status` |
//! | `on_device_status_changed` | `device-status-changed` | `id`, `status`: `connected`, `disconnected` or `refused` |
//! | `on_device_decommissioned` | `device-decommissioned` | `id`, `status`: `decommissioned` |
//! | any other | `message-publish`, `session-terminated`, .. | `id` |
//!
//! Behind those `data` has everything that the format `json` has.

use bytes::Bytes;

use super::writer::{Object, key};
use super::{Config, attributes};
use crate::event::{Detail, Event, Kind};

/// Returns the body that tells of `event`.
pub(super) fn body(event: &Event, config: &Config) -> Bytes {
    let status = status(event);
    let kind = match status {
        Some(_) => "device-status-changed".to_owned(),
        None => event.kind.action().replace('_', "-"),
    };
    let data = attributes::object(event).string_or_null(key!("id"), event.client.id.as_deref());
    let data = match status {
        // Of a device it is among its attributes.
        Some(status) => data.plain(key!("status"), status),
        None => data,
    };
    let data = attributes::add(data, event, config).finish();
    let data = std::str::from_utf8(&data).expect("it was made of strings");
    Object::with_capacity(data.len() + 160)
        .string(key!("id"), &event.id.uuid())
        .string(key!("type"), &kind)
        .json(key!("data"), data)
        .string(key!("time"), &event.time.rfc3339())
        .finish()
}

/// Returns what the event says of the device, where Mender has something like it.
fn status(event: &Event) -> Option<&'static str> {
    match (event.kind, &event.detail) {
        (Kind::ClientConnack, Detail::Connection(it)) if it.refused.is_some() => Some("rejected"),
        (Kind::ClientConnack, _) => Some("accepted"),
        (Kind::ClientConnected, _) => Some("connected"),
        (Kind::ClientDisconnected, _) => Some("disconnected"),
        _ => None,
    }
}
