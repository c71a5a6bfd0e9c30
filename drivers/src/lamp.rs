//! The indicator lamp: one output that is on or off, and the patterns a person can tell apart from five metres.

use std::time::Duration;

/// How the lamp behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LampPattern {
    /// Dark.
    #[default]
    Off,
    /// Lit.
    Steady,
    /// On for half of each period, beginning lit.
    Blink {
        /// One on and one off phase together.
        period: Duration,
    },
}

impl LampPattern {
    /// Once a second.
    pub const HZ_1: Self = Self::Blink {
        period: Duration::from_millis(1000),
    };
    /// Twice a second.
    pub const HZ_2: Self = Self::Blink {
        period: Duration::from_millis(500),
    };
    /// Four times a second.
    pub const HZ_4: Self = Self::Blink {
        period: Duration::from_millis(250),
    };
}

/// Why a lamp could not be set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LampError {
    /// The output line refused; look at the wiring and at who else holds the line.
    #[error(
        "the lamp's output line could not be driven; check the wiring and that no other program holds the line"
    )]
    Line(#[source] std::io::Error),
}

/// A lamp on one output line.
pub trait Lamp: Send {
    /// Drives the line.
    fn set(&mut self, lit: bool) -> Result<(), LampError>;

    /// The line's level as read back.
    fn level(&mut self) -> Result<bool, LampError>;
}
