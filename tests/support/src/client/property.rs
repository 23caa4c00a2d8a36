//! The properties of MQTT 5 (section 2.2.2.2), as one closed set of shapes.

/// One property: its identifier and its value, in the shape the identifier asks for.
///
/// The encoder does not check that identifier and shape agree, so malformed ones can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Property {
    /// One byte.
    Byte(u8, u8),
    /// Two byte integer.
    Two(u8, u16),
    /// Four byte integer.
    Four(u8, u32),
    /// Variable byte integer.
    Variable(u8, u32),
    /// UTF-8 string.
    Text(u8, String),
    /// Binary data.
    Binary(u8, Vec<u8>),
    /// User property (38): name and value.
    User(String, String),
}

impl Property {
    /// Returns a content type (3).
    #[must_use]
    pub fn content_type(value: &str) -> Self {
        Self::Text(3, value.to_owned())
    }

    /// Returns a session expiry interval (17) in seconds.
    #[must_use]
    pub fn session_expiry(seconds: u32) -> Self {
        Self::Four(17, seconds)
    }

    /// Returns a receive maximum (33).
    #[must_use]
    pub fn receive_maximum(messages: u16) -> Self {
        Self::Two(33, messages)
    }

    /// Returns a topic alias (35).
    #[must_use]
    pub fn topic_alias(alias: u16) -> Self {
        Self::Two(35, alias)
    }

    /// Returns a user property (38).
    #[must_use]
    pub fn user(name: &str, value: &str) -> Self {
        Self::User(name.to_owned(), value.to_owned())
    }
}

/// Appends `properties` with their length in front.
pub(super) fn encode(properties: &[Property], target: &mut Vec<u8>) {
    let mut body = Vec::new();
    for property in properties {
        match property {
            Property::Byte(id, value) => body.extend([*id, *value]),
            Property::Two(id, value) => prefixed(&mut body, *id, &value.to_be_bytes()),
            Property::Four(id, value) => prefixed(&mut body, *id, &value.to_be_bytes()),
            Property::Variable(id, value) => {
                body.push(*id);
                variable(*value, &mut body);
            }
            Property::Text(id, value) => {
                body.push(*id);
                binary(value.as_bytes(), &mut body);
            }
            Property::Binary(id, value) => {
                body.push(*id);
                binary(value, &mut body);
            }
            Property::User(name, value) => {
                body.push(38);
                binary(name.as_bytes(), &mut body);
                binary(value.as_bytes(), &mut body);
            }
        }
    }
    variable(
        u32::try_from(body.len()).expect("properties below 4 GiB"),
        target,
    );
    target.extend(body);
}

/// Splits a property list, with its length in front, from the start of `input`.
pub(super) fn decode(input: &mut &[u8]) -> Option<Vec<Property>> {
    let length = split_variable(input)?;
    let (mut list, rest) = input.split_at_checked(length as usize)?;
    *input = rest;
    let mut properties = Vec::new();
    while let Some((id, rest)) = list.split_first() {
        list = rest;
        properties.push(value(*id, &mut list)?);
    }
    Some(properties)
}

fn value(id: u8, list: &mut &[u8]) -> Option<Property> {
    Some(match id {
        1 | 23 | 25 | 36 | 37 | 40 | 41 | 42 => Property::Byte(id, split(list, 1)?[0]),
        19 | 33 | 34 | 35 => {
            Property::Two(id, u16::from_be_bytes(split(list, 2)?.try_into().ok()?))
        }
        2 | 17 | 24 | 39 => {
            Property::Four(id, u32::from_be_bytes(split(list, 4)?.try_into().ok()?))
        }
        11 => Property::Variable(id, split_variable(list)?),
        3 | 8 | 18 | 21 | 26 | 28 | 31 => Property::Text(id, split_text(list)?),
        9 | 22 => Property::Binary(id, split_binary(list)?.to_vec()),
        38 => Property::User(split_text(list)?, split_text(list)?),
        _ => return None,
    })
}

/// Appends a variable byte integer (section 1.5.5).
pub(super) fn variable(mut value: u32, target: &mut Vec<u8>) {
    loop {
        let digit = u8::try_from(value % 128).expect("below 128");
        value /= 128;
        if value == 0 {
            return target.push(digit);
        }
        target.push(digit | 0x80);
    }
}

/// Appends binary data with its two byte length in front; strings have the same form.
pub(super) fn binary(value: &[u8], target: &mut Vec<u8>) {
    let length = u16::try_from(value.len()).expect("expected at most 65,535 bytes in a string");
    target.extend(length.to_be_bytes());
    target.extend(value);
}

pub(super) fn split<'a>(input: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(head)
}

pub(super) fn split_binary<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(split(input, 2)?.try_into().ok()?);
    split(input, usize::from(length))
}

pub(super) fn split_text(input: &mut &[u8]) -> Option<String> {
    String::from_utf8(split_binary(input)?.to_vec()).ok()
}

fn split_variable(input: &mut &[u8]) -> Option<u32> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let digit = split(input, 1)?[0];
        value |= u32::from(digit & 0x7F) << shift;
        if digit & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn prefixed(body: &mut Vec<u8>, id: u8, value: &[u8]) {
    body.push(id);
    body.extend(value);
}
