//! A broker that queues, and a connection whose filters change while it does.
//!
//! ```text
//! for each change: SUBSCRIBE to new, give it another name, UNSUBSCRIBE from old
//! broker:          queue <- a copy for each subscription, in any order; answers at once
//! connection:      takes from the queue as it likes, but never an answer behind what was published after it
//! ```

use super::*;

const FILTERS: [&str; 5] = ["t/a", "t/+", "+/a", "#", "+/+"];

const SAID: [&str; 48] = {
    const ALL: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV";
    let mut said = [""; 48];
    let mut at = 0;
    while at < said.len() {
        said[at] = ALL.split_at(at).1.split_at(1).0;
        at += 1;
    }
    said
};

/// What is left open: a number below the given one each time.
trait Chance {
    fn choose(&mut self, below: usize) -> usize;
}

/// Everything, one after the other.
#[derive(Default)]
struct Each {
    chosen: Vec<(usize, usize)>,
    at: usize,
}

impl Chance for Each {
    fn choose(&mut self, below: usize) -> usize {
        if self.at == self.chosen.len() {
            self.chosen.push((0, below));
        }
        self.at += 1;
        self.chosen[self.at - 1].0
    }
}

impl Each {
    /// Goes on to what was not chosen yet; returns whether there is any.
    fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((chosen, below)) = self.chosen.pop() {
            if chosen + 1 < below {
                self.chosen.push((chosen + 1, below));
                return true;
            }
        }
        false
    }
}

/// Numbers that look like chance (xorshift).
struct Any(u64);

impl Chance for Any {
    fn choose(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % below
    }
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Subscribe(usize, usize),
    Unsubscribe(usize),
}

/// What to ask for in a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Steps {
    /// One filter takes the place of another.
    Chain,
    /// The second change gives up what the first had asked for, before what that was to take the place of is given up.
    Hasty,
}

/// What stories there are.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    steps: Steps,
    changes: usize,
    /// Most messages between what is asked for.
    messages: usize,
    /// Most of them in all.
    all: usize,
    /// How many are used of the `QoS` that may overtake each other.
    streams: usize,
}

impl Bounds {
    /// How many subscriptions are there beside one that they take the place of.
    fn pairs(self) -> usize {
        match self.steps {
            Steps::Chain => self.changes,
            Steps::Hasty => self.changes * (self.changes + 1) / 2,
        }
    }
}

/// What happens, and where in the queue.
#[derive(Debug, Default)]
struct Story {
    /// By `QoS`, number of the message, what it says, under which name.
    queues: [Vec<(usize, &'static str, usize)>; 2],
    messages: usize,
    /// What is asked for, how much is queued when the broker hears it, and at which change.
    asked: Vec<(Asked, [usize; 2], usize)>,
    /// Whether some change has no message from before the second name, and one from behind it.
    is_in_doubt: bool,
    repeats: bool,
}

fn asked(steps: Steps, changes: usize) -> Vec<(Asked, usize)> {
    use Asked::{Subscribe, Unsubscribe};
    let mut asked = vec![(Subscribe(0, 0), 0)];
    for change in 1..=changes {
        let name = 2 * change;
        asked.push((Subscribe(change, name), change));
        let is_replaced = steps == Steps::Hasty && change < changes;
        if !is_replaced {
            asked.push((Subscribe(change, name + 1), change));
            let first = match steps {
                Steps::Chain => change - 1,
                Steps::Hasty => 0,
            };
            asked.extend((first..change).rev().map(|old| (Unsubscribe(old), change)));
        }
    }
    asked
}

impl Story {
    fn of(chance: &mut impl Chance, bounds: Bounds) -> Self {
        let mut story = Self::default();
        let mut live: Vec<(usize, usize)> = Vec::new();
        let mut said = 0;
        // Whether nothing came over what was subscribed to last, and whether that had but one name until now.
        let (mut is_unheard, mut has_one_name) = ([false; 2], true);
        for (asked, change) in asked(bounds.steps, bounds.changes) {
            story
                .asked
                .push((asked, story.queues.each_ref().map(Vec::len), change));
            match asked {
                Asked::Subscribe(filter, name) => {
                    has_one_name = live.iter().all(|it| it.0 != filter);
                    is_unheard = is_unheard.map(|it| it || has_one_name);
                    live.retain(|it| it.0 != filter);
                    live.push((filter, name));
                }
                Asked::Unsubscribe(filter) => live.retain(|it| it.0 != filter),
            }
            let most = bounds.messages.min(bounds.all - story.messages);
            let count = chance.choose(most + 1);
            for _ in 0..count {
                let qos = chance.choose(bounds.streams);
                story.publish(chance, qos, &live, &mut said);
                story.is_in_doubt |= is_unheard[qos] && !has_one_name && live.len() > 1;
                is_unheard[qos] = false;
            }
        }
        story
    }

    fn publish(
        &mut self,
        chance: &mut impl Chance,
        qos: usize,
        live: &[(usize, usize)],
        said: &mut usize,
    ) {
        let last = self.queues[qos].last().map(|(_, said, _)| *said);
        let repeated = last.filter(|_| chance.choose(2) == 1);
        self.repeats |= repeated.is_some();
        *said += usize::from(repeated.is_none());
        let says = repeated.unwrap_or(SAID[*said]);
        let mut copies = live.to_vec();
        while !copies.is_empty() {
            let (_, name) = copies.remove(chance.choose(copies.len()));
            self.queues[qos].push((self.messages, says, name));
        }
        self.messages += 1;
    }

    /// Has it all heard, and returns how often each message was taken.
    fn hear(&self, chance: &mut impl Chance) -> Vec<usize> {
        let mut copies = Copies::default();
        let mut taken = vec![0; self.messages];
        let mut heard = [0, 0];
        let mut changed = 0;
        let mut hear = |copies: &mut Copies, qos: usize, until: usize| {
            for &(message, said, name) in &self.queues[qos][heard[qos]..until] {
                let publish = Publish {
                    qos: u8::try_from(qos).expect("0 or 1"),
                    ..publish(said, Subscription::Named(name))
                };
                taken[message] += usize::from(!copies.is_copy(&publish, Instant::now));
            }
            heard[qos] = until;
        };
        let mut reached = [0, 0];
        for &(asked, queued, change) in &self.asked {
            if change > changed {
                changed = change;
                let old = FILTERS[change - 1].to_owned();
                copies.expect(Subscription::Named(2 * change), vec![old], Instant::now());
            }
            match asked {
                Asked::Subscribe(filter, name) => {
                    let filter = FILTERS[filter].to_owned();
                    copies.subscribe(&[filter], Subscription::Named(name));
                }
                Asked::Unsubscribe(filter) => copies.unsubscribe(FILTERS[filter]),
            }
            for qos in 0..2 {
                reached[qos] += chance.choose(queued[qos] - reached[qos] + 1);
                hear(&mut copies, qos, reached[qos]);
            }
            match asked {
                Asked::Subscribe(..) => copies.subscribed(&[]),
                Asked::Unsubscribe(filter) => copies.unsubscribed(FILTERS[filter]),
            }
        }
        for (qos, queue) in self.queues.iter().enumerate() {
            hear(&mut copies, qos, queue.len());
        }
        taken
    }
}

/// Has one more story told.
fn check(chance: &mut impl Chance, bounds: Bounds) {
    let story = Story::of(chance, bounds);
    let taken = story.hear(chance);
    assert!(
        taken.iter().all(|times| *times > 0),
        "expected each once: {taken:?} {story:?}"
    );
    let more = taken.iter().sum::<usize>() - story.messages;
    let is_in_doubt = story.repeats || story.is_in_doubt;
    let most = if is_in_doubt {
        bounds.pairs() * bounds.streams
    } else {
        0
    };
    assert!(more <= most, "expected none twice: {taken:?} {story:?}");
}

/// Checks all that can happen within bounds.
fn check_each(bounds: Bounds) {
    let mut chance = Each::default();
    loop {
        check(&mut chance, bounds);
        if !chance.next() {
            break;
        }
    }
}

#[test]
fn over_one_change_none_is_lost_and_one_taken_twice_at_most_whatever_happens() {
    check_each(Bounds {
        steps: Steps::Chain,
        changes: 1,
        messages: 3,
        all: 4,
        streams: 1,
    });
}

#[test]
fn over_two_changes_none_is_lost_and_few_are_taken_twice_whatever_happens() {
    for steps in [Steps::Chain, Steps::Hasty] {
        check_each(Bounds {
            steps,
            changes: 2,
            messages: 2,
            all: 2,
            streams: 1,
        });
    }
}

#[test]
fn over_several_changes_none_is_lost_and_few_are_taken_twice() {
    let mut chance = Any(0x2545_f491_4f6c_dd1d);
    let steps = [Steps::Chain, Steps::Hasty].into_iter();
    for (changes, steps) in (2..=4).flat_map(|changes| steps.clone().map(move |it| (changes, it))) {
        for streams in 1..=2 {
            let bounds = Bounds {
                steps,
                changes,
                messages: 3,
                all: 40,
                streams,
            };
            for _ in 0..5_000 {
                check(&mut chance, bounds);
            }
        }
    }
}
