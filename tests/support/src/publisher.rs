//! A publisher of numbered messages at QoS 1 that waits for its PUBACKs and outlives its broker.
//!
//! A message carries `number=` and ten digits. When the connection breaks, whatever the broker had
//! not acknowledged is published again on the next one: the broker may have it twice then, and
//! [`Published::repeated`] says of which numbers. So every number below [`Published::count`] has been
//! acknowledged by the broker, which answers for it from then on.
//!
//! It runs on a thread of its own: a test that blocks does not hold it up.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::child::POLL;
use crate::client::{Connect, Packet, Publish, Version};
use crate::port::loopback;
use crate::wire::PATIENCE;

const PUBACK: u8 = 4;
const DISCONNECT: [u8; 2] = [0xE0, 0];
const MARK: &[u8] = b"number=";
const DIGITS: usize = 10;

/// What to publish.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The topic of every message.
    pub topic: String,
    /// Most messages that the broker has not acknowledged; at least 1. Default 1.
    pub window: usize,
    /// Time from one message to the next; zero for as fast as the window allows. Default 1 ms.
    pub pace: Duration,
    /// Length of a payload; at least that of the number. Default 64.
    pub payload_bytes: usize,
    /// How many messages; by default until it is stopped.
    pub count: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            topic: "numbers".to_owned(),
            window: 1,
            pace: Duration::from_millis(1),
            payload_bytes: 64,
            count: u64::MAX,
        }
    }
}

impl Plan {
    /// Publishes this many messages, as fast as the broker takes them.
    #[must_use]
    pub fn burst(count: u64, payload_bytes: usize) -> Self {
        Self {
            window: 500,
            pace: Duration::ZERO,
            payload_bytes,
            count,
            ..Self::default()
        }
    }
}

/// What was published.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// Every number below it was acknowledged by the broker.
    pub count: u64,
    /// Numbers that were published more than once, because a connection ended before their PUBACK.
    pub repeated: BTreeSet<u64>,
}

/// Returns the number that a message's payload, or any body that has it, carries.
#[must_use]
pub fn number_in(body: &[u8]) -> Option<u64> {
    let start = body.windows(MARK.len()).position(|part| part == MARK)? + MARK.len();
    std::str::from_utf8(body.get(start..start + DIGITS)?)
        .ok()?
        .parse()
        .ok()
}

/// A running publisher; dropping it ends it after the message that is under way.
pub struct Publisher {
    orders: Arc<Orders>,
    progress: watch::Receiver<Progress>,
    thread: Option<JoinHandle<Published>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    acknowledged: u64,
    /// The last order after which nothing was sent, while nothing was unacknowledged.
    quiet_since: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Publish,
    Pause,
    Stop,
}

/// What the test wants, and where the thread waits for it to want something else.
struct Orders {
    /// The order and its number, from 1.
    order: Mutex<(Order, u64)>,
    changed: Condvar,
}

impl Publisher {
    /// Starts to publish at the broker on this port, once it is there.
    #[must_use]
    pub fn start(port: u16, plan: Plan) -> Self {
        let orders = Arc::new(Orders {
            order: Mutex::new((Order::Publish, 1)),
            changed: Condvar::new(),
        });
        let (tell, progress) = watch::channel(Progress::default());
        let worker = Worker {
            port,
            plan,
            orders: Arc::clone(&orders),
            tell,
            published: Published::default(),
            sent: 0,
            next_due: Instant::now(),
        };
        let thread = thread::spawn(move || worker.run());
        Self {
            orders,
            progress,
            thread: Some(thread),
        }
    }

    /// Returns how many messages the broker has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.progress.borrow().acknowledged
    }

    /// Waits until the broker has acknowledged this many.
    pub async fn wait_for(&self, count: u64, limit: Duration) {
        let expected = format!("{count} messages to be acknowledged by the broker");
        self.wait(&expected, limit, |progress| progress.acknowledged >= count)
            .await;
    }

    /// Publishes nothing more until [`Publisher::resume`]; returns when all are acknowledged.
    pub async fn pause(&self) {
        let number = self.orders.set(Order::Pause);
        self.wait("a pause", PATIENCE, |progress| {
            progress.quiet_since >= number
        })
        .await;
    }

    /// Goes on after a pause.
    pub fn resume(&self) {
        self.orders.set(Order::Publish);
    }

    /// Ends when all are acknowledged that were sent, and returns what was published.
    pub async fn stop(mut self) -> Published {
        self.pause().await;
        self.orders.set(Order::Stop);
        let thread = self.thread.take().expect("only this takes it");
        thread.join().expect("the publisher does not panic")
    }

    async fn wait(&self, expected: &str, limit: Duration, condition: impl Fn(&Progress) -> bool) {
        let mut progress = self.progress.clone();
        let waiting = progress.wait_for(|progress| condition(progress));
        let done = timeout(limit, waiting).await;
        assert!(
            done.is_ok_and(|done| done.is_ok()),
            "expected {expected} within {limit:?}, got {:?}",
            self.progress.borrow()
        );
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.orders.set(Order::Stop);
    }
}

impl Orders {
    fn set(&self, order: Order) -> u64 {
        let mut current = self.lock();
        *current = (order, current.1 + 1);
        self.changed.notify_all();
        current.1
    }

    fn lock(&self) -> MutexGuard<'_, (Order, u64)> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while there is nothing to do but to pause, a moment at most.
    fn rest(&self) {
        let order = self.lock();
        if order.0 == Order::Pause {
            drop(self.changed.wait_timeout(order, PATIENCE));
        }
    }
}

struct Worker {
    port: u16,
    plan: Plan,
    orders: Arc<Orders>,
    tell: watch::Sender<Progress>,
    published: Published,
    /// The number of the next message to send; those from `published.count` on are unacknowledged.
    sent: u64,
    next_due: Instant,
}

impl Worker {
    fn run(mut self) -> Published {
        while !self.is_over() {
            let done = Link::open(self.port).and_then(|link| self.publish(link));
            if done.is_err() {
                self.published
                    .repeated
                    .extend(self.published.count..self.sent);
                self.sent = self.published.count;
                thread::sleep(POLL);
            }
        }
        self.published
    }

    fn is_over(&self) -> bool {
        self.orders.lock().0 == Order::Stop
    }

    /// Publishes over one connection until it is told to stop.
    fn publish(&mut self, mut link: Link) -> io::Result<()> {
        loop {
            let (order, number) = *self.orders.lock();
            let unacknowledged = self.sent - self.published.count;
            if order == Order::Publish && self.sent < self.plan.count {
                self.fill_window(&mut link)?;
            } else if unacknowledged == 0 {
                self.report(number);
                if order == Order::Stop {
                    return link.stream.write_all(&DISCONNECT);
                }
                self.orders.rest();
                if order == Order::Publish {
                    // All are published; only another order is of interest.
                    thread::sleep(POLL);
                }
                continue;
            }
            self.published.count += link.pubacks()?;
            self.report(0);
        }
    }

    fn fill_window(&mut self, link: &mut Link) -> io::Result<()> {
        let mut bytes = Vec::new();
        let end = self.published.count + self.plan.window.max(1) as u64;
        while self.sent < end.min(self.plan.count) {
            if !self.plan.pace.is_zero() {
                thread::sleep(self.next_due.saturating_duration_since(Instant::now()));
                self.next_due = Instant::now() + self.plan.pace;
            }
            bytes.extend(self.message(self.sent));
            self.sent += 1;
        }
        link.stream.write_all(&bytes)
    }

    fn message(&self, number: u64) -> Vec<u8> {
        let mut payload = MARK.to_vec();
        payload.extend(format!("{number:0DIGITS$};").into_bytes());
        payload.resize(payload.len().max(self.plan.payload_bytes), b'.');
        let packet_id = u16::try_from(number % 0xFFFF + 1).expect("between 1 and 65535");
        Publish::new(&self.plan.topic, payload)
            .qos(1)
            .encode(Version::V311, packet_id)
    }

    fn report(&self, quiet_since: u64) {
        let acknowledged = self.published.count;
        self.tell.send_replace(Progress {
            acknowledged,
            quiet_since,
        });
    }
}

/// One connection.
struct Link {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Link {
    fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(loopback(port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut link = Self {
            stream,
            buffer: BytesMut::new(),
        };
        let connect = Connect::new(Version::V311, "numbers").keep_alive(0);
        link.stream.write_all(&connect.encode())?;
        link.read()?;
        Ok(link)
    }

    /// Waits for PUBACKs and returns how many came. A broker sends them in the order of the messages.
    fn pubacks(&mut self) -> io::Result<u64> {
        let mut count = u64::from(self.read()?.kind() == PUBACK);
        while let Some(packet) = Packet::split_from(&mut self.buffer) {
            count += u64::from(packet.kind() == PUBACK);
        }
        Ok(count)
    }

    fn read(&mut self) -> io::Result<Packet> {
        let mut bytes = [0; 4096];
        loop {
            if let Some(packet) = Packet::split_from(&mut self.buffer) {
                return Ok(packet);
            }
            match self.stream.read(&mut bytes)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.buffer.extend_from_slice(&bytes[..read]),
            }
        }
    }
}
