//! mqhook's own client identifiers.

/// The client identifiers of mqhook's connections, all of which begin with the configured one.
#[derive(Debug, Clone)]
pub struct OwnClients {
    base: String,
    probe_prefix: String,
    lifecycle: String,
    share_prefix: String,
}

impl OwnClients {
    /// Returns the identifiers that go with a configured one.
    #[must_use]
    pub fn new(client_id: &str) -> Self {
        Self {
            base: client_id.to_owned(),
            lifecycle: format!("{client_id}-lifecycle"),
            share_prefix: format!("{client_id}-share-"),
            probe_prefix: format!("{client_id}-probe-"),
        }
    }

    /// Returns the identifier of the connection for messages of a share group, or of none.
    #[must_use]
    pub fn messages(&self, group: Option<&str>) -> String {
        match group {
            None => self.base.clone(),
            Some(group) => format!("{}{group}", self.share_prefix),
        }
    }

    /// Returns the identifier of the connection for what the broker tells of its clients.
    #[must_use]
    pub fn lifecycle(&self) -> &str {
        &self.lifecycle
    }

    /// Returns a fresh identifier for a probe.
    #[must_use]
    pub fn probe(&self) -> String {
        format!("{}{:08x}", self.probe_prefix, rand::random::<u32>())
    }

    /// Returns whether a client is mqhook itself.
    #[must_use]
    pub fn contains(&self, client_id: &str) -> bool {
        client_id == self.base
            || client_id == self.lifecycle
            || client_id.starts_with(&self.share_prefix)
            || client_id.starts_with(&self.probe_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_identifiers_are_told_from_others() {
        let own = OwnClients::new("mqhook");
        for id in [own.messages(None), own.messages(Some("g")), own.probe()] {
            assert!(own.contains(&id), "{id}");
        }
        assert!(own.contains(own.lifecycle()));
        for id in ["mqhook2", "mqhoo", "mqhook-", "", "dev"] {
            assert!(!own.contains(id), "{id}");
        }
    }
}
