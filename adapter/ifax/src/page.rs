//! A bi-level fax page: ITU-T T.4 clause 2 (scan line lengths and resolutions), one bit a pixel.

/// Pixels of an A4 line at 204 dots per inch, the only width profile S knows.
pub const A4_WIDTH: u32 = 1728;
/// The widest line a page may have: A3 at 408 dots per inch.
pub const MAX_WIDTH: u32 = 4864;
/// The most lines a page may have: over a metre at the finest resolution.
pub const MAX_HEIGHT: u32 = 20_000;

/// The three vertical resolutions of T.4 at 204 dots per inch across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Resolution {
    /// 204 x 98 dots per inch (3.85 lines/mm).
    Standard,
    /// 204 x 196 dots per inch (7.7 lines/mm).
    #[default]
    Fine,
    /// 204 x 391 dots per inch (15.4 lines/mm).
    Superfine,
}

impl Resolution {
    /// Dots per inch, across and down.
    pub const fn dpi(self) -> (u32, u32) {
        match self {
            Self::Standard => (204, 98),
            Self::Fine => (204, 196),
            Self::Superfine => (204, 391),
        }
    }

    /// The resolution whose lines per inch are nearest to `lines`; 100 and 200 dpi scanners count too.
    pub const fn nearest(lines: u32) -> Self {
        match lines {
            0..=147 => Self::Standard,
            148..=293 => Self::Fine,
            _ => Self::Superfine,
        }
    }

    /// How many lines stand where 204x98 has one: in lines to the millimetre the three are 1 : 2 : 4.
    pub(crate) const fn line_share(self) -> u32 {
        match self {
            Self::Standard => 1,
            Self::Fine => 2,
            Self::Superfine => 4,
        }
    }

    /// Lines of an A4 sheet (297 mm) at this resolution.
    pub const fn a4_lines(self) -> u32 {
        match self {
            Self::Standard => 1146,
            Self::Fine => 2292,
            Self::Superfine => 4572,
        }
    }
}

/// Why a page cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The width is 0 or over [`MAX_WIDTH`].
    #[error("a page of {0} pixels across is outside 1 to {MAX_WIDTH}; scan at 204 dots per inch")]
    Width(u32),
    /// The height is over [`MAX_HEIGHT`].
    #[error("a page of {0} lines is over {MAX_HEIGHT}; split the document into pages")]
    Height(u32),
    /// The octets of the rows do not match width and height.
    #[error("{got} octets of rows where width and height need {need}")]
    Rows {
        /// Octets needed.
        need: usize,
        /// Octets given.
        got: usize,
    },
}

/// One page: rows packed most significant bit first, 1 = black, each row padded to an octet with 0.
#[derive(Clone, PartialEq, Eq)]
pub struct Page {
    width: u32,
    height: u32,
    resolution: Resolution,
    rows: Vec<u8>,
}

impl std::fmt::Debug for Page {
    /// Pixels may be confidential: only the shape is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Page({}x{}, {:?})", self.width, self.height, self.resolution)
    }
}

/// Octets of one row of `width` pixels.
pub const fn stride(width: u32) -> usize {
    width.div_ceil(8) as usize
}

impl Page {
    /// A white page. Refuses a width of 0 or over [`MAX_WIDTH`] and a height over [`MAX_HEIGHT`].
    pub fn blank(width: u32, height: u32, resolution: Resolution) -> Result<Self, PageError> {
        check(width, height)?;
        Ok(Self { width, height, resolution, rows: vec![0; stride(width) * height as usize] })
    }

    /// A white A4 sheet at 204 dots per inch across.
    pub fn a4(resolution: Resolution) -> Self {
        let height = resolution.a4_lines();
        Self { width: A4_WIDTH, height, resolution, rows: vec![0; stride(A4_WIDTH) * height as usize] }
    }

    /// A page from packed rows; padding bits are cleared.
    pub fn from_rows(width: u32, height: u32, resolution: Resolution, mut rows: Vec<u8>) -> Result<Self, PageError> {
        check(width, height)?;
        let need = stride(width) * height as usize;
        if rows.len() != need {
            return Err(PageError::Rows { need, got: rows.len() });
        }
        if !width.is_multiple_of(8) {
            let mask = 0xffu8 << (8 - width % 8);
            for row in rows.chunks_exact_mut(stride(width)) {
                if let Some(last) = row.last_mut() {
                    *last &= mask;
                }
            }
        }
        Ok(Self { width, height, resolution, rows })
    }

    /// Pixels across.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Lines.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// The resolution.
    pub const fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// The same pixels declared at another resolution.
    pub fn with_resolution(mut self, resolution: Resolution) -> Self {
        self.resolution = resolution;
        self
    }

    /// All rows, packed.
    pub fn rows(&self) -> &[u8] {
        &self.rows
    }

    /// Row `y`, or an empty slice below the page.
    pub fn row(&self, y: u32) -> &[u8] {
        let stride = stride(self.width);
        let start = y as usize * stride;
        self.rows.get(start..start + stride).unwrap_or_default()
    }

    /// Writes row `y` from its left edge; what does not fit is left out.
    pub(crate) fn put_row(&mut self, y: u32, line: &[u8]) {
        let stride = stride(self.width);
        let start = y as usize * stride;
        if let Some(row) = self.rows.get_mut(start..start + stride) {
            row.iter_mut().zip(line).for_each(|(to, from)| *to = *from);
        }
    }

    /// Every row from the top.
    pub fn iter_rows(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.rows.chunks_exact(stride(self.width).max(1))
    }

    /// Whether the pixel is black; white outside the page.
    pub fn pixel(&self, x: u32, y: u32) -> bool {
        x < self.width && self.row(y).get((x / 8) as usize).is_some_and(|octet| octet & (0x80 >> (x % 8)) != 0)
    }

    /// Makes a pixel black or white; nothing happens outside the page.
    pub fn set(&mut self, x: u32, y: u32, black: bool) {
        if x >= self.width || y >= self.height {
            return;
        }
        let at = y as usize * stride(self.width) + (x / 8) as usize;
        if let Some(octet) = self.rows.get_mut(at) {
            let bit = 0x80 >> (x % 8);
            if black { *octet |= bit } else { *octet &= !bit }
        }
    }

    /// How many pixels are black.
    pub fn black_pixels(&self) -> u64 {
        self.rows.iter().map(|octet| u64::from(octet.count_ones())).sum()
    }

    /// The first `height` lines; the whole page where it has fewer.
    pub fn cropped(mut self, height: u32) -> Self {
        self.height = self.height.min(height);
        self.rows.truncate(stride(self.width) * self.height as usize);
        self
    }

    /// A checksum of size and pixels (FNV-1a, 64 bits) for logs and golden tests; not cryptographic.
    pub fn fingerprint(&self) -> u64 {
        let shape = [self.width.to_le_bytes(), self.height.to_le_bytes()].concat();
        shape
            .iter()
            .chain(&self.rows)
            .fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
    }
}

fn check(width: u32, height: u32) -> Result<(), PageError> {
    if width == 0 || width > MAX_WIDTH {
        return Err(PageError::Width(width));
    }
    if height > MAX_HEIGHT {
        return Err(PageError::Height(height));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn bounds_are_kept() {
        assert_eq!(Page::blank(0, 1, Resolution::Fine), Err(PageError::Width(0)));
        assert_eq!(Page::blank(1728, u32::MAX, Resolution::Fine), Err(PageError::Height(u32::MAX)));
        assert!(matches!(Page::from_rows(8, 2, Resolution::Fine, vec![0]), Err(PageError::Rows { need: 2, got: 1 })));
    }

    #[test]
    fn another_resolution_keeps_every_stroke() {
        let mut page = Page::blank(10, 5, Resolution::Fine).unwrap();
        page.set(3, 1, true);
        page.set(4, 4, true);
        let coarse = page.at(Resolution::Standard);
        assert_eq!((coarse.height(), coarse.resolution(), coarse.black_pixels()), (3, Resolution::Standard, 2));
        assert!(coarse.pixel(3, 0) && coarse.pixel(4, 2));
        let finer = page.at(Resolution::Superfine);
        assert_eq!((finer.height(), finer.black_pixels()), (10, 4));
        assert_eq!(page.at(Resolution::Fine), page);
    }

    #[test]
    fn padding_is_cleared_and_pixels_are_found() {
        let mut page = Page::from_rows(10, 2, Resolution::Fine, vec![0xff; 4]).unwrap();
        assert_eq!(page.row(1), [0xff, 0xc0]);
        page.set(9, 1, false);
        page.set(10, 1, true);
        assert!(!page.pixel(9, 1) && page.pixel(8, 1) && !page.pixel(10, 0));
        assert_eq!(page.black_pixels(), 19);
    }
}
