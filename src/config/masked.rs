//! Definitions as they may be shown: without their secrets.
//!
//! A secret is shown as `{"secret": true}`; of a URL, what is secret is shown as `***`. Whoever sends a
//! definition back with such a mask in it means what it stands for: see [`unmask`].

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value as Json, json};

use super::secret;
use super::value::{Node, Table, Value};

/// Headers whose values are no secrets.
const OPEN_HEADERS: [&str; 4] = ["accept", "content-type", "user-agent", "x-event-type"];

/// What stands for a part of a URL.
const STARS: &str = "***";

/// What the configuration file says of webhooks and groups, without secrets, by name.
#[derive(Clone, Default, PartialEq)]
pub struct Written {
    /// Of `webhooks`, and `webhook` of `NanoMQ`'s.
    pub webhooks: BTreeMap<String, Json>,
    /// Of `groups`.
    pub groups: BTreeMap<String, Json>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written").finish_non_exhaustive()
    }
}

impl Written {
    pub(super) fn of(root: &Table) -> Self {
        let mut written = Self {
            webhooks: tables(root, "webhooks"),
            groups: tables(root, "groups"),
        };
        if let Some(entry) = root.get(super::nanomq::WEBHOOK) {
            let webhook = mask(&json_of(&entry.node));
            let name = super::nanomq::WEBHOOK.to_owned();
            written.webhooks.entry(name).or_insert(webhook);
        }
        written
    }
}

fn tables(root: &Table, key: &str) -> BTreeMap<String, Json> {
    match root.get(key).map(|entry| &entry.node.value) {
        Some(Value::Table(table)) => table
            .iter()
            .map(|(name, entry)| (name.clone(), mask(&json_of(&entry.node))))
            .collect(),
        _ => BTreeMap::new(),
    }
}

pub(super) fn json_of(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(text) => {
            serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone()))
        }
        Value::String(text) => Json::String(text.clone()),
        Value::Array(elements) => elements.iter().map(json_of).collect(),
        Value::Table(table) => {
            let entries = table.iter();
            Json::Object(
                entries
                    .map(|(key, entry)| (key.clone(), json_of(&entry.node)))
                    .collect(),
            )
        }
    }
}

/// Returns a definition with masks in place of its secrets.
#[must_use]
pub fn mask(definition: &Json) -> Json {
    match definition {
        Json::Object(entries) => {
            let entries = entries.iter();
            Json::Object(
                entries
                    .map(|(key, value)| (key.clone(), mask_value(key, value)))
                    .collect(),
            )
        }
        Json::Array(elements) => elements.iter().map(mask).collect(),
        other => other.clone(),
    }
}

fn mask_value(key: &str, value: &Json) -> Json {
    match value {
        Json::Object(headers) if key == "headers" => {
            let header = |(name, value): (&String, &Json)| {
                let is_open = OPEN_HEADERS.iter().any(|it| name.eq_ignore_ascii_case(it));
                let value = if is_open { value.clone() } else { masked() };
                (name.clone(), value)
            };
            Json::Object(headers.iter().map(header).collect::<Map<_, _>>())
        }
        Json::Null => Json::Null,
        // A table of that name is one of ours that is not known here.
        Json::Object(_) => mask(value),
        _ if secret::is_key_of_secret(key) => masked(),
        Json::String(url) if secret::is_key_of_url(key) => Json::String(mask_url(url)),
        other => mask(other),
    }
}

fn masked() -> Json {
    json!({"secret": true})
}

/// Returns a URL with stars in place of its user information and of its query.
fn mask_url(url: &str) -> String {
    let (rest, query) = match url.find('?') {
        Some(mark) => (&url[..mark], Some(STARS)),
        None => (url, None),
    };
    let behind_scheme = rest.find("//").map_or(0, |slashes| slashes + 2);
    let mut masked = match rest.rfind('@') {
        Some(at) => {
            let start = behind_scheme.min(at);
            format!("{}{STARS}{}", &rest[..start], &rest[at..])
        }
        None => rest.to_owned(),
    };
    if let Some(query) = query {
        masked.push('?');
        masked.push_str(query);
    }
    masked
}

/// A mask that stands for nothing, or for what must not be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmaskable {
    /// Where, as a JSON pointer into the definition.
    pub pointer: String,
    /// Why.
    pub why: Why,
}

/// Why a mask cannot be replaced by what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There was no secret at this place.
    Nothing,
    /// What was secret for one receiver would go to another.
    Elsewhere,
}

/// Puts what masks stand for, in an earlier definition, in their places.
///
/// # Errors
/// All masks that stand for nothing; and all, if requests go to another origin than before: who may
/// write definitions must not read secrets by that.
pub fn unmask(definition: &Json, earlier: &Json) -> Result<Json, Vec<Unmaskable>> {
    let mut unmasked = definition.clone();
    let mut kept = Vec::new();
    let mut lost = Vec::new();
    replace(&mut unmasked, Some(earlier), "", (&mut kept, &mut lost));
    if destinations(&unmasked) != destinations(earlier) {
        lost.extend(kept.into_iter().map(|pointer| Unmaskable {
            pointer,
            why: Why::Elsewhere,
        }));
    }
    if lost.is_empty() {
        Ok(unmasked)
    } else {
        Err(lost)
    }
}

type Places<'a> = (&'a mut Vec<String>, &'a mut Vec<Unmaskable>);

fn replace(json: &mut Json, earlier: Option<&Json>, pointer: &str, (kept, lost): Places<'_>) {
    let is_mask = *json == masked() || is_masked_url(json, pointer);
    if is_mask {
        match earlier {
            Some(earlier) if is_shown_as(earlier, json, pointer) => {
                *json = earlier.clone();
                kept.push(pointer.to_owned());
            }
            _ => lost.push(Unmaskable {
                pointer: pointer.to_owned(),
                why: Why::Nothing,
            }),
        }
        return;
    }
    if let Json::Object(entries) = json {
        for (key, value) in entries {
            let earlier = earlier.and_then(|earlier| earlier.get(key));
            let key = key.replace('~', "~0").replace('/', "~1");
            replace(value, earlier, &format!("{pointer}/{key}"), (kept, lost));
        }
    }
}

fn last_key(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or_default()
}

fn is_masked_url(json: &Json, pointer: &str) -> bool {
    let is_starred = |url: &str| url.ends_with("?***") || url.contains("//***@");
    secret::is_key_of_url(last_key(pointer)) && json.as_str().is_some_and(is_starred)
}

/// Returns whether what stood at a place is shown like this.
fn is_shown_as(earlier: &Json, mask: &Json, pointer: &str) -> bool {
    match (mask, earlier) {
        (Json::String(mask), Json::String(url)) => mask_url(url) == *mask,
        (Json::Object(_), Json::Object(_)) => false,
        (Json::Object(_), _) => {
            let mut keys = pointer.rsplit('/');
            let key = keys.next().unwrap_or_default();
            secret::is_key_of_secret(key) || keys.next() == Some("headers")
        }
        _ => false,
    }
}

/// Returns where requests and credentials go to, and whether who is there is verified.
fn destinations(definition: &Json) -> Vec<Option<String>> {
    let origin = |pointer: &str| {
        let url = definition.pointer(pointer)?.as_str()?;
        let behind_scheme = url.find("//").map_or(0, |slashes| slashes + 2);
        let end = url[behind_scheme..].find(['/', '?', '#']);
        let end = end.map_or(url.len(), |end| behind_scheme + end);
        let authority = url[behind_scheme..end].rsplit('@').next()?;
        Some(format!("{}{authority}", &url[..behind_scheme]).to_ascii_lowercase())
    };
    let tls = ["/tls", "/ssl"].map(|pointer| definition.pointer(pointer).map(Json::to_string));
    ["/url", "/auth/token_url"]
        .map(origin)
        .into_iter()
        .chain(tls)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Json {
        json!({
            "url": "https://u:p@hook.example/in?key=k",
            "headers": {"x-api-key": "sesame", "Content-Type": "text/plain"},
            "sign": {"secret": "whsec_1", "secrets": ["a", "b"]},
            "auth": {"type": "bearer", "token": "t"},
            "events": [{"event": "on_message_publish", "topic": "a"}],
        })
    }

    #[test]
    fn no_secret_is_shown_and_all_else_is() {
        let shown = mask(&definition());
        assert_eq!(
            shown,
            json!({
                "url": "https://***@hook.example/in?***",
                "headers": {"x-api-key": {"secret": true}, "Content-Type": "text/plain"},
                "sign": {"secret": {"secret": true}, "secrets": {"secret": true}},
                "auth": {"type": "bearer", "token": {"secret": true}},
                "events": [{"event": "on_message_publish", "topic": "a"}],
            })
        );
    }

    #[test]
    fn what_is_sent_back_as_it_was_shown_is_what_it_was() {
        assert_eq!(
            unmask(&mask(&definition()), &definition()),
            Ok(definition())
        );
        let mut changed = mask(&definition());
        changed["headers"]["x-api-key"] = "new".into();
        changed["pool_size"] = 4.into();
        let mut expected = definition();
        expected["headers"]["x-api-key"] = "new".into();
        expected["pool_size"] = 4.into();
        assert_eq!(unmask(&changed, &definition()), Ok(expected));
    }

    #[test]
    fn a_secret_does_not_go_to_another_receiver() {
        let mut moved = mask(&definition());
        moved["url"] = "https://evil.example/in".into();
        let lost = unmask(&moved, &definition()).unwrap_err();
        assert_eq!(lost.len(), 4, "{lost:?}");
        assert!(lost.iter().all(|lost| lost.why == Why::Elsewhere));
        let mut trusting = mask(&definition());
        trusting["tls"] = json!({"verify": false});
        assert!(unmask(&trusting, &definition()).is_err());
    }

    #[test]
    fn a_mask_of_nothing_is_refused() {
        let lost = unmask(&json!({"auth": {"token": {"secret": true}}}), &json!({})).unwrap_err();
        assert_eq!(lost[0].pointer, "/auth/token");
        // Nor does it bring out what is no secret, or a table.
        let moved = json!({"auth": {"secret": true}});
        assert!(unmask(&moved, &definition()).is_err());
    }
}
