//! Configurations with which nothing is wrong, and what they mean.

use std::path::Path;
use std::time::Duration;

use mqhook::config::{Config, load};
use mqhook::event::Kind;

use crate::world::World;

/// Reads a text with which nothing is wrong.
pub fn read(name: &str, text: &str) -> Config {
    let reading = load(Path::new(name), &World::with(name, text));
    assert_eq!(reading.render(false), "", "{text}");
    reading.config.expect("a configuration without problems")
}

fn rules(config: &Config) -> Vec<(Kind, String)> {
    let rules = &config.webhooks[0].rules;
    rules
        .iter()
        .map(|rule| (rule.kind, rule.topic.to_string()))
        .collect()
}

/// The example of `NanoMQ`'s documentation, word for word.
const DOCUMENTED: &str = r#"webhook = {
  url = "http://127.0.0.1:80"        # URL where webhooks will send HTTP requests to
  headers.content-type = "application/json" # HTTP header specifying request content type
  body.encoding = "plain"            # Encoding format of the payload field in HTTP body
  pool_size = 32                     # Connection process pool size
  events = [
    {
      event = "on_message_publish"   # Event type
      topic = "a/b/c"                # The specific topic that this event applies to
    }
    {
      event = "on_client_connack"    
    }
  ]
}
"#;

/// The other example of that document.
const DOCUMENTED_TLS: &str = r#"tls {
   	keyfile="/etc/certs/key.pem"
  	certfile="/etc/certs/cert.pem"
  	cacertfile="/etc/certs/cacert.pem"
}"#;

fn check_documented(text: &str) {
    let config = read("nanomq.conf", text);
    let expected = read("nanomq.conf", DOCUMENTED);
    assert_eq!(
        format!("{:?}", config.webhooks),
        format!("{:?}", expected.webhooks),
        "{text}"
    );
    assert_eq!(config.broker.url.to_string(), "mqtt://127.0.0.1:1883");
}

#[test]
fn the_documented_webhook_is_read_however_it_is_written() {
    let config = read("nanomq.conf", DOCUMENTED);
    let [webhook] = config.webhooks.as_slice() else {
        panic!("one webhook: {config:?}")
    };
    assert_eq!(webhook.name, "webhook");
    assert_eq!(webhook.http.url.to_string(), "http://127.0.0.1:80/");
    assert_eq!(webhook.http.pool_size, 32);
    assert_eq!(webhook.http.headers.len(), 1);
    assert_eq!(
        rules(&config),
        [
            (Kind::MessagePublish, "a/b/c".to_owned()),
            (Kind::ClientConnack, "#".to_owned()),
        ]
    );
    let with_tls = DOCUMENTED.replacen("webhook = {", &format!("webhook {{\n{DOCUMENTED_TLS}"), 1);
    let with_ssl = with_tls.replace("tls {", "ssl {");
    for text in [
        &DOCUMENTED.replace("webhook = {", "webhook {"),
        &DOCUMENTED.replace('\n', "\r\n"),
        &DOCUMENTED.replace(
            "    {\n      event = \"on_client",
            "    , {\n      event = \"on_client",
        ),
        &DOCUMENTED.replace(
            "headers.content-type = \"application/json\"",
            "headers { content-type : \"application/json\" }",
        ),
        &DOCUMENTED.replace("\"plain\"", "PLAIN"),
        &with_tls,
        &with_ssl,
    ] {
        check_documented(text);
    }
    check_documented(
        r#"
        webhook.url = "http://127.0.0.1:80"
        webhook.headers.content-type = "application/json"
        webhook.body.encoding = plain
        webhook.pool_size = 32
        webhook.events = [
          { event = on_message_publish, topic = a/b/c }, { event = on_client_connack }
        ]"#,
    );
}

#[test]
fn nanomqs_other_keys_of_a_webhook_are_understood() {
    let text = DOCUMENTED.replacen('{', "{\n  enable = true\n  cancel_timeout = 7000\n", 1);
    let config = read("nanomq.conf", &text);
    assert_eq!(config.webhooks[0].http.timeout, Duration::from_secs(7));
    let config = read(
        "nanomq.conf",
        &text.replace("enable = true", "enable = false"),
    );
    assert!(config.webhooks.is_empty());
}

#[test]
fn the_broker_is_where_nanomq_listens() {
    let check = |listeners: &str, expected: &str| {
        let config = read("nanomq.conf", &format!("{DOCUMENTED}\n{listeners}"));
        assert_eq!(config.broker.url.to_string(), expected, "{listeners}");
    };
    check("", "mqtt://127.0.0.1:1883");
    check("listeners {}", "mqtt://127.0.0.1:1883");
    check("listeners.tcp { nodelay = true }", "mqtt://127.0.0.1:1883");
    check(
        r#"listeners.tcp.bind = "0.0.0.0:1884""#,
        "mqtt://127.0.0.1:1884",
    );
    check(
        "listeners.tcp { bind = \"10.0.0.1:1884\" }\nlisteners.tcp.default_1 { bind = \"0.0.0.0:1885\" }",
        "mqtt://10.0.0.1:1884",
    );
    check(
        r#"listeners.ws { bind = "0.0.0.0:8083/mqtt" }"#,
        "ws://127.0.0.1:8083/mqtt",
    );
    let secured = r#"listeners.tcp { enable = false, bind = "0.0.0.0:1883" }
        listeners.ssl { bind = "0.0.0.0:8883" }"#;
    check(secured, "mqtts://127.0.0.1:8883");
    check(
        "listeners.tcp.bind = nonsense\nbroker.url = \"mqtt://h:1\"",
        "mqtt://h:1",
    );
}

#[test]
fn a_whole_nanomq_conf_is_read() {
    let path = crate::world::cases().join("../nanomq.conf");
    let text = std::fs::read_to_string(path).expect("the file is there");
    let config = read("nanomq.conf", &text);
    assert_eq!(config.broker.url.to_string(), "mqtt://127.0.0.1:1890");
    assert_eq!(config.webhooks.len(), 1);
    assert_eq!(config.webhooks[0].rules.len(), 2);
}

#[test]
fn what_is_wrong_in_nanomqs_sections_is_nanomqs() {
    let world = World::with(
        "nanomq.conf",
        format!(
            r#"auth {{
                password = {{include "/etc/secret.conf"}}
                acl = {{include "/etc/nowhere.conf"}}
            }}
            bridges.mqtt.one {{
                server = mqtt-tcp://127.0.0.1:1883
                password = p@ss
                password = again
                forwards = [ {{ local_topic = "a/${{VIN}}/b" }} {{ local_topic = c }} ]
                topic = c/#
                clientid = ${{UNSET}}
            }}
            {DOCUMENTED}"#
        ),
    )
    .and_unreadable("/etc/secret.conf", std::io::ErrorKind::PermissionDenied);
    let reading = load(Path::new("nanomq.conf"), &world);
    assert_eq!(reading.render(false), "");
    assert!(reading.config.is_some());
}

#[test]
fn errors_that_tear_nanomqs_sections_are_reported() {
    for torn in ["log { to = [file }", "log { dir = \"/tmp }", "log {"] {
        let text = format!("{torn}\n{DOCUMENTED}");
        let reading = load(Path::new("x.conf"), &World::with("x.conf", &*text));
        assert!(reading.config.is_none(), "{torn}");
        assert_eq!(reading.problems().len(), 1, "{}", reading.render(false));
    }
}

const TOML: &str = r#"
shutdown_grace = "5s"
[broker]
url = "mqtt://h.example:1884"
dialect = "mosquitto"
client_id = "hook"
username = "u"
password_file = "parts/broker.pass"
protocol = "3.1.1"
keep_alive = "1m"
session_expiry = "1h"
receive_maximum = 10
max_packet_size = "1MiB"
connect_timeout = "3s"
retained = true
[admin]
listen = ""
[spool]
backend = "SQLite"
dir = "state"
max_memory = "32 MiB"
max_bytes = "2GiB"
max_age = "14d"
on_full = "drop_oldest"
elide = false
dead_letters = { max_bytes = 0, max_age = "1d" }
[notify]
topic = "mqhook/notices"
[webhooks.billing]
enable = true
url = "http://h.example/a?b=c"
pool_size = 8
timeout = "1.5s"
connect_timeout = "500ms"
idle_timeout = "1m"
headers = { z-last = "1", a-first = "2", Authorization = "Bearer x" }
body = { encoding = "Base64", not_utf8 = "replace" }
durable = false
retry = { schedule = ["5s", "1.5m"], retry_after_max = "1h", statuses = [404, 302], on_gone = "reject" }
breaker = { failures = 3, initial = "2s", max = "1m" }
failure_limit = { deliveries = 100, time = "5d" }
events = [
    { event = "on_message_publish", topic = "a/+/c" },
    { event = "on_client_connected" },
]
[webhooks.audit]
url = "http://h.example/audit"
events = [{ event = "ON_MESSAGE_PUBLISH", topic = "$share/g/b/#" }]
retry.exponential = { initial = "10s", factor = 1.5, max = "5m", for = "12h" }
[webhooks.hourly]
url = "http://h.example/hourly"
events = [{ event = "on_client_connected" }]
retry.schedule = "Hourly"
"#;

const HOCON: &str = r#"
shutdown_grace = 5s
broker {
  url = "mqtt://"${HOST}":1884"
  dialect = MOSQUITTO, client_id = hook, username = u
  password_file = parts/broker.pass
  protocol = 3.1.1
  keep_alive = 1m, session_expiry = 1h, receive_maximum = 10
  max_packet_size = 1MiB, connect_timeout = 3s
  retained = ${FLAG}
}
admin.listen = ""
spool {
  backend = sqlite, dir = state, max_memory = 32 MiB, max_bytes = 2GiB, max_age = 14d
  on_full = drop_oldest, elide = false
  dead_letters { max_bytes = 0, max_age = 1d }
}
notify.topic = "mqhook/notices"
webhooks {
  billing {
    enable = ${FLAG}
    url = "http://"${HOST}"/a?b=c"
    pool_size = ${POOL}
    timeout = 1.5s, connect_timeout = 500ms, idle_timeout = 1m
    headers { z-last = "1", a-first = "2" }
    headers.Authorization = "Bearer x"
    body.encoding = Base64
    body.not_utf8 = replace
    durable = false
    retry { schedule = [5s, 1.5m], retry_after_max = 1h, statuses = [404, 302], on_gone = reject }
    breaker { failures = 3, initial = 2s, max = 1m }
    failure_limit { deliveries = 100, time = 5d }
    events = [
      { event = on_message_publish, topic = "a/+/c" }
      { event = on_client_connected }
    ]
  }
  audit { url = "http://"${HOST}"/audit", events = [ { event = on_message_publish, topic = "$share/g/b/#" } ]
    retry.exponential { initial = 10s, factor = 1.5, max = 5m, for = 12h } }
  hourly { url = "http://"${HOST}"/hourly", events = [ { event = on_client_connected } ]
    retry.schedule = hourly }
}
"#;

#[test]
fn both_notations_say_the_same() {
    let toml = read("m.toml", TOML);
    let hocon = read("m.conf", HOCON);
    assert_eq!(format!("{toml:#?}"), format!("{hocon:#?}"));
    let upper = read("M.TOML", TOML);
    assert_eq!(format!("{toml:#?}"), format!("{upper:#?}"));
    let marked = read("m.toml", &format!("\u{feff}{}", TOML.replace('\n', "\r\n")));
    assert_eq!(format!("{toml:#?}"), format!("{marked:#?}"));
}

#[test]
fn headers_keep_their_order() {
    let config = read("m.toml", TOML);
    let headers = &config.webhooks[0].http.headers;
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["z-last", "a-first", "authorization"]);
}

#[test]
fn numbers_and_booleans_may_come_from_the_environment() {
    let text = TOML
        .replace("pool_size = 8", "pool_size = \"${POOL}\"")
        .replace("retained = true", "retained = \"${FLAG}\"");
    let config = read("m.toml", &text);
    assert_eq!(config.webhooks[0].http.pool_size, 8);
    assert!(config.retained);
    let text = DOCUMENTED.replace("pool_size = 32", "cancel_timeout = ${NUMBER}");
    let config = read("nanomq.conf", &text);
    assert_eq!(config.webhooks[0].http.timeout, Duration::from_millis(15));
    let optional = "broker.username = ${?UNSET}\nbroker.client_id = ${?UNSET}";
    let config = read("nanomq.conf", &format!("{DOCUMENTED}\n{optional}"));
    assert_eq!(config.broker.client_id, "mqhook");
}

#[test]
fn protocol_is_a_number_or_a_string() {
    use mqhook::mqtt::Protocol;
    let check = |name, value, expected| {
        let text = format!("broker.protocol = {value}\nshutdown_grace = \"0s\"\nwebhooks = {{}}");
        assert_eq!(read(name, &text).broker.protocol, expected, "{value}");
    };
    for name in ["a.toml", "a.conf"] {
        check(name, "5", Some(Protocol::V5));
        check(name, "\"5\"", Some(Protocol::V5));
        check(name, "\"3.1.1\"", Some(Protocol::V4));
        check(name, "\"auto\"", None);
    }
}
