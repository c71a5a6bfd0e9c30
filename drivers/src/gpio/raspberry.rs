//! Lines by `rppal`: the registers of a Raspberry Pi, mapped from `/dev/gpiomem` or `/dev/mem`. Registers know no owner,
//! so who holds a line is asked of the character device first; and their edges are not to be had everywhere, so inputs
//! are read again and again besides (`polled.rs`).

use rppal::gpio::{Error, InputPin, Level, OutputPin, Pin, Trigger};

use super::polled::{self, Polled};
use super::{CharacterDevice, Gpio, Input, LineError, LineInfo, Output, Pull};

/// The GPIO of a Raspberry Pi.
#[derive(Debug)]
pub struct Raspberry {
    holders: CharacterDevice,
}

impl Raspberry {
    /// The registers; `holders` is the same chip as the kernel sees it.
    pub fn new(holders: CharacterDevice) -> Self {
        Self { holders }
    }

    fn pin(&self, line: u32) -> Result<Pin, LineError> {
        // What the kernel cannot say is no reason not to try.
        if let Ok(LineInfo { chip, holder: Some(holder), .. }) = self.holders.about(line) {
            return Err(LineError::Held { chip, line, holder });
        }
        let chip = || "rppal".to_owned();
        let number = u8::try_from(line).map_err(|_| LineError::NoLine { chip: chip(), line })?;
        rppal::gpio::Gpio::new().and_then(|gpio| gpio.get(number)).map_err(|error| match error {
            Error::UnknownModel => LineError::UnknownBoard,
            Error::PinUsed(_) => LineError::Held { chip: chip(), line, holder: "this program itself".to_owned() },
            Error::PinNotAvailable(_) => LineError::NoLine { chip: chip(), line },
            Error::PermissionDenied(what) => LineError::Permission { what },
            error => LineError::Refused { chip: chip(), line, why: error.to_string() },
        })
    }
}

impl Gpio for Raspberry {
    fn output(&self, line: u32, high: bool, _user: &str) -> Result<Box<dyn Output>, LineError> {
        let pin = self.pin(line)?;
        // Level first, direction second: no flash in between.
        Ok(Box::new(if high { pin.into_output_high() } else { pin.into_output_low() }))
    }

    fn input(&self, line: u32, pull: Pull, _user: &str) -> Result<Box<dyn Input>, LineError> {
        let pin = self.pin(line)?;
        let input = match pull {
            Pull::Off => pin.into_input(),
            Pull::Up => pin.into_input_pullup(),
            Pull::Down => pin.into_input_pulldown(),
        };
        Ok(Box::new(Polled::new(input, "rppal", line)?))
    }

    fn about(&self, line: u32) -> Result<LineInfo, LineError> {
        self.holders.about(line)
    }
}

impl Output for OutputPin {
    fn set(&mut self, high: bool) -> Result<(), LineError> {
        self.write(Level::from(high));
        Ok(())
    }

    fn high(&mut self) -> Result<bool, LineError> {
        Ok(self.is_set_high())
    }
}

impl polled::Level for InputPin {
    fn level(&mut self) -> bool {
        self.is_high()
    }

    fn at_edges(&mut self, wake: Box<dyn Fn() + Send>) {
        if let Err(error) = self.set_async_interrupt(Trigger::Both, None, move |_| wake()) {
            tracing::info!(%error, pin = self.pin(), "no edges are told: the line is polled");
        }
    }
}
