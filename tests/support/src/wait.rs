//! Waits for what only a look from outside can tell, with a limit of the test's own.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Looks until there is a value, and returns it.
///
/// # Panics
/// When there is none within the limit, with what was expected.
pub async fn until<T>(
    limit: Duration,
    expected: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "expected {expected} within {limit:?}"
        );
        sleep(LOOK_AGAIN).await;
    }
}

/// Looks as long as a count goes on growing, until it has reached `goal`.
///
/// # Panics
/// When it has not grown for `patience`, with what was expected and what there was.
pub async fn while_growing(
    patience: Duration,
    expected: &str,
    goal: u64,
    look: impl AsyncFnMut() -> u64,
) {
    let most = growth(patience, goal, look).await;
    assert!(
        most >= goal,
        "expected {expected}: {goal}, and got {most}, with none more for {patience:?}"
    );
}

/// Looks until a count has reached `goal` or has not grown for `patience`; returns how far it came.
pub async fn growth(patience: Duration, goal: u64, mut look: impl AsyncFnMut() -> u64) -> u64 {
    let (mut most, mut since) = (0, Instant::now());
    loop {
        let count = look().await;
        if count > most {
            (most, since) = (count, Instant::now());
        }
        if most >= goal || since.elapsed() > patience {
            return most;
        }
        sleep(LOOK_AGAIN).await;
    }
}
