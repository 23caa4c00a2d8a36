//! The text that an operator reads: each file of `cases` with what is said about it.
//!
//! `UPDATE_EXPECT=1 cargo test --test config_check` writes the expected texts anew.

use std::fs;
use std::path::{Path, PathBuf};

use mqhook::config::load;

use crate::world::{World, cases};

#[test]
fn every_case_is_reported_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut differing = Vec::new();
    let inputs = inputs();
    assert!(inputs.len() > 20, "the cases are there: {inputs:?}");
    for input in inputs {
        let expected_path = cases().join(format!("{}.txt", input.display()));
        let actual = load(&input, &World::default()).render(false) + "\n";
        if update {
            fs::write(&expected_path, &actual).expect("the folder of the cases can be written");
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if actual != expected {
            differing.push(format!(
                "{}:\nexpected:\n{expected}\ngot:\n{actual}",
                input.display()
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

fn inputs() -> Vec<PathBuf> {
    let is_input = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "conf" || extension == "toml")
    };
    let entries = fs::read_dir(cases()).expect("the folder of the cases can be read");
    let mut names: Vec<PathBuf> = entries
        .map(|entry| PathBuf::from(entry.expect("an entry").file_name()))
        .filter(|name| is_input(name))
        .collect();
    names.sort();
    names
}
