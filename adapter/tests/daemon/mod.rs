//! The program itself as a test's child: with a configuration of its own, its journal as JSON, and a notify socket as systemd
//! would give it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use sealfax_adapter::service::JournalLine;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_sealfax-adapter");
const EXAMPLE: &str = include_str!("../../sealfax-adapter.example.toml");
/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes the example into `folder`, with these replacements beside what every test needs.
pub fn configuration(folder: &Path, replacements: &[(&str, &str)]) -> PathBuf {
    let certificate = include_bytes!("../../../rig/src/virtual_card/testdata/rsa-signature.crt.der");
    let pem = base64::engine::general_purpose::STANDARD.encode(certificate);
    let anchors = folder.join("anchors.pem");
    std::fs::write(&anchors, format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n")).unwrap();
    let mut text = EXAMPLE
        .replace("/etc/sealfax/anchors.pem", &anchors.display().to_string())
        .replace("intermediates = ", "# intermediates = ")
        .replace("/var/lib/sealfax/adapter", &folder.join("data").display().to_string())
        .replace("log = \"auto\"", "log = \"json\"");
    for (old, new) in replacements {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    let path = folder.join("adapter.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Replacements that put every listener on loopback, at any free port.
pub const LOOPBACK: [(&str, &str); 3] =
    [("192.168.77.1:25", "127.0.0.1:0"), ("192.168.77.1:110", "127.0.0.1:0"), ("192.0.2.77:25", "127.0.0.1:0")];

/// The running program; killed when dropped.
pub struct Daemon {
    child: Child,
    journal: PathBuf,
    told: Receiver<String>,
}

impl Daemon {
    /// Starts the program by `command`, which ends where its arguments begin.
    pub fn start(mut command: Command, folder: &Path, config: &Path) -> Self {
        let socket = folder.join("notify");
        let notify = UnixDatagram::bind(&socket).unwrap();
        // All is read at once, as a service manager does: ten words are all that waits in the socket.
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = notify.recv(&mut buffer) {
                if tell.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_err() {
                    return;
                }
            }
        });
        let journal = folder.join("journal");
        let child = command
            .args(["run", "--config"])
            .arg(config)
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "300000")
            .env_remove("WATCHDOG_PID")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stderr(File::create(&journal).unwrap())
            .spawn()
            .unwrap();
        Self { child, journal, told }
    }

    /// What the service manager is told next.
    pub fn told(&self) -> String {
        self.told.recv_timeout(PATIENCE).expect("the service manager is told something")
    }

    /// Waits until the service manager is told this.
    pub fn tells(&self, wanted: &str) {
        while !self.told().contains(wanted) {}
    }

    /// All that the program wrote.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.journal).unwrap()
    }

    /// The journal so far.
    pub fn lines(&self) -> Vec<JournalLine> {
        // The last line may not be whole yet.
        self.said().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a line of the journal.
    pub fn writes(&mut self, what: &str, is: impl Fn(&JournalLine) -> bool) -> JournalLine {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.lines().into_iter().find(&is) {
                return line;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "{ended:?}, and never {what}:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Tells it to stop.
    pub fn terminate(&self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    /// How it ended.
    pub fn ends(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
