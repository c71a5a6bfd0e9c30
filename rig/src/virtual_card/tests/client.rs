//! The drivers' PIV client and the virtual card together.
use super::*;
use p256::ecdsa::{DerSignature, VerifyingKey, signature::hazmat::PrehashVerifier};
use p256::elliptic_curve::sec1::ToSec1Point;
use pkcs8::DecodePrivateKey;
use rsa::{RsaPrivateKey, pkcs1v15::Pkcs1v15Sign};
use sha2::{Digest, Sha256};

fn open(reader: &VirtualReader) -> Piv {
    Piv::select(reader.connect().unwrap()).unwrap()
}

fn rsa_key(der: &[u8]) -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs8_der(der).unwrap()
}

#[test]
fn everything_an_adapter_reads() {
    let mut packed = rsa();
    packed.packed = true;
    let mut extended = rsa();
    extended.extended_length = true;
    for (profile, form) in [(rsa(), Form::Short), (packed, Form::Short), (extended, Form::Extended)] {
        let (reader, _slot) = inserted(profile.clone());
        let mut piv = open(&reader).with_form(form);
        assert_eq!(piv.guid().unwrap(), Some(profile.guid));
        assert_eq!(piv.pin_usage_policy().unwrap(), Some([0x40, 0]));
        for (slot, pair) in [(Slot::Signature, &profile.signature), (Slot::KeyManagement, &profile.key_management)] {
            let der = piv.certificate(slot).unwrap();
            assert_eq!(der, pair.certificate);
            assert_eq!(Algorithm::of_certificate(&der), Some(Algorithm::Rsa2048));
        }
        assert!(matches!(piv.mailbox_login(), Err(CardError::PinRequired)));
        assert_eq!(piv.pin_tries_left().unwrap(), PinStatus::TriesLeft(3));
        piv.verify_pin(&pin("271828"), LastTry::Refuse).unwrap();
        let login = piv.mailbox_login().unwrap();
        assert_eq!((login.login(), login.password()), ("hanako@b.example", PASSWORD));
        piv.forget_pin().unwrap();
        assert!(matches!(piv.mailbox_login(), Err(CardError::PinRequired)));
    }
}

#[test]
fn rsa_signs_and_decrypts_in_both_forms() {
    let mut extended = rsa();
    extended.extended_length = true;
    let digest = Sha256::digest(b"page");
    for (profile, form) in [(rsa(), Form::Short), (extended, Form::Extended)] {
        let (reader, _slot) = inserted(profile);
        let mut piv = open(&reader).with_form(form);
        let raw = |piv: &mut Piv, slot, block: &[u8]| piv.raw(slot, Algorithm::Rsa2048, block);
        let block = padded(&digest);
        assert!(matches!(raw(&mut piv, Slot::Signature, &block), Err(CardError::PinRequired)));
        piv.verify_pin(&pin("271828"), LastTry::Refuse).unwrap();
        let signature = raw(&mut piv, Slot::Signature, &block).unwrap();
        rsa_key(include_bytes!("../testdata/rsa-signature.key.der"))
            .to_public_key()
            .verify(Pkcs1v15Sign::new::<Sha256>(), &digest, &signature)
            .unwrap();
        assert!(matches!(raw(&mut piv, Slot::Signature, &block), Err(CardError::PinRequired)));

        let key = rsa_key(include_bytes!("../testdata/rsa-management.key.der"));
        let number = rsa::BoxedUint::from_be_slice(&block, 2048).unwrap();
        let sealed = rsa::hazmat::rsa_encrypt(&key, &number).unwrap().to_be_bytes();
        for _ in 0..2 {
            let opened = raw(&mut piv, Slot::KeyManagement, &sealed).unwrap();
            assert_eq!(opened[..], block[..]);
        }
    }
}

#[test]
fn p256_signs_and_agrees() {
    let (reader, _slot) = inserted(p256());
    let mut piv = open(&reader);
    let certificate = piv.certificate(Slot::Signature).unwrap();
    assert_eq!(Algorithm::of_certificate(&certificate), Some(Algorithm::P256));
    piv.verify_pin(&pin("271828"), LastTry::Refuse).unwrap();
    let digest = Sha256::digest(b"page");
    let signature = piv.raw(Slot::Signature, Algorithm::P256, &digest).unwrap();
    let ours = p256::SecretKey::from_pkcs8_der(include_bytes!("../testdata/p256-signature.key.der")).unwrap();
    VerifyingKey::from(ours.public_key())
        .verify_prehash(&digest, &DerSignature::from_bytes(&signature[..]).unwrap())
        .unwrap();

    // The other side of the agreement is the signature key; both must come to the same secret.
    let theirs = p256::SecretKey::from_pkcs8_der(include_bytes!("../testdata/p256-management.key.der")).unwrap();
    let point = ours.public_key().to_sec1_point(false);
    let shared = piv.raw(Slot::KeyManagement, Algorithm::P256, point.as_bytes()).unwrap();
    let mirrored = CardKey::from(ours).exponentiation(theirs.public_key().to_sec1_point(false).as_bytes()).unwrap();
    assert_eq!(shared, mirrored);
    let off_curve = [4; 65];
    assert!(matches!(
        piv.raw(Slot::KeyManagement, Algorithm::P256, &off_curve),
        Err(CardError::Status { status: 0x6A80, .. })
    ));
}

#[test]
fn the_last_try_is_not_spent_unasked() {
    let (reader, slot) = inserted(rsa());
    let card = slot.card().unwrap();
    let tries = || card.lock().unwrap().pin_tries();
    let mut piv = open(&reader);
    let wrong = pin("000000");
    for left in [2, 1] {
        let error = piv.verify_pin(&wrong, LastTry::Refuse).unwrap_err();
        assert!(matches!(error, CardError::WrongPin { left: l } if l == left));
    }
    for _ in 0..3 {
        assert!(matches!(piv.verify_pin(&wrong, LastTry::Refuse), Err(CardError::LastTry)));
        assert!(matches!(piv.change_pin(&wrong, &wrong, LastTry::Refuse), Err(CardError::LastTry)));
        assert_eq!(tries(), 1);
    }
    assert!(matches!(piv.verify_pin(&wrong, LastTry::Allow), Err(CardError::Blocked)));
    assert_eq!(piv.pin_tries_left().unwrap(), PinStatus::Blocked);
    assert!(matches!(piv.verify_pin(&pin("271828"), LastTry::Allow), Err(CardError::Blocked)));

    assert!(matches!(piv.unblock_pin(b"00000000", &wrong), Err(CardError::WrongPin { left: 2 })));
    piv.unblock_pin(b"12345678", &pin("31415926")).unwrap();
    piv.verify_pin(&pin("31415926"), LastTry::Refuse).unwrap();
    piv.change_pin(&pin("31415926"), &pin("271828"), LastTry::Refuse).unwrap();
    piv.change_puk(b"12345678", b"87654321").unwrap();
    piv.verify_pin(&pin("271828"), LastTry::Refuse).unwrap();
    assert_eq!((tries(), card.lock().unwrap().puk_tries()), (3, 3));
}

#[test]
fn what_a_card_lacks_is_named() {
    let mut bare = rsa();
    bare.key_management.certificate.clear();
    bare.mailbox = None;
    let (reader, _slot) = inserted(bare);
    let mut piv = open(&reader);
    let error = piv.certificate(Slot::KeyManagement).unwrap_err();
    assert!(matches!(error, CardError::Missing(what) if what.contains("9D")));
    piv.verify_pin(&pin("271828"), LastTry::Refuse).unwrap();
    let error = piv.mailbox_login().unwrap_err();
    assert!(matches!(error, CardError::Missing(what) if what.contains("mailbox")));
}

#[test]
fn traces_hold_no_secret() {
    let (reader, slot) = inserted(rsa());
    let trace = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&trace);
    slot.observe(Arc::new(move |event: &ApduEvent| sink.lock().unwrap().push(event.clone())));
    let mut piv = open(&reader);
    let _ = piv.verify_pin(&pin("161803"), LastTry::Refuse);
    piv.verify_pin(&pin("271828"), LastTry::Refuse).unwrap();
    piv.mailbox_login().unwrap();
    piv.change_pin(&pin("271828"), &pin("314159"), LastTry::Refuse).unwrap();
    piv.unblock_pin(b"12345678", &pin("271828")).unwrap();
    let block = padded(&Sha256::digest(b"page"));
    piv.raw(Slot::KeyManagement, Algorithm::Rsa2048, &block).unwrap();
    slot.remove();
    let _ = piv.guid();
    let shown: Vec<String> = trace.lock().unwrap().iter().map(|e| format!("{} -> {}", e.command, e.response)).collect();
    let shown = shown.join("\n");
    for secret in ["161803", "271828", "314159", "12345678", PASSWORD] {
        let hex: String = secret.bytes().map(|o| format!("{o:02X}")).collect();
        for form in [secret.to_owned(), hex.clone(), hex.to_lowercase()] {
            assert!(!shown.contains(&form), "{form} in\n{shown}");
        }
    }
    insta::assert_snapshot!(shown, @r"
    SELECT 00 A4 04 00 A00000030800001000 Ne=256 -> [45 octets] 9000 done
    VERIFY 00 20 00 80 -> 63C3 3 tries left
    VERIFY 00 20 00 80 [8 octets] -> 63C2 2 tries left
    VERIFY 00 20 00 80 -> 63C2 2 tries left
    VERIFY 00 20 00 80 [8 octets] -> 9000 done
    GET DATA 00 CB 3F FF 5C035FC109 Ne=256 -> [44 octets] 9000 done
    VERIFY 00 20 00 80 -> 9000 done
    CHANGE REFERENCE DATA 00 24 00 80 [16 octets] -> 9000 done
    RESET RETRY COUNTER 00 2C 00 80 [16 octets] -> 9000 done
    GENERAL AUTHENTICATE 10 87 07 9D [255 octets] -> 9000 done
    GENERAL AUTHENTICATE 00 87 07 9D [11 octets] Ne=256 -> [256 octets] 6108 more data available
    GET RESPONSE 00 C0 00 00 Ne=8 -> [8 octets] 9000 done
    GET DATA 00 CB 3F FF 5C035FC102 Ne=256 -> the card was removed; insert it again
    ");
}
