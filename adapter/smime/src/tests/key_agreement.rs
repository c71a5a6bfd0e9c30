//! Attacks on KeyAgreeRecipientInfo: whatever is done to it, the card sees points of its curve only, and the mail opens
//! as it was or is refused (RFC 5753 3.1 and 9).

use super::people::*;
use crate::algorithm::oid;
use crate::asn1::{self, Value, tag};
use crate::*;
use proptest::prelude::*;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use zeroize::Zeroizing;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A mail of ours for Ichiro's P-256 card, as CMS octets.
fn sealed() -> &'static [u8] {
    static SEALED: OnceLock<Vec<u8>> = OnceLock::new();
    SEALED.get_or_init(|| {
        let sealed = block_on(seal(CONTENT, &signing(&sender()), &[ichiro_with(&agree())], &mut rng())).unwrap();
        mime::Entity::parse(&sealed.entity).unwrap().decoded().unwrap()
    })
}

fn parts(value: &Value<'_>) -> Vec<Vec<u8>> {
    value.reader().all(100).unwrap().iter().map(|part| part.whole.to_vec()).collect()
}

fn first(octets: &[u8]) -> Value<'_> {
    asn1::Reader::new(octets).value().unwrap()
}

/// The sealed mail with another KeyAgreeRecipientInfo, made of the fields of its own: version, originator,
/// keyEncryptionAlgorithm, recipientEncryptedKeys.
fn changed(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let (kind, content) = signed_data::read_content_info(sealed()).unwrap();
    let mut data = parts(&content);
    let set = data[1].clone();
    let mut fields = parts(&first(first(&set).content));
    change(&mut fields);
    data[1] = asn1::value(tag::SET, &[asn1::value(tag::constructed(1), &fields)]);
    signed_data::content_info(&kind, &asn1::sequence(&data))
}

/// An originator field around an OriginatorPublicKey.
fn originator(algorithm: &[u8], point: &[u8]) -> Vec<u8> {
    let bits = asn1::value(tag::BIT_STRING, &[&[0], point]);
    asn1::value(tag::constructed(0), &[asn1::value(tag::constructed(1), &[algorithm, &bits])])
}

fn ec_public_key(parameters: &[u8]) -> Vec<u8> {
    asn1::algorithm(&oid::ID_EC_PUBLIC_KEY, parameters)
}

/// The ephemeral point of the sealed mail.
fn point() -> Vec<u8> {
    let mut point = Vec::new();
    changed(|fields| point = fields[1][fields[1].len() - 65..].to_vec());
    point
}

/// Ichiro's card, counting what it is asked.
struct Counted(SoftwareKey, AtomicUsize);

#[async_trait::async_trait]
impl PrivateKey for Counted {
    fn certificate(&self) -> &[u8] {
        &self.0.certificate
    }
    async fn raw(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.raw(block).await
    }
}

/// What becomes of it, and how often the card was asked.
fn outcome(cms: &[u8]) -> (Result<(), OpenError>, usize) {
    let card = Counted(agree(), AtomicUsize::new(0));
    let opened = block_on(decrypt(&mime::pkcs7_mime("authEnveloped-data", cms), &card)).map(|_| ());
    (opened, card.1.load(Ordering::SeqCst))
}

fn refused(what: &str) -> Result<(), OpenError> {
    Err(OpenError::Algorithm(what.to_owned()))
}

#[test]
fn every_mail_has_an_ephemeral_key_of_its_own() {
    assert_eq!(outcome(sealed()), (Ok(()), 1));
    let seal_again = |rng: &mut rand_chacha::ChaCha20Rng| {
        let sealed = block_on(seal(CONTENT, &signing(&sender()), &[ichiro_with(&agree())], rng)).unwrap();
        mime::Entity::parse(&sealed.entity).unwrap().decoded().unwrap()
    };
    let mut rng = rng();
    let (one, two) = (seal_again(&mut rng), seal_again(&mut rng));
    assert_eq!(one, sealed());
    assert!(!two.windows(65).any(|window| window == point()));
}

#[test]
fn points_that_are_none_never_reach_the_card() {
    let good = point();
    let mut off_the_curve = good.clone();
    off_the_curve[64] ^= 1;
    let hybrid = [&[6 | (good[64] & 1)], &good[1..]].concat();
    let beyond_the_field = [&[4], [0xff; 64].as_slice()].concat();
    // x of a point of the twist: no y belongs to it.
    let twist = (0u8..).map(|x| [&[2], [0; 31].as_slice(), &[x]].concat());
    let twist = twist.into_iter().find(|point| p256::PublicKey::from_sec1_bytes(point).is_err()).unwrap();
    // A point of y^2 = x^3 - 3x + 0, where an answer would tell the key modulo a small number.
    let another_curve = [&[4], [0; 64].as_slice()].concat();
    for (name, point) in [
        ("infinity", vec![0]),
        ("infinity, padded", vec![0; 65]),
        ("empty", vec![]),
        ("short", good[..64].to_vec()),
        ("long", [good.as_slice(), &[0]].concat()),
        ("compact", [&[5], &good[1..33]].concat()),
        ("off the curve", off_the_curve),
        ("hybrid", hybrid),
        ("beyond the field", beyond_the_field),
        ("twist", twist),
        ("another curve", another_curve),
    ] {
        let cms = changed(|fields| fields[1] = originator(&ec_public_key(&[]), &point));
        assert_eq!(outcome(&cms), (Err(OpenError::CannotDecrypt), 0), "{name}");
    }
    // Another good point is a wrong key like any other; a compressed one is the same point.
    let base = p256::PublicKey::from_secret_scalar(&p256::NonZeroScalar::from_repr(one()).unwrap()).to_sec1_bytes();
    let cms = changed(|fields| fields[1] = originator(&ec_public_key(&[]), &base));
    assert_eq!(outcome(&cms), (Err(OpenError::CannotDecrypt), 1));
    let compressed = [&[2 | (good[64] & 1)], &good[1..33]].concat();
    let cms = changed(|fields| fields[1] = originator(&ec_public_key(&[]), &compressed));
    assert_eq!(outcome(&cms), (Ok(()), 1));
}

fn one() -> p256::FieldBytes {
    let mut one = p256::FieldBytes::default();
    one[31] = 1;
    one
}

#[test]
fn parameters_of_the_ephemeral_key() {
    let null = [tag::NULL, 0];
    let named = |oid| asn1::object_identifier(&oid);
    let spelled_out = asn1::sequence(&[asn1::small_integer(1)]);
    let rsa = asn1::algorithm(&oid::RSA_ENCRYPTION, &[]);
    for (algorithm, expected) in [
        (ec_public_key(&[]), Ok(())),
        (ec_public_key(&null), Ok(())),
        (ec_public_key(&named(oid::SECP256R1)), Ok(())),
        (ec_public_key(&named(oid::SECP384R1)), refused("1.3.132.0.34")),
        (ec_public_key(&spelled_out), refused("an elliptic curve without name")),
        (rsa, refused("1.2.840.113549.1.1.1")),
    ] {
        let cms = changed(|fields| fields[1] = originator(&algorithm, &point()));
        let (result, asked) = outcome(&cms);
        assert_eq!((result, asked), (expected.clone(), usize::from(expected.is_ok())), "{algorithm:02x?}");
    }
    // Unused bits, and a sender's lasting key in place of an ephemeral one.
    let cms = changed(|fields| {
        let bits = asn1::value(tag::BIT_STRING, &[&[1], point().as_slice()]);
        let key = asn1::value(tag::constructed(1), &[ec_public_key(&[]), bits]);
        fields[1] = asn1::value(tag::constructed(0), &[key]);
    });
    assert_eq!(outcome(&cms), (Err(OpenError::Malformed), 0));
    for lasting in [asn1::sequence(&[asn1::small_integer(1)]), asn1::value(tag::context(0), &[[7; 20]])] {
        let cms = changed(|fields| fields[1] = asn1::value(tag::constructed(0), &[lasting]));
        assert_eq!(outcome(&cms), (refused("key agreement with a lasting key of the sender"), 0));
    }
}

#[test]
fn key_derivation_and_key_wrap() {
    let wrap = |oid| asn1::algorithm(&oid, &[]);
    let mqv = der::asn1::ObjectIdentifier::new_unwrap("1.3.132.1.15.1");
    let wrap_with_padding = der::asn1::ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.48");
    let numbered = asn1::algorithm(&oid::ID_AES256_WRAP, &asn1::small_integer(1));
    for (scheme, wrap, expected, asked) in [
        (oid::STD_DH_SHA256KDF, wrap(oid::ID_AES256_WRAP), Ok(()), 1),
        // One cofactor: it is the same secret.
        (oid::COFACTOR_DH_SHA256KDF, wrap(oid::ID_AES256_WRAP), Ok(()), 1),
        // Known, but not what it was: a wrong key like any other.
        (oid::STD_DH_SHA1KDF, wrap(oid::ID_AES256_WRAP), Err(OpenError::CannotDecrypt), 1),
        (oid::STD_DH_SHA512KDF, wrap(oid::ID_AES256_WRAP), Err(OpenError::CannotDecrypt), 1),
        (oid::STD_DH_SHA256KDF, wrap(oid::ID_AES128_WRAP), Err(OpenError::CannotDecrypt), 1),
        (oid::STD_DH_SHA256KDF, wrap(oid::ID_AES192_WRAP), Err(OpenError::CannotDecrypt), 1),
        // Not known.
        (mqv, wrap(oid::ID_AES256_WRAP), refused("1.3.132.1.15.1"), 0),
        (oid::RSA_ENCRYPTION, wrap(oid::ID_AES256_WRAP), refused("1.2.840.113549.1.1.1"), 0),
        (oid::STD_DH_SHA256KDF, wrap(wrap_with_padding), refused("2.16.840.1.101.3.4.1.48"), 0),
        (oid::STD_DH_SHA256KDF, wrap(oid::AES256_CBC), refused("2.16.840.1.101.3.4.1.42"), 0),
        (oid::STD_DH_SHA256KDF, numbered, refused("2.16.840.1.101.3.4.1.45"), 0),
        (oid::STD_DH_SHA256KDF, vec![], Err(OpenError::Malformed), 0),
        (oid::STD_DH_SHA256KDF, asn1::octet_string(&[]), Err(OpenError::Malformed), 0),
    ] {
        let cms = changed(|fields| fields[2] = asn1::algorithm(&scheme, &wrap));
        assert_eq!(outcome(&cms), (expected, asked), "{scheme} {wrap:02x?}");
    }
}

#[test]
fn the_wrapped_key_and_what_it_is_bound_to() {
    let certificate = agree().certificate;
    let name = path::Fields::of(&certificate).unwrap().issuer_and_serial();
    let identifier = path::subject_key_identifier(&certificate).unwrap();
    let mut wrapped = Vec::new();
    changed(|fields| wrapped = fields[3][fields[3].len() - 40..].to_vec());
    let key = |rid: &[u8], wrapped: &[u8]| asn1::sequence(&[rid, &asn1::octet_string(wrapped)]);
    let by_identifier = |date: &[u8]| {
        let identifier = asn1::octet_string(&identifier);
        asn1::value(tag::constructed(0), &[identifier.as_slice(), date])
    };
    let date = asn1::value(tag::GENERALIZED_TIME, &[b"20261126000000Z"]);
    let stranger = asn1::sequence(&[asn1::sequence::<[u8; 0]>(&[]), asn1::small_integer(1)]);
    let mut flipped = wrapped.clone();
    flipped[17] ^= 1;
    for (what, keys, expected, asked) in [
        ("as it is", vec![key(&name, &wrapped)], Ok(()), 1),
        ("by identifier", vec![key(&by_identifier(&[]), &wrapped)], Ok(()), 1),
        ("by identifier and date", vec![key(&by_identifier(&date), &wrapped)], Ok(()), 1),
        ("behind a stranger's", vec![key(&stranger, &[1]), key(&name, &wrapped)], Ok(()), 1),
        ("one bit", vec![key(&name, &flipped)], Err(OpenError::CannotDecrypt), 1),
        ("too short", vec![key(&name, &wrapped[..32])], Err(OpenError::CannotDecrypt), 1),
        ("too long", vec![key(&name, &[wrapped.as_slice(), &[0; 8]].concat())], Err(OpenError::CannotDecrypt), 1),
        ("none at all", vec![key(&name, &[])], Err(OpenError::CannotDecrypt), 1),
        ("nobody's", vec![], Err(OpenError::NotForThisCard), 0),
        ("a stranger's", vec![key(&stranger, &wrapped)], Err(OpenError::NotForThisCard), 0),
        ("of an unknown kind", vec![key(&asn1::octet_string(&name), &wrapped)], Err(OpenError::Malformed), 0),
        ("more than anybody sends", vec![key(&stranger, &[1]); bounds::RECIPIENTS + 1], Err(OpenError::Malformed), 0),
    ] {
        let cms = changed(|fields| fields[3] = asn1::sequence(&keys));
        assert_eq!(outcome(&cms), (expected, asked), "{what}");
    }
    // User keying material goes into the key: what was not there before changes it.
    for (length, expected, asked) in [
        (0, Err(OpenError::CannotDecrypt), 1),
        (64, Err(OpenError::CannotDecrypt), 1),
        (bounds::USER_KEYING_MATERIAL + 1, Err(OpenError::Malformed), 0),
    ] {
        let ukm = asn1::value(tag::constructed(1), &[asn1::octet_string(&vec![7; length])]);
        assert_eq!(outcome(&changed(|fields| fields.insert(2, ukm))), (expected, asked), "{length}");
    }
}

#[test]
fn a_card_that_answers_nonsense_opens_nothing() {
    struct Nonsense(usize);
    #[async_trait::async_trait]
    impl PrivateKey for Nonsense {
        fn certificate(&self) -> &[u8] {
            fixture!("agree.der")
        }
        async fn raw(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
            Ok(Zeroizing::new(vec![0; self.0]))
        }
    }
    let mail = mime::pkcs7_mime("authEnveloped-data", sealed());
    for length in [0, 31, 32, 33, 65] {
        assert_eq!(block_on(decrypt(&mail, &Nonsense(length))).unwrap_err(), OpenError::CannotDecrypt);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn a_flipped_bit_changes_nothing_or_is_refused(position in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut octets = sealed().to_vec();
        *position.get_mut(&mut octets) ^= 1 << bit;
        let mail = mime::pkcs7_mime("authEnveloped-data", &octets);
        let certificates = [fixture!("sender.der").to_vec()];
        match block_on(open_as(&mail, &agree(), "ichiro@b.example", "hanako@a.example", &certificates)) {
            Ok(opened) => prop_assert_eq!(opened.content.as_slice(), CONTENT),
            Err(error) => prop_assert_eq!(error.group(), OpenGroup::CannotOpen),
        }
    }

    #[test]
    fn any_fields_are_survived(fields in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..6)) {
        let (result, asked) = outcome(&changed(|own| {
            for (own, other) in own.iter_mut().zip(fields) {
                *own = other;
            }
        }));
        prop_assert!(result.is_err() || asked == 1);
    }
}
