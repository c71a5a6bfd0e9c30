//! A PIN pad and a button that a scenario's people press. The log says that keys were pressed, never which.

use std::time::Duration;

use async_trait::async_trait;
use sealfax_drivers::button::{Button, ButtonPress};
use sealfax_drivers::pin::{PinKey, PinPad};
use tokio::sync::mpsc;

use crate::events::EventLog;

/// Keys that wait for the adapter; more are lost, as on a real pad.
const BUFFERED: usize = 64;

/// The adapter's end of the pad.
#[derive(Debug)]
pub struct Keypad(mpsc::Receiver<PinKey>);

/// The person's end of the pad.
#[derive(Debug, Clone)]
pub struct Keys {
    keys: mpsc::Sender<PinKey>,
    log: EventLog,
}

/// A pad: what the adapter reads, and what people press.
pub fn keypad(log: EventLog) -> (Keypad, Keys) {
    let (keys, pad) = mpsc::channel(BUFFERED);
    (Keypad(pad), Keys { keys, log })
}

#[async_trait]
impl PinPad for Keypad {
    async fn next_key(&mut self) -> Option<PinKey> {
        self.0.recv().await
    }
}

impl Keys {
    /// `who` types the digits of `pin` and Enter; `between` is the time from key to key.
    pub async fn type_pin(&self, who: &str, pin: &str, between: Duration) {
        self.log.person(who, "types the PIN");
        let digits = pin.bytes().filter(u8::is_ascii_digit).map(|digit| PinKey::Digit(digit - b'0'));
        for key in digits.chain([PinKey::Enter]) {
            self.press(key);
            if !between.is_zero() {
                tokio::time::sleep(between).await;
            }
        }
    }

    /// One key, without a word in the log.
    pub fn press(&self, key: PinKey) {
        let _ = self.keys.try_send(key);
    }

    /// `who` gives up.
    pub fn cancel(&self, who: &str) {
        self.log.person(who, "presses Cancel");
        self.press(PinKey::Cancel);
    }
}

/// The adapter's end of the button.
#[derive(Debug)]
pub struct RigButton(mpsc::Receiver<ButtonPress>);

/// The person's end of the button.
#[derive(Debug, Clone)]
pub struct Finger {
    presses: mpsc::Sender<ButtonPress>,
    log: EventLog,
}

/// A button: what the adapter reads, and what people press.
pub fn button(log: EventLog) -> (RigButton, Finger) {
    let (presses, button) = mpsc::channel(BUFFERED);
    (RigButton(button), Finger { presses, log })
}

#[async_trait]
impl Button for RigButton {
    async fn pressed(&mut self) -> Option<ButtonPress> {
        self.0.recv().await
    }
}

impl Finger {
    /// `who` presses the button.
    pub fn press(&self, who: &str, press: ButtonPress) {
        let how = match press {
            ButtonPress::Short => "presses the button",
            ButtonPress::Long => "holds the button",
        };
        self.log.person(who, how);
        let _ = self.presses.try_send(press);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn the_pin_reaches_the_adapter_and_not_the_log() {
        let log = EventLog::new();
        let (mut pad, keys) = keypad(log.clone());
        keys.type_pin("Hanako", "314159", Duration::ZERO).await;
        drop(keys);
        let mut typed = Vec::new();
        while let Some(key) = pad.next_key().await {
            typed.push(key);
        }
        assert_eq!(typed.first(), Some(&PinKey::Digit(3)));
        assert_eq!((typed.len(), typed.last()), (7, Some(&PinKey::Enter)));
        assert!(!format!("{:?}", log.events()).contains("314159"));
    }

    #[tokio::test]
    async fn a_button() {
        let log = EventLog::new();
        let (mut button, finger) = button(log.clone());
        finger.press("Hanako", ButtonPress::Long);
        assert_eq!(button.pressed().await, Some(ButtonPress::Long));
        assert_eq!(log.events()[0].text, "holds the button");
    }
}
