//! Several events in one request.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::client::Publish;
use support::receiver::{Behaviour, Gate, Request};

use super::{WAITING, by_topic, first_times, publish, start, told};

const DELIVERED: &str = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";

const REJECTED: &str = "mqhook_deliveries_total{webhook=\"a\",outcome=\"rejected\"}";

#[tokio::test]
async fn events_that_come_together_go_together() {
    let setup = start(
        "",
        "pool_size = 1\nbatch = { max_events = 10, max_wait = \"300ms\" }\n",
    )
    .await;
    let mut client = setup.client("publisher").await;
    for number in 0..25 {
        publish(&mut client, "t", number).await;
    }
    let has_all = |requests: &[Request]| by_topic(requests).values().flatten().count() == 25;
    let requests = setup.receiver.wait_until(has_all).await;
    let sizes: Vec<usize> = requests
        .iter()
        .map(|request| told(&request.body).len())
        .collect();
    assert!(
        sizes.iter().all(|size| *size <= 10) && sizes.len() <= 6,
        "{sizes:?}"
    );
    assert!(by_topic(&requests)["t"].iter().copied().eq(0..25));
    for request in &requests {
        assert_eq!(
            request.header("content-type").as_deref(),
            Some("application/json")
        );
    }
    let ids: BTreeSet<_> = requests
        .iter()
        .map(|request| request.header("webhook-id"))
        .collect();
    assert_eq!(ids.len(), requests.len());
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
}

#[tokio::test]
async fn one_event_does_not_wait_for_longer_than_it_may() {
    let setup = start(
        "",
        "batch = { max_wait = \"200ms\", format = \"ndjson\" }\n",
    )
    .await;
    let mut client = setup.client("publisher").await;
    let began = Instant::now();
    publish(&mut client, "t", 7).await;
    let requests = setup.receiver.wait_for(1).await;
    assert!(
        began.elapsed() >= Duration::from_millis(200),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        requests[0].header("content-type").as_deref(),
        Some("application/x-ndjson")
    );
    assert!(
        requests[0].text().ends_with("}\n"),
        "{}",
        requests[0].text()
    );
    assert_eq!(told(&requests[0].body), [("t".to_owned(), 7)]);
}

#[tokio::test]
async fn a_batch_that_fails_comes_again_as_it_was() {
    let setup = start("", "batch = { max_events = 5, max_wait = \"1s\" }\n").await;
    let tries = AtomicUsize::new(0);
    setup.receiver.set_script(move |_| {
        let is_early = tries.fetch_add(1, Ordering::SeqCst) < 2;
        Behaviour::Status(if is_early { 503 } else { 200 })
    });
    let mut client = setup.client("publisher").await;
    for number in 0..5 {
        publish(&mut client, "t", number).await;
    }
    let requests = setup.receiver.wait_for(3).await;
    assert_eq!(requests[0].body, requests[2].body);
    assert_eq!(
        requests[0].header("webhook-id"),
        requests[2].header("webhook-id")
    );
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
}

#[tokio::test]
async fn what_is_too_large_is_halved_until_it_fits() {
    for order in ["none", "topic"] {
        let keys = format!(
            "order_by = \"{order}\"\npool_size = 1\nbatch = {{ max_events = 16, max_wait = \"300ms\" }}\n"
        );
        let setup = start("", &keys).await;
        setup.receiver.set_script(|request| {
            let told = told(&request.body);
            let is_too_large = told.len() > 3 || told.iter().any(|(_, number)| *number == 9);
            Behaviour::Status(if is_too_large { 413 } else { 200 })
        });
        let mut client = setup.client("publisher").await;
        for number in 0..16 {
            publish(&mut client, "t", number).await;
        }
        setup.wait_for_metric(REJECTED, |count| count == 1).await;
        setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
        let taken = |request: &Request| told(&request.body).len() <= 3;
        let requests: Vec<_> = setup
            .receiver
            .requests()
            .into_iter()
            .filter(taken)
            .collect();
        let numbers = first_times(&by_topic(&requests)["t"]);
        assert!(numbers.iter().copied().eq(0..16), "{order}: {numbers:?}");
    }
}

#[tokio::test]
async fn a_topic_in_order_comes_in_order_in_batches() {
    let setup = start(
        "",
        "order_by = \"topic\"\nbatch = { max_events = 10, max_wait = \"20ms\" }\n",
    )
    .await;
    let tries = AtomicUsize::new(0);
    setup.receiver.set_script(move |_| {
        let is_bad = tries.fetch_add(1, Ordering::SeqCst) % 3 == 1;
        Behaviour::Status(if is_bad { 503 } else { 200 })
    });
    let mut client = setup.client("publisher").await;
    for number in 0..60 {
        for topic in ["a", "b", "c"] {
            publish(&mut client, topic, number).await;
        }
    }
    setup
        .wait_for_metric(
            "mqhook_events_total{kind=\"on_message_publish\"}",
            |events| events == 180,
        )
        .await;
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
    let by_topic = by_topic(&setup.receiver.requests());
    for topic in ["a", "b", "c"] {
        assert!(
            first_times(&by_topic[topic]).iter().copied().eq(0..60),
            "{:?}",
            by_topic[topic]
        );
    }
}

#[tokio::test]
async fn bodies_are_compressed_as_they_say() {
    for encoding in ["gzip", "zstd"] {
        let keys = format!(
            "compression = \"{encoding}\"\nbatch = {{ max_events = 20, max_wait = \"1s\" }}\n"
        );
        let setup = start("", &keys).await;
        let mut client = setup.client("publisher").await;
        // The receiver's log shows bodies as text, so that the script must not look into them.
        for number in 0..20 {
            publish(&mut client, "t", number).await;
        }
        let request = setup.receiver.next().await;
        assert_eq!(
            request.header("content-encoding").as_deref(),
            Some(encoding)
        );
        let mut plain = Vec::new();
        match encoding {
            "gzip" => {
                let mut decoder = flate2::read::GzDecoder::new(&*request.body);
                decoder.read_to_end(&mut plain).expect("expected gzip");
            }
            _ => plain = zstd::decode_all(&*request.body).expect("expected zstd"),
        }
        assert!(request.body.len() < plain.len() / 2);
        assert_eq!(told(&plain).len(), 20);
    }
}

#[tokio::test]
async fn a_batch_that_is_full_goes_before_the_rest_of_its_topic() {
    let keys = "batch = { max_events = 100, max_bytes = \"2KiB\", max_wait = \"20ms\" }\n";
    let setup = start("", &format!("order_by = \"topic\"\n{keys}")).await;
    setup
        .receiver
        .set(Behaviour::Status(200).after(Duration::from_millis(20)));
    let mut client = setup.client("publisher").await;
    for number in 0..100 {
        publish(&mut client, "t", number).await;
    }
    setup
        .receiver
        .wait_until(|requests| by_topic(requests).values().flatten().count() == 100)
        .await;
    assert_eq!(setup.receiver.counts().peak_in_flight, 1);
    let requests = setup.receiver.requests();
    assert!(by_topic(&requests)["t"].iter().copied().eq(0..100));
    assert!(requests.len() < 60, "{}", requests.len());
}

#[tokio::test]
async fn one_bad_event_is_rejected_without_the_others() {
    for status in [400, 422] {
        let keys =
            "failure_limit.deliveries = 2\nbatch = { max_events = 16, max_wait = \"300ms\" }\n";
        let setup = start("", keys).await;
        setup.receiver.set_script(move |request| {
            let is_bad = told(&request.body).iter().any(|(_, number)| *number == 9);
            Behaviour::Status(if is_bad { status } else { 200 })
        });
        let mut client = setup.client("publisher").await;
        for number in 0..16 {
            publish(&mut client, "t", number).await;
        }
        setup.wait_for_metric(REJECTED, |count| count == 1).await;
        setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
        assert_eq!(setup.metric(DELIVERED).await, 15, "{status}");
        let enabled = "mqhook_webhook_enabled{webhook=\"a\"}";
        assert_eq!(setup.metric(enabled).await, 1, "{status}");
    }
}

#[tokio::test]
async fn what_no_request_can_be_made_of_costs_none() {
    let keys = "rate_limit = \"1/s\"\nbatch = { max_events = 16, max_wait = \"300ms\" }
body = { format = \"template\", template = '{\"payload\": \"{{ payload_json.n }}\", \"topic\": \"{{ topic }}\"}' }\n";
    let setup = start("", keys).await;
    let mut client = setup.client("publisher").await;
    for number in 0..16 {
        let payload = match number {
            0 => "{}".to_owned(),
            number => format!("{{\"n\": {number}}}"),
        };
        let message = Publish::new("t", payload).qos(1);
        assert!(client.publish(&message).await < 0x80);
    }
    let began = Instant::now();
    setup.wait_for_metric(DELIVERED, |count| count == 15).await;
    // Requests of 8, 4, 2 and 1 have been made, and of 16, 8, 4, 2 and 1 could not be.
    let requests = setup.receiver.requests();
    assert!(by_topic(&requests)["t"].len() == 15 && requests.len() < 6);
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
    setup.wait_for_metric(REJECTED, |count| count == 1).await;
    let metrics = setup.sidecar.metrics(setup.admin).await;
    assert!(!metrics.contains("outcome=\"request\""), "{metrics}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_limit() {
    let keys = "rate_limit = \"1/m\"\nbatch = { max_events = 4, max_wait = \"1s\" }\n";
    let mut setup = start("", keys).await;
    setup.receiver.set(Behaviour::Status(413));
    let mut client = setup.client("publisher").await;
    for number in 0..4 {
        publish(&mut client, "t", number).await;
    }
    setup.receiver.wait_for(1).await;
    let in_flight = "mqhook_attempts_in_flight{webhook=\"a\"}";
    setup.wait_for_metric(in_flight, |count| count == 0).await;
    let began = Instant::now();
    setup.sidecar.terminate();
    setup.sidecar.wait().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn without_a_wait_what_is_there_goes_together() {
    let setup = start("", "pool_size = 1\nbatch.max_wait = \"0s\"\n").await;
    let gate = Gate::shut();
    setup.receiver.set(Behaviour::Status(200).behind(&gate));
    let mut client = setup.client("publisher").await;
    for number in 0..20 {
        publish(&mut client, "t", number).await;
    }
    let all_came = |events| events == 20;
    setup
        .wait_for_metric("mqhook_events_total{kind=\"on_message_publish\"}", all_came)
        .await;
    gate.open();
    let has_all = |requests: &[Request]| by_topic(requests).values().flatten().count() == 20;
    let requests = setup.receiver.wait_until(has_all).await;
    assert!(requests.len() <= 3, "{}", requests.len());
}

#[tokio::test]
async fn a_batch_goes_when_memory_has_no_more_for_it() {
    let keys = "batch = { max_events = 1024, max_bytes = \"64MiB\", max_wait = \"1h\" }\n";
    let setup = start("spool.max_memory = \"1MiB\"", keys).await;
    let mut client = setup.client("publisher").await;
    for _ in 0..400 {
        let message = Publish::new("t", "x".repeat(4_096)).qos(1);
        assert!(client.publish(&message).await < 0x80);
    }
    setup.receiver.wait_for(2).await;
}
