//! Another secret to sign with, and the end of the one before.

use serde_json::{Value, json};
use support::wait;

use super::api::Asker;
use super::life::{SECRET, webhook};
use super::{FILE, PATIENCE, restart, start, wait_for};

#[tokio::test]
async fn a_secret_is_replaced_and_the_old_one_signs_beside_it() {
    let setup = start(FILE).await;
    let api = Asker::local(&setup);
    api.post("/webhooks", &webhook(&setup, "/mine"))
        .await
        .expect(201);
    let signatures = async |payload: &str| {
        setup.publish("plant/1", payload).await;
        let requests = wait_for(&setup, "/mine", payload).await;
        let requests = requests.iter().filter(|it| it.target() == "/mine");
        let signed = requests
            .last()
            .and_then(|it| it.header("webhook-signature"));
        signed.expect("a signature").split(' ').count()
    };
    assert_eq!(signatures("one").await, 1);
    api.post("/webhooks/mine/rotate-secret", &json!({}))
        .await
        .expect(200);
    assert_eq!(signatures("two").await, 2);
    let at_once = json!({"overlap": "0s"});
    let rotated = api.post("/webhooks/mine/rotate-secret", &at_once).await;
    assert_eq!(rotated.expect(200)["overlaps_until"], Value::Null);
    assert_eq!(signatures("three").await, 1);
    for (overlap, why) in [("1", "no unit"), ("91d", "at most 90d")] {
        let body = json!({"overlap": overlap});
        let wrong = api.post("/webhooks/mine/rotate-secret", &body).await;
        wrong.expect_problem(400, why);
    }
    let wrong = api
        .post("/webhooks/mine/rotate-secret", &json!({"secret": "short"}))
        .await;
    wrong.expect_problem(422, "/definition/sign");
}

#[tokio::test]
async fn the_secret_from_before_stops_by_itself_over_a_restart_as_well() {
    let mut setup = start(FILE).await;
    let api = Asker::local(&setup);
    for name in ["one", "two", "three"] {
        let mut body = webhook(&setup, &format!("/{name}"));
        body["name"] = name.into();
        api.post("/webhooks", &body).await.expect(201);
    }
    let rotate = async |name: &str, overlap: &str| {
        let path = format!("/webhooks/{name}/rotate-secret");
        let rotated = api.post(&path, &json!({"overlap": overlap})).await;
        let rotated = rotated.expect(200);
        assert_eq!(rotated["signing"], 2, "{rotated}");
    };
    rotate("one", "100ms").await;
    rotate("two", "4s").await;
    rotate("three", "1h").await;
    // What is not about signing leaves the end as it is; secrets that somebody writes stay.
    let shown = api.get("/webhooks/three").await;
    let until = &shown.json()["secret_overlaps_until"];
    assert!(until.is_string(), "{shown:?}");
    let mut body = json!({"group": "plant", "definition": shown.json()["definition"]});
    body["definition"]["pool_size"] = 2.into();
    let kept = api.put("/webhooks/three", &shown.tag(), &body).await;
    assert_eq!(kept.expect(200)["secret_overlaps_until"], *until);
    body["definition"]["sign"] = json!({"secrets": [SECRET, SECRET]});
    let written = api.put("/webhooks/three", &kept.tag(), &body).await;
    assert_eq!(written.expect(200)["secret_overlaps_until"], Value::Null);
    setup.sidecar.wait_for_log("does not sign any more").await;
    restart(&mut setup).await;
    let two = wait::until(PATIENCE, "the end of an overlap", async || {
        let api = Asker::local(&setup);
        let two = api.get("/webhooks/two").await.expect(200);
        two["secret_overlaps_until"].is_null().then_some(two)
    })
    .await;
    assert_eq!(two["definition"]["sign"]["secret"], json!({"secret": true}));
    setup.publish("plant/1", "signed").await;
    for (path, signatures) in [("/one", 1), ("/two", 1), ("/three", 2)] {
        let requests = wait_for(&setup, path, "signed").await;
        let request = requests.iter().find(|it| it.target() == path);
        let signed = request.and_then(|it| it.header("webhook-signature"));
        let count = signed.expect("a signature").split(' ').count();
        assert_eq!(count, signatures, "{path}");
    }
}
