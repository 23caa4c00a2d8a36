//! A URL with values in its path or its query.
//!
//! `{{ client_id }}` and `{client_id}` are the same there, as other products write the latter. Scheme,
//! host and port are fixed, so that a webhook's connections all go to one receiver.

use super::{Error, Mistake, Place, Scope, Template};

/// The longest path and query that is sent; receivers refuse longer ones anyway.
const MOST_BYTES: usize = 8 * 1024;

/// The part of a URL that is made of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate(Template);

/// A URL as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// What it would be if every value were `x`; so it shows whether the rest is a URL.
    pub stand_in: String,
    /// What of it is the same for all events, from the beginning.
    pub fixed: String,
    /// How path and query are made; `None` if they are the same for all events.
    pub path: Option<PathTemplate>,
}

impl PathTemplate {
    /// Returns path and query of the URL for an event.
    ///
    /// # Errors
    /// Nothing can be made of this event, or a receiver might take the path for another one.
    pub fn render(&self, scope: &Scope) -> Result<String, Error> {
        let mut rendered = self.0.render_text(scope)?;
        if rendered.starts_with('?') {
            rendered.insert(0, '/');
        }
        let path = rendered.split('?').next().unwrap_or_default();
        if path.split('/').any(is_dots) {
            return Err(Error::Unfit("the path would have a segment `.` or `..`"));
        }
        Ok(rendered)
    }

    /// Returns the template, to be asked what it lacks.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.0
    }
}

/// Returns whether a segment of a path means the same or a higher folder, in whatever spelling
/// (RFC 3986, 5.2.4 and 6.2.2.2).
fn is_dots(segment: &str) -> bool {
    const LONGEST: usize = "%2e%2e".len();
    if segment.len() > LONGEST {
        return false;
    }
    let bare = segment.replace("%2e", ".").replace("%2E", ".");
    bare == "." || bare == ".."
}

/// Takes a URL apart.
///
/// # Errors
/// A placeholder is no template, or stands where it must not.
pub fn split(text: &str) -> Result<Split, Mistake> {
    let Some(first) = text.find('{') else {
        return Ok(Split {
            stand_in: text.to_owned(),
            fixed: text.to_owned(),
            path: None,
        });
    };
    let fixed = &text[..first];
    let path = path_start(fixed).ok_or(Mistake::InOrigin)?;
    let (template, stand_in) = convert(&text[path..])?;
    let template = Template::compile(&template, Place::Url, MOST_BYTES)?;
    Ok(Split {
        stand_in: format!("{}{stand_in}", &text[..path]),
        fixed: fixed.to_owned(),
        path: Some(PathTemplate(template)),
    })
}

/// Returns where path or query begin; `None` if they do not, or if a fragment does before: what
/// stands in that is never sent.
fn path_start(fixed: &str) -> Option<usize> {
    let authority = fixed.find("://")? + "://".len();
    let start = fixed[authority..].find(['/', '?', '#'])? + authority;
    (!fixed.contains('#')).then_some(start)
}

/// Returns the template for what is written, and what it would be if every value were `x`.
fn convert(text: &str) -> Result<(String, String), Mistake> {
    let (mut template, mut stand_in) = (String::new(), String::new());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        template.push_str(&rest[..at]);
        stand_in.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = match rest.as_bytes().get(1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => "#}",
            _ => "}",
        };
        let length = rest.find(end).ok_or_else(|| Mistake::Syntax {
            line: 1,
            what: format!("`{{` without `{end}`; write %7B for a brace"),
        })? + end.len();
        match end {
            "}" => {
                template.push_str("{{ ");
                template.push_str(&rest[1..length - 1]);
                template.push_str(" }}");
            }
            _ => template.push_str(&rest[..length]),
        }
        stand_in.push('x');
        rest = &rest[length..];
    }
    template.push_str(rest);
    stand_in.push_str(rest);
    Ok((template, stand_in))
}
