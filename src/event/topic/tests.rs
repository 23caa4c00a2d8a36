//! Which names filters match, and how filters relate.

use proptest::prelude::*;

use super::*;

fn filter(text: &str) -> TopicFilter {
    TopicFilter::try_from(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn name(text: &'static str) -> TopicName {
    TopicName::try_from(ByteString::from_static(text))
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn filters_match_as_the_specification_says() {
    let check = |wanted, topic, expected| {
        let answer = filter(wanted).matches(&name(topic));
        assert_eq!(answer, expected, "{wanted} on {topic}");
    };
    check("sport/tennis/player1/#", "sport/tennis/player1", true);
    check(
        "sport/tennis/player1/#",
        "sport/tennis/player1/ranking",
        true,
    );
    check("sport/#", "sport", true);
    check("sport/tennis/+", "sport/tennis/player1", true);
    check("sport/tennis/+", "sport/tennis/player1/ranking", false);
    check("sport/+", "sport", false);
    check("sport/+", "sport/", true);
    check("+/+", "/finance", true);
    check("/+", "/finance", true);
    check("+", "/finance", false);
    check("#", "$SYS/broker/version", false);
    check("+/monitor/Clients", "$SYS/monitor/Clients", false);
    check("$SYS/#", "$SYS/monitor/Clients", true);
    check("a/+/c", "a//c", true);
    check("a/b", "a/B", false);
    check("$share/group/a/#", "a/b", true);
}

#[test]
fn malformed_filters_are_refused() {
    let check = |text, expected| {
        assert_eq!(TopicFilter::try_from(text), Err(expected), "{text}");
    };
    check("", TopicError::Empty);
    check("a/#/b", TopicError::MultiLevel);
    check("a#", TopicError::MultiLevel);
    check("a/b+", TopicError::SingleLevel);
    check("a\0", TopicError::Null);
    check("$share/a", TopicError::Share);
    check("$share//a", TopicError::Share);
    check("$share/g/", TopicError::Share);
    check("$share/+/a", TopicError::Share);
    check(&"/".repeat(200), TopicError::TooDeep);
}

#[test]
fn names_have_no_wildcards() {
    let name = TopicName::try_from(ByteString::from_static("a/+"));
    assert_eq!(name, Err(TopicError::Wildcard));
}

#[test]
fn shared_filters_show_as_written() {
    assert_eq!(filter("$share/g/a/+").to_string(), "$share/g/a/+");
    assert_eq!(filter("$share/g/a/+").group(), Some("g"));
    assert_eq!(filter("$share/g/a/+").as_str(), "a/+");
}

#[test]
fn union_of_overlapping_filters() {
    let check = |one, other, expected: Option<&str>| {
        let (one, other) = (filter(one), filter(other));
        let union = one.overlaps(&other).then(|| one.union(&other).to_string());
        assert_eq!(union.as_deref(), expected, "{one} and {other}");
        assert_eq!(one.overlaps(&other), other.overlaps(&one));
    };
    check("a/b", "a/b", Some("a/b"));
    check("a/b", "a/c", None);
    check("a/+", "+/b", Some("+/+"));
    check("a/#", "a", Some("a/#"));
    check("+", "a/#", Some("+/#"));
    check("#", "$SYS/#", None);
    check("$SYS/+", "$SYS/a/#", Some("$SYS/+/#"));
    check("a/b/c", "a/#", Some("a/#"));
}

#[test]
fn what_two_filters_have_in_common_is_one_filter() {
    let check = |one, other, expected: Option<&str>| {
        let (one, other) = (filter(one), filter(other));
        let common = one.intersection(&other).map(|both| both.to_string());
        assert_eq!(common.as_deref(), expected, "{one} and {other}");
    };
    check("a/#", "a/b/+", Some("a/b/+"));
    check("a/+", "+/b", Some("a/b"));
    check("a/#", "a", Some("a"));
    check("a", "a/+/#", None);
    check("#", "$SYS/#", None);
    check("$share/g/#", "a", Some("$share/g/a"));
    check("a/+/#", "+/b", Some("a/b"));
    check(&"a".repeat(65_535), "#", Some(&"a".repeat(65_535)));
}

/// Filters and names over so few levels that they often have something in common.
fn texts(levels: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(levels), 1..4).prop_map(|it| it.join("/"))
}

proptest! {
    #[test]
    fn an_intersection_matches_what_both_match_and_nothing_else(
        one in texts(&["a", "b", "+", "", "$x"]), one_end in prop::bool::ANY,
        other in texts(&["a", "b", "+", "", "$x"]), other_end in prop::bool::ANY,
        topics in prop::collection::vec(texts(&["a", "b", "c", "", "$x", "$y"]), 64),
    ) {
        let end = |text: String, end: bool| if end { format!("{text}/#") } else { text };
        let filters = (TopicFilter::try_from(end(one, one_end).as_str()), TopicFilter::try_from(end(other, other_end).as_str()));
        let (Ok(one), Ok(other)) = filters else { return Ok(()) };
        let both = one.intersection(&other);
        for topic in topics.into_iter().filter(|topic| !topic.is_empty()) {
            let topic = TopicName::try_from(ByteString::from(topic)).expect("a name");
            let expected = one.matches(&topic) && other.matches(&topic);
            let got = both.as_ref().is_some_and(|both| both.matches(&topic));
            prop_assert_eq!(got, expected, "{} and {} on {}", one, other, topic);
        }
        prop_assert_eq!(both.is_some(), one.overlaps(&other));
    }
}

#[test]
fn names_that_brokers_send_are_taken_whatever_they_hold() {
    assert_eq!(name("a\u{7}\u{ffff}").as_str(), "a\u{7}\u{ffff}");
    assert!(
        ['\u{1}', '\u{9f}', '\u{fdd0}', '\u{1fffe}']
            .into_iter()
            .all(is_unsendable)
    );
    assert!(
        !['\u{20}', '\u{e9}', '\u{fffd}', '\u{202e}']
            .into_iter()
            .any(is_unsendable)
    );
}
