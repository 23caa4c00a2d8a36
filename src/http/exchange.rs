//! Asking a server, as a program for people does: one request, one connection.
//!
//! Nothing is tried again, and no redirect is followed. An answer may go on for as long as it likes, if
//! it is read piece by piece.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use thiserror::Error;
use tokio_util::task::AbortOnDropHandle;

use super::connect::Connector;
use super::{Config, Target, outcome};
use crate::payload::percent::Set;
use crate::sink::Failure;
use crate::tls;

const AGENT: &str = concat!("mqhook/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer. Whether the request was heard is not known.
#[derive(Debug, Error)]
pub enum ExchangeError {
    /// Nobody listens, or nobody there speaks HTTP.
    #[error("{0}")]
    Failed(Failure),
    /// The time is over.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// More than was asked for.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// A server that is asked.
#[derive(Debug)]
pub struct Peer {
    url: Target,
    connector: Connector,
    authorization: Option<HeaderValue>,
    /// The longest that a head of an answer, and one piece of its body, may take.
    patience: Duration,
}

/// What a server answers: the head, and a body that is still to come.
#[derive(Debug)]
pub struct Answer {
    response: Response<Incoming>,
    patience: Duration,
    /// The connection; it is closed when this is dropped.
    _connection: AbortOnDropHandle<hyper::Result<()>>,
}

impl Peer {
    /// Returns a server at the origin of a URL; `https` is judged by the operating system's authorities.
    ///
    /// # Errors
    /// TLS cannot be prepared.
    pub fn new(url: Target, patience: Duration) -> Result<Self, tls::Error> {
        let mut config = Config::new(url.clone());
        config.connect_timeout = patience;
        Ok(Self {
            url,
            connector: Connector::new(&config)?,
            authorization: None,
            patience,
        })
    }

    /// Has every request say who asks.
    #[must_use]
    pub fn authorized(mut self, mut authorization: HeaderValue) -> Self {
        authorization.set_sensitive(true);
        self.authorization = Some(authorization);
        self
    }

    /// Asks; the request's URI is path and query, and its headers are sent as they are, but for those that
    /// the peer has its own of.
    ///
    /// # Errors
    /// There is no answer in time.
    pub async fn ask(&self, request: Request<Bytes>) -> Result<Answer, ExchangeError> {
        let asked = tokio::time::timeout(self.patience, self.exchange(request)).await;
        asked.map_err(|_elapsed| ExchangeError::Late(self.patience))?
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Answer, ExchangeError> {
        let mut request = request.map(Full::new);
        let headers = request.headers_mut();
        headers.insert(HOST, self.url.host_header());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let stream = self.connector.connect().await;
        let stream = stream.map_err(ExchangeError::Failed)?;
        let (mut requests, connection) = http1::handshake(stream)
            .await
            .map_err(|error| failed(&error))?;
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let response = requests
            .send_request(request)
            .await
            .map_err(|error| failed(&error))?;
        Ok(Answer {
            response,
            patience: self.patience,
            _connection: connection,
        })
    }
}

fn failed(error: &hyper::Error) -> ExchangeError {
    ExchangeError::Failed(outcome::of_exchange(error))
}

impl Answer {
    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the whole body.
    ///
    /// # Errors
    /// It has more than `limit` bytes, or breaks off, or does not go on.
    pub async fn whole(mut self, limit: usize) -> Result<Bytes, ExchangeError> {
        let mut body = Vec::new();
        let patience = self.patience;
        while let Some(piece) = self.piece(patience).await? {
            if body.len() + piece.len() > limit {
                return Err(ExchangeError::TooLarge(limit));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.into())
    }

    /// Returns what comes next of the body; `None` at its end.
    ///
    /// # Errors
    /// It breaks off, or nothing comes for so long.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn piece(&mut self, patience: Duration) -> Result<Option<Bytes>, ExchangeError> {
        loop {
            let frame = tokio::time::timeout(patience, self.response.body_mut().frame()).await;
            match frame.map_err(|_elapsed| ExchangeError::Late(patience))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(failed(&error)),
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }
}

/// Returns a path with a query of these keys and values, percent-encoded; those without value are left out.
///
/// # Panics
/// If the path is none.
#[must_use]
pub fn query(path: &str, pairs: &[(&str, Option<&str>)]) -> Uri {
    let mut text = path.to_owned();
    let mut separator = '?';
    for (key, value) in pairs {
        let Some(value) = value else { continue };
        text.push(separator);
        text.push_str(key);
        text.push('=');
        text.push_str(&Set::Component.encode(value));
        separator = '&';
    }
    text.parse()
        .expect("the path is one, and what is encoded as well")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_for_is_one_query() {
        let uri = query(
            "/x",
            &[("a", Some("b&c=d #?/\u{e9}")), ("n", None), ("z", Some(""))],
        );
        assert_eq!(uri.to_string(), "/x?a=b%26c%3Dd%20%23%3F%2F%C3%A9&z=");
        assert_eq!(query("/x", &[("n", None)]).to_string(), "/x");
    }
}
