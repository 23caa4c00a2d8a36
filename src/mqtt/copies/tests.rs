mod model;

use bytes::Bytes;
use bytestring::ByteString;

use super::*;

const O: Subscription = Subscription::Named(1);
const N: Subscription = Subscription::Named(2);
/// The name of what came over `N` before, from when the old subscription is about to end.
const LAST: Subscription = Subscription::Named(3);

fn publish(payload: &'static str, subscription: Subscription) -> Publish {
    Publish {
        topic: Some(ByteString::from_static("t/a")),
        payload: Bytes::from_static(payload.as_bytes()),
        qos: 1,
        retain: false,
        packet_id: 1,
        properties: None,
        subscription,
    }
}

fn subscribe(copies: &mut Copies, filter: &str, subscription: Subscription) {
    copies.subscribe(&[filter.to_owned()], subscription);
    copies.subscribed(&[]);
}

/// Both are subscribed to.
fn expecting(filter: &str, now: Instant) -> Copies {
    let mut copies = Copies::default();
    subscribe(&mut copies, filter, O);
    copies.expect(N, vec![filter.to_owned()], now);
    subscribe(&mut copies, "t/#", N);
    copies
}

fn end(copies: &mut Copies, filter: &str) {
    copies.unsubscribe(filter);
    copies.unsubscribed(filter);
}

/// Messages with their subscriptions, and which of them are copies.
fn check(copies: &mut Copies, stream: &[(&'static str, Subscription)], expected: &[bool]) {
    let is_copy =
        |&(payload, subscription)| copies.is_copy(&publish(payload, subscription), Instant::now);
    let found: Vec<bool> = stream.iter().map(is_copy).collect();
    assert_eq!(found, expected, "{stream:?}");
}

#[test]
fn what_comes_over_two_subscriptions_is_taken_once() {
    let copies = || expecting("t/+", Instant::now());
    check(
        &mut copies(),
        &[("a", O), ("a", N), ("b", N), ("b", O), ("c", N)],
        &[false, true, false, true, false],
    );
    // The same again is another message.
    check(
        &mut copies(),
        &[("a", O), ("a", N), ("a", O), ("a", N), ("a", N)],
        &[false, true, false, true, false],
    );
    check(
        &mut copies(),
        &[("a", O), ("a", O), ("a", O), ("a", N)],
        &[false, false, false, true],
    );
}

#[test]
fn what_is_said_before_and_after_a_change_is_taken_twice() {
    let mut copies = expecting("t/+", Instant::now());
    end(&mut copies, "t/+");
    // The broker had kept the first until now.
    check(&mut copies, &[("a", O), ("a", N), ("a", N)], &[false; 3]);
    // There was an old subscription when the second was published.
    check(&mut copies, &[("b", N), ("b", O)], &[false, true]);
}

#[test]
fn what_the_broker_had_queued_is_told_apart_by_what_came_before() {
    let mut copies = expecting("t/+", Instant::now());
    check(&mut copies, &[("a", O), ("a", N)], &[false, true]);
    end(&mut copies, "t/+");
    check(
        &mut copies,
        &[("b", O), ("b", N), ("b", N)],
        &[false, true, false],
    );
}

#[test]
fn what_the_broker_had_queued_is_told_apart_by_its_first_name() {
    let mut copies = expecting("t/+", Instant::now());
    subscribe(&mut copies, "t/#", LAST);
    end(&mut copies, "t/+");
    let stream = [("a", O), ("a", O), ("a", N), ("a", O), ("a", N)];
    check(&mut copies, &stream, &[false, false, true, false, true]);
    // Nobody knows whether those before said the same twice, the other way round.
    let stream = [("a", O), ("a", LAST), ("b", O), ("b", LAST), ("b", LAST)];
    check(&mut copies, &stream, &[false, false, false, true, false]);
}

#[test]
fn a_message_of_another_qos_in_between_does_not_matter() {
    let mut copies = expecting("t/+", Instant::now());
    let passing = Publish {
        qos: 0,
        ..publish("x", N)
    };
    check(&mut copies, &[("a", O)], &[false]);
    assert!(!copies.is_copy(&passing, Instant::now));
    check(&mut copies, &[("a", N)], &[true]);
}

#[test]
fn what_overtakes_others_says_nothing_of_them() {
    let mut copies = expecting("t/+", Instant::now());
    let passing = Publish {
        qos: 0,
        ..publish("x", N)
    };
    assert!(!copies.is_copy(&passing, Instant::now));
    assert!(copies.are_to_come(), "expected more of those that queue");
    end(&mut copies, "t/+");
    check(&mut copies, &[("a", O), ("a", N)], &[false; 2]);
}

#[test]
fn copies_that_waited_for_longer_are_copies() {
    let expiring = |subscription, seconds| Publish {
        properties: Properties {
            expiry_s: Some(seconds),
            ..Properties::default()
        }
        .boxed(),
        ..publish("a", subscription)
    };
    let mut copies = expecting("t/+", Instant::now());
    assert!(!copies.is_copy(&expiring(O, 10), Instant::now));
    assert!(copies.is_copy(&expiring(N, 7), Instant::now));
    // One that never expires is another one.
    check(&mut copies, &[("a", O)], &[false]);
}

#[test]
fn what_the_old_subscription_does_not_match_has_no_copy() {
    let mut copies = expecting("other/+", Instant::now());
    check(&mut copies, &[("a", O), ("a", N), ("a", O)], &[false; 3]);
    // Nor has what an earlier run was subscribed to, under whatever identifier.
    let mut copies = expecting("t/+", Instant::now());
    let earlier = Subscription::Named(7);
    check(
        &mut copies,
        &[("a", earlier), ("a", N), ("a", earlier)],
        &[false; 3],
    );
}

#[test]
fn a_broker_that_sends_one_message_for_all_subscriptions_loses_none() {
    let mut copies = expecting("t/+", Instant::now());
    let all = Subscription::Several;
    check(
        &mut copies,
        &[("a", all), ("a", all), ("a", N), ("a", N)],
        &[false; 4],
    );
    check(&mut copies, &[("b", all), ("b", N)], &[false; 2]);
    check(&mut copies, &[("c", O), ("c", all), ("c", N)], &[false; 3]);
    let none = Subscription::Unnamed;
    check(
        &mut copies,
        &[("d", none), ("d", N), ("d", none)],
        &[false; 3],
    );
}

#[test]
fn what_is_given_up_before_it_is_missed_is_told_apart() {
    // Back again, before the old one was given up.
    let mut copies = expecting("t/+", Instant::now());
    copies.expect(LAST, vec!["t/#".to_owned()], Instant::now());
    end(&mut copies, "t/#");
    check(
        &mut copies,
        &[("a", O), ("a", O), ("a", N), ("a", O), ("a", O)],
        &[false, false, true, false, false],
    );
}

#[test]
fn what_is_subscribed_to_again_was_not_there_in_between() {
    let mut copies = expecting("t/+", Instant::now());
    end(&mut copies, "t/+");
    subscribe(&mut copies, "t/+", LAST);
    check(
        &mut copies,
        &[("a", O), ("a", N), ("a", LAST), ("a", N), ("b", N)],
        &[false, false, true, false, false],
    );
}

#[test]
fn what_comes_again_over_another_connection_is_taken() {
    let mut copies = expecting("t/+", Instant::now());
    check(&mut copies, &[("a", N)], &[false]);
    copies.part();
    check(&mut copies, &[("a", O), ("a", N)], &[false, true]);
    // Nobody knows whether the broker has heard the last of it.
    copies.unsubscribe("t/+");
    copies.part();
    check(&mut copies, &[("b", O), ("b", N)], &[false; 2]);
}

#[test]
fn what_is_retained_comes_again_with_each_change() {
    let retained = |subscription| Publish {
        retain: true,
        ..publish("a", subscription)
    };
    let mut copies = expecting("t/+", Instant::now());
    assert!(!copies.is_copy(&retained(O), Instant::now));
    copies.expect(LAST, vec!["t/+".to_owned()], Instant::now());
    subscribe(&mut copies, "+/a", LAST);
    assert!(!copies.is_copy(&retained(LAST), Instant::now));
}

#[test]
fn a_refusal_leaves_everything_in_doubt() {
    let mut copies = expecting("t/+", Instant::now());
    copies.subscribe(&["t/#".to_owned()], LAST);
    copies.subscribed(&["t/#".to_owned()]);
    check(&mut copies, &[("a", O), ("a", N)], &[false; 2]);
}

#[test]
fn copies_are_found_only_while_there_may_be_any() {
    let begin = Instant::now();
    let mut copies = Copies::default();
    assert!(!copies.is_copy(&publish("a", O), || begin));
    assert!(!copies.is_copy(&publish("a", N), || begin));
    let mut copies = expecting("t/+", begin);
    let steady = |copies: &mut Copies, from: Instant, subscription| {
        for at in 1..=120 {
            let now = || from + Duration::from_secs(at);
            assert!(!copies.is_copy(&publish("x", subscription), now));
        }
        from + Duration::from_mins(2)
    };
    // As long as both are there.
    let now = steady(&mut copies, begin, N);
    check_at(&mut copies, now, true);
    end(&mut copies, "t/+");
    copies.extend(now);
    // As long as the broker sends what is from before.
    let now = steady(&mut copies, now, O);
    check_at(&mut copies, now, true);
    // However long it waits for acknowledgements.
    let now = now + LATE * 10;
    check_at(&mut copies, now, true);
    let now = steady(&mut copies, now, N);
    check_at(&mut copies, now, false);
    assert!(copies.expected.is_none(), "expected nothing to be kept");
}

fn check_at(copies: &mut Copies, now: Instant, expected: bool) {
    assert!(!copies.is_copy(&publish("a", O), || now));
    assert_eq!(copies.is_copy(&publish("a", N), || now), expected);
}

#[test]
fn no_more_than_some_changes_are_remembered() {
    let mut copies = Copies::default();
    let filter = |change: usize| format!("t/{}", ["+", "#"][change % 2]);
    subscribe(&mut copies, &filter(0), Subscription::Named(1));
    for change in 1..100 {
        let (old, new) = (filter(change - 1), filter(change));
        let name = Subscription::Named(2 * change);
        copies.expect(name, vec![old.clone()], Instant::now());
        subscribe(&mut copies, &new, name);
        subscribe(&mut copies, &new, Subscription::Named(2 * change + 1));
        end(&mut copies, &old);
    }
    let pair = |change: usize| {
        [
            ("a", Subscription::Named(2 * change - 1)),
            ("a", Subscription::Named(2 * change)),
        ]
    };
    check(&mut copies, &pair(83), &[false; 2]);
    check(&mut copies, &pair(84), &[false, true]);
    check(&mut copies, &pair(99), &[false, true]);
}
