//! `[gpio]`, `[display]` and `[person]`: what is wired and plugged to the adapter.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sealfax_drivers::gpio::{self, AtRest, Backend, ButtonWiring, BuzzerWiring, Gpio, LampWiring};
use sealfax_drivers::person::ProofProgram;
use serde::Deserialize;

/// Lines of the 40-pin header, by BCM number. What is left out stays with the console.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpioConfig {
    /// Which driver.
    #[serde(default)]
    pub backend: GpioBackend,
    /// The chip's label or device file; without it, the chip of the 40-pin header.
    #[serde(default)]
    pub chip: Option<String>,
    /// The lamp's output.
    #[serde(default)]
    pub lamp: Option<u32>,
    /// An input on the lamp's terminal, at the far end of its wire.
    #[serde(default)]
    pub lamp_sense: Option<u32>,
    /// The buzzer's output.
    #[serde(default)]
    pub buzzer: Option<u32>,
    /// The button's input.
    #[serde(default)]
    pub button: Option<u32>,
    /// The lamp is lit at low.
    #[serde(default)]
    pub lamp_active_low: bool,
    /// The buzzer sounds at low.
    #[serde(default)]
    pub buzzer_active_low: bool,
    /// The button pulls to ground, against the chip's pull-up.
    #[serde(default = "yes")]
    pub button_active_low: bool,
}

/// See [`GpioConfig::backend`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GpioBackend {
    /// The kernel's character device, on any board.
    #[default]
    Gpiocdev,
    /// `rppal`, on a Raspberry Pi.
    Rppal,
}

impl GpioConfig {
    /// What opens the lines.
    pub fn open(&self) -> Arc<dyn Gpio> {
        let backend = match self.backend {
            GpioBackend::Gpiocdev => Backend::CharacterDevice,
            GpioBackend::Rppal => Backend::Raspberry,
        };
        gpio::open(backend, self.chip.as_deref())
    }

    /// The lamp, if it is wired.
    pub fn lamp(&self) -> Option<LampWiring> {
        self.lamp.map(|line| LampWiring { line, active_low: self.lamp_active_low, sense: self.lamp_sense })
    }

    /// The buzzer, if it is wired.
    pub fn buzzer(&self) -> Option<BuzzerWiring> {
        self.buzzer.map(|line| BuzzerWiring { line, active_low: self.buzzer_active_low })
    }

    /// The button, if it is wired.
    pub fn button(&self) -> Option<ButtonWiring> {
        self.button.map(|line| ButtonWiring { line, active_low: self.button_active_low })
    }

    /// Where lamp and buzzer are dark and silent.
    pub fn at_rest(&self) -> Vec<AtRest> {
        let lamp = self.lamp().map(|lamp| lamp.at_rest());
        lamp.into_iter().chain(self.buzzer().map(|buzzer| buzzer.at_rest())).collect()
    }

    /// What no single key shows.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let mut lines: Vec<u32> =
            [self.lamp, self.lamp_sense, self.buzzer, self.button].into_iter().flatten().collect();
        let count = lines.len();
        lines.sort_unstable();
        lines.dedup();
        if lines.len() < count {
            return Err("two of `gpio.lamp`, `gpio.lamp_sense`, `gpio.buzzer` and `gpio.button` are the same pin");
        }
        if self.lamp_sense.is_some() && self.lamp.is_none() {
            return Err("`gpio.lamp_sense` senses a lamp; say which pin is `gpio.lamp`");
        }
        Ok(())
    }
}

/// The screen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisplayConfig {
    /// Which driver.
    pub backend: DisplayBackend,
    /// The device file, or for `png` the folder. Without it, the first that there is.
    #[serde(default)]
    pub device: Option<PathBuf>,
    /// After so many seconds without anything waiting the screen goes dark; 0: never.
    #[serde(default = "ten_minutes")]
    pub blank_seconds: u64,
    /// Alerts are spoken by espeak-ng.
    #[serde(default)]
    pub speech: bool,
}

/// See [`DisplayConfig::backend`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DisplayBackend {
    /// The kernel's mode setting: any HDMI screen, also one that is plugged in later.
    Drm,
    /// The kernel's frame buffer.
    Framebuffer,
    /// Every picture as a file of a folder.
    Png,
}

impl DisplayConfig {
    /// See `blank_seconds`.
    pub fn blank_after(&self) -> Duration {
        Duration::from_secs(self.blank_seconds)
    }

    /// What no single key shows.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        match (self.backend, &self.device) {
            (DisplayBackend::Png, None) => Err("`display.backend` is \"png\"; say in `display.device` which folder"),
            _ => Ok(()),
        }
    }
}

/// Whoever is asked for the person beside the card (V2).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonConfig {
    /// The program; its exit status 0 says that it is the owner.
    pub program: PathBuf,
    /// Its arguments; `{address}` is the owner's mail address.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// How long one try may take.
    #[serde(default = "half_a_minute")]
    pub seconds: u64,
}

impl PersonConfig {
    /// What asks.
    pub fn program(&self) -> ProofProgram {
        ProofProgram::new(&self.program, self.arguments.clone(), Duration::from_secs(self.seconds))
    }

    /// What is wrong with the program's file.
    pub(super) fn problem(&self) -> Option<String> {
        let path = self.program.display();
        if !self.program.is_absolute() {
            return Some("give the whole path, from /".into());
        }
        match std::fs::metadata(&self.program) {
            Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => None,
            Ok(_) => Some(format!("{path} cannot be run; is it a program?")),
            Err(error) => Some(format!("{path}: {error}; install what it belongs to")),
        }
    }

    /// What no single key shows.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        match self.seconds {
            1..=120 => Ok(()),
            _ => Err("`person.seconds` is from 1 to 120"),
        }
    }
}

fn half_a_minute() -> u64 {
    30
}

fn yes() -> bool {
    true
}

fn ten_minutes() -> u64 {
    600
}
