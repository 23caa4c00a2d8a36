//! Who leaves and is soon back makes no event; who stays away makes one, with its own time.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use support::receiver::Request;
use support::setup::Setup;

use super::{MQHOOK, broker, connect};

/// A webhook with these rules, one request after the other.
fn webhook(events: &str) -> String {
    format!(
        "[webhooks.all]\nurl = \"{{receiver}}/hook\"\npool_size = 1\nbody.format = \"json\"\nevents = [{events}]\n"
    )
}

fn clients(debounce: &str) -> String {
    webhook(&format!(
        "{{ event = \"on_client_connected\", debounce = \"{debounce}\" }}, {{ event = \"on_client_disconnected\", debounce = \"{debounce}\" }}"
    ))
}

async fn start(config: &str) -> Setup {
    Setup::start(MQHOOK, broker(), config).await
}

fn body(request: &Request) -> Value {
    serde_json::from_str(request.text()).expect("it is JSON")
}

/// Returns what was told, in short: `dev connected`.
fn told(requests: &[Request]) -> Vec<String> {
    let short = |request: &Request| {
        let body = body(request);
        let text = |key: &str| body[key].as_str().unwrap_or("none").to_owned();
        let what = match text("kind").as_str() {
            "on_device_status_changed" => text("status"),
            kind => kind.replace("on_client_", ""),
        };
        format!("{} {what}", text("client_id"))
    };
    requests.iter().map(short).collect()
}

async fn leave_and_return(setup: &Setup, id: &str) {
    for _ in 0..3 {
        connect(setup, id).await.disconnect().await;
    }
}

#[tokio::test]
async fn who_is_soon_back_makes_no_event_and_who_stays_away_makes_one() {
    let setup = start(&clients("2s")).await;
    leave_and_return(&setup, "dev").await;
    let left = SystemTime::now();
    let requests = setup.receiver.wait_for(2).await;
    assert_eq!(told(&requests), ["dev connected", "dev disconnected"]);
    let waited = left.elapsed().expect("time goes on");
    assert!(waited > Duration::from_millis(1_500), "{waited:?}");
    let time = body(&requests[1])["time"].as_str().map(str::to_owned);
    let sent = body(&requests[0])["time"].as_str().map(str::to_owned);
    // Mosquitto tells seconds: all of it happened in one or two of them.
    let second = |time: &Option<String>| {
        let time = time.as_deref().expect("a time");
        time[17..19].parse::<u32>().expect("seconds")
    };
    assert!(
        (second(&time) + 60 - second(&sent)) % 60 <= 1,
        "{sent:?} {time:?}"
    );
    // What is over is over: the next return is told.
    let dev = connect(&setup, "dev").await;
    let requests = setup.receiver.wait_for(3).await;
    assert_eq!(told(&requests)[2], "dev connected");
    dev.disconnect().await;
    setup.receiver.wait_for(4).await;
}

#[tokio::test]
async fn what_is_held_back_survives_a_crash_and_so_does_the_return() {
    let broker = broker().line("log_type debug");
    let mut setup = Setup::start(MQHOOK, broker, &clients("5s")).await;
    let back = connect(&setup, "back").await;
    let away = connect(&setup, "away").await;
    setup.receiver.wait_for(2).await;
    back.disconnect().await;
    away.disconnect().await;
    let waiting = "mqhook_waiting_deliveries{webhook=\"all\"}";
    setup.wait_for_metric(waiting, |count| count == 2).await;
    // Otherwise it comes again, under another id.
    setup.broker.wait_acknowledged("mqhook-lifecycle").await;
    setup.sidecar.kill();
    setup.sidecar.start_again();
    setup.wait_ready().await;
    let back = connect(&setup, "back").await;
    setup.wait_for_metric(waiting, |count| count == 1).await;
    setup.broker.wait_acknowledged("mqhook-lifecycle").await;
    setup.sidecar.kill();
    setup.sidecar.start_again();
    setup.wait_ready().await;
    let requests = setup.receiver.wait_for(3).await;
    assert_eq!(told(&requests)[2..], ["away disconnected"]);
    back.disconnect().await;
    let requests = setup.receiver.wait_for(4).await;
    assert_eq!(
        told(&requests)[2..],
        ["away disconnected", "back disconnected"]
    );
}

#[tokio::test]
async fn another_connection_of_the_client_is_no_event() {
    let setup = start(&clients("1s")).await;
    let mut old = connect(&setup, "dev").await;
    let new = connect(&setup, "dev").await;
    old.wait_closed().await;
    new.disconnect().await;
    let requests = setup.receiver.wait_for(2).await;
    assert_eq!(told(&requests), ["dev connected", "dev disconnected"]);
}

#[tokio::test]
async fn devices_that_flap_do_not_change() {
    let events = "{ event = \"on_device_status_changed\", debounce = \"1s\" }";
    let setup = start(&webhook(events)).await;
    leave_and_return(&setup, "dev").await;
    let requests = setup.receiver.wait_for(2).await;
    assert_eq!(told(&requests), ["dev connected", "dev disconnected"]);
}

#[tokio::test]
async fn who_does_not_debounce_is_told_at_once() {
    let config = clients("1s")
        + "[webhooks.other]\nurl = \"{receiver}/other\"\npool_size = 1\nbody.format = \"json\"\nevents = [{ event = \"on_client_disconnected\" }]\n";
    let setup = start(&config).await;
    leave_and_return(&setup, "dev").await;
    let requests = setup.receiver.wait_for(5).await;
    let of = |target: &str| {
        let mine = requests.iter().filter(|request| request.target() == target);
        told(&mine.cloned().collect::<Vec<_>>())
    };
    assert_eq!(of("/other"), ["dev disconnected"; 3]);
    assert_eq!(of("/hook"), ["dev connected", "dev disconnected"]);
}
