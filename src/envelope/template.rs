//! Bodies that a template of the user's makes.

use http::HeaderValue;

use super::Rejected;
use crate::payload::is_json;
use crate::template::{Error, Mistake, Place, Scope, Template};

/// The longest body: as long as the longest packet that is taken by default.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A template for bodies of one media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    template: Template,
    /// What the bodies are; it decides how values are written in them.
    pub content_type: HeaderValue,
    place: Place,
}

impl Body {
    /// Returns what makes bodies of a media type.
    ///
    /// # Errors
    /// The text is no template.
    pub fn new(text: &str, content_type: HeaderValue) -> Result<Self, Mistake> {
        let place = Place::of_body(content_type.to_str().unwrap_or_default());
        Ok(Self {
            template: Template::compile(text, place, MOST_BYTES)?,
            content_type,
            place,
        })
    }

    /// Returns the template, to be asked what it lacks.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Returns whether the bodies are JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.place == Place::Json
    }

    /// Returns the body for an event.
    pub(super) fn of(&self, scope: &Scope) -> Result<super::Body, Rejected> {
        let text = self
            .template
            .render_text(scope)
            .map_err(Rejected::Template)?;
        if self.is_json() && !is_json(&text) {
            let error = Error::Unfit("the body would not be JSON");
            return Err(Rejected::Template(error));
        }
        Ok(bytes::Bytes::from(text).into())
    }
}
