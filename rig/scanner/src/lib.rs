//! Documents in: a file becomes fax pages of 1728 pixels (ITU-T T.4 clause 2), as the scanner of a fax machine makes them
//! of paper. TIFF, PNG, JPEG, PDF and plain text are told apart by their content, never by their name.
//!
//! Whatever the file holds, it costs bounded memory and ends in pages or in an error that says what to do.

mod dither;
mod error;
mod grey;
mod jpeg_file;
mod load;
mod pdf_file;
mod place;
mod png_file;
mod tiff_file;
mod words;

use std::path::Path;

use sealfax_ifax::page::{Page, Resolution};
use sealfax_ifax::report;

pub use error::{DocumentError, ScanError};

/// Most pages of a document.
pub const MAX_PAGES: usize = 200;
/// Most octets of a file.
pub const MAX_OCTETS: u64 = 64 << 20;
/// Most pixels of a picture.
pub const MAX_PIXELS: u64 = 100_000_000;

/// Scans a document at 204x196 dots per inch, or the built-in letter where there is none.
pub fn scan(path: Option<&Path>) -> Result<Vec<Page>, ScanError> {
    let Some(path) = path else { return Ok(report::test_letter()) };
    scan_at(path, Resolution::Fine)
}

/// Scans a document at a resolution; what is a fax already keeps its own.
pub fn scan_at(path: &Path, resolution: Resolution) -> Result<Vec<Page>, ScanError> {
    let data = load::load(path)?;
    pages(data, resolution).map_err(|source| ScanError::Document { path: path.to_owned(), source })
}

/// The pages of a file's content.
pub fn pages(data: Vec<u8>, resolution: Resolution) -> Result<Vec<Page>, DocumentError> {
    if data.is_empty() {
        return Err(DocumentError::Empty);
    }
    let pages = if data.starts_with(b"II\x2a\0") || data.starts_with(b"MM\0\x2a") {
        tiff_file::pages(&data, resolution)?
    } else if data.starts_with(b"\x89PNG\r\n\x1a\n") {
        png_file::pages(&data, resolution)?
    } else if data.starts_with(b"\xff\xd8\xff") {
        jpeg_file::pages(&data, resolution)?
    } else if data.get(..1024).unwrap_or(&data).windows(5).any(|window| window == b"%PDF-") {
        pdf_file::pages(data, resolution)?
    } else {
        words::pages(&data, resolution)?
    };
    if pages.is_empty() || pages.len() > MAX_PAGES {
        return Err(DocumentError::Pages(pages.len()));
    }
    Ok(pages)
}

#[cfg(test)]
mod tests;
