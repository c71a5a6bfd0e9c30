//! The public key as the card tells it (NIST SP 800-73-5 part 2, 3.3.2, table 14), made into the SubjectPublicKeyInfo
//! that certificates and requests hold (RFC 5280, 4.1.2.7; RFC 3279, 2.3.1; RFC 5480, 2.1).

use super::{Algorithm, tlv};

/// rsaEncryption.
pub(super) const RSA_ENCRYPTION: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1];
/// id-ecPublicKey.
pub(super) const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];
/// secp256r1.
pub(super) const PRIME256V1: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];

const SEQUENCE: u32 = 0x30;
const INTEGER: u32 = 0x02;
const BIT_STRING: u32 = 0x03;
const NULL: u32 = 0x05;
const OBJECT_IDENTIFIER: u32 = 0x06;

/// Tags within the card's template.
const MODULUS: u32 = 0x81;
const EXPONENT: u32 = 0x82;
const POINT: u32 = 0x86;

/// The key in the content of template 7F49, in DER; or what is wrong with it.
pub(super) fn subject_public_key_info(algorithm: Algorithm, template: &[u8]) -> Result<Vec<u8>, &'static str> {
    let field =
        |tag| tlv::find(template, tag).map_err(tlv::TlvError::what)?.ok_or("a part of the public key is missing");
    match algorithm {
        Algorithm::Rsa2048 | Algorithm::Rsa3072 => {
            let (modulus, exponent) = (stripped(field(MODULUS)?), stripped(field(EXPONENT)?));
            let whole = modulus.len() == algorithm.block() && modulus.first().is_some_and(|first| *first >= 0x80);
            if !whole || modulus.last().is_none_or(|last| last.is_multiple_of(2)) {
                return Err("the modulus is not of the size that was asked for");
            }
            let odd = exponent.last().is_some_and(|last| !last.is_multiple_of(2));
            if !odd || exponent == [1] || exponent.len() > 8 {
                return Err("the public exponent cannot be used");
            }
            let mut key = Vec::new();
            integer(&mut key, modulus);
            integer(&mut key, exponent);
            Ok(info(RSA_ENCRYPTION, NULL, &[], &tlv::encode(SEQUENCE, &key)))
        }
        Algorithm::P256 => match field(POINT)? {
            point @ [0x04, ..] if point.len() == 65 => Ok(info(EC_PUBLIC_KEY, OBJECT_IDENTIFIER, PRIME256V1, point)),
            _ => Err("the public key is no uncompressed point"),
        },
    }
}

fn info(algorithm: &[u8], parameters: u32, value: &[u8], key: &[u8]) -> Vec<u8> {
    let mut identifier = Vec::new();
    tlv::write(&mut identifier, OBJECT_IDENTIFIER, algorithm);
    tlv::write(&mut identifier, parameters, value);
    let mut bits = vec![0];
    bits.extend_from_slice(key);
    let mut content = Vec::new();
    tlv::write(&mut content, SEQUENCE, &identifier);
    tlv::write(&mut content, BIT_STRING, &bits);
    tlv::encode(SEQUENCE, &content).to_vec()
}

/// An unsigned number without leading zeros.
fn stripped(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn integer(out: &mut Vec<u8>, number: &[u8]) {
    let mut value = Vec::with_capacity(number.len() + 1);
    if number.first().is_none_or(|first| *first >= 0x80) {
        value.push(0);
    }
    value.extend_from_slice(number);
    tlv::write(out, INTEGER, &value);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let mut template = Vec::new();
        tlv::write(&mut template, MODULUS, modulus);
        tlv::write(&mut template, EXPONENT, exponent);
        template
    }

    #[test]
    fn what_is_made_is_known_again() {
        for algorithm in [Algorithm::Rsa2048, Algorithm::Rsa3072] {
            let modulus = vec![0xC1; algorithm.block()];
            let info = subject_public_key_info(algorithm, &rsa(&modulus, &[1, 0, 1])).unwrap();
            assert_eq!(Algorithm::of_public_key(&info), Some(algorithm));
            // A card may write its numbers with a sign octet.
            let signed = [&[0], &modulus[..]].concat();
            assert_eq!(subject_public_key_info(algorithm, &rsa(&signed, &[0, 1, 0, 1])).unwrap(), info);
        }
        let template = tlv::encode(POINT, &[4; 65]);
        let info = subject_public_key_info(Algorithm::P256, &template).unwrap();
        assert_eq!(Algorithm::of_public_key(&info), Some(Algorithm::P256));
        assert_eq!(info.len(), 91);
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let good = vec![0xC1; 256];
        let mut even = good.clone();
        even[255] = 2;
        for (modulus, exponent) in [
            (&good[1..], &[3][..]),
            (&even[..], &[3]),
            (&good[..], &[]),
            (&good[..], &[1]),
            (&good[..], &[2]),
            (&[0x41; 256][..], &[3]),
            (&[][..], &[3]),
        ] {
            assert!(subject_public_key_info(Algorithm::Rsa2048, &rsa(modulus, exponent)).is_err());
        }
        assert!(subject_public_key_info(Algorithm::P256, &tlv::encode(POINT, &[2; 33])).is_err());
        assert!(subject_public_key_info(Algorithm::P256, &[]).is_err());
    }

    proptest! {
        #[test]
        fn noise_is_no_key(template in prop::collection::vec(any::<u8>(), 0..120)) {
            for algorithm in [Algorithm::Rsa2048, Algorithm::Rsa3072, Algorithm::P256] {
                prop_assert!(subject_public_key_info(algorithm, &template).is_err() || template.len() >= 67);
            }
        }
    }
}
