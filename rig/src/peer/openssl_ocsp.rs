//! `openssl ocsp` as the OCSP responder of a site that has its own: certificates in an `index.txt`, answers signed one
//! by one with the key of an OCSP signer.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use time::OffsetDateTime;
use time::macros::format_description;

use super::process::{PeerError, Process, find};

const PROGRAM: &str = "openssl ocsp";
/// Makes the responder listen on loopback only: by itself it knows a port and no address.
const BIND_LOOPBACK: &str = include_str!("bind_loopback.c");

/// A line of the index: what the responder knows of one certificate (ca(1), "index file").
#[derive(Debug, Clone)]
pub struct Known {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Last second of validity.
    pub not_after: SystemTime,
    /// Since when it is revoked (key compromise), if it is.
    pub revoked: Option<SystemTime>,
}

/// Whose answers these are.
#[derive(Debug, Clone)]
pub struct Signer {
    /// The certificate of the authority whose certificates are asked about, PEM.
    pub authority_pem: String,
    /// The certificate that the authority delegated to, PEM.
    pub certificate_pem: String,
    /// Its key, PEM.
    pub key_pem: String,
}

/// A running responder; it ends when dropped.
#[derive(Debug)]
pub struct OpensslOcsp {
    process: Process,
    at: SocketAddr,
    ready_in: Duration,
    folder: tempfile::TempDir,
}

/// Whether what it needs is installed.
pub fn present() -> Result<(), PeerError> {
    find("openssl", "openssl")?;
    find("cc", "gcc").map(drop)
}

impl OpensslOcsp {
    /// A responder at a free port of `host`, with `processes` that answer side by side (`-multi`) if more than one.
    pub fn start(host: IpAddr, known: &[Known], signer: &Signer, processes: u32) -> Result<Self, PeerError> {
        let program = find("openssl", "openssl")?;
        let broken = |error: std::io::Error| PeerError::broken(PROGRAM, error);
        let folder = tempfile::tempdir().map_err(broken)?;
        let here = folder.path();
        let preload = bind_loopback(here)?;
        for (name, text) in [
            ("index.txt", &index(known)),
            ("authority.pem", &signer.authority_pem),
            ("signer.pem", &signer.certificate_pem),
            ("signer.key", &signer.key_pem),
        ] {
            std::fs::write(here.join(name), text).map_err(broken)?;
        }
        let mut command = Command::new(program);
        command.current_dir(here).env("LD_PRELOAD", preload).env("SEALFAX_BIND", host.to_string());
        command.args(["ocsp", "-port", "0", "-index", "index.txt", "-CA", "authority.pem", "-ignore_err"]);
        command.args(["-rsigner", "signer.pem", "-rkey", "signer.key", "-nmin", "10"]);
        if processes > 1 {
            command.args(["-multi", &processes.to_string()]);
        }
        let begin = Instant::now();
        let mut process = Process::start(PROGRAM, command, &here.join("log"))?;
        // "ACCEPT 0.0.0.0:40761 PID=123", once it listens.
        let port = process.wait_until(Duration::from_secs(30), |process| {
            let said = process.said();
            let line = said.lines().find(|line| line.starts_with("ACCEPT ") && said.contains('\n'))?;
            line.split_ascii_whitespace().nth(1)?.rsplit(':').next()?.parse::<u16>().ok()
        })?;
        Ok(Self { process, at: SocketAddr::new(host, port), ready_in: begin.elapsed(), folder })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.at
    }

    /// How long it took from its start until it listened, its index read.
    pub fn ready_in(&self) -> Duration {
        self.ready_in
    }

    /// Replaces what it knows. A single process looks whether the file has changed before it waits for somebody, not
    /// after, so somebody comes who asks nothing sensible. (One who connects and says nothing at all would make openssl
    /// 3.0 read its end of file for ever.)
    pub fn know(&self, known: &[Known]) -> Result<(), PeerError> {
        let write = || {
            let beside = self.folder.path().join("index.new");
            std::fs::write(&beside, index(known))?;
            std::fs::rename(beside, self.folder.path().join("index.txt"))?;
            let mut visit = std::net::TcpStream::connect(self.at)?;
            visit.set_read_timeout(Some(Duration::from_secs(5)))?;
            visit.write_all(b"GET /AAAA HTTP/1.0\r\n\r\n")?;
            let mut answer = Vec::new();
            visit.read_to_end(&mut answer).map(drop)
        };
        write().map_err(|error: std::io::Error| PeerError::broken(PROGRAM, error))
    }

    /// The process, to be measured or killed.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// index.txt of ca(1): flag, expiry, revocation, serial, file, name, with tabs between.
fn index(known: &[Known]) -> String {
    let date = |time: SystemTime| {
        let time = OffsetDateTime::from(time);
        time.format(format_description!("[year repr:last_two][month][day][hour][minute][second]Z")).unwrap_or_default()
    };
    let mut text = String::new();
    for (number, one) in known.iter().enumerate() {
        let (flag, revoked) = match one.revoked {
            Some(at) => ('R', format!("{},keyCompromise", date(at))),
            None => ('V', String::new()),
        };
        let serial = one.serial.to_ascii_uppercase();
        let _ = writeln!(text, "{flag}\t{}\t{revoked}\t{serial}\tunknown\t/CN={number}", date(one.not_after));
    }
    text
}

fn bind_loopback(folder: &Path) -> Result<PathBuf, PeerError> {
    let compiler = find("cc", "gcc")?;
    let (source, library) = (folder.join("bind_loopback.c"), folder.join("bind_loopback.so"));
    let broken = |error: std::io::Error| PeerError::broken("cc", error);
    std::fs::write(&source, BIND_LOOPBACK).map_err(broken)?;
    let output = Command::new(compiler)
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output()
        .map_err(broken)?;
    if output.status.success() {
        return Ok(library);
    }
    Err(PeerError::broken("cc", String::from_utf8_lossy(&output.stderr)))
}
