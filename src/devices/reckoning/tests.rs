use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const ALONE: u64 = 2;

const OWN: Own = Own {
    connections: ALONE,
    changes: 7,
};

/// What is heard, each a second after the one before.
struct Story {
    reckoning: Reckoning,
    began: Instant,
    seconds: u64,
}

impl Story {
    fn new() -> Self {
        Self {
            reckoning: Reckoning::default(),
            began: Instant::now(),
            seconds: 0,
        }
    }

    fn now(&self) -> Instant {
        self.began + Duration::from_secs(self.seconds)
    }

    fn hear(&mut self, vital: Vital, own: Own) -> Finding {
        self.seconds += 1;
        let at = Timestamp::from_millis(self.seconds * 1_000);
        self.reckoning.hear(vital, own, (at, self.now()))
    }

    fn count(&mut self, connections: u64) -> Finding {
        self.hear(Vital::Connections(connections), OWN)
    }

    fn up(&mut self, seconds: u64) -> Finding {
        self.hear(Vital::Uptime(seconds), OWN)
    }

    /// A probe is made and heard.
    fn probe(&mut self, own: Own) -> Option<u64> {
        self.seconds += 1;
        let found = self.reckoning.caught_up(self.now(), own);
        found.map(Timestamp::as_millis)
    }
}

#[test]
fn a_count_of_our_own_proves_that_nobody_else_is_there() {
    let mut story = Story::new();
    // What is retained may be older than the watch.
    story.count(ALONE);
    assert_eq!(story.probe(OWN), None);
    assert_eq!(story.up(10), Finding::Nothing);
    assert_eq!(story.up(10), Finding::Nothing, "it came twice");
    assert_eq!(story.up(12), Finding::Alone);
    assert_eq!(story.up(14), Finding::Alone, "the probe is not heard");
    assert_eq!(story.probe(OWN), Some(4_000), "the time of the count");
    assert_eq!(story.up(16), Finding::Nothing, "it is known");
    assert_eq!(story.probe(OWN), None, "it is known");
}

#[test]
fn nobody_is_absent_before_it_is_heard_who_came_since() {
    let mut story = Story::new();
    story.count(ALONE);
    story.up(10);
    let early = story.now();
    story.up(12);
    // A probe that was made before proves nothing, and takes nothing away.
    assert_eq!(story.reckoning.caught_up(early, OWN), None);
    // Somebody has come, though it is not heard yet.
    assert_eq!(story.count(ALONE + 1), Finding::Company);
    assert_eq!(story.probe(OWN), None);
    story.count(ALONE);
    assert_eq!(story.up(14), Finding::Nothing);
    assert_eq!(story.up(16), Finding::Alone);
    let gone = Own {
        changes: OWN.changes + 1,
        ..OWN
    };
    assert_eq!(story.probe(gone), None, "one of ours has gone");
    assert_eq!(story.up(18), Finding::Alone);
    assert_eq!(story.probe(OWN), Some(8_000));
}

#[test]
fn any_other_count_proves_nothing() {
    for connections in [0, ALONE - 1, ALONE + 1] {
        let mut story = Story::new();
        assert_eq!(story.count(connections), Finding::Company);
        story.up(10);
        assert_eq!(story.up(12), Finding::Nothing, "{connections}");
    }
    let mut story = Story::new();
    story.count(ALONE);
    story.up(10);
    // One of ours was not there for all the time.
    for own in [(ALONE - 1, 7), (ALONE, 8)] {
        let (connections, changes) = own;
        let own = Own {
            connections,
            changes,
        };
        assert_eq!(story.hear(Vital::Uptime(12), own), Finding::Nothing);
    }
    story.reckoning.interrupted();
    story.up(14);
    assert_eq!(story.up(16), Finding::Nothing, "counted before the gap");
}

#[test]
fn a_broker_whose_uptime_jumps_proves_nothing() {
    let mut story = Story::new();
    story.count(ALONE);
    story.up(10);
    assert_eq!(story.up(7), Finding::Nothing);
    assert_eq!(story.up(9), Finding::Alone);
    assert_eq!(story.up(8), Finding::Nothing);
    assert_eq!(story.probe(OWN), None);
}

/// What happens at a broker with one device.
#[derive(Debug, Clone, Copy)]
enum Act {
    Pass(u64),
    Connect,
    Leave,
    /// It says how it is, and its connections only if that is another number than the last.
    Say,
    /// The next line of what it tells of clients comes, if there is one.
    Line,
    /// One of ours goes and comes back.
    Blink,
    /// Nobody listens, and afterwards the device is connected, or not; and the broker was started anew, or not.
    Gap(bool, bool),
    /// What was kept meanwhile was heard, and what is retained.
    CatchUp,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        2 => (1..9_u64).prop_map(Act::Pass),
        1 => Just(Act::Connect),
        1 => Just(Act::Leave),
        4 => Just(Act::Say),
        4 => Just(Act::Line),
        1 => Just(Act::Blink),
        1 => any::<(bool, bool)>().prop_map(|(is_there, is_new)| Act::Gap(is_there, is_new)),
        1 => Just(Act::CatchUp),
    ];
    proptest::collection::vec(act, 0..80)
}

#[derive(Debug, Clone, Copy)]
enum Line {
    OfDevice,
    /// Of a probe that was made then, when the device was there or was not.
    Probe(Instant, bool),
}

/// A broker with one device, whose lines come late.
struct Broker {
    story: Story,
    own: Own,
    uptime: u64,
    retained: u64,
    lines: VecDeque<Line>,
    is_listening: bool,
    is_there: bool,
    /// Whether it is known from this watch.
    is_known: bool,
}

impl Broker {
    fn new() -> Self {
        Self {
            story: Story::new(),
            own: Own {
                connections: 1,
                changes: 0,
            },
            uptime: 0,
            retained: 1,
            lines: VecDeque::new(),
            is_listening: false,
            is_there: false,
            is_known: false,
        }
    }

    fn say(&mut self) {
        let connections = 1 + u64::from(self.is_there);
        if self.is_listening {
            if self.story.hear(Vital::Uptime(self.uptime), self.own) == Finding::Alone {
                let now = self.story.now() + Duration::from_millis(1);
                self.lines.push_back(Line::Probe(now, self.is_there));
            }
            if connections != self.retained {
                self.story.hear(Vital::Connections(connections), self.own);
            }
        }
        self.retained = connections;
    }

    /// Returns whether the device is found absent that is there, and of which nothing was heard.
    fn line(&mut self) -> bool {
        match self.lines.pop_front() {
            Some(Line::OfDevice) => self.is_known = true,
            Some(Line::Probe(made, is_there)) => return self.probe(made, is_there),
            None => {}
        }
        false
    }

    fn probe(&mut self, made: Instant, is_there: bool) -> bool {
        let found = self.story.reckoning.caught_up(made, self.own);
        found.is_some() && is_there && !self.is_known
    }

    /// Returns whether the device is found absent that is there, and of which nothing was heard.
    fn act(&mut self, act: Act) -> bool {
        match act {
            Act::Pass(seconds) => self.uptime += seconds,
            Act::Connect | Act::Leave => {
                self.is_there = matches!(act, Act::Connect);
                self.lines.push_back(Line::OfDevice);
            }
            Act::Say => self.say(),
            Act::Blink => self.own.changes += 1,
            Act::Gap(is_there, is_new) => {
                (self.is_there, self.is_known, self.is_listening) = (is_there, false, false);
                self.uptime = if is_new { 0 } else { self.uptime };
                self.story.reckoning.interrupted();
            }
            Act::CatchUp => {
                let is_told = |line: &Line| matches!(line, Line::OfDevice);
                let lines = std::mem::take(&mut self.lines);
                self.is_known |= self.is_listening && lines.iter().any(is_told);
                self.story.count(self.retained);
                let made = self.story.now();
                self.is_listening = true;
                return self.probe(made, self.is_there);
            }
            Act::Line if self.is_listening => return self.line(),
            Act::Line => {}
        }
        false
    }
}

proptest! {
    /// Whatever happens, in and between watches, and however late it comes: who was connected before the watch and is
    /// found not to be, is not.
    #[test]
    fn who_is_connected_is_never_found_absent(acts in acts()) {
        let mut broker = Broker::new();
        for act in acts {
            prop_assert!(!broker.act(act));
        }
    }
}
