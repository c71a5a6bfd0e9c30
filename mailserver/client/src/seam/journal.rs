//! Where steps, security events and failures are written down.
//!
//! A step carries the number that the source document gives it ("ST605"), or the identifier of another requirement
//! ("C11", "M2"), so that a run can say which requirements it exercised. Text may hold peers' words: writers escape
//! control bytes, readers may rely on one record being one line.

use std::fmt::Write as _;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordKind {
    /// A numbered step or requirement of the source document was carried out.
    Step,
    /// Something an administrator should look at: forged, refused, out of bounds.
    Security,
    /// Something failed that should have worked; the text says what to do.
    Failure,
    /// Anything else worth a line.
    Note,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which part of the system writes: "adapter-a", "mail-b", "history".
    pub host: String,
    /// What kind of thing happened.
    pub kind: RecordKind,
    /// Requirement identifiers this exercised ("ST605", "C7"), or a stable event code ("SMTP-004") for other kinds.
    pub ids: Vec<&'static str>,
    /// One line for a person, control bytes escaped.
    pub text: String,
}

impl Record {
    /// A record with its text made safe for one line: control characters become `\xNN`.
    pub fn new(host: &str, kind: RecordKind, ids: &[&'static str], text: &str) -> Self {
        Self { host: host.to_owned(), kind, ids: ids.to_vec(), text: escape(text) }
    }
}

/// Control characters become `\xNN` (or `\u{NNNN}`), so that a peer cannot write lines of our log.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}') {
            if (character as u32) < 0x100 {
                let _ = write!(safe, "\\x{:02x}", character as u32);
            } else {
                let _ = write!(safe, "\\u{{{:x}}}", character as u32);
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Receives what happens, in order.
pub trait Journal: Send + Sync {
    /// Writes one record down. Must not block for long.
    fn record(&self, record: Record);
}

impl dyn Journal {
    /// A step of the source document was carried out by `host`.
    pub fn step(&self, host: &str, ids: &[&'static str], text: impl AsRef<str>) {
        self.record(Record::new(host, RecordKind::Step, ids, text.as_ref()));
    }

    /// Something an administrator should look at, with its stable code.
    pub fn security(&self, host: &str, code: &'static str, text: impl AsRef<str>) {
        self.record(Record::new(host, RecordKind::Security, &[code], text.as_ref()));
    }

    /// Something failed that should have worked, with its stable code.
    pub fn failure(&self, host: &str, code: &'static str, text: impl AsRef<str>) {
        self.record(Record::new(host, RecordKind::Failure, &[code], text.as_ref()));
    }

    /// Anything else worth a line.
    pub fn note(&self, host: &str, text: impl AsRef<str>) {
        self.record(Record::new(host, RecordKind::Note, &[], text.as_ref()));
    }
}

/// Hands every record to `tracing`: the journal of a daemon.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingJournal;

impl Journal for TracingJournal {
    fn record(&self, record: Record) {
        let ids = record.ids.join(",");
        match record.kind {
            RecordKind::Security => tracing::warn!(host = record.host, code = ids, security = true, "{}", record.text),
            RecordKind::Failure => {
                tracing::error!(host = record.host, code = ids, "{}", record.text)
            }
            RecordKind::Step => tracing::info!(host = record.host, step = ids, "{}", record.text),
            RecordKind::Note => tracing::info!(host = record.host, "{}", record.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_write_lines_of_our_log() {
        let record = Record::new("mail-a", RecordKind::Note, &[], "HELO x\r\nERROR forged\u{2028}\u{1b}[31m名前");
        assert_eq!(record.text, "HELO x\\x0d\\x0aERROR forged\\u{2028}\\x1b[31m名前");
    }
}
