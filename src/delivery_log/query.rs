//! Questions about deliveries: what is in memory, on its way to the disk, and there, as one.
//!
//! Attempts are told newest first. A cursor is the id of the last that was told: what comes meanwhile is
//! above it, so that it disturbs nobody who is on the way down.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::PoisonError;

use super::DeliveryLog;
use super::attempt::{Attempt, AttemptId, Filter};
use super::minutes::Minute;
use super::store::{Error, Rows, Store};
use crate::event::Timestamp;

/// Attempts, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Those that are meant; may be fewer than were asked for, or none, though there are more.
    pub attempts: Vec<Attempt>,
    /// Where to go on; `None` at the end.
    pub next: Option<AttemptId>,
}

/// The last hour of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastHour {
    /// The webhook's name.
    pub webhook: String,
    /// By minute, the present one at the end.
    pub minutes: Vec<Minute>,
}

impl DeliveryLog {
    /// Returns attempts behind `cursor`, at most `limit`; from the newest where it is `None`. Reads the disk, so
    /// it is not to be called where nothing may wait.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn attempts(
        &self,
        filter: &Filter,
        cursor: Option<AttemptId>,
        limit: usize,
    ) -> Result<Page, Error> {
        let before = cursor.unwrap_or(AttemptId(u64::MAX));
        // First what is not on disk: what goes there meanwhile is seen twice rather than not at all.
        let in_memory = self.in_memory(filter, before);
        let rows = self.read(|store| store.attempts(filter, before, limit))?;
        Ok(page(in_memory, rows, limit))
    }

    /// Returns the last hour of each webhook that has attempted anything.
    #[must_use]
    pub fn last_hour(&self, now: Timestamp) -> Vec<LastHour> {
        let books = self.books();
        let hour = books.iter().map(|book| {
            let pages = book.pages.lock().unwrap_or_else(PoisonError::into_inner);
            LastHour {
                webhook: book.webhook.to_string(),
                minutes: pages.minutes.last_hour(now),
            }
        });
        hour.collect()
    }

    fn in_memory(&self, filter: &Filter, before: AttemptId) -> Vec<Attempt> {
        let mut found = Vec::new();
        for book in self.books() {
            if filter
                .webhook
                .as_deref()
                .is_some_and(|name| name != &*book.webhook)
            {
                continue;
            }
            let pages = book.pages.lock().unwrap_or_else(PoisonError::into_inner);
            let entries = pages.successes.iter().chain(pages.failures.iter());
            let attempts = entries
                .filter(|entry| entry.id < before)
                .filter(|entry| filter.event.is_none_or(|event| event == entry.event))
                .map(|entry| entry.to_attempt(&book.webhook));
            found.extend(attempts.filter(|attempt| filter.means(attempt)));
        }
        if let Some(queue) = &self.0.queue {
            queue.see(|attempt| {
                if attempt.id < before && filter.means(attempt) {
                    found.push(attempt.clone());
                }
            });
        }
        found
    }
}

/// The log of a directory, beside the mqhook that runs on it or without one: what is on disk.
#[derive(Debug)]
pub struct Recorded(Option<Store>);

impl Recorded {
    /// Opens the log of a spool's directory; one that is not there is empty.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn attach(dir: &Path) -> Result<Self, Error> {
        Store::attach(dir).map(Self)
    }

    /// Returns attempts as [`DeliveryLog::attempts`] does.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn attempts(
        &self,
        filter: &Filter,
        cursor: Option<AttemptId>,
        limit: usize,
    ) -> Result<Page, Error> {
        let before = cursor.unwrap_or(AttemptId(u64::MAX));
        let rows = self
            .0
            .as_ref()
            .map(|store| store.attempts(filter, before, limit));
        Ok(page(
            Vec::new(),
            rows.transpose()?.unwrap_or_default(),
            limit,
        ))
    }

    pub(super) fn store(&self) -> Option<&Store> {
        self.0.as_ref()
    }
}

/// Puts together what is in memory and what is on disk.
fn page(mut attempts: Vec<Attempt>, rows: Rows, limit: usize) -> Page {
    let mut down_to = rows.down_to;
    attempts.extend(rows.attempts);
    attempts.sort_unstable_by_key(|attempt| Reverse(attempt.id));
    attempts.dedup_by_key(|attempt| attempt.id);
    // Below that there may be rows that were not looked at.
    attempts.retain(|attempt| down_to.is_none_or(|down_to| attempt.id >= down_to));
    if attempts.len() > limit {
        attempts.truncate(limit);
        down_to = attempts.last().map(|attempt| attempt.id);
    }
    Page {
        attempts,
        next: down_to,
    }
}
