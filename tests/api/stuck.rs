//! The API answers while something else is stuck.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mqhook::app::App;
use mqhook::config::{self, hocon};

use super::{Client, anonymous, start, text};

/// Another program that has the database for itself.
struct Holder(Child);

impl Holder {
    /// Begins a transaction that writes, and has begun it on return; `None` without Python.
    fn begin(database: &std::path::Path) -> Option<Self> {
        let program = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.readline()\nc.execute('ROLLBACK')";
        let child = Command::new("python3")
            .args(["-c", program])
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take()?)
            .read_line(&mut line)
            .ok()?;
        (line == "held\n").then_some(Self(child))
    }

    fn end(mut self) {
        if let Some(mut input) = self.0.stdin.take() {
            let _ = input.write_all(b"\n");
        }
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn who_holds_the_database_holds_up_changes_and_nothing_else() {
    let setup = start().await;
    let admin = anonymous(&setup);
    admin.get("/status").await;
    let database = setup.sidecar.directory().join("mqhook-spool/spool.db");
    let Some(holder) = Holder::begin(&database) else {
        eprintln!("skipped: there is no python3 with sqlite3");
        return;
    };
    let changing = tokio::spawn({
        let admin = admin.clone();
        async move { admin.call("POST", "/webhooks/a/disable", "", 503).await }
    });
    for _ in 0..10 {
        for path in ["/live", "/status", "/devices", "/dead-letters", "/metrics"] {
            let asked = Instant::now();
            assert_eq!(admin.send("GET", path, &[], "").await.status, 200, "{path}");
            assert!(
                asked.elapsed() < Duration::from_secs(2),
                "{path} took {:?}",
                asked.elapsed()
            );
        }
    }
    let problem = changing.await.expect("no panic");
    assert_eq!(text(&problem, "type"), "/problems/busy");
    holder.end();
    admin.call("POST", "/webhooks/a/disable", "", 200).await;
}

#[tokio::test]
async fn the_data_path_may_be_stuck() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("mqhook.toml");
    let text = "broker.url = \"mqtt://127.0.0.1:1\"\nadmin.listen = \"127.0.0.1:0\"\n[webhooks.a]\nurl = \"http://127.0.0.1:1/\"\nevents = [{ event = \"on_message_publish\", topic = \"#\" }]\n";
    let text = format!(
        "spool.dir = \"{}\"\n{text}",
        dir.path().join("spool").display()
    );
    std::fs::write(&file, text).expect("write it");
    let config = config::load(&file, &hocon::System)
        .config
        .expect("it is right");
    // Nobody runs it: that is as stuck as can be.
    let app = App::new(&config).expect("it can be built");
    let local = Client::new(app.admin_address().expect("it listens").port(), None);
    for path in ["/live", "/status", "/metrics", "/devices"] {
        let asked = Instant::now();
        assert_eq!(local.send("GET", path, &[], "").await.status, 200, "{path}");
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{path} took {:?}",
            asked.elapsed()
        );
    }
    local.call("GET", "/ready", "", 503).await;
    local
        .call("POST", "/tokens", r#"{"name": "x", "role": "admin"}"#, 201)
        .await;
    drop(app);
}

#[tokio::test]
async fn what_the_database_does_not_say_keeps_nothing_else_from_being_told() {
    let setup = start().await;
    let admin = anonymous(&setup);
    let status = admin.get("/status").await;
    assert_eq!(status["spool"]["failure"], serde_json::Value::Null);
    let database = setup.sidecar.directory().join("mqhook-spool/spool.db");
    let program = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute(\"UPDATE webhooks SET status = 'spoilt'\")\nc.commit()";
    let mut spoilt = Command::new("python3");
    spoilt.args(["-c", program]).arg(database);
    if !spoilt.status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no python3 with sqlite3");
        return;
    }
    let status = admin.get("/status").await;
    assert!(status["spool"]["failure"].is_string(), "{status}");
    assert_eq!(status["broker"]["connections"][0]["state"], "subscribed");
}

#[tokio::test]
async fn a_change_is_made_and_told_though_its_client_goes_away() {
    let setup = start().await;
    let database = setup.sidecar.directory().join("mqhook-spool/spool.db");
    let Some(holder) = Holder::begin(&database) else {
        eprintln!("skipped: there is no python3 with sqlite3");
        return;
    };
    let mut client = std::net::TcpStream::connect(("127.0.0.1", setup.admin)).expect("it listens");
    let head = "POST /webhooks/a/disable HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n";
    client.write_all(head.as_bytes()).expect("it reads");
    // Until it waits for the database.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(100)).await;
    holder.end();
    setup
        .sidecar
        .wait_for_log("what=\"disable a webhook\"")
        .await;
}
