//! What is wrong with texts, and that it is said once, at the right place.

use super::*;
use crate::config::problem::Severity;

/// Checks the one problem of a text: the marked part, and a part of message and help.
fn check_problem(severity: Severity, text: &str, marked: &str, message: &str, help: &str) {
    let (sources, _, problems) = read(text);
    let [problem] = problems.as_slice() else {
        panic!("{text}: {problems:#?}")
    };
    assert_eq!(problem.severity, severity, "{text}: {problem:?}");
    let span = problem.span.expect("all of these have a place");
    assert_eq!(
        &sources.get(span.source).text[span.start..span.end],
        marked,
        "{text}: {problem:?}"
    );
    assert!(problem.message.contains(message), "{text}: {problem:?}");
    assert!(
        problem
            .help
            .as_ref()
            .is_some_and(|text| text.contains(help)),
        "{text}: {problem:?}"
    );
}

fn check_error(text: &str, marked: &str, message: &str, help: &str) {
    check_problem(Severity::Error, text, marked, message, help);
}

fn check_warning(text: &str, marked: &str, message: &str, help: &str) {
    check_problem(Severity::Warning, text, marked, message, help);
}

#[test]
fn circles_are_errors() {
    check_error("a = ${a}", "${a}", "refers to itself", "circle");
    check_error("a { b = ${a} }", "${a}", "contains itself", "circle");
    check_error("a = [${a}]", "${a}", "refers to itself", "circle");
}

#[test]
fn what_is_not_set_is_an_error() {
    check_error("a = ${NOPE}", "${NOPE}", "`${NOPE}` is not set", "${?NOPE}");
    check_error(
        "b = 1\na = [x, ${b.c}]",
        "${b.c}",
        "`${b.c}` is not set",
        "environment",
    );
}

#[test]
fn includes_that_fail_are_reported() {
    check_warning(
        "include \"nope.conf\"",
        "include \"nope.conf\"",
        "/etc/nope.conf",
        "required",
    );
    check_error(
        "include required(\"x\")",
        "include required(\"x\")",
        "no file `/etc/x`",
        "relative",
    );
    check_error(
        "a {include \"circle.conf\"}",
        "include \"more/../circle.conf\"",
        "itself",
        "circle",
    );
    check_error("include \"broken.conf\"", "[", "never closed", "`]`");
    check_error(
        "include url(\"http://x\")\na = 1",
        "u",
        "not supported",
        "include \"path\"",
    );
    check_error(
        "include file(\"x\"",
        "include file(\"x\"",
        "not closed",
        "`)`",
    );
    check_error("include file(x)\na = 1", "x", "expected the path", "quotes");
}

#[test]
fn a_file_that_ends_too_early_points_at_the_opening() {
    check_error("a {\n b = 1\n c = 2", "{", "`{` is never closed", "`}`");
    check_error("a { b = [ { c = 1", "{", "`{` is never closed", "`}]}`");
    check_error("a = [1, 2", "[", "`[` is never closed", "`]`");
    check_error("a { b = \"x", "\"x", "not closed on its line", "`\"`");
    check_error("a { b = \"\"\"x\n}", "\"\"\"", "never closed", "`\"\"\"`");
    check_error("a { b = ${x", "${x", "`${` is never closed", "`}`");
    check_error(
        "a { b = [1, 2 }",
        "[",
        "`[` is never closed",
        "`]` before `}`",
    );
    check_error("{ a = 1", "{", "`{` is never closed", "`}`");
    check_error("a = [1, 2\nb = 3\nc = 4", "[", "`[` is never closed", "`]`");
}

#[test]
fn one_mistake_is_one_error() {
    check_error("a = 1 }\nb = 2", "}", "closes nothing", "remove");
    check_error("{ a = 1 }\nb = 2", "b", "after the brace", "outermost");
    check_error("[1]", "[", "not an array", "key = [..]");
    check_error("a\nb = 1", "a", "`a` has no value", "a = ..");
    check_error("a =\nb = 1", "a =", "`a` has no value", "write a value");
    check_error(
        "topic \"x\"\nb = 1",
        "topic \"x\"",
        "`=` is missing after `topic`",
        "topic = \"x\"",
    );
    check_error("events [1]", "[", "`=` is missing between", "events = ..");
    check_error("a = [1,,2]", ",", "before this comma", "remove");
    check_error("a..b = 1", ".", "empty", "quote");
    check_error("*a = { b = 1\n }\nc = 1", "*", "expected a key", "quotes");
    check_error("a* = { b = 1\n }\nc = 1", "*", "expected `=`", "quotes");
    check_error(
        "a = { b = 1 } c = 2",
        "c",
        "is missing before `c`",
        "separate",
    );
    check_error("{ event = a topic = b }", "=", "in the middle", "comma");
    check_error("a = x [1]\nb = 1", "[1]", "a string and an array", "comma");
    check_error("a = ${}\nb = 1", "${}", "names nothing", "${name}");
    check_error(r#"a = "\q""#, r"\q", "unknown escape", "backslash");
    check_error(r#"a = "\u12""#, r"\u", "no character", "four");
}

#[test]
fn unquoted_specials_are_errors_that_say_what_to_quote() {
    let url = "http://127.0.0.1:80/x#c";
    check_error(
        &format!("a {{ url = {url}\n b = 1 }}"),
        url,
        "must be quoted",
        &format!("\"{url}\""),
    );
    check_error(
        "a = http://h/x?k=v",
        "http://h/x?k=v",
        "URL must",
        "into quotes",
    );
    check_error("a = h?k=v", "?", "unquoted", "into quotes");
    check_error(
        "a=[nmq-tcp://[::1]:1883]",
        "nmq-tcp://[::1]:1883",
        "must be quoted",
        "comment",
    );
    check_error("topic = a/+/c", "+", "unquoted", "\"a/+/c\"");
    check_error("topic = $SYS/#\nb = 1", "$", "unquoted", "\"$SYS/#\"");
    check_error("{bind=0.0.0.0:1883}", ":", "unquoted", "\"0.0.0.0:1883\"");
    check_error(
        "topic = #\nqos = 1",
        "topic =",
        "`topic` has no value",
        "topic = \"#\"",
    );
}

#[test]
fn several_errors_are_found_at_once() {
    let (_, table, problems) = read("a = x*\nb..c = 1\nd = [1,,2]\ne = ok\nf = ${NOPE}");
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert_eq!(
        table.get("e").map(|entry| shown_node(&entry.node)),
        Some("\"ok\"".to_owned())
    );
}

#[test]
fn traps_are_warned_of() {
    check_warning(
        "a = [{x=1} {x=2}]",
        "{x=2}",
        "joined into one element",
        "comma",
    );
    check_warning("a = [[1] [2]]", "[2]", "arrays on the same line", "comma");
    check_warning("topic = x/#", "x/#", "cuts the value", "\"x/#\"");
    check_warning(
        "dir = /var//log\nb = 1",
        "/var//log",
        "`//` begins a comment",
        "\"/var//log\"",
    );
    check_warning(
        "a { qos = 1\n qos = 2 }",
        "qos",
        "set twice, and its first value",
        "remove",
    );
    check_warning(
        "url = \"http://${HOST}/\"",
        "\"http://${HOST}/\"",
        "`${HOST}` in quotes",
        "three",
    );
}

#[test]
fn what_only_looks_like_a_trap_is_not_warned_of() {
    check("a = [{x=1}\n{x=2}]", "{a=[{x=1} {x=2}]}");
    check("a = 1# one\nb = x # y\nc = \"x\"#y", r#"{a=1 b="x" c="x"}"#);
    check(
        "a = 1\na = ${?UNSET}\na { b = 1 }\na { b = 2 }",
        "{a={b=2}}",
    );
    check(
        "a = \"$100 ${} ${ x\"\nb = \"\"\"${HOST}\"\"\"",
        r#"{a="$100 ${} ${ x" b="${HOST}"}"#,
    );
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
    check(&format!("a = {}", "[".repeat(100_000)), "nested deeper");
    check(&"a {".repeat(100_000), "nested deeper");
    check(&format!("{}a = 1", "a.".repeat(400)), "nested deeper");
    check(&format!("{} = 1", "a".repeat(2_000)), "longer than");
    check(
        &format!("a = 1\n{}", "a = ${a}x\n".repeat(1_000)),
        "nested deeper",
    );
    check(
        &format!("a = 1\n{}", "a += ${a}\n".repeat(1_000)),
        "nested deeper",
    );
    for (first, pair) in [
        ("[x]", "[${b}, ${b}]"),
        ("x", "${b}${b}"),
        ("\"\"", "${b}${b}"),
        ("{}", "{x=${b},y=${b}}"),
    ] {
        let level = |level: usize| {
            let below = format!("${{a{level}}}");
            format!("a{} = {}\n", level + 1, pair.replace("${b}", &below))
        };
        let levels: String = (0..60).map(level).collect();
        check(&format!("a0 = {first}\n{levels}"), "grows beyond");
    }
    check(&" ".repeat(MAX_BYTES + 1), "larger than");
    check(&format!("a = [{}]", "1,".repeat(MAX_VALUES)), "more than");
}
