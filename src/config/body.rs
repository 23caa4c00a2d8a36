//! The `body` table of a webhook.

use http::HeaderValue;

use super::complaint::Complaint;
use super::problem::Problem;
use super::section::Section;
use super::templates::mistake;
use crate::envelope::cloudevents::{self, Mode};
use crate::envelope::{Config, Format, template};
use crate::payload::{Encoding, NotUtf8, media_type};

/// Keys that one format has to itself.
const OF_ONE_FORMAT: [(&str, &str); 4] = [
    ("mode", "cloudevents"),
    ("source", "cloudevents"),
    ("template", "template"),
    ("content_type", "template"),
];

/// Reads how bodies are made.
pub(super) fn read(mut section: Section<'_>) -> Config {
    let mut body = Config::default();
    let encodings = Encoding::ALL.map(|encoding| (encoding.as_str(), encoding));
    let not_utf8 = NotUtf8::ALL.map(|choice| (choice.as_str(), choice));
    let formats = Format::NAMES.map(|name| (name, name));
    let format = section.choice("format", &formats);
    if let Some(encoding) = section.choice("encoding", &encodings) {
        body.encoding = encoding;
    }
    if let Some(choice) = section.choice("not_utf8", &not_utf8) {
        body.not_utf8 = choice;
    }
    let cloud_events = cloud_events(&mut section);
    let template = template(&mut section);
    let is_bad = format.is_none() && section.has("format");
    let implied = if section.has("template") {
        "template"
    } else {
        body.format.name()
    };
    let format = format.unwrap_or(implied);
    if !is_bad {
        report_without_effect(&section, format);
    }
    if format == "template" {
        section.require(
            "template",
            "write what the body is to be, or give another format",
        );
    }
    body.format = match (format, template) {
        ("json", _) => Format::Json,
        ("raw", _) => Format::Raw,
        ("mender", _) => Format::Mender,
        ("cloudevents", _) => Format::CloudEvents(cloud_events),
        ("template", Some(template)) => Format::Template(template),
        _ => Format::Nanomq,
    };
    section.finish();
    body
}

fn cloud_events(section: &mut Section<'_>) -> cloudevents::Config {
    let mut config = cloudevents::Config::default();
    if let Some(mode) = section.choice("mode", &Mode::ALL) {
        config.mode = mode;
    }
    let source = section.parse("source", |text| {
        if cloudevents::Config::is_source(text) {
            Ok(text.to_owned())
        } else {
            Err(Complaint::new("it is not a URI reference")
                .help("write something like \"https://example.com/plant\" or \"/plant/broker\""))
        }
    });
    if let Some(source) = source {
        config.source = source;
    }
    config
}

fn template(section: &mut Section<'_>) -> Option<template::Body> {
    let content_type = section.parse("content_type", |text| {
        let value = HeaderValue::from_str(text).ok();
        value.filter(|_| media_type::is_valid(text)).ok_or_else(|| {
            Complaint::new("it is not a media type")
                .help("write something like \"application/json\"")
        })
    });
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/json"));
    section.parse("template", |text| {
        template::Body::new(text, content_type).map_err(|error| mistake(&error))
    })
}

fn report_without_effect(section: &Section<'_>, format: &str) {
    for (key, only) in OF_ONE_FORMAT {
        if format == only || !section.has(key) {
            continue;
        }
        let message = format!(
            "`{}` has no effect with the format `{format}`",
            section.path(key)
        );
        let problem = Problem::warning(section.span_of(key), message);
        section.report(problem.help(format!("remove it, or write format = \"{only}\"")));
    }
}
