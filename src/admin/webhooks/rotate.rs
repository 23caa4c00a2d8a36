//! `POST /webhooks/{id}/rotate-secret`: another secret to sign with.

use std::sync::Arc;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};

use super::{change, find};
use crate::admin::access::{Sight, audit};
use crate::admin::definitions::{Change, Step, carried_out, turn};
use crate::admin::{Api, Caller, OptionalBody, Problem, Query, Segment, answer};
use crate::event::Timestamp;
use crate::spool::store::Definition;

/// The bytes of a secret that is made here.
const SECRET_BYTES: usize = 32;

/// The longest secret that is taken.
const MOST_SECRET_BYTES: usize = 1_024;

/// The scheme whose signatures stand side by side.
const SEVERAL: &str = "standard-webhooks";

/// Answers with the new secret, once. With `"keep": true`, the default where the scheme has it, the one that
/// signed until now signs beside it until the next rotation.
pub(in crate::admin) async fn rotate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    Query(query): Query,
    OptionalBody(mut fields): OptionalBody,
) -> Result<Response<Bytes>, Problem> {
    query.end(|| Some(()))?;
    let secret = fields.text("secret", MOST_SECRET_BYTES);
    let keep = fields.bool("keep");
    fields.end(|| Some(()))?;
    let sight = api.sight(&caller).await?;
    let rotated = rotated(&api, (&sight, &id), secret, keep).await;
    audit(&caller, "rotate the secret of a webhook", &id, &rotated);
    let (secret, signing) = rotated?;
    let webhook = find(&api.configured.catalogue.view(), &Sight::All, &id)?;
    let shown = json!({"secret": secret, "signing": signing});
    Ok(webhook.tag().on(answer::json(StatusCode::OK, &shown)))
}

/// Returns the new secret, and how many sign from now on.
async fn rotated(
    api: &Arc<Api>,
    (sight, id): (&Sight, &str),
    secret: Option<String>,
    keep: Option<bool>,
) -> Result<(String, usize), Problem> {
    let turn = turn(api).await?;
    let view = turn.view();
    let webhook = find(&view, sight, id)?;
    let old = webhook.changeable()?.clone();
    let mut definition: Value = serde_json::from_str(&old.json).unwrap_or(Value::Null);
    let Some(sign) = definition.get_mut("sign").and_then(Value::as_object_mut) else {
        return Err(Problem::conflict("the webhook does not sign its requests"));
    };
    let scheme = sign
        .get("scheme")
        .and_then(Value::as_str)
        .unwrap_or(SEVERAL);
    if keep == Some(true) && scheme != SEVERAL {
        let detail = format!("with the scheme {scheme}, one secret signs and not two");
        return Err(Problem::conflict(detail));
    }
    let (scheme, keeps) = (scheme.to_owned(), keep.unwrap_or(scheme == SEVERAL));
    let secret = match secret {
        Some(secret) => secret,
        None => new_secret(&scheme)?,
    };
    let before = sign.remove("secret").or_else(|| {
        let secrets = sign.remove("secrets")?;
        secrets.as_array()?.first().cloned()
    });
    let mut secrets = vec![Value::from(secret.clone())];
    secrets.extend(before.filter(|_| keeps));
    let signing = secrets.len();
    if signing == 1 {
        sign.insert("secret".to_owned(), secret.clone().into());
    } else {
        sign.insert("secrets".to_owned(), secrets.into());
    }
    change::check(&view, &old.name, old.group.as_deref(), &definition)?;
    let new = Definition {
        json: definition.to_string(),
        version: old.version + 1,
        last_modified_at: Timestamp::now(),
        ..old.clone()
    };
    let change = Change::new(&turn, Step::Set { old, new }).await?;
    carried_out(api, turn, change).await?;
    Ok((secret, signing))
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
