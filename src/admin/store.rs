//! The spool's database as the API reads and writes it: beside the keeper, on threads of its own.
//!
//! A reader and a writer, as another process may keep a write waiting for long, which must not keep the
//! API from answering. Each attaches when it is first asked and lets go when nobody has asked for a while.
//! The queue is bounded; who is not answered in time is told so, and what was not begun by then is not
//! done any more. A question that nobody waits for any more is given up: it would keep others waiting, and
//! what the keeper writes from being brought to its place.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::error;

use super::Problem;
use crate::causes::describe;
use crate::spool::store::{self, Store, is_in_use};
use crate::telemetry::Throttle;

/// Questions that wait for a thread.
const QUEUE: usize = 64;

/// How long an answer to a question may take.
const READ_DEADLINE: Duration = Duration::from_secs(5);

/// How long a change may take, and for how much of that another process may hold the database.
const WRITE_DEADLINE: Duration = Duration::from_secs(8);
const WRITE_PATIENCE: Duration = Duration::from_secs(4);

/// For how long the database stays open after the last question.
const IDLE: Duration = Duration::from_secs(30);

/// How often it is said that the database cannot be opened, which every question meets.
const SAID: Duration = Duration::from_mins(1);

/// What is to be done with the database, `None` if it cannot be opened.
type Job = Box<dyn FnOnce(Option<&mut Store>) + Send>;

/// The way to the database.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    /// `None` for a spool in memory.
    place: Option<Arc<Place>>,
}

#[derive(Debug)]
struct Place {
    dir: PathBuf,
    reader: Worker,
    writer: Worker,
}

/// A thread that is started when it is first needed, and ends when this is dropped.
#[derive(Debug, Default)]
struct Worker(Mutex<Option<SyncSender<Job>>>);

impl StoreHandle {
    /// Returns the way to the database in a directory; `None` for a spool in memory.
    #[must_use]
    pub fn new(dir: Option<PathBuf>) -> Self {
        let place = |dir| {
            Arc::new(Place {
                dir,
                reader: Worker::default(),
                writer: Worker::default(),
            })
        };
        Self {
            place: dir.map(place),
        }
    }

    /// Returns whether there is a database.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        self.place.is_some()
    }

    /// Returns whether an mqhook runs on the database, which is so but for the end.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let place = self.place.as_ref();
        place.is_some_and(|place| is_in_use(&place.dir).unwrap_or(false))
    }

    /// Asks the database something.
    ///
    /// # Errors
    /// There is no database, it cannot be read, or it does not answer in time.
    pub async fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Store) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = self.place.as_ref().ok_or_else(Problem::not_on_disk)?;
        let waiting = Waiting::default();
        let is_over = Arc::clone(&waiting.0);
        let act = move |store: &mut Store| {
            store.give_up_when(move || is_over.load(Ordering::Relaxed))?;
            act(store)
        };
        place.reader.ask(&place.dir, READ_DEADLINE, act).await
    }

    /// Changes something.
    ///
    /// # Errors
    /// There is no database, it cannot be written, or it does not answer in time; whether the change was
    /// made is not known then.
    pub async fn write<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Store) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = self.place.as_ref().ok_or_else(Problem::not_on_disk)?;
        place.writer.ask(&place.dir, WRITE_DEADLINE, act).await
    }
}

/// That somebody waits for an answer, until this is dropped.
#[derive(Default)]
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Worker {
    async fn ask<T: Send + 'static>(
        &self,
        dir: &Path,
        deadline: Duration,
        act: impl FnOnce(&mut Store) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |store| {
            if reply.is_closed() {
                return;
            }
            let result = match store {
                Some(store) => {
                    let result = act(store);
                    if reply.is_closed() {
                        // It was given up for that, and has nothing to say.
                        return;
                    }
                    result.map_err(Problem::from)
                }
                None => Err(Problem::busy(
                    "the spool's database cannot be opened; mqhook's log says why",
                )),
            };
            // Nobody waits any more.
            let _ = reply.send(result);
        });
        self.send(dir, job)?;
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Problem::internal()),
            Err(_) => Err(Problem::busy(
                "the spool's database does not answer in time",
            )),
        }
    }

    fn send(&self, dir: &Path, job: Job) -> Result<(), Problem> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let job = match &*queue {
            None => job,
            Some(queue) => match queue.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => {
                    return Err(Problem::busy(
                        "too many questions wait for the spool's database",
                    ));
                }
                // It has panicked, which was logged.
                Err(TrySendError::Disconnected(job)) => job,
            },
        };
        let sender = start(dir.to_owned()).map_err(|error| {
            error!(%error, "the API cannot start a thread");
            Problem::internal()
        })?;
        let sent = sender.try_send(job);
        *queue = Some(sender);
        sent.map_err(|_| Problem::internal())
    }
}

fn start(dir: PathBuf) -> std::io::Result<SyncSender<Job>> {
    let (sender, jobs) = sync_channel(QUEUE);
    thread::Builder::new()
        .name("admin-store".to_owned())
        .spawn(move || work(&dir, &jobs))?;
    Ok(sender)
}

fn work(dir: &Path, jobs: &Receiver<Job>) {
    let mut store: Option<Store> = None;
    let mut said = Throttle::new(SAID);
    loop {
        let job = match (&store, jobs.recv_timeout(IDLE)) {
            (_, Ok(job)) => job,
            (None, Err(RecvTimeoutError::Timeout)) => match jobs.recv() {
                Ok(job) => job,
                Err(_) => return,
            },
            (Some(_), Err(RecvTimeoutError::Timeout)) => {
                store = None;
                continue;
            }
            (_, Err(RecvTimeoutError::Disconnected)) => return,
        };
        if store.is_none() {
            match Store::attach(dir) {
                Ok(attached) => {
                    // Otherwise a change that is refused as too late might be made all the same.
                    let _ = attached.wait_at_most(WRITE_PATIENCE);
                    store = Some(attached);
                }
                Err(error) => {
                    if let Some(held_back) = said.pass(Instant::now()) {
                        let error = describe(&error);
                        error!(error, held_back, "the API cannot open the spool");
                    }
                }
            }
        }
        job(store.as_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::store::Filter;

    #[tokio::test]
    async fn a_question_that_nobody_waits_for_is_given_up() {
        let dir = tempfile::tempdir().expect("a directory");
        let _keeper = Store::open(dir.path()).expect("it opens");
        let store = StoreHandle::new(Some(dir.path().to_owned()));
        let (begun, has_begun) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let endless = store.read(move |store| {
            let _ = begun.send(());
            let _ = ended.send(store.count_for_ever().is_err());
            Ok(())
        });
        tokio::select! {
            _ = endless => panic!("expected no answer"),
            _ = has_begun => {}
        }
        assert_eq!(has_ended.await, Ok(true), "expected it to be given up");
        let next = store.read(|store| store.dead_letters(&Filter::default(), None, 1));
        assert!(next.await.is_ok_and(|letters| letters.is_empty()));
    }
}
