//! What is known of how the broker tells.

use crate::dialect::Name;

/// What is known of how the broker tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hearsay {
    /// Its dialect: configured, or found out.
    pub dialect: Option<Name>,
    /// Whether anything arrived where this dialect tells.
    pub heard: bool,
    /// The client that was heard to connect last, if it was a probe of ours.
    pub probe: Option<String>,
    /// Whether a probe has ended: what can be known is known.
    pub is_settled: bool,
    /// What the operator must mend for the broker to tell; `None` if it tells.
    pub advice: Option<String>,
}
