//! Path validation for emailProtection (RFC 5280 6.1, RFC 8550 4), by rustls-webpki and, where it leaves a rule of
//! RFC 5280 to others, by what stands here: key usage of every certificate, and anchors held to their own terms.
//!
//! Decided here, each time the stricter way:
//! - An anchor is a certificate, so its own validity, path length and key usage count, although RFC 5280 6.1.1 (d) takes
//!   no more than name and key from it: an anchor whose time is over has to be replaced, not to be believed for ever.
//! - Name constraints on mail addresses or directory names are not computed. A path that has such a constraint, critical
//!   or not, over a certificate with such a name is refused ([`PathError::NameConstraint`]).
//! - A critical extension that is not known is refused, but not in an anchor, which somebody chose by hand.

use super::{Use, allows, extension, parse};
use crate::asn1::Malformed;
use crate::bounds;
use core::cell::RefCell;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::time::{Duration, SystemTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, VerifiedPath};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

/// id-kp-emailProtection (RFC 5280 4.2.1.12).
const EMAIL_PROTECTION: der::asn1::ObjectIdentifier = der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
/// The content octets of the same, and of anyExtendedKeyUsage.
const EMAIL_PROTECTION_OCTETS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 4];
const ANY_EXTENDED_KEY_USAGE_OCTETS: &[u8] = &[0x55, 0x1d, 0x25, 0];

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Not a certificate we can read.
    #[error("the certificate cannot be read; have a new one issued")]
    Malformed,
    /// Its time is over.
    #[error("the certificate has expired; have a new one issued")]
    Expired,
    /// Its time has not come.
    #[error("the certificate is not valid yet; check this machine's clock")]
    NotYetValid,
    /// No path to an anchor, or a signature on the way does not hold.
    #[error("the certificate's issuer is not trusted here; install its anchor if it should be")]
    UnknownIssuer,
    /// Key usage does not allow it.
    #[error("the certificate may not be used for this; have one issued for it")]
    WrongUse,
    /// Extended key usage is not emailProtection, of the certificate or of an authority above it.
    #[error("the certificate is not for mail; have one issued that is")]
    WrongPurpose,
    /// An authority's certificate between has expired.
    #[error("the issuer's own certificate has expired; ask the issuer for its new one and install it")]
    IssuerExpired,
    /// An authority's certificate between is not valid yet.
    #[error("the issuer's own certificate is not valid yet; check this machine's clock")]
    IssuerNotYetValid,
    /// The time of the configured anchor is over.
    #[error("the trust anchor has expired; install its successor")]
    AnchorExpired,
    /// The time of the configured anchor has not come.
    #[error("the trust anchor is not valid yet; check this machine's clock and the configured anchors")]
    AnchorNotYetValid,
    /// Something on the way issued certificates that was not allowed to.
    #[error("the certificate was issued by one who is no certificate authority; have it issued by one")]
    NotAnAuthority,
    /// More authorities on the way than one of them allows.
    #[error("the certificate was issued further down than its authorities allow; ask its issuer")]
    PathLength,
    /// An authority may issue for certain names only, and this one is not among them or of a form not computed here.
    #[error(
        "the certificate's issuer is limited to certain names, and that limit does not cover this one; ask its issuer"
    )]
    NameConstraint,
    /// A critical extension that is not understood.
    #[error("the certificate path demands something not understood here (a critical extension); ask its issuer")]
    CriticalExtension,
    /// Signed with what is no longer, or not yet, accepted.
    #[error("the certificate path is signed with an algorithm not accepted here; have the certificate issued anew")]
    Algorithm,
    /// An anchor of the configuration is no certificate, or no authority's.
    #[error("a trust anchor cannot be read or is no authority's; check the configured anchors")]
    BadAnchor,
    /// More paths than anybody could need: made to keep us busy.
    #[error("the certificate comes with more intermediate certificates than can be tried; ask its issuer")]
    TooManyPaths,
    /// Another rule of RFC 5280.
    #[error("the certificate path is not acceptable: {0}; ask its issuer")]
    Rule(String),
}

impl PathError {
    /// A code that stays when words change.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "PATH-001",
            Self::Expired => "PATH-002",
            Self::NotYetValid => "PATH-003",
            Self::WrongUse => "PATH-004",
            Self::WrongPurpose => "PATH-005",
            Self::UnknownIssuer => "PATH-010",
            Self::IssuerExpired => "PATH-011",
            Self::IssuerNotYetValid => "PATH-012",
            Self::NotAnAuthority => "PATH-013",
            Self::PathLength => "PATH-014",
            Self::NameConstraint => "PATH-015",
            Self::CriticalExtension => "PATH-016",
            Self::Algorithm => "PATH-017",
            Self::TooManyPaths => "PATH-018",
            Self::Rule(_) => "PATH-019",
            Self::AnchorExpired => "PATH-020",
            Self::AnchorNotYetValid => "PATH-021",
            Self::BadAnchor => "PATH-022",
        }
    }
}

impl From<Malformed> for PathError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Is there a path from `certificate` over `intermediates` to one of `anchors` that is valid at `now`, and may the
/// certificate serve for `purpose`?
///
/// It has to bear extendedKeyUsage emailProtection. Revocation is OCSP's business and asked elsewhere.
pub fn check_path(
    certificate: &[u8],
    intermediates: &[Vec<u8>],
    anchors: &[Vec<u8>],
    now: SystemTime,
    purpose: Use,
) -> Result<(), PathError> {
    // Certificates count in whole seconds, the last one included.
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| PathError::NotYetValid)?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs());

    let parsed = parse(certificate)?;
    let anchors_der: Vec<CertificateDer<'_>> = anchors.iter().map(|anchor| anchor.as_slice().into()).collect();
    let mut trusted = Vec::with_capacity(anchors.len());
    for anchor in &anchors_der {
        trusted.push(Anchor::read(anchor)?);
    }
    let names_and_keys: Vec<TrustAnchor<'_>> = trusted.iter().map(|anchor| anchor.name_and_key.clone()).collect();
    let intermediates: Vec<CertificateDer<'_>> = intermediates
        .iter()
        .filter(|between| between.len() <= bounds::CERTIFICATE)
        .take(bounds::CERTIFICATES)
        .map(|between| between.as_slice().into())
        .collect();

    let (not_before, not_after) = times(&parsed);
    if now < not_before {
        return Err(PathError::NotYetValid);
    }
    if now > not_after {
        return Err(PathError::Expired);
    }

    // webpki tries one path after another; what is wrong with a path that it would take is kept here.
    let wrong: RefCell<Option<PathError>> = RefCell::default();
    let check = |path: &VerifiedPath<'_>| {
        let number = names_and_keys.iter().position(|one| core::ptr::eq(one, path.anchor()));
        let anchor = number.and_then(|number| trusted.get(number));
        let held = anchor.ok_or(PathError::UnknownIssuer).and_then(|anchor| check_authorities(path, anchor, now));
        held.map_err(|error| {
            *wrong.borrow_mut() = Some(error);
            webpki::Error::UnknownIssuer
        })
    };
    let octets = CertificateDer::from(certificate);
    let leaf = EndEntityCert::try_from(&octets).map_err(rule)?;
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &names_and_keys,
        &intermediates,
        UnixTime::since_unix_epoch(since_epoch),
        ForMail,
        None,
        Some(&check),
    )
    .map_err(|error| match (wrong.take(), error) {
        (Some(own), webpki::Error::UnknownIssuer) => own,
        (_, error) => rule(error),
    })?;

    // webpki asks it of the whole path or of none; intermediates seldom bear the extension, the leaf has to.
    let for_mail = extension::<ExtendedKeyUsage>(&parsed)?.is_some_and(|uses| uses.0.contains(&EMAIL_PROTECTION));
    if !for_mail {
        return Err(PathError::WrongPurpose);
    }
    if allows(certificate, purpose)? { Ok(()) } else { Err(PathError::WrongUse) }
}

/// Can this certificate be an anchor at all? Its time is looked at when a path ends at it.
pub fn check_anchor(certificate: &[u8]) -> Result<(), PathError> {
    Anchor::read(&CertificateDer::from(certificate)).map(drop)
}

/// An anchor of the configuration.
struct Anchor<'a> {
    name_and_key: TrustAnchor<'a>,
    certificate: Certificate,
    path_length: Option<u8>,
}

impl<'a> Anchor<'a> {
    fn read(octets: &'a CertificateDer<'a>) -> Result<Self, PathError> {
        let name_and_key = webpki::anchor_from_trusted_cert(octets).map_err(|_| PathError::BadAnchor)?;
        let certificate = parse(octets).map_err(|_| PathError::BadAnchor)?;
        // Version 1 knows no extensions; where they are, they have to say that this is an authority.
        let constraints = extension::<BasicConstraints>(&certificate).map_err(|_| PathError::BadAnchor)?;
        let path_length = match constraints {
            Some(BasicConstraints { ca: false, .. }) => return Err(PathError::BadAnchor),
            Some(BasicConstraints { path_len_constraint, .. }) => path_len_constraint,
            None => None,
        };
        Ok(Self { name_and_key, certificate, path_length })
    }
}

/// RFC 5280 6.1.4 (n) for every authority, and the anchor on its own terms.
fn check_authorities(path: &VerifiedPath<'_>, anchor: &Anchor<'_>, now: SystemTime) -> Result<(), PathError> {
    let mut authorities = 0usize;
    for between in path.intermediate_certificates() {
        authorities += 1;
        may_issue(&parse(&between.der())?)?;
    }
    may_issue(&anchor.certificate)?;
    let (not_before, not_after) = times(&anchor.certificate);
    if now < not_before {
        return Err(PathError::AnchorNotYetValid);
    }
    if now > not_after {
        return Err(PathError::AnchorExpired);
    }
    if anchor.path_length.is_some_and(|length| authorities > usize::from(length)) {
        return Err(PathError::PathLength);
    }
    Ok(())
}

fn may_issue(authority: &Certificate) -> Result<(), PathError> {
    match extension::<KeyUsage>(authority)? {
        Some(usage) if !usage.key_cert_sign() => Err(PathError::NotAnAuthority),
        _ => Ok(()),
    }
}

fn times(certificate: &Certificate) -> (SystemTime, SystemTime) {
    let validity = certificate.tbs_certificate().validity();
    (validity.not_before.to_system_time(), validity.not_after.to_system_time())
}

/// Every certificate of the path that says what it is for has to say mail, or anything.
struct ForMail;

impl ExtendedKeyUsageValidator for ForMail {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let accepted = [EMAIL_PROTECTION_OCTETS, ANY_EXTENDED_KEY_USAGE_OCTETS].map(KeyPurposeId::new);
        let mut silent = true;
        for purpose in purposes {
            silent = false;
            if accepted.contains(&purpose?) {
                return Ok(());
            }
        }
        if silent { Ok(()) } else { Err(webpki::Error::EmptyEkuExtension) }
    }
}

fn rule(error: webpki::Error) -> PathError {
    use webpki::Error as E;
    match error {
        // The certificate's own times were looked at before.
        E::CertExpired { .. } => PathError::IssuerExpired,
        E::CertNotValidYet { .. } => PathError::IssuerNotYetValid,
        E::UnknownIssuer | E::InvalidSignatureForPublicKey => PathError::UnknownIssuer,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => PathError::WrongPurpose,
        E::CaUsedAsEndEntity => PathError::WrongUse,
        E::EndEntityUsedAsCa => PathError::NotAnAuthority,
        E::PathLenConstraintViolated | E::MaximumPathDepthExceeded => PathError::PathLength,
        E::NameConstraintViolation | E::MalformedNameConstraint | E::InvalidNetworkMaskConstraint => {
            PathError::NameConstraint
        }
        E::UnsupportedCriticalExtension => PathError::CriticalExtension,
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | E::SignatureAlgorithmMismatch => PathError::Algorithm,
        E::MaximumPathBuildCallsExceeded
        | E::MaximumSignatureChecksExceeded
        | E::MaximumNameConstraintComparisonsExceeded => PathError::TooManyPaths,
        E::BadDer
        | E::BadDerTime
        | E::TrailingData(_)
        | E::MalformedExtensions
        | E::ExtensionValueInvalid
        | E::InvalidSerialNumber
        | E::UnsupportedCertVersion => PathError::Malformed,
        other => PathError::Rule(format!("{other:?}")),
    }
}
