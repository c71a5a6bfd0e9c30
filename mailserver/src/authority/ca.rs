//! The certificate authority: a root, an issuing authority, a delegated OCSP signer, and the people's certificates
//! (RFC 5280, RFC 8550; A7: keys live on cards, certificates here).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use der::{Decode, Encode, EncodePem};
use p256::ecdsa::SigningKey;
use pkcs8::LineEnding;
use sealfax_client::lookup::{Use, is_address};
use sealfax_client::seam::{Clock, Entropy, Seams};
use spki::{EncodePublicKey, SubjectPublicKeyInfoOwned};
use x509_cert::Certificate;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::serial_number::SerialNumber;

use super::AuthorityError;
use super::index::{Index, Issued};
use super::keys;
use super::profile::{Kind, Plan, build, name};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Adapters' clocks may be slow by this much and still take a fresh certificate.
const BACKDATE: Duration = Duration::from_secs(5 * 60);
/// The OCSP signer cannot be revoked (id-pkix-ocsp-nocheck), so it lives shortly and is renewed in time.
const OCSP_SIGNER_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const OCSP_SIGNER_RENEWAL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const ROOT: &str = "root";
const ISSUING: &str = "issuing";
const OCSP: &str = "ocsp";

/// How to found an authority.
#[derive(Debug, Clone)]
pub struct AuthorityOptions {
    /// Organization in every distinguished name.
    pub organization: String,
    /// How long the root and issuing certificates are valid.
    pub life: Duration,
}

impl Default for AuthorityOptions {
    fn default() -> Self {
        Self { organization: "Sealfax".to_owned(), life: 3650 * DAY }
    }
}

/// A certificate wanted for one key on a person's card.
#[derive(Debug, Clone)]
pub struct PersonRequest {
    /// The person's name, as it will stand in the certificate.
    pub name: String,
    /// The person's mail address.
    pub address: String,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// What the key is for.
    pub usage: Use,
    /// How long the certificate is to be valid, from now.
    pub validity: Duration,
    /// Where validity can be asked, if that is to stand in the certificate.
    pub ocsp_url: Option<String>,
}

/// A certificate authority in a folder.
pub struct Authority {
    dir: PathBuf,
    root: Certificate,
    pub(super) issuing: Certificate,
    issuing_key: SigningKey,
    ocsp_key: SigningKey,
    ocsp_certificate: Mutex<Certificate>,
    index: Mutex<Index>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    organization: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Authority {
    /// Founds an authority in the folder `dir`, which must not hold one yet.
    pub fn create(dir: &Path, options: &AuthorityOptions, seams: &Seams) -> Result<Self, AuthorityError> {
        std::fs::create_dir_all(dir).map_err(|source| AuthorityError::Disk { path: dir.to_owned(), source })?;
        if file(dir, ROOT, "pem").exists() {
            return Err(AuthorityError::Exists(dir.to_owned()));
        }
        let organization = &options.organization;
        if organization.is_empty() || organization.len() > 64 {
            return Err(AuthorityError::BadRequest("the organization must have 1 to 64 octets"));
        }
        let now = seams.clock.now();
        let entropy = &seams.entropy;
        let root_key = keys::generate(entropy);
        let issuing_key = keys::generate(entropy);
        let ocsp_key = keys::generate(entropy);
        let authority = |kind, title: &str, key: &SigningKey| {
            Ok::<_, AuthorityError>(Plan {
                kind,
                serial: serial(entropy.as_ref())?,
                subject: name(organization, &format!("{organization} {title}"))?,
                key: public(key)?,
                not_before: now - BACKDATE,
                not_after: now + options.life,
            })
        };
        let root = build(authority(Kind::Root, "Root CA", &root_key)?, None, &root_key)?;
        let issuing = build(authority(Kind::Issuing, "Issuing CA", &issuing_key)?, Some(&root), &root_key)?;
        for (what, key) in [(ROOT, &root_key), (ISSUING, &issuing_key), (OCSP, &ocsp_key)] {
            keys::save_key(&file(dir, what, "key.pem"), key)?;
        }
        keys::save_certificate(&file(dir, ISSUING, "pem"), &issuing)?;
        // The root comes last: who finds it finds everything.
        keys::save_certificate(&file(dir, ROOT, "pem"), &root)?;
        Self::open(dir, seams)
    }

    /// Opens the authority in the folder `dir`.
    pub fn open(dir: &Path, seams: &Seams) -> Result<Self, AuthorityError> {
        let root = keys::load_certificate(&file(dir, ROOT, "pem"))?;
        let issuing = keys::load_certificate(&file(dir, ISSUING, "pem"))?;
        let issuing_key = keys::load_key(&file(dir, ISSUING, "key.pem"))?;
        let ocsp_key = keys::load_key(&file(dir, OCSP, "key.pem"))?;
        let organization = issuing
            .tbs_certificate()
            .subject()
            .organization()?
            .map_or_else(|| "Sealfax".to_owned(), |name| name.value().into_owned());
        let now = seams.clock.now();
        let path = file(dir, OCSP, "pem");
        let ocsp_certificate = match keys::load_certificate(&path) {
            Ok(certificate) if !due(&certificate, now) => certificate,
            _ => {
                renew_ocsp_signer(&path, &organization, &issuing, &issuing_key, &ocsp_key, seams.entropy.as_ref(), now)?
            }
        };
        Ok(Self {
            dir: dir.to_owned(),
            root,
            issuing,
            issuing_key,
            ocsp_key,
            ocsp_certificate: Mutex::new(ocsp_certificate),
            index: Mutex::new(Index::open(&dir.join("index.jsonl"))?),
            clock: Arc::clone(&seams.clock),
            entropy: Arc::clone(&seams.entropy),
            organization,
        })
    }

    /// Issues a certificate (DER). It is in the index, durably, before this returns.
    pub fn issue_person(&self, request: &PersonRequest) -> Result<Vec<u8>, AuthorityError> {
        if !is_address(&request.address) {
            return Err(AuthorityError::BadRequest("this is not a mail address"));
        }
        let printable = !request.name.chars().any(char::is_control);
        if !printable || request.name.is_empty() || request.name.len() > 64 {
            return Err(AuthorityError::BadRequest("the name must have 1 to 64 printable octets"));
        }
        let key = SubjectPublicKeyInfoOwned::from_der(&request.public_key)
            .map_err(|_| AuthorityError::BadRequest("the public key cannot be read"))?;
        let now = self.clock.now();
        let last = self.issuing.tbs_certificate().validity().not_after;
        let (not_before, not_after) = (now - BACKDATE, now + request.validity);
        if not_after > last.to_system_time() {
            return Err(AuthorityError::BadRequest(
                "it would outlive the authority's own certificate; ask for a shorter validity",
            ));
        }
        let serial = serial(self.entropy.as_ref())?;
        let number = hex(serial.as_bytes());
        let plan = Plan {
            kind: Kind::Person {
                address: &request.address,
                usage: request.usage,
                ocsp_url: request.ocsp_url.as_deref(),
            },
            serial,
            subject: name(&self.organization, &request.name)?,
            key,
            not_before,
            not_after,
        };
        let certificate = build(plan, Some(&self.issuing), &self.issuing_key)?.to_der()?;
        self.index().issue(&Issued {
            serial: number,
            address: request.address.clone(),
            name: request.name.clone(),
            usage: request.usage,
            not_before,
            not_after,
            certificate: certificate.clone(),
            standing: super::Standing::Good,
        })?;
        Ok(certificate)
    }

    /// Revokes the certificate with this `serial` (hexadecimal) as of `now`; durable when this returns.
    pub fn revoke(&self, serial: &str, reason: CrlReason, now: SystemTime) -> Result<(), AuthorityError> {
        let serial: String = serial.chars().filter(|character| *character != ':').collect();
        self.index().revoke(&serial.to_ascii_lowercase(), reason, now)
    }

    /// Revokes this `certificate` (DER).
    pub fn revoke_certificate(
        &self,
        certificate: &[u8],
        reason: CrlReason,
        now: SystemTime,
    ) -> Result<(), AuthorityError> {
        let certificate = Certificate::from_der(certificate)
            .map_err(|_| AuthorityError::BadRequest("the certificate cannot be read"))?;
        let serial = hex(certificate.tbs_certificate().serial_number().as_bytes());
        self.revoke(&serial, reason, now)
    }

    /// Every certificate issued to people, oldest first.
    pub fn list(&self) -> Result<Vec<Issued>, AuthorityError> {
        let mut index = self.index();
        index.refresh()?;
        Ok(index.all().to_vec())
    }

    /// The certificate with this serial number, as octets without sign.
    pub fn by_serial(&self, serial: &[u8]) -> Result<Option<Issued>, AuthorityError> {
        let mut index = self.index();
        index.refresh()?;
        Ok(index.by_serial(&hex(serial)).cloned())
    }

    /// The certificates of `address`, those that count now first, newest first. To encrypt with, or if no use is
    /// said, only those that count now; to verify with, all: what was signed may be older than a revocation.
    pub fn by_address(&self, address: &str, usage: Option<Use>) -> Result<Vec<Issued>, AuthorityError> {
        let now = self.clock.now();
        let mut index = self.index();
        index.refresh()?;
        let mut found: Vec<Issued> = index
            .by_address(address)
            .rev()
            .filter(|issued| usage.is_none_or(|usage| issued.usage == usage))
            .filter(|issued| usage == Some(Use::Sign) || issued.counts_at(now))
            .cloned()
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
        Ok(self.root.to_der()?)
    }

    /// The issuing authority's certificate, DER: the issuer of every person's certificate.
    pub fn issuing_der(&self) -> Result<Vec<u8>, AuthorityError> {
        Ok(self.issuing.to_der()?)
    }

    /// The time, by the clock given at start.
    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The OCSP signer's key and its certificate, renewed if it is about to expire.
    pub(super) fn ocsp_signer(&self) -> Result<(&SigningKey, Certificate), AuthorityError> {
        let mut certificate = self.ocsp_certificate.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if due(&certificate, now) {
            *certificate = renew_ocsp_signer(
                &file(&self.dir, OCSP, "pem"),
                &self.organization,
                &self.issuing,
                &self.issuing_key,
                &self.ocsp_key,
                self.entropy.as_ref(),
                now,
            )?;
        }
        Ok((&self.ocsp_key, certificate.clone()))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn renew_ocsp_signer(
    path: &Path,
    organization: &str,
    issuing: &Certificate,
    issuing_key: &SigningKey,
    ocsp_key: &SigningKey,
    entropy: &dyn Entropy,
    now: SystemTime,
) -> Result<Certificate, AuthorityError> {
    let plan = Plan {
        kind: Kind::OcspSigner,
        serial: serial(entropy)?,
        subject: name(organization, &format!("{organization} OCSP"))?,
        key: public(ocsp_key)?,
        not_before: now - BACKDATE,
        not_after: now + OCSP_SIGNER_LIFE,
    };
    let certificate = build(plan, Some(issuing), issuing_key)?;
    keys::save_certificate(path, &certificate)?;
    Ok(certificate)
}

/// Whether a certificate must be renewed, also when a clock was set back before its first second.
fn due(certificate: &Certificate, now: SystemTime) -> bool {
    let validity = certificate.tbs_certificate().validity();
    validity.not_after.to_system_time() < now + OCSP_SIGNER_RENEWAL || validity.not_before.to_system_time() > now
}

fn file(dir: &Path, what: &str, extension: &str) -> PathBuf {
    dir.join(format!("{what}.{extension}"))
}

fn public(key: &SigningKey) -> Result<SubjectPublicKeyInfoOwned, AuthorityError> {
    let der = key.verifying_key().to_public_key_der().map_err(|error| AuthorityError::Build(Box::new(error)))?;
    Ok(SubjectPublicKeyInfoOwned::from_der(der.as_bytes())?)
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
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
