//! KeyAgreeRecipientInfo: the content key under a key that an ephemeral P-256 key of the sender and the recipient's own
//! agree on (RFC 5652 6.2.2, RFC 5753 3.1; KDF of ANSI X9.63 as in SEC 1 3.6.1; AES key wrap of RFC 3394).
//!
//! The card multiplies whatever point it is shown by its key, so a point is looked at first: one that is not on the
//! curve would let its maker read the key off the answers (invalid-curve attack). A wrapped key that fails its
//! integrity check is, as with RSA padding, no error but another key (implicit rejection), so that all that can go wrong
//! with a key goes wrong at the content's tag.

use crate::algorithm::{Algorithm, Hash, oid};
use crate::asn1::{self, Malformed, Value, tag};
use crate::bounds;
use crate::error::{OpenError, SealError};
use crate::path::Fields;
use crate::rsa_padding;
use aes_kw::{AesKw, KeyInit, KwAes128, KwAes192, KwAes256};
use der::asn1::ObjectIdentifier;
use p256::PublicKey;
use p256::ecdh::EphemeralSecret;
use p256::elliptic_curve::Generate;
use p256::elliptic_curve::sec1::ToSec1Point;
use rand_core::CryptoRng;
use subtle::Choice;
use zeroize::Zeroizing;

/// Octets of a coordinate, which is what a card answers.
const COORDINATE: usize = 32;

/// AES key wrap (RFC 3565 2.3.2), by the length of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyWrap {
    Aes128,
    Aes192,
    Aes256,
}

impl KeyWrap {
    fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        Some(match oid {
            oid::ID_AES128_WRAP => Self::Aes128,
            oid::ID_AES192_WRAP => Self::Aes192,
            oid::ID_AES256_WRAP => Self::Aes256,
            _ => return None,
        })
    }

    const fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// Wraps `key`; `None` if either key has a wrong length.
    fn wrap(self, wrapping: &[u8], key: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; key.len() + aes_kw::IV_LEN];
        match self {
            Self::Aes128 => KwAes128::new_from_slice(wrapping).ok()?.wrap_key(key, &mut out),
            Self::Aes192 => KwAes192::new_from_slice(wrapping).ok()?.wrap_key(key, &mut out),
            Self::Aes256 => KwAes256::new_from_slice(wrapping).ok()?.wrap_key(key, &mut out),
        }
        .ok()?;
        Some(out)
    }

    /// Unwraps a key of `length` octets; one that was not so wrapped yields others that its maker cannot foretell.
    /// `None` only for wrong lengths, which anybody can see.
    fn unwrap(self, wrapping: &[u8], wrapped: &[u8], length: usize) -> Option<Zeroizing<Vec<u8>>> {
        if wrapped.len() != length + aes_kw::IV_LEN {
            return None;
        }
        let mut key = Zeroizing::new(vec![0; length]);
        let good = match self {
            Self::Aes128 => KwAes128::new_from_slice(wrapping).ok()?.unwrap_key(wrapped, &mut key).is_ok(),
            Self::Aes192 => KwAes192::new_from_slice(wrapping).ok()?.unwrap_key(wrapped, &mut key).is_ok(),
            Self::Aes256 => KwAes256::new_from_slice(wrapping).ok()?.unwrap_key(wrapped, &mut key).is_ok(),
        };
        Some(rsa_padding::select(Choice::from(u8::from(good)), &key, wrapping, wrapped))
    }
}

// Compiled in only if the wrapping keys leave no trace in memory.
const _: fn() = || {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<AesKw<aes::Aes256>>();
};

/// The hash of a scheme's key derivation (RFC 5753 7.1.4). MQV and SHA-224 are not read.
fn derivation_hash(scheme: ObjectIdentifier) -> Option<Hash> {
    Some(match scheme {
        oid::STD_DH_SHA1KDF | oid::COFACTOR_DH_SHA1KDF => Hash::Sha1,
        oid::STD_DH_SHA256KDF | oid::COFACTOR_DH_SHA256KDF => Hash::Sha256,
        oid::STD_DH_SHA384KDF | oid::COFACTOR_DH_SHA384KDF => Hash::Sha384,
        oid::STD_DH_SHA512KDF | oid::COFACTOR_DH_SHA512KDF => Hash::Sha512,
        _ => return None,
    })
}

/// The key derivation function of ANSI X9.63 (SEC 1 3.6.1): `length` octets.
fn x963_kdf(shared_secret: &[u8], shared_info: &[u8], hash: Hash, length: usize) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(length.next_multiple_of(hash.length())));
    let mut counter = 1u32;
    while out.len() < length {
        let mut input = Zeroizing::new(Vec::with_capacity(shared_secret.len() + 4 + shared_info.len()));
        input.extend_from_slice(shared_secret);
        input.extend_from_slice(&counter.to_be_bytes());
        input.extend_from_slice(shared_info);
        out.extend_from_slice(&Zeroizing::new(hash.digest(&input)));
        counter += 1;
    }
    out.truncate(length);
    out
}

/// ECC-CMS-SharedInfo (RFC 5753 7.2): what the wrapping key is for.
fn shared_info(key_wrap_algorithm: &[u8], user_keying_material: Option<&[u8]>, wrap: KeyWrap) -> Vec<u8> {
    let bits = (wrap.key_length() as u32 * 8).to_be_bytes();
    let entity = user_keying_material.map(|ukm| asn1::value(tag::constructed(0), &[asn1::octet_string(ukm)]));
    asn1::sequence(&[
        key_wrap_algorithm,
        entity.as_deref().unwrap_or_default(),
        &asn1::value(tag::constructed(2), &[asn1::octet_string(&bits)]),
    ])
}

/// The content key for one recipient: dhSinglePass-stdDH-sha256kdf with AES-256 key wrap and an ephemeral key of its
/// own, so that nothing shows that two mails have a recipient in common.
pub(crate) fn make(
    content_key: &[u8],
    recipient: &Fields<'_>,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, SealError> {
    let theirs = recipient.p256_point().map_err(|_| SealError::Encryption)?;
    // Both secrets are wiped when they go out of scope.
    let ephemeral = EphemeralSecret::generate_from_rng(rng);
    let secret = ephemeral.diffie_hellman(&theirs);
    let wrap = KeyWrap::Aes256;
    let key_wrap_algorithm = asn1::algorithm(&oid::ID_AES256_WRAP, &[]);
    let info = shared_info(&key_wrap_algorithm, None, wrap);
    let wrapping = x963_kdf(secret.raw_secret_bytes(), &info, Hash::Sha256, wrap.key_length());
    let wrapped = wrap.wrap(&wrapping, content_key).ok_or(SealError::Encryption)?;

    let point = ephemeral.public_key().to_sec1_point(false);
    let public_key = asn1::value(tag::BIT_STRING, &[&[0], point.as_bytes()]);
    let originator_key = asn1::value(tag::constructed(1), &[asn1::algorithm(&oid::ID_EC_PUBLIC_KEY, &[]), public_key]);
    let encrypted_key = asn1::sequence(&[recipient.issuer_and_serial(), asn1::octet_string(&wrapped)]);
    Ok(asn1::value(
        tag::constructed(1),
        &[
            asn1::small_integer(3),
            asn1::value(tag::constructed(0), &[originator_key]),
            asn1::algorithm(&oid::STD_DH_SHA256KDF, &key_wrap_algorithm),
            asn1::sequence(&[encrypted_key]),
        ],
    ))
}

/// What one KeyAgreeRecipientInfo holds, before its algorithms are looked at: a mail may be for others too, whose keys
/// need not be of a kind we know.
#[derive(Debug)]
pub(crate) struct Info<'a> {
    originator: Value<'a>,
    user_keying_material: Option<&'a [u8]>,
    scheme: Algorithm<'a>,
    /// KeyAgreeRecipientIdentifier and encryptedKey of each recipient.
    pub(crate) keys: Vec<(Value<'a>, &'a [u8])>,
}

impl<'a> Info<'a> {
    pub(crate) fn read(recipient: &Value<'a>) -> Result<Self, Malformed> {
        let mut info = recipient.reader();
        info.expect(tag::INTEGER)?;
        let mut originator = info.expect(tag::constructed(0))?.reader();
        let choice = originator.value()?;
        originator.end()?;
        let user_keying_material = match info.optional(tag::constructed(1))? {
            Some(explicit) => Some(asn1::single(explicit.content, tag::OCTET_STRING)?.content),
            None => None,
        };
        if user_keying_material.is_some_and(|ukm| ukm.len() > bounds::USER_KEYING_MATERIAL) {
            return Err(Malformed);
        }
        let scheme = Algorithm::read(&info.value()?)?;
        let keys = info.expect(tag::SEQUENCE)?.reader().all(bounds::RECIPIENTS)?;
        info.end()?;
        let keys = keys.iter().map(|key| {
            let mut key = asn1::single(key.whole, tag::SEQUENCE)?.reader();
            let rid = key.value()?;
            let encrypted_key = key.expect(tag::OCTET_STRING)?.content;
            key.end()?;
            Ok((rid, encrypted_key))
        });
        let keys = keys.collect::<Result<_, Malformed>>()?;
        Ok(Self { originator: choice, user_keying_material, scheme, keys })
    }

    /// The agreement with the recipient to whom `encrypted_key` belongs.
    pub(crate) fn agreement(&self, encrypted_key: &'a [u8]) -> Result<KeyAgreement<'a>, OpenError> {
        let refused = |oid: ObjectIdentifier| OpenError::Algorithm(oid.to_string());
        let hash = derivation_hash(self.scheme.oid).ok_or_else(|| refused(self.scheme.oid))?;
        let key_wrap = self.scheme.parameters.ok_or(OpenError::Malformed)?;
        let algorithm = Algorithm::read(&key_wrap).map_err(|_| OpenError::Malformed)?;
        let wrap = KeyWrap::from_oid(algorithm.oid).ok_or_else(|| refused(algorithm.oid))?;
        // AES key wrap has no parameters; some write NULL, and have to be taken at their word when the key is derived.
        if algorithm.parameters.is_some_and(|value| value.tag != tag::NULL || !value.content.is_empty()) {
            return Err(refused(algorithm.oid));
        }
        Ok(KeyAgreement {
            point: self.ephemeral_point()?,
            hash,
            wrap,
            shared_info: shared_info(key_wrap.whole, self.user_keying_material, wrap),
            encrypted_key,
        })
    }

    /// OriginatorPublicKey (RFC 5753 3.1.1): the octets of a point, whatever they are worth.
    fn ephemeral_point(&self) -> Result<&'a [u8], OpenError> {
        if self.originator.tag != tag::constructed(1) {
            return Err(OpenError::Algorithm("key agreement with a lasting key of the sender".to_owned()));
        }
        let read = || -> Result<(Algorithm<'a>, &'a [u8]), Malformed> {
            let mut key = self.originator.reader();
            let algorithm = Algorithm::read(&key.value()?)?;
            let bits = key.expect(tag::BIT_STRING)?.content;
            key.end()?;
            Ok((algorithm, bits.strip_prefix(&[0]).ok_or(Malformed)?))
        };
        let (algorithm, point) = read().map_err(|_| OpenError::Malformed)?;
        if algorithm.oid != oid::ID_EC_PUBLIC_KEY {
            return Err(OpenError::Algorithm(algorithm.oid.to_string()));
        }
        // Absent, NULL (of old), or the recipient's own curve by its name; never a curve spelled out.
        match algorithm.parameters {
            None => Ok(point),
            Some(value) if value.tag == tag::NULL && value.content.is_empty() => Ok(point),
            Some(value) => match value.object_identifier() {
                Ok(oid::SECP256R1) => Ok(point),
                Ok(other) => Err(OpenError::Algorithm(other.to_string())),
                Err(_) => Err(OpenError::Algorithm("an elliptic curve without name".to_owned())),
            },
        }
    }
}

/// Key agreement with one recipient.
#[derive(Debug)]
pub(crate) struct KeyAgreement<'a> {
    point: &'a [u8],
    hash: Hash,
    wrap: KeyWrap,
    shared_info: Vec<u8>,
    encrypted_key: &'a [u8],
}

impl KeyAgreement<'_> {
    /// The sender's ephemeral point for the card, uncompressed. `None` if it is no point of the curve, or infinity:
    /// such octets never reach a card.
    pub(crate) fn block(&self) -> Option<Vec<u8>> {
        let well_formed = matches!((self.point.first()?, self.point.len()), (4, 65) | (2 | 3, 33));
        let point = PublicKey::from_sec1_bytes(self.point).ok().filter(|_| well_formed)?;
        Some(point.to_sec1_point(false).as_bytes().to_vec())
    }

    /// The content key of `length` octets from the shared coordinate that the card answered.
    pub(crate) fn content_key(&self, answer: &[u8], length: usize) -> Option<Zeroizing<Vec<u8>>> {
        if answer.len() != COORDINATE {
            return None;
        }
        let wrapping = x963_kdf(answer, &self.shared_info, self.hash, self.wrap.key_length());
        self.wrap.unwrap(&wrapping, self.encrypted_key, length)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits = text.as_bytes().chunks(2).map(|two| core::str::from_utf8(two).unwrap());
        digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect()
    }

    /// Made by `openssl kdf -keylen 32 -kdfopt digest:... -kdfopt hexsecret:0001..1f -kdfopt hexinfo:6066 X963KDF`.
    #[test]
    fn the_key_derivation_function() {
        let secret: Vec<u8> = (0..32).collect();
        for (hash, expected) in [
            (Hash::Sha1, "a661319dbf729dddc1114b666a0bc83e11d9cfdc546aabcc79581f9ee4352f52"),
            (Hash::Sha256, "cb5475d941dde4a3cf6d03337651759c54e5403de3e3d9788d726045e23a2456"),
            (Hash::Sha384, "e576ee0a50b3516ba0e6a1f6d10b30502c30935f762a26c023908a0964bcfebc"),
            (Hash::Sha512, "04056ac70b114e931e0473b5c8d055c6784f7c7aff2e532bc38c6ca5d37d6fd5"),
        ] {
            let expected = hex(expected);
            for length in [16, 24, 32] {
                assert_eq!(*x963_kdf(&secret, &[0x60, 0x66], hash, length), expected[..length], "{hash:?} {length}");
            }
        }
    }

    /// RFC 3394 4.1, 4.4 and 4.6.
    #[test]
    fn key_wrap() {
        let key = hex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f");
        let wrapping: Vec<u8> = (0..32).collect();
        for (wrap, length, expected) in [
            (KeyWrap::Aes128, 16, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
            (KeyWrap::Aes192, 24, "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2"),
            (KeyWrap::Aes256, 32, "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"),
        ] {
            let (wrapping, key) = (&wrapping[..length], &key[..length]);
            let wrapped = wrap.wrap(wrapping, key).unwrap();
            assert_eq!(wrapped, hex(expected), "{wrap:?}");
            assert_eq!(*wrap.unwrap(wrapping, &wrapped, length).unwrap(), *key);
            // A changed one gives another key, always the same, and never zeros.
            let mut changed = wrapped.clone();
            changed[3] ^= 1;
            let other = wrap.unwrap(wrapping, &changed, length).unwrap();
            assert!(*other != *key && *other != vec![0; length]);
            assert_eq!(*wrap.unwrap(wrapping, &changed, length).unwrap(), *other);
            assert!(wrap.unwrap(wrapping, &wrapped[8..], length).is_none());
            assert!(wrap.unwrap(&wrapping[1..], &wrapped, length).is_none());
        }
    }

    /// The example of RFC 5753 7.2 has no figures; this is its structure, by hand.
    #[test]
    fn what_the_wrapping_key_is_for() {
        let algorithm = asn1::algorithm(&oid::ID_AES128_WRAP, &[]);
        let expected = "3015300b0609608648016503040105a206040400000080";
        assert_eq!(shared_info(&algorithm, None, KeyWrap::Aes128), hex(expected));
        let expected = "301d300b0609608648016503040105a006040461626364a206040400000080";
        assert_eq!(shared_info(&algorithm, Some(b"abcd"), KeyWrap::Aes128), hex(expected));
    }
}
