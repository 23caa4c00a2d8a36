//! The configuration changes while mqhook runs: nothing is lost, nothing comes twice, and what has not changed
//! goes on untouched.

mod backlog;
mod durable;
mod load;
mod order;
mod outage;
mod refused;
mod subscriptions;
mod unchanged;

use std::collections::BTreeMap;

use support::mosquitto::{Builder, Mosquitto};
use support::publisher::number_in;
use support::receiver::{Receiver, Request};
use support::setup::{Setup, complete};

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

const SUCCESS: &str = "mqhook_config_reloads_total{result=\"success\"}";
const FAILURE: &str = "mqhook_config_reloads_total{result=\"failure\"}";

/// A sidecar and how often it has reloaded.
struct World {
    setup: Setup,
    reloads: u64,
    failures: u64,
}

impl World {
    async fn start(config: &str) -> Self {
        Self::start_with(Mosquitto::builder(), config).await
    }

    async fn start_with(broker: Builder, config: &str) -> Self {
        let broker = broker.line("max_queued_messages 0").start();
        let mut setup = Setup::launch(MQHOOK, broker, Receiver::start(), config);
        setup.wait_ready().await;
        Self {
            setup,
            reloads: 0,
            failures: 0,
        }
    }

    fn write(&self, config: &str) {
        let (broker, receiver) = (self.setup.broker.url(), self.setup.receiver.url());
        let config = complete(config, &broker, &receiver, self.setup.admin);
        self.setup.sidecar.write_config(&config);
    }

    /// Has another configuration read, and waits until it holds.
    async fn reload(&mut self, config: &str) {
        self.write(config);
        self.setup.sidecar.hang_up();
        self.reloads += 1;
        let expected = self.reloads;
        self.setup
            .wait_for_metric(SUCCESS, |reloads| reloads >= expected)
            .await;
    }

    /// Has another configuration read that is refused.
    async fn fail_to_reload(&mut self, config: &str) {
        self.write(config);
        self.setup.sidecar.hang_up();
        self.failures += 1;
        let expected = self.failures;
        self.setup
            .wait_for_metric(FAILURE, |failures| failures >= expected)
            .await;
    }

    /// Waits until a webhook has had so many requests, and returns them.
    async fn wait_for(&self, path: &str, count: usize) -> Vec<Request> {
        let of_path = |request: &&Request| request.target() == path;
        let receiver = &self.setup.receiver;
        let requests = receiver
            .wait_until(|requests| requests.iter().filter(of_path).count() >= count)
            .await;
        requests.into_iter().filter(|it| of_path(&it)).collect()
    }

    fn of(&self, path: &str) -> Vec<Request> {
        let requests = self.setup.receiver.requests();
        let of_path = requests.into_iter().filter(|it| it.target() == path);
        of_path.collect()
    }
}

/// Returns the table of a webhook that posts to a path of its own name.
fn webhook(name: &str, filters: &[&str], more: &str) -> String {
    let rules: Vec<String> = filters
        .iter()
        .map(|filter| format!("{{ event = \"on_message_publish\", topic = \"{filter}\" }}"))
        .collect();
    format!(
        "[webhooks.{name}]\nurl = \"{{receiver}}/{name}\"\nevents = [{}]\n{more}\n",
        rules.join(", ")
    )
}

/// Asserts that each of so many numbers came once.
fn assert_each_once(requests: &[Request], count: u64, what: &str) {
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for request in requests {
        let number = number_in(&request.body).expect("a body with a number");
        *times.entry(number).or_default() += 1;
    }
    let lost: Vec<u64> = (0..count).filter(|it| !times.contains_key(it)).collect();
    let repeated: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(
        lost.is_empty() && repeated.is_empty(),
        "{what}: expected each of {count} once; {} are lost, {} came more than once, such as {:?} and {:?}",
        lost.len(),
        repeated.len(),
        lost.first(),
        repeated.first()
    );
}
