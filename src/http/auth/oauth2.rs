//! Tokens of OAuth 2.0 for the credentials of a client (RFC 6749, 4.4).
//!
//! ```text
//!          three quarters of its life           its end
//!  got --------------------+---------------------+----------->
//!       used as it is      | used, while one     | nothing is sent before
//!                          | request gets another| there is another
//! ```
//!
//! One token is asked for at a time; who needs one meanwhile waits for that answer, until its own
//! deadline. An endpoint that gives none delays events, and never makes a rejection of them. A
//! token that the receiver refuses is thrown away, unless it was got for that reason and never taken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::form::Form;
use super::token::{self, Grant, Token};
use crate::credential::{Secret, Watched};
use crate::http::connect::Connector;
use crate::http::headers::AGENT;
use crate::http::proxy::Proxy;
use crate::http::{Target, outcome, retry_after};
use crate::sink::{Class, Failure};
use crate::telemetry::Throttle;

/// How much of an endpoint's answer is read.
const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// The least time between two attempts to replace a token that is still good.
const AGAIN: Duration = Duration::from_secs(1);

/// How often the log may say that a token cannot be replaced.
const INTERVAL: Duration = Duration::from_mins(1);

/// How to get a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The endpoint that gives out tokens.
    pub token_url: Target,
    /// Who asks.
    pub client_id: String,
    /// Proves it.
    pub client_secret: Secret,
    /// What the token shall be good for; default: what the endpoint gives without.
    pub scope: Option<String>,
    /// Whom the token is for, as some endpoints want to know; default none.
    pub audience: Option<String>,
    /// Where the credentials stand; default in `authorization`.
    pub place: Place,
    /// What connects to the endpoint; `None`, the default: mqhook itself, whatever connects to the
    /// receiver.
    pub proxy: Option<Proxy>,
}

/// Where the credentials of a client stand (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// In `authorization`, as user and password: every endpoint must understand that.
    #[default]
    Basic,
    /// In the body, for endpoints that understand nothing else.
    Body,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Basic, Self::Body];

    /// Returns the name that the configuration uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Body => "body",
        }
    }
}

impl Config {
    /// Returns the defaults for an endpoint and the credentials of a client.
    #[must_use]
    pub fn new(token_url: Target, client_id: impl Into<String>, client_secret: Secret) -> Self {
        Self {
            token_url,
            client_id: client_id.into(),
            client_secret,
            scope: None,
            audience: None,
            place: Place::default(),
            proxy: None,
        }
    }
}

/// The tokens of one webhook.
#[derive(Debug)]
pub(in crate::http) struct Tokens {
    url: Target,
    connector: Connector,
    form: Watched<Form>,
    state: Mutex<State>,
    /// Held by the one who asks for a token.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    token: Option<Arc<Token>>,
    /// When the token is to be replaced though it is still good.
    refresh_at: Instant,
    /// Whether the receiver has refused the token before the one to come.
    is_refused: bool,
    /// When there was last no token, and why.
    failed: Option<(Instant, Failure)>,
    said: Throttle,
}

/// What there is to use.
enum Stock {
    Good(Arc<Token>),
    Ageing(Arc<Token>),
    Nothing,
}

impl Tokens {
    /// Returns what has no token yet; `connector` makes connections to the endpoint.
    pub(in crate::http) fn new(config: &Config, connector: Connector) -> Self {
        let (secrets, made_of) = (vec![config.client_secret.clone()], config.clone());
        let form = Watched::of_secrets(secrets, move |secrets| {
            Ok::<_, std::convert::Infallible>(Form::new(&made_of, secrets[0].expose()))
        });
        let state = State {
            token: None,
            refresh_at: Instant::now(),
            is_refused: false,
            failed: None,
            said: Throttle::new(INTERVAL),
        };
        Self {
            url: config.token_url.clone(),
            connector,
            form: form.unwrap_or_else(|never| match never {}),
            state: Mutex::new(state),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Returns a token that is good at `now`, or why there is none, before `deadline`.
    ///
    /// # Cancel safety
    /// Who asks the endpoint and is dropped leaves that to the next.
    pub(in crate::http) async fn token(
        &self,
        now: Instant,
        deadline: Instant,
    ) -> Result<Arc<Token>, Failure> {
        let stock = self.lock().stock(now);
        match stock {
            Stock::Good(token) => Ok(token),
            Stock::Ageing(token) => Ok(self.refreshed(token, now, deadline).await),
            Stock::Nothing => match timeout_at(deadline, self.first(now)).await {
                Ok(answered) => answered,
                Err(_elapsed) => Err(self.failed(failure("no token in time"))),
            },
        }
    }

    /// Returns another token in place of one that is still good, or that one, if somebody else asks
    /// already or none can be had in half the time that there is, or before its own life ends.
    async fn refreshed(&self, token: Arc<Token>, now: Instant, deadline: Instant) -> Arc<Token> {
        let Ok(_asking) = self.asking.try_lock() else {
            return token;
        };
        if let Stock::Good(token) = self.lock().stock(now) {
            return token;
        }
        let half = now + deadline.duration_since(now) / 2;
        let deadline = half.min(token.expires_at);
        let answered = timeout_at(deadline, self.ask()).await;
        match answered.unwrap_or_else(|_elapsed| Err(failure("no token in time"))) {
            Ok(token) => token,
            Err(failure) => {
                let mut state = self.lock();
                state.put_off(&token);
                if state.said.pass(now).is_some() {
                    warn!(url = %self.url, error = %failure, "cannot replace a token yet; the old one is used while it is good");
                }
                token
            }
        }
    }

    /// Waits for the one who asks, or asks.
    async fn first(&self, since: Instant) -> Result<Arc<Token>, Failure> {
        let _asking = self.asking.lock().await;
        {
            let state = self.lock();
            if let Stock::Good(token) | Stock::Ageing(token) = state.stock(Instant::now()) {
                return Ok(token);
            }
            // What the one before was told holds for all who have waited for it.
            if let Some((at, failure)) = &state.failed
                && *at >= since
            {
                return Err(failure.clone());
            }
        }
        self.ask().await.map_err(|failure| self.failed(failure))
    }

    /// Asks the endpoint and keeps what it gives.
    async fn ask(&self) -> Result<Arc<Token>, Failure> {
        let asked = Instant::now();
        let grant = self.exchange().await?;
        let life = grant.life;
        let mut state = self.lock();
        let is_replacement = std::mem::take(&mut state.is_refused);
        let token = Arc::new(grant.token(asked, is_replacement));
        state.refresh_at = asked + life * 3 / 4;
        state.token = Some(Arc::clone(&token));
        Ok(token)
    }

    async fn exchange(&self) -> Result<Grant, Failure> {
        let form = self.form.current(Instant::now()).await;
        let stream = self.connector.connect().await.map_err(|error| of(&error))?;
        let (mut requests, connection) = http1::handshake(stream)
            .await
            .map_err(|error| of(&outcome::of_exchange(&error)))?;
        let _task = AbortOnDropHandle::new(tokio::spawn(connection));
        let response = requests.send_request(self.request(&form)).await;
        let response = response.map_err(|error| of(&outcome::of_exchange(&error)))?;
        read(response).await
    }

    fn request(&self, form: &Form) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(form.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.path().clone();
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = request.headers_mut();
        headers.insert(HOST, self.url.host_header());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(CONTENT_TYPE, form_type);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &form.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        request
    }

    /// Hears that the receiver has refused a token, and returns whether another one is worth a try.
    pub(in crate::http) fn refused(&self, token: &Arc<Token>) -> bool {
        let mut state = self.lock();
        let is_current = |current: &Arc<Token>| Arc::ptr_eq(current, token);
        if !state.token.as_ref().is_some_and(is_current) {
            return true; // There is another one, or will be.
        }
        if !token.is_worth_replacing() && Instant::now() < token.expires_at {
            return false;
        }
        state.token = None;
        state.is_refused = true;
        true
    }

    /// Remembers why there is no token, for those who wait.
    fn failed(&self, failure: Failure) -> Failure {
        self.lock().failed = Some((Instant::now(), failure.clone()));
        failure
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stock(&self, now: Instant) -> Stock {
        match &self.token {
            Some(token) if now < self.refresh_at => Stock::Good(Arc::clone(token)),
            Some(token) if now < token.expires_at => Stock::Ageing(Arc::clone(token)),
            _ => Stock::Nothing,
        }
    }

    /// Puts off the next attempt to replace a token by a quarter of what it has left.
    fn put_off(&mut self, token: &Token) {
        let now = Instant::now();
        let left = token.expires_at.saturating_duration_since(now);
        self.refresh_at = (now + (left / 4).max(AGAIN)).min(token.expires_at);
    }
}

async fn read(response: Response<Incoming>) -> Result<Grant, Failure> {
    let status = response.status();
    let retry_after = retry_after::read(response.headers(), SystemTime::now());
    let body = Limited::new(response.into_body(), BODY_LIMIT_BYTES)
        .collect()
        .await;
    let body = body.map_err(|_| failure("its answer is too large, or breaks off"))?;
    token::read(status, &body.to_bytes()).map_err(|why| Failure {
        retry_after,
        ..failure(&why)
    })
}

fn failure(why: &str) -> Failure {
    Failure {
        detail: format!("the token endpoint: {why}"),
        ..Class::Auth.into()
    }
}

/// Returns what a failure on the way to the endpoint means for a request.
fn of(error: &Failure) -> Failure {
    failure(&error.to_string())
}
