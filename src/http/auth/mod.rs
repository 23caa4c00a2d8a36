//! Who requests are from, as HTTP says it (RFC 9110, 11; RFC 6750; RFC 6749, 4.4).
//!
//! What is written in the configuration goes into the headers that all requests share. What is
//! in a file follows the file, and a token of OAuth 2.0 is got before it is needed and kept until
//! it grows old: see [`oauth2`].

mod form;
pub mod oauth2;
mod token;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use thiserror::Error;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::credential::{Secret, Watched};

pub(super) use token::Token;

/// Who the requests of a webhook are from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Config {
    /// Nobody in particular.
    #[default]
    None,
    /// A user with a password (RFC 7617).
    Basic {
        /// Without a colon.
        username: String,
        /// May be anything.
        password: Secret,
    },
    /// Whoever has this token (RFC 6750).
    Bearer {
        /// Fit for a header.
        token: Secret,
    },
    /// Whoever knows the value of this header.
    Header {
        /// Its name.
        name: HeaderName,
        /// Fit for a header.
        value: Secret,
    },
    /// Whoever has a token that is asked for with the credentials of a client.
    OAuth2(Box<oauth2::Config>),
}

/// A secret that is to be sent as it is cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it has a line break or another control character")]
pub struct NotAHeader;

impl Config {
    /// Returns the header that says who requests are from; `None`: there is none.
    #[must_use]
    pub fn header(&self) -> Option<HeaderName> {
        match self {
            Self::None => None,
            Self::Header { name, .. } => Some(name.clone()),
            Self::Basic { .. } | Self::Bearer { .. } | Self::OAuth2(_) => Some(AUTHORIZATION),
        }
    }

    /// Returns the header that all requests have as long as mqhook runs, if there is one.
    pub(super) fn lasting(&self) -> Option<(HeaderName, HeaderValue)> {
        let (secret, make) = self.made_of()?;
        match secret.file() {
            Some(_) => None,
            // One that cannot be sent has been reported, or is when the rest is set up.
            None => Some((self.header()?, make.value(secret).ok()?)),
        }
    }

    /// Returns the value of the header, if it is made of a file.
    pub(super) fn watched(&self) -> Result<Option<Watched<HeaderValue>>, NotAHeader> {
        let Some((secret, make)) = self.made_of() else {
            return Ok(None);
        };
        let value =
            Watched::of_secrets(vec![secret.clone()], move |secrets| make.value(&secrets[0]))?;
        Ok(secret.file().is_some().then_some(value))
    }

    fn made_of(&self) -> Option<(&Secret, Make)> {
        match self {
            Self::None | Self::OAuth2(_) => None,
            Self::Basic { username, password } => Some((password, Make::Basic(username.clone()))),
            Self::Bearer { token } => Some((token, Make::Bearer)),
            Self::Header { value, .. } => Some((value, Make::AsIs)),
        }
    }
}

/// How a secret becomes a header's value.
enum Make {
    Basic(String),
    Bearer,
    AsIs,
}

impl Make {
    fn value(&self, secret: &Secret) -> Result<HeaderValue, NotAHeader> {
        match self {
            Self::Basic(username) => Ok(basic(username, secret.expose())),
            Self::Bearer => bearer(secret.expose()),
            Self::AsIs => header_value(secret.expose()),
        }
    }
}

/// Returns the value of `authorization` for a user (RFC 7617, 2).
fn basic(username: &str, password: &str) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{username}:{password}"));
    header_value(&format!("Basic {encoded}")).expect("base64 is ASCII")
}

/// Returns the value of `authorization` for a token.
fn bearer(token: &str) -> Result<HeaderValue, NotAHeader> {
    header_value(&format!("Bearer {token}"))
}

/// Returns a text as the value of a header that no log shows.
///
/// # Errors
/// It has a control character.
pub fn header_value(text: &str) -> Result<HeaderValue, NotAHeader> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| NotAHeader)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_becomes_a_header() {
        let check = |config: &Config, name: &str, expected: &str| {
            let (header, value) = config.lasting().expect("it lasts");
            assert_eq!(
                (header.as_str(), value.as_bytes()),
                (name, expected.as_bytes())
            );
            assert!(value.is_sensitive());
            assert!(config.watched().expect("it is good").is_none());
        };
        // The example of RFC 7617, 2, and its one with UTF-8.
        let basic = |username: &str, password: &str| Config::Basic {
            username: username.to_owned(),
            password: Secret::new(password),
        };
        let encoded = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        check(&basic("Aladdin", "open sesame"), "authorization", encoded);
        check(
            &basic("test", "123£"),
            "authorization",
            "Basic dGVzdDoxMjPCow==",
        );
        let token = Secret::new("mF_9.B5f-4.1JqM");
        check(
            &Config::Bearer { token },
            "authorization",
            "Bearer mF_9.B5f-4.1JqM",
        );
        let (name, value) = (HeaderName::from_static("x-api-key"), Secret::new("k"));
        check(&Config::Header { name, value }, "x-api-key", "k");
        assert!(Config::None.lasting().is_none());
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let token = Secret::new("a\r\nx-evil: 1");
        let config = Config::Bearer { token };
        assert!(config.lasting().is_none());
        assert_eq!(config.watched().err(), Some(NotAHeader));
    }
}
