//! Of random documents, our reader and `hocon-rs` say the same.
//!
//! A key has one type throughout a document, because `hocon-rs` 0.2.0 does otherwise than
//! HOCON.md says where types meet or values are added: a scalar between two tables does not
//! keep them apart if other braces are between, `[..] [..]` is added to an earlier array,
//! `+=` loses elements in merged tables, an optional substitution of nothing takes an earlier
//! value away and leaves `null` in an array.

use hocon_rs::{Config, ConfigOptions};
use proptest::prelude::*;

use crate::support::{as_json, has_errors, read_hocon};

/// Keys of scalars.
const SCALARS: [&str; 5] = ["a", "t.a", "t.u.a", "\"x y\"", "u.\"x.y\""];

/// Keys of tables.
const TABLES: [&str; 3] = ["t", "u", "t.u"];

/// Keys of arrays.
const ARRAYS: [&str; 3] = ["l", "t.l", "\"l l\""];

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        one_of(&[
            "null",
            "true",
            "false",
            "\"\"",
            r#""\n\t\"\\\u00e9\ud83d\ude00""#
        ]),
        (-1000..1000_i32).prop_map(|value| value.to_string()),
        "[1-9][0-9]{0,3}\\.[0-9]{0,2}[1-9]",
        "[a-z][a-z0-9_-]{0,4}(/[a-z0-9]{1,3})?",
        "[a-z]{1,4} {1,2}[a-z]{1,4}",
        "\"[ -!#-\\[\\]-~é世]{0,8}\"",
        Just("\"\"\"three \"quotes\"\nof two lines\"\"\"".to_owned()),
    ]
}

/// Literals and substitutions of scalars, joined.
fn scalar() -> impl Strategy<Value = String> {
    let piece = prop_oneof![4 => literal(), 1 => one_of(&["${p}", "${?p}", "${q.p}"])];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.join(" "))
}

fn separator() -> impl Strategy<Value = String> {
    one_of(&["\n", ",", ", ", ",\n", " # c\n", "\n // d\n\n"])
}

/// Strategies for the three types, each made of the others.
#[derive(Debug, Clone)]
enum Expression {
    Scalar(String),
    Table(String),
    Array(String),
}

impl Expression {
    fn text(&self) -> &str {
        let (Self::Scalar(text) | Self::Table(text) | Self::Array(text)) = self;
        text
    }

    /// Returns a statement that gives this to a key of its type.
    fn statement(&self, key: prop::sample::Index, short: bool) -> String {
        let keys = match self {
            Self::Scalar(_) => SCALARS.as_slice(),
            Self::Table(_) => TABLES.as_slice(),
            Self::Array(_) => ARRAYS.as_slice(),
        };
        let operator = match self {
            Self::Table(text) if text.starts_with('{') && short => " ",
            _ if short => ":",
            _ => " = ",
        };
        format!("{}{operator}{}", key.get(keys), self.text())
    }
}

fn expression() -> impl Strategy<Value = Expression> {
    scalar()
        .prop_map(Expression::Scalar)
        .prop_recursive(4, 32, 5, |inner| {
            let elements = prop::collection::vec((inner.clone(), separator()), 0..4);
            let array = elements.prop_map(|elements| {
                let elements = elements
                    .iter()
                    .map(|(element, separator)| format!("{}{separator}", element.text()));
                Expression::Array(format!("[{}]", elements.collect::<String>()))
            });
            let tables = prop::collection::vec(statements(inner), 1..3);
            let table = (prop::option::of(one_of(&["${q} ", "${?r}"])), tables).prop_map(
                |(first, tables)| {
                    let tables: Vec<_> =
                        tables.iter().map(|table| format!("{{{table}}}")).collect();
                    Expression::Table(first.unwrap_or_default() + &tables.join(" "))
                },
            );
            prop_oneof![array, table]
        })
}

fn statements(expression: impl Strategy<Value = Expression>) -> impl Strategy<Value = String> {
    let statement = (
        expression,
        any::<prop::sample::Index>(),
        any::<bool>(),
        separator(),
    )
        .prop_map(|(value, key, short, separator)| value.statement(key, short) + &separator);
    prop::collection::vec(statement, 0..6).prop_map(|statements| statements.concat())
}

/// Sets what substitutions refer to.
fn definitions() -> impl Strategy<Value = String> {
    (literal(), literal())
        .prop_map(|(p, q)| format!("p = {p}\nq {{ p = {q}, t {{ a = 1 }} }}\nr.a = 2\n"))
}

fn oracle(text: &str) -> Result<serde_json::Value, String> {
    let options = ConfigOptions::new(false, Vec::new());
    let value: serde_json::Value =
        Config::parse_str(text, Some(options)).map_err(|error| error.to_string())?;
    Ok(with_floats(value))
}

fn with_floats(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Number(number) => number.as_f64().into(),
        serde_json::Value::Array(elements) => elements.into_iter().map(with_floats).collect(),
        serde_json::Value::Object(table) => table
            .into_iter()
            .map(|(name, value)| (name, with_floats(value)))
            .collect(),
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn documents_mean_what_the_oracle_says(
        definitions_first in any::<bool>(),
        definitions in definitions(),
        statements in statements(expression()),
    ) {
        let text = if definitions_first {
            format!("{{{definitions}{statements}}}")
        } else {
            format!("{{{statements}\n{definitions}}}")
        };
        let (table, problems) = read_hocon(&text);
        prop_assert!(!has_errors(&problems), "{problems:?}\n{text}");
        prop_assert_eq!(Ok(as_json(&table)), oracle(&text), "{}", text);
    }
}
