//! What a configuration may reach outside its own text: the environment and other files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::MAX_BYTES;

/// What a HOCON text may reach outside itself.
///
/// [`System`] is the real one; tests give maps.
pub trait Outside {
    /// Returns the value of an environment variable; `None` if it is unset or not UTF-8.
    fn env(&self, name: &str) -> Option<String>;

    /// Returns the text of an included file.
    ///
    /// # Errors
    /// What the operating system says; `InvalidData` for a file that is not UTF-8.
    fn read(&self, path: &Path) -> io::Result<String>;
}

/// The environment and the files of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Outside for System {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var_os(name)?.into_string().ok()
    }

    /// Reads one byte beyond the limit at most, so that the caller sees a file that is too large
    /// without having it in memory.
    fn read(&self, path: &Path) -> io::Result<String> {
        let mut bytes = Vec::new();
        let limit = MAX_BYTES as u64 + 1;
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        String::from_utf8(bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_not_found() {
        let error = System.read(Path::new("/nonexistent/mqhook.conf"));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn an_unset_variable_is_none() {
        assert_eq!(System.env("MQHOOK_SURELY_UNSET"), None);
        assert_eq!(System.env("bad=name"), None);
        assert_eq!(System.env(""), None);
        assert_eq!(System.env("a\0b"), None);
    }
}
