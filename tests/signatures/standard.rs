//! Standard Webhooks, by the judgement of its reference library.

use http::{HeaderMap, HeaderName, HeaderValue};
use standardwebhooks::Webhook;
use support::receiver::{Behaviour, Request};

use super::{NEW, OLD, capture, header, start};

/// Returns whether the library believes a request with this body.
pub(super) fn is_believed(request: &Request, secret: &str, body: &[u8]) -> bool {
    is_believed_with(&headers(request), secret, body)
}

fn is_believed_with(headers: &HeaderMap, secret: &str, body: &[u8]) -> bool {
    let library = Webhook::new(secret).expect("it is a secret");
    library.verify(body, headers).is_ok()
}

fn headers(request: &Request) -> HeaderMap {
    let headers = request.headers().map(|(name, value)| {
        let name: HeaderName = name.parse().expect("a name");
        (name, HeaderValue::from_bytes(value).expect("a value"))
    });
    headers.collect()
}

#[tokio::test]
async fn every_request_is_believed_and_no_other() {
    for request in capture(&format!("secret = \"{OLD}\"")).await {
        assert!(is_believed(&request, OLD, &request.body), "{request:?}");
        assert!(!is_believed(&request, NEW, &request.body));
        for at in [0, request.body.len() / 2, request.body.len() - 1] {
            let mut flipped = request.body.to_vec();
            flipped[at] ^= 1;
            assert!(!is_believed(&request, OLD, &flipped), "byte {at}");
        }
        assert!(!is_believed(&request, OLD, &request.body[1..]));
        let mut headers = headers(&request);
        headers.insert("webhook-id", HeaderValue::from_static("another"));
        assert!(!is_believed_with(&headers, OLD, &request.body));
    }
}

#[tokio::test]
async fn the_time_is_signed() {
    let requests = capture(&format!("secret = \"{OLD}\"")).await;
    let mut headers = headers(&requests[0]);
    let time: u64 = header(&requests[0], "webhook-timestamp")
        .parse()
        .expect("seconds");
    headers.insert("webhook-timestamp", HeaderValue::from(time + 1));
    assert!(!is_believed_with(&headers, OLD, &requests[0].body));
}

#[tokio::test]
async fn an_attempt_is_signed_with_its_own_time_and_the_same_id() {
    let setup = start(&format!("secret = \"{OLD}\"")).await;
    let turns = [Behaviour::Status(503), Behaviour::Status(200)];
    setup.receiver.answer_in_turn(turns);
    setup.publish("t", "x").await;
    let requests = setup.receiver.wait_for(2).await;
    for request in &requests {
        assert!(is_believed(request, OLD, &request.body), "{request:?}");
    }
    let of = |name| [0, 1].map(|at: usize| header(&requests[at], name));
    let [first, second] = of("webhook-id");
    assert_eq!(first, second);
    for name in ["webhook-timestamp", "webhook-signature"] {
        let [first, second] = of(name);
        assert_ne!(first, second, "{name}");
    }
}

#[tokio::test]
async fn while_secrets_change_receivers_with_either_believe() {
    for request in capture(&format!("secrets = [\"{NEW}\", \"{OLD}\"]")).await {
        for secret in [OLD, NEW] {
            assert!(is_believed(&request, secret, &request.body), "{request:?}");
        }
        let signatures = header(&request, "webhook-signature");
        assert_eq!(signatures.split(' ').count(), 2, "{signatures}");
    }
}
