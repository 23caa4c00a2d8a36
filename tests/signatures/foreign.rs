//! The judgement of libraries in other languages, where they are installed.
//!
//! `./test` installs them into `verifiers` below the target directory. Without them these tests say
//! that they are skipped.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::receiver::Request;

use super::{OLD, capture};

/// Reads `head` and `body` in a folder; the secret is the second argument, what to check the third.
const PYTHON: &str = r#"
import hashlib, hmac, pathlib, sys
folder, secret, scheme = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
lines = (folder / "head").read_text().splitlines()
headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
body = (folder / "body").read_bytes()
if scheme == "standard":
    from standardwebhooks import Webhook
    Webhook(secret).verify(body, headers)
else:
    expected = hmac.new(bytes.fromhex(secret), body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(headers["x-men-signature-payload"], expected)
    assert hmac.compare_digest(headers["x-men-signature"], expected)
    assert headers["x-men-algorithm"] == "MEN-HMAC-SHA256-Payload"
"#;

const NODE: &str = r#"
import { readFileSync } from "node:fs";
import { verify } from "@octokit/webhooks-methods";
const [folder, secret] = process.argv.slice(2);
const head = readFileSync(`${folder}/head`, "utf8");
const signature = /^x-hub-signature-256: (.*)$/im.exec(head)[1];
if (!(await verify(secret, readFileSync(`${folder}/body`, "utf8"), signature))) process.exit(3);
"#;

fn verifiers() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/verifiers");
    std::env::var_os("MQHOOK_VERIFIERS").map_or_else(default, PathBuf::from)
}

/// Says it on the terminal, past the capture of tests that pass.
fn skip(what: &str) {
    let line = format!("SKIPPED: no verification by {what}, which is not installed\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("write to stderr");
}

/// A program that judges a request in a folder.
struct Judge {
    program: PathBuf,
    script: PathBuf,
    arguments: Vec<String>,
}

impl Judge {
    /// Asserts that the request is believed, and one with another body is not.
    fn check(&self, request: &Request) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let head = request.header_lines().join("\n");
        fs::write(folder.path().join("head"), head).expect("write the head");
        let body = folder.path().join("body");
        fs::write(&body, &request.body).expect("write the body");
        let good = self.run(folder.path());
        let said = String::from_utf8_lossy(&good.stderr);
        assert!(good.status.success(), "{request:?}: {said}");
        let mut flipped = request.body.to_vec();
        flipped[3] ^= 1;
        fs::write(&body, flipped).expect("write the body");
        assert!(!self.run(folder.path()).status.success(), "{request:?}");
    }

    fn run(&self, folder: &Path) -> Output {
        let mut command = Command::new(&self.program);
        command.arg(&self.script).arg(folder).args(&self.arguments);
        command.output().expect("the program runs")
    }
}

/// Returns a judge in Python, if there is one that has a module.
fn python(program: &Path, module: &str, arguments: &[&str]) -> Option<(tempfile::TempDir, Judge)> {
    let imports = Command::new(program)
        .args(["-c", &format!("import {module}")])
        .output();
    if !imports.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let script = folder.path().join("verify.py");
    fs::write(&script, PYTHON).expect("write the script");
    let judge = Judge {
        program: program.to_owned(),
        script,
        arguments: arguments.iter().map(ToString::to_string).collect(),
    };
    Some((folder, judge))
}

#[tokio::test]
async fn pythons_standardwebhooks_believes() {
    let program = verifiers().join("python/bin/python");
    let Some((_folder, judge)) = python(&program, "standardwebhooks", &[OLD, "standard"]) else {
        return skip("Python's standardwebhooks");
    };
    for request in capture(&format!("secret = \"{OLD}\"")).await {
        judge.check(&request);
    }
}

#[tokio::test]
async fn pythons_hmac_agrees_with_what_mender_says() {
    const SECRET: &str = "00ff17deadBEEF";
    let program = Path::new("python3");
    let Some((_folder, judge)) = python(program, "hmac", &[SECRET, "mender"]) else {
        return skip("Python");
    };
    for request in capture(&format!("scheme = \"mender\"\nsecret = \"{SECRET}\"")).await {
        judge.check(&request);
    }
}

#[tokio::test]
async fn octokit_believes() {
    const SECRET: &str = "It's a Secret to Everybody: zürich";
    let node = verifiers().join("node");
    let library = node.join("node_modules/@octokit/webhooks-methods");
    if !library.exists() {
        return skip("Node's @octokit/webhooks-methods");
    }
    // Node finds libraries beside the script.
    let script = node.join("verify.mjs");
    fs::write(&script, NODE).expect("write the script");
    let judge = Judge {
        program: PathBuf::from("node"),
        script,
        arguments: vec![SECRET.to_owned()],
    };
    for request in capture(&format!("scheme = \"github\"\nsecret = \"{SECRET}\"")).await {
        judge.check(&request);
    }
}
