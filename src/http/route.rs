//! The way to a receiver: over TCP to it, or to the proxy that connects to it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::policy::Policy;
use super::proxy::{Fault, First, Proxy};
use super::resolver::Resolver;
use super::{Config, Version};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes TCP connections that end at a receiver.
#[derive(Debug, Clone)]
pub(super) struct Route {
    tcp: HttpConnector<Resolver>,
    policy: Arc<Policy>,
    proxy: Option<Arc<Proxy>>,
    first: First,
}

impl Route {
    pub(super) fn new(config: &Config) -> Self {
        let policy = Arc::new(config.network.clone());
        Self::with(config, Resolver::new(policy))
    }

    /// Returns a route that asks another resolver.
    pub(super) fn with(config: &Config, resolver: Resolver) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        tcp.enforce_http(false);
        Self {
            tcp,
            policy: Arc::new(config.network.clone()),
            proxy: config.proxy.clone().map(Arc::new),
            first: match (config.version, config.url.is_https()) {
                (Version::Http2, false) => First::Anyone,
                _ => First::We,
            },
        }
    }

    async fn open(mut self, origin: Uri) -> Result<TokioIo<TcpStream>, BoxError> {
        // A host that is an address is not looked up, and a proxy looks up names for us.
        let host = origin.host().unwrap_or_default();
        let Some(proxy) = self.proxy else {
            self.policy.judge_host(host)?;
            return Ok(self.tcp.call(origin).await?);
        };
        self.policy.judge_host_beyond_proxy(host)?;
        let unreachable = |error: BoxError| proxy.fails(Fault::Unreachable, Some(error));
        let proxy_host = proxy.origin().host().unwrap_or_default();
        self.policy
            .judge_host(proxy_host)
            .map_err(|denied| unreachable(denied.into()))?;
        let connected = self.tcp.call(proxy.origin().clone()).await;
        let mut stream = connected.map_err(|error| unreachable(error.into()))?;
        proxy
            .connect(stream.inner_mut(), &host_and_port(&origin), self.first)
            .await?;
        Ok(stream)
    }
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, origin: Uri) -> Self::Future {
        Box::pin(self.clone().open(origin))
    }
}

fn host_and_port(origin: &Uri) -> String {
    let default = if origin.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    let port = origin.port_u16().unwrap_or(default);
    format!("{}:{port}", origin.host().unwrap_or_default())
}
