//! Why a connection was refused or ended, or a device is remembered no more.

use std::fmt;

/// Why a connection was refused, or a connection or session ended.
///
/// The words are MQTT 5's reason codes (2.4) in snake case, and five that MQTT has
/// no code for: `connection_closed`, `session_expired` and `unknown`, and of devices `not_seen` and
/// `removed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client sent DISCONNECT.
    Normal,
    /// The client sent DISCONNECT and asked for its will to be published.
    DisconnectWithWill,
    /// The network connection ended without DISCONNECT.
    ConnectionClosed,
    /// The client was silent for longer than one and a half times its Keep Alive.
    KeepaliveTimeout,
    /// Another connection came with the same client identifier.
    TakenOver,
    /// The session's expiry interval passed.
    SessionExpired,
    /// The broker gave no reason that mqhook knows.
    Unknown,
    /// 0x80.
    UnspecifiedError,
    /// 0x81.
    MalformedPacket,
    /// 0x82.
    ProtocolError,
    /// 0x83.
    ImplementationSpecificError,
    /// 0x84.
    UnsupportedProtocolVersion,
    /// 0x85.
    ClientIdentifierNotValid,
    /// 0x86.
    BadUsernameOrPassword,
    /// 0x87.
    NotAuthorized,
    /// 0x88.
    ServerUnavailable,
    /// 0x89.
    ServerBusy,
    /// 0x8A.
    Banned,
    /// 0x8B.
    ServerShuttingDown,
    /// 0x8C.
    BadAuthenticationMethod,
    /// 0x8F.
    TopicFilterInvalid,
    /// 0x90.
    TopicNameInvalid,
    /// 0x93.
    ReceiveMaximumExceeded,
    /// 0x94.
    TopicAliasInvalid,
    /// 0x95.
    PacketTooLarge,
    /// 0x96.
    MessageRateTooHigh,
    /// 0x97.
    QuotaExceeded,
    /// 0x98.
    AdministrativeAction,
    /// 0x99.
    PayloadFormatInvalid,
    /// 0x9A.
    RetainNotSupported,
    /// 0x9B.
    QosNotSupported,
    /// 0x9C.
    UseAnotherServer,
    /// 0x9D.
    ServerMoved,
    /// 0x9E.
    SharedSubscriptionsNotSupported,
    /// 0x9F.
    ConnectionRateExceeded,
    /// 0xA0.
    MaximumConnectTime,
    /// The device was not seen for too long.
    NotSeen,
    /// The operator has removed the device.
    Removed,
}

impl Reason {
    /// Every reason, with its name and its MQTT 5 code where it has one.
    const TABLE: [(Self, &'static str, Option<u8>); 38] = [
        (Self::Normal, "normal", Some(0x00)),
        (Self::DisconnectWithWill, "disconnect_with_will", Some(0x04)),
        (Self::ConnectionClosed, "connection_closed", None),
        (Self::KeepaliveTimeout, "keepalive_timeout", Some(0x8D)),
        (Self::TakenOver, "taken_over", Some(0x8E)),
        (Self::SessionExpired, "session_expired", None),
        (Self::Unknown, "unknown", None),
        (Self::UnspecifiedError, "unspecified_error", Some(0x80)),
        (Self::MalformedPacket, "malformed_packet", Some(0x81)),
        (Self::ProtocolError, "protocol_error", Some(0x82)),
        (
            Self::ImplementationSpecificError,
            "implementation_specific_error",
            Some(0x83),
        ),
        (
            Self::UnsupportedProtocolVersion,
            "unsupported_protocol_version",
            Some(0x84),
        ),
        (
            Self::ClientIdentifierNotValid,
            "client_identifier_not_valid",
            Some(0x85),
        ),
        (
            Self::BadUsernameOrPassword,
            "bad_username_or_password",
            Some(0x86),
        ),
        (Self::NotAuthorized, "not_authorized", Some(0x87)),
        (Self::ServerUnavailable, "server_unavailable", Some(0x88)),
        (Self::ServerBusy, "server_busy", Some(0x89)),
        (Self::Banned, "banned", Some(0x8A)),
        (Self::ServerShuttingDown, "server_shutting_down", Some(0x8B)),
        (
            Self::BadAuthenticationMethod,
            "bad_authentication_method",
            Some(0x8C),
        ),
        (Self::TopicFilterInvalid, "topic_filter_invalid", Some(0x8F)),
        (Self::TopicNameInvalid, "topic_name_invalid", Some(0x90)),
        (
            Self::ReceiveMaximumExceeded,
            "receive_maximum_exceeded",
            Some(0x93),
        ),
        (Self::TopicAliasInvalid, "topic_alias_invalid", Some(0x94)),
        (Self::PacketTooLarge, "packet_too_large", Some(0x95)),
        (
            Self::MessageRateTooHigh,
            "message_rate_too_high",
            Some(0x96),
        ),
        (Self::QuotaExceeded, "quota_exceeded", Some(0x97)),
        (
            Self::AdministrativeAction,
            "administrative_action",
            Some(0x98),
        ),
        (
            Self::PayloadFormatInvalid,
            "payload_format_invalid",
            Some(0x99),
        ),
        (Self::RetainNotSupported, "retain_not_supported", Some(0x9A)),
        (Self::QosNotSupported, "qos_not_supported", Some(0x9B)),
        (Self::UseAnotherServer, "use_another_server", Some(0x9C)),
        (Self::ServerMoved, "server_moved", Some(0x9D)),
        (
            Self::SharedSubscriptionsNotSupported,
            "shared_subscriptions_not_supported",
            Some(0x9E),
        ),
        (
            Self::ConnectionRateExceeded,
            "connection_rate_exceeded",
            Some(0x9F),
        ),
        (Self::MaximumConnectTime, "maximum_connect_time", Some(0xA0)),
        (Self::NotSeen, "not_seen", None),
        (Self::Removed, "removed", None),
    ];

    /// Returns every reason, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::TABLE.into_iter().map(|(reason, ..)| reason)
    }

    /// Returns the reason of an MQTT 5 reason code (2.4), `Unknown` for a code that MQTT does not define.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::TABLE
            .into_iter()
            .find(|(.., known)| *known == Some(code))
            .map_or(Self::Unknown, |(reason, ..)| reason)
    }

    /// Returns why a CONNACK refuses: a return code of MQTT 3.1.1 (3.2.2.3, below 0x80) or a reason code of MQTT 5.
    ///
    /// `None` is code 0, accepted.
    #[must_use]
    pub fn refused_by(code: u8) -> Option<Self> {
        match code {
            0 => None,
            1 => Some(Self::UnsupportedProtocolVersion),
            2 => Some(Self::ClientIdentifierNotValid),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUsernameOrPassword),
            5 => Some(Self::NotAuthorized),
            code => Some(Self::from_code(code)),
        }
    }

    /// Returns the word that bodies carry.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::TABLE[self as usize].1
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, (reason, name, code)) in Reason::TABLE.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{name}");
            assert_eq!(reason.name(), name);
            if let Some(code) = code {
                assert_eq!(Reason::from_code(code), reason);
            }
        }
    }

    #[test]
    fn codes_of_both_versions_are_told_apart() {
        assert_eq!(Reason::refused_by(0), None);
        assert_eq!(Reason::refused_by(5), Some(Reason::NotAuthorized));
        assert_eq!(
            Reason::refused_by(0x86),
            Some(Reason::BadUsernameOrPassword)
        );
        assert_eq!(Reason::refused_by(0x42), Some(Reason::Unknown));
    }
}
