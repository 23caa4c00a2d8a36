//! Who a request comes from: the guard in front of every route.
//!
//! A token is 256 random bits, of which the database has the SHA-256. What a request brings is hashed and
//! compared with all of them, in constant time. The tokens are read at most once a second; while the database
//! cannot be read those that were read last count, so that the API answers when the disk is stuck.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response};
use axum::middleware::Next;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng as _;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;
use tracing::warn;

use super::access::{Caller, Limited, Needs};
use super::changes::Changes;
use super::failures::{Failures, Verdict};
use super::fields::whole_body;
use super::store::StoreHandle;
use super::{Api, Problem, local};
use crate::event::Timestamp;
use crate::payload::{Encoding, NotUtf8};
use crate::spool::store::{TokenId, TokenRow};

/// What every token begins with, so that it is found where it should not be.
const PREFIX: &str = "mqh_";

/// The longest text that is looked at as a token.
const LONGEST: usize = 128;

/// For how long tokens are not read again.
const FRESH: Duration = Duration::from_secs(1);

/// For how much longer, when the database could not be read.
const AGAIN: Duration = Duration::from_secs(10);

/// In which steps it is kept when a token was used.
const USED_IN_STEPS: Duration = Duration::from_hours(1);

/// Where a connection comes from; an extension of each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Returns a new token and its hash.
#[must_use]
pub fn new_token() -> (String, [u8; 32]) {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    let digits = Encoding::Base62.encode(&bytes, NotUtf8::Base64).text;
    let token = format!("{PREFIX}{digits}");
    let hash = hash(&token);
    (token, hash)
}

fn hash(token: &str) -> [u8; 32] {
    let digest = digest(&SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// The tokens, as they were read last, and failures.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    read: Mutex<Read>,
    /// Is held while the tokens are read, so that one reads for all.
    reading: tokio::sync::Mutex<()>,
    failures: Failures,
}

#[derive(Debug, Default)]
struct Read {
    /// When; `None`: they have changed since, or were never read.
    at: Option<Instant>,
    /// `None`: they were never read.
    tokens: Option<Arc<[TokenRow]>>,
    /// How often they were changed over the API.
    changes: u64,
}

impl Tokens {
    /// Has the tokens be read again for the next request.
    pub(super) fn forget(&self) {
        let mut read = self.lock();
        read.changes += 1;
        read.at = None;
    }

    fn lock(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> Option<Arc<[TokenRow]>> {
        let read = self.lock();
        let is_fresh = read.at.is_some_and(|at| at.elapsed() < FRESH);
        read.tokens.clone().filter(|_| is_fresh)
    }

    /// Returns the tokens.
    async fn current(&self, store: &StoreHandle) -> Result<Arc<[TokenRow]>, Problem> {
        if !store.is_on_disk() {
            return Ok(Arc::default());
        }
        if let Some(tokens) = self.fresh() {
            return Ok(tokens);
        }
        let _reading = self.reading.lock().await;
        if let Some(tokens) = self.fresh() {
            return Ok(tokens);
        }
        let (at, changes) = (Instant::now(), self.lock().changes);
        let found = store.read(|store| store.tokens()).await;
        let mut read = self.lock();
        let (tokens, at) = match (found, &read.tokens) {
            (Ok(tokens), _) => (tokens.into(), at),
            // Otherwise each who waits would wait for the whole deadline again.
            (Err(_), Some(last)) => (Arc::clone(last), Instant::now() + AGAIN),
            (Err(problem), None) => return Err(problem),
        };
        read.at = (read.changes == changes).then_some(at);
        read.tokens = Some(Arc::clone(&tokens));
        Ok(tokens)
    }

    fn failed(&self, peer: SocketAddr) -> Problem {
        match self.failures.count(peer.ip(), Instant::now()) {
            Verdict::Many { wait_s } => return Problem::too_many_failures(wait_s),
            Verdict::First => {
                let address = peer.ip();
                warn!(target: "mqhook::audit", %address, "many wrong tokens come from one address");
            }
            Verdict::Few => {}
        }
        Problem::unauthorized("the token is not valid")
    }
}

/// What a request brings to say who it comes from.
enum Credential {
    Bearer(String),
    /// A browser may send it on behalf of a page of another site.
    Basic(String),
    /// Something else.
    Strange,
}

/// Returns the credential; `None` if there is none.
fn credential(headers: &HeaderMap) -> Option<Credential> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let field = fields.next()?;
    if fields.next().is_some() {
        return Some(Credential::Strange);
    }
    let text = field.to_str().unwrap_or_default();
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credential::Bearer(rest.to_owned()));
    }
    let decoded = scheme
        .eq_ignore_ascii_case("basic")
        .then(|| STANDARD.decode(rest).ok());
    let decoded = decoded
        .flatten()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let token = decoded.and_then(|pair| pair.strip_suffix(':').map(str::to_owned));
    Some(token.map_or(Credential::Strange, Credential::Basic))
}

/// Returns the token that has this text. How long that takes says nothing of any hash.
fn find<'a>(tokens: &'a [TokenRow], text: &str) -> Option<&'a TokenRow> {
    if text.len() > LONGEST {
        return None;
    }
    let hash = hash(text);
    tokens.iter().fold(None, |found, row| {
        let is_it: bool = row.token.hash[..].ct_eq(&hash[..]).into();
        if is_it { Some(row) } else { found }
    })
}

/// Returns who asks.
async fn identify(api: &Api, peer: SocketAddr, request: &Parts) -> Result<Caller, Problem> {
    let headers = &request.headers;
    let tokens = api.tokens.current(&api.store).await?;
    let (text, is_basic) = match credential(headers) {
        None if tokens.is_empty() && api.trusts_loopback => {
            local::refuse_others(peer, request.version, headers)?;
            local::refuse_foreign_pages(&request.method, headers)?;
            return Ok(Caller::local());
        }
        None => {
            let detail = "send a token, as `Authorization: Bearer mqh_...`; `mqhook tokens create` makes one";
            return Err(Problem::unauthorized(detail));
        }
        Some(Credential::Strange) => return Err(api.tokens.failed(peer)),
        Some(Credential::Bearer(text)) => (text, false),
        Some(Credential::Basic(text)) => (text, true),
    };
    let Some(row) = find(&tokens, &text) else {
        return Err(api.tokens.failed(peer));
    };
    if is_basic {
        local::refuse_foreign_pages(&request.method, headers)?;
    }
    note_use(api, row);
    Ok(Caller {
        token: Some((row.id, row.token.name.clone())),
        role: row.token.role,
        limit: row.token.limit.clone(),
    })
}

impl Api {
    /// Returns whether who was let in would still be.
    pub(super) async fn still_knows(&self, caller: &Caller) -> bool {
        let Ok(tokens) = self.tokens.current(&self.store).await else {
            return false;
        };
        match &caller.token {
            // No token changes, and none has the number of another.
            Some((id, _)) => tokens.iter().any(|row| row.id == *id),
            None => tokens.is_empty(),
        }
    }
}

/// Writes when a token is used, if it has not been for long; nobody waits for that.
fn note_use(api: &Api, row: &TokenRow) {
    let now = Timestamp::now();
    if !is_due(row, now) || !api.tokens.is_first_use(row.id, now) {
        return;
    }
    let (store, id) = (api.store.clone(), row.id);
    tokio::spawn(async move {
        // It is tried again with the next use behind the step.
        let _ = store.write(move |store| store.used_token(id, now)).await;
    });
}

/// Returns whether it was so long ago that a token was used that it is to be noted again.
fn is_due(row: &TokenRow, now: Timestamp) -> bool {
    let is_long_ago = |last: Timestamp| now.since(last) >= USED_IN_STEPS;
    row.last_used_at.is_none_or(is_long_ago)
}

impl Tokens {
    /// Returns whether nobody has noted the use of a token yet, and notes it in memory.
    fn is_first_use(&self, id: TokenId, now: Timestamp) -> bool {
        let mut read = self.lock();
        let Some(tokens) = &read.tokens else {
            return false;
        };
        let mut tokens = tokens.to_vec();
        let Some(row) = tokens.iter_mut().find(|row| row.id == id) else {
            return false;
        };
        let is_first = is_due(row, now);
        row.last_used_at = Some(now);
        read.tokens = Some(tokens.into());
        is_first
    }
}

/// What the guard of a route knows.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) api: Arc<Api>,
    pub(super) needs: Needs,
    pub(super) limited: Limited,
    pub(super) changes: Changes,
}

/// Lets a request pass to its route, with who it comes from, or answers why not.
pub(super) async fn guard(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Response<Body> {
    // A body cannot be shared between threads.
    let (mut parts, body) = request.into_parts();
    let is_change = !parts.method.is_safe();
    if guard.needs != Needs::Nothing {
        let Some(&Peer(peer)) = parts.extensions.get() else {
            return Problem::internal().into_response();
        };
        let caller = identify(&guard.api, peer, &parts).await;
        let admitted = caller.and_then(|caller| {
            caller.admit(guard.needs, guard.limited)?;
            Ok(caller)
        });
        match admitted {
            Ok(caller) => drop(parts.extensions.insert(caller)),
            Err(problem) => return problem.into_response(),
        }
    }
    let mut request = Request::from_parts(parts, body);
    if !is_change {
        return next.run(request).await;
    }
    // As long as it is still being said what to change, nothing is under way that others would have to wait for.
    match whole_body(&mut request).await {
        Ok(body) => *request.body_mut() = body.into(),
        Err(problem) => return problem.into_response(),
    }
    guard.changes.make(next.run(request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::store::{NewToken, Role, Store};

    #[tokio::test]
    async fn while_the_database_cannot_be_read_the_last_tokens_count_and_without_any_nobody_is_let_in()
     {
        let dir = tempfile::tempdir().expect("a directory");
        let (text, hash) = new_token();
        let new = NewToken {
            name: "a".to_owned(),
            hash,
            role: Role::Viewer,
            limit: None,
        };
        let mut store = Store::open(dir.path()).expect("it opens").store;
        store
            .make_token(&new, Timestamp::now())
            .expect("it can be written");
        let (sound, broken) = (
            StoreHandle::new(Some(dir.path().to_owned())),
            StoreHandle::new(Some(dir.path().join("missing"))),
        );
        let tokens = Tokens::default();
        assert!(tokens.current(&broken).await.is_err());
        let read = tokens.current(&sound).await.expect("it can be read");
        assert!(find(&read, &text).is_some() && find(&read, &text[1..]).is_none());
        tokens.forget();
        let last = tokens.current(&broken).await.expect("the last count");
        assert!(find(&last, &text).is_some());
        assert!(tokens.fresh().is_some(), "it was not asked again at once");
        tokens.forget();
        store.remove_token(read[0].id).expect("it can be written");
        assert!(
            tokens
                .current(&sound)
                .await
                .expect("it can be read")
                .is_empty()
        );
    }

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (one, two) = (new_token(), new_token());
        assert!(one.0.starts_with(PREFIX) && one.0.len() > 40 && one.0.len() < LONGEST);
        assert!(one.0 != two.0 && one.1 != two.1 && one.1 == hash(&one.0));
    }
}
