//! A URL with values in its path or its query.
//!
//! `{{ client_id }}` and `{client_id}` are the same there, as other products write the latter. Scheme,
//! host and port are fixed, so that a webhook's connections all go to one receiver.

use super::{Error, Mistake, Place, Scope, Template};

/// The longest path and query that is sent; receivers refuse longer ones anyway.
const MOST_BYTES: usize = 8 * 1024;

/// The part of a URL that is made of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    template: Template,
    /// How many segments of the path are empty as it is written, whatever values there are.
    empty_segments: usize,
}

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
        let mut rendered = self.template.render_text(scope)?;
        if rendered.starts_with('?') {
            rendered.insert(0, '/');
        }
        let path = rendered.split('?').next().unwrap_or_default();
        if path.split('/').any(is_dots) {
            return Err(Error::Unfit("the path would have a segment `.` or `..`"));
        }
        // `/devices/` is another resource than `/devices/7`, and `/a//b` may be the same as `/a/b`.
        if empty_segments(path) > self.empty_segments {
            return Err(Error::Unfit(
                "the path would have an empty segment where a value stands",
            ));
        }
        Ok(rendered)
    }

    /// Returns the template, to be asked what it lacks.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }
}

/// Returns how many segments of a path are empty; it begins with a slash.
fn empty_segments(path: &str) -> usize {
    let segments = path.split('/').skip(1);
    segments.filter(|segment| segment.is_empty()).count()
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
    let converted = convert(&text[path..])?;
    let template = Template::compile(&converted.template, Place::Url, MOST_BYTES)?;
    let written = converted.written.split('?').next().unwrap_or_default();
    Ok(Split {
        stand_in: format!("{}{}", &text[..path], converted.stand_in),
        fixed: fixed.to_owned(),
        path: Some(PathTemplate {
            template,
            // Without a path it is `/`.
            empty_segments: empty_segments(written).max(usize::from(written.is_empty())),
        }),
    })
}

/// Returns where path or query begin; `None` if they do not, or if a fragment does before: what
/// stands in that is never sent.
fn path_start(fixed: &str) -> Option<usize> {
    let authority = fixed.find("://")? + "://".len();
    let start = fixed[authority..].find(['/', '?', '#'])? + authority;
    (!fixed.contains('#')).then_some(start)
}

/// What is made of path and query as they are written.
#[derive(Default)]
struct Converted {
    template: String,
    /// What it would be if every placeholder were `x`.
    stand_in: String,
    /// What it would be if every value were `x`, and blocks and comments nothing.
    written: String,
}

fn convert(text: &str) -> Result<Converted, Mistake> {
    let mut converted = Converted::default();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        converted.push(&rest[..at]);
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
                converted.template.push_str("{{ ");
                converted.template.push_str(&rest[1..length - 1]);
                converted.template.push_str(" }}");
            }
            _ => converted.template.push_str(&rest[..length]),
        }
        converted.stand_in.push('x');
        if end == "}" || end == "}}" {
            converted.written.push('x');
        }
        rest = &rest[length..];
    }
    converted.push(rest);
    Ok(converted)
}

impl Converted {
    /// Adds what stands between placeholders.
    fn push(&mut self, text: &str) {
        for part in [&mut self.template, &mut self.stand_in, &mut self.written] {
            part.push_str(text);
        }
    }
}
