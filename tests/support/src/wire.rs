//! A TCP connection, plain or TLS, and the bounded wait that everything on it uses.

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest time any wait may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// Returns the socket below any encryption.
    fn socket(&self) -> &TcpStream;

    /// Makes the close that follows an abrupt one: a TCP RST instead of a FIN.
    fn reset_on_close(&self) {
        // Fails only when the peer is gone, and then there is nobody to reset.
        let _ = self.socket().set_zero_linger();
    }
}

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for tokio_rustls::client::TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

impl Wire for tokio_rustls::server::TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Awaits `future` for ten seconds at most.
///
/// # Panics
/// When time is up, with what was `expected`.
pub(crate) async fn bounded<T>(expected: &str, future: impl Future<Output = T>) -> T {
    let result = timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("expected {expected} within {PATIENCE:?}"))
}
