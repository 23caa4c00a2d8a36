//! Files that cannot be read, and where relative paths start.

use std::io::ErrorKind;
use std::path::Path;

use mqhook::config::hocon::System;
use mqhook::config::load;

use crate::world::World;

fn check(world: &World, expected: &str) {
    let reading = load(Path::new("/etc/m.conf"), world);
    assert!(reading.config.is_none());
    assert_eq!(reading.render(false), expected);
}

#[test]
fn a_file_that_cannot_be_read_is_reported() {
    let unreadable = |kind| World::default().and_unreadable("/etc/m.conf", kind);
    check(
        &World::default(),
        "error: cannot read /etc/m.conf: there is no such file",
    );
    check(
        &unreadable(ErrorKind::PermissionDenied),
        "error: cannot read /etc/m.conf: permission denied",
    );
    check(
        &unreadable(ErrorKind::InvalidData),
        "error: cannot read /etc/m.conf: it is not UTF-8",
    );
    check(
        &unreadable(ErrorKind::FileTooLarge),
        "error: cannot read /etc/m.conf: it is larger than 4 MiB",
    );
}

#[test]
fn a_directory_and_bytes_are_no_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let reading = load(folder.path(), &System);
    assert!(reading.render(false).ends_with(": it is a directory"));
    let path = folder.path().join("m.toml");
    std::fs::write(&path, b"a = \"\xff\"").expect("a file can be written");
    assert!(
        load(&path, &System)
            .render(false)
            .ends_with(": it is not UTF-8")
    );
    std::fs::write(&path, vec![b'\n'; (4 << 20) + 1]).expect("a file can be written");
    assert!(
        load(&path, &System)
            .render(false)
            .ends_with(": it is larger than 4 MiB")
    );
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let text = "broker { username = u, password_file = \"m.pass\" }\nwebhooks {}";
    let world = World::with("/etc/m.conf", text).and("/etc/m.pass", "secret\n");
    let reading = load(Path::new("/etc/m.conf"), &world);
    assert_eq!(reading.render(false), "");
    let password = reading.config.and_then(|config| config.broker.password);
    assert_eq!(
        password.map(|password| password.last().expose().to_owned()),
        Some("secret".to_owned())
    );
}

#[test]
fn secrets_are_not_shown() {
    let text = r#"broker { username = 7, password = "hunter2" }
        webhooks.a { url = "nothing", headers { x-api-key = sesame, x-é = "secrét" }, events = [] }"#;
    let reading = load(Path::new("m.conf"), &World::with("m.conf", text));
    let shown = reading.render(false);
    assert_eq!(reading.problems().len(), 4, "{shown}");
    let broken = "broker.password = p@ss\nwebhooks.a.headers { x-api-key = ses@me }";
    let shown = load(Path::new("m.conf"), &World::with("m.conf", broken)).render(false) + &shown;
    for secret in ["p@ss", "ses@me", "hunter2", "sesame", "secr"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// Whatever an operator forgets, what is secret in a URL stays out of the report.
#[test]
fn secrets_in_urls_are_not_shown_wherever_the_text_breaks() {
    let values = [
        r#""http://u:hunter2@h/hook?key=sesame""#,
        "http://u:hunter2@h/hook?key=sesame",
        r#""u:hunter2@h/hook?key=sesame""#,
        "h/hook?key=sesame",
        r#""http://"${HOST}"/hook?key=sesame""#,
    ];
    for value in values {
        let toml = format!("[webhooks.a]\nurl = {value}\nevents = [7]\n");
        let hocon = format!("webhooks.a {{\n  url = {value}\n  events = [7] }}\n");
        for (name, text) in [("m.toml", toml), ("m.conf", hocon)] {
            let key = text.find("url").expect("it is written");
            for at in (0..text.len()).filter(|at| !(key..key + 3).contains(at)) {
                let (before, behind) = text.split_at(at);
                for broken in [before.to_owned(), format!("{before}{}", &behind[1..])] {
                    let shown = load(Path::new(name), &World::with(name, &broken)).render(false);
                    // Without the `@` or the `?`, nothing tells that it is a secret.
                    let is_shown =
                        |written, secret| broken.contains(written) && shown.contains(secret);
                    let is_any =
                        is_shown("hunter2@", "hunter2") || is_shown("?key=sesame", "sesame");
                    assert!(!is_any, "{broken}\nis reported as\n{shown}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_secret_in_a_url_is_shown() {
    let check = |url: &str, expected: &str| {
        let text = format!("broker {{ url = {url}, retained = 7 }}\nwebhooks {{}}");
        let shown = load(Path::new("m.conf"), &World::with("m.conf", text)).render(false);
        assert!(shown.contains(expected), "{expected:?} in\n{shown}");
    };
    check("\"mqtt://h:1883\"", "{ url = \"mqtt://h:1883\", retained");
    check("\"mqtt://u:p@h\"", "{ url = \"mqtt://***@h\", retained");
    check("\"ws://h/m?k=v\"", "{ url = \"ws://h/m?***\", retained");
    check(
        "\"ws://\"${?HOST}\"/m\"",
        "\"ws://\"${?HOST}\"/m\", retained",
    );
}

#[test]
fn a_share_of_the_memory_that_one_message_fills_is_warned_of() {
    let check = |text: &str, webhooks: usize, expected: &[&str]| {
        let keys = r#"{ url = "http://h", events = [{ event = on_message_publish }] }"#;
        let webhooks = (0..webhooks).map(|number| format!("webhooks.w{number} {keys}"));
        let lines: Vec<String> = std::iter::once(text.to_owned()).chain(webhooks).collect();
        let text = lines.join("\n");
        let reading = load(Path::new("m.conf"), &World::with("m.conf", &text));
        let shares = reading
            .problems()
            .iter()
            .filter(|p| p.message.contains("share"));
        let keys: Vec<&str> = shares
            .filter_map(|problem| problem.message.split('`').nth(1))
            .collect();
        assert_eq!(keys, expected, "{text}{}", reading.render(false));
    };
    check("", 3, &[]);
    check("spool.max_memory = 32MiB", 1, &[]);
    check("spool.max_memory = 31MiB", 1, &["spool.max_memory"]);
    check("spool.max_memory = 32MiB", 2, &["spool.max_memory"]);
    check(
        "broker.max_packet_size = 33MiB",
        1,
        &["broker.max_packet_size"],
    );
    check("broker.max_packet_size = 1MiB", 20, &[]);
    check(
        "spool.max_memory = 1MiB, broker.max_packet_size = 1MiB",
        1,
        &["spool.max_memory"],
    );
    check("spool.max_memory = many", 3, &[]);
}
