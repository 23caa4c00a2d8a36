//! The handle by which a running mqhook gets another configuration.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::{mpsc, oneshot, watch};

use crate::admin::control::{Acting, Applied, Control, Refused, Reloaded, Wrong};
use crate::catalogue::{Catalogue, Clash};
use crate::config::Config;
use crate::event::Timestamp;

/// Configurations that may wait to be applied.
const WAITING: usize = 16;

/// A configuration that was read again, and what is odd about it.
#[derive(Debug)]
pub struct Reread {
    /// The configuration.
    pub config: Config,
    /// What is odd, and no error.
    pub warnings: Vec<String>,
}

/// Reads the configuration again; blocks for as long as that takes.
pub type Source = Arc<dyn Fn() -> Result<Reread, Refused> + Send + Sync>;

/// A running mqhook, to which another configuration can be given. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    commands: mpsc::Sender<Command>,
    webhooks: watch::Receiver<Vec<String>>,
    watches: watch::Receiver<bool>,
    metrics: Metrics,
    source: Arc<Mutex<Option<Source>>>,
    catalogue: Arc<Catalogue>,
}

/// A configuration that is to be applied, and who waits for what comes of it.
pub(super) struct Command {
    pub(super) config: Box<Config>,
    pub(super) answer: oneshot::Sender<Result<Applied, Refused>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    result: &'static str,
}

/// Counts of reloads.
#[derive(Clone, Default)]
struct Metrics {
    reloads: Family<Labels, Counter>,
    is_successful: Gauge,
    /// Seconds since 1970.
    succeeded_at: Gauge,
}

impl Metrics {
    /// Returns the metrics, registered, after the configuration was read at the start.
    fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for result in ["success", "failure"] {
            drop(metrics.reloads.get_or_create(&Labels { result }));
        }
        registry.register(
            "config_reloads",
            "Times that the configuration was read again, by what came of it",
            metrics.reloads.clone(),
        );
        registry.register(
            "config_last_reload_successful",
            "1 if the configuration could be used when it was read last, otherwise 0",
            metrics.is_successful.clone(),
        );
        registry.register_with_unit(
            "config_last_reload_success_timestamp",
            "When the configuration was read last that could be used, in seconds since 1970",
            Unit::Seconds,
            metrics.succeeded_at.clone(),
        );
        metrics.succeeded();
        metrics
    }

    fn reloaded(&self, is_successful: bool) {
        let result = if is_successful { "success" } else { "failure" };
        self.reloads.get_or_create(&Labels { result }).inc();
        self.is_successful.set(i64::from(is_successful));
        if is_successful {
            self.succeeded();
        }
    }

    fn succeeded(&self) {
        self.is_successful.set(1);
        let seconds = Timestamp::now().as_millis() / 1_000;
        self.succeeded_at
            .set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }
}

/// The other end of the handle.
pub(super) struct Commands {
    pub(super) queue: mpsc::Receiver<Command>,
    /// The names of the webhooks that run.
    pub(super) webhooks: watch::Sender<Vec<String>>,
    /// Whether the files of the configuration are to be watched.
    pub(super) watches: watch::Sender<bool>,
}

impl Live {
    pub(super) fn new(registry: &mut Registry, catalogue: Arc<Catalogue>) -> (Self, Commands) {
        let (commands, queue) = mpsc::channel(WAITING);
        let others = Commands {
            queue,
            webhooks: watch::Sender::default(),
            watches: watch::Sender::default(),
        };
        let live = Self {
            commands,
            webhooks: others.webhooks.subscribe(),
            watches: others.watches.subscribe(),
            metrics: Metrics::new(registry),
            source: Arc::default(),
            catalogue,
        };
        (live, others)
    }

    /// Returns whether the files of the configuration are to be watched, as that changes.
    #[must_use]
    pub fn watches(&self) -> watch::Receiver<bool> {
        self.watches.clone()
    }

    /// Sets where the configuration is read again; before, it cannot be.
    pub fn set_source(&self, source: Source) {
        let mut held = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(source);
    }

    /// Has another configuration hold: all of it or, if it is refused, nothing. Returns when events go by it,
    /// as far as the broker answers soon. One is applied after the other.
    ///
    /// # Errors
    /// It is refused, or mqhook is about to end.
    ///
    /// # Cancel safety
    /// The configuration may be applied all the same.
    pub async fn apply(&self, config: Config) -> Result<Applied, Refused> {
        let (answer, answered) = oneshot::channel();
        let config = Box::new(config);
        let command = Command { config, answer };
        if self.commands.send(command).await.is_err() {
            return Err(Refused::Closing);
        }
        answered.await.unwrap_or(Err(Refused::Closing))
    }

    /// Reads the configuration again and has it hold, as [`apply`](Self::apply) does.
    ///
    /// # Errors
    /// It cannot be read, is wrong, or is refused.
    ///
    /// # Cancel safety
    /// That of [`apply`](Self::apply).
    pub async fn reload(&self) -> Result<Reloaded, Refused> {
        let reloaded = self.read_and_apply().await;
        self.metrics.reloaded(reloaded.is_ok());
        reloaded
    }

    async fn read_and_apply(&self) -> Result<Reloaded, Refused> {
        let source = {
            let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
            source.clone()
        };
        let Some(source) = source else {
            let why = "mqhook was started without a file";
            return Err(Refused::Unusable(why.to_owned()));
        };
        let reading = tokio::task::spawn_blocking(move || source());
        let read = reading.await;
        let read = read.map_err(|error| Refused::Unusable(error.to_string()))?;
        let Reread { config, warnings } = read?;
        // Whoever asks may go before it is noted what has been applied.
        let live = self.clone();
        let applying = tokio::spawn(async move { live.apply_file(config).await });
        let applied = applying.await;
        let applied = applied.map_err(|error| Refused::Unusable(error.to_string()))??;
        Ok(Reloaded { applied, warnings })
    }

    /// Has another file hold, with what was configured over the API.
    async fn apply_file(&self, file: Config) -> Result<Applied, Refused> {
        let turn = self.catalogue.turn().await;
        let view = turn.view();
        let composing = tokio::task::spawn_blocking(move || view.with_file(file));
        let composed = composing.await;
        let composed = composed.map_err(|error| Refused::Unusable(error.to_string()))?;
        let view = composed.map_err(|clashes| {
            let wrong = |clash: &Clash| Wrong {
                place: None,
                what: clash.to_string(),
                help: None,
            };
            Refused::Wrong(clashes.iter().map(wrong).collect())
        })?;
        turn.expect(&view);
        let applied = self.apply((*view.config).clone()).await?;
        turn.set(view);
        Ok(applied)
    }
}

impl Control for Live {
    fn apply(&self, config: Config) -> Acting<'_, Result<Applied, Refused>> {
        Box::pin(Self::apply(self, config))
    }

    fn reload(&self) -> Acting<'_, Result<Reloaded, Refused>> {
        Box::pin(Self::reload(self))
    }

    fn webhooks(&self) -> Vec<String> {
        self.webhooks.borrow().clone()
    }
}
