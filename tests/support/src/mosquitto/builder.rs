//! What a broker is to be like, and the configuration files that say so.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Mosquitto;
use crate::broker::find;
use crate::certificates::Certificates;
use crate::port::free_port;

/// What a broker is to be like; everything is off by default and everyone may connect.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    log_topics: bool,
    persistent: bool,
    websockets: bool,
    secure_websockets: Option<Tls>,
    lines: Vec<String>,
    passwords: Vec<(String, String)>,
    acl: Option<String>,
    denied: Vec<String>,
    tls: Option<Tls>,
}

#[derive(Clone, Debug)]
struct Tls {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    require_client: bool,
}

impl Tls {
    fn new(certificates: &Certificates, require_client: bool) -> Self {
        Self {
            ca: certificates.ca(),
            certificate: certificates.server_certificate(),
            key: certificates.server_key(),
            require_client,
        }
    }

    /// Returns the lines that belong below those of a listener.
    fn lines(&self) -> String {
        format!(
            "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate {}\n",
            self.ca.display(),
            self.certificate.display(),
            self.key.display(),
            self.require_client
        )
    }
}

impl Builder {
    /// Publishes the broker's log on `$SYS/broker/log/#`, every type that can reach a topic.
    ///
    /// Debug lines never do, so they are left out: writing them would only slow the broker.
    pub fn log_topics(mut self) -> Self {
        self.log_topics = true;
        self
    }

    /// Adds one line to the configuration, after the plain listener and before the others.
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Adds a user; as soon as there is one, nobody may connect anonymously.
    pub fn password(mut self, user: &str, password: &str) -> Self {
        self.passwords.push((user.to_owned(), password.to_owned()));
        self
    }

    /// Sets the text of the access control file.
    pub fn acl(mut self, text: &str) -> Self {
        self.acl = Some(text.to_owned());
        self
    }

    /// Refuses subscriptions to this topic filter. An access control file cannot do that: it only
    /// withholds messages.
    pub fn deny_subscription(mut self, topic_filter: &str) -> Self {
        self.denied.push(topic_filter.to_owned());
        self
    }

    /// Adds a TLS listener that asks for no client certificate; the certificates must outlive it.
    pub fn tls(self, certificates: &Certificates) -> Self {
        self.tls_listener(certificates, false)
    }

    /// Adds a TLS listener that demands a client certificate.
    pub fn mutual_tls(self, certificates: &Certificates) -> Self {
        self.tls_listener(certificates, true)
    }

    /// Adds a listener for MQTT over WebSocket.
    pub fn websockets(mut self) -> Self {
        self.websockets = true;
        self
    }

    /// Adds a listener for MQTT over WebSocket with TLS; the certificates must outlive it.
    pub fn secure_websockets(mut self, certificates: &Certificates) -> Self {
        self.websockets = true;
        self.secure_websockets = Some(Tls::new(certificates, false));
        self
    }

    /// Keeps sessions and retained messages across a clean stop.
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Starts the broker and blocks until it accepts connections.
    #[must_use]
    pub fn start(self) -> Mosquitto {
        Mosquitto::first_start(self)
    }

    pub(super) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) fn has_websockets(&self) -> bool {
        self.websockets
    }

    /// Writes the files that do not depend on ports.
    pub(super) fn write_access_files(&self, directory: &Path) {
        self.write_passwords(directory);
        if let Some(acl) = &self.acl {
            fs::write(directory.join("acl"), acl).expect("write the access control file");
        }
        if !self.denied.is_empty() {
            fs::write(directory.join("security.json"), self.security())
                .expect("write the dynamic security file");
        }
    }

    pub(super) fn write_config(&self, ports: Ports, directory: &Path) {
        let text = self.config(ports, directory);
        fs::write(directory.join("mosquitto.conf"), text).expect("write the configuration");
    }

    fn tls_listener(mut self, certificates: &Certificates, require_client: bool) -> Self {
        self.tls = Some(Tls::new(certificates, require_client));
        self
    }

    fn config(&self, ports: Ports, directory: &Path) -> String {
        let mut text = String::from("log_dest stderr\nconnection_messages true\n");
        text += "log_type error\nlog_type warning\nlog_type notice\nlog_type information\n";
        if rustix::process::geteuid().is_root() {
            text += "user root\n";
        }
        if self.log_topics {
            text +=
                "log_dest topic\nlog_type subscribe\nlog_type unsubscribe\nlog_type websockets\n";
        }
        if self.persistent {
            let _ = writeln!(
                text,
                "persistence true\npersistence_location {}/",
                directory.display()
            );
        }
        let _ = writeln!(text, "listener {} 127.0.0.1", ports.plain);
        for line in &self.lines {
            text += line;
            text += "\n";
        }
        text += &self.access(directory);
        text += &self.other_listeners(ports);
        text
    }

    fn access(&self, directory: &Path) -> String {
        let mut text = if self.passwords.is_empty() {
            String::from("allow_anonymous true\n")
        } else {
            format!(
                "allow_anonymous false\npassword_file {}\n",
                directory.join("passwords").display()
            )
        };
        if self.acl.is_some() {
            let _ = writeln!(text, "acl_file {}", directory.join("acl").display());
        }
        if !self.denied.is_empty() {
            let (plugin, file) = (plugin(), directory.join("security.json"));
            let _ = writeln!(text, "plugin {}", plugin.display());
            let _ = writeln!(text, "plugin_opt_config_file {}", file.display());
        }
        text
    }

    /// Returns what the dynamic security plugin reads: everyone may do everything but this.
    fn security(&self) -> String {
        let rules: Vec<String> = self
            .denied
            .iter()
            .map(|filter| {
                format!(r#"{{"acltype":"subscribeLiteral","topic":"{filter}","allow":false}}"#)
            })
            .collect();
        format!(
            r#"{{"defaultACLAccess":{{"publishClientSend":true,"publishClientReceive":true,"subscribe":true,"unsubscribe":true}},
            "clients":[],"anonymousGroup":"all","groups":[{{"groupname":"all","roles":[{{"rolename":"most"}}]}}],
            "roles":[{{"rolename":"most","acls":[{}]}}]}}"#,
            rules.join(",")
        )
    }

    fn other_listeners(&self, ports: Ports) -> String {
        let mut text = String::new();
        if let Some(tls) = &self.tls {
            let _ = writeln!(text, "listener {} 127.0.0.1", ports.tls);
            text += &tls.lines();
        }
        if self.websockets {
            let _ = writeln!(
                text,
                "listener {} 127.0.0.1\nprotocol websockets",
                ports.websocket
            );
            let tls = self.secure_websockets.as_ref();
            text += &tls.map(Tls::lines).unwrap_or_default();
        }
        text
    }

    fn write_passwords(&self, directory: &Path) {
        let file = directory.join("passwords");
        fs::write(&file, "").expect("write the password file");
        for (user, password) in &self.passwords {
            let program =
                find("mosquitto_passwd").expect("mosquitto_passwd is installed with mosquitto");
            let status = Command::new(program)
                .arg("-b")
                .arg(&file)
                .args([user, password])
                .stderr(Stdio::null())
                .status();
            assert!(
                status.is_ok_and(|status| status.success()),
                "expected a password for {user} to be set"
            );
        }
    }
}

/// Returns where Debian's package puts the dynamic security plugin.
fn plugin() -> PathBuf {
    fs::read_dir("/usr/lib")
        .expect("there is a /usr/lib")
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("mosquitto_dynamic_security.so"))
        .find(|file| file.is_file())
        .expect("expected mosquitto's dynamic security plugin to be installed")
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) plain: u16,
    pub(super) tls: u16,
    pub(super) websocket: u16,
}

impl Ports {
    pub(super) fn free() -> Self {
        Self {
            plain: free_port(),
            tls: free_port(),
            websocket: free_port(),
        }
    }
}
