//! Rules: which webhooks an event goes to, and which topics to subscribe to for that.
//!
//! A [`Rule`] is one `events[]` entry of a webhook. [`Rules`] is all of them, compiled:
//! a list of webhooks per kind, and for messages one [`Feed`] per share group with a
//! trie, so that the cost of a message depends on its topic and not on the number of rules.
//! However many rules of a webhook match, the webhook appears once in the answer.

mod cover;
mod trie;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{Kind, KindSet, TopicFilter, TopicName};

pub use cover::disjoint_cover;
use trie::Trie;

/// The place of a webhook in the configuration, from 0.
pub type WebhookIndex = usize;

/// One entry of a webhook's `events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The kind of events that it takes.
    pub kind: Kind,
    /// Which topics a message must have; of other kinds it is not looked at.
    pub topic: TopicFilter,
}

/// The rules of all webhooks, compiled.
#[derive(Debug, Default)]
pub struct Rules {
    by_kind: BTreeMap<Kind, Vec<WebhookIndex>>,
    feeds: Vec<Arc<Feed>>,
}

impl Rules {
    /// Compiles the rules of the webhooks, which are given in the order of their indexes.
    pub fn compile<'a>(webhooks: impl IntoIterator<Item = &'a [Rule]>) -> Self {
        let mut rules = Self::default();
        let mut feeds: BTreeMap<Option<&str>, Vec<(&TopicFilter, WebhookIndex)>> = BTreeMap::new();
        for (webhook, entries) in webhooks.into_iter().enumerate() {
            for rule in entries {
                if rule.kind == Kind::MessagePublish {
                    let feed = feeds.entry(rule.topic.group()).or_default();
                    feed.push((&rule.topic, webhook));
                } else {
                    let listed = rules.by_kind.entry(rule.kind).or_default();
                    if listed.last() != Some(&webhook) {
                        listed.push(webhook);
                    }
                }
            }
        }
        rules.feeds = feeds
            .into_iter()
            .map(|(group, filters)| Arc::new(Feed::new(group, &filters)))
            .collect();
        rules
    }

    /// Returns the webhooks with a rule for this kind, which is not `on_message_publish`.
    #[must_use]
    pub fn webhooks_for(&self, kind: Kind) -> &[WebhookIndex] {
        self.by_kind.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// Returns the kinds other than `on_message_publish` that some rule takes and a broker has to tell.
    #[must_use]
    pub fn lifecycle_kinds(&self) -> KindSet {
        let mut kinds = KindSet::default();
        for &kind in self.by_kind.keys().filter(|kind| !kind.is_notice()) {
            kinds.insert(kind);
        }
        kinds
    }

    /// Returns the webhooks with a rule for any of the [`lifecycle_kinds`](Self::lifecycle_kinds).
    #[must_use]
    pub fn lifecycle_webhooks(&self) -> Vec<WebhookIndex> {
        let told = self.by_kind.iter().filter(|(kind, _)| !kind.is_notice());
        let mut webhooks: Vec<WebhookIndex> =
            told.flat_map(|(_, webhooks)| webhooks).copied().collect();
        webhooks.sort_unstable();
        webhooks.dedup();
        webhooks
    }

    /// Returns where messages come from: one feed without a group, if any rule needs it, and one per share group.
    #[must_use]
    pub fn feeds(&self) -> &[Arc<Feed>] {
        &self.feeds
    }
}

/// The rules for messages that come over one set of subscriptions.
///
/// A shared subscription gets its own feed, hence its own connection: a message that also
/// matches an ordinary subscription arrives twice, and nothing in it tells the copies apart.
#[derive(Debug)]
pub struct Feed {
    group: Option<String>,
    trie: Trie,
    subscriptions: Vec<TopicFilter>,
}

impl Feed {
    fn new(group: Option<&str>, filters: &[(&TopicFilter, WebhookIndex)]) -> Self {
        let mut trie = Trie::default();
        for (filter, webhook) in filters {
            trie.insert(filter, *webhook);
        }
        Self {
            group: group.map(str::to_owned),
            trie,
            subscriptions: disjoint_cover(filters.iter().map(|(filter, _)| (*filter).clone())),
        }
    }

    /// Returns the share group of the feed's subscriptions.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// Returns the topic filters to subscribe to, no two of which match the same topic, each
    /// as SUBSCRIBE carries it.
    pub fn subscriptions(&self) -> impl Iterator<Item = String> {
        self.subscriptions.iter().map(|filter| match &self.group {
            None => filter.to_string(),
            Some(group) => format!("$share/{group}/{}", filter.as_str()),
        })
    }

    /// Finds the webhooks with a rule for this topic; `matcher` keeps the buffers between calls.
    pub fn route<'a>(&self, topic: &TopicName, matcher: &'a mut Matcher) -> &'a [WebhookIndex] {
        matcher.begin();
        self.trie.find(topic, matcher);
        matcher.found.sort_unstable();
        &matcher.found
    }
}

/// Buffers that finding webhooks needs, kept so that a message costs no allocation.
#[derive(Debug, Default)]
pub struct Matcher {
    found: Vec<WebhookIndex>,
    /// For each webhook the run in which it was found last.
    seen: Vec<u64>,
    run: u64,
    here: Vec<trie::NodeIndex>,
    next: Vec<trie::NodeIndex>,
}

impl Matcher {
    fn begin(&mut self) {
        self.run += 1;
        self.found.clear();
        self.here.clear();
    }

    fn add(&mut self, webhooks: &[WebhookIndex]) {
        for &webhook in webhooks {
            if webhook >= self.seen.len() {
                self.seen.resize(webhook + 1, 0);
            }
            if self.seen[webhook] != self.run {
                self.seen[webhook] = self.run;
                self.found.push(webhook);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;
    use proptest::prelude::*;

    use super::*;

    fn rule(kind: Kind, topic: &str) -> Rule {
        Rule {
            kind,
            topic: TopicFilter::try_from(topic).expect("a filter"),
        }
    }

    fn publish(topic: &str) -> Rule {
        rule(Kind::MessagePublish, topic)
    }

    fn name(topic: &str) -> TopicName {
        TopicName::try_from(ByteString::from(topic)).expect("a name")
    }

    fn route(rules: &Rules, feed: usize, topic: &str) -> Vec<WebhookIndex> {
        rules.feeds()[feed]
            .route(&name(topic), &mut Matcher::default())
            .to_vec()
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
        assert_eq!(rules.webhooks_for(Kind::ClientConnack), [0, 2]);
        assert!(rules.webhooks_for(Kind::ClientConnected).is_empty());
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
                .map(|topic| [Rule { kind: Kind::MessagePublish, topic: topic.clone() }])
                .collect();
            let rules = Rules::compile(rules.iter().map(<[Rule; 1]>::as_slice));
            let expected: Vec<usize> = (0..filters.len())
                .filter(|&index| naively_matches(&filters[index], &name))
                .collect();
            let mut matcher = Matcher::default();
            prop_assert_eq!(rules.feeds()[0].route(&name, &mut matcher), expected);
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
}
