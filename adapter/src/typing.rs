//! What is typed at the keypad: digits count only while the screen asks for them, and those of an entry that came to
//! nothing are no part of the next one. Decides; `devices.rs` watches the keys and the screen.

use std::sync::Arc;

use sealfax_drivers::display::Screen;
use sealfax_drivers::pin::{PinEntry, PinEvent, PinKey};

use crate::flow::card_session::CardInput;
use crate::flow::desk::Insertion;

/// A PIN being typed, and for whom.
#[derive(Debug, Default)]
pub(crate) struct Typing {
    entry: PinEntry,
    /// The insertion whose PIN is asked for.
    asked: Option<Insertion>,
    /// How many digits the screen shows, if it shows digits.
    digits: Option<u8>,
    /// The screen is about to show no digit because of what was typed here.
    emptied: bool,
}

impl Typing {
    /// What the screen shows now, and the insertion that is in the slot.
    pub(crate) fn shown(&mut self, screen: &Screen, present: Option<Insertion>) {
        let (asked, digits) = match screen {
            Screen::Pin { entered, .. } => (present, Some(*entered)),
            Screen::PinWrong { .. } => (present, None),
            _ => (None, None),
        };
        // A screen that begins anew, though nobody took the digits back here: they were given up. One that is merely
        // drawn again, or that has not caught up with quick fingers, says nothing.
        let began = digits == Some(0) && self.digits != digits && !self.emptied;
        if asked != self.asked || began {
            self.entry.clear();
        }
        if digits != self.digits || asked != self.asked {
            self.emptied = false;
        }
        (self.asked, self.digits) = (asked, digits);
    }

    /// A key; what the desk is to know of it.
    pub(crate) fn key(&mut self, key: PinKey) -> Option<(Insertion, CardInput)> {
        let insertion = self.asked?;
        let input = match self.entry.key(key) {
            PinEvent::Changed { entered } => CardInput::PinProgress(entered),
            PinEvent::Complete(pin) => CardInput::PinEntered(Arc::new(pin)),
            PinEvent::Cancelled => CardInput::PinCancelled,
            _ => return None,
        };
        self.emptied |= matches!(input, CardInput::PinProgress(0) | CardInput::PinCancelled);
        Some((insertion, input))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn pin(entered: u8) -> Screen {
        Screen::Pin { name: "hanako".into(), entered, tries_left: 3 }
    }

    fn types(typing: &mut Typing, digits: &[u8]) {
        for digit in digits {
            typing.key(PinKey::Digit(*digit));
        }
    }

    /// The PIN that Enter gives, padded.
    fn entered(typing: &mut Typing) -> [u8; 8] {
        match typing.key(PinKey::Enter) {
            Some((_, CardInput::PinEntered(pin))) => *pin.padded(),
            other => panic!("{other:?}"),
        }
    }

    const PIN: [u8; 6] = [2, 7, 1, 8, 2, 8];
    const PADDED: [u8; 8] = *b"271828\xff\xff";

    #[test]
    fn digits_of_an_entry_that_was_given_up_are_no_part_of_the_next() {
        // The card is parked while its PIN is typed, and asked for it again: seen, or too quick to be seen.
        for between in [Some(Screen::WrongCard { names: vec![] }), None] {
            let mut typing = Typing::default();
            typing.shown(&pin(0), Some(1));
            types(&mut typing, &[9, 9]);
            typing.shown(&pin(2), Some(1));
            if let Some(screen) = &between {
                typing.shown(screen, Some(1));
            }
            typing.shown(&pin(0), Some(1));
            types(&mut typing, &PIN);
            assert_eq!(entered(&mut typing), PADDED, "{between:?}");
        }
        // Another card is in, and the screen happens to be the same.
        let mut typing = Typing::default();
        typing.shown(&pin(0), Some(1));
        types(&mut typing, &[9, 9]);
        typing.shown(&pin(0), Some(2));
        types(&mut typing, &PIN);
        assert_eq!(entered(&mut typing), PADDED);
    }

    #[test]
    fn a_screen_that_lags_behind_takes_no_digit_away() {
        let mut typing = Typing::default();
        typing.shown(&pin(0), Some(1));
        types(&mut typing, &PIN[..2]);
        // The clock on the screen moved.
        typing.shown(&pin(0), Some(1));
        typing.shown(&pin(1), Some(1));
        types(&mut typing, &PIN[2..]);
        assert_eq!(entered(&mut typing), PADDED);
        // All taken back, or cancelled, and typed on before the screen shows it.
        for gone in [PinKey::Backspace, PinKey::Cancel] {
            let mut typing = Typing::default();
            typing.shown(&pin(0), Some(1));
            types(&mut typing, &[9]);
            typing.shown(&pin(1), Some(1));
            typing.key(gone);
            types(&mut typing, &PIN[..1]);
            typing.shown(&pin(1), Some(1));
            typing.shown(&pin(0), Some(1));
            types(&mut typing, &PIN[1..]);
            assert_eq!(entered(&mut typing), PADDED, "{gone:?}");
        }
    }

    #[test]
    fn keys_mean_nothing_where_no_pin_is_asked() {
        let mut typing = Typing::default();
        typing.shown(&Screen::Idle, Some(1));
        assert!(typing.key(PinKey::Digit(1)).is_none());
        typing.shown(&pin(0), None);
        assert!(typing.key(PinKey::Digit(1)).is_none());
        typing.shown(&Screen::PinWrong { tries_left: 2 }, Some(1));
        assert!(matches!(typing.key(PinKey::Digit(1)), Some((1, CardInput::PinProgress(1)))));
    }
}
