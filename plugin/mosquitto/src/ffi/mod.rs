//! Mosquitto's plugin interface, version 5, as far as it is used; the only unsafe code.
//!
//! Declared by hand after `mosquitto_plugin.h` and `mosquitto_broker.h` of 2.0, which 2.1 has kept
//! for these functions and structs. The broker has one thread and calls from there only. No panic
//! gets out: each callback catches its own, counts it, and lets the broker go on.

mod lifecycle;
mod view;

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{NonNull, null, null_mut};
use std::slice;
use std::time::Instant;

use crate::plugin::{Plugin, disown};
use crate::settings::Wanted;

use view::text;
pub(crate) use view::{Peer, Published};

const INTERFACE_VERSION: c_int = 5;

const SUCCESS: c_int = 0;
const INVALID: c_int = 3;
/// Somebody else decides.
const DEFER: c_int = 17;

const RELOAD: c_int = 1;
const BASIC_AUTH: c_int = 3;
const MESSAGE: c_int = 7;
const TICK: c_int = 9;

/// What is registered, and with whom it is.
const CALLBACKS: [(c_int, Callback); 4] = [
    (BASIC_AUTH, on_basic_auth),
    (RELOAD, on_reload),
    (MESSAGE, on_message),
    (TICK, on_tick),
];

/// MQTT 5, 2.2.2.2.
const USER_PROPERTY: c_int = 38;

type Callback = extern "C" fn(c_int, *mut c_void, *mut c_void) -> c_int;

/// The broker's; never looked into.
#[repr(C)]
pub struct PluginId(c_void);
#[repr(C)]
struct Client(c_void);
#[repr(C)]
struct Property(c_void);

/// `struct mosquitto_opt`.
#[repr(C)]
pub struct OptionPair {
    key: *const c_char,
    value: *const c_char,
}

/// `struct mosquitto_evt_message`.
#[repr(C)]
struct MessageEvent {
    future: *mut c_void,
    client: *const Client,
    topic: *const c_char,
    payload: *const c_void,
    properties: *mut Property,
    reason_string: *mut c_char,
    payload_length: u32,
    qos: u8,
    reason_code: u8,
    retain: bool,
    future2: [*mut c_void; 4],
}

/// `struct mosquitto_evt_basic_auth`, as far as it is read.
#[repr(C)]
struct BasicAuthEvent {
    future: *mut c_void,
    client: *const Client,
}

unsafe extern "C" {
    fn mosquitto_callback_register(
        identifier: *mut PluginId,
        event: c_int,
        callback: Callback,
        event_data: *const c_void,
        userdata: *mut c_void,
    ) -> c_int;
    fn mosquitto_callback_unregister(
        identifier: *mut PluginId,
        event: c_int,
        callback: Callback,
        event_data: *const c_void,
    ) -> c_int;
    fn mosquitto_client_id(client: *const Client) -> *const c_char;
    fn mosquitto_client_username(client: *const Client) -> *const c_char;
    fn mosquitto_client_address(client: *const Client) -> *const c_char;
    fn mosquitto_client_protocol_version(client: *const Client) -> c_int;
    fn mosquitto_client_keepalive(client: *const Client) -> c_int;
    fn mosquitto_client_clean_session(client: *const Client) -> bool;
    fn mosquitto_property_add_string_pair(
        list: *mut *mut Property,
        identifier: c_int,
        name: *const c_char,
        value: *const c_char,
    ) -> c_int;
    fn mosquitto_broker_publish_copy(
        client_id: *const c_char,
        topic: *const c_char,
        payload_length: c_int,
        payload: *const c_void,
        qos: c_int,
        retain: bool,
        properties: *mut Property,
    ) -> c_int;
    fn mosquitto_log_printf(level: c_int, format: *const c_char, ...);
}

/// How much a line of the broker's log matters.
#[derive(Debug, Clone, Copy)]
#[repr(i32)]
pub(crate) enum Level {
    Information = 1,
    Notice = 2,
    Warning = 4,
    Error = 8,
}

/// Writes a line to the broker's log.
pub(crate) fn log(level: Level, text: &str) {
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    // SAFETY: both are C strings, and the format takes exactly one of them.
    unsafe { mosquitto_log_printf(level as c_int, c"mqhook: %s".as_ptr(), text.as_ptr()) }
}

/// How a message is published in the broker's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Retained, at QoS 0.
    Retained,
    /// At QoS 1, so that it waits for sessions that are away.
    Queued,
}

/// Publishes a message in the broker's name; returns whether the broker took it.
pub(crate) fn publish(topic: &CStr, payload: &[u8], keep: Keep) -> bool {
    let Ok(length) = c_int::try_from(payload.len()) else {
        return false;
    };
    // SAFETY: the topic is a C string and the payload has this length; the broker copies both. No
    // client and no properties may be null.
    let published = unsafe {
        mosquitto_broker_publish_copy(
            null(),
            topic.as_ptr(),
            length,
            payload.as_ptr().cast(),
            c_int::from(keep == Keep::Queued),
            keep == Keep::Retained,
            null_mut(),
        )
    };
    published == SUCCESS
}

/// What the broker keeps for us between calls.
struct Instance {
    identifier: *mut PluginId,
    /// In use while a callback runs: what that makes the broker do could call another one.
    plugin: RefCell<Plugin>,
    panics: Cell<u64>,
}

/// Runs a callback's work; a panic ends here, and so does a call within a call.
pub(crate) fn run(userdata: *mut c_void, work: impl FnOnce(&mut Plugin)) -> c_int {
    run_for(userdata, work);
    SUCCESS
}

/// Like [`run`], and returns what the work did: `None` if it did not come to its end.
pub(crate) fn run_for<T>(userdata: *mut c_void, work: impl FnOnce(&mut Plugin) -> T) -> Option<T> {
    // SAFETY: the broker gives back what `mosquitto_plugin_init` gave it, until the clean-up.
    let instance = unsafe { userdata.cast::<Instance>().as_ref() }?;
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut plugin = instance.plugin.try_borrow_mut().ok()?;
        plugin.counts.panics = instance.panics.get();
        Some(work(&mut plugin))
    }));
    done.unwrap_or_else(|_| {
        instance.panics.set(instance.panics.get() + 1);
        None
    })
}

extern "C" fn on_message(_: c_int, data: *mut c_void, userdata: *mut c_void) -> c_int {
    let Some(event) = NonNull::new(data.cast::<MessageEvent>()) else {
        return SUCCESS;
    };
    let mut message = Published::of(event);
    if run_for(userdata, |plugin| plugin.seal(&mut message)) != Some(true) {
        disown(&mut message);
    }
    SUCCESS
}

extern "C" fn on_basic_auth(_: c_int, data: *mut c_void, userdata: *mut c_void) -> c_int {
    // SAFETY: the broker gives an event of this kind, or null.
    let event = unsafe { data.cast::<BasicAuthEvent>().as_ref() };
    if let Some(event) = event {
        let peer = Peer::of(event.client);
        run(userdata, |plugin| plugin.attempt(&peer));
    }
    DEFER
}

extern "C" fn on_tick(_: c_int, _: *mut c_void, userdata: *mut c_void) -> c_int {
    run(userdata, |plugin| plugin.tick(Instant::now()))
}

/// The event has options, too, but 2.0 leaves them empty.
extern "C" fn on_reload(_: c_int, _: *mut c_void, userdata: *mut c_void) -> c_int {
    run(userdata, Plugin::reload)
}

/// Returns the options of `mosquitto.conf`.
fn pairs(options: *const OptionPair, count: c_int) -> Vec<(String, String)> {
    let count = usize::try_from(count).unwrap_or(0);
    if options.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: the broker gives as many pairs as it says.
    let options = unsafe { slice::from_raw_parts(options, count) };
    let owned = |pointer| text(pointer).unwrap_or_default().to_owned();
    options
        .iter()
        .map(|pair| (owned(pair.key), owned(pair.value)))
        .collect()
}

/// Tells the broker which version of the interface this is for.
#[unsafe(no_mangle)]
pub extern "C" fn mosquitto_plugin_version(count: c_int, versions: *const c_int) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    if versions.is_null() {
        return -1;
    }
    // SAFETY: the broker gives as many versions as it says.
    let versions = unsafe { slice::from_raw_parts(versions, count) };
    if versions.contains(&INTERFACE_VERSION) {
        INTERFACE_VERSION
    } else {
        -1
    }
}

/// Starts the plugin; the broker does not start if it cannot.
#[unsafe(no_mangle)]
pub extern "C" fn mosquitto_plugin_init(
    identifier: *mut PluginId,
    userdata: *mut *mut c_void,
    options: *const OptionPair,
    option_count: c_int,
) -> c_int {
    let made = catch_unwind(|| Plugin::new(pairs(options, option_count)));
    let plugin = match made {
        Ok(Ok(plugin)) => plugin,
        Ok(Err(problems)) => {
            for problem in problems {
                log(Level::Error, &problem);
            }
            return INVALID;
        }
        Err(_) => return INVALID,
    };
    let wanted = plugin.wanted();
    let instance = Box::into_raw(Box::new(Instance {
        identifier,
        plugin: RefCell::new(plugin),
        panics: Cell::new(0),
    }));
    register(identifier, instance, wanted);
    // SAFETY: the broker gives a place for what it shall keep.
    unsafe { *userdata = instance.cast() };
    log(
        Level::Notice,
        concat!(
            "plugin ",
            env!("CARGO_PKG_VERSION"),
            " says who published messages"
        ),
    );
    SUCCESS
}

/// Ends the plugin.
#[unsafe(no_mangle)]
pub extern "C" fn mosquitto_plugin_cleanup(
    userdata: *mut c_void,
    _options: *const OptionPair,
    _option_count: c_int,
) -> c_int {
    let Some(instance) = NonNull::new(userdata.cast::<Instance>()) else {
        return SUCCESS;
    };
    // SAFETY: `mosquitto_plugin_init` made it by `Box::into_raw`, and the broker cleans up once.
    let instance = unsafe { Box::from_raw(instance.as_ptr()) };
    let all = CALLBACKS.into_iter().chain(lifecycle::CLIENTS);
    for (event, callback) in all.chain([lifecycle::DELIVERED]) {
        // SAFETY: the broker's own identifier; what is not registered it does not find.
        unsafe { mosquitto_callback_unregister(instance.identifier, event, callback, null()) };
    }
    SUCCESS
}

/// Asks the broker to tell of what is wanted. 2.0 does not know the events of 2.1.
fn register(identifier: *mut PluginId, instance: *mut Instance, wanted: Wanted) {
    let ask = |(event, callback): (c_int, Callback)| {
        // SAFETY: the broker's own identifier; the instance lives until the clean-up.
        let registered = unsafe {
            mosquitto_callback_register(identifier, event, callback, null(), instance.cast())
        };
        registered == SUCCESS
    };
    let is_wanted = |event| event != BASIC_AUTH || wanted.connects;
    for (event, callback) in CALLBACKS {
        if is_wanted(event) && !ask((event, callback)) {
            let line = format!("the broker does not tell of event {event}");
            log(Level::Warning, &line);
        }
    }
    if wanted.events && !lifecycle::CLIENTS.into_iter().all(ask) {
        run(instance.cast(), Plugin::without_events);
        log(Level::Warning, "plugin_opt_events needs Mosquitto 2.1");
    }
    if wanted.delivered && !ask(lifecycle::DELIVERED) {
        log(Level::Warning, "plugin_opt_delivered needs Mosquitto 2.1");
    }
}
