//! Virtual cards with fixed demo-only keys, for tests that do not care whose they are.
#![allow(clippy::panic)]

use std::sync::{Arc, Mutex};

use sealfax_drivers::card::object::MailboxLogin;
use sealfax_drivers::pin::Pin;
use sealfax_rig::virtual_card::{CardHandle, CardKey, CardProfile, KeyAndCertificate, VirtualCard};

/// The PIN of every card here.
pub const PIN: &str = "271828";
/// The mailbox password of every card here.
pub const PASSWORD: &str = "himitsu-no-kotoba";

macro_rules! pair {
    ($name:literal) => {
        KeyAndCertificate {
            key: CardKey::from_pkcs8_der(include_bytes!(concat!(
                "../../rig/src/virtual_card/testdata/",
                $name,
                ".key.der"
            )))
            .unwrap_or_else(|error| panic!("{error}")),
            certificate: include_bytes!(concat!("../../rig/src/virtual_card/testdata/", $name, ".crt.der")).to_vec(),
        }
    };
}

/// A card with RSA keys for this owner.
pub fn profile(owner: &str) -> CardProfile {
    let login = MailboxLogin::new(owner, PASSWORD).unwrap_or_else(|| panic!("a login"));
    let pin = Pin::new(PIN.as_bytes()).unwrap_or_else(|| panic!("a PIN"));
    CardProfile::new(owner, pair!("rsa-signature"), pair!("rsa-management"), login, pin)
}

/// A card as the profile says.
pub fn card(profile: CardProfile) -> CardHandle {
    Arc::new(Mutex::new(VirtualCard::new(profile)))
}
