use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);

fn config(failures: u32) -> Config {
    Config {
        failures: NonZeroU32::new(failures).expect("it is not zero"),
        ..Config::default()
    }
}

fn breaker(failures: u32) -> Breaker {
    Breaker::new(config(failures), RETRY_AFTER_MAX)
}

/// Lets an attempt fail without further words, and returns what that changes.
fn fail(breaker: &mut Breaker, now: Instant) -> Option<Change> {
    let attempt = breaker.started();
    breaker.failed(attempt, None, now, 0.0)
}

const fn nothing_until(until: Instant) -> Admission {
    Admission::Nothing { until: Some(until) }
}

const NOTHING: Admission = Admission::Nothing { until: None };

#[test]
fn failures_in_a_row_open_it_and_others_do_not() {
    let (mut breaker, now) = (breaker(3), Instant::now());
    for _ in 0..2 {
        assert_eq!(fail(&mut breaker, now), None);
    }
    let success = breaker.started();
    assert_eq!(breaker.succeeded(success), None);
    for _ in 0..2 {
        assert_eq!(fail(&mut breaker, now), None);
        assert_eq!(breaker.admits(now), Admission::All);
    }
    assert_eq!(fail(&mut breaker, now), Some(Change::Opened));
    assert_eq!(breaker.admits(now), nothing_until(now + SECOND));
}

#[test]
fn an_open_one_admits_one_probe_at_a_time_and_closes_when_it_succeeds() {
    let (mut breaker, now) = (breaker(1), Instant::now());
    fail(&mut breaker, now);
    let later = now + SECOND;
    assert_eq!(breaker.admits(later), Admission::Probe);
    let probe = breaker.started();
    assert_eq!(breaker.admits(later + 100 * SECOND), NOTHING);
    assert_eq!(breaker.succeeded(probe), Some(Change::Closed));
    assert_eq!(breaker.admits(later), Admission::All);
}

#[test]
fn failed_probes_come_less_often_up_to_a_limit_and_a_success_begins_anew() {
    let (mut breaker, mut now) = (breaker(1), Instant::now());
    assert_eq!(fail(&mut breaker, now), Some(Change::Opened));
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        let until = now + seconds * SECOND;
        assert_eq!(breaker.admits(now), nothing_until(until), "{seconds} s");
        now = until;
        assert_eq!(breaker.admits(now), Admission::Probe);
        assert_eq!(fail(&mut breaker, now), None);
    }
    let probe = breaker.started();
    breaker.succeeded(probe);
    fail(&mut breaker, now);
    assert_eq!(breaker.admits(now), nothing_until(now + SECOND));
}

#[test]
fn chance_takes_away_up_to_half_of_a_wait_but_nothing_of_what_was_asked_for() {
    let check = |retry_after: Option<u64>, random, expected_ms| {
        let (mut breaker, now) = (breaker(1), Instant::now());
        let attempt = breaker.started();
        breaker.failed(attempt, retry_after.map(Duration::from_secs), now, random);
        let until = now + Duration::from_millis(expected_ms);
        let expected = nothing_until(until);
        assert_eq!(breaker.admits(now), expected, "{retry_after:?}, {random}");
    };
    check(None, 0.0, 1_000);
    check(None, 1.0, 500);
    check(Some(0), 1.0, 500);
    check(Some(5), 1.0, 5_000);
    check(Some(u64::MAX), 0.0, 600_000);
}

#[test]
fn what_was_under_way_when_it_opened_neither_closes_it_nor_keeps_it_open() {
    let (mut breaker, now) = (breaker(1), Instant::now());
    let others: Vec<Attempt> = (0..3).map(|_| breaker.started()).collect();
    fail(&mut breaker, now);
    let open = breaker.admits(now);
    assert_eq!(breaker.failed(others[0], None, now, 0.0), None);
    assert_eq!(breaker.succeeded(others[1]), None);
    assert_eq!(breaker.admits(now), open);
    let probe = breaker.started();
    assert_eq!(breaker.failed(others[2], None, now, 0.0), None);
    assert_eq!(breaker.admits(now), NOTHING, "the probe is under way");
    assert_eq!(breaker.succeeded(probe), Some(Change::Closed));
}

#[test]
fn what_was_under_way_before_it_closed_does_not_open_it_again() {
    let (mut breaker, now) = (breaker(2), Instant::now());
    let others: Vec<Attempt> = (0..3).map(|_| breaker.started()).collect();
    fail(&mut breaker, now);
    fail(&mut breaker, now);
    let probe = breaker.started();
    breaker.succeeded(probe);
    for other in others {
        assert_eq!(breaker.failed(other, None, now, 0.0), None);
    }
    assert_eq!(breaker.admits(now), Admission::All);
}

#[test]
fn retry_after_of_any_attempt_puts_off_the_next_probe() {
    let (mut breaker, now) = (breaker(1), Instant::now());
    let other = breaker.started();
    fail(&mut breaker, now);
    breaker.failed(other, Some(10 * SECOND), now, 0.0);
    let later = now + 10 * SECOND;
    assert_eq!(breaker.admits(now), nothing_until(later));
    let probe = breaker.started();
    breaker.failed(probe, Some(20 * SECOND), later, 0.0);
    assert_eq!(breaker.admits(later), nothing_until(later + 20 * SECOND));
}

#[test]
fn a_probe_that_was_broken_off_makes_way_for_another() {
    let (mut breaker, now) = (breaker(1), Instant::now());
    fail(&mut breaker, now);
    let later = now + SECOND;
    let probe = breaker.started();
    breaker.abandoned(probe);
    assert_eq!(breaker.admits(later), Admission::Probe);
    let next = breaker.started();
    breaker.abandoned(probe);
    assert_eq!(breaker.admits(later), NOTHING, "another one is under way");
    assert_eq!(breaker.succeeded(next), Some(Change::Closed));
}

/// What happens to a breaker; numbers choose one of the attempts that are under way.
#[derive(Debug, Clone)]
enum Step {
    Start,
    Succeed(prop::sample::Index),
    Fail(prop::sample::Index, Option<Duration>, f64),
    Abandon(prop::sample::Index),
    Wait(Duration),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wait = || (0..40_000_u64).prop_map(Duration::from_millis);
    let asked = prop::option::weighted(0.2, (0..2_000_u64).prop_map(Duration::from_secs));
    let step = prop_oneof![
        6 => Just(Step::Start),
        2 => any::<prop::sample::Index>().prop_map(Step::Succeed),
        6 => (any::<prop::sample::Index>(), asked, 0.0..=1.0)
            .prop_map(|(index, asked, random)| Step::Fail(index, asked, random)),
        1 => any::<prop::sample::Index>().prop_map(Step::Abandon),
        3 => wait().prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..200)
}

/// A naive account of the same breaker, which knows of every attempt what it is.
struct Account {
    breaker: Breaker,
    now: Instant,
    is_open: bool,
    /// Failures in a row of attempts that were begun since it closed.
    failures: u32,
    under_way: Vec<(Attempt, Role)>,
    /// How often it has opened and closed.
    changes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Probe,
    /// Begun after so many changes.
    Ordinary(usize),
}

impl Account {
    fn new(failures: u32) -> Self {
        Self {
            breaker: breaker(failures),
            now: Instant::now(),
            is_open: false,
            failures: 0,
            under_way: Vec::new(),
            changes: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Start => self.start(),
            Step::Wait(time) => self.now += time,
            Step::Succeed(index) => {
                if let Some((attempt, role)) = self.end(index) {
                    let change = self.breaker.succeeded(attempt);
                    self.expect(change, role == Role::Probe, Change::Closed);
                    if self.counts(role) {
                        self.failures = 0;
                    }
                }
            }
            Step::Fail(index, asked, random) => {
                if let Some((attempt, role)) = self.end(index) {
                    self.failures += u32::from(self.counts(role));
                    let opens = self.failures == self.breaker.config.failures.get();
                    let change = self.breaker.failed(attempt, asked, self.now, random);
                    self.expect(change, opens, Change::Opened);
                    self.check_wait(asked);
                }
            }
            Step::Abandon(index) => {
                if let Some((attempt, _)) = self.end(index) {
                    self.breaker.abandoned(attempt);
                }
            }
        }
        self.check();
    }

    fn start(&mut self) {
        let role = match self.breaker.admits(self.now) {
            Admission::All => Role::Ordinary(self.changes),
            Admission::Probe => Role::Probe,
            Admission::Nothing { .. } => return,
        };
        self.under_way.push((self.breaker.started(), role));
    }

    fn end(&mut self, index: prop::sample::Index) -> Option<(Attempt, Role)> {
        let count = self.under_way.len();
        (count > 0).then(|| self.under_way.swap_remove(index.index(count)))
    }

    fn counts(&self, role: Role) -> bool {
        role == Role::Ordinary(self.changes) && !self.is_open
    }

    fn expect(&mut self, change: Option<Change>, is_expected: bool, expected: Change) {
        assert_eq!(change, is_expected.then_some(expected));
        if is_expected {
            self.is_open = expected == Change::Opened;
            self.failures = 0;
            self.changes += 1;
        }
    }

    /// Checks that what an attempt's failure leaves of the wait is at least what was asked for.
    fn check_wait(&self, asked: Option<Duration>) {
        let asked = asked.unwrap_or_default().min(RETRY_AFTER_MAX);
        if let Admission::Nothing { until: Some(until) } = self.breaker.admits(self.now) {
            assert!(until >= self.now + asked, "asked for {asked:?}");
        }
    }

    fn check(&self) {
        let is_probing = self.under_way.iter().any(|(_, role)| *role == Role::Probe);
        match (self.is_open, is_probing, self.breaker.admits(self.now)) {
            (false, false, Admission::All)
            | (true, true, Admission::Nothing { until: None })
            | (true, false, Admission::Probe) => {}
            (true, false, Admission::Nothing { until: Some(until) }) => {
                let longest = RETRY_AFTER_MAX.max(self.breaker.config.max);
                assert!((self.now..=self.now + longest).contains(&until));
                assert_eq!(self.breaker.admits(until), Admission::Probe);
            }
            unexpected => panic!("expected something else than {unexpected:?}"),
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_it_is_never_stuck_and_counts_right(failures in 1..5_u32, steps in steps()) {
        let mut account = Account::new(failures);
        for step in &steps {
            account.take(step);
        }
    }

    #[test]
    fn no_time_is_too_long_for_it(
        initial in any::<u64>(),
        max in any::<u64>(),
        asked in any::<u64>(),
        random in 0.0..=1.0,
    ) {
        let config = Config {
            initial: Duration::from_secs(initial),
            max: Duration::from_secs(max),
            ..config(1)
        };
        let mut breaker = Breaker::new(config, Duration::MAX);
        let attempt = breaker.started();
        let asked = Some(Duration::from_secs(asked));
        let change = breaker.failed(attempt, asked, Instant::now(), random);
        prop_assert_eq!(change, Some(Change::Opened));
    }
}
