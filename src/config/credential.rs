//! Secrets as keys have them: in the configuration, or in a file beside it.

use super::complaint::Complaint;
use super::reason;
use super::scalar::text;
use super::schema::{Context, RELATIVE_PATHS, path};
use super::section::Section;
use super::value::{Node, Value};
use crate::credential::Secret;

/// Says what is wrong with a secret, if something is; never with the secret itself in it.
pub(super) type Check<'a> = &'a dyn Fn(&str) -> Result<(), Complaint>;

/// What reading secrets needs beside where they are written.
pub(super) struct Reader<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) check: Check<'a>,
}

impl Reader<'_> {
    /// Reads a secret that is written under `key`, or in the file that `file_key` names.
    pub(super) fn either(
        &self,
        section: &mut Section<'_>,
        key: &'static str,
        file_key: &'static str,
    ) -> Option<Secret> {
        let value = section.read(key, |node| self.value(node));
        let file = section.read(file_key, |node| self.file(node));
        report_second(section, &[key, file_key], "remove one of the two");
        file.or(value)
    }

    /// Reads the secret that stands there.
    pub(super) fn value(&self, node: &Node) -> Result<Secret, Complaint> {
        let secret = Secret::new(text(node)?);
        (self.check)(secret.expose())?;
        Ok(secret)
    }

    /// Reads the secret in the file that is named there.
    pub(super) fn file(&self, node: &Node) -> Result<Secret, Complaint> {
        let path = path(text(node)?, self.context);
        let text = self.context.outside.read(&path).map_err(|error| {
            let message = format!("cannot read {}: {}", path.display(), reason(&error));
            Complaint::new(message).help(RELATIVE_PATHS)
        })?;
        let name = path.display().to_string();
        let secret =
            Secret::in_file(path, &text).map_err(|_| Complaint::new(format!("{name} is empty")))?;
        (self.check)(secret.expose()).map_err(|complaint| complaint.within(&name))?;
        Ok(secret)
    }

    /// Reads the secrets in a list, each as `read` does it.
    pub(super) fn list(
        section: &mut Section<'_>,
        key: &'static str,
        read: impl Fn(&Node) -> Result<Secret, Complaint>,
    ) -> Option<Vec<Secret>> {
        let node = &section.entry(key)?.node;
        match &node.value {
            Value::Array(elements) if !elements.is_empty() => {
                let secrets = section.elements(key, elements, read);
                Some(secrets.into_iter().map(|(secret, _)| secret).collect())
            }
            Value::Array(_) => {
                section.report_about(key, Complaint::new("it is empty"));
                None
            }
            other => {
                let complaint = Complaint::wrong_type("an array", other);
                section.report_about(key, complaint.help("put it into [ ]"));
                None
            }
        }
    }
}

/// Reports each of these keys that is written though one before it is.
pub(super) fn report_second(section: &Section<'_>, keys: &[&str], help: &str) {
    let mut written = keys.iter().filter(|key| section.has(key));
    let Some(first) = written.next() else { return };
    for second in written {
        let complaint = Complaint::new(format!("`{}` is given, too", section.path(first)));
        section.report_about(second, complaint.help(help));
    }
}
