use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::dispatch::{OrderBy, Sequence};
use crate::event::{Kind, TopicFilter};
use crate::rule::Rule;

fn webhook(name: &str) -> Webhook {
    let url = "http://127.0.0.1:1/".parse().expect("a URL");
    let mut webhook = Webhook::new(name, url);
    webhook.rules = vec![Rule::new(Kind::MessagePublish, TopicFilter::all())];
    webhook
}

fn changed(with: impl Fn(&mut Webhook)) -> Option<Change> {
    let mut other = webhook("a");
    with(&mut other);
    change(&webhook("a"), &other, true)
}

#[test]
fn a_change_is_as_small_as_it_can_be() {
    assert_eq!(changed(|_| {}), None);
    assert_eq!(changed(|it| it.rules.clear()), Some(Change::Rules));
    let timeout = |it: &mut Webhook| it.http.timeout = Duration::from_secs(3);
    assert_eq!(changed(timeout), Some(Change::Requests));
    assert_eq!(
        changed(|it| it.retry.retry_after_max *= 2),
        Some(Change::Lane)
    );
    let both = |it: &mut Webhook| {
        it.rules.clear();
        it.retry.retry_after_max *= 2;
    };
    assert_eq!(changed(both), Some(Change::Lane));
    let latest = |it: &mut Webhook| it.shaping.sequence = Sequence::Latest;
    assert_eq!(changed(latest), Some(Change::Place));
}

#[test]
fn a_webhook_becomes_durable_when_its_lane_has_nothing_more() {
    let loose = Webhook {
        durable: false,
        ..webhook("a")
    };
    for is_store in [true, false] {
        let change = change(&loose, &webhook("a"), is_store);
        assert_eq!(change, Some(Change::Keeping));
    }
}

#[test]
fn a_webhook_that_is_durable_stays_so_while_mqhook_runs() {
    let loose = |name| Webhook {
        durable: false,
        ..webhook(name)
    };
    let (durable, other) = (webhook("a"), loose("b"));
    let mut wanted = [loose("a"), loose("b"), loose("c")];
    let kept = keep_durable(&[&durable, &other], &mut wanted);
    assert_eq!(kept, ["a"]);
    assert_eq!(wanted, [webhook("a"), loose("b"), loose("c")]);
}

#[test]
fn how_long_others_are_held_up_changes_within_a_lane() {
    let ordered = |by, seconds| {
        let mut webhook = webhook("a");
        webhook.shaping.sequence = Sequence::InOrder {
            by,
            skip_after: Duration::from_secs(seconds),
        };
        webhook
    };
    let topic = ordered(OrderBy::Topic, 1);
    assert_eq!(
        change(&topic, &ordered(OrderBy::Topic, 2), true),
        Some(Change::Lane)
    );
    assert_eq!(
        change(&topic, &ordered(OrderBy::Client, 1), true),
        Some(Change::Place)
    );
    // What is in memory only would be lost on the way to another lane.
    assert_eq!(
        change(&topic, &ordered(OrderBy::Client, 1), false),
        Some(Change::Lane)
    );
}

#[test]
fn keys_that_count_at_the_start_only_are_all_named() {
    let old = Config::new();
    assert_eq!(fixed(&old, &old), Vec::<String>::new());
    let mut new = Config::new();
    new.webhooks.push(webhook("a"));
    new.shutdown_grace *= 2;
    new.reload.watch = true;
    assert_eq!(fixed(&old, &new), Vec::<String>::new());
    new.broker.url = "mqtt://elsewhere".parse().expect("a URL");
    new.broker.client_id = "another".to_owned();
    new.retained = true;
    new.admin.listen = None;
    new.spool.max_bytes += 1;
    new.plugin_key = mqhook_seal::Key::new("0123456789abcdef0123456789abcdef").ok();
    let expected = [
        "broker.url",
        "broker.client_id",
        "broker.retained",
        "broker.plugin_key",
        "admin.listen",
        "spool",
    ];
    assert_eq!(fixed(&old, &new), expected);

    let in_dir = |dir: &str| {
        let mut config = Config::new();
        config.spool.backend = Backend::Sqlite { dir: dir.into() };
        config
    };
    let mut memory = Config::new();
    memory.spool.backend = Backend::Memory;
    assert_eq!(fixed(&in_dir("a"), &in_dir("b")), ["spool.dir"]);
    assert_eq!(fixed(&in_dir("a"), &memory), ["spool.backend"]);
}

proptest! {
    #[test]
    fn every_webhook_has_one_fate(
        running in proptest::collection::btree_map("[a-f]", 0_u64..3, 0..6),
        wanted in proptest::collection::btree_map("[a-f]", 0_u64..3, 0..6),
    ) {
        let make = |(name, version): (&String, &u64)| {
            let mut webhook = webhook(name);
            webhook.http.timeout += Duration::from_secs(*version);
            webhook
        };
        let old: Vec<Webhook> = running.iter().map(make).collect();
        let new: Vec<Webhook> = wanted.iter().rev().map(make).collect();
        let plan = Plan::of(&old.iter().collect::<Vec<_>>(), &new, true);
        let name = |at: &usize| new[*at].name.clone();
        for added in &plan.added {
            prop_assert!(!running.contains_key(&name(added)));
        }
        for removed in &plan.removed {
            prop_assert!(!wanted.contains_key(&old[*removed].name));
        }
        for (at, to, _) in &plan.changed {
            prop_assert_eq!(&old[*at].name, &new[*to].name);
            prop_assert!(running[&name(to)] != wanted[&name(to)]);
        }
        for (at, to) in &plan.unchanged {
            prop_assert_eq!(&old[*at].name, &new[*to].name);
            prop_assert!(running[&name(to)] == wanted[&name(to)]);
        }
        let kept = plan.changed.len() + plan.unchanged.len();
        prop_assert_eq!(plan.added.len() + kept, new.len());
        prop_assert_eq!(plan.removed.len() + kept, old.len());
    }
}
