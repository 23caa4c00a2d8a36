//! The end of a secret that signs beside the one that took its place.
//!
//! When that is stands with the definition, so that it comes after a restart as well.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tracing::{info, warn};

use crate::admin::definitions::{Change, Step, carried_out, turn};
use crate::admin::{Api, Problem};
use crate::event::Timestamp;
use crate::spool::store::Definition;

/// How late an overlap may end.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long an end that could not be is left alone.
const PAUSE: Duration = Duration::from_secs(30);

/// Ends overlaps when they are due, until it is dropped.
pub(in crate::admin) async fn end_all(api: Arc<Api>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let view = api.configured.catalogue.view();
        let now = Timestamp::now();
        for definition in view.definitions.iter().filter(|it| is_due(it, now)) {
            let name = definition.name.escape_debug();
            match end(&api, &definition.id).await {
                Ok(()) => info!(webhook = %name, "the secret from before does not sign any more"),
                Err(problem) => {
                    let why = problem.detail();
                    warn!(webhook = %name, why, "the secret from before signs on for now");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn is_due(definition: &Definition, now: Timestamp) -> bool {
    definition.overlaps_until.is_some_and(|until| until <= now)
}

async fn end(api: &Arc<Api>, id: &str) -> Result<(), Problem> {
    let turn = turn(api).await?;
    let view = turn.view();
    let mut definitions = view.definitions.iter();
    let now = Timestamp::now();
    // It may have been changed while others had their turn.
    let Some(old) = definitions.find(|it| it.id == id && is_due(it, now)) else {
        return Ok(());
    };
    let mut definition: Value = serde_json::from_str(&old.json).map_err(|_| Problem::internal())?;
    if let Some(sign) = definition.get_mut("sign").and_then(Value::as_object_mut) {
        let secrets = first(sign).into_iter().collect();
        set(sign, secrets);
    }
    let new = Definition {
        json: definition.to_string(),
        version: old.version + 1,
        last_modified_at: now,
        overlaps_until: None,
        ..old.clone()
    };
    let old = old.clone();
    let change = Change::new(&turn, Step::Set { old, new }).await?;
    carried_out(api, turn, change).await
}

/// Takes the secrets out of a `sign` table, and returns the first.
pub(super) fn first(sign: &mut Map<String, Value>) -> Option<Value> {
    let one = sign.remove("secret");
    let several = sign.remove("secrets");
    one.or_else(|| several?.as_array()?.first().cloned())
}

/// Puts secrets into a `sign` table that has none.
pub(super) fn set(sign: &mut Map<String, Value>, mut secrets: Vec<Value>) {
    if secrets.len() == 1 {
        sign.extend(secrets.pop().map(|secret| ("secret".to_owned(), secret)));
    } else {
        sign.insert("secrets".to_owned(), secrets.into());
    }
}
