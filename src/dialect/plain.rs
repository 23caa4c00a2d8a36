//! Any broker that tells nothing of its clients: messages are the only events.

use super::{Dialect, Heard, Unreadable};
use crate::event::{Happening, KindSet};

/// Tells nothing.
#[derive(Debug, Default)]
pub(super) struct Plain;

impl Dialect for Plain {
    fn kinds(&self) -> KindSet {
        KindSet::default()
    }

    fn topic_filters(&self) -> &'static [&'static str] {
        &[]
    }

    fn setup(&self) -> &'static str {
        ""
    }

    fn decode(&mut self, _: &Heard<'_>, _: &mut Vec<Happening>) -> Result<(), Unreadable> {
        Ok(())
    }
}
