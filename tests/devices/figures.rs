//! What many devices cost.

use std::time::{Duration, Instant};

use support::wait;

use super::{connect, say, start};

/// Devices that come at once.
const STORM: usize = 2_000;

#[tokio::test]
async fn a_storm_of_new_devices_is_kept_up_with() {
    let setup = start("").await;
    let begun = Instant::now();
    let mut online = Vec::new();
    for n in 0..STORM {
        online.push(connect(&setup, &format!("dev {n:05}")).await);
    }
    let connected = begun.elapsed();
    let limit = Duration::from_secs(20);
    wait::until(limit, "all devices to be remembered", async || {
        let devices = setup.metric("mqhook_devices").await;
        (devices == STORM as u64).then_some(())
    })
    .await;
    let remembered = begun.elapsed();
    setup.receiver.wait_for(2 * STORM).await;
    println!(
        "{STORM} devices: connected after {connected:?}, remembered after {remembered:?}, told after {:?}",
        begun.elapsed()
    );
    let (_, out) = say(
        &setup,
        &["devices", "list", "--json", "--status", "connected"],
    );
    assert_eq!(out.lines().count(), STORM);
}
