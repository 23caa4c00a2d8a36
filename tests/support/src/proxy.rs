//! A proxy that connects by CONNECT, and misbehaves on request.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a proxy does with CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Connects, to this port of this host whatever was asked for if one is given.
    Connect(Option<u16>),
    /// Answers this instead, and closes the connection.
    Answer(Vec<u8>),
    /// Says nothing.
    Silence,
}

/// A request to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The host and port.
    pub target: String,
    /// The value of `proxy-authorization`.
    pub authorization: Option<String>,
}

/// A proxy on a loopback port, in tasks of the test's runtime; dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy of this manner.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("bind any loopback port");
        let port = listener.local_addr().expect("it is bound").port();
        let asked = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, manner, Arc::clone(&asked)));
        Self {
            port,
            asked,
            _tasks: tasks,
        }
    }

    /// Returns the port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns what was asked of it.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

async fn serve(listener: TcpListener, manner: Manner, asked: Arc<Mutex<Vec<Asked>>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        connections.spawn(answer(stream, manner.clone(), Arc::clone(&asked)));
    }
}

async fn answer(mut stream: TcpStream, manner: Manner, asked: Arc<Mutex<Vec<Asked>>>) {
    let Some(head) = head(&mut stream).await else {
        return;
    };
    let mut words = head.split(' ');
    assert_eq!(
        words.next(),
        Some("CONNECT"),
        "expected CONNECT, got {head}"
    );
    let target = words.next().expect("a target").to_owned();
    let authorization = head
        .lines()
        .find_map(|line| line.strip_prefix("proxy-authorization: "));
    let request = Asked {
        target: target.clone(),
        authorization: authorization.map(str::to_owned),
    };
    asked.lock().expect("nobody panics with it").push(request);
    match manner {
        Manner::Connect(port) => {
            let target = port.map_or(target, |port| format!("127.0.0.1:{port}"));
            if let Ok(mut receiver) = TcpStream::connect(target).await {
                let _ = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await;
                let _ = copy_bidirectional(&mut stream, &mut receiver).await;
            }
        }
        Manner::Answer(answer) => {
            let _ = stream.write_all(&answer).await;
        }
        Manner::Silence => std::future::pending().await,
    }
}

/// Reads the head of a request, byte by byte so that nothing behind it is taken.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
