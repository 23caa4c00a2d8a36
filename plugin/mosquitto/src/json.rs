//! JSON in a line of the log.

use std::fmt::Write as _;

/// Appends a text as JSON, or `null`.
pub(crate) fn string(to: &mut String, text: Option<&str>) {
    let Some(text) = text else {
        to.push_str("null");
        return;
    };
    short(to, text, usize::MAX);
}

/// Like [`string`], of a text that needs more bytes than this only its beginning, with an ellipsis.
pub(crate) fn short_string(to: &mut String, text: Option<&str>, bytes: usize) {
    match text {
        None => to.push_str("null"),
        Some(text) => short(to, text, bytes),
    }
}

fn short(to: &mut String, text: &str, bytes: usize) {
    to.push('"');
    let begin = to.len();
    for c in text.chars() {
        let before = to.len();
        match c {
            '"' | '\\' => to.extend(['\\', c]),
            c if c.is_control() => {
                // The control characters of Unicode are all below U+00A0.
                let _ = write!(to, "\\u{:04x}", u32::from(c));
            }
            c => to.push(c),
        }
        if to.len() - begin > bytes {
            to.truncate(before);
            to.push('…');
            break;
        }
    }
    to.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_stays_within_its_quotes() {
        let check = |text, expected| {
            let mut json = String::new();
            string(&mut json, text);
            assert_eq!(json, expected);
        };
        check(None, "null");
        check(Some(""), r#""""#);
        check(Some("a\"b\\"), r#""a\"b\\""#);
        let mut json = String::new();
        short_string(&mut json, Some("ab\"c"), 3);
        short_string(&mut json, Some("ab\""), 4);
        assert_eq!(json, r#""ab…""ab\"""#);
        check(Some("a\nb\0\u{85}☀"), "\"a\\u000ab\\u0000\\u0085☀\"");
    }
}
