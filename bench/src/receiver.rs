//! The counting HTTP/1.1 receiver: answers 204 and does as little else as it can, so that it is not what is measured.
//!
//! | request | answer |
//! |---|---|
//! | `POST /reset?messages=N&topics=T` | 204; forgets everything, expects sequence numbers below N |
//! | `GET /report` | 200, JSON of [`Report`](crate::tally::Report) |
//! | `GET /progress` | a stream of the distinct count, 8 bytes little-endian at most once a millisecond |
//! | `POST /hooks?open=true` (or `false`) | 204; begins to listen on `--hooks`, or stops and drops what is open there |
//! | `POST /delay?ms=N` | 204; takes so long for each counted request from now on |
//! | any other | 204; its event is counted, or its events if it is a batch |
//!
//! `--hooks` is a second address, with nothing listening at first, for outages.
//!
//! It needs `Content-Length` and does not speak chunked encoding: such a request is answered 411 and the connection closed.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet, LocalSet, spawn_local},
    time::sleep,
};

use crate::{
    clock::monotonic_ns,
    payload::{Stamp, find},
    tally::Tally,
};

const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const LENGTH_REQUIRED: &[u8] = b"HTTP/1.1 411 Length Required\r\nConnection: close\r\n\r\n";
const PROGRESS_EVERY: Duration = Duration::from_millis(1);

/// Arguments of the receiver process.
#[derive(clap::Args)]
pub struct Args {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Address of the hooks that can be opened and closed.
    #[arg(long)]
    hooks: Option<SocketAddr>,
}

struct State {
    tally: RefCell<Tally>,
    delay: Cell<Duration>,
    hooks: Option<SocketAddr>,
    /// Accepts on `hooks`; aborting it closes all that it has accepted.
    open: RefCell<Option<JoinHandle<()>>>,
}

type Shared = Rc<State>;

/// Serves until the process is killed; prints `ready <address>` once it listens.
///
/// # Errors
/// The address cannot be bound.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(&args.listen).await.context("bind")?;
        println!("ready {}", listener.local_addr()?);
        let state = Rc::new(State {
            tally: RefCell::new(Tally::new(0, 1)),
            delay: Cell::default(),
            hooks: args.hooks,
            open: RefCell::default(),
        });
        serve(listener, state).await;
        Ok(())
    })
}

async fn serve(listener: TcpListener, state: Shared) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Only a client that has gone again makes accepting fail.
            Ok((stream, _)) = listener.accept() => {
                let state = Rc::clone(&state);
                // A connection that breaks is the client's affair; what it delivered is counted.
                connections.spawn_local(async move { connection(stream, state).await.ok() });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl State {
    /// Opens or closes the hooks, as `open=true` or `open=false` says.
    async fn set_open(self: &Rc<Self>, query: &str) -> anyhow::Result<()> {
        let task = self.open.borrow_mut().take();
        if let Some(task) = task {
            task.abort();
            // Its end is what is waited for, and it ends by being aborted.
            task.await.ok();
        }
        if query.starts_with("open=true") {
            let hooks = self.hooks.context("there is no --hooks")?;
            let listener = TcpListener::bind(hooks).await.context("bind the hooks")?;
            let task = spawn_local(serve(listener, Rc::clone(self)));
            *self.open.borrow_mut() = Some(task);
        }
        Ok(())
    }
}

async fn connection(mut stream: TcpStream, state: Shared) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    loop {
        while let Some(request) = parse(&buffer)? {
            let Request {
                head_len, body_len, ..
            } = request;
            let line = request.line(&buffer);
            if let Some(query) = line.strip_prefix("POST /reset?") {
                *state.tally.borrow_mut() = reset(query)?;
                stream.write_all(NO_CONTENT).await?;
            } else if let Some(query) = line.strip_prefix("POST /hooks?") {
                state.set_open(query).await?;
                stream.write_all(NO_CONTENT).await?;
            } else if let Some(query) = line.strip_prefix("POST /delay?ms=") {
                let ms = query.split(' ').next().unwrap_or_default();
                state
                    .delay
                    .set(Duration::from_millis(ms.parse().context("delay")?));
                stream.write_all(NO_CONTENT).await?;
            } else if line.starts_with("GET /report ") {
                return write_report(stream, &state.tally).await;
            } else if line.starts_with("GET /progress ") {
                return stream_progress(stream, &state.tally).await;
            } else if request.chunked {
                stream.write_all(LENGTH_REQUIRED).await?;
                bail!("chunked request");
            } else {
                count(&state, &buffer[head_len..head_len + body_len]);
                let delay = state.delay.get();
                if !delay.is_zero() {
                    sleep(delay).await;
                }
                stream.write_all(NO_CONTENT).await?;
            }
            buffer.advance(head_len + body_len);
        }
        buffer.reserve(4 * 1024);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Counts the events of a request; one without any is foreign.
fn count(state: &State, body: &[u8]) {
    let (mut tally, now_ns) = (state.tally.borrow_mut(), monotonic_ns());
    let mut stamps = Stamp::all_in(body);
    tally.count(stamps.next(), now_ns);
    for stamp in stamps {
        tally.count(Some(stamp), now_ns);
    }
}

struct Request {
    line_len: usize,
    head_len: usize,
    body_len: usize,
    chunked: bool,
}

impl Request {
    fn line<'a>(&self, buffer: &'a [u8]) -> &'a str {
        std::str::from_utf8(&buffer[..self.line_len]).unwrap_or_default()
    }
}

/// Returns the request at the start of the buffer, `None` while it is not complete.
fn parse(buffer: &[u8]) -> anyhow::Result<Option<Request>> {
    let Some(head_len) = find(buffer, b"\r\n\r\n").map(|at| at + 4) else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&buffer[..head_len]).context("head is not text")?;
    let mut lines = head.split("\r\n");
    let line_len = lines.next().unwrap_or_default().len();
    let mut body_len = 0;
    let mut chunked = false;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            body_len = value.trim().parse().context("content-length")?;
        }
        chunked |= name.eq_ignore_ascii_case("transfer-encoding");
    }
    let complete = chunked || buffer.len() >= head_len + body_len;
    Ok(complete.then_some(Request {
        line_len,
        head_len,
        body_len,
        chunked,
    }))
}

/// Returns an empty count for the run that `messages=N&topics=T` describes.
fn reset(query: &str) -> anyhow::Result<Tally> {
    let query = query.split(' ').next().unwrap_or_default();
    let (mut messages, mut topics) = (0, 1);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("messages", value)) => messages = value.parse().context("messages")?,
            Some(("topics", value)) => topics = value.parse().context("topics")?,
            _ => bail!("unknown parameter {pair}"),
        }
    }
    Ok(Tally::new(messages, topics))
}

async fn write_report(mut stream: TcpStream, tally: &RefCell<Tally>) -> anyhow::Result<()> {
    let report = serde_json::to_string(&tally.borrow().report())?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        report.len()
    );
    stream.write_all((head + &report).as_bytes()).await?;
    Ok(())
}

async fn stream_progress(mut stream: TcpStream, tally: &RefCell<Tally>) -> anyhow::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        .await?;
    let mut told = u64::MAX;
    loop {
        let distinct = tally.borrow().distinct();
        if distinct != told {
            stream.write_all(&distinct.to_le_bytes()).await?;
            told = distinct;
        }
        sleep(PROGRESS_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(buffer: &str, expected: Option<(usize, usize)>) {
        let found = parse(buffer.as_bytes()).expect("well-formed");
        let found = found.map(|request| (request.head_len, request.body_len));
        assert_eq!(found, expected, "{buffer:?}");
    }

    #[test]
    fn request_is_taken_only_when_complete() {
        check("POST /hook HTTP/1.1\r\nHost: h\r\n", None);
        check("POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab", None);
        check(
            "POST / HTTP/1.1\r\nCONTENT-LENGTH: 3\r\n\r\nabcPOST",
            Some((38, 3)),
        );
        check("GET /report HTTP/1.1\r\n\r\n", Some((24, 0)));
    }
}
