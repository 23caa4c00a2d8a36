//! What whole texts say: the promises of the reader, one table each.

mod problems;

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::*;
use crate::config::value::{Node, Value};

/// An environment and files of a test's own.
#[derive(Default)]
struct Maps {
    variables: HashMap<&'static str, &'static str>,
    files: HashMap<&'static str, &'static str>,
}

impl Outside for Maps {
    fn env(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| (*value).to_owned())
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let text = path.to_str().and_then(|path| self.files.get(path));
        text.map(|text| (*text).to_owned())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn outside() -> Maps {
    Maps {
        variables: HashMap::from([("HOST", "h.example"), ("PORT", "8080"), ("EMPTY", "")]),
        files: HashMap::from([
            (
                "/etc/hooks.conf",
                "url = \"http://h\"\nname = ${own}\nown = 1\nabsolute = ${top}",
            ),
            ("/etc/more/a.conf", "a = 1\ninclude \"b.conf\""),
            ("/etc/more/b.conf", "b = 2"),
            ("/etc/circle.conf", "include \"more/../circle.conf\""),
            ("/etc/broken.conf", "x = [1"),
        ]),
    }
}

fn read(text: &str) -> (Sources, Table, Vec<Problem>) {
    let mut sources = Sources::default();
    let root = sources.add("/etc/mqhook.conf", text);
    let (table, problems) = parse(&mut sources, root, &outside());
    (sources, table, problems)
}

/// Writes a table so that types can be told apart: strings are quoted, numbers are not.
fn shown(table: &Table) -> String {
    let entries: Vec<_> = table
        .iter()
        .map(|(name, entry)| format!("{name}={}", shown_node(&entry.node)))
        .collect();
    format!("{{{}}}", entries.join(" "))
}

fn shown_node(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => text.clone(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(shown_node).collect();
            format!("[{}]", elements.join(" "))
        }
        Value::Table(table) => shown(table),
    }
}

/// Checks that a text has this meaning, and nothing is wrong with it.
fn check(text: &str, expected: &str) {
    let (_, table, problems) = read(text);
    assert_eq!(problems, [], "{text}");
    assert_eq!(shown(&table), expected, "{text}");
}

#[test]
fn the_example_of_nanomq_is_read() {
    let text = r#"
webhook = {
  url = "http://127.0.0.1:80"        # URL where webhooks will send HTTP requests to
  headers.content-type = "application/json" # HTTP header
  body.encoding = "plain"            # Encoding format of the payload field
  pool_size = 32                     # Connection process pool size
  events = [
    {
      event = "on_message_publish"   # Event type
      topic = "a/b/c"                # The specific topic
    }
    {
      event = "on_client_connack"    
    }
  ]
  tls {
   	keyfile="/etc/certs/key.pem"
  }
}"#;
    let expected = "{webhook={url=\"http://127.0.0.1:80\" headers={content-type=\"application/json\"} \
                    body={encoding=\"plain\"} pool_size=32 events=[{event=\"on_message_publish\" topic=\"a/b/c\"} \
                    {event=\"on_client_connack\"}] tls={keyfile=\"/etc/certs/key.pem\"}}}";
    check(text, expected);
    check(&text.replace('\n', "\r\n"), expected);
    check(&format!("\u{feff}{text}"), expected);
}

#[test]
fn braces_separators_and_comments_are_free() {
    check("", "{}");
    check("# only a comment", "{}");
    check("{}", "{}");
    check("{ a = 1 } // done", "{a=1}");
    check("a = 1, b : 2\nc { d = 3 }, e {}", "{a=1 b=2 c={d=3} e={}}");
    check("a = [1, 2,\n 3\n\n 4 // x\n, 5, ]", "{a=[1 2 3 4 5]}");
    check(
        "a\n{ b = 1 }\nc =\n  # where it is\n  [1]",
        "{a={b=1} c=[1]}",
    );
    check("a = [ ]\nb = {\n}", "{a=[] b={}}");
}

#[test]
fn scalars_have_their_type() {
    check(
        "a = 1, b = -1.5, c = 1e+5, d = 2E3",
        "{a=1 b=-1.5 c=1e+5 d=2E3}",
    );
    check("a = true, b = false, c = null", "{a=true b=false c=null}");
    check(
        "a = 1.5m, b = 260MB, c = 010, d = -",
        r#"{a="1.5m" b="260MB" c="010" d="-"}"#,
    );
    check("a = \"1\", b = \"true\"", r#"{a="1" b="true"}"#);
    check("a = on  off , b = truer\t", r#"{a="on  off" b="truer"}"#);
    check(
        r#"a = "x\n\"\\\u00e9\ud83d\ude00\/""#,
        "{a=\"x\\n\\\"\\\\é😀/\"}",
    );
    check(
        "a = \"\"\"x\\n\"y\"\nz\"\"\"\"",
        "{a=\"x\\\\n\\\"y\\\"\\nz\\\"\"}",
    );
    check("a = /var/log/x.log", r#"{a="/var/log/x.log"}"#);
}

#[test]
fn keys_are_dotted_or_quoted() {
    check("a.b.c = 1\na.b.d = 2", "{a={b={c=1 d=2}}}");
    check(r#""a.b" = 1, "" = 2, x."y z" = 3"#, "{a.b=1 =2 x={y z=3}}");
    check("a b = 1", "{a b=1}");
    check("1.2 = 3", "{1={2=3}}");
    check("include = 1, includes = 2", "{include=1 includes=2}");
}

#[test]
fn later_values_override_and_tables_merge() {
    check(
        "a { x = 1, y = 1 }\na { y = 2, z = 2 }",
        "{a={x=1 y=2 z=2}}",
    );
    check(
        "a { x = 1 }\na = ${none}\na { y = 1 }\nnone = 5",
        "{a={y=1} none=5}",
    );
    check("a { x = 1 }\na = null\na { y = 1 }", "{a={y=1}}");
    check(
        "a = ${b} { y = 2 }\nb { x = 1, y = 1 }",
        "{a={x=1 y=2} b={x=1 y=1}}",
    );
    check(
        "a += 1\na += 2\nb = [0]\nb += ${?UNSET}\nb += {c = 1}",
        "{a=[1 2] b=[0 {c=1}]}",
    );
}

#[test]
fn pieces_are_joined() {
    check("a = x ${HOST}  y", r#"{a="x h.example  y"}"#);
    check(
        "a = \"http://\"${HOST}\":\"${PORT}/x",
        r#"{a="http://h.example:8080/x"}"#,
    );
    check("a = [1] [2]\nb = {x = 1} {y = 2}", "{a=[1 2] b={x=1 y=2}}");
    check(
        "a = ${?UNSET}5\nb = ${?UNSET} 5\nc = 1${?EMPTY}",
        r#"{a=5 b=" 5" c="1"}"#,
    );
    check("a = ${?UNSET}[1]\nb = ${?UNSET}${?UNSET}", "{a=[1]}");
}

#[test]
fn substitutions_see_the_whole_file_and_the_environment() {
    check("a = ${b}\nb = 1", "{a=1 b=1}");
    check(
        "a = ${b.c}\nb { c = ${HOST} }",
        r#"{a="h.example" b={c="h.example"}}"#,
    );
    check("a = [${?UNSET}, 1, ${?UNSET}]", "{a=[1]}");
    check("HOST = null\na = ${HOST}", "{HOST=null a=null}");
    check(
        "bar : { foo : 42, baz : ${bar.foo} }\nbar : { foo : 43 }",
        "{bar={foo=43 baz=43}}",
    );
}

#[test]
fn an_unset_optional_keeps_what_was_there() {
    check("a = d\na = ${?UNSET}", r#"{a="d"}"#);
    check("a = d\na = ${?HOST}", r#"{a="h.example"}"#);
    check("a { b = 1 }\na = ${?UNSET}", "{a={b=1}}");
    check("a = ${?UNSET}", "{}");
}

#[test]
fn a_value_may_refer_to_what_it_overrides() {
    check(
        "path = a\npath = ${path}\":x\"\npath = ${path}\":y\"",
        r#"{path="a:x:y"}"#,
    );
    check("a = ${?a}foo", r#"{a="foo"}"#);
    check("a = [1]\na = ${a}[2]\na += ${a}", "{a=[1 2 [1 2]]}");
    check(
        "foo : { a : { c : 1 } }\nfoo : ${foo.a}\nfoo : { a : 2 }",
        "{foo={a=2 c=1}}",
    );
    check("a { b = 1 }\na = ${a} { c = ${a.b} }", "{a={b=1 c=1}}");
}

#[test]
fn includes_are_relative_to_their_file() {
    check("include \"more/a.conf\"\nc = 3", "{a=1 b=2 c=3}");
    check("include required(file(\"/etc/more/b\"))", "{b=2}");
    check(
        "top = 7\nhook { include file(\"hooks.conf\") }",
        r#"{top=7 hook={url="http://h" name=1 own=1 absolute=7}}"#,
    );
    check(
        "own = 2\na = [{ include \"hooks.conf\" }]\ntop = 0",
        r#"{own=2 a=[{url="http://h" name=2 own=1 absolute=0}] top=0}"#,
    );
}

#[test]
fn places_are_those_of_the_text() {
    let text =
        "hook { url = \"http://h\", port = ${PORT} }\nhook.url = x y\ninclude \"more/b.conf\"";
    let (sources, table, _) = read(text);
    let part = |span: crate::config::source::Span| {
        let source = sources.get(span.source);
        format!("{}:{}", source.name, &source.text[span.start..span.end])
    };
    let Value::Table(hook) = &table["hook"].node.value else {
        panic!("a table: {table:?}")
    };
    assert_eq!(part(hook["url"].node.span), "/etc/mqhook.conf:x y");
    assert_eq!(
        hook["url"].key_span.start,
        text.rfind("url").unwrap_or_default()
    );
    assert_eq!(part(hook["port"].node.span), "/etc/mqhook.conf:${PORT}");
    assert_eq!(part(table["b"].node.span), "/etc/more/b.conf:2");
    assert_eq!(part(table["b"].key_span), "/etc/more/b.conf:b");
}

#[test]
fn a_long_row_of_additions_is_no_deep_recursion() {
    let (_, table, problems) = read(&"events += { url = ${HOST} }\n".repeat(1_000));
    assert_eq!(problems, []);
    assert!(matches!(&table["events"].node.value, Value::Array(events) if events.len() == 1_000));
}
