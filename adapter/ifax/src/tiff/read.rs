//! Reading TIFF 6.0 as fax machines write it (RFC 3949, RFC 2306): Compression 1 to 4, both byte orders, both fill
//! orders, both photometric interpretations, several strips and pages. Every offset and count is checked first.

use std::collections::BTreeMap;

use super::{TiffError, tag};
use crate::page::{MAX_HEIGHT, MAX_WIDTH, Page, Resolution, stride};
use crate::t4::{Coding, CopyQuality, DecodeOptions, FillOrder, decode};

/// What a reader accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the file.
    pub octets: usize,
    /// Pages.
    pub pages: usize,
    /// Pixels across.
    pub width: u32,
    /// Lines of a page.
    pub height: u32,
    /// Octets of packed rows over all pages.
    pub raster: usize,
    /// Damaged and missing lines tolerated, in thousandths of the page.
    pub damaged_per_mille: u32,
}

impl Default for Limits {
    /// 32 MiB, 200 pages, the largest page, 128 MiB decoded, 5 % damaged lines.
    fn default() -> Self {
        Self {
            octets: 32 << 20,
            pages: 200,
            width: MAX_WIDTH,
            height: MAX_HEIGHT,
            raster: 128 << 20,
            damaged_per_mille: 50,
        }
    }
}

/// A page and how well it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The page.
    pub page: Page,
    /// Damaged and missing lines.
    pub quality: CopyQuality,
}

const MAX_FIELDS: u16 = 256;
const MAX_STRIPS: u32 = 20_000;

/// Reads every page.
pub fn read(data: &[u8], limits: &Limits) -> Result<Vec<Page>, TiffError> {
    Ok(read_scans(data, limits)?.into_iter().map(|scan| scan.page).collect())
}

/// Reads every page with its copy quality.
pub fn read_scans(data: &[u8], limits: &Limits) -> Result<Vec<Scan>, TiffError> {
    let mut raster = 0usize;
    let scan = |directory: Directory<'_>| {
        let scan = directory.scan(limits, &mut raster)?;
        let damaged = scan.quality.damaged_lines.saturating_add(scan.quality.missing_lines);
        let lines = scan.page.height();
        if u64::from(damaged) * 1000 > u64::from(lines) * u64::from(limits.damaged_per_mille) {
            return Err(TiffError::Damaged { page: directory.page, damaged, lines });
        }
        Ok(scan)
    };
    pages(data, limits)?.into_iter().map(scan).collect()
}

/// How many pages there are, at least one. None of them is unpacked or judged.
pub fn count_pages(data: &[u8], limits: &Limits) -> Result<usize, TiffError> {
    pages(data, limits).map(|pages| pages.len())
}

/// The directories of the pages, in order.
fn pages<'a>(data: &'a [u8], limits: &Limits) -> Result<Vec<Directory<'a>>, TiffError> {
    if data.len() > limits.octets {
        return Err(TiffError::TooLarge { octets: data.len(), limit: limits.octets });
    }
    let big_endian = match data.get(..4) {
        Some(b"II\x2a\0") => false,
        Some(b"MM\0\x2a") => true,
        _ => return Err(TiffError::NotTiff),
    };
    let file = File { data, big_endian };
    let mut visited = Vec::new();
    let mut pages = Vec::new();
    let mut at = file.long(4).ok_or(TiffError::NotTiff)?;
    while at != 0 {
        let page = visited.len() + 1;
        if visited.contains(&at) {
            return Err(TiffError::Loop { page });
        }
        if page > limits.pages {
            return Err(TiffError::Pages { limit: limits.pages });
        }
        visited.push(at);
        let (directory, next) = file.directory(at as usize, page)?;
        // Bit 0: a smaller version of another page, not a page.
        if directory.number(tag::NEW_SUBFILE_TYPE).unwrap_or(0) & 1 == 0 {
            pages.push(directory);
        }
        at = next;
    }
    if pages.is_empty() { Err(TiffError::Empty) } else { Ok(pages) }
}

#[derive(Clone, Copy)]
struct File<'a> {
    data: &'a [u8],
    big_endian: bool,
}

impl<'a> File<'a> {
    fn octets<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.data.get(at..)?.first_chunk().copied()
    }

    fn short(&self, at: usize) -> Option<u16> {
        let octets = self.octets(at)?;
        Some(if self.big_endian { u16::from_be_bytes(octets) } else { u16::from_le_bytes(octets) })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let octets = self.octets(at)?;
        Some(if self.big_endian { u32::from_be_bytes(octets) } else { u32::from_le_bytes(octets) })
    }

    fn directory(&self, at: usize, page: usize) -> Result<(Directory<'a>, u32), TiffError> {
        let outside = TiffError::Outside { page, what: "the directory" };
        let count = self.short(at).ok_or_else(|| outside.clone())?;
        if count > MAX_FIELDS {
            return Err(TiffError::Field { page, field: "number of fields", value: u32::from(count) });
        }
        let mut fields = BTreeMap::new();
        for entry in (0..usize::from(count)).map(|i| at + 2 + i * 12) {
            let (Some(field), Some(kind), Some(count)) =
                (self.short(entry), self.short(entry + 2), self.long(entry + 4))
            else {
                return Err(outside);
            };
            // The first of a repeated field holds; RFC 3949 forbids repetition.
            fields.entry(field).or_insert(Field { kind, count, value_at: entry + 8 });
        }
        // Some writers leave the last offset out at the end of the file.
        let next = self.long(at + 2 + usize::from(count) * 12).unwrap_or(0);
        Ok((Directory { file: *self, fields, page }, next))
    }
}

#[derive(Clone, Copy)]
struct Field {
    kind: u16,
    count: u32,
    value_at: usize,
}

struct Directory<'a> {
    file: File<'a>,
    fields: BTreeMap<u16, Field>,
    page: usize,
}

impl<'a> Directory<'a> {
    /// The numbers of a BYTE, SHORT or LONG field, at most `limit` of them.
    fn numbers(&self, field: u16, name: &'static str, limit: u32) -> Result<Option<Vec<u32>>, TiffError> {
        let Some(Field { kind, count, value_at }) = self.fields.get(&field).copied() else { return Ok(None) };
        let size = match kind {
            1 => 1,
            3 => 2,
            4 => 4,
            _ => return Err(TiffError::Field { page: self.page, field: name, value: u32::from(kind) }),
        };
        if count == 0 || count > limit {
            return Err(TiffError::Field { page: self.page, field: name, value: count });
        }
        let outside = || TiffError::Outside { page: self.page, what: name };
        let count = count as usize;
        let at = if size * count <= 4 { value_at } else { self.file.long(value_at).ok_or_else(outside)? as usize };
        if self.file.data.len().saturating_sub(at) < size * count {
            return Err(outside());
        }
        let number = |i: usize| match size {
            1 => self.file.data.get(at + i).map(|octet| u32::from(*octet)),
            2 => self.file.short(at + i * 2).map(u32::from),
            _ => self.file.long(at + i * 4),
        };
        (0..count).map(|i| number(i).ok_or_else(outside)).collect::<Result<_, _>>().map(Some)
    }

    fn number(&self, field: u16) -> Option<u32> {
        self.numbers(field, "", 4).ok().flatten().and_then(|numbers| numbers.first().copied())
    }

    fn need(&self, field: u16, name: &'static str) -> Result<u32, TiffError> {
        let first = self.numbers(field, name, 4)?.and_then(|numbers| numbers.first().copied());
        first.ok_or(TiffError::Missing { page: self.page, field: name })
    }

    /// A field with a default of which only some values are fax.
    fn one_of(&self, field: u16, name: &'static str, default: u32, allowed: &[u32]) -> Result<u32, TiffError> {
        let first = self.numbers(field, name, 4)?.and_then(|numbers| numbers.first().copied());
        let value = first.unwrap_or(default);
        if allowed.contains(&value) { Ok(value) } else { Err(TiffError::Field { page: self.page, field: name, value }) }
    }

    fn resolution(&self) -> Resolution {
        let rational = || {
            let Field { kind: 5, count: 1, value_at } = self.fields.get(&tag::Y_RESOLUTION).copied()? else {
                return None;
            };
            let at = self.file.long(value_at)? as usize;
            let (numerator, denominator) = (self.file.long(at)?, self.file.long(at.checked_add(4)?)?);
            let unit = self.number(tag::RESOLUTION_UNIT).unwrap_or(2);
            // Lines per centimetre become lines per inch.
            let scaled = if unit == 3 { u64::from(numerator) * 254 / 100 } else { u64::from(numerator) };
            u32::try_from(scaled.checked_div(u64::from(denominator))?).ok()
        };
        rational().filter(|lines| *lines > 10).map_or(Resolution::Fine, Resolution::nearest)
    }

    fn scan(&self, limits: &Limits, raster: &mut usize) -> Result<Scan, TiffError> {
        let page = self.page;
        if self.fields.contains_key(&tag::TILE_WIDTH) {
            return Err(TiffError::Field {
                page,
                field: "TileWidth",
                value: self.number(tag::TILE_WIDTH).unwrap_or(0),
            });
        }
        let width = self.need(tag::IMAGE_WIDTH, "ImageWidth")?;
        let height = self.need(tag::IMAGE_LENGTH, "ImageLength")?;
        if width == 0 || width > limits.width.min(MAX_WIDTH) {
            return Err(TiffError::Field { page, field: "ImageWidth", value: width });
        }
        if height == 0 || height > limits.height.min(MAX_HEIGHT) {
            return Err(TiffError::Field { page, field: "ImageLength", value: height });
        }
        self.one_of(tag::BITS_PER_SAMPLE, "BitsPerSample", 1, &[1])?;
        self.one_of(tag::SAMPLES_PER_PIXEL, "SamplesPerPixel", 1, &[1])?;
        let photometric = self.one_of(tag::PHOTOMETRIC_INTERPRETATION, "PhotometricInterpretation", 0, &[0, 1])?;
        let fill_order = match self.one_of(tag::FILL_ORDER, "FillOrder", 1, &[1, 2])? {
            2 => FillOrder::LsbFirst,
            _ => FillOrder::MsbFirst,
        };
        let compression = self.one_of(tag::COMPRESSION, "Compression", 1, &[1, 2, 3, 4])?;
        let t4_options = self.number(tag::T4_OPTIONS).unwrap_or(0);
        // Bit 1 of either: uncompressed mode, which no fax profile allows.
        if t4_options & 2 != 0 {
            return Err(TiffError::Field { page, field: "T4Options", value: t4_options });
        }
        self.one_of(tag::T6_OPTIONS, "T6Options", 0, &[0])?;
        *raster = raster.saturating_add(stride(width) * height as usize);
        if *raster > limits.raster {
            return Err(TiffError::Raster { page, limit: limits.raster });
        }
        let mut options = DecodeOptions {
            coding: match compression {
                3 if t4_options & 1 != 0 => Coding::ModifiedRead,
                4 => Coding::ModifiedModifiedRead,
                _ => Coding::ModifiedHuffman,
            },
            lines_aligned: compression == 2,
            fill_order,
            width,
            height: None,
            max_height: MAX_HEIGHT,
        };
        let rows_per_strip = self.number(tag::ROWS_PER_STRIP).unwrap_or(height).clamp(1, height);
        let strips = self.strips(height.div_ceil(rows_per_strip))?;
        let mut rows = Vec::new();
        let mut quality = CopyQuality::default();
        let mut left = height;
        for strip in strips {
            let lines = rows_per_strip.min(left);
            left -= lines;
            if compression == 1 {
                quality.missing_lines += uncompressed(strip, width, lines, fill_order, &mut rows);
                continue;
            }
            options.height = Some(lines);
            let read = decode(strip, &options).map_err(|source| TiffError::Coding { page, source })?;
            rows.extend_from_slice(&read.rows);
            quality.damaged_lines += read.quality.damaged_lines;
            quality.missing_lines += read.quality.missing_lines;
            quality.most_consecutive = quality.most_consecutive.max(read.quality.most_consecutive);
        }
        if photometric == 1 {
            rows.iter_mut().for_each(|octet| *octet = !*octet);
        }
        let made = Page::from_rows(width, height, self.resolution(), rows);
        Ok(Scan { page: made.map_err(|source| TiffError::Page { page, source })?, quality })
    }

    /// The strips in order, `count` of them.
    fn strips(&self, count: u32) -> Result<Vec<&'a [u8]>, TiffError> {
        let page = self.page;
        let offsets = self
            .numbers(tag::STRIP_OFFSETS, "StripOffsets", MAX_STRIPS)?
            .ok_or(TiffError::Missing { page, field: "StripOffsets" })?;
        if offsets.len() != count as usize {
            return Err(TiffError::Field { page, field: "StripOffsets", value: offsets.len() as u32 });
        }
        let counts = match self.numbers(tag::STRIP_BYTE_COUNTS, "StripByteCounts", MAX_STRIPS)? {
            Some(counts) if counts.len() == offsets.len() => counts,
            // Old fax software leaves the count of its one strip out: it ends with the file.
            None if count == 1 => vec![u32::MAX],
            None => return Err(TiffError::Missing { page, field: "StripByteCounts" }),
            Some(counts) => {
                return Err(TiffError::Field { page, field: "StripByteCounts", value: counts.len() as u32 });
            }
        };
        let outside = TiffError::Outside { page, what: "a strip" };
        let strip = |(offset, octets): (u32, u32)| {
            let from = self.file.data.get(offset as usize..).filter(|rest| !rest.is_empty());
            let from = from.ok_or_else(|| outside.clone())?;
            if octets == u32::MAX && count == 1 {
                return Ok(from);
            }
            from.get(..octets as usize).ok_or_else(|| outside.clone())
        };
        offsets.into_iter().zip(counts).map(strip).collect()
    }
}

/// Compression 1; returns the lines the strip lacks, left white as the interpretation 0 has it.
fn uncompressed(strip: &[u8], width: u32, lines: u32, order: FillOrder, rows: &mut Vec<u8>) -> u32 {
    let stride = stride(width);
    let have = (strip.len() / stride).min(lines as usize);
    let start = rows.len();
    rows.extend(strip.iter().take(have * stride));
    if order == FillOrder::LsbFirst {
        rows.iter_mut().skip(start).for_each(|octet| *octet = octet.reverse_bits());
    }
    rows.resize(start + lines as usize * stride, 0);
    lines - have as u32
}

#[cfg(test)]
mod tests;
