//! Lines of Mosquitto's log, taken apart; knows no client.
//!
//! Identifiers and user names stand in the lines as they are, so what follows them is
//! looked for from the right (`handle_connect.c` and `loop.c` of Mosquitto, and captured
//! lines of 2.0.11 and 2.1.2). A line ends at 999 bytes, wherever that is.

use super::attempt;
use super::reason::{self, Ending};
use crate::dialect::Unreadable;
use crate::event::{Connection, Timestamp};

/// Lines of this many bytes may have been cut: one byte less is the longest that Mosquitto
/// writes, and up to three may be missing from a character that was cut through.
const CUT_BYTES: usize = 996;

/// How messages begin that are about a client's life.
const BEGINNINGS: [&str; 9] = [
    attempt::BEGINNING,
    "New client connected from ",
    "New bridge connected from ",
    "Client ",
    "Expiring client ",
    "Bad socket read/write on client ",
    "Socket error on client ",
    "Invalid protocol version ",
    "Protocol error from ",
];

/// A line without its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// What `log_timestamp_format` printed, if it was the default: seconds since the epoch.
    pub(super) seconds: Option<u64>,
    /// Whether there was a time in front, of whatever format.
    pub(super) stamped: bool,
    /// The rest.
    pub(super) message: &'a str,
    /// Whether the end may be missing.
    pub(super) cut: bool,
}

impl<'a> Line<'a> {
    /// Takes a line of the log topics N, E, I and W apart.
    ///
    /// Only a message of a known beginning shows whether there is a time in front, as
    /// `log_timestamp false` leaves it away; the text up to the first `: ` must look like
    /// a time, so that no identifier passes for one.
    pub(super) fn of_log(text: &'a str) -> Self {
        let whole = Self::unstamped(text);
        if BEGINNINGS.iter().any(|known| text.starts_with(known)) {
            return whole;
        }
        Self::stamped(text).unwrap_or(whole)
    }

    /// Takes a line of the topics under M apart, which begins with an identifier.
    pub(super) fn of_subscription(text: &'a str, stamped: bool) -> Self {
        let line = stamped.then(|| Self::stamped(text)).flatten();
        line.unwrap_or(Self::unstamped(text))
    }

    /// Returns whether the message is about a client's life.
    pub(super) fn is_known(&self) -> bool {
        BEGINNINGS
            .iter()
            .any(|known| self.message.starts_with(known))
    }

    /// Returns when the line was written, if that is not now: the time in front has whole
    /// seconds, which is less than `now` has, but lines may have waited in a queue.
    pub(super) fn time(&self, now: Timestamp) -> Option<Timestamp> {
        let ms = self.seconds?.checked_mul(1_000)?;
        let old = ms.abs_diff(now.as_millis()) > 2_000;
        old.then(|| crate::dialect::told::plausible(ms)).flatten()
    }

    fn unstamped(text: &'a str) -> Self {
        Self {
            seconds: None,
            stamped: false,
            message: text,
            cut: text.len() >= CUT_BYTES,
        }
    }

    fn stamped(text: &'a str) -> Option<Self> {
        let (stamp, message) = text.split_once(": ")?;
        let letters = stamp.chars().filter(|c| c.is_alphabetic()).count();
        let digits = stamp.bytes().any(|byte| byte.is_ascii_digit());
        // "Wednesday 30 September 2026 11:00:00 PM CEST" has 24 letters.
        (digits && letters <= 24 && stamp.len() <= 64).then(|| Self {
            seconds: stamp.parse().ok(),
            stamped: true,
            message,
            cut: text.len() >= CUT_BYTES,
        })
    }
}

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// mqhook's plugin saw a CONNECT.
    Attempted { json: &'a str },
    /// A connection was accepted.
    Connected(Connected<'a>),
    /// A connection ended, or was refused. If the line can be read in two ways, the
    /// second is the one of 2.0.
    Ended(Ended<'a>, Option<Ended<'a>>),
    /// Before 2.1: a connection is about to be taken over.
    Replaced { id: &'a str },
    /// A session expired.
    Expired { id: &'a str },
    /// 2.0: a CONNECT had a protocol version that Mosquitto has not.
    BadVersion { address: &'a str },
    /// 2.1: a CONNECT had no identifier and wanted to keep its session.
    NoIdentifier { address: &'a str },
    /// Something that is no event.
    Other,
}

/// `New client connected from <address> as <id> (p4, c1, k60, u'<username>').`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Connected<'a> {
    pub(super) id: &'a str,
    pub(super) address: &'a str,
    /// `None` also where it was cut.
    pub(super) username: Option<&'a str>,
    pub(super) connection: Connection,
}

/// `Client <id> [<address>] disconnected: <why>.` and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended<'a> {
    pub(super) id: &'a str,
    /// From 2.1.
    pub(super) address: Option<&'a str>,
    pub(super) ending: Ending,
}

impl<'a> Message<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// The message begins as one about a client's life and does not go on as one.
    pub(super) fn read(line: &Line<'a>) -> Result<Self, Unreadable> {
        let message = line.message;
        if let Some(json) = message.strip_prefix(attempt::BEGINNING) {
            return Ok(Self::Attempted { json });
        }
        for begin in ["New client connected from ", "New bridge connected from "] {
            if let Some(rest) = message.strip_prefix(begin) {
                return connected(rest, line.cut).map(Self::Connected);
            }
        }
        if let Some(rest) = message.strip_prefix("Client ") {
            return client(rest, line.cut);
        }
        let between = |begin, end| message.strip_prefix(begin)?.strip_suffix(end);
        if let Some(id) = between("Expiring client ", " due to timeout.") {
            return Ok(Self::Expired { id });
        }
        if let Some(rest) = message.strip_prefix("Bad socket read/write on client ") {
            let (id, why) = rest.rsplit_once(": ").ok_or(Unreadable("no reason"))?;
            return Ok(Self::Ended(ended_2_0(id, reason::of(why)), None));
        }
        if let Some(id) = between("Socket error on client ", ", disconnecting.") {
            return Ok(Self::Ended(ended_2_0(id, Ending::CLOSED), None));
        }
        if let Some(rest) = between("Invalid protocol version ", ".")
            && let Some((_, address)) = rest.rsplit_once(" in CONNECT from ")
        {
            return Ok(Self::BadVersion { address });
        }
        let end = ": CONNECT with zero length clientid when forbidden.";
        match between("Protocol error from ", end) {
            Some(address) if !address.contains(' ') => Ok(Self::NoIdentifier { address }),
            _ => Ok(Self::Other),
        }
    }
}

fn connected(rest: &str, cut: bool) -> Result<Connected<'_>, Unreadable> {
    let (address, rest) = rest
        .split_once(" as ")
        .filter(|(address, _)| !address.is_empty() && !address.contains(' '))
        .ok_or(Unreadable("a connect line has no address"))?;
    let whole = |at: usize| {
        let (connection, behind) = parameters(&rest[at..])?;
        let username = match behind.strip_prefix(", u'") {
            Some(username) => Some(username.strip_suffix("').")?),
            None => (behind == ").").then_some(None)?,
        };
        Some((at, connection, username))
    };
    let found = rest.rmatch_indices(" (p").find_map(|(at, _)| whole(at));
    let found = found.or_else(|| cut.then(|| cut_username(rest)).flatten());
    let (at, connection, username) = found.ok_or(Unreadable("a connect line was cut"))?;
    if at == 0 {
        return Err(Unreadable("a connect line has no client identifier"));
    }
    Ok(Connected {
        id: &rest[..at],
        address,
        username: username.filter(|username| !username.is_empty()),
        connection,
    })
}

/// Reads a line that was cut within the user name: the identifier is certain only if what
/// follows it is there once.
fn cut_username(rest: &str) -> Option<(usize, Connection, Option<&str>)> {
    let mut found = rest.match_indices(" (p").filter_map(|(at, _)| {
        let (connection, behind) = parameters(&rest[at..])?;
        behind.starts_with(", u'").then_some((at, connection, None))
    });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Reads ` (p4, c1, k60` and returns what follows.
///
/// Mosquitto 2.0 prints its own numbers for 3.1 and 3.1.1, 1 and 2; 2.1 prints MQTT's.
fn parameters(text: &str) -> Option<(Connection, &str)> {
    let (protocol, rest) = number(text.strip_prefix(" (p")?)?;
    let (clean, rest) = number(rest.strip_prefix(", c")?)?;
    let (keep_alive, rest) = number(rest.strip_prefix(", k")?)?;
    let protocol_version = match protocol {
        1 | 3 => Some(3),
        2 | 4 => Some(4),
        5 => Some(5),
        _ => None,
    };
    let connection = Connection {
        protocol_version,
        keep_alive: Some(keep_alive),
        clean_start: Some(clean != 0),
        refused: None,
    };
    Some((connection, rest))
}

fn number(text: &str) -> Option<(u16, &str)> {
    let digits = text.bytes().take(6).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, rest))
}

fn client(rest: &str, cut: bool) -> Result<Message<'_>, Unreadable> {
    if let Some(id) = rest.strip_suffix(" already connected, closing old connection.") {
        return Ok(Message::Replaced { id });
    }
    let old = reason::old(rest).map(|(id, ending)| ended_2_0(id, ending));
    match (ended_2_1(rest), old) {
        (Some(new), old) => Ok(Message::Ended(new, old)),
        (None, Some(old)) => Ok(Message::Ended(old, None)),
        (None, None) if cut => Err(Unreadable("a line about a client was cut")),
        (None, None) if rest.contains(" disconnected") => {
            Err(Unreadable("a disconnect line of unknown form"))
        }
        (None, None) => Ok(Message::Other),
    }
}

fn ended_2_0(id: &str, ending: Ending) -> Ended<'_> {
    Ended {
        id,
        address: None,
        ending,
    }
}

/// Reads `<id> [<address>] disconnected.` or `<id> [<address>] disconnected: <why>.`
fn ended_2_1(rest: &str) -> Option<Ended<'_>> {
    let (client, why) = rest.rsplit_once("] disconnected")?;
    let (id, address) = client.rsplit_once(" [")?;
    let ending = match why.strip_prefix(": ") {
        Some(why) => reason::of(why),
        None => (why == ".").then_some(Ending::NORMAL)?,
    };
    (!id.is_empty() && !address.contains(' ')).then_some(Ended {
        id,
        address: Some(address),
        ending,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Message<'_>, Unreadable> {
        Message::read(&Line::of_log(text))
    }

    #[test]
    fn times_of_any_format_are_taken_off() {
        let check = |text, seconds, message| {
            let line = Line::of_log(text);
            assert_eq!((line.seconds, line.message), (seconds, message), "{text}");
        };
        check(
            "1795215493: Client a disconnected.",
            Some(1_795_215_493),
            "Client a disconnected.",
        );
        check(
            "2026-11-20T23:18:13: Client a disconnected.",
            None,
            "Client a disconnected.",
        );
        check(
            "Wednesday 30 September 2026 11:00:00 PM CEST: Client a: b disconnected.",
            None,
            "Client a: b disconnected.",
        );
        check(
            "Client 1: Client b disconnected.",
            None,
            "Client 1: Client b disconnected.",
        );
        let text = "Outgoing messages are being dropped for client 1: Client b disconnected.";
        check(text, None, text);
        check("", None, "");
    }

    #[test]
    fn old_lines_keep_their_time_and_fresh_ones_have_ours() {
        let line = Line::of_log("1795215493: x");
        let check = |now, expected: Option<u64>| {
            let time = line.time(Timestamp::from_millis(now));
            assert_eq!(time.map(Timestamp::as_millis), expected, "{now}");
        };
        check(1_795_215_493_999, None);
        check(1_795_215_495_000, None);
        check(1_795_215_496_000, Some(1_795_215_493_000));
        check(1_795_215_490_000, Some(1_795_215_493_000));
    }

    #[test]
    fn what_a_hostile_identifier_imitates_stays_in_it() {
        let connect = read("New client connected from 1.1.1.1:1 as a (p2, c1, k1). (p5, c0, k0).");
        let Ok(Message::Connected(connect)) = connect else {
            panic!("not a connect line: {connect:?}");
        };
        assert_eq!(connect.id, "a (p2, c1, k1).");
        assert_eq!(connect.connection.protocol_version, Some(5));

        let end =
            read("Client a [1.1.1.1:1] disconnected. [2.2.2.2:2] disconnected: not authorised.");
        let Ok(Message::Ended(end, _)) = end else {
            panic!("not an end: {end:?}");
        };
        assert_eq!(end.id, "a [1.1.1.1:1] disconnected.");
        assert_eq!(end.address, Some("2.2.2.2:2"));
    }

    #[test]
    fn a_cut_user_name_leaves_the_identifier() {
        let names = "u".repeat(1_000);
        let line = format!("New client connected from ::1:1 as dev (p4, c1, k60, u'{names}");
        let Ok(Message::Connected(connect)) = read(&line) else {
            panic!("not a connect line");
        };
        assert_eq!((connect.id, connect.username), ("dev", None));
        let twice = format!("New client connected from ::1:1 as a (p4, c1, k6, u'{line}");
        assert!(read(&twice).is_err());
    }

    #[test]
    fn lines_that_cannot_be_read_are_told_from_lines_of_no_interest() {
        let check = |text: &str, unreadable| {
            assert_eq!(read(text).is_err(), unreadable, "{text}");
        };
        check("New client connected from 1.1.1.1:1 as ", true);
        check(
            "New client connected from 1.1.1.1:1 as  (p4, c1, k60).",
            true,
        );
        check("New client connected from ", true);
        check("Client a disconnected", true);
        check(&format!("Client {}", "a".repeat(1_000)), true);
        check("Client a negotiated TLSv1.3 cipher X", false);
        check("Client from 1.1.1.1:1 appears to be using TLS", false);
        check("mosquitto version 2.1.2 running", false);
        check(
            "Saving in-memory database to /var/lib/mosquitto/mosquitto.db.",
            false,
        );
        check("", false);
    }
}
