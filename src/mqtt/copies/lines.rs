//! What was subscribed to, from when to when, and under which identifiers.
//!
//! SUBSCRIBE and UNSUBSCRIBE are steps, one behind the other, and the broker takes them in this order. So a step is a
//! time: that of what the broker did then, however late it is heard of.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::event::{TopicFilter, TopicName};
use crate::mqtt::link::Subscription;

/// A step that has not come.
const NEVER: u64 = u64::MAX;

/// How many changes are remembered of which copies may still be on their way.
const CHANGES: usize = 16;

/// Most identifiers that are remembered of one line.
const NAMES: usize = 2 * CHANGES;

/// All that is known to have been subscribed to with an identifier.
#[derive(Debug, Default)]
pub(super) struct Lines {
    all: Vec<Line>,
    /// The last step.
    step: u64,
    /// The last step before each of the latest changes.
    changes: VecDeque<u64>,
    /// The topic filters of which the broker has not answered yet.
    asked: Vec<String>,
}

/// A topic filter, from when it was subscribed to until it was given up.
#[derive(Debug)]
struct Line {
    filter: TopicFilter,
    /// The step with which it was subscribed to. There is one for each line.
    begun: u64,
    /// The step with which it ended: known only when the broker has said so.
    ended: u64,
    names: SmallVec<[Name; 2]>,
}

/// An identifier of a line, from when to when it had it.
#[derive(Debug, Clone, Copy)]
struct Name {
    subscription: Subscription,
    begun: u64,
    ended: u64,
}

/// Over what a message came, and so when it was published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    /// The step with which the line began, which tells it from all others.
    pub(super) line: u64,
    /// Behind which step it was published.
    pub(super) after: u64,
    /// Ahead of which step it was published.
    pub(super) before: u64,
}

impl Came {
    /// Returns whether the line has ended or has another identifier by now.
    pub(super) fn is_late(&self) -> bool {
        self.before != NEVER
    }
}

impl Lines {
    /// Notes that filters are asked for under an identifier; those that are there already only get it.
    pub(super) fn subscribe(&mut self, filters: &[String], subscription: Subscription) {
        self.asked = filters.to_vec();
        for filter in filters {
            let Ok(filter) = TopicFilter::try_from(filter.as_str()) else {
                continue;
            };
            self.step += 1;
            let name = Name {
                subscription,
                begun: self.step,
                ended: NEVER,
            };
            let is_it = |line: &&mut Line| line.ended == NEVER && line.filter == filter;
            match self.all.iter_mut().find(is_it) {
                Some(line) => line.rename(name),
                None => self.all.push(Line {
                    filter,
                    begun: self.step,
                    ended: NEVER,
                    names: SmallVec::from_slice(&[name]),
                }),
            }
        }
    }

    /// Notes that the broker is asked to end a subscription.
    pub(super) fn unsubscribe(&mut self, filter: &str) {
        self.asked = vec![filter.to_owned()];
    }

    /// Notes that the broker has answered, and has refused these.
    pub(super) fn answered(&mut self, refused: &[String]) {
        self.asked.clear();
        self.forget(refused);
    }

    /// Notes that the broker has ended a subscription.
    pub(super) fn unsubscribed(&mut self, filter: &str) {
        self.asked.clear();
        self.step += 1;
        for line in &mut self.all {
            if line.ended == NEVER && line.filter.as_str() == filter {
                line.ended = self.step;
                line.rename_none(self.step);
            }
        }
    }

    /// Forgets of what nobody knows whether the broker has heard it.
    pub(super) fn part(&mut self) {
        let asked = std::mem::take(&mut self.asked);
        self.forget(&asked);
    }

    fn forget(&mut self, filters: &[String]) {
        let is_one = |line: &Line| filters.iter().any(|it| it == line.filter.as_str());
        self.all.retain(|line| !is_one(line));
    }

    /// Notes that a change begins, and forgets those of long ago.
    pub(super) fn change(&mut self) {
        self.changes.push_back(self.step);
        if self.changes.len() > CHANGES {
            self.changes.pop_front();
            self.forget_until(self.changes[0]);
        }
    }

    /// Forgets all that has ended.
    pub(super) fn forget_ended(&mut self) {
        self.changes.clear();
        self.forget_until(self.step);
    }

    /// Forgets what had ended with a step.
    fn forget_until(&mut self, step: u64) {
        self.all.retain(|line| line.ended > step);
        for line in &mut self.all {
            line.names.retain(|name| name.ended > step);
        }
    }

    /// Returns when what is subscribed to now was subscribed to; `None`: it has no identifier.
    pub(super) fn begun(&self, filter: &str) -> Option<u64> {
        let is_it = |line: &&Line| line.ended == NEVER && line.filter.as_str() == filter;
        self.all.iter().find(is_it).map(|line| line.begun)
    }

    /// Returns when a line ended; 0 if it is not known any more.
    pub(super) fn ended(&self, line: u64) -> u64 {
        let mut lines = self.all.iter();
        lines.find(|it| it.begun == line).map_or(0, |it| it.ended)
    }

    /// Returns over what a message came.
    pub(super) fn came(&self, topic: &TopicName, subscription: Subscription) -> Option<Came> {
        self.all.iter().find_map(|line| {
            let mut names = line.names.iter();
            let name = names.find(|name| name.subscription == subscription)?;
            line.filter.matches(topic).then_some(Came {
                line: line.begun,
                after: name.begun,
                before: name.ended,
            })
        })
    }
}

impl Line {
    fn rename(&mut self, name: Name) {
        self.rename_none(name.begun);
        if self.names.len() == NAMES {
            self.names.remove(0);
        }
        self.names.push(name);
    }

    fn rename_none(&mut self, step: u64) {
        if let Some(last) = self.names.last_mut() {
            last.ended = step;
        }
    }
}
