//! The delivery log as the API asks it: on threads that may wait for a disk, few and for a bounded time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{error, warn};

use super::Problem;
use crate::causes::describe;
use crate::delivery_log::{self, DeliveryLog};

/// How many ask at a time.
const THREADS: usize = 2;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The way to the log.
#[derive(Debug, Clone)]
pub struct LogHandle {
    log: DeliveryLog,
    permits: Arc<Semaphore>,
}

impl LogHandle {
    /// Returns the way to a log.
    #[must_use]
    pub fn new(log: DeliveryLog) -> Self {
        Self {
            log,
            permits: Arc::new(Semaphore::new(THREADS)),
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
                warn!(
                    error = describe(&error),
                    "the API cannot read the delivery log"
                );
                Err(Problem::busy(format!("cannot {error}")))
            }
            Err(error) => {
                error!(%error, "a question to the delivery log has panicked");
                Err(Problem::internal())
            }
        }
    }
}
