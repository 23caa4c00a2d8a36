//! Who cannot be connected, by what the broker says of itself. Pure.
//!
//! Before a gap mqhook knew that some devices were connected. If the broker counts, after it, as many connections as
//! mqhook is certain to have itself, there are no others, and none of these devices is connected. Any other
//! count proves nothing, as it does not say whose connections they are.
//!
//! ```text
//! count --- uptime 1 --- count, if another --- uptime 2 --- count, if another --- line of a new probe
//!              `-- nobody else is there           `-- that is known                     `-- who came since was heard
//! ```
//!
//! A count is heard when it changes, and may be old when mqhook begins to listen. But it comes right behind an uptime, so
//! with the second uptime of a watch the last count that was heard is that of the first. Counts and uptimes overtake
//! what the broker tells of clients, so who has come back since may not have been heard: a probe that is made then is heard
//! behind all of them. Until then the count must stay, and mqhook's own connections must be the same all the time.
//!
//! An uptime itself proves nothing: if the broker was started anew in the gap, its clients have lost their connections,
//! and may have come back before mqhook did.

use std::time::Instant;

use super::presence::Own;
use crate::dialect::Vital;
use crate::event::Timestamp;

/// What the broker has said of itself.
#[derive(Debug, Default)]
pub(super) struct Reckoning {
    /// How many connections it had when that was heard last, over this connection.
    connections: Option<u64>,
    /// The last uptime of this watch.
    tick: Option<Tick>,
    /// That nobody else was there, until it is known who has come since.
    guess: Option<Guess>,
    /// Whether it is known that nobody else was there in this watch.
    is_done: bool,
}

#[derive(Debug, Clone, Copy)]
struct Tick {
    seconds: u64,
    /// Our connections then.
    own: Own,
    /// When it was heard.
    at: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Guess {
    own: Own,
    /// When nobody else was there.
    at: Timestamp,
    /// When that was known; a probe must be newer.
    known: Instant,
}

/// What follows from what the broker says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    Nothing,
    /// Others are there, or some of ours are not.
    Company,
    /// Nobody else was there; a probe must show who has come since.
    Alone,
}

impl Reckoning {
    /// Notes that another watch begins, or that something was missed; what was counted before may have been before a restart.
    pub(super) fn interrupted(&mut self) {
        *self = Self::default();
    }

    /// Notes that not all was told of what was found.
    pub(super) fn undone(&mut self) {
        self.is_done = false;
    }

    /// Takes what the broker said of itself at this time, with these connections of mqhook's own; uptimes only from
    /// the time on when all is heard.
    pub(super) fn hear(
        &mut self,
        vital: Vital,
        own: Own,
        (at, now): (Timestamp, Instant),
    ) -> Finding {
        let seconds = match vital {
            Vital::Connections(connections) => {
                self.connections = Some(connections);
                if connections == own.connections {
                    return Finding::Nothing;
                }
                (self.tick, self.guess) = (None, None);
                return Finding::Company;
            }
            Vital::Uptime(seconds) => seconds,
        };
        let tick = Tick { seconds, own, at };
        let before = self.tick.replace(tick);
        let is_same = |before: &Tick| seconds > before.seconds && before.own == own;
        let is_alone = self.connections == Some(own.connections);
        let Some(before) = before.filter(is_same).filter(|_| is_alone) else {
            self.guess = None;
            return Finding::Nothing;
        };
        if self.is_done {
            return Finding::Nothing;
        }
        // An earlier guess with the same connections holds as well, and its probe may be on its way.
        self.guess.get_or_insert(Guess {
            own,
            at: before.at,
            known: now,
        });
        Finding::Alone
    }

    /// Notes that all is heard that was told before a probe was made, with these connections of mqhook's own. Returns since
    /// when it is known that nobody was there who was connected before the watch and was not heard of since, if that was not known before.
    pub(super) fn caught_up(&mut self, probed: Instant, own: Own) -> Option<Timestamp> {
        let guess = self.guess.take_if(|guess| probed > guess.known)?;
        let is_alone = guess.own == own && self.connections == Some(own.connections);
        self.is_done |= is_alone;
        is_alone.then_some(guess.at)
    }
}

#[cfg(test)]
mod tests;
