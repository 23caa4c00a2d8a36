use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

fn list(seconds: &[u64]) -> Policy {
    let delays = seconds.iter().copied().map(Duration::from_secs).collect();
    Policy {
        schedule: Schedule::List(delays),
        ..Policy::default()
    }
}

#[test]
fn a_list_is_gone_through_and_then_given_up() {
    let policy = list(&[1, 5, 30]);
    let check = |failures, expected: Option<u64>| {
        let next = policy.next(failures, 1_000 * HOUR, None, 0.0);
        let expected = expected.map_or(Next::GiveUp, |s| Next::After(Duration::from_secs(s)));
        assert_eq!(next, expected, "after {failures} failures");
    };
    check(0, Some(1));
    check(1, Some(1));
    check(2, Some(5));
    check(3, Some(30));
    check(4, None);
    check(u32::MAX, None);
}

#[test]
fn an_empty_list_allows_one_attempt() {
    let next = list(&[]).next(1, Duration::ZERO, Some(SECOND), 0.0);
    assert_eq!(next, Next::GiveUp);
}

#[test]
fn growing_delays_end_with_their_time() {
    let growing = Exponential {
        initial: SECOND,
        factor: 3.0,
        max: 10 * SECOND,
        for_: HOUR,
    };
    let policy = Policy {
        schedule: Schedule::Exponential(growing),
        ..Policy::default()
    };
    let check = |failures, failing_for, expected| {
        let next = policy.next(failures, failing_for, None, 0.0);
        assert_eq!(next, expected, "after {failures} failures, {failing_for:?}");
    };
    check(1, Duration::ZERO, Next::After(SECOND));
    check(2, SECOND, Next::After(3 * SECOND));
    check(3, 4 * SECOND, Next::After(9 * SECOND));
    check(4, 13 * SECOND, Next::After(10 * SECOND));
    check(
        u32::MAX,
        Duration::from_secs(3_599),
        Next::After(10 * SECOND),
    );
    check(5, HOUR, Next::GiveUp);
}

#[test]
fn chance_takes_away_up_to_a_fifth_but_nothing_of_what_was_asked_for() {
    let policy = list(&[100]);
    let check = |retry_after: Option<u64>, random, expected| {
        let retry_after = retry_after.map(Duration::from_secs);
        let next = policy.next(1, Duration::ZERO, retry_after, random);
        let expected = Next::After(Duration::from_secs(expected));
        assert_eq!(next, expected, "{retry_after:?}, {random}");
    };
    check(None, 0.0, 100);
    check(None, 0.5, 90);
    check(None, 1.0, 80);
    check(Some(0), 1.0, 80);
    check(Some(90), 1.0, 90);
    check(Some(90), 0.0, 100);
    check(Some(200), 1.0, 200);
    check(Some(u64::MAX), 0.5, 24 * 3_600);
}

#[test]
fn retry_after_can_be_switched_off() {
    let policy = Policy {
        retry_after_max: Duration::ZERO,
        ..list(&[1])
    };
    let next = policy.next(1, Duration::ZERO, Some(HOUR), 0.0);
    assert_eq!(next, Next::After(SECOND));
}

#[test]
fn the_default_tries_quickly_at_first_and_then_for_three_days() {
    let Schedule::List(delays) = Schedule::default() else {
        panic!("expected a list")
    };
    let within_a_minute = delays.iter().scan(Duration::ZERO, |sum, delay| {
        *sum += *delay;
        (*sum < 60 * SECOND).then_some(())
    });
    assert_eq!(within_a_minute.count(), 4);
    assert!(delays.is_sorted(), "{delays:?}");
    let whole: Duration = delays.iter().sum();
    assert!((72 * HOUR..80 * HOUR).contains(&whole), "{whole:?}");
}

#[test]
fn hourly_is_every_hour_for_a_day() {
    let policy = Policy {
        schedule: Schedule::hourly(),
        ..Policy::default()
    };
    for failures in 1..=24 {
        let next = policy.next(failures, Duration::ZERO, None, 0.0);
        assert_eq!(next, Next::After(HOUR), "after {failures} failures");
    }
    assert_eq!(policy.next(25, 24 * HOUR, None, 0.0), Next::GiveUp);
}

#[test]
fn one_limit_of_failure_is_enough_and_none_is_none() {
    let check = |deliveries, time, failed, failing_for, expected| {
        let limit = FailureLimit {
            deliveries: NonZeroU32::new(deliveries),
            time,
        };
        let reached = limit.reached(failed, failing_for);
        assert_eq!(reached, expected, "{limit:?}, {failed}, {failing_for:?}");
    };
    check(0, None, u32::MAX, Duration::MAX, false);
    check(3, None, 2, Duration::MAX, false);
    check(3, None, 3, Duration::ZERO, true);
    check(0, Some(HOUR), u32::MAX, Duration::from_secs(3_599), false);
    check(0, Some(HOUR), 0, HOUR, true);
    check(3, Some(HOUR), 3, SECOND, true);
    check(3, Some(HOUR), 1, HOUR, true);
    check(3, Some(HOUR), 0, Duration::ZERO, false);
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0..1_000_000_u64).prop_map(Duration::from_millis),
        1 => any::<u64>().prop_map(Duration::from_secs),
        1 => Just(Duration::MAX),
    ]
}

fn growing() -> impl Strategy<Value = Exponential> {
    let factors = prop_oneof![4 => 1.0..10.0, 1 => any::<f64>()];
    (durations(), factors, durations(), durations()).prop_map(|(initial, factor, max, for_)| {
        Exponential {
            initial,
            factor,
            max,
            for_,
        }
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let schedule = prop_oneof![
        prop::collection::vec(durations(), 0..6).prop_map(Schedule::List),
        growing().prop_map(Schedule::Exponential),
    ];
    (schedule, durations()).prop_map(|(schedule, retry_after_max)| Policy {
        schedule,
        retry_after_max,
        on_gone: OnGone::Disable,
    })
}

proptest! {
    #[test]
    fn a_delay_is_within_what_the_schedule_and_the_receiver_say(
        policy in policies(),
        failures in prop_oneof![0..10_u32, any::<u32>()],
        failing_for in durations(),
        retry_after in prop::option::of(durations()),
        random in 0.0..=1.0,
    ) {
        let asked = retry_after.unwrap_or_default().min(policy.retry_after_max);
        let undisturbed = policy.next(failures, failing_for, None, 0.0);
        match (undisturbed, policy.next(failures, failing_for, retry_after, random)) {
            (Next::GiveUp, next) => prop_assert_eq!(next, Next::GiveUp),
            (Next::After(_), Next::GiveUp) => prop_assert!(false, "given up by chance"),
            (Next::After(delay), Next::After(next)) => {
                prop_assert!(next >= asked, "{:?} is before {:?}", next, asked);
                prop_assert!(next <= delay.max(asked));
                prop_assert!(next >= delay / 5 * 4);
            }
        }
    }

    #[test]
    fn every_schedule_comes_to_an_end(policy in policies(), random in 0.0..=1.0) {
        let is_list = matches!(policy.schedule, Schedule::List(_));
        let failing_for = if is_list { Duration::ZERO } else { Duration::MAX };
        prop_assert_eq!(policy.next(u32::MAX, failing_for, None, random), Next::GiveUp);
    }

    #[test]
    fn growing_delays_never_shrink(growing in growing(), failures in 1..200_u32) {
        let policy = Policy {
            schedule: Schedule::Exponential(Exponential { for_: Duration::MAX, ..growing }),
            ..Policy::default()
        };
        let delay = |failures| match policy.next(failures, Duration::ZERO, None, 0.0) {
            Next::After(delay) => delay,
            Next::GiveUp => panic!("expected another attempt"),
        };
        prop_assert!(delay(failures) <= delay(failures + 1));
    }
}
