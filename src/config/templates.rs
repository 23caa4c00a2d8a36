//! Templates in a webhook's URL, method and headers, and what is known of all of them beforehand.

use http::{HeaderName, HeaderValue, Method};

use super::Webhook;
use super::complaint::{Complaint, closest};
use super::problem::Problem;
use super::section::Section;
use crate::envelope::Format;
use crate::event::{Kind, KindSet};
use crate::http::is_sent;
use crate::template::url::PathTemplate;
use crate::template::{Mistake, Place, Publisher, Template};

/// The longest method, and the longest value of a header.
const MOST_METHOD_BYTES: usize = 64;
const MOST_HEADER_BYTES: usize = 8 * 1024;

/// Says what is wrong with a template.
pub(super) fn mistake(mistake: &Mistake) -> Complaint {
    let complaint = Complaint::new(mistake.to_string());
    match mistake {
        Mistake::UnknownName(name) => {
            let known = Mistake::known_names();
            match closest(name, known.iter().copied()) {
                Some(meant) => complaint.help(format!("did you mean `{meant}`?")),
                None => complaint.help(format!("known names: {}", known.join(", "))),
            }
        }
        Mistake::InOrigin => {
            complaint.help("put values behind the host: into the path or the query")
        }
        Mistake::Syntax { .. } | Mistake::Unknown { .. } => complaint,
    }
}

/// A method, or what makes one.
pub(super) enum MethodKey {
    Fixed(Method),
    Made(Template),
}

/// Reads a method.
pub(super) fn method(text: &str) -> Result<MethodKey, Complaint> {
    if Template::is_one(text) {
        let template = Template::compile(text, Place::Method, MOST_METHOD_BYTES);
        return template
            .map(MethodKey::Made)
            .map_err(|error| mistake(&error));
    }
    let method = Method::from_bytes(text.as_bytes()).map_err(|_| {
        Complaint::new("it is not the name of a method").help("write POST or PUT, say")
    })?;
    if !is_sent(&method) {
        return Err(
            Complaint::new("CONNECT asks for a tunnel and not for a resource")
                .help("write POST or PUT, say"),
        );
    }
    let upper = text.to_ascii_uppercase();
    let is_misspelt = method.as_str() != upper
        && ["POST", "PUT", "PATCH", "GET", "DELETE"].contains(&upper.as_str());
    if is_misspelt {
        let complaint = Complaint::new("the case of a method counts");
        return Err(complaint.help(format!("write {upper}")));
    }
    Ok(MethodKey::Fixed(method))
}

/// Takes the headers whose values are templates out of those that were read.
pub(super) fn take_headers(
    section: &Section<'_>,
    headers: &mut Vec<(HeaderName, HeaderValue)>,
) -> Vec<(HeaderName, Template)> {
    let mut templates = Vec::new();
    headers.retain(|(name, value)| {
        let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
        if !Template::is_one(text) {
            return true;
        }
        match header(name.as_str(), text) {
            Ok(template) => templates.push((name.clone(), template)),
            Err(complaint) => {
                let mut entries = section.entries();
                let entry = entries.find(|(key, _)| key.eq_ignore_ascii_case(name.as_str()));
                let (key, span) = entry.map_or((name.as_str(), section.span()), |(key, entry)| {
                    (key, Some(entry.node.span))
                });
                section.report(complaint.about(&section.path(key), span));
            }
        }
        false
    });
    templates
}

fn header(name: &str, text: &str) -> Result<Template, Complaint> {
    if name == "host" {
        return Err(Complaint::new("the host cannot be taken from an event")
            .help("write what it is for all events"));
    }
    Template::compile(text, Place::Header, MOST_HEADER_BYTES).map_err(|error| mistake(&error))
}

/// Warns of templates that make nothing of events that the webhook's rules are for.
pub(super) fn report_missing(section: &Section<'_>, webhook: &Webhook, publisher: Publisher) {
    let mut kinds = KindSet::default();
    for rule in &webhook.rules {
        kinds.insert(rule.kind);
    }
    for (key, template) in templates(webhook) {
        for kind in Kind::ALL.into_iter().filter(|kind| kinds.contains(*kind)) {
            let Some(names) = template.missing_in(kind, publisher) else {
                continue;
            };
            let message = format!(
                "`{}` needs {names}, which no `{kind}` has: all those events are given up",
                section.path(&key)
            );
            let span = section.find(&key.split('.').collect::<Vec<_>>());
            let span = span.map(|entry| entry.node.span).or(section.span());
            section.report(
                Problem::warning(span, message)
                    .help("say what stands in for it, as in {{ client_id | default('unknown') }}"),
            );
        }
    }
}

fn templates(webhook: &Webhook) -> Vec<(String, &Template)> {
    let http = &webhook.http;
    let made = &http.templates;
    let mut templates: Vec<(String, &Template)> = Vec::new();
    templates.extend(
        made.path
            .as_ref()
            .map(|path| ("url".to_owned(), PathTemplate::template(path))),
    );
    templates.extend(
        made.method
            .as_ref()
            .map(|method| ("method".to_owned(), method)),
    );
    let headers = made.headers.iter();
    templates.extend(headers.map(|(name, template)| (format!("headers.{name}"), template)));
    if let Format::Template(body) = &http.body.format {
        templates.push(("body.template".to_owned(), body.template()));
    }
    templates
}
