//! HTTP/2: requests share connections, within the same bounds.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustls::ServerConfig;
use support::certificates::Certificates;
use support::http2::{Http2, Reply};
use support::receiver::Receiver;
use support::setup::Setup;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{burst, fails, post, wait_for_deliveries, webhook};

/// Returns a TLS server that offers these protocols.
fn offering(certificates: &Certificates, protocols: &[&str]) -> Arc<ServerConfig> {
    let mut config = (*certificates.server_config()).clone();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Arc::new(config)
}

/// Starts with a webhook to an HTTP/2 server, without TLS, and publishes so many messages.
async fn start(server: &Http2, keys: &str, messages: u64) -> Setup {
    let url = format!("http://127.0.0.1:{}/a?b=c", server.port());
    let keys = format!("http_version = \"2\"\n{keys}");
    let setup = post(Receiver::start(), &webhook(&url, &keys), &[]).await;
    burst(&setup, messages - 1).await;
    setup
}

fn distinct(server: &Http2) -> usize {
    let requests = server.seen().requests;
    let ids: BTreeSet<_> = requests
        .iter()
        .filter_map(|(_, id, _)| id.as_ref())
        .collect();
    ids.len()
}

#[tokio::test]
async fn requests_share_one_connection_and_are_never_more_than_the_pool() {
    let server = Http2::start(None, None, |_| Reply::Status(200)).await;
    let setup = start(&server, "pool_size = 4", 60).await;
    wait_for_deliveries(&setup, 60).await;
    let seen = server.seen();
    assert_eq!((seen.requests.len(), seen.connections), (60, 1));
    assert_eq!(seen.peak_in_flight, 4, "expected the pool to be used");
    let (target, _, body) = &seen.requests[0];
    assert_eq!(*target, format!("http://127.0.0.1:{}/a?b=c", server.port()));
    assert!(body.contains("\"payload\":\"x\""), "got {body}");
}

#[tokio::test]
async fn a_receiver_that_allows_few_streams_gets_more_connections_up_to_the_pool() {
    let server = Http2::start(None, Some(1), |_| Reply::Status(200)).await;
    let setup = start(&server, "pool_size = 3", 60).await;
    wait_for_deliveries(&setup, 60).await;
    let seen = server.seen();
    assert_eq!(seen.connections, 3);
    assert_eq!(seen.peak_in_flight, 3);
}

#[tokio::test]
async fn refused_streams_are_made_again_at_once() {
    let refuse = |number: usize| match number % 3 {
        0 => Reply::Refuse,
        _ => Reply::Status(200),
    };
    let server = Http2::start(None, None, refuse).await;
    let setup = start(&server, "pool_size = 1", 20).await;
    wait_for_deliveries(&setup, 20).await;
    assert_eq!(distinct(&server), 20);
    assert_eq!(server.seen().connections, 1);
    let metrics = setup.sidecar.metrics(setup.admin).await;
    assert!(!metrics.contains("outcome=\"closed\""), "got {metrics}");
}

#[tokio::test]
async fn a_receiver_that_refuses_everything_is_left_to_the_schedule() {
    let server = Http2::start(None, None, |_| Reply::Refuse).await;
    let setup = start(&server, "pool_size = 1", 1).await;
    fails(&setup, "closed", "error=closed").await;
}

#[tokio::test]
async fn a_connection_that_goes_away_is_replaced_and_nothing_is_lost() {
    let leave = |number: usize| match number % 10 {
        9 => Reply::GoAway,
        _ => Reply::Status(200),
    };
    let server = Http2::start(None, None, leave).await;
    let setup = start(&server, "pool_size = 4", 60).await;
    wait_for_deliveries(&setup, 60).await;
    assert_eq!(distinct(&server), 60);
    let seen = server.seen();
    assert!(seen.connections > 3, "expected others: {seen:?}");
    assert!(
        seen.peak_open <= 4 && seen.peak_in_flight <= 4,
        "got {seen:?}"
    );
}

#[tokio::test]
async fn a_connection_over_which_a_request_timed_out_gets_no_more() {
    let silent = |number: usize| match number {
        0 => Reply::Never,
        _ => Reply::Status(200),
    };
    let server = Http2::start(None, None, silent).await;
    let setup = start(&server, "timeout = \"300ms\"", 1).await;
    wait_for_deliveries(&setup, 1).await;
    assert_eq!(server.seen().connections, 2);
}

#[tokio::test]
async fn tls_negotiates_what_both_speak() {
    let certificates = Certificates::new();
    let ca = format!("tls.cacertfile = \"{}\"", certificates.ca().display());
    for version in ["2", "auto"] {
        let tls = offering(&certificates, &["h2", "http/1.1"]);
        let server = Http2::start(Some(tls), None, |_| Reply::Status(200)).await;
        let url = format!("https://127.0.0.1:{}/a", server.port());
        let keys = format!("http_version = \"{version}\"\n{ca}");
        let setup = post(Receiver::start(), &webhook(&url, &keys), &[]).await;
        wait_for_deliveries(&setup, 1).await;
        assert_eq!(server.seen().requests[0].0, url, "{version}");
    }
    let keys = format!("http_version = \"auto\"\npool_size = 2\n{ca}");
    for protocols in [&["http/1.1"][..], &[]] {
        let receiver = Receiver::start_tls(offering(&certificates, protocols));
        let setup = post(receiver, &webhook("{receiver}/a", &keys), &[]).await;
        burst(&setup, 29).await;
        wait_for_deliveries(&setup, 30).await;
        let counts = setup.receiver.counts();
        assert!(
            counts.peak_open <= 2 && counts.peak_in_flight <= 2,
            "got {counts:?}"
        );
        assert!(counts.connections <= 2, "got {counts:?}");
    }
}

#[tokio::test]
async fn http_1_is_all_that_is_offered_by_default() {
    let certificates = Certificates::new();
    let keys = format!("tls.cacertfile = \"{}\"", certificates.ca().display());
    let receiver = Receiver::start_tls(offering(&certificates, &["h2", "http/1.1"]));
    let setup = post(receiver, &webhook("{receiver}/a", &keys), &[]).await;
    wait_for_deliveries(&setup, 1).await;
}

#[tokio::test]
async fn a_receiver_without_http_2_is_refused_where_that_is_required() {
    let certificates = Certificates::new();
    let keys = format!(
        "http_version = \"2\"\ntls.cacertfile = \"{}\"",
        certificates.ca().display()
    );
    let receiver = Receiver::start_tls(offering(&certificates, &[]));
    let setup = post(receiver, &webhook("{receiver}/a", &keys), &[]).await;
    fails(&setup, "protocol", "does not offer HTTP/2").await;
    let receiver = Receiver::start_tls(offering(&certificates, &["http/1.1"]));
    let setup = post(receiver, &webhook("{receiver}/a", &keys), &[]).await;
    fails(&setup, "tls", "error=tls").await;
}

/// Reads until the client has asked for something, and leaves with a word.
async fn leave_with_a_word(listener: TcpListener, word: &'static str) {
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let length = u8::try_from(8 + word.len()).expect("it is a short word");
    let mut go_away = vec![0, 0, length, 7, 0, 0, 0, 0, 0];
    // No stream was looked at, and the reason is ENHANCE_YOUR_CALM.
    go_away.extend([0, 0, 0, 0, 0, 0, 0, 0xb]);
    go_away.extend(word.as_bytes());
    loop {
        let (mut stream, _) = listener.accept().await.expect("accept");
        let mut read = Vec::new();
        let _ = stream.write_all(&settings).await;
        while !read.windows(4).any(|bytes| bytes == b"payl") {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                break;
            }
        }
        let _ = stream.write_all(&go_away).await;
        // To close before everything is read would be a reset, and take the word away.
        while stream.read_buf(&mut read).await.unwrap_or(0) > 0 {}
    }
}

#[tokio::test]
async fn what_a_receiver_says_as_it_goes_away_is_not_repeated() {
    const WORD: &str = "5ecret-of-the-receiver";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let _server = AbortOnDrop(tokio::spawn(leave_with_a_word(listener, WORD)));
    let url = format!("http://127.0.0.1:{port}/");
    let keys = "http_version = \"2\"";
    let setup = post(Receiver::start(), &webhook(&url, keys), &[]).await;
    fails(&setup, "closed", "the HTTP/2 connection ended: ").await;
    let log = setup.sidecar.log();
    assert!(!log.contains(WORD), "{log}");
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
