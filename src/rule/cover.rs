//! Which topic filters to subscribe to.
//!
//! Brokers send one copy of a message per matching subscription, or one in all: MQTT 5
//! (3.3.4) allows both, and nothing that every broker fills tells copies apart. So no two
//! of our subscriptions may match the same topic. Filters that overlap are replaced by the
//! narrowest filter that holds both; the rules then sort out what that one brings too much.

use std::collections::BTreeMap;

use crate::event::TopicFilter;

/// Returns filters that match at least what `filters` match, no two of them the same topic.
///
/// Groups of shared subscriptions are not looked at, and the result has none.
#[must_use]
pub fn disjoint_cover(filters: impl IntoIterator<Item = TopicFilter>) -> Vec<TopicFilter> {
    let mut root = Node::default();
    for filter in filters {
        let mut wider = filter.clone();
        while let Some(overlapping) = root.take_overlapping(&wider) {
            wider = wider.union(&overlapping);
        }
        root.insert(wider);
    }
    let mut cover = Vec::new();
    root.collect(&mut cover);
    cover
}

#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<String, Node>,
    /// The filter that ends here; of a filter that ends in `#`, that is the node `#`.
    filter: Option<TopicFilter>,
}

impl Node {
    fn insert(&mut self, filter: TopicFilter) {
        let mut node = self;
        for level in filter.levels() {
            node = node.children.entry(level.to_owned()).or_default();
        }
        node.filter = Some(filter);
    }

    /// Removes and returns a filter that overlaps `wanted`.
    fn take_overlapping(&mut self, wanted: &TopicFilter) -> Option<TopicFilter> {
        let found = self.overlapping(wanted)?.clone();
        let mut node = self;
        for level in found.levels() {
            node = node.children.get_mut(level)?;
        }
        node.filter.take()
    }

    /// Walks all nodes whose path overlaps the first levels of `wanted`.
    fn overlapping(&self, wanted: &TopicFilter) -> Option<&TopicFilter> {
        let mut here = vec![self];
        for level in wanted.levels() {
            if level == "#" {
                return here.into_iter().find_map(|node| node.any(wanted));
            }
            if let Some(found) = here.iter().find_map(|node| node.multi(wanted)) {
                return Some(found);
            }
            here = here.into_iter().flat_map(|node| node.step(level)).collect();
        }
        here.into_iter()
            .find_map(|node| node.own(wanted).or_else(|| node.multi(wanted)))
    }

    fn step(&self, level: &str) -> Vec<&Self> {
        if level == "+" {
            self.children.values().collect()
        } else {
            let literal = self.children.get(level);
            literal.into_iter().chain(self.children.get("+")).collect()
        }
    }

    /// Returns the filter that ends here, if it overlaps: the walk does not heed `$`.
    fn own(&self, wanted: &TopicFilter) -> Option<&TopicFilter> {
        self.filter
            .as_ref()
            .filter(|filter| filter.overlaps(wanted))
    }

    fn multi(&self, wanted: &TopicFilter) -> Option<&TopicFilter> {
        self.children.get("#")?.own(wanted)
    }

    /// Returns any filter at or below this node that overlaps.
    fn any(&self, wanted: &TopicFilter) -> Option<&TopicFilter> {
        let mut nodes = vec![self];
        while let Some(node) = nodes.pop() {
            if let Some(filter) = node.own(wanted) {
                return Some(filter);
            }
            nodes.extend(node.children.values());
        }
        None
    }

    fn collect(self, cover: &mut Vec<TopicFilter>) {
        let mut nodes = vec![self];
        while let Some(node) = nodes.pop() {
            cover.extend(node.filter);
            nodes.extend(node.children.into_values().rev());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filters: &[&str], expected: &[&str]) {
        let cover = disjoint_cover(filters.iter().map(|text| {
            TopicFilter::try_from(*text).unwrap_or_else(|error| panic!("{text}: {error}"))
        }));
        let cover: Vec<&str> = cover.iter().map(TopicFilter::as_str).collect();
        assert_eq!(cover, expected, "{filters:?}");
    }

    #[test]
    fn what_another_filter_covers_is_not_subscribed_to() {
        check(&["a/b", "a/#", "a"], &["a/#"]);
        check(&["#", "a/b", "+/c"], &["#"]);
        check(&["a/b", "a/b"], &["a/b"]);
    }

    #[test]
    fn partly_overlapping_filters_become_one() {
        check(&["a/+", "+/b"], &["+/+"]);
        check(&["a/+", "+/b", "c/c"], &["+/+"]);
    }

    #[test]
    fn disjoint_filters_stay() {
        check(&["a/b", "a/c", "b/+"], &["a/b", "a/c", "b/+"]);
        check(&["#", "$SYS/#", "$SYS/broker/log/#"], &["#", "$SYS/#"]);
    }

    #[test]
    fn a_wider_filter_takes_up_all_that_it_now_overlaps() {
        check(&["a/1/x", "a/2/y", "a/+/x", "+/2/+"], &["+/+/+"]);
    }

    #[test]
    fn ten_thousand_filters_take_no_time_worth_naming() {
        let filters =
            (0..10_000).map(|i| TopicFilter::try_from(format!("plant/+/line{i}/#").as_str()));
        let filters: Result<Vec<_>, _> = filters.collect();
        assert_eq!(disjoint_cover(filters.expect("filters")).len(), 10_000);
    }
}
