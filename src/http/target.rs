//! The URL of a receiver, checked.

use std::fmt;
use std::str::FromStr;

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use thiserror::Error;

/// An absolute `http` or `https` URL without user information; neither `Display` nor `Debug` show its
/// query, which may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    origin: Uri,
    path: Uri,
    host: HeaderValue,
}

/// Why a text is not the URL of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Nothing was changed; so for all variants.
    #[error("it is not a URL")]
    NotAUrl,
    /// Only these can be posted to.
    #[error("it must begin with `http://` or `https://`")]
    Scheme,
    /// `http:///path`, say.
    #[error("it names no host")]
    Host,
    /// RFC 9110 (4.2.4) forbids it, and it would show in logs.
    #[error("it must not hold a user name or password; put `authorization` into `headers`")]
    UserInformation,
    /// The port is not a number up to 65535.
    #[error("its port is not a number from 1 to 65535")]
    Port,
}

impl Target {
    /// Returns scheme, host and port: what to connect to.
    #[must_use]
    pub fn origin(&self) -> &Uri {
        &self.origin
    }

    /// Returns the request target in origin form; an empty path is `/` (RFC 9112, 3.2.1).
    #[must_use]
    pub fn path(&self) -> &Uri {
        &self.path
    }

    /// Returns the `Host` header: the port is part of it only if it was written.
    #[must_use]
    pub fn host_header(&self) -> HeaderValue {
        self.host.clone()
    }

    /// Returns whether TLS is asked for.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.origin.scheme() == Some(&Scheme::HTTPS)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let without_fragment = text.split('#').next().unwrap_or_default();
        let uri: Uri = without_fragment.parse().map_err(|_| TargetError::NotAUrl)?;
        let mut parts = uri.into_parts();
        match &parts.scheme {
            Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => {}
            _ => return Err(TargetError::Scheme),
        }
        let authority = parts.authority.clone().ok_or(TargetError::Host)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::UserInformation);
        }
        if authority.host().is_empty() {
            return Err(TargetError::Host);
        }
        let port_is_written = authority.as_str().len() > authority.host().len();
        let port_is_usable = authority.port_u16().is_some_and(|port| port > 0);
        if port_is_written && !port_is_usable {
            return Err(TargetError::Port);
        }
        let root = PathAndQuery::from_static("/");
        let path = parts.path_and_query.replace(root.clone()).unwrap_or(root);
        Ok(Self {
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| TargetError::Host)?,
            origin: Uri::from_parts(parts).map_err(|_| TargetError::NotAUrl)?,
            path: Uri::from(path),
        })
    }
}

impl fmt::Display for Target {
    /// Writes the URL without its query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.origin.scheme_str().unwrap_or_default();
        let host = self.host.to_str().unwrap_or_default();
        write!(f, "{scheme}://{host}{}", self.path.path())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_split_into_what_a_request_needs() {
        let check = |text: &str, host: &str, path: &str| {
            let target: Target = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(target.host_header(), host, "{text}");
            assert_eq!(target.path().to_string(), path, "{text}");
        };
        check("http://127.0.0.1:80", "127.0.0.1:80", "/");
        check("http://h?x=1", "h", "/?x=1");
        check("https://h/a/b?x=1#f", "h", "/a/b?x=1");
        check("http://[::1]:8080/a", "[::1]:8080", "/a");
    }

    #[test]
    fn what_cannot_be_posted_to_is_refused() {
        let check = |text: &str, expected| {
            assert_eq!(text.parse::<Target>(), Err(expected), "{text}");
        };
        check("", TargetError::NotAUrl);
        check("ftp://h/", TargetError::Scheme);
        check("/path", TargetError::Scheme);
        check("127.0.0.1:80", TargetError::Scheme);
        check("http://user:secret@h/", TargetError::UserInformation);
        check("http://h:99999/", TargetError::Port);
        check("http://h:/", TargetError::Port);
    }

    #[test]
    fn the_query_is_not_shown() {
        let target: Target = "http://h/a?token=secret".parse().expect("a URL");
        assert_eq!(target.to_string(), "http://h/a");
        assert_eq!(format!("{target:?}"), "Target(http://h/a)");
    }
}
