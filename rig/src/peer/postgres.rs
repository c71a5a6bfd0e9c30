//! PostgreSQL: a cluster of its own in a folder of its own, on loopback, where everybody from this machine may log in.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{PeerError, Process, find, free_port};

const PROGRAM: &str = "postgres";
const PACKAGE: &str = "postgresql";
/// The superuser of the cluster.
const USER: &str = "postgres";

/// A running cluster; it ends when dropped.
#[derive(Debug)]
pub struct PostgresServer {
    process: Option<Process>,
    at: SocketAddr,
    folder: tempfile::TempDir,
}

/// Where Debian puts the programs of the newest version that is installed.
fn programs() -> Result<PathBuf, PeerError> {
    let missing = PeerError::Missing { program: PROGRAM, package: PACKAGE };
    let versions = std::fs::read_dir("/usr/lib/postgresql").map(|entries| entries.flatten().map(|entry| entry.path()));
    let mut found: Vec<PathBuf> =
        versions.into_iter().flatten().map(|path| path.join("bin")).filter(|bin| bin.join(PROGRAM).is_file()).collect();
    found.sort();
    found.pop().ok_or(missing)
}

/// Whether it is installed, and may be started.
pub fn present() -> Result<(), PeerError> {
    programs().map(drop)
}

impl PostgresServer {
    /// A new cluster at a free port of `host`.
    pub fn start(host: IpAddr) -> Result<Self, PeerError> {
        let broken = |error: std::io::Error| PeerError::broken(PROGRAM, error);
        let folder = tempfile::tempdir().map_err(broken)?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).map_err(broken)?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data).map_err(broken)?;
        if rustix::process::geteuid().is_root() {
            // It refuses to be root.
            let owned = Command::new("chown").arg(USER).arg(&data).status().map_err(broken)?;
            if !owned.success() {
                return Err(PeerError::broken(PROGRAM, "the data folder cannot be given to its user"));
            }
        }
        let made = run_as(&programs()?.join("initdb"))?
            .args(["-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-D"])
            .arg(&data)
            .output()
            .map_err(broken)?;
        if !made.status.success() {
            return Err(PeerError::broken(PROGRAM, String::from_utf8_lossy(&made.stderr)));
        }
        let at = free_port(host).map_err(broken)?;
        let mut server = Self { process: None, at, folder };
        server.begin()?;
        Ok(server)
    }

    /// Starts it, also after [`PostgresServer::kill`].
    pub fn begin(&mut self) -> Result<(), PeerError> {
        let mut command = run_as(&programs()?.join(PROGRAM))?;
        let (host, port) = (self.at.ip().to_string(), self.at.port().to_string());
        command.arg("-D").arg(self.folder.path().join("data")).args(["-h", &host, "-p", &port, "-k", ""]);
        let mut process = Process::start(PROGRAM, command, &self.folder.path().join("log"))?;
        process.wait_for_port(self.at, Duration::from_secs(30))?;
        // It listens before it answers.
        process.wait_until(Duration::from_secs(30), |process| {
            process.said().contains("ready to accept connections").then_some(())
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The process above all others of it, while it runs.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// A new, empty database; what a client connects to.
    pub fn database(&self, name: &str) -> Result<String, PeerError> {
        let server = format!("postgres://{USER}@{}", self.at);
        self.says(&format!("{server}/postgres"), &format!("CREATE DATABASE {name}"))?;
        Ok(format!("{server}/{name}"))
    }

    /// Has psql say something to a database; what it answered, unaligned.
    pub fn says(&self, url: &str, statement: &str) -> Result<String, PeerError> {
        let psql = find("psql", "postgresql-client")?;
        let output = Command::new(psql).arg(url).args(["-qAtc", statement]).output();
        let output = output.map_err(|error| PeerError::broken(PROGRAM, error))?;
        if !output.status.success() {
            return Err(PeerError::broken(PROGRAM, String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// The program, as the cluster's user where we are root.
fn run_as(program: &Path) -> Result<Command, PeerError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Command::new(program));
    }
    let mut command = Command::new(find("setpriv", "util-linux")?);
    command.args(["--reuid", USER, "--regid", USER, "--init-groups"]).arg(program);
    Ok(command)
}
