//! PIN entry: keys one by one, and the PIN itself, which lives in locked, zeroised memory and never shows itself.

mod dumps;
mod entry;
mod keypad;
mod locked;
mod virtual_pad;

use async_trait::async_trait;
use zeroize::Zeroizing;

pub use dumps::no_core_dumps;
pub use entry::{PinEntry, PinEvent};
pub use keypad::{Keypad, KeypadChoice, KeypadError, meaning};
use locked::LockedOctets;
pub use virtual_pad::VirtualPinPad;

/// One key of a PIN pad.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PinKey {
    /// 0 to 9.
    Digit(u8),
    /// Takes the last digit back.
    Backspace,
    /// The PIN is complete.
    Enter,
    /// The person gives up.
    Cancel,
}

impl std::fmt::Debug for PinKey {
    /// Digits are not told apart, so that no trace can hold a PIN.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Digit(_) => "Digit(*)",
            Self::Backspace => "Backspace",
            Self::Enter => "Enter",
            Self::Cancel => "Cancel",
        })
    }
}

/// A device with keys.
#[async_trait]
pub trait PinPad: Send {
    /// Waits for the next key. `None`: the pad is gone for good.
    async fn next_key(&mut self) -> Option<PinKey>;
}

/// A PIN of 6 to 8 digits (NIST SP 800-73-5, 2.4.3), in memory that is neither swapped nor dumped, and zeroised when
/// dropped. There is one of it: it is moved, not copied.
pub struct Pin {
    digits: LockedOctets,
    length: usize,
}

impl Pin {
    /// Fewest digits.
    pub const MIN: usize = 6;
    /// Most digits.
    pub const MAX: usize = 8;

    /// A PIN from its ASCII digits; `None` if it has other characters or a wrong length.
    pub fn new(digits: &[u8]) -> Option<Self> {
        let sound = (Self::MIN..=Self::MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        sound.then(|| {
            let mut locked = LockedOctets::new();
            for (octet, digit) in locked.iter_mut().zip(digits) {
                *octet = *digit;
            }
            Self { digits: locked, length: digits.len() }
        })
    }

    /// The eight octets of the VERIFY command: ASCII digits padded with FF (NIST SP 800-73-5 part 2, 3.2.1).
    pub fn padded(&self) -> Zeroizing<[u8; 8]> {
        let mut block = Zeroizing::new([0xff; 8]);
        for (octet, digit) in block.iter_mut().zip(self.digits.iter().take(self.length)) {
            *octet = *digit;
        }
        block
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin(*)")
    }
}
