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

mod admin;
mod auth;
mod body;
mod broker;
mod complaint;
mod credential;
mod debounce;
mod delivery_log;
mod devices;
pub mod draft;
pub mod group;
mod guard;
pub mod hocon;
pub mod import;
pub mod json;
pub mod masked;
mod nanomq;
mod network;
mod parsed;
mod plugin;
pub mod problem;
mod render;
mod retry;
mod scalar;
mod schema;
mod secret;
mod section;
mod shaping;
mod sign;
pub mod source;
mod spool;
mod templates;
pub mod toml;
mod units;
pub mod value;
mod webhook;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::dispatch::Shaping;
use crate::event::TopicName;
use crate::retry::{FailureLimit, Policy, breaker};
use crate::rule::Rule;
use crate::{dialect, http, mqtt};

pub use group::Group;
use hocon::Outside;
use parsed::Parsed;
use problem::{Problem, Severity};
use source::{SourceId, Sources, Span};
pub use units::read_duration;

/// A whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The broker.
    pub broker: mqtt::Config,
    /// How the broker tells of its clients; `None`: find out.
    pub dialect: Option<dialect::Name>,
    /// The key of mqhook's plugin for the broker, which says who published a message; `None`, the default:
    /// there is no plugin.
    pub plugin_key: Option<mqhook_seal::Key>,
    /// Whether retained messages that the broker sends at a subscription are events; default no.
    pub retained: bool,
    /// The admin listener.
    pub admin: Admin,
    /// What may wait, and where.
    pub spool: crate::spool::Config,
    /// Which clients are remembered.
    pub devices: crate::devices::Config,
    /// The scopes that webhooks share, in the order of the file.
    pub groups: Vec<Group>,
    /// What of deliveries is remembered.
    pub delivery_log: crate::delivery_log::Config,
    /// Who is told of webhooks that fail.
    pub notify: Notify,
    /// When the configuration is read again.
    pub reload: Reload,
    /// The webhooks, in the order of the file; those with `enable = false` are not among them.
    pub webhooks: Vec<Webhook>,
    /// How long deliveries may go on after SIGTERM; default 10 s.
    pub shutdown_grace: Duration,
    /// What is written of webhooks and groups, without secrets.
    pub written: masked::Written,
    /// What definitions that come later depend on.
    pub surroundings: json::Surroundings,
}

/// Where the admin API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Address and port; `None`, written as the empty string, for no API. Default 127.0.0.1:9883.
    pub listen: Option<std::net::SocketAddr>,
    /// Where `/metrics`, `/live` and `/ready` alone are served, to everybody; `None`, written as the empty string,
    /// for nowhere, which is the default.
    pub metrics_listen: Option<std::net::SocketAddr>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: Some(([127, 0, 0, 1], 9883).into()),
            metrics_listen: None,
        }
    }
}

/// When the configuration is read again, beside when somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reload {
    /// Whether it is when its file, or one that it includes, has changed; default no.
    pub watch: bool,
}

/// Who is told when a webhook is disabled or a delivery is given up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notify {
    /// The topic at the broker that notices are published to; `None`, written as the empty string, for
    /// no notices, which is the default.
    pub topic: Option<TopicName>,
}

/// One webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Its name, which logs and metrics show.
    pub name: String,
    /// The group that it is of.
    pub group: Option<String>,
    /// Which events it takes.
    pub rules: Vec<Rule>,
    /// How requests are made.
    pub http: http::Config,
    /// Whether its deliveries survive a crash of mqhook, as far as the spool does; default yes. Those
    /// of a webhook that is not durable are never written, hold back no PUBACK, and are dropped, and
    /// counted, when there is no memory left for them.
    pub durable: bool,
    /// How deliveries are attempted again.
    pub retry: Policy,
    /// When it is left alone for a while.
    pub breaker: breaker::Config,
    /// When it is disabled; default never.
    pub failure_limit: FailureLimit,
    /// In which order, how many at once and how often.
    pub shaping: Shaping,
}

impl Webhook {
    /// Returns a webhook with the defaults and no rule.
    #[must_use]
    pub fn new(name: impl Into<String>, url: http::Target) -> Self {
        Self {
            name: name.into(),
            group: None,
            rules: Vec::new(),
            http: http::Config::new(url),
            durable: true,
            retry: Policy::default(),
            breaker: breaker::Config::default(),
            failure_limit: FailureLimit::default(),
            shaping: Shaping::default(),
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
            plugin_key: None,
            retained: false,
            admin: Admin::default(),
            spool: crate::spool::Config::default(),
            devices: crate::devices::Config::default(),
            groups: Vec::new(),
            delivery_log: crate::delivery_log::Config::default(),
            notify: Notify::default(),
            reload: Reload::default(),
            webhooks: Vec::new(),
            shutdown_grace: Duration::from_secs(10),
            written: masked::Written::default(),
            surroundings: json::Surroundings::default(),
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
    /// Where secrets are written.
    secrets: Vec<Span>,
}

/// A problem in words; says no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The file, the line and the column; `None` for what is missing.
    pub place: Option<String>,
    /// What is wrong, naming the key.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

impl Reading {
    /// Returns all that is wrong, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns the files that were read, the main one first; none if that could not be.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let names = self
            .sources
            .texts()
            .map(|(id, _)| &self.sources.get(id).name);
        names.map(PathBuf::from).collect()
    }

    /// Returns the problems of this severity, each in words.
    #[must_use]
    pub fn listed(&self, severity: Severity) -> Vec<Listed> {
        let of_it = |problem: &&Problem| problem.severity == severity;
        let listed = |problem: &Problem| Listed {
            place: problem.span.map(|span| self.sources.place(span)),
            message: problem.message.clone(),
            help: problem.help.clone(),
        };
        self.problems.iter().filter(of_it).map(listed).collect()
    }

    /// Returns how many problems are of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let of_it = |problem: &&Problem| problem.severity == severity;
        self.problems.iter().filter(of_it).count()
    }

    /// Writes the problems for a person, each with its place in the file; asterisks stand for
    /// passwords, the values of headers, and what is secret in URLs.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let sources = self.sources.without(&self.secrets);
        render::problems(&self.problems, &sources, colour)
    }
}

/// Reads a configuration file; its name ends in `.toml` for TOML, and in anything else for HOCON.
///
/// A file that cannot be read is a problem like any other.
pub fn load(path: &Path, outside: &dyn Outside) -> Reading {
    let mut sources = Sources::default();
    let text = match outside.read(path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read {}: {}", path.display(), reason(&error));
            return Reading {
                config: None,
                problems: vec![Problem::error(None, message)],
                sources,
                secrets: Vec::new(),
            };
        }
    };
    let root = sources.add(path.display().to_string(), text);
    let mut parsed = parse(&mut sources, root, path, outside);
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut secrets = secret::credentials(&parsed.table);
    for problem in &mut parsed.syntax {
        // What a reader says about a text quotes it, unless that is in quotes and understood.
        let is_at = |secret: &Span| problem.span.is_some_and(|span| span.touches(*secret));
        let is_quoted = problem.severity == Severity::Warning
            && problem
                .span
                .is_some_and(|span| sources.starts_with(span, '"'));
        if !is_quoted && problem.help.is_some() && secrets.iter().any(is_at) {
            problem.help = Some("put the value into quotes".to_owned());
        }
    }
    let table = parsed.table.clone();
    let (config, mut problems) = understand(parsed, directory, outside);
    secrets.extend(secret::values_of_strange_keys(&table, &problems));
    if !problems.is_empty() {
        let in_urls = secret::in_urls(&table, &sources);
        secret::unsay(&mut problems, &in_urls, &sources);
        secrets.extend(in_urls);
    }
    problems.sort_by_key(|problem| problem.span.map(|span| (span.source, span.start)));
    Reading {
        config: (!has_error(&problems)).then_some(config),
        problems,
        sources,
        secrets,
    }
}

/// Returns what a text says, in the format that its file's name tells.
fn parse(sources: &mut Sources, root: SourceId, path: &Path, outside: &dyn Outside) -> Parsed {
    let extension = path.extension();
    if extension.is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
        toml::read(sources, root, outside)
    } else {
        hocon::read(sources, root, outside)
    }
}

/// Returns what the values mean, as far as they could be read, and all that is wrong.
fn understand(
    mut parsed: Parsed,
    directory: &Path,
    outside: &dyn Outside,
) -> (Config, Vec<Problem>) {
    if let Some(problem) = nanomq::old_format(&parsed.table) {
        return (Config::new(), vec![problem]);
    }
    if nanomq::is_nanomq(&parsed.table) {
        nanomq::forget_foreign(&mut parsed);
    }
    let is_torn = !parsed.torn.is_empty() && has_error(&parsed.syntax);
    let known: Vec<Problem> = parsed
        .syntax
        .iter()
        .chain(&parsed.values)
        .cloned()
        .collect();
    let (table, mut problems) = parsed.into_parts();
    if is_torn {
        return (Config::new(), problems);
    }
    let (config, found) = schema::read(&table, directory, outside);
    let errors: Vec<&Problem> = known.iter().filter(|problem| is_error(problem)).collect();
    problems.extend(found.into_iter().filter(|problem| {
        // Where a value could not be read, nothing else that is said about it helps.
        let is_consequence = |error: &&Problem| match (problem.span, error.span) {
            (Some(place), Some(broken)) => broken.touches(place),
            (place, _) => place.is_none(),
        };
        !errors.iter().any(is_consequence)
    }));
    (config, problems)
}

fn has_error(problems: &[Problem]) -> bool {
    problems.iter().any(is_error)
}

fn is_error(problem: &Problem) -> bool {
    problem.severity == Severity::Error
}

/// Returns why a file cannot be read, in words.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8".to_owned(),
        io::ErrorKind::FileTooLarge => format!("it is larger than {} MiB", hocon::MAX_BYTES >> 20),
        _ => error.to_string(),
    }
}
