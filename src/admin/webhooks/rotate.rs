//! `POST /webhooks/{id}/rotate-secret`: another secret to sign with.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};

use super::{change, find, overlap};
use crate::admin::access::{Sight, audit};
use crate::admin::definitions::{Change, Step, carried_out, turn};
use crate::admin::{Api, Caller, OptionalBody, Problem, Query, Segment, answer};
use crate::config::read_duration;
use crate::event::Timestamp;
use crate::spool::store::Definition;

/// The bytes of a secret that is made here.
const SECRET_BYTES: usize = 32;

/// The longest secret that is taken.
const MOST_SECRET_BYTES: usize = 1_024;

/// The scheme whose signatures stand side by side.
const SEVERAL: &str = "standard-webhooks";

/// How long two secrets sign side by side, if nobody says otherwise, and at most.
const OVERLAP: Duration = Duration::from_hours(24);
const LONGEST_OVERLAP: Duration = Duration::from_hours(24 * 90);

/// What a rotation has come to.
struct Rotated {
    secret: String,
    /// How many sign from now on.
    signing: usize,
    overlaps_until: Option<Timestamp>,
}

/// Answers with the new secret, once. For `overlap` the one that signed until now signs beside it, where the
/// scheme has several.
pub(in crate::admin) async fn rotate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    Query(query): Query,
    OptionalBody(mut fields): OptionalBody,
) -> Result<Response<Bytes>, Problem> {
    query.end(|| Some(()))?;
    let secret = fields.text("secret", MOST_SECRET_BYTES);
    let overlap = fields.parse("overlap", |text| {
        let overlap = read_duration(text)?;
        let is_short = overlap <= LONGEST_OVERLAP;
        is_short
            .then_some(overlap)
            .ok_or_else(|| "it must be at most 90d".to_owned())
    });
    fields.end(|| Some(()))?;
    let sight = api.sight(&caller).await?;
    let rotated = rotated(&api, (&sight, &id), secret, overlap).await;
    audit(&caller, "rotate the secret of a webhook", &id, &rotated);
    let rotated = rotated?;
    let webhook = find(&api.configured.catalogue.view(), &sight, &id)?;
    let shown = json!({
        "secret": rotated.secret,
        "signing": rotated.signing,
        "overlaps_until": rotated.overlaps_until.map(Timestamp::rfc3339),
    });
    Ok(webhook.tag().on(answer::json(StatusCode::OK, &shown)))
}

async fn rotated(
    api: &Arc<Api>,
    (sight, id): (&Sight, &str),
    secret: Option<String>,
    overlap: Option<Duration>,
) -> Result<Rotated, Problem> {
    let turn = turn(api).await?;
    let view = turn.view();
    let webhook = find(&view, sight, id)?;
    let old = webhook.changeable()?.clone();
    let mut definition: Value = serde_json::from_str(&old.json).unwrap_or(Value::Null);
    let Some(sign) = definition.get_mut("sign").and_then(Value::as_object_mut) else {
        return Err(Problem::conflict("the webhook does not sign its requests"));
    };
    let scheme = sign.get("scheme").and_then(Value::as_str);
    let scheme = scheme.unwrap_or(SEVERAL).to_owned();
    let overlap = match overlap {
        None if scheme == SEVERAL => OVERLAP,
        None => Duration::ZERO,
        Some(overlap) if scheme != SEVERAL && !overlap.is_zero() => {
            let detail = format!("with the scheme {scheme}, one secret signs and not two");
            return Err(Problem::conflict(detail));
        }
        Some(overlap) => overlap,
    };
    let secret = match secret {
        Some(secret) => secret,
        None => new_secret(&scheme)?,
    };
    let before = overlap::first(sign).filter(|_| !overlap.is_zero());
    let secrets: Vec<Value> = std::iter::once(secret.clone().into())
        .chain(before)
        .collect();
    let signing = secrets.len();
    overlap::set(sign, secrets);
    change::check(&view, &old.name, old.group.as_deref(), &definition)?;
    let now = Timestamp::now();
    let overlaps_until = (signing > 1).then(|| now.after(overlap));
    let new = Definition {
        json: definition.to_string(),
        version: old.version + 1,
        last_modified_at: now,
        overlaps_until,
        ..old.clone()
    };
    let change = Change::new(&turn, Step::Set { old, new }).await?;
    carried_out(api, turn, change).await?;
    Ok(Rotated {
        secret,
        signing,
        overlaps_until,
    })
}

/// Makes a secret in the form of a scheme.
fn new_secret(scheme: &str) -> Result<String, Problem> {
    let mut bytes = [0; SECRET_BYTES];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Problem::internal())?;
    if scheme == SEVERAL {
        return Ok(format!("whsec_{}", STANDARD.encode(bytes)));
    }
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    Ok(digits.collect())
}
