//! mqhook's plugin for Mosquitto, built when it is needed.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Returns the plugin's shared library, which is built or brought up to date by the first who asks.
///
/// # Panics
/// When it cannot be built.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(build)
}

fn build() -> PathBuf {
    // A test is `<target>/<profile>/deps/<name>`.
    let test = env::current_exe().expect("the test knows where it is");
    let target = test.ancestors().nth(3).expect("cargo put it there");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", "mqhook-mosquitto-plugin"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(workspace)
        .output()
        .expect("cargo can be executed");
    assert!(
        output.status.success(),
        "expected the plugin to be built, cargo said:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    target.join("debug/libmqhook_mosquitto.so")
}
