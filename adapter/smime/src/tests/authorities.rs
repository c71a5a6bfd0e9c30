//! Certificate authorities for tests: any certificate, right or wrong, octet by octet (RFC 5280 4.1).

use crate::algorithm::oid;
use crate::asn1::{self, tag};
use der::asn1::ObjectIdentifier;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Noon of 26 November 2026: when everything is looked at.
pub(super) fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_694_400)
}

/// A key that follows from a name.
fn key(name: &str) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&Sha256::digest(name)).unwrap()
}

fn id(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

fn extension(number: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    asn1::sequence(&[asn1::object_identifier(&id(number)).as_slice(), critical, &asn1::octet_string(value)])
}

pub(super) fn basic_constraints(path_length: Option<u8>) -> Vec<u8> {
    let length = path_length.map(asn1::small_integer).unwrap_or_default();
    extension("2.5.29.19", true, &asn1::sequence(&[&[1, 1, 0xff], length.as_slice()]))
}

pub(super) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(super) const KEY_AGREEMENT: u8 = 0x08;
pub(super) const KEY_CERT_SIGN: u8 = 0x04;
pub(super) const CRL_SIGN: u8 = 0x02;

pub(super) fn key_usage(bits: u8) -> Vec<u8> {
    let unused = bits.trailing_zeros() as u8;
    extension("2.5.29.15", true, &asn1::value(tag::BIT_STRING, &[[unused, bits]]))
}

pub(super) const EMAIL_PROTECTION: &str = "1.3.6.1.5.5.7.3.4";
pub(super) const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub(super) const ANY: &str = "2.5.29.37.0";

pub(super) fn extended_key_usage(purposes: &[&str]) -> Vec<u8> {
    let purposes: Vec<_> = purposes.iter().map(|purpose| asn1::object_identifier(&id(purpose))).collect();
    extension("2.5.29.37", false, &asn1::sequence(&purposes))
}

fn rfc822_name(address: &str) -> Vec<u8> {
    asn1::value(tag::context(1), &[address])
}

pub(super) fn mail_address(address: &str) -> Vec<u8> {
    extension("2.5.29.17", false, &asn1::sequence(&[rfc822_name(address)]))
}

/// permittedSubtrees or excludedSubtrees with one name (RFC 5280 4.2.1.10).
pub(super) fn name_constraints(excluded: bool, critical: bool, base: &[u8]) -> Vec<u8> {
    let subtrees = asn1::value(tag::constructed(u8::from(excluded)), &[asn1::sequence(&[base])]);
    extension("2.5.29.30", critical, &asn1::sequence(&[subtrees]))
}
pub(super) fn mail_base(base: &str) -> Vec<u8> {
    rfc822_name(base)
}
pub(super) fn dns_base(base: &str) -> Vec<u8> {
    asn1::value(tag::context(2), &[base])
}
pub(super) fn directory_base(name: &str) -> Vec<u8> {
    asn1::value(tag::constructed(4), &[distinguished_name(name)])
}

pub(super) fn unknown_extension(critical: bool) -> Vec<u8> {
    extension("1.3.6.1.4.1.55555.1", critical, &[5, 0])
}

fn distinguished_name(common_name: &str) -> Vec<u8> {
    let value = asn1::value(0x0c, &[common_name]);
    let attribute = asn1::sequence(&[asn1::object_identifier(&id("2.5.4.3")), value]);
    asn1::sequence(&[asn1::value(tag::SET, &[attribute])])
}

/// A certificate to be made. Names tell keys: who bears the same name has the same key, unless `key` says another.
#[derive(Clone)]
pub(super) struct Wanted<'a> {
    pub(super) subject: &'a str,
    pub(super) key: &'a str,
    pub(super) issuer: &'a str,
    /// Whose key signs.
    pub(super) signer: &'a str,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    pub(super) extensions: Vec<Vec<u8>>,
    /// signatureAlgorithm, which says what it likes.
    pub(super) algorithm: ObjectIdentifier,
}

/// Anchor, authority and person as they should be: each case of a table changes one thing.
pub(super) fn wanted<'a>(subject: &'a str, issuer: &'a str, extensions: Vec<Vec<u8>>) -> Wanted<'a> {
    Wanted {
        subject,
        key: subject,
        issuer,
        signer: issuer,
        not_before: noon() - 10 * DAY,
        not_after: noon() + 10 * DAY,
        extensions,
        algorithm: oid::ECDSA_WITH_SHA256,
    }
}

impl Wanted<'_> {
    pub(super) fn make(&self) -> Vec<u8> {
        let algorithm = asn1::algorithm(&self.algorithm, &[]);
        let curve = asn1::algorithm(&oid::ID_EC_PUBLIC_KEY, &asn1::object_identifier(&oid::SECP256R1));
        let point = key(self.key).verifying_key().to_sec1_point(false);
        let public_key = asn1::value(tag::BIT_STRING, &[&[0], point.as_bytes()]);
        let serial = asn1::value(tag::INTEGER, &[[0x40, self.subject.len() as u8]]);
        let extensions = if self.extensions.is_empty() {
            Vec::new()
        } else {
            asn1::value(tag::constructed(3), &[asn1::sequence(&self.extensions)])
        };
        let tbs = asn1::sequence(&[
            asn1::value(tag::constructed(0), &[asn1::small_integer(2)]),
            serial,
            algorithm.clone(),
            distinguished_name(self.issuer),
            asn1::sequence(&[asn1::time(self.not_before).unwrap(), asn1::time(self.not_after).unwrap()]),
            distinguished_name(self.subject),
            asn1::sequence(&[curve, public_key]),
            extensions,
        ]);
        let signature: p256::ecdsa::Signature = key(self.signer).sign_prehash(&Sha256::digest(&tbs)).unwrap();
        let signature = asn1::value(tag::BIT_STRING, &[&[0], signature.to_der().as_bytes()]);
        asn1::sequence(&[tbs, algorithm, signature])
    }
}
