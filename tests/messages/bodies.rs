//! Exact bodies: quality of service, payloads, topics, encodings.

use support::client::Publish;

use super::{FENCE, bodies, body, listen, send, start, webhook};

/// Publishes payloads at QoS 1 and asserts what becomes of them, given as JSON with what follows.
async fn check(body_config: &str, table: &[(&[u8], &str)]) {
    let config = webhook("a", &["#"]) + body_config;
    let setup = start(&config).await;
    let mut client = setup.client("dev").await;
    let mut expected = Vec::new();
    for (payload, json) in table {
        send(&mut client, Publish::new("t", payload.to_vec()).qos(1)).await;
        expected.push(body("t", 1, false, json));
    }
    assert_eq!(bodies(&setup, "/a").await, expected);
}

#[tokio::test]
async fn quality_of_service_is_that_of_the_delivery() {
    let setup = listen(&["#"]).await;
    let mut client = setup.client("dev").await;
    for qos in 0..=2 {
        send(&mut client, Publish::new("a/b/c", "hello").qos(qos)).await;
    }
    // mqhook subscribes at QoS 1, so QoS 2 is lowered by the broker.
    let expected = [0, 1, 1].map(|qos| body("a/b/c", qos, false, "\"hello\""));
    assert_eq!(bodies(&setup, "/a").await, expected);
}

#[tokio::test]
async fn any_payload_gives_valid_json() {
    check(
        "",
        &[
            (b"", "\"\""),
            (b"21.5", "\"21.5\""),
            (b"{\"t\": 21.5}", r#""{\"t\": 21.5}""#),
            (b"before\0after", r#""before\u0000after""#),
            (b"\x01\x1f\x7f\t\r\n", "\"\\u0001\\u001f\u{7f}\\t\\r\\n\""),
            ("Zürich ☀ 房间 🌡".as_bytes(), "\"Zürich ☀ 房间 🌡\""),
            ("\u{feff}bom\u{2028}".as_bytes(), "\"\u{feff}bom\u{2028}\""),
            (
                b"\xff\xfe\x80a",
                r#""//6AYQ==","payload_encoding":"base64""#,
            ),
            (b"cut \xe6\x88", r#""Y3V0IOaI","payload_encoding":"base64""#),
            (b"\xed\xa0\x80", r#""7aCA","payload_encoding":"base64""#),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_not_utf8_is_replaced_if_asked_for() {
    check(
        "body.not_utf8 = \"replace\"\n",
        &[(b"a\xffb", "\"a\u{fffd}b\""), (b"good", "\"good\"")],
    )
    .await;
}

#[tokio::test]
async fn base64_encodes_every_payload() {
    check(
        "body.encoding = \"base64\"\n",
        &[
            (b"", "\"\""),
            (b"hello", "\"aGVsbG8=\""),
            (b"\xff\xfe\0a", "\"//4AYQ==\""),
        ],
    )
    .await;
}

#[tokio::test]
async fn base62_encodes_every_payload() {
    check(
        "body.encoding = \"BASE62\"\n",
        &[(b"", "\"\""), (b"hello", "\"7tQLFHz\"")],
    )
    .await;
}

#[tokio::test]
async fn each_webhook_has_its_own_encoding() {
    let config = webhook("a", &["#"])
        + &webhook("b", &["#"])
        + "body.encoding = \"base64\"\n"
        + &webhook("c", &["#"])
        + "body.encoding = \"base62\"\n";
    let setup = start(&config).await;
    let mut client = setup.client("dev").await;
    send(&mut client, Publish::new("t", "hello")).await;
    for (path, payload) in [("/a", "hello"), ("/b", "aGVsbG8="), ("/c", "7tQLFHz")] {
        let expected = [body("t", 0, false, &format!("\"{payload}\""))];
        assert_eq!(bodies(&setup, path).await[..1], expected, "{path}");
    }
}

#[tokio::test]
async fn a_payload_of_a_mebibyte_arrives_whole() {
    let setup = listen(&["big", FENCE]).await;
    let payload: String = ('a'..='z').cycle().take(1 << 20).collect();
    for qos in [0, 1] {
        let mut client = setup.client("dev").await;
        send(&mut client, Publish::new("big", payload.clone()).qos(qos)).await;
    }
    let bodies = bodies(&setup, "/a").await;
    let lengths: Vec<usize> = bodies.iter().map(String::len).collect();
    for qos in [0, 1] {
        let expected = body("big", qos, false, &format!("\"{payload}\""));
        // Comparing with assert_eq would print two mebibytes.
        assert!(
            bodies.contains(&expected),
            "expected {} bytes, got bodies of {lengths:?}",
            expected.len()
        );
    }
}

#[tokio::test]
async fn any_topic_arrives_unharmed() {
    let setup = listen(&["#"]).await;
    let mut client = setup.client("dev").await;
    let topics = [
        "temperatur/zürich/房间/🌡",
        "/",
        "//",
        " a b / c ",
        "\"quoted\"",
        "back\\slash",
        "$dollar/inside",
        "x/$SYS/y",
    ];
    let mut expected = Vec::new();
    for topic in topics {
        send(&mut client, Publish::new(topic, "x").qos(1)).await;
        let json = topic.replace('\\', "\\\\").replace('"', "\\\"");
        // `#` does not match what begins with `$`.
        if !topic.starts_with('$') {
            expected.push(body(&json, 1, false, "\"x\""));
        }
    }
    assert_eq!(bodies(&setup, "/a").await, expected);
}
