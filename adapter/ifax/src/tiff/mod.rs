//! TIFF for fax: RFC 3949 profiles S and F over TIFF 6.0. Writes profile S; reads what fax machines emit, strictly.

mod read;
mod write;

pub use read::{Limits, Octets, Pages, Scan, Seekable, count_pages, read, read_scans};
pub use write::{Writer, write, write_with};

use crate::page::PageError;
use crate::t4::T4Error;

/// Field tags of TIFF 6.0 and RFC 3949.
mod tag {
    pub(super) const NEW_SUBFILE_TYPE: u16 = 254;
    pub(super) const IMAGE_WIDTH: u16 = 256;
    pub(super) const IMAGE_LENGTH: u16 = 257;
    pub(super) const BITS_PER_SAMPLE: u16 = 258;
    pub(super) const COMPRESSION: u16 = 259;
    pub(super) const PHOTOMETRIC_INTERPRETATION: u16 = 262;
    pub(super) const FILL_ORDER: u16 = 266;
    pub(super) const STRIP_OFFSETS: u16 = 273;
    pub(super) const SAMPLES_PER_PIXEL: u16 = 277;
    pub(super) const ROWS_PER_STRIP: u16 = 278;
    pub(super) const STRIP_BYTE_COUNTS: u16 = 279;
    pub(super) const X_RESOLUTION: u16 = 282;
    pub(super) const Y_RESOLUTION: u16 = 283;
    pub(super) const T4_OPTIONS: u16 = 292;
    pub(super) const T6_OPTIONS: u16 = 293;
    pub(super) const RESOLUTION_UNIT: u16 = 296;
    pub(super) const PAGE_NUMBER: u16 = 297;
    pub(super) const TILE_WIDTH: u16 = 322;
}

/// Why a TIFF is refused. Pages count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TiffError {
    /// The octets do not begin as a TIFF does.
    #[error("this is not a TIFF file; send the page as TIFF (image/tiff; application=faxbw)")]
    NotTiff,
    /// The file could not be read.
    #[error("the file cannot be read: {0}")]
    Read(String),
    /// The file could not be written.
    #[error("the file cannot be written: {0}")]
    Write(String),
    /// The file is larger than allowed.
    #[error("the file has {octets} octets, over the limit of {limit}; split the document")]
    TooLarge {
        /// Octets in the file.
        octets: usize,
        /// Octets allowed.
        limit: usize,
    },
    /// An offset or a count points outside the file.
    #[error("page {page}: {what} points outside the file; it was cut or damaged on the way, send it again")]
    Outside {
        /// Page.
        page: usize,
        /// What points there.
        what: &'static str,
    },
    /// The chain of directories returns to one already read.
    #[error("page {page}: the pages refer to each other in a circle; the file is damaged or hostile")]
    Loop {
        /// Page.
        page: usize,
    },
    /// More pages than allowed.
    #[error("the document has over {limit} pages; split it")]
    Pages {
        /// Pages allowed.
        limit: usize,
    },
    /// The document has no page.
    #[error("the document has no page; scan it again")]
    Empty,
    /// A field that a fax page needs is absent.
    #[error("page {page}: field {field} is missing")]
    Missing {
        /// Page.
        page: usize,
        /// Field name of TIFF 6.0.
        field: &'static str,
    },
    /// A field has a value no fax page has.
    #[error("page {page}: field {field} has the value {value}, which no fax page has; send black and white pages")]
    Field {
        /// Page.
        page: usize,
        /// Field name of TIFF 6.0.
        field: &'static str,
        /// Its value.
        value: u32,
    },
    /// The decoded pages would be larger than allowed.
    #[error("page {page}: the pages are larger than {limit} octets together; split the document")]
    Raster {
        /// Page.
        page: usize,
        /// Octets of packed rows allowed.
        limit: usize,
    },
    /// Too much of a page could not be decoded.
    #[error("page {page}: {damaged} of {lines} lines are damaged or missing; send it again")]
    Damaged {
        /// Page.
        page: usize,
        /// Lines not decoded.
        damaged: u32,
        /// Lines of the page.
        lines: u32,
    },
    /// The page's dimensions.
    #[error("page {page}: {source}")]
    Page {
        /// Page.
        page: usize,
        /// Why.
        source: PageError,
    },
    /// The page's coding.
    #[error("page {page}: {source}")]
    Coding {
        /// Page.
        page: usize,
        /// Why.
        source: T4Error,
    },
}
