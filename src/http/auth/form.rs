//! What a token is asked for with (RFC 6749, 4.4.2 and 2.3.1).

use bytes::Bytes;
use http::HeaderValue;

use super::basic;
use super::oauth2::{Config, Place};

/// The body, and what stands in `authorization`, of a request for a token.
pub(super) struct Form {
    pub(super) body: Bytes,
    pub(super) authorization: Option<HeaderValue>,
}

impl Form {
    pub(super) fn new(config: &Config, client_secret: &str) -> Self {
        let mut pairs = vec![("grant_type", "client_credentials")];
        let optional = [("scope", &config.scope), ("audience", &config.audience)];
        for (name, value) in optional {
            if let Some(value) = value {
                pairs.push((name, value));
            }
        }
        let id = config.client_id.as_str();
        let authorization = match config.place {
            Place::Basic => Some(basic(&encoded(id), &encoded(client_secret))),
            Place::Body => {
                pairs.extend([("client_id", id), ("client_secret", client_secret)]);
                None
            }
        };
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)));
        Self {
            body: pairs.collect::<Vec<_>>().join("&").into(),
            authorization,
        }
    }
}

/// Returns a text as `application/x-www-form-urlencoded` has it (WHATWG URL, 5.2).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            _ => {
                let digit = |at: u8| char::from(b"0123456789ABCDEF"[usize::from(at)]);
                encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Secret;

    fn config(place: Place) -> Config {
        Config {
            scope: Some("events:write a/b".to_owned()),
            audience: None,
            place,
            ..Config::new(
                "https://h/token".parse().expect("a URL"),
                "the client",
                Secret::new("p%ss: ü"),
            )
        }
    }

    #[test]
    fn the_credentials_stand_in_the_header() {
        let form = Form::new(&config(Place::Basic), "p%ss: ü");
        let expected = "grant_type=client_credentials&scope=events%3Awrite+a%2Fb";
        assert_eq!(form.body, expected);
        let expected = basic("the+client", "p%25ss%3A+%C3%BC");
        assert_eq!(form.authorization, Some(expected));
    }

    #[test]
    fn or_in_the_body() {
        let mut config = config(Place::Body);
        config.scope = None;
        config.audience = Some("https://api/".to_owned());
        let form = Form::new(&config, "p%ss: ü");
        let expected = "grant_type=client_credentials&audience=https%3A%2F%2Fapi%2F\
             &client_id=the+client&client_secret=p%25ss%3A+%C3%BC";
        assert_eq!(form.body, expected);
        assert!(form.authorization.is_none());
    }
}
