//! What those who share an mqhook, a group each, get of one another.

use serde_json::{Value, json};
use support::setup::Setup;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::api::Asker;
use super::{PATIENCE, restart, start, token, wait_for};

const TENANTS: &str = "
    [groups.one]
    topics = [\"one/#\"]
    [groups.two]
    topics = [\"two/#\"]
    [webhooks.loose]
    url = \"{receiver}/loose\"
    group = \"two\"
    durable = false
    body.format = \"json\"
";

fn admin(setup: &Setup, group: &str) -> Asker {
    let text = token(setup, &[group, "--role", "admin", "--group", group]);
    Asker::with(setup, &text)
}

fn webhook(setup: &Setup, name: &str, group: &str) -> Value {
    let url = format!("{}/{name}", setup.receiver.url());
    let definition = json!({"url": url, "body": {"format": "json"}});
    json!({"name": name, "group": group, "definition": definition})
}

#[tokio::test]
async fn nobody_takes_over_the_name_of_another_who_left_it() {
    let mut setup = start(TENANTS).await;
    let root = Asker::with(&setup, &token(&setup, &["root", "--role", "admin"]));
    token(&setup, &["watcher", "--role", "viewer", "--webhook", "new"]);
    let (one, two) = (admin(&setup, "one"), admin(&setup, "two"));
    // Nothing is on disk for one that is not durable.
    let mut mine = webhook(&setup, "mine", "two");
    mine["definition"]["durable"] = false.into();
    let made = two.post("/webhooks", &mine).await;
    made.expect(201);
    two.delete("/webhooks/mine", &made.tag()).await.expect(204);
    let taken = one.post("/webhooks", &webhook(&setup, "mine", "one")).await;
    taken.expect_problem(409, "left events behind");

    setup.publish("two/1", "x").await;
    wait_for(&setup, "/loose", "x").await;
    let file = setup.sidecar.directory().join("mqhook.toml");
    let text = std::fs::read_to_string(&file).expect("the file is there");
    let without = text.replace("[webhooks.loose]", "[webhooks.renamed]");
    setup.sidecar.write_config(&without);
    root.ask("POST", "/reload", &[], "").await.expect(200);
    let taken = one
        .post("/webhooks", &webhook(&setup, "loose", "one"))
        .await;
    taken.expect_problem(409, "left events behind");

    let taken = one.post("/webhooks", &webhook(&setup, "new", "one")).await;
    taken.expect_problem(409, "a token is limited to it");

    two.post("/webhooks", &mine)
        .await
        .expect_problem(409, "left events behind");
    mine["name"] = "gone".into();
    two.post("/webhooks", &mine).await.expect(201);
    setup.sidecar.terminate();
    assert_eq!(setup.sidecar.wait().await.code(), Some(0));
    let delete = ["webhooks", "delete", "gone", "--dir", "mqhook-spool"];
    let deleted = setup.sidecar.command(&delete);
    assert!(deleted.status.success(), "{deleted:?}");
    setup.sidecar.start_again();
    setup.wait_ready().await;
    let taken = one.post("/webhooks", &webhook(&setup, "gone", "one")).await;
    taken.expect_problem(409, "left events behind");
}

#[tokio::test]
async fn one_that_the_file_hides_stays_its_groups() {
    let mut setup = start(TENANTS).await;
    let (one, two) = (admin(&setup, "one"), admin(&setup, "two"));
    let made = one.post("/webhooks", &webhook(&setup, "both", "one")).await;
    let id = made.expect(201)["id"].as_str().expect("an id").to_owned();
    let path = format!("/webhooks/{id}");
    let file = setup.sidecar.directory().join("mqhook.toml");
    let before = std::fs::read_to_string(&file).expect("the file is there");
    let url = format!("{}/file", setup.receiver.url());
    let hiding = format!(
        "{before}\n[webhooks.both]\nurl = \"{url}\"\ngroup = \"two\"\nbody.format = \"json\"\n"
    );
    setup.sidecar.write_config(&hiding);
    restart(&mut setup).await;

    setup.publish("two/1", "x").await;
    wait_for(&setup, "/file", "x").await;
    assert_eq!(two.get(&path).await.status, 404);
    assert_eq!(two.delete(&path, &made.tag()).await.status, 404);
    let shown = two.get("/webhooks/both").await.expect(200);
    assert_eq!(shown["origin"], "file");

    let own = one.get("/webhooks/both").await;
    assert_eq!(own.expect(200)["id"], id.as_str());
    let changed = webhook(&setup, "both", "one");
    let changed = one.put("/webhooks/both", &own.tag(), &changed).await;
    assert_eq!(changed.expect(200)["id"], id.as_str());
    for act in ["disable", "enable"] {
        let switched = one.ask("POST", &format!("{path}/{act}"), &[], "").await;
        switched.expect_problem(409, "is in the configuration file");
    }
    assert_eq!(one.get("/deliveries").await.expect(200)["items"], json!([]));
    let switched = two.ask("POST", "/webhooks/both/disable", &[], "").await;
    assert_eq!(switched.expect(200)["status"], "disabled");
    one.delete(&path, &changed.tag()).await.expect(204);
    assert_eq!(one.get("/webhooks/both").await.status, 404);
}

/// Opens a stream; it has begun when this returns.
async fn listen(setup: &Setup, path: &str, token: &str) -> Lines<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", setup.admin)).await;
    let mut stream = stream.expect("it listens");
    let request = [
        "GET ",
        path,
        " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ",
        token,
        "\r\n\r\n",
    ];
    let written = stream.write_all(request.concat().as_bytes()).await;
    written.expect("it reads");
    let mut lines = BufReader::new(stream).lines();
    until(&mut lines, ": listening").await;
    lines
}

/// Returns the lines up to one that begins like this.
async fn until(lines: &mut Lines<BufReader<TcpStream>>, beginning: &str) -> Vec<String> {
    let mut before = Vec::new();
    let reading = async {
        loop {
            let line = lines.next_line().await.expect("it is UTF-8");
            let line = line.expect("expected the stream to go on");
            if line.starts_with(beginning) {
                return;
            }
            before.push(line);
        }
    };
    timeout(PATIENCE, reading).await.expect("a line in time");
    before
}

#[tokio::test]
async fn a_stream_tells_nothing_of_a_webhook_that_has_left_the_group() {
    let setup = start(TENANTS).await;
    let of_one = token(&setup, &["one", "--role", "operator", "--group", "one"]);
    let root = Asker::with(&setup, &token(&setup, &["root", "--role", "admin"]));
    let made = root
        .post("/webhooks", &webhook(&setup, "mine", "one"))
        .await;
    made.expect(201);
    let mut events = listen(&setup, "/events/stream?payload=true", &of_one).await;
    let mut attempts = listen(&setup, "/deliveries/stream", &of_one).await;
    setup.publish("one/1", "before").await;
    until(&mut events, "event: event").await;
    until(&mut attempts, "event: attempt").await;

    let moved = webhook(&setup, "mine", "two");
    let moved = root.put("/webhooks/mine", &made.tag(), &moved).await;
    let moved = moved.expect(200);
    setup.publish("two/1", "secret").await;
    wait_for(&setup, "/mine", "secret").await;
    for stream in [&mut events, &mut attempts] {
        // A chunk of no bytes is the end.
        let lines = until(stream, "0").await;
        let is_told = |line: &String| line.contains("two/1");
        assert!(!lines.iter().any(is_told), "{lines:?}");
    }
    let warning = &moved["warnings"][0];
    assert_eq!(warning["pointer"], "/group", "{moved}");
    assert_eq!(moved["warnings"].as_array().map(Vec::len), Some(1));
}
