//! A USB numeric keypad (or any keyboard) as a PIN pad: Linux's input events (evdev), grabbed, so that no digit reaches a
//! console or a log-in.
//!
//! What is not locked here: the events themselves lie in the kernel's queue and, until later ones overwrite them, in the
//! buffer of the crate `evdev`, which is plain memory of this process and not zeroised. Core dumps are off
//! ([`no_core_dumps`](super::no_core_dumps)), so they could leave it by swap alone: an adapter has none.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use evdev::{Device, EventStream, EventSummary, KeyCode};
use tokio::time::Instant;

use super::{PinKey, PinPad};
use crate::pattern::{NamePattern, NotChosen};

/// How soon a keypad that is not there is looked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// Which keypad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeypadChoice {
    /// Its device file, best one below `/dev/input/by-id`.
    Path(PathBuf),
    /// Its name, or part of it, among those that have digit keys.
    Name(NamePattern),
}

/// Why there is no keypad.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeypadError {
    /// The device cannot be opened or read.
    #[error(
        "the keypad {what} cannot be used ({source}); plug it in, and let the adapter's user read it (group input)"
    )]
    Device {
        /// Path or name.
        what: String,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// Another program has grabbed it.
    #[error("the keypad {what} is used by another program ({source}); end that program")]
    Taken {
        /// Path or name.
        what: String,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// None or several fit the name.
    #[error("which keypad? {0}")]
    NotChosen(#[from] NotChosen),
}

/// What a pressed key means at a PIN pad; `None` for keys that mean nothing there.
pub const fn meaning(key: KeyCode) -> Option<PinKey> {
    Some(match key {
        KeyCode::KEY_0 | KeyCode::KEY_KP0 => PinKey::Digit(0),
        KeyCode::KEY_1 | KeyCode::KEY_KP1 => PinKey::Digit(1),
        KeyCode::KEY_2 | KeyCode::KEY_KP2 => PinKey::Digit(2),
        KeyCode::KEY_3 | KeyCode::KEY_KP3 => PinKey::Digit(3),
        KeyCode::KEY_4 | KeyCode::KEY_KP4 => PinKey::Digit(4),
        KeyCode::KEY_5 | KeyCode::KEY_KP5 => PinKey::Digit(5),
        KeyCode::KEY_6 | KeyCode::KEY_KP6 => PinKey::Digit(6),
        KeyCode::KEY_7 | KeyCode::KEY_KP7 => PinKey::Digit(7),
        KeyCode::KEY_8 | KeyCode::KEY_KP8 => PinKey::Digit(8),
        KeyCode::KEY_9 | KeyCode::KEY_KP9 => PinKey::Digit(9),
        KeyCode::KEY_ENTER | KeyCode::KEY_KPENTER => PinKey::Enter,
        KeyCode::KEY_BACKSPACE | KeyCode::KEY_DELETE => PinKey::Backspace,
        KeyCode::KEY_ESC | KeyCode::KEY_DOT | KeyCode::KEY_KPDOT | KeyCode::KEY_KPCOMMA => PinKey::Cancel,
        _ => return None,
    })
}

/// The kernel's value of a key that goes down; 0 is up, 2 is held.
const PRESSED: i32 = 1;

/// A keypad, looked for again whenever it is gone.
pub struct Keypad {
    choice: KeypadChoice,
    keys: Option<EventStream>,
    next_try: Option<Instant>,
    /// What was last complained of, so that it is said once.
    complaint: Option<String>,
}

impl std::fmt::Debug for Keypad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keypad")
            .field("choice", &self.choice)
            .field("there", &self.keys.is_some())
            .finish_non_exhaustive()
    }
}

impl Keypad {
    /// The keypad of this choice. It need not be there yet.
    pub fn new(choice: KeypadChoice) -> Self {
        Self { choice, keys: None, next_try: None, complaint: None }
    }

    /// Opens and grabs the keypad now, to learn whether that can be done; [`PinPad::next_key`] does it by itself.
    pub fn open(&mut self) -> Result<(), KeypadError> {
        if self.keys.is_none() {
            self.keys = Some(open(&self.choice)?);
        }
        Ok(())
    }

    fn complain(&mut self, why: String) {
        if self.complaint.as_ref() != Some(&why) {
            tracing::warn!("{why}");
            self.complaint = Some(why);
        }
    }
}

fn open(choice: &KeypadChoice) -> Result<EventStream, KeypadError> {
    let (mut device, what) = match choice {
        KeypadChoice::Path(path) => {
            let what = path.display().to_string();
            let device = Device::open(path).map_err(|source| KeypadError::Device { what: what.clone(), source })?;
            (device, what)
        }
        KeypadChoice::Name(pattern) => {
            let mut named: Vec<(String, Device)> = evdev::enumerate()
                .map(|(_, device)| device)
                .filter(has_digits)
                .map(|device| (device.name().unwrap_or("keypad without a name").to_owned(), device))
                .collect();
            // Several interfaces of one keypad may bear one name; the first is taken.
            let mut names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let chosen = pattern.choose(&names)?.to_string();
            let at = named.iter().position(|(name, _)| *name == chosen).unwrap_or_default();
            let (what, device) = named.swap_remove(at);
            (device, what)
        }
    };
    device.grab().map_err(|source| KeypadError::Taken { what: what.clone(), source })?;
    device.into_event_stream().map_err(|source| KeypadError::Device { what, source })
}

fn has_digits(device: &Device) -> bool {
    let has = |key| device.supported_keys().is_some_and(|keys| keys.contains(key));
    (has(KeyCode::KEY_KP1) || has(KeyCode::KEY_1)) && (has(KeyCode::KEY_KPENTER) || has(KeyCode::KEY_ENTER))
}

#[async_trait]
impl PinPad for Keypad {
    /// A keypad that is unplugged is waited for, however long it takes. May be cancelled and called again.
    async fn next_key(&mut self) -> Option<PinKey> {
        loop {
            let Some(keys) = &mut self.keys else {
                // Kept across cancelled calls, so that nobody's hurry makes us look more often.
                if let Some(then) = self.next_try {
                    tokio::time::sleep_until(then).await;
                }
                match self.open() {
                    Ok(()) => {
                        tracing::info!("the keypad is ready");
                        (self.next_try, self.complaint) = (None, None);
                    }
                    Err(error) => {
                        self.next_try = Some(Instant::now() + AGAIN);
                        self.complain(error.to_string());
                    }
                }
                continue;
            };
            match keys.next_event().await.map(|event| event.destructure()) {
                Ok(EventSummary::Key(_, key, PRESSED)) => {
                    if let Some(key) = meaning(key) {
                        return Some(key);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    self.keys = None;
                    self.next_try = Some(Instant::now() + AGAIN);
                    self.complain(format!("the keypad is gone ({error}); plug it in again"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn both_rows_of_digits() {
        let keypad = [82, 79, 80, 81, 75, 76, 77, 71, 72, 73].map(KeyCode::new);
        let top_row = [11, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(KeyCode::new);
        for (digit, (keypad, top)) in (0u8..).zip(keypad.into_iter().zip(top_row)) {
            assert_eq!(meaning(keypad), Some(PinKey::Digit(digit)));
            assert_eq!(meaning(top), Some(PinKey::Digit(digit)));
        }
    }

    /// Numbers of `linux/input-event-codes.h`: no more keys mean something than are listed.
    #[test]
    fn every_other_key_of_a_keyboard() {
        let enter = [28, 96];
        let backspace = [14, 111];
        let cancel = [1, 52, 83, 121];
        let digits = [82, 79, 80, 81, 75, 76, 77, 71, 72, 73, 11, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        for number in 0..0x2FFu16 {
            let wanted = match number {
                n if enter.contains(&n) => Some(PinKey::Enter),
                n if backspace.contains(&n) => Some(PinKey::Backspace),
                n if cancel.contains(&n) => Some(PinKey::Cancel),
                n if digits.contains(&n) => continue,
                _ => None,
            };
            assert_eq!(meaning(KeyCode::new(number)), wanted, "{number}");
        }
    }

    #[tokio::test]
    async fn a_keypad_that_is_not_there_is_waited_for() {
        let mut keypad = Keypad::new(KeypadChoice::Path("/dev/input/by-id/no-such-keypad".into()));
        let error = keypad.open().unwrap_err();
        assert!(matches!(&error, KeypadError::Device { .. }), "{error:?}");
        assert!(error.to_string().contains("no-such-keypad"), "{error}");
        let key = tokio::time::timeout(Duration::from_millis(50), keypad.next_key()).await;
        assert!(key.is_err(), "{key:?}");
    }
}
