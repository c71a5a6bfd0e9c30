//! The PIV client of the drivers against the virtual card, and the card against noise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use sealfax_drivers::card::{
    CardChannel, CardError, CardEvent, CardReader,
    apdu::{Command, Form, ins},
    object::MailboxLogin,
    piv::{Algorithm, LastTry, PinStatus, Piv, Slot},
    tlv,
};
use sealfax_drivers::pin::Pin;
use std::sync::{Arc, Mutex};

mod administration;
mod client;
mod noise;
mod slot;
mod vectors;

const PASSWORD: &str = "himitsu-no-kotoba";

macro_rules! pair {
    ($name:literal) => {
        KeyAndCertificate {
            key: CardKey::from_pkcs8_der(include_bytes!(concat!("../testdata/", $name, ".key.der"))).unwrap(),
            certificate: include_bytes!(concat!("../testdata/", $name, ".crt.der")).to_vec(),
        }
    };
}

fn profile(signature: KeyAndCertificate, key_management: KeyAndCertificate) -> CardProfile {
    CardProfile::new(
        "hanako@b.example",
        signature,
        key_management,
        MailboxLogin::new("hanako@b.example", PASSWORD).unwrap(),
        pin("271828"),
    )
}

fn rsa() -> CardProfile {
    let mut profile = profile(pair!("rsa-signature"), pair!("rsa-management"));
    profile.authentication = Some(pair!("rsa-signature"));
    profile
}

fn p256() -> CardProfile {
    profile(pair!("p256-signature"), pair!("p256-management"))
}

fn pin(digits: &str) -> Pin {
    Pin::new(digits.as_bytes()).unwrap()
}

fn card(profile: CardProfile) -> CardHandle {
    Arc::new(Mutex::new(VirtualCard::new(profile)))
}

/// A reader with a card in it.
fn inserted(profile: CardProfile) -> (VirtualReader, SlotHandle) {
    let (reader, slot) = VirtualReader::new("virtual");
    slot.insert(&card(profile));
    (reader, slot)
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter(|c| *c != ' ').collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

fn status_of(answer: &[u8]) -> u16 {
    u16::from_be_bytes(*answer.last_chunk().unwrap())
}

/// PKCS#1 v1.5 signature padding over a SHA-256 digest (RFC 8017, 9.2).
fn padded(digest: &[u8]) -> Vec<u8> {
    let info = [&unhex("3031300d060960864801650304020105000420")[..], digest].concat();
    let mut block = vec![0xff; 256];
    block[0] = 0;
    block[1] = 1;
    block[255 - info.len()] = 0;
    block[256 - info.len()..].copy_from_slice(&info);
    block
}
