//! A PIN typed on the reader's own keys (PC/SC part 10): the digits go from the pad into the card and never reach us.

use std::time::Duration;

use super::CardError;
use super::apdu::{self, ins};
use super::part10::{self, Asking, Properties, pad_status};
use super::piv::{LastTry, Piv};

/// How long beyond the reader's own time-out its answer is awaited: it has to tell the card, and the card has to compare.
const GRACE: Duration = Duration::from_secs(15);

/// A reader with keys and perhaps a display, and a card in it: an optional ability of a
/// [`CardChannel`](super::CardChannel).
pub trait PinPadReader {
    /// What the reader says of its PIN entry.
    fn properties(&self) -> Properties;

    /// FEATURE_VERIFY_PIN_DIRECT with a PIN_VERIFY_STRUCTURE. Blocks until the person is done, the reader gives up, or
    /// `patience` ends, after which the channel is dead. Gives the card's response, or the reader's own status word.
    fn verify_pin_direct(&mut self, structure: &[u8], patience: Duration) -> Result<Vec<u8>, CardError>;

    /// FEATURE_MODIFY_PIN_DIRECT with a PIN_MODIFY_STRUCTURE, in the same way; `None` if the reader has not got it.
    fn modify_pin_direct(&mut self, structure: &[u8], patience: Duration) -> Option<Result<Vec<u8>, CardError>>;
}

impl Piv {
    /// Whether the card's reader has keys of its own, and takes a PIN of this card's size on them.
    pub fn has_pin_pad(&mut self) -> bool {
        self.pad_structure(Asking::default(), part10::pin_verify_structure).is_ok()
    }

    /// Has the reader ask for the PIN and show it to the card (part 2, 3.2.1). The retry counter is read first: a blocked
    /// card is not asked about, and the last try is spent only where the caller allows it.
    ///
    /// Nobody typing is [`CardError::PinEntryTimedOut`], the cancel key [`CardError::PinEntryCancelled`], too few digits
    /// [`CardError::PinEntryLength`]; none of them spends a try. A reader without keys is [`CardError::NoPinPad`].
    pub fn verify_pin_on_pad(&mut self, asking: Asking, last_try: LastTry) -> Result<(), CardError> {
        let structure = self.pad_structure(asking, part10::pin_verify_structure)?;
        self.may_try(last_try)?;
        let pad = self.channel.as_pin_pad().ok_or(CardError::NoPinPad)?;
        let answer = pad.verify_pin_direct(&structure, patience(asking, 1))?;
        self.judge_pad(ins::VERIFY, &answer)
    }

    /// Has the reader ask for the old PIN and twice for the new one, and the card exchange them (part 2, 3.2.2). A
    /// wrong old PIN spends a try, as with [`Piv::verify_pin_on_pad`].
    pub fn change_pin_on_pad(&mut self, asking: Asking, last_try: LastTry) -> Result<(), CardError> {
        let structure = self.pad_structure(asking, part10::pin_modify_structure)?;
        self.may_try(last_try)?;
        let pad = self.channel.as_pin_pad().ok_or(CardError::NoPinPad)?;
        let answer = pad.modify_pin_direct(&structure, patience(asking, 3)).ok_or(CardError::NoPinPad)??;
        self.judge_pad(ins::CHANGE_REFERENCE_DATA, &answer)
    }

    fn pad_structure(
        &mut self,
        asking: Asking,
        structure: fn(Asking, Properties) -> Option<Vec<u8>>,
    ) -> Result<Vec<u8>, CardError> {
        let pad = self.channel.as_pin_pad().ok_or(CardError::NoPinPad)?;
        // A pad that cannot take six to eight digits is none for this card.
        structure(asking, pad.properties()).ok_or(CardError::NoPinPad)
    }

    /// The status word of the card, or of the reader in its place.
    fn judge_pad(&mut self, instruction: u8, answer: &[u8]) -> Result<(), CardError> {
        let command = apdu::name(instruction);
        let response =
            apdu::Response::parse(answer).ok_or(CardError::Malformed { command, what: "it has no status word" })?;
        tracing::trace!(target: "sealfax::apdu", command, %response, "typed on the reader's keys");
        match response.status {
            pad_status::TIMED_OUT => Err(CardError::PinEntryTimedOut),
            pad_status::CANCELLED => Err(CardError::PinEntryCancelled),
            pad_status::NEW_PINS_DIFFER => Err(CardError::NewPinsDiffer),
            pad_status::PIN_LENGTH => Err(CardError::PinEntryLength),
            sw => self.judge_pin(instruction, sw),
        }
    }
}

/// A person may take the reader's time-out once for every PIN and every digit of it.
fn patience(asking: Asking, pins: u32) -> Duration {
    const KEYS: u32 = crate::pin::Pin::MAX as u32 + 1;
    Duration::from_secs(u64::from(asking.seconds)) * (KEYS * pins) + GRACE
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::card::CardChannel;
    use crate::card::apdu::tests::unhex;

    /// A card with a retry counter in a reader whose person and card answer as they are told.
    struct Pad {
        counter: u16,
        answer: Vec<u8>,
        keys: bool,
        max_pin: u8,
        asked: std::sync::Arc<std::sync::Mutex<Vec<Vec<u8>>>>,
    }

    impl CardChannel for Pad {
        fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
            match command {
                [0x00, ins::SELECT, ..] => Ok(unhex("61114F0600001000010079074F05A0000003089000")),
                [0x00, ins::VERIFY, 0x00, 0x80] => Ok(self.counter.to_be_bytes().to_vec()),
                other => panic!("{other:02X?}"),
            }
        }

        fn as_pin_pad(&mut self) -> Option<&mut dyn PinPadReader> {
            if self.keys { Some(self) } else { None }
        }
    }

    impl PinPadReader for Pad {
        fn properties(&self) -> Properties {
            Properties { max_pin: self.max_pin, ..Properties::default() }
        }

        fn verify_pin_direct(&mut self, structure: &[u8], _: Duration) -> Result<Vec<u8>, CardError> {
            self.asked.lock().unwrap().push(structure.to_vec());
            Ok(self.answer.clone())
        }

        fn modify_pin_direct(&mut self, _: &[u8], _: Duration) -> Option<Result<Vec<u8>, CardError>> {
            None
        }
    }

    /// What comes of a PIN entry, and how often the person was asked.
    fn verify(counter: u16, answer: &str, last_try: LastTry) -> (Result<(), CardError>, usize) {
        let asked = std::sync::Arc::default();
        let pad = Pad { counter, answer: unhex(answer), keys: true, max_pin: 8, asked: std::sync::Arc::clone(&asked) };
        let result = Piv::select(Box::new(pad)).unwrap().verify_pin_on_pad(Asking::default(), last_try);
        let times = asked.lock().unwrap().len();
        (result, times)
    }

    #[test]
    fn every_end_of_a_pin_entry() {
        assert!(matches!(verify(0x63C3, "9000", LastTry::Refuse), (Ok(()), 1)));
        assert!(matches!(verify(0x63C3, "63C2", LastTry::Refuse), (Err(CardError::WrongPin { left: 2 }), 1)));
        assert!(matches!(verify(0x63C3, "6400", LastTry::Refuse), (Err(CardError::PinEntryTimedOut), 1)));
        assert!(matches!(verify(0x63C3, "6401", LastTry::Refuse), (Err(CardError::PinEntryCancelled), 1)));
        assert!(matches!(verify(0x63C3, "6403", LastTry::Refuse), (Err(CardError::PinEntryLength), 1)));
        assert!(matches!(verify(0x63C3, "6405", LastTry::Refuse), (Err(CardError::Status { status: 0x6405, .. }), 1)));
        // A card that does not say how many tries are left is asked.
        assert!(matches!(verify(0x63C2, "6300", LastTry::Refuse), (Err(CardError::WrongPin { left: 2 }), 1)));
        assert!(matches!(verify(0x63C2, "9000", LastTry::Shown(3)), (Err(CardError::LastTry), 0)));
        assert!(matches!(verify(0x63C3, "", LastTry::Refuse), (Err(CardError::Malformed { .. }), 1)));
        assert!(matches!(verify(0x63C1, "9000", LastTry::Refuse), (Err(CardError::LastTry), 0)));
        assert!(matches!(verify(0x63C1, "63C0", LastTry::Allow), (Err(CardError::Blocked), 1)));
        assert!(matches!(verify(0x6983, "9000", LastTry::Allow), (Err(CardError::Blocked), 0)));
    }

    #[test]
    fn a_reader_that_cannot() {
        for (keys, max_pin) in [(false, 8), (true, 4)] {
            let asked = std::sync::Arc::default();
            let pad =
                Pad { counter: 0x63C3, answer: vec![0x90, 0], keys, max_pin, asked: std::sync::Arc::clone(&asked) };
            let mut piv = Piv::select(Box::new(pad)).unwrap();
            assert!(!piv.has_pin_pad());
            let refused = piv.verify_pin_on_pad(Asking::default(), LastTry::Refuse);
            assert!(matches!(refused, Err(CardError::NoPinPad)));
            assert!(matches!(piv.change_pin_on_pad(Asking::default(), LastTry::Refuse), Err(CardError::NoPinPad)));
            assert!(asked.lock().unwrap().is_empty());
        }
    }
}
