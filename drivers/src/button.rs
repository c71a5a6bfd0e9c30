//! The adapter's one button: silences the buzzer, and opens the diagnosis page when held.

use async_trait::async_trait;
use std::time::Duration;
use tokio::sync::mpsc;

/// What a person did with the button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ButtonPress {
    /// Pressed and let go.
    Short,
    /// Held for at least [`LONG_PRESS`].
    Long,
}

/// How long a press must last to count as [`ButtonPress::Long`].
pub const LONG_PRESS: Duration = Duration::from_secs(5);

/// A push button.
#[async_trait]
pub trait Button: Send {
    /// Waits for the next press. `None`: the button is gone for good.
    async fn pressed(&mut self) -> Option<ButtonPress>;
}

/// A button for the rig: presses come through a channel.
#[derive(Debug)]
pub struct VirtualButton(mpsc::UnboundedReceiver<ButtonPress>);

impl VirtualButton {
    /// A button and the finger that presses it. When every finger is gone, so is the button.
    pub fn new() -> (mpsc::UnboundedSender<ButtonPress>, Self) {
        let (finger, presses) = mpsc::unbounded_channel();
        (finger, Self(presses))
    }
}

#[async_trait]
impl Button for VirtualButton {
    async fn pressed(&mut self) -> Option<ButtonPress> {
        self.0.recv().await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn presses_come_in_order_and_the_end_is_told() {
        let (finger, mut button) = VirtualButton::new();
        finger.send(ButtonPress::Short).unwrap();
        finger.send(ButtonPress::Long).unwrap();
        drop(finger);
        assert_eq!(button.pressed().await, Some(ButtonPress::Short));
        assert_eq!(button.pressed().await, Some(ButtonPress::Long));
        assert_eq!(button.pressed().await, None);
    }
}
