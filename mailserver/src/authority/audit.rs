//! The authority's audit log: every act, by whom, when and on what, each line with the SHA-256 of the one before it.
//!
//! The line is on the disk before the act is: what was done without a line cannot be. Whoever changes, drops or
//! reorders a line breaks the chain there; who also recomputes every later line is found by the head, which should be
//! noted elsewhere from time to time (`ca audit --verify` shows it).

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sealfax_client::history::{parse_time, time_text};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::AuthorityError;
use super::ca::hex;
use super::lock::{PATIENCE, lock};

/// Octets of one line.
const MAX_LINE: u64 = 64 * 1024;
/// What stands as "previous" in the first line.
const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Counted from 0.
    pub index: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Which user of the operating system.
    pub who: String,
    /// What was done: `create`, `issue`, `revoke`, ...
    pub act: String,
    /// To what.
    pub what: serde_json::Value,
    /// How many lines the certificate index had before: who puts an older one in its place is found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_lines: Option<u64>,
    /// SHA-256 of the line before, hexadecimal.
    pub previous: String,
}

/// What a whole log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSummary {
    /// How many lines.
    pub entries: u64,
    /// SHA-256 of the last one, hexadecimal: who knows it can tell a log that was rolled back.
    pub head: String,
}

/// The log's file.
#[derive(Debug, Clone)]
pub(super) struct Audit {
    path: PathBuf,
}

impl Audit {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Writes an act down, with the lines that the index has, if that is known; when this returns it is on the disk.
    pub(super) fn record(
        &self,
        act: &str,
        what: serde_json::Value,
        index_lines: Option<u64>,
        now: SystemTime,
    ) -> Result<(), AuthorityError> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path);
        let mut file = file.map_err(|source| self.disk(source))?;
        lock(&file, &self.path, PATIENCE)?;
        let last = self.last_line(&mut file)?;
        let (index, previous) = match &last {
            None => (0, START.to_owned()),
            Some(line) => {
                let entry: AuditEntry =
                    serde_json::from_str(line).map_err(|_| self.broken("audit log, by its last line"))?;
                (entry.index + 1, hex(&Sha256::digest(line)))
            }
        };
        let entry =
            AuditEntry { index, at: time_text(now), who: who(), act: act.to_owned(), what, index_lines, previous };
        let mut line = serde_json::to_string(&entry).map_err(|error| AuthorityError::Build(Box::new(error)))?;
        line.push('\n');
        let attempt = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
        attempt.map_err(|source| self.disk(source))
    }

    /// Checks every link, and shows each entry to `show`.
    pub(super) fn walk(&self, mut show: impl FnMut(&AuditEntry)) -> Result<AuditSummary, AuthorityError> {
        let file = File::open(&self.path).map_err(|source| self.disk(source))?;
        let mut reader = BufReader::new(file);
        let mut summary = AuditSummary { entries: 0, head: START.to_owned() };
        loop {
            let mut octets = Vec::new();
            (&mut reader).take(MAX_LINE + 1).read_until(b'\n', &mut octets).map_err(|source| self.disk(source))?;
            let tampered = |why| AuthorityError::AuditTampered { entry: summary.entries, why };
            if octets.last() != Some(&b'\n') {
                // No line of ours is that long, and what stands behind it has to be looked at too.
                if octets.len() as u64 > MAX_LINE {
                    return Err(tampered("it is longer than 65536 octets"));
                }
                // The end, or a line that a power cut left unfinished.
                return Ok(summary);
            }
            octets.pop();
            let entry: AuditEntry = serde_json::from_slice(&octets).map_err(|_| tampered("it cannot be read"))?;
            if entry.index != summary.entries {
                return Err(tampered("entries are missing or out of order"));
            }
            if entry.previous != summary.head {
                return Err(tampered("the entry before it was changed"));
            }
            parse_time(&entry.at).ok_or_else(|| tampered("its time cannot be read"))?;
            show(&entry);
            summary = AuditSummary { entries: summary.entries + 1, head: hex(&Sha256::digest(&octets)) };
        }
    }

    /// The last act that says how many lines the index had, and how many. Nothing if this user may not read the log, or
    /// it says nothing of it.
    pub(super) fn last_index(&self) -> Option<(u64, u64)> {
        let mut file = File::open(&self.path).ok()?;
        let (_, octets) = tail(&mut file).ok()?;
        octets.split(|octet| *octet == b'\n').rev().find_map(|line| {
            let entry: AuditEntry = serde_json::from_slice(line).ok()?;
            Some((entry.index, entry.index_lines?))
        })
    }

    /// The last complete line; what stands behind it is cut away.
    fn last_line(&self, file: &mut File) -> Result<Option<String>, AuthorityError> {
        let disk = |source| self.disk(source);
        let (from, mut octets) = tail(file).map_err(disk)?;
        let length = from + octets.len() as u64;
        let Some(end) = octets.iter().rposition(|octet| *octet == b'\n') else {
            if from > 0 {
                return Err(self.broken("audit log in lines"));
            }
            file.set_len(0).map_err(disk)?;
            return Ok(None);
        };
        if from + end as u64 + 1 != length {
            file.set_len(from + end as u64 + 1).map_err(disk)?;
        }
        octets.truncate(end);
        let start = octets.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        let line = String::from_utf8(octets.split_off(start)).map_err(|_| self.broken("audit log in UTF-8"))?;
        Ok(Some(line))
    }

    fn broken(&self, what: &'static str) -> AuthorityError {
        AuthorityError::Unreadable { path: self.path.clone(), what }
    }

    fn disk(&self, source: io::Error) -> AuthorityError {
        AuthorityError::Disk { path: self.path.clone(), source }
    }
}

/// The end of a file, in which its last line must be, and where that begins.
fn tail(file: &mut File) -> io::Result<(u64, Vec<u8>)> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(2 * MAX_LINE);
    file.seek(SeekFrom::Start(from))?;
    let mut octets = Vec::new();
    file.take(2 * MAX_LINE).read_to_end(&mut octets)?;
    Ok((from, octets))
}

/// The user that this process runs as, by number and, if it is known, by name.
fn who() -> String {
    // Not the owner of /proc/self: a process that leaves no core dump is shown as root's there.
    let uid = rustix::process::getuid().as_raw();
    let name = std::fs::read_to_string("/etc/passwd").ok().and_then(|users| {
        users.lines().find_map(|user| {
            let mut fields = user.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        })
    });
    let mut who = match name {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    };
    // Only a claim: it is the caller's environment. It helps to tell administrators apart who share root.
    if let Ok(user) = std::env::var("SUDO_USER") {
        let user: String = user.chars().filter(|character| !character.is_control()).take(32).collect();
        who.push_str(&format!(", through sudo by {user}"));
    }
    who
}

/// Where the log of the authority in `dir` is.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("audit.jsonl")
}
