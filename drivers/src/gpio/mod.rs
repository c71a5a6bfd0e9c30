//! Lines of a GPIO chip, and the lamp, the buzzer and the button on them. [`Gpio`] opens lines by their number on the
//! chip, which on a Raspberry Pi is the BCM number; [`CharacterDevice`] does it on any board, [`Raspberry`] by `rppal`,
//! [`VirtualGpio`] for tests.
//!
//! **Safe state** is lamp dark and buzzer silent. A lamp and a buzzer that are dropped, also by a panic, drive their
//! lines there. What cannot run code any more leaves it to others: after SIGKILL the kernel frees the lines of the
//! character device, but whether they keep their level is its own affair, and nobody puts `rppal`'s registers back, so
//! the unit runs `sealfax-adapter safe-state` when the daemon has ended ([`safe_state`]). A reset by the watchdog makes
//! inputs of all lines; those of BCM 9 to 27 are then pulled down, which is dark and silent for what is active high.

mod button;
mod buzzer;
mod character_device;
mod lamp;
mod polled;
mod presses;
mod raspberry;
mod virtual_gpio;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use button::{ButtonWiring, GpioButton};
pub use buzzer::{BuzzerWiring, GpioBuzzer};
pub use character_device::{CharacterDevice, HEADER_CHIPS};
pub use lamp::{GpioLamp, LampWiring};
pub use presses::{DEBOUNCE, Presses};
pub use raspberry::Raspberry;
pub use virtual_gpio::VirtualGpio;

/// How often a line is read that tells no edges, while a hand is at it. A press that is shorter may be missed.
pub(crate) const POLL: Duration = Duration::from_millis(60);

/// Which driver opens the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// The kernel's GPIO character device: every board, with edge events, and it knows who holds a line.
    #[default]
    CharacterDevice,
    /// `rppal`: the registers of a Raspberry Pi.
    Raspberry,
}

/// Opens the lines of a chip: `chip` is its label or its device file, without it the chip of the 40-pin header.
pub fn open(backend: Backend, chip: Option<&str>) -> Arc<dyn Gpio> {
    let device = CharacterDevice::new(chip);
    match backend {
        Backend::CharacterDevice => Arc::new(device),
        Backend::Raspberry => Arc::new(Raspberry::new(device)),
    }
}

/// Opens lines. Nothing is held between calls but by the lines that were opened.
pub trait Gpio: Send + Sync {
    /// Takes a line as an output that is at `high` from its first moment. `user` is what others see of who holds it.
    fn output(&self, line: u32, high: bool, user: &str) -> Result<Box<dyn Output>, LineError>;

    /// Takes a line as an input.
    fn input(&self, line: u32, pull: Pull, user: &str) -> Result<Box<dyn Input>, LineError>;

    /// What is known of a line without taking it.
    fn about(&self, line: u32) -> Result<LineInfo, LineError>;
}

/// An output. Dropped, it is given back to the chip.
pub trait Output: Send {
    /// Drives the line.
    fn set(&mut self, high: bool) -> Result<(), LineError>;

    /// The level at the pin itself, which is not the one that was set when something else drives harder.
    fn high(&mut self) -> Result<bool, LineError>;
}

/// An input.
#[async_trait]
pub trait Input: Send {
    /// The level at the pin.
    fn high(&mut self) -> Result<bool, LineError>;

    /// Waits until the level may have changed; it need not have. May be cancelled and called again.
    async fn changed(&mut self) -> Result<(), LineError>;
}

/// The resistor inside of the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// None.
    Off,
    /// To 3.3 V.
    Up,
    /// To ground.
    Down,
}

/// What is known of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineInfo {
    /// The chip's label and device: `pinctrl-bcm2835 (/dev/gpiochip0)`.
    pub chip: String,
    /// The line's name on the board, if it has one: `GPIO17`.
    pub name: String,
    /// Who holds it, if somebody does: what that program says of itself.
    pub holder: Option<String>,
}

/// Why a line cannot be had or driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// No such chip.
    #[error("there is no GPIO chip {wanted}, only {there}; name the right one as gpio.chip in the configuration")]
    NoChip {
        /// Label, device, or what was looked for.
        wanted: String,
        /// Labels and devices of all chips.
        there: String,
    },
    /// The chip has fewer lines.
    #[error("{chip} has no line {line}; use a pin of the 40-pin header, BCM 2 to 27")]
    NoLine {
        /// The chip.
        chip: String,
        /// The line.
        line: u32,
    },
    /// Somebody else has it.
    #[error("GPIO {line} of {chip} is held by {holder}; end that program, or configure another pin")]
    Held {
        /// The chip.
        chip: String,
        /// The line.
        line: u32,
        /// What the holder says of itself.
        holder: String,
    },
    /// This user may not.
    #[error(
        "{what} may not be opened; put the adapter's user into the group gpio and allow the device in its unit file"
    )]
    Permission {
        /// Which device.
        what: String,
    },
    /// `rppal` knows the boards of one maker.
    #[error("rppal does not know this board; say backend = \"gpiocdev\" under [gpio]")]
    UnknownBoard,
    /// The kernel or the driver refused.
    #[error("GPIO {line} of {chip} cannot be used ({why}); check that the pin is not given to another function")]
    Refused {
        /// The chip.
        chip: String,
        /// The line.
        line: u32,
        /// In the driver's words.
        why: String,
    },
}

/// An output and the level at which what hangs on it is dark or silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtRest {
    /// The line.
    pub line: u32,
    /// Its level at rest.
    pub high: bool,
}

/// Drives outputs to their rest and lets them go: for after a daemon that was killed. Goes on after a line that cannot be
/// had, and answers with what went wrong.
pub fn safe_state(gpio: &dyn Gpio, outputs: &[AtRest]) -> Vec<LineError> {
    let rest = |output: &AtRest| {
        gpio.output(output.line, output.high, "sealfax-safe").and_then(|mut line| line.set(output.high))
    };
    outputs.iter().filter_map(|output| rest(output).err()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_killed_daemon_leaves_no_light_and_no_sound() {
        let gpio = VirtualGpio::new();
        // As SIGKILL leaves them.
        std::mem::forget(gpio.output(17, true, "daemon").unwrap());
        std::mem::forget(gpio.output(18, false, "daemon").unwrap());
        gpio.hold(17, None);
        gpio.hold(18, Some("somebody"));
        let outputs = [18, 17].map(|line| AtRest { line, high: line == 18 });
        let errors = safe_state(&gpio, &outputs);
        assert_eq!(gpio.driven(17), Some(false));
        let [LineError::Held { line: 18, holder, .. }] = errors.as_slice() else { panic!("{errors:?}") };
        assert_eq!(holder, "somebody");
    }

    #[test]
    fn no_chip_says_what_there_is() {
        let gpio = open(Backend::CharacterDevice, Some("no-such-chip"));
        let error = gpio.output(17, false, "test").err().unwrap();
        assert!(error.to_string().contains("no-such-chip"), "{error}");
        let error = open(Backend::CharacterDevice, Some("/dev/null")).about(17).unwrap_err();
        assert!(error.to_string().contains("/dev/null"), "{error}");
    }
}
