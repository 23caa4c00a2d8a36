//! A trie of topic filters.

use hashbrown::HashMap;

use super::{Matcher, WebhookIndex};
use crate::event::{TopicFilter, TopicName};

/// The place of a node in its trie.
pub(super) type NodeIndex = usize;

const ROOT: NodeIndex = 0;

/// What stands at the end of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) webhook: WebhookIndex,
    /// The place of what else the rule asks.
    pub(super) guard: Option<usize>,
}

/// Topic filters, one node per level, with the rules' webhooks at their ends.
///
/// Nodes refer to each other by index, and finding walks level by level with a
/// list of nodes, so that neither a deep filter nor a deep topic needs a deep stack.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, NodeIndex>,
    /// The node of a `+` level.
    single: Option<NodeIndex>,
    /// Rules whose filter ends here.
    ends: Vec<End>,
    /// Rules whose filter goes on with `#` from here.
    multi: Vec<End>,
}

impl Default for Trie {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

impl Trie {
    pub(super) fn insert(&mut self, filter: &TopicFilter, end: End) {
        let mut here = ROOT;
        for level in filter.levels() {
            here = match level {
                "#" => return self.nodes[here].multi.push(end),
                "+" => self.single(here),
                literal => self.literal(here, literal),
            };
        }
        self.nodes[here].ends.push(end);
    }

    /// Adds the webhooks of every filter that matches the topic to `matcher`.
    pub(super) fn find(&self, topic: &TopicName, matcher: &mut Matcher) {
        let mut here = std::mem::take(&mut matcher.here);
        let mut next = std::mem::take(&mut matcher.next);
        here.push(ROOT);
        let mut wildcards = !topic.is_reserved();
        for level in topic.levels() {
            for node in here.drain(..).map(|index| &self.nodes[index]) {
                next.extend(node.literals.get(level));
                if wildcards {
                    matcher.add_ends(&node.multi);
                    next.extend(node.single);
                }
            }
            wildcards = true;
            std::mem::swap(&mut here, &mut next);
            if here.is_empty() {
                break;
            }
        }
        for node in here.drain(..).map(|index| &self.nodes[index]) {
            matcher.add_ends(&node.ends);
            matcher.add_ends(&node.multi);
        }
        matcher.here = here;
        matcher.next = next;
    }

    fn single(&mut self, parent: NodeIndex) -> NodeIndex {
        let new = self.nodes.len();
        let node = *self.nodes[parent].single.get_or_insert(new);
        self.grow(node)
    }

    fn literal(&mut self, parent: NodeIndex, level: &str) -> NodeIndex {
        let new = self.nodes.len();
        let node = *self.nodes[parent]
            .literals
            .entry(level.into())
            .or_insert(new);
        self.grow(node)
    }

    /// Makes the node if it is the next one, and returns its index.
    fn grow(&mut self, node: NodeIndex) -> NodeIndex {
        if node == self.nodes.len() {
            self.nodes.push(Node::default());
        }
        node
    }
}
