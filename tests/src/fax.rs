//! What the tests over a telephone line share: the modem driver with our own pages, and what is compared.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealfax_drivers::modem::{Coding, CopyQuality, Document, PageFormat, PageWish, Resolution, Tray};
use sealfax_ifax::page::{self, MAX_HEIGHT, Page};
use sealfax_ifax::t4::{self, DecodeOptions, EncodeOptions, Eol, FillOrder};
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

fn coding(coding: Coding) -> t4::Coding {
    match coding {
        Coding::Mh => t4::Coding::ModifiedHuffman,
        Coding::Mr => t4::Coding::ModifiedRead,
        Coding::Mmr => t4::Coding::ModifiedModifiedRead,
    }
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
        let resolution = match self.pages.get(page).map(Page::resolution).unwrap_or_default() {
            page::Resolution::Standard => Resolution::Standard,
            page::Resolution::Fine => Resolution::Fine,
            page::Resolution::Superfine => Resolution::Superfine,
        };
        PageWish { width: self.pages.get(page).map_or(page::A4_WIDTH, Page::width), resolution }
    }

    fn page(
        &mut self,
        number: usize,
        format: &PageFormat,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        self.asked.push(*format);
        let options = EncodeOptions {
            coding: coding(format.coding),
            eol: Eol::Unaligned,
            rtc: true,
            fill_order: FillOrder::LsbFirst,
            k: format.k,
            line_bits: format.minimum_line_bits(),
        };
        Ok(t4::encode(self.pages.get(number).ok_or("there is no such page")?, &options))
    }
}

/// Whether T.4 data comes to its end as a page does: by a return to control (T.4 4.1.4), six EOL with nothing between them, or as many
/// of them as the noise of a carrier that goes off leaves. What a line took away from the end of a page is seen by nothing else.
fn ends_with_rtc(octets: &[u8], tagged: bool) -> bool {
    let end = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    let last = octets.get(end.saturating_sub(64)..end).unwrap_or(octets);
    let mut bits = last.iter().flat_map(|octet| (0..8).map(move |bit| octet >> bit & 1 == 1));
    let (mut zeros, mut eols) = (0, 0);
    while let Some(bit) = bits.next() {
        if !bit {
            zeros += 1;
            continue;
        }
        eols = if zeros >= 11 { eols + 1 } else { 0 };
        if eols == 3 {
            return true;
        }
        zeros = 0;
        if tagged && eols > 0 {
            bits.next();
        }
    }
    false
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
        let options = DecodeOptions {
            coding: coding(format.coding),
            lines_aligned: false,
            fill_order: FillOrder::LsbFirst,
            width: format.width,
            height: None,
            max_height: MAX_HEIGHT,
        };
        let resolution = match format.resolution {
            Resolution::Standard => page::Resolution::Standard,
            Resolution::Fine => page::Resolution::Fine,
            Resolution::Superfine => page::Resolution::Superfine,
        };
        let whole = format.ecm || ends_with_rtc(octets, format.coding == Coding::Mr);
        let decoded = t4::decode(octets, &options).ok().filter(|decoded| whole && decoded.quality.is_perfect());
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
