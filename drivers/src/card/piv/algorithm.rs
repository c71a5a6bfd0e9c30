//! Kinds of key on the card (NIST SP 800-78-5, table 7), and which one a certificate certifies.

use super::tlv;

/// What kind of key it is (NIST SP 800-78-5, table 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSA with a modulus of 2048 bits.
    Rsa2048,
    /// RSA with a modulus of 3072 bits.
    Rsa3072,
    /// ECC on the curve P-256.
    P256,
}

impl Algorithm {
    /// The algorithm identifier, P1 of GENERAL AUTHENTICATE.
    pub const fn identifier(self) -> u8 {
        match self {
            Self::Rsa2048 => 0x07,
            Self::Rsa3072 => 0x05,
            Self::P256 => 0x11,
        }
    }

    /// Octets of an RSA block, or of a coordinate.
    pub const fn block(self) -> usize {
        match self {
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
            Self::P256 => 32,
        }
    }

    /// The algorithm with this identifier; `None` if it is none of ours.
    pub const fn from_identifier(identifier: u8) -> Option<Self> {
        match identifier {
            0x07 => Some(Self::Rsa2048),
            0x05 => Some(Self::Rsa3072),
            0x11 => Some(Self::P256),
            _ => None,
        }
    }

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::P256 => "P-256",
        }
    }

    /// The algorithm of the key that an X.509 certificate in DER certifies; `None` if it is none of ours.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        const SEQUENCE: u32 = 0x30;
        const VERSION: u32 = 0xA0;
        let certificate = tlv::single(der, SEQUENCE).ok()?;
        let tbs = tlv::Reader::new(certificate).next()?.ok()?.value;
        // serialNumber, signature, issuer, validity, subject stand before the key (RFC 5280, 4.1).
        let key = tlv::Reader::new(tbs).flatten().filter(|field| field.tag != VERSION).nth(5)?.value;
        Self::of_key(key)
    }

    /// The algorithm of a SubjectPublicKeyInfo in DER (RFC 5280, 4.1.2.7); `None` if it is none of ours.
    pub fn of_public_key(der: &[u8]) -> Option<Self> {
        Self::of_key(tlv::single(der, 0x30).ok()?)
    }

    fn of_key(key: &[u8]) -> Option<Self> {
        const SEQUENCE: u32 = 0x30;
        const OID: u32 = 0x06;
        const BIT_STRING: u32 = 0x03;
        use super::public_key::{EC_PUBLIC_KEY, PRIME256V1, RSA_ENCRYPTION};
        let mut key = tlv::Reader::new(key).flatten();
        let algorithm = key.next().filter(|a| a.tag == SEQUENCE)?.value;
        let bits = key.next().filter(|b| b.tag == BIT_STRING)?.value;
        let mut algorithm = tlv::Reader::new(algorithm).flatten();
        match algorithm.next().filter(|oid| oid.tag == OID)?.value {
            RSA_ENCRYPTION => {
                let rsa = tlv::single(bits.strip_prefix(&[0])?, SEQUENCE).ok()?;
                let modulus = tlv::Reader::new(rsa).next()?.ok()?.value;
                let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
                [Self::Rsa2048, Self::Rsa3072].into_iter().find(|a| a.block() == modulus.len())
            }
            EC_PUBLIC_KEY => (algorithm.next()?.value == PRIME256V1).then_some(Self::P256),
            _ => None,
        }
    }
}
