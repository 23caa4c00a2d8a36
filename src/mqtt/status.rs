//! How a connection is, as others see it.

use std::fmt;

use super::Problem;

/// A version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 5.
    V5,
    /// MQTT 3.1.1.
    V4,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V5 => "5",
            Self::V4 => "3.1.1",
        })
    }
}

/// The state of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Status {
    /// It is being made.
    #[default]
    Connecting,
    /// It is made, and the broker has not yet answered every SUBSCRIBE.
    Subscribing,
    /// Everything that was asked for is subscribed to.
    Subscribed(Protocol),
    /// A webhook has no room for more events, and the broker keeps those of QoS 1 meanwhile.
    Full,
    /// It failed and will be tried again.
    Waiting(Problem),
    /// It was ended on purpose.
    Stopped,
}

impl Status {
    /// Returns whether messages arrive.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Subscribed(_))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting"),
            Self::Subscribing => f.write_str("subscribing"),
            Self::Subscribed(protocol) => write!(f, "subscribed over MQTT {protocol}"),
            Self::Full => f.write_str(
                "no room for more events, the broker keeps those of QoS 1; see which webhook does not take events, or raise spool.max_bytes (with backend = \"memory\" spool.max_memory)",
            ),
            Self::Waiting(problem) => write!(f, "{problem}; {}", problem.remedy()),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}
