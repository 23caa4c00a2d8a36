//! Writes happenings as reviewable lines, and compares them with the reviewed ones.

use std::fmt::Write;

use mqhook::dialect::Unreadable;
use mqhook::event::{Detail, Happening};

use crate::fixture;

/// Returns what was told, in one line.
pub fn line(answer: Result<(), Unreadable>, happenings: &[Happening]) -> String {
    if let Err(unreadable) = answer {
        return format!("UNREADABLE: {unreadable}");
    }
    let mut parts: Vec<(String, String)> = Vec::new();
    for happening in happenings {
        let rest = attributes(happening);
        match parts.last_mut() {
            // The two kinds that one message tells differ in nothing else.
            Some((kinds, same)) if *same == rest => {
                let _ = write!(kinds, "+{}", happening.kind.action());
            }
            _ => parts.push((happening.kind.action().to_owned(), rest)),
        }
    }
    if parts.is_empty() {
        return "nothing".to_owned();
    }
    let parts: Vec<_> = parts.into_iter().map(|(k, rest)| k + &rest).collect();
    parts.join("; ")
}

fn attributes(happening: &Happening) -> String {
    let mut text = String::new();
    let client = &happening.client;
    let fields = [
        ("id", &client.id),
        ("user", &client.username),
        ("at", &client.address),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            let shown: String = value.chars().take(60).collect();
            let _ = write!(text, " {name}={shown:?}");
        }
    }
    text.push_str(&detail(&happening.detail));
    if let Some(time) = happening.time {
        let _ = write!(text, " time={time}");
    }
    text
}

fn detail(detail: &Detail) -> String {
    match detail {
        Detail::Connection(connection) => {
            let mut text = String::new();
            if let Some(version) = connection.protocol_version {
                let _ = write!(text, " v={version}");
            }
            if let Some(keep_alive) = connection.keep_alive {
                let _ = write!(text, " keepalive={keep_alive}");
            }
            if let Some(clean) = connection.clean_start {
                let _ = write!(text, " clean={clean}");
            }
            if let Some(reason) = connection.refused {
                let _ = write!(text, " REFUSED={reason}");
            }
            text
        }
        Detail::End(end) => {
            let since = end.connected_at.map(|at| format!(" since={at}"));
            format!(" reason={}{}", end.reason, since.unwrap_or_default())
        }
        Detail::Subscription(subscription) => {
            let qos = subscription.qos.map(|qos| format!(" qos={qos}"));
            let filter = &subscription.topic_filter;
            format!(" filter={filter:?}{}", qos.unwrap_or_default())
        }
        Detail::Message(message) => format!(" topic={}", message.topic),
        Detail::Notice(notice) => format!(" webhook={}", notice.webhook),
        Detail::Device(device) => format!(" status={}", device.status),
    }
}

/// Returns how lines differ from the reviewed ones of a file.
pub fn differences(file: &str, lines: &[String]) -> Vec<String> {
    let path = fixture::path(&format!("{file}.told"));
    if std::env::var("MQHOOK_TOLD").is_ok_and(|mode| mode == "write") {
        std::fs::write(&path, lines.join("\n") + "\n").expect("the fixtures can be written");
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    let reviewed: Vec<&str> = reviewed.lines().collect();
    let count = reviewed.len().max(lines.len());
    (0..count)
        .map(|at| (at, reviewed.get(at), lines.get(at).map(String::as_str)))
        .filter(|(_, reviewed, told)| reviewed.copied() != *told)
        .map(|(at, reviewed, told)| {
            let (reviewed, told) = (
                reviewed.unwrap_or(&"(no line)"),
                told.unwrap_or("(no line)"),
            );
            format!(
                "{file}.told:{}\n  reviewed {reviewed}\n  told     {told}",
                at + 1
            )
        })
        .collect()
}
