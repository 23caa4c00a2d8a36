//! What an MQTT 5 publisher says of a message beside its topic and payload.

use bytes::Bytes;
use bytestring::ByteString;

/// The properties of a PUBLISH that its receivers get (MQTT 5, 3.3.2.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// Whether the publisher says that the payload is UTF-8 (Payload Format Indicator); nobody has
    /// checked it.
    pub is_text: Option<bool>,
    /// The seconds that were left of the Message Expiry Interval when the broker sent the message.
    pub expiry_s: Option<u32>,
    /// What the payload is, by the publisher's own convention; often a media type.
    pub content_type: Option<ByteString>,
    /// The topic name for an answer; it was not checked.
    pub response_topic: Option<ByteString>,
    /// What the answer must carry.
    pub correlation_data: Option<Bytes>,
    /// Names and values in the publisher's order; a name may come several times.
    pub user: Vec<(ByteString, ByteString)>,
}

impl Properties {
    /// Returns the properties in a box, or `None` for a message without any.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }

    /// Returns about how many bytes of memory the properties hold.
    #[must_use]
    pub fn size(&self) -> usize {
        let text = |text: &Option<ByteString>| text.as_ref().map_or(0, |text| text.len());
        let user = |(name, value): &(ByteString, ByteString)| name.len() + value.len();
        size_of::<Self>()
            + text(&self.content_type)
            + text(&self.response_topic)
            + self.correlation_data.as_ref().map_or(0, Bytes::len)
            + self.user.len() * size_of::<(ByteString, ByteString)>()
            + self.user.iter().map(user).sum::<usize>()
    }

    /// Returns the properties without a hold on the packet that they came in.
    pub(super) fn compact(&self) -> Self {
        let copy = |text: &ByteString| ByteString::from(&**text);
        Self {
            content_type: self.content_type.as_ref().map(copy),
            response_topic: self.response_topic.as_ref().map(copy),
            correlation_data: self.correlation_data.as_deref().map(Bytes::copy_from_slice),
            user: self
                .user
                .iter()
                .map(|(name, value)| (copy(name), copy(value)))
                .collect(),
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Detail, Event, Kind, TopicFilter};

    #[test]
    fn an_event_is_as_large_as_its_properties_make_it() {
        let mut event = Event::example(Kind::MessagePublish, &TopicFilter::all());
        let small = event.size();
        if let Detail::Message(message) = &mut event.detail
            && let Some(properties) = &mut message.properties
        {
            let pair = (ByteString::from("n"), ByteString::from("v".repeat(10_000)));
            properties.user.push(pair);
        }
        assert!(event.size() > small + 10_000);
    }
}
