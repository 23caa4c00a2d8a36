//! Brings files into the tree: the root, and what `include` names.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::Tree;
use super::build::{Builder, Place};
use crate::config::hocon::outside::Outside;
use crate::config::hocon::syntax::Include;
use crate::config::hocon::{MAX_BYTES, parser};
use crate::config::problem::Problem;
use crate::config::source::{SourceId, Sources};

/// Most files of one configuration.
const MAX_FILES: usize = 128;

/// Most files that include one another.
const MAX_OPEN: usize = 16;

/// The files of a configuration.
pub(super) struct Files<'a> {
    sources: &'a mut Sources,
    outside: &'a dyn Outside,
    /// The files that are being read, each included by the one before.
    open: Vec<PathBuf>,
    count: usize,
    bytes: usize,
}

impl<'a> Files<'a> {
    pub fn new(sources: &'a mut Sources, outside: &'a dyn Outside) -> Self {
        Self {
            sources,
            outside,
            open: Vec::new(),
            count: 0,
            bytes: 0,
        }
    }

    /// Returns the text of a file; one without extension may be called `.conf`.
    fn read(&self, path: &Path) -> io::Result<String> {
        match self.outside.read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.extension().is_none() => {
                self.outside.read(&path.with_extension("conf"))
            }
            result => result,
        }
    }

    /// Counts the bytes of a file; returns whether they are too many.
    fn exceeds(&mut self, text: &str) -> bool {
        self.bytes = self.bytes.saturating_add(text.len());
        self.bytes > MAX_BYTES
    }
}

impl Builder<'_> {
    /// Reads the file that the configuration begins with.
    pub(super) fn root(&mut self, root: SourceId, tree: &mut Tree) {
        let text = &self.files.sources.get(root).text;
        if text.len() > MAX_BYTES {
            let message = format!("the configuration is larger than {} MiB", MAX_BYTES >> 20);
            self.report
                .add(Problem::error(None, message).help("check that this is the right file"));
            return;
        }
        self.files.count = 1;
        self.files.bytes = text.len();
        self.source(root, &Place::root(), tree);
    }

    /// Reads an included file into the table that includes it.
    pub(super) fn include(&mut self, include: &Include, place: &Place, tree: &mut Tree) {
        let Some(source) = self.load(include) else {
            return;
        };
        self.source(source, &place.of_file(), tree);
    }

    fn source(&mut self, id: SourceId, place: &Place, tree: &mut Tree) {
        let source = self.files.sources.get(id);
        let path = normal(Path::new(&source.name));
        let object = parser::parse(&source.text, id, self.report);
        self.files.open.push(path);
        self.object(object, place, tree);
        self.files.open.pop();
    }

    /// Returns an included file; `None`, with the problem reported, if it cannot be had.
    fn load(&mut self, include: &Include) -> Option<SourceId> {
        let including = PathBuf::from(&self.files.sources.get(include.span.source).name);
        let path = including.with_file_name("").join(&include.path);
        self.files.count += 1;
        let shown = path.display().to_string();
        let problem = if self.files.open.contains(&normal(&path)) {
            Problem::error(include.span, format!("`{shown}` includes itself"))
                .help("remove one of the includes that form the circle")
        } else if self.files.open.len() >= MAX_OPEN {
            Problem::error(
                include.span,
                format!("more than {MAX_OPEN} files include one another"),
            )
            .help("include them from one file")
        } else if self.files.count > MAX_FILES {
            Problem::error(include.span, format!("more than {MAX_FILES} files"))
                .help("include fewer files")
        } else {
            match self.files.read(&path) {
                Ok(text) if self.files.exceeds(&text) => {
                    let message = format!("larger than {} MiB with `{shown}`", MAX_BYTES >> 20);
                    Problem::error(include.span, message).help("include fewer files")
                }
                Ok(text) => return Some(self.files.sources.add(shown, text)),
                Err(error) => unreadable(include, &shown, &error),
            }
        };
        self.report.add(problem);
        None
    }
}

fn unreadable(include: &Include, path: &str, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound if include.required => {
            Problem::error(include.span, format!("there is no file `{path}`"))
                .help("a relative path starts at the directory of the including file")
        }
        io::ErrorKind::NotFound => Problem::warning(
            include.span,
            format!("there is no file `{path}`, nothing is included"),
        )
        .help("correct the path; `include required(file(\"..\"))` makes this an error"),
        io::ErrorKind::InvalidData => {
            Problem::error(include.span, format!("`{path}` is not UTF-8")).help("save it as UTF-8")
        }
        _ => Problem::error(include.span, format!("cannot read `{path}`: {error}"))
            .help("check the file and its permissions"),
    }
}

/// Returns the path without `.` and, as far as that is possible, without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_without_detours() {
        let check = |path: &str, expected: &str| {
            assert_eq!(normal(Path::new(path)), Path::new(expected), "{path}");
        };
        check("a.conf", "a.conf");
        check("./a.conf", "a.conf");
        check("x/../a.conf", "a.conf");
        check("../../a.conf", "../../a.conf");
        check("/etc/./x/../a.conf", "/etc/a.conf");
    }
}
