//! Asking the mqhook that runs, over its admin API.
//!
//! | where it is | |
//! |---|---|
//! | `--api URL` | there |
//! | `-c FILE` | at the file's `admin.listen` |
//! | neither | at `admin.listen`'s default |
//!
//! The token comes from `--token-file`, otherwise from `MQHOOK_TOKEN`, and is never written anywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use serde_json::Value;
use thiserror::Error;

use super::output::escape;
use crate::config::Admin;
use crate::config::hocon::{Outside as _, System};
use crate::http::{Answer, ExchangeError, Peer, Target};
use crate::tls;

/// The longest that an answer may take to begin, and each of its pieces.
const PATIENCE: Duration = Duration::from_secs(15);

/// The largest answer that is read as a whole.
const LARGEST: usize = 16 << 20;

/// The largest answer that says why something is not done.
const LARGEST_PROBLEM: usize = 64 << 10;

/// The largest file with a token.
const LARGEST_TOKEN: u64 = 4 << 10;

/// The variable with a token; unlike an argument, not everybody on the host sees it.
const TOKEN: &str = "MQHOOK_TOKEN";

/// Which mqhook is asked, and by whom.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// Where the admin API is. Default: what -c says, otherwise `http://127.0.0.1:9883`
    #[arg(long, value_name = "URL", env = "MQHOOK_API")]
    api: Option<Target>,

    /// Configuration file, for its `admin.listen`.
    #[arg(short, long, value_name = "FILE", conflicts_with = "api")]
    config: Option<PathBuf>,

    /// File that holds a token of the API; the line end does not count. Default: `MQHOOK_TOKEN`, if it
    /// is set.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// A mqhook that is asked.
#[derive(Debug)]
pub(super) struct Client {
    peer: Peer,
    url: Target,
}

/// What was asked for is not done.
#[derive(Debug, Error)]
pub(super) enum Error {
    /// Nobody heard it.
    #[error("reach mqhook at {url}: {why}; is it running, and is `admin.listen` set?")]
    Silent { url: String, why: ExchangeError },
    /// It has begun to answer.
    #[error("read what mqhook at {url} answers: {why}")]
    Torn { url: String, why: ExchangeError },
    /// It says why.
    #[error("{}", .0.describe())]
    Refused(Refusal),
    /// Whoever answers is no mqhook.
    #[error(
        "understand what {0} answers: it is not mqhook's; is it the address of `admin.listen`?"
    )]
    Foreign(String),
}

/// Why mqhook does not do what it was asked for (RFC 9457).
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The whole answer; null if it is no problem.
    pub(super) problem: Value,
}

impl Access {
    pub(super) const fn new(api: Target, token_file: Option<PathBuf>) -> Self {
        Self {
            api: Some(api),
            config: None,
            token_file,
        }
    }

    /// Does something with the API, and returns the exit status.
    ///
    /// `act` answers the status itself, where there is no error; one that it has no words for is written to
    /// standard error. Whoever reads the output may stop reading; that is no failure.
    pub(super) fn with_api(&self, act: impl AsyncFnOnce(&Client) -> Result<ExitCode>) -> ExitCode {
        let result = self.client().and_then(|client| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().context("start the runtime")?;
            runtime.block_on(act(&client))
        });
        let error = match result {
            Ok(status) => return status,
            Err(error) if super::output::is_broken_pipe(&error) => return ExitCode::SUCCESS,
            Err(error) => error,
        };
        if let Some(Exit(status)) = error.downcast_ref() {
            return ExitCode::from(*status);
        }
        eprintln!("error: cannot {error:#}");
        ExitCode::FAILURE
    }

    fn client(&self) -> Result<Client> {
        let url = self.url()?;
        let token = self.token()?;
        if token.is_some() && !url.is_https() && !is_loopback(&url) {
            eprintln!("warning: the token goes to {url} without encryption");
        }
        tls::install_provider();
        let peer = Peer::new(url.clone(), PATIENCE).context("prepare TLS")?;
        let peer = match token {
            Some(token) => peer.authorized(token),
            None => peer,
        };
        Ok(Client { peer, url })
    }

    fn url(&self) -> Result<Target> {
        if let Some(url) = &self.api {
            if url.path().path() != "/" {
                bail!("use {url}: give scheme, host and port, and no path");
            }
            return Ok(url.clone());
        }
        let admin = match &self.config {
            Some(file) => {
                super::load(file)
                    .map_err(|_reported| Exit(super::EXIT_CONFIG))?
                    .admin
            }
            None => Admin::default(),
        };
        let address = admin.listen.ok_or_else(|| {
            let file = self.config.as_deref().unwrap_or("the default".as_ref());
            anyhow!(
                "reach mqhook: `admin.listen` of {} is empty",
                file.display()
            )
        })?;
        let address = SocketAddr::new(reached(address.ip()), address.port());
        Ok(format!("http://{address}")
            .parse()
            .expect("an address and a port make a URL"))
    }

    fn token(&self) -> Result<Option<HeaderValue>> {
        let token = match (&self.token_file, System.env(TOKEN)) {
            (Some(path), _) => {
                let file = std::fs::File::open(path);
                let text = file.and_then(|file| {
                    std::io::read_to_string(std::io::Read::take(file, LARGEST_TOKEN))
                });
                text.with_context(|| format!("read {}", path.display()))?
            }
            (None, Some(token)) => token,
            (None, None) => return Ok(None),
        };
        let token = token.trim();
        let is_one = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        value
            .ok()
            .filter(|_| is_one)
            .map(Some)
            .context("use the token: it is empty, or more than one word")
    }
}

/// An end whose reason was told already.
#[derive(Debug, Error)]
#[error("exit")]
struct Exit(u8);

/// Returns where an address that is listened on is reached from the same host.
fn reached(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

fn is_loopback(url: &Target) -> bool {
    let host = url.origin().host().unwrap_or_default();
    let ip: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

impl Client {
    /// Returns the object at a path.
    pub(super) async fn get(&self, uri: impl Into<Uri>) -> Result<Value, Error> {
        let value = self.ask(Method::GET, uri.into(), None, &[]).await?;
        let is_ours = value.is_object();
        is_ours
            .then_some(value)
            .ok_or_else(|| Error::Foreign(self.name()))
    }

    /// Asks for something, with a body in JSON and further headers, and returns what is answered; null if
    /// that is nothing.
    pub(super) async fn ask(
        &self,
        method: Method,
        uri: Uri,
        body: Option<&Value>,
        headers: &[(HeaderName, &str)],
    ) -> Result<Value, Error> {
        let answer = self.send(method, uri, body, headers).await?;
        let answer = self.good(answer).await?;
        let body = answer.whole(LARGEST).await;
        let body = body.map_err(|source| self.torn(source))?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_| Error::Foreign(self.name()))
    }

    /// Asks for what goes on for as long as it is read.
    pub(super) async fn stream(&self, uri: Uri) -> Result<Answer, Error> {
        let accept = [(ACCEPT, "text/event-stream")];
        let answer = self.send(Method::GET, uri, None, &accept).await?;
        let answer = self.good(answer).await?;
        let is_stream = answer
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|media_type| media_type.as_bytes().starts_with(b"text/event-stream"));
        if is_stream {
            Ok(answer)
        } else {
            Err(Error::Foreign(self.name()))
        }
    }

    async fn send(
        &self,
        method: Method,
        uri: Uri,
        body: Option<&Value>,
        headers: &[(HeaderName, &str)],
    ) -> Result<Answer, Error> {
        let mut request =
            Request::new(body.map_or_else(Bytes::new, |body| body.to_string().into()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let all = request.headers_mut();
        all.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, application/problem+json"),
        );
        if body.is_some() {
            all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                all.insert(name, value);
            }
        }
        let answer = self.peer.ask(request).await;
        answer.map_err(|why| Error::Silent {
            url: self.name(),
            why,
        })
    }

    /// Returns an answer that is no refusal.
    async fn good(&self, answer: Answer) -> Result<Answer, Error> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.whole(LARGEST_PROBLEM).await.unwrap_or_default();
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let is_ours = problem.is_object() || status == StatusCode::NOT_MODIFIED;
        Err(if is_ours {
            Error::Refused(Refusal { status, problem })
        } else {
            Error::Foreign(self.name())
        })
    }

    /// Returns what an answer that breaks off means.
    pub(super) fn torn(&self, why: ExchangeError) -> Error {
        Error::Torn {
            url: self.name(),
            why,
        }
    }

    /// Returns where it is, for people.
    fn name(&self) -> String {
        self.url.to_string().trim_end_matches('/').to_owned()
    }
}

impl Refusal {
    /// Returns why, in words that are safe to write, with what to do about it.
    fn describe(&self) -> String {
        let text = |value: &Value, key: &str| value.get(key)?.as_str().map(escape);
        let title = text(&self.problem, "title");
        let detail = text(&self.problem, "detail").filter(|detail| !detail.is_empty());
        let mut words = match (title, detail) {
            (_, Some(detail)) => format!("do that: {detail}"),
            (Some(title), None) => format!("do that: {title}"),
            (None, None) => format!("do that: {}", self.status),
        };
        let flaws = self.problem.get("errors").and_then(Value::as_array);
        for flaw in flaws.into_iter().flatten() {
            let place = ["key", "parameter", "pointer"]
                .iter()
                .find_map(|key| text(flaw, key));
            let detail = text(flaw, "detail").unwrap_or_default();
            let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
            let help = text(flaw, "help").map(|help| format!(" ({help})"));
            words = format!("{words}\n  {place}{detail}{}", help.unwrap_or_default());
        }
        match self.status {
            StatusCode::UNAUTHORIZED => {
                words
                    + "\nhint: give a token with --token-file or MQHOOK_TOKEN; `mqhook tokens create` makes one"
            }
            _ => words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_all_that_is_wrong_and_nothing_that_a_terminal_obeys() {
        let problem = serde_json::json!({
            "title": "Invalid", "detail": "the body is\u{1b}[2J wrong",
            "errors": [{ "key": "url", "detail": "it is not a URL", "help": "write one" }, { "detail": 7 }],
        });
        let status = StatusCode::BAD_REQUEST;
        let words = Refusal { status, problem }.describe();
        assert_eq!(
            words,
            "do that: the body is\\u{1b}[2J wrong\n  url: it is not a URL (write one)\n  "
        );
        let words = Refusal {
            status,
            problem: Value::Null,
        }
        .describe();
        assert_eq!(words, "do that: 400 Bad Request");
    }

    #[test]
    fn what_listens_everywhere_is_reached_over_loopback() {
        let check = |ip: &str, expected: &str| {
            let ip: IpAddr = ip.parse().expect("an address");
            assert_eq!(reached(ip).to_string(), expected);
        };
        check("0.0.0.0", "127.0.0.1");
        check("::", "::1");
        check("192.0.2.1", "192.0.2.1");
    }

    #[test]
    fn only_loopback_hears_a_token_in_the_clear() {
        let check = |url: &str, expected| {
            assert_eq!(is_loopback(&url.parse().expect("a URL")), expected, "{url}");
        };
        check("http://127.0.0.1:9883", true);
        check("http://[::1]:9883", true);
        check("http://LOCALHOST", true);
        check("http://localhost.example.org", false);
        check("http://10.0.0.1:9883", false);
    }
}
