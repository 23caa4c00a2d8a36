//! Small file systems of a test's own, to be filled up and broken.
//!
//! Mounting needs privileges that a container often does not have. Then there is an `Err` with the
//! reason, and a test says so and passes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A mounted file system; dropping it unmounts it, so whoever uses it must have ended.
#[derive(Debug)]
pub struct Disk {
    mount: PathBuf,
    /// `/dev/loopN`, of an ext4 file system.
    device: Option<String>,
    _directory: TempDir,
}

impl Disk {
    /// Mounts a tmpfs of this size.
    ///
    /// # Errors
    /// It is not allowed here.
    pub fn tmpfs(bytes: u64) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mount = mount_point(directory.path());
        let size = format!("size={bytes}");
        run(
            "mount",
            &["-t", "tmpfs", "-o", &size, "tmpfs", text(&mount)],
        )?;
        Ok(Self {
            mount,
            device: None,
            _directory: directory,
        })
    }

    /// Mounts an ext4 file system of this size that becomes read-only at the first error.
    ///
    /// # Errors
    /// It is not allowed here, or there are no loop devices, or no `mkfs.ext4`.
    pub fn ext4(bytes: u64) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let image = directory.path().join("image");
        let file = fs::File::create(&image).expect("create the image");
        file.set_len(bytes).expect("a sparse file");
        run("mkfs.ext4", &["-q", text(&image)])?;
        let device = run("losetup", &["--find", "--show", text(&image)])?;
        let disk = Self {
            mount: mount_point(directory.path()),
            device: Some(device),
            _directory: directory,
        };
        disk.mount_device()?;
        Ok(disk)
    }

    /// Returns where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Gives a tmpfs another size, while it is in use.
    ///
    /// # Panics
    /// When it is no tmpfs.
    pub fn resize(&self, bytes: u64) {
        assert!(self.device.is_none(), "expected a tmpfs");
        let size = format!("remount,size={bytes}");
        done(run("mount", &["-o", &size, text(&self.mount)]));
    }

    /// Makes the kernel find an error in an ext4 file system, which makes it read-only under those
    /// who use it.
    ///
    /// # Errors
    /// This kernel cannot be told to.
    pub fn break_down(&self) -> Result<(), String> {
        let device = self.device.as_deref().expect("expected an ext4");
        let name = device.trim_start_matches("/dev/");
        let trigger = format!("/sys/fs/ext4/{name}/trigger_fs_error");
        fs::write(&trigger, "1").map_err(|error| format!("write {trigger}: {error}"))
    }

    /// Checks, repairs and mounts an ext4 file system that broke down. Nobody may be using it.
    pub fn repair(&self) {
        let device = self.device.as_deref().expect("expected an ext4");
        done(run("umount", &[text(&self.mount)]));
        // Its status is 1 when it repaired something.
        let _ = run("fsck.ext4", &["-p", "-f", device]);
        done(self.mount_device());
    }

    fn mount_device(&self) -> Result<(), String> {
        let device = self.device.as_deref().expect("only called with a device");
        let options = ["-t", "ext4", "-o", "errors=remount-ro"];
        run(
            "mount",
            &[&options[..], &[device, text(&self.mount)]].concat(),
        )
        .map(drop)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A failure leaves a mount behind, which harms nobody.
        let _ = run("umount", &["--lazy", text(&self.mount)]);
        if let Some(device) = &self.device {
            let _ = run("losetup", &["--detach", device]);
        }
    }
}

fn mount_point(directory: &Path) -> PathBuf {
    let mount = directory.join("mount");
    fs::create_dir(&mount).expect("create the mount point");
    mount
}

/// Runs a program and returns what it wrote, or why it failed.
fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let failed = |why: String| format!("{program} {}: {}", arguments.join(" "), why.trim());
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

fn done<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("expected this to work: {error}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}
