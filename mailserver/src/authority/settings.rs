//! `authority.toml` in the authority's folder: where its keys are, and what its certificates say of themselves. The
//! command line and the server read the same file. It names a library to load, so nobody else may write it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::AuthorityError;
use super::ca::NewPassphrase;
use super::keys::{KeyPlace, file};

const FILE: &str = "authority.toml";
const HEADING: &str = "# Settings of this certificate authority; see `sealfax-mailserver ca create --help`.\n";

/// Settings of an authority. All have defaults; the file need not be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The issuing authority's key: a file beside this one, or a `pkcs11:` URI (RFC 7512).
    pub issuing_key: String,
    /// The OCSP signer's key, likewise.
    pub ocsp_key: String,
    /// File that holds the passphrase of the key files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_passphrase_file: Option<PathBuf>,
    /// File that holds the OCSP key's passphrase, where it has one of its own: then a server that only answers need
    /// not be able to open the issuing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocsp_key_passphrase_file: Option<PathBuf>,
    /// Where validity can be asked; stands in new certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocsp_url: Option<String>,
    /// Where the revocation list is; stands in new certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl_url: Option<String>,
    /// Days until a revocation list is out of date.
    pub crl_days: u32,
    /// Days until an OCSP signer's certificate ends. It cannot be revoked: the fewer, the sooner a stolen key is of no
    /// use. A third of them before that, at most 30 days, it is renewed by whoever works with the issuing key.
    pub ocsp_signer_days: u32,
    /// Let the running server open the issuing key too, and renew the OCSP signer and the revocation list itself.
    pub renew_online: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuing_key: "issuing.key.pem".to_owned(),
            ocsp_key: "ocsp.key.pem".to_owned(),
            key_passphrase_file: None,
            ocsp_key_passphrase_file: None,
            ocsp_url: None,
            crl_url: None,
            crl_days: 14,
            ocsp_signer_days: 90,
            renew_online: false,
        }
    }
}

impl Settings {
    /// Reads the settings in the folder `dir`.
    pub fn load(dir: &Path) -> Result<Self, AuthorityError> {
        let path = dir.join(FILE);
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(AuthorityError::Disk { path, source }),
        };
        if metadata.mode() & 0o022 != 0 {
            return Err(AuthorityError::Writable(path));
        }
        let text = file::read_octets(&path)?;
        let text = String::from_utf8_lossy(&text);
        let settings: Self = toml::from_str(&text)
            .map_err(|source| AuthorityError::Settings { path: path.clone(), source: Box::new(source) })?;
        settings.places(dir)?;
        Ok(settings)
    }

    /// Writes them into the folder `dir`.
    pub(super) fn save(&self, dir: &Path) -> Result<(), AuthorityError> {
        self.prepare(dir)?.put()
    }

    /// Makes ready to write them into the folder `dir`. What a person wrote there stays as it is, but for the lines that
    /// say something else now.
    pub(super) fn prepare(&self, dir: &Path) -> Result<file::Prepared, AuthorityError> {
        let path = dir.join(FILE);
        let whole = toml::to_string(self).map_err(|error| AuthorityError::Build(Box::new(error)))?;
        let before = if path.exists() { file::read_octets(&path)? } else { Vec::new() };
        let text = edited(&String::from_utf8_lossy(&before), &whole)
            .filter(|text| toml::from_str(text).is_ok_and(|again: Self| again == *self))
            .unwrap_or_else(|| format!("{HEADING}{whole}"));
        file::Prepared::beside(&path, text.as_bytes(), 0o644)
    }

    /// Where the issuing and the OCSP key are.
    pub(super) fn places(&self, dir: &Path) -> Result<(KeyPlace, KeyPlace), AuthorityError> {
        let place = |text: &str| {
            KeyPlace::parse(text, dir)
                .map_err(|source| AuthorityError::Settings { path: dir.join(FILE), source: Box::new(source) })
        };
        Ok((place(&self.issuing_key)?, place(&self.ocsp_key)?))
    }

    /// The file that holds the OCSP key's passphrase.
    pub(super) fn ocsp_passphrase_file(&self) -> Option<PathBuf> {
        self.ocsp_key_passphrase_file.clone().or_else(|| self.key_passphrase_file.clone())
    }

    /// Whether the OCSP key has a passphrase of its own.
    pub(super) fn names_two(&self) -> bool {
        self.ocsp_key_passphrase_file.is_some() && self.ocsp_key_passphrase_file != self.key_passphrase_file
    }

    /// The same with the files of new passphrases: of the issuing key, of the OCSP key, where they have changed. Where
    /// no file was named none is named now.
    pub(super) fn with_passphrases(
        &self,
        issuing: Option<&NewPassphrase>,
        ocsp: Option<&NewPassphrase>,
    ) -> Result<Self, AuthorityError> {
        let renamed = |named: Option<PathBuf>, new: Option<&NewPassphrase>| match (named, new) {
            (Some(_), Some(NewPassphrase { file: None, .. })) => Err(AuthorityError::Passphrases(
                "authority.toml names a file with the old passphrase; give the new one in a file too, with \
                 --new-key-passphrase-file",
            )),
            (Some(_), Some(NewPassphrase { file: Some(file), .. })) => {
                let absolute = std::path::absolute(file);
                absolute.map(Some).map_err(|source| AuthorityError::Disk { path: file.clone(), source })
            }
            (named, _) => Ok(named),
        };
        let key_passphrase_file = renamed(self.key_passphrase_file.clone(), issuing)?;
        let own = renamed(self.ocsp_passphrase_file(), ocsp)?;
        let ocsp_key_passphrase_file = if own == key_passphrase_file { None } else { own };
        Ok(Self { key_passphrase_file, ocsp_key_passphrase_file, ..self.clone() })
    }
}

/// `before` with the values of `whole`. Nothing if there is nothing to edit.
fn edited(before: &str, whole: &str) -> Option<String> {
    let old: toml::Table = before.parse().ok().filter(|table: &toml::Table| !table.is_empty())?;
    let new: toml::Table = whole.parse().ok()?;
    let mut text = String::new();
    let mut add = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    let said = |name: &str| whole.lines().find(|line| line.split_once(" = ").is_some_and(|(key, _)| key == name));
    for line in before.lines() {
        let name = line.split_once('=').map_or("", |(name, _)| name.trim());
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old != new => add(said(name)?),
            (Some(_), None) => {}
            _ => add(line),
        }
    }
    for name in new.keys().filter(|name| !old.contains_key(*name)) {
        add(said(name)?);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_a_person_wrote_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join(FILE);
        let by_hand = "# Ours.\n\ncrl_days = 7 # a week\nkey_passphrase_file = \"/etc/old\"\n";
        std::fs::write(&path, by_hand).unwrap();
        let settings = Settings::load(folder.path()).unwrap();
        let changed = Settings {
            key_passphrase_file: Some("/etc/new \"one\"".into()),
            ocsp_key_passphrase_file: Some("/etc/old".into()),
            ..settings
        };
        changed.save(folder.path()).unwrap();
        assert_eq!(Settings::load(folder.path()).unwrap(), changed);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# Ours.\n\ncrl_days = 7 # a week\n"), "{text}");
        // What cannot be edited line by line is written anew.
        std::fs::write(&path, "\"crl_days\" = 7\n").unwrap();
        changed.save(folder.path()).unwrap();
        assert_eq!(Settings::load(folder.path()).unwrap(), changed);
    }
}
