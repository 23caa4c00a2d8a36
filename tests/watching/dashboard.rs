//! The dashboard for Grafana.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::openmetrics::read;
use crate::{promtool, repository, start};

/// What stands in expressions for what Grafana puts in.
const VARIABLES: [(&str, &str); 5] = [
    ("$__rate_interval", "5m"),
    ("$__range", "6h"),
    ("$job", ".*"),
    ("$instance", ".*"),
    ("$webhook", ".*"),
];

/// Those that are there only with the plugin, or only after something has failed.
const SELDOM: [&str; 0] = [];

fn dashboard() -> Value {
    let path = repository().join("config/grafana/mqhook.json");
    let text = std::fs::read_to_string(path).expect("the dashboard");
    serde_json::from_str(&text).expect("it is JSON")
}

/// Returns all texts under a key, wherever it stands.
fn texts(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == key => found.push(text.clone()),
                    value => texts(value, key, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, key, found)),
        _ => {}
    }
}

/// Returns the names of metrics in a text.
pub fn metrics(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    let is_ours = |word: &&str| word.starts_with("mqhook_") || word.starts_with("process_");
    words.filter(is_ours).map(str::to_owned).collect()
}

/// Returns the names of all series that a running mqhook has.
pub async fn series() -> BTreeSet<String> {
    let setup = start().await;
    let families = read(&setup.sidecar.metrics(setup.admin).await);
    let samples = families.values().flat_map(|family| &family.samples);
    samples.map(|sample| sample.name.clone()).collect()
}

#[tokio::test]
async fn every_metric_of_the_dashboard_exists() {
    let series = series().await;
    let mut expressions = Vec::new();
    texts(&dashboard(), "expr", &mut expressions);
    texts(&dashboard(), "definition", &mut expressions);
    assert!(expressions.len() > 30, "{expressions:?}");
    let named: BTreeSet<String> = expressions.iter().flat_map(|text| metrics(text)).collect();
    let missing: Vec<_> = named.difference(&series).collect();
    let missing: Vec<_> = missing
        .into_iter()
        .filter(|name| !SELDOM.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?} are not among {series:?}");
    let shown = |name: &&String| !named.contains(*name) && name.starts_with("mqhook_");
    let hidden: Vec<_> = series.iter().filter(shown).collect();
    // Devices are not everybody's.
    assert!(
        hidden
            .iter()
            .all(|name| name.contains("device") || name.contains("clients")),
        "not on the dashboard: {hidden:?}"
    );
}

#[test]
fn every_expression_of_the_dashboard_is_promql() {
    let mut expressions = Vec::new();
    texts(&dashboard(), "expr", &mut expressions);
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (index, expression) in expressions.iter().enumerate() {
        let mut expression = expression.clone();
        for (variable, value) in VARIABLES {
            expression = expression.replace(variable, value);
        }
        assert!(!expression.contains('$'), "{expression}");
        let quoted = serde_json::to_string(&expression).expect("a text is JSON");
        writeln!(rules, "  - record: panel:{index}\n    expr: {quoted}").expect("memory takes it");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("rules.yml"), rules).expect("it can be written");
    promtool::check(&["check", "rules", "rules.yml"], directory.path(), "");
}

#[test]
fn panels_have_titles_and_places_of_their_own() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "{panel}");
        assert!(
            panel["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty()),
            "{panel}"
        );
        let at = |key: &str| panel["gridPos"][key].as_u64().expect("a place");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(
                    x < 24 && cells.insert((x, y)),
                    "{} is over another",
                    panel["title"]
                );
            }
        }
        if panel["type"] != "row" {
            assert_eq!(
                panel["datasource"]["uid"], "${datasource}",
                "{}",
                panel["title"]
            );
        }
    }
}
