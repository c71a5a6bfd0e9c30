//! The person types a PIN: keys in, events out (NIST SP 800-73-5, 2.4.3: six to eight digits).

use zeroize::Zeroize as _;

use super::locked::LockedOctets;
use super::{Pin, PinKey};

/// What a key led to.
#[derive(Debug)]
#[non_exhaustive]
pub enum PinEvent {
    /// So many digits stand there now.
    Changed {
        /// From 0 to [`Pin::MAX`].
        entered: u8,
    },
    /// The PIN; the entry is empty again.
    Complete(Pin),
    /// Enter came too early; the digits stay. A card is never asked about a PIN that cannot be one.
    TooShort {
        /// Digits so far.
        entered: u8,
    },
    /// The person gave up; the entry is empty again.
    Cancelled,
    /// A key without effect: a digit too many, nothing to take back, or no digit at all.
    Ignored,
}

/// Digits being entered, in locked memory that is zeroised when cleared and when dropped.
pub struct PinEntry {
    digits: LockedOctets,
    entered: u8,
}

impl std::fmt::Debug for PinEntry {
    /// Says how many digits, never which.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PinEntry({} digits)", self.entered)
    }
}

impl Default for PinEntry {
    fn default() -> Self {
        Self { digits: LockedOctets::new(), entered: 0 }
    }
}

impl PinEntry {
    /// An empty entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many digits stand there.
    pub fn entered(&self) -> u8 {
        self.entered
    }

    /// Forgets the digits: the card was pulled, or the time is over.
    pub fn clear(&mut self) {
        self.digits.zeroize();
        self.entered = 0;
    }

    /// Takes one key.
    pub fn key(&mut self, key: PinKey) -> PinEvent {
        match key {
            PinKey::Digit(digit @ 0..=9) => match self.digits.get_mut(usize::from(self.entered)) {
                Some(place) => {
                    *place = b'0' + digit;
                    self.entered += 1;
                    self.changed()
                }
                None => PinEvent::Ignored,
            },
            PinKey::Digit(_) => PinEvent::Ignored,
            PinKey::Backspace => {
                let Some(last) = self.entered.checked_sub(1) else {
                    return PinEvent::Ignored;
                };
                if let Some(place) = self.digits.get_mut(usize::from(last)) {
                    *place = 0;
                }
                self.entered = last;
                self.changed()
            }
            PinKey::Cancel => {
                self.clear();
                PinEvent::Cancelled
            }
            PinKey::Enter => {
                let typed = self.digits.get(..usize::from(self.entered));
                match typed.and_then(Pin::new) {
                    Some(pin) => {
                        self.clear();
                        PinEvent::Complete(pin)
                    }
                    None => PinEvent::TooShort { entered: self.entered },
                }
            }
        }
    }

    fn changed(&self) -> PinEvent {
        PinEvent::Changed { entered: self.entered }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn typed(entry: &mut PinEntry, digits: &[u8]) {
        for digit in digits {
            entry.key(PinKey::Digit(*digit));
        }
    }

    #[test]
    fn six_digits_and_enter() {
        let mut entry = PinEntry::new();
        typed(&mut entry, &[1, 2, 3, 4, 5, 6]);
        match entry.key(PinKey::Enter) {
            PinEvent::Complete(pin) => assert_eq!(*pin.padded(), *b"123456\xff\xff"),
            other => panic!("{other:?}"),
        }
        assert_eq!(entry.entered(), 0);
    }

    #[test]
    fn too_short_keeps_the_digits() {
        let mut entry = PinEntry::new();
        typed(&mut entry, &[1, 2, 3, 4, 5]);
        assert!(matches!(entry.key(PinKey::Enter), PinEvent::TooShort { entered: 5 }));
        assert!(matches!(entry.key(PinKey::Digit(6)), PinEvent::Changed { entered: 6 }));
        assert!(matches!(entry.key(PinKey::Enter), PinEvent::Complete(_)));
    }

    #[test]
    fn a_ninth_digit_changes_nothing() {
        let mut entry = PinEntry::new();
        typed(&mut entry, &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(matches!(entry.key(PinKey::Digit(9)), PinEvent::Ignored));
        assert!(matches!(entry.key(PinKey::Digit(77)), PinEvent::Ignored));
        match entry.key(PinKey::Enter) {
            PinEvent::Complete(pin) => assert_eq!(&*pin.padded(), b"12345678"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_shows_the_digits() {
        let mut entry = PinEntry::new();
        typed(&mut entry, &[4, 9, 4, 9, 4, 9]);
        assert_eq!(format!("{entry:?}"), "PinEntry(6 digits)");
        assert_eq!(format!("{:?}", entry.key(PinKey::Enter)), "Complete(Pin(*))");
        assert_eq!(format!("{:?}", PinKey::Digit(4)), "Digit(*)");
    }

    #[test]
    fn cancel_zeroises() {
        let mut entry = PinEntry::new();
        typed(&mut entry, &[4, 9, 4, 9, 4, 9]);
        assert!(matches!(entry.key(PinKey::Cancel), PinEvent::Cancelled));
        assert_eq!(*entry.digits, [0; Pin::MAX]);
        typed(&mut entry, &[4, 9]);
        entry.key(PinKey::Backspace);
        assert_eq!(*entry.digits, [b'4', 0, 0, 0, 0, 0, 0, 0]);
    }

    fn any_key() -> impl Strategy<Value = PinKey> {
        prop_oneof![
            8 => any::<u8>().prop_map(|d| PinKey::Digit(d % 12)),
            1 => Just(PinKey::Backspace),
            1 => Just(PinKey::Enter),
            1 => Just(PinKey::Cancel),
        ]
    }

    proptest! {
        /// The entry does what a list of digits would do.
        #[test]
        fn like_a_list(keys in proptest::collection::vec(any_key(), 0..200)) {
            let mut entry = PinEntry::new();
            let mut model: Vec<u8> = Vec::new();
            for key in keys {
                let event = entry.key(key);
                match key {
                    PinKey::Digit(d) if d <= 9 && model.len() < Pin::MAX => model.push(b'0' + d),
                    PinKey::Backspace => { model.pop(); }
                    PinKey::Cancel => model.clear(),
                    PinKey::Enter if model.len() >= Pin::MIN => {
                        let PinEvent::Complete(pin) = event else { panic!("{event:?}") };
                        prop_assert_eq!(&pin.padded()[..model.len()], &model[..]);
                        model.clear();
                    }
                    _ => {}
                }
                prop_assert_eq!(usize::from(entry.entered()), model.len());
                prop_assert_eq!(&entry.digits[..model.len()], &model[..]);
            }
        }
    }
}
