//! Bodies of every format, for every kind of event, as they are promised; and that nothing a client
//! chooses changes their shape.
//!
//! The files in `golden` hold them: headers, an empty line, the body. `UPDATE_EXPECT=1` writes them anew.

mod events;
mod golden;
mod hostile;
mod sdk;

use std::sync::Arc;

use http::HeaderValue;
use mqhook::envelope::cloudevents::{self, Mode};
use mqhook::envelope::{Body, Config, Format, template};
use mqhook::event::Event;

/// A template that uses something of every kind of event.
const TEMPLATE: &str = r#"{"at": "{{ time }}", "what": "{{ kind }}",
{%- if topic %} "topic": "{{ topic }}", "value": {{ payload_json | default(payload) | tojson }}
{%- else %} "client": "{{ client_id | default('nobody') }}", "reason": {{ (reason | default(none)) | tojson }}
{%- endif %}}"#;

/// Returns every format, by the name of its golden file.
fn formats() -> Vec<(String, Config)> {
    let cloud_events = |mode| {
        Format::CloudEvents(cloudevents::Config {
            mode,
            source: "/plant/broker".to_owned(),
        })
    };
    let json = HeaderValue::from_static("application/json");
    let template = template::Body::new(TEMPLATE, json).expect("a template");
    let formats = [
        ("", Format::Nanomq),
        ("", Format::Json),
        ("", Format::Raw),
        ("", Format::Mender),
        ("_structured", cloud_events(Mode::Structured)),
        ("_binary", cloud_events(Mode::Binary)),
        ("", Format::Template(template)),
    ];
    let config = |(suffix, format): (&str, Format)| {
        let name = format!("{}{suffix}", format.name());
        let format = Config {
            format,
            ..Config::default()
        };
        (name, format)
    };
    formats.map(config).into()
}

fn body(config: &Config, event: &Arc<Event>) -> Body {
    let body = config.body(event);
    body.unwrap_or_else(|error| panic!("expected a body of {event:?}, got: {error}"))
}

/// Returns the media type that goes with a body.
fn content_type(config: &Config, body: &Body) -> HeaderValue {
    let own = body.content_type.clone();
    own.unwrap_or_else(|| config.content_type())
}
