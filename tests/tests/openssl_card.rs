//! The virtual card against the openssl command: OpenSSL verifies what the card signs, the card opens what OpenSSL
//! encrypts. All padding is made and taken off by `sealfax-smime`, as in an adapter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use sealfax_drivers::card::CardReader;
use sealfax_drivers::card::object::MailboxLogin;
use sealfax_drivers::card::piv::{Algorithm, LastTry, Piv, Slot};
use sealfax_drivers::pin::Pin;
use sealfax_rig::virtual_card::{CardKey, CardProfile, KeyAndCertificate, SlotHandle, VirtualCard, VirtualReader};
use sealfax_smime::{Hash, rsa_padding};
use sealfax_tests::openssl::{openssl, present};

const MESSAGE: &[u8] = b"A page that is signed.\n";

macro_rules! testdata {
    ($name:expr) => {
        include_bytes!(concat!("../../rig/src/virtual_card/testdata/", $name)).as_slice()
    };
}
macro_rules! pair {
    ($name:literal) => {
        KeyAndCertificate {
            key: CardKey::from_pkcs8_der(testdata!(concat!($name, ".key.der"))).unwrap(),
            certificate: testdata!(concat!($name, ".crt.der")).to_vec(),
        }
    };
}

/// A card in a reader, with its PIN given; and the slot, which has to outlive the session.
fn card(signature: KeyAndCertificate, management: KeyAndCertificate) -> (Piv, SlotHandle) {
    let login = MailboxLogin::new("hanako@b.example", "himitsu").unwrap();
    let pin = Pin::new(b"271828").unwrap();
    let profile = CardProfile::new("hanako@b.example", signature, management, login, Pin::new(b"271828").unwrap());
    let (reader, slot) = VirtualReader::new("virtual");
    slot.insert(&Arc::new(Mutex::new(VirtualCard::new(profile))));
    let mut piv = Piv::select(reader.connect().unwrap()).unwrap();
    piv.verify_pin(&pin, LastTry::Refuse).unwrap();
    (piv, slot)
}

/// Writes the certificate's public key, and the message with its digest.
fn prepare(folder: &Path, certificate: &[u8]) -> [u8; 32] {
    std::fs::write(folder.join("certificate.der"), certificate).unwrap();
    std::fs::write(folder.join("message"), MESSAGE).unwrap();
    let public = openssl(folder, &["x509", "-inform", "DER", "-in", "certificate.der", "-noout", "-pubkey"]).unwrap();
    std::fs::write(folder.join("public.pem"), public).unwrap();
    openssl(folder, &["dgst", "-sha256", "-binary", "message"]).unwrap().try_into().unwrap()
}

fn verifies(folder: &Path, signature: &[u8]) -> bool {
    std::fs::write(folder.join("signature"), signature).unwrap();
    openssl(folder, &["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "message"]).is_ok()
}

#[test]
fn openssl_verifies_what_the_card_signs() {
    if !present() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();

    let (mut piv, _slot) = card(pair!("rsa-signature"), pair!("rsa-management"));
    let digest = prepare(folder, testdata!("rsa-signature.crt.der"));
    let block = rsa_padding::emsa_pkcs1_v1_5(&digest, 256).unwrap();
    let mut signature = piv.raw(Slot::Signature, Algorithm::Rsa2048, &block).unwrap().to_vec();
    assert!(verifies(folder, &signature), "RSA");
    signature[100] ^= 1;
    assert!(!verifies(folder, &signature), "a changed RSA signature");

    let (mut piv, _slot) = card(pair!("p256-signature"), pair!("p256-management"));
    let digest = prepare(folder, testdata!("p256-signature.crt.der"));
    let mut signature = piv.raw(Slot::Signature, Algorithm::P256, &digest).unwrap().to_vec();
    assert!(verifies(folder, &signature), "P-256");
    let last = signature.len() - 1;
    signature[last] ^= 1;
    assert!(!verifies(folder, &signature), "a changed P-256 signature");
}

#[test]
fn the_card_opens_what_openssl_encrypts() {
    if !present() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (mut piv, _slot) = card(pair!("rsa-signature"), pair!("rsa-management"));
    prepare(folder, testdata!("rsa-management.crt.der"));
    let key: Vec<u8> = (0..32).collect();
    std::fs::write(folder.join("key"), &key).unwrap();
    let encrypt = |options: &[&str]| {
        let always = ["pkeyutl", "-encrypt", "-pubin", "-inkey", "public.pem", "-in", "key"];
        openssl(folder, &[&always, options].concat()).unwrap()
    };
    for (name, hash) in [("sha256", Hash::Sha256), ("sha512", Hash::Sha512)] {
        let (md, mgf) = (format!("rsa_oaep_md:{name}"), format!("rsa_mgf1_md:{name}"));
        let sealed = encrypt(&["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", &md, "-pkeyopt", &mgf]);
        let block = piv.raw(Slot::KeyManagement, Algorithm::Rsa2048, &sealed).unwrap();
        assert_eq!(*rsa_padding::eme_oaep(&block, &sealed, hash, hash, key.len()).unwrap(), key, "{name}");
    }
    let sealed = encrypt(&["-pkeyopt", "rsa_padding_mode:pkcs1"]);
    let block = piv.raw(Slot::KeyManagement, Algorithm::Rsa2048, &sealed).unwrap();
    assert_eq!(*rsa_padding::eme_pkcs1_v1_5(&block, &sealed, key.len()).unwrap(), key);

    // P-256: the same shared secret on both sides.
    let (mut piv, _slot) = card(pair!("p256-signature"), pair!("p256-management"));
    prepare(folder, testdata!("p256-management.crt.der"));
    openssl(folder, &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "other.pem"])
        .unwrap();
    let other = openssl(folder, &["pkey", "-in", "other.pem", "-pubout", "-outform", "DER"]).unwrap();
    // The uncompressed point stands at the end of SubjectPublicKeyInfo.
    let point = &other[other.len() - 65..];
    let ours = piv.raw(Slot::KeyManagement, Algorithm::P256, point).unwrap();
    let theirs = openssl(folder, &["pkeyutl", "-derive", "-inkey", "other.pem", "-peerkey", "public.pem"]).unwrap();
    assert_eq!(*ours, theirs);
}
