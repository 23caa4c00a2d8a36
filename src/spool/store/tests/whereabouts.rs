//! Finding an event without an index.

use super::*;

/// An event that was made and accepted at this time.
fn made_at(seq: u64, ms: u64, webhooks: &[WebhookKey]) -> (Id, Change) {
    let digits = base62::encode((u128::from(ms) << 80) | u128::from(seq));
    let id: Id = format!("{digits:0>22}").parse().expect("an id");
    let change = append(seq, ms, webhooks);
    let Change::Append { event, .. } = &change else {
        panic!("it appends");
    };
    let event = Arc::new(Event {
        id,
        ..(**event).clone()
    });
    let change = Change::Append {
        seq: Seq(seq),
        accepted: at(ms),
        event,
        webhooks: webhooks.to_vec(),
    };
    (id, change)
}

#[test]
fn an_event_is_found_among_many_by_its_time() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    let mut ids = Vec::new();
    for seq in 1..=500 {
        // The clock stands still for a while, leaps forward, and is set back a little once.
        let ms = 1_000_000 + seq / 10 * 60_000 + if seq == 250 { 0 } else { 30_000 };
        let (id, change) = made_at(seq, ms, &[one, two]);
        fixture.commit(&[change]);
        ids.push((seq, id));
    }
    for (seq, id) in ids {
        let found = fixture.store.whereabouts(id).expect("readable");
        assert_eq!(found.len(), 2, "{seq}");
        fixture.commit(&[settle(two, seq)]);
        let found = fixture.store.whereabouts(id).expect("readable");
        let webhooks: Vec<_> = found.iter().map(|it| &*it.webhook).collect();
        assert_eq!(webhooks, ["one"], "{seq}");
    }
    let (unknown, _) = made_at(9_999, 1_500_000, &[one]);
    assert_eq!(fixture.store.whereabouts(unknown).expect("readable"), []);
}

#[test]
fn what_is_put_off_buried_and_replayed_is_found() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    let (id, change) = made_at(1, 5, &[one, two]);
    fixture.commit(&[change, bury(two, 1, 10), retry(one, 1, 20)]);
    let states = |fixture: &Fixture| {
        let found = fixture.store.whereabouts(id).expect("readable");
        let state = |it: &Whereabouts| (it.webhook.clone(), it.dead_letter.is_some());
        let mut states: Vec<_> = found.iter().map(state).collect();
        states.sort_unstable();
        states
    };
    let expected = |is_dead| vec![("one".to_owned(), false), ("two".to_owned(), is_dead)];
    assert_eq!(states(&fixture), expected(true));
    let replayed = fixture.store.replay(&Filter::default(), at(30), 10);
    assert_eq!(replayed.ok(), Some(1));
    assert_eq!(states(&fixture), expected(false));
}
