//! Writing TIFF: RFC 3949 clause 3 (profile S), and clause 4 (profile F) for other codings and widths.
//! Little-endian, first directory at octet 8, each directory before its values and its one strip.

use super::{TiffError, tag};
use crate::page::Page;
use crate::t4::{Coding, EncodeOptions, Eol, FillOrder, encode};

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
    if pages.is_empty() {
        return Err(TiffError::Empty);
    }
    let mut out = b"II\x2a\0\x08\0\0\0".to_vec();
    for (number, page) in (0u16..).zip(pages) {
        let strip = encode(page, options);
        let start = out.len();
        let values = start + 2 + FIELDS * 12 + 4;
        let strip_at = values + 16;
        let end = (strip_at + strip.len()).next_multiple_of(2);
        let too_large = TiffError::TooLarge { octets: end, limit: u32::MAX as usize };
        let long = |n: usize| u32::try_from(n).map_err(|_| too_large.clone());
        let (across, down) = page.resolution().dpi();
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
            (tag::STRIP_BYTE_COUNTS, LONG, 1, long(strip.len())?),
            (tag::X_RESOLUTION, RATIONAL, 1, long(values)?),
            (tag::Y_RESOLUTION, RATIONAL, 1, long(values + 8)?),
        ];
        fields.extend(coding_field.map(|(field, value)| (field, LONG, 1, value)));
        fields.push((tag::RESOLUTION_UNIT, SHORT, 1, 2));
        fields.push((tag::PAGE_NUMBER, SHORT, 2, u32::from(number) | u32::from(total) << 16));
        out.extend((fields.len() as u16).to_le_bytes());
        for (field, kind, count, value) in &fields {
            out.extend(field.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend(count.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        let next = if usize::from(number) + 1 == pages.len() { 0 } else { long(end)? };
        out.extend(next.to_le_bytes());
        // Room was reserved for the most fields any coding needs.
        out.resize(values, 0);
        for number in [across, 1, down, 1] {
            out.extend(number.to_le_bytes());
        }
        out.extend(strip);
        out.resize(end, 0);
    }
    Ok(out)
}
