//! What ARCHITECTURE.md promises of the source, read from the source.

mod documents;
mod link;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file, tests included.
const MOST_LINES: usize = 400;

/// Files that may be longer, each with the reason.
const LONGER: [(&str, &str); 0] = [];

/// A source file by its path below `src`.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Returns the module of the crate that the file belongs to; `None` for the crate's roots.
    fn module(&self) -> Option<&str> {
        let first = self.path.split('/').next()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!["lib", "main"].contains(&name)).then_some(name)
    }

    /// Returns the lines without comments.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
    }

    /// Returns the modules of the crate that the code names, as `crate::x` or `crate::{x, y::z}`.
    fn uses(&self) -> BTreeSet<String> {
        let code: String = self.code().collect::<Vec<_>>().join("\n");
        code.split("crate::").skip(1).flat_map(names).collect()
    }
}

/// Returns the first path segments of what follows `crate::`.
fn names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![identifier(rest)];
    };
    let mut depth = 0;
    let mut names = vec![identifier(group)];
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(identifier(&group[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn identifier(text: &str) -> String {
    let is_part = |character: &char| character.is_ascii_alphanumeric() || *character == '_';
    text.trim_start().chars().take_while(is_part).collect()
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path: PathBuf = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                let path = path.strip_prefix(&root).expect("it is below the root");
                let path = path.to_str().expect("our file names are ASCII").to_owned();
                sources.push(Source { path, text });
            }
        }
    }
    assert!(
        sources.len() > 50,
        "expected the source of mqhook, got {} files",
        sources.len()
    );
    sources
}

/// Returns the modules in the order of `lib.rs`.
fn modules(sources: &[Source]) -> Vec<&str> {
    let root = sources.iter().find(|source| source.path == "lib.rs");
    let lines = root.expect("there is a lib.rs").text.lines();
    lines
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect()
}

/// Asserts that nothing broke a rule.
fn check(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}, but:\n{}", broken.join("\n"));
}

/// Returns the files outside of a module whose code names one of these crates.
fn namers(sources: &[Source], module: &str, crates: &[&str]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| source.module() != Some(module))
        .filter(|source| {
            source.code().any(|line| {
                let mut words = line.split("::").map(last_word);
                words.any(|word| crates.contains(&word))
            })
        })
        .map(|source| source.path.clone())
        .collect()
}

/// Returns the name that a text ends with.
fn last_word(text: &str) -> &str {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let start = text.trim_end_matches(is_part).len();
    &text[start..]
}

#[test]
fn a_module_uses_only_modules_above_it() {
    let sources = sources();
    let modules = modules(&sources);
    let place = |name: &str| modules.iter().position(|module| *module == name);
    let mut broken = Vec::new();
    for source in &sources {
        let Some(module) = source.module() else {
            continue;
        };
        let own = place(module).unwrap_or_else(|| panic!("{module} is not in lib.rs"));
        for used in source.uses() {
            match place(&used) {
                Some(place) if place <= own => {}
                Some(_) => broken.push(format!("src/{}: {used}", source.path)),
                None => broken.push(format!("src/{}: {used} is no module", source.path)),
            }
        }
    }
    check("a module uses only modules above it in src/lib.rs", &broken);
}

#[test]
fn only_mqtt_names_the_mqtt_library() {
    check(
        "only src/mqtt names rumqttc",
        &namers(&sources(), "mqtt", &["rumqttc"]),
    );
}

#[test]
fn only_http_names_the_http_library() {
    let crates = ["hyper", "hyper_util", "hyper_rustls", "http_body_util"];
    let mut namers = namers(&sources(), "http", &crates);
    namers.retain(|path| path != "admin/server.rs");
    check("only src/http names hyper, and the admin's server", &namers);
    let sources = sources();
    let server = sources.iter().find(|it| it.path == "admin/server.rs");
    let mut lines = server.expect("there is a server").code();
    let is_client = |line: &str| line.contains("hyper::client") || line.contains("_util::client");
    assert!(!lines.any(is_client), "the server names hyper's client");
}

#[test]
fn only_the_admin_names_the_server_library() {
    check(
        "only src/admin names axum",
        &namers(&sources(), "admin", &["axum"]),
    );
}

#[test]
fn only_the_spool_and_the_delivery_log_name_the_database() {
    let others = namers(&sources(), "spool", &["rusqlite"]);
    let others: Vec<String> = others
        .into_iter()
        .filter(|path| !path.starts_with("delivery_log/"))
        .collect();
    check("only src/spool and src/delivery_log name rusqlite", &others);
}

#[test]
fn only_templates_name_their_engine() {
    check(
        "only src/template names minijinja",
        &namers(&sources(), "template", &["minijinja"]),
    );
}

#[test]
fn only_rules_name_the_expression_library() {
    check(
        "only src/rule names cel",
        &namers(&sources(), "rule", &["cel"]),
    );
}

#[test]
fn only_the_program_uses_anyhow() {
    check(
        "only src/cli uses anyhow",
        &namers(&sources(), "cli", &["anyhow"]),
    );
}

#[test]
fn no_file_is_too_long() {
    let may = |path: &str| LONGER.iter().any(|(longer, _)| *longer == path);
    let sources = sources();
    let long: Vec<String> = sources
        .iter()
        .map(|source| (source, source.text.lines().count()))
        .filter(|(source, lines)| (*lines > MOST_LINES) != may(&source.path))
        .map(|(source, lines)| format!("src/{}: {lines}", source.path))
        .collect();
    check("files over 400 lines are those that may be", &long);
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = sources()
        .iter()
        .filter(|source| !source.path.ends_with("tests.rs"))
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("src/{}", source.path))
        .collect();
    check("every file begins with what it owns", &silent);
}

#[test]
fn uses_are_found_in_every_form() {
    let text = "use crate::one::A;
use crate::{two, three::{B, four}, five};
fn f() -> crate::six::C {} // crate::seven
";
    let path = "eight.rs".to_owned();
    let uses = Source {
        path,
        text: text.to_owned(),
    }
    .uses();
    let uses: Vec<&str> = uses.iter().map(String::as_str).collect();
    assert_eq!(uses, ["five", "one", "six", "three", "two"]);
}
