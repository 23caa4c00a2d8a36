//! Tokens: what an endpoint says (RFC 6749, 5), and for how long one is used.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::bearer;

/// The life of a token whose endpoint says nothing of it.
const USUAL_LIFE: Duration = Duration::from_hours(1);

/// The longest life that is believed, so that no time overflows.
const LONGEST_LIFE: Duration = Duration::from_hours(24 * 365);

/// A token in use.
#[derive(Debug)]
pub(in crate::http) struct Token {
    /// What stands in `authorization`; marked as sensitive.
    pub(in crate::http) header: HeaderValue,
    /// When its life ends.
    pub(super) expires_at: Instant,
    /// Whether it was got because the receiver had refused the one before.
    pub(super) is_replacement: bool,
    /// Whether the receiver has taken a request with it.
    is_accepted: AtomicBool,
}

impl Token {
    /// Returns whether a refusal says that the token is no longer good, and not that no token is.
    pub(super) fn is_worth_replacing(&self) -> bool {
        !self.is_replacement || self.is_accepted.load(Ordering::Relaxed)
    }

    pub(in crate::http) fn accepted(&self) {
        if self.is_replacement {
            self.is_accepted.store(true, Ordering::Relaxed);
        }
    }
}

/// What an endpoint gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) header: HeaderValue,
    pub(super) life: Duration,
}

impl Grant {
    /// Returns the token that was asked for at `asked`.
    pub(super) fn token(self, asked: Instant, is_replacement: bool) -> Token {
        Token {
            header: self.header,
            expires_at: asked + self.life,
            is_replacement,
            is_accepted: AtomicBool::new(false),
        }
    }
}

/// Returns the token in an answer, or why there is none: a text with nothing of what the endpoint
/// wrote but its status, and the name of an error if that is one of RFC 6749's.
pub(super) fn read(status: StatusCode, body: &[u8]) -> Result<Grant, String> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    if !status.is_success() {
        return Err(match error(&value) {
            Some(name) => format!("it answered {} ({name})", status.as_u16()),
            None => format!("it answered {}", status.as_u16()),
        });
    }
    let kind = value.get("token_type").and_then(Value::as_str);
    if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("its token is of another type than Bearer".to_owned());
    }
    let token = value.get("access_token").and_then(Value::as_str);
    let token = token.filter(|token| is_token(token));
    let token = token.ok_or("its answer holds no usable `access_token`")?;
    Ok(Grant {
        header: bearer(token).map_err(|error| error.to_string())?,
        life: life(&value),
    })
}

/// Returns whether a text has one or more visible ASCII characters, and nothing else (RFC 6749, A.12).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Some endpoints write the number as a string, or with a fraction.
fn life(value: &Value) -> Duration {
    let seconds = match value.get("expires_in") {
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(number) => number.as_f64(),
        None => None,
    };
    let life = seconds
        .filter(|seconds: &f64| !seconds.is_nan())
        .map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST_LIFE));
    life.unwrap_or(USUAL_LIFE)
        .clamp(Duration::from_secs(1), LONGEST_LIFE)
}

/// Returns the name of an error (RFC 6749, 5.2), if it is one of those.
fn error(value: &Value) -> Option<&'static str> {
    const NAMES: [&str; 6] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    let written = value.get("error")?.as_str()?;
    NAMES.into_iter().find(|name| *name == written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expected: Result<(&str, u64), &str>) {
        let status = StatusCode::from_u16(status).expect("a status code");
        let read = read(status, body.as_bytes());
        let expected = expected.map(|(header, seconds)| Grant {
            header: HeaderValue::from_str(header).expect("a value"),
            life: Duration::from_secs(seconds),
        });
        assert_eq!(read, expected.map_err(str::to_owned), "{body}");
    }

    #[test]
    fn a_grant_is_read() {
        let granted = |seconds| Ok(("Bearer t0k", seconds));
        let with = |more: &str| format!("{{\"access_token\":\"t0k\"{more}}}");
        check(
            200,
            &with(",\"token_type\":\"Bearer\",\"expires_in\":3600"),
            granted(3600),
        );
        check(
            200,
            &with(",\"token_type\":\"bearer\",\"expires_in\":\"60\""),
            granted(60),
        );
        check(201, &with(",\"expires_in\":60.0"), granted(60));
        check(200, &with(""), granted(3600));
        check(200, &with(",\"expires_in\":\"NaN\""), granted(3600));
        check(200, &with(",\"expires_in\":null"), granted(3600));
        check(200, &with(",\"expires_in\":0"), granted(1));
        let longest = LONGEST_LIFE.as_secs();
        check(200, &with(",\"expires_in\":1e300"), granted(longest));
        check(200, &with(",\"expires_in\":-1"), granted(1));
    }

    #[test]
    fn what_is_no_grant_is_told_without_what_was_written() {
        let nothing = Err("its answer holds no usable `access_token`");
        for body in [
            "",
            "[]",
            "{",
            "{\"access_token\":1}",
            "{\"access_token\":\"\"}",
        ] {
            check(200, body, nothing);
        }
        check(200, "{\"access_token\":\"a\\r\\nx: 1\"}", nothing);
        check(200, "{\"access_token\":\"zürich\"}", nothing);
        let other = "{\"access_token\":\"t\",\"token_type\":\"mac\"}";
        check(200, other, Err("its token is of another type than Bearer"));
        let refused = "{\"error\":\"invalid_client\",\"error_description\":\"s3cret\"}";
        check(401, refused, Err("it answered 401 (invalid_client)"));
        check(400, "{\"error\":\"\\u001b[31m\"}", Err("it answered 400"));
        check(302, "", Err("it answered 302"));
    }
}
