//! Real things for the tests, the bench and the demo of mqhook to run against.
#![forbid(unsafe_code)]

pub mod certificates;
mod child;
pub mod mosquitto;
pub mod port;
