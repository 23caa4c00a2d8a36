//! `docs/openapi.json`: put together out of `docs/openapi/`, a file per resource, and compared with the list of routes.
//!
//! A part has the paths and schemas of a resource. What follows from the list of routes is added here: what a route needs, and
//! the errors that any such route may answer. `UPDATE_EXPECT=1 cargo test --test api document` writes the document.

use std::collections::BTreeSet;
use std::fs;

use mqhook::admin::{Entry, Limited, Needs, routes};
use serde_json::{Map, Value, json};

/// Returns all parts, put together.
fn parts() -> Value {
    let folder = super::file("docs/openapi");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut whole = Value::Object(Map::new());
    for file in files {
        let text = fs::read_to_string(&file).expect("a file");
        let part = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        merge(&mut whole, part, &file.display().to_string());
    }
    whole
}

/// Adds what is not there; nothing may be there twice.
fn merge(whole: &mut Value, part: Value, at: &str) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                match whole.get_mut(&key) {
                    Some(there) => merge(there, value, &format!("{at}/{key}")),
                    None => drop(whole.insert(key, value)),
                }
            }
        }
        (there, part) => panic!("{at} is there twice: {there} and {part}"),
    }
}

/// Adds an answer that the part does not describe itself.
fn answer(operation: &mut Value, status: &str, description: &str) {
    let responses = operation["responses"]
        .as_object_mut()
        .expect("a route has answers");
    let problem =
        json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
    let described = responses
        .entry(status)
        .or_insert_with(|| json!({"description": description}));
    if status.starts_with(['4', '5']) && described.get("content").is_none() {
        described["content"] = problem;
    }
}

/// Says of a route what it needs.
fn describe(operation: &mut Value, entry: &Entry, has_path: bool) {
    let needs = match entry.needs {
        Needs::Nothing => "Needs no token.".to_owned(),
        Needs::Token => "Needs any token.".to_owned(),
        Needs::Role(role) => format!("Needs the role {}.", role.name()),
    };
    let limited = match (entry.needs, entry.limited) {
        (Needs::Nothing, _) => "",
        (_, Limited::Refused) => " Not for a token that is limited.",
        (_, Limited::Confined) => " A token that is limited has what concerns that.",
    };
    let own = operation["description"]
        .as_str()
        .map(|text| format!("{text}\n\n"))
        .unwrap_or_default();
    operation["description"] = format!("{own}{needs}{limited}").into();
    let name = format!(
        "{}{}",
        entry.method.as_str().to_ascii_lowercase(),
        entry.path.replace(['/', '{', '}', '.'], "_")
    );
    operation["operationId"] = name.into();
    let tag = entry.path.split('/').nth(1).unwrap_or_default();
    operation["tags"] = json!([if tag.is_empty() { "page" } else { tag }]);
    if entry.needs == Needs::Nothing {
        operation["security"] = json!([]);
        return;
    }
    operation["security"] = json!([{"token": []}, {"basic": []}, {}]);
    for (status, description) in [
        (
            "400",
            "The path, the query or the body is not what is taken here.",
        ),
        ("401", "There is no token, or it is not valid."),
        (
            "403",
            "The token does not allow it, or, while there are none, the request is not from this host.",
        ),
        (
            "409",
            "It needs a spool on disk, or does not fit what there is.",
        ),
        ("429", "Too many wrong tokens came from this address."),
        (
            "500",
            "A bug, or a database that somebody else has written to.",
        ),
        (
            "503",
            "The database or the data path does not answer in time.",
        ),
    ] {
        answer(operation, status, description);
    }
    if has_path {
        answer(
            operation,
            "404",
            "There is no such thing, or the token may not know of it.",
        );
    }
    if operation.get("requestBody").is_some() {
        answer(operation, "408", "The body did not come in time.");
        answer(operation, "413", "The body is too large.");
        answer(operation, "415", "The body is not `application/json`.");
    }
    let described: Vec<String> = operation["responses"]
        .as_object()
        .expect("answers")
        .keys()
        .cloned()
        .collect();
    for status in described {
        answer(operation, &status, "");
    }
}

fn whole() -> Value {
    let mut whole = parts();
    whole["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    for entry in routes() {
        let method = entry.method.as_str().to_ascii_lowercase();
        let has_path = entry.path.contains('{');
        if let Some(operation) = whole["paths"][entry.path].get_mut(&method) {
            describe(operation, &entry, has_path);
        }
    }
    whole
}

/// Returns what the list has, and what a document has, as method and path.
fn both(document: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let listed = routes()
        .into_iter()
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .collect();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item
            .as_object()
            .expect("an object")
            .keys()
            .filter(|key| *key != "parameters")
        {
            documented.insert(format!("{} {path}", method.to_ascii_uppercase()));
        }
    }
    (listed, documented)
}

#[test]
fn every_route_is_in_the_document_and_the_other_way_round() {
    let (listed, documented) = both(&whole());
    let missing: Vec<_> = listed.difference(&documented).collect();
    assert!(
        missing.is_empty(),
        "no file of docs/openapi has {missing:?}"
    );
    let strange: Vec<_> = documented.difference(&listed).collect();
    assert!(strange.is_empty(), "no route is {strange:?}");
}

#[test]
fn the_document_is_what_its_parts_make() {
    let file = super::file("docs/openapi.json");
    let whole = serde_json::to_string_pretty(&whole()).expect("it is JSON") + "\n";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, whole).expect("write the document");
        return;
    }
    let is_same = fs::read_to_string(&file).expect("it is there") == whole;
    assert!(
        is_same,
        "docs/openapi.json is stale: run UPDATE_EXPECT=1 cargo test --test api document, and look at what changes"
    );
}

#[test]
fn every_part_of_a_path_is_described() {
    let document = whole();
    for entry in routes() {
        let item = &document["paths"][entry.path];
        let method = entry.method.as_str().to_ascii_lowercase();
        let parameters = [&item["parameters"], &item[&method]["parameters"]];
        let parameters: Vec<&Value> = parameters
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .collect();
        for name in entry
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        {
            let is_it = |parameter: &&Value| parameter["name"] == name && parameter["in"] == "path";
            assert!(
                parameters.iter().any(|it| is_it(it)),
                "{} {}: `{name}` is not described",
                entry.method,
                entry.path
            );
        }
        assert!(
            item[&method]["summary"].is_string(),
            "{} {} has no summary",
            entry.method,
            entry.path
        );
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let setup = super::start().await;
    let client = super::anonymous(&setup);
    let answer = client.send("GET", "/openapi.json", &[], "").await;
    let served: Value = serde_json::from_str(&answer.body).expect("it is JSON");
    assert_eq!(served, whole());
    let tag = answer.header("etag").expect("it has a tag");
    let again = client
        .send("GET", "/openapi.json", &[("If-None-Match", tag)], "")
        .await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
}
