//! Why Mosquitto says that a connection ended.
//!
//! | 2.0 writes | 2.1 writes | reason |
//! |---|---|---|
//! | `disconnected.` | `disconnected.` | `normal` |
//! | `closed its connection.` | `connection closed by client` | `connection_closed` |
//! | `disconnected: <strerror>.` | `<strerror>`, `bad socket read/write: ..` | `connection_closed` for an error of the network, otherwise `unknown` |
//! | `has exceeded timeout, disconnecting.` | `exceeded timeout` | `keepalive_timeout` |
//! | `been disconnected by administrative action.` | `administrative action` | `administrative_action` |
//! | `disconnected due to <why>.`, `disconnected, <why>.` | `<why>` | see [`of`] |

use crate::event::Reason;

/// Why a connection ended, or why it never came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) reason: Reason,
    /// Whether a CONNECT is refused for this reason.
    pub(super) refusal: bool,
}

impl Ending {
    /// The client sent DISCONNECT.
    pub(super) const NORMAL: Self = Self::of(Reason::Normal);
    /// The network connection ended.
    pub(super) const CLOSED: Self = Self::of(Reason::ConnectionClosed);

    const fn of(reason: Reason) -> Self {
        let refusal = false;
        Self { reason, refusal }
    }

    const fn refusing(reason: Reason) -> Self {
        let refusal = true;
        Self { reason, refusal }
    }
}

/// Returns the ending of a text behind `disconnected: ` (2.1), `disconnected due to ` or
/// `disconnected, ` (2.0).
pub(super) fn of(why: &str) -> Ending {
    let why = why.strip_suffix('.').unwrap_or(why);
    let why = why.strip_prefix("bad socket read/write: ").unwrap_or(why);
    match why {
        "connection closed by client" | "The connection was lost" | "Connection lost" => {
            Ending::CLOSED
        }
        "session taken over" => Ending::of(Reason::TakenOver),
        "exceeded timeout" => Ending::of(Reason::KeepaliveTimeout),
        "administrative action" => Ending::of(Reason::AdministrativeAction),
        "malformed packet" => Ending::of(Reason::MalformedPacket),
        "protocol error" => Ending::of(Reason::ProtocolError),
        "oversize packet" | "oversize payload" => Ending::of(Reason::PacketTooLarge),
        "out of memory" => Ending::of(Reason::UnspecifiedError),
        "receive maximum exceeded" | "exceeding the receive maximum" => {
            Ending::of(Reason::ReceiveMaximumExceeded)
        }
        "topic alias invalid" => Ending::of(Reason::TopicAliasInvalid),
        "implementation specific error" => Ending::of(Reason::ImplementationSpecificError),
        "non-matching http origin" => Ending::of(Reason::NotAuthorized),
        "not authorised" => Ending::refusing(Reason::NotAuthorized),
        "client identifier not valid" => Ending::refusing(Reason::ClientIdentifierNotValid),
        "bad username or password" => Ending::refusing(Reason::BadUsernameOrPassword),
        "server unavailable" => Ending::refusing(Reason::ServerUnavailable),
        "server busy" => Ending::refusing(Reason::ServerBusy),
        "client banned" => Ending::refusing(Reason::Banned),
        "bad authentication method" => Ending::refusing(Reason::BadAuthenticationMethod),
        "quota exceeded" => Ending::refusing(Reason::QuotaExceeded),
        "connection rate exceeded" => Ending::refusing(Reason::ConnectionRateExceeded),
        why if is_disallowed_feature(why) => Ending::refusing(Reason::Unknown),
        why if is_network_error(why) => Ending::CLOSED,
        _ => Ending::of(Reason::Unknown),
    }
}

/// One text for four things, a protocol version among them, so the reason is not known.
fn is_disallowed_feature(why: &str) -> bool {
    why.starts_with("used disallowed feature")
        || why.starts_with("using not allowed feature")
        || why == "QoS too high or retain not supported"
}

/// Errors of glibc and musl that mean that the network connection is gone. "Protocol
/// error" is what a TLS connection ends with that was not closed properly; the error of
/// MQTT's protocol is written small.
fn is_network_error(why: &str) -> bool {
    matches!(
        why,
        "Connection reset by peer"
            | "Broken pipe"
            | "Connection timed out"
            | "Operation timed out"
            | "Software caused connection abort"
            | "Connection aborted"
            | "No route to host"
            | "Host is unreachable"
            | "Network is unreachable"
            | "Network unreachable"
            | "Network is down"
            | "Network dropped connection on reset"
            | "Transport endpoint is not connected"
            | "Socket not connected"
            | "Protocol error"
            | "A TLS error occurred"
    )
}

/// Reads what follows `Client ` before 2.1: the identifier, and how it ended.
pub(super) fn old(rest: &str) -> Option<(&str, Ending)> {
    let fixed = [
        (" disconnected.", Ending::NORMAL),
        (" closed its connection.", Ending::CLOSED),
        (
            " has exceeded timeout, disconnecting.",
            Ending::of(Reason::KeepaliveTimeout),
        ),
        (
            " been disconnected by administrative action.",
            Ending::of(Reason::AdministrativeAction),
        ),
    ];
    let fixed = fixed
        .into_iter()
        .find_map(|(end, ending)| Some((rest.strip_suffix(end)?, ending)));
    let (id, ending) = fixed.or_else(|| {
        let rest = rest.strip_suffix('.')?;
        let worded = [
            " disconnected due to ",
            " disconnected, ",
            " disconnected: ",
        ];
        let (at, why) = worded
            .into_iter()
            .filter_map(|word| Some((rest.rfind(word)?, word)))
            .map(|(at, word)| (at, &rest[at + word.len()..]))
            .max_by_key(|(at, _)| *at)?;
        Some((&rest[..at], of(why)))
    })?;
    (!id.is_empty()).then_some((id, ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_of_2_0() {
        let check = |rest, id, reason| {
            let read = old(rest).map(|(id, ending)| (id, ending.reason));
            assert_eq!(read, Some((id, reason)), "{rest}");
        };
        check("a disconnected.", "a", Reason::Normal);
        check("a closed its connection.", "a", Reason::ConnectionClosed);
        check(
            "a disconnected: Connection reset by peer.",
            "a",
            Reason::ConnectionClosed,
        );
        check("a disconnected: Bad file descriptor.", "a", Reason::Unknown);
        check(
            "a disconnected due to oversize packet.",
            "a",
            Reason::PacketTooLarge,
        );
        check(
            "a disconnected, not authorised.",
            "a",
            Reason::NotAuthorized,
        );
        check(
            "a disconnected, session taken over.",
            "a",
            Reason::TakenOver,
        );
        check("a disconnected, something new.", "a", Reason::Unknown);
        check(
            "a has exceeded timeout, disconnecting.",
            "a",
            Reason::KeepaliveTimeout,
        );
        check(
            "a been disconnected by administrative action.",
            "a",
            Reason::AdministrativeAction,
        );
        check(
            "a disconnected: x. disconnected.",
            "a disconnected: x.",
            Reason::Normal,
        );
        assert_eq!(old(" disconnected."), None);
        assert_eq!(old("a disconnected"), None);
    }

    #[test]
    fn errors_of_the_network_and_of_the_protocol_differ_in_case() {
        assert_eq!(of("Protocol error.").reason, Reason::ConnectionClosed);
        assert_eq!(of("protocol error.").reason, Reason::ProtocolError);
        assert_eq!(
            of("bad socket read/write: Invalid input").reason,
            Reason::Unknown
        );
    }
}
