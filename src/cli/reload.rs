//! Reading the configuration again: when a signal asks for it, or when its file has changed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::admin::control::{Refused, Wrong};
use crate::app::{Live, Reread, Source};
use crate::config::problem::Severity;
use crate::config::{self, Reading, hocon};

/// How often the files are looked at. What has changed must then stay as it is until the next look, so that
/// a file is not read while it is written.
const LOOK: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 1_000 });

/// The file of the configuration, with what it includes.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    read: Mutex<Vec<Seen>>,
}

/// A file as it was before it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    path: PathBuf,
    stamp: Option<Stamp>,
}

/// What changes with a file, be it written to or replaced: device, inode, length, and times of both kinds.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl Files {
    /// Returns the file, which was not read yet.
    pub(super) fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            read: Mutex::new(seen(vec![path.to_owned()])),
        })
    }

    /// Reads the configuration.
    pub(super) fn read(&self) -> Reading {
        let mut before = self.look();
        loop {
            let reading = config::load(&self.path, &hocon::System);
            let mut paths = reading.files();
            if paths.is_empty() {
                paths.push(self.path.clone());
            }
            if paths.iter().eq(before.iter().map(|seen| &seen.path)) {
                let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
                *read = before;
                return reading;
            }
            // What was not looked at before may have changed while it was read.
            before = seen(paths);
        }
    }

    /// Returns the files as they are now.
    fn look(&self) -> Vec<Seen> {
        let paths = {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.iter().map(|seen| seen.path.clone()).collect()
        };
        seen(paths)
    }

    /// Waits until the files are others than those that were read, and stay so.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    async fn changed(self: &Arc<Self>) {
        let mut before = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let files = Arc::clone(self);
            let looking = tokio::task::spawn_blocking(move || files.look());
            let Ok(now) = looking.await else {
                continue;
            };
            let is_as_read = {
                let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
                *read == now
            };
            if !is_as_read && before.as_ref() == Some(&now) {
                // Whatever comes of it, it is not read again before it changes again.
                let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
                *read = now;
                return;
            }
            before = Some(now);
        }
    }

    /// Returns what reads the configuration again.
    pub(super) fn source(self: &Arc<Self>) -> Source {
        let files = Arc::clone(self);
        Arc::new(move || {
            let reading = files.read();
            let wrong = |severity| {
                let listed = reading.listed(severity).into_iter();
                listed.map(|listed| Wrong {
                    place: listed.place,
                    what: listed.message,
                    help: listed.help,
                })
            };
            let errors: Vec<Wrong> = wrong(Severity::Error).collect();
            let warnings = wrong(Severity::Warning);
            let warnings = warnings.map(|warning| describe(&warning)).collect();
            match &reading.config {
                Some(config) => Ok(Reread {
                    config: config.clone(),
                    warnings,
                }),
                None => Err(Refused::Wrong(errors)),
            }
        })
    }
}

fn seen(paths: Vec<PathBuf>) -> Vec<Seen> {
    let seen = |path: PathBuf| Seen {
        stamp: stamp(&path),
        path,
    };
    paths.into_iter().map(seen).collect()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    let (device, inode) = (metadata.dev(), metadata.ino());
    Some((device, inode, metadata.size(), modified, changed))
}

/// Reloads whenever that is requested and, while the configuration wants that, when its files change.
pub(super) async fn follow(live: Live, requested: Arc<Notify>, files: Option<Arc<Files>>) {
    let mut watches = live.watches();
    loop {
        let is_watching = *watches.borrow_and_update();
        let changed = async {
            match &files {
                Some(files) if is_watching => files.changed().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = requested.notified() => {}
            () = changed => info!("the configuration file has changed"),
            Ok(()) = watches.changed() => continue,
        }
        reload(&live).await;
    }
}

/// Reloads, and says what comes of it.
async fn reload(live: &Live) {
    let mut reloading = vec![NotifyState::Reloading];
    // systemd wants to know when.
    reloading.extend(NotifyState::monotonic_usec_now());
    super::run::tell_systemd(&reloading);
    match live.reload().await {
        Ok(reloaded) => {
            for warning in reloaded.warnings {
                warn!("{warning}");
            }
        }
        Err(refused) => {
            if let Refused::Wrong(wrong) = &refused {
                for wrong in wrong {
                    error!("{}", describe(wrong));
                }
            }
            let error = format!("cannot {refused}");
            error!(
                error,
                "the configuration is not reloaded; nothing has changed"
            );
        }
    }
    super::run::tell_systemd(&[NotifyState::Ready]);
}

fn describe(wrong: &Wrong) -> String {
    let place = wrong.place.as_ref();
    let place = place.map_or(String::new(), |place| format!("{place}: "));
    let help = wrong.help.as_ref();
    let help = help.map_or(String::new(), |help| format!("; {help}"));
    format!("{place}{}{help}", wrong.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::write(path, text).expect("a directory of ours");
    }

    #[tokio::test]
    async fn a_change_of_an_included_file_is_seen_once_and_when_it_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("mqhook.conf");
        let part = directory.path().join("part.conf");
        write(&path, "include \"part.conf\"\n");
        write(&part, "shutdown_grace = 1s\n");
        let files = Files::new(&path);
        files.read();
        let wait = LOOK * 10;
        let changes = || tokio::time::timeout(wait, files.changed());
        assert!(changes().await.is_err(), "nothing has changed");
        write(&part, "shutdown_grace = 10s\n");
        assert!(changes().await.is_ok());
        assert!(changes().await.is_err(), "it was seen");
        files.read();
        fs::remove_file(&part).expect("it is there");
        assert!(changes().await.is_ok());
    }
}
