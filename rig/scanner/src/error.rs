//! Why a document cannot be scanned: which file, why, what to do.

use std::path::PathBuf;

use sealfax_ifax::tiff::TiffError;

use crate::{MAX_OCTETS, MAX_PAGES};

/// Why a document cannot be scanned: which file, why, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// No such file.
    #[error("{}: there is no such file{}", path.display(), suggestion.as_ref().map_or_else(|| "; check the name and the folder".to_owned(), |name| format!("; did you mean {name}?")))]
    NotFound {
        /// The path given.
        path: PathBuf,
        /// The nearest name in that folder.
        suggestion: Option<String>,
    },
    /// It cannot be read.
    #[error("{}: it cannot be read ({source}); {}", path.display(), if path.is_dir() { "name a file in it" } else { "check its permissions" })]
    Read {
        /// The path given.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its content.
    #[error("{}: {source}", path.display())]
    Document {
        /// The path given.
        path: PathBuf,
        /// Why.
        source: DocumentError,
    },
}

/// Why the content of a file is no document that can be faxed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Over [`MAX_OCTETS`].
    #[error("the file is over {} MiB; split the document", MAX_OCTETS >> 20)]
    TooLarge,
    /// Nothing in it.
    #[error("the file is empty; check that it was saved")]
    Empty,
    /// None of the kinds that are known.
    #[error("this is neither TIFF, PNG, JPEG, PDF nor plain text; print it into a PDF first")]
    Unsupported,
    /// The TIFF holds fax pages that cannot be decoded.
    #[error("{0}")]
    Fax(#[from] TiffError),
    /// The TIFF is damaged, or of a kind that is not known.
    #[error("the TIFF cannot be decoded ({0}); save it without layers and planes, or as PNG or PDF")]
    Tiff(String),
    /// The PNG is damaged.
    #[error("the PNG cannot be decoded ({0}); save it again")]
    Png(#[from] png::DecodingError),
    /// The JPEG is damaged.
    #[error("the JPEG cannot be decoded ({0}); save it again")]
    Jpeg(String),
    /// The PDF is damaged.
    #[error("the PDF cannot be drawn ({0}); print it into a new PDF")]
    Pdf(String),
    /// The PDF wants a password.
    #[error("the PDF is encrypted and wants a password; open it, and print it into a PDF without one")]
    Encrypted,
    /// A picture over [`crate::MAX_PIXELS`], or without any pixel.
    #[error("a picture of {width}x{height} pixels cannot be sent; scan it at 200 to 300 dots per inch")]
    Pixels {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// Over [`MAX_PAGES`], or none at all.
    #[error("the document has {0} pages; 1 to {MAX_PAGES} can be sent at a time")]
    Pages(usize),
}
