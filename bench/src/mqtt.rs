//! Just enough of MQTT 3.1.1 to publish fast: the packets as bytes (MQTT 3.1.1 section 3).

/// CONNECT with a clean session and no keep-alive, so that a publisher that waits is never cut off.
pub fn connect(client_id: &str) -> Vec<u8> {
    let mut rest = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0b10, 0, 0];
    append_text(&mut rest, client_id);
    let mut packet = vec![0x10];
    append_remaining_length(&mut packet, rest.len());
    packet.extend_from_slice(&rest);
    packet
}

/// CONNACK of an accepted connection without a session.
pub const CONNACK_ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];

/// First two bytes of every PUBACK; two bytes of packet identifier follow.
pub const PUBACK_HEAD: [u8; 2] = [0x40, 2];

/// DISCONNECT.
pub const DISCONNECT: [u8; 2] = [0xe0, 0];

/// Appends the head of a PUBLISH; the caller appends exactly `payload_len` bytes. `packet_id` makes it QoS 1.
pub fn append_publish_head(
    out: &mut Vec<u8>,
    topic: &str,
    packet_id: Option<u16>,
    payload_len: usize,
) {
    let id_len = packet_id.map_or(0, |_| 2);
    out.push(if packet_id.is_some() { 0x32 } else { 0x30 });
    append_remaining_length(out, 2 + topic.len() + id_len + payload_len);
    append_text(out, topic);
    if let Some(packet_id) = packet_id {
        out.extend_from_slice(&packet_id.to_be_bytes());
    }
}

fn append_text(out: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).expect("topics and client identifiers here are short");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn append_remaining_length(out: &mut Vec<u8>, mut len: usize) {
    loop {
        let low = u8::try_from(len & 0x7f).expect("seven bits");
        len >>= 7;
        if len == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_match_the_specification() {
        assert_eq!(
            connect("c"),
            b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"
        );
        let mut packet = Vec::new();
        append_publish_head(&mut packet, "a/b", Some(7), 256);
        assert_eq!(packet, b"\x32\x87\x02\x00\x03a/b\x00\x07");
        packet.clear();
        append_publish_head(&mut packet, "a/b", None, 1);
        assert_eq!(packet, b"\x30\x06\x00\x03a/b");
    }
}
