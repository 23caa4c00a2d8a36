//! `/metrics`.

use std::fmt::Write as _;
use std::process::Command;

use crate::openmetrics::{Families, read};
use crate::{promtool, repository, start};

/// What a metric may tell things apart by; all are names of the configuration, or from closed lists.
const LABELS: [&str; 10] = [
    "connection",
    "format",
    "kind",
    "le",
    "outcome",
    "reason",
    "result",
    "seal",
    "version",
    "webhook",
];

/// What an operator asks for, whatever else there is.
const PROMISED: [&str; 27] = [
    "mqhook_attempt_duration_seconds",
    "mqhook_attempts",
    "mqhook_attempts_in_flight",
    "mqhook_breaker_open",
    "mqhook_broker_connects",
    "mqhook_broker_up",
    "mqhook_build",
    "mqhook_condition_failures",
    "mqhook_dead_letters",
    "mqhook_dead_letters_bytes",
    "mqhook_deliveries",
    "mqhook_devices",
    "mqhook_dropped_events",
    "mqhook_events",
    "mqhook_oldest_event_age_seconds",
    "mqhook_pool_connections",
    "mqhook_pool_size",
    "mqhook_ready",
    "mqhook_spool_failures",
    "mqhook_spool_max_bytes",
    "mqhook_spool_up",
    "mqhook_spool_used_bytes",
    "mqhook_waiting_deliveries",
    "mqhook_webhook_enabled",
    "process_cpu_seconds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
];

#[tokio::test]
async fn metrics_are_strict_openmetrics_by_prometheus_conventions() {
    let setup = start().await;
    let text = setup.sidecar.metrics(setup.admin).await;
    let families = read(&text);
    for promised in PROMISED {
        assert!(
            families.contains_key(promised),
            "{promised} is there:\n{text}"
        );
    }
    for (name, family) in &families {
        assert!(
            name.starts_with("mqhook_") || name.starts_with("process_"),
            "{name}"
        );
        assert!(!name.ends_with("_total") && !name.contains("__"), "{name}");
        for unit in ["_ms", "_millis", "_kib", "_mib", "_minutes", "_percent"] {
            assert!(!name.contains(unit), "{name} is in base units");
        }
        let is_in_unit = name.ends_with("_seconds") || name.ends_with("_bytes");
        assert_eq!(is_in_unit, family.unit.is_some(), "{name} says its unit");
        for label in family
            .samples
            .iter()
            .flat_map(|sample| sample.labels.keys())
        {
            assert!(LABELS.contains(&label.as_str()), "{name} has {label}");
        }
    }
    promtool::check(
        &["check", "metrics"],
        &repository(),
        &as_prometheus_text(&families),
    );
    others_read(&text);
}

#[tokio::test]
async fn metrics_say_what_holds_now() {
    let mut setup = start().await;
    let families = read(&setup.sidecar.metrics(setup.admin).await);
    let value = |name: &str, webhook: Option<&str>| {
        let family = families
            .get(name)
            .unwrap_or_else(|| panic!("{name} is there"));
        let is_it = |sample: &&crate::openmetrics::Sample| {
            webhook.is_none_or(|webhook| sample.labels["webhook"] == webhook)
        };
        let sample = family.samples.iter().find(is_it);
        sample
            .unwrap_or_else(|| panic!("{name} of {webhook:?}"))
            .value
    };
    let strange = Some("b.C-d_9");
    let is_one = |name: &str| value(name, None).to_bits() == 1_f64.to_bits();
    assert!(is_one("mqhook_ready") && is_one("mqhook_spool_up"));
    assert_eq!(
        value("mqhook_pool_size", strange).to_bits(),
        32_f64.to_bits()
    );
    let open = value("mqhook_pool_connections", Some("a"));
    assert!((1.0..=32.0).contains(&open), "{open}");
    assert_eq!(
        value("mqhook_dead_letters", strange).to_bits(),
        0_f64.to_bits()
    );
    let memory = value("process_resident_memory_bytes", None);
    assert!((1e6..1e9).contains(&memory), "{memory}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now.expect("after 1970").as_secs_f64() - value("process_start_time_seconds", None);
    assert!((-1.0..120.0).contains(&age), "{age}");
    assert!(value("process_open_fds", None) > 3.0);
    setup.broker.stop();
    setup
        .wait_for_metric("mqhook_ready", |ready| ready == 0)
        .await;
}

/// Writes the older format, of which promtool judges the names.
fn as_prometheus_text(families: &Families) -> String {
    let mut text = String::new();
    for (name, family) in families {
        let (name, kind) = match family.kind.as_str() {
            "counter" => (format!("{name}_total"), "counter"),
            "info" => (format!("{name}_info"), "gauge"),
            other => (name.clone(), other),
        };
        let help = family.help.replace('\\', "\\\\");
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("memory takes it");
        for sample in &family.samples {
            let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let labels = sample
                .labels
                .iter()
                .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)));
            let labels = labels.collect::<Vec<_>>().join(",");
            writeln!(text, "{}{{{labels}}} {}", sample.name, sample.value)
                .expect("memory takes it");
        }
    }
    text
}

/// Has Prometheus' client for Python read the text, if that is installed.
fn others_read(text: &str) {
    let Some(folder) = std::env::var_os("MQHOOK_VERIFIERS") else {
        eprintln!("not tested: MQHOOK_VERIFIERS is not set");
        return;
    };
    let python = std::path::Path::new(&folder).join("python/bin/python");
    let program = "import sys
try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
except ImportError:
    sys.exit(77)
print(len(list(text_string_to_metric_families(open(sys.argv[1], encoding='utf-8', newline='').read()))))";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("metrics");
    std::fs::write(&path, text).expect("it can be written");
    let Ok(output) = Command::new(python)
        .args(["-c", program])
        .arg(path)
        .output()
    else {
        eprintln!("not tested: Python is not installed");
        return;
    };
    if output.status.code() == Some(77) {
        eprintln!("not tested: Python's prometheus-client is not installed");
        return;
    }
    assert!(output.status.success(), "{output:?}");
}
