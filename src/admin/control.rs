//! What the API may have the data path do.

use std::pin::Pin;

use serde::Serialize;
use thiserror::Error;

use crate::config::Config;

/// What the data path is doing for the API.
pub type Acting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The running data path, as the API sees it.
///
/// Nothing here waits for deliveries, and whoever waits for an answer has a deadline: the data path may be stuck.
pub trait Control: Send + Sync {
    /// Has another configuration hold; all of it or, where that is refused, nothing.
    fn apply(&self, config: Config) -> Acting<'_, Result<Applied, Refused>>;

    /// Reads the configuration file again and has it hold, as [`apply`](Self::apply) does.
    fn reload(&self) -> Acting<'_, Result<Reloaded, Refused>> {
        let why = "mqhook was started without a file, or cannot read it again".to_owned();
        Box::pin(async { Err(Refused::Unusable(why)) })
    }

    /// Returns the names of the webhooks that run, in their order.
    fn webhooks(&self) -> Vec<String>;
}

/// What reading the file again has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// What has changed.
    #[serde(flatten)]
    pub applied: Applied,
    /// What is odd about the file, and no error.
    pub warnings: Vec<String>,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The file and the line, if it is about a place.
    pub place: Option<String>,
    /// What is wrong; names the key.
    pub what: String,
    /// How to mend it.
    pub help: Option<String>,
}

/// What another configuration has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Webhooks that are new.
    pub added: Vec<String>,
    /// Those that are no more what they were.
    pub changed: Vec<String>,
    /// Those that are no more.
    pub removed: Vec<String>,
    /// How many are what they were, and went on.
    pub unchanged: usize,
    /// Those that stay durable until mqhook starts anew, against what is configured.
    #[serde(skip)]
    pub stay_durable: Vec<String>,
}

/// Why another configuration does not hold. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// These keys count at the start only.
    #[error("change {} while mqhook runs; restart it", keys.join(", "))]
    Restart {
        /// The keys, such as `spool.dir`.
        keys: Vec<String>,
    },
    /// It is wrong.
    #[error("use the configuration, as it has {} errors", .0.len())]
    Wrong(Vec<Wrong>),
    /// Something that the configuration names cannot be used, such as a file.
    #[error("use the configuration: {0}")]
    Unusable(String),
    /// mqhook is shutting down.
    #[error("change anything, as mqhook is shutting down")]
    Closing,
}

/// A data path that cannot be changed.
#[derive(Debug, Clone)]
pub struct Fixed(pub Vec<String>);

impl Control for Fixed {
    fn apply(&self, _: Config) -> Acting<'_, Result<Applied, Refused>> {
        let keys = vec!["webhooks".to_owned()];
        Box::pin(async { Err(Refused::Restart { keys }) })
    }

    fn webhooks(&self) -> Vec<String> {
        self.0.clone()
    }
}
