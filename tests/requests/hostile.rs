//! Nothing that a client chooses breaks out of the place where it stands.

use serde_json::Value;
use support::client::Publish;

use super::{send, start};

/// Mosquitto lets no control character through in a topic; payloads have them instead.
const TOPICS: [&str; 12] = [
    "a/../../admin",
    "..",
    "//evil.example/x",
    "?admin=1&x=2",
    "a b: c, d; e",
    " HTTP/1.1",
    "%2e%2e%2f%00",
    "\"},\"admin\":true,{\"",
    "{{ id }}{% raw %}",
    "\u{feff}\u{202e}房间🌡",
    "@evil.example:80/",
    "\\'`|^<>",
];

const PAYLOADS: [&[u8]; 6] = [
    b"\",\"admin\":true,\"x\":\"",
    b"before\0after\r\nx-evil: 1\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
    b"\xff\xfe",
    b"{\"a\": 1}",
    b"",
    b"{{ payload }}",
];

#[tokio::test]
async fn no_topic_and_no_payload_changes_the_shape_of_a_request() {
    let setup = start(
        r#"
url = "{receiver}/hook/t{topic}/end?t={topic}&p={payload}"
headers.x-topic = "{{ topic }}"
headers.x-payload = "<{{ payload }}>"
body.template = '{"topic": "{{ topic }}", "payload": "{{ payload }}", "same": {{ payload | tojson }}}'
"#,
    )
    .await;
    let mut client = setup.client("dev").await;
    for topic in TOPICS {
        for payload in PAYLOADS {
            send(&mut client, Publish::new(topic, payload.to_vec())).await;
        }
    }
    let requests = setup.receiver.wait_for(TOPICS.len() * PAYLOADS.len()).await;
    assert_eq!(requests.len(), TOPICS.len() * PAYLOADS.len());
    let names = |request: &support::receiver::Request| -> Vec<String> {
        request.headers().map(|(name, _)| name.to_owned()).collect()
    };
    let expected: Vec<(&str, &[u8])> = TOPICS
        .iter()
        .flat_map(|topic| PAYLOADS.iter().map(move |payload| (*topic, *payload)))
        .collect();
    for (request, (topic, payload)) in requests.iter().zip(expected) {
        let (path, query) = request.target().split_once('?').expect("a query");
        let segments: Vec<&str> = path.split('/').collect();
        assert!(
            matches!(segments.as_slice(), ["", "hook", _, "end"]),
            "{topic:?} made {path}"
        );
        assert_eq!(
            query.matches(['&', '=']).count(),
            3,
            "{topic:?} made {query}"
        );
        assert_eq!(names(request), names(&requests[0]), "{topic:?}");
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!(body["topic"], topic);
        assert_eq!(body["payload"], body["same"]);
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(3));
        if let Ok(text) = std::str::from_utf8(payload) {
            assert_eq!(body["payload"], text);
        }
    }
}
