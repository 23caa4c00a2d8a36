//! Trying a webhook out.

use serde_json::{Value, json};
use support::receiver::Behaviour;

use super::api::Asker;
use super::{FILE, start};

#[tokio::test]
async fn a_trial_shows_what_was_sent_and_what_came_of_it() {
    let setup = start(FILE).await;
    let api = Asker::local(&setup);
    let tried = api
        .ask("POST", "/webhooks/of_file/test", &[], "")
        .await
        .expect(200);
    assert_eq!(tried["outcome"], "delivered", "{tried}");
    assert!(
        tried["latency_ms"]
            .as_f64()
            .is_some_and(|latency| latency > 0.0)
    );
    let request = &tried["request"];
    assert_eq!(request["method"], "POST");
    assert_eq!(request["headers"]["x-api-key"], "***");
    let body = request["body"]["text"].as_str().expect("a text");
    assert!(body.contains("\"topic\":\"plant/example\""), "{body}");
    let got = setup.receiver.next().await;
    assert_eq!(got.target(), "/file");
    assert_eq!(got.header("x-api-key").as_deref(), Some("sesame-of-file"));
    assert_eq!(got.text(), body);
    assert_eq!(tried["status"], 200);

    setup.receiver.set(Behaviour::Status(404));
    let tried = api
        .ask("POST", "/webhooks/of_file/test", &[], "")
        .await
        .expect(200);
    assert_eq!(
        (&tried["outcome"], &tried["status"]),
        (&json!("rejected"), &json!(404))
    );
    let shown = api.get("/webhooks/of_file").await.expect(200);
    assert_eq!(shown["dead_letters"], 0);
    assert_eq!(shown["attempt_count"], 0);
    let events = setup
        .metric("mqhook_events_total{kind=\"on_message_publish\"}")
        .await;
    assert_eq!(events, 0);
    assert_eq!(shown["disabled_reason"], Value::Null);
}
