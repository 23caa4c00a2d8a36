//! The files show every key that the schema knows.
//!
//! The schema itself says what it knows: an unknown key is reported with the list of those that
//! are known beside it. So the keys that stand in comments are uncommented, an unknown key is put
//! into every table, and what is then reported is compared with what the file holds.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use mqhook::config::hocon::Outside;
use mqhook::config::source::Sources;
use mqhook::config::value::{Table, Value};
use mqhook::config::{self, hocon, toml};

use super::{NATIVE, text};

/// A key that no table knows, and that is like none that one knows.
const UNKNOWN: &str = "zzqx";

/// `NanoMQ`'s names of `timeout` and `tls`, which the files mention and do not use.
const ALIASES: [&str; 2] = ["cancel_timeout", "ssl"];

/// Tables in which any key may stand.
const FREE: [&str; 3] = ["groups", "webhooks", "webhooks.example.headers"];

/// A world with one file, in which every variable is set.
struct OneFile(String);

impl Outside for OneFile {
    fn env(&self, _: &str) -> Option<String> {
        Some("x".to_owned())
    }

    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.clone())
    }
}

#[test]
fn every_key_is_shown() {
    for name in NATIVE {
        let shown = shown(name);
        let known = known(name);
        let tables: BTreeSet<&String> = shown.keys().filter(|path| !is_free(path)).collect();
        let asked: BTreeSet<&String> = known.keys().collect();
        assert_eq!(
            tables, asked,
            "{name}: not every table was asked for its keys"
        );
        for (table, keys) in &known {
            for key in keys.iter().filter(|key| !ALIASES.contains(&key.as_str())) {
                assert!(
                    shown[table].contains(key),
                    "{name}: `{key}` is missing in [{table}]"
                );
            }
        }
        for alias in ALIASES {
            assert!(
                text(name).contains(alias),
                "{name} does not mention {alias}"
            );
        }
    }
}

fn is_free(path: &str) -> bool {
    // All events have the keys of the first.
    FREE.contains(&path) || path.contains("events[") && !path.ends_with("events[0]")
}

/// Returns the keys in a file, by table.
fn shown(name: &str) -> BTreeMap<String, BTreeSet<String>> {
    let world = OneFile(uncommented(name));
    let mut sources = Sources::default();
    let root = sources.add(name, world.0.clone());
    let (table, problems) = if is_toml(name) {
        toml::parse(&sources, root, &world)
    } else {
        hocon::parse(&mut sources, root, &world)
    };
    assert_eq!(problems, [], "{name}, uncommented:\n{}", world.0);
    let mut shown = BTreeMap::new();
    collect("", &table, &mut shown);
    shown
}

fn collect(path: &str, table: &Table, shown: &mut BTreeMap<String, BTreeSet<String>>) {
    let keys = shown.entry(path.to_owned()).or_default();
    keys.extend(table.keys().cloned());
    for (key, entry) in table {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match &entry.node.value {
            Value::Table(table) => collect(&path, table, shown),
            Value::Array(elements) => {
                // No rule needs all keys, but together they show them.
                for element in elements {
                    if let Value::Table(table) = &element.value {
                        collect(&format!("{path}[0]"), table, shown);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Returns the keys that the schema knows, by table.
fn known(name: &str) -> BTreeMap<String, BTreeSet<String>> {
    let world = OneFile(with_unknown_keys(name));
    let reading = config::load(Path::new(name), &world);
    let mut known = BTreeMap::new();
    for problem in reading.problems() {
        let Some(table) = problem
            .message
            .strip_prefix("unknown key `")
            .and_then(|message| message.strip_suffix(&format!("{UNKNOWN}`")))
        else {
            continue;
        };
        let table = table.trim_end_matches('.');
        let keys = problem
            .help
            .as_deref()
            .and_then(|help| help.strip_prefix("known keys here: "))
            .unwrap_or_else(|| panic!("expected {problem:?} to list the known keys"));
        if !is_free(table) {
            known.insert(
                table.to_owned(),
                keys.split(", ").map(str::to_owned).collect(),
            );
        }
    }
    known
}

/// Returns a file with an unknown key at the beginning of every table.
fn with_unknown_keys(name: &str) -> String {
    let mut text = format!("{UNKNOWN} = 1\n");
    for line in uncommented(name).lines() {
        text += &line.replace("{ event", &format!("{{ {UNKNOWN} = 1, event"));
        text += "\n";
        let begins_table = if is_toml(name) {
            line.starts_with('[')
        } else {
            line.ends_with('{')
        };
        if begins_table {
            text += UNKNOWN;
            text += " = 1\n";
        }
    }
    text
}

/// Returns a file with the keys that stand in comments: those without a space behind the `#`.
fn uncommented(name: &str) -> String {
    let mut text = String::new();
    for line in text_lines(name) {
        text += match line.trim_start().strip_prefix('#') {
            Some(comment) if comment.starts_with(' ') || comment.is_empty() => "",
            Some(key) => key,
            None => &line,
        };
        text += "\n";
    }
    text
}

fn text_lines(name: &str) -> Vec<String> {
    text(name).lines().map(str::to_owned).collect()
}

fn is_toml(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "toml")
}
