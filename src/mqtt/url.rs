//! The address of a broker.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use thiserror::Error;

/// How bytes get to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `mqtt://`.
    Tcp,
    /// `mqtts://`.
    Tls,
    /// `ws://`.
    WebSocket,
    /// `wss://`.
    SecureWebSocket,
    /// `unix://`.
    Unix,
}

impl Transport {
    const TABLE: [(Self, &'static str, u16); 5] = [
        (Self::Tcp, "mqtt", 1883),
        (Self::Tls, "mqtts", 8883),
        (Self::WebSocket, "ws", 80),
        (Self::SecureWebSocket, "wss", 443),
        (Self::Unix, "unix", 0),
    ];

    /// Returns whether the connection is secured with TLS.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::SecureWebSocket)
    }
}

/// A broker's URL, checked.
///
/// It is shown without the query of a WebSocket path, which may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// How.
    pub transport: Transport,
    /// The host name or address; of a Unix socket its path.
    pub host: String,
    /// The port; 0 for a Unix socket.
    pub port: u16,
    /// Of a WebSocket the path and query, `/mqtt` unless given; otherwise empty.
    pub path: String,
}

/// Why a text is not the URL of a broker.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BrokerUrlError {
    /// Nothing was changed; so for all variants.
    #[error("it is not a URL")]
    NotAUrl,
    /// Only these are spoken.
    #[error("it must begin with mqtt://, mqtts://, ws://, wss:// or unix://")]
    Scheme,
    /// `mqtt://:1883`, say.
    #[error("it names no host")]
    Host,
    /// It would show in logs.
    #[error("it must not hold a user name or password; use `username` and `password_file`")]
    UserInformation,
    /// The port is not a number from 1 to 65535.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// A path has a meaning for web sockets and Unix sockets only.
    #[error("it has a path, which means nothing here")]
    Path,
}

impl FromStr for BrokerUrl {
    type Err = BrokerUrlError;

    fn from_str(text: &str) -> Result<Self, BrokerUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(BrokerUrlError::Scheme)?;
        let (transport, _, default_port) = Transport::TABLE
            .into_iter()
            .find(|(_, name, _)| name.eq_ignore_ascii_case(scheme))
            .ok_or(BrokerUrlError::Scheme)?;
        if transport == Transport::Unix {
            return unix(rest);
        }
        // The parser knows `http` only by its name; the syntax is the same.
        let uri: Uri = format!("http://{rest}")
            .parse()
            .map_err(|_| BrokerUrlError::NotAUrl)?;
        let authority = uri.authority().ok_or(BrokerUrlError::Host)?;
        if authority.as_str().contains('@') {
            return Err(BrokerUrlError::UserInformation);
        }
        let host = without_brackets(authority.host())?;
        let port_is_written = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(port) if port > 0 => port,
            None if !port_is_written => default_port,
            _ => return Err(BrokerUrlError::Port),
        };
        Ok(Self {
            transport,
            host: host.to_owned(),
            port,
            path: path(transport, &uri)?,
        })
    }
}

/// Returns an IPv6 address without its brackets, and any other host as it is.
fn without_brackets(host: &str) -> Result<&str, BrokerUrlError> {
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let inner = bracketed.unwrap_or(host);
    if inner.is_empty() {
        return Err(BrokerUrlError::Host);
    }
    if inner.contains(['[', ']']) || bracketed.is_some_and(|host| !host.contains(':')) {
        return Err(BrokerUrlError::NotAUrl);
    }
    Ok(inner)
}

fn unix(path: &str) -> Result<BrokerUrl, BrokerUrlError> {
    if path.is_empty() {
        return Err(BrokerUrlError::Host);
    }
    Ok(BrokerUrl {
        transport: Transport::Unix,
        host: path.to_owned(),
        port: 0,
        path: String::new(),
    })
}

fn path(transport: Transport, uri: &Uri) -> Result<String, BrokerUrlError> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    match transport {
        Transport::WebSocket | Transport::SecureWebSocket if path == "/" => Ok("/mqtt".to_owned()),
        Transport::WebSocket | Transport::SecureWebSocket => Ok(path.to_owned()),
        _ if path == "/" => Ok(String::new()),
        _ => Err(BrokerUrlError::Path),
    }
}

impl BrokerUrl {
    /// Returns the host as it stands in a URL: an IPv6 address in brackets.
    #[must_use]
    pub fn bracketed_host(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }

    /// Returns the whole URL, for a request: with the query, so never for a log.
    #[must_use]
    pub fn request_url(&self) -> String {
        self.with_path(&self.path)
    }

    fn with_path(&self, path: &str) -> String {
        let scheme = Transport::TABLE[self.transport as usize].1;
        match self.transport {
            Transport::Unix => format!("{scheme}://{}", self.host),
            _ => format!("{scheme}://{}:{}{path}", self.bracketed_host(), self.port),
        }
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        f.write_str(&self.with_path(path))
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_read_with_their_defaults() {
        let check = |text: &str, expected: &str| {
            let url: BrokerUrl = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(url.request_url(), expected);
        };
        check("mqtt://127.0.0.1", "mqtt://127.0.0.1:1883");
        check("MQTTS://h/", "mqtts://h:8883");
        check("ws://h", "ws://h:80/mqtt");
        check("wss://h:9/x?y=1", "wss://h:9/x?y=1");
        check("mqtt://[::1]:18", "mqtt://[::1]:18");
        check("unix:///run/mosquitto.sock", "unix:///run/mosquitto.sock");
    }

    #[test]
    fn a_token_in_the_query_is_not_shown() {
        let url: BrokerUrl = "wss://h:9/x?token=1?2".parse().expect("a URL");
        assert_eq!(url.to_string(), "wss://h:9/x");
        assert_eq!(format!("{url:?}"), "wss://h:9/x");
        assert_eq!(url.request_url(), "wss://h:9/x?token=1?2");
        let url: BrokerUrl = "unix:///a?b".parse().expect("a URL");
        assert_eq!(url.to_string(), "unix:///a?b");
    }

    #[test]
    fn what_is_no_broker_is_refused() {
        let check = |text: &str, expected| {
            assert_eq!(text.parse::<BrokerUrl>(), Err(expected), "{text}");
        };
        check("127.0.0.1:1883", BrokerUrlError::Scheme);
        check("http://h", BrokerUrlError::Scheme);
        check("mqtt://", BrokerUrlError::NotAUrl);
        check("mqtt://u:p@h", BrokerUrlError::UserInformation);
        check("mqtt://h:0", BrokerUrlError::Port);
        check("mqtt://h:123456", BrokerUrlError::Port);
        check("mqtt://h/topic", BrokerUrlError::Path);
        check("unix://", BrokerUrlError::Host);
        check("ws://[]:79/x", BrokerUrlError::Host);
        check("ws://h;[2]:79/", BrokerUrlError::NotAUrl);
        check("mqtt://[h]", BrokerUrlError::NotAUrl);
    }
}
