mod room;
mod sweep;

use proptest::prelude::*;

use super::registry::{self, Entry, Observation, Sight, Verdict, decommission, judge};
use crate::event::{Client, Detail, Device, Happening, Kind, Reason, Status, Timestamp};
use crate::spool::store::DeviceRow;

fn heard(sight: Sight, ms: u64) -> Observation {
    Observation {
        client: Client {
            id: Some("dev".into()),
            username: Some("alice".into()),
            address: None,
        },
        sight,
        time: Timestamp::from_millis(ms),
        now: Timestamp::from_millis(ms),
    }
}

/// A device, and all that was told of it.
#[derive(Default)]
struct Story {
    row: Option<DeviceRow>,
    told: Vec<(Kind, Status, Option<Status>)>,
    watch: u64,
    ms: u64,
}

impl Story {
    fn see(&mut self, sight: Sight) -> &mut Self {
        self.ms += 1_000;
        let verdict = judge(self.row.as_ref(), &heard(sight, self.ms), self.watch);
        self.take(verdict);
        self
    }

    /// mqhook was away.
    fn gap(&mut self) -> &mut Self {
        self.watch += 1;
        self
    }

    /// It is found not to be connected, if it was before this watch.
    fn find_absent(&mut self) -> &mut Self {
        let known = self.row.clone();
        let was_connected = |row: &DeviceRow| row.status == Connected && row.watch < self.watch;
        if let Some(row) = known.filter(was_connected) {
            self.take(registry::find_absent(
                &row,
                self.watch,
                Timestamp::from_millis(self.ms),
            ));
        }
        self
    }

    fn take(&mut self, verdict: Verdict) {
        match verdict.entry {
            Entry::Kept => assert!(verdict.told.is_empty(), "told what is not remembered"),
            Entry::Written(row) => self.row = Some(*row),
            Entry::Forgotten(id) => {
                assert_eq!(self.row.take().map(|row| row.id), Some(id));
            }
        }
        self.told.extend(verdict.told.iter().map(of));
    }

    fn check(&mut self, expected: &[(Kind, Status, Option<Status>)]) {
        assert_eq!(std::mem::take(&mut self.told), expected);
    }
}

fn of(happening: &Happening) -> (Kind, Status, Option<Status>) {
    match &happening.detail {
        Detail::Device(Device {
            status, previous, ..
        }) => (happening.kind, *status, *previous),
        other => panic!("expected a device, got {other:?}"),
    }
}

const PROVISIONED: Kind = Kind::DeviceProvisioned;
const CHANGED: Kind = Kind::DeviceStatusChanged;
const GONE: Sight = Sight::Gone(Reason::Normal);
const REFUSED: Sight = Sight::Refused(Reason::NotAuthorized);
use Status::{Connected, Decommissioned, Disconnected, Refused};

#[test]
fn a_device_is_provisioned_once_and_told_when_it_changes() {
    let mut story = Story::default();
    story.see(REFUSED).see(GONE).see(Sight::Seen);
    story.check(&[]);
    story.see(Sight::Accepted);
    story.check(&[(PROVISIONED, Connected, None), (CHANGED, Connected, None)]);
    story.see(Sight::Accepted).see(Sight::Seen);
    story.check(&[]);
    story.see(GONE).see(GONE);
    story.check(&[(CHANGED, Disconnected, Some(Connected))]);
    story.see(REFUSED).see(REFUSED);
    story.check(&[(CHANGED, Refused, Some(Disconnected))]);
    story.see(Sight::Accepted);
    story.check(&[(CHANGED, Connected, Some(Refused))]);
}

#[test]
fn who_uses_the_name_of_a_connected_device_in_vain_changes_nothing() {
    let mut story = Story::default();
    story.see(Sight::Accepted).see(REFUSED).see(Sight::Expired);
    story.check(&[(PROVISIONED, Connected, None), (CHANGED, Connected, None)]);
    story.gap().see(REFUSED).see(Sight::Accepted);
    story.check(&[]);
}

#[test]
fn a_gap_invents_no_change_and_hides_none() {
    let mut story = Story::default();
    story.see(Sight::Accepted);
    story.told.clear();
    // It may have been away; as far as anybody was told it has been there all the time.
    story.gap().see(Sight::Accepted);
    story.check(&[]);
    story.gap().see(GONE);
    story.check(&[(CHANGED, Disconnected, Some(Connected))]);
    story.gap().see(GONE);
    story.check(&[]);
    story.gap().see(Sight::Accepted);
    story.check(&[(CHANGED, Connected, Some(Disconnected))]);
}

#[test]
fn what_a_device_does_shows_that_it_is_still_connected() {
    let mut story = Story::default();
    story.see(Sight::Accepted).gap();
    let is_online = |story: &Story| {
        let row = story.row.as_ref().expect("it was accepted");
        row.is_online(story.watch)
    };
    assert!(!is_online(&story));
    story.see(Sight::Seen);
    assert!(is_online(&story));
}

#[test]
fn who_publishes_in_this_watch_is_connected() {
    let mut story = Story::default();
    story.see(Sight::Present);
    story.check(&[]);
    story.see(Sight::Accepted).gap().see(Sight::Present);
    story.check(&[(PROVISIONED, Connected, None), (CHANGED, Connected, None)]);
    assert!(story.row.as_ref().is_some_and(|row| row.is_online(1)));
    // What it published may come behind what the broker tells of its end.
    story.see(GONE).see(Sight::Present);
    story.check(&[(CHANGED, Disconnected, Some(Connected))]);
    story.gap().see(Sight::Present);
    story.check(&[(CHANGED, Connected, Some(Disconnected))]);
}

#[test]
fn who_uses_the_name_of_a_device_in_vain_does_not_hide_that_it_is_connected() {
    let mut story = Story::default();
    story.see(Sight::Accepted).see(GONE);
    story.told.clear();
    // It connects in the gap, and then somebody uses its name.
    story.gap().see(REFUSED).see(Sight::Present);
    story.check(&[
        (CHANGED, Refused, Some(Disconnected)),
        (CHANGED, Connected, Some(Refused)),
    ]);
}

#[test]
fn who_is_found_absent_is_disconnected_for_no_known_reason() {
    let mut story = Story::default();
    story.see(Sight::Accepted).find_absent().gap();
    story.told.clear();
    story.find_absent().find_absent();
    story.check(&[(CHANGED, Disconnected, Some(Connected))]);
    let row = story.row.clone().expect("it was accepted");
    assert_eq!(row.reason, Some(Reason::Unknown));
    story.see(Sight::Accepted);
    story.check(&[(CHANGED, Connected, Some(Disconnected))]);
}

#[test]
fn a_clock_that_is_set_back_makes_nobody_seen_in_the_future() {
    let mut story = Story {
        ms: 4_000_000_000_000,
        ..Story::default()
    };
    story.see(Sight::Accepted);
    story.ms = 1_795_216_121_685;
    story.see(Sight::Seen);
    let row = story.row.expect("it was accepted");
    assert_eq!(row.last_seen.as_millis(), story.ms);
}

#[test]
fn what_expires_is_decommissioned_and_comes_back_as_new() {
    let mut story = Story::default();
    story.see(Sight::Accepted).see(GONE);
    story.told.clear();
    story.see(Sight::Expired);
    story.check(&[(
        Kind::DeviceDecommissioned,
        Decommissioned,
        Some(Disconnected),
    )]);
    story.see(Sight::Accepted);
    story.check(&[(PROVISIONED, Connected, None), (CHANGED, Connected, None)]);
    let row = story.row.clone().expect("it was accepted");
    let verdict = decommission(&row, Reason::Removed, Timestamp::from_millis(9));
    story.take(verdict);
    assert!(story.row.is_none());
}

#[test]
fn another_connection_of_the_client_is_no_end() {
    let end = |reason| Happening {
        kind: Kind::ClientDisconnected,
        time: None,
        client: Client::default(),
        detail: Detail::End(crate::event::End {
            reason,
            connected_at: None,
        }),
    };
    assert_eq!(Sight::of(&end(Reason::TakenOver)), Some(Sight::Seen));
    assert_eq!(
        Sight::of(&end(Reason::Normal)),
        Some(Sight::Gone(Reason::Normal))
    );
}

proptest! {
    /// Whatever is heard and missed: changes are told in a chain, each from what was told last to something
    /// else, a device begins with its provision, and what is known was heard in this watch.
    #[test]
    fn what_is_told_is_a_chain(steps in proptest::collection::vec(0..9_u8, 0..60)) {
        let mut story = Story::default();
        for step in steps {
            match step {
                0 | 1 => story.see(Sight::Accepted),
                2 => story.see(GONE),
                3 => story.see(REFUSED),
                4 => story.see(Sight::Expired),
                5 => story.see(Sight::Seen),
                6 => story.see(Sight::Present),
                7 => story.find_absent(),
                _ => story.gap(),
            };
        }
        let mut last = None;
        let mut is_known = false;
        for (kind, status, previous) in std::mem::take(&mut story.told) {
            match kind {
                Kind::DeviceProvisioned => {
                    prop_assert!(!is_known);
                    is_known = true;
                }
                Kind::DeviceStatusChanged => {
                    prop_assert!(is_known);
                    prop_assert_eq!(previous, last);
                    prop_assert_ne!(Some(status), last);
                    last = Some(status);
                }
                _ => {
                    prop_assert!(is_known);
                    prop_assert_eq!(previous, last);
                    (is_known, last) = (false, None);
                }
            }
        }
        prop_assert_eq!(story.row.map(|row| row.status), last);
    }
}
