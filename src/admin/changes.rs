//! Changes that are under way. One that was begun is made to its end, whatever becomes of the client that asked for it:
//! otherwise who goes away in time would leave no line in the log.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use axum::response::IntoResponse as _;
use tokio::sync::Semaphore;
use tracing::error;

use super::Problem;

/// How many at a time.
const MOST: usize = 64;

/// Those of all routes.
#[derive(Debug, Clone)]
pub(super) struct Changes(Arc<Semaphore>);

impl Default for Changes {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Changes {
    /// Makes a change, and returns what came of it.
    ///
    /// # Cancel safety
    /// The change goes on when the future is dropped that has begun it.
    pub(super) async fn make(
        &self,
        change: impl Future<Output = Response<Body>> + Send + 'static,
    ) -> Response<Body> {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            return Problem::busy("too many changes are under way").into_response();
        };
        let changing = tokio::spawn(async move {
            let _permit = permit;
            change.await
        });
        changing.await.unwrap_or_else(|error| {
            error!(%error, "a change over the API has panicked");
            Problem::internal().into_response()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_made_to_its_end_though_nobody_waits_for_it() {
        let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
        let (done, is_done) = tokio::sync::oneshot::channel();
        let changes = Changes(Arc::new(Semaphore::new(1)));
        let mut changing = Box::pin(changes.make(async {
            may_go_on.await.expect("it is told");
            done.send(()).expect("the test waits");
            Response::default()
        }));
        assert!(futures_util::poll!(changing.as_mut()).is_pending());
        drop(changing);
        let refused = changes.make(async { Response::default() }).await;
        assert_eq!(refused.status(), 503, "one is under way");
        go_on.send(()).expect("it goes on");
        is_done.await.expect("it is made");
        assert!(changes.0.acquire().await.is_ok(), "the next may be made");
    }
}
