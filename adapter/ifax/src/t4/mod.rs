//! Page coding: ITU-T T.4 one-dimensional (MH) and two-dimensional (MR), ITU-T T.6 (MMR), both directions.
//! Pure, bounded before allocation, and never failing on damaged data: a line that cannot be read repeats the
//! one above (T.4 leaves it to the receiver) and is counted in [`CopyQuality`].

mod above;
mod bits;
mod changes;
mod codes;
mod dense;
mod line;
mod looks;
mod one_d;
mod sparse;
mod two_d;

use above::Above;
pub use bits::FillOrder;
use bits::{BitReader, BitWriter};

use crate::page::{MAX_HEIGHT, MAX_WIDTH, Page, stride};

/// How lines are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Coding {
    /// T.4 one-dimensional: Modified Huffman (MH).
    #[default]
    ModifiedHuffman,
    /// T.4 two-dimensional: Modified READ (MR).
    ModifiedRead,
    /// T.6: Modified Modified READ (MMR).
    ModifiedModifiedRead,
}

/// How end-of-line codes stand in T.4 data; T.6 data has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Eol {
    /// None: every line begins on an octet (TIFF Compression 2). MH only.
    Absent,
    /// Before each line, as on the telephone line.
    #[default]
    Unaligned,
    /// Before each line, filled so that it ends on an octet (T4Options bit 2).
    OctetAligned,
}

/// How to write a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Line coding.
    pub coding: Coding,
    /// End-of-line codes.
    pub eol: Eol,
    /// Whether the return to control (six EOL) ends T.4 data. T.6 data always ends with EOFB.
    pub rtc: bool,
    /// Bit order.
    pub fill_order: FillOrder,
    /// T.4's parameter K: every K-th line of MR is one-dimensional (2 standard, 4 fine). At least 1.
    pub k: u32,
    /// Bits that a line has at least, with the EOL after it; what is missing is fill, so that a receiver without memory keeps
    /// up (T.4, 4.1.3). 0 without EOL and for T.6, where there is no fill.
    pub line_bits: u32,
}

impl EncodeOptions {
    /// What profile S of RFC 3949 holds: MH, octet-aligned EOL, no RTC, least significant bit first.
    pub const PROFILE_S: Self = Self {
        coding: Coding::ModifiedHuffman,
        eol: Eol::OctetAligned,
        rtc: false,
        fill_order: FillOrder::LsbFirst,
        k: 1,
        line_bits: 0,
    };
}

/// What is known of the data to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Line coding.
    pub coding: Coding,
    /// TIFF Compression 2: each line begins on an octet, no EOL.
    pub lines_aligned: bool,
    /// Bit order.
    pub fill_order: FillOrder,
    /// Pixels across, 1 to [`MAX_WIDTH`].
    pub width: u32,
    /// Lines, where the container says; else the page ends at RTC, EOFB or the end of the data.
    pub height: Option<u32>,
    /// Most lines accepted, at most [`MAX_HEIGHT`].
    pub max_height: u32,
}

/// What T.30 calls copy quality: how much of a page arrived intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyQuality {
    /// Lines that could not be decoded and repeat the line above.
    pub damaged_lines: u32,
    /// The most of them in a row.
    pub most_consecutive: u32,
    /// Lines the container promised and the data did not have; they stay white.
    pub missing_lines: u32,
}

impl CopyQuality {
    /// Every line arrived.
    pub fn is_perfect(&self) -> bool {
        self.damaged_lines == 0 && self.missing_lines == 0
    }
}

/// A decoded page image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Packed rows, as in [`Page`].
    pub rows: Vec<u8>,
    /// Number of rows.
    pub height: u32,
    /// How well it arrived.
    pub quality: CopyQuality,
    /// The code that ends a page was there: RTC, or EOFB. Without it, and without a container that says the height, nobody
    /// knows whether lines are missing.
    pub ended: bool,
}

/// Why coded data cannot even be tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum T4Error {
    /// The width is not one a page may have.
    #[error("a line of {0} pixels is outside 1 to {MAX_WIDTH}")]
    Width(u32),
    /// More lines than allowed.
    #[error("{height} lines are over the limit of {limit}; split the document into pages")]
    Height {
        /// Lines promised or found.
        height: u32,
        /// Lines allowed.
        limit: u32,
    },
}

const EOL_BITS: u32 = 12;
const EOL: u32 = 1;

/// Codes a page.
pub fn encode(page: &Page, options: &EncodeOptions) -> Vec<u8> {
    let mut writer = BitWriter::with_capacity(page.rows().len() / 8 + 64);
    let (mut current, mut reference) = (Vec::new(), Vec::new());
    let width = page.width();
    let fills = options.line_bits > 0 && options.eol != Eol::Absent && options.coding != Coding::ModifiedModifiedRead;
    let mut begin = 0;
    for (number, row) in page.iter_rows().enumerate() {
        line::changes(row, width, &mut current);
        match options.coding {
            Coding::ModifiedHuffman => {
                match options.eol {
                    Eol::Absent => writer.align(),
                    _ => put_eol(&mut writer, options.eol, None),
                }
                begin = writer.bits();
                one_d::encode(&mut writer, &current, width);
            }
            Coding::ModifiedRead => {
                let one_dimensional = (number as u64).is_multiple_of(u64::from(options.k.max(1)));
                put_eol(&mut writer, options.eol, Some(one_dimensional));
                begin = writer.bits();
                if one_dimensional {
                    one_d::encode(&mut writer, &current, width);
                } else {
                    two_d::encode(&mut writer, &current, &reference, width);
                }
            }
            Coding::ModifiedModifiedRead => two_d::encode(&mut writer, &current, &reference, width),
        }
        if fills {
            let bits = writer.bits() - begin + EOL_BITS as usize;
            writer.fill((options.line_bits as usize).saturating_sub(bits));
        }
        std::mem::swap(&mut current, &mut reference);
    }
    match options.coding {
        Coding::ModifiedModifiedRead => {
            writer.put(EOL, EOL_BITS);
            writer.put(EOL, EOL_BITS);
        }
        coding if options.rtc => {
            for _ in 0..6 {
                put_eol(&mut writer, options.eol, (coding == Coding::ModifiedRead).then_some(true));
            }
        }
        _ => {}
    }
    writer.finish(options.fill_order)
}

fn put_eol(writer: &mut BitWriter, eol: Eol, tag: Option<bool>) {
    if eol == Eol::OctetAligned {
        // The code, without the tag bit, ends on an octet: four bits of it stand before the last octet.
        let fill = (12 - writer.odd_bits()) % 8;
        if fill > 0 {
            writer.put(0, fill);
        }
    }
    writer.put(EOL, EOL_BITS);
    if let Some(tag) = tag {
        writer.put(u32::from(tag), 1);
    }
}

/// Decodes a page. Damage is not an error, it is counted; only impossible dimensions are refused.
pub fn decode(data: &[u8], options: &DecodeOptions) -> Result<Decoded, T4Error> {
    if options.width == 0 || options.width > MAX_WIDTH {
        return Err(T4Error::Width(options.width));
    }
    let limit = options.max_height.min(MAX_HEIGHT);
    if let Some(height) = options.height.filter(|height| *height > limit) {
        return Err(T4Error::Height { height, limit });
    }
    let mut decoder = Decoder {
        reader: BitReader::new(data, options.fill_order),
        width: options.width,
        // A line that is white needs not be painted.
        rows: vec![0; stride(options.width) * options.height.unwrap_or_default() as usize],
        height: 0,
        stop: options.height.unwrap_or(limit),
        edges: line::Edges::new(options.width),
        above: Above::new(options.width),
        two_dimensional: options.coding != Coding::ModifiedHuffman,
        quality: CopyQuality::default(),
        consecutive: 0,
        ended: false,
    };
    while decoder.height < decoder.stop {
        let more = match options.coding {
            Coding::ModifiedHuffman if options.lines_aligned => decoder.aligned_line(),
            Coding::ModifiedHuffman => decoder.t4_line(false),
            Coding::ModifiedRead => decoder.t4_line(true),
            Coding::ModifiedModifiedRead => decoder.t6_line(),
        };
        if !more {
            break;
        }
    }
    if options.height.is_none() && decoder.height == limit && !decoder.at_end() {
        return Err(T4Error::Height { height: limit.saturating_add(1), limit });
    }
    if let Some(height) = options.height {
        decoder.quality.missing_lines = height - decoder.height;
        decoder.height = height;
    }
    Ok(Decoded { rows: decoder.rows, height: decoder.height, quality: decoder.quality, ended: decoder.ended })
}

struct Decoder<'a> {
    reader: BitReader<'a>,
    width: u32,
    rows: Vec<u8>,
    height: u32,
    /// Where the page is as high as it may be.
    stop: u32,
    edges: line::Edges,
    /// What the next line may refer to.
    above: Above,
    two_dimensional: bool,
    quality: CopyQuality,
    consecutive: u32,
    ended: bool,
}

impl Decoder<'_> {
    /// Whether nothing but fill and end codes is left.
    fn at_end(&mut self) -> bool {
        self.skip_eols(false) >= 2 || self.reader.is_empty() || self.reader.overran()
    }

    /// A T.4 line and the EOL before it. False where the page ends.
    fn t4_line(&mut self, tagged: bool) -> bool {
        let mut one_dimensional = true;
        let mut eols = 0u32;
        while self.reader.peek(11) == 0 {
            if !self.seek_eol() {
                return false;
            }
            eols += 1;
            if tagged {
                one_dimensional = self.reader.peek(1) == 1;
                self.reader.skip(1);
            }
            if eols >= 3 {
                self.ended = true;
                return false;
            }
        }
        if self.reader.is_empty() {
            return false;
        }
        if eols == 2 && self.height > 0 {
            self.damaged();
            if self.height == self.stop {
                return false;
            }
        }
        let line = if tagged && eols == 0 {
            Err(one_d::Damaged)
        } else if one_dimensional {
            self.one_dimensional_line()
        } else if self.consecutive > 0 {
            // The line it refers to is not the one the sender meant; wait for a one-dimensional one (T.4 4.2.2).
            Err(one_d::Damaged)
        } else {
            self.two_dimensional_line()
        };
        match line {
            Ok(()) => {
                self.good();
                true
            }
            Err(one_d::Damaged) => {
                if self.reader.overran() || self.reader.is_empty() {
                    // The last line was cut: what follows is missing, not damaged.
                    return false;
                }
                self.damaged();
                self.resynchronise()
            }
        }
    }

    /// A line of TIFF Compression 2. Without EOL nothing tells where the next line begins after damage.
    fn aligned_line(&mut self) -> bool {
        self.reader.align();
        if self.reader.is_empty() {
            return false;
        }
        self.coded(Self::one_dimensional_line)
    }

    fn t6_line(&mut self) -> bool {
        if self.reader.is_empty() {
            return false;
        }
        if self.reader.peek(EOL_BITS) == EOL {
            self.ended = true;
            return false;
        }
        self.coded(Self::two_dimensional_line)
    }

    fn one_dimensional_line(&mut self) -> Result<(), one_d::Damaged> {
        one_d::decode(&mut self.reader, self.width, &mut self.edges)?;
        if self.two_dimensional {
            self.above.take(&self.edges);
        }
        Ok(())
    }

    fn two_dimensional_line(&mut self) -> Result<(), one_d::Damaged> {
        self.above.decode_next(&mut self.reader, &mut self.edges)
    }

    fn coded(&mut self, line: impl FnOnce(&mut Self) -> Result<(), one_d::Damaged>) -> bool {
        let well = line(self).is_ok();
        if well {
            self.good();
        }
        well
    }

    fn good(&mut self) {
        let row = self.begin_row();
        self.edges.paint(self.rows.get_mut(row).unwrap_or_default());
        self.height += 1;
        self.consecutive = 0;
    }

    /// Where the next row stands, white.
    fn begin_row(&mut self) -> std::ops::Range<usize> {
        let stride = stride(self.width);
        let start = stride * self.height as usize;
        if self.rows.len() < start + stride {
            self.rows.resize(start + stride, 0);
        }
        start..start + stride
    }

    /// Repeats the line above, white at the top.
    fn damaged(&mut self) {
        self.edges.clear();
        let row = self.begin_row();
        if let Some(above) = row.start.checked_sub(row.len()) {
            self.rows.copy_within(above..row.start, row.start);
        }
        self.height += 1;
        self.consecutive += 1;
        self.quality.damaged_lines += 1;
        self.quality.most_consecutive = self.quality.most_consecutive.max(self.consecutive);
    }

    /// Goes to the next EOL without taking it. False at the end of the data.
    fn resynchronise(&mut self) -> bool {
        while self.reader.peek(11) != 0 {
            if self.reader.is_empty() || self.reader.overran() {
                return false;
            }
            self.reader.skip(1);
        }
        !self.reader.is_empty()
    }

    /// Over fill and one EOL, at which at least eleven zeros stand next. False at the end of the data.
    fn seek_eol(&mut self) -> bool {
        self.reader.skip(11);
        loop {
            if self.reader.overran() || self.reader.is_empty() {
                return false;
            }
            match self.reader.peek(8) {
                0 => self.reader.skip(8),
                bits => {
                    self.reader.skip(bits.leading_zeros() - 24 + 1);
                    return true;
                }
            }
        }
    }

    fn skip_eols(&mut self, tagged: bool) -> u32 {
        let mut eols = 0;
        while eols < 6 && self.reader.peek(11) == 0 && self.seek_eol() {
            eols += 1;
            if tagged {
                self.reader.skip(1);
            }
        }
        eols
    }
}

#[cfg(test)]
mod tests;
