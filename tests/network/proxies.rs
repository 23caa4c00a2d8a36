//! Proxies that connect to receivers.

use std::time::Duration;

use support::certificates::Certificates;
use support::http2::{Http2, Reply};
use support::port::refusing_port;
use support::proxy::{Asked, Manner, Proxy};
use support::receiver::{Behaviour, Receiver};
use support::wait;

use super::{burst, fails, post, wait_for_deliveries, webhook};

/// Returns the keys for a proxy with credentials.
fn through(proxy: &Proxy) -> String {
    format!(
        "proxy = \"http://user:s%40cret@127.0.0.1:{}\"",
        proxy.port()
    )
}

/// `user:s@cret`.
const BASIC: &str = "Basic dXNlcjpzQGNyZXQ=";

#[tokio::test]
async fn requests_go_through_the_proxy_and_its_connections_are_used_again() {
    let proxy = Proxy::start(Manner::Connect(None)).await;
    let receiver = Receiver::start();
    let target = format!("127.0.0.1:{}", receiver.port());
    let keys = through(&proxy) + "\npool_size = 1";
    let setup = post(receiver, &webhook("{receiver}/a", &keys), &[]).await;
    burst(&setup, 5).await;
    wait_for_deliveries(&setup, 6).await;
    let authorization = Some(BASIC.to_owned());
    assert_eq!(
        proxy.asked(),
        [Asked {
            target,
            authorization
        }]
    );
    let request = &setup.receiver.requests()[0];
    assert_eq!(request.header("proxy-authorization"), None);
    let log = setup.sidecar.log();
    assert!(!log.contains("cret") && !log.contains(BASIC), "got {log}");
}

#[tokio::test]
async fn tls_goes_through_the_proxy_to_the_receiver() {
    let certificates = Certificates::new();
    let proxy = Proxy::start(Manner::Connect(None)).await;
    let receiver = Receiver::start_tls(certificates.server_config());
    let keys = format!(
        "{}\ntls.cacertfile = \"{}\"",
        through(&proxy),
        certificates.ca().display()
    );
    let setup = post(receiver, &webhook("{receiver}/a", &keys), &[]).await;
    wait_for_deliveries(&setup, 1).await;
    assert_eq!(proxy.asked().len(), 1);
}

#[tokio::test]
async fn the_proxy_looks_up_names() {
    let receiver = Receiver::start();
    let proxy = Proxy::start(Manner::Connect(Some(receiver.port()))).await;
    let url = "http://nowhere.invalid/a";
    let setup = post(receiver, &webhook(url, &through(&proxy)), &[]).await;
    wait_for_deliveries(&setup, 1).await;
    assert_eq!(proxy.asked()[0].target, "nowhere.invalid:80");
    let host = setup.receiver.requests()[0].header("host");
    assert_eq!(host.as_deref(), Some("nowhere.invalid"));
}

#[tokio::test]
async fn the_environment_names_a_proxy_only_if_it_is_asked() {
    let proxy = Proxy::start(Manner::Connect(None)).await;
    let url = format!("127.0.0.1:{}", proxy.port());
    let environment = [("http_proxy", url.as_str())];
    let asked = async |config: &str, environment: &[(&str, &str)]| {
        let before = proxy.asked().len();
        let setup = post(Receiver::start(), config, environment).await;
        wait_for_deliveries(&setup, 1).await;
        proxy.asked().len() - before
    };
    let plain = webhook("{receiver}/a", "");
    assert_eq!(asked(&plain, &environment).await, 0);
    let environmental = format!("network.proxy = \"environment\"\n{plain}");
    assert_eq!(asked(&environmental, &environment).await, 1);
    let but_loopback = [environment[0], ("NO_PROXY", "example.org,127.0.0.0/8")];
    assert_eq!(asked(&environmental, &but_loopback).await, 0);
    let none = webhook("{receiver}/a", "proxy = \"none\"");
    let config = format!("network.proxy = \"http://{url}\"\n{none}");
    assert_eq!(asked(&config, &[]).await, 0);
    let config = format!("network.proxy = \"http://{url}\"\n{plain}");
    assert_eq!(asked(&config, &[]).await, 1);
    let config = format!("network.no_proxy = [\"127.0.0.1\"]\n{config}");
    assert_eq!(asked(&config, &[]).await, 0);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_blamed() {
    let answers: [(&[u8], &str); 6] = [
        (
            b"HTTP/1.1 407 No\r\nproxy-authenticate: Basic\r\n\r\n",
            "answered 407 to CONNECT",
        ),
        (
            b"HTTP/1.0 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
            "answered 502 to CONNECT",
        ),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "did not answer CONNECT in HTTP"),
        (
            b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "did not answer CONNECT in HTTP",
        ),
        (
            b"HTTP/1.1 200",
            "closed the connection instead of answering CONNECT",
        ),
        (b"", "closed the connection instead of answering CONNECT"),
    ];
    for (answer, said) in answers {
        let proxy = Proxy::start(Manner::Answer(answer.to_vec())).await;
        let config = webhook("{receiver}/a", &through(&proxy));
        let setup = post(Receiver::start(), &config, &[]).await;
        let said = format!("proxy 127.0.0.1:{} {said}", proxy.port());
        fails(&setup, "proxy", &said).await;
    }
}

#[tokio::test]
async fn an_endless_answer_to_connect_is_not_read_to_its_end() {
    let mut endless = b"HTTP/1.1 200 OK\r\n".to_vec();
    endless.resize(100_000, b'a');
    let proxy = Proxy::start(Manner::Answer(endless)).await;
    let config = webhook("{receiver}/a", &through(&proxy));
    let setup = post(Receiver::start(), &config, &[]).await;
    fails(&setup, "proxy", "did not answer CONNECT in HTTP").await;
}

#[tokio::test]
async fn a_proxy_that_is_down_or_silent_is_blamed() {
    let down = refusing_port();
    let keys = format!("proxy = \"http://127.0.0.1:{}\"", down.port());
    let setup = post(Receiver::start(), &webhook("{receiver}/a", &keys), &[]).await;
    let said = format!("proxy 127.0.0.1:{} cannot be connected to", down.port());
    fails(&setup, "proxy", &said).await;

    let silent = Proxy::start(Manner::Silence).await;
    let keys = through(&silent) + "\nconnect_timeout = \"200ms\"";
    let setup = post(Receiver::start(), &webhook("{receiver}/a", &keys), &[]).await;
    let said = format!("by way of proxy 127.0.0.1:{}", silent.port());
    fails(&setup, "timeout", &said).await;
}

#[tokio::test]
async fn the_proxys_address_is_judged_as_well() {
    let proxy = Proxy::start(Manner::Connect(None)).await;
    let receiver = Receiver::start();
    let keys = format!("proxy = \"http://localhost:{}\"", proxy.port());
    let config = "network.deny = [\"127.0.0.0/8\", \"::1\"]\n".to_owned()
        + &webhook("http://receiver.example/a", &keys);
    let setup = post(receiver, &config, &[]).await;
    fails(
        &setup,
        "address",
        "127.0.0.1 of localhost is in `network.deny`",
    )
    .await;
    assert_eq!(proxy.asked(), []);
}

#[tokio::test]
async fn a_receiver_that_resets_is_tried_again_by_way_of_the_proxy() {
    let receiver = Receiver::start();
    receiver.answer_in_turn([Behaviour::ResetBeforeAnswer, Behaviour::Status(200)]);
    let proxy = Proxy::start(Manner::Connect(None)).await;
    let setup = post(receiver, &webhook("{receiver}/a", &through(&proxy)), &[]).await;
    wait_for_deliveries(&setup, 1).await;
    assert_eq!(setup.receiver.requests().len(), 2);
}

/// Each request has a connection, and asks the proxy anew.
#[tokio::test]
async fn credentials_of_a_proxy_follow_their_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("proxy-credentials");
    std::fs::write(&path, "user:one\n").expect("write a file");
    let proxy = Proxy::start(Manner::Connect(None)).await;
    let receiver = Receiver::start();
    receiver.set(Behaviour::CloseAfterAnswer {
        answers: 1,
        announced: true,
    });
    let keys = format!(
        "proxy = \"http://127.0.0.1:{}\"\nproxy_auth_file = \"{}\"",
        proxy.port(),
        path.display()
    );
    let setup = post(receiver, &webhook("{receiver}/a", &keys), &[]).await;
    wait_for_deliveries(&setup, 1).await;
    let last = || proxy.asked().pop().and_then(|asked| asked.authorization);
    assert_eq!(last().as_deref(), Some("Basic dXNlcjpvbmU="));
    let new = path.with_extension("new");
    std::fs::write(&new, "user:two\n").expect("write a file");
    std::fs::rename(new, &path).expect("replace the file");
    wait::until(Duration::from_secs(10), "the other password", async || {
        let before = setup.receiver.counts().requests;
        setup.publish("t", "x").await;
        setup
            .receiver
            .wait_for_counts(|counts| counts.requests > before)
            .await;
        (last().as_deref() == Some("Basic dXNlcjp0d28=")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn http_2_goes_through_the_proxy() {
    let server = Http2::start(None, None, |_| Reply::Status(200)).await;
    let proxy = Proxy::start(Manner::Connect(None)).await;
    let url = format!("http://127.0.0.1:{}/a", server.port());
    let keys = through(&proxy) + "\nhttp_version = \"2\"";
    let setup = post(Receiver::start(), &webhook(&url, &keys), &[]).await;
    burst(&setup, 9).await;
    wait_for_deliveries(&setup, 10).await;
    assert_eq!(proxy.asked().len(), 1);
    assert_eq!(server.seen().connections, 1);
}
