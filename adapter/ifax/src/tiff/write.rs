//! Writing TIFF: RFC 3949 clause 3 (profile S), and clause 4 (profile F) for other codings and widths.
//! Little-endian, first directory at octet 8, each directory before its values and its one strip.

use super::{TiffError, tag};
use crate::page::Page;
use crate::t4::{Coding, EncodeOptions, Eol, FillOrder, encode};
use std::io::{Cursor, Seek, SeekFrom, Write};

const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;
const FIELDS: usize = 18;

/// Writes pages as profile S of RFC 3949 (MH, octet-aligned EOL, FillOrder 2); a width other than 1728 makes it
/// profile F with the same coding.
pub fn write(pages: &[Page]) -> Result<Vec<u8>, TiffError> {
    write_with(pages, &EncodeOptions::PROFILE_S)
}

/// Writes pages in any coding (profile F). Without EOL, MH becomes Compression 2.
pub fn write_with(pages: &[Page], options: &EncodeOptions) -> Result<Vec<u8>, TiffError> {
    let total = u16::try_from(pages.len()).map_err(|_| TiffError::Pages { limit: usize::from(u16::MAX) })?;
    let mut writer = Writer::new(Cursor::new(Vec::new()), options, total)?;
    for page in pages {
        writer.page(page)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// Writes a document page after page: what one of them needs is there no longer than it.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    options: EncodeOptions,
    total: u16,
    written: u16,
    /// Where the next directory will be.
    end: usize,
    /// Where the last directory says so.
    next_at: usize,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a file of so many pages; 0 if that is not known.
    pub fn new(out: W, options: &EncodeOptions, total: u16) -> Result<Self, TiffError> {
        let mut writer = Self { out, options: *options, total, written: 0, end: 8, next_at: 4 };
        writer.put(0, b"II\x2a\0\x08\0\0\0")?;
        Ok(writer)
    }

    /// Writes the next page.
    pub fn page(&mut self, page: &Page) -> Result<(), TiffError> {
        let number = self.written;
        self.written = number.checked_add(1).ok_or(TiffError::Pages { limit: usize::from(u16::MAX) })?;
        let strip = encode(page, &self.options);
        let start = self.end;
        let values = start + 2 + FIELDS * 12 + 4;
        let strip_at = values + 16;
        let end = (strip_at + strip.len()).next_multiple_of(2);
        let (across, down) = page.resolution().dpi();
        let fields = fields(page, &self.options, [strip_at, strip.len(), values, end], (number, self.total))?;
        let next_at = start + 2 + fields.len() * 12;
        let mut octets = (fields.len() as u16).to_le_bytes().to_vec();
        for (field, kind, count, value) in &fields {
            octets.extend(field.to_le_bytes());
            octets.extend(kind.to_le_bytes());
            octets.extend(count.to_le_bytes());
            octets.extend(value.to_le_bytes());
        }
        // Room is reserved for the most fields any coding needs; the last directory says that there is no other.
        octets.resize(values - start, 0);
        for number in [across, 1, down, 1] {
            octets.extend(number.to_le_bytes());
        }
        octets.extend(strip);
        octets.resize(end - start, 0);
        self.put(start, &octets)?;
        if number > 0 {
            self.put(self.next_at, &(start as u32).to_le_bytes())?;
        }
        (self.end, self.next_at) = (end, next_at);
        Ok(())
    }

    /// What was written to. A document has a page at least.
    pub fn finish(mut self) -> Result<W, TiffError> {
        if self.written == 0 {
            return Err(TiffError::Empty);
        }
        self.out.flush().map_err(unwritten)?;
        Ok(self.out)
    }

    fn put(&mut self, at: usize, octets: &[u8]) -> Result<(), TiffError> {
        self.out.seek(SeekFrom::Start(at as u64)).and_then(|_| self.out.write_all(octets)).map_err(unwritten)
    }
}

fn unwritten(error: std::io::Error) -> TiffError {
    TiffError::Write(error.to_string())
}

/// The fields of a directory: tag, type, count, value. Its strip, the octets of that, its values and its end are at these places.
fn fields(
    page: &Page,
    options: &EncodeOptions,
    [strip_at, strip, values, end]: [usize; 4],
    (number, total): (u16, u16),
) -> Result<Vec<(u16, u16, u32, u32)>, TiffError> {
    let too_large = TiffError::TooLarge { octets: end, limit: u32::MAX as usize };
    let long = |n: usize| u32::try_from(n).map_err(|_| too_large.clone());
    long(end)?;
    let (compression, coding_field) = match (options.coding, options.eol) {
        (Coding::ModifiedHuffman, Eol::Absent) => (2, None),
        (Coding::ModifiedModifiedRead, _) => (4, Some((tag::T6_OPTIONS, 0))),
        (coding, eol) => {
            let two_dimensional = u32::from(coding == Coding::ModifiedRead);
            (3, Some((tag::T4_OPTIONS, two_dimensional | u32::from(eol == Eol::OctetAligned) << 2)))
        }
    };
    let fill_order = if options.fill_order == FillOrder::LsbFirst { 2 } else { 1 };
    let mut fields: Vec<(u16, u16, u32, u32)> = vec![
        (tag::NEW_SUBFILE_TYPE, LONG, 1, 2),
        (tag::IMAGE_WIDTH, LONG, 1, page.width()),
        (tag::IMAGE_LENGTH, LONG, 1, page.height()),
        (tag::BITS_PER_SAMPLE, SHORT, 1, 1),
        (tag::COMPRESSION, SHORT, 1, compression),
        (tag::PHOTOMETRIC_INTERPRETATION, SHORT, 1, 0),
        (tag::FILL_ORDER, SHORT, 1, fill_order),
        (tag::STRIP_OFFSETS, LONG, 1, long(strip_at)?),
        (tag::SAMPLES_PER_PIXEL, SHORT, 1, 1),
        (tag::ROWS_PER_STRIP, LONG, 1, page.height()),
        (tag::STRIP_BYTE_COUNTS, LONG, 1, long(strip)?),
        (tag::X_RESOLUTION, RATIONAL, 1, long(values)?),
        (tag::Y_RESOLUTION, RATIONAL, 1, long(values + 8)?),
    ];
    fields.extend(coding_field.map(|(field, value)| (field, LONG, 1, value)));
    fields.push((tag::RESOLUTION_UNIT, SHORT, 1, 2));
    fields.push((tag::PAGE_NUMBER, SHORT, 2, u32::from(number) | u32::from(total) << 16));
    Ok(fields)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::{Limits, Pages, Seekable};
    use super::*;
    use crate::page::Resolution;
    use std::io::Read;

    /// A page that is like no other.
    fn page(number: u32) -> Page {
        let mut page = Page::blank(1728, 40, Resolution::Fine).unwrap();
        for x in 0..=number {
            page.set(x * 7, x % 40, true);
        }
        page
    }

    #[test]
    fn a_document_goes_through_a_file_page_by_page() {
        let file = tempfile::tempfile().unwrap();
        let mut writer = Writer::new(file, &EncodeOptions::PROFILE_S, 100).unwrap();
        let whole: Vec<Page> = (0..100).map(page).collect();
        for page in &whole {
            writer.page(page).unwrap();
        }
        let mut file = writer.finish().unwrap();
        let mut octets = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut octets).unwrap();
        assert_eq!(octets, write(&whole).unwrap());
        let pages = Pages::open(Seekable(file), &Limits::default()).unwrap();
        assert!(pages.zip(&whole).all(|(read, page)| read.unwrap().page == *page));
    }

    #[test]
    fn no_page_is_no_document() {
        assert_eq!(write(&[]), Err(TiffError::Empty));
        let writer = Writer::new(Cursor::new(Vec::new()), &EncodeOptions::PROFILE_S, 0).unwrap();
        assert_eq!(writer.finish().unwrap_err(), TiffError::Empty);
    }
}
