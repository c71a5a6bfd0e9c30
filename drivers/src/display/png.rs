//! Frames as PNG (ISO/IEC 15948): one picture at a time, and a display that keeps every change as a numbered file.

use std::path::{Path, PathBuf};

use super::{Display, DisplayError, Frame, Screen, Status};

impl Frame {
    /// The picture as a PNG file, which is made when it is first asked for.
    pub fn to_png(&self) -> &[u8] {
        self.0.png.get_or_init(|| encode(self.rgb(), Self::WIDTH, Self::HEIGHT))
    }
}

/// A picture of any size as a PNG file; octets missing at the end are black, octets too many are not looked at.
pub(crate) fn encode(rgb: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut whole = rgb.to_vec();
    whole.resize(width as usize * height as usize * 3, 0);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    // Writing to memory fails only on sizes that do not fit the header or the data, and these do.
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&whole));
    if let Err(error) = written {
        tracing::error!(%error, "a picture could not be encoded");
        file.clear();
    }
    file
}

/// A display that saves a numbered PNG at every change of the picture: `0001-arrived.png`, ...
#[derive(Debug)]
pub struct PngDisplay {
    directory: PathBuf,
    count: u32,
    last: Option<Frame>,
}

impl PngDisplay {
    /// A display writing into `directory`, which is made if it is missing.
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self, DisplayError> {
        let directory = directory.into();
        std::fs::create_dir_all(&directory).map_err(|source| DisplayError::Save { path: directory.clone(), source })?;
        Ok(Self { directory, count: 0, last: None })
    }

    /// Where the files go.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How many were written.
    pub fn count(&self) -> u32 {
        self.count
    }
}

impl Display for PngDisplay {
    fn show(&mut self, screen: &Screen, _status: &Status, frame: &Frame) -> Result<(), DisplayError> {
        if self.last.as_ref() == Some(frame) {
            return Ok(());
        }
        let number = self.count.saturating_add(1);
        let name = format!("{number:04}-{}.png", screen.kind().name());
        let path = self.directory.join(name);
        std::fs::write(&path, frame.to_png()).map_err(|source| DisplayError::Save { path, source })?;
        self.count = number;
        self.last = Some(frame.clone());
        Ok(())
    }
}
