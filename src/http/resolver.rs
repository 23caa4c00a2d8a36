//! Looking up names, and what of the answer may be connected to.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use thiserror::Error;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::policy::{Denied, Policy};

/// Returns the addresses of a name.
type LookUp = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Why there is no address to connect to.
#[derive(Debug, Error)]
pub(super) enum LookUpError {
    /// The receiver's name has no address, or none could be found out.
    #[error("look up the receiver's name")]
    System(#[source] io::Error),
    /// It has addresses, and none that may be connected to.
    #[error("no address of the receiver may be connected to")]
    Denied(#[from] Denied),
}

/// The system's resolver, which passes on only what the policy allows.
///
/// What it returns is connected to, with no second look-up, so what was judged is what is used. A
/// look-up cannot be cancelled and may hang, holding a thread; so there is one at a time, and
/// webhooks whose names cannot be looked up do not take the threads of the others.
#[derive(Clone)]
pub(super) struct Resolver {
    policy: Arc<Policy>,
    look_up: Arc<LookUp>,
    /// Held by a look-up until the system has answered, even if nobody waits any more.
    permit: Arc<Semaphore>,
}

impl Resolver {
    pub(super) fn new(policy: Arc<Policy>) -> Self {
        let system = |name: &str| (name, 0).to_socket_addrs().map(Iterator::collect);
        Self::with(policy, Arc::new(system))
    }

    /// Returns a resolver that asks somebody else.
    pub(super) fn with(policy: Arc<Policy>, look_up: Arc<LookUp>) -> Self {
        Self {
            policy,
            look_up,
            permit: Arc::new(Semaphore::new(1)),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = LookUpError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, LookUpError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LookUpError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let permit = this.permit.acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            let (look_up, asked) = (this.look_up, name.clone());
            let looked_up = tokio::task::spawn_blocking(move || {
                let addresses = look_up(asked.as_str());
                drop(permit);
                addresses
            });
            let addresses = looked_up
                .await
                .map_err(io::Error::other)
                .flatten()
                .map_err(LookUpError::System)?;
            let allowed = allowed(&this.policy, name.as_str(), addresses)?;
            Ok(allowed.into_iter())
        })
    }
}

/// Returns those addresses that may be connected to; an error if none of them may.
fn allowed(
    policy: &Policy,
    name: &str,
    mut addresses: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Denied> {
    let mut first_denied = None;
    addresses.retain(|address| match policy.judge(name, address.ip()) {
        Ok(()) => true,
        Err(denied) => {
            first_denied.get_or_insert(denied);
            false
        }
    });
    match first_denied {
        Some(denied) if addresses.is_empty() => Err(denied),
        _ => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_addresses_are_passed_on() {
        let check = |addresses: &[&str], expected: Option<&[&str]>| {
            let parse = |texts: &[&str]| -> Vec<SocketAddr> {
                let address = |text: &&str| text.parse().expect("an address");
                texts.iter().map(address).collect()
            };
            let allowed = allowed(&Policy::default(), "h", parse(addresses)).ok();
            assert_eq!(allowed, expected.map(parse), "{addresses:?}");
        };
        check(&["10.0.0.1:0", "[::1]:0"], Some(&["10.0.0.1:0", "[::1]:0"]));
        let mixed = ["169.254.169.254:0", "10.0.0.1:0", "[fe80::1]:0"];
        check(&mixed, Some(&["10.0.0.1:0"]));
        check(&["[::ffff:169.254.169.254]:0", "[fe80::1%3]:0"], None);
        check(&[], Some(&[]));
    }
}
