//! The digital twin: the aarch64 program of the field on a Raspberry Pi 3B that QEMU plays, under Debian's own arm64
//! kernel, with emulated hardware and real drivers (DESIGN.md, "One scenario suite, three benches").
//!
//! [`build()`] makes an [`Image`] from Debian packages and one `sealfax-adapter`; nothing is installed, nothing of the guest
//! is run for it. A [`Machine`] is one start of that image, with its instruments:
//!
//! | Instrument | At the board | Through |
//! |---|---|---|
//! | [`pins`] | lamp and buzzer lines, the button | QEMU's `qtest` socket: the GPIO controller's registers |
//! | [`screen`] | the HDMI picture | the same, and screen dumps through [`qmp`] |
//! | [`vsc`] | the card in the USB reader, behind pcscd | QEMU's card socket (the VSC protocol) |
//! | [`qmp`] | the USB keypad | QEMU's machine protocol |
//! | [`console`] | journal, and a shell for faults | the two serial ports |
//!
//! The two USB Ethernet ports are QEMU's user-mode networks: what the adapter listens for is listened for at its own
//! address of the run's world, and what it connects to leaves the machine at the gateway.

mod archive;
pub mod build;
pub mod console;
mod elf;
pub mod image;
pub mod machine;
pub mod pins;
pub mod qmp;
pub mod qtest;
pub mod screen;
pub mod vsc;

pub use build::build;
pub use image::Image;
pub use machine::Machine;

/// Which driver of the adapter works the GPIO lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gpio {
    /// rppal: the controller's registers, mapped.
    #[default]
    Rppal,
    /// The kernel's character device. Its edge interrupts are not modelled: of the three lines the button's is deaf.
    Gpiocdev,
}

impl Gpio {
    /// Its name in the adapter's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rppal => "rppal",
            Self::Gpiocdev => "gpiocdev",
        }
    }
}

/// The boards of a bench `twin`.
#[derive(Debug, Clone)]
pub struct Twins {
    /// What they start from.
    pub image: std::sync::Arc<Image>,
    /// The offices whose adapters run on one; the others' run in process.
    pub offices: Offices,
    /// How lamp, buzzer and button are worked.
    pub gpio: Gpio,
}

/// See [`Twins::offices`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offices {
    /// Every one.
    All,
    /// Those with these letters.
    These(Vec<char>),
}

impl Offices {
    /// Whether the adapter of this office runs on a twin.
    pub fn contain(&self, letter: char) -> bool {
        match self {
            Self::All => true,
            Self::These(letters) => letters.contains(&letter),
        }
    }
}

impl std::fmt::Display for Offices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::These(letters) => letters.iter().try_for_each(|letter| write!(f, "{letter}")),
        }
    }
}

impl std::str::FromStr for Offices {
    type Err = String;

    /// `all`, or letters: `b`, `ab`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let letters: Vec<char> = text.chars().collect();
        if letters.is_empty() || !letters.iter().all(char::is_ascii_lowercase) {
            return Err("say `all`, or the letters of offices: `b`, `ab`".into());
        }
        Ok(Self::These(letters))
    }
}

/// Why there is no twin, or no longer one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TwinError {
    /// A program is not installed: stories that need a twin are *unsupported* here.
    #[error("{program} is not installed; `apt-get install {package}` brings it")]
    Missing {
        /// Which program.
        program: &'static str,
        /// In which Debian package it is.
        package: &'static str,
    },
    /// No image was built, or not by this version of the rig.
    #[error("there is no usable twin in {}: {why}; run `cargo rig twin build`", folder.display())]
    NoImage {
        /// Where one was looked for.
        folder: std::path::PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The image cannot be built.
    #[error("the twin cannot be built: {what}: {why}")]
    Build {
        /// What was being done.
        what: String,
        /// What went wrong, and what may help.
        why: String,
    },
    /// QEMU ended or does not answer.
    #[error("the twin {what}: {why}")]
    Machine {
        /// What was wanted of it.
        what: &'static str,
        /// What is known of the reason.
        why: String,
    },
    /// A file or a socket of ours.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl TwinError {
    fn machine(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Machine { what, why: why.to_string() }
    }
}

fn io_error(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> TwinError {
    let what = what.into();
    move |source| TwinError::Io { what, source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn offices_by_letter() {
        let some: Offices = "bc".parse().unwrap();
        assert!(some.contain('b') && !some.contain('a'));
        assert_eq!(some.to_string(), "bc");
        assert!("all".parse::<Offices>().unwrap().contain('z'));
        assert!("B".parse::<Offices>().is_err() && "".parse::<Offices>().is_err());
    }
}
