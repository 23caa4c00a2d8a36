//! What mqhook tells of its own deliveries.

use bytestring::ByteString;

use crate::event::{Client, Detail, Event, Happening, Kind, Notice};
use crate::sink::Failure;
use crate::spool::Delivery;

/// Returns whether an event is a notice. Of its failure nothing is told, or there would be no end.
pub(super) const fn is_one(event: &Event) -> bool {
    event.kind.is_notice()
}

/// Returns that a delivery was given up.
pub(super) fn delivery_failed(webhook: &str, delivery: &Delivery, failure: &Failure) -> Happening {
    let event = delivery.event();
    happening(
        Kind::DeliveryFailed,
        Notice {
            webhook: ByteString::from(webhook),
            event: Some((event.id, event.kind)),
            attempts: delivery.failures,
            reason: ByteString::from(failure.to_string()),
        },
    )
}

/// Returns that a webhook was disabled.
pub(super) fn webhook_disabled(webhook: &str, reason: &str) -> Happening {
    happening(
        Kind::WebhookDisabled,
        Notice {
            webhook: ByteString::from(webhook),
            event: None,
            attempts: 0,
            reason: ByteString::from(reason),
        },
    )
}

fn happening(kind: Kind, notice: Notice) -> Happening {
    Happening {
        kind,
        time: None,
        client: Client::default(),
        detail: Detail::Notice(notice),
    }
}
