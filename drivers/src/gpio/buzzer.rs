//! A buzzer on a line. It is an active one, which makes its own tone when it is fed: the line is on or off, the pitch of a
//! signal is not used, and signals stay apart by number and length. A passive one would need a tone from software, and
//! that would mean to wake two thousand times a second.

use std::sync::Arc;

use super::{AtRest, Gpio, LineError, Output};
use crate::buzzer::{Buzzer, BuzzerError};

/// How the buzzer is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuzzerWiring {
    /// The output.
    pub line: u32,
    /// It sounds at low.
    pub active_low: bool,
}

impl BuzzerWiring {
    /// Where it is silent.
    pub fn at_rest(&self) -> AtRest {
        AtRest { line: self.line, high: self.active_low }
    }
}

/// A buzzer whose line is taken when it is first used, and again after it was lost.
pub struct GpioBuzzer {
    gpio: Arc<dyn Gpio>,
    wiring: BuzzerWiring,
    line: Option<Box<dyn Output>>,
}

impl std::fmt::Debug for GpioBuzzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpioBuzzer").field("wiring", &self.wiring).finish_non_exhaustive()
    }
}

impl GpioBuzzer {
    /// The buzzer on this line.
    pub fn new(gpio: Arc<dyn Gpio>, wiring: BuzzerWiring) -> Self {
        Self { gpio, wiring, line: None }
    }

    /// Drives the line and reads it back.
    fn drive(&mut self, high: bool) -> Result<bool, LineError> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => self.gpio.output(self.wiring.line, self.wiring.at_rest().high, "sealfax-buzzer")?,
        };
        line.set(high)?;
        let read = line.high()?;
        self.line = Some(line);
        Ok(read)
    }
}

impl Buzzer for GpioBuzzer {
    fn sound(&mut self, hertz: Option<u16>) -> Result<(), BuzzerError> {
        let sounds = hertz.is_some();
        let high = sounds != self.wiring.active_low;
        if self.drive(high).map_err(BuzzerError::Gpio)? != high {
            return Err(BuzzerError::Stuck { sounds });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::gpio::VirtualGpio;

    #[test]
    fn on_and_off_by_polarity_and_read_back() {
        for active_low in [false, true] {
            let gpio = VirtualGpio::new();
            let mut buzzer = GpioBuzzer::new(Arc::new(gpio.clone()), BuzzerWiring { line: 18, active_low });
            buzzer.sound(None).unwrap();
            buzzer.sound(Some(1200)).unwrap();
            assert_eq!(gpio.history(18), [active_low, active_low, !active_low]);
            gpio.play(18, Some(!active_low));
            let error = buzzer.sound(None).unwrap_err();
            assert_eq!(error.code(), "BUZZER-002");
        }
    }

    #[test]
    fn a_held_line_is_tried_again() {
        let gpio = VirtualGpio::new();
        gpio.hold(18, Some("somebody"));
        let mut buzzer = GpioBuzzer::new(Arc::new(gpio.clone()), BuzzerWiring { line: 18, active_low: false });
        assert_eq!(buzzer.sound(None).unwrap_err().code(), "BUZZER-001");
        gpio.hold(18, None);
        buzzer.sound(None).unwrap();
    }
}
