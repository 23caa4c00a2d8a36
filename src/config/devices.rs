//! The keys of devices.

use std::time::Duration;

use super::Config;
use super::complaint::Complaint;
use super::problem::Problem;
use super::schema::Context;
use super::section::Section;
use crate::devices;
use crate::pattern::{Pattern, PatternError};
use crate::spool::Backend;

const MINUTE: Duration = Duration::from_mins(1);
const YEAR: Duration = Duration::from_hours(365 * 24);

/// The most devices that may be remembered.
const MOST: u64 = 100_000_000;

/// Reads the `devices` table.
pub(super) fn read(mut section: Section<'_>, config: &mut devices::Config) {
    if let Some(enabled) = section.bool("enabled") {
        config.enabled = enabled;
    }
    let pattern = section.parse("client_id", |text| {
        let pattern = Pattern::try_from(text);
        pattern.map_err(|error: PatternError| Complaint::new(error.to_string()))
    });
    let anybody = Pattern::try_from("*").ok();
    config.client_id = pattern.filter(|pattern| Some(pattern) != anybody.as_ref());
    if let Some(age) = section.duration("retire_after", Duration::ZERO..=10 * YEAR) {
        if age > Duration::ZERO && age < MINUTE {
            let complaint = Complaint::new("it must be at least 1m, or 0s for never");
            section.report_about("retire_after", complaint);
        }
        config.retire_after = (age >= MINUTE).then_some(age);
    }
    if let Some(most) = section.integer("max_devices", 1..=MOST) {
        config.max_devices = most;
    }
    section.finish();
}

/// Reports that devices are to be remembered by a spool that remembers nothing.
pub(super) fn report_memory(root: &Section<'_>, context: &Context<'_>, config: &Config) {
    if config.spool.backend != Backend::Memory {
        return;
    }
    let wanted = context.wanted.borrow();
    let rule = wanted.iter().find(|(kind, _)| kind.is_device());
    let (span, what) = match rule {
        Some((kind, span)) => (Some(*span), format!("`{kind}` needs a spool on disk")),
        None if config.devices.enabled => (
            root.find(&["devices", "enabled"])
                .map(|entry| entry.node.span),
            "`devices.enabled` needs a spool on disk".to_owned(),
        ),
        None => return,
    };
    let problem = Problem::error(span, what);
    root.report(problem.help("remove `spool.backend = \"memory\"`: devices are remembered there"));
}
