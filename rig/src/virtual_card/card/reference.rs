//! The PIN and the unblocking key on the card: a secret that is compared and counts its tries (NIST SP 800-73-5 part 2,
//! 3.2.1).

use sealfax_drivers::card::apdu::status;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A secret that is compared, with its retry counter.
pub(super) struct Reference {
    value: Zeroizing<[u8; 8]>,
    pub(super) tries: u8,
    pub(super) full: u8,
}

impl Reference {
    pub(super) fn new(value: Zeroizing<[u8; 8]>, full: u8) -> Self {
        let full = full.clamp(1, 15);
        Self { value, tries: full, full }
    }

    /// Compares, counts, and answers the status word (part 2, 3.2.1).
    pub(super) fn compare(&mut self, shown: &[u8]) -> Result<(), u16> {
        if self.tries == 0 {
            return Err(status::BLOCKED);
        }
        // The try is spent before the comparison, so that cutting the power cannot save it.
        self.tries -= 1;
        if bool::from(self.value.as_slice().ct_eq(shown)) {
            self.tries = self.full;
            Ok(())
        } else {
            Err(self.left())
        }
    }

    pub(super) fn set(&mut self, value: &[u8; 8]) {
        self.value = Zeroizing::new(*value);
        self.tries = self.full;
    }

    pub(super) fn left(&self) -> u16 {
        0x63C0 | u16::from(self.tries)
    }

    /// Whether it is this value: what the card itself may know, and says in its metadata.
    pub(super) fn is(&self, value: &[u8; 8]) -> bool {
        bool::from(self.value.as_slice().ct_eq(value))
    }
}
