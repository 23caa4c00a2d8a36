//! Writes down how often webhooks are attempted, apart from the data path.

use std::sync::Arc;
use std::time::Duration;

use crate::admin::Api;
use crate::event::Timestamp;
use crate::spool::store::Activity;

/// How often; what a crash forgets is what was counted since.
const INTERVAL: Duration = Duration::from_secs(5);

/// Runs until it is dropped.
pub(in crate::admin) async fn keep(api: Arc<Api>) {
    if !api.store.is_on_disk() {
        return;
    }
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let counts = api.configured.activities.take();
        if counts.is_empty() {
            continue;
        }
        let now = Timestamp::now();
        let activity = |(webhook, attempts): &(String, u64)| Activity {
            webhook: webhook.clone(),
            attempts: *attempts,
            last_triggered: Some(now),
        };
        let more: Vec<Activity> = counts.iter().map(activity).collect();
        let written = api.store.write(move |store| store.add_activity(&more));
        if written.await.is_err() {
            api.configured.activities.put_back(&counts);
        }
    }
}
