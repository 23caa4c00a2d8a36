//! What the broker gives a callback, to be looked at while that runs and no longer.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::slice;

use super::{
    Client, MessageEvent, SUCCESS, USER_PROPERTY, mosquitto_client_address,
    mosquitto_client_clean_session, mosquitto_client_id, mosquitto_client_keepalive,
    mosquitto_client_protocol_version, mosquitto_client_username,
    mosquitto_property_add_string_pair,
};

/// A message that a client published, while the broker waits for what becomes of it.
pub(crate) struct Published<'a> {
    event: NonNull<MessageEvent>,
    during: PhantomData<&'a mut MessageEvent>,
}

impl<'a> Published<'a> {
    /// Returns the message of an event that nobody else uses meanwhile.
    pub(super) fn of(event: NonNull<MessageEvent>) -> Self {
        Self {
            event,
            during: PhantomData,
        }
    }

    fn event(&self) -> &MessageEvent {
        // SAFETY: `on_message` made it of the broker's event, which nobody else uses while it runs.
        unsafe { self.event.as_ref() }
    }

    /// Returns the topic name; a broker that gives none, or one that is not UTF-8, has lost its way.
    pub(crate) fn topic(&self) -> Option<&'a str> {
        text(self.event().topic)
    }

    pub(crate) fn payload(&self) -> &'a [u8] {
        let event = self.event();
        match usize::try_from(event.payload_length) {
            // SAFETY: the broker gives the length of the payload, which stays while the callback runs.
            Ok(length) if !event.payload.is_null() => unsafe {
                slice::from_raw_parts(event.payload.cast(), length)
            },
            _ => &[],
        }
    }

    pub(crate) fn qos(&self) -> u8 {
        self.event().qos
    }

    pub(crate) fn retain(&self) -> bool {
        self.event().retain
    }

    pub(crate) fn peer(&self) -> Peer<'a> {
        Peer::of(self.event().client)
    }

    /// Adds a user property behind those that there are; returns whether the broker took it.
    pub(crate) fn add_user_property(&mut self, name: &CStr, value: &CStr) -> bool {
        // SAFETY: nobody else uses the event; both are C strings, which the broker copies.
        let added = unsafe {
            let list = &raw mut self.event.as_mut().properties;
            mosquitto_property_add_string_pair(list, USER_PROPERTY, name.as_ptr(), value.as_ptr())
        };
        added == SUCCESS
    }
}

/// A client, while the broker waits for what becomes of what it sent.
pub(crate) struct Peer<'a> {
    client: *const Client,
    during: PhantomData<&'a Client>,
}

impl<'a> Peer<'a> {
    pub(super) fn of(client: *const Client) -> Self {
        Self {
            client,
            during: PhantomData,
        }
    }

    pub(crate) fn client_id(&self) -> Option<&'a str> {
        // SAFETY: the broker's function takes the client that it gave.
        self.ask(|client| text(unsafe { mosquitto_client_id(client) }))?
    }

    pub(crate) fn username(&self) -> Option<&'a str> {
        // SAFETY: as above.
        self.ask(|client| text(unsafe { mosquitto_client_username(client) }))?
    }

    pub(crate) fn address(&self) -> Option<&'a str> {
        // SAFETY: as above.
        self.ask(|client| text(unsafe { mosquitto_client_address(client) }))?
    }

    /// Returns 3, 4 or 5; 0 if there is no client.
    pub(crate) fn protocol_version(&self) -> u8 {
        // SAFETY: as above.
        let version = self.ask(|client| unsafe { mosquitto_client_protocol_version(client) });
        version.map_or(0, |version| u8::try_from(version).unwrap_or(0))
    }

    /// Returns Keep Alive in seconds.
    pub(crate) fn keep_alive(&self) -> u16 {
        // SAFETY: as above.
        let seconds = self.ask(|client| unsafe { mosquitto_client_keepalive(client) });
        seconds.map_or(0, |seconds| u16::try_from(seconds).unwrap_or(0))
    }

    pub(crate) fn clean_start(&self) -> bool {
        // SAFETY: as above.
        let clean = self.ask(|client| unsafe { mosquitto_client_clean_session(client) });
        clean.unwrap_or(false)
    }

    fn ask<T>(&self, question: impl FnOnce(*const Client) -> T) -> Option<T> {
        (!self.client.is_null()).then(|| question(self.client))
    }
}

/// Returns a text of the broker's; `None` for null and for what is not UTF-8.
pub(super) fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: what the broker gives is a C string, and stays while the callback runs; `Published`
    // hands it out for no longer.
    unsafe { CStr::from_ptr(pointer) }.to_str().ok()
}
