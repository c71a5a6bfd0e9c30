//! Certificates: whose they are, what they serve for, and their path to an anchor (RFC 8550, RFC 5280 6).

use crate::asn1::{self, Malformed, Reader, tag};
use crate::bounds;
use const_oid::AssociatedOid;
use der::Decode;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::SystemTime;
use webpki::{EndEntityCert, KeyUsage as ExtendedUse, anchor_from_trusted_cert};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier};

/// id-kp-emailProtection and anyExtendedKeyUsage (RFC 5280 4.2.1.12).
const EMAIL_PROTECTION: der::asn1::ObjectIdentifier = der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
/// The content octets of the same.
const EMAIL_PROTECTION_OCTETS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 4];

/// What a certificate is to serve for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Signing mail: digitalSignature or nonRepudiation.
    Sign,
    /// Having mail sealed for its holder: keyEncipherment, or keyAgreement for elliptic curves.
    Encrypt,
}

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
    /// Key usage or extended key usage do not allow it.
    #[error("the certificate may not be used for this; have one issued for mail")]
    WrongUse,
    /// An anchor of the configuration is no certificate.
    #[error("a trust anchor cannot be read; check the configured anchors")]
    BadAnchor,
    /// Another rule of RFC 5280.
    #[error("the certificate path is not acceptable: {0}; ask its issuer")]
    Rule(String),
}

impl From<Malformed> for PathError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// A certificate's own octets by field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    /// The serial number's content octets.
    pub(crate) serial: &'a [u8],
    /// The issuer `Name`, encoded.
    pub(crate) issuer: &'a [u8],
    /// The SubjectPublicKeyInfo, encoded.
    pub(crate) public_key: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(certificate: &'a [u8]) -> Result<Self, Malformed> {
        if certificate.len() > bounds::CERTIFICATE {
            return Err(Malformed);
        }
        let mut tbs = asn1::single(certificate, tag::SEQUENCE)?.reader().expect(tag::SEQUENCE)?.reader();
        tbs.optional(tag::constructed(0))?;
        let serial = tbs.expect(tag::INTEGER)?.content;
        tbs.expect(tag::SEQUENCE)?;
        let issuer = tbs.expect(tag::SEQUENCE)?.whole;
        tbs.expect(tag::SEQUENCE)?;
        tbs.expect(tag::SEQUENCE)?;
        let public_key = tbs.expect(tag::SEQUENCE)?.whole;
        Ok(Self { serial, issuer, public_key })
    }

    /// IssuerAndSerialNumber (RFC 5652 10.2.4).
    pub(crate) fn issuer_and_serial(&self) -> Vec<u8> {
        asn1::sequence(&[self.issuer, &asn1::value(tag::INTEGER, &[self.serial])])
    }

    /// Is this the certificate an encoded IssuerAndSerialNumber names?
    pub(crate) fn is_named_by(&self, issuer_and_serial: &[u8]) -> bool {
        self.issuer_and_serial() == issuer_and_serial
    }

    /// The public key's algorithm.
    pub(crate) fn key_type(&self) -> Result<KeyType, Malformed> {
        use crate::algorithm::{Algorithm, oid};
        let algorithm = Reader::new(self.public_key).expect(tag::SEQUENCE)?.reader().value()?;
        let algorithm = Algorithm::read(&algorithm)?;
        Ok(match algorithm.oid {
            oid::RSA_ENCRYPTION => KeyType::Rsa,
            oid::ID_EC_PUBLIC_KEY => match algorithm.parameters.and_then(|value| value.object_identifier().ok()) {
                Some(oid::SECP256R1) => KeyType::P256,
                Some(oid::SECP384R1) => KeyType::P384,
                _ => KeyType::Other,
            },
            _ => KeyType::Other,
        })
    }

    /// The RSA modulus without leading zeros.
    pub(crate) fn rsa_modulus(&self) -> Result<&'a [u8], Malformed> {
        let mut info = Reader::new(self.public_key).expect(tag::SEQUENCE)?.reader();
        info.expect(tag::SEQUENCE)?;
        let bits = info.expect(tag::BIT_STRING)?.content;
        let key = bits.strip_prefix(&[0]).ok_or(Malformed)?;
        let mut modulus = asn1::single(key, tag::SEQUENCE)?.reader().expect(tag::INTEGER)?.content;
        while let Some(rest) = modulus.strip_prefix(&[0]) {
            modulus = rest;
        }
        Ok(modulus)
    }
}

/// Kinds of public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyType {
    Rsa,
    P256,
    P384,
    Other,
}

fn parse(certificate: &[u8]) -> Result<x509_cert::Certificate, PathError> {
    if certificate.len() > bounds::CERTIFICATE {
        return Err(PathError::Malformed);
    }
    x509_cert::Certificate::from_der(certificate).map_err(|_| PathError::Malformed)
}

fn extension<T>(certificate: &x509_cert::Certificate) -> Result<Option<T>, PathError>
where
    T: for<'a> Decode<'a, Error = der::Error> + AssociatedOid,
{
    match certificate.tbs_certificate().get_extension::<T>() {
        Ok(found) => Ok(found.map(|(_, value)| value)),
        Err(_) => Err(PathError::Malformed),
    }
}

/// The mail addresses a certificate speaks for: its rfc822Names (RFC 8550 3). None if it cannot be read.
pub fn addresses(certificate: &[u8]) -> Vec<String> {
    parse(certificate)
        .and_then(|certificate| extension::<SubjectAltName>(&certificate))
        .ok()
        .flatten()
        .map(|names| {
            names
                .0
                .iter()
                .filter_map(|name| match name {
                    GeneralName::Rfc822Name(address) => Some(address.as_str().to_owned()),
                    _ => None,
                })
                .collect()
        })
        .unwrap_or_default()
}

/// The subject's commonName, the name a screen shows.
pub fn common_name(certificate: &[u8]) -> Option<String> {
    let certificate = parse(certificate).ok()?;
    let name = certificate.tbs_certificate().subject().common_name().ok()??;
    Some(name.value().into_owned())
}

/// notBefore and notAfter.
pub fn validity(certificate: &[u8]) -> Result<(SystemTime, SystemTime), PathError> {
    let certificate = parse(certificate)?;
    let validity = certificate.tbs_certificate().validity();
    Ok((validity.not_before.to_system_time(), validity.not_after.to_system_time()))
}

/// The serial number's content octets, most significant first.
pub fn serial(certificate: &[u8]) -> Result<Vec<u8>, PathError> {
    Ok(Fields::of(certificate)?.serial.to_vec())
}

/// The subjectKeyIdentifier, if the certificate bears one.
pub(crate) fn subject_key_identifier(certificate: &[u8]) -> Option<Vec<u8>> {
    let certificate = parse(certificate).ok()?;
    let identifier = extension::<SubjectKeyIdentifier>(&certificate).ok()??;
    Some(identifier.0.as_bytes().to_vec())
}

/// Does keyUsage allow it (RFC 8550 4.4.2)? A certificate without the extension allows everything.
pub fn allows(certificate: &[u8], purpose: Use) -> Result<bool, PathError> {
    let parsed = parse(certificate)?;
    let Some(usage) = extension::<KeyUsage>(&parsed)? else { return Ok(true) };
    Ok(match purpose {
        Use::Sign => usage.digital_signature() || usage.non_repudiation(),
        Use::Encrypt => match Fields::of(certificate)?.key_type()? {
            KeyType::Rsa => usage.key_encipherment(),
            _ => usage.key_agreement(),
        },
    })
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
    let parsed = parse(certificate)?;
    let anchors_der: Vec<CertificateDer<'_>> = anchors.iter().map(|anchor| anchor.as_slice().into()).collect();
    let mut trusted = Vec::with_capacity(anchors_der.len());
    for anchor in &anchors_der {
        trusted.push(anchor_from_trusted_cert(anchor).map_err(|_| PathError::BadAnchor)?);
    }
    let intermediates: Vec<CertificateDer<'_>> =
        intermediates.iter().take(bounds::CERTIFICATES).map(|between| between.as_slice().into()).collect();
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| PathError::NotYetValid)?;
    let octets = CertificateDer::from(certificate);
    EndEntityCert::try_from(&octets)
        .map_err(rule)?
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &trusted,
            &intermediates,
            UnixTime::since_unix_epoch(since_epoch),
            ExtendedUse::required_if_present(EMAIL_PROTECTION_OCTETS),
            None,
            None,
        )
        .map_err(rule)?;
    // webpki asks it of the whole path or of none; intermediates seldom bear the extension, the leaf has to.
    let for_mail = extension::<ExtendedKeyUsage>(&parsed)?.is_some_and(|uses| uses.0.contains(&EMAIL_PROTECTION));
    if for_mail && allows(certificate, purpose)? { Ok(()) } else { Err(PathError::WrongUse) }
}

fn rule(error: webpki::Error) -> PathError {
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } => PathError::Expired,
        E::CertNotValidYet { .. } => PathError::NotYetValid,
        E::UnknownIssuer | E::InvalidSignatureForPublicKey => PathError::UnknownIssuer,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension | E::CaUsedAsEndEntity => PathError::WrongUse,
        E::BadDer | E::BadDerTime | E::TrailingData(_) | E::MalformedExtensions => PathError::Malformed,
        other => PathError::Rule(format!("{other:?}")),
    }
}

/// Does the certificate speak for `address`?
pub fn speaks_for(certificate: &[u8], address: &str) -> bool {
    addresses(certificate).iter().any(|own| crate::same_address(own, address))
}

/// The issuer's name as text (RFC 4514), for logs and `diagnose`.
pub fn issuer(certificate: &[u8]) -> Result<String, PathError> {
    Ok(parse(certificate)?.tbs_certificate().issuer().to_string())
}
