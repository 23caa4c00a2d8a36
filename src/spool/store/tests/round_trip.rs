//! An event comes back as it went in.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::event::{Connection, Device, End, Notice, Properties, Reason, Status, Subscription};

fn text() -> impl Strategy<Value = ByteString> {
    prop_oneof![
        4 => ".{0,12}".prop_map(ByteString::from),
        1 => "(.|\0|\"|\\\\|\n|\u{fffd}|\u{10ffff}){0,6}".prop_map(ByteString::from),
    ]
}

fn client() -> impl Strategy<Value = Client> {
    (option::of(text()), option::of(text()), option::of(text())).prop_map(
        |(id, username, address)| Client {
            id,
            username,
            address,
        },
    )
}

fn reason() -> impl Strategy<Value = Reason> {
    select(Reason::all().collect::<Vec<_>>())
}

fn connection() -> impl Strategy<Value = Detail> {
    let parts = (
        option::of(any::<u8>()),
        option::of(any::<u16>()),
        option::of(any::<bool>()),
        option::of(reason()),
    );
    parts.prop_map(|(protocol_version, keep_alive, clean_start, refused)| {
        Detail::Connection(Connection {
            protocol_version,
            keep_alive,
            clean_start,
            refused,
        })
    })
}

fn notice() -> impl Strategy<Value = Detail> {
    let event = select(Kind::ALL.to_vec()).prop_map(|kind| (Id::new(), kind));
    let parts = (text(), option::of(event), any::<u32>(), text());
    parts.prop_map(|(webhook, event, attempts, reason)| {
        Detail::Notice(Notice {
            webhook,
            event,
            attempts,
            reason,
        })
    })
}

fn properties() -> impl Strategy<Value = Properties> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from);
    let user = proptest::collection::vec((text(), text()), 0..9);
    let numbers = (option::of(any::<bool>()), option::of(any::<u32>()));
    let texts = (option::of(text()), option::of(text()));
    (numbers, texts, option::of(bytes), user).prop_map(
        |((is_text, expiry_s), (content_type, response_topic), correlation_data, user)| {
            Properties {
                is_text,
                expiry_s,
                content_type,
                response_topic,
                correlation_data,
                user,
            }
        },
    )
}

fn device() -> impl Strategy<Value = Detail> {
    let status = || select(Status::ALL.to_vec());
    let parts = (
        status(),
        option::of(status()),
        option::of(reason()),
        any::<u64>(),
        any::<u64>(),
    );
    parts.prop_map(|(status, previous, reason, first_seen, last_seen)| {
        Detail::Device(Device {
            status,
            previous,
            reason,
            first_seen: Timestamp::from_millis(first_seen),
            last_seen: Timestamp::from_millis(last_seen),
        })
    })
}

fn detail() -> impl Strategy<Value = Detail> {
    let end = (reason(), option::of(any::<u64>())).prop_map(|(reason, connected_at)| {
        let connected_at = connected_at.map(Timestamp::from_millis);
        Detail::End(End {
            reason,
            connected_at,
        })
    });
    let subscription = (text(), option::of(any::<u8>()))
        .prop_map(|(topic_filter, qos)| Detail::Subscription(Subscription { topic_filter, qos }));
    let payload = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..64),
        1 => (0..20_000_usize).prop_map(|length| vec![0xC3; length]),
    ];
    let parts = ("[^+#\0]{1,20}", payload, 0..=2_u8, any::<bool>());
    let message = (parts, option::of(any::<u8>()), option::of(properties())).prop_map(
        |((topic, payload, qos, retain), protocol_version, properties)| {
            let topic = TopicName::try_from(ByteString::from(topic)).expect("a topic name");
            let payload = Bytes::from(payload);
            Detail::Message(Message {
                topic,
                payload,
                qos,
                retain,
                protocol_version,
                properties: properties.and_then(Properties::boxed),
            })
        },
    );
    prop_oneof![connection(), end, subscription, message, notice(), device()]
}

fn event() -> impl Strategy<Value = Event> {
    let time = prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
    (select(Kind::ALL.to_vec()), time, client(), detail()).prop_map(
        |(kind, time, client, detail)| Event {
            id: Id::new(),
            kind,
            time: Timestamp::from_millis(time),
            client,
            detail,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn events_come_back_as_they_were(
        events in proptest::collection::vec(event(), 1..40),
    ) {
        let mut fixture = Fixture::new();
        let [webhook, _] = fixture.webhooks;
        let changes: Vec<Change> = (1..).zip(&events).map(|(seq, event)| Change::Append {
            seq: Seq(seq),
            accepted: at(5),
            event: Arc::new(event.clone()),
            webhooks: vec![webhook],
        }).collect();
        fixture.commit(&changes);
        let loaded = fixture.store.fresh(webhook, None, ALL).expect("readable");
        let loaded: Vec<Event> = loaded.into_iter().map(|loaded| loaded.event).collect();
        prop_assert_eq!(&loaded, &events);
        let burials: Vec<Change> = (1..).zip(&events).map(|(seq, _)| bury(webhook, seq, 9)).collect();
        fixture.commit(&burials);
        let letters = fixture.store.dead_letters(&Filter::default(), None, usize::MAX);
        for (letter, event) in letters.expect("readable").into_iter().zip(&events) {
            let (again, buried) = fixture.store.dead_letter(letter.id).expect("readable").expect("there");
            prop_assert_eq!(&buried, event);
            prop_assert_eq!(again, letter);
        }
    }
}

#[test]
fn an_event_is_measured_without_reading_its_payload() {
    let mut fixture = Fixture::new();
    let [webhook, _] = fixture.webhooks;
    let event = Arc::new(message(&[0; 5_000]));
    fixture.commit(&[Change::Append {
        seq: Seq(1),
        accepted: at(1),
        event: Arc::clone(&event),
        webhooks: vec![webhook],
    }]);
    fixture.append(2, &[2]);
    let window = |bytes| Window {
        deliveries: 9,
        bytes,
    };
    let count = |bytes| {
        let loaded = fixture.store.fresh(webhook, None, window(bytes));
        loaded.expect("readable").len()
    };
    let both = event.size() + message(b"hello").size();
    assert_eq!(count(0), 1, "one is always read");
    assert_eq!(count(both - 1), 1);
    assert_eq!(count(both + 200), 2);
}

proptest! {
    #[test]
    fn a_row_never_seems_smaller_than_its_event_is(event in event()) {
        let mut fixture = Fixture::new();
        let [webhook, _] = fixture.webhooks;
        let size = event.size();
        fixture.commit(&[Change::Append {
            seq: Seq(1),
            accepted: at(1),
            event: Arc::new(event),
            webhooks: vec![webhook],
        }]);
        fixture.append(2, &[2]);
        let second = message(b"hello").size() + r#"{"detail":{"message":{"qos":1,"retain":false}}}"#.len();
        let window = Window { deliveries: 9, bytes: size + second - 1 };
        let loaded = fixture.store.fresh(webhook, None, window).expect("readable");
        prop_assert_eq!(loaded.len(), 1);
    }
}
