//! Why EMQX and RMQTT say that a connection ended.

use crate::event::Reason;

/// Returns the reason of EMQX's `reason`, an Erlang atom.
///
/// Atoms are the names of MQTT 5's reason codes (`emqx_reason_codes.erl`), what a channel
/// shuts down with (`emqx_channel.erl`), and POSIX errors of the socket. None was captured.
pub(super) fn of_emqx(atom: &str) -> Reason {
    match atom {
        "normal" | "success" => Reason::Normal,
        "disconnect_with_will_message" => Reason::DisconnectWithWill,
        "keepalive_timeout" => Reason::KeepaliveTimeout,
        "closed" | "tcp_closed" | "ssl_closed" | "sock_closed" | "quic_closed" | "ws_closed"
        | "tcp_error" | "ssl_error" | "sock_error" | "send_timeout" | "conn_closed"
        | "connection_closed" | "remote_closed" | "peer_closed" | "econnaborted" | "econnreset"
        | "ehostunreach" | "enetunreach" | "enotconn" | "epipe" | "etimedout" | "einval" => {
            Reason::ConnectionClosed
        }
        "discarded" | "takenover" | "takeovered" | "takeover" | "takeover_kick"
        | "session_taken_over" => Reason::TakenOver,
        "kicked" | "kick" => Reason::AdministrativeAction,
        "shutdown" | "server_shutdown" => Reason::ServerShuttingDown,
        "unauthorized_client" | "acl_denied" | "authentication_failure" => Reason::NotAuthorized,
        "malformed_username_or_password" => Reason::BadUsernameOrPassword,
        "unacceptable_protocol_version" => Reason::UnsupportedProtocolVersion,
        "server_unavaliable" => Reason::ServerUnavailable,
        "frame_too_large" => Reason::PacketTooLarge,
        "frame_error" | "frame_parse_error" | "parse_error" => Reason::MalformedPacket,
        "message_queue_too_long" | "proc_heap_too_large" | "mailbox_overflow" | "oom" => {
            Reason::QuotaExceeded
        }
        "internal_error" => Reason::UnspecifiedError,
        name => named(name),
    }
}

/// Returns the reason of RMQTT's `reason`: what happened, in order, between commas.
///
/// The first part decides; a v5 DISCONNECT also prints the client's own texts, which
/// are behind its reason code and are not read.
pub(super) fn of_rmqtt(text: &str) -> Reason {
    if let Some(packet) = text.strip_prefix("Disconnect(V5(") {
        return of_disconnect(packet);
    }
    let first = text.split([',', '(']).next().unwrap_or_default();
    match first {
        "Disconnect" => Reason::Normal,
        "RemoteClose" | "ReadWriteTimeout" | "ReadWriteError" => Reason::ConnectionClosed,
        "Kicked" => Reason::TakenOver,
        "ByAdminKick" => Reason::AdministrativeAction,
        "SessionExpiration" => Reason::SessionExpired,
        "HandshakeRateExceeded" => Reason::ConnectionRateExceeded,
        "SubscribeRefused" | "PublishRefused" => Reason::NotAuthorized,
        name => of_code(name),
    }
}

fn of_disconnect(packet: &str) -> Reason {
    packet
        .strip_prefix("Disconnect { reason_code: ")
        .and_then(|rest| rest.split([',', ' ']).next())
        .map_or(Reason::Unknown, of_code)
}

/// Returns the reason of a code's name in camel case, as the Rust enum prints it.
fn of_code(name: &str) -> Reason {
    match name {
        "NormalDisconnection" => return Reason::Normal,
        "DisconnectWithWillMessage" => return Reason::DisconnectWithWill,
        "KeepAliveTimeout" | "KeepaliveTimeout" => return Reason::KeepaliveTimeout,
        "SessionTakenOver" => return Reason::TakenOver,
        "SharedSubscriptionNotSupported" => return Reason::SharedSubscriptionsNotSupported,
        _ => {}
    }
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    named(&snake)
}

fn named(name: &str) -> Reason {
    Reason::all()
        .find(|reason| reason.name() == name)
        .unwrap_or(Reason::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atoms_of_emqx() {
        let check = |atom, expected| assert_eq!(of_emqx(atom), expected, "{atom}");
        check("normal", Reason::Normal);
        check("tcp_closed", Reason::ConnectionClosed);
        check("takenover", Reason::TakenOver);
        check("takeovered", Reason::TakenOver);
        check("kicked", Reason::AdministrativeAction);
        check("not_authorized", Reason::NotAuthorized);
        check("server_busy", Reason::ServerBusy);
        check("malformed_packet", Reason::MalformedPacket);
        check("something_else", Reason::Unknown);
        check("", Reason::Unknown);
    }

    #[test]
    fn texts_of_rmqtt() {
        let check = |text, expected| assert_eq!(of_rmqtt(text), expected, "{text}");
        check("Disconnect(V3),RemoteClose", Reason::Normal);
        check("RemoteClose", Reason::ConnectionClosed);
        check("Kicked", Reason::TakenOver);
        check("ByAdminKick", Reason::AdministrativeAction);
        check("KeepaliveTimeout", Reason::KeepaliveTimeout);
        check("ProtocolError(something)", Reason::ProtocolError);
        check("Disconnect(V5(Disconnect { reason_code: ", Reason::Unknown);
        check("", Reason::Unknown);
        check(
            "Disconnect(V5(Disconnect { reason_code: DisconnectWithWillMessage, x",
            Reason::DisconnectWithWill,
        );
        check(
            "Disconnect(V5(Disconnect { reason_code: PacketTooLarge, x",
            Reason::PacketTooLarge,
        );
    }

    #[test]
    fn what_a_client_says_does_not_change_its_reason() {
        let text = "Disconnect(V5(Disconnect { reason_code: NormalDisconnection, \
                    reason_string: Some(\"reason_code: ServerBusy, \"), user_properties: [] })),Kicked";
        assert_eq!(of_rmqtt(text), Reason::Normal);
    }
}
