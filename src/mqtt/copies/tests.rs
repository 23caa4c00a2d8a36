use bytes::Bytes;
use bytestring::ByteString;

use super::*;

const O: Subscription = Subscription::Named(1);
const N: Subscription = Subscription::Named(2);

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

fn expecting(filter: &str, subscription: Subscription, now: Instant) -> Copies {
    let mut copies = Copies::default();
    let old = (filter.to_owned(), subscription);
    copies.expect(N, [old].into_iter(), now);
    copies
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
    let copies = || expecting("t/+", O, Instant::now());
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
    let mut copies = expecting("t/+", O, Instant::now());
    copies.unsubscribed("t/+");
    // The broker had kept the first until now.
    check(&mut copies, &[("a", O), ("a", N), ("a", N)], &[false; 3]);
    // There was an old subscription when the second was published.
    check(&mut copies, &[("b", N), ("b", O)], &[false, true]);
}

#[test]
fn what_the_broker_had_queued_is_told_apart_by_what_came_before() {
    let mut copies = expecting("t/+", O, Instant::now());
    check(&mut copies, &[("a", O), ("a", N)], &[false, true]);
    copies.unsubscribed("t/+");
    check(
        &mut copies,
        &[("b", O), ("b", N), ("b", N)],
        &[false, true, false],
    );
    // After several SUBSCRIBEs nobody knows over which it came.
    let mut copies = expecting("t/+", O, Instant::now());
    copies.subscribe();
    copies.subscribe();
    check(&mut copies, &[("a", O), ("a", N)], &[false, true]);
    copies.unsubscribed("t/+");
    check(&mut copies, &[("b", O), ("b", N)], &[false; 2]);
}

#[test]
fn what_overtakes_others_says_nothing_of_them() {
    let mut copies = expecting("t/+", O, Instant::now());
    let passing = Publish {
        qos: 0,
        ..publish("x", N)
    };
    assert!(!copies.is_copy(&passing, Instant::now));
    copies.unsubscribed("t/+");
    check(&mut copies, &[("a", O), ("a", N)], &[false; 2]);
}

#[test]
fn what_the_old_subscription_does_not_match_has_no_copy() {
    let mut copies = expecting("other/+", O, Instant::now());
    check(&mut copies, &[("a", O), ("a", N), ("a", O)], &[false; 3]);
    // Nor has what an earlier run was subscribed to, under whatever identifier.
    let mut copies = expecting("t/+", O, Instant::now());
    let earlier = Subscription::Named(7);
    check(
        &mut copies,
        &[("a", earlier), ("a", N), ("a", earlier)],
        &[false; 3],
    );
}

#[test]
fn a_broker_that_sends_one_message_for_all_subscriptions_loses_none() {
    let mut copies = expecting("t/+", O, Instant::now());
    let all = Subscription::Several;
    check(
        &mut copies,
        &[("a", all), ("a", all), ("a", N), ("a", N)],
        &[false; 4],
    );
    check(&mut copies, &[("b", O), ("b", all), ("b", N)], &[false; 3]);
    let none = Subscription::Unnamed;
    check(
        &mut copies,
        &[("c", none), ("c", N), ("c", none)],
        &[false; 3],
    );
}

#[test]
fn what_came_before_an_answer_has_no_copy_behind_it() {
    let mut copies = expecting("t/+", O, Instant::now());
    check(&mut copies, &[("a", O)], &[false]);
    copies.part();
    check(&mut copies, &[("a", N), ("a", O)], &[false, true]);
}

/// Whatever is published, in whichever order copies come, and wherever in between the answers come.
#[test]
fn of_a_publisher_who_repeats_itself_nothing_is_lost() {
    let counts = || 0..4_usize;
    let all = counts().flat_map(|a| counts().flat_map(move |b| counts().map(move |c| (a, b, c))));
    for ((before, both, after), is_new_first) in all.flat_map(|it| [(it, false), (it, true)]) {
        let pair = if is_new_first { [N, O] } else { [O, N] };
        let mut stream = vec![O; before];
        stream.extend([pair].repeat(both).concat());
        stream.extend(vec![N; after]);
        let published = before + both + after;
        // Answers come in time or early, when the broker has messages queued: never late.
        for subscribed in 0..=before {
            for unsubscribed in subscribed..=before + 2 * both {
                let mut copies = expecting("t/+", O, Instant::now());
                let mut taken = 0;
                for (at, &subscription) in stream.iter().enumerate() {
                    if at == subscribed {
                        copies.part();
                    }
                    if at == unsubscribed {
                        copies.unsubscribed("t/+");
                    }
                    let message = publish("a", subscription);
                    taken += usize::from(!copies.is_copy(&message, Instant::now));
                }
                let seen = format!("{stream:?} {subscribed} {unsubscribed}");
                assert!(taken >= published, "{taken} of {published}: {seen}");
                if unsubscribed == before + 2 * both {
                    assert_eq!(taken, published, "{seen}");
                }
            }
        }
    }
}

#[test]
fn copies_are_found_only_while_there_may_be_any() {
    let begin = Instant::now();
    let later = || begin + LATE * 2;
    let mut copies = Copies::default();
    assert!(!copies.is_copy(&publish("a", O), || begin));
    assert!(!copies.is_copy(&publish("a", N), || begin));
    let mut copies = expecting("t/+", O, begin);
    assert!(!copies.is_copy(&publish("a", O), || begin));
    // As long as both are there.
    assert!(copies.is_copy(&publish("a", N), later));
    copies.unsubscribed("t/+");
    assert!(!copies.is_copy(&publish("a", O), later));
    assert!(copies.last.is_none(), "expected nothing to be kept");
}
