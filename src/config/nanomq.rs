//! `NanoMQ`'s own configuration file, as far as it concerns mqhook.
//!
//! | in `nanomq.conf` | here |
//! |---|---|
//! | `webhook { .. }` | the webhook named `webhook` |
//! | `listeners.tcp.bind` | `broker.url`, unless that is given |
//! | every other section of `NanoMQ`'s | ignored |
//!
//! `broker`, `admin` and mqhook's other tables may stand beside them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::problem::Problem;
use super::schema::Context;
use super::section::Section;
use super::value::{Entry, Table, Value};
use super::{Config, webhook};

/// The name of the one webhook that `NanoMQ` has.
const WEBHOOK: &str = "webhook";

/// The sections of `nanomq.conf`.
const SECTIONS: [&str; 24] = [
    "acl",
    "auth",
    "auth_http",
    "authorization",
    "aws_bridges",
    "bridges",
    "bridge",
    "cluster",
    "exchange_client",
    "exchange_server",
    "http_server",
    "jwt",
    "listeners",
    "log",
    "max_packet_size",
    "mqtt",
    "parquet",
    "plugins",
    "preset",
    "retain",
    "rules",
    "sqlite",
    "system",
    "vehicle",
];

/// Returns whether the file is `NanoMQ`'s.
pub(super) fn is_nanomq(root: &Section<'_>) -> bool {
    root.has(WEBHOOK) || root.has("listeners")
}

/// Returns whether `NanoMQ` has a section of this name.
pub(super) fn is_section(key: &str) -> bool {
    SECTIONS.contains(&key)
}

/// Reads what concerns mqhook.
pub(super) fn read(root: &mut Section<'_>, context: &Context<'_>, config: &mut Config) {
    if let Some(section) = root.section(WEBHOOK) {
        config
            .webhooks
            .extend(webhook::read(section, WEBHOOK, context));
    } else if !root.has(WEBHOOK) && !root.has("webhooks") {
        let problem = Problem::error(None, "no webhook is configured");
        root.report(problem.help("add a block `webhook { .. }` with `url` and `events`"));
    }
    if let Some(bind) = root.entry("listeners").and_then(tcp_bind) {
        match broker_url(&bind) {
            Some(url) => config.broker.url = url,
            None => root.report(
                Problem::warning(
                    None,
                    format!("`listeners.tcp.bind`: `{bind}` is not an address"),
                )
                .help("give `broker.url`"),
            ),
        }
    }
}

fn tcp_bind(listeners: &Entry) -> Option<String> {
    let tcp = table(listeners)?.get("tcp")?;
    match &table(tcp)?.get("bind")?.node.value {
        Value::String(bind) | Value::Number(bind) => Some(bind.clone()),
        _ => None,
    }
}

fn table(entry: &Entry) -> Option<&Table> {
    match &entry.node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// Returns where a listener is reached from the same host: one that is bound to every address is
/// reached over loopback.
fn broker_url(bind: &str) -> Option<crate::mqtt::BrokerUrl> {
    let bind = bind.trim().trim_start_matches("nmq-tcp://");
    let bind = bind.strip_prefix("broker+tcp://").unwrap_or(bind);
    let address = match bind.parse::<SocketAddr>() {
        Ok(address) => address,
        Err(_) => (
            Ipv4Addr::UNSPECIFIED,
            bind.trim_start_matches(':').parse::<u16>().ok()?,
        )
            .into(),
    };
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!("mqtt://{host}:{}", address.port()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_reached_from_the_same_host() {
        let check = |bind, expected: Option<&str>| {
            let url = broker_url(bind).map(|url| url.to_string());
            assert_eq!(url.as_deref(), expected, "{bind}");
        };
        check("0.0.0.0:1883", Some("mqtt://127.0.0.1:1883"));
        check("192.168.1.5:1884", Some("mqtt://192.168.1.5:1884"));
        check("[::]:1883", Some("mqtt://[::1]:1883"));
        check(":1883", Some("mqtt://127.0.0.1:1883"));
        check("1883", Some("mqtt://127.0.0.1:1883"));
        check("nonsense", None);
    }
}
