//! `examples/signed.toml` is good, and signs.

use std::path::Path;

use mqhook::config::{self, hocon::Outside};
use mqhook::sign::Scheme;

use super::OLD;

/// The files as they are, and the one variable that the example wants.
struct World;

impl Outside for World {
    fn env(&self, name: &str) -> Option<String> {
        (name == "WEBHOOK_SECRET").then(|| OLD.to_owned())
    }

    fn read(&self, path: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(path)
    }
}

#[test]
fn the_example_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/signed.toml");
    let reading = config::load(&path, &World);
    assert!(reading.problems().is_empty(), "{}", reading.render(false));
    let config = reading.config.expect("nothing is wrong with it");
    let sign = config.webhooks[0].http.sign.as_ref().expect("it signs");
    assert_eq!(sign.scheme, Scheme::StandardWebhooks);
    assert_eq!(sign.secrets[0].expose(), OLD);
}
