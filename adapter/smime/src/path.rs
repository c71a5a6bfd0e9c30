//! Certificates: whose they are, what they serve for, and their path to an anchor (RFC 8550, RFC 5280).

mod validation;

use crate::asn1::{self, Malformed, Reader, tag};
use crate::bounds;
use const_oid::AssociatedOid;
use der::Decode;
use std::time::SystemTime;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{KeyUsage, SubjectAltName, SubjectKeyIdentifier};

pub use validation::{PathError, check_anchor, check_path};

/// What a certificate is to serve for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Signing mail: digitalSignature or nonRepudiation.
    Sign,
    /// Having mail sealed for its holder: keyEncipherment, or keyAgreement for elliptic curves.
    Encrypt,
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

    /// subjectPublicKey's octets.
    fn key_octets(&self) -> Result<&'a [u8], Malformed> {
        let mut info = Reader::new(self.public_key).expect(tag::SEQUENCE)?.reader();
        info.expect(tag::SEQUENCE)?;
        let bits = info.expect(tag::BIT_STRING)?.content;
        bits.strip_prefix(&[0]).ok_or(Malformed)
    }

    /// The key of a P-256 certificate, which is on the curve and not at infinity (RFC 5480 2.2).
    pub(crate) fn p256_point(&self) -> Result<p256::PublicKey, Malformed> {
        p256::PublicKey::from_sec1_bytes(self.key_octets()?).map_err(|_| Malformed)
    }

    /// The RSA modulus without leading zeros.
    pub(crate) fn rsa_modulus(&self) -> Result<&'a [u8], Malformed> {
        let mut modulus = asn1::single(self.key_octets()?, tag::SEQUENCE)?.reader().expect(tag::INTEGER)?.content;
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

/// The certified key as a SubjectPublicKeyInfo, DER.
pub fn public_key(certificate: &[u8]) -> Result<Vec<u8>, PathError> {
    Ok(Fields::of(certificate)?.public_key.to_vec())
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

/// Does the certificate speak for `address`?
pub fn speaks_for(certificate: &[u8], address: &str) -> bool {
    addresses(certificate).iter().any(|own| crate::same_address(own, address))
}

/// The issuer's name as text (RFC 4514), for logs and `diagnose`.
pub fn issuer(certificate: &[u8]) -> Result<String, PathError> {
    Ok(parse(certificate)?.tbs_certificate().issuer().to_string())
}
