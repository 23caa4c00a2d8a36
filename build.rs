//! Has the linker put together the functions of mqhook that run, out of the 14 MB that it has.
//!
//! The kernel maps a program in blocks of 64 KiB around each page that is used. Without an order
//! nearly every block has something in it that runs at the start; see ARCHITECTURE.md.

use std::env;
use std::path::Path;

const SCRIPT: &str = "link/functions.ld";

fn main() {
    println!("cargo::rerun-if-changed={SCRIPT}");
    if is_measured_target() && is_default_linker() {
        let root = env::var("CARGO_MANIFEST_DIR").expect("Cargo sets it");
        let script = Path::new(&root).join(SCRIPT);
        println!("cargo::rustc-link-arg-bin=mqhook=-T{}", script.display());
    }
}

/// Whether this is a build in which the order has been measured; any other is as the linker likes it.
fn is_measured_target() -> bool {
    let is = |key, value| env::var(key).is_ok_and(|actual| actual == value);
    is("PROFILE", "release")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
}

/// Whether nobody has chosen a linker: GNU's and LLVM's know such scripts, not every other does.
fn is_default_linker() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    env::var_os("RUSTC_LINKER").is_none() && !flags.contains("link")
}
