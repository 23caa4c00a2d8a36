use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

const A: Key = Key::of(2);

/// A delivery, wherever it is.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    number: u64,
    /// Whether the broker has it until it has settled or is on disk.
    is_awaited: bool,
    is_on_disk: Cell<bool>,
}

impl Item {
    fn new(number: u64, is_awaited: bool) -> Rc<Self> {
        Rc::new(Self {
            number,
            is_awaited,
            is_on_disk: Cell::new(false),
        })
    }

    fn survives(self: &Rc<Self>) -> bool {
        self.is_awaited || self.is_on_disk.get()
    }
}

fn latest() -> Latest<Rc<Item>> {
    Latest::new(Item::survives)
}

fn next(latest: &mut Latest<Rc<Item>>) -> Option<u64> {
    latest.next().map(|(_, item)| item.number)
}

/// Returns the numbers of those that have ended.
fn ended(latest: &mut Latest<Rc<Item>>) -> Vec<u64> {
    let number = |effect: Effect<Rc<Item>>| match effect {
        Effect::Supersede(seq, _) => seq.0,
        Effect::Settle(item) => item.number,
        Effect::Ask(question) => panic!("{question:?}"),
    };
    latest.effects().map(number).collect()
}

fn put_off(latest: &mut Latest<Rc<Item>>, number: u64, now: Instant) {
    let due = Timestamp::from_millis(number);
    latest.put_off(A, Seq(number), Place::Store { due }, now, now);
}

#[test]
fn a_newer_one_takes_the_place_of_what_waits() {
    let mut latest = latest();
    latest.arrive(A, Seq(1), Item::new(1, true));
    assert_eq!(next(&mut latest), Some(1));
    latest.arrive(A, Seq(2), Item::new(2, true));
    latest.arrive(A, Seq(3), Item::new(3, true));
    assert_eq!(ended(&mut latest), [2]);
    assert_eq!(next(&mut latest), None, "one is under way");
    latest.ended(A);
    assert_eq!(next(&mut latest), Some(3));
    latest.ended(A);
    assert!(latest.topics.is_empty());
}

#[test]
fn what_is_put_off_ends_when_a_newer_one_comes() {
    let (mut latest, now) = (latest(), Instant::now());
    let first = Item::new(1, true);
    latest.arrive(A, Seq(1), Rc::clone(&first));
    next(&mut latest);
    assert_eq!(
        latest.failed(A, Seq(1), Rc::clone(&first)).as_ref(),
        Some(&first)
    );
    put_off(&mut latest, 1, now);
    latest.arrive(A, Seq(2), Item::new(2, true));
    assert_eq!(ended(&mut latest), [1]);
    assert_eq!(next(&mut latest), Some(2));
    latest.arrive_again(A, Seq(1), first);
    assert_eq!(ended(&mut latest), [1], "it was on its way");
    latest.ended(A);
    assert!(latest.topics.is_empty() && latest.looks.is_empty());
}

#[test]
fn what_waits_in_memory_for_another_attempt_goes_when_it_is_due_or_ends_at_once() {
    let (mut latest, now) = (latest(), Instant::now());
    let due = now + Duration::from_hours(5);
    for (number, is_newer_there) in [(1, false), (2, true)] {
        latest.arrive(A, Seq(number), Item::new(number, true));
        let (_, item) = latest.next().expect("it has come");
        let item = latest
            .failed(A, Seq(number), item)
            .expect("nothing newer waits");
        latest.put_off(A, Seq(number), Place::Memory(item), due, now);
        if is_newer_there {
            latest.arrive(A, Seq(number + 1), Item::new(number + 1, true));
            assert_eq!(ended(&mut latest), [number]);
            assert_eq!(next(&mut latest), Some(number + 1));
        } else {
            latest.wake(now);
            assert_eq!(next(&mut latest), None);
            assert_eq!(latest.next_wake(), Some(due));
            latest.wake(due);
            assert_eq!(next(&mut latest), Some(number));
        }
        latest.ended(A);
        assert!(latest.topics.is_empty() && latest.looks.is_empty());
    }
}

#[test]
fn what_was_dropped_is_forgotten() {
    let (mut latest, now) = (latest(), Instant::now());
    latest.arrive(A, Seq(1), Item::new(1, true));
    next(&mut latest);
    put_off(&mut latest, 1, now);
    let wake = latest.next_wake().expect("something is away");
    latest.wake(wake);
    let asked: Vec<_> = latest.effects().collect();
    let (seq, due) = (Seq(1), Timestamp::from_millis(1));
    let what = What::PutOff { seq, due };
    assert_eq!(asked, [Effect::Ask(Question { key: A, what })]);
    latest.is_gone(A, seq, Timestamp::from_millis(2));
    assert!(!latest.topics.is_empty(), "that was an earlier time");
    latest.is_gone(A, seq, due);
    assert!(latest.topics.is_empty() && latest.looks.is_empty());
}

#[test]
fn topics_and_what_has_none_take_turns() {
    let mut latest = latest();
    latest.arrive(A, Seq(1), Item::new(1, true));
    latest.arrive_alone(Item::new(2, true));
    latest.arrive(Key::of(8), Seq(3), Item::new(3, true));
    next(&mut latest);
    latest.arrive(A, Seq(4), Item::new(4, true));
    latest.ended(A);
    let order: Vec<_> = std::iter::from_fn(|| next(&mut latest)).collect();
    assert_eq!(order, [2, 3, 4]);
}

#[test]
fn there_are_only_so_many_topics() {
    let mut latest = latest();
    for number in 1..=TOPICS as u64 {
        assert!(latest.has_room());
        latest.arrive(Key::of(number << 8), Seq(number), Item::new(number, true));
    }
    assert!(!latest.has_room());
    let (key, _) = latest.next().expect("something waits");
    latest.ended(key.expect("it has a topic"));
    assert!(latest.has_room());
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// One comes that the broker keeps until it is taken over, or one that it does not.
    Arrive(bool),
    /// All is written.
    Save,
    Next,
    Succeed,
    Fail,
    /// One that is put off is read.
    Load,
    /// What was read arrives.
    Return,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<bool>().prop_map(Step::Arrive),
        2 => Just(Step::Save),
        4 => Just(Step::Next),
        2 => Just(Step::Succeed),
        3 => Just(Step::Fail),
        2 => Just(Step::Load),
        2 => Just(Step::Return),
        1 => Just(Step::Crash),
    ]
}

/// Deliveries of one topic, with their store.
struct World {
    latest: Latest<Rc<Item>>,
    /// Those that have not ended.
    open: BTreeMap<u64, Rc<Item>>,
    put_off: Vec<u64>,
    queue: Vec<u64>,
    under_way: Option<Rc<Item>>,
    last: u64,
    /// The newest that was attempted, has ended well, and may not be lost.
    begun: u64,
    delivered: u64,
    promised: u64,
}

impl World {
    fn new() -> Self {
        Self {
            latest: latest(),
            open: BTreeMap::new(),
            put_off: Vec::new(),
            queue: Vec::new(),
            under_way: None,
            last: 0,
            begun: 0,
            delivered: 0,
            promised: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Arrive(is_awaited) => self.arrive(is_awaited),
            Step::Save => {
                for item in self.open.values() {
                    item.is_on_disk.set(true);
                    self.promised = self.promised.max(item.number);
                }
            }
            Step::Next => {
                if let Some((_, item)) = self.latest.next() {
                    assert!(item.number >= self.begun && self.under_way.is_none());
                    self.begun = item.number;
                    self.under_way = Some(item);
                }
            }
            Step::Succeed => {
                if let Some(item) = self.under_way.take() {
                    self.delivered = self.delivered.max(item.number);
                    self.end(item.number);
                    self.latest.ended(A);
                }
            }
            Step::Fail => self.fail(),
            Step::Load => self.queue.extend(self.put_off.pop()),
            Step::Return => {
                if let Some(number) = self.queue.pop() {
                    let item = self.open.get(&number).cloned();
                    let item = item.unwrap_or_else(|| Item::new(number, false));
                    self.latest.arrive_again(A, Seq(number), item);
                }
            }
            Step::Crash => self.crash(),
        }
        self.follow();
    }

    fn arrive(&mut self, is_awaited: bool) {
        self.last += 1;
        let item = Item::new(self.last, is_awaited);
        self.open.insert(self.last, Rc::clone(&item));
        self.latest.arrive(A, Seq(item.number), item);
    }

    fn fail(&mut self) {
        let Some(item) = self.under_way.take() else {
            return;
        };
        if let Some(item) = self.latest.failed(A, Seq(item.number), item) {
            item.is_on_disk.set(true);
            self.put_off.push(item.number);
            put_off(&mut self.latest, item.number, Instant::now());
        }
    }

    /// Ends a delivery: it is acknowledged, and its row is taken away.
    fn end(&mut self, number: u64) {
        if let Some(item) = self.open.remove(&number)
            && item.is_awaited
        {
            self.promised = self.promised.max(number);
        }
    }

    fn follow(&mut self) {
        for number in ended(&mut self.latest) {
            self.end(number);
        }
        let surviving = self.open.values().filter(|item| item.survives());
        let surviving = surviving.map(|item| item.number).max().unwrap_or(0);
        assert!(
            self.delivered.max(surviving) >= self.promised,
            "{} is lost: {:?}",
            self.promised,
            self.open
        );
    }

    /// What is on disk comes first and in order, and what the broker has comes as something new.
    fn crash(&mut self) {
        self.latest = latest();
        (self.put_off, self.queue, self.under_way) = (Vec::new(), Vec::new(), None);
        // What was under way may be lost, and then an older one goes instead.
        self.begun = self.delivered;
        let open = std::mem::take(&mut self.open);
        let (on_disk, others): (Vec<_>, Vec<_>) =
            open.into_values().partition(|item| item.is_on_disk.get());
        for item in on_disk {
            self.open.insert(item.number, Rc::clone(&item));
            self.latest.arrive(A, Seq(item.number), item);
        }
        for _ in others.iter().filter(|item| item.is_awaited) {
            self.arrive(true);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_is_newer_than_all_that_went_and_what_was_promised_is_not_lost(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(*step);
        }
        world.step(Step::Arrive(true));
        for step in [Step::Succeed, Step::Load, Step::Return, Step::Next].repeat(steps.len() + 2) {
            world.step(step);
        }
        prop_assert_eq!(world.delivered, world.last, "the newest is delivered");
        prop_assert!(world.open.is_empty(), "{:?}", world.open);
        prop_assert!(world.latest.topics.is_empty(), "{:?}", world.latest);
        prop_assert!(world.latest.looks.is_empty());
    }
}
