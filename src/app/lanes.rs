//! The lanes of the webhooks: they begin, change and leave while others go on.
//!
//! ```text
//! admitted -> waits for the one whose place it takes -> begins -> runs -> leaves -> closed
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::builder::{Attempts, Builder};
use crate::dispatch::{Orders, Revision};
use crate::rule::WebhookIndex;
use crate::spool::{self, Queue, Spool};

/// The lanes that run, and those that are about to.
pub(super) struct Lanes {
    running: JoinSet<WebhookIndex>,
    orders: HashMap<WebhookIndex, Orders>,
    /// Webhooks that were admitted and whose lanes have not begun.
    waiting: HashMap<WebhookIndex, Waiting>,
    /// Those that leave; of one name at most one is the last.
    leaving: HashMap<WebhookIndex, Leaving>,
    last: HashMap<String, WebhookIndex>,
    /// What the spool does for them.
    chores: JoinSet<Chore>,
    closing: CancellationToken,
}

/// A webhook whose lane has not begun.
struct Waiting {
    attempts: Attempts,
    place: spool::Webhook,
    /// None while the spool prepares it.
    queue: Option<Queue>,
    /// Whose place it takes, if that has not been given up.
    after: Option<WebhookIndex>,
    leaves: bool,
}

/// A webhook whose place is given up.
struct Leaving {
    name: String,
    /// Whether its lane ends all that it has before.
    finishes: bool,
}

enum Chore {
    Closed(WebhookIndex),
    Begun(WebhookIndex, Queue),
}

/// A webhook that has a place in the spool.
pub(super) struct Admitted {
    pub(super) index: WebhookIndex,
    pub(super) place: spool::Webhook,
    pub(super) queue: Queue,
}

impl Lanes {
    pub(super) fn new(closing: CancellationToken) -> Self {
        Self {
            running: JoinSet::new(),
            orders: HashMap::new(),
            waiting: HashMap::new(),
            leaving: HashMap::new(),
            last: HashMap::new(),
            chores: JoinSet::new(),
            closing,
        }
    }

    /// Has a lane run whose webhook has begun.
    pub(super) fn run(
        &mut self,
        builder: &Builder,
        index: WebhookIndex,
        attempts: Attempts,
        queue: Queue,
    ) {
        let lane = builder.lane(index, attempts, queue);
        self.orders.insert(index, lane.orders());
        let closing = self.closing.clone();
        self.running.spawn(async move {
            lane.run(closing).await;
            index
        });
    }

    /// Has the lane of a webhook run as soon as it can: behind one of the same name that leaves.
    pub(super) fn begin(&mut self, spool: &Spool, admitted: Admitted, attempts: Attempts) {
        let Admitted {
            index,
            place,
            queue,
        } = admitted;
        let after = self.last.get(&place.name).copied();
        let waiting = Waiting {
            attempts,
            place,
            queue: Some(queue),
            after,
            leaves: false,
        };
        self.waiting.insert(index, waiting);
        if after.is_none() {
            self.prepare(spool, index);
        }
    }

    fn prepare(&mut self, spool: &Spool, index: WebhookIndex) {
        let Some(waiting) = self.waiting.get_mut(&index) else {
            return;
        };
        waiting.after = None;
        if waiting.leaves {
            if let Some(queue) = self.waiting.remove(&index).and_then(|it| it.queue) {
                queue.discard();
            }
            return self.close(spool, index);
        }
        if let Some(mut queue) = waiting.queue.take() {
            let (spool, place) = (spool.clone(), waiting.place.clone());
            self.chores.spawn(async move {
                spool.begin(index, &place, &mut queue).await;
                Chore::Begun(index, queue)
            });
        }
    }

    /// Has a lane go by another configuration, and those whose places it waits for: they may have to finish first.
    pub(super) fn revise(&mut self, index: WebhookIndex, revision: Revision) {
        if let Some(waiting) = self.waiting.get_mut(&index) {
            waiting.attempts.config = revision.config.clone();
            if let Some(sink) = &revision.sink {
                waiting.attempts.sink = Arc::clone(sink);
            }
            if let Some(before) = waiting.after {
                self.revise(before, revision);
            }
        } else if let Some(orders) = self.orders.get(&index) {
            orders.revise(revision);
        }
    }

    /// Has a webhook's place be given up when its lane has ended all that it has, as another configuration says.
    pub(super) fn finish(
        &mut self,
        spool: &Spool,
        index: WebhookIndex,
        name: &str,
        revision: Revision,
    ) {
        self.revise(index, revision);
        self.give_up(spool, index, name, true);
        if let Some(orders) = self.orders.get(&index) {
            orders.finish();
        }
    }

    /// Has a webhook leave whose place another takes, as another configuration says.
    pub(super) fn replace(
        &mut self,
        spool: &Spool,
        index: WebhookIndex,
        name: &str,
        revision: Revision,
    ) {
        if self.waiting.contains_key(&index) {
            // What it waits for goes by that.
            self.revise(index, revision);
        }
        self.leave(spool, index, name);
    }

    /// Has a webhook leave that has gone, and those of its name that have not given up their places yet.
    pub(super) fn remove(&mut self, spool: &Spool, index: WebhookIndex, name: &str) {
        let mut before = self.waiting.get(&index).and_then(|it| it.after);
        while let Some(index) = before {
            before = self.waiting.get(&index).and_then(|it| it.after);
            self.leave(spool, index, name);
        }
        self.leave(spool, index, name);
    }

    /// Has a webhook leave: its lane ends what is under way, and then its place is given up.
    pub(super) fn leave(&mut self, spool: &Spool, index: WebhookIndex, name: &str) {
        self.give_up(spool, index, name, false);
        if let Some(waiting) = self.waiting.get_mut(&index) {
            // It has the place until the one before it has given it up.
            waiting.leaves = true;
        } else if let Some(orders) = self.orders.get(&index) {
            orders.leave();
        }
    }

    fn give_up(&mut self, spool: &Spool, index: WebhookIndex, name: &str, finishes: bool) {
        spool.leave(index);
        let name = name.to_owned();
        self.last.insert(name.clone(), index);
        self.leaving.insert(index, Leaving { name, finishes });
    }

    fn finishes(&self, index: WebhookIndex) -> bool {
        self.leaving.get(&index).is_some_and(|it| it.finishes)
    }

    fn close(&mut self, spool: &Spool, index: WebhookIndex) {
        let spool = spool.clone();
        self.chores.spawn(async move {
            spool.close(index).await;
            Chore::Closed(index)
        });
    }

    /// Waits until a lane has ended that should not have.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn failed(&mut self, builder: &Builder) -> Option<JoinError> {
        let spool = &builder.spool;
        loop {
            tokio::select! {
                Some(ended) = self.running.join_next() => match ended {
                    Ok(index) if self.leaving.contains_key(&index) => {
                        self.orders.remove(&index);
                        self.close(spool, index);
                    }
                    ended => return ended.err(),
                },
                Some(done) = self.chores.join_next() => match done {
                    Ok(Chore::Closed(index)) => self.closed(builder, index),
                    Ok(Chore::Begun(index, queue)) => self.begun(builder, index, queue),
                    Err(error) => return Some(error),
                },
                else => return std::future::pending().await,
            }
        }
    }

    fn closed(&mut self, builder: &Builder, index: WebhookIndex) {
        let mut waiting = self.waiting.iter();
        let next = waiting.find(|(_, waiting)| waiting.after == Some(index));
        let next = next.map(|(next, _)| *next);
        if let Some(Leaving { name, .. }) = self.leaving.remove(&index)
            && self.last.get(&name) == Some(&index)
        {
            self.last.remove(&name);
            if next.is_none() {
                builder.forget(&name);
            }
        }
        if let Some(next) = next {
            self.prepare(&builder.spool, next);
        }
    }

    fn begun(&mut self, builder: &Builder, index: WebhookIndex, queue: Queue) {
        let Some(waiting) = self.waiting.remove(&index) else {
            return;
        };
        if waiting.leaves {
            queue.discard();
            self.close(&builder.spool, index);
        } else {
            self.run(builder, index, waiting.attempts, queue);
            if self.finishes(index)
                && let Some(orders) = self.orders.get(&index)
            {
                orders.finish();
            }
        }
    }

    /// Waits until all lanes have ended.
    pub(super) async fn drain(&mut self) {
        while self.running.join_next().await.is_some() {}
    }

    /// Ends at once what is left.
    pub(super) async fn end(mut self) {
        self.chores.shutdown().await;
        self.running.shutdown().await;
    }
}
