//! What was given up is listed, shown, replayed and dropped.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::client::Publish;
use support::publisher::{Plan, Publisher};
use support::receiver::{Behaviour, Gate, Request};
use support::setup::Setup;

use super::{MQHOOK, done, fails, letters, number, objects, start_rejecting, stop, text};

const LIST: [&str; 2] = ["dead-letters", "list"];
const REPLAY: [&str; 2] = ["dead-letters", "replay"];
const DROP: [&str; 2] = ["dead-letters", "drop"];
const WAITING: &str = "mqhook_waiting_deliveries{webhook=\"a\"}";

fn ids(letters: &[Value]) -> Vec<String> {
    let ids = letters
        .iter()
        .map(|letter| number(letter, "id").to_string());
    ids.collect()
}

/// Returns the ids of those that a filter leaves.
fn listed(setup: &Setup, filter: &[&str]) -> Vec<String> {
    ids(&objects(&setup.sidecar, &[&LIST, filter].concat()))
}

fn webhook_id(request: &Request) -> String {
    request.header("webhook-id").expect("every request has one")
}

#[tokio::test]
async fn what_was_given_up_is_listed_with_its_last_outcome() {
    let setup = start_rejecting(&["one", "two"]).await;
    let requests = setup.receiver.wait_for(2).await;
    let list = letters(&setup, 2).await;
    for (letter, request) in list.iter().zip(&requests) {
        assert_eq!(text(letter, "event_id"), webhook_id(request));
        assert_eq!(text(letter, "webhook"), "a");
        assert_eq!(text(letter, "kind"), "on_message_publish");
        assert_eq!(text(letter, "why"), "rejected");
        assert_eq!(text(letter, "outcome"), "answered 400");
        assert_eq!(number(letter, "attempts"), 1);
        assert_eq!(number(letter, "payload_bytes"), 3);
    }
    assert_eq!(text(&list[0], "topic"), "t/one");
    let out = done(&setup.sidecar, &LIST);
    let lines: Vec<&str> = out.lines().collect();
    let [head, one, two] = lines[..] else {
        panic!("expected three lines, got\n{out}")
    };
    let event = head.find("EVENT").expect("a column for the event");
    for (line, letter) in [(one, &list[0]), (two, &list[1])] {
        assert!(line[event..].starts_with(text(letter, "event_id")), "{out}");
        assert!(line.contains(text(letter, "time")), "{out}");
        assert!(line.ends_with("1         rejected  answered 400"), "{out}");
    }
}

#[tokio::test]
async fn filters_leave_what_meets_all_of_them() {
    let setup = start_rejecting(&["one", "two", "three"]).await;
    let list = letters(&setup, 3).await;
    let all = ids(&list);
    let (event, time) = (text(&list[1], "event_id"), text(&list[1], "time"));
    let check = |filter: &[&str], expected: &[String]| {
        assert_eq!(listed(&setup, filter), expected, "{filter:?}");
    };
    check(&["--webhook", "a"], &all);
    check(&["--event", event], &all[1..2]);
    check(&["--since", time], &all[1..]);
    check(&["--until", time], &all[..1]);
    check(
        &["--since", time, "--event", text(&list[0], "event_id")],
        &[],
    );
    check(&["--since", "1h"], &all);
    check(&["--until", "1h"], &[]);
    check(&["--limit", "2"], &all[1..]);
    check(&["--limit", "0"], &[]);
    assert_eq!(
        done(&setup.sidecar, &[&LIST[..], &["--until", "1h"]].concat()),
        "no dead letters\n"
    );
}

#[tokio::test]
async fn one_is_shown_with_its_payload() {
    let setup = start_rejecting(&["one"]).await;
    setup
        .publish("t/\u{e9}t\u{e9}", "\u{e9}t\u{e9}\n21.5")
        .await;
    letters(&setup, 2).await;
    let binary = Publish::new("binary", &b"\xff\x00"[..]).qos(1);
    setup.client("device").await.publish(&binary).await;
    let ids = ids(&letters(&setup, 3).await);
    let show = |id: &str| done(&setup.sidecar, &["dead-letters", "show", id]);
    let json = |id: &str| objects(&setup.sidecar, &["dead-letters", "show", id]).remove(0);
    let shown = show(&ids[1]);
    for part in [
        "\nwebhook        a\n",
        "\ntopic          t/\u{e9}t\u{e9}\n",
        "\noutcome        answered 400\n",
        "\nqos            1\n",
        "\n\npayload (10 bytes, text):\n\u{e9}t\u{e9}\n21.5\n",
    ] {
        assert!(shown.contains(part), "expected {part:?} in\n{shown}");
    }
    assert_eq!(text(&json(&ids[1]), "payload"), "\u{e9}t\u{e9}\n21.5");
    assert_eq!(text(&json(&ids[1]), "payload_encoding"), "text");
    let end = "\n\npayload (2 bytes, base64, as it is not UTF-8):\n/wA=\n";
    assert!(show(&ids[2]).ends_with(end), "{}", show(&ids[2]));
    assert_eq!(text(&json(&ids[2]), "payload"), "/wA=");
    assert_eq!(text(&json(&ids[2]), "payload_encoding"), "base64");
    assert_eq!(number(&json(&ids[2]), "qos"), 1);
    let missing = ["dead-letters", "show", "999"];
    fails(
        &setup.sidecar,
        &missing,
        1,
        &["cannot find dead letter 999"],
    );
}

#[tokio::test]
async fn a_running_mqhook_delivers_what_is_replayed_under_the_same_id() {
    let setup = start_rejecting(&["one", "two", "three"]).await;
    let ids = ids(&letters(&setup, 3).await);
    setup.receiver.set(Behaviour::Status(200));
    let out = done(&setup.sidecar, &[&REPLAY[..], &[&ids[1]]].concat());
    assert!(
        out.starts_with("replayed 1 dead letter; the running mqhook"),
        "{out}"
    );
    let requests = setup.receiver.wait_for(4).await;
    assert_eq!(webhook_id(&requests[3]), webhook_id(&requests[1]));
    assert_eq!(requests[3].text(), requests[1].text());
    let out = done(&setup.sidecar, &[&REPLAY[..], &["--all"]].concat());
    assert!(out.starts_with("replayed 2 dead letters;"), "{out}");
    let requests = setup.receiver.wait_for(6).await;
    let mut again = [&requests[4], &requests[5]].map(webhook_id);
    again.sort_unstable();
    assert_eq!(again, [&requests[0], &requests[2]].map(webhook_id));
    letters(&setup, 0).await;
}

#[tokio::test]
async fn what_is_replayed_counts_as_waiting_until_it_is_delivered() {
    let setup = start_rejecting(&["one"]).await;
    let gate = Gate::shut();
    setup.receiver.set(Behaviour::Status(200).behind(&gate));
    done(&setup.sidecar, &[&REPLAY[..], &["--all"]].concat());
    setup.receiver.wait_for(2).await;
    let waiting = async |count: f64| {
        let is_it = |value: f64| (value - count).abs() < 0.5;
        let waiting = setup.sidecar.wait_for_metric(setup.admin, WAITING, is_it);
        waiting.await
    };
    waiting(1.0).await;
    gate.open();
    waiting(0.0).await;
}

#[tokio::test]
async fn what_is_rejected_again_is_a_dead_letter_again() {
    let setup = start_rejecting(&["one", "two"]).await;
    let before = letters(&setup, 2).await;
    done(&setup.sidecar, &[&REPLAY[..], &["--webhook", "a"]].concat());
    setup.receiver.wait_for(4).await;
    let after = letters(&setup, 2).await;
    let events = |letters: &[Value]| {
        let mut events: Vec<_> = letters
            .iter()
            .map(|letter| text(letter, "event_id").to_owned())
            .collect();
        events.sort_unstable();
        events
    };
    assert_eq!(events(&after), events(&before));
    assert!(
        number(&after[0], "id") > number(&before[1], "id"),
        "no number is used twice"
    );
}

#[tokio::test]
async fn what_is_replayed_while_nothing_runs_is_delivered_after_the_start() {
    let mut setup = start_rejecting(&["one", "two"]).await;
    stop(&mut setup).await;
    let event = text(&letters(&setup, 2).await[0], "event_id").to_owned();
    let out = done(
        &setup.sidecar,
        &[&REPLAY[..], &["--event", &event]].concat(),
    );
    assert_eq!(
        out,
        "replayed 1 dead letter; mqhook takes up what is replayed at its next start\n"
    );
    setup.receiver.set(Behaviour::Status(200));
    setup.sidecar.start_again();
    let requests = setup.receiver.wait_for(3).await;
    assert_eq!(webhook_id(&requests[2]), event);
    letters(&setup, 1).await;
}

#[tokio::test]
async fn what_is_dropped_is_gone() {
    let mut setup = start_rejecting(&["one", "two", "three", "four"]).await;
    let ids = ids(&letters(&setup, 4).await);
    let out = done(&setup.sidecar, &[&DROP[..], &[&ids[0], &ids[2]]].concat());
    assert_eq!(out, "dropped 2 dead letters\n");
    assert_eq!(listed(&setup, &[]), [&*ids[1], &*ids[3]]);
    stop(&mut setup).await;
    let out = done(&setup.sidecar, &[&DROP[..], &["--since", "1h"]].concat());
    assert_eq!(out, "dropped 2 dead letters\n");
    assert_eq!(
        done(&setup.sidecar, &[&DROP[..], &["--all"]].concat()),
        "dropped 0 dead letters\n"
    );
    assert_eq!(
        done(&setup.sidecar, &[&REPLAY[..], &["--all"]].concat()),
        "replayed 0 dead letters\n"
    );
}

#[tokio::test]
async fn what_is_named_and_not_there_is_status_1_and_the_rest_is_done() {
    let mut setup = start_rejecting(&["one"]).await;
    stop(&mut setup).await;
    let ids = ids(&letters(&setup, 1).await);
    let drop = [&DROP[..], &["998", &ids[0], "999"]].concat();
    fails(&setup.sidecar, &drop, 1, &["cannot find 998, 999"]);
    letters(&setup, 0).await;
    let strange = [&LIST[..], &["--webhook", "b"]].concat();
    fails(
        &setup.sidecar,
        &strange,
        1,
        &["cannot find the webhook `b`", "there is a"],
    );
}

/// Thousands, so that more than one page is read and more than one transaction written.
#[tokio::test]
async fn pages_are_put_together() {
    const COUNT: usize = 1_200;
    let mut setup = start_rejecting(&[]).await;
    let plan = Plan::burst(COUNT as u64, 100);
    let publisher = Publisher::start(setup.broker.port(), plan);
    publisher.wait_for(COUNT as u64, super::PATIENCE).await;
    publisher.stop().await;
    let all = letters(&setup, COUNT).await;
    let newest = listed(&setup, &["--limit", "700"]);
    assert_eq!(newest, ids(&all)[500..]);
    stop(&mut setup).await;
    let out = done(&setup.sidecar, &[&REPLAY[..], &["--all"]].concat());
    assert!(out.starts_with("replayed 1200 dead letters;"), "{out}");
    setup.receiver.set(Behaviour::Status(200));
    setup.sidecar.start_again();
    setup.receiver.wait_for(2 * COUNT).await;
    letters(&setup, 0).await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_ends_it_quietly() {
    let payload = "x".repeat(1_000_000);
    let setup = start_rejecting(&[]).await;
    setup.publish("large", &payload).await;
    let ids = ids(&letters(&setup, 1).await);
    // More than a pipe holds, so that it is still writing when its reader goes.
    let mut child = Command::new(MQHOOK)
        .args(["dead-letters", "show", &ids[0]])
        .current_dir(setup.sidecar.directory())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    out.read_line(&mut line).expect("a line");
    assert!(line.starts_with("id "), "got {line}");
    drop(out);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
