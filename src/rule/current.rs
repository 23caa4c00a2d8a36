//! The rules that hold now, and those who go by them.
//!
//! Rules are replaced as a whole. Who goes by them looks at each event whether they have been, which costs one
//! load of a number; between two events nobody sees a mixture.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Rules;

/// The rules that hold now; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Current(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How often they were replaced.
    version: AtomicU64,
    rules: Mutex<Arc<Rules>>,
}

/// One who goes by the rules that hold now.
#[derive(Debug)]
pub struct Follower {
    current: Current,
    version: u64,
    rules: Arc<Rules>,
}

impl Current {
    /// Returns these rules as the first that hold.
    #[must_use]
    pub fn new(rules: Arc<Rules>) -> Self {
        Self(Arc::new(Shared {
            version: AtomicU64::new(0),
            rules: Mutex::new(rules),
        }))
    }

    /// Returns the rules.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        let rules = self.0.rules.lock();
        Arc::clone(&rules.unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the rules.
    pub fn replace(&self, rules: Arc<Rules>) {
        let mut held = self.0.rules.lock().unwrap_or_else(PoisonError::into_inner);
        *held = rules;
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// Returns one who goes by the rules.
    #[must_use]
    pub fn follow(&self) -> Follower {
        let held = self.0.rules.lock().unwrap_or_else(PoisonError::into_inner);
        Follower {
            current: self.clone(),
            version: self.0.version.load(Ordering::Acquire),
            rules: Arc::clone(&held),
        }
    }

    /// Returns one who goes by rules that will be the next to hold.
    #[must_use]
    pub fn ahead(&self, rules: Arc<Rules>) -> Follower {
        Follower {
            current: self.clone(),
            version: self.0.version.load(Ordering::Acquire),
            rules,
        }
    }
}

impl Follower {
    /// Returns the rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Takes over the rules that hold now; returns whether they have been replaced since the last time.
    pub fn catch_up(&mut self) -> bool {
        if self.current.0.version.load(Ordering::Acquire) == self.version {
            return false;
        }
        let current = self.current.follow();
        *self = current;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Kind, TopicFilter};
    use crate::rule::Rule;

    fn rules(count: usize) -> Arc<Rules> {
        let rule = [Rule::new(Kind::ClientConnected, TopicFilter::all())];
        Arc::new(Rules::compile((0..count).map(|_| rule.as_slice())))
    }

    fn count(follower: &Follower) -> usize {
        follower.rules().lifecycle_webhooks().len()
    }

    #[test]
    fn all_who_go_by_the_rules_see_that_they_are_replaced() {
        let current = Current::new(rules(1));
        let mut followers = [current.follow(), current.follow()];
        assert!(!followers[0].catch_up());
        current.replace(rules(2));
        current.replace(rules(3));
        for follower in &mut followers {
            assert_eq!(count(follower), 1);
            assert!(follower.catch_up());
            assert_eq!(count(follower), 3);
            assert!(!follower.catch_up());
        }
    }

    #[test]
    fn one_who_is_ahead_keeps_its_rules_until_they_are_replaced() {
        let current = Current::new(rules(1));
        let mut follower = current.ahead(rules(2));
        assert!(!follower.catch_up());
        assert_eq!(count(&follower), 2);
        current.replace(rules(2));
        assert!(follower.catch_up());
        assert_eq!(count(&follower), 2);
    }
}
