//! The delivery log: what attempts came to, for those who ask where an event went.
//!
//! ```text
//! lane --Recorder--> ring of the webhook (successes) -----------------------> questions
//!                \-> queue --the log's thread--> deliveries.db (failures) ------^
//!                \-> totals by minute ------------------------------------------^
//!                \-> tap --> those who listen
//! ```
//!
//! It never delays a delivery nor endangers one: the queue is bounded, what does not fit is counted and missing,
//! and the file is nobody's but the log's. One that is damaged is set aside. Of a webhook that fails all
//! the time the first thousand attempts are written, and then twenty a second; the next that is written says how
//! many were left out.
//!
//! Without a disk (`spool.backend = "memory"`, or `max_bytes = 0`) the last failures are in memory as well.

mod attempt;
mod config;
mod metrics;
mod minutes;
mod query;
mod queue;
mod recorder;
mod replay;
mod ring;
mod store;
mod trace;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::tap::Tap;

pub use attempt::{Attempt, AttemptId, Ending, Filter};
pub use config::{Config, Successes};
pub use metrics::Metrics;
pub use minutes::{MINUTES, Minute};
pub use query::{LastHour, Page, Recorded};
use queue::Queue;
use recorder::Book;
pub use recorder::{Ended, Recorder};
pub use replay::{Progress, Replay, ReplayError, Source};
use store::Store;
pub use store::{Error, Kept};
pub use trace::{Destination, State, Trace};
pub use writer::Thread;

/// Webhooks that are remembered though they are gone.
const GONE: usize = 64;

/// The log; clones are the same one.
#[derive(Debug, Clone)]
pub struct DeliveryLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    /// By webhook, those that came last at the end.
    books: Mutex<Vec<Arc<Book>>>,
    last_id: AtomicU64,
    /// The way to the disk; none if nothing is written.
    queue: Option<Arc<Queue>>,
    /// Where the file is, and a connection that reads it, once somebody has asked.
    dir: Option<Box<Path>>,
    reader: Mutex<Option<Box<Store>>>,
    tap: Tap<Attempt>,
    metrics: Metrics,
}

impl DeliveryLog {
    /// Opens the log in the spool's directory, `None` for one in memory, and starts its thread.
    ///
    /// Nothing is touched yet: a file that cannot be used costs the log, and nothing else.
    #[must_use]
    pub fn open(config: Config, dir: Option<&Path>, metrics: Metrics) -> (Self, Thread) {
        let dir = dir.filter(|_| config.max_bytes > 0);
        let log = Self(Arc::new(Shared {
            config,
            books: Mutex::default(),
            last_id: AtomicU64::new(0),
            queue: dir.map(|_| Arc::default()),
            dir: dir.map(Box::from),
            reader: Mutex::default(),
            tap: Tap::default(),
            metrics,
        }));
        let thread = Thread::start(&log, dir.map(Path::to_owned));
        (log, thread)
    }

    /// Returns what records the attempts of a webhook. One that had that name before, and is gone, is
    /// continued.
    #[must_use]
    pub fn recorder(&self, webhook: &str) -> Recorder {
        let mut books = self.lock();
        let known = books.iter().find(|book| &*book.webhook == webhook);
        let book = if let Some(book) = known {
            Arc::clone(book)
        } else {
            forget_gone(&mut books);
            let book = Arc::new(Book::new(webhook));
            books.push(Arc::clone(&book));
            book
        };
        drop(books);
        Recorder::new(self.clone(), book)
    }

    /// Returns the tap of attempts.
    #[must_use]
    pub fn tap(&self) -> &Tap<Attempt> {
        &self.0.tap
    }

    /// Returns what was configured.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    fn books(&self) -> Vec<Arc<Book>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Book>>> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with a connection that reads the file, if there is one.
    fn read<T: Default>(&self, read: impl FnOnce(&Store) -> Result<T, Error>) -> Result<T, Error> {
        let Some(dir) = &self.0.dir else {
            return Ok(T::default());
        };
        let mut reader = self.0.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.is_none() {
            *reader = Store::attach(dir)?.map(Box::new);
        }
        let Some(store) = reader.as_deref() else {
            return Ok(T::default());
        };
        let result = read(store);
        if result.is_err() {
            // It may have been set aside meanwhile.
            *reader = None;
        }
        result
    }
}

impl Shared {
    /// Sees to it that ids are above this one.
    fn raise_last_id(&self, last: u64) {
        self.last_id.fetch_max(last, Ordering::Relaxed);
    }

    /// Sets the file aside. No question is answered out of it any more, nor out of what it is called then.
    fn set_aside(&self, dir: &Path) -> std::io::Result<PathBuf> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        *reader = None;
        Store::set_aside(dir)
    }
}

/// Forgets webhooks that have no lane any more, but for some.
fn forget_gone(books: &mut Vec<Arc<Book>>) {
    let is_gone = |book: &Arc<Book>| Arc::strong_count(book) == 1;
    let gone = books.iter().filter(|book| is_gone(book)).count();
    let mut surplus = gone.saturating_sub(GONE - 1);
    books.retain(|book| {
        let goes = surplus > 0 && is_gone(book);
        surplus -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests;
