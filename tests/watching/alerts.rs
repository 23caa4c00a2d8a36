//! The alerts for Prometheus.

use crate::dashboard::{metrics, series};
use crate::{promtool, repository};

const RULES: &str = "mqhook.rules.yml";

fn folder() -> std::path::PathBuf {
    repository().join("config/prometheus")
}

fn rules() -> String {
    std::fs::read_to_string(folder().join(RULES)).expect("the rules")
}

#[tokio::test]
async fn every_metric_of_the_alerts_exists() {
    let rules = rules();
    let expressions = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "));
    let named: std::collections::BTreeSet<_> = expressions.flat_map(metrics).collect();
    assert!(named.len() > 8, "{named:?}");
    let series = series().await;
    let missing: Vec<_> = named.difference(&series).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn alerts_fire_when_something_is_wrong_and_not_before() {
    promtool::check(&["check", "rules", RULES], &folder(), "");
    promtool::check(&["test", "rules", "mqhook.rules.test.yml"], &folder(), "");
}

#[test]
fn every_alert_is_tested_and_says_what_to_do() {
    let rules = rules();
    let tests = std::fs::read_to_string(folder().join("mqhook.rules.test.yml")).expect("the tests");
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() >= 10, "{alerts:?}");
    for alert in &alerts {
        assert!(tests.contains(alert), "{alert} is not tested");
    }
    for key in ["severity: ", "summary: ", "description: "] {
        let lines = rules.lines().filter(|line| line.trim().starts_with(key));
        assert_eq!(lines.count(), alerts.len(), "{key} of each");
    }
}
