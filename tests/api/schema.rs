//! Compares answers with `docs/openapi.json`: the part of JSON Schema that the document uses, and nothing that it does not.

use std::sync::LazyLock;

use serde_json::{Map, Value};
use support::http::Answer;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(super::file("docs/openapi.json")).expect("it is there");
    serde_json::from_str(&text).expect("it is JSON")
});

/// Words of a schema that say nothing about values, or nothing that is compared here.
const SILENT: [&str; 8] = [
    "description",
    "format",
    "pattern",
    "default",
    "examples",
    "title",
    "deprecated",
    "writeOnly",
];

/// Asserts that an answer is one that the document has for its request.
pub fn check(method: &str, target: &str, answer: &Answer) {
    let path = target.split('?').next().unwrap_or_default();
    let Some(operation) = operation(method, path) else {
        assert!(
            matches!(answer.status, 404 | 405 | 400),
            "{method} {target} is not in the document: {answer:?}"
        );
        return;
    };
    let status = answer.status.to_string();
    let described = resolve(&operation["responses"][status.as_str()]);
    assert!(
        described.is_object(),
        "{method} {target}: {status} is not in the document: {answer:?}"
    );
    if method == "HEAD" {
        return;
    }
    let media_type = answer.header("content-type").unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default();
    let Some(content) = described["content"].as_object() else {
        assert_eq!(answer.body, "", "{method} {target}: {status} has no body");
        return;
    };
    let said = content.get(essence);
    let said =
        said.unwrap_or_else(|| panic!("{method} {target}: {status} is not of type {media_type}"));
    let value = if essence.ends_with("json") {
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("no JSON: {answer:?}"))
    } else {
        Value::from(answer.body.as_str())
    };
    if let Err(wrong) = matches(&value, &said["schema"], "") {
        panic!(
            "{method} {target}: {status} is not as the document says: {wrong}\n{}",
            answer.body
        );
    }
}

/// Returns what the document says of a path and a method.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let segments: Vec<&str> = path.split('/').collect();
    let is_it = |pattern: &str| {
        let parts: Vec<&str> = pattern.split('/').collect();
        let mut pairs = parts.iter().zip(&segments);
        parts.len() == segments.len()
            && pairs.all(|(part, segment)| part.starts_with('{') || part == segment)
    };
    let mut paths: Vec<_> = DOCUMENT["paths"]
        .as_object()?
        .iter()
        .filter(|(pattern, _)| is_it(pattern))
        .collect();
    // What is written out goes before what varies.
    paths.sort_by_key(|(pattern, _)| pattern.matches('{').count());
    let method = if method == "HEAD" {
        "get".to_owned()
    } else {
        method.to_ascii_lowercase()
    };
    paths.first()?.1.get(method)
}

fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("it is in the document");
            let target = DOCUMENT.pointer(pointer);
            resolve(target.unwrap_or_else(|| panic!("{reference} is not in the document")))
        }
        None => value,
    }
}

/// Returns what of a value is not as a schema says.
fn matches(value: &Value, schema: &'static Value, at: &str) -> Result<(), String> {
    let Some(words) = schema.as_object() else {
        panic!("at {at}: {schema} is no schema");
    };
    for (word, said) in words {
        let is_met = match word.as_str() {
            "$ref" => matches(value, resolve(schema), at).map(|()| true)?,
            "type" => is_of_type(value, said),
            "enum" => said.as_array().is_some_and(|all| all.contains(value)),
            "const" => said == value,
            "minimum" => value
                .as_f64()
                .is_none_or(|number| number >= said.as_f64().unwrap_or(f64::MAX)),
            "maximum" => value
                .as_f64()
                .is_none_or(|number| number <= said.as_f64().unwrap_or(f64::MIN)),
            "minItems" => value
                .as_array()
                .is_none_or(|all| all.len() as u64 >= said.as_u64().unwrap_or(u64::MAX)),
            "maxItems" => value
                .as_array()
                .is_none_or(|all| all.len() as u64 <= said.as_u64().unwrap_or(0)),
            "minLength" => value.as_str().is_none_or(|text| {
                text.chars().count() as u64 >= said.as_u64().unwrap_or(u64::MAX)
            }),
            "maxLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as u64 <= said.as_u64().unwrap_or(0)),
            "allOf" => all(value, said, at).map(|()| true)?,
            "anyOf" | "oneOf" => any(value, said, at),
            "items" => items(value, said, at).map(|()| true)?,
            "required" => has_all(value, said),
            "properties" | "additionalProperties" => properties(value, words, at).map(|()| true)?,
            word if SILENT.contains(&word) => true,
            word => panic!("at {at}: this test does not know `{word}`"),
        };
        if !is_met {
            return Err(format!("{at}: {value} is not `{word}: {said}`"));
        }
    }
    Ok(())
}

fn is_of_type(value: &Value, said: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match said {
        Value::Array(all) => all.iter().filter_map(Value::as_str).any(is),
        said => said.as_str().is_some_and(is),
    }
}

fn list(said: &'static Value) -> impl Iterator<Item = &'static Value> {
    said.as_array().expect("a list of schemas").iter()
}

fn all(value: &Value, said: &'static Value, at: &str) -> Result<(), String> {
    list(said).try_for_each(|schema| matches(value, schema, at))
}

fn any(value: &Value, said: &'static Value, at: &str) -> bool {
    list(said).any(|schema| matches(value, schema, at).is_ok())
}

fn items(value: &Value, said: &'static Value, at: &str) -> Result<(), String> {
    let elements = value.as_array().into_iter().flatten().enumerate();
    elements
        .map(|(place, element)| matches(element, said, &format!("{at}/{place}")))
        .collect()
}

fn has_all(value: &Value, said: &Value) -> bool {
    let keys = said
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    value
        .as_object()
        .is_none_or(|object| keys.into_iter().all(|key| object.contains_key(key)))
}

fn properties(value: &Value, schema: &'static Map<String, Value>, at: &str) -> Result<(), String> {
    let known = schema.get("properties").and_then(Value::as_object);
    for (key, element) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{key}");
        match (
            known.and_then(|known| known.get(key)),
            schema.get("additionalProperties"),
        ) {
            (Some(schema), _) => matches(element, schema, &at)?,
            (None, Some(Value::Bool(false))) => return Err(format!("{at} is not in the document")),
            (None, Some(Value::Object(_))) => {
                matches(element, &schema["additionalProperties"], &at)?
            }
            (None, _) => {}
        }
    }
    Ok(())
}
