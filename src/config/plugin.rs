//! The key of mqhook's plugin for the broker.

use mqhook_seal::Key;

use super::complaint::Complaint;
use super::credential;
use super::problem::Problem;
use super::schema::Context;
use super::section::Section;
use crate::mqtt::Protocol;
use crate::template::Publisher;

/// Where the key is written, or the file that holds it.
const KEYS: [&str; 2] = ["plugin_key", "plugin_key_file"];

/// Returns whether the configuration has the key, so that it is known who published a message.
pub(super) fn publisher(root: &Section<'_>) -> Publisher {
    let is_written = |key: &&str| root.find(&["broker", key]).is_some();
    if KEYS.iter().any(is_written) {
        Publisher::Told
    } else {
        Publisher::Untold
    }
}

/// Reads the key.
pub(super) fn key(
    section: &mut Section<'_>,
    context: &Context<'_>,
    protocol: Option<Protocol>,
) -> Option<Key> {
    let check = |text: &str| match Key::new(text) {
        Ok(_) => Ok(()),
        Err(weak) => {
            let complaint = Complaint::new(weak.to_string());
            Err(complaint
                .help("make one with `openssl rand -base64 32`; the plugin must have it, too"))
        }
    };
    let reader = credential::Reader {
        context,
        check: &check,
    };
    let secret = reader.either(section, KEYS[0], KEYS[1]);
    let written = KEYS.into_iter().find(|key| section.has(key));
    if let Some(key) = written.filter(|_| protocol == Some(Protocol::V4)) {
        let message = format!("`{}` has no effect", section.path(key));
        let problem = Problem::warning(section.span_of(key), message);
        section.report(
            problem.help("who published is told to MQTT 5 sessions only: remove `broker.protocol`"),
        );
    }
    let secret = secret?;
    Key::new(secret.expose()).ok()
}
