//! The thread that has the database. It is behind everything: what it cannot write is counted and forgotten.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::attempt::AttemptId;
use super::queue::{Entry, Work};
use super::store::{self, Error, Store};
use super::{DeliveryLog, Shared};
use crate::causes::describe;
use crate::event::Timestamp;
use crate::telemetry::Throttle;

/// How often the age of what is there is looked at.
const TEND: Duration = Duration::from_mins(1);

/// The same while there is more to be dropped than one step does.
const SOON: Duration = Duration::from_millis(50);

/// How long a file that could not be used is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// How often it is said that something is missing.
const INTERVAL: Duration = Duration::from_mins(1);

/// How long the end waits for a disk that does not answer.
const END: Duration = Duration::from_secs(2);

/// The log's thread. It ends by [`close`](Self::close), or when this is dropped.
#[derive(Debug)]
pub struct Thread {
    log: DeliveryLog,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    pub(super) fn start(log: &DeliveryLog, dir: Option<PathBuf>) -> Self {
        let thread = dir.map(|dir| {
            let writer = Writer {
                shared: Arc::clone(&log.0),
                store: None,
                paused_until: None,
                patience: TEND,
                said: Throttle::new(INTERVAL),
                missing: 0,
                dir,
            };
            std::thread::Builder::new()
                .name("delivery-log".to_owned())
                .spawn(move || writer.run())
        });
        let thread = thread.transpose().unwrap_or_else(|error| {
            warn!(%error, "no thread for the delivery log, which is not written");
            None
        });
        Self {
            log: log.clone(),
            thread,
        }
    }

    /// Writes what is left, as far as the disk takes it, and ends the thread. Blocks for two seconds at
    /// most.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let (Some(queue), Some(thread)) = (&self.log.0.queue, self.thread.take()) else {
            return;
        };
        queue.close();
        let give_up_at = Instant::now() + END;
        while !thread.is_finished() && Instant::now() < give_up_at {
            std::thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() && thread.join().is_err() {
            warn!("the thread of the delivery log has panicked");
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.end();
    }
}

struct Writer {
    shared: Arc<Shared>,
    dir: PathBuf,
    /// `None` while nothing was to be written yet, or the file cannot be used.
    store: Option<Store>,
    paused_until: Option<Instant>,
    patience: Duration,
    said: Throttle,
    /// How many were missing when that was said last.
    missing: u64,
}

impl Writer {
    fn run(mut self) {
        let Some(queue) = self.shared.queue.clone() else {
            return;
        };
        if store::file(&self.dir).exists() {
            self.attempt("read the delivery log", |_, _| Ok(()));
        }
        loop {
            match queue.work(self.patience) {
                Work::Write(entries) => {
                    self.write(&entries);
                    queue.written();
                }
                Work::Tend => {}
                Work::End => return,
            }
            self.tend();
            self.say_what_is_missing();
        }
    }

    fn write(&mut self, entries: &[Entry]) {
        let is_written = self.attempt("write the delivery log", |store, _| store.write(entries));
        if !is_written {
            self.shared.metrics.not_written(entries.len());
        }
    }

    /// Drops what is too old or too much, a step of it.
    fn tend(&mut self) {
        let config = &self.shared.config;
        let age = u64::try_from(config.max_age.as_millis()).unwrap_or(u64::MAX);
        let now = Timestamp::now().as_millis();
        let before = Timestamp::from_millis(now.saturating_sub(age));
        let max_bytes = config.max_bytes;
        self.patience = TEND;
        if self.store.is_some() {
            self.attempt(
                "drop old attempts from the delivery log",
                |store, patience| {
                    if store.trim(before, max_bytes)? {
                        *patience = SOON;
                    }
                    Ok(())
                },
            );
        }
    }

    /// Does something with the database, which is opened if it has to be; returns whether that worked.
    fn attempt(
        &mut self,
        what: &'static str,
        act: impl FnOnce(&mut Store, &mut Duration) -> Result<(), Error>,
    ) -> bool {
        let now = Instant::now();
        if self.paused_until.is_some_and(|until| now < until) {
            return false;
        }
        let result = self.open().and_then(|()| match &mut self.store {
            Some(store) => act(store, &mut self.patience),
            None => Ok(()),
        });
        let Err(error) = result else {
            self.paused_until = None;
            return true;
        };
        self.store = None;
        self.paused_until = Some(now + PAUSE);
        if matches!(error, Error::Corrupt(_)) {
            self.set_aside();
        }
        if let Some(held_back) = self.said.pass(now.into()) {
            let error = describe(&error);
            warn!(
                error,
                held_back, "cannot {what}; deliveries go on, and attempts are missing in it"
            );
        }
        false
    }

    fn open(&mut self) -> Result<(), Error> {
        if self.store.is_none() {
            let store = Store::open(&self.dir)?;
            if let Some(AttemptId(last)) = store.last_id()? {
                self.shared.raise_last_id(last);
            }
            self.store = Some(store);
        }
        Ok(())
    }

    fn set_aside(&mut self) {
        match self.shared.set_aside(&self.dir) {
            Ok(path) => {
                self.paused_until = None;
                let path = path.display();
                warn!(%path, "the delivery log was damaged; it was set aside and a new one is begun");
            }
            Err(error) => warn!(%error, "cannot set the damaged delivery log aside"),
        }
    }

    fn say_what_is_missing(&mut self) {
        let missing = self.shared.metrics.missing();
        if missing == self.missing || self.paused_until.is_some() {
            return;
        }
        if self.said.pass(Instant::now().into()).is_some() {
            let count = missing - std::mem::replace(&mut self.missing, missing);
            info!(
                count,
                "attempts are missing in the delivery log, as there were too many"
            );
        }
    }
}
