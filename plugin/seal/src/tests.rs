use proptest::prelude::*;

use super::*;

const MESSAGE: Message<'_> = Message {
    topic: b"a/b",
    payload: b"on",
};

const ALICE: Publisher<'_> = Publisher {
    time_ms: 1_795_216_121_685,
    qos: 2,
    protocol_version: 5,
    client_id: Some("dev 1"),
    username: Some("alice"),
    address: Some("127.0.0.1"),
};

fn key(text: &str) -> Key {
    Key::new(text).expect("it is long enough")
}

fn sealer() -> Sealer {
    Sealer::new(&key("0123456789abcdef")).expect("there is randomness")
}

fn opener() -> Opener {
    Opener::new(key("0123456789abcdef"))
}

fn sealed(publisher: Publisher<'_>) -> String {
    let mut sealer = sealer();
    sealer.seal(publisher, MESSAGE).expect("it fits").to_owned()
}

#[test]
fn a_seal_says_who_published_the_message() {
    let mut opener = opener();
    for publisher in [ALICE, Publisher::default()] {
        let seal = sealed(publisher);
        assert_eq!(opener.open(&seal, MESSAGE), Ok(publisher));
    }
}

#[test]
fn a_seal_is_of_no_use_with_another_message_or_key() {
    let seal = sealed(ALICE);
    let check = |topic: &str, payload: &str| {
        let (topic, payload) = (topic.as_bytes(), payload.as_bytes());
        let opened = opener().open(&seal, Message { topic, payload }).is_ok();
        assert!(!opened, "{topic:?} {payload:?}");
    };
    check("a/c", "on");
    check("a/b", "off");
    check("a/bo", "n");
    check("a/b\0o", "n");
    let mut stranger = Opener::new(key("0123456789abcdeF"));
    assert_eq!(stranger.open(&seal, MESSAGE), Err(Broken));
}

#[test]
fn no_bit_of_a_seal_can_be_changed() {
    let seal = sealed(ALICE);
    let bytes = URL_SAFE_NO_PAD.decode(&seal).expect("it is base64");
    let mut opener = opener();
    for at in 0..bytes.len() * 8 {
        let mut forged = bytes.clone();
        forged[at / 8] ^= 1 << (at % 8);
        let forged = URL_SAFE_NO_PAD.encode(forged);
        assert_eq!(opener.open(&forged, MESSAGE), Err(Broken), "bit {at}");
    }
    assert_eq!(opener.open(&seal, MESSAGE), Ok(ALICE));
}

#[test]
fn no_two_seals_are_alike_and_names_of_like_length_look_alike() {
    let mut sealer = sealer();
    let mut seal = |client_id| {
        let publisher = Publisher {
            client_id: Some(client_id),
            ..ALICE
        };
        let seal = sealer.seal(publisher, MESSAGE);
        seal.expect("it fits").to_owned()
    };
    let (one, two, other) = (seal("dev 1"), seal("dev 1"), seal("dev 10"));
    assert_ne!(one, two);
    assert_eq!(one.len(), other.len());
}

#[test]
fn names_that_do_not_fit_make_no_seal() {
    let mut sealer = sealer();
    let long = "x".repeat(65_535);
    for length in [65_535, 65_534, 50_000] {
        let publisher = Publisher {
            client_id: Some(&long[..length]),
            ..ALICE
        };
        let error = sealer.seal(publisher, MESSAGE);
        assert_eq!(error, Err(SealError::TooLong), "{length}");
    }
    let publisher = Publisher {
        client_id: Some(&long[..49_000]),
        ..ALICE
    };
    assert!(sealer.seal(publisher, MESSAGE).expect("it fits").len() <= MAX_TEXT);
}

#[test]
fn the_broker_stays_known_among_strangers() {
    let mut opener = opener();
    for _ in 0..3 * CIPHERS {
        assert_eq!(opener.open(&sealed(ALICE), MESSAGE), Ok(ALICE));
        let mut stranger = Sealer::new(&key("another-key-0123")).expect("there is randomness");
        let forged = stranger.seal(ALICE, MESSAGE).expect("it fits");
        assert_eq!(opener.open(forged, MESSAGE), Err(Broken));
    }
    assert_eq!(opener.ciphers.len(), CIPHERS);
}

#[test]
fn a_key_is_all_of_a_file_but_its_line_end() {
    let seal = sealed(ALICE);
    for text in [
        "0123456789abcdef",
        "0123456789abcdef\n",
        "0123456789abcdef\r\n",
    ] {
        let key = Key::in_file(text).expect("it is long enough");
        assert_eq!(Opener::new(key).open(&seal, MESSAGE), Ok(ALICE), "{text:?}");
    }
    assert_eq!(Key::in_file("0123456789abcde\n").err(), Some(WeakKey));
}

proptest! {
    #[test]
    fn any_publisher_reads_back(
        time_ms: u64,
        qos in 0..=2_u8,
        protocol_version: u8,
        client_id: Option<String>,
        username: Option<String>,
        address: Option<String>,
    ) {
        let publisher = Publisher {
            time_ms,
            qos,
            protocol_version,
            client_id: client_id.as_deref(),
            username: username.as_deref(),
            address: address.as_deref(),
        };
        let mut opener = opener();
        prop_assert_eq!(opener.open(&sealed(publisher), MESSAGE), Ok(publisher));
    }

    #[test]
    fn anything_may_be_opened(text: String, bytes: Vec<u8>) {
        let mut opener = opener();
        prop_assert_eq!(opener.open(&text, MESSAGE), Err(Broken));
        let seal = URL_SAFE_NO_PAD.encode(&bytes);
        prop_assert_eq!(opener.open(&seal, MESSAGE), Err(Broken));
        let _ = Publisher::read(&bytes);
    }
}
