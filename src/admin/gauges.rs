//! What is looked up when somebody asks for the metrics, rather than counted all along: whether mqhook is ready,
//! what the spool's database has, and the process.

use std::collections::HashSet;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::{Api, process};
use crate::event::Timestamp;
use crate::spool::store::Backlog;

/// How long the metrics wait for the database; after that they come without what it has.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Webhook {
    webhook: String,
}

/// Returns registries of what holds now.
pub(super) async fn now(api: &Api, prefix: &'static str) -> [Registry; 2] {
    let mut registry = Registry::with_prefix(prefix);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    registry.register("build", "Which mqhook this is", Info::new(version));
    gauge(
        &mut registry,
        "ready",
        "1 while events arrive and can be kept, as /ready says, otherwise 0",
        i64::from(api.health.is_ready()),
    );
    gauge(
        &mut registry,
        "spool_up",
        "1 while the spool can be written, otherwise 0",
        i64::from(api.health.spool_failure().is_none()),
    );
    if let Some(backlog) = backlog(api).await {
        of_webhooks(&mut registry, &backlog);
    }
    [registry, process::registry()]
}

/// Returns what the database has for each webhook that runs; `None` without a database, or if it does not answer.
async fn backlog(api: &Api) -> Option<Vec<Backlog>> {
    if !api.store.is_on_disk() {
        return None;
    }
    let read = api.store.read(|store| store.backlog());
    let mut backlog = tokio::time::timeout(PATIENCE, read).await.ok()?.ok()?;
    let names: HashSet<String> = api.control.webhooks().into_iter().collect();
    backlog.retain(|webhook| names.contains(&webhook.name));
    Some(backlog)
}

fn of_webhooks(registry: &mut Registry, backlog: &[Backlog]) {
    let ages: Family<Webhook, Gauge> = Family::default();
    let letters: Family<Webhook, Gauge> = Family::default();
    let bytes: Family<Webhook, Gauge> = Family::default();
    let now = Timestamp::now();
    for webhook in backlog {
        let labels = Webhook {
            webhook: webhook.name.clone(),
        };
        let age = webhook.oldest.map(|oldest| now.since(oldest).as_secs());
        set(&ages, &labels, age.unwrap_or(0));
        set(&letters, &labels, webhook.dead_letters);
        set(&bytes, &labels, webhook.dead_letter_bytes);
    }
    registry.register_with_unit(
        "oldest_event_age",
        "For how long the oldest event on disk has waited for a webhook; 0 if none waits",
        Unit::Seconds,
        ages,
    );
    registry.register(
        "dead_letters",
        "Deliveries that were given up and are kept",
        letters,
    );
    registry.register_with_unit(
        "dead_letters",
        "What dead letters take of their bound",
        Unit::Bytes,
        bytes,
    );
}

fn set(family: &Family<Webhook, Gauge>, labels: &Webhook, value: u64) {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    family.get_or_create(labels).set(value);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}
