//! The certificate authority: a root, an issuing authority, a delegated OCSP signer, and the certificates of people,
//! servers and adapters (RFC 5280, RFC 8550; A7: keys live on cards, certificates here).

mod issue;
mod keeping;
mod opening;
mod protecting;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use der::{Decode, Encode, EncodePem};
use pkcs8::LineEnding;
use sealfax_client::lookup::Use;
use sealfax_client::seam::{Clock, Entropy, Seams};
use serde_json::json;
use spki::{EncodePublicKey, SubjectPublicKeyInfoOwned};
use x509_cert::Certificate;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::serial_number::SerialNumber;

use super::AuthorityError;
use super::audit::{self, Audit, AuditEntry, AuditSummary};
use super::crl::{self, RevocationList};
use super::index::{Index, Issued, Serial, Store};
use super::keys::{AuthorityKey, KeyPlace, Passphrase, PassphraseSource, file as files};
use super::ocsp::OcspSigner;
use super::profile::{Kind, Plan, Pointers, build, name};
use super::settings::Settings;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Adapters' clocks may be slow by this much and still take a fresh certificate.
const BACKDATE: Duration = Duration::from_secs(5 * 60);

const ROOT: &str = "root";
const ISSUING: &str = "issuing";
const OCSP: &str = "ocsp";
const INDEX: &str = "index.jsonl";

pub use issue::{CardRequest, EndpointRequest, PersonRequest, Signed};
pub(super) use keeping::{due, renewal};
pub use opening::Access;
pub use protecting::{NewPassphrase, Protect};

/// How to found an authority.
#[derive(Debug, Clone)]
pub struct AuthorityOptions {
    /// Organization in every distinguished name.
    pub organization: String,
    /// How long the root and issuing certificates are valid.
    pub life: Duration,
    /// Where its keys are to be, and what its certificates say; written beside them.
    pub settings: Settings,
    /// Encrypts the key files. Without one they are in clear, as suits demonstrations alone.
    pub passphrase: Option<Passphrase>,
    /// Encrypts the OCSP key, where it is to be another one.
    pub ocsp_passphrase: Option<Passphrase>,
}

impl Default for AuthorityOptions {
    fn default() -> Self {
        Self {
            organization: "Sealfax".to_owned(),
            life: 3650 * DAY,
            settings: Settings::default(),
            passphrase: None,
            ocsp_passphrase: None,
        }
    }
}

/// A certificate authority in a folder.
pub struct Authority {
    dir: PathBuf,
    settings: Settings,
    root: Certificate,
    pub(super) issuing: Certificate,
    anchor: Bytes,
    issuing_der: Bytes,
    issuing_key: Option<Box<dyn AuthorityKey>>,
    ocsp_key: Option<Arc<dyn AuthorityKey>>,
    signer: RwLock<Option<Arc<OcspSigner>>>,
    /// Held while the signer is read anew or renewed.
    renewing: Mutex<()>,
    store: Store,
    audit: Audit,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    organization: String,
    unprotected: Vec<&'static str>,
    warnings: Vec<String>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Authority {
    /// Founds an authority in the folder `dir`, which must not hold one yet.
    pub fn create(dir: &Path, options: &AuthorityOptions, seams: &Seams) -> Result<Self, AuthorityError> {
        make_folder(dir).map_err(|source| AuthorityError::Disk { path: dir.to_owned(), source })?;
        if file(dir, ROOT, "pem").exists() {
            return Err(AuthorityError::Exists(dir.to_owned()));
        }
        let organization = &options.organization;
        if organization.is_empty() || organization.len() > 64 {
            return Err(AuthorityError::BadRequest("the organization must have 1 to 64 octets"));
        }
        let passphrase = options.passphrase.as_ref();
        let ocsp_passphrase = options.ocsp_passphrase.as_ref().or(passphrase);
        for passphrase in passphrase.iter().chain(&ocsp_passphrase) {
            passphrase.check_new()?;
        }
        if options.ocsp_passphrase.as_ref().zip(passphrase).is_some_and(|(ocsp, other)| ocsp.same_as(other)) {
            return Err(AuthorityError::Passphrases("the OCSP key's own passphrase is that of the other keys"));
        }
        let now = seams.clock.now();
        let entropy = &seams.entropy;
        let (issuing_place, ocsp_place) = options.settings.places(dir)?;
        let root_key = KeyPlace::File(file(dir, ROOT, "key.pem")).create(passphrase, entropy)?;
        let issuing_key = issuing_place.create(passphrase, entropy)?;
        ocsp_place.create(ocsp_passphrase, entropy)?;
        let authority = |kind, title: &str, key: &dyn AuthorityKey| {
            Ok::<_, AuthorityError>(Plan {
                kind,
                pointers: Pointers::default(),
                serial: serial(entropy.as_ref())?,
                subject: name(organization, &format!("{organization} {title}"))?,
                key: public(key)?,
                not_before: now - BACKDATE,
                not_after: now + options.life,
            })
        };
        let root = build(authority(Kind::Root, "Root CA", root_key.as_ref())?, None, root_key.as_ref())?;
        let issuing =
            build(authority(Kind::Issuing, "Issuing CA", issuing_key.as_ref())?, Some(&root), root_key.as_ref())?;
        options.settings.save(dir)?;
        Audit::new(audit::path(dir)).record("create", json!({ "organization": organization }), None, now)?;
        Store::found(&dir.join(INDEX), issuing_key.as_ref())?;
        // The root's own list says that the issuing authority is not revoked; it lasts as long as the root, whose key
        // lies in a safe.
        crl::publish(&dir.join(crl::ROOT_FILE), &root, root_key.as_ref(), Vec::new(), now, now + options.life)?;
        files::save_certificate(&file(dir, ISSUING, "pem"), &issuing)?;
        // The root comes last: who finds it finds everything.
        files::save_certificate(&file(dir, ROOT, "pem"), &root)?;
        let source = |given: Option<&Passphrase>| {
            given.map_or_else(PassphraseSource::default, |given| PassphraseSource::given(given.clone()))
        };
        let access = Access::Full { passphrase: source(passphrase), ocsp_passphrase: source(ocsp_passphrase) };
        let founded = Self::open_with(dir, access, seams)?;
        founded.ocsp_signer()?;
        founded.publish_list()?;
        Ok(founded)
    }

    /// Revokes the certificate with this `serial` (hexadecimal) as of `at`; durable when this returns. The revocation
    /// list is published anew, also if it was revoked before: that may have been cut off before its list was made.
    pub fn revoke(&self, serial: &str, reason: CrlReason, at: SystemTime) -> Result<(), AuthorityError> {
        if matches!(reason, CrlReason::CertificateHold | CrlReason::RemoveFromCRL) {
            return Err(AuthorityError::Hold);
        }
        let known = parse_serial(serial)?;
        let outcome = self.store.revoke(self.issuing_key()?, &known, reason, at, |index| {
            let what = json!({ "serial": known.hex(), "reason": crl::reason_name(reason) });
            self.audit.record("revoke", what, Some(index.lines()), self.clock.now())
        });
        if let Ok(()) | Err(AuthorityError::AlreadyRevoked(_)) = outcome {
            self.publish_list()
                .map_err(|source| AuthorityError::ListUnpublished { serial: known.hex(), source: Box::new(source) })?;
        }
        outcome
    }

    /// Revokes this `certificate` (DER).
    pub fn revoke_certificate(
        &self,
        certificate: &[u8],
        reason: CrlReason,
        at: SystemTime,
    ) -> Result<(), AuthorityError> {
        let certificate = Certificate::from_der(certificate)
            .map_err(|_| AuthorityError::BadRequest("the certificate cannot be read"))?;
        self.revoke(&hex(certificate.tbs_certificate().serial_number().as_bytes()), reason, at)
    }

    /// Makes a new revocation list of the issuing authority (RFC 5280 5) and puts it where the server finds it.
    pub fn publish_list(&self) -> Result<RevocationList, AuthorityError> {
        let now = self.clock.now();
        let until = now + self.settings.crl_days.max(1) * DAY;
        let key = self.issuing_key()?;
        // The number of a list must be one more than the last one's, whoever else publishes.
        self.store.locked(|| {
            let revoked = crl::revoked(self.read()?.all(), now)?;
            crl::publish(&self.dir.join(crl::ISSUING_FILE), &self.issuing, key, revoked, now, until)
        })
    }

    /// Notes an act in the audit log.
    pub(super) fn note(&self, act: &str, what: serde_json::Value) -> Result<(), AuthorityError> {
        self.audit.record(act, what, Some(self.read()?.lines()), self.clock.now())
    }

    /// Checks every link of the audit log, and shows each entry, oldest first, to `show`.
    pub fn audit(&self, show: impl FnMut(&AuditEntry)) -> Result<AuditSummary, AuthorityError> {
        self.audit.walk(show)
    }

    /// Every certificate issued, oldest first.
    pub fn list(&self) -> Result<Vec<Issued>, AuthorityError> {
        Ok(self.read()?.all().iter().map(|entry| entry.view()).collect())
    }

    /// Every certificate issued to `address`, whether it counts or not, newest first.
    pub fn all_by_address(&self, address: &str) -> Result<Vec<Issued>, AuthorityError> {
        Ok(self.read()?.by_address(address).map(|entry| entry.view()).collect())
    }

    /// The certificate with this serial number, hexadecimal.
    pub fn show(&self, serial: &str) -> Result<Issued, AuthorityError> {
        let serial = parse_serial(serial)?;
        let index = self.read()?;
        index.by_serial(&serial).map(|entry| entry.view()).ok_or_else(|| AuthorityError::UnknownSerial(serial.hex()))
    }

    /// The certificate with this serial number, as octets without sign.
    pub fn by_serial(&self, serial: &[u8]) -> Result<Option<Issued>, AuthorityError> {
        let Some(serial) = Serial::new(serial) else {
            return Ok(None);
        };
        Ok(self.read()?.by_serial(&serial).map(|entry| entry.view()))
    }

    /// The certificates of `address`, those that count now first, newest first. To encrypt with, or if no use is
    /// said, only those that count now; to verify with, all: what was signed may be older than a revocation.
    pub fn by_address(&self, address: &str, usage: Option<Use>) -> Result<Vec<Issued>, AuthorityError> {
        let now = self.clock.now();
        let mut found: Vec<Issued> = self
            .read()?
            .by_address(address)
            .map(|entry| entry.view())
            .filter(|issued| usage.is_none_or(|usage| issued.purpose == usage.into()))
            .filter(|issued| usage == Some(Use::Sign) || issued.counts_at(now))
            .collect();
        found.sort_by_key(|issued| !issued.counts_at(now));
        Ok(found)
    }

    /// The trust anchor, PEM.
    pub fn anchor_pem(&self) -> Result<String, AuthorityError> {
        Ok(self.root.to_pem(LineEnding::LF)?)
    }

    /// The trust anchor, DER.
    pub fn anchor_der(&self) -> Result<Vec<u8>, AuthorityError> {
        Ok(self.anchor.to_vec())
    }

    /// The issuing authority's certificate, DER: the issuer of every person's certificate.
    pub fn issuing_der(&self) -> Result<Vec<u8>, AuthorityError> {
        Ok(self.issuing_der.to_vec())
    }

    /// The authority's settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Which of the opened keys stand on the disk in clear.
    pub fn unprotected_keys(&self) -> &[&'static str] {
        &self.unprotected
    }

    /// What did not go well in opening it, and does not keep it from its work.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether the issuing key is open here.
    pub fn can_issue(&self) -> bool {
        self.issuing_key.is_some()
    }

    /// The certificates of root and issuing authority, DER.
    pub(super) fn authorities(&self) -> [&Bytes; 2] {
        [&self.anchor, &self.issuing_der]
    }

    /// Where a file of the authority is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The time, by the clock given at start.
    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Puts another OCSP key in the place of the present one.
    #[cfg(test)]
    pub(super) fn change_ocsp_key(&mut self, wrap: impl FnOnce(Arc<dyn AuthorityKey>) -> Arc<dyn AuthorityKey>) {
        self.ocsp_key = self.ocsp_key.take().map(wrap);
        self.signer = RwLock::new(None);
    }

    /// The index as it is on the disk now.
    pub(super) fn read(&self) -> Result<RwLockReadGuard<'_, Index>, AuthorityError> {
        self.store.read()
    }

    fn issuing_key(&self) -> Result<&dyn AuthorityKey, AuthorityError> {
        self.issuing_key.as_deref().ok_or(AuthorityError::KeyAbsent("issuing"))
    }

    fn pointers(&self) -> Pointers<'_> {
        Pointers { ocsp: self.settings.ocsp_url.as_deref(), crl: self.settings.crl_url.as_deref() }
    }
}

/// A serial number as people write it: hexadecimal, perhaps with colons.
fn parse_serial(text: &str) -> Result<Serial, AuthorityError> {
    let digits: String = text.chars().filter(|character| *character != ':').take(64).collect();
    Serial::from_hex(&digits)
        .ok_or_else(|| AuthorityError::UnknownSerial(digits.chars().filter(|digit| !digit.is_control()).collect()))
}

/// Makes the folder `dir`, for its owner and group alone.
fn make_folder(dir: &Path) -> std::io::Result<()> {
    if let Some(above) = dir.parent() {
        std::fs::create_dir_all(above)?;
    }
    match std::fs::DirBuilder::new().mode(0o750).create(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        other => other,
    }
}

fn file(dir: &Path, what: &str, extension: &str) -> PathBuf {
    dir.join(format!("{what}.{extension}"))
}

fn public(key: &dyn AuthorityKey) -> Result<SubjectPublicKeyInfoOwned, AuthorityError> {
    spki_of(key.verifying_key())
}

fn spki_of(key: &p256::ecdsa::VerifyingKey) -> Result<SubjectPublicKeyInfoOwned, AuthorityError> {
    let der = key.to_public_key_der().map_err(|error| AuthorityError::Build(Box::new(error)))?;
    Ok(SubjectPublicKeyInfoOwned::from_der(der.as_bytes())?)
}

/// The P-256 key that a certificate of ours is about.
fn key_of(certificate: &Certificate) -> Result<p256::ecdsa::VerifyingKey, AuthorityError> {
    let der = certificate.tbs_certificate().subject_public_key_info().to_der()?;
    let key: p256::PublicKey = spki::DecodePublicKey::from_public_key_der(&der)
        .map_err(|_| AuthorityError::BadRequest("the authority's certificate is not about a P-256 key"))?;
    Ok(key.into())
}

/// Sixteen random octets, positive and of full length (RFC 5280 4.1.2.2).
fn serial(entropy: &dyn Entropy) -> Result<SerialNumber, AuthorityError> {
    let mut octets = [0u8; 16];
    entropy.fill(&mut octets);
    if let Some(first) = octets.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(SerialNumber::new(&octets)?)
}

pub(super) fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().map_or('0', char::from);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 0x0f)]).collect()
}
