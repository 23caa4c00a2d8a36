//! The keys of the admin API.

use std::net::SocketAddr;

use super::Admin;
use super::complaint::Complaint;
use super::section::Section;

/// Reads the `admin` table.
pub(super) fn read(mut section: Section<'_>, config: &mut Admin) {
    if let Some(listen) = section.parse("listen", address) {
        config.listen = listen;
    }
    if let Some(listen) = section.parse("metrics_listen", address) {
        config.metrics_listen = listen;
        if listen.is_some_and(|address| address.port() != 0) && listen == config.listen {
            let complaint = Complaint::new("the admin API listens there");
            let help = "it has /metrics, too; give this one a port of its own, or remove it";
            section.report_about("metrics_listen", complaint.help(help));
        }
    }
    section.finish();
}

fn address(text: &str) -> Result<Option<SocketAddr>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| "it must be an IP address with a port, such as 127.0.0.1:9883, or empty")
}
