//! The key that signs a history's checkpoints (C2SP signed-note, Ed25519). Whoever has it can write another history, so it
//! lies in a file of its own that only the server reads; the public one beside it is for everybody.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sealfax_client::history::{Digest256, LogKey};
use sealfax_client::seam::Entropy;
use signed_note::{Note, Signer, StandardSigner, key_id};
use zeroize::Zeroizing;

use super::HistoryError;

/// The private key, in the data folder unless the configuration says otherwise.
pub(super) const PRIVATE: &str = "log.key";
/// The public key, beside it.
pub(super) const PUBLIC: &str = "log.pub";

/// Ed25519 of C2SP signed-note.
const ED25519: u8 = 1;

/// Signs checkpoints.
#[derive(Clone)]
pub struct LogSigner {
    signer: StandardSigner,
    key: LogKey,
}

impl std::fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogSigner").field("key", &self.key).finish_non_exhaustive()
    }
}

impl LogSigner {
    /// Reads the key of the history in `folder`, or makes one for the name `origin` if there is none.
    pub fn open(folder: &Path, origin: &str, entropy: &dyn Entropy) -> Result<Self, HistoryError> {
        let path = folder.join(PRIVATE);
        let mut text = Zeroizing::new(String::new());
        match OpenOptions::new().read(true).open(&path) {
            Ok(mut file) => {
                file.read_to_string(&mut text).map_err(HistoryError::disk(&path))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                text = private_text(origin, entropy, &path)?;
                write_new(&path, text.as_bytes(), 0o600)?;
            }
            Err(error) => return Err(HistoryError::disk(&path)(error)),
        }
        let signer = Self::parse(text.trim(), &path)?;
        if signer.key.origin() != origin {
            let why = format!(
                "it is of the history {:?}, not of {origin:?}; a history keeps its name for ever, so put it back in the \
                 configuration",
                signer.key.origin()
            );
            return Err(HistoryError::Key { path, why });
        }
        let public = folder.join(PUBLIC);
        if !public.exists() {
            write_new(&public, format!("{}\n", signer.key).as_bytes(), 0o644)?;
        }
        Ok(signer)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, HistoryError> {
        let wrong = |why: &str| HistoryError::Key { path: path.to_owned(), why: why.to_owned() };
        let signer = StandardSigner::new(text).map_err(|error| wrong(&error.to_string()))?;
        // PRIVATE, KEY, the name, its hash; and what follows may have plus signs of its own.
        let octets = text.splitn(5, '+').nth(4).and_then(|key| STANDARD.decode(key).ok()).map(Zeroizing::new);
        let seed = octets.as_deref().and_then(|octets| octets.get(1..)).ok_or_else(|| wrong("it is cut short"))?;
        let public = public_octets(seed).ok_or_else(|| wrong("it is no Ed25519 key"))?;
        let id = key_id(signer.name(), &public);
        let key = LogKey::parse(&format!("{}+{id:08x}+{}", signer.name(), STANDARD.encode(&public)))
            .map_err(|error| wrong(&error.to_string()))?;
        Ok(Self { signer, key })
    }

    /// The public key.
    pub fn key(&self) -> &LogKey {
        &self.key
    }

    /// The signed checkpoint of a log of `size` records with this root.
    pub fn checkpoint(&self, size: u64, root: Digest256) -> Result<String, HistoryError> {
        self.note(&format!("{}\n{size}\n{}\n", self.key.origin(), STANDARD.encode(root.0)))
    }

    /// `text`, signed.
    pub fn note(&self, text: &str) -> Result<String, HistoryError> {
        let failed = || HistoryError::Key { path: PathBuf::from(PRIVATE), why: "it does not sign".to_owned() };
        let mut note = Note::new(text.as_bytes(), &[]).map_err(|_| failed())?;
        note.add_sigs(&[&self.signer]).map_err(|_| failed())?;
        String::from_utf8(note.to_bytes()).map_err(|_| failed())
    }
}

fn public_octets(seed: &[u8]) -> Option<Vec<u8>> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
    let mut octets = vec![ED25519];
    octets.extend_from_slice(pair.public_key().as_ref());
    Some(octets)
}

fn private_text(origin: &str, entropy: &dyn Entropy, path: &Path) -> Result<Zeroizing<String>, HistoryError> {
    if !signed_note::is_key_name_valid(origin) {
        let why = format!("{origin:?} is no name for a history: no spaces and no plus signs, please");
        return Err(HistoryError::Key { path: path.to_owned(), why });
    }
    let mut octets = Zeroizing::new(vec![ED25519; 33]);
    if let Some(seed) = octets.get_mut(1..) {
        entropy.fill(seed);
    }
    let public = octets.get(1..).and_then(public_octets).unwrap_or_default();
    let key = Zeroizing::new(STANDARD.encode(octets.as_slice()));
    Ok(Zeroizing::new(format!("PRIVATE+KEY+{origin}+{:08x}+{}\n", key_id(origin, &public), key.as_str())))
}

/// Writes a file that was not there; it and its name are on the disk then.
fn write_new(path: &Path, octets: &[u8], mode: u32) -> Result<(), HistoryError> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(octets)?;
        file.sync_all()?;
        if let Some(folder) = path.parent() {
            std::fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(HistoryError::disk(path))
}
