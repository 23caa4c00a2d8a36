//! What has not changed goes on: connections, attempts, order, breakers.

use support::receiver::{Behaviour, Gate};

use super::{World, webhook};

#[tokio::test]
async fn an_unchanged_webhook_keeps_its_connection_and_its_attempt() {
    let stays = webhook("stays", &["a/#"], "pool_size = 2");
    let mut world = World::start(&(stays.clone() + &webhook("goes", &["b"], ""))).await;
    world.setup.publish("a/1", "first").await;
    let first = world.wait_for("/stays", 1).await;
    let delivered = "mqhook_deliveries_total{webhook=\"stays\",outcome=\"delivered\"}";
    world.setup.wait_for_metric(delivered, |it| it == 1).await;
    let gate = Gate::shut();
    let held = gate.clone();
    world.setup.receiver.set_script(move |request| {
        if request.text().contains("held") {
            Behaviour::Hold(held.clone(), Box::new(Behaviour::Status(200)))
        } else {
            Behaviour::Status(200)
        }
    });
    world.setup.publish("a/1", "held").await;
    let held = world.wait_for("/stays", 2).await;
    assert_eq!(held[1].connection, first[0].connection);
    world
        .reload(&(stays.clone() + &webhook("comes", &["c"], "")))
        .await;
    world.setup.publish("c", "x").await;
    world.wait_for("/comes", 1).await;
    gate.open();
    world.setup.wait_for_metric(delivered, |it| it == 2).await;
    world.setup.publish("a/1", "last").await;
    let requests = world.wait_for("/stays", 3).await;
    assert_eq!(requests.len(), 3, "expected no attempt to be repeated");
    assert_eq!(requests[2].connection, first[0].connection);
    let log = world.setup.sidecar.log();
    assert!(log.contains("unchanged=1"), "expected it to be counted");
}

#[tokio::test]
async fn an_attempt_under_way_ends_as_it_began_when_its_webhook_changes() {
    let mut world = World::start(&webhook("a", &["a"], "timeout = \"20s\"")).await;
    let gate = Gate::shut();
    let held = gate.clone();
    world
        .setup
        .receiver
        .set_script(move |request| match request.header("x-new") {
            None => Behaviour::Hold(held.clone(), Box::new(Behaviour::Status(200))),
            Some(_) => Behaviour::Status(200),
        });
    world.setup.publish("a", "old").await;
    world.wait_for("/a", 1).await;
    let changed = "timeout = \"20s\"\nheaders = { x-new = \"1\" }";
    world.reload(&webhook("a", &["a"], changed)).await;
    world.setup.publish("a", "new").await;
    // It does not wait for the one under way.
    let requests = world.wait_for("/a", 2).await;
    assert!(requests[1].text().contains("new"));
    gate.open();
    let delivered = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";
    world.setup.wait_for_metric(delivered, |it| it == 2).await;
    assert_eq!(world.of("/a").len(), 2);
}

#[tokio::test]
async fn what_has_changed_keeps_no_idle_connection_beside_its_new_ones() {
    let mut world = World::start(&webhook("a", &["a"], "pool_size = 3\ntimeout = \"60s\"")).await;
    let (soon, late) = (Gate::shut(), Gate::shut());
    let gates = (soon.clone(), late.clone());
    world.setup.receiver.set_script(move |request| {
        let gate = match request.text() {
            text if text.contains("late") => &gates.1,
            text if text.contains("soon") => &gates.0,
            _ => return Behaviour::Status(200),
        };
        Behaviour::Hold(gate.clone(), Box::new(Behaviour::Status(200)))
    });
    for payload in ["soon", "soon", "late"] {
        world.setup.publish("a", payload).await;
    }
    world.wait_for("/a", 3).await;
    soon.open();
    let delivered = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";
    world.setup.wait_for_metric(delivered, |it| it == 2).await;
    assert_eq!(world.setup.receiver.counts().open, 3);
    let changed = "pool_size = 3\ntimeout = \"60s\"\nheaders = { x-new = \"1\" }";
    world.reload(&webhook("a", &["a"], changed)).await;
    let receiver = &world.setup.receiver;
    receiver.wait_for_counts(|counts| counts.open == 1).await;
    world.setup.publish("a", "new").await;
    world.wait_for("/a", 4).await;
    late.open();
    world.setup.wait_for_metric(delivered, |it| it == 4).await;
    receiver.wait_for_counts(|counts| counts.open == 1).await;
    assert_eq!(receiver.counts().peak_open, 3);
}

#[tokio::test]
async fn what_a_changed_file_says_counts_when_it_is_watched() {
    let keys = "reload.watch = true\n";
    let mut world = World::start(&(keys.to_owned() + &webhook("a", &["a"], ""))).await;
    world.write(&(keys.to_owned() + &webhook("b", &["b"], "")));
    world
        .setup
        .wait_for_metric(super::SUCCESS, |reloads| reloads == 1)
        .await;
    world.setup.publish("b", "x").await;
    world.wait_for("/b", 1).await;
    // A file that is wrong is read once, and what held holds.
    world.write("reload.watch = true\nwebhooks = 7\n");
    world
        .setup
        .wait_for_metric(super::FAILURE, |failures| failures == 1)
        .await;
    world.setup.publish("b", "y").await;
    world.wait_for("/b", 2).await;
    // From here on it is not watched any more.
    world.write(&webhook("b", &["b", "c"], ""));
    world
        .setup
        .wait_for_metric(super::SUCCESS, |reloads| reloads == 2)
        .await;
    world.reloads = 2;
    world.reload(&webhook("b", &["b", "d"], "")).await;
    world.setup.publish("d", "z").await;
    world.wait_for("/b", 3).await;
}
