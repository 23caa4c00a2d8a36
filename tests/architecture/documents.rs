//! What the documents say of themselves, of files, of tests and of modules, compared with what there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{check, identifier, modules, sources};

const DOCUMENTS: [&str; 6] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "bench/README.md",
    "docs/brokers.md",
    "docs/mosquitto-plugin.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the lines outside of fenced blocks.
fn prose(document: &str) -> Vec<&str> {
    let mut is_code = false;
    let is_prose = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    document.lines().filter(is_prose).collect()
}

/// Returns the headings, in order.
fn headings(document: &str) -> Vec<&str> {
    let text = |line: &&'_ str| line.starts_with('#');
    prose(document).into_iter().filter(text).collect()
}

/// Returns the anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = |letter: &char| letter.is_alphanumeric() || "-_ ".contains(*letter);
    text.chars()
        .filter(kept)
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// Returns what links and images lead to.
fn targets(document: &str) -> Vec<String> {
    let text = prose(document).join("\n");
    let links = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let images = text
        .split("src=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let all = links.chain(images).map(str::to_owned);
    all.filter(|target| !target.contains("://")).collect()
}

/// Returns the texts between backticks.
fn quoted(document: &str) -> Vec<&str> {
    let lines = prose(document).into_iter();
    lines
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// Returns the names of all functions that are tests.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in ["src", "tests", "plugin", "examples"]
        .into_iter()
        .flat_map(files)
    {
        let text = fs::read_to_string(&file).expect("a readable file");
        for rest in text.split("fn ").skip(1) {
            names.insert(identifier(rest));
        }
    }
    names
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for document in DOCUMENTS {
        let folder = Path::new(document).parent().expect("it is a file's path");
        for target in targets(&read(document)) {
            let (path, wanted) = target.split_once('#').unwrap_or((&target, ""));
            let path = match path {
                "" => PathBuf::from(document),
                path => folder.join(path),
            };
            if !root().join(&path).exists() {
                broken.push(format!("{document}: {target}"));
            } else if !wanted.is_empty() {
                let there = read(path.to_str().expect("our file names are ASCII"));
                if !headings(&there)
                    .iter()
                    .any(|heading| anchor(heading) == wanted)
                {
                    broken.push(format!("{document}: {target}"));
                }
            }
        }
    }
    check("every link leads to a file and a heading", &broken);
}

#[test]
fn no_two_headings_of_a_document_are_alike() {
    let mut broken = Vec::new();
    for document in DOCUMENTS {
        let text = read(document);
        let mut seen = BTreeSet::new();
        let again = headings(&text)
            .into_iter()
            .filter(|it| !seen.insert(anchor(it)));
        broken.extend(again.map(|heading| format!("{document}: {heading}")));
    }
    check("a heading is there once", &broken);
}

#[test]
fn the_contents_of_the_readme_are_its_headings_in_order() {
    let text = read("README.md");
    let mut contents = text
        .split("\n\n")
        .filter(|it| it.starts_with("[Why](#why)"));
    let contents = contents.next().expect("there are contents");
    let listed = targets(contents);
    let listed: Vec<&str> = listed
        .iter()
        .filter_map(|target| target.strip_prefix('#'))
        .collect();
    let anchors: Vec<String> = headings(&text).into_iter().map(anchor).collect();
    let there: Vec<&str> = anchors
        .iter()
        .map(String::as_str)
        .filter(|anchor| listed.contains(anchor))
        .collect();
    assert_eq!(listed, there, "in the order of the text");
    let sections = headings(&text)
        .into_iter()
        .filter(|it| it.starts_with("## "));
    let missing: Vec<String> = sections
        .filter(|section| !listed.contains(&anchor(section).as_str()) && *section != "## Licence")
        .map(str::to_owned)
        .collect();
    check("every section is in the contents", &missing);
}

#[test]
fn no_table_is_torn_apart() {
    let mut broken = Vec::new();
    for document in DOCUMENTS {
        let text = read(document);
        let lines = prose(&text);
        for (at, line) in lines.iter().enumerate().skip(1) {
            let begins = line.starts_with('|') && !lines[at - 1].starts_with('|');
            let next = lines.get(at + 1).copied().unwrap_or_default();
            if begins && !(next.starts_with("|-") || next.starts_with("| -")) {
                broken.push(format!("{document}: {line}"));
            }
        }
    }
    check("a table begins with its head", &broken);
}

#[test]
fn tests_that_architecture_names_are_there() {
    let tests = tests();
    let text = read("ARCHITECTURE.md");
    let is_test = |name: &&str| {
        name.matches('_').count() > 2
            && name.chars().all(|letter| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
            })
    };
    let named = quoted(&text).into_iter().filter(is_test);
    let missing: Vec<String> = named
        .filter(|name| {
            !tests.contains(*name) && !name.starts_with("mqhook_") && !name.starts_with("plugin_")
        })
        .map(str::to_owned)
        .collect();
    check("ARCHITECTURE.md names tests that there are", &missing);
}

#[test]
fn the_code_map_has_every_module_in_order() {
    let text = read("ARCHITECTURE.md");
    let table = text.split("| module | owns |").nth(1).expect("a code map");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mapped: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(mapped, modules(&sources()), "the code map and src/lib.rs");
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    assert_eq!(anchor("### The web page"), "the-web-page");
    assert_eq!(anchor("## `a_b`: what, and why"), "a_b-what-and-why");
}
