//! Nothing that a client chooses breaks out of the place where it stands.

use serde_json::Value;
use support::client::{Connect, Publish, Version};
use support::mosquitto::Mosquitto;
use support::setup::Setup;

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

/// Names that clients give themselves; Mosquitto lets no control character through.
const NAMES: [&str; 6] = [
    "..",
    "a/../../admin",
    "a b\"; x=1, y: z",
    "?admin=1#x",
    "{{ id }}%2e%2e%0d%0a",
    "\u{202e}房间@evil.example:80",
];

#[tokio::test]
async fn no_client_identifier_and_no_user_name_changes_the_shape_of_a_request() {
    let config = r#"
[webhooks.a]
pool_size = 1
url = "{receiver}/c/c{client_id}/end?u={{ username | default('') }}"
headers.x-client = "<{{ client_id }}>"
headers.x-user = "<{{ username | default('nobody') }}>"
body.format = "raw"
events = [{ event = "on_client_connected", client_id = "*", username = "?*" }]
"#;
    let setup = Setup::start(super::MQHOOK, Mosquitto::builder().log_topics(), config).await;
    for name in NAMES {
        let connect = Connect::new(Version::V5, name).username(name);
        connect.open(setup.broker.port()).await.disconnect().await;
    }
    // Who has no name does not match the pattern for one.
    setup.client("nobody").await.disconnect().await;
    let requests = setup.receiver.wait_for(NAMES.len()).await;
    for (request, name) in requests.iter().zip(NAMES) {
        let (path, query) = request.target().split_once('?').expect("a query");
        let segments: Vec<&str> = path.split('/').collect();
        let ["", "c", segment, "end"] = segments.as_slice() else {
            panic!("{name:?} made {path}");
        };
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        assert_eq!(decoded(segment), format!("c{name}"));
        assert_eq!(decoded(query), format!("u={name}"));
        assert_eq!(query.matches(['&', '=', '#']).count(), 1, "{query}");
        for header in ["x-client", "x-user"] {
            let value = request.header(header).expect("it is there");
            assert_eq!(decoded(&value), format!("<{name}>"));
        }
    }
}

#[tokio::test]
async fn no_user_property_changes_the_shape_of_a_request() {
    let setup = start(
        r#"
url = "{receiver}/p{{ user_properties.a }}/end?q={{ user_properties.a }}"
headers.x-a = "<{{ user_properties.a }}>"
"#,
    )
    .await;
    let mut client = setup.client("dev").await;
    let hostile = [
        "%0d%0ax-evil: 1",
        "/../admin",
        "?a=1&b=2#c",
        "\u{a0}é\u{feff}",
        " ",
    ];
    for value in hostile {
        send(
            &mut client,
            Publish::new("t", "x").user_property("a", value),
        )
        .await;
    }
    let requests = setup.receiver.wait_for(hostile.len()).await;
    for (request, value) in requests.iter().zip(hostile) {
        let (path, query) = request.target().split_once('?').expect("a query");
        assert_eq!(path.split('/').count(), 3, "{value:?} made {path}");
        assert_eq!(
            query.matches(['&', '=', '#']).count(),
            1,
            "{value:?} made {query}"
        );
        assert_eq!(request.header("x-evil"), None);
        let header = request.header("x-a").expect("it is there");
        let decoded = percent_encoding::percent_decode_str(&header).decode_utf8_lossy();
        assert_eq!(decoded, format!("<{value}>"));
    }
}
