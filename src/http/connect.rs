//! Making connections: look-up, TCP, TLS.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{
    FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream,
};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tower_service::Service;

use super::{Config, outcome};
use crate::credential::Watched;
use crate::sink::{Class, Failure};
use crate::tls;

/// A connection, with TLS or without.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Makes connections to one receiver.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    origin: Uri,
    timeout: Duration,
    transport: Transport,
}

#[derive(Debug, Clone)]
enum Transport {
    Plain(HttpConnector<Resolver>),
    /// Follows the files of certificates and keys; connections that are open stay as they are.
    Secure(Arc<Watched<HttpsConnector<HttpConnector<Resolver>>>>),
}

impl Connector {
    pub(super) fn new(config: &Config) -> Result<Self, tls::Error> {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::default());
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        let transport = if config.url.is_https() {
            tcp.enforce_http(false);
            let tls = config.tls.clone();
            let connector = Watched::new(tls.files(), move || secure(&tls, tcp.clone()))?;
            Transport::Secure(Arc::new(connector))
        } else {
            Transport::Plain(tcp)
        };
        Ok(Self {
            origin: config.url.origin().clone(),
            timeout: config.connect_timeout,
            transport,
        })
    }

    /// Connects, within the time for that.
    pub(super) async fn connect(&self) -> Result<Stream, Failure> {
        match tokio::time::timeout(self.timeout, self.open()).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(Failure {
                detail: "no connection in time".to_owned(),
                ..Class::Timeout.into()
            }),
        }
    }

    async fn open(&self) -> Result<Stream, Failure> {
        let origin = self.origin.clone();
        match self.transport.clone() {
            Transport::Plain(mut tcp) => {
                let connected = tcp.call(origin).await;
                connected
                    .map(Stream::Http)
                    .map_err(|error| outcome::of_connect(&error))
            }
            Transport::Secure(tls) => {
                let tls = tls.current(Instant::now()).await;
                let connected = HttpsConnector::clone(&tls).call(origin).await;
                connected.map_err(|error| outcome::of_connect(error.as_ref()))
            }
        }
    }
}

/// Returns what makes TLS connections over TCP.
fn secure(
    config: &tls::Config,
    tcp: HttpConnector<Resolver>,
) -> Result<HttpsConnector<HttpConnector<Resolver>>, tls::Error> {
    let tls = config.client()?;
    let builder = HttpsConnectorBuilder::new().with_tls_config((*tls).clone());
    let mut builder = builder.https_only();
    if let Some(name) = &config.server_name {
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name.clone()));
    }
    Ok(builder.enable_http1().wrap_connector(tcp))
}

/// The receiver's name has no address, or none could be found out.
#[derive(Debug, Error)]
#[error("look up the receiver's name")]
pub(super) struct LookUpError(#[source] io::Error);

/// The system's resolver, with an error of its own type.
///
/// A look-up cannot be cancelled and may hang, holding a thread; so there is one at a time, and
/// webhooks whose names cannot be looked up do not take the threads of the others.
#[derive(Debug, Clone)]
struct Resolver {
    /// Held by a look-up until the system has answered, even if nobody waits any more.
    permit: Arc<Semaphore>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            permit: Arc::new(Semaphore::new(1)),
        }
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
        let permit = Arc::clone(&self.permit);
        Box::pin(async move {
            let permit = permit
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let looked_up = tokio::task::spawn_blocking(move || {
                let addresses = (name.as_str(), 0).to_socket_addrs();
                drop(permit);
                addresses
            });
            looked_up
                .await
                .map_err(io::Error::other)
                .flatten()
                .map_err(LookUpError)
        })
    }
}
