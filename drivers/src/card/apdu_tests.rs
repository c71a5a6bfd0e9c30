//! Tests of the APDU layer against a scripted card.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

/// A card that expects these commands and gives these answers, in hexadecimal.
pub(crate) struct Script(VecDeque<(String, String)>);

impl Script {
    pub(crate) fn new<S: Into<String>, T: Into<String>>(steps: impl IntoIterator<Item = (S, T)>) -> Self {
        Self(steps.into_iter().map(|(command, answer)| (command.into(), answer.into())).collect())
    }
}

impl CardChannel for Script {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        let (expected, answer) = self.0.pop_front().ok_or(CardError::Removed)?;
        assert_eq!(hex(command), expected.replace(' ', ""));
        Ok(unhex(&answer))
    }
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02X}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter(|c| *c != ' ').collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

/// A card that answers with anything.
pub(crate) struct Noise(pub(crate) VecDeque<Vec<u8>>);

impl CardChannel for Noise {
    fn transmit(&mut self, _: &[u8]) -> Result<Vec<u8>, CardError> {
        let answer = self.0.pop_front().ok_or(CardError::Removed)?;
        Ok(answer)
    }
}

fn command(data: &[u8], ne: u32) -> Command {
    Command::new(ins::GENERAL_AUTHENTICATE, 0x07, 0x9D, data, ne)
}

#[test]
fn the_seven_cases() {
    let long = [0x5a; 300];
    for (data, ne, short, extended) in [
        (&[][..], 0, Some("0087079D"), "0087079D"),
        (&[], 256, Some("0087079D00"), "0087079D000100"),
        (&[], 5, Some("0087079D05"), "0087079D000005"),
        (&[], 65_536, None, "0087079D000000"),
        (&[1, 2], 0, Some("0087079D020102"), "0087079D0000020102"),
        (&[1, 2], 256, Some("0087079D02010200"), "0087079D00000201020100"),
    ] {
        let command = command(data, ne);
        assert_eq!(command.short().map(|o| hex(&o)).as_deref(), short);
        assert_eq!(hex(&command.extended().unwrap()), extended);
        for octets in [command.short(), command.extended()].into_iter().flatten() {
            assert_eq!(Command::parse(&octets).unwrap(), command);
        }
    }
    assert!(command(&long, 0).short().is_none());
    assert!(command(&[0; 65_536], 0).extended().is_none());
    assert!(command(&[], 65_537).extended().is_none());
}

#[test]
fn wrong_lengths_are_no_commands() {
    for (octets, error) in [
        ("", ApduError::Short),
        ("0020 00", ApduError::Short),
        ("0020 0080 02 01", ApduError::Length),
        ("0020 0080 01 01 00 00", ApduError::Length),
        ("0020 0080 00 01", ApduError::Length),
        ("0020 0080 00 0000 01", ApduError::Length),
        ("0020 0080 00 0002 01", ApduError::Length),
        ("0020 0080 00 0001 01 00", ApduError::Length),
    ] {
        assert_eq!(Command::parse(&unhex(octets)), Err(error), "{octets}");
    }
}

#[test]
fn long_commands_are_chained_and_long_answers_fetched() {
    let data = vec![0xAB; 266];
    let first = format!("1087079DFF{}", "AB".repeat(255));
    let second = format!("0087079D0B{}00", "AB".repeat(11));
    let mut card = Script::new([
        (first, "9000".to_owned()),
        (second, format!("{}610A", "01".repeat(256))),
        ("00C000000A".into(), "0202020202020202020261 02".into()),
        ("00C0000002".into(), "6C01".into()),
        ("00C0000001".into(), "039000".into()),
    ]);
    let answer = exchange(&mut card, &command(&data, 256)).unwrap();
    assert_eq!(answer.status, status::OK);
    assert_eq!(answer.data.len(), 256 + 10 + 1);
    assert!(card.0.is_empty());
}

#[test]
fn a_refused_link_ends_the_chain() {
    let first = format!("1087079DFF{}", "AB".repeat(255));
    let mut card = Script::new([(first, "6884")]);
    let answer = exchange(&mut card, &command(&[0xAB; 300], 256)).unwrap();
    assert_eq!(answer.status, status::NO_CHAINING);
}

#[test]
fn a_wrong_le_is_asked_again_once() {
    let mut card = Script::new([("00CB3FFF00", "6C03"), ("00CB3FFF03", "0102039000")]);
    let ask = Command::new(ins::GET_DATA, 0x3F, 0xFF, &[], 256);
    assert_eq!(&exchange(&mut card, &ask).unwrap().data[..], &[1, 2, 3]);
    let mut card = Script::new([("00CB3FFF00", "6C03"), ("00CB3FFF03", "6C04")]);
    assert_eq!(exchange(&mut card, &ask).unwrap().status, 0x6C04);
}

#[test]
fn the_extended_form_sends_one_command() {
    let octets = format!("0087079D00012C{}0100", "AB".repeat(300));
    let mut card = Script::new([(octets, "019000")]);
    let answer = exchange_as(&mut card, &command(&[0xAB; 300], 256), Form::Extended).unwrap();
    assert_eq!(&answer.data[..], &[1]);
}

#[test]
fn a_card_that_promises_for_ever_is_left() {
    let mut idle = Noise(std::iter::repeat_n(vec![0x61, 0], 10).collect());
    assert!(matches!(exchange(&mut idle, &command(&[], 256)), Err(CardError::Malformed { .. })));
    let endless = [vec![7; 256], vec![0x61, 0]].concat();
    let mut endless = Noise(std::iter::repeat_n(endless, 1000).collect());
    assert!(matches!(exchange(&mut endless, &command(&[], 256)), Err(CardError::Malformed { .. })));
    // Octet by octet a card could hold us for hours within any length.
    let mut slow = Noise(std::iter::repeat_n(vec![7, 0x61, 0], 1000).collect());
    assert!(matches!(exchange(&mut slow, &command(&[], 256)), Err(CardError::Malformed { .. })));
    assert!(slow.0.len() > 400, "it was asked {} times", 1000 - slow.0.len());
    let mut mute = Noise([vec![0x90]].into());
    assert!(matches!(exchange(&mut mute, &command(&[], 0)), Err(CardError::Malformed { .. })));
}

#[test]
fn traces_tell_much_and_no_secret() {
    let shown = |octets: &str| redact_command(&unhex(octets));
    insta::assert_snapshot!(
        [
            shown("00A4040009A0000003080000100000"),
            shown("00A40400043132333400"),
            shown("00CB3FFF055C035FC10A00"),
            shown("00CB3FFF065C043132333400"),
            shown("0020008008313233343536FFFF"),
            shown("1020008008313233343536FFFF"),
            shown("00200080"),
            shown("0024008010313233343536FFFF363534333231FFFF"),
            shown("002C008010313233343536373831323334353637 38"),
            shown("0087079D067C0482008100 00"),
            shown("00DB3FFF0531323334 35"),
            shown("0020"),
            redact_response(&unhex("313233349000")),
            redact_response(&unhex("63C2")),
            redact_response(&unhex("90")),
        ]
        .join("\n"),
        @r"
    SELECT 00 A4 04 00 A00000030800001000 Ne=256
    SELECT 00 A4 04 00 [4 octets] Ne=256
    GET DATA 00 CB 3F FF 5C035FC10A Ne=256
    GET DATA 00 CB 3F FF [6 octets] Ne=256
    VERIFY 00 20 00 80 [8 octets]
    VERIFY 10 20 00 80 [8 octets]
    VERIFY 00 20 00 80
    CHANGE REFERENCE DATA 00 24 00 80 [16 octets]
    RESET RETRY COUNTER 00 2C 00 80 [16 octets]
    GENERAL AUTHENTICATE 00 87 07 9D [6 octets] Ne=256
    PUT DATA 00 DB 3F FF [5 octets]
    malformed command [2 octets]
    [4 octets] 9000 done
    63C2 2 tries left
    malformed response [1 octets]
    "
    );
    let verify = Command::new(ins::VERIFY, 0, 0x80, b"123456\xff\xff", 0);
    assert_eq!(format!("{verify:?}"), "Command(VERIFY 00 20 00 80 [8 octets])");
}

proptest! {
    #[test]
    fn both_forms_come_back(header in any::<[u8; 4]>(), data in prop::collection::vec(any::<u8>(), 0..400), ne in 0u32..=65_536) {
        let [cla, ins, p1, p2] = header;
        let command = Command { cla, ..Command::new(ins, p1, p2, &data, ne) };
        if let Some(octets) = command.short() {
            prop_assert_eq!(&Command::parse(&octets).unwrap(), &command);
        }
        let octets = command.extended().unwrap();
        prop_assert_eq!(&Command::parse(&octets).unwrap(), &command);
    }

    #[test]
    fn noise_is_read_without_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (redact_command(&octets), redact_response(&octets));
        if let Ok(command) = Command::parse(&octets) {
            prop_assert!(command.short() == Some(octets.clone().into()) || command.extended() == Some(octets.into()));
        }
    }

    #[test]
    fn noise_answers_end(answers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..10), 0..20), data in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(answer) = exchange(&mut Noise(answers.into()), &command(&data, 256)) {
            prop_assert!(answer.data.len() <= MAX_RESPONSE);
        }
    }
}
