//! Webhooks that come and go while the spool is open.

use super::*;

fn webhook(name: &str, durable: bool) -> Webhook {
    Webhook {
        name: name.to_owned(),
        durable,
        put_off: AtStart::Leave,
        holds_back: false,
    }
}

impl Running {
    /// Admits a webhook whose queue is then the last of all.
    async fn admit(&mut self, webhook: &Webhook) -> WebhookIndex {
        let (index, queue) = self.spool.admit(webhook).await.expect("there is a place");
        assert_eq!(index, self.queues.len(), "few indexes are free");
        self.queues.push(queue);
        index
    }

    async fn begin(&mut self, index: WebhookIndex, webhook: &Webhook) {
        let queue = &mut self.queues[index];
        self.spool.begin(index, webhook, queue).await;
    }

    /// Ends what a lane would hold, and gives up the place.
    async fn go(&mut self, index: WebhookIndex) {
        self.spool.leave(index);
        self.queues[index].fresh.close();
        while self.queues[index].fresh.recv().await.is_some() {}
        self.spool.close(index).await;
    }
}

#[tokio::test]
async fn a_webhook_that_comes_has_what_is_accepted_for_it() {
    let fixture = Fixture::new();
    let mut running = fixture.open(&[true]);
    let new = webhook("new", true);
    let index = running.admit(&new).await;
    running.accept(&event(1), &[0, index], fixture.ledger.open(1));
    running.fresh(0).await.settle();
    // It waits on disk until the webhook begins.
    fixture.acknowledged(1).await;
    assert!(running.queues[index].fresh.is_empty());
    running.begin(index, &new).await;
    running.accept(&event(2), &[index], fixture.ledger.open(2));
    for expected in 1..=2 {
        let delivery = running.fresh(index).await;
        assert_eq!(number(&delivery), expected);
        delivery.settle();
    }
    running.spool.flush().await;
    assert_eq!(running.spool.waiting(), 0);
}

#[tokio::test]
async fn one_that_takes_anothers_place_has_what_that_left_and_then_what_came_meanwhile() {
    const EACH: usize = 300;
    let fixture = Fixture::new();
    let mut running = fixture.open(&[true]);
    let same = webhook("webhook-0", true);
    for number in 0..EACH {
        running.accept(&event(number), &[0], fixture.ledger.open(1));
    }
    running.fresh(0).await.settle();
    // Under way while the other one comes, and delivered after that.
    let under_way = running.fresh(0).await;
    let index = running.admit(&same).await;
    for number in EACH..2 * EACH {
        running.accept(&event(number), &[index], fixture.ledger.open(1));
    }
    under_way.settle();
    running.go(0).await;
    for number in 2 * EACH..3 * EACH {
        running.accept(&event(number), &[index], fixture.ledger.open(1));
    }
    running.begin(index, &same).await;
    for expected in 2..3 * EACH {
        let delivery = running.fresh(index).await;
        assert_eq!(number(&delivery), expected);
        delivery.settle();
    }
    fixture.acknowledged(3 * EACH).await;
    running.spool.flush().await;
    assert_eq!(running.spool.waiting(), 0);
}

#[tokio::test]
async fn what_a_webhook_has_put_off_comes_again_when_it_does() {
    let fixture = Fixture::new();
    let mut running = fixture.open(&[true]);
    let same = webhook("webhook-0", true);
    running.accept(&event(7), &[0], fixture.ledger.open(1));
    let mut delivery = running.fresh(0).await;
    delivery.count_failure(Timestamp::now());
    assert!(delivery.postpone(Timestamp::now()).is_none());
    running.go(0).await;
    // Nobody takes what is for one that has gone.
    running.accept(&event(8), &[0], Ticket::none());
    let index = running.admit(&same).await;
    running.begin(index, &same).await;
    let delivery = running.due(index).await;
    assert_eq!((number(&delivery), delivery.failures), (7, 1));
    delivery.settle();
    running.spool.flush().await;
    assert_eq!(running.spool.waiting(), 0);
    assert!(running.queues[index].fresh.is_empty());
}

#[tokio::test]
async fn webhooks_come_and_go_without_a_disk() {
    let fixture = Fixture::new();
    let config = Config {
        backend: Backend::Memory,
        ..Config::default()
    };
    let mut running = Fixture::open_with(&config, &[true]);
    for durable in [true, false] {
        let new = webhook("new", durable);
        let index = running.admit(&new).await;
        running.begin(index, &new).await;
        running.accept(&event(1), &[index], fixture.ledger.open(1));
        running.fresh(index).await.settle();
        running.go(index).await;
        assert!(running.spool.has_room(&[index], usize::MAX));
    }
    fixture.acknowledged(2).await;
}

#[tokio::test]
async fn one_that_has_not_begun_is_not_woken_by_another_process() {
    let fixture = Fixture::new();
    let mut running = fixture.open(&[true]);
    let new = webhook("new", true);
    let index = running.admit(&new).await;
    running.accept(&event(1), &[index], fixture.ledger.open(1));
    fixture.acknowledged(1).await;
    let mut store = fixture.attach();
    let key = store.register("another").expect("it can be written");
    let state = WebhookState::default();
    let change = Change::State {
        webhook: key,
        state,
    };
    store.commit(&[change]).expect("it can be written");
    running.spool.changed_by_others().await;
    running.spool.flush().await;
    assert!(running.queues[index].fresh.is_empty());
}

#[tokio::test]
async fn one_that_is_not_durable_is_so_while_events_wait_for_it() {
    let fixture = Fixture::new();
    let mut running = fixture.open(&[true]);
    let loose = webhook("webhook-0", false);
    running.accept(&event(1), &[0], fixture.ledger.open(1));
    let index = running.admit(&loose).await;
    assert!(running.spool.is_durable(index), "another has its place");
    running.go(0).await;
    running.begin(index, &loose).await;
    let delivery = running.fresh(index).await;
    assert_eq!(number(&delivery), 1);
    delivery.settle();
    running.go(index).await;
    let index = running.admit(&loose).await;
    assert!(!running.spool.is_durable(index), "nothing waits any more");
    let other = running.admit(&webhook("other", false)).await;
    assert!(!running.spool.is_durable(other), "nobody knows it");
}

#[tokio::test]
async fn who_names_one_whose_place_is_taken_means_the_one_that_has_taken_it() {
    let fixture = Fixture::new();
    let mut running = fixture.open(&[false]);
    let durable = webhook("webhook-0", true);
    let index = running.admit(&durable).await;
    running.spool.leave(0);
    // Its lane ends, and it is there no more.
    running.accept(&event(1), &[0], fixture.ledger.open(1));
    assert!(running.queues[0].fresh.is_empty());
    running.go(0).await;
    running.accept(&event(2), &[0], fixture.ledger.open(1));
    running.begin(index, &durable).await;
    running.accept(&event(3), &[0], fixture.ledger.open(1));
    for expected in 1..=3 {
        let delivery = running.fresh(index).await;
        assert_eq!(number(&delivery), expected);
        delivery.settle();
    }
    fixture.acknowledged(3).await;
}
