//! Reading TIFF 6.0 as fax machines write it (RFC 3949, RFC 2306): Compression 1 to 4, both byte orders, both fill
//! orders, both photometric interpretations, several strips and pages. Every offset and count is checked first.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Seek, SeekFrom};

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

const MAX_FIELDS: u32 = 256;
const MAX_STRIPS: u32 = 20_000;

/// Where a file's octets come from.
pub trait Octets {
    /// How many there are.
    fn length(&mut self) -> std::io::Result<usize>;
    /// So many from this place on; `None` if they are not all there.
    fn octets(&mut self, at: usize, count: usize) -> std::io::Result<Option<Cow<'_, [u8]>>>;
}

impl Octets for &[u8] {
    fn length(&mut self) -> std::io::Result<usize> {
        Ok(self.len())
    }

    fn octets(&mut self, at: usize, count: usize) -> std::io::Result<Option<Cow<'_, [u8]>>> {
        Ok(self.get(at..).and_then(|rest| rest.get(..count)).map(Cow::Borrowed))
    }
}

/// A file that is not in memory: a directory, a strip at a time is.
#[derive(Debug)]
pub struct Seekable<R>(pub R);

impl<R: Read + Seek> Octets for Seekable<R> {
    fn length(&mut self) -> std::io::Result<usize> {
        Ok(usize::try_from(self.0.seek(SeekFrom::End(0))?).unwrap_or(usize::MAX))
    }

    fn octets(&mut self, at: usize, count: usize) -> std::io::Result<Option<Cow<'_, [u8]>>> {
        let length = self.length()?;
        if at.checked_add(count).is_none_or(|end| end > length) {
            return Ok(None);
        }
        self.0.seek(SeekFrom::Start(at as u64))?;
        let mut octets = vec![0; count];
        self.0.read_exact(&mut octets)?;
        Ok(Some(Cow::Owned(octets)))
    }
}

/// Reads every page.
pub fn read(data: &[u8], limits: &Limits) -> Result<Vec<Page>, TiffError> {
    Pages::open(data, limits)?.map(|scan| scan.map(|scan| scan.page)).collect()
}

/// Reads every page with its copy quality.
pub fn read_scans(data: &[u8], limits: &Limits) -> Result<Vec<Scan>, TiffError> {
    Pages::open(data, limits)?.collect()
}

/// How many pages there are, at least one. None of them is unpacked or judged.
pub fn count_pages(data: &[u8], limits: &Limits) -> Result<usize, TiffError> {
    Pages::open(data, limits).map(|pages| pages.directories.len())
}

/// A document's pages one after another: what one of them needs is there no longer than it.
#[derive(Debug)]
pub struct Pages<S> {
    file: File<S>,
    directories: VecDeque<Directory>,
    limits: Limits,
    raster: usize,
}

impl<S: Octets> Pages<S> {
    /// Reads the directories of all pages, at least one, and nothing of the pages themselves.
    pub fn open(source: S, limits: &Limits) -> Result<Self, TiffError> {
        let mut file = File { source, big_endian: false };
        let octets = file.source.length().map_err(unread)?;
        if octets > limits.octets {
            return Err(TiffError::TooLarge { octets, limit: limits.octets });
        }
        file.big_endian = match file.take(0, 4)?.as_deref() {
            Some(b"II\x2a\0") => false,
            Some(b"MM\0\x2a") => true,
            _ => return Err(TiffError::NotTiff),
        };
        let mut visited = Vec::new();
        let mut directories = VecDeque::new();
        let mut at = file.numbers(4, 4, 1)?.and_then(|numbers| numbers.first().copied()).ok_or(TiffError::NotTiff)?;
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
            if directory.number(&mut file, tag::NEW_SUBFILE_TYPE).unwrap_or(0) & 1 == 0 {
                directories.push_back(directory);
            }
            at = next;
        }
        if directories.is_empty() {
            return Err(TiffError::Empty);
        }
        Ok(Self { file, directories, limits: *limits, raster: 0 })
    }
}

impl<S: Octets> Iterator for Pages<S> {
    type Item = Result<Scan, TiffError>;

    /// The next page. After an error there is none.
    fn next(&mut self) -> Option<Self::Item> {
        let directory = self.directories.pop_front()?;
        let scan = directory.scan(&mut self.file, &self.limits, &mut self.raster).and_then(|scan| {
            let damaged = scan.quality.damaged_lines.saturating_add(scan.quality.missing_lines);
            let lines = scan.page.height();
            if u64::from(damaged) * 1000 > u64::from(lines) * u64::from(self.limits.damaged_per_mille) {
                return Err(TiffError::Damaged { page: directory.page, damaged, lines });
            }
            Ok(scan)
        });
        if scan.is_err() {
            self.directories.clear();
        }
        Some(scan)
    }
}

fn unread(error: std::io::Error) -> TiffError {
    TiffError::Read(error.to_string())
}

#[derive(Debug)]
struct File<S> {
    source: S,
    big_endian: bool,
}

impl<S: Octets> File<S> {
    fn take(&mut self, at: usize, count: usize) -> Result<Option<Cow<'_, [u8]>>, TiffError> {
        self.source.octets(at, count).map_err(unread)
    }

    /// So many numbers of `size` octets; `None` if they are not all there.
    fn numbers(&mut self, at: usize, size: usize, count: usize) -> Result<Option<Vec<u32>>, TiffError> {
        let big_endian = self.big_endian;
        let number = |octets: &[u8]| {
            let fold = |number: u32, octet: &u8| number << 8 | u32::from(*octet);
            if big_endian { octets.iter().fold(0, fold) } else { octets.iter().rev().fold(0, fold) }
        };
        let octets = self.take(at, size * count)?;
        Ok(octets.map(|octets| octets.chunks_exact(size).map(number).collect()))
    }

    fn number(&mut self, at: usize, size: usize) -> Result<Option<u32>, TiffError> {
        Ok(self.numbers(at, size, 1)?.and_then(|numbers| numbers.first().copied()))
    }

    fn directory(&mut self, at: usize, page: usize) -> Result<(Directory, u32), TiffError> {
        let outside = || TiffError::Outside { page, what: "the directory" };
        let count = self.number(at, 2)?.ok_or_else(outside)?;
        if count > MAX_FIELDS {
            return Err(TiffError::Field { page, field: "number of fields", value: count });
        }
        let count = count as usize;
        let big_endian = self.big_endian;
        let entries = self.take(at + 2, count * 12)?.ok_or_else(outside)?;
        let mut fields = BTreeMap::new();
        for (number, entry) in entries.chunks_exact(12).enumerate() {
            let mut entry_file = File { source: entry, big_endian };
            let (field, kind) = (entry_file.number(0, 2)?, entry_file.number(2, 2)?);
            let (Some(field), Some(kind), Some(count)) = (field, kind, entry_file.number(4, 4)?) else {
                return Err(outside());
            };
            // The first of a repeated field holds; RFC 3949 forbids repetition.
            let value_at = at + 2 + number * 12 + 8;
            fields.entry(field as u16).or_insert(Field { kind: kind as u16, count, value_at });
        }
        // Some writers leave the last offset out at the end of the file.
        let next = self.number(at + 2 + count * 12, 4)?.unwrap_or(0);
        Ok((Directory { fields, page }, next))
    }
}

#[derive(Debug, Clone, Copy)]
struct Field {
    kind: u16,
    count: u32,
    value_at: usize,
}

#[derive(Debug)]
struct Directory {
    fields: BTreeMap<u16, Field>,
    page: usize,
}

impl Directory {
    /// The numbers of a BYTE, SHORT or LONG field, at most `limit` of them.
    fn numbers<S: Octets>(
        &self,
        file: &mut File<S>,
        field: u16,
        name: &'static str,
        limit: u32,
    ) -> Result<Option<Vec<u32>>, TiffError> {
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
        let at = if size * count <= 4 { value_at } else { file.number(value_at, 4)?.ok_or_else(outside)? as usize };
        file.numbers(at, size, count)?.ok_or_else(outside).map(Some)
    }

    fn number<S: Octets>(&self, file: &mut File<S>, field: u16) -> Option<u32> {
        self.numbers(file, field, "", 4).ok().flatten().and_then(|numbers| numbers.first().copied())
    }

    fn need<S: Octets>(&self, file: &mut File<S>, field: u16, name: &'static str) -> Result<u32, TiffError> {
        let first = self.numbers(file, field, name, 4)?.and_then(|numbers| numbers.first().copied());
        first.ok_or(TiffError::Missing { page: self.page, field: name })
    }

    /// A field with a default of which only some values are fax.
    fn one_of<S: Octets>(
        &self,
        file: &mut File<S>,
        field: u16,
        name: &'static str,
        default: u32,
        allowed: &[u32],
    ) -> Result<u32, TiffError> {
        let first = self.numbers(file, field, name, 4)?.and_then(|numbers| numbers.first().copied());
        let value = first.unwrap_or(default);
        if allowed.contains(&value) { Ok(value) } else { Err(TiffError::Field { page: self.page, field: name, value }) }
    }

    fn resolution<S: Octets>(&self, file: &mut File<S>) -> Resolution {
        let unit = self.number(file, tag::RESOLUTION_UNIT).unwrap_or(2);
        let mut rational = || {
            let Field { kind: 5, count: 1, value_at } = self.fields.get(&tag::Y_RESOLUTION).copied()? else {
                return None;
            };
            let at = file.number(value_at, 4).ok()?? as usize;
            let [numerator, denominator] = file.numbers(at, 4, 2).ok()??.try_into().ok()?;
            // Lines per centimetre become lines per inch.
            let scaled = if unit == 3 { u64::from(numerator) * 254 / 100 } else { u64::from(numerator) };
            u32::try_from(scaled.checked_div(u64::from(denominator))?).ok()
        };
        rational().filter(|lines| *lines > 10).map_or(Resolution::Fine, Resolution::nearest)
    }

    fn scan<S: Octets>(&self, file: &mut File<S>, limits: &Limits, raster: &mut usize) -> Result<Scan, TiffError> {
        let page = self.page;
        if self.fields.contains_key(&tag::TILE_WIDTH) {
            return Err(TiffError::Field {
                page,
                field: "TileWidth",
                value: self.number(file, tag::TILE_WIDTH).unwrap_or(0),
            });
        }
        let width = self.need(file, tag::IMAGE_WIDTH, "ImageWidth")?;
        let height = self.need(file, tag::IMAGE_LENGTH, "ImageLength")?;
        if width == 0 || width > limits.width.min(MAX_WIDTH) {
            return Err(TiffError::Field { page, field: "ImageWidth", value: width });
        }
        if height == 0 || height > limits.height.min(MAX_HEIGHT) {
            return Err(TiffError::Field { page, field: "ImageLength", value: height });
        }
        self.one_of(file, tag::BITS_PER_SAMPLE, "BitsPerSample", 1, &[1])?;
        self.one_of(file, tag::SAMPLES_PER_PIXEL, "SamplesPerPixel", 1, &[1])?;
        let photometric =
            self.one_of(file, tag::PHOTOMETRIC_INTERPRETATION, "PhotometricInterpretation", 0, &[0, 1])?;
        let fill_order = match self.one_of(file, tag::FILL_ORDER, "FillOrder", 1, &[1, 2])? {
            2 => FillOrder::LsbFirst,
            _ => FillOrder::MsbFirst,
        };
        let compression = self.one_of(file, tag::COMPRESSION, "Compression", 1, &[1, 2, 3, 4])?;
        let t4_options = self.number(file, tag::T4_OPTIONS).unwrap_or(0);
        // Bit 1 of T4Options and T6Options allows an uncompressed mode. Some writers say so of files that have none of it; what
        // is really coded so, as no fax is, counts as damaged.
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
        let rows_per_strip = self.number(file, tag::ROWS_PER_STRIP).unwrap_or(height).clamp(1, height);
        let strips = self.strips(file, height.div_ceil(rows_per_strip))?;
        let mut rows = Vec::new();
        let mut quality = CopyQuality::default();
        let mut left = height;
        for (at, octets) in strips {
            let strip = file.take(at, octets)?.ok_or(TiffError::Outside { page, what: "a strip" })?;
            let strip = strip.as_ref();
            let lines = rows_per_strip.min(left);
            left -= lines;
            if compression == 1 {
                quality.missing_lines += uncompressed(strip, width, lines, fill_order, &mut rows);
                continue;
            }
            options.height = Some(lines);
            let read = decode(strip, &options).map_err(|source| TiffError::Coding { page, source })?;
            // Most pages have one strip, and what was made of it is not copied once more.
            if rows.is_empty() {
                rows = read.rows;
            } else {
                rows.extend_from_slice(&read.rows);
            }
            quality.damaged_lines += read.quality.damaged_lines;
            quality.missing_lines += read.quality.missing_lines;
            quality.most_consecutive = quality.most_consecutive.max(read.quality.most_consecutive);
        }
        if photometric == 1 {
            rows.iter_mut().for_each(|octet| *octet = !*octet);
        }
        let made = Page::from_rows(width, height, self.resolution(file), rows);
        Ok(Scan { page: made.map_err(|source| TiffError::Page { page, source })?, quality })
    }

    /// Where the strips begin and how many octets they have, in order, `count` of them.
    fn strips<S: Octets>(&self, file: &mut File<S>, count: u32) -> Result<Vec<(usize, usize)>, TiffError> {
        let page = self.page;
        let offsets = self
            .numbers(file, tag::STRIP_OFFSETS, "StripOffsets", MAX_STRIPS)?
            .ok_or(TiffError::Missing { page, field: "StripOffsets" })?;
        if offsets.len() != count as usize {
            return Err(TiffError::Field { page, field: "StripOffsets", value: offsets.len() as u32 });
        }
        let length = file.source.length().map_err(unread)?;
        let to_the_end = |offset: &u32| length.saturating_sub(*offset as usize);
        let counts = match self.numbers(file, tag::STRIP_BYTE_COUNTS, "StripByteCounts", MAX_STRIPS)? {
            Some(counts) if counts.len() == offsets.len() => counts.into_iter().map(|count| count as usize).collect(),
            // Old fax software leaves the count of its one strip out: it ends with the file.
            None if count == 1 => offsets.iter().map(to_the_end).collect::<Vec<_>>(),
            None => return Err(TiffError::Missing { page, field: "StripByteCounts" }),
            Some(counts) => {
                return Err(TiffError::Field { page, field: "StripByteCounts", value: counts.len() as u32 });
            }
        };
        let places: Vec<(usize, usize)> = offsets.into_iter().map(|offset| offset as usize).zip(counts).collect();
        if places.iter().any(|(at, octets)| *at >= length || length - at < *octets) {
            return Err(TiffError::Outside { page, what: "a strip" });
        }
        // Strips that stand upon each other would have one part of the file read thousands of times.
        if places.iter().map(|(_, octets)| octets).sum::<usize>() > length {
            return Err(TiffError::Outside { page, what: "what all strips hold together" });
        }
        Ok(places)
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
