//! Tests of the PIV client against scripted answers; the rig's virtual card tests it whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::card::apdu::tests::{Noise, Script, hex};
use proptest::prelude::*;

const SELECT: (&str, &str) = ("00A4040009A0000003080000100000", "61114F0600001000010079074F05A0000003089000");

fn piv(steps: &[(&str, &str)]) -> Piv {
    let steps = std::iter::once(&SELECT).chain(steps).copied();
    Piv::select(Box::new(Script::new(steps))).unwrap()
}

fn pin() -> Pin {
    Pin::new(b"123456").unwrap()
}

const ASK: &str = "00200080";
const SHOW: &str = "0020008008313233343536FFFF";

#[test]
fn a_card_without_piv_is_told_so() {
    let refused = Script::new([(SELECT.0, "6A82")]);
    assert!(matches!(Piv::select(Box::new(refused)), Err(CardError::Missing("PIV application"))));
    let odd = Script::new([(SELECT.0, "9000")]);
    assert!(matches!(Piv::select(Box::new(odd)), Err(CardError::Malformed { .. })));
}

#[test]
fn the_counter_is_read_without_a_try() {
    for (answer, expected) in [
        ("63C3", PinStatus::TriesLeft(3)),
        ("63C1", PinStatus::TriesLeft(1)),
        ("63C0", PinStatus::Blocked),
        ("6983", PinStatus::Blocked),
        ("9000", PinStatus::Verified),
    ] {
        assert_eq!(piv(&[(ASK, answer)]).pin_tries_left().unwrap(), expected);
    }
    assert!(matches!(piv(&[(ASK, "6A88")]).pin_tries_left(), Err(CardError::Status { status: 0x6A88, .. })));
}

#[test]
fn pins_are_shown_only_when_it_is_safe() {
    let verify = |steps: &[_], last| piv(steps).verify_pin(&pin(), last);
    let refuse = LastTry::Refuse;
    assert!(verify(&[(ASK, "63C3"), (SHOW, "9000")], refuse).is_ok());
    assert!(verify(&[(ASK, "9000"), (SHOW, "9000")], refuse).is_ok());
    // The script ends after the question: a PIN sent here would fail with Removed.
    assert!(matches!(verify(&[(ASK, "63C1")], refuse), Err(CardError::LastTry)));
    assert!(matches!(verify(&[(ASK, "6983")], refuse), Err(CardError::Blocked)));
    assert!(verify(&[(ASK, "63C1"), (SHOW, "9000")], LastTry::Allow).is_ok());
    assert!(matches!(verify(&[(ASK, "63C3"), (SHOW, "63C2")], refuse), Err(CardError::WrongPin { left: 2 })));
    for last in ["63C0", "6983"] {
        assert!(matches!(verify(&[(ASK, "63C1"), (SHOW, last)], LastTry::Allow), Err(CardError::Blocked)));
    }
    assert!(matches!(verify(&[(ASK, "63C3")], refuse), Err(CardError::Removed)));
}

#[test]
fn what_is_missing_is_named() {
    for answer in ["6A82", "6A88", "53009000"] {
        let error = piv(&[("00CB3FFF055C035FC10A00", answer)]).certificate(Slot::Signature).unwrap_err();
        assert!(matches!(error, CardError::Missing(what) if what.contains("9C")), "{error}");
    }
    let error = piv(&[("00CB3FFF055C035FC10900", "6982")]).mailbox_login();
    assert!(matches!(error, Err(CardError::PinRequired)));
    let error = piv(&[("00CB3FFF055C035FC10B00", "530170019000")]).certificate(Slot::KeyManagement);
    assert!(matches!(error, Err(CardError::Malformed { .. })));
}

#[test]
fn an_odd_block_never_reaches_the_card() {
    let error = piv(&[]).raw(Slot::Signature, Algorithm::Rsa2048, &[0; 255]);
    assert!(matches!(error, Err(CardError::BlockLength { expected: 256, found: 255 })));
}

#[test]
fn three_thousand_bits_are_two_links_and_two_answers() {
    let block = [0x0A; 384];
    let body = format!("7C82018682008182 0180{}", "0A".repeat(384)).replace(' ', "");
    let (first, second) = body.split_at(510);
    let answer = format!("7C8201848282 0180{}", "0B".repeat(384)).replace(' ', "");
    let (a, b) = answer.split_at(512);
    let mut card = piv(&[
        (&format!("1087059DFF{first}"), "9000"),
        (&format!("0087059D{:02X}{second}00", second.len() / 2), &format!("{a}6188")),
        ("00C0000088", &format!("{b}9000")),
    ]);
    let result = card.raw(Slot::KeyManagement, Algorithm::Rsa3072, &block).unwrap();
    assert_eq!(hex(&result), "0B".repeat(384));
}

#[test]
fn key_agreement_sends_a_point() {
    let point = "04".repeat(65);
    let mut card = piv(&[(
        &format!("0087119D477C458200 8541{point}00").replace(' ', ""),
        &format!("7C228220{}9000", "0C".repeat(32)),
    )]);
    let shared = card.raw(Slot::KeyManagement, Algorithm::P256, &[4; 65]).unwrap();
    assert_eq!(&shared[..], &[0x0C; 32]);
}

#[test]
fn noise_is_no_certificate() {
    assert_eq!(Algorithm::of_certificate(&[0x30, 0]), None);
    assert_eq!(Algorithm::of_certificate(b"-----BEGIN"), None);
}

proptest! {
    #[test]
    fn no_answer_panics_the_client(
        answers in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            prop::collection::vec(any::<u8>(), 0..80).prop_map(|mut v| { v.extend([0x90, 0]); v }),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|v| { let mut v = [tlv::encode(0x53, &v).to_vec(), vec![0x90, 0]].concat(); v.truncate(60); v }),
        ], 0..12),
        certificate in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let channel: Box<dyn CardChannel> = Box::new(Noise(answers.clone().into()));
        let mut card = Piv { channel, form: Form::Short };
        let _ = card.guid();
        let _ = card.certificate(Slot::Signature);
        let _ = card.mailbox_login();
        let _ = card.pin_usage_policy();
        let _ = card.verify_pin(&pin(), LastTry::Refuse);
        let _ = card.raw(Slot::Signature, Algorithm::P256, &[1; 32]);
        let _ = card.raw(Slot::KeyManagement, Algorithm::Rsa2048, &[1; 256]);
        let _ = Piv::select(Box::new(Noise(answers.into())));
        let _ = Algorithm::of_certificate(&certificate);
    }
}
