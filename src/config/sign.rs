//! The keys of `sign`: how a webhook's requests are signed.

use super::complaint::Complaint;
use super::credential::{Reader, report_second};
use super::problem::Problem;
use super::schema::Context;
use super::section::Section;
use crate::envelope::Format;
use crate::http::{self, Compression};
use crate::sign::{Config, Scheme, SecretError};

/// Where secrets may be written; in one of these places only.
const KEYS: [&str; 4] = ["secret", "secret_file", "secrets", "secret_files"];

/// Reads a `sign` table, as far as it can be read.
pub(super) fn read(mut section: Section<'_>, context: &Context<'_>) -> Option<Config> {
    let schemes = Scheme::ALL.map(|scheme| (scheme.as_str(), scheme));
    let scheme = match section.choice("scheme", &schemes) {
        None if section.has("scheme") => None,
        written => Some(written.unwrap_or_default()),
    };
    let check = |secret: &str| scheme.map_or(Ok(()), |scheme| scheme.check(secret));
    let check = |secret: &str| check(secret).map_err(complaint);
    let reader = Reader {
        context,
        check: &check,
    };
    let secret = section.read("secret", |node| reader.value(node));
    let in_file = section.read("secret_file", |node| reader.file(node));
    let secrets = Reader::list(&mut section, "secrets", |node| reader.value(node));
    let in_files = Reader::list(&mut section, "secret_files", |node| reader.file(node));
    report_second(
        &section,
        &KEYS,
        "remove one; `secrets` and `secret_files` take several",
    );
    if !KEYS.iter().any(|key| section.has(key)) {
        section.require(
            "secret",
            "give a `secret`, or the name of a file: `secret_file`",
        );
    }
    let lists = secrets.into_iter().chain(in_files).flatten();
    let secrets: Vec<_> = secret.into_iter().chain(in_file).chain(lists).collect();
    if let Some(scheme) = scheme {
        report_several(&section, scheme, secrets.len());
    }
    section.finish();
    (!secrets.is_empty()).then_some(Config {
        scheme: scheme?,
        secrets,
    })
}

/// Warns of signatures that some receivers cannot verify: they are of the bytes as they are sent, and
/// many frameworks show others.
pub(super) fn report_unverifiable(webhook: &Section<'_>, http: &http::Config) {
    let Some(entry) = webhook.find(&["sign"]).filter(|_| http.sign.is_some()) else {
        return;
    };
    let path = webhook.path("sign");
    let warn = |message: String, help: &str| {
        webhook.report(Problem::warning(entry.key_span, message).help(help));
    };
    if http.compression != Compression::None {
        let message = format!(
            "`{path}` signs the body as it is sent, which is compressed: receivers that decompress before they verify cannot"
        );
        warn(
            message,
            "verify before decompressing, or remove `compression`",
        );
    }
    if http.body.format == Format::Raw {
        let message = format!(
            "`{path}` signs payloads as they are: libraries that take bodies for text cannot verify those that are not UTF-8"
        );
        let help = "let the receiver verify bytes, or choose another `body.format`";
        warn(message, help);
    }
}

fn complaint(error: SecretError) -> Complaint {
    Complaint::new(error.to_string()).help(error.remedy())
}

fn report_several(section: &Section<'_>, scheme: Scheme, secrets: usize) {
    let lists = KEYS
        .iter()
        .find(|key| key.ends_with('s') && section.has(key));
    if let Some(key) = lists.filter(|_| secrets > 1 && !scheme.takes_several()) {
        let what = format!(
            "a request of the scheme `{}` carries one signature",
            scheme.as_str()
        );
        let complaint = Complaint::new(what).help("keep the secret that the receiver knows");
        section.report_about(key, complaint);
    }
}
