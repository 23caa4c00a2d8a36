//! `POST /groups/{id}/events`: events of applications.

use std::sync::Arc;

use axum::body::Body as Bytes;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytestring::ByteString;
use serde_json::{Map, Value, json};

use super::find;
use crate::admin::fields::{refuse_other_types, whole_body};
use crate::admin::publish::Unpublished;
use crate::admin::{Api, Caller, Flaw, Problem, Segment, answer};
use crate::config::Group;
use crate::event::{
    Client, Detail, Event, Id, Kind, Message, Properties, Timestamp, TopicFilter, TopicName,
};

/// The most events of one request.
const MOST_EVENTS: usize = 100;

/// The most user properties of an event, and the most bytes of their names and values together.
const MOST_PROPERTIES: usize = 64;
const MOST_PROPERTY_BYTES: usize = 8 << 10;

/// The longest content type, in bytes.
const MOST_CONTENT_TYPE_BYTES: usize = 256;

/// The keys of an event.
const KEYS: [&str; 5] = [
    "topic",
    "payload",
    "payload_base64",
    "content_type",
    "user_properties",
];

/// Answers when the events are on disk or delivered, or, with a spool in memory, in memory.
pub(in crate::admin) async fn publish(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    mut request: Request,
) -> Result<Response<Bytes>, Problem> {
    let view = api.configured.catalogue.view();
    let known = find(&view, &caller, &id)?;
    if let Some(problem) = known.problem {
        return Err(Problem::conflict(problem));
    }
    let group = known.group;
    refuse_other_types(request.headers())?;
    let body = whole_body(&mut request).await?;
    let events = read(&body, &group)?;
    let ids: Vec<String> = events.iter().map(|event| event.id.to_string()).collect();
    let published = api.configured.publisher.publish(group.name, events).await;
    let published = published.map_err(|why| match why {
        Unpublished::NoRoom => {
            Problem::busy("there is no room: receivers are behind, and the spool is full")
        }
        other => Problem::busy(other.to_string()),
    })?;
    let told = ids.iter().zip(&published.webhooks);
    let events: Vec<Value> = told
        .map(|(id, webhooks)| json!({"id": id, "webhooks": webhooks}))
        .collect();
    let shown = json!({"events": events, "durable": published.is_durable});
    Ok(answer::json(StatusCode::ACCEPTED, &shown))
}

/// Returns the events of a body: one, or a list of them.
fn read(body: &[u8], group: &Group) -> Result<Vec<Event>, Problem> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Problem::invalid(format!("the body is not JSON: {error}")))?;
    let mut flaws = Vec::new();
    let events = match body {
        Value::Array(elements) if elements.is_empty() || elements.len() > MOST_EVENTS => {
            let detail = format!("a list has 1 to {MOST_EVENTS} events");
            return Err(Problem::invalid(detail));
        }
        Value::Array(elements) => {
            let elements = elements.into_iter().enumerate();
            let read = |(place, element)| {
                Reader::new(element, format!("/{place}"), group, &mut flaws)?.event()
            };
            elements.filter_map(read).collect()
        }
        one => {
            let reader = Reader::new(one, String::new(), group, &mut flaws);
            reader.and_then(Reader::event).into_iter().collect()
        }
    };
    if flaws.is_empty() {
        return Ok(events);
    }
    Err(Problem::invalid("the body is not what is taken here").flaws(flaws))
}

/// Reads one event.
struct Reader<'a> {
    values: Map<String, Value>,
    pointer: String,
    group: &'a Group,
    flaws: &'a mut Vec<Flaw>,
}

impl<'a> Reader<'a> {
    fn new(
        event: Value,
        pointer: String,
        group: &'a Group,
        flaws: &'a mut Vec<Flaw>,
    ) -> Option<Self> {
        let Value::Object(values) = event else {
            flaws.push(Flaw {
                pointer: Some(pointer),
                detail: "an event must be an object".to_owned(),
                ..Flaw::default()
            });
            return None;
        };
        Some(Self {
            values,
            pointer,
            group,
            flaws,
        })
    }

    fn flaw(&mut self, key: &str, detail: impl Into<String>, help: Option<String>) {
        let key = key.replace('~', "~0").replace('/', "~1");
        self.flaws.push(Flaw {
            pointer: Some(format!("{}/{key}", self.pointer)),
            detail: detail.into(),
            help,
            ..Flaw::default()
        });
    }

    fn event(mut self) -> Option<Event> {
        let before = self.flaws.len();
        let topic = self.topic();
        let payload = self.payload();
        let properties = Properties {
            content_type: self.content_type(),
            user: self.user_properties(),
            ..Properties::default()
        };
        let unknown: Vec<String> = self.values.keys().cloned().collect();
        for key in unknown {
            let known = format!("known here: {}", KEYS.join(", "));
            self.flaw(&key, "it is not known", Some(known));
        }
        if self.flaws.len() > before {
            return None;
        }
        Some(Event {
            id: Id::new(),
            kind: Kind::ApplicationEvent,
            time: Timestamp::now(),
            client: Client::default(),
            detail: Detail::Message(Message {
                topic: topic?,
                payload: payload?,
                qos: 1,
                retain: false,
                protocol_version: None,
                properties: properties.boxed(),
            }),
        })
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.values.remove(key).filter(|value| !value.is_null())
    }

    fn text(&mut self, key: &str) -> Option<String> {
        if let Value::String(text) = self.take(key)? {
            return Some(text);
        }
        self.flaw(key, "it must be a string", None);
        None
    }

    fn topic(&mut self) -> Option<TopicName> {
        if self.values.get("topic").is_none_or(Value::is_null) {
            self.values.remove("topic");
            let topic = default_topic(self.group);
            if topic.is_none() {
                let help = format!("the group's topics are {}", topics(self.group));
                self.flaw("topic", "it is missing", Some(help));
            }
            return topic;
        }
        let text = self.text("topic")?;
        match TopicName::try_from(ByteString::from(text)) {
            Err(error) => self.flaw("topic", error.to_string(), None),
            Ok(topic) if !is_in(self.group, &topic) => {
                let help = format!("the group's topics are {}", topics(self.group));
                self.flaw("topic", "it is not in the group", Some(help));
            }
            Ok(topic) => return Some(topic),
        }
        None
    }

    fn payload(&mut self) -> Option<bytes::Bytes> {
        let has_both = self.values.contains_key("payload_base64");
        if has_both && self.values.contains_key("payload") {
            self.values.remove("payload");
            self.values.remove("payload_base64");
            self.flaw("payload", "it is there twice: as text and as base64", None);
            return None;
        }
        if has_both {
            let text = self.text("payload_base64")?;
            let bytes = STANDARD.decode(text).ok();
            if bytes.is_none() {
                self.flaw("payload_base64", "it is not base64", None);
            }
            return bytes.map(Into::into);
        }
        if self.values.get("payload").is_none_or(Value::is_null) {
            self.values.remove("payload");
            let help = "write the payload as a string, or as `payload_base64`";
            self.flaw("payload", "it is missing", Some(help.to_owned()));
            return None;
        }
        self.text("payload").map(Into::into)
    }

    fn content_type(&mut self) -> Option<ByteString> {
        let text = self.text("content_type")?;
        if text.is_empty()
            || text.len() > MOST_CONTENT_TYPE_BYTES
            || text.contains(char::is_control)
        {
            self.flaw("content_type", "it is not a media type", None);
            return None;
        }
        Some(text.into())
    }

    fn user_properties(&mut self) -> Vec<(ByteString, ByteString)> {
        let Some(value) = self.take("user_properties") else {
            return Vec::new();
        };
        let pairs = value.as_object().map(|pairs| {
            let pair = |(name, value): (&String, &Value)| {
                Some((
                    ByteString::from(name.as_str()),
                    ByteString::from(value.as_str()?),
                ))
            };
            pairs.iter().map(pair).collect::<Option<Vec<_>>>()
        });
        let Some(Some(pairs)) = pairs else {
            let detail = "it must be an object whose values are strings";
            self.flaw("user_properties", detail, None);
            return Vec::new();
        };
        let bytes: usize = pairs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if pairs.len() > MOST_PROPERTIES || bytes > MOST_PROPERTY_BYTES {
            let detail =
                format!("it may have {MOST_PROPERTIES} of {MOST_PROPERTY_BYTES} bytes together");
            self.flaw("user_properties", detail, None);
        }
        pairs
    }
}

fn is_in(group: &Group, topic: &TopicName) -> bool {
    group.topics.iter().any(|filter| filter.matches(topic))
}

/// Returns the topic of an event that names none: the group's name, or its first topic that has no wildcard.
fn default_topic(group: &Group) -> Option<TopicName> {
    let name = TopicName::try_from(ByteString::from(group.name.as_str())).ok();
    name.filter(|name| is_in(group, name)).or_else(|| {
        let filters = group.topics.iter().map(TopicFilter::as_str);
        let mut names = filters.map(|text| TopicName::try_from(ByteString::from(text)));
        names.find_map(Result::ok)
    })
}

fn topics(group: &Group) -> String {
    let topics: Vec<&str> = group.topics.iter().map(TopicFilter::as_str).collect();
    topics.join(", ")
}
