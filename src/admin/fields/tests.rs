use super::*;

fn flaws(problem: &Problem) -> Vec<String> {
    let body = serde_json::to_value(problem.errors()).expect("they are JSON");
    let said = |flaw: &Value| {
        let place = flaw.get("pointer").or(flaw.get("parameter"));
        let place = place.and_then(Value::as_str).unwrap_or("?");
        format!("{place}: {}", flaw["detail"].as_str().unwrap_or("?"))
    };
    body.as_array().expect("a list").iter().map(said).collect()
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let body = br#"{"nam": "x", "limit": "7", "on": 1, "list": ["a", 1], "z/~": null}"#;
    let mut fields = Fields::of_body(body).expect("it is JSON");
    let text = |value: &Value| {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| "no text".to_owned())
    };
    assert!(
        fields
            .required("name", |fields, key| fields.text(key, 9))
            .is_none()
    );
    assert!(fields.integer("limit", 1, 9).is_none());
    assert!(fields.bool("on").is_none());
    fields.list("list", 9, text);
    let problem = fields.end(|| Some(())).expect_err("much is wrong");
    assert_eq!(
        flaws(&problem),
        [
            "/name: it is missing",
            "/limit: it must be a whole number from 1 to 9",
            "/on: it must be true or false",
            "/list/1: no text",
            "/nam: it is not known",
            "/z~1~0: it is not known",
        ]
    );
    assert_eq!(
        problem.errors()[4].help.as_deref(),
        Some("did you mean `name`?")
    );
}

#[test]
fn of_many_keys_that_nobody_knows_some_are_told() {
    let keys: Vec<String> = (0..20_000)
        .map(|number| format!("\"nam{number}\":0"))
        .collect();
    let body = format!("{{{}}}", keys.join(","));
    let mut fields = Fields::of_body(body.as_bytes()).expect("it is an object");
    fields.text("name", 9);
    let problem = fields.end(|| Some(())).expect_err("all are wrong");
    assert_eq!(problem.errors().len(), 20);
}

#[test]
fn a_query_is_read_as_it_is_meant() {
    let mut query = Fields::of_query("q=a%20b+c%2B%C3%A9&limit=7&on=1");
    assert_eq!(query.text("q", 99).as_deref(), Some("a b c+\u{e9}"));
    assert_eq!(query.integer("limit", 1, 9), Some(7));
    assert_eq!(query.bool("on"), Some(true));
    assert!(query.end(|| Some(())).is_ok());
    for wrong in [
        "q=%",
        "q=%zz",
        "q=%ff",
        "q=1&q=2",
        "x=1",
        "limit=+7",
        "limit=-1",
        "limit=1e3",
    ] {
        let mut query = Fields::of_query(wrong);
        query.text("q", 9);
        query.integer("limit", 1, 9);
        assert!(query.end(|| Some(())).is_err(), "{wrong} was taken");
    }
}
