//! Who cannot be connected, by what the broker says of itself. Pure.
//!
//! Before a gap mqhook knew that some devices were connected. If the broker counts, after it, as many connections as
//! mqhook is certain to have itself, there are no others, and none of these devices is connected. Any other
//! count proves nothing, as it does not say whose connections they are.
//!
//! A count is heard when it changes, and may be old when mqhook begins to listen. But it is from between two uptimes, so
//! when two of these were heard in a watch, the last count that was heard is of a time in it.
//!
//! An uptime itself proves nothing: if the broker was started anew in the gap, its clients have lost their connections,
//! and may have come back before mqhook did.

use crate::dialect::Vital;

/// What the broker has said of itself.
#[derive(Debug, Default)]
pub(super) struct Reckoning {
    /// How many connections it had when that was heard last, over this connection.
    connections: Option<u64>,
    /// For how long it ran at some time of this watch, and how many connections of ours were certain then.
    tick: Option<(u64, u64)>,
    /// Whether it is known that nobody else was there in this watch.
    is_done: bool,
}

impl Reckoning {
    /// Notes that another watch begins; what was counted in an earlier one may have been before a restart.
    pub(super) fn interrupted(&mut self) {
        *self = Self::default();
    }

    /// Notes that all is heard from here on, over the same connection.
    pub(super) fn caught_up(&mut self) {
        *self = Self {
            connections: self.connections,
            ..Self::default()
        };
    }

    /// Takes what the broker says of itself, while so many connections of mqhook's own are certain; uptimes only from the
    /// time on when all is heard. Returns whether it is known now that nobody who was connected before the watch is so, and
    /// was not known before.
    pub(super) fn hear(&mut self, vital: Vital, own: u64) -> bool {
        let seconds = match vital {
            Vital::Connections(connections) => {
                self.connections = Some(connections);
                return false;
            }
            Vital::Uptime(seconds) => seconds,
        };
        let is_alone = self.tick.is_some_and(|(before, own_before)| {
            seconds > before && own_before == own && self.connections == Some(own)
        });
        self.tick = Some((seconds, own));
        is_alone && !std::mem::replace(&mut self.is_done, true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALONE: u64 = 2;

    fn up(seconds: u64) -> Vital {
        Vital::Uptime(seconds)
    }

    #[test]
    fn a_count_of_our_own_proves_that_nobody_else_is_there() {
        let mut reckoning = Reckoning::default();
        // What is retained may be older than the watch.
        reckoning.hear(Vital::Connections(ALONE), ALONE);
        reckoning.caught_up();
        assert!(!reckoning.hear(up(10), ALONE));
        assert!(!reckoning.hear(up(10), ALONE), "it came twice");
        assert!(reckoning.hear(up(12), ALONE));
        assert!(!reckoning.hear(up(14), ALONE), "it is known");
    }

    #[test]
    fn any_other_count_proves_nothing() {
        for connections in [0, ALONE - 1, ALONE + 1] {
            let mut reckoning = Reckoning::default();
            reckoning.hear(Vital::Connections(connections), ALONE);
            reckoning.hear(up(10), ALONE);
            assert!(!reckoning.hear(up(12), ALONE), "{connections}");
        }
        let mut reckoning = Reckoning::default();
        reckoning.hear(Vital::Connections(ALONE), ALONE);
        reckoning.hear(up(10), ALONE);
        // One of ours was not there for all the time.
        assert!(!reckoning.hear(up(12), ALONE - 1));
        reckoning.interrupted();
        reckoning.hear(up(14), ALONE);
        assert!(!reckoning.hear(up(16), ALONE), "counted before the gap");
    }

    #[test]
    fn a_broker_whose_uptime_jumps_proves_nothing() {
        let mut reckoning = Reckoning::default();
        reckoning.hear(Vital::Connections(ALONE), ALONE);
        reckoning.hear(up(10), ALONE);
        assert!(!reckoning.hear(up(7), ALONE));
        assert!(reckoning.hear(up(9), ALONE));
    }

    /// What happens at a broker with one device.
    #[derive(Debug, Clone, Copy)]
    enum Act {
        Pass(u64),
        Connect,
        Leave,
        /// It says how it is, and its connections only if that is another number than the last.
        Say,
        /// Nobody listens, and afterwards the device is connected, or not; and the broker was started anew, or not.
        Miss(bool, bool),
        /// What was kept meanwhile was heard, and what is retained.
        CatchUp,
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            2 => (1..9_u64).prop_map(Act::Pass),
            1 => Just(Act::Connect),
            1 => Just(Act::Leave),
            3 => Just(Act::Say),
            1 => any::<(bool, bool)>().prop_map(|(is_there, is_new)| Act::Miss(is_there, is_new)),
            1 => Just(Act::CatchUp),
        ];
        proptest::collection::vec(act, 0..60)
    }

    proptest! {
        /// Whatever happens, in and between the times of hearing: who was connected before the watch and is found
        /// not to be, is not.
        #[test]
        fn who_is_connected_is_never_found_absent(acts in acts()) {
            let mut reckoning = Reckoning::default();
            let (mut uptime, mut retained, mut is_listening) = (0, 1, false);
            // The device, and whether it is known from this watch.
            let (mut is_there, mut is_known) = (false, false);
            for act in acts {
                match act {
                    Act::Pass(seconds) => uptime += seconds,
                    Act::Connect => (is_there, is_known) = (true, is_listening),
                    Act::Leave => (is_there, is_known) = (false, is_listening),
                    Act::Say => {
                        if is_listening && reckoning.hear(up(uptime), 1) {
                            prop_assert!(!is_there || is_known);
                        }
                        let connections = 1 + u64::from(is_there);
                        if is_listening && connections != retained {
                            reckoning.hear(Vital::Connections(connections), 1);
                        }
                        retained = connections;
                    }
                    Act::Miss(is_there_then, is_new) => {
                        (is_there, is_known, is_listening) = (is_there_then, false, false);
                        uptime = if is_new { 0 } else { uptime };
                        reckoning.interrupted();
                    }
                    Act::CatchUp => {
                        reckoning.hear(Vital::Connections(retained), 1);
                        reckoning.caught_up();
                        is_listening = true;
                    }
                }
            }
        }
    }
}
