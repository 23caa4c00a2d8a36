//! Media types as senders write them (RFC 9110, 8.3.1): what they say, whatever their case and
//! parameters.

/// Returns whether a text may be sent as a media type: `type/subtype`, with parameters or not, in
/// visible ASCII.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    let is_token = |part: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !part.is_empty() && part.bytes().all(is_part)
    };
    let is_visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let parts = essence(text).split_once('/');
    let is_named = parts.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    is_named && text.trim() == text && text.bytes().all(is_visible)
}

/// Returns whether it is this one, which is given in small letters.
#[must_use]
pub fn is(text: &str, expected: &str) -> bool {
    essence(text).eq_ignore_ascii_case(expected)
}

/// Returns whether it says that the content is JSON (RFC 6839, 3.1).
#[must_use]
pub fn is_json(text: &str) -> bool {
    let essence = essence(text).to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// Returns whether it says that the content is text that people can read (RFC 7303, 4.2).
#[must_use]
pub fn is_text(text: &str) -> bool {
    let essence = essence(text).to_ascii_lowercase();
    let is_xml = essence.ends_with("/xml") || essence.ends_with("+xml");
    is_xml || essence.starts_with("text/") || essence == "application/x-www-form-urlencoded"
}

/// Returns type and subtype without parameters.
fn essence(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_valid() {
        let check = |text, expected| assert_eq!(is_valid(text), expected, "{text:?}");
        check("text/plain", true);
        check("text/plain; charset=\"utf-8\"", true);
        check("application/vnd.a.b+json", true);
        for text in [
            "",
            "text",
            "/",
            "text/",
            "a b/c",
            "text/plain\r\nx: y",
            "text/plain; é",
            " a/b",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn json_is_known_by_its_suffix() {
        let check = |text, expected| assert_eq!(is_json(text), expected, "{text}");
        check("application/json", true);
        check("Application/JSON ; charset=utf-8", true);
        check("application/cloudevents+json", true);
        check("application/jsonx", false);
        check("text/plain; x=/json", false);
    }
}
