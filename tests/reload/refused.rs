//! What is wrong changes nothing.

use super::{SUCCESS, World, webhook};

#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let good = webhook("a", &["a"], "");
    let mut world = World::start(&good).await;
    let broken = [
        "this is no configuration".to_owned(),
        webhook("b", &["b"], "pool_size = 0"),
        webhook("b", &["a/#/b"], ""),
        webhook("b", &["b"], "sign.secret_file = \"missing\""),
        String::new(),
    ];
    for config in broken {
        world.fail_to_reload(&config).await;
        world.setup.publish("a", "x").await;
        let count = usize::try_from(world.failures).expect("few");
        world.wait_for("/a", count).await;
    }
    let log = world.setup.sidecar.log();
    for part in [
        "`webhooks.b.pool_size`",
        "mqhook.toml:",
        "nothing has changed",
    ] {
        assert!(log.contains(part), "expected {part} in the log");
    }
    let successful = world.setup.metric("mqhook_config_last_reload_successful");
    assert_eq!(successful.await, 0);
    world.reload(&good).await;
    let successful = world.setup.metric("mqhook_config_last_reload_successful");
    assert_eq!(successful.await, 1);
}

#[tokio::test]
async fn keys_that_count_at_the_start_only_are_named() {
    let good = webhook("a", &["a"], "");
    let mut world = World::start(&good).await;
    let fixed = [
        ("broker.keep_alive = \"77s\"\n", "broker.keep_alive"),
        ("broker.retained = true\n", "broker.retained"),
        ("spool.max_memory = \"9MB\"\n", "spool"),
        ("notify.topic = \"n\"\n", "notify.topic"),
        ("devices.enabled = true\n", "devices"),
    ];
    for (keys, named) in fixed {
        let config = keys.to_owned() + &good + &webhook("b", &["a"], "");
        world.fail_to_reload(&config).await;
        let expected = format!("cannot change {named} while mqhook runs; restart it");
        world.setup.sidecar.wait_for_log(&expected).await;
    }
    world.setup.publish("a", "x").await;
    world.wait_for("/a", 1).await;
    assert!(world.of("/b").is_empty(), "expected nothing to change");
    // What may change while it runs does.
    let more = "shutdown_grace = \"1s\"\n".to_owned();
    world.reload(&(more + &good)).await;
}

#[tokio::test]
async fn signals_while_a_reload_is_under_way_have_the_last_file_read() {
    let mut world = World::start(&webhook("a", &["a"], "")).await;
    for number in 0..30 {
        world.write(&webhook(&format!("b{number}"), &["b"], ""));
        world.setup.sidecar.hang_up();
    }
    world.write(&webhook("last", &["last"], ""));
    world.setup.sidecar.hang_up();
    world.setup.sidecar.wait_for_log("added=[\"last\"]").await;
    world.setup.publish("last", "x").await;
    world.wait_for("/last", 1).await;
    assert!(world.setup.metric(SUCCESS).await >= 1);
    world.setup.sidecar.terminate();
    assert!(world.setup.sidecar.wait().await.success());
}
