//! The keys of a configuration, but for those of a webhook.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use super::hocon::Outside;
use super::problem::Problem;
use super::section::{Complaint, Problems, Section};
use super::value::Table;
use super::{Config, nanomq, webhook};
use crate::event::{Kind, KindSet};
use crate::rule::Rules;
use crate::{dialect, mqtt, tls};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What reading needs beside the table.
pub(super) struct Context<'a> {
    /// Relative paths begin here: the folder of the configuration file.
    pub(super) directory: &'a Path,
    pub(super) outside: &'a dyn Outside,
}

/// Reads a whole configuration, as far as it can be read.
pub(super) fn read(
    table: &Table,
    directory: &Path,
    outside: &dyn Outside,
) -> (Config, Vec<Problem>) {
    let problems = Problems::default();
    let context = Context { directory, outside };
    let mut config = Config::new();
    let mut root = Section::root(table, &problems);
    let is_nanomq = nanomq::is_nanomq(&root);
    if is_nanomq {
        nanomq::read(&mut root, &context, &mut config);
    }
    if let Some(section) = root.section("broker") {
        broker(section, &context, &mut config);
    }
    if let Some(section) = root.section("admin") {
        admin(section, &mut config);
    }
    if let Some(section) = root.section("spool") {
        spool(section, &mut config);
    }
    if let Some(section) = root.section("webhooks") {
        webhooks(&section, &context, &mut config);
    }
    if let Some(grace) = root.duration("shutdown_grace", Duration::ZERO..=SECOND * 3_600) {
        config.shutdown_grace = grace;
    }
    if !is_nanomq && !root.has("webhooks") {
        let problem = Problem::error(None, "no webhook is configured");
        root.report(problem.help("add a table `[webhooks.<name>]` with `url` and `events`"));
    }
    root.finish_ignoring(|key| is_nanomq && nanomq::is_section(key));
    let mut problems = problems.into_inner();
    problems.extend(untold(&config));
    (config, problems)
}

fn broker(mut section: Section<'_>, context: &Context<'_>, config: &mut Config) {
    let broker = &mut config.broker;
    if let Some(url) = section.parse("url", str::parse::<mqtt::BrokerUrl>) {
        broker.url = url;
    }
    let dialects: Vec<(&str, Option<dialect::Name>)> = std::iter::once(("auto", None))
        .chain(dialect::Name::ALL.map(|name| (name.as_str(), Some(name))))
        .collect();
    if let Some(dialect) = section.choice("dialect", &dialects) {
        config.dialect = dialect;
    }
    if let Some(client_id) = section.parse("client_id", client_id) {
        broker.client_id = client_id;
    }
    broker.username = section.string("username");
    broker.password = password(&mut section, context);
    if broker.password.is_some() && broker.username.is_none() {
        let problem = Problem::error(section.span(), "`broker.username` is missing");
        section.report(problem.help("a password goes with a user name (MQTT 3.1.1, 3.1.2.9)"));
    }
    let protocols = [
        ("auto", None),
        ("5", Some(mqtt::Protocol::V5)),
        ("3.1.1", Some(mqtt::Protocol::V4)),
    ];
    if let Some(protocol) = section.choice("protocol", &protocols) {
        broker.protocol = protocol;
    }
    if let Some(keep_alive) = section.duration("keep_alive", SECOND * 5..=SECOND * 65_535) {
        broker.keep_alive = keep_alive;
    }
    if let Some(expiry) = section.duration("session_expiry", Duration::ZERO..=DAY * 365) {
        broker.session_expiry = expiry;
    }
    if let Some(maximum) = section.integer("receive_maximum", 1..=65_535) {
        broker.receive_maximum = u16::try_from(maximum).unwrap_or(u16::MAX);
    }
    if let Some(size) = section.bytes("max_packet_size", 1_024..=268_435_455) {
        broker.max_packet_size = u32::try_from(size).unwrap_or(u32::MAX);
    }
    if let Some(timeout) = section.duration("connect_timeout", SECOND..=SECOND * 600) {
        broker.connect_timeout = timeout;
    }
    if let Some(retained) = section.bool("retained") {
        config.retained = retained;
    }
    if let Some(section) = section.section("tls") {
        broker.tls = tls(section, context, broker.url.transport.is_tls());
    }
    section.finish();
}

/// mqhook appends to the client identifier, and brokers must accept 23 bytes, but nearly all accept more.
fn client_id(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        Err("it must have 1 to 256 characters, none of them a control character")
    } else {
        Ok(text.to_owned())
    }
}

fn password(section: &mut Section<'_>, context: &Context<'_>) -> Option<SecretString> {
    let value = section.string("password").map(SecretString::from);
    let file = section.read("password_file", |node| {
        let path = path(super::section::text(node)?, context);
        let text = context
            .outside
            .read(&path)
            .map_err(|error| Complaint::new(format!("cannot read {}: {error}", path.display())))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Ok(SecretString::from(line.strip_suffix('\r').unwrap_or(line)))
    });
    if section.has("password") && section.has("password_file") {
        let problem = Problem::error(
            section.span(),
            format!(
                "both `{}` and `{}`",
                section.path("password"),
                section.path("password_file")
            ),
        );
        section.report(problem.help("give one of them"));
    }
    file.or(value)
}

/// Reads a `tls` table; files are looked at only where TLS is used.
pub(super) fn tls(mut section: Section<'_>, context: &Context<'_>, is_used: bool) -> tls::Config {
    let mut config = tls::Config::default();
    let file = |text: &str| Ok::<PathBuf, String>(path(text, context));
    config.ca_file = section.parse("cacertfile", file);
    config.cert_file = section.parse("certfile", file);
    config.key_file = section.parse("keyfile", file);
    if let Some(verify) = section.bool("verify") {
        config.verify = verify;
    }
    if is_used {
        report_tls(&mut section, &config);
    } else {
        let path = section.path("");
        let message = format!("`{}` is not used", path.trim_end_matches('.'));
        let problem = Problem::warning(section.span(), message);
        section.report(problem.help("the URL does not ask for TLS"));
    }
    section.finish();
    config
}

fn report_tls(section: &mut Section<'_>, config: &tls::Config) {
    let Err(error) = config.client() else {
        return;
    };
    let span = section.entry(error.key()).map(|entry| entry.node.span);
    let cause = std::error::Error::source(&error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    let message = format!("`{}`: cannot {error}{cause}", section.path(error.key()));
    section.report(Problem::error(span.or(section.span()), message));
}

fn admin(mut section: Section<'_>, config: &mut Config) {
    let listen = section.parse("listen", |text| {
        if text.is_empty() {
            return Ok(None);
        }
        text.parse::<SocketAddr>()
            .map(Some)
            .map_err(|_| "it must be an address with a port, such as 127.0.0.1:9883, or empty")
    });
    if let Some(listen) = listen {
        config.admin.listen = listen;
    }
    section.finish();
}

fn spool(mut section: Section<'_>, config: &mut Config) {
    section.choice("backend", &[("memory", ())]);
    if let Some(size) = section.bytes("max_bytes", 65_536..=1 << 40) {
        config.spool.max_bytes = usize::try_from(size).unwrap_or(usize::MAX);
    }
    section.finish();
}

fn webhooks(section: &Section<'_>, context: &Context<'_>, config: &mut Config) {
    for (name, entry) in section.entries() {
        let node = &entry.node;
        match &node.value {
            super::value::Value::Table(table) => {
                let part = section.part(name, table, node.span);
                config.webhooks.extend(webhook::read(part, name, context));
            }
            other => {
                let complaint = Complaint::wrong_type("a table", other);
                section.report(complaint.about(&section.path(name), node.span));
            }
        }
    }
}

/// Returns a path of the configuration, relative to its file.
fn path(text: &str, context: &Context<'_>) -> PathBuf {
    context.directory.join(text)
}

/// Returns warnings for the kinds that some rule wants and the configured dialect never tells.
fn untold(config: &Config) -> Vec<Problem> {
    let rules = config
        .webhooks
        .iter()
        .map(|webhook| webhook.rules.as_slice());
    let wanted = Rules::compile(rules).lifecycle_kinds();
    let Some(name) = config.dialect else {
        let told = dialect::Name::ALL.map(|name| name.decoder().kinds());
        let never = Kind::ALL
            .into_iter()
            .filter(|kind| wanted.contains(*kind) && !told.iter().any(|set| set.contains(*kind)));
        return never
            .map(|kind| dialect::untold(kind, None))
            .map(warning)
            .collect();
    };
    let kinds: KindSet = wanted.without(name.decoder().kinds());
    kinds
        .iter()
        .map(|kind| dialect::untold(kind, Some(name)))
        .map(warning)
        .collect()
}

fn warning(message: String) -> Problem {
    Problem::warning(None, message)
}
