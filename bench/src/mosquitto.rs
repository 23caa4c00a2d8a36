//! The broker of a run: Mosquitto on a free loopback port, in memory, set to drop nothing.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::process::Child;

const START: Duration = Duration::from_secs(10);

/// Starts the broker `program` with its configuration in `directory` and returns once it accepts connections.
///
/// # Errors
/// It does not start within ten seconds.
pub async fn start(program: &Path, directory: &Path) -> anyhow::Result<(Child, SocketAddr)> {
    start_with(program, directory, "").await
}

/// Like [`start`], with more lines of configuration.
///
/// # Errors
/// It does not start within ten seconds.
pub async fn start_with(
    program: &Path,
    directory: &Path,
    lines: &str,
) -> anyhow::Result<(Child, SocketAddr)> {
    let address = free_address().await?;
    let path = directory.join("mosquitto.conf");
    std::fs::write(&path, configuration(address.port()) + lines).context("write mosquitto.conf")?;
    let arguments = ["-c".to_owned(), path.display().to_string()];
    let mut child = Child::start_other("mosquitto", program, &arguments, directory)?;
    let deadline = Instant::now() + START;
    while TcpStream::connect(address).await.is_err() {
        child.check_alive()?;
        if Instant::now() > deadline {
            bail!("mosquitto does not listen on {address} within {START:?}");
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok((child, address))
}

/// Returns a loopback address whose port was free a moment ago.
///
/// # Errors
/// No port is free.
pub async fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(listener.local_addr()?)
}

/// `max_queued_messages 0`: no bound, so that nothing is dropped at QoS 1; `max_inflight_messages 0`: the subscriber's receive
/// maximum alone decides. `user root` matters only when started as root: the temporary directory is then readable.
fn configuration(port: u16) -> String {
    format!(
        "listener {port} 127.0.0.1
allow_anonymous true
persistence false
user root
max_queued_messages 0
max_inflight_messages 0
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
"
    )
}
