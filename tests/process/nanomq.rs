//! `NanoMQ`'s own configuration file, as its users have it.

use support::mosquitto::Mosquitto;
use support::port::free_port;
use support::receiver::Receiver;
use support::sidecar::Sidecar;

use super::MQHOOK;

/// The block of `NanoMQ`'s documentation, word for word but for the URL.
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

/// Other sections of a file as `NanoMQ` installs it.
const OTHERS: &str = r#"
mqtt {
    property_size = 32
    max_packet_size = 260MB
    retry_interval = 10s
}
log {
    to = [file, console]
    level = warn
    rotation { size = 10MB, count = 5 }
}
http_server {
    port = 8081
    auth_type = basic
}
auth {
    allow_anonymous = true
    no_match = allow
    acl = {include "/etc/nanomq_acl.conf"}
}
"#;

/// Runs a sidecar on a `nanomq.conf` that binds like this, and asserts that both events arrive.
async fn check(bind: impl FnOnce(u16) -> String, block: &str) {
    let (broker, receiver) = (Mosquitto::builder().log_topics().start(), Receiver::start());
    let admin = free_port();
    let block = block.replace("http://127.0.0.1:80", &receiver.url());
    let config = format!(
        "listeners.tcp {{\n    bind = {}\n}}\n{block}{OTHERS}\nadmin.listen = \"127.0.0.1:{admin}\"\n",
        bind(broker.port())
    );
    let mut sidecar = Sidecar::start(MQHOOK, &config, "conf");
    sidecar.wait_ready(admin).await;
    let connect = support::client::Connect::new(support::client::Version::V311, "dev");
    let mut client = connect.username("alice").open(broker.port()).await;
    let expected = r#"{"proto_ver":4,"keepalive":60,"conn_ack":"success","username":"alice","clientid":"dev","action":"client_connack"}"#;
    let request = receiver.next().await;
    assert_eq!(request.text(), expected);
    assert_eq!(request.target(), "/");
    for topic in ["a/b", "a/b/c"] {
        client
            .publish(&support::client::Publish::new(topic, "hello").qos(1))
            .await;
    }
    let request = receiver.next().await;
    let expected = r#""topic":"a/b/c","retain":false,"qos":1,"action":"message_publish","from_username":"undefined","from_client_id":null,"payload":"hello"}"#;
    assert!(request.text().ends_with(expected), "got {request:?}");
    assert_eq!(
        request.header("content-type").as_deref(),
        Some("application/json")
    );
}

#[tokio::test]
async fn the_documented_block_works_word_for_word() {
    check(|port| format!("\"0.0.0.0:{port}\""), DOCUMENTED).await;
}

#[tokio::test]
async fn the_block_may_have_no_equals_sign_and_commas() {
    let block = DOCUMENTED
        .replace("webhook = {", "webhook {")
        .replace("    }\n    {", "    },\n    {")
        .replace("headers.content-type", "headers.\"content-type\"");
    check(|port| format!("\"127.0.0.1:{port}\""), &block).await;
}

#[tokio::test]
async fn a_disabled_block_sends_nothing() {
    let broker = Mosquitto::builder().start();
    let receiver = Receiver::start();
    let admin = free_port();
    let block = DOCUMENTED.replace("http://127.0.0.1:80", &receiver.url());
    let block = block.replace("  pool_size", "  enable = false\n  pool_size");
    let config = format!(
        "listeners.tcp.bind = \"127.0.0.1:{}\"\n{block}\nadmin.listen = \"127.0.0.1:{admin}\"\n",
        broker.port()
    );
    let mut sidecar = Sidecar::start(MQHOOK, &config, "conf");
    sidecar.wait_ready(admin).await;
    let connect = support::client::Connect::new(support::client::Version::V311, "dev");
    let mut client = connect.open(broker.port()).await;
    client
        .publish(&support::client::Publish::new("a/b/c", "x").qos(1))
        .await;
    let log = broker.log();
    assert!(!log.contains("as mqhook"), "expected no connection:\n{log}");
    assert_eq!(receiver.counts().connections, 0);
}
