//! Why a connection failed, and what the operator can do about it.

use std::error::Error;
use std::fmt;

use crate::causes::chain;
use crate::event::Reason;

/// Why a connection to the broker failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The kind of problem.
    pub cause: Cause,
    /// What the broker or the operating system said, control characters escaped; may be empty.
    pub detail: String,
}

/// The kinds of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Nothing answers at the address.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// No secure connection could be made.
    Tls,
    /// The HTTP request for a WebSocket failed.
    WebSocketRefused,
    /// The broker does not speak this version of MQTT.
    ProtocolVersion,
    /// The broker refused the connection.
    Refused(Reason),
    /// The broker ended the connection with DISCONNECT.
    Ended(Reason),
    /// The network connection ended.
    Closed,
    /// It ended before the broker had said anything.
    Unanswered,
    /// A packet was larger than `max_packet_size`.
    PacketTooLarge,
    /// The broker refused a SUBSCRIBE.
    SubscribeRefused,
    /// What the broker sent is not MQTT.
    Protocol,
    /// Taking messages was refused for lack of room, and there is room again.
    Restart,
}

impl Problem {
    /// Returns a problem of this kind; `detail` may come from the broker.
    #[must_use]
    pub fn new(cause: Cause, detail: impl fmt::Display) -> Self {
        Self {
            cause,
            detail: escaped(&detail.to_string()),
        }
    }

    /// Returns what it is where the broker has answered the CONNECT, or has not.
    pub(super) fn where_heard(mut self, has_answered: bool) -> Self {
        if !has_answered && self.cause == Cause::Closed {
            self.cause = Cause::Unanswered;
        }
        self
    }

    /// Returns why no WebSocket could be made. Its errors cannot be named here, their causes can.
    pub(super) fn of_websocket(error: &(dyn Error + 'static)) -> Self {
        if chain(error).any(<dyn Error>::is::<rustls::Error>) {
            Self::new(Cause::Tls, error)
        } else {
            Self::new(Cause::WebSocketRefused, error)
        }
    }

    /// Returns what the operator can do, as a sentence fragment.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self.cause {
            Cause::Unreachable => "check that the broker runs and that broker.url is its address",
            Cause::Timeout => {
                "check the network, and that broker.url is the address of an MQTT listener"
            }
            Cause::Tls => "check broker.tls.cacertfile, and that the listener speaks TLS",
            Cause::WebSocketRefused => {
                "check the path in broker.url, and that its port is that of a WebSocket listener"
            }
            Cause::ProtocolVersion => "set broker.protocol to what the broker speaks",
            Cause::Refused(Reason::BadUsernameOrPassword | Reason::NotAuthorized) => {
                "check broker.username and broker.password_file, and that the broker knows this user"
            }
            Cause::Refused(Reason::ClientIdentifierNotValid) => {
                "set broker.client_id to one that the broker accepts"
            }
            Cause::Ended(Reason::TakenOver) => {
                "another client uses the same client identifier; give each mqhook its own broker.client_id"
            }
            Cause::Refused(_) | Cause::Ended(_) => "see the broker's log",
            Cause::Closed => {
                "if it happens again and again, see the broker's log; another client may use the same broker.client_id"
            }
            Cause::Unanswered => {
                "check broker.url: its port may be that of a listener for TLS (mqtts), for WebSocket (ws), or of no MQTT broker; see the broker's log"
            }
            Cause::PacketTooLarge => "raise broker.max_packet_size",
            Cause::SubscribeRefused => {
                "let the broker's ACL allow mqhook's user to subscribe to it"
            }
            Cause::Protocol => "check that broker.url is the address of an MQTT listener",
            Cause::Restart => "nothing; events go on",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Unreachable => f.write_str("the broker cannot be reached")?,
            Cause::Timeout => f.write_str("the broker does not answer in time")?,
            Cause::Tls => f.write_str("no secure connection to the broker")?,
            Cause::WebSocketRefused => f.write_str("the broker opens no WebSocket")?,
            Cause::ProtocolVersion => f.write_str("the broker refuses this version of MQTT")?,
            Cause::Refused(reason) => write!(f, "the broker refuses the connection: {reason}")?,
            Cause::Ended(reason) => write!(f, "the broker ended the connection: {reason}")?,
            Cause::Closed => f.write_str("the connection to the broker was closed")?,
            Cause::Unanswered => {
                f.write_str("the connection was closed before the broker answered")?;
            }
            Cause::PacketTooLarge => f.write_str("the broker sent too large a packet")?,
            Cause::SubscribeRefused => f.write_str("the broker refuses a subscription")?,
            Cause::Protocol => f.write_str("the broker sent what is not MQTT")?,
            Cause::Restart => f.write_str("there is room for events again")?,
        }
        if self.detail.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.detail)
        }
    }
}

/// Returns a text that forges no line of a log: only what can be printed is left as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' => escaped.push(character),
            _ => escaped.extend(character.escape_debug()),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_broker_forges_no_line_of_the_log() {
        let check = |detail: &str, expected: &str| {
            assert_eq!(Problem::new(Cause::Closed, detail).detail, expected);
        };
        check("bye\r\nWARN \u{1b}[0m", "bye\\r\\nWARN \\u{1b}[0m");
        check("\u{202e}\0", "\\u{202e}\\0");
        check("`größe`: it's \"no\"", "`größe`: it's \"no\"");
    }

    #[test]
    fn an_error_of_tls_is_found_where_io_hides_it() {
        let tls = rustls::Error::DecryptError;
        let error = io::Error::other(io::Error::other(tls));
        assert_eq!(Problem::of_websocket(&error).cause, Cause::Tls);
        let error = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(Problem::of_websocket(&error).cause, Cause::WebSocketRefused);
    }
}
