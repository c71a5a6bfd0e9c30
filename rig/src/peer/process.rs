//! A child process that ends with its handle, whatever happens to the story.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// Why a peer cannot take part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// It is not installed: the story is *unsupported* here.
    #[error("{program} is not installed; `apt-get install {package}` brings it")]
    Missing {
        /// Which program.
        program: &'static str,
        /// In which Debian package it is.
        package: &'static str,
    },
    /// It is installed and does not do what it should.
    #[error("{program}: {why}")]
    Broken {
        /// Which program.
        program: &'static str,
        /// What it said, or what the system said.
        why: String,
    },
}

impl PeerError {
    pub(crate) fn broken(program: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Broken { program, why: why.to_string() }
    }
}

/// Where a program is: in the search path, or where Debian puts servers.
pub fn find(program: &'static str, package: &'static str) -> Result<PathBuf, PeerError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    places.map(|place| place.join(program)).find(|file| file.is_file()).ok_or(PeerError::Missing { program, package })
}

/// The same for a program that changes users, and so is started by root alone.
pub fn find_for_root(program: &'static str, package: &'static str) -> Result<PathBuf, PeerError> {
    let found = find(program, package)?;
    if rustix::process::geteuid().is_root() {
        Ok(found)
    } else {
        Err(PeerError::broken(program, "only root can start an instance"))
    }
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    program: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in a process group of its own; what it says goes to `log`.
    pub fn start(program: &'static str, mut command: Command, log: &Path) -> Result<Self, PeerError> {
        use std::os::unix::process::CommandExt as _;
        let broken = |error: std::io::Error| PeerError::broken(program, error);
        let out = std::fs::File::create(log).map_err(broken)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(broken)?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .map_err(broken)?;
        Ok(Self { program, child, log: log.to_owned() })
    }

    /// Its process id, which is that of its group as well.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Looks every millisecond whether `ready` says so, for at most `patience`; fails early if the child ends.
    pub fn wait_until<T>(
        &mut self,
        patience: Duration,
        mut ready: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T, PeerError> {
        let begin = Instant::now();
        loop {
            if let Some(found) = ready(self) {
                return Ok(found);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(PeerError::broken(self.program, format!("ended with {status}: {}", self.said())));
            }
            if begin.elapsed() > patience {
                return Err(PeerError::broken(self.program, format!("is not ready: {}", self.said())));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for at most `patience` until it has ended by itself.
    pub fn finished(&mut self, patience: Duration) -> Result<std::process::ExitStatus, PeerError> {
        let begin = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Err(error) => return Err(PeerError::broken(self.program, error)),
                Ok(None) if begin.elapsed() > patience => {
                    return Err(PeerError::broken(self.program, format!("does not end: {}", self.said())));
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Asks it and its children to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until something answers at `at`.
    pub fn wait_for_port(&mut self, at: SocketAddr, patience: Duration) -> Result<(), PeerError> {
        self.wait_until(patience, |_| TcpStream::connect_timeout(&at, Duration::from_millis(200)).ok().map(drop))
    }

    /// Stops it where it is, as if the machine hung; it goes on after [`Process::resume`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        // A thread that is computing stops a moment later, and may answer until then.
        let tasks = format!("/proc/{}/task", self.child.id());
        let stopped = || {
            std::fs::read_dir(&tasks).into_iter().flatten().flatten().all(|task| {
                let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_none_or(|(_, after)| after.starts_with('T'))
            })
        };
        for _ in 0..200 {
            if stopped() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Goes on after [`Process::freeze`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it and its children without asking.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// To the whole group: servers have children.
    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // A group that is gone needs no signal.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address of `host` that nobody listens at just now.
pub fn free_port(host: IpAddr) -> std::io::Result<SocketAddr> {
    TcpListener::bind((host, 0))?.local_addr()
}

/// The child and all its children: process ids.
pub fn family(id: u32) -> Vec<u32> {
    let mut all = vec![id];
    let mut at = 0;
    while let Some(parent) = all.get(at).copied() {
        at += 1;
        let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_ascii_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    all
}
