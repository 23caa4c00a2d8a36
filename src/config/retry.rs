//! The keys of a webhook that say what follows from failed attempts.

use std::num::NonZeroU32;
use std::time::Duration;

use http::StatusCode;

use super::complaint::{Complaint, closest};
use super::problem::Problem;
use super::scalar::{duration, integer};
use super::section::Section;
use super::source::Span;
use super::value::Value;
use super::{Config, Webhook, nanomq, units};
use crate::http::is_temporary;
use crate::retry::{Exponential, FailureLimit, OnGone, Schedule, breaker};
use crate::spool::Backend;

const MS: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_hours(24);

/// The longest delay between two attempts.
const LONGEST_DELAY: Duration = Duration::from_hours(30 * 24);

/// The longest that a delivery may be tried for, and a webhook may fail.
const LONGEST_FAILING: Duration = Duration::from_hours(365 * 24);

/// The most that failures are counted up to.
const MOST_FAILURES: u64 = 1_000_000;

/// Keys of `exponential`.
const GROWTH: [&str; 4] = ["initial", "factor", "max", "for"];

/// What can stand for a list of delays.
const HOURLY: &str = "hourly";

/// What to write for a list of delays.
const SCHEDULE_HELP: &str =
    "write a list of delays, such as [\"5s\", \"5m\", \"1h\"], or \"hourly\"";

/// Reads the `retry` table.
pub(super) fn read(mut section: Section<'_>, webhook: &mut Webhook) {
    let policy = &mut webhook.retry;
    if let Some(schedule) = schedule(&mut section) {
        policy.schedule = schedule;
    }
    if let Some(growth) = section.section("exponential") {
        if section.has("schedule") {
            let complaint = Complaint::new(format!("`{}` is given, too", growth.name()));
            section.report_about("schedule", complaint.help("remove one of the two"));
        }
        policy.schedule = Schedule::Exponential(exponential(growth));
    }
    if let Some(max) = section.duration("retry_after_max", Duration::ZERO..=LONGEST_DELAY) {
        policy.retry_after_max = max;
    }
    if let Some(statuses) = statuses(&mut section) {
        webhook.http.retry_statuses = statuses;
    }
    let choices = [("disable", OnGone::Disable), ("reject", OnGone::Reject)];
    if let Some(on_gone) = section.choice("on_gone", &choices) {
        policy.on_gone = on_gone;
        if webhook.http.retry_statuses.contains(&StatusCode::GONE) {
            let message = format!("`{}` has no effect", section.path("on_gone"));
            let problem = Problem::warning(section.span_of("on_gone"), message);
            let help = "remove it, or 410 from `statuses`, by which it is retried";
            section.report(problem.help(help));
        }
    }
    report_growth(&section);
    section.finish_with(|unknown| !GROWTH.contains(&unknown.key));
}

fn schedule(section: &mut Section<'_>) -> Option<Schedule> {
    let complaint = match &section.entry("schedule")?.node.value {
        Value::Array(delays) => {
            let delays = section.elements("schedule", delays, |node| {
                duration(node, &(MS..=LONGEST_DELAY))
            });
            return Some(Schedule::List(
                delays.into_iter().map(|(delay, _)| delay).collect(),
            ));
        }
        Value::String(text) if text.eq_ignore_ascii_case(HOURLY) => {
            return Some(Schedule::hourly());
        }
        Value::String(text) => {
            let complaint = Complaint::new(format!("unknown value `{text}`"));
            match closest(text, [HOURLY].into_iter()) {
                Some(meant) => complaint.help(format!("did you mean `{meant}`?")),
                None => complaint.help(SCHEDULE_HELP),
            }
        }
        other => Complaint::wrong_type("a list of delays", other).help(SCHEDULE_HELP),
    };
    section.report_about("schedule", complaint);
    None
}

fn exponential(mut section: Section<'_>) -> Exponential {
    let mut growth = Exponential::default();
    if let Some(initial) = section.duration("initial", MS..=LONGEST_DELAY) {
        growth.initial = initial;
    }
    if let Some(factor) = section.float("factor", 1.0..=100.0) {
        growth.factor = factor;
    }
    if let Some(max) = section.duration("max", MS..=LONGEST_DELAY) {
        growth.max = max;
    }
    if let Some(time) = section.duration("for", MS..=LONGEST_FAILING) {
        growth.for_ = time;
    }
    report_shrinking(&section, growth.initial, growth.max);
    section.finish();
    growth
}

/// Reports keys that have been written one table too far out.
fn report_growth(section: &Section<'_>) {
    for (key, entry) in section.entries() {
        if GROWTH.contains(&key) {
            let message = format!("unknown key `{}`", section.path(key));
            let help = format!("write `exponential = {{ {key} = .. }}`");
            section.report(Problem::error(entry.key_span, message).help(help));
        }
    }
}

fn report_shrinking(section: &Section<'_>, initial: Duration, max: Duration) {
    if max < initial {
        let show = units::show_duration;
        let complaint = Complaint::new(format!(
            "the longest wait, {}, is shorter than the first, {}",
            show(max),
            show(initial)
        ));
        let key = if section.has("max") { "max" } else { "initial" };
        section.report_about(key, complaint.help("raise `max`, or lower `initial`"));
    }
}

fn statuses(section: &mut Section<'_>) -> Option<Vec<StatusCode>> {
    let elements = match &section.entry("statuses")?.node.value {
        Value::Array(elements) => elements,
        other => {
            let complaint = Complaint::wrong_type("a list of status codes", other);
            section.report_about(
                "statuses",
                complaint.help("write a list, such as [404, 409]"),
            );
            return None;
        }
    };
    let codes = section.elements("statuses", elements, |node| {
        let code = integer(node, &(300..=599))?;
        Ok(u16::try_from(code)
            .ok()
            .and_then(|code| StatusCode::from_u16(code).ok()))
    });
    let codes = codes
        .into_iter()
        .filter_map(|(code, span)| Some((code?, span)));
    let is_needed = |(code, span): (StatusCode, Span)| {
        if !is_temporary(code) {
            return Some(code);
        }
        let path = section.path("statuses");
        let problem =
            Problem::warning(span, format!("{} has no effect in `{path}`", code.as_u16()));
        section.report(problem.help("remove it: it is retried anyway"));
        None
    };
    Some(codes.filter_map(is_needed).collect())
}

/// Reads the `breaker` table.
pub(super) fn breaker(mut section: Section<'_>, breaker: &mut breaker::Config) {
    if let Some(failures) = count(&mut section, "failures") {
        breaker.failures = failures;
    }
    if let Some(initial) = section.duration("initial", MS..=DAY) {
        breaker.initial = initial;
    }
    if let Some(max) = section.duration("max", MS..=DAY) {
        breaker.max = max;
    }
    report_shrinking(&section, breaker.initial, breaker.max);
    section.finish();
}

/// Reads the `failure_limit` table.
pub(super) fn failure_limit(mut section: Section<'_>, limit: &mut FailureLimit) {
    limit.deliveries = count(&mut section, "deliveries");
    limit.time = section.duration("time", MS..=LONGEST_FAILING);
    section.finish();
}

fn count(section: &mut Section<'_>, key: &'static str) -> Option<NonZeroU32> {
    let number = section.integer(key, 1..=MOST_FAILURES)?;
    u32::try_from(number).ok().and_then(NonZeroU32::new)
}

/// Warns of schedules that somebody wrote and that go on when the event is not kept any more.
pub(super) fn report_outlasted(root: &Section<'_>, config: &Config) {
    if config.spool.backend == Backend::Memory {
        return;
    }
    for webhook in &config.webhooks {
        let (key, lasts) = match &webhook.retry.schedule {
            Schedule::List(delays) => (&["schedule"][..], sum(delays)),
            Schedule::Exponential(growth) => (&["exponential", "for"][..], growth.for_),
        };
        if lasts <= config.spool.max_age {
            continue;
        }
        let table = if webhook.name == nanomq::WEBHOOK && root.has(nanomq::WEBHOOK) {
            vec![nanomq::WEBHOOK, "retry"]
        } else {
            vec!["webhooks", &webhook.name, "retry"]
        };
        let path = [&table[..], key].concat();
        if let Some(entry) = root.find(&path)
            && !root.is_reported(entry.node.span)
        {
            let message = format!(
                "`{}`: the last attempts would come after `spool.max_age`, when the event is dropped",
                path.join(".")
            );
            let help = "raise `spool.max_age`, or shorten this";
            root.report(Problem::warning(entry.node.span, message).help(help));
        }
    }
}

fn sum(delays: &[Duration]) -> Duration {
    delays
        .iter()
        .fold(Duration::ZERO, |sum, delay| sum.saturating_add(*delay))
}
