//! An environment and files of the tests' own.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use mqhook::config::hocon::Outside;

/// Where the files of the cases are.
pub fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_check/cases")
}

/// The environment of every test.
pub const VARIABLES: [(&str, &str); 6] = [
    ("HOST", "h.example"),
    ("POOL", "8"),
    ("FLAG", "true"),
    ("EMPTY", ""),
    ("WORD", "many"),
    ("NUMBER", "15"),
];

/// Files as they are in the folder of the cases, and some that exist in memory only.
#[derive(Default)]
pub struct World {
    pub files: HashMap<PathBuf, Result<String, io::ErrorKind>>,
}

impl World {
    pub fn with(path: &str, text: impl Into<String>) -> Self {
        Self::default().and(path, text)
    }

    pub fn and(mut self, path: &str, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), Ok(text.into()));
        self
    }

    pub fn and_unreadable(mut self, path: &str, kind: io::ErrorKind) -> Self {
        self.files.insert(path.into(), Err(kind));
        self
    }
}

impl Outside for World {
    fn env(&self, name: &str) -> Option<String> {
        let variable = VARIABLES.into_iter().find(|(known, _)| *known == name);
        variable.map(|(_, value)| value.to_owned())
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        match self.files.get(path) {
            Some(Ok(text)) => Ok(text.clone()),
            Some(Err(kind)) => Err((*kind).into()),
            None if path.is_absolute() => Err(io::ErrorKind::NotFound.into()),
            None => std::fs::read_to_string(cases().join(path)),
        }
    }
}
