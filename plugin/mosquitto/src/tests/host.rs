//! A broker for the plugin: what it calls, and what calls it.
#![expect(unsafe_code, reason = "it stands in for C")]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use crate::ffi;

pub(crate) const BASIC_AUTH: c_int = 3;
pub(crate) const MESSAGE: c_int = 7;
pub(crate) const TICK: c_int = 9;

type Callback = extern "C" fn(c_int, *mut c_void, *mut c_void) -> c_int;

/// What the plugin did to the broker of this thread; each test has a thread of its own.
#[derive(Default)]
pub(crate) struct Seen {
    callbacks: RefCell<Vec<(c_int, Callback, *mut c_void)>>,
    pub(crate) properties: RefCell<Vec<(String, String)>>,
    pub(crate) published: RefCell<Vec<(String, String)>>,
    log: RefCell<String>,
    refuse: Cell<bool>,
    /// Whether it is 2.0, which does not know the events from 11 on.
    is_old: Cell<bool>,
    call_back: Cell<Option<c_int>>,
}

thread_local! {
    pub(crate) static SEEN: Seen = Seen::default();
}

/// `struct mosquitto_opt`.
#[repr(C)]
pub(crate) struct OptionPair(pub(crate) *const c_char, pub(crate) *const c_char);

/// A client as this broker has it.
pub(crate) struct Client {
    pub(crate) id: Option<CString>,
    pub(crate) username: Option<CString>,
    pub(crate) address: Option<CString>,
    pub(crate) version: c_int,
}

/// `struct mosquitto_evt_message` of 2.0 and 2.1.
#[repr(C)]
pub(crate) struct MessageEvent {
    pub(crate) future: *mut c_void,
    pub(crate) client: *const Client,
    pub(crate) topic: *const c_char,
    pub(crate) payload: *const c_void,
    pub(crate) properties: *mut c_void,
    pub(crate) reason_string: *mut c_char,
    pub(crate) payload_length: u32,
    pub(crate) qos: u8,
    pub(crate) reason_code: u8,
    pub(crate) retain: bool,
    pub(crate) padding: u8,
    pub(crate) future2: [*mut c_void; 4],
}

/// A broker with the plugin.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) userdata: *mut c_void,
}

impl Host {
    /// Loads the plugin with these options; the error is what it logged.
    pub(crate) fn start(options: &[(&str, &str)]) -> Result<Self, String> {
        let owned: Vec<_> = options
            .iter()
            .map(|(key, value)| (c(key), c(value)))
            .collect();
        let pairs: Vec<_> = owned
            .iter()
            .map(|(key, value)| OptionPair(key.as_ptr(), value.as_ptr()))
            .collect();
        let mut userdata = null_mut();
        let count = c_int::try_from(pairs.len()).expect("few");
        let started =
            ffi::mosquitto_plugin_init(null_mut(), &raw mut userdata, pairs.as_ptr().cast(), count);
        if started == 0 {
            Ok(Self { userdata })
        } else {
            Err(SEEN.with(|seen| seen.log.take()))
        }
    }

    pub(crate) fn client(
        id: Option<&str>,
        username: Option<&str>,
        address: Option<&str>,
        version: c_int,
    ) -> *const Client {
        // It is leaked: it must stay, as a client of a broker does.
        Box::leak(Box::new(Client {
            id: id.map(c),
            username: username.map(c),
            address: address.map(c),
            version,
        }))
    }

    /// Lets a client publish, and returns the properties that the plugin added.
    pub(crate) fn publish(
        &mut self,
        client: *const Client,
        topic: Option<&str>,
        payload: &[u8],
        qos: u8,
    ) -> Vec<(String, String)> {
        let topic = topic.map(c);
        let mut event = MessageEvent {
            future: null_mut(),
            client,
            topic: topic.as_ref().map_or(null(), |topic| topic.as_ptr()),
            payload: if payload.is_empty() {
                null()
            } else {
                payload.as_ptr().cast()
            },
            properties: null_mut(),
            reason_string: null_mut(),
            payload_length: u32::try_from(payload.len()).expect("it is short"),
            qos,
            reason_code: 0,
            retain: false,
            padding: 0,
            future2: [null_mut(); 4],
        };
        assert_eq!(self.call(MESSAGE, (&raw mut event).cast()), 0);
        SEEN.with(|seen| seen.properties.take())
    }

    pub(crate) fn call(&mut self, event: c_int, data: *mut c_void) -> c_int {
        let found = SEEN.with(|seen| {
            seen.callbacks
                .borrow()
                .iter()
                .find(|(of, ..)| *of == event)
                .copied()
        });
        let (_, callback, userdata) = found.expect("the plugin has registered it");
        assert_eq!(userdata, self.userdata);
        callback(event, data, userdata)
    }

    /// Lets a client ask for a connection, and returns the plugin's answer and what it logged.
    pub(crate) fn connect(&mut self, client: *const Client) -> (c_int, String) {
        SEEN.with(|seen| seen.log.take());
        let mut event: [*const c_void; 8] = [null(); 8];
        event[1] = client.cast();
        let answer = self.call(BASIC_AUTH, (&raw mut event).cast());
        (answer, SEEN.with(|seen| seen.log.take()))
    }

    /// Returns whether the plugin wants to know of an event.
    pub(crate) fn is_registered(event: c_int) -> bool {
        SEEN.with(|seen| seen.callbacks.borrow().iter().any(|(of, ..)| *of == event))
    }

    /// Returns what the plugin says of itself, the first time that it is asked to.
    pub(crate) fn status(&mut self) -> String {
        self.call(TICK, null_mut());
        let published = SEEN.with(|seen| seen.published.take());
        let [(topic, status)] = published.as_slice() else {
            panic!("expected one message, got {published:?}");
        };
        assert_eq!(topic, "$SYS/broker/mqhook/status");
        status.clone()
    }

    /// Lets a callback meet a bug.
    pub(crate) fn panic(&mut self) {
        let done = ffi::run_for(self.userdata, |_| -> bool { panic!("a bug") });
        assert_eq!(done, None);
    }

    /// Makes the brokers of this test Mosquitto 2.0.
    pub(crate) fn be_old() {
        SEEN.with(|seen| seen.is_old.set(true));
    }

    /// Returns what the plugin has logged.
    pub(crate) fn log() -> String {
        SEEN.with(|seen| seen.log.take())
    }

    /// Lets something happen that the broker tells by such words, and returns what was published about it,
    /// without its time.
    pub(crate) fn happen(&mut self, event: c_int, words: &[*const c_void]) -> Vec<String> {
        self.happen_with(event, words, 0)
    }

    /// Like [`happen`](Self::happen), for a callback that answers.
    pub(crate) fn happen_with(
        &mut self,
        event: c_int,
        words: &[*const c_void],
        answer: c_int,
    ) -> Vec<String> {
        let mut data: [*const c_void; 16] = [null(); 16];
        data[1..=words.len()].copy_from_slice(words);
        assert_eq!(self.call(event, data.as_mut_ptr().cast()), answer);
        let published = SEEN.with(|seen| seen.published.take());
        let untimed = |(topic, json): (String, String)| {
            assert_eq!(topic, "$SYS/broker/mqhook/event");
            let (before, rest) = json.split_once("\"time_ms\":").expect("it has a time");
            let (_, after) = rest.split_once(',').expect("it goes on");
            format!("{before}{after}")
        };
        published.into_iter().map(untimed).collect()
    }

    /// Refuses the next property.
    pub(crate) fn refuse_next() {
        SEEN.with(|seen| seen.refuse.set(true));
    }

    /// Calls back while the plugin adds a property.
    pub(crate) fn call_back_while_adding(event: c_int) {
        SEEN.with(|seen| seen.call_back.set(Some(event)));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        assert_eq!(ffi::mosquitto_plugin_cleanup(self.userdata, null(), 0), 0);
        let left = SEEN.with(|seen| seen.callbacks.borrow().len());
        assert_eq!(left, 0, "expected all callbacks to be taken back");
    }
}

/// Returns the version that the plugin chooses of these.
pub(crate) fn choose(versions: &[c_int]) -> c_int {
    let count = c_int::try_from(versions.len()).expect("few");
    ffi::mosquitto_plugin_version(count, versions.as_ptr())
}

fn c(text: &str) -> CString {
    CString::new(text).expect("it has no zero")
}

fn pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(null(), |text| text.as_ptr())
}

fn owned(text: *const c_char) -> String {
    // SAFETY: the plugin gives C strings.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().expect("it is UTF-8").to_owned()
}

#[unsafe(no_mangle)]
extern "C" fn mosquitto_callback_register(
    _identifier: *mut c_void,
    event: c_int,
    callback: Callback,
    _event_data: *const c_void,
    userdata: *mut c_void,
) -> c_int {
    SEEN.with(|seen| {
        if seen.is_old.get() && event > 10 {
            return 10;
        }
        let mut callbacks = seen.callbacks.borrow_mut();
        callbacks.push((event, callback, userdata));
        0
    })
}

#[unsafe(no_mangle)]
extern "C" fn mosquitto_callback_unregister(
    _identifier: *mut c_void,
    event: c_int,
    _callback: Callback,
    _event_data: *const c_void,
) -> c_int {
    SEEN.with(|seen| seen.callbacks.borrow_mut().retain(|(of, ..)| *of != event));
    0
}

#[unsafe(no_mangle)]
extern "C" fn mosquitto_client_id(client: *const Client) -> *const c_char {
    // SAFETY: it is one of `Host::client`.
    pointer(unsafe { &*client }.id.as_ref())
}

#[unsafe(no_mangle)]
extern "C" fn mosquitto_client_username(client: *const Client) -> *const c_char {
    // SAFETY: as above.
    pointer(unsafe { &*client }.username.as_ref())
}

#[unsafe(no_mangle)]
extern "C" fn mosquitto_client_address(client: *const Client) -> *const c_char {
    // SAFETY: as above.
    pointer(unsafe { &*client }.address.as_ref())
}

#[unsafe(no_mangle)]
extern "C" fn mosquitto_client_protocol_version(client: *const Client) -> c_int {
    // SAFETY: as above.
    unsafe { &*client }.version
}

#[unsafe(no_mangle)]
extern "C" fn mosquitto_client_keepalive(_client: *const Client) -> c_int {
    60
}

#[unsafe(no_mangle)]
extern "C" fn mosquitto_client_clean_session(_client: *const Client) -> bool {
    true
}

#[unsafe(no_mangle)]
extern "C" fn mosquitto_property_add_string_pair(
    _list: *mut *mut c_void,
    identifier: c_int,
    name: *const c_char,
    value: *const c_char,
) -> c_int {
    assert_eq!(identifier, 38);
    SEEN.with(|seen| {
        if let Some(event) = seen.call_back.take() {
            let found = seen
                .callbacks
                .borrow()
                .iter()
                .find(|(of, ..)| *of == event)
                .copied();
            let (_, callback, userdata) = found.expect("the plugin has registered it");
            let mut zeros = [0_u64; 16];
            assert_eq!(callback(event, zeros.as_mut_ptr().cast(), userdata), 0);
        }
        if seen.refuse.take() {
            return 1;
        }
        seen.properties
            .borrow_mut()
            .push((owned(name), owned(value)));
        0
    })
}

#[unsafe(no_mangle)]
extern "C" fn mosquitto_broker_publish_copy(
    client_id: *const c_char,
    topic: *const c_char,
    payload_length: c_int,
    payload: *const c_void,
    qos: c_int,
    retain: bool,
    properties: *mut c_void,
) -> c_int {
    assert!(client_id.is_null() && properties.is_null());
    assert_eq!(qos, c_int::from(!retain));
    let length = usize::try_from(payload_length).expect("it is not negative");
    // SAFETY: the plugin says how long the payload is.
    let payload = unsafe { std::slice::from_raw_parts(payload.cast::<u8>(), length) };
    let payload = String::from_utf8(payload.to_vec()).expect("it is UTF-8");
    SEEN.with(|seen| seen.published.borrow_mut().push((owned(topic), payload)));
    0
}

/// The broker's takes any number of arguments; the plugin gives one.
#[unsafe(no_mangle)]
extern "C" fn mosquitto_log_printf(_level: c_int, format: *const c_char, text: *const c_char) {
    assert_eq!(owned(format), "mqhook: %s");
    SEEN.with(|seen| {
        let mut log = seen.log.borrow_mut();
        log.push_str(&owned(text));
        log.push('\n');
    });
}
