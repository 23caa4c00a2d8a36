//! Secrets, and what is made of files that are replaced while mqhook runs.
//!
//! A [`Secret`] is written in the configuration or in a file. What is made of secrets or other
//! files is [`Watched`]: when it is used, and at most once a second, the files are looked at, and
//! if they have changed it is made anew. The spool and the configuration itself know nothing of that.

mod watched;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

pub use watched::{Watched, Wrong};

/// The largest file that is taken for a secret.
const MAX_BYTES: u64 = 64 * 1024;

/// A secret, and the file that it comes from, if there is one; `Debug` shows the file only.
#[derive(Debug, Clone)]
pub struct Secret {
    text: SecretString,
    file: Option<PathBuf>,
}

impl PartialEq for Secret {
    /// Returns whether both come from the same file, or are the same text of none: what a file holds is
    /// followed anyway.
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && (self.file.is_some() || self.expose() == other.expose())
    }
}

impl Eq for Secret {}

/// A file that should hold a secret is empty but for a line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is empty")]
pub struct Empty;

/// Why a secret cannot be read again from its file. Nothing was changed; the file must be mended.
#[derive(Debug, Error)]
enum Error {
    /// It is gone, or may not be read.
    #[error("read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// There is nothing in it.
    #[error("read a secret from {}", path.display())]
    Empty { path: PathBuf, source: Empty },
}

impl Secret {
    /// Returns a secret that is no file's.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: SecretString::from(text.into()),
            file: None,
        }
    }

    /// Returns the secret that a file with this text holds: all of it, but for a line end.
    ///
    /// # Errors
    /// There is nothing else in it.
    pub fn in_file(file: PathBuf, text: &str) -> Result<Self, Empty> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(Empty);
        }
        Ok(Self {
            text: SecretString::from(line),
            file: Some(file),
        })
    }

    /// Returns the secret itself, which must reach no log.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// Returns the file that the secret comes from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the secret that its file holds now.
    fn again(&self) -> Result<Self, Error> {
        let Some(path) = &self.file else {
            return Ok(self.clone());
        };
        let text = read(path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        Self::in_file(path.clone(), &text).map_err(|source| Error::Empty {
            path: path.clone(),
            source,
        })
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_end_with_one_line_end() {
        let check = |text: &str, expected: Result<&str, Empty>| {
            let secret = Secret::in_file("s".into(), text);
            assert_eq!(
                secret.as_ref().map(Secret::expose),
                expected.as_ref().copied(),
                "{text:?}"
            );
        };
        check("a b", Ok("a b"));
        check("a\n", Ok("a"));
        check("a\r\n", Ok("a"));
        check("a\n\n", Ok("a\n"));
        check("", Err(Empty));
        check("\r\n", Err(Empty));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::in_file("the-file".into(), "hunter2").expect("it is not empty");
        let shown = format!("{secret:?}");
        assert!(
            shown.contains("the-file") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
