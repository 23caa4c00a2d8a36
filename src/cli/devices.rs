//! `mqhook devices`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};

use super::output::{Output, Record, Table, count, escape};
use super::place::{Place, Spool};
use super::time;
use crate::event::{Id, Reason, Status, Timestamp};
use crate::spool::store::{DeviceFilter, DeviceRow};

/// Devices that one query reads.
const PAGE: usize = 500;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the devices, in the order in which they were first accepted.
    List(List),
    /// Say all that is known of one.
    Show(Show),
    /// Have devices forgotten; each makes an `on_device_decommissioned`.
    ///
    /// A running mqhook tells it within a second; otherwise it is told at its next start. One that
    /// connects again is a new device.
    Remove(Remove),
}

#[derive(Debug, Args)]
#[command(after_help = KEYS)]
struct List {
    /// Those with this status.
    #[arg(long)]
    status: Option<Shown>,

    /// Those of which nothing was heard since this time: RFC 3339, or a duration such as 30d for that long ago.
    #[arg(long, value_name = "TIME", value_parser = time_from_now)]
    not_seen_since: Option<Timestamp>,

    /// At most so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Write one JSON object per device, in a line each.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = KEYS)]
struct Show {
    /// Its client identifier.
    #[arg(value_name = "CLIENT_ID")]
    id: String,

    /// Write one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Remove {
    /// Their client identifiers.
    #[arg(value_name = "CLIENT_ID", required = true)]
    ids: Vec<String>,

    #[command(flatten)]
    place: Place,
}

const KEYS: &str = "\
Keys of a JSON object:
  client_id   the client identifier
  status      connected, disconnected, refused, or unknown: mqhook has not listened all the time since
              it heard of it last
  since       since when, RFC 3339
  reason      why it was disconnected or refused; null if it was neither
  username    of the client when it was last accepted or told; null: the broker did not tell
  address     the same of its address
  first_seen  when it was first accepted
  last_seen   when it was heard of last, in steps of about a minute";

/// The status as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shown {
    Connected,
    Disconnected,
    Refused,
    Unknown,
}

impl Shown {
    const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the status that the store has; `None`: it may be any.
    const fn recorded(self) -> Option<Status> {
        match self {
            Self::Connected => Some(Status::Connected),
            Self::Disconnected => Some(Status::Disconnected),
            Self::Refused => Some(Status::Refused),
            Self::Unknown => None,
        }
    }
}

/// By what it is known whether a device is still connected.
struct View {
    watch: u64,
    is_running: bool,
}

impl View {
    fn of(spool: &Spool) -> Result<Self> {
        Ok(Self {
            watch: spool.store.device_counts()?.watch,
            is_running: spool.is_running()?,
        })
    }

    fn status(&self, device: &DeviceRow) -> Shown {
        match device.status {
            _ if !self.is_running || device.watch != self.watch => Shown::Unknown,
            Status::Connected => Shown::Connected,
            Status::Refused => Shown::Refused,
            Status::Disconnected | Status::Decommissioned => Shown::Disconnected,
        }
    }
}

fn time_from_now(text: &str) -> Result<Timestamp, String> {
    time::read(text, Timestamp::now())
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        Command::List(arguments) => arguments
            .place
            .with_spool(|spool, output| list(spool, output, arguments)),
        Command::Show(arguments) => arguments
            .place
            .with_spool(|spool, output| show(spool, output, arguments)),
        Command::Remove(arguments) => arguments
            .place
            .with_spool(|spool, output| remove(spool, output, &arguments.ids)),
    }
}

fn list(spool: &Spool, output: &mut Output, arguments: &List) -> Result<()> {
    let view = View::of(spool)?;
    let filter = DeviceFilter {
        status: arguments.status.and_then(Shown::recorded),
        not_seen_since: arguments.not_seen_since,
    };
    let is_meant = |device: &DeviceRow| {
        let status = arguments.status;
        status.is_none_or(|status| view.status(device) == status)
    };
    let mut table = Table::new([
        "CLIENT ID",
        "STATUS",
        "SINCE",
        "LAST SEEN",
        "USERNAME",
        "ADDRESS",
        "REASON",
    ]);
    let mut left = arguments.limit.unwrap_or(usize::MAX);
    let mut after = 0;
    let mut is_empty = true;
    while left > 0 {
        let page = spool.store.list_devices(filter, after, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        let devices = page.iter().map(|(_, device)| device);
        let devices: Vec<&DeviceRow> = devices
            .filter(|device| is_meant(device))
            .take(left)
            .collect();
        left -= devices.len();
        is_empty &= devices.is_empty();
        if arguments.json {
            let record = |device: &&DeviceRow| output.line(&record(device, &view).to_json());
            devices.iter().try_for_each(record)?;
        } else if !devices.is_empty() {
            let rows: Vec<_> = devices.iter().map(|device| row(device, &view)).collect();
            table.write(&rows, output)?;
        }
    }
    if is_empty && !arguments.json {
        output.line("no devices")?;
    }
    Ok(())
}

fn row(device: &DeviceRow, view: &View) -> [String; 7] {
    let text = |text: &Option<bytestring::ByteString>| text.as_deref().unwrap_or("").to_owned();
    [
        device.id.to_string(),
        view.status(device).name().to_owned(),
        time::show(device.since),
        time::show(device.last_seen),
        text(&device.username),
        text(&device.address),
        device.reason.map_or("", Reason::name).to_owned(),
    ]
}

/// Returns a device under the keys of [`KEYS`].
fn record(device: &DeviceRow, view: &View) -> Record {
    Record::default()
        .with("client_id", &*device.id)
        .with("status", view.status(device).name())
        .with("since", time::show(device.since))
        .with("reason", device.reason.map(Reason::name))
        .with("username", device.username.as_deref())
        .with("address", device.address.as_deref())
        .with("first_seen", time::show(device.first_seen))
        .with("last_seen", time::show(device.last_seen))
}

fn show(spool: &Spool, output: &mut Output, arguments: &Show) -> Result<()> {
    let view = View::of(spool)?;
    let Some(device) = spool.store.device(&arguments.id)? else {
        bail!(
            "find the device `{}`; see `mqhook devices list`",
            escape(&arguments.id)
        );
    };
    let record = record(&device, &view);
    if arguments.json {
        return output.line(&record.to_json());
    }
    let mut lines = record.to_lines().into_iter();
    lines.try_for_each(|line| output.line(&line))
}

fn remove(spool: &mut Spool, output: &mut Output, ids: &[String]) -> Result<()> {
    let is_running = spool.is_running()?;
    let mut removed = 0;
    let mut missing = Vec::new();
    for id in ids {
        let done = spool.store.remove_device(id, Id::new(), Timestamp::now());
        let done = done.with_context(|| format!("go on after {}", count(removed, "device")))?;
        if done {
            removed += 1;
        } else {
            missing.push(escape(id));
        }
    }
    let when = match (removed, is_running) {
        (0, _) => "",
        (_, true) => "; the running mqhook tells it within a second",
        (_, false) => "; mqhook tells it at its next start",
    };
    output.line(&format!("removed {}{when}", count(removed, "device")))?;
    if !missing.is_empty() {
        bail!("find {} in the list of devices", missing.join(", "));
    }
    Ok(())
}
