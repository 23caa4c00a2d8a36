//! Rules: which webhooks an event goes to, and which topics to subscribe to for that.
//!
//! A [`Rule`] is one `events[]` entry of a webhook. [`Rules`] is all of them, compiled:
//! a list of webhooks per kind, and for messages one [`Feed`] per share group with a
//! trie, so that the cost of a message depends on its topic and not on the number of rules.
//! However many rules of a webhook match, the webhook appears once in the answer. What a rule asks
//! beyond that, its [`Guard`], is looked at only where kind and topic match and no other rule of the
//! webhook has matched without.

pub mod condition;
mod cover;
mod current;
mod guard;
#[cfg(test)]
mod tests;
mod trie;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{Detail, Happening, Kind, KindSet, TopicFilter};

use condition::Subject;
pub use cover::disjoint_cover;
pub use current::{Current, Follower};
pub use guard::{Guard, Reports, ReportsFamily, any_matches};
use trie::{End, Trie};

/// The number of a webhook, from 0: its own for as long as it is there.
pub type WebhookIndex = usize;

/// One entry of a webhook's `events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The kind of events that it takes.
    pub kind: Kind,
    /// Which topics an `on_message_publish` must have; of other kinds it is not looked at, but
    /// [`Guard::topic`] is.
    pub topic: TopicFilter,
    /// What else must hold; `None`: nothing.
    pub guard: Option<Arc<Guard>>,
    /// For how long a client must stay away for that to be told; `None`: it is told at once. All rules of a
    /// webhook for a kind have the same.
    pub debounce: Option<Duration>,
}

impl Rule {
    /// Returns the rule that asks for nothing but kind and topic.
    #[must_use]
    pub const fn new(kind: Kind, topic: TopicFilter) -> Self {
        Self {
            kind,
            topic,
            guard: None,
            debounce: None,
        }
    }
}

/// The rules of all webhooks, compiled.
#[derive(Debug, Default)]
pub struct Rules {
    by_kind: BTreeMap<Kind, Takers>,
    feeds: Vec<Arc<Feed>>,
    debounce: BTreeMap<(WebhookIndex, Kind), Duration>,
    reports: Arc<Reports>,
}

/// The webhooks that take events of a kind.
#[derive(Debug, Default)]
struct Takers {
    /// Those that take all, each once, in order.
    always: Vec<WebhookIndex>,
    /// Those that take some, once for each such rule.
    guarded: Vec<(WebhookIndex, Arc<Guard>)>,
}

impl Rules {
    /// Compiles the rules of the webhooks, which are given in the order of their indexes.
    pub fn compile<'a>(webhooks: impl IntoIterator<Item = &'a [Rule]>) -> Self {
        Self::compile_with(webhooks, Reports::default())
    }

    /// Compiles the rules, as [`compile`](Self::compile) does; what cannot be evaluated is reported.
    pub fn compile_with<'a>(
        webhooks: impl IntoIterator<Item = &'a [Rule]>,
        reports: Reports,
    ) -> Self {
        Self::compile_at(webhooks.into_iter().enumerate(), reports)
    }

    /// Compiles the rules of webhooks, each with its index, in the order of these.
    pub fn compile_at<'a>(
        webhooks: impl IntoIterator<Item = (WebhookIndex, &'a [Rule])>,
        reports: Reports,
    ) -> Self {
        let mut rules = Self {
            reports: Arc::new(reports),
            ..Self::default()
        };
        let mut feeds: BTreeMap<Option<&str>, Vec<(&Rule, WebhookIndex)>> = BTreeMap::new();
        for (webhook, entries) in webhooks {
            for rule in entries {
                if let Some(debounce) = rule.debounce {
                    rules.debounce.insert((webhook, rule.kind), debounce);
                }
                if rule.kind == Kind::MessagePublish {
                    let feed = feeds.entry(rule.topic.group()).or_default();
                    feed.push((rule, webhook));
                } else {
                    rules
                        .by_kind
                        .entry(rule.kind)
                        .or_default()
                        .add(rule, webhook);
                }
            }
        }
        rules.feeds = feeds
            .into_iter()
            .map(|(group, entries)| {
                Arc::new(Feed::new(group, &entries, Arc::clone(&rules.reports)))
            })
            .collect();
        rules
    }

    /// Finds the webhooks with a rule for a happening, which is not `on_message_publish`; `matcher`
    /// keeps the buffers between calls.
    pub fn route<'a>(
        &'a self,
        happening: &Happening,
        matcher: &'a mut Matcher,
    ) -> &'a [WebhookIndex] {
        let Some(takers) = self.by_kind.get(&happening.kind) else {
            return &[];
        };
        if takers.guarded.is_empty() {
            return &takers.always;
        }
        matcher.begin();
        matcher.add_all(&takers.always);
        let subject = Subject::new(happening);
        for (webhook, guard) in &takers.guarded {
            matcher.add_if(*webhook, guard, happening, &subject, &self.reports);
        }
        matcher.found()
    }

    /// Finds the webhooks with a rule for what an application publishes to a group.
    pub fn route_to_group<'a>(
        &'a self,
        group: &str,
        happening: &Happening,
        matcher: &'a mut Matcher,
    ) -> &'a [WebhookIndex] {
        matcher.begin();
        if let Some(takers) = self.by_kind.get(&happening.kind) {
            let subject = Subject::new(happening);
            let is_of_group = |guard: &Guard| guard.group.as_deref() == Some(group);
            let guarded = takers.guarded.iter();
            for (webhook, guard) in guarded.filter(|(_, guard)| is_of_group(guard)) {
                matcher.add_if(*webhook, guard, happening, &subject, &self.reports);
            }
        }
        matcher.found()
    }

    /// Returns the kinds other than `on_message_publish` that some rule takes and a broker has to tell.
    #[must_use]
    pub fn lifecycle_kinds(&self) -> KindSet {
        let mut kinds = KindSet::default();
        for &kind in self.by_kind.keys().filter(|kind| is_told(**kind)) {
            kinds.insert(kind);
        }
        kinds
    }

    /// Returns the webhooks with a rule for an event of devices.
    #[must_use]
    pub fn device_webhooks(&self) -> Vec<WebhookIndex> {
        self.webhooks_of(Kind::is_device)
    }

    /// Returns the webhooks with a rule for any of the [`lifecycle_kinds`](Self::lifecycle_kinds).
    #[must_use]
    pub fn lifecycle_webhooks(&self) -> Vec<WebhookIndex> {
        self.webhooks_of(is_told)
    }

    fn webhooks_of(&self, is_meant: impl Fn(Kind) -> bool) -> Vec<WebhookIndex> {
        let meant = self.by_kind.iter().filter(|(kind, _)| is_meant(**kind));
        let mut webhooks: Vec<WebhookIndex> =
            meant.flat_map(|(_, takers)| takers.webhooks()).collect();
        webhooks.sort_unstable();
        webhooks.dedup();
        webhooks
    }

    /// Returns for how long a client must stay away before a webhook is told so; `None` where it is told
    /// at once.
    #[must_use]
    pub fn debounce(&self, webhook: WebhookIndex, kind: Kind) -> Option<Duration> {
        self.debounce.get(&(webhook, kind)).copied()
    }

    /// Returns the webhooks with a rule for one of these kinds that debounces, each once.
    #[must_use]
    pub fn debounced(&self, kinds: KindSet) -> Vec<WebhookIndex> {
        let meant = self
            .debounce
            .keys()
            .filter(|(_, kind)| kinds.contains(*kind));
        let mut webhooks: Vec<WebhookIndex> = meant.map(|(webhook, _)| *webhook).collect();
        webhooks.dedup();
        webhooks
    }

    /// Returns the feed of a share group, or the one of none.
    #[must_use]
    pub fn feed(&self, group: Option<&str>) -> Option<&Arc<Feed>> {
        self.feeds.iter().find(|feed| feed.group() == group)
    }

    /// Returns where messages come from: one feed without a group, if any rule needs it, and one per share group.
    #[must_use]
    pub fn feeds(&self) -> &[Arc<Feed>] {
        &self.feeds
    }
}

/// Returns whether it is for a broker to tell of a kind, or follows from what one tells.
fn is_told(kind: Kind) -> bool {
    !kind.is_notice() && !kind.is_of_application()
}

impl Takers {
    fn add(&mut self, rule: &Rule, webhook: WebhookIndex) {
        match &rule.guard {
            Some(guard) => self.guarded.push((webhook, Arc::clone(guard))),
            None if self.always.last() == Some(&webhook) => {}
            None => self.always.push(webhook),
        }
    }

    fn webhooks(&self) -> impl Iterator<Item = WebhookIndex> {
        let guarded = self.guarded.iter().map(|(webhook, _)| *webhook);
        self.always.iter().copied().chain(guarded)
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
    /// What the trie's ends refer to.
    guards: Vec<Arc<Guard>>,
    reports: Arc<Reports>,
    subscriptions: Vec<TopicFilter>,
}

impl Feed {
    fn new(group: Option<&str>, entries: &[(&Rule, WebhookIndex)], reports: Arc<Reports>) -> Self {
        let mut trie = Trie::default();
        let mut guards = Vec::new();
        for (rule, webhook) in entries {
            let guard = rule.guard.as_ref().map(|guard| {
                guards.push(Arc::clone(guard));
                guards.len() - 1
            });
            let end = End {
                webhook: *webhook,
                guard,
            };
            trie.insert(&rule.topic, end);
        }
        Self {
            group: group.map(str::to_owned),
            trie,
            guards,
            reports,
            subscriptions: disjoint_cover(entries.iter().map(|(rule, _)| rule.topic.clone())),
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

    /// Finds the webhooks with a rule for this message; `matcher` keeps the buffers between calls.
    pub fn route<'a>(&self, happening: &Happening, matcher: &'a mut Matcher) -> &'a [WebhookIndex] {
        matcher.begin();
        if let Detail::Message(message) = &happening.detail {
            self.trie.find(&message.topic, matcher);
        }
        if !matcher.guarded.is_empty() {
            self.ask_guards(happening, matcher);
        }
        matcher.found()
    }

    /// Looks at the rules whose topic matches and that ask for more.
    fn ask_guards(&self, happening: &Happening, matcher: &mut Matcher) {
        let subject = Subject::new(happening);
        let mut guarded = std::mem::take(&mut matcher.guarded);
        for (webhook, guard) in guarded.drain(..) {
            let guard = &self.guards[guard];
            matcher.add_if(webhook, guard, happening, &subject, &self.reports);
        }
        matcher.guarded = guarded;
    }
}

/// Buffers that finding webhooks needs, kept so that a message costs no allocation.
#[derive(Debug, Default)]
pub struct Matcher {
    found: Vec<WebhookIndex>,
    /// Rules whose topic matches, and the place of what else they ask.
    guarded: Vec<(WebhookIndex, usize)>,
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
        self.guarded.clear();
        self.here.clear();
    }

    fn add_ends(&mut self, ends: &[End]) {
        for end in ends {
            match end.guard {
                None => self.add(end.webhook),
                Some(guard) => self.guarded.push((end.webhook, guard)),
            }
        }
    }

    fn add_all(&mut self, webhooks: &[WebhookIndex]) {
        for &webhook in webhooks {
            self.add(webhook);
        }
    }

    fn add(&mut self, webhook: WebhookIndex) {
        if webhook >= self.seen.len() {
            self.seen.resize(webhook + 1, 0);
        }
        if self.seen[webhook] != self.run {
            self.seen[webhook] = self.run;
            self.found.push(webhook);
        }
    }

    /// Adds a webhook if it was not yet found and the happening passes the guard.
    fn add_if(
        &mut self,
        webhook: WebhookIndex,
        guard: &Guard,
        happening: &Happening,
        subject: &Subject<'_>,
        reports: &Reports,
    ) {
        if self.seen.get(webhook) == Some(&self.run) {
            return;
        }
        match guard.passes(&happening.client, subject) {
            Ok(true) => self.add(webhook),
            Ok(false) => {}
            Err(failure) => reports.failed(webhook, failure),
        }
    }

    fn found(&mut self) -> &[WebhookIndex] {
        self.found.sort_unstable();
        &self.found
    }
}
