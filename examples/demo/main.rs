//! The whole of mqhook in a few seconds: a broker, some clients, mqhook, and a receiver of webhooks.
//!
//! ```text
//! cargo run --release --example demo                  # Mosquitto if it is installed
//! cargo run --release --example demo -- --embedded    # rumqttd, inside this program
//! ```
//!
//! Every line that begins with a status code is an HTTP request that the receiver got from mqhook.
//! The exit status is 0 if every event arrived that should have.
//!
//! What a reader may want to copy is in [`start_mqhook`]: a configuration made in code, built
//! into an [`App`], run until a token is cancelled.

mod broker;
mod receiver;

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mqhook::app::App;
use mqhook::config::{Config, Webhook};
use mqhook::credential::Secret;
use mqhook::dialect;
use mqhook::event::{Kind, TopicFilter};
use mqhook::rule::Rule;
use mqhook::spool::Backend;
use support::client::{Client, Connect, Publish, Version, Will};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use broker::Broker;
use receiver::Receiver;

/// Longest wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// The kinds that the demo asks for.
const KINDS: [Kind; 5] = [
    Kind::ClientConnack,
    Kind::ClientDisconnected,
    Kind::SessionSubscribed,
    Kind::SessionUnsubscribed,
    Kind::MessagePublish,
];

#[tokio::main]
async fn main() -> ExitCode {
    let embedded = std::env::args().any(|argument| argument == "--embedded");
    // In a task, so that a client that panics fails the demo like anything else.
    match tokio::spawn(demo(embedded)).await {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("\nThe demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(embedded: bool) -> Result<()> {
    let started = Instant::now();
    let broker = Broker::start(embedded).await?;
    let receiver = Receiver::start().await?;
    let mqhook = start_mqhook(&broker, &receiver).await?;

    println!("\nRequests at http://{}/hook:\n", receiver.address);
    if broker.tells_of_clients() {
        clients_come_and_go(&broker, &receiver).await?;
    }
    messages_are_published(&broker, &receiver).await?;
    an_outage_loses_nothing(&broker, &receiver).await?;
    a_client_vanishes(&broker, &receiver).await?;

    mqhook.stop().await?;
    receiver.print_summary(started.elapsed());
    Ok(())
}

struct RunningMqhook {
    stop: CancellationToken,
    task: JoinHandle<Result<(), mqhook::app::Error>>,
}

/// Runs mqhook between the broker and the receiver, and waits until events arrive.
async fn start_mqhook(broker: &Broker, receiver: &Receiver) -> Result<RunningMqhook> {
    let mut config = Config::new();
    config.broker.url = format!("mqtt://127.0.0.1:{}", broker.port()).parse()?;
    config.broker.username = Some("mqhook".to_owned());
    config.broker.password = Some(Secret::new("hook-secret").into());
    // `None` finds out by itself which broker it faces. One that drops clients that ask for
    // `$SYS` must be called plain: it is then asked for messages only.
    config.dialect = (!broker.tells_of_clients()).then_some(dialect::Name::Plain);
    config.admin.listen = None;
    // The demo leaves nothing behind.
    config.spool.backend = Backend::Memory;

    let mut webhook = Webhook::new("demo", format!("http://{}/hook", receiver.address).parse()?);
    webhook.http.pool_size = 4;
    webhook.rules = KINDS
        .map(|kind| Rule::new(kind, TopicFilter::all()))
        .to_vec();
    config.webhooks.push(webhook);

    let app = App::new(&config)?;
    let health = app.health();
    let stop = CancellationToken::new();
    let task = tokio::spawn(app.run(stop.clone()));
    tokio::time::timeout(PATIENCE, health.ready())
        .await
        .with_context(|| format!("mqhook did not get ready: {health}"))?;
    let state = health.to_string().replace('\n', "\n          ");
    println!("mqhook    {}", state.trim_end());
    Ok(RunningMqhook { stop, task })
}

impl RunningMqhook {
    /// Stops as SIGTERM would: what was taken is delivered first.
    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }
}

async fn clients_come_and_go(broker: &Broker, receiver: &Receiver) -> Result<()> {
    act("bob's dashboard connects, subscribes, unsubscribes and leaves");
    let mut dashboard = connect(broker, "dashboard", "bob").await;
    receiver.expect("client_connack", &["dashboard"]).await?;
    dashboard.subscribe("greenhouse/#", 1).await;
    receiver
        .expect("session_subscribed", &["greenhouse/#"])
        .await?;
    dashboard.unsubscribe("greenhouse/#").await;
    receiver
        .expect("session_unsubscribed", &["greenhouse/#"])
        .await?;
    dashboard.disconnect().await;
    receiver
        .expect("client_disconnected", &["dashboard"])
        .await?;

    act("someone tries a wrong password");
    let intruder = Connect::new(Version::V5, "intruder").username("alice");
    intruder.password("guess").attempt(broker.port()).await;
    receiver.expect("client_connack", &["fail"]).await
}

async fn messages_are_published(broker: &Broker, receiver: &Receiver) -> Result<()> {
    act("alice's thermometer publishes: text, an empty payload, bytes that are not text");
    let mut thermometer = connect(broker, "thermometer", "alice").await;
    let topic = "greenhouse/1/temperature";
    thermometer.publish(&Publish::new(topic, "21.5")).await;
    thermometer
        .publish(&Publish::new("greenhouse/1/alarm", "").qos(1))
        .await;
    let raw: &[u8] = &[0xff, 0x00, 0x15];
    thermometer
        .publish(&Publish::new("greenhouse/1/raw", raw).qos(1))
        .await;
    thermometer.disconnect().await;
    let expected = ["21.5", "greenhouse/1/alarm", "/wAV"];
    receiver.expect("message_publish", &expected).await
}

async fn an_outage_loses_nothing(broker: &Broker, receiver: &Receiver) -> Result<()> {
    act("the receiver has an outage: it answers 503; events wait and are tried again");
    receiver.is_down.store(true, Ordering::Release);
    let mut thermometer = connect(broker, "thermometer", "alice").await;
    let readings = ["22.1", "22.2", "22.3"];
    for reading in readings {
        let publish = Publish::new("greenhouse/1/temperature", reading).qos(1);
        thermometer.publish(&publish).await;
    }
    thermometer.disconnect().await;
    receiver.expect_refused(3).await?;

    act("the receiver is back");
    receiver.is_down.store(false, Ordering::Release);
    receiver.expect("message_publish", &readings).await
}

async fn a_client_vanishes(broker: &Broker, receiver: &Receiver) -> Result<()> {
    act("carol's pump vanishes without a goodbye; the broker publishes its will");
    let pump = Connect::new(Version::V5, "pump").username("carol");
    let pump = pump.password("carol-secret");
    let pump = pump.will(Will::new("greenhouse/1/pump", "gone"));
    drop(pump.open(broker.port()).await);
    receiver.expect("message_publish", &["gone"]).await?;
    if broker.tells_of_clients() {
        let line = ["connection_closed"];
        receiver.expect("client_disconnected", &line).await?;
    }
    Ok(())
}

async fn connect(broker: &Broker, client_id: &str, user: &str) -> Client {
    let connect = Connect::new(Version::V5, client_id).username(user);
    let connect = connect.password(format!("{user}-secret"));
    connect.open(broker.port()).await
}

fn act(what: &str) {
    println!("--- {what}");
}
