//! The spool's thread: the only one that touches the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::agenda::{Agenda, Work};
use super::batch::Batch;
use super::delivery::{Delivery, Hold};
use super::journal::Journal;
use super::store::{self, Change, Dropped, Loaded, Seq, Store, WebhookKey, Window};
use super::{Config, Inner, OnFull, WINDOW};
use crate::causes;
use crate::event::Timestamp;
use crate::rule::WebhookIndex;

/// How long after a failed commit it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The most deliveries that are loaded at a time.
const LOAD: usize = WINDOW / 4;

/// Rows that one transaction of a sweep removes.
const SWEPT: usize = 1_000;

/// Dead letters that one transaction of a sweep removes.
const TRIMMED: usize = 1_000;

/// Runs the store until the journal is closed.
pub(super) struct Keeper {
    store: Store,
    spool: Arc<Inner>,
    config: Config,
    keys: Vec<Option<WebhookKey>>,
    /// A batch whose commit failed.
    failed: Option<Batch>,
}

impl Keeper {
    pub(super) const fn new(
        store: Store,
        spool: Arc<Inner>,
        config: Config,
        keys: Vec<Option<WebhookKey>>,
    ) -> Self {
        Self {
            store,
            spool,
            config,
            keys,
            failed: None,
        }
    }

    /// Runs until the journal is closed. What cannot be committed then stays unacknowledged.
    pub(super) fn run(mut self) {
        let spool = Arc::clone(&self.spool);
        let Some(journal) = &spool.journal else {
            return;
        };
        loop {
            let done = match journal.work(&spool) {
                Work::Commit(batch) => {
                    self.commit(journal, batch);
                    Ok(())
                }
                Work::LoadFresh(webhook) => self.load_fresh(journal, webhook),
                Work::LoadDue(webhook) => self.load_due(journal, webhook),
                Work::Sweep => self.sweep(journal),
                Work::Look => self.look(journal),
                Work::Sleep(_) => Ok(()),
                Work::Close => return,
            };
            if let Err(error) = done {
                self.fail(journal, &error);
            }
        }
    }

    fn commit(&mut self, journal: &Journal, batch: Option<Batch>) {
        let Some(batch) = batch.or_else(|| self.failed.take()) else {
            // A read had failed.
            self.recovered(&mut journal.lock());
            return;
        };
        match self.store.commit(&batch.changes) {
            Ok(()) => self.committed(journal, batch),
            Err(error) => {
                self.failed = Some(batch);
                self.fail(journal, &error);
            }
        }
    }

    fn committed(&mut self, journal: &Journal, batch: Batch) {
        {
            let mut state = journal.lock();
            self.recovered(&mut state);
            state.committed(&self.spool, &batch);
        }
        self.measure();
        for accepted in &batch.accepted {
            for webhook in accepted.stored() {
                self.spool.accounts[webhook].metrics.waiting.left();
            }
        }
        for delivery in batch.held_up {
            delivery.send();
        }
        self.make_room(journal);
    }

    /// Refuses further events until a commit succeeds.
    fn fail(&mut self, journal: &Journal, failure: &store::Error) {
        let mut state = journal.lock();
        if state.failing_until.is_none() {
            let failure = causes::describe(failure);
            error!(
                error = failure,
                "the spool cannot be written; nothing is acknowledged until it can"
            );
            self.spool.disk.set_failure(Some(failure));
        }
        self.spool.metrics.failed();
        state.failing_until = Some(Instant::now() + RETRY);
    }

    fn recovered(&self, state: &mut Agenda) {
        if state.failing_until.take().is_some() {
            info!("the spool can be written again");
            self.spool.disk.set_failure(None);
            self.spool.wake_waiting();
        }
    }

    /// Looks how much is on disk. What fails here is not worth a word: the next commit shows it.
    fn measure(&mut self) {
        for (key, deliveries) in self.store.waiting().unwrap_or_default() {
            if let Some(webhook) = self.keys.iter().position(|&known| known == Some(key)) {
                let waiting = &self.spool.accounts[webhook].metrics.waiting;
                waiting.set_on_disk(deliveries);
            }
        }
        if let Ok(used) = self.store.used_bytes() {
            self.spool.metrics.used(used);
            if self.spool.disk.set_used(used) {
                self.spool.wake_waiting();
            }
        }
        self.measure_space();
    }

    /// Looks how much the file system has left; what the log takes can be given back.
    fn measure_space(&mut self) {
        let Ok(mut space) = self.store.space() else {
            return;
        };
        if !space.has_room() && space.log > 0 && self.store.checkpoint().is_ok() {
            space = self.store.space().unwrap_or(space);
        }
        let had_room = self.spool.disk.has_space();
        if self.spool.disk.set_space(space) {
            self.spool.wake_waiting();
        }
        if had_room && !space.has_room() {
            let (free_bytes, reserve_bytes) = (space.available, space.reserve);
            warn!(
                free_bytes,
                reserve_bytes,
                "the spool's file system is nearly full; nothing more is put there until there is space"
            );
        }
    }

    /// Drops the oldest if that is how the spool keeps to its size.
    fn make_room(&mut self, journal: &Journal) {
        while self.config.on_full == OnFull::DropOldest && self.spool.disk.is_over() {
            match self.store.drop_oldest(SWEPT) {
                Ok(dropped) if dropped.is_empty() => return,
                Ok(dropped) => self.dropped(journal, &dropped, "oldest"),
                Err(error) => return self.fail(journal, &error),
            }
        }
    }

    fn load_fresh(&mut self, journal: &Journal, webhook: WebhookIndex) -> Result<(), store::Error> {
        let Some(key) = self.keys[webhook] else {
            return Ok(());
        };
        let account = &self.spool.accounts[webhook];
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
            self.send(webhook, loaded);
        }
        let mut state = journal.lock();
        if state.loaded(webhook, last, has_more) {
            account.set_spilled(false);
        }
        Ok(())
    }

    fn load_due(&mut self, journal: &Journal, webhook: WebhookIndex) -> Result<(), store::Error> {
        let Some(key) = self.keys[webhook] else {
            return Ok(());
        };
        let mut except = journal.lock().stocks[webhook].retries.clone();
        let window = Window {
            deliveries: LOAD / 4,
            bytes: self.spool.accounts[webhook].free_bytes(),
        };
        let loaded = match self.store.due(key, Timestamp::now(), &except, window) {
            Err(error) => return self.pass_over(journal, key, error),
            Ok(loaded) => loaded,
        };
        except.extend(loaded.iter().map(|loaded| loaded.seq));
        let next_due = self.store.next_due(key, &except)?;
        {
            let mut state = journal.lock();
            let stock = &mut state.stocks[webhook];
            stock.next_due = next_due;
            stock.retries.extend(loaded.iter().map(|loaded| loaded.seq));
        }
        for loaded in loaded {
            self.send(webhook, loaded);
        }
        Ok(())
    }

    /// Takes away a delivery that cannot be read, so that it does not stand in the way of others.
    fn pass_over(
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

    fn send(&self, webhook: WebhookIndex, loaded: Loaded) {
        let hold = Hold::new(&self.spool, webhook, loaded.event.size());
        Delivery::loaded(loaded, hold).send();
    }

    /// Removes what is too old, and dead letters that are too many, and gives space back.
    fn sweep(&mut self, journal: &Journal) -> Result<(), store::Error> {
        let now = Timestamp::now();
        let expired = self.store.expire(before(now, self.config.max_age), SWEPT)?;
        self.dropped(journal, &expired, "too_old");
        let letters = &self.config.dead_letters;
        let trimmed = self.store.trim_dead_letters(
            letters.max_bytes,
            before(now, letters.max_age),
            TRIMMED,
        )?;
        let rows = |dropped: &Dropped| dropped.iter().map(|(_, count)| *count).sum::<u64>();
        let is_cut_off = rows(&expired) >= SWEPT as u64 || rows(&trimmed) >= TRIMMED as u64;
        if is_cut_off || self.store.tidy()? {
            journal.lock().sweep_again();
        }
        self.measure();
        Ok(())
    }

    /// Counts what was dropped, and has the lanes leave alone what they have of it.
    fn dropped(&mut self, journal: &Journal, dropped: &Dropped, reason: &'static str) {
        self.measure();
        let mut up_to = self.store.dropped_up_to();
        if let Some(first) = journal.lock().first_pending() {
            // It was not on disk, so it was not dropped, whatever came before it.
            up_to.accepted = up_to.accepted.map(|last| last.min(Seq(first.0 - 1)));
        }
        self.spool.disk.set_dropped(up_to);
        for &(key, count) in dropped {
            let webhook = self.keys.iter().position(|&known| known == Some(key));
            // Rows of a webhook that is not configured any more are counted by nobody.
            let Some(webhook) = webhook.filter(|_| count > 0) else {
                continue;
            };
            let metrics = &self.spool.accounts[webhook].metrics;
            metrics.dropped_stored(reason, count);
            let webhook = metrics.webhook();
            warn!(webhook, count, reason, "dropped events that waited");
        }
    }

    /// Takes over what another process has changed.
    fn look(&mut self, journal: &Journal) -> Result<(), store::Error> {
        self.measure_space();
        if !self.store.changed_by_others()? {
            return Ok(());
        }
        for (webhook, key) in self.keys.clone().into_iter().enumerate() {
            let Some(key) = key else { continue };
            let state = self.store.state(key)?;
            let mut journal = journal.lock();
            let is_set = |batch: &Batch| batch.sets_state(key);
            if is_set(&journal.batch) || self.failed.as_ref().is_some_and(is_set) {
                // What was set here is younger than what is on disk.
                continue;
            }
            let stock = &mut journal.stocks[webhook];
            let next_due = self.store.next_due(key, &stock.retries)?;
            stock.next_due = next_due;
            stock.is_served = state.is_enabled();
            drop(journal);
            self.spool.accounts[webhook].state.send_replace(state);
        }
        self.measure();
        Ok(())
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(age))
}
