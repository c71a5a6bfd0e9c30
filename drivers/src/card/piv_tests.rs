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
    // Cards of other trades do not know SELECT in this form, or at all.
    for other in ["6D00", "6E00", "6A81"] {
        let refused = Piv::select(Box::new(Script::new([(SELECT.0, other)])));
        assert!(matches!(refused, Err(CardError::Missing("PIV application"))), "{other}");
    }
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
    let silent = [(ASK, "63C3"), (SHOW, "6300"), (ASK, "63C2")];
    assert!(matches!(verify(&silent, refuse), Err(CardError::WrongPin { left: 2 })));
}

#[test]
fn no_try_is_spent_that_the_person_did_not_see() {
    let verify = |steps: &[_], shown| piv(steps).verify_pin(&pin(), LastTry::Shown(shown));
    for (counter, shown) in [("63C3", 3), ("63C3", 2), ("63C1", 1), ("9000", 3)] {
        assert!(verify(&[(ASK, counter), (SHOW, "9000")], shown).is_ok(), "{counter} {shown}");
    }
    for (counter, shown) in [("63C2", 3), ("63C1", 2), ("63C1", 3)] {
        assert!(matches!(verify(&[(ASK, counter)], shown), Err(CardError::LastTry)), "{counter} {shown}");
    }
    let change = |steps: &[_], last| piv(steps).change_pin(&pin(), &pin(), last);
    const CHANGE: &str = "0024008010313233343536FFFF313233343536FFFF";
    assert!(matches!(change(&[(ASK, "63C1")], LastTry::Refuse), Err(CardError::LastTry)));
    assert!(change(&[(ASK, "63C1"), (CHANGE, "9000")], LastTry::Allow).is_ok());
}

#[test]
fn whose_pin_the_card_wants_first() {
    const DISCOVERY: &str = "00CB3FFF035C017E00";
    let prefers = |answer: &str| piv(&[(DISCOVERY, answer)]).prefers_global_pin();
    let policy = |policy: &str| format!("7E124F0BA00000030800001000 0100 5F2F02{policy}9000").replace(' ', "");
    for (told, expected) in [("4000", false), ("6010", false), ("6020", true), ("7020", true), ("4020", false)] {
        assert_eq!(prefers(&policy(told)).unwrap(), expected, "{told}");
    }
    for silent in ["6A82", "6D00", "6982", "7E039000"] {
        assert!(!prefers(silent).unwrap(), "{silent}");
    }
    assert!(matches!(piv(&[]).prefers_global_pin(), Err(CardError::Removed)));
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

/// FIPS 197, C.1.
const AES_KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const PLAIN: &str = "00112233445566778899AABBCCDDEEFF";
const CIPHER: &str = "69C4E0D86A7B0430D8CDB78070B4C55A";
const CHALLENGE: [u8; 16] =
    [0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF];

/// Mutual authentication (part 2, A.1.2): the algorithm is found by asking, the card proves itself too.
#[test]
fn card_and_administrator_know_each_other() {
    let witness = format!("7C128010{CIPHER}9000");
    let answer = format!("0087089B267C248010{PLAIN}8110{PLAIN}00");
    let asked = |last: &str| {
        let mut card = piv(&[
            ("00F7009B00", "6D00"),
            ("00870C9B047C02800000", "6A86"),
            ("00870A9B047C02800000", "6A80"),
            ("0087089B047C02800000", &witness),
            ("0087089B047C02800000", &witness),
            (&answer, last),
        ]);
        card.authenticate_management(&ManagementKey::new(&AES_KEY).unwrap(), &CHALLENGE)
    };
    assert_eq!(asked(&format!("7C128210{CIPHER}9000")).unwrap(), Authentication::Mutual(ManagementAlgorithm::Aes128));
    // The card refuses our answer, or has not got the key itself.
    for last in ["6982".to_owned(), "6300".to_owned(), format!("7C128210{PLAIN}9000")] {
        assert!(matches!(asked(&last), Err(CardError::WrongManagementKey)), "{last}");
    }
    assert!(matches!(asked("9000"), Err(CardError::Malformed { .. })));
}

/// External authentication (A.1.1) with a card that gives no witness; and a key that is too long for it.
#[test]
fn a_card_that_only_asks_is_answered() {
    let refusals: Vec<_> = ["0C", "0A", "08", "03"].map(|p1| format!("0087{p1}9B047C02800000")).to_vec();
    let mut steps: Vec<(&str, &str)> = vec![("00F7009B00", "6D00")];
    steps.extend(refusals.iter().map(|command| (command.as_str(), "6A80")));
    steps.extend([
        ("00870C9B047C02810000", "6A86"),
        ("00870A9B047C02810000", "6A86"),
        ("0087089B047C02810000", "6A86"),
    ]);
    let challenge = ("0087039B047C02810000", "7C0A810800010203040506079000");
    steps.push(challenge);
    let mut long = piv(&steps);
    let error = long.authenticate_management(&ManagementKey::new(&AES_KEY).unwrap(), &CHALLENGE);
    assert!(matches!(error, Err(CardError::WrongManagementKey)));
    // The key itself is from `openssl enc -des-ede3 -nopad`.
    steps.extend([("0087039B047C02800000", "6A80"), challenge, ("0087039B0C7C0A820890152A4C1CF4278000", "9000")]);
    let shown = piv(&steps).authenticate_management(&ManagementKey::factory(), &CHALLENGE).unwrap();
    assert_eq!(shown, Authentication::External(ManagementAlgorithm::TripleDes));
    // Where the card is to prove itself, its challenge is not even asked for: nothing of the key is shown to it.
    steps.truncate(steps.len() - 2);
    let refused = piv(&steps).prove_management(&ManagementKey::factory(), &CHALLENGE);
    assert!(matches!(refused, Err(CardError::Unsupported(_))));
    assert_eq!(format!("{:?}", ManagementKey::factory()), "ManagementKey(*, 192 bits)");
}

#[test]
fn what_writing_may_be_answered() {
    const GENERATE: &str = "0047009C05AC0380011100";
    let point = "04".repeat(65);
    let key = piv(&[(GENERATE, &format!("7F49438641{point}9000"))]).generate(Slot::Signature, Algorithm::P256).unwrap();
    assert_eq!(Algorithm::of_public_key(&key), Some(Algorithm::P256));
    for (answer, wanted) in
        [("6982", "administrator"), ("6A80", "does not know"), ("7F49009000", "missing"), ("6F00", "6f00")]
    {
        let error = piv(&[(GENERATE, answer)]).generate(Slot::Signature, Algorithm::P256).unwrap_err();
        assert!(error.to_string().contains(wanted), "{answer}: {error}");
    }
    const PUT: &str = "00DB3FFF0A5C035FC10A5303AABBCC";
    let put = |answer: &str| piv(&[(PUT, answer)]).put_data(tag::SIGNATURE_CERTIFICATE, &[0xAA, 0xBB, 0xCC]);
    assert!(put("9000").is_ok());
    assert!(matches!(put("6A84"), Err(CardError::NoRoom(_))));
    assert!(matches!(put("6982"), Err(CardError::ManagementRequired)));
    let key = format!("00FFFFFF1B0A9B18{}", "0102030405060708".repeat(3));
    let set = |answer: &str| {
        piv(&[(&key, answer)]).set_management_key(ManagementAlgorithm::Aes192, &ManagementKey::factory())
    };
    assert!(set("9000").is_ok());
    assert!(matches!(set("6D00"), Err(CardError::Unsupported(_))));
    assert!(matches!(set("6982"), Err(CardError::ManagementRequired)));
    let odd = piv(&[]).set_management_key(ManagementAlgorithm::Aes256, &ManagementKey::factory());
    assert!(matches!(odd, Err(CardError::BlockLength { expected: 32, found: 24 })));
}

#[test]
fn the_unblocking_keys_tries_are_asked_and_not_spent() {
    for (steps, expected) in [
        (&[("00F7008100", "050101 0602 03029000")][..], Some(2)),
        (&[("00F7008100", "6D00"), ("00200081", "63C1")], Some(1)),
        (&[("00F7008100", "6D00"), ("00200081", "6983")], Some(0)),
        (&[("00F7008100", "6D00"), ("00200081", "6A88")], None),
    ] {
        assert_eq!(piv(steps).puk_tries_left().unwrap(), expected);
    }
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
        let _ = card.prefers_global_pin();
        let _ = card.verify_pin(&pin(), LastTry::Refuse);
        let _ = card.raw(Slot::Signature, Algorithm::P256, &[1; 32]);
        let _ = card.raw(Slot::KeyManagement, Algorithm::Rsa2048, &[1; 256]);
        let _ = card.authenticate_management(&ManagementKey::factory(), &[1; 16]);
        let _ = card.prove_management(&ManagementKey::factory(), &[1; 16]);
        let _ = card.generate(Slot::Signature, Algorithm::P256);
        let _ = card.put_certificate(Slot::Signature, &[1; 40]);
        let _ = card.puk_tries_left();
        let _ = Piv::select(Box::new(Noise(answers.into())));
        let _ = Algorithm::of_certificate(&certificate);
    }
}
