//! `/tokens` and `/whoami`.

use std::sync::Arc;

use axum::body::Body as AnswerBody;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde::Serialize;

use super::answer::{self, Window};
use super::{Api, Body, Caller, Fields, Problem, Query, Segment, audit, new_token};
use crate::event::Timestamp;
use crate::spool::store::{Limit, MAX_TOKENS, Made, NewToken, Role, TokenId, TokenRow};

/// The longest name of a token, in bytes.
const LONGEST_NAME: usize = 64;

/// The longest name of a group or a webhook, in bytes.
const LONGEST_LIMIT: usize = 256;

/// What who asks without a token is called; no token may have this name.
pub(super) const LOOPBACK: &str = "loopback";

/// Reads the name of a token.
///
/// # Errors
/// It is none.
pub fn token_name(text: &str) -> Result<String, String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(is_part) {
        return Err(format!(
            "it must have 1 to {LONGEST_NAME} letters, digits, dots, `_` or `-`"
        ));
    }
    if text == LOOPBACK || text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("it must not be a number, or `loopback`".to_owned());
    }
    Ok(text.to_owned())
}

/// Makes one limit of what a token is limited to.
///
/// # Errors
/// It is limited to both, or to what its role has nothing to do with.
pub fn token_limit(
    role: Role,
    group: Option<String>,
    webhook: Option<String>,
) -> Result<Option<Limit>, &'static str> {
    match (group, webhook) {
        (Some(_), Some(_)) => Err("a token is limited to a group or to a webhook, not to both"),
        (None, Some(_)) if role == Role::Publisher => {
            Err("a publisher publishes to a group; limit it to one, or not")
        }
        (Some(group), None) => Ok(Some(Limit::Group(group))),
        (None, webhook) => Ok(webhook.map(Limit::Webhook)),
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    id: u64,
    name: &'a str,
    role: &'static str,
    group: Option<&'a str>,
    webhook: Option<&'a str>,
    created_at: String,
    last_used_at: Option<String>,
    /// The token itself; once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Serialize)]
struct Myself<'a> {
    name: Option<&'a str>,
    role: &'static str,
    group: Option<&'a str>,
    webhook: Option<&'a str>,
}

/// Returns the group and the webhook.
fn parts(limit: Option<&Limit>) -> (Option<&str>, Option<&str>) {
    match limit {
        None => (None, None),
        Some(Limit::Group(group)) => (Some(group), None),
        Some(Limit::Webhook(webhook)) => (None, Some(webhook)),
    }
}

fn show_row(row: &TokenRow, token: Option<String>) -> Shown<'_> {
    let (group, webhook) = parts(row.token.limit.as_ref());
    Shown {
        id: row.id.0,
        name: &row.token.name,
        role: row.token.role.name(),
        group,
        webhook,
        created_at: row.created_at.rfc3339(),
        last_used_at: row.last_used_at.map(Timestamp::rfc3339),
        token,
    }
}

pub(super) async fn whoami(
    caller: Caller,
    Query(query): Query,
) -> Result<Response<AnswerBody>, Problem> {
    query.end(|| Some(()))?;
    let (group, webhook) = parts(caller.limit.as_ref());
    let myself = Myself {
        name: caller.token.as_ref().map(|(_, name)| name.as_str()),
        role: caller.role.name(),
        group,
        webhook,
    };
    Ok(answer::json(StatusCode::OK, &myself))
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Query(mut query): Query,
) -> Result<Response<AnswerBody>, Problem> {
    let window = Window::<u64>::read(&mut query);
    query.end(|| Some(()))?;
    let tokens = api.store.read(|store| store.tokens()).await?;
    let after = window.after.unwrap_or(0);
    let mut rest = tokens.iter().filter(|row| row.id.0 > after).peekable();
    let mut items = Vec::new();
    let mut last = None;
    while items.len() < window.limit
        && let Some(row) = rest.next()
    {
        last = Some(row.id.0);
        items.push(show_row(row, None));
    }
    let next = last.filter(|_| rest.peek().is_some());
    Ok(answer::page(items, next))
}

fn read_new(mut body: Fields) -> Result<(NewToken, String), Problem> {
    let roles = Role::ALL.map(|role| (role.name(), role));
    let name = body.required("name", |body, key| body.parse(key, token_name));
    let role = body.required("role", |body, key| body.choice(key, &roles));
    let some = |text: &str| match text.len() {
        1..=LONGEST_LIMIT => Ok(text.to_owned()),
        _ => Err("it must have 1 to 256 bytes"),
    };
    let (group, webhook) = (body.parse("group", some), body.parse("webhook", some));
    let limit = token_limit(role.unwrap_or(Role::Viewer), group, webhook);
    if let Err(detail) = limit {
        body.flaw("webhook", detail, None);
    }
    let (token, hash) = new_token();
    body.end(|| {
        let new = NewToken {
            name: name?,
            hash,
            role: role?,
            limit: limit.ok()?,
        };
        Some((new, token))
    })
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(body): Body,
) -> Result<Response<AnswerBody>, Problem> {
    let (new, token) = read_new(body)?;
    let on = format!("{} ({})", new.name, new.role.name());
    let act =
        move |store: &mut crate::spool::store::Store| store.make_token(&new, Timestamp::now());
    let done = match api.store.write(act).await {
        Ok(Made::Token(row)) => Ok(row),
        Ok(Made::NameTaken) => Err(Problem::conflict("there is a token of this name")),
        Ok(Made::TooMany) => Err(Problem::conflict(format!(
            "there are {MAX_TOKENS} tokens already"
        ))),
        Err(problem) => Err(problem),
    };
    api.tokens.forget();
    audit(&caller, "create a token", &on, &done);
    Ok(answer::json(
        StatusCode::CREATED,
        &show_row(&done?, Some(token)),
    ))
}

pub(super) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    Query(query): Query,
) -> Result<Response<AnswerBody>, Problem> {
    query.end(|| Some(()))?;
    let on = id.clone();
    let remove = move |store: &mut crate::spool::store::Store| {
        let tokens = store.tokens()?;
        match find(&tokens, &id) {
            Some(id) => store.remove_token(id),
            None => Ok(false),
        }
    };
    let removed = match api.store.write(remove).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Problem::not_found("there is no such token")),
        Err(problem) => Err(problem),
    };
    api.tokens.forget();
    audit(&caller, "remove a token", &on, &removed);
    removed.map(|()| answer::done())
}

/// Returns the id of the token of this number or name.
#[must_use]
pub fn find(tokens: &[TokenRow], text: &str) -> Option<TokenId> {
    let is_it = |row: &&TokenRow| row.token.name == text || row.id.0.to_string() == text;
    tokens.iter().find(is_it).map(|row| row.id)
}
