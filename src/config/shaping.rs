//! The keys of a webhook that say in which order, how many at once and how often it is sent events.

use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Webhook;
use super::complaint::Complaint;
use super::problem::Problem;
use super::scalar::scalar;
use super::section::Section;
use crate::dispatch::{Batch, OrderBy, Rate, Sequence};
use crate::envelope::Format;
use crate::http::{self, BatchFormat, Compression};

const MS: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// The most events of a request.
const EVENTS: RangeInclusive<u64> = 1..=1_024;

/// The most bytes of a request.
const BYTES: RangeInclusive<u64> = 1..=64 << 20;

/// The most requests in a unit of time.
const RATES: RangeInclusive<u32> = 1..=1_000_000;

const RATE_HELP: &str = "write a number of requests per s, m or h, such as \"10/s\"";

/// Reads all of them.
pub(super) fn read(section: &mut Section<'_>, webhook: &mut Webhook) {
    webhook.shaping.sequence = sequence(section);
    webhook.shaping.rate_limit = section.read("rate_limit", |node| {
        rate(scalar(node, "a rate such as \"10/s\"")?)
    });
    let compressions = Compression::ALL.map(|choice| (choice.as_str(), choice));
    if let Some(compression) = section.choice("compression", &compressions) {
        webhook.http.compression = compression;
    }
    if let Some(section) = section.section("batch") {
        let (batch, format) = batch(section);
        webhook.shaping.batch = Some(batch);
        webhook.http.batch = Some(format);
    }
}

/// Reports batches of what cannot be put together.
pub(super) fn report_unbatchable(section: &Section<'_>, http: &http::Config) {
    let Some(format) = http.batch else {
        return;
    };
    let body = &http.body;
    let is_cloud_events = matches!(body.format, Format::CloudEvents(_));
    let complaint = if !http.templates.is_empty() {
        Complaint::new("a batch has one method, URL and set of headers, which cannot be templates")
            .help("remove `batch`, or the templates outside `body`")
    } else if body.batch_content_type().is_none() {
        Complaint::new("such bodies cannot be put together").help(
            "remove `batch`, or choose bodies that are JSON: nanomq, json, mender, structured cloudevents, or a JSON template",
        )
    } else if format == BatchFormat::CloudEvents && !is_cloud_events {
        Complaint::new("a batch of CloudEvents is made of CloudEvents")
            .help("set `body.format` to \"cloudevents\", or the batch's to \"json\"")
    } else {
        return;
    };
    section.report_about("batch", complaint);
}

fn sequence(section: &mut Section<'_>) -> Sequence {
    let by = [
        ("none", None),
        ("topic", Some(OrderBy::Topic)),
        ("client", Some(OrderBy::Client)),
    ];
    let chosen = section.choice("order_by", &by);
    let is_broken = chosen.is_none() && section.has("order_by");
    let by = chosen.flatten();
    let skip_after = section.duration("order_skip_after", MS..=LONGEST);
    let conflate = [("none", false), ("topic", true)];
    let is_latest = section.choice("conflate", &conflate).unwrap_or(false);
    if is_latest && by == Some(OrderBy::Client) {
        let complaint =
            Complaint::new("only the newest of a topic cannot come in a client's order");
        section.report_about(
            "order_by",
            complaint.help("remove `order_by`, or `conflate`"),
        );
    }
    let has_no_effect = (by.is_none() && !is_broken) || is_latest;
    if has_no_effect && skip_after.is_some_and(|time| time != Sequence::SKIP_AFTER) {
        let message = format!("`{}` has no effect", section.path("order_skip_after"));
        let problem = Problem::warning(section.span_of("order_skip_after"), message);
        let help = if is_latest {
            "remove it: with `conflate` a newer message never waits for an older one"
        } else {
            "set `order_by` to topic or client, or remove it"
        };
        section.report(problem.help(help));
    }
    match (is_latest, by) {
        (true, _) => Sequence::Latest,
        (false, None) => Sequence::Free,
        (false, Some(by)) => Sequence::InOrder {
            by,
            skip_after: skip_after.unwrap_or(Sequence::SKIP_AFTER),
        },
    }
}

fn rate(text: &str) -> Result<Rate, Complaint> {
    let parsed = text.split_once('/').and_then(|(attempts, unit)| {
        let per = match unit.trim() {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            _ => return None,
        };
        let attempts = attempts.trim().parse::<u32>().ok()?;
        let attempts = NonZeroU32::new(attempts).filter(|number| RATES.contains(&number.get()));
        attempts.map(|attempts| Rate { attempts, per })
    });
    parsed.ok_or_else(|| {
        let (least, most) = (RATES.start(), RATES.end());
        let help = format!("{RATE_HELP}; the number is from {least} to {most}");
        Complaint::new(format!("`{text}` is not a rate")).help(help)
    })
}

fn batch(mut section: Section<'_>) -> (Batch, BatchFormat) {
    let mut batch = Batch::default();
    let whole = |number: u64| usize::try_from(number).ok().and_then(NonZeroUsize::new);
    if let Some(events) = section.integer("max_events", EVENTS).and_then(whole) {
        batch.max_events = events;
    }
    if let Some(bytes) = section.bytes("max_bytes", BYTES).and_then(whole) {
        batch.max_bytes = bytes.get();
    }
    if let Some(wait) = section.duration("max_wait", Duration::ZERO..=Duration::from_hours(1)) {
        batch.max_wait = wait;
    }
    let formats = BatchFormat::ALL.map(|format| (format.as_str(), format));
    let format = section.choice("format", &formats).unwrap_or_default();
    section.finish();
    (batch, format)
}
