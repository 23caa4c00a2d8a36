//! Who asks, and what that allows.

use std::collections::BTreeSet;
use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::{Api, Problem};
use crate::spool::store::{Limit, Role, TokenId};

/// What a route asks of who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Any token.
    Token,
    /// A token with this role, or with one that includes it.
    Role(Role),
}

/// What a token may do that is limited to a group or to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Nothing: the route concerns more.
    Refused,
    /// What concerns that; the handler sees to it, with [`Api::sight`].
    Confined,
}

/// Who asks; an extractor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token; `None`: a program on this host, while there are no tokens.
    pub token: Option<(TokenId, String)>,
    /// What it may do.
    pub role: Role,
    /// What alone it concerns.
    pub limit: Option<Limit>,
}

/// Which webhooks somebody may know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// All.
    All,
    /// Those of these names.
    Webhooks(BTreeSet<String>),
    /// Those of this group, of which those of these names run.
    Group(String, BTreeSet<String>),
}

impl Sight {
    /// Returns whether what goes by a webhook's name may be known of.
    #[must_use]
    pub fn has(&self, webhook: &str) -> bool {
        self.names().is_none_or(|names| names.contains(webhook))
    }

    /// Returns whether what defines a webhook may be known of, which need not be the one of its name that runs.
    pub(super) fn has_definition(&self, webhook: &str, group: Option<&str>) -> bool {
        match self {
            Self::Group(own, _) => group == Some(own),
            _ => self.has(webhook),
        }
    }

    /// Returns the names of webhooks that may be known of; `None` for all.
    pub(super) const fn names(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::All => None,
            Self::Webhooks(names) | Self::Group(_, names) => Some(names),
        }
    }
}

impl Caller {
    /// Returns a program on this host, which may do everything.
    #[must_use]
    pub fn local() -> Self {
        Self {
            token: None,
            role: Role::Admin,
            limit: None,
        }
    }

    /// Returns whether it may do what this role may.
    #[must_use]
    pub fn may(&self, role: Role) -> bool {
        self.role.includes(role)
    }

    /// Refuses a caller that may not use a route.
    pub(super) fn admit(&self, needs: Needs, limited: Limited) -> Result<(), Problem> {
        if let Needs::Role(role) = needs
            && !self.may(role)
        {
            let (own, least) = (self.role.name(), role.name());
            let detail = format!("the token's role is {own}, and this needs {least}");
            return Err(Problem::forbidden(detail));
        }
        if needs != Needs::Nothing && self.limit.is_some() && limited == Limited::Refused {
            let detail = "the token is limited to a group or a webhook, and this concerns more";
            return Err(Problem::forbidden(detail));
        }
        Ok(())
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.token {
            Some((_, name)) => f.write_str(name),
            None => f.write_str("loopback"),
        }
    }
}

impl Api {
    /// Returns which webhooks somebody may know of.
    ///
    /// # Errors
    /// The groups cannot be read.
    #[expect(
        clippy::unused_async,
        reason = "what groups there are need not be at hand for ever"
    )]
    pub async fn sight(&self, caller: &Caller) -> Result<Sight, Problem> {
        Ok(match &caller.limit {
            None => Sight::All,
            Some(Limit::Webhook(name)) => Sight::Webhooks(BTreeSet::from([name.clone()])),
            Some(Limit::Group(group)) => {
                Sight::Group(group.clone(), self.configured.catalogue.of_group(group))
            }
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // The guard of every route that needs something has put it there.
        let caller = parts.extensions.get().cloned();
        caller.ok_or_else(Problem::internal)
    }
}

/// Says of a change in the log who made it, on what, and what came of it.
pub fn audit<T>(caller: &Caller, what: &'static str, on: &str, outcome: &Result<T, Problem>) {
    let outcome = match outcome {
        Ok(_) => "done".to_owned(),
        Err(problem) => format!("{}: {}", problem.status().as_u16(), problem.detail()),
    };
    tracing::info!(target: "mqhook::audit", who = ?caller.to_string(), what, on = ?on, outcome, "change over the API");
}
