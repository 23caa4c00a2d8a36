//! `docs/brokers.md`: what the files say, as a table.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::expected;

/// The files and the table are written by one test at a time.
static WRITING: Mutex<()> = Mutex::new(());

const TEXT: &str = "\
# What brokers tell

Made by `UPDATE_EXPECT=1 cargo test --test conformance` from what real brokers told mqhook
([tests/conformance/told](../tests/conformance/told)); every run of `./test` compares. `no` is tested as well: an event
that the broker tells later arrived, and this one had not come.

";

const NOTES: &str = "
Without a plugin nobody can tell who published a message. `unknown` is the reason that events have where the broker gives none.

- **Mosquitto** needs `log_dest topic`; 2.0 writes neither identifier nor user name of a refused client to its log.
- **NATS** needs [config/nats-server.conf](../config/nats-server.conf) and `broker.dialect = \"nats\"`. It tells a client that
  takes over before the one that it replaces. It delivers its own `$` topics under `#`; mqhook leaves them out.
- **Aedes** delivers a message of QoS 2 with QoS 2 to a subscription of QoS 1.
- **RMQTT** needs the plugin rmqtt-sys-topic. Of a client whose identifier has `+` or `#` it tells nothing, as the identifier is a
  level of the topic. What happens at the same time it may tell in any order. It was run without a plugin that keeps retained messages.
- **rumqttd** ends a connection that subscribes to a `$` topic, hence `broker.dialect = \"plain\"`. It delivers retained
  messages at each subscription, whatever is asked for, and everything with the subscription's QoS.
- NanoMQ and EMQX are not run here: what they tell is tested with [captured messages](../tests/fixtures/dialects) and by what their
  sources say.
";

/// One broker's file.
struct File {
    text: String,
}

/// Fails if the table is not what the files say.
pub fn compare() {
    let _guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        write();
    }
    let written = fs::read_to_string(path()).unwrap_or_default();
    assert_eq!(
        render(),
        written,
        "expected docs/brokers.md to be this table"
    );
}

/// Writes a file, and the table anew.
pub fn update(file: impl FnOnce()) {
    let _guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    file();
    write();
}

fn write() {
    fs::write(path(), render()).expect("write the table");
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/brokers.md")
}

fn render() -> String {
    let files: Vec<File> = expected::all()
        .into_iter()
        .map(|text| File { text })
        .collect();
    let mut table = TEXT.to_owned();
    let mut row = |cells: Vec<String>| {
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    };
    let heads = files.iter().map(|file| file.head().to_owned());
    row(std::iter::once(String::new()).chain(heads).collect());
    row(vec!["---".to_owned(); files.len() + 1]);
    for (name, cell) in ROWS {
        let cells = files.iter().map(cell);
        row(std::iter::once((*name).to_owned()).chain(cells).collect());
    }
    table + NOTES
}

/// A row: what it is about, and what it says of a broker.
type Row = (&'static str, fn(&File) -> String);

const CONNECTS: &str = "a client connects, to do what follows";
const LEAVES: &str = "it leaves";
const REFUSED: &str = "a client comes with a wrong password";
const BREAKS: &str = "its connection ends without DISCONNECT";
const SILENT: &str = "a client comes and is silent for too long";
const TAKEN: &str = "another takes over its session";

const ROWS: &[Row] = &[
    ("`broker.dialect`", |file| {
        format!("`{}`", file.line("dialect = "))
    }),
    ("versions of MQTT", |file| {
        file.line("speaks MQTT ").to_owned()
    }),
    ("**a client connects**", |file| {
        file.tells(CONNECTS, "client_connected")
    }),
    ("its user name", |file| {
        file.knows(CONNECTS, "client_connected", "username")
    }),
    ("its address", |file| {
        match file.value(CONNECTS, "client_connected", "address") {
            Some("ip:port") => "yes, with port".to_owned(),
            Some(_) => "yes".to_owned(),
            None => "no".to_owned(),
        }
    }),
    ("its version, keep alive, clean start", |file| {
        file.knows(CONNECTS, "client_connected", "keep_alive_s")
    }),
    ("**a client is refused**", |file| {
        file.tells(REFUSED, "client_connack")
    }),
    ("its identifier and user name", |file| {
        file.knows(REFUSED, "client_connack", "client_id")
    }),
    ("**a client disconnects**", |file| {
        file.tells(LEAVES, "client_disconnected")
    }),
    ("reason after DISCONNECT", |file| file.reason(LEAVES)),
    ("reason without DISCONNECT", |file| file.reason(BREAKS)),
    ("reason after silence", |file| file.reason(SILENT)),
    ("reason after a takeover", |file| file.reason(TAKEN)),
    ("**a client subscribes**, with the QoS", |file| {
        file.knows("it subscribes", "session_subscribed", "qos")
    }),
    ("**a client unsubscribes**", |file| {
        file.tells("it unsubscribes", "session_unsubscribed")
    }),
    ("**a session ends** with its connection", |file| {
        file.tells(LEAVES, "session_terminated")
    }),
    ("**a session expires**", |file| {
        file.tells(
            "a client comes and goes, and its session expires",
            "session_terminated",
        )
    }),
    ("**a message is published**", |file| {
        file.tells("it publishes with QoS 1", "message_publish")
    }),
    ("who published it", |file| {
        file.knows("it publishes with QoS 1", "message_publish", "client_id")
    }),
    ("QoS 0, 1 and 2 arrive as", File::qualities),
    ("the publisher's retain flag", |file| {
        let told = file.value(
            "it publishes a message to be retained",
            "message_publish",
            "retain",
        );
        yes(told == Some("true"))
    }),
    ("wills", |file| file.tells(BREAKS, "message_publish")),
    ("retained messages are left out at a subscription", |file| {
        yes(file
            .section("a message was retained before mqhook came")
            .is_empty())
    }),
    ("clients with odd identifiers, of 6", File::odd),
];

impl File {
    fn head(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    fn line(&self, start: &str) -> &str {
        let mut lines = self.text.lines();
        lines
            .find_map(|line| line.strip_prefix(start))
            .expect("every file has it")
    }

    /// Returns the lines that a stimulus led to; none if it was not tried.
    fn section(&self, title: &str) -> Vec<&str> {
        let mut sections = self.text.split("\n== ");
        let section = sections.find_map(|text| text.strip_prefix(title)?.strip_prefix('\n'));
        section
            .map(|text| text.lines().filter(|line| !line.is_empty()).collect())
            .unwrap_or_default()
    }

    fn find(&self, title: &str, kind: &str) -> Option<&str> {
        let mut lines = self.section(title).into_iter();
        lines.find(|line| line.split(' ').next() == Some(kind))
    }

    fn value(&self, title: &str, kind: &str, key: &str) -> Option<&str> {
        let (_, rest) = self.find(title, kind)?.split_once(&format!(" {key}="))?;
        rest.split(' ').next()
    }

    fn tells(&self, title: &str, kind: &str) -> String {
        yes(self.find(title, kind).is_some())
    }

    fn knows(&self, title: &str, kind: &str, key: &str) -> String {
        yes(self.value(title, kind, key).is_some())
    }

    fn reason(&self, title: &str) -> String {
        match self.value(title, "client_disconnected", "reason") {
            Some(reason) => format!("`{}`", reason.trim_matches('"')),
            None => "no".to_owned(),
        }
    }

    fn qualities(&self) -> String {
        let arrives = |qos: u8| {
            let title = format!("it publishes with QoS {qos}");
            self.value(&title, "message_publish", "qos")
                .unwrap_or("not taken")
                .to_owned()
        };
        [0, 1, 2].map(arrives).join(", ")
    }

    fn odd(&self) -> String {
        let sections = self.text.split("\n== a client called ");
        let told = sections.skip(1).filter(|text| {
            let section = text.split("\n== ").next().unwrap_or_default();
            section.contains("\nclient_connected ") && section.contains("\nclient_disconnected ")
        });
        told.count().to_string()
    }
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}
