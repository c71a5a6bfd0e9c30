//! The display: what a person at the fax machine sees. [`Screen`] says what is to be shown, the drawing turns it
//! into a [`Frame`], and a [`Display`] puts the frame before people's eyes.

mod bitmap_font;
mod canvas;
mod font;
pub mod marker;
pub mod palette;
mod pictogram;
mod png;
mod safe;
mod scalable_font;
mod screen;
mod screens;
mod signals;
mod virtual_display;
mod words;

pub use font::Font;
pub use marker::Marker;
pub use png::PngDisplay;
pub use safe::safe;
pub use scalable_font::{FontError, ScalableFont};
pub use screen::{CardFault, Fault, Language, NotSent, Screen, ScreenKind, Status};
pub use screens::{NAME_CAPITAL, Style, draw};
pub use virtual_display::{DisplayObserver, VirtualDisplay};
pub use words::{MAX_NAMES, Phrase, Words};

/// A picture of 1280 by 720 pixels, three octets (red, green, blue) a pixel, rows from the top.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// `WIDTH * HEIGHT * 3` octets.
    pub rgb: Vec<u8>,
}

impl Frame {
    /// Pixels in a row.
    pub const WIDTH: u32 = 1280;
    /// Rows.
    pub const HEIGHT: u32 = 720;
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({}x{})", Self::WIDTH, Self::HEIGHT)
    }
}

/// Why a frame could not be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisplayError {
    /// The screen or its device refused.
    #[error("the display could not be drawn: {0}; check the HDMI cable and run `sealfax-adapter diagnose display`")]
    Device(String),
    /// A picture could not be saved.
    #[error("the picture {path} could not be saved; check the directory and the space left")]
    Save {
        /// Which file or directory.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A screen.
pub trait Display: Send {
    /// Shows `frame`; `screen` and `status` are what it was drawn from, for displays that keep a record.
    fn show(&mut self, screen: &Screen, status: &Status, frame: &Frame) -> Result<(), DisplayError>;
}
