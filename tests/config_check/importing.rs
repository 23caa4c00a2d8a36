//! What `import` makes of others' configurations: each file of `import` with the TOML that comes out.
//!
//! `UPDATE_EXPECT=1 cargo test --test config_check` writes the expected texts anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mqhook::config::hocon::Outside;
use mqhook::config::import::{Notation, import};
use mqhook::config::{Config, load};
use proptest::prelude::*;

use crate::world::World;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_check/import")
}

/// Returns what comes out, or what is said instead.
fn imported(path: &str, text: &str, notation: Notation) -> Result<String, String> {
    let world = World::with(path, text);
    let imported = import(Path::new(path), notation, &world);
    imported
        .map(|imported| imported.text)
        .map_err(|reading| reading.render(false))
}

/// Reads what came out as `check` does, and looks whether that can run.
fn checked(text: &str, notation: Notation) -> Config {
    let name = match notation {
        Notation::Toml => "mqhook.toml",
        Notation::Hocon => "mqhook.conf",
    };
    let reading = load(Path::new(name), &World::with(name, text));
    let said = reading.render(false);
    let config = reading.config;
    config.unwrap_or_else(|| panic!("{text}\nis refused:\n{said}"))
}

/// Imports a file in both notations, which must mean the same, and returns the TOML.
fn both(path: &str, text: &str) -> Result<String, String> {
    let toml = imported(path, text, Notation::Toml)?;
    let hocon = imported(path, text, Notation::Hocon)?;
    let meaning = |config: Config| format!("{config:?}");
    assert_eq!(
        meaning(checked(&toml, Notation::Toml)),
        meaning(checked(&hocon, Notation::Hocon)),
        "{toml}\n{hocon}"
    );
    Ok(toml)
}

#[test]
fn every_case_is_imported_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut differing = Vec::new();
    let entries = fs::read_dir(folder()).expect("the folder of the cases");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut inputs: Vec<PathBuf> = paths
        .filter(|path| path.extension() == Some("conf".as_ref()))
        .collect();
    inputs.sort();
    assert!(inputs.len() > 10, "the cases are there: {inputs:?}");
    for input in inputs {
        let text = fs::read_to_string(&input).expect("a case");
        let name = input
            .file_name()
            .and_then(|name| name.to_str())
            .expect("our names are ASCII");
        let actual = match both(name, &text) {
            Ok(toml) => toml,
            Err(said) => said + "\n",
        };
        let expected_path = input.with_extension("txt");
        if update {
            fs::write(&expected_path, &actual).expect("the folder of the cases can be written");
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if actual != expected {
            differing.push(format!("{name}:\nexpected:\n{expected}\ngot:\n{actual}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// What NanoMQ's own file says means the same after the import, but for what is said differently.
#[test]
fn every_nanomq_configuration_means_the_same_when_it_is_imported() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let captured = [
        "config/nanomq.conf",
        "tests/config_check/nanomq.conf",
        "tests/config_readers/nanomq.conf",
        "tests/config_check/import/documented.conf",
    ];
    for path in captured {
        let text = fs::read_to_string(root.join(path)).expect("a captured configuration");
        let before = load(Path::new("nanomq.conf"), &World::with("nanomq.conf", &text));
        let before = before
            .config
            .unwrap_or_else(|| panic!("{path} is understood as it is"));
        let toml = both("nanomq.conf", &text).unwrap_or_else(|said| panic!("{path}: {said}"));
        let after = checked(&toml, Notation::Toml);
        assert_eq!(
            format!("{before:?}"),
            format!("{after:?}"),
            "{path}\n{toml}"
        );
    }
}

#[test]
fn a_variable_stays_one_and_its_value_is_not_written() {
    struct Secrets<'a>(&'a World);
    impl Outside for Secrets<'_> {
        fn env(&self, name: &str) -> Option<String> {
            (name == "TOKEN").then(|| "hunter2".to_owned())
        }
        fn read(&self, path: &Path) -> std::io::Result<String> {
            self.0.read(path)
        }
    }
    let text = "webhook { url = \"http://h/\"${TOKEN}, headers.authorization = \"Bearer \"${TOKEN}, events = [ { event = on_client_connack } ] }";
    let world = World::with("nanomq.conf", text);
    for (notation, expected) in [
        (Notation::Toml, "authorization = \"Bearer ${TOKEN}\""),
        (Notation::Hocon, "authorization = \"Bearer \"${TOKEN}"),
    ] {
        let imported =
            import(Path::new("nanomq.conf"), notation, &Secrets(&world)).expect("a good file");
        assert!(imported.text.contains(expected), "{}", imported.text);
        assert!(!imported.text.contains("hunter2"), "{}", imported.text);
    }
    // Nobody knows what was meant without it.
    let said = imported("nanomq.conf", text, Notation::Toml).expect_err("TOKEN is not set");
    assert!(said.contains("TOKEN"), "{said}");
}

#[test]
fn what_is_no_configuration_is_refused() {
    let check = |name: &str, text: &str, expected: &str| {
        let said = imported(name, text, Notation::Toml).expect_err("it is none");
        assert_eq!(said, expected);
    };
    check(
        "a.toml",
        "",
        "error: TOML is mqhook's own; there is nothing to import",
    );
    let missing = import(Path::new("/no.conf"), Notation::Toml, &World::default());
    let said = missing.expect_err("it is not there").render(false);
    assert_eq!(said, "error: cannot read /no.conf: there is no such file");
}

/// A rule without its topic would post everything.
#[test]
fn a_rule_whose_topic_is_wrong_is_left_out() {
    let text = "web.hook.url=http://h/\nweb.hook.rule.message.publish.1={\"action\":\"on_message_publish\",\"topic\":\"a/#/b\"}\nweb.hook.rule.client.connack.1={\"action\":\"on_client_connack\"}";
    let toml = both("emqx_web_hook.conf", text).expect("a webhook is left");
    let config = checked(&toml, Notation::Toml);
    assert_eq!(config.webhooks[0].rules.len(), 1, "{toml}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is written, something that can run comes out, or a problem.
    #[test]
    fn no_lines_can_write_keys_of_their_own(
        header in "[ -~]{0,40}", value in "\\PC{0,40}", topic in "\\PC{0,20}",
    ) {
        let rule = serde_json::json!({ "action": "on_message_publish", "topic": topic });
        let text = format!(
            "web.hook.url=http://h/\nweb.hook.headers.{header}={value}\nweb.hook.rule.message.publish.1={rule}\n",
        );
        if let Ok(toml) = both("emqx_web_hook.conf", &text) {
            let config = checked(&toml, Notation::Toml);
            prop_assert_eq!(config.admin, Config::new().admin);
            prop_assert!(config.webhooks.len() == 1 && config.webhooks[0].http.headers.len() <= 1);
            prop_assert!(config.webhooks[0].rules.len() <= 1);
        }
    }

    #[test]
    fn no_nanomq_configuration_ends_in_a_panic(cut in 0_usize..2_000, put in "\\PC{0,10}") {
        let text = include_str!("import/everything.conf");
        let cut = (cut..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let torn = format!("{}{put}{}", &text[..cut], text.get(cut + 1..).unwrap_or_default());
        let _ = both("nanomq.conf", &torn);
        let _ = both("nanomq.conf", &text[..cut]);
    }
}

/// However much there is, and however much of it is wrong, it is read once and not again for each line.
#[test]
fn a_large_file_takes_no_long_time() {
    let mut text = "web.hook.url=http://h/\n".to_owned();
    for line in 0..8_000 {
        let topic = if line % 2 == 0 { "a/#/b" } else { "a/b" };
        let _ = writeln!(
            text,
            "web.hook.rule.message.publish.{line}={{\"action\":\"on_message_publish\",\"topic\":\"{topic}\"}}"
        );
    }
    let begun = std::time::Instant::now();
    let toml = imported("emqx_web_hook.conf", &text, Notation::Toml).expect("half of it is good");
    assert_eq!(toml.matches("topic = \"a/b\"").count(), 4_000);
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}
