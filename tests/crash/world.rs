//! A broker, mqhook, a receiver and a publisher, and what can befall them.

use std::collections::HashSet;
use std::env;
use std::sync::Mutex;
use std::time::Duration;

use support::http;
use support::mosquitto::Mosquitto;
use support::publisher::{Plan, Publisher, number_in};
use support::random::Random;
use support::receiver::{Arrival, Behaviour, Given, Receiver, Request};
use support::setup::Setup;
use support::wait;
use tokio::time::{sleep, timeout};

use super::judge::{Death, Evidence, Verdict, Victim, now};
use super::{MQHOOK, WEBHOOK};

/// Longest time without a new arrival once all are up again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest time until mqhook is back at the broker: after connections that did not last it waits for up
/// to 30 s.
const RECONNECT: Duration = Duration::from_secs(45);

const MS: Duration = Duration::from_millis(1);

/// How the receiver treats requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Up,
    /// Answers after a few to a hundred milliseconds.
    Slow,
    /// Nothing listens.
    Down,
    /// Answers 503.
    Failing,
    /// Resets every connection.
    Resetting,
    /// Takes requests and never answers.
    Silent,
    /// Any of these, request by request.
    Mixed,
}

const MOODS: [Mood; 7] = [
    Mood::Up,
    Mood::Slow,
    Mood::Down,
    Mood::Failing,
    Mood::Resetting,
    Mood::Silent,
    Mood::Mixed,
];

/// Everything that runs in a story, and a record of what befell it.
pub struct World {
    pub setup: Setup,
    pub publisher: Publisher,
    pub random: Random,
    pub deaths: Vec<Death>,
    story: &'static str,
    is_down: bool,
}

impl World {
    /// Starts everything; `keys` go in front of the configuration.
    pub async fn start(story: &'static str, keys: &str) -> Self {
        let random = Random::announced(story);
        let broker = Mosquitto::builder()
            .persistent()
            .line("max_queued_messages 0")
            .line("autosave_interval 0")
            .start();
        let receiver = Receiver::start_recording();
        let config = format!("{keys}{WEBHOOK}");
        let mut setup = Setup::launch(MQHOOK, broker, receiver, &config);
        setup.wait_ready().await;
        Self {
            publisher: Publisher::start(setup.broker.port(), Plan::default()),
            setup,
            random,
            deaths: Vec::new(),
            story,
            is_down: false,
        }
    }

    /// Lets time pass, up to a moment that nobody can foresee.
    pub async fn a_while(&mut self, most: Duration) {
        sleep(self.random.duration(Duration::ZERO..most)).await;
    }

    /// Gives the receiver another mood.
    pub async fn turn(&mut self) {
        let mood = *self.random.pick(&MOODS);
        self.set_mood(mood).await;
    }

    pub async fn set_mood(&mut self, mood: Mood) {
        if mood == Mood::Down {
            if !self.is_down {
                self.take_receiver_down().await;
            }
            return;
        }
        if self.is_down {
            self.setup.receiver.come_back().await;
            self.is_down = false;
        }
        let random = Mutex::new(Random::seeded(self.random.below(u64::MAX)));
        self.setup.receiver.set_script(move |_: &Request| {
            let mut random = random.lock().expect("nothing here panics");
            behaviour(mood, &mut random)
        });
    }

    /// Kills, or stops, one of them at once, and starts it again.
    pub async fn strike(&mut self, victim: Victim) {
        match victim {
            Victim::Sidecar => self.kill_sidecar().await,
            Victim::Broker => {
                self.be_connected().await;
                if self.random.below(2) == 0 {
                    self.kill_broker().await;
                } else {
                    self.stop_broker();
                }
            }
            Victim::Receiver => {
                if !self.is_down {
                    self.take_receiver_down().await;
                }
                self.a_while(50 * MS).await;
                self.set_mood(Mood::Up).await;
            }
        }
    }

    /// Heals everything, waits until all that was published has been accepted and nothing is left to
    /// do, or until nothing happens any more, and judges.
    pub async fn end(mut self) -> Verdict {
        self.set_mood(Mood::Up).await;
        wait::until(RECONNECT, "GET /ready to answer 200", async || {
            self.is_ready().await.then_some(())
        })
        .await;
        let numbers = self.publisher.stop().await;
        let receiver = &self.setup.receiver;
        let mut accepted = Accepted::default();
        let look = async || accepted.count(|from| receiver.arrivals(from));
        if wait::growth(PATIENCE, numbers.count, look).await == numbers.count {
            let waiting = "mqhook_waiting_deliveries{webhook=\"a\"}";
            self.setup
                .wait_for_metric(waiting, |count| count == 0)
                .await;
        }
        let verdict = Verdict::on(&Evidence {
            published: &numbers,
            arrivals: &self.setup.receiver.arrivals(0),
            deaths: &self.deaths,
        });
        println!("{}: {} deaths, {verdict}", self.story, self.deaths.len());
        verdict
    }

    async fn take_receiver_down(&mut self) {
        let before = now();
        self.setup.receiver.go_down().await;
        self.is_down = true;
        self.deaths.push(Death::since(Victim::Receiver, before));
    }

    async fn kill_sidecar(&mut self) {
        let before = now();
        let ended = self.setup.sidecar.ended();
        assert_eq!(ended, None, "expected mqhook to run until it is killed");
        self.setup.sidecar.kill();
        self.deaths.push(Death::since(Victim::Sidecar, before));
        self.setup.sidecar.start_again();
        // The others begin in the middle of its start.
        if self.random.below(3) == 0 {
            self.setup.wait_ready().await;
        }
    }

    /// Waits until mqhook is at the broker, as otherwise there would be nobody to feel its death. After
    /// connections that did not last mqhook waits for longer and longer, and a new start does not.
    async fn be_connected(&mut self) {
        let ready = async {
            while !self.is_ready().await {
                sleep(20 * MS).await;
            }
        };
        if timeout(500 * MS, ready).await.is_err() {
            self.setup.sidecar.terminate();
            let status = self.setup.sidecar.wait().await;
            assert_eq!(status.code(), Some(0), "expected an orderly end");
            self.setup.sidecar.start_again();
            self.setup.wait_ready().await;
        }
        // Otherwise its connections would all end as they begin.
        self.a_while(500 * MS).await;
    }

    async fn is_ready(&self) -> bool {
        let answer = http::try_request(self.setup.admin, "GET", "/ready", "").await;
        matches!(answer, Some((200, _)))
    }

    async fn kill_broker(&mut self) {
        self.publisher.pause().await;
        self.setup.broker.save().await;
        let before = now();
        self.setup.broker.kill();
        self.deaths.push(Death::since(Victim::Broker, before));
        self.setup.broker.start_again();
        self.publisher.resume();
    }

    fn stop_broker(&mut self) {
        let before = now();
        self.setup.broker.stop();
        self.deaths.push(Death::since(Victim::Broker, before));
        self.setup.broker.start_again();
    }
}

/// Returns how often something dies in a story.
pub fn crashes() -> u64 {
    match env::var("MQHOOK_CRASHES") {
        Ok(text) => text.parse().expect("expected a number in MQHOOK_CRASHES"),
        Err(_) => 8,
    }
}

fn behaviour(mood: Mood, random: &mut Random) -> Behaviour {
    match mood {
        Mood::Up | Mood::Down => Behaviour::Status(200),
        Mood::Slow => Behaviour::Status(200).after(random.duration(2 * MS..100 * MS)),
        Mood::Failing => Behaviour::Status(503),
        Mood::Resetting => Behaviour::ResetBeforeAnswer,
        Mood::Silent => Behaviour::Never,
        Mood::Mixed => {
            let mood = *random.pick(&[Mood::Up, Mood::Slow, Mood::Failing, Mood::Resetting]);
            behaviour(mood, random)
        }
    }
}

/// Counts the numbers that were answered 2xx, looking at each arrival once.
#[derive(Default)]
struct Accepted {
    seen: usize,
    numbers: HashSet<u64>,
}

impl Accepted {
    fn count(&mut self, arrivals: impl Fn(usize) -> Vec<Arrival>) -> u64 {
        let arrivals = arrivals(self.seen);
        let answered = arrivals
            .iter()
            .take_while(|arrival| arrival.answer != Given::Pending);
        for arrival in answered {
            self.seen += 1;
            let number = number_in(&arrival.body).filter(|_| arrival.is_accepted());
            self.numbers.extend(number);
        }
        self.numbers.len() as u64
    }
}
