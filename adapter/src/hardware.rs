//! The real devices that a configuration names, put in place of the console's. None of them need be there yet: a lamp that
//! does not light and a screen that is dark are faults to be told, and no reason to keep people from their mail.

use std::sync::Arc;

use sealfax_drivers::display::spoken::Espeak;
use sealfax_drivers::display::{
    Cared, Display, DisplayError, DrmDisplay, Font, FramebufferDisplay, PngDisplay, Spoken, Style,
};
use sealfax_drivers::gpio::{self, GpioButton, GpioBuzzer, GpioLamp, LampWiring, LineError, Pull};

use sealfax_drivers::modem::FaxLine;
use sealfax_drivers::person::PersonProof;

use crate::config::{Config, DisplayBackend, DisplayConfig, GpioConfig};
use crate::devices::Devices;
use crate::diagnose::hands::{Hands, Sense};

/// Puts lamp, buzzer, button, screen and modem of the configuration into `devices`.
pub fn plug_in(devices: &mut Devices, config: &Config) -> Result<(), DisplayError> {
    devices.style = Style { language: config.language, font: Font::default() };
    devices.person = config.person.as_ref().map(|person| Arc::new(person.program()) as Arc<dyn PersonProof>);
    devices.fax_line = config.terminal.modem.as_ref().map(|modem| Box::new(modem.line()) as Box<dyn FaxLine>);
    if let Some(wired) = &config.gpio {
        wire(devices, wired);
    }
    if let Some(display) = &config.display {
        devices.style.font = Font::best_available();
        devices.display = screen(display, &devices.style)?;
    }
    Ok(())
}

fn wire(devices: &mut Devices, config: &GpioConfig) {
    let gpio = config.open();
    if let Some(wiring) = config.lamp() {
        devices.lamp = Box::new(GpioLamp::new(Arc::clone(&gpio), wiring));
    }
    if let Some(wiring) = config.buzzer() {
        devices.buzzer = Box::new(GpioBuzzer::new(Arc::clone(&gpio), wiring));
    }
    if let Some(wiring) = config.button() {
        devices.button = Box::new(GpioButton::new(gpio, wiring));
    }
}

/// The screen, taken care of, with a voice if it is wanted.
fn screen(config: &DisplayConfig, style: &Style) -> Result<Box<dyn Display>, DisplayError> {
    let display: Box<dyn Display> = match config.backend {
        // Files do not burn in, and one a minute would be many.
        DisplayBackend::Png => bare(config)?,
        _ => Box::new(Cared::new(bare(config)?, config.blank_after())),
    };
    if !config.speech {
        return Ok(display);
    }
    Ok(Box::new(Spoken::new(display, Box::new(Espeak::default()), style.language)))
}

fn bare(config: &DisplayConfig) -> Result<Box<dyn Display>, DisplayError> {
    let device = config.device.clone();
    Ok(match config.backend {
        DisplayBackend::Drm => Box::new(DrmDisplay::new(device)),
        DisplayBackend::Framebuffer => Box::new(FramebufferDisplay::new(device)),
        DisplayBackend::Png => Box::new(PngDisplay::new(device.unwrap_or_default())?),
    })
}

/// What `diagnose` can try of it, with nothing around the screen that would darken or move a test picture.
pub fn hands(config: &Config) -> Result<Hands, DisplayError> {
    let mut hands = Hands::default();
    if let Some(wired) = &config.gpio {
        let gpio = wired.open();
        if let Some(wiring) = wired.lamp() {
            hands.lamp_sense = wiring.sense.map(|line| sense(Arc::clone(&gpio), line, wiring.active_low));
            hands.lamp = Some(Box::new(GpioLamp::new(Arc::clone(&gpio), LampWiring { sense: None, ..wiring })));
        }
        if let Some(wiring) = wired.buzzer() {
            hands.buzzer = Some(Box::new(GpioBuzzer::new(gpio, wiring)));
        }
    }
    if let Some(config) = &config.display {
        hands.display = Some(bare(config)?);
    }
    hands.modem = config.terminal.modem.as_ref().map(|modem| Box::new(modem.line()) as Box<dyn FaxLine>);
    Ok(hands)
}

/// Whether the lamp is seen lit at the far end of its wire.
fn sense(gpio: Arc<dyn gpio::Gpio>, line: u32, active_low: bool) -> Sense {
    let mut taken = None;
    Box::new(move || {
        if taken.is_none() {
            taken = gpio.input(line, Pull::Down, "sealfax-lamp-sense").ok();
        }
        Some(taken.as_mut()?.high().ok()? != active_low)
    })
}

/// Lamp dark, buzzer silent: for after a daemon that could not do it itself. Answers with what went wrong.
pub fn safe_state(config: &Config) -> Vec<LineError> {
    config.gpio.as_ref().map_or_else(Vec::new, |wired| gpio::safe_state(wired.open().as_ref(), &wired.at_rest()))
}
