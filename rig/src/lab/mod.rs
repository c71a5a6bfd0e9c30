//! The lab: real boards on a bench, with instruments at them (DESIGN.md, "One scenario suite, three benches"). What a bench
//! has stands in its file ([`mod@file`], commented in `lab-bench.example.toml`); each instrument is chosen there, at run time:
//!
//! | Instrument | At the board | Kinds |
//! |---|---|---|
//! | [`wire`] | console, a shell as root, the journal | serial port, a program such as `ssh`, a socket |
//! | [`instrument_box`], the kernel's GPIO | lamp and buzzer sensed, the button closed | lines of a chip, of a box of instruments |
//! | [`frames`] | the HDMI picture | a V4L2 capture device, a program, a file |
//! | [`power`] | the supply | a relay's line, programs |
//! | [`keypad`] | the USB keypad | a USB gadget, a box, a person who is asked |
//! | the card | in the reader | vpcd on the board, QEMU's reader |
//! | [`lease`] | the bench itself | a place of labgrid |
//!
//! [`check`](mod@check) looks at all of them before anything is said about the product. [`stand_in`] is a board that is not
//! there: a twin whose every connector is laid out as those of a board on a bench are.

pub mod check;
pub mod command;
pub mod deploy;
pub mod file;
pub mod frames;
pub mod instrument_box;
pub mod keypad;
pub mod lease;
pub mod pixels;
pub mod power;
pub mod stand_in;
pub mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use sealfax_adapter::config::Problem;
use sealfax_drivers::gpio::{Gpio, LineError};

pub use file::{BenchFile, Board};

use instrument_box::InstrumentBox;

/// The boards of a bench `lab`.
#[derive(Debug, Clone)]
pub struct Lab {
    /// What stands on it.
    pub file: Arc<BenchFile>,
    /// The program on each board, as its check saw it: office and SHA-256.
    pub programs: Vec<(char, String)>,
    /// What its check found broken: then no story can say anything about the product.
    pub broken: Option<String>,
}

/// Why an instrument cannot do what is wanted of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// There is no bench file, or it cannot be read.
    #[error("cannot read the bench file {}: {source}; give its place with --bench-file", path.display())]
    NoFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in the bench file is wrong.
    #[error("the bench file {} is not usable:{}", path.display(), problems.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// All that is wrong.
        problems: Vec<Problem>,
    },
    /// An instrument is not there, or does not do what it should.
    #[error("{what}: {why}")]
    Instrument {
        /// Which, in the words of the bench file.
        what: String,
        /// What is known of the reason, and what may help.
        why: String,
    },
    /// A line.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The place is taken, not there or not to be asked for.
    #[error("{0}")]
    Place(String),
}

impl LabError {
    /// An instrument and why.
    pub(crate) fn instrument(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::Instrument { what: what.to_string(), why: why.to_string() }
    }
}

/// The chip that a line is on: the kernel's, or that of a box.
pub fn chip(line: &file::Line) -> Result<Arc<dyn Gpio>, LabError> {
    match &line.socket {
        Some(socket) => Ok(Arc::new(InstrumentBox::open(socket)?)),
        None => {
            let backend = sealfax_drivers::gpio::Backend::CharacterDevice;
            Ok(sealfax_drivers::gpio::open(backend, line.chip.as_deref()))
        }
    }
}
