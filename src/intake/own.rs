//! mqhook's own client identifiers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

/// Probes whose traces may still be on their way.
const PROBES_KEPT: usize = 8;

/// The client identifiers of mqhook's connections, all of which begin with the configured one.
///
/// Only these are mqhook: another client that takes a name of this kind makes events like any other.
#[derive(Debug, Clone)]
pub struct OwnClients {
    base: String,
    lifecycle: String,
    notices: String,
    /// Those for share groups, of which more may come.
    shares: Arc<RwLock<Vec<String>>>,
    /// The identifiers of the last probes and when each was made, the latest at the end; shared by all clones.
    probes: Arc<Mutex<VecDeque<(String, Instant)>>>,
}

impl OwnClients {
    /// Returns the identifiers that go with a configured one and these share groups.
    #[must_use]
    pub fn new<'a>(client_id: &str, groups: impl IntoIterator<Item = &'a str>) -> Self {
        let share = |group| share(client_id, group);
        Self {
            base: client_id.to_owned(),
            lifecycle: format!("{client_id}-lifecycle"),
            notices: format!("{client_id}-notices"),
            shares: Arc::new(RwLock::new(groups.into_iter().map(share).collect())),
            probes: Arc::default(),
        }
    }

    /// Returns the identifier of the connection for messages of a share group, or of none.
    #[must_use]
    pub fn messages(&self, group: Option<&str>) -> String {
        match group {
            None => self.base.clone(),
            Some(group) => share(&self.base, group),
        }
    }

    /// Adds the identifier for a share group.
    pub fn add_group(&self, group: &str) {
        let share = share(&self.base, group);
        let mut shares = self.shares.write().unwrap_or_else(PoisonError::into_inner);
        if !shares.contains(&share) {
            shares.push(share);
        }
    }

    fn is_share(&self, client_id: &str) -> bool {
        let shares = self.shares.read().unwrap_or_else(PoisonError::into_inner);
        shares.iter().any(|share| share == client_id)
    }

    /// Returns the identifier of the connection for what the broker tells of its clients.
    #[must_use]
    pub fn lifecycle(&self) -> &str {
        &self.lifecycle
    }

    /// Returns the identifier of the connection that publishes notices.
    #[must_use]
    pub fn notices(&self) -> &str {
        &self.notices
    }

    /// Returns a fresh identifier for a probe.
    #[must_use]
    pub fn probe(&self) -> String {
        let id = format!("{}-probe-{:08x}", self.base, rand::random::<u32>());
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        if probes.len() == PROBES_KEPT {
            probes.pop_front();
        }
        probes.push_back((id.clone(), Instant::now()));
        id
    }

    /// Returns whether a client is mqhook itself.
    #[must_use]
    pub fn contains(&self, client_id: &str) -> bool {
        client_id.starts_with(&self.base)
            && (client_id == self.base
                || client_id == self.lifecycle
                || client_id == self.notices
                || self.is_share(client_id)
                || self.is_probe(client_id))
    }

    /// Returns whether a client has a name like a probe's: one of an earlier run, whose traces may still be on
    /// their way, has.
    #[must_use]
    pub fn is_like_probe(&self, client_id: &str) -> bool {
        let digits = client_id
            .strip_prefix(&self.base)
            .and_then(|rest| rest.strip_prefix("-probe-"));
        digits.is_some_and(|it| it.len() == 8 && it.bytes().all(|digit| digit.is_ascii_hexdigit()))
    }

    /// Returns whether a client is one of the last probes.
    #[must_use]
    pub fn is_probe(&self, client_id: &str) -> bool {
        self.probed(client_id).is_some()
    }

    /// Returns when a client was made that is one of the last probes: before it connected.
    #[must_use]
    pub fn probed(&self, client_id: &str) -> Option<Instant> {
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut probes = probes.iter();
        probes
            .find(|(id, _)| id == client_id)
            .map(|(_, made)| *made)
    }
}

fn share(client_id: &str, group: &str) -> String {
    format!("{client_id}-share-{group}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_identifiers_are_told_from_others() {
        let own = OwnClients::new("mqhook", ["g"]);
        for id in [own.messages(None), own.messages(Some("g")), own.probe()] {
            assert!(own.contains(&id), "{id}");
        }
        assert!(own.contains(own.lifecycle()));
        assert!(own.is_probe(&own.probe()));
        assert!(!own.is_probe(&own.messages(None)));
        assert!(own.is_like_probe(&own.probe()) && own.is_like_probe("mqhook-probe-0123abcd"));
        for id in [
            "mqhook-probe-x",
            "mqhook",
            "mqhook-probe-0123abcde",
            "a-probe-0123abcd",
        ] {
            assert!(!own.is_like_probe(id), "{id}");
        }
        for id in [
            "mqhook2",
            "mqhoo",
            "mqhook-probe-x",
            "mqhook-share-h",
            "",
            "dev",
        ] {
            assert!(!own.contains(id), "{id}");
        }
    }
}
