//! The keys of `auth`: who a webhook's requests are from.

use super::complaint::Complaint;
use super::credential::Reader;
use super::problem::Problem;
use super::schema::Context;
use super::section::Section;
use super::value::Value;
use super::webhook::{header_name, target};
use crate::credential::Secret;
use crate::http;
use crate::http::auth::oauth2::{self, Place};
use crate::http::auth::{Config, header_value};
use crate::http::policy::spelled;

/// What `type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    None,
    Basic,
    Bearer,
    Header,
    OAuth2,
}

const TYPES: [(&str, Type); 5] = [
    ("none", Type::None),
    ("basic", Type::Basic),
    ("bearer", Type::Bearer),
    ("header", Type::Header),
    ("oauth2", Type::OAuth2),
];

/// Every key but `type`, and the type that it belongs to.
const KEYS: [(&str, Type); 14] = [
    ("username", Type::Basic),
    ("password", Type::Basic),
    ("password_file", Type::Basic),
    ("token", Type::Bearer),
    ("token_file", Type::Bearer),
    ("name", Type::Header),
    ("value", Type::Header),
    ("value_file", Type::Header),
    ("token_url", Type::OAuth2),
    ("client_id", Type::OAuth2),
    ("client_secret", Type::OAuth2),
    ("client_secret_file", Type::OAuth2),
    ("scope", Type::OAuth2),
    ("audience", Type::OAuth2),
];

/// Where the credentials of a client stand; the last key of OAuth 2.0.
const PLACE: &str = "in";

/// Reads an `auth` table; without a problem, it is what was meant.
pub(super) fn read(mut section: Section<'_>, context: &Context<'_>) -> Config {
    let types = TYPES.map(|(name, _)| name).join(", ");
    section.require("type", format!("it is one of {types}"));
    let kind = section.choice("type", &TYPES);
    let config = match kind {
        Some(Type::Basic) => basic(&mut section, context),
        Some(Type::Bearer) => bearer(&mut section, context),
        Some(Type::Header) => header(&mut section, context),
        Some(Type::OAuth2) => oauth2(&mut section, context),
        Some(Type::None) | None => None,
    };
    let keys = KEYS.into_iter().chain([(PLACE, Type::OAuth2)]);
    for (key, _) in keys.filter(|(_, of)| Some(*of) != kind) {
        ignore(&mut section, key, kind);
    }
    section.finish();
    config.unwrap_or_default()
}

/// Takes note of a key that belongs to another type.
fn ignore(section: &mut Section<'_>, key: &'static str, kind: Option<Type>) {
    let name = TYPES.iter().find(|(_, other)| Some(*other) == kind);
    if let (Some(entry), Some((name, _))) = (section.entry(key), name) {
        let message = format!(
            "`{}` has no effect with the type `{name}`",
            section.path(key)
        );
        let problem = Problem::warning(entry.key_span, message);
        section.report(problem.help("remove it, or change the type"));
    }
}

fn basic(section: &mut Section<'_>, context: &Context<'_>) -> Option<Config> {
    section.require("username", "give the user's name");
    let username = section.parse("username", |text| {
        if text.contains(':') || text.chars().any(char::is_control) {
            Err("it must not have a colon or a control character")
        } else {
            Ok(text.to_owned())
        }
    });
    let check = |password: &str| {
        let is_bad = password.chars().any(char::is_control);
        if is_bad {
            Err(Complaint::new("it has a control character"))
        } else {
            Ok(())
        }
    };
    let password = secret(section, context, ["password", "password_file"], &check);
    Some(Config::Basic {
        username: username?,
        password: password?,
    })
}

fn bearer(section: &mut Section<'_>, context: &Context<'_>) -> Option<Config> {
    let check = |token: &str| {
        if token.bytes().any(|byte| !byte.is_ascii_graphic()) {
            let what = "a token has no spaces, line breaks or letters beyond ASCII";
            return Err(Complaint::new(what));
        }
        not_empty(token)
    };
    let token = secret(section, context, ["token", "token_file"], &check)?;
    Some(Config::Bearer { token })
}

fn header(section: &mut Section<'_>, context: &Context<'_>) -> Option<Config> {
    section.require("name", "name the header, such as \"x-api-key\"");
    let name = section.parse("name", header_name);
    let check = |value: &str| {
        header_value(value).map_err(|error| Complaint::new(error.to_string()))?;
        not_empty(value)
    };
    let value = secret(section, context, ["value", "value_file"], &check);
    Some(Config::Header {
        name: name?,
        value: value?,
    })
}

fn oauth2(section: &mut Section<'_>, context: &Context<'_>) -> Option<Config> {
    section.require("token_url", "give the URL that gives out tokens");
    section.require("client_id", "give the name that the client has there");
    let token_url = section.parse("token_url", target);
    let client_id = section.string("client_id");
    let keys = ["client_secret", "client_secret_file"];
    let client_secret = secret(section, context, keys, &not_empty);
    let scope = section.string("scope");
    let audience = section.string("audience");
    let places = Place::ALL.map(|place| (place.as_str(), place));
    let place = section.choice(PLACE, &places).unwrap_or_default();
    Some(Config::OAuth2(Box::new(oauth2::Config {
        scope: scope.filter(|scope| !scope.is_empty()),
        audience: audience.filter(|audience| !audience.is_empty()),
        place,
        ..oauth2::Config::new(token_url?, client_id?, client_secret?)
    })))
}

fn not_empty(secret: &str) -> Result<(), Complaint> {
    if secret.is_empty() {
        return Err(Complaint::new("it is empty"));
    }
    Ok(())
}

/// Reads the secret of a type, which must be there.
fn secret(
    section: &mut Section<'_>,
    context: &Context<'_>,
    [key, file_key]: [&'static str; 2],
    check: super::credential::Check<'_>,
) -> Option<Secret> {
    if !section.has(file_key) {
        section.require(key, format!("give it, or the name of a file: `{file_key}`"));
    }
    Reader { context, check }.either(section, key, file_key)
}

/// Returns whether tokens are got over TLS.
pub(super) fn is_secured(webhook: &Section<'_>) -> bool {
    let url = webhook
        .find(&["auth", "token_url"])
        .map(|entry| &entry.node.value);
    matches!(url, Some(Value::String(url)) if url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://")))
}

/// Warns of a client's secret that others may read on its way to the endpoint.
pub(super) fn report_exposed(webhook: &Section<'_>, http: &http::Config) {
    let Config::OAuth2(oauth2) = &http.auth else {
        return;
    };
    let host = oauth2.token_url.origin().host().unwrap_or_default();
    let is_loopback = spelled(host).map_or(host == "localhost", |address| address.is_loopback());
    let (key, message, help) = if !oauth2.token_url.is_https() && !is_loopback {
        (
            ["auth", "token_url"],
            "sends the client's secret unencrypted",
            "begin with https://",
        )
    } else if oauth2.token_url.is_https() && !http.tls.verify {
        (
            ["tls", "verify"],
            "holds for `auth.token_url`, too: anyone on the way can read the client's secret",
            "name the authority of both in `tls.cacertfile`",
        )
    } else {
        return;
    };
    let span = webhook.find(&key).map(|entry| entry.node.span);
    let message = format!("`{}` {message}", webhook.path(&key.join(".")));
    webhook.report(Problem::warning(span.or(webhook.span()), message).help(help));
}

/// Reports configured headers that `sign` or `auth` set, too.
pub(super) fn report_doubled(webhook: &Section<'_>, http: &http::Config) {
    let Some(headers) = webhook.find(&["headers"]) else {
        return;
    };
    let Value::Table(headers) = &headers.node.value else {
        return;
    };
    let signed = http.sign.iter().flat_map(|sign| sign.scheme.headers());
    let set = signed.map(|name| (name, "sign"));
    let set: Vec<_> = set
        .chain(http.auth.header().map(|name| (name, "auth")))
        .collect();
    for (key, entry) in headers {
        let by = set
            .iter()
            .find(|(name, _)| name.as_str().eq_ignore_ascii_case(key));
        if let Some((_, by)) = by {
            let path = webhook.path(&format!("headers.{key}"));
            let message = format!("`{path}` is set by `{}`, too", webhook.path(by));
            webhook.report(Problem::error(entry.key_span, message).help("remove one of the two"));
        }
    }
}
