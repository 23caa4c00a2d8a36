//! Nothing is lost: numbered messages are published without pause, while mqhook, the broker and the
//! receiver die in turns and at random moments.
//!
//! ```text
//! publisher --PUBLISH, waits for PUBACK--> Mosquitto --> mqhook --> receiver
//!                                              ^           ^           ^
//!                                 kill -9, SIGTERM      kill -9    goes down, slow, failing, up
//! ```
//!
//! What the broker has acknowledged to the publisher must be answered 2xx by the receiver in the end.
//! What comes more often than once must be explained: see [`judge`].
//!
//! | variable | default | |
//! |---|---|---|
//! | `MQHOOK_CRASHES` | 8 | how often something dies in each story |
//! | `MQHOOK_SEED` | the clock's | repeats the moments of a run, which prints its seed |
//!
//! **A broker that is killed** may itself lose what it has acknowledged: Mosquitto writes its sessions
//! to disk when it is told to, not before a PUBACK. So the publisher pauses, the broker is told to save
//! (SIGUSR1) and has saved (its file was replaced), and then it is killed: everything it has ever
//! acknowledged is in its file, and all of it is judged. What it has forgotten is mqhook's PUBACKs since
//! then, so it sends those messages again. A broker that is stopped (SIGTERM) saves by itself, and then
//! the publisher does not pause.

mod judge;
mod stories;
mod stop;
mod world;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// A webhook that never gives up, and that never waits for long.
const WEBHOOK: &str = "[webhooks.a]
url = \"{receiver}/a\"
timeout = \"5s\"
connect_timeout = \"1s\"
events = [{ event = \"on_message_publish\", topic = \"numbers\" }]
retry.exponential = { initial = \"20ms\", factor = 2, max = \"500ms\", for = \"1h\" }
breaker = { failures = 10, initial = \"50ms\", max = \"500ms\" }
";
