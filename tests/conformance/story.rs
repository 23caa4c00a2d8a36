//! A broker, mqhook beside it, and what it made of each stimulus so far.

use support::broker::Broker;
use support::client::{Publish, Version};
use support::port::free_port;
use support::receiver::Receiver;
use support::setup::complete;
use support::sidecar::Sidecar;

use crate::line::Told;

/// Every kind that a broker can tell.
const KINDS: [&str; 12] = [
    "client_connect",
    "client_connack",
    "client_connected",
    "client_disconnected",
    "client_subscribe",
    "client_unsubscribe",
    "session_subscribed",
    "session_unsubscribed",
    "session_terminated",
    "message_publish",
    "message_delivered",
    "message_acked",
];

/// Everything that runs, and the record; mqhook ends before the broker.
pub struct Story {
    sidecar: Sidecar,
    admin: u16,
    receiver: Receiver,
    pub broker: Broker,
    /// How many requests have been looked at.
    seen: usize,
    fences: u32,
    pub record: Record,
}

/// What one broker told, stimulus by stimulus.
pub struct Record {
    pub name: &'static str,
    pub version: String,
    pub dialect: &'static str,
    pub speaks: &'static [Version],
    /// Title and lines of each stimulus.
    pub stimuli: Vec<(String, Vec<String>)>,
}

impl Story {
    /// Starts mqhook beside a broker.
    pub async fn begin(broker: Broker) -> Self {
        let (receiver, admin) = (Receiver::start(), free_port());
        let config = complete(
            &config(broker.dialect),
            &format!("mqtt://127.0.0.1:{}", broker.port),
            &receiver.url(),
            admin,
        );
        let mut sidecar = Sidecar::start(env!("CARGO_BIN_EXE_mqhook"), &config, "toml");
        sidecar.wait_ready(admin).await;
        let record = Record {
            name: broker.name,
            version: broker.version.clone(),
            dialect: broker.dialect,
            speaks: broker.speaks,
            stimuli: Vec::new(),
        };
        Self {
            sidecar,
            admin,
            receiver,
            broker,
            seen: 0,
            fences: 0,
            record,
        }
    }

    /// Stops mqhook, which repeats nothing then, and starts it again.
    pub async fn restart(&mut self) {
        self.sidecar.terminate();
        self.sidecar.wait().await;
        self.sidecar.start_again();
        self.sidecar.wait_ready(self.admin).await;
    }

    /// Notes what was told since the last time, as what follows from a stimulus: first of clients, then of
    /// messages, as these come over connections of their own.
    pub async fn note(&mut self, stimulus: impl Into<String>) {
        let told = self.told().await;
        let (clients, messages): (Vec<&Told>, Vec<&Told>) =
            told.iter().partition(|told| told.is_lifecycle());
        let lines = clients.iter().chain(&messages);
        let mut lines: Vec<String> = lines.map(|told| told.line.clone()).collect();
        if !self.broker.is_ordered {
            // What mqhook remembers of a client depends on the order, too.
            for line in &mut lines {
                *line = line.replace(" connected_at=time", "");
            }
            lines.sort();
        }
        self.record.stimuli.push((stimulus.into(), lines));
    }

    /// Waits until something was told, which may come in the broker's own time.
    pub async fn wait_for(&self, is_it: impl Fn(&Told) -> bool) {
        self.receiver
            .wait_until(|requests| requests.iter().map(Told::read).any(|told| is_it(&told)))
            .await;
    }

    /// Fails if a password was told, which some brokers know.
    pub fn assert_no_password_was_told(&self) {
        for request in self.receiver.requests() {
            for password in ["right", "wrong", "secret"] {
                assert!(
                    !request.text().contains(password),
                    "a password in {request:?}"
                );
            }
        }
    }

    /// Returns what was told since the last time, fences left out.
    async fn told(&mut self) -> Vec<Told> {
        let fences = if self.broker.is_ordered { 1 } else { 3 };
        for _ in 0..fences {
            self.fence().await;
        }
        let requests = self.receiver.requests();
        let new = requests[self.seen..].iter().map(Told::read);
        self.seen = requests.len();
        let is_fence = |name: &str| name.starts_with("fence-");
        new.filter(|told| !is_fence(&told.client_id) && !is_fence(&told.topic))
            .collect()
    }

    /// Lets a client come and go, and waits until its message and its end were told, as far as the broker
    /// tells such.
    async fn fence(&mut self) {
        self.fences += 1;
        let fence = format!("fence-{}", self.fences);
        let connect = Broker::connect(self.broker.best(), &fence);
        let mut client = connect.open(self.broker.port).await;
        let message = Publish::new(&fence, "").qos(1);
        assert!(
            client.publish(&message).await < 0x80,
            "expected it to be taken"
        );
        client.disconnect().await;
        let is_end = |told: &Told| told.kind == "client_disconnected" && told.client_id == fence;
        let tells_of_clients = self.broker.dialect != "plain";
        self.receiver
            .wait_until(|requests| {
                let told: Vec<Told> = requests.iter().map(Told::read).collect();
                told.iter().any(|told| told.topic == fence)
                    && (!tells_of_clients || told.iter().any(is_end))
            })
            .await;
    }
}

/// Returns a configuration with one webhook that wants everything.
pub fn config(dialect: &str) -> String {
    let events: Vec<String> = KINDS
        .iter()
        .map(|kind| format!("{{ event = \"on_{kind}\" }}"))
        .collect();
    format!(
        "broker.dialect = \"{dialect}\"\nbroker.username = \"mqhook\"\nbroker.password = \"secret\"\n\
         [webhooks.all]\nurl = \"{{receiver}}/hook\"\npool_size = 1\nbody.format = \"json\"\n\
         events = [{}]\n",
        events.join(", ")
    )
}
