use bytestring::ByteString;
use prometheus_client::registry::Registry;
use proptest::prelude::*;

use super::*;
use crate::event::{Client, Connection, Message, TopicName};
use crate::pattern::Pattern;
use crate::rule::condition::Condition;

fn rule(kind: Kind, topic: &str) -> Rule {
    Rule::new(kind, TopicFilter::try_from(topic).expect("a filter"))
}

fn publish(topic: &str) -> Rule {
    rule(Kind::MessagePublish, topic)
}

fn name(topic: &str) -> TopicName {
    TopicName::try_from(ByteString::from(topic)).expect("a name")
}

/// Returns a message with the topic as its payload, in quotes.
fn message(topic: &str) -> Happening {
    Happening {
        kind: Kind::MessagePublish,
        time: None,
        client: Client::default(),
        detail: Detail::Message(Message {
            topic: name(topic),
            payload: format!("\"{topic}\"").into(),
            qos: 0,
            retain: false,
            protocol_version: None,
            properties: None,
        }),
    }
}

fn connected(client_id: Option<&'static str>, username: Option<&'static str>) -> Happening {
    Happening {
        kind: Kind::ClientConnected,
        time: None,
        client: Client {
            id: client_id.map(ByteString::from_static),
            username: username.map(ByteString::from_static),
            address: None,
        },
        detail: Detail::Connection(Connection::default()),
    }
}

fn route(rules: &Rules, feed: usize, topic: &str) -> Vec<WebhookIndex> {
    rules.feeds()[feed]
        .route(&message(topic), &mut Matcher::default())
        .to_vec()
}

fn only_if(rule: Rule, text: &str) -> Rule {
    let guard = Guard {
        condition: Some(Condition::compile(text, rule.kind).expect("a condition")),
        ..Guard::default()
    };
    Rule {
        guard: guard.into_some(),
        ..rule
    }
}

fn only_from(client_id: Option<&str>, username: Option<&str>) -> Rule {
    let pattern = |text| Pattern::try_from(text).expect("a pattern");
    let guard = Guard {
        client_id: client_id.map(pattern),
        username: username.map(pattern),
        ..Guard::default()
    };
    Rule {
        guard: guard.into_some(),
        ..rule(Kind::ClientConnected, "#")
    }
}

#[test]
fn a_rule_with_a_condition_takes_what_fulfils_it() {
    let rules = Rules::compile([
        [only_if(publish("a/#"), "payload == 'a/b'")].as_slice(),
        [only_if(publish("a/+"), "false"), publish("a/b")].as_slice(),
        [
            only_if(publish("#"), "false"),
            only_if(publish("a/#"), "true"),
        ]
        .as_slice(),
        [only_if(publish("b"), "true")].as_slice(),
        [only_if(publish("a/#"), "payload.missing == 1")].as_slice(),
    ]);
    assert_eq!(route(&rules, 0, "a/b"), [0, 1, 2]);
    assert_eq!(route(&rules, 0, "a/c"), [2]);
    assert_eq!(route(&rules, 0, "b"), [3]);
}

#[test]
fn conditions_and_patterns_apply_to_other_kinds() {
    let rules = Rules::compile([
        [only_from(Some("sensor-*"), None)].as_slice(),
        [only_from(None, Some("al?ce"))].as_slice(),
        [only_from(Some("sensor-*"), Some("alice"))].as_slice(),
        [rule(Kind::ClientConnected, "#"), only_from(Some("x"), None)].as_slice(),
        [only_if(
            rule(Kind::ClientConnected, "#"),
            "client_id == 'x'",
        )]
        .as_slice(),
        [only_from(Some("*"), None)].as_slice(),
    ]);
    let mut matcher = Matcher::default();
    let mut check = |happening: &Happening, expected: &[WebhookIndex]| {
        assert_eq!(rules.route(happening, &mut matcher), expected);
    };
    check(
        &connected(Some("sensor-1"), Some("alice")),
        &[0, 1, 2, 3, 5],
    );
    check(&connected(Some("x"), Some("bob")), &[3, 4, 5]);
    check(&connected(None, Some("alice")), &[1, 3]);
    check(&connected(None, None), &[3]);
    assert_eq!(rules.lifecycle_webhooks(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn what_cannot_be_evaluated_is_counted_by_webhook() {
    let webhooks = [
        ("always", [publish("a")]),
        ("broken", [only_if(publish("a"), "payload.missing == 1")]),
        ("fine", [only_if(publish("a"), "qos == 1")]),
    ];
    let mut registry = Registry::default();
    let named = webhooks
        .iter()
        .map(|(name, rules)| (*name, rules.as_slice()));
    let reports = Reports::new(named, &mut registry);
    let rules = webhooks.iter().map(|(_, rules)| rules.as_slice());
    let rules = Rules::compile_with(rules, reports);
    for _ in 0..3 {
        assert_eq!(route(&rules, 0, "a"), [0]);
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("metrics");
    let mut samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    samples.sort_unstable();
    assert_eq!(
        samples,
        [
            "condition_failures_total{webhook=\"broken\"} 3",
            "condition_failures_total{webhook=\"fine\"} 0",
        ]
    );
}

#[test]
fn several_matching_rules_name_a_webhook_once() {
    let rules = Rules::compile([
        [publish("a/#"), publish("a/b"), publish("+/b")].as_slice(),
        [publish("#")].as_slice(),
        [publish("c")].as_slice(),
    ]);
    assert_eq!(route(&rules, 0, "a/b"), [0, 1]);
    assert_eq!(route(&rules, 0, "c"), [1, 2]);
    assert!(route(&rules, 0, "$SYS/x").is_empty());
}

#[test]
fn kinds_list_each_webhook_once() {
    let connack = rule(Kind::ClientConnack, "#");
    let rules = Rules::compile([
        [connack.clone(), connack.clone()].as_slice(),
        [publish("#")].as_slice(),
        [connack].as_slice(),
    ]);
    let mut matcher = Matcher::default();
    let mut connected = connected(None, None);
    assert!(rules.route(&connected, &mut matcher).is_empty());
    connected.kind = Kind::ClientConnack;
    assert_eq!(rules.route(&connected, &mut matcher), [0, 2]);
    assert!(rules.lifecycle_kinds().contains(Kind::ClientConnack));
    assert!(!rules.lifecycle_kinds().contains(Kind::MessagePublish));
}

#[test]
fn share_groups_are_feeds_of_their_own() {
    let rules = Rules::compile([
        [publish("$share/g/a/#"), publish("b")].as_slice(),
        [publish("$share/g/a/x")].as_slice(),
    ]);
    let subscriptions: Vec<Vec<String>> = rules
        .feeds()
        .iter()
        .map(|feed| feed.subscriptions().collect())
        .collect();
    assert_eq!(subscriptions, [["b"], ["$share/g/a/#"]]);
    assert_eq!(route(&rules, 1, "a/x"), [0, 1]);
    assert!(route(&rules, 0, "a/x").is_empty());
}

fn level() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a".to_owned()),
        Just("b".to_owned()),
        Just(String::new()),
        Just("$s".to_owned())
    ]
}

fn topic() -> impl Strategy<Value = TopicName> {
    prop::collection::vec(level(), 1..5)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a name is not empty", |text| !text.is_empty())
        .prop_map(|text| name(&text))
}

fn filter() -> impl Strategy<Value = TopicFilter> {
    let wild = prop_oneof![3 => level(), 2 => Just("+".to_owned())];
    (prop::collection::vec(wild, 0..5), any::<bool>())
        .prop_map(|(mut levels, multi)| {
            if multi {
                levels.push("#".to_owned());
            }
            levels.join("/")
        })
        .prop_filter_map("a filter", |text| TopicFilter::try_from(text.as_str()).ok())
}

/// The specification's words (4.7), by recursion, to compare with.
fn naive(filter: &[&str], name: &[&str]) -> bool {
    match (filter, name) {
        (["#"], _) | ([], []) => true,
        (["+", filter @ ..], [_, name @ ..]) => naive(filter, name),
        ([wanted, filter @ ..], [level, name @ ..]) => wanted == level && naive(filter, name),
        _ => false,
    }
}

fn naively_matches(filter: &TopicFilter, name: &TopicName) -> bool {
    let filter: Vec<&str> = filter.levels().collect();
    let name: Vec<&str> = name.levels().collect();
    let leading_wildcard = ["+", "#"].contains(&filter[0]);
    !(leading_wildcard && name[0].starts_with('$')) && naive(&filter, &name)
}

proptest! {
    #[test]
    fn filters_match_like_the_naive_matcher(filter in filter(), name in topic()) {
        prop_assert_eq!(filter.matches(&name), naively_matches(&filter, &name));
    }

    #[test]
    fn the_trie_finds_what_the_filters_match(
        filters in prop::collection::vec(filter(), 1..12),
        name in topic(),
    ) {
        let rules: Vec<[Rule; 1]> = filters
            .iter()
            .map(|topic| [Rule::new(Kind::MessagePublish, topic.clone())])
            .collect();
        let rules = Rules::compile(rules.iter().map(<[Rule; 1]>::as_slice));
        let expected: Vec<usize> = (0..filters.len())
            .filter(|&index| naively_matches(&filters[index], &name))
            .collect();
        let mut matcher = Matcher::default();
        prop_assert_eq!(rules.feeds()[0].route(&message(name.as_str()), &mut matcher), expected);
    }

    #[test]
    fn a_message_comes_over_exactly_one_subscription(
        filters in prop::collection::vec(filter(), 1..12),
        name in topic(),
    ) {
        let cover = disjoint_cover(filters.iter().cloned());
        let wanted = filters.iter().any(|filter| naively_matches(filter, &name));
        let copies = cover.iter().filter(|filter| naively_matches(filter, &name)).count();
        prop_assert!(copies <= 1, "{copies} copies of {name} by {cover:?}");
        prop_assert!(!wanted || copies == 1, "{name} is missed by {cover:?}");
    }

    #[test]
    fn filters_overlap_when_a_topic_matches_both(one in filter(), other in filter(), name in topic()) {
        if naively_matches(&one, &name) && naively_matches(&other, &name) {
            prop_assert!(one.overlaps(&other));
            prop_assert!(naively_matches(&one.union(&other), &name));
        }
    }
}
