//! A lamp on a line, read back at the pin, and at the lamp itself where a sense line is wired.

use std::sync::Arc;

use super::{AtRest, Gpio, Input, LineError, Output, Pull};
use crate::lamp::{Lamp, LampError};

/// How the lamp is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LampWiring {
    /// The output.
    pub line: u32,
    /// Lit is low.
    pub active_low: bool,
    /// An input on the lamp's own terminal, at the far end of its wire: it reads the same level as the output.
    pub sense: Option<u32>,
}

impl LampWiring {
    /// Where it is dark.
    pub fn at_rest(&self) -> AtRest {
        AtRest { line: self.line, high: self.active_low }
    }
}

/// A lamp whose lines are taken when it is first set, and again after they were lost.
pub struct GpioLamp {
    gpio: Arc<dyn Gpio>,
    wiring: LampWiring,
    lines: Option<Lines>,
    lit: bool,
}

struct Lines {
    output: Box<dyn Output>,
    sense: Option<Box<dyn Input>>,
}

impl std::fmt::Debug for GpioLamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpioLamp").field("wiring", &self.wiring).finish_non_exhaustive()
    }
}

impl GpioLamp {
    /// The lamp on this line.
    pub fn new(gpio: Arc<dyn Gpio>, wiring: LampWiring) -> Self {
        Self { gpio, wiring, lines: None, lit: false }
    }

    /// Takes the lines now, dark, to learn whether they can be had; [`Lamp::set`] does it by itself.
    pub fn open(&mut self) -> Result<(), LampError> {
        self.lines().map(|_| ()).map_err(LampError::Gpio)
    }

    fn lines(&mut self) -> Result<&mut Lines, LineError> {
        let lines = match self.lines.take() {
            Some(lines) => lines,
            None => {
                let AtRest { line, high } = self.wiring.at_rest();
                Lines { output: self.gpio.output(line, high, "sealfax-lamp")?, sense: None }
            }
        };
        Ok(self.lines.insert(lines))
    }

    /// Whether the sense line says lit. It is taken by itself: a lamp without it still lights.
    fn sensed(&mut self) -> Result<Option<bool>, LineError> {
        let (Some(number), Some(lines)) = (self.wiring.sense, &mut self.lines) else { return Ok(None) };
        let mut sense = match lines.sense.take() {
            Some(sense) => sense,
            None => self.gpio.input(number, Pull::Down, "sealfax-lamp-sense")?,
        };
        let high = sense.high()?;
        lines.sense = Some(sense);
        Ok(Some(high != self.wiring.active_low))
    }

    /// A line that failed is taken anew next time.
    fn keep<T>(&mut self, result: Result<T, LineError>) -> Result<T, LampError> {
        result.map_err(|error| {
            self.lines = None;
            LampError::Gpio(error)
        })
    }
}

impl Lamp for GpioLamp {
    fn set(&mut self, lit: bool) -> Result<(), LampError> {
        self.lit = lit;
        let high = lit != self.wiring.active_low;
        let set = self.lines().and_then(|lines| lines.output.set(high));
        self.keep(set)
    }

    fn level(&mut self) -> Result<bool, LampError> {
        let high = self.lines().and_then(|lines| lines.output.high());
        Ok(self.keep(high)? != self.wiring.active_low)
    }

    fn check(&mut self) -> Result<(), LampError> {
        let lit = self.lit;
        if self.level()? != lit {
            return Err(LampError::Stuck { lit });
        }
        match self.sensed().map_err(LampError::Gpio)? {
            Some(sensed) if sensed != lit => Err(LampError::Sense { lit }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::gpio::VirtualGpio;

    fn lamp(gpio: &VirtualGpio, active_low: bool, sense: Option<u32>) -> GpioLamp {
        GpioLamp::new(Arc::new(gpio.clone()), LampWiring { line: 17, active_low, sense })
    }

    #[test]
    fn either_polarity_begins_dark() {
        for active_low in [false, true] {
            let gpio = VirtualGpio::new();
            let mut lamp = lamp(&gpio, active_low, None);
            lamp.open().unwrap();
            assert!(!lamp.level().unwrap());
            lamp.set(true).unwrap();
            assert!(lamp.level().unwrap());
            lamp.check().unwrap();
            lamp.set(false).unwrap();
            assert_eq!(gpio.history(17), [active_low, !active_low, active_low]);
            assert_eq!(gpio.about(17).unwrap().holder.as_deref(), Some("sealfax-lamp"));
            drop(lamp);
            assert_eq!(gpio.about(17).unwrap().holder, None);
        }
    }

    #[test]
    fn what_the_pin_and_the_sense_line_say_is_believed() {
        let gpio = VirtualGpio::new();
        let mut lamp = lamp(&gpio, false, Some(27));
        lamp.set(true).unwrap();
        let error = lamp.check().unwrap_err();
        assert_eq!((error.code(), error.lit()), ("LAMP-003", Some(true)));
        assert!(error.to_string().contains("sense line says dark"), "{error}");
        gpio.play(27, Some(true));
        lamp.check().unwrap();
        gpio.play(17, Some(false));
        let error = lamp.check().unwrap_err();
        assert_eq!((error.code(), error.lit()), ("LAMP-002", Some(true)));
    }

    #[test]
    fn a_held_line_is_told_by_its_holder_and_tried_again() {
        let gpio = VirtualGpio::new();
        gpio.hold(17, Some("\"blinker\""));
        let mut lamp = lamp(&gpio, false, None);
        let error = lamp.set(true).unwrap_err();
        assert!(error.to_string().contains("GPIO 17 of virtual is held by \"blinker\""), "{error}");
        assert_eq!(error.code(), "LAMP-001");
        gpio.hold(17, None);
        lamp.set(true).unwrap();
        assert_eq!(gpio.driven(17), Some(true));
    }

    #[test]
    fn without_its_sense_line_it_lights_and_says_so() {
        let gpio = VirtualGpio::new();
        gpio.hold(27, Some("somebody"));
        let mut lamp = lamp(&gpio, false, Some(27));
        lamp.set(true).unwrap();
        assert!(lamp.check().unwrap_err().to_string().contains("GPIO 27"));
        assert_eq!(gpio.driven(17), Some(true));
    }
}
