//! Values that follow the files of which they are made.

mod alike;

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::Secret;
use crate::causes::describe;

/// For how long files are taken to be as they were.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long one who needs the value waits for a look; a file system may hang.
const PATIENCE: Duration = Duration::from_millis(250);

/// Why nothing can be made of files; says no secret.
pub type Wrong = Box<dyn Error + Send + Sync>;

/// Makes a value of what the files hold now.
type Make<T> = dyn Fn() -> Result<T, Wrong> + Send + Sync;

/// A value that is made of files, and made anew when they have changed.
///
/// While they cannot be used, the value stays what it was, and the log says so once.
pub struct Watched<T> {
    shared: Arc<Shared<T>>,
    /// Held by a look until it has ended, even if nobody waits for it any more.
    looking: Arc<Semaphore>,
}

struct Shared<T> {
    /// None: the value never changes.
    files: Vec<PathBuf>,
    make: Box<Make<T>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    /// How the files were when they were last looked at; empty before the first time.
    stamps: Vec<Option<Stamp>>,
    /// When the next look is due; `None` before the first.
    due: Option<Instant>,
    is_broken: bool,
}

/// What changes with a file, be it written to or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Returns what `make` makes now of these files, and later when they have changed.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn new<E: Into<Wrong>>(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let value = make()?;
        let make = move || make().map_err(Into::into);
        Ok(Self::with(value, files, Box::new(make)))
    }

    /// Returns what `make` makes of secrets as they were read, and later of what their files hold
    /// then.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn of_secrets<E: Into<Wrong>>(
        secrets: Vec<Secret>,
        make: impl Fn(&[Secret]) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let value = make(&secrets)?;
        let files = secrets.iter().filter_map(Secret::file);
        let files = files.map(Path::to_owned).collect();
        let make = move || {
            let again: Vec<Secret> = secrets
                .iter()
                .map(Secret::again)
                .collect::<Result<_, _>>()?;
            make(&again).map_err(Into::into)
        };
        Ok(Self::with(value, files, Box::new(make)))
    }

    fn with(value: T, files: Vec<PathBuf>, make: Box<Make<T>>) -> Self {
        let state = State {
            value: Arc::new(value),
            stamps: Vec::new(),
            due: None,
            is_broken: false,
        };
        Self {
            shared: Arc::new(Shared {
                files,
                make,
                state: Mutex::new(state),
            }),
            looking: Arc::new(Semaphore::new(1)),
        }
    }

    /// Returns the value as it was at the last look.
    #[must_use]
    pub fn last(&self) -> Arc<T> {
        Arc::clone(&self.shared.lock().value)
    }

    /// Returns the value, after a look at the files if there was none in the last second.
    ///
    /// # Cancel safety
    /// A look that has begun goes on, on a thread for that.
    pub async fn current(&self, now: Instant) -> Arc<T> {
        if self.shared.is_due(now) {
            // If the files cannot be looked at now, the old value is the best there is.
            let _ = timeout(PATIENCE, self.look(now)).await;
        }
        self.last()
    }

    /// Returns the value after a look at the files now, if it is not the one that was `used`: the one
    /// who was shown that does not believe it.
    ///
    /// # Cancel safety
    /// That of [`current`](Self::current).
    pub async fn replaced(&self, used: &Arc<T>) -> Option<Arc<T>> {
        let is_other = || !Arc::ptr_eq(&self.last(), used);
        let looking = async {
            let permit = self.permit().await;
            // Whoever had the permit before may have seen it.
            if !is_other() && !self.shared.files.is_empty() {
                self.look_with(permit, Instant::now()).await;
            }
        };
        if !is_other() {
            let _ = timeout(PATIENCE, looking).await;
        }
        Some(self.last()).filter(|_| is_other())
    }

    async fn look(&self, now: Instant) {
        let permit = self.permit().await;
        if self.shared.is_due(now) {
            self.look_with(permit, now).await;
        } // Otherwise whoever had the permit before has looked.
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        let permit = Arc::clone(&self.looking).acquire_owned().await;
        permit.expect("the semaphore is never closed")
    }

    async fn look_with(&self, permit: OwnedSemaphorePermit, now: Instant) {
        let shared = Arc::clone(&self.shared);
        let looking = tokio::task::spawn_blocking(move || {
            shared.look(now);
            drop(permit);
        });
        // A panic of `make` has been reported by then; the old value stays.
        let _ = looking.await;
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self, now: Instant) -> bool {
        !self.files.is_empty() && self.lock().due.is_none_or(|due| now >= due)
    }

    fn look(&self, now: Instant) {
        // Before the files are read: what changes meanwhile is seen the next time.
        let stamps = self.files.iter().map(|path| Stamp::of(path).ok()).collect();
        let mut state = self.lock();
        if state.stamps != stamps || state.is_broken {
            drop(state);
            let made = (self.make)();
            state = self.lock();
            state.take(made, &self.files);
            state.stamps = stamps;
        }
        // Not before the end: who comes meanwhile waits for what comes of it.
        state.due = Some(now + INTERVAL);
    }
}

impl<T> State<T> {
    /// Takes what came of making the value anew.
    fn take(&mut self, made: Result<T, Wrong>, files: &[PathBuf]) {
        match made {
            Ok(value) => {
                self.value = Arc::new(value);
                self.is_broken = false;
                if !self.stamps.is_empty() {
                    info!(?files, "a changed file is in use");
                }
            }
            Err(_) if self.is_broken => {}
            Err(error) => {
                self.is_broken = true;
                let error = describe(error.as_ref());
                warn!(
                    ?files,
                    error, "cannot use a changed file; what it held before stays in use"
                );
            }
        }
    }
}

impl From<Secret> for Watched<Secret> {
    /// Returns the secret, which follows its file.
    fn from(secret: Secret) -> Self {
        let same = |secrets: &[Secret]| Ok::<_, Infallible>(secrets[0].clone());
        match Self::of_secrets(vec![secret], same) {
            Ok(watched) => watched,
            Err(never) => match never {},
        }
    }
}

impl<T> Clone for Watched<T> {
    /// Returns a handle to the same value.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            looking: Arc::clone(&self.looking),
        }
    }
}

impl<T> fmt::Debug for Watched<T> {
    /// Shows the files and never the value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.shared.files).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A secret in a file of its own, and how often something was made of it.
    struct World {
        directory: tempfile::TempDir,
        watched: Watched<String>,
        made: Arc<AtomicUsize>,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let path = directory.path().join("secret");
            fs::write(&path, "one\n").expect("write the secret");
            let made = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&made);
            let secret = Secret::in_file(path, "one\n").expect("it is not empty");
            let watched = Watched::of_secrets(vec![secret], move |secrets| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Wrong>(secrets[0].expose().to_owned())
            });
            Self {
                directory,
                watched: watched.expect("it can be made"),
                made,
                now: Instant::now(),
            }
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("secret")
        }

        /// Replaces the file as a careful program does.
        fn replace(&self, text: &str) {
            let new = self.directory.path().join("new");
            fs::write(&new, text).expect("write a file");
            fs::rename(new, self.path()).expect("replace the file");
        }

        async fn check(&mut self, passed: Duration, expected: &str) {
            self.now += passed;
            assert_eq!(*self.watched.current(self.now).await, expected);
        }
    }

    #[tokio::test]
    async fn a_replaced_file_is_seen_within_a_second() {
        let mut world = World::new();
        world.check(Duration::ZERO, "one").await;
        world.replace("two");
        world.check(INTERVAL / 2, "one").await;
        world.check(INTERVAL / 2, "two").await;
        fs::write(world.path(), "three").expect("write the secret");
        world.check(INTERVAL, "three").await;
    }

    #[tokio::test]
    async fn who_is_not_believed_sees_a_replaced_file_at_once() {
        let mut world = World::new();
        world.check(Duration::ZERO, "one").await;
        let used = world.watched.last();
        assert!(world.watched.replaced(&used).await.is_none());
        world.replace("two");
        for _ in 0..2 {
            let other = world.watched.replaced(&used).await;
            assert_eq!(other.as_deref().map(String::as_str), Some("two"));
        }
        assert_eq!(world.made.load(Ordering::Relaxed), 3);
        let fixed = Watched::from(Secret::new("x"));
        assert!(fixed.replaced(&fixed.last()).await.is_none());
    }

    #[tokio::test]
    async fn a_broken_file_changes_nothing_until_it_is_mended() {
        let mut world = World::new();
        for broken in ["", "\n"] {
            world.replace(broken);
            world.check(INTERVAL, "one").await;
        }
        fs::remove_file(world.path()).expect("remove the secret");
        world.check(INTERVAL, "one").await;
        assert!(world.watched.shared.lock().is_broken);
        world.replace("one");
        world.check(INTERVAL, "one").await;
        assert!(!world.watched.shared.lock().is_broken);
        world.replace("two");
        world.check(INTERVAL, "two").await;
    }

    #[tokio::test]
    async fn an_unchanged_file_is_not_read_again() {
        let mut world = World::new();
        for _ in 0..5 {
            world.check(INTERVAL, "one").await;
        }
        // When it was loaded, and at the first look.
        assert_eq!(world.made.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn all_who_come_at_once_see_the_change() {
        let mut world = World::new();
        world.check(Duration::ZERO, "one").await;
        world.replace("two");
        let now = world.now + INTERVAL;
        let all = (0..32).map(|_| world.watched.current(now));
        for value in futures_util::future::join_all(all).await {
            assert_eq!(*value, "two");
        }
        assert_eq!(world.made.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn what_is_in_no_file_is_never_looked_at() {
        let watched = Watched::of_secrets(vec![Secret::new("x")], |secrets| {
            Ok::<_, Wrong>(secrets[0].expose().to_owned())
        });
        let watched = watched.expect("it can be made");
        assert!(!watched.shared.is_due(Instant::now()));
        assert_eq!(*watched.current(Instant::now()).await, "x");
    }
}
