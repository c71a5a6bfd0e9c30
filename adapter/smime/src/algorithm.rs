//! Algorithms by their object identifiers, and the floor below which none is accepted (RFC 8551 2, RFC 5753, RFC 5754).

use crate::asn1::{self, Malformed, Value, tag};
use der::asn1::ObjectIdentifier;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Object identifiers, under the names their standards give them.
pub(crate) mod oid {
    use super::ObjectIdentifier;

    const fn oid(text: &str) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(text)
    }

    pub(crate) const ID_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.1");
    pub(crate) const ID_SIGNED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.2");
    pub(crate) const ID_ENVELOPED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.3");
    pub(crate) const ID_CT_AUTH_ENVELOPED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.9.16.1.23");

    pub(crate) const ID_CONTENT_TYPE: ObjectIdentifier = oid("1.2.840.113549.1.9.3");
    pub(crate) const ID_MESSAGE_DIGEST: ObjectIdentifier = oid("1.2.840.113549.1.9.4");
    pub(crate) const ID_SIGNING_TIME: ObjectIdentifier = oid("1.2.840.113549.1.9.5");
    pub(crate) const ID_AA_SIGNING_CERTIFICATE_V2: ObjectIdentifier = oid("1.2.840.113549.1.9.16.2.47");
    // RFC 2634.
    pub(crate) const ID_CT_RECEIPT: ObjectIdentifier = oid("1.2.840.113549.1.9.16.1.1");
    pub(crate) const ID_AA_RECEIPT_REQUEST: ObjectIdentifier = oid("1.2.840.113549.1.9.16.2.1");
    pub(crate) const ID_AA_MSG_SIG_DIGEST: ObjectIdentifier = oid("1.2.840.113549.1.9.16.2.5");
    /// KIM's recipient-emails.
    pub(crate) const RECIPIENT_EMAILS: ObjectIdentifier = oid("1.2.276.0.76.4.173");

    pub(crate) const RSA_ENCRYPTION: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
    pub(crate) const ID_RSAES_OAEP: ObjectIdentifier = oid("1.2.840.113549.1.1.7");
    pub(crate) const ID_MGF1: ObjectIdentifier = oid("1.2.840.113549.1.1.8");
    pub(crate) const ID_P_SPECIFIED: ObjectIdentifier = oid("1.2.840.113549.1.1.9");
    pub(crate) const ID_RSASSA_PSS: ObjectIdentifier = oid("1.2.840.113549.1.1.10");
    pub(crate) const SHA256_WITH_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.11");
    pub(crate) const SHA384_WITH_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.12");
    pub(crate) const SHA512_WITH_RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.13");
    pub(crate) const ID_EC_PUBLIC_KEY: ObjectIdentifier = oid("1.2.840.10045.2.1");
    pub(crate) const SECP256R1: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
    pub(crate) const SECP384R1: ObjectIdentifier = oid("1.3.132.0.34");
    pub(crate) const ECDSA_WITH_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");
    pub(crate) const ECDSA_WITH_SHA384: ObjectIdentifier = oid("1.2.840.10045.4.3.3");
    pub(crate) const ECDSA_WITH_SHA512: ObjectIdentifier = oid("1.2.840.10045.4.3.4");

    // RFC 5753 7.1.4. The curves read here have cofactor 1, so both primitives give the same secret.
    pub(crate) const STD_DH_SHA1KDF: ObjectIdentifier = oid("1.3.133.16.840.63.0.2");
    pub(crate) const STD_DH_SHA256KDF: ObjectIdentifier = oid("1.3.132.1.11.1");
    pub(crate) const STD_DH_SHA384KDF: ObjectIdentifier = oid("1.3.132.1.11.2");
    pub(crate) const STD_DH_SHA512KDF: ObjectIdentifier = oid("1.3.132.1.11.3");
    pub(crate) const COFACTOR_DH_SHA1KDF: ObjectIdentifier = oid("1.3.133.16.840.63.0.3");
    pub(crate) const COFACTOR_DH_SHA256KDF: ObjectIdentifier = oid("1.3.132.1.14.1");
    pub(crate) const COFACTOR_DH_SHA384KDF: ObjectIdentifier = oid("1.3.132.1.14.2");
    pub(crate) const COFACTOR_DH_SHA512KDF: ObjectIdentifier = oid("1.3.132.1.14.3");

    // RFC 3565 2.3.2.
    pub(crate) const ID_AES128_WRAP: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.5");
    pub(crate) const ID_AES192_WRAP: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.25");
    pub(crate) const ID_AES256_WRAP: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.45");

    pub(crate) const ID_SHA1: ObjectIdentifier = oid("1.3.14.3.2.26");
    pub(crate) const ID_SHA256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
    pub(crate) const ID_SHA384: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.2");
    pub(crate) const ID_SHA512: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.3");

    pub(crate) const AES128_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.2");
    pub(crate) const AES128_GCM: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.6");
    pub(crate) const AES192_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.22");
    pub(crate) const AES256_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.42");
    pub(crate) const AES256_GCM: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.46");
    /// OIW's desCBC.
    pub(crate) const DES_CBC: ObjectIdentifier = oid("1.3.14.3.2.7");
    pub(crate) const DES_EDE3_CBC: ObjectIdentifier = oid("1.2.840.113549.3.7");
}

/// An AlgorithmIdentifier as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Algorithm<'a> {
    pub(crate) oid: ObjectIdentifier,
    pub(crate) parameters: Option<Value<'a>>,
}

impl<'a> Algorithm<'a> {
    pub(crate) fn read(value: &Value<'a>) -> Result<Self, Malformed> {
        if value.tag != tag::SEQUENCE {
            return Err(Malformed);
        }
        let mut reader = value.reader();
        let oid = reader.value()?.object_identifier()?;
        let parameters = if reader.is_empty() { None } else { Some(reader.value()?) };
        reader.end()?;
        Ok(Self { oid, parameters })
    }
}

/// A one-way hash function. SHA-1 serves only in OAEP and key derivation, where it need not resist collisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Hash {
    /// FIPS 180-4, 160 bits; never for signatures.
    Sha1,
    /// FIPS 180-4, 256 bits.
    Sha256,
    /// FIPS 180-4, 384 bits.
    Sha384,
    /// FIPS 180-4, 512 bits.
    Sha512,
}

impl Hash {
    pub(crate) fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|hash| hash.oid() == oid)
    }

    pub(crate) fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => oid::ID_SHA1,
            Self::Sha256 => oid::ID_SHA256,
            Self::Sha384 => oid::ID_SHA384,
            Self::Sha512 => oid::ID_SHA512,
        }
    }

    /// Octets of a digest.
    pub fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The digest of `octets`.
    pub fn digest(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => sha1::Sha1::digest(octets).to_vec(),
            Self::Sha256 => Sha256::digest(octets).to_vec(),
            Self::Sha384 => Sha384::digest(octets).to_vec(),
            Self::Sha512 => Sha512::digest(octets).to_vec(),
        }
    }

    /// May a signature rest on it? (RFC 8551 2.1: SHA-256 and above.)
    pub(crate) fn signs(self) -> bool {
        self != Self::Sha1
    }
}

/// Digests of one content, made while it goes by: SHA-256 always, others where they are asked for.
#[derive(Clone)]
pub(crate) struct Digesting {
    sha256: Sha256,
    sha384: Option<Sha384>,
    sha512: Option<Sha512>,
}

impl Digesting {
    pub(crate) fn new(also: &[Hash]) -> Self {
        Self {
            sha256: Sha256::new(),
            sha384: also.contains(&Hash::Sha384).then(Sha384::new),
            sha512: also.contains(&Hash::Sha512).then(Sha512::new),
        }
    }

    pub(crate) fn update(&mut self, octets: &[u8]) {
        self.sha256.update(octets);
        if let Some(hash) = &mut self.sha384 {
            hash.update(octets);
        }
        if let Some(hash) = &mut self.sha512 {
            hash.update(octets);
        }
    }

    pub(crate) fn finish(self) -> Digests {
        Digests {
            sha256: self.sha256.finalize().into(),
            sha384: self.sha384.map(|hash| hash.finalize().to_vec()),
            sha512: self.sha512.map(|hash| hash.finalize().to_vec()),
        }
    }
}

/// See [`Digesting`].
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) sha256: [u8; 32],
    sha384: Option<Vec<u8>>,
    sha512: Option<Vec<u8>>,
}

impl Digests {
    /// Of content that is in memory.
    pub(crate) fn of(content: &[u8], also: &[Hash]) -> Self {
        let mut digesting = Digesting::new(also);
        digesting.update(content);
        digesting.finish()
    }

    pub(crate) fn get(&self, hash: Hash) -> Option<&[u8]> {
        match hash {
            Hash::Sha1 => None,
            Hash::Sha256 => Some(&self.sha256),
            Hash::Sha384 => self.sha384.as_deref(),
            Hash::Sha512 => self.sha512.as_deref(),
        }
    }
}

/// The hash in `[number] EXPLICIT AlgorithmIdentifier DEFAULT sha1` of OAEP and PSS parameters.
fn tagged_hash(value: Option<Value<'_>>) -> Result<Option<Hash>, Malformed> {
    let Some(value) = value else { return Ok(Some(Hash::Sha1)) };
    let algorithm = Algorithm::read(&asn1::single(value.content, tag::SEQUENCE)?)?;
    Ok(Hash::from_oid(algorithm.oid))
}

/// The hash of MGF1 in the same place.
fn tagged_mask(value: Option<Value<'_>>) -> Result<Option<Hash>, Malformed> {
    let Some(value) = value else { return Ok(Some(Hash::Sha1)) };
    let algorithm = Algorithm::read(&asn1::single(value.content, tag::SEQUENCE)?)?;
    if algorithm.oid != oid::ID_MGF1 {
        return Ok(None);
    }
    let inner = Algorithm::read(&algorithm.parameters.ok_or(Malformed)?)?;
    Ok(Hash::from_oid(inner.oid))
}

/// RSAES-OAEP-params (RFC 8017 A.2.1): hash and mask hash; `None` for what we do not know, a label among it.
pub(crate) fn oaep_parameters(parameters: Option<Value<'_>>) -> Result<Option<(Hash, Hash)>, Malformed> {
    let Some(value) = parameters.filter(|value| value.tag == tag::SEQUENCE) else { return Err(Malformed) };
    let mut reader = value.reader();
    let hash = tagged_hash(reader.optional(tag::constructed(0))?)?;
    let mask = tagged_mask(reader.optional(tag::constructed(1))?)?;
    let mut label_is_empty = true;
    if let Some(source) = reader.optional(tag::constructed(2))? {
        let source = Algorithm::read(&asn1::single(source.content, tag::SEQUENCE)?)?;
        label_is_empty =
            source.oid == oid::ID_P_SPECIFIED && source.parameters.is_none_or(|label| label.content.is_empty());
    }
    reader.end()?;
    Ok(hash.zip(mask).filter(|_| label_is_empty))
}

/// RSASSA-PSS-params (RFC 8017 A.2.3): hash, mask hash, octets of salt.
pub(crate) fn pss_parameters(parameters: Option<Value<'_>>) -> Result<Option<(Hash, Hash, usize)>, Malformed> {
    let Some(value) = parameters.filter(|value| value.tag == tag::SEQUENCE) else { return Err(Malformed) };
    let mut reader = value.reader();
    let hash = tagged_hash(reader.optional(tag::constructed(0))?)?;
    let mask = tagged_mask(reader.optional(tag::constructed(1))?)?;
    let salt = match reader.optional(tag::constructed(2))? {
        None => 20,
        Some(salt) => match asn1::single(salt.content, tag::INTEGER)?.content {
            [octet] if *octet < 0x80 => usize::from(*octet),
            [high, low] if *high < 0x80 => usize::from(*high) << 8 | usize::from(*low),
            _ => return Err(Malformed),
        },
    };
    if let Some(trailer) = reader.optional(tag::constructed(3))?
        && asn1::single(trailer.content, tag::INTEGER)?.content != [1]
    {
        return Ok(None);
    }
    reader.end()?;
    Ok(hash.zip(mask).map(|(hash, mask)| (hash, mask, salt)))
}

/// RSAES-OAEP with SHA-256 and MGF1-SHA-256 as an AlgorithmIdentifier (RFC 3560 4, RFC 8017 A.2.1).
pub(crate) fn oaep_sha256() -> Vec<u8> {
    let sha256 = asn1::algorithm(&oid::ID_SHA256, &asn1::value::<[u8; 0]>(tag::NULL, &[]));
    let mgf1 = asn1::algorithm(&oid::ID_MGF1, &sha256);
    let parameters =
        asn1::sequence(&[asn1::value(tag::constructed(0), &[sha256]), asn1::value(tag::constructed(1), &[mgf1])]);
    asn1::algorithm(&oid::ID_RSAES_OAEP, &parameters)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn oaep_parameters_read_back() {
        let written = oaep_sha256();
        let read = Algorithm::read(&asn1::single(&written, tag::SEQUENCE).unwrap()).unwrap();
        assert_eq!(read.oid, oid::ID_RSAES_OAEP);
        assert_eq!(oaep_parameters(read.parameters).unwrap(), Some((Hash::Sha256, Hash::Sha256)));
    }

    #[test]
    fn empty_parameters_mean_sha1() {
        let empty = asn1::sequence::<[u8; 0]>(&[]);
        let value = asn1::single(&empty, tag::SEQUENCE).unwrap();
        assert_eq!(oaep_parameters(Some(value)).unwrap(), Some((Hash::Sha1, Hash::Sha1)));
        assert_eq!(pss_parameters(Some(value)).unwrap(), Some((Hash::Sha1, Hash::Sha1, 20)));
    }
}
