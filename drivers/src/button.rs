//! The adapter's one button: silences the buzzer, and opens the diagnosis page when held.

use async_trait::async_trait;
use std::time::Duration;

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
