//! Devices for a machine without any: what lamp, buzzer and screen would do stands in the log, and there is no card
//! reader, which the screen says. Good for trying a configuration at a desk.

use async_trait::async_trait;
use sealfax_drivers::button::{Button, ButtonPress};
use sealfax_drivers::buzzer::VirtualBuzzer;
use sealfax_drivers::card::{CardChannel, CardError, CardEvent, CardReader};
use sealfax_drivers::display::{Album, Style, VirtualDisplay};
use sealfax_drivers::lamp::VirtualLamp;
use sealfax_drivers::pin::{PinKey, PinPad};

use crate::devices::Devices;

/// The console's devices.
pub fn devices() -> Devices {
    let mut last = None;
    Devices {
        lamp: Box::new(VirtualLamp::new(|lit| tracing::debug!(lit, "lamp"))),
        buzzer: Box::new(VirtualBuzzer::new(|hertz| tracing::debug!(?hertz, "buzzer"))),
        button: Box::new(Absent::default()),
        display: Box::new(VirtualDisplay::new(move |screen, _, _| {
            if last.as_ref() != Some(screen) {
                tracing::debug!(?screen, "screen");
                last = Some(screen.clone());
            }
        })),
        reader: Box::new(Absent::default()),
        pin_pad: Box::new(Absent::default()),
        person: None,
        fax_line: None,
        style: Style::default(),
        album: Album::default(),
    }
}

/// A device that is not there.
#[derive(Default)]
struct Absent {
    told: bool,
}

#[async_trait]
impl Button for Absent {
    async fn pressed(&mut self) -> Option<ButtonPress> {
        None
    }
}

#[async_trait]
impl PinPad for Absent {
    async fn next_key(&mut self) -> Option<PinKey> {
        std::future::pending().await
    }
}

#[async_trait]
impl CardReader for Absent {
    fn name(&self) -> &str {
        "none"
    }

    async fn next_event(&mut self) -> Result<CardEvent, CardError> {
        if !std::mem::replace(&mut self.told, true) {
            return Ok(CardEvent::ReaderLost);
        }
        std::future::pending().await
    }

    fn connect(&self) -> Result<Box<dyn CardChannel>, CardError> {
        Err(CardError::NoReader)
    }
}
