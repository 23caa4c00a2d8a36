//! The MQTT 5 properties of a message as JSON, a part of the column `attributes`.
//!
//! ```json
//! {"content_type":"text/plain","correlation_data":"AAE=","user":[["region","north"]]}
//! ```
//!
//! Bytes are base64. A database of a mqhook that did not know properties has none, and is read
//! as it is.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::event;

/// What stands in `attributes` only if properties do, and only if some are the user's.
const PROPERTIES: &str = "\"properties\":{";
const USER: &str = "\"user\":[[";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Properties<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_text: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiry_s: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_topic: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_data: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    user: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Properties<'a> {
    pub(super) fn of(properties: &'a event::Properties) -> Self {
        let user = properties.user.iter();
        Self {
            is_text: properties.is_text,
            expiry_s: properties.expiry_s,
            content_type: properties.content_type.as_deref().map(Cow::Borrowed),
            response_topic: properties.response_topic.as_deref().map(Cow::Borrowed),
            correlation_data: properties
                .correlation_data
                .as_ref()
                .map(|bytes| STANDARD.encode(bytes)),
            user: user
                .map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value)))
                .collect(),
        }
    }

    /// Returns the properties; `None` if the correlation data is not base64.
    pub(super) fn into_event(self) -> Option<event::Properties> {
        let user = self.user.into_iter();
        Some(event::Properties {
            is_text: self.is_text,
            expiry_s: self.expiry_s,
            content_type: self.content_type.map(|text| text.into_owned().into()),
            response_topic: self.response_topic.map(|text| text.into_owned().into()),
            correlation_data: match self.correlation_data {
                None => None,
                Some(text) => Some(STANDARD.decode(text).ok()?.into()),
            },
            user: user
                .map(|(name, value)| (name.into_owned().into(), value.into_owned().into()))
                .collect(),
        })
    }
}

/// Returns how many bytes of memory these attributes take at most beside the event itself. A user
/// property takes 64 besides its text, and is written as `["",""],` at least.
pub(super) fn memory(attributes: &str) -> usize {
    const SHORTEST: usize = r#"["",""],"#.len();
    const FACTOR: usize = size_of::<(ByteString, ByteString)>().div_ceil(SHORTEST);
    if !attributes.contains(PROPERTIES) {
        return attributes.len();
    }
    let factor = if attributes.contains(USER) { FACTOR } else { 1 };
    size_of::<event::Properties>() + attributes.len() * factor
}
