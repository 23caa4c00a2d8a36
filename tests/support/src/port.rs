//! Loopback ports: free ones, one that refuses, one that never answers.
//!
//! Free ports are taken from below the kernel's ephemeral range. An outgoing connection of another
//! test can then never occupy a port between its release here and its use by a child process, and a
//! client that retries against a stopped server can never connect to itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;
const PATIENCE: Duration = Duration::from_millis(200);

/// Returns a loopback port that was free a moment ago, and that no other call in this process gets
/// until 22,000 more have been handed out.
#[must_use]
pub fn free_port() -> u16 {
    (0..COUNT)
        .map(|_| candidate())
        .find(|port| bound(*port).is_ok())
        .expect("one of 22,000 loopback ports is free")
}

/// A loopback port that refuses every connection until this is dropped.
///
/// The port is bound but not listened on, so nothing else can start to listen there.
#[derive(Debug)]
pub struct RefusingPort {
    socket: TcpSocket,
}

impl RefusingPort {
    /// Returns the port's number.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.socket
            .local_addr()
            .expect("the socket is bound")
            .port()
    }
}

/// Returns a loopback port on which nothing listens.
#[must_use]
pub fn refusing_port() -> RefusingPort {
    let socket = TcpSocket::new_v4().expect("a TCP socket");
    socket.bind(loopback(0)).expect("bind any loopback port");
    RefusingPort { socket }
}

/// A loopback port whose connection attempts are neither accepted nor refused until this is
/// dropped: the accept queue is full, so the kernel drops every SYN.
#[derive(Debug)]
pub struct BlackHole {
    port: u16,
    _listener: tokio::net::TcpListener,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// Returns the port's number.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Returns a port on which connecting hangs; must be called in a Tokio runtime.
pub async fn black_hole() -> BlackHole {
    let socket = TcpSocket::new_v4().expect("a TCP socket");
    socket.bind(loopback(0)).expect("bind any loopback port");
    let listener = socket.listen(0).expect("listen");
    let address = listener.local_addr().expect("the listener is bound");
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
        queued.push(stream.expect("loopback accepts or drops, it does not refuse a listener"));
        assert!(queued.len() < 100, "the accept queue never fills");
    }
    BlackHole {
        port: address.port(),
        _listener: listener,
        _queued: queued,
    }
}

/// A socket that is bound but does not listen, on a port on which nothing listens.
///
/// A child process that is being started has a copy of every socket until its exec. A copy of this
/// one keeps nobody from listening there.
///
/// # Errors
/// When something listens on the port.
pub(crate) fn bound(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(loopback(port))?;
    Ok(socket)
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Processes start at different places, so that tests running side by side rarely meet.
fn candidate() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id().wrapping_mul(7919);
    let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
    let offset = start.wrapping_add(step) % u32::from(COUNT);
    FIRST + u16::try_from(offset).expect("below 22,000")
}
