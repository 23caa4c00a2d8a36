//! `mqhook run`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use super::reload::Files;
use crate::admin;
use crate::app::{self, App};
use crate::config::{Config, Webhook};
use crate::credential::Secret;
use crate::event::{Kind, TopicFilter};
use crate::http::Target;
use crate::mqtt::BrokerUrl;
use crate::rule::Rule;
use crate::spool::Backend;
use crate::tls;

/// How long tasks of the operating system's that cannot be cancelled may hold up the end.
const LAST_TASKS: Duration = Duration::from_millis(100);

/// How long a broker keeps what a command line has subscribed to while its connection is lost.
const SESSION_EXPIRY: Duration = Duration::from_mins(5);

/// The name of the webhook that the command line makes.
const WEBHOOK: &str = "post";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Configuration file: TOML if its name ends in .toml, otherwise HOCON (nanomq.conf included).
    #[arg(
        short,
        long,
        value_name = "FILE",
        required_unless_present = "post",
        conflicts_with_all = ["broker", "post", "topic", "event", "username", "password_file"]
    )]
    config: Option<PathBuf>,

    /// How the log is written to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,

    /// What is logged: a level (error, warn, info, debug), or a filter of tracing's syntax.
    #[arg(
        long,
        default_value = "info",
        env = "MQHOOK_LOG",
        value_name = "FILTER"
    )]
    log: String,

    // The last one, as what comes behind would have its heading.
    #[command(flatten)]
    quick: Quick,
}

/// A configuration by command line.
#[derive(Debug, Args)]
#[command(next_help_heading = "Without a file")]
struct Quick {
    /// The broker: mqtt://, mqtts://, ws://, wss:// or unix://
    #[arg(long, value_name = "URL", default_value = "mqtt://127.0.0.1:1883")]
    broker: BrokerUrl,

    /// Where to post events to.
    #[arg(long, value_name = "URL")]
    post: Option<Target>,

    /// Post messages published under this topic filter; may be repeated. Default: all messages,
    /// unless --event is given.
    #[arg(long, value_name = "FILTER", value_parser = topic_filter)]
    topic: Vec<TopicFilter>,

    /// Post events of this kind, such as `on_client_connected`; may be repeated.
    #[arg(long, value_name = "EVENT", value_parser = kind)]
    event: Vec<Kind>,

    /// User name at the broker.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,

    /// File that holds the password at the broker.
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

pub(super) fn topic_filter(text: &str) -> Result<TopicFilter, String> {
    TopicFilter::try_from(text).map_err(|error| error.to_string())
}

pub(super) fn kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|()| {
        let known = Kind::ALL.map(Kind::name).join(", ");
        format!("it is not an event; the events are {known}")
    })
}

/// Runs until a signal.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let files = arguments.config.as_deref().map(Files::new);
    let config = match (&arguments.config, &files) {
        (Some(path), Some(files)) => super::usable(path, files.read()),
        _ => arguments.quick.config().map_err(|error| {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }),
    };
    let config = match config {
        Ok(config) => config,
        Err(status) => return status,
    };
    if let Err(error) = start_log(arguments) {
        eprintln!("error: {error:#}");
        return ExitCode::from(2);
    }
    match run(&config, files) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "mqhook cannot run");
            status_of(&error)
        }
    }
}

/// Returns the exit status: systemd need not try again what only another configuration, or a token, mends.
fn status_of(error: &anyhow::Error) -> ExitCode {
    use admin::Error::{NoToken, NoTokenInMemory};
    match error.downcast_ref() {
        Some(app::Error::Admin(NoToken { .. } | NoTokenInMemory { .. })) => {
            ExitCode::from(super::EXIT_CONFIG)
        }
        _ => ExitCode::FAILURE,
    }
}

impl Quick {
    fn config(&self) -> Result<Config> {
        if let Some(kind) = self.event.iter().find(|kind| kind.is_device()) {
            bail!("{kind} needs a configuration file, as devices are remembered on disk");
        }
        let mut config = Config::new();
        config.broker.url = self.broker.clone();
        config.broker.username.clone_from(&self.username);
        if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let password = Secret::in_file(path.clone(), &text);
            let password = password.with_context(|| format!("cannot use {}", path.display()))?;
            config.broker.password = Some(password.into());
        }
        // Another mqhook may run here, whose session this one must neither take over nor drop.
        config.broker.client_id = format!("mqhook-{:06x}", rand::random::<u32>() >> 8);
        // Nobody remembers what an earlier command line subscribed to, and nobody comes back to its session.
        config.broker.clean_start = true;
        config.broker.session_expiry = SESSION_EXPIRY;
        // What only a command line remembers is not worth a directory.
        config.spool.backend = Backend::Memory;
        // Two of them on one host shall not fight for a port that nobody asked for.
        config.admin.listen = None;
        if let Some(url) = &self.post {
            let mut webhook = Webhook::new(WEBHOOK, url.clone());
            webhook.rules = self.rules();
            config.webhooks.push(webhook);
        }
        Ok(config)
    }

    fn rules(&self) -> Vec<Rule> {
        let message = |topic: TopicFilter| Rule::new(Kind::MessagePublish, topic);
        let event = |kind: &Kind| Rule::new(*kind, TopicFilter::all());
        let mut rules: Vec<Rule> = self.topic.iter().cloned().map(message).collect();
        rules.extend(self.event.iter().map(event));
        if rules.is_empty() {
            rules.push(message(TopicFilter::all()));
        }
        rules
    }
}

fn start_log(arguments: &Arguments) -> Result<()> {
    // What the MQTT library has to say is said again, better, by the connection.
    let filter = format!("rumqttc=off,{}", arguments.log);
    let filter = EnvFilter::try_new(filter).context("--log is not a filter")?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match arguments.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

fn run(config: &Config, files: Option<Arc<Files>>) -> Result<()> {
    tls::install_provider();
    // One thread carries more events than brokers send, for the least CPU; what takes long is done
    // by others.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        let _handled = survive_file_size_limit()?;
        let app = App::new(config)?;
        if let Some(address) = app.admin_address() {
            info!(%address, "admin API");
        }
        if let Some(address) = app.metrics_address() {
            info!(%address, "/metrics, /live and /ready, for everybody");
        }
        let stop = CancellationToken::new();
        let live = app.live();
        if let Some(files) = &files {
            live.set_source(files.source());
        }
        let reload = Arc::new(Notify::new());
        let signals = signals(stop.clone(), Arc::clone(&reload))?;
        tokio::spawn(signals);
        tokio::spawn(super::reload::follow(live, reload, files));
        tell_systemd(&[NotifyState::Ready]);
        if let Some(every) = sd_notify::watchdog_enabled() {
            tokio::spawn(feed_watchdog(every / 2));
        }
        app.run(stop).await?;
        info!("stopped");
        Ok(())
    });
    // A look-up that hangs shall not hold up the end.
    runtime.shutdown_timeout(LAST_TASKS);
    ended
}

/// Stops in order at the first SIGTERM or SIGINT, and at once at the second; SIGHUP requests to `reload`.
fn signals(stop: CancellationToken, reload: Arc<Notify>) -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hang_up.recv() => {
                    // One more while one is under way has the file read once more.
                    reload.notify_one();
                    continue;
                }
            }
            if stop.is_cancelled() {
                warn!("second signal: stopping at once");
                std::process::exit(1);
            }
            tell_systemd(&[NotifyState::Stopping]);
            stop.cancel();
        }
    })
}

/// Has a write beyond the limit for the size of files (`LimitFSIZE=`, `ulimit -f`) fail, like one on
/// a full disk, instead of ending the process. Lasts for the whole process.
fn survive_file_size_limit() -> Result<Signal> {
    let kind = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    signal(kind).context("cannot handle SIGXFSZ")
}

/// Tells systemd that the runtime still turns.
async fn feed_watchdog(every: std::time::Duration) {
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        tell_systemd(&[NotifyState::Watchdog]);
    }
}

/// Tells systemd, if it listens.
pub(super) fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot tell systemd");
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn config() -> Config {
        let line = Line::parse_from(["mqhook", "--post", "http://h/"]);
        line.arguments.quick.config().expect("it is good")
    }

    #[test]
    fn a_command_line_leaves_the_sessions_of_others_alone() {
        let [one, other] = [config(), config()];
        let usual = Config::new().broker.client_id;
        assert!(one.broker.client_id.starts_with("mqhook-"));
        assert_ne!(one.broker.client_id, other.broker.client_id);
        assert_ne!(one.broker.client_id, usual);
    }
}
