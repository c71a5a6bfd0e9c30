//! Certificate revocation lists (RFC 5280 5): version 2, with number, reasons and the time of the next one.

use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use der::asn1::{BitString, GeneralizedTime, UtcTime};
use der::referenced::OwnedToRef;
use der::{Decode, Encode};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::ext::ToExtension;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlNumber, CrlReason, SubjectKeyIdentifier};
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Time;
use x509_cert::{Certificate, Version};

use super::AuthorityError;
use super::index::{Entry, Serial, Standing};
use super::keys::{AuthorityKey, file, signature_algorithm};

/// Names of the lists in the authority's folder.
pub(super) const ISSUING_FILE: &str = "issuing.crl";
pub(super) const ROOT_FILE: &str = "root.crl";

/// An entry stays in the list this long after its certificate expired: at least one list must show it then.
const KEPT_AFTER_EXPIRY: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// A revocation list.
#[derive(Debug, Clone)]
pub struct RevocationList {
    /// DER.
    pub der: Bytes,
    /// Its number; each is one more than the one before.
    pub number: u64,
    /// How many certificates it names.
    pub revoked: usize,
    /// When it was made.
    pub this_update: SystemTime,
    /// When the next one will be there at the latest.
    pub next_update: Option<SystemTime>,
}

impl RevocationList {
    /// Reads a list, DER.
    pub fn read(der: Vec<u8>) -> Result<Self, AuthorityError> {
        let list: CertificateList = CertificateList::from_der(&der)?;
        let tbs = &list.tbs_cert_list;
        let number = tbs
            .crl_extensions
            .iter()
            .flatten()
            .find(|extension| extension.extn_id == <CrlNumber as der::oid::AssociatedOid>::OID)
            .and_then(|extension| CrlNumber::from_der(extension.extn_value.as_bytes()).ok())
            .and_then(|number| {
                number
                    .0
                    .as_bytes()
                    .iter()
                    .try_fold(0u64, |sum, octet| sum.checked_mul(256)?.checked_add(u64::from(*octet)))
            })
            .unwrap_or(0);
        Ok(Self {
            number,
            revoked: tbs.revoked_certificates.as_ref().map_or(0, Vec::len),
            this_update: tbs.this_update.to_system_time(),
            next_update: tbs.next_update.map(|time| time.to_system_time()),
            der: der.into(),
        })
    }
}

/// The serial numbers that the list `der` names, if it is by `signer`.
pub(super) fn named(der: &[u8], signer: &VerifyingKey) -> Result<Vec<Serial>, &'static str> {
    let list: CertificateList = CertificateList::from_der(der).map_err(|_| "cannot be read")?;
    let signed = list.tbs_cert_list.to_der().map_err(|_| "cannot be read")?;
    let signature = list.signature.as_bytes().and_then(|octets| DerSignature::from_bytes(octets).ok());
    if signature.is_none_or(|signature| signer.verify(&signed, &signature).is_err()) {
        return Err("is not by the issuing authority");
    }
    let revoked = list.tbs_cert_list.revoked_certificates.unwrap_or_default();
    Ok(revoked.iter().filter_map(|one| Serial::new(one.serial_number.as_bytes())).collect())
}

/// What a list made at `now` must name.
pub(super) fn revoked(entries: &[Entry], now: SystemTime) -> Result<Vec<RevokedCert>, AuthorityError> {
    let mut revoked = Vec::new();
    for entry in entries {
        if let Standing::Revoked { at, reason } = entry.standing
            && entry.not_after + KEPT_AFTER_EXPIRY > now
        {
            revoked.push(revoked_certificate(entry, at, reason)?);
        }
    }
    Ok(revoked)
}

/// Makes the next list of `issuer` and puts it at `path`.
pub(super) fn publish(
    path: &Path,
    issuer: &Certificate,
    key: &dyn AuthorityKey,
    revoked: Vec<RevokedCert>,
    now: SystemTime,
    until: SystemTime,
) -> Result<RevocationList, AuthorityError> {
    let before = match path.exists() {
        true => {
            RevocationList::read(file::read_octets(path)?)
                .map_err(|_| AuthorityError::Unreadable { path: path.to_owned(), what: "revocation list" })?
                .number
        }
        false => 0,
    };
    let number = before + 1;
    let count = revoked.len();
    let tbs = issuer.tbs_certificate();
    let subject = tbs.subject();
    let own = SubjectKeyIdentifier::try_from(tbs.subject_public_key_info().owned_to_ref())?;
    // The issuer's own key identifier (RFC 5280 5.2.1), not the one of whoever certified it: by that OpenSSL does not
    // find the list.
    let identifier = AuthorityKeyIdentifier { key_identifier: Some(own.0), ..AuthorityKeyIdentifier::default() };
    let list = TbsCertList {
        version: Version::V2,
        signature: signature_algorithm(),
        issuer: subject.clone(),
        this_update: time(now)?,
        next_update: Some(time(until)?),
        // RFC 5280 5.1.2.6: a list that revokes nothing has no such field at all.
        revoked_certificates: (count > 0).then_some(revoked),
        crl_extensions: Some(vec![
            (&CrlNumber::try_from(number)?).to_extension(subject, &[])?,
            (&identifier).to_extension(subject, &[])?,
        ]),
    };
    let signature = key.sign(&list.to_der()?)?;
    let list: CertificateList = CertificateList {
        tbs_cert_list: list,
        signature_algorithm: signature_algorithm(),
        signature: BitString::from_bytes(signature.as_bytes())?,
    };
    let der = list.to_der()?;
    file::write(path, &der, 0o644)?;
    Ok(RevocationList { der: der.into(), number, revoked: count, this_update: now, next_update: Some(until) })
}

fn revoked_certificate(entry: &Entry, at: SystemTime, reason: CrlReason) -> Result<RevokedCert, AuthorityError> {
    // RFC 5280 5.3.1: "unspecified" is said by saying nothing.
    let extensions = match reason {
        CrlReason::Unspecified => None,
        reason => Some(vec![(&reason).to_extension(&x509_cert::name::Name::default(), &[])?]),
    };
    Ok(RevokedCert {
        serial_number: SerialNumber::new(entry.serial.as_bytes())?,
        revocation_date: time(at)?,
        crl_entry_extensions: extensions,
    })
}

/// UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 5.1.2.4), in whole seconds.
fn time(time: SystemTime) -> Result<Time, AuthorityError> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let since = Duration::from_secs(since.as_secs());
    Ok(match UtcTime::from_unix_duration(since) {
        Ok(time) => Time::UtcTime(time),
        Err(_) => Time::GeneralTime(GeneralizedTime::from_unix_duration(since)?),
    })
}

/// A reason by the names of RFC 5280 5.3.1, in words with hyphens.
pub(super) fn reason_name(reason: CrlReason) -> &'static str {
    match reason {
        CrlReason::Unspecified => "unspecified",
        CrlReason::KeyCompromise => "key-compromise",
        CrlReason::CaCompromise => "ca-compromise",
        CrlReason::AffiliationChanged => "affiliation-changed",
        CrlReason::Superseded => "superseded",
        CrlReason::CessationOfOperation => "cessation-of-operation",
        CrlReason::CertificateHold => "certificate-hold",
        CrlReason::RemoveFromCRL => "remove-from-crl",
        CrlReason::PrivilegeWithdrawn => "privilege-withdrawn",
        CrlReason::AaCompromise => "aa-compromise",
    }
}

/// The reason of this name; `cessation` is short for `cessation-of-operation`. A hold could be lifted again, which
/// cards cannot: it is not among them.
pub(super) fn reason_named(name: &str) -> Option<CrlReason> {
    [
        CrlReason::Unspecified,
        CrlReason::KeyCompromise,
        CrlReason::CaCompromise,
        CrlReason::AffiliationChanged,
        CrlReason::Superseded,
        CrlReason::CessationOfOperation,
        CrlReason::PrivilegeWithdrawn,
        CrlReason::AaCompromise,
    ]
    .into_iter()
    .find(|reason| reason_name(*reason) == name || (name == "cessation" && *reason == CrlReason::CessationOfOperation))
}
