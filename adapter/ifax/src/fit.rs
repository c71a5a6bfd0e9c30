//! A page on other paper: narrower, wider or at another resolution, as a receiver that has only that needs it (ITU-T T.30,
//! table 2). What is black stays black: a thin line that falls between two dots is drawn, not lost.

use crate::page::{Page, PageError, Resolution, stride};
use crate::text::{self, Style};

impl Page {
    /// The page at `width` pixels and `resolution`. A narrower one is widened with white on its right; a wider one is made
    /// smaller, in height as well, so that a circle stays one.
    pub fn fitted(self, width: u32, resolution: Resolution) -> Result<Self, PageError> {
        if self.width() == width && self.resolution() == resolution {
            return Ok(self);
        }
        let shrinks = self.width() > width;
        let (old, new) = (u64::from(self.resolution().line_share()), u64::from(resolution.line_share()));
        let (across, into) = if shrinks { (u64::from(self.width()), u64::from(width)) } else { (1, 1) };
        let lines = |height: u64| (height * new * into).div_ceil(old * across);
        let height = u32::try_from(lines(u64::from(self.height()))).unwrap_or(u32::MAX);
        let mut page = Page::blank(width, height, resolution)?;
        let columns = shrinks.then(|| Columns::new(self.width(), width));
        for y in 0..height {
            // The lines that this one stands for: at least one.
            let from = |y: u64| (y * old * across / (new * into)) as u32;
            let (first, last) = (from(u64::from(y)), from(u64::from(y) + 1));
            let mut line = self.row(first.min(self.height().saturating_sub(1))).to_vec();
            for other in first + 1..last.min(self.height()) {
                line.iter_mut().zip(self.row(other)).for_each(|(dot, more)| *dot |= more);
            }
            match &columns {
                None => page.put_row(y, &line),
                Some(columns) => page.put_row(y, &columns.narrowed(&line)),
            }
        }
        Ok(page)
    }

    /// The page at another resolution, its drawing as high as before; a page that would get too high stays as it is.
    pub fn at(&self, resolution: Resolution) -> Self {
        self.clone().fitted(self.width(), resolution).unwrap_or_else(|_| self.clone())
    }

    /// The page with a line of text above it, as fax machines print who sent it, when, and which page it is.
    pub fn headed(self, header: &str) -> Result<Self, PageError> {
        // At the finest resolution letters of 16 lines would be a millimetre high.
        let scale = if self.resolution() == Resolution::Superfine { 2 } else { 1 };
        let strip = header_lines(self.resolution());
        let mut page = Page::blank(self.width(), self.height() + strip, self.resolution())?;
        let margin = self.width() / 24;
        let style = Style { scale, bold: false };
        text::draw_cut(&mut page, margin, 4, self.width().saturating_sub(2 * margin), header, style);
        for (y, row) in self.iter_rows().enumerate() {
            page.put_row(strip + y as u32, row);
        }
        Ok(page)
    }
}

/// How many lines [`Page::headed`] adds.
pub const fn header_lines(resolution: Resolution) -> u32 {
    match resolution {
        Resolution::Superfine => 48,
        _ => 24,
    }
}

/// Which columns become which.
struct Columns {
    from: u32,
    into: u32,
}

impl Columns {
    fn new(from: u32, into: u32) -> Self {
        Self { from, into }
    }

    fn narrowed(&self, line: &[u8]) -> Vec<u8> {
        let mut out = vec![0; stride(self.into)];
        for x in
            (0..self.from).filter(|x| line.get((x / 8) as usize).is_some_and(|octet| octet & (0x80 >> (x % 8)) != 0))
        {
            let to = (u64::from(x) * u64::from(self.into) / u64::from(self.from)) as u32;
            if let Some(octet) = out.get_mut((to / 8) as usize) {
                *octet |= 0x80 >> (to % 8);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn ruled(width: u32, height: u32, resolution: Resolution) -> Page {
        let mut page = Page::blank(width, height, resolution).unwrap();
        for x in 0..width {
            page.set(x, height / 2, true);
        }
        for y in 0..height {
            page.set(width / 3, y, true);
        }
        page
    }

    #[test]
    fn a_thin_line_survives_every_paper() {
        for (width, resolution) in [
            (1728, Resolution::Standard),
            (1728, Resolution::Superfine),
            (2048, Resolution::Fine),
            (1216, Resolution::Standard),
        ] {
            let page = ruled(1728, 400, Resolution::Fine).fitted(width, resolution).unwrap();
            assert_eq!((page.width(), page.resolution()), (width, resolution));
            let whole = (0..page.height()).any(|y| (0..width.min(1728)).all(|x| page.pixel(x, y)));
            let upright = (0..width).any(|x| (0..page.height()).all(|y| page.pixel(x, y)));
            assert!(whole && upright, "{width} {resolution:?}");
        }
    }

    #[test]
    fn there_and_back_is_the_same_page() {
        let page = ruled(1728, 401, Resolution::Standard);
        let finer = page.clone().fitted(1728, Resolution::Superfine).unwrap();
        assert_eq!(finer.height(), 1604);
        assert_eq!(finer.fitted(1728, Resolution::Standard).unwrap(), page);
    }

    #[test]
    fn the_header_stands_above_and_the_page_is_whole() {
        let page = ruled(1728, 300, Resolution::Fine);
        let headed = page.clone().headed("佐藤 花子 <hanako@b.example> 2026-11-28 23:00 1/2").unwrap();
        assert_eq!(headed.rows()[stride(1728) * 24..], *page.rows());
        assert!(headed.cropped(24).black_pixels() > 200);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_page_fits_any_paper(width in 1u32..3000, height in 0u32..300, into in 1u32..2500, from in 0usize..3, to in 0usize..3) {
            let resolutions = [Resolution::Standard, Resolution::Fine, Resolution::Superfine];
            let page = Page::blank(width, height, resolutions[from]).unwrap();
            let fitted = page.fitted(into, resolutions[to]).unwrap();
            prop_assert_eq!(fitted.width(), into);
            prop_assert_eq!(fitted.height() == 0, height == 0);
        }
    }
}
