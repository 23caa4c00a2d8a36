//! Reading a body or a query key by key, and collecting all that is wrong on the way.
//!
//! The whole body is one JSON object. A key that nobody asks for is wrong, and so is a parameter: who
//! mistypes a filter must not change everything.

use std::fmt::Display;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Flaw, Problem};

/// The largest body, in bytes.
pub const MAX_BODY_BYTES: usize = 256 << 10;

/// How long a body may take to come.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Keys that nobody knows of which it is said; there may be as many as fill a body, and a guess at each takes its time.
const MOST_UNKNOWN: usize = 20;

/// How much must be alike for a guess.
const ALIKE: f64 = 0.75;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Body,
    Query,
}

/// Keys and values of a request, being read.
#[derive(Debug)]
pub struct Fields {
    values: Map<String, Value>,
    origin: Origin,
    asked: Vec<&'static str>,
    flaws: Vec<Flaw>,
}

/// The body of a request, as JSON; an extractor.
#[derive(Debug)]
pub struct Body(pub Fields);

/// The same, where there need be no body.
#[derive(Debug)]
pub struct OptionalBody(pub Fields);

/// The query of a request; an extractor.
#[derive(Debug)]
pub struct Query(pub Fields);

impl Fields {
    fn new(values: Map<String, Value>, origin: Origin) -> Self {
        Self {
            values,
            origin,
            asked: Vec::new(),
            flaws: Vec::new(),
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// It is not a JSON object.
    pub fn of_body(body: &[u8]) -> Result<Self, Problem> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(values)) => Ok(Self::new(values, Origin::Body)),
            Ok(_) => Err(Problem::invalid("the body must be a JSON object")),
            // The message says what and where, and quotes nothing.
            Err(error) => Err(Problem::invalid(format!("the body is not JSON: {error}"))),
        }
    }

    /// Reads a query.
    #[must_use]
    pub fn of_query(query: &str) -> Self {
        let mut fields = Self::new(Map::new(), Origin::Query);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                let parameter = Some(name.to_owned());
                let detail = "its encoding is wrong".to_owned();
                fields.flaws.push(Flaw {
                    parameter,
                    detail,
                    ..Flaw::default()
                });
                continue;
            };
            if fields.values.contains_key(&name) {
                fields.flaw(&name, "it is there twice", None);
            }
            fields.values.insert(name, Value::String(value));
        }
        fields
    }

    /// Reports what is wrong with a key.
    pub fn flaw(&mut self, key: &str, detail: impl Into<String>, help: Option<String>) {
        let (pointer, parameter) = match self.origin {
            Origin::Body => (
                Some(format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
                None,
            ),
            Origin::Query => (None, Some(key.to_owned())),
        };
        self.flaws.push(Flaw {
            pointer,
            parameter,
            detail: detail.into(),
            help,
            ..Flaw::default()
        });
    }

    /// Takes the value of a key, and notes that it is known; `null` is as good as nothing.
    pub fn value(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.values.remove(key).filter(|value| !value.is_null())
    }

    /// Takes a text and makes something of it, or reports why not.
    pub fn parse<T, E: Display>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Value::String(text) = self.value(key)? else {
            self.flaw(key, "it must be a string", None);
            return None;
        };
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.flaw(key, error.to_string(), None);
                None
            }
        }
    }

    /// Takes a text of at most so many characters.
    pub fn text(&mut self, key: &'static str, most: usize) -> Option<String> {
        self.parse(key, |text| match text.chars().count() {
            length if length > most => Err(format!("it must have at most {most} characters")),
            _ => Ok(text.to_owned()),
        })
    }

    /// Takes one of some words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        self.parse(key, |text| {
            let found = choices.iter().find(|(name, _)| *name == text);
            found.map(|(_, choice)| *choice).ok_or_else(|| {
                let known: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                format!("it must be one of {}", known.join(", "))
            })
        })
    }

    /// Takes a whole number; of a query, one that is written in digits.
    pub fn integer(&mut self, key: &'static str, from: u64, to: u64) -> Option<u64> {
        let number = match self.value(key)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if self.origin == Origin::Query => digits(&text),
            _ => None,
        };
        let number = number.filter(|number| (from..=to).contains(number));
        if number.is_none() {
            self.flaw(
                key,
                format!("it must be a whole number from {from} to {to}"),
                None,
            );
        }
        number
    }

    /// Takes true or false; of a query, also 1 or 0.
    pub fn bool(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let is_query = self.origin == Origin::Query;
        match value {
            Value::Bool(value) => return Some(value),
            Value::String(text) if is_query => match text.as_str() {
                "true" | "1" => return Some(true),
                "false" | "0" => return Some(false),
                _ => {}
            },
            _ => {}
        }
        self.flaw(key, "it must be true or false", None);
        None
    }

    /// Takes a list of at most so many, and makes something of each element, or reports why not.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        most: usize,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let elements = match self.value(key)? {
            Value::Array(elements) if elements.len() <= most => elements,
            Value::Array(_) => {
                self.flaw(key, format!("it must have at most {most} elements"), None);
                return None;
            }
            _ => {
                self.flaw(key, "it must be a list", None);
                return None;
            }
        };
        let mut list = Vec::with_capacity(elements.len());
        for (place, element) in elements.iter().enumerate() {
            match read(element) {
                Ok(value) => list.push(value),
                Err(detail) => self.flaws.push(Flaw {
                    pointer: Some(format!("/{key}/{place}")),
                    detail,
                    ..Flaw::default()
                }),
            }
        }
        Some(list)
    }

    /// Takes a value that must be there.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        take: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        if self.values.get(key).is_none_or(Value::is_null) {
            self.asked.push(key);
            self.values.remove(key);
            self.flaw(key, "it is missing", None);
            return None;
        }
        take(self, key)
    }

    /// Makes the whole of what was read, if nothing is wrong.
    ///
    /// # Errors
    /// Something is; all of it is reported.
    pub fn end<T>(mut self, make: impl FnOnce() -> Option<T>) -> Result<T, Problem> {
        let unknown = self.values.keys().take(MOST_UNKNOWN).cloned();
        let unknown: Vec<String> = unknown.collect();
        for key in unknown {
            let help = match closest(&key, &self.asked) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if self.asked.is_empty() => "there is none here".to_owned(),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            self.flaw(&key, "it is not known", Some(help));
        }
        if !self.flaws.is_empty() {
            let detail = match self.origin {
                Origin::Body => "the body is not what is taken here",
                Origin::Query => "the query is not what is taken here",
            };
            return Err(Problem::invalid(detail).flaws(self.flaws));
        }
        make().ok_or_else(Problem::internal)
    }
}

/// Returns the known key that is most like an unknown one.
fn closest(key: &str, asked: &[&'static str]) -> Option<&'static str> {
    // A hostile key may be as long as the body.
    if key.len() > 64 {
        return None;
    }
    let likeness =
        |known: &&'static str| (strsim::normalized_damerau_levenshtein(key, known), *known);
    let best = asked
        .iter()
        .map(likeness)
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// Returns a number that is written in digits only.
fn digits(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Decodes what stands in a query (`+` is a space); `None` where it is no UTF-8 or wrongly encoded.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Reads a whole body within its bounds.
///
/// # Errors
/// It is too large or too slow, or breaks off.
pub async fn whole_body(request: &mut Request) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("a body may have {} KiB", MAX_BODY_BYTES >> 10);
        Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_BODY_BYTES as u64) {
        return Err(too_large());
    }
    let reading = to_bytes(std::mem::take(request.body_mut()), MAX_BODY_BYTES);
    match tokio::time::timeout(BODY_DEADLINE, reading).await {
        Ok(Ok(body)) => Ok(body),
        // Whoever broke off does not read the answer.
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(Problem::of_status(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not come in time",
        )),
    }
}

/// Refuses a body that does not say that it is JSON. A page of another site cannot send one that does
/// without asking first, which is never granted.
pub(super) fn refuse_other_types(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = media_type
        .and_then(|text| text.split(';').next())
        .map(str::trim);
    if essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let detail = "the body must be JSON, with Content-Type: application/json";
    Err(Problem::of_status(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        detail,
    ))
}

impl<S: Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, Problem> {
        refuse_other_types(request.headers())?;
        let body = whole_body(&mut request).await?;
        Fields::of_body(&body).map(Self)
    }
}

impl<S: Sync> FromRequest<S> for OptionalBody {
    type Rejection = Problem;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = refuse_other_types(request.headers());
        let body = whole_body(&mut request).await?;
        if body.is_empty() {
            return Ok(Self(Fields::new(Map::new(), Origin::Body)));
        }
        is_json?;
        Fields::of_body(&body).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(Fields::of_query(
            parts.uri.query().unwrap_or_default(),
        )))
    }
}

#[cfg(test)]
mod tests;
