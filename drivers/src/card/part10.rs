//! IFDs with secure PIN entry (PC/SC part 10, revision 2.02.09): the features that a reader offers, the sizes of PIN it
//! takes, and the structures that have it ask for a PIN on its own keys and put it into a command.
//!
//! All of it is octets in, octets out. The structures carry a command without a PIN in it.

use super::apdu::ins;

/// Control code of GET_FEATURE_REQUEST (2.2), as pcsc-lite numbers codes.
pub const GET_FEATURE_REQUEST: u32 = 0x4200_0000 + 3400;

/// Features (2.3, table 1).
pub mod feature {
    /// FEATURE_VERIFY_PIN_DIRECT.
    pub const VERIFY_PIN_DIRECT: u8 = 0x06;
    /// FEATURE_MODIFY_PIN_DIRECT.
    pub const MODIFY_PIN_DIRECT: u8 = 0x07;
    /// FEATURE_IFD_PIN_PROPERTIES.
    pub const IFD_PIN_PROPERTIES: u8 = 0x0A;
    /// FEATURE_GET_TLV_PROPERTIES.
    pub const GET_TLV_PROPERTIES: u8 = 0x12;
}

/// The features of a reader, each with the control code that calls it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features(Vec<(u8, u32)>);

impl Features {
    /// Reads the answer to GET_FEATURE_REQUEST: tag, length 4, control code with its high octet first. What is cut off or
    /// of another length is passed over.
    pub fn parse(answer: &[u8]) -> Self {
        let mut features = Vec::new();
        each(answer, |tag, value| {
            if let Ok(code) = <[u8; 4]>::try_from(value) {
                features.push((tag, u32::from_be_bytes(code)));
            }
        });
        Self(features)
    }

    /// The control code of a feature, if the reader has it.
    pub fn code(&self, feature: u8) -> Option<u32> {
        self.0.iter().find(|(tag, _)| *tag == feature).map(|(_, code)| *code)
    }
}

/// What a reader says of its PIN entry and its sizes (2.6.8, 2.6.14). Where it says nothing, nothing is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Properties {
    /// bMinPINSize.
    pub min_pin: u8,
    /// bMaxPINSize.
    pub max_pin: u8,
    /// bEntryValidationCondition: bit 0 maximum size reached, bit 1 validation key, bit 2 time-out.
    pub validation: u8,
    /// dwMaxAPDUDataSize: 0 or `None` for short commands alone.
    pub max_apdu_data: Option<u32>,
}

impl Default for Properties {
    fn default() -> Self {
        Self { min_pin: 0, max_pin: u8::MAX, validation: VALIDATION_KEY, max_apdu_data: None }
    }
}

/// The PIN is complete when the reader's OK key is pressed.
const VALIDATION_KEY: u8 = 0x02;
/// The PIN is complete when no more digits fit.
const MAX_SIZE: u8 = 0x01;

impl Properties {
    /// Reads the answer to FEATURE_GET_TLV_PROPERTIES: tag, length, value with its low octet first.
    pub fn parse_tlv(answer: &[u8]) -> Self {
        let mut properties = Self::default();
        each(answer, |tag, value| match (tag, value) {
            (0x02, [condition]) => properties.validation = *condition,
            (0x06, [size]) => properties.min_pin = *size,
            // Zero is said by readers that do not limit it.
            (0x07, [size]) if *size > 0 => properties.max_pin = *size,
            (0x0A, value) => {
                properties.max_apdu_data = <[u8; 4]>::try_from(value).ok().map(u32::from_le_bytes);
            }
            _ => {}
        });
        properties
    }

    /// Reads the answer to FEATURE_IFD_PIN_PROPERTIES, which older readers have instead: wLcdLayout,
    /// bEntryValidationCondition, bTimeOut2.
    pub fn parse_pin_properties(answer: &[u8]) -> Self {
        let mut properties = Self::default();
        if let [_, _, condition, ..] = answer {
            properties.validation = *condition;
        }
        properties
    }

    /// How the reader is told that a PIN is complete: its key where it has one.
    fn validation(self) -> u8 {
        if self.validation & VALIDATION_KEY != 0 || self.validation == 0 {
            VALIDATION_KEY
        } else {
            self.validation | MAX_SIZE
        }
    }

    /// The sizes of PIN that both card and reader take; `None` if there is no such size.
    fn sizes(self) -> Option<(u8, u8)> {
        let (min, max) = (self.min_pin.max(MIN_PIN), self.max_pin.min(MAX_PIN));
        (min <= max).then_some((min, max))
    }
}

/// PIV's PIN (NIST SP 800-73-5 part 1, 2.4.3).
const MIN_PIN: u8 = crate::pin::Pin::MIN as u8;
const MAX_PIN: u8 = crate::pin::Pin::MAX as u8;

/// bmFormatString: ASCII, left-justified, positions in octets, the PIN at the beginning of the data.
const FORMAT: u8 = 0x82;
/// bmPINBlockString: no length is inserted, the block has eight octets.
const BLOCK: u8 = 0x08;
/// bmPINLengthFormat: no length is inserted.
const LENGTH_FORMAT: u8 = 0x00;

/// How a reader asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// Seconds until the first key, and from each key to the next.
    pub seconds: u8,
    /// wLangId, the language of the reader's own words: 0x0411 Japanese, 0x0409 English.
    pub language: u16,
}

impl Default for Asking {
    fn default() -> Self {
        Self { seconds: 30, language: 0x0411 }
    }
}

/// PIN_VERIFY_STRUCTURE (2.5.2) for PIV's VERIFY, `00 20 00 80` with eight octets padded with FF. `None` if the reader
/// does not take a PIN of PIV's size.
pub fn pin_verify_structure(asking: Asking, properties: Properties) -> Option<Vec<u8>> {
    let (min, max) = properties.sizes()?;
    let [language_low, language_high] = asking.language.to_le_bytes();
    let mut structure = vec![
        asking.seconds, // bTimeOut
        asking.seconds, // bTimeOut2
        FORMAT,
        BLOCK,
        LENGTH_FORMAT,
        max, // wPINMaxExtraDigit: the most digits in the low octet
        min, // and the fewest in the high one
        properties.validation(),
        0x01, // bNumberMessage
        language_low,
        language_high,
        0x00, // bMsgIndex
        0x00, // bTeoPrologue
        0x00,
        0x00,
    ];
    append_command(&mut structure, &[0x00, ins::VERIFY, 0x00, 0x80, 0x08], 8);
    Some(structure)
}

/// PIN_MODIFY_STRUCTURE (2.5.3) for PIV's CHANGE REFERENCE DATA, `00 24 00 80` with the old PIN and the new one, each of
/// eight octets padded with FF. The reader asks for the old PIN, the new one, and the new one again.
pub fn pin_modify_structure(asking: Asking, properties: Properties) -> Option<Vec<u8>> {
    let (min, max) = properties.sizes()?;
    let [language_low, language_high] = asking.language.to_le_bytes();
    let mut structure = vec![
        asking.seconds, // bTimeOut
        asking.seconds, // bTimeOut2
        FORMAT,
        BLOCK,
        LENGTH_FORMAT,
        0x00, // bInsertionOffsetOld
        0x08, // bInsertionOffsetNew
        max,  // wPINMaxExtraDigit
        min,
        0x03, // bConfirmPIN: the new PIN twice, the old one first
        properties.validation(),
        0x03, // bNumberMessage
        language_low,
        language_high,
        0x00, // bMsgIndex1: the old PIN
        0x01, // bMsgIndex2: the new PIN
        0x02, // bMsgIndex3: the new PIN again
        0x00, // bTeoPrologue
        0x00,
        0x00,
    ];
    append_command(&mut structure, &[0x00, ins::CHANGE_REFERENCE_DATA, 0x00, 0x80, 0x10], 16);
    Some(structure)
}

/// ulDataLength and abData: the command with FF where the reader puts the digits.
fn append_command(structure: &mut Vec<u8>, header: &[u8], data: usize) {
    let length = u32::try_from(header.len() + data).unwrap_or_default();
    structure.extend_from_slice(&length.to_le_bytes());
    structure.extend_from_slice(header);
    structure.resize(structure.len() + data, 0xFF);
}

/// What a reader answers in place of the card (2.5.2, 2.5.3).
pub mod pad_status {
    /// Nobody typed.
    pub const TIMED_OUT: u16 = 0x6400;
    /// The person pressed the cancel key.
    pub const CANCELLED: u16 = 0x6401;
    /// The new PIN and its repetition differ.
    pub const NEW_PINS_DIFFER: u16 = 0x6402;
    /// The PIN has too few or too many digits.
    pub const PIN_LENGTH: u16 = 0x6403;
}

/// Calls `each` with tag and value of a flat list of one-octet tags and lengths; what is cut off at the end is left out.
fn each(list: &[u8], mut each: impl FnMut(u8, &[u8])) {
    let mut rest = list;
    while let [tag, length, after @ ..] = rest {
        let Some((value, next)) = after.split_at_checked(usize::from(*length)) else { break };
        each(*tag, value);
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::card::apdu::tests::unhex;
    use proptest::prelude::*;

    #[test]
    fn features() {
        let features = Features::parse(&unhex("06044233000607044233000712044233001213"));
        assert_eq!(features.code(feature::VERIFY_PIN_DIRECT), Some(0x4233_0006));
        assert_eq!(features.code(feature::MODIFY_PIN_DIRECT), Some(0x4233_0007));
        assert_eq!(features.code(feature::GET_TLV_PROPERTIES), Some(0x4233_0012));
        assert_eq!(features.code(feature::IFD_PIN_PROPERTIES), None);
        assert_eq!(
            Features::parse(&unhex("0603423300")).code(feature::VERIFY_PIN_DIRECT),
            None,
            "a length that is not 4"
        );
    }

    #[test]
    fn properties() {
        let said =
            Properties::parse_tlv(&unhex("0102100202010706010407010C08024142 0A0400000100".replace(' ', "").as_str()));
        assert_eq!(said, Properties { min_pin: 4, max_pin: 12, validation: 7, max_apdu_data: Some(0x10000) });
        let short = Properties::parse_tlv(&unhex("070100 0A0400000000".replace(' ', "").as_str()));
        assert_eq!(short, Properties { max_apdu_data: Some(0), ..Properties::default() });
        assert_eq!(Properties::parse_pin_properties(&unhex("00000700")).validation, 7);
        assert_eq!(Properties::parse_pin_properties(&[]), Properties::default());
    }

    const ENGLISH: Asking = Asking { seconds: 30, language: 0x0409 };

    /// Octet by octet from the standard's table.
    #[test]
    fn verify_golden() {
        let structure = pin_verify_structure(ENGLISH, Properties::default()).unwrap();
        let golden = "1E1E 82 08 00 0806 02 01 0904 00 000000 0D000000 0020008008 FFFFFFFFFFFFFFFF";
        assert_eq!(structure, unhex(&golden.replace(' ', "")));
        let limited = Properties { min_pin: 7, max_pin: 7, validation: 0x05, max_apdu_data: None };
        let structure = pin_verify_structure(Asking { seconds: 15, language: 0x0411 }, limited).unwrap();
        let golden = "0F0F 82 08 00 0707 05 01 1104 00 000000 0D000000 0020008008 FFFFFFFFFFFFFFFF";
        assert_eq!(structure, unhex(&golden.replace(' ', "")));
    }

    #[test]
    fn modify_golden() {
        let structure = pin_modify_structure(ENGLISH, Properties::default()).unwrap();
        let golden = "1E1E 82 08 00 00 08 0806 03 02 03 0904 000102 000000 15000000 0024008010 \
                      FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF";
        assert_eq!(structure, unhex(&golden.replace(' ', "")));
    }

    #[test]
    fn a_pad_that_is_too_small() {
        for (min_pin, max_pin) in [(0, 5), (9, 16)] {
            let small = Properties { min_pin, max_pin, ..Properties::default() };
            assert_eq!(pin_verify_structure(ENGLISH, small), None);
            assert_eq!(pin_modify_structure(ENGLISH, small), None);
        }
    }

    proptest! {
        #[test]
        fn any_answer_of_a_reader(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Features::parse(&octets);
            let properties = Properties::parse_tlv(&octets);
            if let Some(structure) = pin_verify_structure(ENGLISH, properties) {
                prop_assert_eq!(structure.len(), 32);
                prop_assert!(structure[5] <= 8 && structure[6] >= 6 && structure[7] != 0);
            }
        }
    }
}
