//! The web page in a browser: Chromium, driven by scripts for Node beside this file, against the real mqhook
//! with a real broker and a receiver.
//!
//! `./test` installs Chromium, and what the scripts need into `browser` below the target directory. Without them
//! these tests say that they are skipped. Screenshots of every section are in `screenshots` there.

mod world;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use world::World;

fn browser() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser");
    std::env::var_os("MQHOOK_BROWSER").map_or_else(default, PathBuf::from)
}

/// Runs a script; says it on the terminal, past the capture of tests that pass, if it cannot be run.
async fn run(script: &str) {
    let folder = browser();
    let needed = [
        folder.join("node_modules/playwright-core"),
        folder.join("node_modules/axe-core"),
        PathBuf::from("/usr/bin/chromium"),
    ];
    if let Some(missing) = needed.iter().find(|path| !path.exists()) {
        let line = format!(
            "SKIPPED: no {script}, as {} is missing\n",
            missing.display()
        );
        std::io::stderr()
            .write_all(line.as_bytes())
            .expect("write to stderr");
        return;
    }
    World::start().await.play(script, &folder).await;
}

#[tokio::test]
async fn every_section_looks_right_on_phones_and_desks_in_light_and_dark() {
    run("looks.mjs").await;
}

#[tokio::test]
async fn a_keyboard_is_enough_to_make_change_test_and_replay() {
    run("keyboard.mjs").await;
}

#[tokio::test]
async fn what_others_have_named_is_shown_as_text_and_never_run() {
    run("hostile.mjs").await;
}

#[tokio::test]
async fn a_token_opens_the_page_and_its_role_decides_what_there_is() {
    run("access.mjs").await;
}

#[tokio::test]
async fn groups_and_the_file_are_changed_from_the_page() {
    run("changes.mjs").await;
}

#[tokio::test]
async fn a_receiver_that_takes_nothing_is_told_however_seldom_it_is_tried() {
    run("failing.mjs").await;
}

#[tokio::test]
async fn a_lost_connection_is_said_and_mends_by_itself() {
    run("lost.mjs").await;
}
