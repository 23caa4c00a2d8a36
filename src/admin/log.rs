//! The delivery log as the API asks it: on threads that may wait for a disk, few and for a bounded time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::{error, warn};

use super::Problem;
use crate::causes::describe;
use crate::delivery_log::{self, DeliveryLog};
use crate::telemetry::Throttle;

/// How many ask at a time.
const THREADS: usize = 2;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// How often it is said that it cannot be read, which every question meets.
const SAID: Duration = Duration::from_mins(1);

/// The way to the log.
#[derive(Debug, Clone)]
pub struct LogHandle {
    log: DeliveryLog,
    permits: Arc<Semaphore>,
    said: Arc<Mutex<Throttle>>,
}

impl LogHandle {
    /// Returns the way to a log.
    #[must_use]
    pub fn new(log: DeliveryLog) -> Self {
        Self {
            log,
            permits: Arc::new(Semaphore::new(THREADS)),
            said: Arc::new(Mutex::new(Throttle::new(SAID))),
        }
    }

    /// Returns the log, for what is in memory.
    #[must_use]
    pub fn log(&self) -> &DeliveryLog {
        &self.log
    }

    /// Asks the log something that may take a while.
    ///
    /// # Errors
    /// It cannot be read, or does not answer in time.
    pub async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&DeliveryLog) -> Result<T, delivery_log::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let late = |_elapsed| Problem::busy("the delivery log does not answer in time");
        let log = self.log.clone();
        let asking = async {
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                ask(&log)
            })
            .await
        };
        match timeout(DEADLINE, asking).await.map_err(late)? {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(held_back) = said.pass(Instant::now()) {
                    let error = describe(&error);
                    warn!(error, held_back, "the API cannot read the delivery log");
                }
                Err(Problem::busy(format!("cannot {error}")))
            }
            Err(error) => {
                error!(%error, "a question to the delivery log has panicked");
                Err(Problem::internal())
            }
        }
    }
}
