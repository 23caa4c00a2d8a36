//! What TOML texts say.

use std::io;
use std::path::Path;

use super::*;

/// An environment of one variable.
struct One;

impl Outside for One {
    fn env(&self, name: &str) -> Option<String> {
        (name == "HOST").then(|| "h${HOST}".to_owned())
    }

    fn read(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn number(text: &str) -> Value {
    Value::Number(text.to_owned())
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn read(text: &str) -> (Sources, Table, Vec<Problem>) {
    let mut sources = Sources::default();
    let root = sources.add("mqhook.toml", text);
    let (table, problems) = parse(&sources, root, &One);
    (sources, table, problems)
}

fn part(sources: &Sources, span: Span) -> &str {
    &sources.get(span.source).text[span.start..span.end]
}

/// Checks the value of `a`, with which nothing is wrong.
fn check(text: &str, expected: &Value) {
    let (_, table, problems) = read(text);
    assert_eq!(problems, [], "{text}");
    assert_eq!(
        table.get("a").map(|entry| &entry.node.value),
        Some(expected),
        "{text}"
    );
}

/// Checks the problems of a text: the marked part, and a part of message and help.
fn check_problems(text: &str, expected: &[(&str, &str, &str)]) {
    let (sources, _, problems) = read(text);
    assert_eq!(problems.len(), expected.len(), "{text}: {problems:#?}");
    for (problem, (marked, message, help)) in problems.iter().zip(expected) {
        let span = problem.span.expect("all of these have a place");
        assert_eq!(part(&sources, span), *marked, "{text}: {problem:?}");
        assert!(problem.message.contains(message), "{text}: {problem:?}");
        assert!(
            problem
                .help
                .as_ref()
                .is_some_and(|text| text.contains(help)),
            "{problem:?}"
        );
    }
}

#[test]
fn scalars_have_their_type() {
    check("a = 1_000", &number("1000"));
    check("a = 0xdead_beef", &number("3735928559"));
    check("a = 0o17", &number("15"));
    check("a = 0b1_01", &number("5"));
    check("a = +5", &number("5"));
    check("a = -9223372036854775808", &number("-9223372036854775808"));
    check("a = 1_0.5e-3", &number("10.5e-3"));
    check("a = true", &Value::Bool(true));
    check("a = 'x'", &string("x"));
    check("a = 1979-05-27T07:32:00Z", &string("1979-05-27T07:32:00Z"));
    check("\u{feff}a = 07:32:00", &string("07:32:00"));
    let (sources, table, _) = read("\u{feff}a = 'x'");
    assert_eq!(part(&sources, table["a"].node.span), "'x'");
}

#[test]
fn variables_are_replaced_in_strings_once() {
    check(
        "a = \"http://${HOST}/${HOST}\"",
        &string("http://h${HOST}/h${HOST}"),
    );
    check("a = '${HOST}'", &string("h${HOST}"));
    check("a = '$${HOST} $ $$ {}'", &string("${HOST} $ $$ {}"));
}

#[test]
fn variables_that_cannot_be_replaced_are_reported() {
    let help = "`$${`";
    check_problems("a = 'x ${NOPE}'", &[("${NOPE}", "`NOPE` is not set", help)]);
    check_problems(
        "a = '${?HOST}'",
        &[("${?HOST}", "names no environment variable", help)],
    );
    check_problems(
        "a = '$${x} ${} ${'",
        &[("${}", "names no", help), ("${", "names no", help)],
    );
    check_problems(
        r#"a = "\u0024{NOPE}""#,
        &[(r#""\u0024{NOPE}""#, "`NOPE` is not set", help)],
    );
}

#[test]
fn several_errors_are_found_but_one_a_line() {
    check_problems(
        "a = \nb = 1 2 3\nc = x\nd = 1\nd = 2",
        &[
            ("", "the value is missing", "after `=`"),
            ("1 2 3", "a string must be quoted", "double quotes"),
            ("x", "a string must be quoted", "double quotes"),
            ("d", "set twice", "one of the two"),
        ],
    );
    check_problems("webhook {", &[("", "has no value", "[name]")]);
    check_problems(
        "a = 99999999999999999999999999999999999999999",
        &[(
            "99999999999999999999999999999999999999999",
            "out of range",
            "smaller",
        )],
    );
}

#[test]
fn keys_keep_the_order_of_the_text() {
    let (sources, table, problems) = read("z = 1\n[y]\nb = 1\na = 2\n[x]");
    assert_eq!(problems, []);
    assert_eq!(table.keys().collect::<Vec<_>>(), ["z", "y", "x"]);
    let Value::Table(y) = &table["y"].node.value else {
        panic!("{table:?}")
    };
    assert_eq!(y.keys().collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(part(&sources, y["a"].key_span), "a");
    assert_eq!(part(&sources, y["a"].node.span), "2");
}

#[test]
fn nothing_nests_or_grows_without_bound() {
    let check = |text: &str, message: &str| {
        let (_, _, problems) = read(text);
        assert!(
            problems
                .iter()
                .any(|problem| problem.message.contains(message)),
            "{problems:?}"
        );
    };
    check(
        &format!("a = {}{}", "[".repeat(70), "]".repeat(70)),
        "nested deeper",
    );
    check(&format!("a = {}", "[".repeat(1_000)), "nested too deep");
    check(&format!("{}a = 1", "a.".repeat(70)), "nested deeper");
    check(&format!("{}a = 1", "a.".repeat(1_000)), "nested too deep");
    check(&" ".repeat(MAX_BYTES + 1), "larger than");
    check(&"=\n".repeat(1_000), "empty");
}
