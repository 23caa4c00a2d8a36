//! What another configuration changes: decisions over two of them, without I/O.

use crate::config::{Config, Webhook};
use crate::mqtt;
use crate::spool::Backend;

/// What becomes of the webhooks that run, and of those that are wanted, each by its place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Those of the wanted that do not run.
    pub(super) added: Vec<usize>,
    /// Those that run and are not wanted.
    pub(super) removed: Vec<usize>,
    /// Those that run, and what of them is wanted otherwise.
    pub(super) changed: Vec<(usize, usize, Change)>,
    /// Those that run as they are wanted.
    pub(super) unchanged: Vec<(usize, usize)>,
}

/// How a webhook changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Other events go to it.
    Rules,
    /// Its lane goes by another configuration.
    Lane,
    /// That, and its requests are made otherwise.
    Requests,
    /// Another lane takes its place, as its deliveries are sequenced otherwise.
    Place,
    /// Another lane takes its place when this one has nothing more, as its deliveries become durable.
    Keeping,
}

impl Plan {
    /// Compares the webhooks that run with those that are wanted; says whether there `is_store` for what waits.
    pub(super) fn of(running: &[&Webhook], wanted: &[Webhook], is_store: bool) -> Self {
        let mut plan = Self::default();
        for (at, webhook) in running.iter().enumerate() {
            let Some(new) = wanted.iter().position(|new| new.name == webhook.name) else {
                plan.removed.push(at);
                continue;
            };
            match change(webhook, &wanted[new], is_store) {
                None => plan.unchanged.push((at, new)),
                Some(change) => plan.changed.push((at, new, change)),
            }
        }
        let is_new = |webhook: &Webhook| running.iter().all(|it| it.name != webhook.name);
        let new = wanted.iter().enumerate();
        plan.added = new.filter(|(_, it)| is_new(it)).map(|(at, _)| at).collect();
        plan
    }
}

/// Has webhooks that run and are durable stay so, as what waits could not follow; returns their names.
pub(super) fn keep_durable(running: &[&Webhook], wanted: &mut [Webhook]) -> Vec<String> {
    let is_kept = |new: &&mut Webhook| {
        let is_same = |old: &&&Webhook| old.name == new.name;
        !new.durable && running.iter().find(is_same).is_some_and(|it| it.durable)
    };
    let mut kept = Vec::new();
    for webhook in wanted.iter_mut().filter(is_kept) {
        webhook.durable = true;
        kept.push(webhook.name.clone());
    }
    kept
}

/// Returns how one webhook becomes the other, which is durable if it was; `None` if they mean the same.
fn change(old: &Webhook, new: &Webhook, is_store: bool) -> Option<Change> {
    if old == new {
        return None;
    }
    let may_stay = old.shaping.sequence.may_become(new.shaping.sequence);
    let as_it_was = Webhook {
        rules: new.rules.clone(),
        ..old.clone()
    };
    // A lane that has everything in memory can sequence it anew, and nobody else could get it.
    let is_stored = old.durable && is_store;
    Some(if !old.durable && new.durable {
        Change::Keeping
    } else if !may_stay && is_stored {
        Change::Place
    } else if old.http != new.http {
        Change::Requests
    } else if as_it_was == *new {
        Change::Rules
    } else {
        Change::Lane
    })
}

/// Returns the keys that differ and count at the start only.
pub(super) fn fixed(old: &Config, new: &Config) -> Vec<String> {
    let Config {
        broker,
        dialect,
        plugin_key,
        retained,
        admin,
        spool,
        devices,
        delivery_log,
        notify,
        reload: _,
        groups: _,
        written: _,
        surroundings: _,
        webhooks: _,
        shutdown_grace: _,
    } = old;
    let mut differing = of_broker(broker, &new.broker);
    let mut note = |differs: bool, key: &str| {
        if differs {
            differing.push(key.to_owned());
        }
    };
    note(*dialect != new.dialect, "broker.dialect");
    note(*retained != new.retained, "broker.retained");
    note(*plugin_key != new.plugin_key, "broker.plugin_key");
    note(*admin != new.admin, "admin.listen");
    let is_moved = spool.backend != Backend::Memory && new.spool.backend != Backend::Memory;
    let place = if is_moved {
        "spool.dir"
    } else {
        "spool.backend"
    };
    note(spool.backend != new.spool.backend, place);
    let rest = crate::spool::Config {
        backend: spool.backend.clone(),
        ..new.spool.clone()
    };
    note(*spool != rest, "spool");
    note(*devices != new.devices, "devices");
    note(*delivery_log != new.delivery_log, "delivery_log");
    note(*notify != new.notify, "notify.topic");
    differing
}

fn of_broker(old: &mqtt::Config, new: &mqtt::Config) -> Vec<String> {
    let differing = [
        (old.url != new.url, "url"),
        (old.client_id != new.client_id, "client_id"),
        (old.username != new.username, "username"),
        (old.password != new.password, "password"),
        (old.protocol != new.protocol, "protocol"),
        (old.keep_alive != new.keep_alive, "keep_alive"),
        (old.session_expiry != new.session_expiry, "session_expiry"),
        (old.clean_start != new.clean_start, "clean_start"),
        (
            old.receive_maximum != new.receive_maximum,
            "receive_maximum",
        ),
        (
            old.max_packet_size != new.max_packet_size,
            "max_packet_size",
        ),
        (
            old.connect_timeout != new.connect_timeout,
            "connect_timeout",
        ),
        (old.tls != new.tls, "tls"),
    ];
    let differing = differing.into_iter().filter(|(differs, _)| *differs);
    differing.map(|(_, key)| format!("broker.{key}")).collect()
}

#[cfg(test)]
mod tests;
