//! What stands in `mosquitto.conf` for the plugin.
//!
//! | `plugin_opt_..` | |
//! |---|---|
//! | `key_file` | the file with the key that mqhook has as `broker.plugin_key_file` |
//! | `topics` | topic filters with spaces between them; default `#` |
//! | `events` | `true`: publish what happens to clients (Mosquitto 2.1). Default `false` |
//! | `delivered` | topic filters of messages of which each delivery is published (Mosquitto 2.1); default none |
//! | `connects` | `true`: write a line for each CONNECT; only with a `password_file`. Default `false` |

use std::fs;

use mqhook_seal::Key;

use crate::filter::Filter;

/// The options, without the `plugin_opt_` that they have in the file.
const KEY_FILE: &str = "key_file";
const TOPICS: &str = "topics";
const CONNECTS: &str = "connects";
const EVENTS: &str = "events";
const DELIVERED: &str = "delivered";

/// What the broker is asked to tell of beside messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// CONNECTs.
    pub(crate) connects: bool,
    /// What happens to clients.
    pub(crate) events: bool,
    /// Messages on their way to a client.
    pub(crate) delivered: bool,
}

/// What is configured.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Shared with mqhook.
    pub(crate) key: Key,
    /// Messages under these are sealed.
    pub(crate) topics: Vec<Filter>,
    /// Deliveries of messages under these are told.
    pub(crate) delivered: Vec<Filter>,
    pub(crate) wanted: Wanted,
}

impl Settings {
    /// Returns what these options say, or all that is wrong with them, each with how to mend it.
    pub(crate) fn read(options: &[(String, String)]) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut key = None;
        let (mut topics, mut delivered) = ("#", "");
        let mut wanted = Wanted::default();
        for (name, value) in options {
            let switch = match name.as_str() {
                KEY_FILE => {
                    key = Some(read_key(value));
                    continue;
                }
                TOPICS => {
                    topics = value;
                    continue;
                }
                DELIVERED => {
                    delivered = value;
                    continue;
                }
                CONNECTS => &mut wanted.connects,
                EVENTS => &mut wanted.events,
                _ => {
                    problems.push(format!(
                        "unknown plugin_opt_{name}; there are {KEY_FILE}, {TOPICS}, {CONNECTS}, {EVENTS} and {DELIVERED}"
                    ));
                    continue;
                }
            };
            match value.parse() {
                Ok(value) => *switch = value,
                Err(_) => problems.push(format!(
                    "plugin_opt_{name}: `{value}`: it must be true or false"
                )),
            }
        }
        let key = key.unwrap_or_else(|| {
            Err(format!(
                "plugin_opt_{KEY_FILE} is missing; make a key with `openssl rand -base64 32` and name its file there and as broker.plugin_key_file of mqhook"
            ))
        });
        let topics = filters(TOPICS, topics, &mut problems);
        let delivered = filters(DELIVERED, delivered, &mut problems);
        wanted.delivered = !delivered.is_empty();
        match key {
            Ok(key) if problems.is_empty() => Ok(Self {
                key,
                topics,
                delivered,
                wanted,
            }),
            key => {
                problems.extend(key.err());
                Err(problems)
            }
        }
    }
}

fn filters(name: &str, texts: &str, problems: &mut Vec<String>) -> Vec<Filter> {
    let mut filters = Vec::new();
    for text in texts.split_ascii_whitespace() {
        match Filter::new(text) {
            Ok(filter) => filters.push(filter),
            Err(reason) => problems.push(format!("plugin_opt_{name}: `{text}`: {reason}")),
        }
    }
    filters
}

fn read_key(path: &str) -> Result<Key, String> {
    let wrong = |reason: String| format!("plugin_opt_{KEY_FILE}: {path}: {reason}");
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    Key::in_file(&text).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let owned = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::read(&owned.collect::<Vec<_>>())
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let problems = read(&[
            ("key", "x"),
            ("topics", "a/#  b# +"),
            ("connects", "yes"),
            ("key_file", "/nowhere/at/all"),
        ]);
        let problems = problems.expect_err("everything is wrong").join("\n");
        for part in ["plugin_opt_key;", "`yes`", "`b#`", "/nowhere/at/all"] {
            assert!(problems.contains(part), "{part} in {problems}");
        }
        let problems = read(&[]).expect_err("the key is missing");
        assert!(problems[0].contains("openssl"), "{problems:?}");
    }
}
