//! What the tests over a telephone line share: the modem driver with our own pages, and what is compared.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealfax_adapter::terminal::modem::coding::{self, on_paper, on_the_line};
use sealfax_drivers::modem::{CopyQuality, Document, PageFormat, PageWish, Tray};
use sealfax_ifax::page::{self, Page};
use sealfax_ifax::t4::Decoded;
use sealfax_ifax::tiff;
use sealfax_rig::peer::efax::HEADER_ROWS;
use sealfax_rig::peer::process::PeerError;

/// Whether all of these peers are there. Where they have to be (`SEALFAX_STRICT=1`), what is missing is a failure.
///
/// # Panics
/// In that case.
pub fn all_here(present: &[fn() -> Result<(), PeerError>]) -> bool {
    let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
    for one in present {
        if let Err(missing) = one() {
            assert!(!strict, "{missing}");
            eprintln!("unsupported: {missing}");
            return false;
        }
    }
    true
}

/// A file of `fixtures/fax`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fax").join(name)
}

/// The pages of a TIFF file: as we read them, and, where `tiffcp` is installed, as libtiff does.
///
/// # Panics
/// If it cannot be read, or if libtiff sees other pixels.
#[allow(clippy::expect_used)]
pub fn pages(file: &Path) -> Vec<Page> {
    let read = |file: &Path| {
        let octets = std::fs::read(file).expect("the file is there");
        tiff::read(&octets, &tiff::Limits::default()).expect("pages")
    };
    let ours = read(file);
    if crate::at_hand("tiffcp") {
        let folder = tempfile::tempdir().expect("a folder");
        let plain = folder.path().join("plain.tif");
        // What is not coded at all is what libtiff has decoded.
        let done =
            Command::new("tiffcp").args(["-c", "none"]).args([file, plain.as_path()]).output().expect("tiffcp runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(pixels(&read(&plain)), pixels(&ours), "libtiff sees something else in {}", file.display());
    }
    ours
}

/// Height and pixels of each page, to be compared.
pub fn pixels(pages: &[Page]) -> Vec<(u32, u64)> {
    pages.iter().map(|page| (page.height(), page.fingerprint())).collect()
}

/// What efax sends is its [`HEADER_ROWS`] white rows and then the page: those rows are taken away, exactly.
///
/// # Panics
/// If they are not white, or not there.
#[allow(clippy::expect_used)]
pub fn without_header(page: &Page) -> Page {
    let (header, rest) = page.rows().split_at(HEADER_ROWS as usize * page::stride(page.width()));
    assert!(header.iter().all(|octet| *octet == 0), "the header is white");
    let height = page.height() - HEADER_ROWS;
    Page::from_rows(page.width(), height, page.resolution(), rest.to_vec()).expect("a page")
}

/// Pages to be sent, coded as was agreed.
#[derive(Debug)]
pub struct Pages {
    pages: Vec<Page>,
    /// As what each was asked for.
    pub asked: Vec<PageFormat>,
}

impl Pages {
    /// These.
    pub fn new(pages: Vec<Page>) -> Self {
        Self { pages, asked: Vec::new() }
    }
}

impl Document for Pages {
    fn pages(&self) -> usize {
        self.pages.len()
    }

    fn wants(&self, page: usize) -> PageWish {
        let resolution = on_the_line(self.pages.get(page).map(Page::resolution).unwrap_or_default());
        PageWish { width: self.pages.get(page).map_or(page::A4_WIDTH, Page::width), resolution }
    }

    fn page(
        &mut self,
        number: usize,
        format: &PageFormat,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        self.asked.push(*format);
        Ok(coding::encode(self.pages.get(number).ok_or("there is no such page")?, format))
    }
}

/// Received pages, decoded.
#[derive(Debug, Default)]
pub struct Received {
    /// Those that were taken.
    pub pages: Vec<Page>,
    /// As what every page came, the refused ones too.
    pub came: Vec<PageFormat>,
    /// How many were refused because of damaged lines.
    pub refused: usize,
}

impl Tray for Received {
    fn page(&mut self, format: &PageFormat, octets: &[u8]) -> CopyQuality {
        self.came.push(*format);
        let whole = |decoded: &Decoded| (format.ecm || decoded.ended) && decoded.quality.is_perfect();
        let decoded = coding::decode(octets, format).ok().filter(whole);
        let resolution = on_paper(format.resolution);
        let page =
            decoded.and_then(|decoded| Page::from_rows(format.width, decoded.height, resolution, decoded.rows).ok());
        match page {
            Some(page) => {
                self.pages.push(page);
                CopyQuality::Good
            }
            None => {
                self.refused += 1;
                CopyQuality::Unusable
            }
        }
    }
}
