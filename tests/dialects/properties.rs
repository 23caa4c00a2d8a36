//! Whatever clients are called and whatever arrives.

use bytes::Bytes;
use bytestring::ByteString;
use mqhook::dialect::{Dialect, Heard, Name};
use mqhook::event::{Detail, Happening, Timestamp, TopicName};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_215_493_250);

fn decode(decoder: &mut dyn Dialect, topic: &str, payload: &[u8]) -> Option<Vec<Happening>> {
    let topic = TopicName::try_from(ByteString::from(topic)).ok()?;
    let heard = Heard {
        topic: &topic,
        payload: &Bytes::copy_from_slice(payload),
        now: NOW,
    };
    let mut told = Vec::new();
    decoder.decode(&heard, &mut told).ok().map(|()| told)
}

/// What a hostile client would put into its names.
fn fragment() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        " ",
        "\"",
        "\\",
        "\\\"",
        "'",
        ": ",
        ", ",
        "{",
        "}",
        "/",
        "1",
        "dev",
        " 1 ",
        "<unknown>",
        " as ",
        " (p4, c1, k60)",
        " (p2, c1, k60, u'root').",
        ").",
        "').",
        " disconnected",
        " disconnected.",
        " disconnected: ",
        " disconnected, ",
        " disconnected due to ",
        " closed its connection.",
        " [1.2.3.4:5]",
        "] disconnected",
        "Client ",
        " already connected, closing old connection.",
        "Expiring client ",
        " due to timeout.",
        "New client connected from 1.1.1.1:1 as ",
        "(null)",
        "\", \"ts\":1",
        "\",\"ts\":1,",
        "\"proto_name\":\"MQTT\",\"keepalive\":1,\"return_code\":\"5\",\"proto_ver\":4,",
        "\"reason_code\":\"0\",",
        "\"client_id\":\"",
        "\",\"clean_start\":0,",
        "\"IPv4\":\"",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 2 => "\\PC{1,4}"]
}

/// A name as both brokers accept it: not empty, no control characters.
fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(fragment(), 1..6).prop_map(|parts| parts.concat())
}

/// A user name that does not imitate what follows an identifier in Mosquitto's connect line.
fn username() -> impl Strategy<Value = Option<String>> {
    prop::option::of(name().prop_filter("documented as spoofable", |name| !name.contains(" (p")))
}

fn topic() -> impl Strategy<Value = String> {
    let place = prop::sample::select(vec![
        "$SYS/broker/log/N",
        "$SYS/broker/log/E",
        "$SYS/broker/log/I",
        "$SYS/broker/log/M/subscribe",
        "$SYS/broker/log/M/unsubscribe",
        "$SYS/brokers/client_status/",
        "$SYS/brokers/client_status/dev",
        "$SYS/brokers/connected",
        "$SYS/brokers/disconnected",
        "$SYS/brokers/n/clients/dev/connected",
        "$SYS/brokers/n/clients/dev/disconnected",
        "$SYS/brokers/n/session/dev/subscribed",
        "$SYS/brokers/n/gateway/g/clients/dev/unsubscribed",
        "$SYS/b/new/clients",
        "$SYS/b/disconnect/clients",
        "$SYS/b/new/subscribes",
        "$SYS/b/new/unsubscribes",
        "$mqhook/$SYS/ACCOUNT/A/CONNECT",
        "$mqhook/$SYS/ACCOUNT/A/DISCONNECT",
        "$mqhook/$SYS/SERVER/N/CLIENT/AUTH/ERR",
    ]);
    prop_oneof![4 => place.prop_map(str::to_owned), 1 => "\\PC{1,30}"]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let hostile = prop::collection::vec(fragment(), 0..30);
    let log = prop::sample::select(vec![
        "Client ",
        "1795215493: Client ",
        "New client connected from 1.1.1.1:1 as ",
        "Expiring client ",
        "{\"status\":\"online\", \"username\":\"",
        "{\"username\":\"",
        "\0",
        "",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (log, hostile).prop_map(|(start, parts)| (start.to_owned() + &parts.concat()).into_bytes()),
    ]
}

fn end(told: &[Happening]) -> (Option<&str>, Option<&str>, Option<Timestamp>) {
    match told {
        [only] => match &only.detail {
            Detail::End(end) => (
                only.client.id.as_deref(),
                only.client.username.as_deref(),
                end.connected_at,
            ),
            other => panic!("no end: {other:?}"),
        },
        other => panic!("not one: {other:?}"),
    }
}

proptest! {
    #[test]
    fn nothing_makes_a_decoder_panic(
        messages in prop::collection::vec((topic(), payload()), 1..8),
    ) {
        for name in Name::ALL {
            let mut decoder = name.decoder();
            for (topic, payload) in &messages {
                let told = decode(decoder.as_mut(), topic, payload).unwrap_or_default();
                for happening in told {
                    prop_assert!(decoder.kinds().contains(happening.kind));
                }
            }
        }
    }

    #[test]
    fn mosquitto_gives_every_name_back(
        id in name(),
        user in username(),
        new in any::<bool>(),
        ending in 0_usize..4,
        filter in "[^\\p{C} ]{1,9}( [^\\p{C} ]{1,3}){0,3}",
    ) {
        let mut mosquitto = Name::Mosquitto.decoder();
        let protocol = if new { 4 } else { 2 };
        let written = user.as_ref().map(|user| format!(", u'{user}'")).unwrap_or_default();
        let line = format!(
            "1795215493: New client connected from ::1:5 as {id} (p{protocol}, c1, k60{written})."
        );
        let told = decode(mosquitto.as_mut(), "$SYS/broker/log/N", line.as_bytes());
        let told = told.expect(&line);
        prop_assert_eq!(told.len(), 2);
        prop_assert_eq!(told[0].client.id.as_deref(), Some(id.as_str()));
        prop_assert_eq!(told[0].client.username.as_deref(), user.as_deref());
        prop_assert_eq!(told[0].client.address.as_deref(), Some("::1:5"));

        let line = format!("1795215493: {id} 1 {filter}");
        let told = decode(mosquitto.as_mut(), "$SYS/broker/log/M/subscribe", line.as_bytes());
        let told = told.expect(&line);
        prop_assert_eq!(told[0].client.id.as_deref(), Some(id.as_str()));

        let line = if new {
            let why = ["", ": not authorised", ": exceeded timeout", ": Broken pipe"][ending];
            format!("1795215493: Client {id} [::1:5] disconnected{why}.")
        } else {
            let why = [
                "disconnected",
                "closed its connection",
                "disconnected: Broken pipe",
                "disconnected due to malformed packet",
            ][ending];
            format!("1795215493: Client {id} {why}.")
        };
        let told = decode(mosquitto.as_mut(), "$SYS/broker/log/N", line.as_bytes());
        let told = told.expect(&line);
        prop_assert_eq!(end(&told), (Some(id.as_str()), user.as_deref(), Some(NOW)));
    }

    #[test]
    fn nanomq_gives_every_name_back(id in name(), user in name(), status in any::<bool>()) {
        let topic = format!("$SYS/brokers/client_status/{id}");
        prop_assume!(user != "(null)");
        prop_assume!(TopicName::try_from(ByteString::from(topic.as_str())).is_ok());
        let text = if status {
            format!(
                "{{\"status\":\"online\", \"username\":\"{user}\", \"ts\":1795216181239,\
                 \"proto_name\":\"MQTT\",\"keepalive\":60,\"return_code\":\"0\",\"proto_ver\":5,\
                 \"client_id\":\"{id}\",\"clean_start\":1, \"IPv4\":\"127.0.0.1\"}}"
            )
        } else {
            format!(
                "{{\"status\":\"offline\", \"username\":\"{user}\",\"ts\":1795216181842,\
                 \"reason_code\":\"8d\",\"client_id\":\"{id}\",\"IPv4\":\"127.0.0.1\"}}"
            )
        };
        let mut nanomq = Name::Nanomq.decoder();
        let told = decode(nanomq.as_mut(), &topic, text.as_bytes()).expect(&text);
        let client = &told[0].client;
        prop_assert_eq!(client.id.as_deref(), Some(id.as_str()));
        prop_assert_eq!(client.username.as_deref(), Some(user.as_str()));
        prop_assert_eq!(client.address.as_deref(), Some("127.0.0.1"));

        // As NanoMQ cuts it, the identifier is still certain.
        let cut = &text.as_bytes()[..text.len().min(255)];
        let told = decode(nanomq.as_mut(), &topic, cut).expect(&text);
        prop_assert_eq!(told[0].client.id.as_deref(), Some(id.as_str()));
    }
}
