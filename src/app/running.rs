//! What runs, and how another configuration comes to hold.
//!
//! ```text
//! compare -> build what is new -> a place for each new webhook -> connections of new feeds
//!   -> the rules are replaced -> lanes change, begin and leave -> the broker is asked for what has changed
//! ```
//!
//! Until the rules are replaced anything that fails is taken back, and nothing has changed. After that nothing
//! can fail.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tracing::{info, warn};

use super::builder::{Attempts, Builder};
use super::connections::Connections;
use super::lanes::{Admitted, Lanes};
use super::live::{Command, Commands};
use super::plan::{self, Change, Plan};
use super::{Receiver, receiver};
use crate::admin::Health;
use crate::admin::control::{Applied, Refused, Wrong};
use crate::causes;
use crate::config::{Config, Webhook};
use crate::dispatch::Revision;
use crate::rule::{Rule, Rules, WebhookIndex};
use crate::spool::{AdmitError, Backend};

/// How long the spool may take to make places for webhooks.
const ADMIT: Duration = Duration::from_secs(10);

/// All that runs.
pub(super) struct Running {
    pub(super) builder: Builder,
    pub(super) lanes: Lanes,
    pub(super) connections: Connections,
    pub(super) health: Health,
    pub(super) webhooks: Vec<Place>,
    pub(super) commands: Commands,
}

/// A webhook that runs.
pub(super) struct Place {
    pub(super) index: WebhookIndex,
    pub(super) kind: Kind,
}

/// Where a webhook comes from.
pub(super) enum Kind {
    Configured(Box<Webhook>),
    /// From a program that embeds mqhook, for as long as it runs.
    Given(String, Vec<Rule>),
}

/// What takes another configuration that holds to hold.
struct Prepared {
    plan: Plan,
    /// For each of the wanted what it is attempted with, if that is new.
    receivers: Vec<Option<Receiver>>,
    /// For each of the wanted a place, if it is new.
    admitted: Vec<Option<Admitted>>,
}

impl Place {
    fn name(&self) -> &str {
        match &self.kind {
            Kind::Configured(webhook) => &webhook.name,
            Kind::Given(name, _) => name,
        }
    }

    fn rules(&self) -> &[Rule] {
        match &self.kind {
            Kind::Configured(webhook) => &webhook.rules,
            Kind::Given(_, rules) => rules,
        }
    }

    fn configured(&self) -> Option<&Webhook> {
        match &self.kind {
            Kind::Configured(webhook) => Some(webhook),
            Kind::Given(..) => None,
        }
    }
}

impl Running {
    /// Applies configurations until a task ends that should not.
    pub(super) async fn run(&mut self) -> Option<JoinError> {
        loop {
            let command = tokio::select! {
                ended = self.lanes.failed(&self.builder) => return ended,
                ended = self.connections.failed(&self.builder, &self.health) => return ended,
                Some(command) = self.commands.queue.recv() => command,
            };
            let Command { config, answer } = command;
            let applied = self.apply(*config).await;
            // Who asked may have gone.
            let _ = answer.send(applied);
        }
    }

    /// Tells others which webhooks there are.
    pub(super) fn tell(&self) {
        let names = self.webhooks.iter().map(|place| place.name().to_owned());
        self.commands.webhooks.send_replace(names.collect());
        let watches = self.builder.config.reload.watch;
        self.commands
            .watches
            .send_if_modified(|known| std::mem::replace(known, watches) != watches);
    }

    async fn apply(&mut self, mut config: Config) -> Result<Applied, Refused> {
        let keys = plan::fixed(&self.builder.config, &config);
        if !keys.is_empty() {
            return Err(Refused::Restart { keys });
        }
        let mut wanted = std::mem::take(&mut config.webhooks);
        let running = self.configured();
        let stay_durable = plan::keep_durable(&running, &mut wanted);
        for webhook in &stay_durable {
            warn!(
                webhook,
                "it stays durable until mqhook starts anew, as what waits for it is"
            );
        }
        self.check_devices(&wanted)?;
        let prepared = self.prepare(&wanted).await?;
        let applied = Applied {
            stay_durable,
            ..applied(&self.webhooks, &wanted, &prepared.plan)
        };
        let webhooks = self.places(wanted, &prepared);
        let rules = self.compile(&webhooks);
        self.connections.prepare(&self.builder, &rules).await;
        self.builder.config = config;
        self.builder.rules.replace(rules);
        let before = std::mem::replace(&mut self.webhooks, webhooks);
        self.follow(&before, prepared);
        self.connections.follow(&self.builder).await;
        self.connections.report(&self.health);
        self.tell();
        info!(
            added = ?applied.added,
            changed = ?applied.changed,
            removed = ?applied.removed,
            unchanged = applied.unchanged,
            "another configuration is in use"
        );
        Ok(applied)
    }

    fn configured(&self) -> Vec<&Webhook> {
        let places = self.webhooks.iter();
        places.filter_map(Place::configured).collect()
    }

    /// Checks that devices are remembered if a webhook wants to know of them.
    fn check_devices(&self, wanted: &[Webhook]) -> Result<(), Refused> {
        let is_device = |rule: &Rule| rule.kind.is_device();
        let wants = wanted.iter().any(|it| it.rules.iter().any(is_device));
        let wanted_before = self
            .webhooks
            .iter()
            .any(|it| it.rules().iter().any(is_device));
        if !wants || wanted_before || self.connections.has_devices {
            return Ok(());
        }
        let keys = vec!["devices.enabled".to_owned()];
        Err(Refused::Restart { keys })
    }

    async fn prepare(&self, wanted: &[Webhook]) -> Result<Prepared, Refused> {
        let running = self.configured();
        let is_store = self.builder.config.spool.backend != Backend::Memory;
        let plan = Plan::of(&running, wanted, is_store);
        let changed = plan.changed.iter();
        let new_requests = changed.filter(|(.., change)| *change != Change::Rules);
        let is_built: Vec<usize> = plan
            .added
            .iter()
            .copied()
            .chain(new_requests.map(|(_, new, _)| *new))
            .collect();
        let receivers = build(wanted, &is_built).await?;
        let changed = plan.changed.iter();
        let replaced =
            changed.filter(|(.., change)| matches!(change, Change::Place | Change::Keeping));
        let new = plan.added.iter().copied().chain(replaced.map(|it| it.1));
        let admitted = self.admit(&receivers, new).await?;
        Ok(Prepared {
            plan,
            receivers,
            admitted,
        })
    }

    /// Has the spool make places for the new of the webhooks.
    async fn admit(
        &self,
        receivers: &[Option<Receiver>],
        new: impl Iterator<Item = usize>,
    ) -> Result<Vec<Option<Admitted>>, Refused> {
        let mut admitted: Vec<Option<Admitted>> = receivers.iter().map(|_| None).collect();
        for at in new {
            let Some(receiver) = &receivers[at] else {
                continue;
            };
            let place = receiver.to_spool();
            let admitting = self.builder.spool.admit(&place);
            match tokio::time::timeout(ADMIT, admitting).await {
                Ok(Ok((index, queue))) => {
                    admitted[at] = Some(Admitted {
                        index,
                        place,
                        queue,
                    });
                }
                failed => {
                    self.take_back(admitted);
                    return Err(no_place(&place.name, failed.ok().and_then(Result::err)));
                }
            }
        }
        Ok(admitted)
    }

    fn take_back(&self, admitted: Vec<Option<Admitted>>) {
        for Admitted { index, .. } in admitted.into_iter().flatten() {
            let spool = self.builder.spool.clone();
            // It ends with the spool.
            tokio::spawn(async move { spool.close(index).await });
        }
    }

    /// Returns where the wanted webhooks run, and those that always do.
    fn places(&self, wanted: Vec<Webhook>, prepared: &Prepared) -> Vec<Place> {
        let running: Vec<&Place> = self.webhooks.iter().collect();
        let index_of = |at: usize, name: &str| {
            let admitted = prepared.admitted[at].as_ref();
            let known = running.iter().find(|place| place.name() == name);
            admitted.map_or_else(|| Some(known?.index), |it| Some(it.index))
        };
        let mut places = Vec::new();
        for (at, mut webhook) in wanted.into_iter().enumerate() {
            if let Some(index) = index_of(at, &webhook.name) {
                webhook.durable |= self.builder.spool.is_durable(index);
                let kind = Kind::Configured(Box::new(webhook));
                places.push(Place { index, kind });
            }
        }
        for place in &self.webhooks {
            if let Kind::Given(name, rules) = &place.kind {
                let kind = Kind::Given(name.clone(), rules.clone());
                places.push(Place {
                    index: place.index,
                    kind,
                });
            }
        }
        places
    }

    fn compile(&self, webhooks: &[Place]) -> Arc<Rules> {
        let named = webhooks.iter();
        let named = named.map(|place| (place.index, place.name(), place.rules()));
        self.builder.compile(named)
    }

    /// Has the lanes follow what the rules say already.
    fn follow(&mut self, before: &[Place], prepared: Prepared) {
        let Prepared {
            plan,
            mut receivers,
            mut admitted,
        } = prepared;
        let before: Vec<&Place> = before
            .iter()
            .filter(|it| it.configured().is_some())
            .collect();
        let spool = &self.builder.spool;
        for at in plan.removed {
            self.lanes
                .remove(spool, before[at].index, before[at].name());
            self.builder.left(before[at].name());
        }
        for (at, new, change) in plan.changed {
            let Some(receiver) = &receivers[new] else {
                continue;
            };
            let Attempts { config, sink } = receiver.attempts();
            let sink = Some(sink).filter(|_| change != Change::Lane);
            let revision = Revision { config, sink };
            let (index, name) = (before[at].index, before[at].name());
            match change {
                Change::Rules => {}
                Change::Lane | Change::Requests => self.lanes.revise(index, revision),
                Change::Place => self.lanes.replace(spool, index, name, revision),
                Change::Keeping => self.lanes.finish(spool, index, name, revision),
            }
        }
        for (receiver, admitted) in receivers.iter_mut().zip(&mut admitted) {
            if let (Some(receiver), Some(admitted)) = (receiver.take(), admitted.take()) {
                self.lanes.begin(spool, admitted, receiver.attempts());
            }
        }
    }
}

/// Builds some of the webhooks on a thread where reading files keeps nobody waiting.
async fn build(wanted: &[Webhook], is_built: &[usize]) -> Result<Vec<Option<Receiver>>, Refused> {
    let of = |(at, webhook): (usize, &Webhook)| is_built.contains(&at).then(|| webhook.clone());
    let webhooks: Vec<_> = wanted.iter().enumerate().map(of).collect();
    let making = tokio::task::spawn_blocking(move || {
        let mut wrong = Vec::new();
        let mut receiver_of = |webhook: Webhook| {
            let made = receiver(webhook);
            made.map_err(|error| wrong.push(causes::describe(&error)))
                .ok()
        };
        let made: Vec<_> = webhooks
            .into_iter()
            .map(|webhook| webhook.and_then(&mut receiver_of))
            .collect();
        (made, wrong)
    });
    let made = making.await;
    let (made, wrong) = made.map_err(|error| Refused::Unusable(error.to_string()))?;
    if wrong.is_empty() {
        return Ok(made);
    }
    let wrong = wrong.into_iter().map(|what| Wrong {
        place: None,
        what,
        help: None,
    });
    Err(Refused::Wrong(wrong.collect()))
}

fn no_place(webhook: &str, error: Option<AdmitError>) -> Refused {
    let why = match error {
        Some(error) => error.to_string(),
        None => "find a place for it, as the spool does not answer".to_owned(),
    };
    Refused::Unusable(format!("the webhook `{webhook}`: cannot {why}"))
}

fn applied(running: &[Place], wanted: &[Webhook], plan: &Plan) -> Applied {
    let running: Vec<&Webhook> = running.iter().filter_map(Place::configured).collect();
    let names = |at: &[usize], of: &dyn Fn(usize) -> String| at.iter().map(|&at| of(at)).collect();
    let changed = plan
        .changed
        .iter()
        .map(|(_, new, _)| wanted[*new].name.clone());
    Applied {
        added: names(&plan.added, &|at| wanted[at].name.clone()),
        changed: changed.collect(),
        removed: names(&plan.removed, &|at| running[at].name.clone()),
        unchanged: plan.unchanged.len(),
        stay_durable: Vec::new(),
    }
}
