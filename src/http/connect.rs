//! Making connections: the route, and TLS over it.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_rustls::{
    FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;

use super::proxy::Proxy;
use super::route::Route;
use super::{Config, Version, outcome};
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
    /// For what is said of failures.
    proxy: Option<Proxy>,
    transport: Transport,
}

#[derive(Debug, Clone)]
enum Transport {
    Plain(Route),
    /// Follows the files of certificates and keys; connections that are open stay as they are.
    Secure(Arc<Watched<HttpsConnector<Route>>>),
}

impl Connector {
    pub(super) fn new(config: &Config) -> Result<Self, tls::Error> {
        Self::over(Route::new(config), config)
    }

    /// Returns what connects over a route.
    fn over(tcp: Route, config: &Config) -> Result<Self, tls::Error> {
        let transport = if config.url.is_https() {
            let (tls, version) = (config.tls.clone(), config.version);
            let connector = Watched::new(tls.files(), move || secure(&tls, version, tcp.clone()))?;
            Transport::Secure(Arc::new(connector))
        } else {
            Transport::Plain(tcp)
        };
        Ok(Self {
            origin: config.url.origin().clone(),
            timeout: config.connect_timeout,
            proxy: config.proxy.clone(),
            transport,
        })
    }

    /// Connects, within the time for that.
    pub(super) async fn connect(&self) -> Result<Stream, Failure> {
        match tokio::time::timeout(self.timeout, self.open()).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(Failure {
                detail: match &self.proxy {
                    None => "no connection in time".to_owned(),
                    Some(proxy) => format!("no connection in time by way of proxy {proxy}"),
                },
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
                    .map_err(|error| outcome::of_connect(error.as_ref()))
            }
            Transport::Secure(tls) => {
                let tls = tls.current(Instant::now()).await;
                let connected = HttpsConnector::clone(&tls).call(origin).await;
                connected.map_err(|error| outcome::of_connect(error.as_ref()))
            }
        }
    }
}

/// Returns what makes TLS connections over a route.
fn secure(
    config: &tls::Config,
    version: Version,
    tcp: Route,
) -> Result<HttpsConnector<Route>, tls::Error> {
    let tls = config.client()?;
    let builder = HttpsConnectorBuilder::new().with_tls_config((*tls).clone());
    let mut builder = builder.https_only();
    if let Some(name) = &config.server_name {
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name.clone()));
    }
    Ok(match version {
        Version::Http11 => builder.enable_http1().wrap_connector(tcp),
        Version::Http2 => builder.enable_http2().wrap_connector(tcp),
        Version::Auto => builder.enable_all_versions().wrap_connector(tcp),
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::http::policy::Policy;
    use crate::http::resolver::Resolver;

    /// Returns a connector to `receiver` on a port, whose name has these addresses, one answer per
    /// look-up, and how often it was looked up.
    fn connector(port: u16, answers: &[&[&str]]) -> (Connector, Arc<AtomicUsize>) {
        let url = format!("http://receiver:{port}/");
        let config = Config::new(url.parse().expect("a URL"));
        let looked_up = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&looked_up);
        let answers = answers.iter().map(|addresses| -> Vec<SocketAddr> {
            let address = |text: &&str| text.parse().map(|ip| SocketAddr::new(ip, 0));
            let addresses = addresses.iter().map(address).collect::<Result<_, _>>();
            addresses.expect("addresses")
        });
        let answers = Mutex::new(answers.collect::<Vec<_>>().into_iter());
        let look_up = move |_: &str| {
            count.fetch_add(1, Ordering::Relaxed);
            let mut answers = answers.lock().expect("nobody panics with it");
            Ok(answers.next().expect("no more look-ups than answers"))
        };
        let policy = Arc::new(Policy::default());
        let resolver = Resolver::with(policy, Arc::new(look_up));
        let route = Route::with(&config, resolver);
        let connector = Connector::over(route, &config).expect("there is no TLS");
        (connector, looked_up)
    }

    #[tokio::test]
    async fn a_name_that_moves_to_a_denied_address_is_refused_on_the_next_connect() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (connector, looked_up) = connector(
            port,
            &[
                &["127.0.0.1"],
                &["169.254.169.254"],
                &["::ffff:169.254.169.254", "fe80::1"],
                &["fe80::1", "127.0.0.1"],
            ],
        );
        assert!(connector.connect().await.is_ok());
        for denied in [
            "169.254.169.254 of receiver",
            "::ffff:169.254.169.254 of receiver",
        ] {
            let failure = connector.connect().await.expect_err("it is denied");
            assert_eq!(failure.class, Class::Address, "{failure}");
            assert!(failure.detail.contains(denied), "{failure}");
        }
        // Of several addresses those that are allowed are used.
        assert!(connector.connect().await.is_ok());
        // What was judged is what is connected to: nothing is looked up twice.
        assert_eq!(looked_up.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn an_address_in_the_url_is_judged_without_a_look_up() {
        for host in ["169.254.169.254", "2852039166", "[::ffff:a9fe:a9fe]"] {
            let url = format!("http://{host}:1/");
            let config = Config::new(url.parse().expect("a URL"));
            let connector = Connector::new(&config).expect("there is no TLS");
            let failure = connector.connect().await.expect_err("it is denied");
            assert_eq!(failure.class, Class::Address, "{failure}");
        }
    }
}
