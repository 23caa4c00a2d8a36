//! Proxies that connect to receivers for us, by CONNECT (RFC 9110, 9.3.6).

use std::fmt;
use std::io;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::uri::Authority;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::policy;
use crate::credential::{Secret, Watched};

/// The longest head of an answer that is read.
const HEAD_LIMIT_BYTES: usize = 16 * 1024;

/// A proxy; neither `Display` nor `Debug` show the user name and password.
#[derive(Clone)]
pub struct Proxy {
    origin: Uri,
    authorization: Option<Watched<SecretString>>,
}

impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        let same =
            |one: &SecretString, other: &SecretString| one.expose_secret() == other.expose_secret();
        self.origin == other.origin
            && match (&self.authorization, &other.authorization) {
                (None, None) => true,
                (Some(one), Some(other)) => one.is_like(other, same),
                _ => false,
            }
    }
}

impl Eq for Proxy {}

/// A text is not what a proxy's credentials are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is not one line, user:password")]
pub struct NotCredentials;

/// Why a text is not the URL of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProxyUrlError {
    /// Also for `https://` and `socks5://`.
    #[error("it must begin with `http://`")]
    Scheme,
    /// A host without a port is one, too: there is no port that all proxies have.
    #[error("it must be `http://host:port`, with `user:password@` before the host if need be")]
    Form,
}

/// The proxy did not connect to the receiver.
#[derive(Debug, Error)]
#[error("proxy {proxy} {fault}")]
pub(super) struct ProxyError {
    pub(super) proxy: String,
    pub(super) fault: Fault,
    pub(super) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What went wrong at the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Fault {
    #[error("cannot be connected to")]
    Unreachable,
    #[error("answered {0} to CONNECT")]
    Refused(u16),
    #[error("did not answer CONNECT in HTTP")]
    NotHttp,
    #[error("closed the connection instead of answering CONNECT")]
    Closed,
}

impl Proxy {
    /// Returns the proxy with other credentials, `user:password`, which follow their file.
    ///
    /// # Errors
    /// That is not what they look like.
    pub fn with_credentials(self, credentials: Secret) -> Result<Self, NotCredentials> {
        let value = |secrets: &[Secret]| authorization(secrets[0].expose());
        Ok(Self {
            authorization: Some(Watched::of_secrets(vec![credentials], value)?),
            ..self
        })
    }

    pub(super) fn origin(&self) -> &Uri {
        &self.origin
    }

    pub(super) fn fails(
        &self,
        fault: Fault,
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    ) -> ProxyError {
        ProxyError {
            proxy: self.to_string(),
            fault,
            source,
        }
    }

    /// Makes a connection to the proxy one to `target`, host and port, of which nothing is read but what
    /// the proxy says.
    pub(super) async fn connect(
        &self,
        stream: &mut TcpStream,
        target: &str,
        first: First,
    ) -> Result<(), ProxyError> {
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n");
        if let Some(authorization) = &self.authorization {
            head += "proxy-authorization: ";
            head += authorization.current(Instant::now()).await.expose_secret();
            head += "\r\n";
        }
        head += "\r\n";
        let closed = |error: io::Error| self.fails(Fault::Closed, Some(error.into()));
        stream.write_all(head.as_bytes()).await.map_err(closed)?;
        let mut answer = Vec::new();
        let mut chunk = [0; 1024];
        loop {
            let seen = stream.peek(&mut chunk).await.map_err(closed)?;
            if seen == 0 {
                return Err(self.fails(Fault::Closed, None));
            }
            let before = answer.len();
            answer.extend_from_slice(&chunk[..seen]);
            let end = end_of_head(&answer);
            let of_proxy = end.unwrap_or(answer.len()) - before;
            let taken = stream.read_exact(&mut chunk[..of_proxy]).await;
            taken.map_err(closed)?;
            if end.is_some() {
                let status = status(&answer).ok_or_else(|| self.fails(Fault::NotHttp, None))?;
                return match status {
                    200..300 if of_proxy == seen || first == First::Anyone => Ok(()),
                    200..300 => Err(self.fails(Fault::NotHttp, None)),
                    status => Err(self.fails(Fault::Refused(status), None)),
                };
            }
            if answer.len() > HEAD_LIMIT_BYTES {
                return Err(self.fails(Fault::NotHttp, None));
            }
        }
    }
}

/// Who says the first word over a connection to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// We do, as in HTTP/1.1 and TLS.
    We,
    /// The receiver may, as in HTTP/2 without TLS (RFC 9113, 3.4).
    Anyone,
}

/// Returns the value of `proxy-authorization` for `user:password` (RFC 7617, 2).
fn authorization(credentials: &str) -> Result<SecretString, NotCredentials> {
    if !credentials.contains(':') || credentials.chars().any(char::is_control) {
        return Err(NotCredentials);
    }
    let encoded = STANDARD.encode(credentials);
    Ok(SecretString::from(format!("Basic {encoded}")))
}

/// Returns where what follows the head begins.
fn end_of_head(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    Some(end + 4)
}

/// Returns the status code of an answer in HTTP/1.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.")?;
    let [b'0' | b'1', b' ', code @ ..] = line else {
        return None;
    };
    let [a, b, c, b' ' | b'\r', ..] = code else {
        return None;
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    Some(digit(*a)? * 100 + digit(*b)? * 10 + digit(*c)?)
}

impl TryFrom<&str> for Proxy {
    type Error = ProxyUrlError;

    fn try_from(text: &str) -> Result<Self, ProxyUrlError> {
        let rest = text.strip_prefix("http://").ok_or(ProxyUrlError::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let authority: Authority = host.parse().map_err(|_| ProxyUrlError::Form)?;
        let has_port = authority.port_u16().is_some_and(|port| port > 0);
        if !has_port || authority.host().is_empty() {
            return Err(ProxyUrlError::Form);
        }
        let origin = Uri::builder()
            .scheme("http")
            .authority(authority)
            .path_and_query("/");
        let proxy = Self {
            origin: origin.build().map_err(|_| ProxyUrlError::Form)?,
            authorization: None,
        };
        let credentials = match user.map(decoded) {
            Some(user) if user.contains(':') => user,
            Some(user) => format!("{user}:"),
            None => return Ok(proxy),
        };
        let proxy = proxy.with_credentials(Secret::new(credentials));
        proxy.map_err(|NotCredentials| ProxyUrlError::Form)
    }
}

/// Returns what `%40` and the like stand for; what is not UTF-8 then is left as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digit = |at: usize| char::from(*behind.get(at)?).to_digit(16);
        let (byte, next) = match (first, digit(0).zip(digit(1))) {
            (b'%', Some((high, low))) => (u8::try_from(high << 4 | low), &behind[2..]),
            _ => (Ok(*first), behind),
        };
        bytes.push(byte.expect("two digits make a byte"));
        rest = next;
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.origin.authority().map_or("", Authority::as_str))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Hosts that are connected to without a proxy, as `NO_PROXY` lists them.
///
/// | entry | hosts |
/// |---|---|
/// | `*` | all |
/// | `example.org`, `.example.org` | that one, and those below it |
/// | `10.0.0.0/8`, `::1` | addresses; names are not looked up |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy {
    entries: Vec<String>,
}

impl NoProxy {
    /// Returns the list of these entries; each may be a list with commas itself.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> Self {
        let entries = entries.into_iter().flat_map(|entry| entry.split(','));
        let entries = entries.map(|entry| entry.trim().to_ascii_lowercase());
        Self {
            entries: entries.filter(|entry| !entry.is_empty()).collect(),
        }
    }

    /// Returns whether this host is connected to without a proxy.
    #[must_use]
    pub fn holds(&self, host: &str) -> bool {
        let address = policy::spelled(host);
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.entries.iter().any(|entry| {
            let below = entry.trim_start_matches("*.").trim_start_matches('.');
            let is_below = host
                .strip_suffix(below)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            entry == "*" || is_below || address.is_some_and(|address| is_in(entry, address))
        })
    }
}

fn is_in(entry: &str, address: IpAddr) -> bool {
    let range = entry.parse::<IpNet>();
    range.is_ok_and(|range| range.contains(&address)) || policy::spelled(entry) == Some(address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_of_proxies_are_understood_and_keep_their_secret() {
        let check = |text: &str, shown: &str, authorization: Option<&str>| {
            let proxy = Proxy::try_from(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(proxy.to_string(), shown, "{text}");
            assert_eq!(format!("{proxy:?}"), format!("Proxy({shown})"), "{text}");
            let secret = proxy.authorization.as_ref().map(Watched::last);
            let secret = secret.as_ref().map(|secret| secret.expose_secret());
            assert_eq!(secret, authorization, "{text}");
        };
        check("http://p:3128", "p:3128", None);
        check("http://p:3128/", "p:3128", None);
        check("http://[::1]:3128", "[::1]:3128", None);
        let basic = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        check("http://Aladdin:open%20sesame@p:1", "p:1", basic);
        check("http://a:b@c@p:1", "p:1", Some("Basic YTpiQGM="));
        check("http://a@p:1", "p:1", Some("Basic YTo="));
        for text in ["", "p:3128", "https://p:1", "socks5://p:1"] {
            assert_eq!(
                Proxy::try_from(text).unwrap_err(),
                ProxyUrlError::Scheme,
                "{text}"
            );
        }
        for text in [
            "http://",
            "http://p",
            "http://p:0",
            "http://:1",
            "http://p:1/a",
            "http://p:1?a",
            "http://a:%0A@p:1",
        ] {
            assert_eq!(
                Proxy::try_from(text).unwrap_err(),
                ProxyUrlError::Form,
                "{text}"
            );
        }
    }

    #[test]
    fn only_http_1_is_an_answer() {
        let check = |answer: &str, expected| {
            assert_eq!(status(answer.as_bytes()), expected, "{answer}");
        };
        check("HTTP/1.1 200 OK\r\n", Some(200));
        check("HTTP/1.0 407\r\n", Some(407));
        check("HTTP/2 200 OK\r\n", None);
        check("HTTP/1.1 2000 OK\r\n", None);
        check("HTTP/1.1 2x0 OK\r\n", None);
        check("SSH-2.0-x\r\n", None);
        check("HTTP/1.1 20", None);
    }

    #[test]
    fn hosts_without_a_proxy_are_listed() {
        let list = NoProxy::new(["Example.org, .b.org", "10.0.0.0/8,::1", "*.c.org", ""]);
        for host in [
            "example.org",
            "a.EXAMPLE.org.",
            "b.org",
            "a.b.org",
            "10.1.2.3",
            "0x0a000001",
            "[::1]",
            "c.org",
            "x.c.org",
        ] {
            assert!(list.holds(host), "{host}");
        }
        for host in ["xexample.org", "org", "11.0.0.1", "[::2]", ""] {
            assert!(!list.holds(host), "{host}");
        }
        assert!(NoProxy::new(["*"]).holds("anything"));
        assert!(!NoProxy::default().holds("anything"));
    }

    proptest! {
        #[test]
        fn any_text_is_data(text in "(http://)?\\PC{0,30}") {
            let _ = Proxy::try_from(text.as_str());
            let _ = NoProxy::new([text.as_str()]).holds(&text);
            let _ = decoded(&text);
        }
    }
}
