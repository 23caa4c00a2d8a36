//! The keys of a configuration, but for those of a webhook.

use std::cell::RefCell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytestring::ByteString;
use rustls::pki_types::pem;

use super::complaint::Complaint;
use super::hocon::Outside;
use super::network::{self, Network};
use super::problem::Problem;
use super::section::{Problems, Section};
use super::source::Span;
use super::value::{Table, Value};
use super::{
    Config, Group, admin, broker, debounce, delivery_log, devices, group, json::Surroundings,
    masked, nanomq, plugin, reason, retry, spool, webhook,
};
use crate::event::{Kind, KindSet, TopicName};
use crate::template::Publisher;
use crate::{dialect, tls};

const SECOND: Duration = Duration::from_secs(1);

/// What an operator must know who wonders why a file is not found.
pub(super) const RELATIVE_PATHS: &str =
    "a relative path starts at the folder of the configuration file";

/// What reading needs beside the table.
pub(super) struct Context<'a> {
    /// Relative paths begin here: the folder of the configuration file.
    pub(super) directory: &'a Path,
    pub(super) outside: &'a dyn Outside,
    /// The kinds that rules of enabled webhooks take, and where they say so.
    pub(super) wanted: RefCell<Vec<(Kind, Span)>>,
    /// The groups that webhooks may be of.
    pub(super) groups: RefCell<Vec<Group>>,
    /// What holds for webhooks that do not say otherwise.
    pub(super) network: RefCell<Network>,
    /// Whether it is known who published a message.
    pub(super) publisher: Publisher,
}

/// Reads a whole configuration, as far as it can be read.
pub(super) fn read(
    table: &Table,
    directory: &Path,
    outside: &dyn Outside,
) -> (Config, Vec<Problem>) {
    let problems = Problems::default();
    let mut config = Config::new();
    let mut root = Section::root(table, &problems);
    let context = Context {
        directory,
        outside,
        wanted: RefCell::default(),
        groups: RefCell::default(),
        network: RefCell::default(),
        publisher: plugin::publisher(&root),
    };
    let is_nanomq = nanomq::is_nanomq(table);
    if let Some(section) = root.section("network") {
        let network = network::read(section, &context);
        context.network.replace(network);
    }
    if is_nanomq {
        nanomq::read(&mut root, &context, &mut config);
    }
    own(&mut root, &context, &mut config);
    if !is_nanomq && !root.has("webhooks") {
        let problem = Problem::error(None, "no webhook is configured");
        root.report(problem.help("add a table `webhooks.<name>` with `url` and `events`; or an empty table `webhooks`, if all come over the API"));
    }
    spool::report_small_share(&root, &config);
    retry::report_outlasted(&root, &config);
    devices::report_memory(&root, &context, &config);
    debounce::report_memory(&root, &config);
    root.finish_with(|key| !(is_nanomq && nanomq::is_theirs(key, &problems)));
    config.written = masked::Written::of(table);
    config.surroundings = Surroundings {
        directory: directory.to_owned(),
        network: context.network.into_inner(),
        publisher: context.publisher,
        dialect: config.dialect,
    };
    let mut problems = problems.into_inner();
    problems.extend(untold(
        &context.wanted.into_inner(),
        config.dialect,
        context.publisher,
    ));
    (config, problems)
}

/// Reads mqhook's own keys.
fn own(root: &mut Section<'_>, context: &Context<'_>, config: &mut Config) {
    if let Some(section) = root.section("broker") {
        broker::read(section, context, config);
    }
    if let Some(section) = root.section("admin") {
        admin::read(section, &mut config.admin);
    }
    config.spool.backend = spool::default_backend(context);
    if let Some(section) = root.section("spool") {
        spool::read(section, context, config);
    }
    if let Some(section) = root.section("devices") {
        devices::read(section, &mut config.devices);
    }
    if let Some(section) = root.section("delivery_log") {
        delivery_log::read(section, config);
    }
    if let Some(section) = root.section("notify") {
        notify(section, config);
    }
    let help = "give each group a name: `groups.<name>`";
    if let Some(section) = root.section_or("groups", help) {
        config.groups = group::read_all(&section, context);
        context.groups.replace(config.groups.clone());
    }
    if let Some(mut section) = root.section("reload") {
        if let Some(watch) = section.bool("watch") {
            config.reload.watch = watch;
        }
        section.finish();
    }
    let help = "give each webhook a name: `webhooks.<name>`";
    if let Some(section) = root.section_or("webhooks", help) {
        webhooks(&section, context, config);
    }
    if let Some(grace) = root.duration("shutdown_grace", Duration::ZERO..=SECOND * 3_600) {
        config.shutdown_grace = grace;
    }
}

/// Whether connections to a place are secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UseOfTls {
    /// Its URL says so.
    Used,
    /// It does not: who writes a `tls` table all the same should be told.
    Unused,
    /// It does not, and that is known: `NanoMQ`'s own example is so.
    Foreseen,
}

/// Reads a `tls` table; files are looked at only where TLS is used.
pub(super) fn tls(
    mut section: Section<'_>,
    context: &Context<'_>,
    use_of_tls: UseOfTls,
) -> tls::Config {
    let mut config = tls::Config::default();
    let file = |text: &str| Ok::<PathBuf, Complaint>(path(text, context));
    config.ca_file = section.parse("cacertfile", file);
    config.cert_file = section.parse("certfile", file);
    config.key_file = section.parse("keyfile", file);
    if let Some(verify) = section.bool("verify") {
        config.verify = verify;
    }
    match use_of_tls {
        UseOfTls::Used => report_tls(&section, &config),
        UseOfTls::Unused => {
            let message = format!("`{}` has no effect", section.name());
            let problem = Problem::warning(section.span(), message);
            section.report(problem.help("the URL must begin with https://, mqtts:// or wss://"));
        }
        UseOfTls::Foreseen => {}
    }
    section.finish();
    match use_of_tls {
        UseOfTls::Used => config,
        // Files that are of no use must not be looked for later either.
        UseOfTls::Unused | UseOfTls::Foreseen => tls::Config::default(),
    }
}

fn report_tls(section: &Section<'_>, config: &tls::Config) {
    let files = [
        ("cacertfile", &config.ca_file),
        ("certfile", &config.cert_file),
        ("keyfile", &config.key_file),
    ];
    let mut are_readable = true;
    for (key, path) in files {
        let Some(path) = path else { continue };
        if let Err(error) = File::open(path) {
            are_readable = false;
            let message = format!("cannot read {}: {}", path.display(), reason(&error));
            let complaint = Complaint::new(message).help(RELATIVE_PATHS);
            section.report_about(key, complaint);
        }
    }
    if are_readable && let Err(error) = config.client() {
        let complaint = Complaint::new(format!("cannot {error}{}", cause(&error)));
        section.report_about(error.key(), complaint);
    }
}

/// Returns why TLS cannot be set up, to be appended to what could not be done.
fn cause(error: &tls::Error) -> String {
    let source = std::error::Error::source(error);
    match source.map(|source| (source, source.downcast_ref::<pem::Error>())) {
        Some((_, Some(pem::Error::NoItemsFound))) => ": there is none in PEM format".to_owned(),
        Some((_, Some(pem::Error::Io(error)))) => format!(": {}", reason(error)),
        Some((source, _)) => format!(": {source}"),
        None => String::new(),
    }
}

fn notify(mut section: Section<'_>, config: &mut Config) {
    let topic = section.parse("topic", |text| {
        if text.is_empty() {
            return Ok(None);
        }
        let topic = TopicName::try_from(ByteString::from(text))
            .map_err(|error| Complaint::new(error.to_string()))?;
        broker::for_brokers(text)?;
        if topic.is_reserved() {
            return Err(Complaint::new(
                "topics that begin with `$` are the broker's own",
            ));
        }
        Ok(Some(topic))
    });
    if let Some(topic) = topic {
        config.notify.topic = topic;
    }
    section.finish();
}

fn webhooks(section: &Section<'_>, context: &Context<'_>, config: &mut Config) {
    for (name, entry) in section.entries() {
        match &entry.node.value {
            Value::Table(table) => {
                if !group::is_name(name) {
                    let complaint = Complaint::new("it is no name of a webhook");
                    let complaint = complaint.help(group::NAME_HELP);
                    section.report(complaint.about(&section.path(name), entry.key_span));
                }
                let is_taken = config.webhooks.iter().any(|webhook| webhook.name == name);
                if is_taken {
                    section.report(nanomq::second_of_name(entry.key_span));
                }
                let part = section.part(name, table, entry.key_span);
                let webhook = webhook::read(part, name, context);
                config.webhooks.extend(webhook.filter(|_| !is_taken));
            }
            other => {
                let complaint = Complaint::wrong_type("a table", other)
                    .help("a webhook is a table with `url` and `events`");
                section.report(complaint.about(&section.path(name), entry.node.span));
            }
        }
    }
}

/// Returns a path of the configuration, relative to its file.
pub(super) fn path(text: &str, context: &Context<'_>) -> PathBuf {
    context.directory.join(text)
}

/// Returns warnings for the kinds that some rule wants and the configured dialect never tells;
/// for each, the first such rule.
pub(super) fn untold(
    wanted: &[(Kind, Span)],
    name: Option<dialect::Name>,
    publisher: Publisher,
) -> Vec<Problem> {
    let tells = |name: dialect::Name, kind: Kind| {
        let dialect = name.decoder();
        let has_plugin = publisher == Publisher::Told;
        name.tells(kind) || (has_plugin && dialect.plugin_kinds().contains(kind))
    };
    let told = |kind: Kind| match name {
        Some(name) => tells(name, kind),
        None => dialect::Name::ALL.iter().any(|&name| tells(name, kind)),
    };
    let mut seen = KindSet::of(&[Kind::MessagePublish]);
    let mut problems = Vec::new();
    for &(kind, span) in wanted {
        if !seen.contains(kind) && !kind.is_notice() && !kind.is_of_application() && !told(kind) {
            problems.push(Problem::warning(span, dialect::untold(kind, name)));
        }
        seen.insert(kind);
    }
    problems
}
