//! The connections to the broker that the rules need: they come and go with these.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::builder::Builder;
use crate::admin::{Health, Watched};
use crate::devices::{Observer, Registrar, Witnesses};
use crate::intake::Hearsay;
use crate::mqtt::{Announcer, Orders, Status};
use crate::rule::{Feed, Follower, Rules};

/// How long a change waits for the broker to answer: others wait for the change.
const PATIENCE: Duration = Duration::from_secs(3);

/// The tasks that talk with the broker.
pub(super) struct Connections {
    tasks: JoinSet<Ended>,
    /// Tasks that have not begun, as nothing runs yet; in a lock that nobody waits for, as others may look at the rest.
    prepared: Mutex<Option<Vec<Task>>>,
    feeds: Vec<FeedConnection>,
    lifecycle: Option<LifecycleConnection>,
    /// Whether devices are remembered, so that what the broker tells is needed always.
    pub(super) has_devices: bool,
    /// Makes those who see which devices publish, if devices are remembered.
    witnesses: Option<Witnesses>,
    disconnect: CancellationToken,
}

type Task = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// A task that has ended.
enum Ended {
    Feed(Option<String>),
    Lifecycle,
    /// What was to end it.
    Probe(CancellationToken),
    Other,
}

struct FeedConnection {
    group: Option<String>,
    orders: Orders,
    watched: Watched,
    is_leaving: bool,
    /// Whether it has left, and its task is to be joined only.
    has_left: bool,
}

struct LifecycleConnection {
    orders: Orders,
    watched: Watched,
    hearsay: watch::Receiver<Hearsay>,
    /// Ends the probe.
    probing: CancellationToken,
    is_leaving: bool,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            prepared: Mutex::new(Some(Vec::new())),
            feeds: Vec::new(),
            lifecycle: None,
            has_devices: false,
            witnesses: None,
            disconnect: CancellationToken::new(),
        }
    }

    /// Prepares those that the first rules need.
    pub(super) fn prepare_all(
        &mut self,
        builder: &Builder,
        announcer: Option<Announcer>,
        registrar: Option<(Registrar, Observer)>,
    ) {
        if let Some(announcer) = announcer {
            let run = announcer.run(self.disconnect.clone());
            self.spawn(run, Ended::Other);
        }
        self.has_devices = registrar.is_some();
        let mut observer = None;
        if let Some((registrar, sees)) = registrar {
            self.witnesses = Some(sees.witnesses());
            observer = Some(sees);
            let run = registrar.run(self.disconnect.clone());
            self.spawn(run, Ended::Other);
        }
        let rules = builder.rules.rules();
        for feed in rules.feeds() {
            self.begin_feed(builder, builder.rules.follow(), feed);
        }
        if self.wants_lifecycle(builder, &rules) {
            self.begin_lifecycle(builder, observer);
        }
    }

    fn spawn(&mut self, run: impl Future<Output = ()> + Send + 'static, ended: Ended) {
        let task = async move {
            run.await;
            ended
        };
        match self.prepared() {
            Some(prepared) => prepared.push(Box::pin(task)),
            None => drop(self.tasks.spawn(task)),
        }
    }

    fn prepared(&mut self) -> &mut Option<Vec<Task>> {
        let prepared = self.prepared.get_mut();
        prepared.unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts what was prepared.
    pub(super) fn start(&mut self) {
        for task in self.prepared().take().into_iter().flatten() {
            self.tasks.spawn(task);
        }
    }

    fn begin_feed(&mut self, builder: &Builder, rules: Follower, feed: &Arc<Feed>) {
        let (connection, watched) = builder.messages(rules, feed, self.witnesses.as_ref());
        let group = feed.group().map(str::to_owned);
        self.feeds.push(FeedConnection {
            group: group.clone(),
            orders: connection.orders.clone(),
            watched,
            is_leaving: false,
            has_left: false,
        });
        let run = connection.run(self.disconnect.clone());
        self.spawn(run, Ended::Feed(group));
    }

    fn begin_lifecycle(&mut self, builder: &Builder, observer: Option<Observer>) {
        let (connection, probe, watched) = builder.lifecycle(observer);
        let probing = self.disconnect.child_token();
        self.lifecycle = Some(LifecycleConnection {
            orders: connection.orders.clone(),
            watched,
            hearsay: probe.hearsay.subscribe(),
            probing: probing.clone(),
            is_leaving: false,
        });
        self.spawn(connection.run(self.disconnect.clone()), Ended::Lifecycle);
        self.spawn(probe.run(probing.clone()), Ended::Probe(probing));
    }

    /// Starts connections for feeds that rules have that will be the next to hold, and waits a while until
    /// they are subscribed: what moves from one feed to another is then missed by neither.
    pub(super) async fn prepare(&mut self, builder: &Builder, next: &Arc<Rules>) {
        self.see_off(next).await;
        let mut statuses = Vec::new();
        for feed in next.feeds() {
            if self.feed(feed.group()).is_none() {
                let rules = builder.rules.ahead(Arc::clone(next));
                self.begin_feed(builder, rules, feed);
                let begun = self.feeds.last().map(|it| it.watched.status.clone());
                statuses.extend(begun);
            }
        }
        let is_reachable = |feed: &FeedConnection| is_connected(&feed.watched.status.borrow());
        if statuses.is_empty() || !self.feeds.iter().any(is_reachable) {
            return;
        }
        // A connection that has ended is never ready.
        let subscribed = statuses
            .iter_mut()
            .map(|it| async { drop(it.wait_for(Status::is_ready).await) });
        let _ = tokio::time::timeout(PATIENCE, join_all(subscribed)).await;
    }

    /// Waits a while until those have ended that are about to and are needed again: what takes over from others must
    /// be there before these leave.
    async fn see_off(&mut self, next: &Rules) {
        let is_needed = |feed: &&mut FeedConnection| {
            let is_wanted = next.feed(feed.group.as_deref()).is_some();
            is_wanted && feed.is_leaving && !feed.has_left && !feed.orders.stay()
        };
        let leaving = self.feeds.iter_mut().filter(is_needed).map(|feed| async {
            let is_over = |status: &Status| *status == Status::Stopped;
            // One that tells nothing any more has ended, too.
            let _ = feed.watched.status.wait_for(is_over).await;
            feed.has_left = true;
        });
        let _ = tokio::time::timeout(PATIENCE, join_all(leaving)).await;
    }

    /// Has the connections follow the rules that hold now, and waits a while until the broker has answered.
    pub(super) async fn follow(&mut self, builder: &Builder) {
        let answers = self.reconcile(builder);
        let _ = tokio::time::timeout(PATIENCE, join_all(answers)).await;
        // Not before what takes their place is there.
        let answers = self.retire(builder);
        let _ = tokio::time::timeout(PATIENCE, join_all(answers)).await;
    }

    /// Begins and changes connections; returns what resolves when the broker has answered.
    fn reconcile(&mut self, builder: &Builder) -> Vec<oneshot::Receiver<()>> {
        let rules = builder.rules.rules();
        let mut answers = Vec::new();
        for feed in rules.feeds() {
            let Some(known) = self.feed(feed.group()) else {
                self.begin_feed(builder, builder.rules.follow(), feed);
                continue;
            };
            // One that is about to end begins anew when it has.
            let stays = !known.is_leaving || known.orders.stay();
            known.is_leaving = !stays;
            let answered = stays.then(|| known.orders.change());
            let is_connected = is_connected(&known.watched.status.borrow());
            answers.extend(answered.filter(|_| is_connected));
        }
        if self.lifecycle.is_none() && self.wants_lifecycle(builder, &rules) {
            self.begin_lifecycle(builder, None);
        }
        answers
    }

    /// Has those leave that no rule needs any more; returns what resolves when the broker sends them nothing
    /// more.
    fn retire(&mut self, builder: &Builder) -> Vec<oneshot::Receiver<()>> {
        let rules = builder.rules.rules();
        let mut answers = Vec::new();
        let is_gone = |feed: &&mut FeedConnection| rules.feed(feed.group.as_deref()).is_none();
        for known in self.feeds.iter_mut().filter(is_gone) {
            known.is_leaving = true;
            let answered = known.orders.leave();
            let is_connected = is_connected(&known.watched.status.borrow());
            answers.extend(Some(answered).filter(|_| is_connected));
        }
        let is_wanted = self.wants_lifecycle(builder, &rules);
        // One that is wanted again while it leaves begins anew when it has left.
        if let Some(known) = self.lifecycle.as_mut().filter(|_| !is_wanted) {
            known.is_leaving = true;
            known.probing.cancel();
            drop(known.orders.leave());
        }
        answers
    }

    /// Returns whether what the broker tells of its clients is of any use.
    fn wants_lifecycle(&self, builder: &Builder, rules: &Rules) -> bool {
        !builder.is_plain() && (self.has_devices || !rules.lifecycle_kinds().is_empty())
    }

    fn feed(&mut self, group: Option<&str>) -> Option<&mut FeedConnection> {
        let mut feeds = self.feeds.iter_mut();
        feeds.find(|feed| feed.group.as_deref() == group && !feed.has_left)
    }

    /// Waits until a task has ended that should not have; those that were told to leave are replaced if they
    /// are needed again.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn failed(&mut self, builder: &Builder, health: &Health) -> Option<JoinError> {
        loop {
            match self.tasks.join_next().await {
                None => return std::future::pending().await,
                Some(Err(error)) => return Some(error),
                Some(Ok(ended)) => {
                    if !self.has_left(&ended) {
                        return None;
                    }
                    drop(self.reconcile(builder));
                    drop(self.retire(builder));
                    self.report(health);
                }
            }
        }
    }

    /// Forgets a connection that has ended; returns whether it was told to.
    fn has_left(&mut self, ended: &Ended) -> bool {
        match ended {
            Ended::Other => false,
            Ended::Probe(told) => told.is_cancelled(),
            Ended::Lifecycle => self.lifecycle.take_if(|it| it.is_leaving).is_some(),
            Ended::Feed(group) => {
                // The one that began first, as another may have begun and leave, too.
                let is_it = |feed: &FeedConnection| feed.is_leaving && feed.group == *group;
                let left = self.feeds.iter().position(is_it);
                left.map(|at| self.feeds.remove(at)).is_some()
            }
        }
    }

    /// Tells of the connections that are to be there.
    pub(super) fn report(&self, health: &Health) {
        let feeds = self.feeds.iter().filter(|feed| !feed.is_leaving);
        let mut watched: Vec<Watched> = feeds.map(|feed| feed.watched.clone()).collect();
        let lifecycle = self.lifecycle.as_ref().filter(|it| !it.is_leaving);
        watched.extend(lifecycle.map(|it| it.watched.clone()));
        health.watch(watched, lifecycle.map(|it| it.hearsay.clone()));
    }

    /// Disconnects, and waits until all have ended.
    pub(super) async fn end(mut self) {
        self.disconnect.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Returns whether the broker is there, so that it is worth to wait for its answer.
fn is_connected(status: &Status) -> bool {
    match status {
        Status::Subscribed(_) | Status::Subscribing | Status::Full => true,
        Status::Connecting | Status::Waiting(_) | Status::Stopped => false,
    }
}
