//! mqhook inside another program: events arrive at a closure instead of at a URL.
//!
//! ```text
//! cargo run --example embed -- mqtt://127.0.0.1:1883
//! ```
//!
//! What the closure returns decides as an HTTP answer would: [`Outcome::Delivered`] settles the
//! event, [`Outcome::Retry`] brings it again later, [`Outcome::Rejected`] gives it up. A message
//! is acknowledged to the broker when its events have settled; with the `SQLite` backend, which is the
//! default, already when they are on disk.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use mqhook::app::{App, Receiver};
use mqhook::config::Config;
use mqhook::event::{Detail, Event, Kind, TopicFilter};
use mqhook::rule::Rule;
use mqhook::sink::Outcome;
use mqhook::spool::Backend;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1);
    let url = url.context("usage: embed BROKER-URL, such as mqtt://127.0.0.1:1883")?;
    // For `mqtts://` and `wss://`.
    mqhook::tls::install_provider();

    let mut config = Config::new();
    config.broker.url = url.parse().context("the argument is not a broker's URL")?;
    config.broker.client_id = String::from("mqhook-embedded");
    config.admin.listen = None;

    config.spool.backend = Backend::Memory;

    let sink = Arc::new(|event: Arc<Event>| async move {
        handle(&event);
        Outcome::Delivered
    });
    let receiver = Receiver::new("closure", rules()?, sink);
    let app = App::with_receivers(&config, vec![receiver])?;

    let health = app.health();
    tokio::spawn(async move {
        health.ready().await;
        print!("{health}");
    });

    let stop = CancellationToken::new();
    let stop_on_signal = stop.clone();
    tokio::spawn(async move {
        // If the signal cannot be waited for, stopping is all that is left to do.
        let _ = tokio::signal::ctrl_c().await;
        stop_on_signal.cancel();
    });
    Ok(app.run(stop).await?)
}

/// Returns which events the closure gets: all messages, and clients that come and go.
fn rules() -> Result<Vec<Rule>> {
    let rule = |kind, topic: &str| -> Result<Rule> {
        let topic = TopicFilter::try_from(topic)?;
        Ok(Rule::new(kind, topic))
    };
    Ok(vec![
        rule(Kind::MessagePublish, "#")?,
        rule(Kind::ClientConnected, "#")?,
        rule(Kind::ClientDisconnected, "#")?,
    ])
}

fn handle(event: &Event) {
    let client = event.client.id.as_deref().unwrap_or("?");
    match &event.detail {
        Detail::Message(message) => {
            let (topic, payload) = (&message.topic, message.payload.len());
            println!("{} {} on {topic}, {payload} bytes", event.id, event.kind);
        }
        Detail::End(end) => println!("{} {} {client}: {}", event.id, event.kind, end.reason),
        _ => println!("{} {} {client}", event.id, event.kind),
    }
}
