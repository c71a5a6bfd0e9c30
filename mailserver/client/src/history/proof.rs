//! What proves that a record stands in the log, to anybody and without the server: the log's signed checkpoint and the
//! way from the record to its root (RFC 9162, 2.1; C2SP tlog-checkpoint, signed-note and tlog-proof).

use std::fmt;
use std::io::BufRead as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use signed_note::{Note, StandardVerifier, Verifier as _, VerifierList};
use tlog_tiles::tlog;

use super::Digest256;
use super::record::{Leaf, Personal, Record};

/// First line of a proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Hashes in one proof: a log of 2^64 records needs no more.
const MAX_PATH: usize = 64;

/// Why something proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unproven {
    /// Not a verifier key.
    #[error("this is no key of a history: NAME+HEX+BASE64 is needed, as `sealfax-mailserver history key` prints it")]
    Key,
    /// Not a checkpoint, or not this log's.
    #[error("the checkpoint is not signed by this history's key; whoever gave it out is not this history")]
    Signature,
    /// Not of the right form.
    #[error("the {0} cannot be read")]
    Malformed(&'static str),
    /// The record does not stand in the log at that place.
    #[error(
        "the record does not stand in the log of this checkpoint: it was changed, or the proof is another record's"
    )]
    Inclusion,
    /// The later log is no continuation of the earlier one.
    #[error(
        "the history of {later} records does not continue the one of {earlier} that was seen before: it was rewritten, or \
         different people are shown different histories"
    )]
    Inconsistent {
        /// Records of the log seen before.
        earlier: u64,
        /// Records of the log seen now.
        later: u64,
    },
    /// The proof holds for another record.
    #[error("the {0} of the record in the history is not what was registered")]
    Other(&'static str),
    /// The personal part is not the one the record was made with.
    #[error("the personal part is not the one that this record was registered with: it was changed")]
    Personal,
}

/// The public key of a history: `name+hash+key`, as C2SP signed-note writes it.
#[derive(Clone)]
pub struct LogKey {
    text: String,
    verifier: StandardVerifier,
}

impl LogKey {
    /// Reads a verifier key.
    pub fn parse(text: &str) -> Result<Self, Unproven> {
        let text = text.trim();
        let verifier = StandardVerifier::new(text).map_err(|_| Unproven::Key)?;
        Ok(Self { text: text.to_owned(), verifier })
    }

    /// The name of the history, which every checkpoint begins with.
    pub fn origin(&self) -> &str {
        self.verifier.name()
    }

    /// What a signed checkpoint says, if this key signed it.
    pub fn checkpoint(&self, note: &str) -> Result<Checkpoint, Unproven> {
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| Unproven::Malformed("checkpoint"))?;
        let known = VerifierList::new(vec![Box::new(self.verifier.clone())]);
        let (verified, _) = parsed.verify(&known).map_err(|_| Unproven::Signature)?;
        if verified.is_empty() {
            return Err(Unproven::Signature);
        }
        let said = tlog_tiles::Checkpoint::from_bytes(parsed.text()).map_err(|_| Unproven::Malformed("checkpoint"))?;
        if said.origin() != self.origin() {
            return Err(Unproven::Signature);
        }
        Ok(Checkpoint { size: said.size(), root: Digest256(said.hash().0) })
    }
}

impl fmt::Display for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The head of a log: how many records it has, and the root of the tree over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Records.
    pub size: u64,
    /// Root of the Merkle tree (RFC 9162, 2.1.1).
    pub root: Digest256,
}

impl Checkpoint {
    /// Whether a log with this head continues the one with the head `earlier`, by a proof of RFC 9162, 2.1.4.
    pub fn continues(&self, earlier: &Self, path: &[Digest256]) -> Result<(), Unproven> {
        let wrong = Unproven::Inconsistent { earlier: earlier.size, later: self.size };
        if earlier.size == 0 {
            return Ok(());
        }
        if earlier.size > self.size || path.len() > 2 * MAX_PATH {
            return Err(wrong);
        }
        let path = path.iter().map(|digest| tlog::Hash(digest.0)).collect();
        tlog::check_tree(&path, self.size, tlog::Hash(self.root.0), earlier.size, tlog::Hash(earlier.root.0))
            .map_err(|_| wrong)
    }
}

/// Proof that one leaf stands in a log: C2SP tlog-proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The leaf's position.
    pub index: u64,
    /// From the leaf to the root (RFC 9162, 2.1.3).
    pub path: Vec<Digest256>,
    /// The checkpoint, a signed note.
    pub checkpoint: String,
}

impl Proof {
    /// The log's head, if `leaf` stands in it at this place.
    pub fn verify(&self, leaf: &[u8], key: &LogKey) -> Result<Checkpoint, Unproven> {
        let head = key.checkpoint(&self.checkpoint)?;
        let path = self.path.iter().map(|digest| tlog::Hash(digest.0)).collect();
        tlog::check_record(&path, head.size, tlog::Hash(head.root.0), self.index, tlog::record_hash(leaf))
            .map_err(|_| Unproven::Inclusion)?;
        Ok(head)
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, Unproven> {
        const WRONG: Unproven = Unproven::Malformed("proof");
        let (head, checkpoint) = text.split_once("\n\n").ok_or(WRONG)?;
        let mut lines = head.as_bytes().lines().map_while(Result::ok);
        if lines.next().as_deref() != Some(HEADER) {
            return Err(WRONG);
        }
        let mut line = lines.next().ok_or(WRONG)?;
        if line.starts_with("extra ") {
            line = lines.next().ok_or(WRONG)?;
        }
        let digits = line.strip_prefix("index ").ok_or(WRONG)?;
        if digits.starts_with('+') || (digits.starts_with('0') && digits != "0") {
            return Err(WRONG);
        }
        let index = digits.parse().map_err(|_| WRONG)?;
        let mut path = Vec::new();
        for line in lines {
            let octets = STANDARD.decode(line).map_err(|_| WRONG)?;
            path.push(Digest256(octets.try_into().map_err(|_| WRONG)?));
            if path.len() > MAX_PATH {
                return Err(WRONG);
            }
        }
        Ok(Self { index, path, checkpoint: checkpoint.to_owned() })
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\nindex {}", self.index)?;
        for digest in &self.path {
            writeln!(f, "{}", STANDARD.encode(digest.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl Serialize for Proof {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Proof {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// What the history server says to a registration, and what its adapter keeps: everything that is needed to show, without
/// the server, what was registered when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The leaf as it stands in the log, JSON of a [`Leaf`].
    pub leaf: String,
    /// The personal part, JSON of a [`Personal`]; `None` once it was erased.
    pub personal: Option<String>,
    /// That the leaf stands in the log.
    pub proof: Proof,
}

/// What a receipt proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The record's leaf.
    pub leaf: Leaf,
    /// Its personal part.
    pub personal: Option<Personal>,
    /// The head of the log that it stands in.
    pub head: Checkpoint,
}

impl Receipt {
    /// What it proves under the history's `key`.
    pub fn verify(&self, key: &LogKey) -> Result<Proven, Unproven> {
        let head = self.proof.verify(self.leaf.as_bytes(), key)?;
        let leaf: Leaf = serde_json::from_str(&self.leaf).map_err(|_| Unproven::Malformed("leaf"))?;
        if leaf.index != self.proof.index {
            return Err(Unproven::Inclusion);
        }
        let personal = match &self.personal {
            None => None,
            Some(text) if Digest256::of(text.as_bytes()) != leaf.personal => return Err(Unproven::Personal),
            Some(text) => Some(serde_json::from_str(text).map_err(|_| Unproven::Malformed("personal part"))?),
        };
        Ok(Proven { leaf, personal, head })
    }

    /// The same, and whether it is of `record`.
    pub fn verify_for(&self, key: &LogKey, record: &Record) -> Result<Proven, Unproven> {
        let proven = self.verify(key)?;
        let leaf = &proven.leaf;
        let same = [
            ("event", leaf.event == record.event),
            ("time", leaf.at == record.at && leaf.sent == record.sent),
            ("content's digest", leaf.content_digest == record.content_digest),
            ("evidence", leaf.evidence_digest == record.evidence_digest),
            (
                "personal part",
                proven.personal.as_ref().is_none_or(|personal| *personal == Personal::of(record, personal.salt)),
            ),
        ];
        match same.into_iter().find(|(_, same)| !same) {
            None => Ok(proven),
            Some((what, _)) => Err(Unproven::Other(what)),
        }
    }
}
