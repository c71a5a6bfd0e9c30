//! The card's administrator: what the card lets be written, by whom, and how strictly (NIST SP 800-73-5 part 2, 3.3).
use super::*;
use crate::virtual_card::BlankCard;
use pkcs8::DecodePublicKey;
use sealfax_drivers::card::piv::{Authentication, ManagementAlgorithm, ManagementKey, Reference, tag};
use sha2::{Digest, Sha256};

fn blank() -> BlankCard {
    BlankCard::new("blank", pin("123456"), 7)
}

fn handle(blank: BlankCard) -> CardHandle {
    Arc::new(Mutex::new(VirtualCard::blank(blank)))
}

fn open(card: &CardHandle) -> (Piv, SlotHandle) {
    let (reader, slot) = VirtualReader::new("virtual");
    slot.insert(card);
    (Piv::select(reader.connect().unwrap()).unwrap(), slot)
}

fn key_of(algorithm: ManagementAlgorithm) -> ManagementKey {
    ManagementKey::new(&vec![0x3C; algorithm.key_length()]).unwrap()
}

/// Commands and the status words they must get.
fn statuses(blank: BlankCard, steps: &[(&str, u16)]) {
    let mut card = VirtualCard::blank(blank);
    for (number, (octets, expected)) in steps.iter().enumerate() {
        assert_eq!(status_of(&card.transmit(&unhex(octets))), *expected, "step {number}: {octets}");
    }
}

const SELECT: (&str, u16) = ("00A4040009A0000003080000100000", 0x9000);

#[test]
fn every_management_key_opens_and_no_other() {
    for algorithm in ManagementAlgorithm::ALL {
        for extensions in [true, false] {
            let mut blank = blank();
            blank.management_algorithm = algorithm;
            blank.management_key = key_of(algorithm);
            blank.extensions = extensions;
            let card = handle(blank);
            let (mut piv, _slot) = open(&card);
            // Triple DES does not look at the lowest bit of an octet.
            let wrong = ManagementKey::new(&vec![0xA7; algorithm.key_length()]).unwrap();
            for key in [&wrong, &ManagementKey::new(&[0x3C; 16]).unwrap()] {
                if *key != key_of(algorithm) {
                    assert!(matches!(piv.authenticate_management(key, &[5; 16]), Err(CardError::WrongManagementKey)));
                }
            }
            assert!(matches!(piv.put_chuid(&[1; 16], b"20361231"), Err(CardError::ManagementRequired)));
            let shown = piv.authenticate_management(&key_of(algorithm), &[5; 16]).unwrap();
            assert_eq!(shown, Authentication::Mutual(algorithm));
            assert_eq!(piv.prove_management(&key_of(algorithm), &[6; 16]).unwrap(), algorithm);
            piv.put_chuid(&[1; 16], b"20361231").unwrap();
            assert_eq!(piv.guid().unwrap(), Some([1; 16]));
            // A wrong key takes away what the right one gave.
            piv.authenticate_management(&wrong, &[5; 16]).unwrap_err();
            assert!(matches!(piv.put_chuid(&[2; 16], b"20361231"), Err(CardError::ManagementRequired)));
        }
    }
}

#[test]
fn a_witness_is_good_for_one_command() {
    statuses(
        blank(),
        &[
            SELECT,
            ("0087039B047C02800000", 0x9000),
            ("00200080", 0x63C3),
            ("0087039B167C14800800000000000000008108000000000000000000", 0x6A80),
            ("0087039B047C02800000", 0x9000),
            ("0087039B167C14800800000000000000008108000000000000000000", 0x6982),
            ("0087039B047C02810000", 0x9000),
            ("0087039B0C7C0A8208000000000000000000", 0x6982),
            ("0087039B0C7C0A8208000000000000000000", 0x6A80),
            ("0087089B047C02800000", 0x6A86),
            ("0087039B047C02850000", 0x6A80),
        ],
    );
}

#[test]
fn nothing_is_written_without_the_management_key() {
    statuses(
        blank(),
        &[
            SELECT,
            ("00DB3FFF0A5C035FC10A5303AABBCC", 0x6982),
            ("0047009C05AC0380011100", 0x6982),
            ("00FFFFFF1B039B18010203040506070801020304050607080102030405060708", 0x6982),
            // The PIN opens nothing of it.
            ("0020008008313233343536FFFF", 0x9000),
            ("00DB3FFF0A5C035FC10A5303AABBCC", 0x6982),
            ("00F7009C00", 0x6A88),
            ("00F7008100", 0x9000),
        ],
    );
    let mut plain = blank();
    plain.extensions = false;
    statuses(plain, &[SELECT, ("00F7008100", 0x6D00), ("00FFFFFF1B039B18", 0x6700), ("00FFFFFF", 0x6D00)]);
}

#[test]
fn what_does_not_belong_on_the_card_is_refused() {
    let card = handle(blank());
    let (mut piv, _slot) = open(&card);
    piv.authenticate_management(&ManagementKey::factory(), &[5; 16]).unwrap();
    let status = |result: Result<(), CardError>| match result {
        Err(CardError::Status { status, .. }) => status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status(piv.put_data(0x5F_C1_40, &[1])), 0x6A82);
    assert_eq!(status(piv.put_data(0x5F_C2_05, &[1])), 0x6A82);
    assert!(matches!(piv.put_data(tag::CHUID, &[0; 4000]), Err(CardError::NoRoom(_))));
    let mut raw = card.lock().unwrap();
    for (octets, expected) in [
        ("00DB3FFF065C017E530101", 0x6A82),
        ("00DB00000A5C035FC10A5303AABBCC", 0x6A86),
        ("00DB3FFF055303AABBCC", 0x6A80),
        ("00DB3FFF0C5C035FC10A5303AABBCC5300", 0x6A80),
        ("0047009B05AC0380011100", 0x6A86),
        ("0047019C05AC0380011100", 0x6A86),
        ("0047009C05AC0380011400", 0x6A80),
        ("0047009C02AC0000", 0x6A80),
        ("00FFFFFF1B039B1701020304050607080102030405060708010203040506070800", 0x6700),
        ("00FFFFFF1B0F9B18010203040506070801020304050607080102030405060708", 0x6A80),
        ("00FFFFFF1B039C18010203040506070801020304050607080102030405060708", 0x6A80),
    ] {
        assert_eq!(status_of(&raw.transmit(&unhex(octets))), expected, "{octets}");
    }
}

#[test]
fn keys_are_made_and_used() {
    let card = handle(blank());
    let digest = Sha256::digest(b"page");
    for (algorithm, block) in [(Algorithm::P256, digest.to_vec()), (Algorithm::Rsa2048, padded(&digest))] {
        for slot in [Slot::Signature, Slot::KeyManagement] {
            let (mut piv, _slot) = open(&card);
            piv.authenticate_management(&ManagementKey::factory(), &[5; 16]).unwrap();
            let public = piv.generate(slot, algorithm).unwrap();
            assert_eq!(Algorithm::of_public_key(&public), Some(algorithm));
            let told = piv.metadata(Reference::Key(slot)).unwrap().unwrap();
            assert_eq!((told.public_key.as_ref(), told.generated), (Some(&public), Some(true)));
            piv.verify_pin(&pin("123456"), LastTry::Refuse).unwrap();
            let signature = piv.sign(slot, algorithm, &block).unwrap();
            match algorithm {
                Algorithm::P256 => {
                    use p256::ecdsa::{DerSignature, VerifyingKey, signature::hazmat::PrehashVerifier};
                    let key = VerifyingKey::from(p256::PublicKey::from_public_key_der(&public).unwrap());
                    key.verify_prehash(&digest, &DerSignature::from_bytes(&signature[..]).unwrap()).unwrap();
                }
                _ => rsa::RsaPublicKey::from_public_key_der(&public)
                    .unwrap()
                    .verify(rsa::pkcs1v15::Pkcs1v15Sign::new::<Sha256>(), &digest, &signature)
                    .unwrap(),
            }
        }
    }
}

#[test]
fn what_is_written_outlives_power_and_a_full_card_packs() {
    let mut small = blank();
    small.object_size = 600;
    let card = handle(small);
    let der = include_bytes!("../testdata/rsa-signature.crt.der");
    let login = MailboxLogin::new("hanako@b.example", PASSWORD).unwrap();
    let (mut piv, _slot) = open(&card);
    piv.authenticate_management(&ManagementKey::factory(), &[5; 16]).unwrap();
    let room = piv.put_certificate(Slot::Signature, der);
    // Keys and signatures do not pack: whether it fits depends on the names in it.
    assert!(matches!(room, Ok(()) | Err(CardError::NoRoom(_))));
    let text = [b"0".repeat(900)].concat();
    piv.put_certificate(Slot::KeyManagement, &text).unwrap();
    piv.put_mailbox_login(&login).unwrap();
    piv.set_management_key(ManagementAlgorithm::Aes256, &key_of(ManagementAlgorithm::Aes256)).unwrap();
    drop(piv);
    let (mut piv, _slot) = open(&card);
    assert_eq!(piv.certificate(Slot::KeyManagement).unwrap(), text);
    assert!(matches!(piv.mailbox_login(), Err(CardError::PinRequired)));
    piv.verify_pin(&pin("123456"), LastTry::Refuse).unwrap();
    assert_eq!(piv.mailbox_login().unwrap(), login);
    assert_eq!(card.lock().unwrap().printed_information().unwrap(), login.encode().as_slice());
    assert!(matches!(piv.put_data(tag::CHUID, &[]), Err(CardError::ManagementRequired)));
    let old = piv.authenticate_management(&ManagementKey::factory(), &[5; 16]);
    assert!(matches!(old, Err(CardError::WrongManagementKey)));
    piv.authenticate_management(&key_of(ManagementAlgorithm::Aes256), &[5; 16]).unwrap();
    piv.put_data(Slot::KeyManagement.certificate_tag(), &[]).unwrap();
    assert!(matches!(piv.certificate(Slot::KeyManagement), Err(CardError::Missing(_))));
    assert_eq!(piv.puk_tries_left().unwrap(), Some(3));
}

#[test]
fn three_thousand_bits_too() {
    let card = handle(blank());
    let (mut piv, _slot) = open(&card);
    piv.authenticate_management(&ManagementKey::factory(), &[5; 16]).unwrap();
    let public = piv.generate(Slot::KeyManagement, Algorithm::Rsa3072).unwrap();
    assert_eq!(Algorithm::of_public_key(&public), Some(Algorithm::Rsa3072));
    let key = rsa::RsaPublicKey::from_public_key_der(&public).unwrap();
    let mut block = vec![7u8; 384];
    block[0] = 0;
    let number = rsa::BoxedUint::from_be_slice(&block, 3072).unwrap();
    let sealed = rsa::hazmat::rsa_encrypt(&key, &number).unwrap().to_be_bytes();
    piv.verify_pin(&pin("123456"), LastTry::Refuse).unwrap();
    assert_eq!(piv.raw(Slot::KeyManagement, Algorithm::Rsa3072, &sealed).unwrap()[..], block[..]);
}
