//! What certificates say and lead to.

use super::people::*;
use crate::path::*;
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn whose_it_is() {
    let certificate = fixture!("sender.der");
    assert_eq!(addresses(certificate), ["hanako@a.example"]);
    assert_eq!(common_name(certificate).as_deref(), Some("Sato Hanako"));
    assert_eq!(issuer(certificate).unwrap(), "CN=Sealfax test anchor");
    assert!(!serial(certificate).unwrap().is_empty());
    assert!(addresses(b"nonsense").is_empty());
}

#[test]
fn paths() {
    let check = |certificate: &[u8], purpose| check_path(certificate, &[], &anchors(), now(), purpose);
    assert_eq!(check(fixture!("sender.der"), Use::Sign), Ok(()));
    assert_eq!(check(fixture!("sender.der"), Use::Encrypt), Err(PathError::WrongUse));
    assert_eq!(check(fixture!("recipient.der"), Use::Encrypt), Ok(()));
    assert_eq!(check(fixture!("recipient.der"), Use::Sign), Err(PathError::WrongUse));
    assert_eq!(check(fixture!("curve.der"), Use::Sign), Ok(()));
    assert_eq!(check(fixture!("server.der"), Use::Sign), Err(PathError::WrongPurpose));
    assert_eq!(check(fixture!("branch.der"), Use::Sign), Err(PathError::UnknownIssuer));
    let between = [fixture!("issuer.der").to_vec()];
    assert_eq!(check_path(fixture!("branch.der"), &between, &anchors(), now(), Use::Sign), Ok(()));
    assert_eq!(check(fixture!("impostor.der"), Use::Sign), Err(PathError::UnknownIssuer));
    assert_eq!(check(b"nonsense", Use::Sign), Err(PathError::Malformed));
    let nonsense = [b"nonsense".to_vec()];
    assert_eq!(check_path(fixture!("sender.der"), &[], &nonsense, now(), Use::Sign), Err(PathError::BadAnchor));
}

#[test]
fn times() {
    let certificate = fixture!("sender.der");
    let (from, to) = validity(certificate).unwrap();
    let check = |time| check_path(certificate, &[], &anchors(), time, Use::Sign);
    assert_eq!(check(from - Duration::from_secs(1)), Err(PathError::NotYetValid));
    assert_eq!(check(to + Duration::from_secs(1)), Err(PathError::Expired));
}

proptest! {
    #[test]
    fn any_octets_are_survived(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (addresses(&octets), common_name(&octets), check_path(&octets, &[], &anchors(), now(), Use::Sign));
    }

    #[test]
    fn a_flipped_bit_breaks_the_path(position in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut octets = fixture!("sender.der").to_vec();
        *position.get_mut(&mut octets) ^= 1 << bit;
        prop_assert!(check_path(&octets, &[], &anchors(), now(), Use::Sign).is_err());
    }
}
