//! The catalogue: which webhooks and groups there are, those of the configuration file and those of the API.
//!
//! ```text
//! file --config--> Config --+
//!                           +--compose--> the Config that is applied
//! store --definitions-------+
//! ```
//!
//! Definitions of the API are read like the file, each beside all that is in it. Names are unique over
//! both: nothing hides anything. What does not fit is a [`Clash`]. A change that brings one is refused; what is
//! there at the start, after the file was changed meanwhile or mqhook replaced by another version, is left out,
//! so that all others run.
//!
//! [`Catalogue`] is the one place through which what is configured changes while mqhook runs: changes of the API and
//! of the file come one after the other, so that each is made of what the last one left. While one is applied, a group has
//! only what it has before and after it: the data path goes by the new rules before it is known that all of them hold.

mod compose;
mod start;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::config::Config;
use crate::spool::store::{Defines, Definition};

pub use compose::{Clash, Why, compose};
pub use start::Error;

/// What is configured now.
#[derive(Debug, Clone)]
pub struct View {
    /// What the file says, or the command line.
    pub file: Arc<Config>,
    /// What came over the API, in the order in which it was made.
    pub definitions: Arc<[Definition]>,
    /// What both make together.
    pub config: Arc<Config>,
    /// What of the definitions does not fit, and is left out.
    pub clashes: Arc<[Clash]>,
}

/// What is configured, and the right to change that.
#[derive(Debug)]
pub struct Catalogue {
    view: RwLock<View>,
    /// What is about to be applied, and may be already.
    coming: RwLock<Option<Arc<Config>>>,
    /// How often either has changed.
    changes: AtomicU64,
    turn: Arc<Mutex<()>>,
}

/// The right to change what is configured, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    catalogue: Arc<Catalogue>,
    _turn: OwnedMutexGuard<()>,
}

impl Catalogue {
    /// Returns the catalogue of what a file and a store say.
    #[must_use]
    pub fn new(file: Config, definitions: Vec<Definition>) -> Self {
        Self {
            view: RwLock::new(View::new(file.into(), definitions.into())),
            coming: RwLock::default(),
            changes: AtomicU64::new(0),
            turn: Arc::default(),
        }
    }

    /// Returns what is configured now.
    #[must_use]
    pub fn view(&self) -> View {
        let view = self.view.read();
        view.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns a number that grows whenever [`of_group`](Self::of_group) may return something else.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Returns the names of webhooks that are of a group, and stay so after a change that is under way.
    #[must_use]
    pub fn of_group(&self, group: &str) -> BTreeSet<String> {
        let of = |config: &Config| {
            let webhooks = config.webhooks.iter();
            let of_it = webhooks.filter(|webhook| webhook.group.as_deref() == Some(group));
            of_it.map(|webhook| webhook.name.clone()).collect()
        };
        // First what is coming: by the time at which that is no more expected, it is what there is now.
        let coming = self.coming.read();
        let coming = coming.unwrap_or_else(PoisonError::into_inner).clone();
        let now: BTreeSet<String> = of(&self.view().config);
        match coming {
            None => now,
            Some(coming) => &now & &of(&coming),
        }
    }

    fn expect(&self, coming: Option<Arc<Config>>) {
        let expected = self.coming.write();
        *expected.unwrap_or_else(PoisonError::into_inner) = coming;
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Waits until nobody else changes what is configured.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn turn(self: &Arc<Self>) -> Turn {
        Turn {
            catalogue: Arc::clone(self),
            _turn: Arc::clone(&self.turn).lock_owned().await,
        }
    }
}

impl Turn {
    /// Returns what is configured now, which stays so until [`set`](Self::set).
    #[must_use]
    pub fn view(&self) -> View {
        self.catalogue.view()
    }

    /// Notes what is about to be applied: some of it may count before all of it does.
    pub fn expect(&self, view: &View) {
        self.catalogue.expect(Some(Arc::clone(&view.config)));
    }

    /// Notes what has been applied.
    pub fn set(&self, view: View) {
        let current = self.catalogue.view.write();
        *current.unwrap_or_else(PoisonError::into_inner) = view;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.catalogue.expect(None);
    }
}

impl View {
    /// Returns what a file makes together with those definitions that fit.
    #[must_use]
    pub fn new(file: Arc<Config>, definitions: Arc<[Definition]>) -> Self {
        let (config, clashes) = compose(&file, &definitions);
        Self {
            file,
            definitions,
            config: config.into(),
            clashes: clashes.into(),
        }
    }

    /// Returns what is wrong with a definition, if it does not fit.
    #[must_use]
    pub fn clash(&self, defines: Defines, name: &str) -> Option<&Clash> {
        let mut clashes = self.clashes.iter();
        clashes.find(|clash| clash.defines == defines && clash.name == name)
    }

    /// Returns what another file makes with the same definitions.
    ///
    /// # Errors
    /// All that does not fit, and did before.
    pub fn with_file(&self, file: Config) -> Result<Self, Vec<Clash>> {
        self.followed_by(Self::new(file.into(), Arc::clone(&self.definitions)))
    }

    /// Returns what the file makes with other definitions.
    ///
    /// # Errors
    /// All that does not fit, and did before.
    pub fn with_definitions(&self, definitions: Vec<Definition>) -> Result<Self, Vec<Clash>> {
        self.followed_by(Self::new(Arc::clone(&self.file), definitions.into()))
    }

    fn followed_by(&self, next: Self) -> Result<Self, Vec<Clash>> {
        let is_new = |clash: &&Clash| self.clash(clash.defines, &clash.name).is_none();
        let new: Vec<Clash> = next.clashes.iter().filter(is_new).cloned().collect();
        if new.is_empty() { Ok(next) } else { Err(new) }
    }
}
