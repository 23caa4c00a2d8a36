//! `mqhook-bench`: the end-to-end benchmark of mqhook; `bench/README.md` says what it measures.
//!
//! One binary, one subcommand per process of a run, so that CPU time and memory are told apart:
//!
//! ```text
//! publisher -> Mosquitto -> bare | mqhook -> receiver
//!     ^                                         |
//!     +----------------- progress --------------+
//! harness: starts them all, reads /proc and the receiver's report, prints the tables
//! ```

mod bare;
mod chain;
mod clock;
mod control;
mod feed;
mod harness;
mod histogram;
mod mosquitto;
mod mqtt;
mod order;
mod outage;
mod payload;
mod plugin;
mod process;
mod publisher;
mod receiver;
mod report;
mod round;
mod shaping;
mod soak;
mod subscriber;
mod tally;
mod visitor;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(about = "End-to-end benchmark of mqhook")]
enum Command {
    /// Runs rounds of both chains and prints the tables.
    Harness(harness::Args),
    /// Fills the spool while the receiver is down, then lets mqhook recover.
    Outage(outage::Args),
    /// Batches beside a subscriber that only counts, and order beside none.
    Shaping(shaping::Args),
    /// Outages and recoveries, one after the other, with samples of what mqhook takes.
    Soak(soak::Args),
    /// Floods the broker with and without mqhook's plugin.
    Plugin(plugin::Args),
    /// Prints a linker script that keeps together what ran.
    Order(order::Args),
    /// Publishes stamped messages.
    Publisher(publisher::Args),
    /// Counts the requests.
    Receiver(receiver::Args),
    /// The bare chain: rumqttc, a bounded channel, hyper.
    Bare(bare::Args),
    /// Has the admin page open and polls the API.
    Visitor(visitor::Args),
    /// Acknowledges messages and does nothing else.
    Subscriber(subscriber::Args),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Harness(args) => harness::run(args),
        Command::Outage(args) => outage::run(&args),
        Command::Shaping(args) => shaping::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Plugin(args) => plugin::run(&args),
        Command::Order(args) => order::run(&args),
        Command::Publisher(args) => publisher::run(&args),
        Command::Receiver(args) => receiver::run(&args),
        Command::Bare(args) => bare::run(&args),
        Command::Visitor(args) => visitor::run(&args),
        Command::Subscriber(args) => subscriber::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mqhook-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
