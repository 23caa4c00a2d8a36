//! `mqhook dead-letters replay` and `mqhook dead-letters drop`.

use anyhow::{Context as _, Result, bail};

use super::super::output::count;
use super::super::place::Spool;
use super::{PAGE, each_page};
use crate::event::Timestamp;
use crate::spool::store::{self, DeadLetterId, Filter};

/// What happens to dead letters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Replay,
    Drop,
}

/// What has happened.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) changed: u64,
    /// Which of those that were named there are not.
    missing: Vec<u64>,
}

impl Act {
    /// Changes all that a filter means now.
    pub(super) fn on_all(self, spool: &mut Spool, filter: &Filter) -> Result<Done> {
        // What is replayed may be given up again before all are replayed. It is then the newest, so
        // counting those that are there now keeps it from being replayed without end. Comparing
        // times would not, once the clock was set.
        let mut left = 0;
        each_page(spool, filter, |page| {
            left += page.len();
            Ok(())
        })?;
        let mut changed = 0;
        while left > 0 {
            let page = left.min(PAGE);
            let now = self.perform(spool, filter, page).with_context(|| {
                let done = count(changed, "dead letter");
                format!("go on after {done} {}", self.past())
            })?;
            if now == 0 {
                // Somebody else was quicker.
                break;
            }
            changed += now;
            left -= page;
        }
        Ok(Done {
            changed,
            missing: Vec::new(),
        })
    }

    /// Changes those of these numbers.
    pub(super) fn on_each(self, spool: &mut Spool, ids: &[u64]) -> Result<Done> {
        let mut done = Done::default();
        for &id in ids {
            let filter = Filter {
                id: Some(DeadLetterId(id)),
                ..Filter::default()
            };
            let changed = self.perform(spool, &filter, 1).with_context(|| {
                let done = count(done.changed, "dead letter");
                format!("go on after {done} {}", self.past())
            })?;
            done.changed += changed;
            if changed == 0 {
                done.missing.push(id);
            }
        }
        Ok(done)
    }

    /// Returns what is to be said of so many.
    pub(super) fn report(self, changed: u64, is_running: bool) -> String {
        let done = format!("{} {}", self.past(), count(changed, "dead letter"));
        match (self, changed) {
            (Self::Replay, 1..) if is_running => {
                done + "; the running mqhook takes up what is replayed within a second"
            }
            (Self::Replay, 1..) => done + "; mqhook takes up what is replayed at its next start",
            _ => done,
        }
    }

    fn perform(
        self,
        spool: &mut Spool,
        filter: &Filter,
        limit: usize,
    ) -> Result<u64, store::Error> {
        match self {
            Self::Replay => spool.store.replay(filter, Timestamp::now(), limit),
            Self::Drop => spool.store.drop_dead_letters(filter, limit),
        }
    }

    const fn past(self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::Drop => "dropped",
        }
    }
}

impl Done {
    /// Fails if one that was named was not there.
    pub(super) fn missing(&self) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<String> = self.missing.iter().map(u64::to_string).collect();
        bail!("find {} in the list of dead letters", missing.join(", "))
    }
}
