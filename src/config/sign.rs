//! The keys of `sign`: how a webhook's requests are signed.

use super::complaint::Complaint;
use super::credential::{Reader, report_second};
use super::schema::Context;
use super::section::Section;
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
