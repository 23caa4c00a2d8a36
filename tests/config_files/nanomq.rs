//! `nanomq.conf`.

#[test]
fn nanomqs_documented_webhook_is_understood_as_it_is() {
    let expected = "\
broker mqtt://127.0.0.1:1883 (dialect auto)
webhook webhook posts to http://127.0.0.1:80/ over at most 32 connections, payloads plain
  on_message_publish a/b/c
  on_client_connack
the configuration is good
";
    assert_eq!(super::check("nanomq.conf"), expected);
}
