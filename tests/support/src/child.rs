//! A child process that is waited for within bounds and killed by its pid when dropped.

use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// Pause between two looks at a condition that only the child can fulfil.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// Longest time a child may take to become ready or to exit.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn new(child: Child) -> Self {
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns how the child exited, or `None` while it runs.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("the child is ours to wait for")
    }

    /// Sends `signal`; does nothing when the child has already exited.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            kill_process(Pid::from_child(&self.child), signal)
                .expect("our own child may be signalled");
        }
    }

    /// Limits the size of the files that it writes; nothing when it has already exited.
    pub(crate) fn limit_file_size(&mut self, bytes: Option<u64>) {
        if self.exited().is_none() {
            let limit = Rlimit {
                current: bytes,
                maximum: None,
            };
            prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit)
                .expect("our own child may be limited");
        }
    }

    /// Blocks until the child has exited, at most `PATIENCE`.
    pub(crate) fn wait(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.exited() {
                Some(status) => return Some(status),
                None if Instant::now() > deadline => return None,
                None => thread::sleep(POLL),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }
}
