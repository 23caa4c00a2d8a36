//! Whatever a request carries, and over whatever it goes: its bytes as they are sent are what is signed.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use standardwebhooks::Webhook;
use support::client::Publish;
use support::http2::{Http2, Reply};
use support::receiver::Request;

use super::standard::is_believed;
use super::{OLD, PAYLOADS, header, start_with};

/// Bodies of a size that is compressed.
const TEMPLATE: &str =
    r#"body.template = '{"p": {{ payload | tojson }}, "fill": "{{ topic * 600 }}"}'"#;

const BATCH: &str = "batch = { max_events = 5, max_wait = \"10s\" }";

/// Publishes every payload and returns the requests, of which there are so many.
async fn capture(keys: &str, count: usize) -> Vec<Request> {
    let setup = start_with(keys, &format!("secret = \"{OLD}\"")).await;
    for payload in PAYLOADS {
        setup.publish("t", payload).await;
    }
    setup.receiver.wait_for(count).await
}

/// Returns whether these bytes are what was signed. The reference library takes texts only.
fn is_signed(request: &Request, body: &[u8]) -> bool {
    let secret = OLD.strip_prefix("whsec_").expect("its prefix");
    let secret = STANDARD.decode(secret).expect("base64");
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &secret));
    for name in ["webhook-id", "webhook-timestamp"] {
        context.update(header(request, name).as_bytes());
        context.update(b".");
    }
    context.update(body);
    let expected = format!("v1,{}", STANDARD.encode(context.sign()));
    header(request, "webhook-signature") == expected
}

/// Why `mqhook check` warns of it.
#[tokio::test]
async fn the_reference_library_cannot_verify_what_is_no_text() {
    let setup = start_with("body.format = \"raw\"", &format!("secret = \"{OLD}\"")).await;
    let mut client = setup.client("dev").await;
    let message = Publish::new("t", b"\xff\xfe".to_vec()).qos(1);
    client.publish(&message).await;
    let request = setup.receiver.next().await;
    assert!(is_signed(&request, b"\xff\xfe"));
    assert!(!is_believed(&request, OLD, &request.body));
}

#[tokio::test]
async fn bodies_of_templates_and_batches_are_believed() {
    for (keys, count) in [
        (TEMPLATE.to_owned(), 5),
        (BATCH.to_owned(), 1),
        (format!("{TEMPLATE}\n{BATCH}"), 1),
        ("body.format = \"raw\"".to_owned(), 5),
        ("body.format = \"cloudevents\"".to_owned(), 5),
    ] {
        for request in capture(&keys, count).await {
            assert!(is_believed(&request, OLD, &request.body), "{keys}");
        }
    }
}

#[tokio::test]
async fn what_is_compressed_is_believed_as_it_was_sent() {
    for keys in [
        format!("{TEMPLATE}\ncompression = \"gzip\""),
        format!("{TEMPLATE}\n{BATCH}\ncompression = \"gzip\""),
    ] {
        for request in capture(&keys, 1).await {
            assert_eq!(request.header("content-encoding").as_deref(), Some("gzip"));
            assert!(is_signed(&request, &request.body), "{keys}");
            let mut plain = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(&*request.body);
            decoder.read_to_end(&mut plain).expect("expected gzip");
            assert!(!is_signed(&request, &plain), "{keys}");
        }
    }
}

#[tokio::test]
async fn requests_over_http_2_are_believed() {
    let server = Http2::start(None, None, |_| Reply::Status(200)).await;
    let keys = format!(
        "http_version = \"2\"\nurl = \"http://127.0.0.1:{}/\"",
        server.port()
    );
    let setup = start_with(&keys, &format!("secret = \"{OLD}\"")).await;
    setup.publish("t", "zürich 😀").await;
    let delivered = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";
    setup.wait_for_metric(delivered, |count| count == 1).await;
    let seen = server.seen();
    let (_, _, body) = &seen.requests[0];
    let headers: HeaderMap = seen.heads[0]
        .iter()
        .map(|(name, value)| {
            let name: HeaderName = name.parse().expect("a name");
            (name, HeaderValue::from_str(value).expect("a value"))
        })
        .collect();
    let library = Webhook::new(OLD).expect("it is a secret");
    assert!(
        library.verify(body.as_bytes(), &headers).is_ok(),
        "{seen:?}"
    );
}
