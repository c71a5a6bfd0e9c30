//! The output tray of a fax machine: what was printed, as a TIFF file and as pictures, in the run's folder.

use std::path::Path;

use sealfax_ifax::page::Page;
use sealfax_ifax::tiff;

use super::ifax::TerminalError;
use crate::events::{EventKind, EventLog, Lane};

/// One document that came out of the machine.
#[derive(Debug, Clone)]
pub struct PrintedDocument {
    /// The mail as fetched.
    pub mail: Vec<u8>,
    /// Its pages.
    pub pages: Vec<Page>,
    /// The pages as a TIFF file.
    pub tiff: Vec<u8>,
    /// Where the TIFF lies, relative to the folder.
    pub path: String,
}

/// Where a machine's paper comes out.
pub(super) struct OutputTray<'a> {
    pub(super) machine: &'a str,
    pub(super) folder: &'a Path,
    pub(super) log: &'a EventLog,
}

impl OutputTray<'_> {
    /// Prints (I2) what came in `mail`, which is empty where it came otherwise.
    pub(super) fn print(&self, pages: Vec<Page>, mail: Vec<u8>) -> Result<PrintedDocument, TerminalError> {
        let tiff = tiff::write(&pages)?;
        let path = self.free_name();
        self.keep(&path, &tiff)?;
        for (number, page) in pages.iter().enumerate() {
            let name = path.replace(".tif", &format!("-{}.png", number + 1));
            self.keep(&name, &picture(page)?)?;
        }
        let kind = EventKind::Step { ids: vec!["I2"] };
        self.log.write(Lane::Terminal, self.machine, kind, format!("printed {} page(s)", pages.len()));
        Ok(PrintedDocument { mail, pages, tiff, path })
    }

    /// The next name in the output tray: nothing printed is ever overwritten.
    fn free_name(&self) -> String {
        let names = (1u32..).map(|number| format!("pages/{}-printed-{number}.tif", self.machine));
        let mut free = names.filter(|name| !self.folder.join(name).exists());
        free.next().unwrap_or_default()
    }

    /// A file of the run.
    pub(super) fn keep(&self, path: &str, octets: &[u8]) -> Result<(), TerminalError> {
        let whole = self.folder.join(path);
        let failed = |source| TerminalError::Tray { path: whole.clone(), source };
        whole.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
        std::fs::write(&whole, octets).map_err(failed)?;
        let kind = EventKind::Artefact { path: path.to_owned() };
        self.log.write(Lane::Terminal, self.machine, kind, path);
        Ok(())
    }
}

/// A page as a bilevel PNG (ISO/IEC 15948), with its resolution.
fn picture(page: &Page) -> Result<Vec<u8>, TerminalError> {
    let mut octets = Vec::new();
    let mut encoder = png::Encoder::new(&mut octets, page.width(), page.height());
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    // A machine does not keep people waiting for a picture of what it printed.
    encoder.set_compression(png::Compression::Fast);
    let (across, down) = page.resolution().dpi();
    let per_metre = |dpi: u32| dpi * 10_000 / 254;
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: per_metre(across),
        yppu: per_metre(down),
        unit: png::Unit::Meter,
    }));
    let mut writer = encoder.write_header()?;
    // In a page 1 is black, in PNG 0 is.
    let light: Vec<u8> = page.rows().iter().map(|octet| !octet).collect();
    writer.write_image_data(&light)?;
    writer.finish()?;
    Ok(octets)
}
