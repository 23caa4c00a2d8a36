//! The task that looks after devices: one after the other, in the order in which they were heard of.

mod rounds;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use smallvec::SmallVec;
use tokio::sync::{Notify, mpsc};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::cache::Cache;
use super::observer::Gauge;
use super::presence::Own;
use super::reckoning::Reckoning;
use super::registry::{self, Entry, Observation, Verdict};
use super::{Config, Metrics};
use crate::ack::Ticket;
use crate::debounce::{self, Debouncer, Split};
use crate::dialect::Vital;
use crate::event::{Event, Happening, Id, Timestamp};
use crate::rule::{Follower, WebhookIndex};
use crate::spool::store::Change;
use crate::spool::{Back, Later, Spool, Told};
use crate::telemetry::Throttle;

use rounds::{Absent, ROOM_AGAIN};

/// Observations that are looked up together.
const ROUND: usize = 512;

/// Bytes of the texts of a device, to be on the safe side.
const LARGE: usize = 512;

/// How often the log may say that there are too many devices.
const TOO_MANY_INTERVAL: Duration = Duration::from_mins(10);

/// Finds the webhooks that want a happening.
pub type Route = Box<dyn FnMut(&Happening) -> SmallVec<[WebhookIndex; 4]> + Send + Sync>;

/// What the registrar is told.
#[derive(Debug)]
pub(super) enum Heard {
    /// Something of a client; the ticket is its share of the message.
    Observed(Observation, Ticket),
    /// Who published something in a watch.
    Witnessed(Observation, u64),
    /// What the broker says of itself, which connections of mqhook's own are certain, and when that was heard.
    Vital(Vital, Own, Timestamp),
    /// The broker has said of itself what is not known.
    VitalsMissed,
    /// From here on nothing may have been heard for a while.
    Interrupted,
    /// All is heard that was told before a probe was made, which was then; and these connections of mqhook's own are certain.
    CaughtUp(Instant, Own),
}

/// What was heard and waits.
#[derive(Debug)]
pub struct Queue {
    /// The observer has the other end.
    pub(super) heard: mpsc::UnboundedReceiver<Heard>,
    pub(super) gauge: Arc<Gauge>,
    /// Wakes the probe.
    pub(super) probe: Arc<Notify>,
}

/// Remembers devices, and makes their events.
pub struct Registrar {
    config: Config,
    queue: Queue,
    spool: Spool,
    route: Route,
    /// The webhooks that want any event of devices.
    webhooks: Vec<WebhookIndex>,
    /// The rules that hold, where they may be replaced.
    rules: Option<Follower>,
    metrics: Metrics,
    /// Holds back what rules want only of devices that stay away.
    debouncer: Option<Debouncer>,
    cache: Cache,
    watch: u64,
    reckoning: Reckoning,
    /// Those who are found not to be connected, while they are told of.
    absent: Option<Absent>,
    /// Counts the beginnings and ends of watches, as the observer does.
    epoch: u64,
    /// Whether the broker is heard, and nothing that it had kept is still to come.
    is_listening: bool,
    /// Whether something was missed since then.
    has_missed: bool,
    /// Whether the last observation was not taken, for lack of room.
    is_full: bool,
    devices: u64,
    too_many_log: Throttle,
}

impl Registrar {
    /// Returns the registrar of a spool that is on disk; `webhooks` are those that want any of its
    /// events.
    #[must_use]
    pub fn new(
        config: Config,
        queue: Queue,
        spool: Spool,
        (route, webhooks): (Route, Vec<WebhookIndex>),
        metrics: Metrics,
    ) -> Self {
        Self {
            config,
            queue,
            spool,
            route,
            webhooks,
            rules: None,
            metrics,
            debouncer: None,
            cache: Cache::default(),
            watch: 0,
            reckoning: Reckoning::default(),
            absent: None,
            epoch: 0,
            is_listening: false,
            has_missed: false,
            is_full: false,
            devices: 0,
            too_many_log: Throttle::new(TOO_MANY_INTERVAL),
        }
    }

    /// Returns the registrar with a debouncer.
    #[must_use]
    pub fn with_debouncer(self, debouncer: Option<Debouncer>) -> Self {
        Self { debouncer, ..self }
    }

    /// Returns the registrar, which sees when rules are replaced.
    #[must_use]
    pub fn with_rules(self, rules: Follower) -> Self {
        Self {
            rules: Some(rules),
            ..self
        }
    }

    /// Takes over the rules that hold now.
    fn follow(&mut self) {
        if let Some(rules) = &mut self.rules
            && rules.catch_up()
        {
            let rules = rules.rules();
            self.webhooks = rules.device_webhooks();
            Debouncer::follow(&mut self.debouncer, rules, &self.spool, debounce::DEVICES);
        }
    }

    /// Runs until `stop`. What has not been looked at by then stays unacknowledged.
    ///
    /// # Cancel safety
    /// Dropping the future leaves what is not on disk unacknowledged.
    pub async fn run(mut self, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(Box::pin(self.work())).await;
    }

    async fn work(&mut self) {
        let Some(counts) = self.spool.device_counts().await else {
            return std::future::pending().await;
        };
        (self.watch, self.devices) = (counts.watch, counts.devices);
        self.metrics.known(self.devices);
        info!(devices = self.devices, "devices are remembered");
        self.interrupted();
        let mut sweep = time::Instant::now();
        let mut is_heard = true;
        let mut heard = Vec::with_capacity(ROUND);
        let mut look = time::Instant::now();
        let mut is_removed = true;
        let mut tell = look;
        loop {
            tokio::select! {
                count = self.queue.heard.recv_many(&mut heard, ROUND), if is_heard => {
                    // At a broker that tells nothing nobody has the other end.
                    is_heard = count > 0;
                    self.take(&mut heard).await;
                    self.queue.gauge.took(count);
                }
                () = self.spool.changed_by_others() => is_removed = true,
                () = time::sleep_until(look), if is_removed => {
                    is_removed = !self.forget_removed().await;
                    look = time::Instant::now() + ROOM_AGAIN;
                }
                () = time::sleep_until(tell), if self.absent.is_some() => {
                    tell = time::Instant::now() + self.tell_absent().await;
                }
                // What has come back meanwhile may be among what the broker has kept.
                () = time::sleep_until(sweep), if self.is_listening && self.config.retire_after.is_some() => {
                    sweep = time::Instant::now() + self.sweep().await;
                }
            }
        }
    }

    /// Takes what was heard, having looked up together what is not known here.
    async fn take(&mut self, heard: &mut Vec<Heard>) {
        let mut unknown: Vec<ByteString> = heard.iter().filter_map(Heard::id).cloned().collect();
        unknown.retain(|id| !self.cache.has(id));
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let known = self.spool.known_devices(unknown.clone()).await;
            let mut known = known.unwrap_or_default();
            for id in unknown {
                let row = known.remove(&id);
                self.cache.put(id, row);
            }
        }
        for heard in heard.drain(..) {
            match heard {
                Heard::Observed(observation, ticket) => self.observe(&observation, ticket),
                Heard::Witnessed(observation, epoch) if self.is_in_watch(epoch) => {
                    self.observe(&observation, Ticket::none());
                }
                Heard::Witnessed(..) => {}
                Heard::Vital(vital, own, at) => self.hear(vital, own, at),
                Heard::VitalsMissed => {
                    self.absent = None;
                    self.reckoning.interrupted();
                }
                Heard::Interrupted => {
                    self.epoch += 1;
                    self.is_listening = false;
                    self.reckoning.interrupted();
                    self.interrupted();
                }
                Heard::CaughtUp(probed, own) => self.caught_up(probed, own),
            }
        }
        self.cache.age();
    }

    /// Notes that all is heard that was told before a probe was made.
    fn caught_up(&mut self, probed: Instant, own: Own) {
        self.epoch += 1;
        (self.has_missed, self.is_full) = (false, false);
        let gone_since = self.reckoning.caught_up(probed, own);
        if !std::mem::replace(&mut self.is_listening, true) {
            // The broker may have kept only a part, so that what that confirms is not known.
            self.interrupted();
        } else if let Some(at) = gone_since {
            self.find_absent(at);
        }
    }

    /// Returns whether all that happened since the beginning of a watch was heard.
    fn is_in_watch(&self, epoch: u64) -> bool {
        self.epoch == epoch && self.is_listening && !self.has_missed
    }

    fn observe(&mut self, observation: &Observation, ticket: Ticket) {
        // There was room for what is awaited when it was heard.
        if !ticket.is_awaited() && !self.has_room(2) {
            self.missed();
            return self.metrics.unobserved();
        }
        self.is_full = false;
        let id = observation.client.id.as_deref().unwrap_or_default();
        let known = self.cache.get(id);
        let is_new = known.is_none();
        let verdict = registry::judge(known, observation, self.watch);
        if is_new && verdict.entry != Entry::Kept && self.devices >= self.config.max_devices {
            self.refuse();
            return ticket.settle();
        }
        self.perform(verdict, None, ticket);
    }

    /// Notes that something was missed: what is known is not any more, once for all that is missed by and by, and what is
    /// being found out is not known either.
    fn missed(&mut self) {
        self.has_missed = true;
        self.absent = None;
        self.reckoning.interrupted();
        if !std::mem::replace(&mut self.is_full, true) {
            self.interrupted();
        }
    }

    fn has_room(&self, events: usize) -> bool {
        let size = events * Event::size_with(LARGE);
        self.spool.has_room_for_device(&self.webhooks, size)
    }

    /// Says that a client is not remembered.
    fn refuse(&mut self) {
        self.metrics.unregistered();
        if let Some(held_back) = self.too_many_log.pass(time::Instant::now()) {
            let max_devices = self.config.max_devices;
            warn!(
                max_devices,
                held_back,
                "a new client is not remembered as a device, as there are too many; raise `devices.max_devices`, \
                 or set `devices.retire_after` or `devices.client_id`"
            );
        }
    }

    /// Has a verdict written, and told: under this id, if there is one.
    fn perform(&mut self, verdict: Verdict, id: Option<Id>, ticket: Ticket) {
        let change = match verdict.entry {
            Entry::Kept => return ticket.settle(),
            Entry::Written(row) => {
                if self.cache.get(&row.id).is_none() {
                    self.count(1);
                }
                self.cache.put(row.id.clone(), Some((*row).clone()));
                Change::Device(row)
            }
            Entry::Forgotten(id) => {
                self.count(-1);
                self.cache.put(id.clone(), None);
                Change::Forget { id }
            }
        };
        let told = verdict.told.into_iter();
        let mut back = Back::new();
        let events: SmallVec<[Told; 2]> =
            told.filter_map(|it| self.told(it, id, &mut back)).collect();
        let later: SmallVec<[(ByteString, Later); 2]> = events
            .iter()
            .map(|told| {
                (
                    told.event.client.id.clone().unwrap_or_default(),
                    told.later.clone(),
                )
            })
            .collect();
        let numbers = self
            .spool
            .record_taking_back(&back, [change], events, ticket);
        if let Some(debouncer) = &mut self.debouncer {
            for ((client_id, later), seq) in later.iter().zip(numbers) {
                debouncer.held_back(client_id, later, seq);
            }
        }
    }

    /// Returns the event of a happening, under this id, if there is one; `None` if nobody wants it.
    fn told(&mut self, happening: Happening, id: Option<Id>, taken: &mut Back) -> Option<Told> {
        self.follow();
        let webhooks = (self.route)(&happening);
        let at = Timestamp::now();
        let split = match &mut self.debouncer {
            Some(debouncer) => debouncer.split(&happening, &webhooks, at),
            None => Split {
                now: webhooks,
                ..Split::default()
            },
        };
        let Split { now, later, back } = split;
        taken.extend(back);
        if now.is_empty() && later.is_empty() {
            return None;
        }
        let mut event = Event::new(happening, at);
        event.id = id.unwrap_or(event.id);
        Some(Told { event, now, later })
    }

    fn count(&mut self, more: i64) {
        self.devices = self.devices.saturating_add_signed(more);
        self.metrics.known(self.devices);
    }

    /// Begins another watch: what was connected is not known to be so any more.
    fn interrupted(&mut self) {
        self.watch += 1;
        self.absent = None;
        let change = Change::Watch(self.watch);
        self.spool.record([change], [], Ticket::none());
    }
}

impl Heard {
    fn id(&self) -> Option<&ByteString> {
        match self {
            Self::Observed(observation, _) | Self::Witnessed(observation, _) => {
                observation.client.id.as_ref()
            }
            Self::Vital(..) | Self::VitalsMissed | Self::Interrupted | Self::CaughtUp(..) => None,
        }
    }
}

#[cfg(test)]
mod tests;
