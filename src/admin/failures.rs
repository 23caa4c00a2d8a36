//! How many wrong tokens came from which address.
//!
//! It decides only how a failure is answered: a token is compared before, so a right one is never slowed. The
//! table is bounded; in it an IPv6 network of 64 bits is one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures that an address has free.
const BURST: u32 = 10;

/// How long it takes until one of them is forgotten.
const FORGOTTEN_IN: Duration = Duration::from_secs(6);

/// Addresses that are remembered.
const ADDRESSES: usize = 1_024;

/// Failures by address.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, Instant>>);

/// What becomes of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is one of few.
    Few,
    /// It is the first that is too much; worth a line in the log.
    First,
    /// There have been too many.
    Many {
        /// In so many seconds there may be another.
        wait_s: u64,
    },
}

impl Failures {
    /// Counts a failure.
    pub(super) fn count(&self, address: IpAddr, now: Instant) -> Verdict {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut until, network(address), now)
    }
}

/// Of each address it is remembered when all its failures will be forgotten.
fn count(table: &mut HashMap<IpAddr, Instant>, address: IpAddr, now: Instant) -> Verdict {
    let most = FORGOTTEN_IN * BURST;
    let until = table.get(&address).copied().unwrap_or(now).max(now);
    let left = until - now;
    if left + FORGOTTEN_IN > most {
        let wait = (left + FORGOTTEN_IN).saturating_sub(most);
        return Verdict::Many {
            wait_s: wait.as_secs() + 1,
        };
    }
    if table.len() >= ADDRESSES && !table.contains_key(&address) {
        make_room(table, now);
    }
    table.insert(address, until + FORGOTTEN_IN);
    if left + 2 * FORGOTTEN_IN > most {
        Verdict::First
    } else {
        Verdict::Few
    }
}

/// Forgets those that have failed nothing lately, or the one that has failed least.
fn make_room(table: &mut HashMap<IpAddr, Instant>, now: Instant) {
    table.retain(|_, until| *until > now);
    if table.len() >= ADDRESSES {
        let least = table.iter().min_by_key(|(_, until)| **until);
        if let Some(address) = least.map(|(address, _)| *address) {
            table.remove(&address);
        }
    }
}

/// Returns the address, or the network in which a host may choose among IPv6 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        IpAddr::V4(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn failures_are_few_until_they_are_many_and_are_forgotten() {
        let (mut table, start) = (HashMap::new(), Instant::now());
        let here = address("192.0.2.1");
        for _ in 1..BURST {
            assert_eq!(count(&mut table, here, start), Verdict::Few);
        }
        assert_eq!(count(&mut table, here, start), Verdict::First);
        assert_eq!(count(&mut table, here, start), Verdict::Many { wait_s: 7 });
        assert_eq!(count(&mut table, address("192.0.2.2"), start), Verdict::Few);
        let later = start + FORGOTTEN_IN;
        assert_eq!(count(&mut table, here, later), Verdict::First);
        assert!(matches!(
            count(&mut table, here, later),
            Verdict::Many { .. }
        ));
        let much_later = start + FORGOTTEN_IN * 100;
        assert_eq!(count(&mut table, here, much_later), Verdict::Few);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_failed_least() {
        let (mut table, now) = (HashMap::new(), Instant::now());
        let worst = address("192.0.2.1");
        for _ in 0..BURST {
            count(&mut table, worst, now);
        }
        for number in 0..10_000_u32 {
            count(&mut table, IpAddr::V4(number.into()), now);
            assert!(table.len() <= ADDRESSES);
        }
        assert!(matches!(
            count(&mut table, worst, now),
            Verdict::Many { .. }
        ));
    }

    #[test]
    fn hosts_of_an_ipv6_network_are_one() {
        assert_eq!(
            network(address("2001:db8::1")),
            network(address("2001:db8::2:3"))
        );
        assert_ne!(
            network(address("2001:db8::1")),
            network(address("2001:db8:0:1::1"))
        );
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }
}
