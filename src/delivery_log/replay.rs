//! Replay: dead letters, and what was delivered and is kept, once more.
//!
//! What is replayed is put into the spool's database, from which the mqhook that runs takes it up within a
//! second. An event keeps its id, so that a receiver can tell that it had it.

use thiserror::Error;

use super::attempt::{AttemptId, Filter};
use super::query::Recorded;
use super::{DeliveryLog, Kept, store};
use crate::event::{Id, Timestamp};
use crate::spool::store::{self as spool, Store};

/// Deliveries that one transaction makes, so that nobody waits for it for long.
const STEP: usize = 250;

/// Which deliveries are replayed: those that have all that is given.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// Those of this event.
    pub event: Option<Id>,
    /// Those to the webhook of this name.
    pub webhook: Option<String>,
    /// Those that ended at this time or later.
    pub since: Option<Timestamp>,
    /// Those that ended before this time.
    pub until: Option<Timestamp>,
    /// Whether those that were delivered, and are kept, are meant as well as dead letters.
    pub include_delivered: bool,
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Dead letters that wait again.
    pub dead_letters: u64,
    /// Deliveries of before that wait again.
    pub delivered: u64,
}

impl Progress {
    /// Returns how many deliveries wait again.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.dead_letters + self.delivered
    }
}

/// Why a replay did not go on. What was replayed before stays so.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The spool's database.
    #[error(transparent)]
    Spool(#[from] spool::Error),
    /// The log's.
    #[error(transparent)]
    Log(#[from] store::Error),
}

/// Where kept events are read from: the log of this process, or that of another.
pub trait Source {
    /// Returns events that were delivered and are kept, behind `after`, each once per webhook.
    ///
    /// # Errors
    /// The file cannot be read.
    fn kept(
        &self,
        filter: &Filter,
        after: AttemptId,
        limit: usize,
    ) -> Result<Vec<Kept>, store::Error>;
}

impl Source for DeliveryLog {
    fn kept(
        &self,
        filter: &Filter,
        after: AttemptId,
        limit: usize,
    ) -> Result<Vec<Kept>, store::Error> {
        self.read(|store| store.kept(filter, after, limit))
    }
}

impl Source for Recorded {
    fn kept(
        &self,
        filter: &Filter,
        after: AttemptId,
        limit: usize,
    ) -> Result<Vec<Kept>, store::Error> {
        let kept = self.store().map(|store| store.kept(filter, after, limit));
        kept.unwrap_or(Ok(Vec::new()))
    }
}

impl Replay {
    /// Counts what would be replayed now.
    ///
    /// # Errors
    /// A database cannot be read.
    pub fn count(&self, spool: &Store, log: &impl Source) -> Result<Progress, ReplayError> {
        self.count_beyond(u64::MAX, spool, log)
    }

    /// The same, but for dead letters that are left when there are more than `most`.
    ///
    /// # Errors
    /// A database cannot be read.
    pub fn count_beyond(
        &self,
        most: u64,
        spool: &Store,
        log: &impl Source,
    ) -> Result<Progress, ReplayError> {
        let mut progress = Progress::default();
        let mut after = None;
        while progress.dead_letters <= most {
            let page = spool.dead_letters(&self.of_dead_letters(), after, STEP)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            progress.dead_letters += page.len() as u64;
        }
        self.each_kept(log, |kept| {
            progress.delivered += kept.len() as u64;
            Ok(())
        })?;
        Ok(progress)
    }

    /// Replays what is there now, and tells how far it is after each step.
    ///
    /// # Errors
    /// A database cannot be read or written.
    pub fn run(
        &self,
        spool: &mut Store,
        log: &impl Source,
        mut tell: impl FnMut(Progress),
    ) -> Result<Progress, ReplayError> {
        let mut progress = Progress::default();
        // First, as a dead letter that is delivered meanwhile would be found among those that were.
        self.each_kept(log, |kept| {
            let deliveries = kept.iter().map(|kept| (kept.webhook.as_str(), &kept.event));
            progress.delivered += spool.deliver_again(deliveries, Timestamp::now())?;
            tell(progress);
            Ok(())
        })?;
        // What is given up meanwhile is the newest: counting those that are there keeps one from being replayed
        // twice, whatever the clock does.
        let dead = Self {
            include_delivered: false,
            ..self.clone()
        };
        let mut left = usize::try_from(dead.count(spool, log)?.dead_letters).unwrap_or(usize::MAX);
        let mut filter = self.of_dead_letters();
        // Otherwise each step would look again at all that is older than what is meant.
        filter.from = spool
            .dead_letters(&filter, None, 1)?
            .first()
            .map(|letter| letter.id);
        while left > 0 {
            let step = left.min(STEP);
            let made = spool.replay(&filter, Timestamp::now(), step)?;
            if made == 0 {
                // Somebody else was quicker.
                break;
            }
            progress.dead_letters += made;
            left -= step;
            tell(progress);
        }
        Ok(progress)
    }

    fn of_dead_letters(&self) -> spool::Filter {
        spool::Filter {
            id: None,
            from: None,
            webhook: self.webhook.clone(),
            webhooks: None,
            kind: None,
            event: self.event,
            since: self.since,
            until: self.until,
        }
    }

    fn each_kept(
        &self,
        log: &impl Source,
        mut give: impl FnMut(&[Kept]) -> Result<(), ReplayError>,
    ) -> Result<(), ReplayError> {
        if !self.include_delivered {
            return Ok(());
        }
        let now = Timestamp::now();
        let filter = Filter {
            event: self.event,
            webhook: self.webhook.clone(),
            since: self.since,
            // What is replayed is delivered again: that is not meant.
            until: Some(self.until.map_or(now, |until| until.min(now))),
            ..Filter::default()
        };
        let mut after = AttemptId(0);
        loop {
            let kept = log.kept(&filter, after, STEP)?;
            let Some(last) = kept.last() else {
                return Ok(());
            };
            after = last.attempt;
            give(&kept)?;
        }
    }
}
