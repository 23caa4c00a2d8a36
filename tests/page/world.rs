//! What the page shows: a broker, devices, a receiver that takes, fails and rejects, and mqhook.
//!
//! A script asks for what happens there, a line of JSON each on its standard output, and is answered by a line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::client::{Client, Connect, Version};
use support::mosquitto::Mosquitto;
use support::receiver::{Answer, Behaviour, Request};
use support::setup::{Setup, complete};

/// Ends the script if the test fails before.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const CONFIG: &str = r#"
devices.enabled = true

[webhooks.telemetry]
url = "{receiver}/taken"
events = [{ event = "on_message_publish", topic = "sensors/#" }, { event = "on_client_connected" }]

[webhooks.erp]
url = "{receiver}/down"
retry.schedule = ["1h"]
events = [{ event = "on_message_publish", topic = "orders/#" }]

[webhooks.crm]
url = "{receiver}/rejected"
events = [{ event = "on_message_publish", topic = "contacts/#" }]
"#;

/// What the receiver answers when it rejects: nothing of it may run.
const HOSTILE: &str = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>";

/// Everything that runs.
pub struct World {
    setup: Setup,
    /// Clients that stay connected.
    clients: Vec<Client>,
}

impl World {
    /// Starts it.
    pub async fn start() -> Self {
        let broker = Mosquitto::builder().log_topics();
        let setup = Setup::start(env!("CARGO_BIN_EXE_mqhook"), broker, CONFIG).await;
        setup.receiver.set_script(answer);
        Self {
            setup,
            clients: Vec::new(),
        }
    }

    /// Runs a script until it ends, and does what it asks for.
    ///
    /// # Panics
    /// When the script fails.
    pub async fn play(mut self, script: &str, browser: &Path) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
        let child = Command::new("node")
            .arg(folder.join(script))
            .env("MQHOOK_BROWSER", browser)
            .env("PAGE", format!("http://127.0.0.1:{}", self.setup.admin))
            .env("RECEIVER", self.setup.receiver.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut script = Script(child.expect("expected node to start"));
        let mut answers = script.0.stdin.take().expect("it is piped");
        let asked = BufReader::new(script.0.stdout.take().expect("it is piped"));
        for line in asked.lines() {
            let line = line.expect("it writes UTF-8");
            let command: Value = serde_json::from_str(&line).expect("it writes JSON");
            let answer = self.perform(&command).await;
            writeln!(answers, "{answer}").expect("it reads the answer");
        }
        let status = script.0.wait().expect("it is our child");
        assert!(status.success(), "expected the script to pass; see above");
    }

    async fn perform(&mut self, command: &Value) -> Value {
        let text = |key: &str| command[key].as_str().expect("the script says it");
        match text("do") {
            "publish" => self.setup.publish(text("topic"), text("payload")).await,
            "connect" => {
                let connect =
                    Connect::new(Version::V5, text("client_id")).username(text("username"));
                let client = connect.open(self.setup.broker.port()).await;
                self.clients.push(client);
            }
            "requests" => {
                let requests = self.setup.receiver.requests();
                let requests = requests
                    .iter()
                    .filter(|request| request.target() == text("target"));
                return json!(requests.map(Request::text).collect::<Vec<_>>());
            }
            "headers" => {
                let requests = self.setup.receiver.requests();
                let requests = requests.iter();
                let requests = requests.filter(|request| request.target() == text("target"));
                return json!(requests.map(Request::header_lines).collect::<Vec<_>>());
            }
            "mend the receiver" => self.setup.receiver.set(Behaviour::Status(204)),
            "configure" => {
                let (config, setup) = (CONFIG.to_owned() + text("more"), &self.setup);
                let (broker, receiver) = (setup.broker.url(), setup.receiver.url());
                let config = complete(&config, &broker, &receiver, setup.admin);
                setup.sidecar.write_config(&config);
            }
            "kill" => self.setup.sidecar.kill(),
            "start" => {
                self.setup.sidecar.start_again();
                self.setup.wait_ready().await;
            }
            other => panic!("expected a command, got {other}"),
        }
        Value::Null
    }
}

fn answer(request: &Request) -> Behaviour {
    match request.target() {
        "/down" => Behaviour::Status(503),
        "/rejected" => Behaviour::Answer(Answer::new(422).body(HOSTILE)),
        _ => Behaviour::Status(204),
    }
}
