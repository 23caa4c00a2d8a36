//! The order against a naive model: a store that is a map, and a receiver that does as it likes.

mod world;

use proptest::prelude::*;
use proptest::sample::Index;

use world::World;

use super::*;

const KEYS: u64 = 3;

/// The most of a request.
const BATCH: usize = 4;

/// From the first failure on.
const PATIENCE: Duration = Duration::from_secs(40);

/// A delivery, wherever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    seq: Seq,
    key: Key,
    first_failed: Option<Instant>,
}

/// Where a delivery that is on disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Fresh,
    /// In memory, or about to be, so that it is not read; and whether it was due.
    Taken(bool),
    Due(Instant),
    Parked,
}

#[derive(Debug, Clone)]
enum Step {
    Arrive(u64),
    /// The lane takes what comes by its queues, if it may, and gathers it.
    Take,
    /// What is gathered is attempted.
    Send,
    /// An attempt ends: well, or to be made again after so many seconds, or in halves.
    Succeed(Index),
    Fail(Index, u64),
    Split(Index),
    /// The next question is looked up, the next answer arrives.
    LookUp,
    Answer,
    Pass(u64),
    /// A row that is not in memory is dropped.
    Drop(Index),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..KEYS).prop_map(Step::Arrive),
        10 => Just(Step::Take),
        5 => Just(Step::Send),
        5 => any::<Index>().prop_map(Step::Succeed),
        4 => (any::<Index>(), 0..90_u64).prop_map(|(index, wait)| Step::Fail(index, wait)),
        1 => any::<Index>().prop_map(Step::Split),
        4 => Just(Step::LookUp),
        4 => Just(Step::Answer),
        3 => (0..30_u64).prop_map(Step::Pass),
        1 => any::<Index>().prop_map(Step::Drop),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, ..ProptestConfig::default() })]

    #[test]
    fn nothing_overtakes_what_has_not_given_way(
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.perform(step);
        }
        world.finish();
    }
}
