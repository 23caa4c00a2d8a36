use super::*;
use crate::config::source::Sources;

fn lexer(text: &str) -> Lexer<'_> {
    Lexer::new(text, Sources::default().add("x", text))
}

#[test]
fn blanks_are_white_space_and_comments() {
    let check = |text: &str, rest: &str, line_break: bool| {
        let mut lexer = lexer(text);
        assert_eq!(lexer.skip_blank(), line_break, "{text:?}");
        assert_eq!(lexer.rest(), rest, "{text:?}");
    };
    check("x", "x", false);
    check(" \t\u{a0}\u{feff}\rx", "x", false);
    check("# c\r\n // d\n\nx", "x", true);
    check("# c", "", false);
    check("/ x", "/ x", false);
}

#[test]
fn unquoted_text_keeps_its_inner_spaces_only() {
    let check = |text: &str, expected: &str, rest: &str| {
        let mut lexer = lexer(text);
        assert_eq!(lexer.unquoted(), expected, "{text:?}");
        assert_eq!(lexer.rest(), rest, "{text:?}");
    };
    check("a  b \t}", "a  b", " \t}");
    check("a/b//c", "a/b", "//c");
    check("a // c", "a", " // c");
    check("é世\u{a0}x\r\n", "é世\u{a0}x", "\r\n");
    check("a.b-c_d/e%f;(g)", "a.b-c_d/e%f;(g)", "");
    for reserved in RESERVED.chars() {
        check(&format!("a{reserved}"), "a", &reserved.to_string());
    }
}

#[test]
fn strings_are_decoded() {
    let check = |text: &str, expected: &str, rest: &str| {
        let (mut lexer, mut report) = (lexer(text), Report::default());
        let quoted = lexer.quoted(&mut report);
        assert!(quoted.closed && !report.has_errors(), "{text}");
        assert_eq!(
            (quoted.text.as_str(), lexer.rest()),
            (expected, rest),
            "{text}"
        );
    };
    check(r#""" x"#, "", " x");
    check(r#""\b\f\n\r\t\"\\\/""#, "\u{8}\u{c}\n\r\t\"\\/", "");
    check(r#""\u0041\ud83d\ude00\uD83D\uDE00""#, "A😀😀", "");
    check("\"\"\"\"\"\"", "", "");
    check("\"\"\"a\"\"b\nc\\n\"\"\"\"\"", "a\"\"b\nc\\n\"\"", "");
}

#[test]
fn strings_that_cannot_be_decoded_are_reported() {
    let check = |text: &str, closed: bool, rest: &str| {
        let (mut lexer, mut report) = (lexer(text), Report::default());
        assert_eq!(lexer.quoted(&mut report).closed, closed, "{text}");
        assert_eq!(report.into_problems().len(), 1, "{text}");
        assert_eq!(lexer.rest(), rest, "{text}");
    };
    check("\"a\nb\"", false, "\nb\"");
    check("\"a\\", false, "");
    check("\"a\\\n", false, "\n");
    check("\"\"\"a\"\"\nb", false, "");
    check(r#""\x" y"#, true, " y");
    check(r#""\u00é" y"#, true, " y");
    check(r#""\ud83d" y"#, true, " y");
    check(r#""\ude00" y"#, true, " y");
    check(r#""\ud83d\u12" y"#, true, " y");
}

#[test]
fn keys_end_at_their_operator() {
    let check = |text: &str, expected: &[&str], rest: &str| {
        let (mut lexer, mut report) = (lexer(text), Report::default());
        let path = lexer.path(&mut report).unwrap_or_default();
        let names: Vec<_> = path.iter().map(|key| key.name.as_str()).collect();
        assert_eq!((names.as_slice(), lexer.rest()), (expected, rest), "{text}");
        assert!(!report.has_errors(), "{text}");
    };
    check("a = 1", &["a"], " = 1");
    check("a . b.c{", &["a", "b", "c"], "{");
    check(r#"a."b.c" d.e: 1"#, &["a", "b.c d", "e"], ": 1");
    check("content-type=1", &["content-type"], "=1");
    check("a\n", &["a"], "\n");
}
