//! The files in `told`: what each broker told when it was last looked at.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::stimuli::name_of;
use crate::story::Record;
use crate::table;

/// Fails if a broker tells something else than its file says.
///
/// The file is of a broker's series, such as Mosquitto 2.0; another series may tell otherwise, and if it has
/// no file, only that it runs through the suite is known.
pub fn compare(record: &Record) {
    let file = path(&format!("{} {}", record.name, series(&record.version)));
    let told = text(record);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        table::update(|| fs::write(&file, &told).expect("write what was told"));
        return;
    }
    let Ok(expected) = fs::read_to_string(&file) else {
        println!(
            "no file says what {} {} tells: not compared",
            record.name, record.version
        );
        return;
    };
    // The first line has the version that was looked at.
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let (told, expected) = (lines(&told), lines(&expected));
    let same = told
        .iter()
        .zip(&expected)
        .take_while(|(told, expected)| told == expected)
        .count();
    let before = told[..same]
        .iter()
        .rev()
        .find(|line| line.starts_with("== "));
    assert_eq!(
        told.get(same),
        expected.get(same),
        "{} {} tells otherwise than {} at {before:?}",
        record.name,
        record.version,
        file.display(),
    );
}

/// Returns the texts of all files, in a stable order.
pub fn all() -> Vec<String> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the folder of the files")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| fs::read_to_string(file).expect("a file of text"))
        .collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/told")
}

fn path(name: &str) -> PathBuf {
    folder().join(name.to_lowercase().replace(' ', "-") + ".txt")
}

/// Returns the part of a version within which a broker is expected to tell the same.
fn series(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

fn text(record: &Record) -> String {
    let speaks: Vec<&str> = record.speaks.iter().copied().map(name_of).collect();
    let mut text = format!(
        "{} {}\ndialect = {}\nspeaks MQTT {}\n",
        record.name,
        record.version,
        record.dialect,
        speaks.join(", ")
    );
    for (stimulus, lines) in &record.stimuli {
        let _ = write!(text, "\n== {stimulus}\n");
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}
