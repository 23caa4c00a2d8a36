//! The callbacks that Mosquitto 2.1 has added, after its `mosquitto/broker.h`.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;

use super::view::text;
use super::{Callback, Client, MessageEvent, Peer, Property, Published, SUCCESS, run};
use crate::events::Happened;

/// What is registered for `plugin_opt_events`, the one first that shows whether the broker has them.
pub(super) const CLIENTS: [(c_int, Callback); 5] = [
    (11, on_connect),
    (10, on_disconnect),
    (28, on_disconnect),
    (12, on_subscribe),
    (13, on_unsubscribe),
];

/// What is registered for `plugin_opt_delivered`.
pub(super) const DELIVERED: (c_int, Callback) = (27, on_message_out);

/// `struct mosquitto_evt_connect`, as far as it is read.
#[repr(C)]
struct ConnectEvent {
    future: *mut c_void,
    client: *const Client,
}

/// `struct mosquitto_evt_disconnect` and `struct mosquitto_evt_client_offline`, as far as they are read.
#[repr(C)]
struct DisconnectEvent {
    future: *mut c_void,
    client: *const Client,
    reason: c_int,
}

/// `struct mosquitto_evt_subscribe` and `struct mosquitto_evt_unsubscribe`, as far as they are read.
#[repr(C)]
struct SubscribeEvent {
    future: *mut c_void,
    client: *const Client,
    client_id: *const c_char,
    topic_filter: *const c_char,
    properties: *mut Property,
    identifier: u32,
    options: u8,
}

extern "C" fn on_connect(_: c_int, data: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker gives an event of this kind, or null.
    let Some(event) = (unsafe { data.cast::<ConnectEvent>().as_ref() }) else {
        return SUCCESS;
    };
    let peer = Peer::of(event.client);
    run(userdata, |plugin| plugin.tell(&peer, Happened::Connect))
}

extern "C" fn on_disconnect(_: c_int, data: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: as above.
    let Some(event) = (unsafe { data.cast::<DisconnectEvent>().as_ref() }) else {
        return SUCCESS;
    };
    let (peer, reason) = (Peer::of(event.client), event.reason);
    run(userdata, |plugin| {
        plugin.tell(&peer, Happened::Disconnect { reason });
    })
}

extern "C" fn on_subscribe(_: c_int, data: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: as above.
    let Some(event) = (unsafe { data.cast::<SubscribeEvent>().as_ref() }) else {
        return SUCCESS;
    };
    let (peer, qos) = (Peer::of(event.client), event.options & 3);
    let Some(topic_filter) = text(event.topic_filter) else {
        return SUCCESS;
    };
    run(userdata, |plugin| {
        plugin.tell(&peer, Happened::Subscribe { topic_filter, qos });
    })
}

extern "C" fn on_unsubscribe(_: c_int, data: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: as above.
    let Some(event) = (unsafe { data.cast::<SubscribeEvent>().as_ref() }) else {
        return SUCCESS;
    };
    let peer = Peer::of(event.client);
    let Some(topic_filter) = text(event.topic_filter) else {
        return SUCCESS;
    };
    run(userdata, |plugin| {
        plugin.tell(&peer, Happened::Unsubscribe { topic_filter });
    })
}

extern "C" fn on_message_out(_: c_int, data: *mut c_void, userdata: *mut c_void) -> c_int {
    let Some(event) = NonNull::new(data.cast::<MessageEvent>()) else {
        return SUCCESS;
    };
    run(userdata, |plugin| plugin.deliver(&Published::of(event)))
}
