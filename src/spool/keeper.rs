//! The spool's thread: the only one that touches the store.

mod bounds;
mod clock;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, info};

use clock::Clock;

use super::account::Account;
use super::agenda::Work;
use super::batch::Batch;
use super::delivery::{Delivery, Hold};
use super::journal::Journal;
use super::store::{self, Change, DroppedUpTo, Loaded, Space, Store, WebhookKey, Window};
use super::{Config, Inner, WINDOW};
use crate::ack::Ticket;
use crate::causes;
use crate::event::Timestamp;
use crate::rule::WebhookIndex;
use crate::telemetry::Throttle;

/// How long after a failed commit it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often the same may be said.
const SAID: Duration = Duration::from_mins(1);

/// The most deliveries that are loaded at a time.
const LOAD: usize = WINDOW / 4;

/// Runs the store until the journal is closed.
pub(super) struct Keeper {
    pub(super) store: Store,
    pub(super) spool: Arc<Inner>,
    config: Config,
    /// A batch whose commit failed.
    failed: Option<Batch>,
    /// Whether the last thing that was tried failed.
    is_failing: bool,
    /// Whether changes of another process have been noticed and not taken over.
    has_foreign_changes: bool,
    dropped_up_to: DroppedUpTo,
    /// Deliveries that were dropped for webhooks that are not configured, and not said yet.
    dropped_of_nobody: u64,
    dropped_log: Throttle,
    full_log: Throttle,
    clock: Clock,
}

impl Keeper {
    pub(super) fn new(store: Store, spool: Arc<Inner>, config: Config) -> Self {
        Self {
            store,
            spool,
            config,
            failed: None,
            is_failing: false,
            has_foreign_changes: false,
            dropped_up_to: DroppedUpTo::default(),
            dropped_of_nobody: 0,
            dropped_log: Throttle::new(SAID),
            full_log: Throttle::new(SAID),
            clock: Clock::new(Instant::now(), Timestamp::now()),
        }
    }

    /// Runs until the journal is closed. What cannot be committed then stays unacknowledged.
    pub(super) fn run(mut self) {
        let spool = Arc::clone(&self.spool);
        let Some(journal) = &spool.journal else {
            return;
        };
        let _alarm = Alarm(&spool);
        loop {
            let work = journal.work(&spool);
            let is_commit = matches!(work, Work::Commit(_));
            let done = match work {
                Work::Commit(batch) => self.commit(journal, batch),
                Work::LoadFresh(webhook) => self.load_fresh(journal, webhook),
                Work::LoadDue(webhook) => self.load_due(journal, webhook),
                Work::Sweep => self.sweep(journal),
                Work::Look => self.look(journal),
                Work::Sleep(_) => Ok(()),
                Work::Close => return,
            };
            match done {
                Ok(()) => self.worked(),
                Err(error) => {
                    self.fail(&error);
                    let again = Some(Instant::now() + RETRY);
                    let mut agenda = journal.lock();
                    if is_commit {
                        agenda.failing_until = again;
                    } else {
                        agenda.unreadable_until = again;
                    }
                }
            }
        }
    }

    fn commit(&mut self, journal: &Journal, batch: Option<Batch>) -> Result<(), store::Error> {
        let Some(batch) = batch.or_else(|| self.failed.take()) else {
            // What failed was no commit. A small one shows whether that works.
            self.store.touch()?;
            journal.lock().touched();
            return Ok(());
        };
        match self.store.commit(&batch.changes) {
            Ok(()) => self.committed(journal, batch),
            Err(error) => {
                self.failed = Some(batch);
                Err(error)
            }
        }
    }

    fn committed(&mut self, journal: &Journal, batch: Batch) -> Result<(), store::Error> {
        // What is used is more before what waits to be written is less: there is never room that is not there.
        self.measure();
        journal.lock().committed(&self.spool, &batch);
        for accepted in &batch.accepted {
            for webhook in accepted.stored() {
                if let Some(account) = self.spool.accounts.load().get(webhook) {
                    account.metrics.waiting.left();
                }
            }
        }
        for delivery in batch.held_up {
            delivery.send();
        }
        batch.tickets.into_iter().for_each(Ticket::settle);
        let answered = self.answer(journal, batch.questions);
        let answered = answered.and(self.answer_of_devices(journal, batch.of_devices));
        let answered = answered.and(self.meet(journal, batch.requests));
        self.spool.wake_waiting();
        answered.and(self.make_room(journal))
    }

    /// Refuses further events until the store works again.
    fn fail(&mut self, failure: &store::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let failure = causes::describe(failure);
            error!(
                error = failure,
                "the spool does not work; nothing is acknowledged until it does"
            );
            self.spool.disk.set_failure(Some(failure));
        }
        self.spool.metrics.failed();
    }

    fn worked(&mut self) {
        if self.failed.is_none() && std::mem::take(&mut self.is_failing) {
            info!("the spool works again");
            self.spool.disk.set_failure(None);
            self.spool.wake_waiting();
        }
    }

    fn load_fresh(&mut self, journal: &Journal, webhook: WebhookIndex) -> Result<(), store::Error> {
        let Some((account, key)) = self.durable(webhook) else {
            return Ok(());
        };
        let after = journal.lock().stocks[webhook].loaded;
        let window = Window {
            deliveries: LOAD,
            bytes: account.free_bytes(),
        };
        let loaded = match self.store.fresh(key, after, window) {
            Err(error) => return self.pass_over(journal, key, error),
            Ok(loaded) => loaded,
        };
        let last = loaded.last().map(|loaded| loaded.seq);
        let has_more = last.is_some();
        for loaded in loaded {
            self.load((webhook, &account), loaded).send();
        }
        let mut state = journal.lock();
        if state.loaded(webhook, last, has_more) {
            account.set_spilled(false);
            self.spool.wake_waiting();
        }
        Ok(())
    }

    fn load_due(&mut self, journal: &Journal, webhook: WebhookIndex) -> Result<(), store::Error> {
        let Some((account, key)) = self.durable(webhook) else {
            return Ok(());
        };
        let mut except = journal.lock().stocks[webhook].not_to_read();
        let window = Window {
            deliveries: LOAD / 4,
            bytes: account.free_bytes(),
        };
        let mut loaded = match self.store.due(key, Timestamp::now(), &except, window) {
            Err(error) => return self.pass_over(journal, key, error),
            Ok(loaded) => loaded,
        };
        except.extend(loaded.iter().map(|loaded| loaded.seq));
        let next_due = self.store.next_due(key, &except)?;
        {
            let mut state = journal.lock();
            let stock = &mut state.stocks[webhook];
            stock.next_due = next_due;
            loaded.retain(|loaded| stock.read(loaded.seq));
        }
        for loaded in loaded {
            self.load((webhook, &account), loaded).send();
        }
        Ok(())
    }

    /// Takes away a delivery that cannot be read, so that it does not stand in the way of others.
    pub(super) fn pass_over(
        &mut self,
        journal: &Journal,
        key: WebhookKey,
        error: store::Error,
    ) -> Result<(), store::Error> {
        let store::Error::Delivery { seq, due, .. } = error else {
            return Err(error);
        };
        let error = causes::describe(&error);
        error!(
            error,
            "dropped a delivery that cannot be read; somebody else has written to the spool"
        );
        self.store.commit(&[Change::Settle {
            webhook: key,
            seq,
            due,
        }])?;
        self.dropped(journal, &vec![(key, 1)], "unreadable");
        journal.has_room();
        Ok(())
    }

    /// Returns the account of a durable webhook, and its key.
    pub(super) fn durable(&self, webhook: WebhookIndex) -> Option<(Arc<Account>, WebhookKey)> {
        let account = self.spool.accounts.of(webhook)?;
        let key = account.key()?;
        Some((account, key))
    }

    pub(super) fn load(
        &self,
        (webhook, account): (WebhookIndex, &Arc<Account>),
        loaded: Loaded,
    ) -> Delivery {
        let hold = Hold::new(&self.spool, webhook, account, loaded.event.size());
        Delivery::loaded(loaded, hold)
    }

    /// Takes over what another process has changed.
    fn look(&mut self, journal: &Journal) -> Result<(), store::Error> {
        self.measure_space(Space::has_plenty);
        self.has_foreign_changes |= self.store.changed_by_others()?;
        if !self.has_foreign_changes {
            return Ok(());
        }
        let mut result = Ok(());
        for (webhook, account) in self.spool.accounts.load().iter() {
            if let Some(key) = account.key() {
                let taken_over = self.take_over(journal, (webhook, account), key);
                result = result.and(taken_over);
            }
        }
        result?;
        self.has_foreign_changes = false;
        self.spool.foreign.notify_one();
        self.measure();
        Ok(())
    }

    fn take_over(
        &self,
        journal: &Journal,
        (webhook, account): (WebhookIndex, &Account),
        key: WebhookKey,
    ) -> Result<(), store::Error> {
        let state = self.store.state(key)?;
        let except = journal.lock().stocks[webhook].not_to_read();
        let next_due = self.store.next_due(key, &except)?;
        let mut agenda = journal.lock();
        if agenda.stocks[webhook].is_idle {
            return Ok(());
        }
        agenda.stocks[webhook].next_due = next_due;
        let is_set = |batch: &Batch| batch.sets_state(key);
        // What was set here is younger than what is on disk.
        if !is_set(&agenda.batch) && !self.failed.as_ref().is_some_and(is_set) {
            agenda.stocks[webhook].is_served = state.is_enabled();
            account.state.send_replace(state);
        }
        Ok(())
    }
}

/// Says so if the thread ends by a panic: nobody else would notice.
struct Alarm<'a>(&'a Inner);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let failure = "its thread has panicked; restart mqhook";
            self.0.disk.set_failure(Some(failure.to_owned()));
            if let Some(journal) = &self.0.journal {
                journal.lock().flushes.clear();
            }
        }
    }
}
