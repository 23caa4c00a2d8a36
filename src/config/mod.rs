//! Configuration: from a file, HOCON or TOML, to what every component wants to know.
//!
//! ```text
//! text --hocon or toml--> tree of values with places --schema--> Config, and every problem
//! ```
//!
//! Both readers make the same tree, and [`schema`] reads it, so that a key means the same in
//! both. Nothing stops at the first problem: a file's problems are all reported at once, each
//! with line, column and what was probably meant. Defaults are the components' own.
//! `NanoMQ`'s configuration file is understood as it is: see [`nanomq`].

pub mod hocon;
mod nanomq;
pub mod problem;
mod render;
mod schema;
mod section;
pub mod source;
pub mod toml;
mod units;
pub mod value;
mod webhook;

use std::path::Path;
use std::time::Duration;

use crate::rule::Rule;
use crate::{dialect, dispatch, http, mqtt, spool};

use hocon::Outside;
use problem::{Problem, Severity};
use source::Sources;

/// A whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The broker.
    pub broker: mqtt::Config,
    /// How the broker tells of its clients; `None`: find out.
    pub dialect: Option<dialect::Name>,
    /// Whether retained messages that the broker sends at a subscription are events; default no.
    pub retained: bool,
    /// The admin listener.
    pub admin: Admin,
    /// What may wait.
    pub spool: spool::Config,
    /// The webhooks, in the order of the file; those with `enable = false` are not among them.
    pub webhooks: Vec<Webhook>,
    /// How long deliveries may go on after SIGTERM; default 10 s.
    pub shutdown_grace: Duration,
}

/// Where the admin API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Address and port; `None`, written as the empty string, for no API. Default 127.0.0.1:9883.
    pub listen: Option<std::net::SocketAddr>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: Some(([127, 0, 0, 1], 9883).into()),
        }
    }
}

/// One webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its name, which logs and metrics show.
    pub name: String,
    /// Which events it takes.
    pub rules: Vec<Rule>,
    /// How requests are made.
    pub http: http::Config,
    /// How deliveries are attempted again.
    pub retry: crate::backoff::Backoff,
}

impl Webhook {
    /// Returns a webhook with the defaults and no rule.
    #[must_use]
    pub fn new(name: impl Into<String>, url: http::Target) -> Self {
        Self {
            name: name.into(),
            rules: Vec::new(),
            http: http::Config::new(url),
            retry: dispatch::Config::RETRY,
        }
    }
}

impl Config {
    /// Returns the defaults, with a broker on this host and no webhook.
    ///
    /// # Panics
    /// Never: the default URL is one.
    #[must_use]
    pub fn new() -> Self {
        let url = "mqtt://127.0.0.1:1883".parse().expect("it is a URL");
        Self {
            broker: mqtt::Config::new(url),
            dialect: None,
            retained: false,
            admin: Admin::default(),
            spool: spool::Config::default(),
            webhooks: Vec::new(),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Reading {
    /// The configuration, if nothing is wrong that keeps it from running.
    pub config: Option<Config>,
    problems: Vec<Problem>,
    sources: Sources,
}

impl Reading {
    /// Returns all that is wrong, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns how many problems are of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let of_it = |problem: &&Problem| problem.severity == severity;
        self.problems.iter().filter(of_it).count()
    }

    /// Writes the problems for a person, each with its place in the file.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        render::problems(&self.problems, &self.sources, colour)
    }
}

/// Reads a configuration file; its name ends in `.toml` for TOML, and in anything else for HOCON.
///
/// A file that cannot be read is a problem like any other.
pub fn load(path: &Path, outside: &dyn Outside) -> Reading {
    let text = match outside.read(path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            return Reading {
                config: None,
                problems: vec![Problem::error(None, message)],
                sources: Sources::default(),
            };
        }
    };
    let mut sources = Sources::default();
    let root = sources.add(path.display().to_string(), text);
    let is_toml = path
        .extension()
        .is_some_and(|extension| extension == "toml");
    let (table, mut problems) = if is_toml {
        toml::parse(&sources, root, outside)
    } else {
        hocon::parse(&mut sources, root, outside)
    };
    let is_error = |problem: &Problem| problem.severity == Severity::Error;
    let mut config = None;
    if !problems.iter().any(is_error) {
        let directory = path.parent().unwrap_or(Path::new(""));
        let (read, found) = schema::read(&table, directory, outside);
        problems.extend(found);
        config = (!problems.iter().any(is_error)).then_some(read);
    }
    problems.sort_by_key(|problem| problem.span.map(|span| (span.source, span.start)));
    Reading {
        config,
        problems,
        sources,
    }
}
