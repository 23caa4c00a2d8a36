//! `broker`: where it is, and how the connection to it behaves.

use std::time::Duration;

use super::complaint::Complaint;
use super::schema::{self, Context, UseOfTls};
use super::section::Section;
use super::{Config, credential, plugin, secret};
use crate::credential::Secret;
use crate::dialect;
use crate::event::{TopicFilter, is_unsendable};
use crate::mqtt::{self, BrokerUrl, BrokerUrlError};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// Reads `broker`.
pub(super) fn read(mut section: Section<'_>, context: &Context<'_>, config: &mut Config) {
    let broker = &mut config.broker;
    if let Some(url) = section.parse("url", broker_url) {
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
    broker.username = section.parse("username", |text| {
        for_brokers(text)?;
        within_packet(text)?;
        Ok::<_, Complaint>(text.to_owned())
    });
    broker.password = password(&mut section, context).map(Into::into);
    session(&mut section, broker);
    config.plugin_key = plugin::key(&mut section, context, broker.protocol);
    if let Some(retained) = section.bool("retained") {
        config.retained = retained;
    }
    let use_of_tls = if broker.url.transport.is_tls() {
        UseOfTls::Used
    } else {
        UseOfTls::Unused
    };
    if let Some(section) = section.section("tls") {
        broker.tls = schema::tls(section, context, use_of_tls);
    }
    section.finish();
}

/// Reads how the connection to the broker behaves.
fn session(section: &mut Section<'_>, broker: &mut mqtt::Config) {
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
    if let Some(clean_start) = section.bool("clean_start") {
        broker.clean_start = clean_start;
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
}

fn broker_url(text: &str) -> Result<BrokerUrl, Complaint> {
    text.parse().map_err(|error: BrokerUrlError| {
        let complaint = Complaint::new(error.to_string());
        let guess = format!("mqtt://{text}");
        match error {
            BrokerUrlError::Scheme
                if !secret::is_in(text) && guess.parse::<BrokerUrl>().is_ok() =>
            {
                complaint.help(format!("did you mean `{guess}`?"))
            }
            _ => complaint,
        }
    })
}

/// mqhook appends to the client identifier, and brokers must accept 23 bytes, but nearly all accept more.
fn client_id(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        Err("it must have 1 to 256 characters, none of them a control character")
    } else {
        Ok(text.to_owned())
    }
}

fn password(section: &mut Section<'_>, context: &Context<'_>) -> Option<Secret> {
    let keys = ["password", "password_file"];
    let reader = credential::Reader {
        context,
        check: &within_packet,
    };
    let password = reader.either(section, keys[0], keys[1]);
    let written = keys.into_iter().find(|key| section.has(key));
    if let Some(key) = written.filter(|_| !section.has("username")) {
        let complaint = Complaint::new("it is of no use without `broker.username`");
        section.report_about(key, complaint.help("set the user name, too"));
    }
    password
}

/// Reads a topic filter that may become a subscription.
pub(super) fn topic_filter(text: &str) -> Result<TopicFilter, Complaint> {
    let filter = TopicFilter::try_from(text);
    let filter = filter.map_err(|error| Complaint::new(error.to_string()))?;
    for_brokers(text)?;
    Ok(filter)
}

/// Refuses what would keep mqhook from ever being connected.
pub(super) fn for_brokers(text: &str) -> Result<(), Complaint> {
    let Some(bad) = text.chars().find(|&character| is_unsendable(character)) else {
        return Ok(());
    };
    let complaint = Complaint::new(format!(
        "it contains the character U+{:04X}",
        u32::from(bad)
    ));
    Err(complaint.help("remove it: brokers close a connection that sends control characters"))
}

/// Refuses what has more bytes than MQTT can tell (1.5.4 and 1.5.6).
fn within_packet(text: &str) -> Result<(), Complaint> {
    if text.len() > usize::from(u16::MAX) {
        return Err(Complaint::new(
            "it is longer than 65535 bytes, which MQTT cannot send",
        ));
    }
    Ok(())
}
