//! Where steps, security events and failures are written down.
//!
//! A step carries the number that the source document gives it ("ST605"), or the identifier of another requirement
//! ("C11", "M2"), so that a run can say which requirements it exercised. Text may hold peers' words: writers escape
//! control bytes, readers may rely on one record being one line.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::Entropy;

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

tokio::task_local! {
    static TRANSMISSION: TransmissionId;
}

/// What one document's lines in the journal have in common, on its whole way through one adapter: short enough to be read
/// out on the telephone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransmissionId(String);

impl TransmissionId {
    /// A new one: eight hexadecimal digits.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let mut octets = [0u8; 4];
        entropy.fill(&mut octets);
        Self(format!("{:08x}", u32::from_be_bytes(octets)))
    }

    /// A new one that stays one of its kind among very many: sixteen digits.
    pub fn draw_long(entropy: &dyn Entropy) -> Self {
        let mut octets = [0u8; 8];
        entropy.fill(&mut octets);
        Self(format!("{:016x}", u64::from_be_bytes(octets)))
    }

    /// One that was written down; `None` if it cannot have been one.
    pub fn read(text: &str) -> Option<Self> {
        let good =
            (8..=24).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_hexdigit() || octet == b'.');
        good.then(|| Self(text.to_owned()))
    }

    /// What is written down from `work` carries it, if there is one.
    pub async fn follow_if<F: Future>(id: Option<Self>, work: F) -> F::Output {
        match id {
            Some(id) => id.follow(work).await,
            None => work.await,
        }
    }

    /// That of the `number`th document of several that go the same way: `1f0a3c77.2`.
    pub fn part(&self, number: usize) -> Self {
        Self(format!("{}.{number}", self.0))
    }

    /// What is written down from `work` carries it, whoever writes.
    pub async fn follow<F: Future>(self, work: F) -> F::Output {
        TRANSMISSION.scope(self, work).await
    }

    /// The same for work that does not wait.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        TRANSMISSION.sync_scope(self, work)
    }

    /// The one that is followed here.
    pub fn current() -> Option<Self> {
        TRANSMISSION.try_with(Self::clone).ok()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TransmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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
    /// The document that this is about, if it is about one.
    pub transmission: Option<TransmissionId>,
}

impl Record {
    /// A record with its text made safe for one line: control characters become `\xNN`. It is about the transmission
    /// that is [followed](TransmissionId::follow) where it is made.
    pub fn new(host: &str, kind: RecordKind, ids: &[&'static str], text: &str) -> Self {
        let transmission = TransmissionId::current();
        Self { host: host.to_owned(), kind, ids: ids.to_vec(), text: escape(text), transmission }
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

    /// Whether a server that answers thousands a second may write sums instead of a line for each answer. A journal
    /// from which requirements are counted wants every one.
    fn takes_sums(&self) -> bool {
        false
    }
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
        let transmission = record.transmission.as_ref().map(TransmissionId::as_str);
        let Record { host, text, .. } = record;
        match record.kind {
            RecordKind::Security => {
                tracing::warn!(host, code = ids, security = true, transmission, "{text}");
            }
            RecordKind::Failure => tracing::error!(host, code = ids, transmission, "{text}"),
            RecordKind::Step => tracing::info!(host, step = ids, transmission, "{text}"),
            RecordKind::Note => tracing::info!(host, transmission, "{text}"),
        }
    }

    fn takes_sums(&self) -> bool {
        true
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

    #[tokio::test]
    async fn what_is_written_on_the_way_carries_the_transmission() {
        struct Zero;
        impl Entropy for Zero {
            fn fill(&self, octets: &mut [u8]) {
                octets.fill(0xa7);
            }
        }
        let about = || Record::new("a", RecordKind::Note, &[], "x").transmission.map(|id| id.to_string());
        let id = TransmissionId::draw(&Zero);
        assert_eq!(about(), None);
        assert_eq!(id.clone().follow(async { about() }).await.as_deref(), Some("a7a7a7a7"));
        assert_eq!(id.part(2).during(about).as_deref(), Some("a7a7a7a7.2"));
        assert_eq!(about(), None);
        let long = TransmissionId::draw_long(&Zero);
        assert_eq!(TransmissionId::read(long.as_str()), Some(long));
        assert_eq!(TransmissionId::read("a7a7\nforged"), None);
        assert_eq!(serde_json::to_string(&id).ok().as_deref(), Some("\"a7a7a7a7\""));
    }
}
