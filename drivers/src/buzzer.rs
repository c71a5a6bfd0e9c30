//! The buzzer: one output that sounds or is silent, and the signals of the product as pulses.

use std::time::Duration;

/// A signal a person can recognise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum BuzzerSignal {
    /// Silence.
    #[default]
    Silent,
    /// Two short sounds, repeated at the interval until the screen changes.
    TwoShort {
        /// From one call to the next; `None` sounds once.
        repeat: Option<Duration>,
    },
    /// One long sound.
    OneLong,
    /// Three rising sounds.
    ThreeRising,
    /// One rising sound.
    OneRising,
    /// Three low sounds.
    ThreeLow,
    /// A key click.
    Click,
}

/// One stretch of sound or silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// How long.
    pub length: Duration,
    /// The pitch in hertz for buzzers that have one; `None` is silence.
    pub hertz: Option<u16>,
}

/// Why a buzzer could not be driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuzzerError {
    /// The output line refused.
    #[error(
        "the buzzer's output line could not be driven; check the wiring and that no other program holds the line"
    )]
    Line(#[source] std::io::Error),
}

/// A buzzer on one output line.
pub trait Buzzer: Send {
    /// Sounds at `hertz` (a buzzer without pitch just sounds), or is silent.
    fn sound(&mut self, hertz: Option<u16>) -> Result<(), BuzzerError>;
}
