//! Files that cannot be read, and where relative paths start.

use std::io::ErrorKind;
use std::path::Path;

use mqhook::config::hocon::System;
use mqhook::config::load;
use secrecy::ExposeSecret;

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
        password.as_ref().map(ExposeSecret::expose_secret),
        Some("secret")
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
