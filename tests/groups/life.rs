//! The life of webhooks and groups of the API.

use serde_json::{Value, json};
use support::setup::Setup;
use support::wait;

use super::api::Asker;
use super::{FILE, PATIENCE, count, restart, start, wait_for};

pub(super) const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A webhook of a group, with a secret of each kind.
pub(super) fn webhook(setup: &Setup, path: &str) -> Value {
    json!({
        "name": "mine",
        "group": "plant",
        "definition": {
            "url": format!("{}{path}", setup.receiver.url()),
            "body": {"format": "json"},
            "headers": {"x-api-key": "sesame-1"},
            "sign": {"secret": SECRET},
        },
    })
}

#[tokio::test]
async fn a_webhook_is_made_and_changed_and_goes_on_after_a_restart() {
    let mut setup = start(FILE).await;
    let api = Asker::local(&setup);
    let made = api.post("/webhooks", &webhook(&setup, "/mine")).await;
    let shown = made.expect(201);
    let id = shown["id"].as_str().expect("an id").to_owned();
    let path = format!("/webhooks/{id}");
    assert_eq!(made.header("location"), Some(path.as_str()));
    assert_eq!(shown["origin"], "api");
    assert_eq!(shown["status"], "enabled");
    setup.publish("plant/1", "one").await;
    wait_for(&setup, "/mine", "one").await;
    wait_for(&setup, "/file", "one").await;

    let changed = webhook(&setup, "/moved");
    let answer = api.put(&path, &made.tag(), &changed).await;
    answer.expect(200);
    setup.publish("plant/1", "two").await;
    wait_for(&setup, "/moved", "two").await;

    restart(&mut setup).await;
    let api = Asker::local(&setup);
    setup.publish("plant/1", "three").await;
    let requests = wait_for(&setup, "/moved", "three").await;
    for payload in ["one", "two", "three"] {
        let mine = count(&requests, "/mine", payload) + count(&requests, "/moved", payload);
        assert_eq!(mine, 1, "{payload}");
    }
    let shown = api.get("/webhooks/mine").await;
    assert_eq!(shown.expect(200)["id"], id.as_str());
    assert_eq!(shown.tag(), answer.tag());

    api.delete(&path, &shown.tag()).await.expect(204);
    api.get(&path).await.expect_problem(404, "no such webhook");
    setup.publish("plant/1", "four").await;
    let requests = wait_for(&setup, "/file", "four").await;
    assert_eq!(count(&requests, "/moved", "four"), 0);
}

#[tokio::test]
async fn attempts_are_counted_and_not_forgotten() {
    let mut setup = start(FILE).await;
    let made = Asker::local(&setup)
        .post("/webhooks", &webhook(&setup, "/mine"))
        .await;
    assert_eq!(made.expect(201)["last_triggered_at"], Value::Null);
    setup.publish("plant/1", "one").await;
    wait_for(&setup, "/mine", "one").await;
    let counted = async |setup: &Setup| {
        let shown = Asker::local(setup).get("/webhooks/mine").await.expect(200);
        let is_counted = shown["attempt_count"] == 1 && shown["last_triggered_at"].is_string();
        is_counted.then_some(())
    };
    wait::until(PATIENCE, "an attempt to be counted", async || {
        counted(&setup).await
    })
    .await;
    restart(&mut setup).await;
    assert!(counted(&setup).await.is_some());
}

#[tokio::test]
async fn a_webhook_that_has_gone_leaves_no_metrics_and_begins_at_0_when_it_comes_back() {
    let setup = start(FILE).await;
    let api = Asker::local(&setup);
    for round in ["one", "two"] {
        let made = api.post("/webhooks", &webhook(&setup, "/mine")).await;
        made.expect(201);
        setup.publish("plant/1", round).await;
        let delivered = "mqhook_deliveries_total{webhook=\"mine\",outcome=\"delivered\"}";
        wait_for(&setup, "/mine", round).await;
        let count = setup.wait_for_metric(delivered, |count| count > 0).await;
        assert_eq!(count, 1, "{round}");
        api.delete("/webhooks/mine", &made.tag()).await.expect(204);
        wait::until(PATIENCE, "nothing more of it", async || {
            let metrics = setup.sidecar.metrics(setup.admin).await;
            (!metrics.contains("webhook=\"mine\"")).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn of_two_who_change_the_same_one_has_to_look_again() {
    let setup = start(FILE).await;
    let api = Asker::local(&setup);
    let made = api.post("/webhooks", &webhook(&setup, "/mine")).await;
    made.expect(201);
    let (one, two) = (webhook(&setup, "/1"), webhook(&setup, "/2"));
    let tag = made.tag();
    let (one, two) = tokio::join!(
        api.put("/webhooks/mine", &tag, &one),
        api.put("/webhooks/mine", &tag, &two)
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412], "{one:?} {two:?}");
    let blind = api.ask("DELETE", "/webhooks/mine", &[], "").await;
    blind.expect_problem(428, "If-Match");
    let again = api
        .ask("GET", "/webhooks/mine", &[("If-None-Match", &tag)], "")
        .await;
    assert_eq!(again.status, 200);
    let tag = again.tag();
    let known = api
        .ask("GET", "/webhooks/mine", &[("If-None-Match", &tag)], "")
        .await;
    assert_eq!(known.status, 304);
}

#[tokio::test]
async fn what_is_in_the_file_is_shown_and_not_changed() {
    let setup = start(FILE).await;
    let api = Asker::local(&setup);
    let shown = api.get("/webhooks/of_file").await;
    let webhook = shown.expect(200);
    assert_eq!(webhook["origin"], "file");
    assert_eq!(
        webhook["definition"]["headers"]["x-api-key"],
        json!({"secret": true})
    );
    let body = json!({"definition": {"url": "http://127.0.0.1:1/"}});
    let tag = shown.tag();
    let answers = [
        api.put("/webhooks/of_file", &tag, &body).await,
        api.delete("/webhooks/of_file", &tag).await,
        api.post("/webhooks/of_file/rotate-secret", &json!({}))
            .await,
    ];
    for answer in answers {
        answer.expect_problem(409, "`webhooks.of_file`");
    }
    let group = api.get("/groups/plant").await;
    assert_eq!(group.expect(200)["webhooks"], json!(["of_file"]));
    let removed = api.delete("/groups/plant", &group.tag()).await;
    removed.expect_problem(409, "`groups.plant`");
    let name =
        json!({"name": "of_file", "definition": {"url": "http://127.0.0.1:1/", "events": []}});
    api.post("/webhooks", &name)
        .await
        .expect_problem(409, "already");
}

#[tokio::test]
async fn secrets_go_in_and_never_come_out() {
    let mut setup = start(FILE).await;
    let api = Asker::local(&setup);
    let made = api.post("/webhooks", &webhook(&setup, "/mine")).await;
    made.expect(201);
    let shown = api.get("/webhooks/mine").await;
    let mut body = json!({"group": "plant", "definition": shown.json()["definition"]});
    assert_eq!(
        body["definition"]["sign"]["secret"],
        json!({"secret": true})
    );
    body["definition"]["pool_size"] = 3.into();
    let kept = api.put("/webhooks/mine", &shown.tag(), &body).await;
    kept.expect(200);
    setup.publish("plant/1", "one").await;
    let requests = wait_for(&setup, "/mine", "one").await;
    let request = requests
        .iter()
        .find(|it| it.target() == "/mine")
        .expect("one");
    assert_eq!(request.header("x-api-key").as_deref(), Some("sesame-1"));
    assert!(request.header("webhook-signature").is_some());

    body["definition"]["url"] = "http://127.0.0.1:1/elsewhere".into();
    let moved = api.put("/webhooks/mine", &kept.tag(), &body).await;
    moved.expect_problem(422, "/definition/headers/x-api-key");

    let tried = api.post("/webhooks/mine/test", &json!({})).await;
    let rotated = api.post("/webhooks/mine/rotate-secret", &json!({})).await;
    let new = rotated.expect(200)["secret"]
        .as_str()
        .expect("it is told once")
        .to_owned();
    let answers = [made, shown, kept, moved, tried, api.get("/webhooks").await];
    restart(&mut setup).await;
    let log = setup.sidecar.log();
    for answer in answers.iter().map(|answer| &answer.text).chain([&log]) {
        for secret in ["sesame", "MDEyMzQ1Njc4", &new] {
            assert!(!answer.contains(secret), "{secret} in {answer}");
        }
    }
}

#[tokio::test]
async fn a_group_is_made_changed_and_taken_away() {
    let setup = start(FILE).await;
    let api = Asker::local(&setup);
    let made = api
        .post(
            "/groups",
            &json!({"name": "office", "topics": ["office/#"]}),
        )
        .await;
    assert_eq!(made.expect(201)["origin"], "api");
    let mut of_it = webhook(&setup, "/mine");
    of_it["group"] = "office".into();
    let webhook = api.post("/webhooks", &of_it).await;
    webhook.expect(201);
    setup.publish("office/1", "one").await;
    wait_for(&setup, "/mine", "one").await;

    let wider = json!({"topics": ["office/#", "attic/#"]});
    let tag = api.get("/groups/office").await.tag();
    assert_eq!(tag, made.tag());
    let changed = api.put("/groups/office", &tag, &wider).await;
    changed.expect(200);
    setup.publish("attic/1", "two").await;
    let requests = wait_for(&setup, "/mine", "two").await;
    assert_eq!(count(&requests, "/mine", "two"), 1);

    let full = api.delete("/groups/office", &changed.tag()).await;
    full.expect_problem(409, "remove them first");
    api.delete("/webhooks/mine", &webhook.tag())
        .await
        .expect(204);
    api.delete("/groups/office", &changed.tag())
        .await
        .expect(204);
    api.get("/groups/office")
        .await
        .expect_problem(404, "no such group");
}

#[tokio::test]
async fn what_is_refused_is_not_kept_either() {
    let mut setup = start(FILE).await;
    let api = Asker::local(&setup);
    let body = json!({
        "name": "mine",
        "definition": {
            "url": format!("{}/mine", setup.receiver.url()),
            "events": [{"event": "on_device_provisioned"}],
        },
    });
    let refused = api.post("/webhooks", &body).await;
    refused.expect_problem(409, "devices.enabled");
    api.get("/webhooks/mine")
        .await
        .expect_problem(404, "no such webhook");
    restart(&mut setup).await;
    let api = Asker::local(&setup);
    api.get("/webhooks/mine")
        .await
        .expect_problem(404, "no such webhook");
    api.post("/webhooks", &webhook(&setup, "/mine"))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_file_that_hides_a_webhook_is_refused_and_says_how_to_mend_it() {
    let mut setup = start(FILE).await;
    let api = Asker::local(&setup);
    let made = api.post("/webhooks", &webhook(&setup, "/mine")).await;
    made.expect(201);
    let file = setup.sidecar.directory().join("mqhook.toml");
    let before = std::fs::read_to_string(&file).expect("the file is there");
    let hiding = format!("{before}\n[webhooks.mine]\nurl = \"http://127.0.0.1:1/\"\nevents = []\n");
    setup.sidecar.write_config(&hiding);
    let reload = api.ask("POST", "/reload", &[], "").await;
    reload.expect_problem(422, "the webhook `mine` is in the configuration file");
    setup
        .sidecar
        .write_config(&before.replace("plant", "office"));
    let reload = api.ask("POST", "/reload", &[], "").await;
    reload.expect_problem(422, "unknown group `plant`");
    setup.publish("plant/1", "still").await;
    wait_for(&setup, "/mine", "still").await;

    // A start leaves it out, and the file's own runs.
    setup.sidecar.write_config(&hiding);
    restart(&mut setup).await;
    let log = setup
        .sidecar
        .wait_for_log("left out until it is mended")
        .await;
    assert!(log.contains("rename the one in the file"), "{log}");
    let api = Asker::local(&setup);
    setup.publish("plant/1", "others").await;
    wait_for(&setup, "/file", "others").await;
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/webhooks/{id}");
    let shown = api.get(&path).await;
    assert_eq!(shown.expect(200)["status"], "disabled");
    let reason = shown.json()["disabled_reason"].to_string();
    assert!(reason.contains("is in the configuration file"), "{reason}");
    api.ask("POST", &format!("{path}/test"), &[], "")
        .await
        .expect_problem(409, "is in the configuration file");
    // What is wrong already keeps nothing else from being changed.
    let other = json!({"name": "other", "definition": {"url": "http://127.0.0.1:1/"}});
    api.post("/webhooks", &other).await.expect(201);
    api.ask("POST", "/reload", &[], "").await.expect(200);
    api.delete(&path, &shown.tag()).await.expect(204);
    let shown = api.get("/webhooks/mine").await.expect(200);
    assert_eq!(shown["origin"], "file");
}

#[tokio::test]
async fn a_group_that_does_not_fit_any_more_is_shown_and_mended() {
    let mut setup = start(FILE).await;
    let api = Asker::local(&setup);
    let office = json!({"name": "office", "topics": ["office/#"]});
    api.post("/groups", &office).await.expect(201);
    let mut body = webhook(&setup, "/mine");
    body["group"] = "office".into();
    api.post("/webhooks", &body).await.expect(201);
    let file = setup.sidecar.directory().join("mqhook.toml");
    let before = std::fs::read_to_string(&file).expect("the file is there");
    let taken = format!("{before}\n[groups.office]\ntopics = [\"#\"]\n");
    setup.sidecar.write_config(&taken);
    restart(&mut setup).await;
    let api = Asker::local(&setup);
    let groups = api.get("/groups").await.expect(200);
    let origins: Vec<&Value> = groups["items"].as_array().expect("a list").iter().collect();
    let office: Vec<_> = origins.iter().filter(|it| it["name"] == "office").collect();
    assert_eq!(office.len(), 2, "{groups}");
    assert_eq!(office[1]["origin"], "api");
    assert!(office[1]["problem"].is_string(), "{groups}");
    // It does not come into another scope by that.
    setup.publish("plant/1", "of all").await;
    let requests = wait_for(&setup, "/file", "of all").await;
    assert_eq!(count(&requests, "/mine", "of all"), 0);
    setup.sidecar.write_config(&before);
    api.ask("POST", "/reload", &[], "").await.expect(200);
    setup.publish("office/1", "again").await;
    wait_for(&setup, "/mine", "again").await;
}

#[tokio::test]
async fn a_reload_of_the_file_keeps_what_the_api_has_made() {
    let setup = start(FILE).await;
    let api = Asker::local(&setup);
    api.post("/webhooks", &webhook(&setup, "/mine"))
        .await
        .expect(201);
    let file = setup.sidecar.directory().join("mqhook.toml");
    let before = std::fs::read_to_string(&file).expect("the file is there");
    let more = format!(
        "{before}\n[webhooks.new]\nurl = \"{}/new\"\ngroup = \"plant\"\nbody.format = \"json\"\n",
        setup.receiver.url()
    );
    setup.sidecar.write_config(&more);
    let reloaded = api.ask("POST", "/reload", &[], "").await.expect(200);
    assert_eq!(reloaded["added"], json!(["new"]), "{reloaded}");
    assert_eq!(reloaded["unchanged"], 2, "{reloaded}");
    setup.publish("plant/1", "one").await;
    wait_for(&setup, "/new", "one").await;
    let requests = wait_for(&setup, "/mine", "one").await;
    assert_eq!(count(&requests, "/mine", "one"), 1);
}
