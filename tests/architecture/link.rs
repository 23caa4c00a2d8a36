//! The order in which the linker puts functions, which only release builds of the program have.

#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

use std::fs;
use std::path::Path;
use std::process::Command;

/// What `link/functions.ld` calls its section.
const SECTION: &[u8] = b".text.ordered\0";

#[test]
fn the_linker_takes_the_order_and_what_it_links_runs() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let program = folder.path().join("program");
    let source = folder.path().join("program.rs");
    fs::write(&source, "fn main() { println!(\"ran\"); }").expect("written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("link/functions.ld");
    let linked = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .arg("-o")
        .arg(&program)
        .arg(format!("-Clink-arg=-T{}", script.display()))
        .arg(&source)
        .output()
        .expect("rustc starts");
    assert!(linked.status.success(), "{linked:?}");
    let output = Command::new(&program).output().expect("it starts");
    assert_eq!(output.stdout, b"ran\n");
    let binary = fs::read(&program).expect("it is readable");
    let is_ordered = binary.windows(SECTION.len()).any(|name| name == SECTION);
    assert!(
        is_ordered,
        "the standard library's functions are in the order"
    );
}
