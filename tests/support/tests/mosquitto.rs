//! The broker starts with every option, restarts on its port and is gone when dropped.

use std::net::{TcpListener, TcpStream};

use support::certificates::Certificates;
use support::mosquitto::{self, Mosquitto};

#[test]
fn a_fresh_broker_accepts_connections() {
    let broker = Mosquitto::builder().start();
    assert!(mosquitto::installed());
    TcpStream::connect(("127.0.0.1", broker.port())).expect("a ready broker accepts");
    assert_eq!(broker.url(), format!("mqtt://127.0.0.1:{}", broker.port()));
}

#[test]
fn every_listener_is_ready_at_once() {
    let certificates = Certificates::new();
    let broker = Mosquitto::builder()
        .tls(&certificates)
        .websockets()
        .log_topics()
        .persistent()
        .start();
    for port in [broker.port(), broker.tls_port(), broker.ws_port()] {
        TcpStream::connect(("127.0.0.1", port))
            .unwrap_or_else(|error| panic!("port {port}: {error}"));
    }
}

#[test]
fn a_stopped_broker_starts_again_on_its_port() {
    let mut broker = Mosquitto::builder().start();
    let (port, pid) = (broker.port(), broker.pid());
    broker.stop();
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "nothing listens after stop"
    );
    broker.start_again();
    assert_ne!(broker.pid(), pid);
    TcpStream::connect(("127.0.0.1", port)).expect("the restarted broker accepts");
    broker.kill();
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "nothing listens after kill"
    );
}

#[test]
fn a_dropped_broker_is_gone() {
    let broker = Mosquitto::builder().start();
    let port = broker.port();
    drop(broker);
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "nothing listens after drop"
    );
}

#[test]
#[should_panic(expected = "Unknown configuration variable")]
fn a_bad_line_shows_the_brokers_log() {
    let _ = Mosquitto::builder().line("no_such_option 1").start();
}

#[test]
#[should_panic(expected = "to find free ports in 5 attempts")]
fn a_taken_port_is_recognised() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let _ = Mosquitto::builder()
        .line(&format!("listener {port} 127.0.0.1"))
        .start();
}
