//! What C can give the plugin, out of any bytes.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut, without_provenance};

use crate::ffi;
use crate::host::{BASIC_AUTH, Client, Host, MESSAGE, MessageEvent, OptionPair, SEEN, TICK};

/// What the plugin answers to who asks whether a client may connect.
const DEFER: c_int = 17;

const CONNECT: c_int = 11;
const DISCONNECT: c_int = 10;
const OFFLINE: c_int = 28;
const SUBSCRIBE: c_int = 12;
const UNSUBSCRIBE: c_int = 13;
const MESSAGE_OUT: c_int = 27;

/// Returns the bytes as C has them: up to the first zero.
pub(crate) fn c(bytes: &[u8]) -> CString {
    let text = bytes.split(|byte| *byte == 0).next();
    CString::new(text.unwrap_or_default()).expect("it has no zero")
}

/// Returns a text as the plugin may tell it.
pub(crate) fn told(text: Option<&CString>) -> Option<&str> {
    text.and_then(|text| text.to_str().ok())
}

fn pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(null(), |text| text.as_ptr())
}

/// What one client does.
pub(crate) struct Given {
    pub(crate) client: Option<Client>,
    pub(crate) topic: Option<CString>,
    pub(crate) payload: Vec<u8>,
    /// Whether the payload is there; its length is told in any case.
    pub(crate) has_payload: bool,
    pub(crate) qos: u8,
    pub(crate) number: c_int,
}

impl Given {
    fn client(&self) -> *const Client {
        self.client.as_ref().map_or(null(), |client| client)
    }

    fn message(&self) -> MessageEvent {
        MessageEvent {
            future: null_mut(),
            client: self.client(),
            topic: pointer(self.topic.as_ref()),
            payload: if self.has_payload {
                self.payload.as_ptr().cast()
            } else {
                null()
            },
            properties: null_mut(),
            reason_string: null_mut(),
            payload_length: u32::try_from(self.payload.len()).unwrap_or(0),
            qos: self.qos,
            reason_code: self.qos,
            retain: self.qos & 1 == 0,
            padding: 0,
            future2: [null_mut(); 4],
        }
    }

    /// Lets the client publish, and returns the properties that the plugin added.
    pub(crate) fn publish(&self, host: &mut Host) -> Vec<(String, String)> {
        let mut message = self.message();
        assert_eq!(host.call(MESSAGE, (&raw mut message).cast()), 0);
        SEEN.with(|seen| seen.properties.take())
    }

    /// Lets everything happen that Mosquitto 2.1 tells of, and returns what the plugin published.
    pub(crate) fn happen(&self, host: &mut Host) -> Vec<String> {
        let number = usize::try_from(self.number).map_or(null(), without_provenance);
        let mut words: [*const c_void; 16] = [null(); 16];
        words[1] = self.client().cast();
        assert_eq!(host.call(BASIC_AUTH, words.as_mut_ptr().cast()), DEFER);
        assert_eq!(host.call(CONNECT, words.as_mut_ptr().cast()), 0);
        words[2] = number;
        for event in [DISCONNECT, OFFLINE] {
            assert_eq!(host.call(event, words.as_mut_ptr().cast()), 0);
        }
        words[3] = pointer(self.topic.as_ref()).cast();
        words[5] = number;
        for event in [SUBSCRIBE, UNSUBSCRIBE] {
            assert_eq!(host.call(event, words.as_mut_ptr().cast()), 0);
        }
        let mut message = self.message();
        assert_eq!(host.call(MESSAGE_OUT, (&raw mut message).cast()), 0);
        published()
    }
}

/// Returns what the plugin says of itself, the first time that it is asked to.
pub(crate) fn status(host: &mut Host) -> String {
    host.call(TICK, null_mut());
    published().pop().expect("it says how it is")
}

fn published() -> Vec<String> {
    let published = SEEN.with(|seen| seen.published.take());
    published.into_iter().map(|(_, json)| json).collect()
}

/// Loads the plugin with options of which there are said to be so many; the error is what it logged.
pub(crate) fn start(
    options: &[(Option<CString>, Option<CString>)],
    count: c_int,
) -> Result<Host, String> {
    let pair = |(key, value): &(Option<CString>, Option<CString>)| {
        OptionPair(pointer(key.as_ref()), pointer(value.as_ref()))
    };
    let pairs: Vec<_> = options.iter().map(pair).collect();
    let mut userdata = null_mut();
    let place = &raw mut userdata;
    if ffi::mosquitto_plugin_init(null_mut(), place, pairs.as_ptr().cast(), count) == 0 {
        return Ok(Host { userdata });
    }
    Err(Host::log())
}

impl Client {
    pub(crate) fn of([id, username, address]: [Option<&[u8]>; 3], version: c_int) -> Self {
        Self {
            id: id.map(c),
            username: username.map(c),
            address: address.map(c),
            version,
        }
    }
}

/// Returns the version that the plugin chooses of none.
pub(crate) fn choose_of_none(count: c_int) -> c_int {
    ffi::mosquitto_plugin_version(count, null())
}
