//! Certificates as people and programs read them, and what people hand in: requests, keys, passphrases.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use der::pem::LineEnding;
use sealfax_client::history::time_text;
use serde_json::{Value, json};

use crate::authority::index::{Issued, Standing};
use crate::authority::keys::{Passphrase, PassphraseSource, file};
use crate::authority::{AuthorityError, MAX_REQUEST, crl};

pub(super) fn line(issued: &Issued) -> String {
    let state = match issued.standing {
        Standing::Good => "good",
        Standing::Revoked { .. } => "revoked",
    };
    format!(
        "{}  {:7}  {:7}  until {}  {} <{}>",
        issued.serial,
        issued.purpose.as_str(),
        state,
        time_text(issued.not_after),
        issued.name,
        issued.address
    )
}

pub(super) fn row(issued: &Issued) -> Value {
    let revoked = match issued.standing {
        Standing::Good => None,
        Standing::Revoked { at, reason } => Some(json!({
            "at": time_text(at),
            "reason": crl::reason_name(reason),
        })),
    };
    json!({
        "serial": issued.serial,
        "name": issued.name,
        "address": issued.address,
        "use": issued.purpose.as_str(),
        "not_before": time_text(issued.not_before),
        "not_after": time_text(issued.not_after),
        "revoked": revoked,
    })
}

pub(super) fn days_of(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}

pub(super) fn certificate_pem(der: &[u8]) -> Result<String, AuthorityError> {
    der::pem::encode_string("CERTIFICATE", LineEnding::LF, der).map_err(|error| AuthorityError::Build(Box::new(error)))
}

pub(super) fn absolute(path: Option<PathBuf>) -> Result<Option<PathBuf>, AuthorityError> {
    path.map(|path| std::path::absolute(&path).map_err(|source| AuthorityError::Disk { path, source })).transpose()
}

/// A passphrase for new key files: from a file or credential, or typed twice.
pub(super) fn new_passphrase(path: Option<PathBuf>, data: &Path) -> Result<Passphrase, AuthorityError> {
    let ask = std::io::stderr().is_terminal();
    let source = PassphraseSource::new(path.clone(), ask);
    let what = "the new key files";
    let first = source.fetch(what)?.ok_or_else(|| AuthorityError::PassphraseNeeded(data.join("*.key.pem")))?;
    if source.was_typed() {
        let again = PassphraseSource::new(None, true).fetch("the same again")?;
        if again.is_none_or(|again| !again.same_as(&first)) {
            return Err(AuthorityError::BadRequest("the two passphrases differ"));
        }
    }
    first.check_new()?;
    Ok(first)
}

pub(super) fn read_request(path: Option<&Path>) -> Result<Vec<u8>, AuthorityError> {
    let most = MAX_REQUEST as u64 + 1;
    let mut octets = Vec::new();
    let (outcome, path) = match path {
        Some(path) if path != Path::new("-") => {
            (std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut octets)), path.to_owned())
        }
        _ => (std::io::stdin().take(most).read_to_end(&mut octets), PathBuf::from("standard input")),
    };
    outcome.map_err(|source| AuthorityError::Disk { path, source })?;
    Ok(octets)
}

pub(super) fn read_public_key(path: &Path) -> Result<Vec<u8>, AuthorityError> {
    let pem = file::read_octets(path)?;
    match der::pem::decode_vec(&pem) {
        Ok(("PUBLIC KEY", der)) => Ok(der),
        _ => Err(AuthorityError::Unreadable { path: path.to_owned(), what: "public key in PEM" }),
    }
}
