//! The display: what a person at the fax machine sees. [`Screen`] says what is to be shown, the drawing turns it
//! into a [`Frame`], and a [`Display`] puts the frame before people's eyes.

mod album;
mod bitmap_font;
mod canvas;
mod card_fault;
pub mod care;
mod drawer;
mod drm;
pub mod edid;
pub mod fit;
mod font;
mod font_file;
mod framebuffer;
pub mod marker;
pub mod palette;
mod pictogram;
pub mod pixels;
mod png;
mod rows;
mod safe;
mod scalable_font;
mod screen;
mod screens;
mod signals;
pub mod spoken;
mod virtual_display;
mod words;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use album::Album;
pub use card_fault::CardFault;
pub use care::Cared;
pub use drawer::Drawer;
pub use drm::DrmDisplay;
pub use font::Font;
pub use framebuffer::FramebufferDisplay;
pub use marker::Marker;
pub use png::PngDisplay;
pub use safe::safe;
pub use scalable_font::{FontError, ScalableFont};
pub use screen::{DiagnosisLine, DiagnosisMark, Fault, Language, NotSent, Screen, ScreenKind, Status};
pub use screens::{NAME_CAPITAL, Style, draw};
pub use spoken::Spoken;
pub use virtual_display::{DisplayObserver, VirtualDisplay};
pub use words::{MAX_NAMES, Phrase, Words};

/// A picture of 1280 by 720 pixels, three octets (red, green, blue) a pixel, rows from the top. Clones share its 2.7 MB, and
/// the file that is made of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Arc<Picture>);

#[derive(Clone, Default)]
struct Picture {
    rgb: Vec<u8>,
    png: OnceLock<Vec<u8>>,
}

impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        self.rgb == other.rgb
    }
}

impl Eq for Picture {}

impl Frame {
    /// Pixels in a row.
    pub const WIDTH: u32 = 1280;
    /// Rows.
    pub const HEIGHT: u32 = 720;

    /// Of `WIDTH * HEIGHT * 3` octets.
    pub fn of(rgb: Vec<u8>) -> Self {
        Self(Arc::new(Picture { rgb, png: OnceLock::new() }))
    }

    /// The octets, as [`Frame::of`] had them.
    pub fn rgb(&self) -> &[u8] {
        &self.0.rgb
    }

    /// The octets, to be changed in place; copied first where a clone shares them.
    pub fn rgb_mut(&mut self) -> &mut [u8] {
        let picture = Arc::make_mut(&mut self.0);
        picture.png.take();
        &mut picture.rgb
    }

    /// The octets, to be kept; copied only where a clone shares them.
    pub fn into_rgb(self) -> Vec<u8> {
        Arc::unwrap_or_clone(self.0).rgb
    }
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
    /// Nothing is plugged in.
    #[error("no screen is plugged into {0}; plug one in and switch it on, it is found by itself")]
    Unplugged(String),
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

impl DisplayError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Device(_) | Self::Save { .. } => "DISPLAY-001",
            Self::Unplugged(_) => "DISPLAY-003",
        }
    }
}

/// A screen.
pub trait Display: Send {
    /// Shows `frame`; `screen` and `status` are what it was drawn from, for displays that keep a record.
    fn show(&mut self, screen: &Screen, status: &Status, frame: &Frame) -> Result<(), DisplayError>;

    /// A person is there: a screen that went dark is to light up when it is next shown something.
    fn wake(&mut self) {}

    /// Whether this would be shown as darkness, as it is already: then it need not even be drawn.
    fn dark(&self, _screen: &Screen, _status: &Status) -> bool {
        false
    }

    /// In what time [`Display::look`] wants to be called; `None`: not for what is shown now.
    fn attention(&self) -> Option<Duration> {
        None
    }

    /// Looks after what changes by itself, such as a screen that was plugged in. `true`: show the picture again.
    fn look(&mut self) -> Result<bool, DisplayError> {
        Ok(false)
    }
}
