//! What is configured when mqhook starts.

use thiserror::Error;
use tracing::error;

use super::Catalogue;
use crate::config::Config;
use crate::spool::Backend;
use crate::spool::store::{self, Definition, OpenError, Store};

/// Why it is not known what is configured. Nothing was changed; the operator must act.
#[derive(Debug, Error)]
pub enum Error {
    /// The spool cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The spool cannot be read.
    #[error("read what was configured over the API")]
    Store(#[from] store::Error),
}

impl Catalogue {
    /// Returns the catalogue of a file and of the spool that it names; what does not fit is left out, and logged.
    ///
    /// # Errors
    /// All variants.
    pub fn at_start(file: Config) -> Result<Self, Error> {
        let definitions = match &file.spool.backend {
            Backend::Memory => Vec::new(),
            Backend::Sqlite { dir } => stored(dir)?,
        };
        let catalogue = Self::new(file, definitions);
        for clash in catalogue.view().clashes.iter() {
            error!(%clash, "left out until it is mended: something that was configured over the API");
        }
        Ok(catalogue)
    }
}

fn stored(dir: &std::path::Path) -> Result<Vec<Definition>, Error> {
    let store = match Store::attach(dir) {
        Err(OpenError::Missing { .. } | OpenError::Damaged { .. }) => return Ok(Vec::new()),
        // It is brought to this version by that.
        Err(OpenError::Older { .. }) => {
            let opened = Store::open(dir)?;
            if let Some(set_aside) = opened.set_aside {
                error!(path = %set_aside.display(), "the spool was damaged and is set aside");
            }
            opened.store
        }
        store => store?,
    };
    match store.definitions() {
        // It is about to be set aside, with all that is in it.
        Err(store::Error::Corrupt { .. }) => Ok(Vec::new()),
        definitions => Ok(definitions?),
    }
}
