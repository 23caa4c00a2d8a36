//! Conditions on what a message holds, whatever that is.

use super::{publish, start, topics};

const FAILURES: &str = "mqhook_condition_failures_total{webhook=\"a\"}";

#[tokio::test]
async fn only_what_fulfils_the_condition_is_posted_and_once() {
    let setup = start(&[
        r#"{ event = "on_message_publish", topic = "plant/#", where = "payload.temp > 30.0 && topic.startsWith(\"plant/\")" }"#,
        r#"{ event = "on_message_publish", topic = "+/hot", where = "payload.temp > 30 && qos == 1" }"#,
        r#"{ event = "on_message_publish", topic = "any/#", where = "payload.readings.exists(r, r > 9)" }"#,
    ])
    .await;
    publish(
        &setup,
        &[
            ("plant/hot", br#"{"temp":31}"#),
            ("plant/cold", br#"{"temp":29.9}"#),
            ("else/hot", br#"{"temp":31}"#),
            ("else/hot/2", br#"{"temp":31}"#),
            ("any/1", br#"{"readings":[1,2,10]}"#),
            ("any/2", br#"{"readings":[1,2]}"#),
        ],
    )
    .await;
    assert_eq!(topics(&setup).await, ["plant/hot", "else/hot", "any/1"]);
    assert_eq!(setup.metric(FAILURES).await, 0);
}

#[tokio::test]
async fn hostile_payloads_are_counted_and_the_next_message_comes() {
    let condition =
        r#"{ event = "on_message_publish", topic = "t/#", where = "payload.temp > 30.0" }"#;
    let setup = start(&[condition]).await;
    let deep = "{\"temp\":".repeat(100_000);
    let brackets = "[".repeat(200_000);
    let huge = format!("{{\"temp\":1{}}}", "0".repeat(50_000));
    let large = format!("{{\"temp\":31,\"x\":\"{}\"}}", "y".repeat(100_000));
    let hostile: [&[u8]; 12] = [
        b"",
        b"\xff\xfe\x00",
        b"{\"temp\":NaN}",
        b"{\"temp\":1e999}",
        b"{\"temp\":\"31\"}",
        b"{\"temp\":null}",
        b"{\"temp\":\"\xc3\x28\"}",
        b"[1,2",
        deep.as_bytes(),
        brackets.as_bytes(),
        huge.as_bytes(),
        large.as_bytes(),
    ];
    let messages = hostile.map(|payload| ("t/bad", payload));
    publish(&setup, &messages).await;
    publish(&setup, &[("t/good", br#"{"temp":31}"#)]).await;
    assert_eq!(topics(&setup).await, ["t/good"]);
    assert_eq!(setup.metric(FAILURES).await, 12);
    let log = setup.sidecar.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("a condition could not be evaluated"));
    assert_eq!(lines.count(), 1, "expected one line a minute, got {log}");
}

#[tokio::test]
async fn many_levels_and_a_large_payload_stall_nobody() {
    let setup = start(&[
        r#"{ event = "on_message_publish", topic = "t/#", where = "topic_levels.exists(l, payload_text.contains(l + 'q'))" }"#,
        r#"{ event = "on_message_publish", topic = "t/#", where = "payload.list.exists(x, payload_text.contains(x + 'q'))" }"#,
        r#"{ event = "on_message_publish", topic = "t/#", where = "payload_text == 'good'" }"#,
    ])
    .await;
    let levels = format!("t{}", "/a".repeat(150));
    let mebibyte = vec![b'a'; 1 << 20];
    let list = vec!["\"aaaa\""; 1_500].join(",");
    let list = format!("{{\"list\":[{list}],\"text\":\"{}\"}}", "a".repeat(40_000));
    let hostile: [(&str, &[u8]); 2] = [(&levels, &mebibyte), ("t/list", list.as_bytes())];
    publish(&setup, &hostile).await;
    publish(&setup, &[("t/good", b"good")]).await;
    assert_eq!(topics(&setup).await, ["t/good"]);
    // Of the first the first two conditions; of the second the one that looks at too much, and of the
    // last what is no list.
    assert_eq!(setup.metric(FAILURES).await, 4);
}
