//! Which spool a command is about, and what all commands about a spool have in common.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use clap::Args;

use super::output::{self, Output, escape};
use crate::config::hocon::{Outside as _, System};
use crate::config::{self, Config};
use crate::spool::store::{Backlog, OpenError, Store, is_in_use};
use crate::spool::{Backend, default_dir};

/// The variable in which systemd names the directories that a unit may keep state in.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// Which spool is meant.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Configuration file, for its `spool.dir`.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The spool's directory: /var/lib/mqhook with the systemd unit. Default: `STATE_DIRECTORY`, otherwise ./mqhook-spool
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    dir: Option<PathBuf>,
}

/// A spool that another mqhook may run on.
pub(super) struct Spool {
    pub(super) store: Store,
    pub(super) dir: PathBuf,
}

impl Place {
    /// Does something with the spool, and returns the exit status.
    ///
    /// Whoever reads the output may stop reading; that is no failure.
    pub(super) fn with_spool(
        &self,
        act: impl FnOnce(&mut Spool, &mut Output) -> Result<()>,
    ) -> ExitCode {
        self.with(Spool::attach, act)
    }

    /// Does the same, and makes the spool where there is none yet, if it was said where that is.
    pub(super) fn with_new_spool(
        &self,
        act: impl FnOnce(&mut Spool, &mut Output) -> Result<()>,
    ) -> ExitCode {
        if self.dir.is_none() && self.config.is_none() {
            return self.with_spool(act);
        }
        self.with(Spool::attach_or_make, act)
    }

    fn with(
        &self,
        open: fn(PathBuf) -> Result<Spool>,
        act: impl FnOnce(&mut Spool, &mut Output) -> Result<()>,
    ) -> ExitCode {
        let dir = match self.directory() {
            Ok(dir) => dir,
            Err(status) => return status,
        };
        let mut output = Output::new();
        let result = open(dir)
            .and_then(|mut spool| act(&mut spool, &mut output))
            .and_then(|()| output.flush());
        match result {
            Err(error) if !output::is_broken_pipe(&error) => {
                // What was done before is told before.
                let _ = output.flush();
                self.fail(&error)
            }
            _ => ExitCode::SUCCESS,
        }
    }

    /// Returns the configuration, if the place was said by its file.
    pub(super) fn configuration(&self) -> Option<Config> {
        let file = self.config.as_ref()?;
        config::load(file, &System).config
    }

    /// Returns the directory, or the exit status if that cannot be told, which was reported then.
    fn directory(&self) -> Result<PathBuf, ExitCode> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        let Some(file) = &self.config else {
            let state_directory = System.env(STATE_DIRECTORY);
            return Ok(default_dir(state_directory.as_deref()));
        };
        match super::load(file)?.spool.backend {
            Backend::Sqlite { dir } => Ok(dir),
            Backend::Memory => {
                let file = file.display();
                Err(self.fail(&anyhow!(
                    "look into the spool of {file}, as its backend is `memory`"
                )))
            }
        }
    }

    fn fail(&self, error: &anyhow::Error) -> ExitCode {
        eprintln!("error: cannot {error:#}");
        let is_missing = matches!(error.downcast_ref(), Some(OpenError::Missing { .. }));
        if is_missing && self.dir.is_none() {
            eprintln!(
                "hint: give its directory with --dir; a service of systemd's has it in /var/lib/mqhook"
            );
        }
        ExitCode::FAILURE
    }
}

impl Spool {
    fn attach(dir: PathBuf) -> Result<Self> {
        let store = Store::attach(&dir)?;
        Ok(Self { store, dir })
    }

    fn attach_or_make(dir: PathBuf) -> Result<Self> {
        match Store::attach(&dir) {
            Err(OpenError::Missing { .. }) => {
                drop(Store::open(&dir)?);
                let shown = escape(&dir.display().to_string());
                eprintln!("warning: no mqhook has run on {shown} yet; a new spool begins there");
            }
            attached => drop(attached?),
        }
        Self::attach(dir)
    }

    /// Returns what is known of a webhook.
    pub(super) fn webhook(&self, name: &str) -> Result<Backlog> {
        let mut backlog = self.store.backlog()?;
        if let Some(place) = backlog.iter().position(|webhook| webhook.name == name) {
            return Ok(backlog.swap_remove(place));
        }
        let known: Vec<&str> = backlog
            .iter()
            .map(|webhook| webhook.name.as_str())
            .collect();
        let name = escape(name);
        match known.as_slice() {
            [] => bail!("find the webhook `{name}` in the spool, as there is none"),
            known => {
                let known = escape(&known.join(", "));
                bail!("find the webhook `{name}` in the spool; there is {known}")
            }
        }
    }

    /// Returns whether an mqhook runs on the spool.
    pub(super) fn is_running(&self) -> Result<bool> {
        Ok(is_in_use(&self.dir)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_is_in_use_while_its_store_is_open() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let opened = Store::open(dir.path()).expect("a directory of ours");
        let spool = Spool::attach(dir.path().to_owned()).expect("a spool");
        assert!(spool.is_running().expect("a readable directory"));
        drop(opened);
        assert!(!spool.is_running().expect("a readable directory"));
    }
}
