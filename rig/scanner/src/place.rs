//! Where a picture goes on the sheet: upright, in its own size if it says one, never beyond the sheet (ITU-T T.4 clause 2:
//! 1728 pixels, A4; North American letter where the document is that).

use sealfax_ifax::page::{A4_WIDTH, Page, Resolution};

use crate::dither::halftone;
use crate::error::DocumentError;
use crate::grey::{Grey, Turn};

/// A sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paper {
    A4,
    Letter,
}

impl Paper {
    /// The sheet whose shape it has, upright.
    pub(crate) fn of(width: f64, height: f64) -> Self {
        let shape = height / width;
        // 11 to 8.5 inches is 1.294, A4 is 1.414; a legal sheet is shrunk to A4.
        if (1.26..1.33).contains(&shape) { Self::Letter } else { Self::A4 }
    }

    pub(crate) fn lines(self, resolution: Resolution) -> u32 {
        match self {
            Self::A4 => resolution.a4_lines(),
            Self::Letter => 11 * resolution.dpi().1,
        }
    }
}

/// Lies on its side: turned, it is larger on the sheet.
pub(crate) fn is_landscape(width: f64, height: f64) -> bool {
    width > height * 1.05
}

/// Pixels on the page for each unit of the document across, where `per_inch` of them are an inch; `None`: as large as
/// it can be. `aspect` is how much higher than wide a unit is.
pub(crate) fn scale(
    (width, height): (f64, f64),
    per_inch: Option<f64>,
    aspect: f64,
    paper: Paper,
    resolution: Resolution,
) -> f64 {
    let lines = f64::from(paper.lines(resolution));
    let fit = (f64::from(A4_WIDTH) / width).min(lines / (height * aspect * shape(resolution)));
    per_inch.map_or(fit, |per_inch| fit.min(f64::from(resolution.dpi().0) / per_inch))
}

/// Lines of the page for each pixel across, over the same length.
pub(crate) fn shape(resolution: Resolution) -> f64 {
    let (across, down) = resolution.dpi();
    f64::from(down) / f64::from(across)
}

/// A picture on its sheet.
pub(crate) fn picture(grey: Grey, resolution: Resolution) -> Result<Page, DocumentError> {
    if let Some(page) = as_it_is(&grey)? {
        return Ok(page);
    }
    let aspect = |grey: &Grey| grey.density.map_or(1.0, |density| density.across / density.down);
    let landscape = is_landscape(f64::from(grey.width), f64::from(grey.height) * aspect(&grey));
    let grey = grey.turned(if landscape { Turn::Right } else { Turn::None });
    let (width, height, aspect) = (f64::from(grey.width), f64::from(grey.height), aspect(&grey));
    let paper = Paper::of(width, height * aspect);
    // 72 and 96 are what programs write that know no size.
    let per_inch = grey.density.map(|density| density.across).filter(|across| (100.0..=9600.0).contains(across));
    let scale = scale((width, height), per_inch, aspect, paper, resolution);
    let pixels = |length: f64, most: u32| (length.round() as u32).clamp(1, most);
    let across = pixels(width * scale, A4_WIDTH);
    let down = pixels(height * scale * aspect * shape(resolution), paper.lines(resolution));
    let drawn = halftone(&grey.resized(across, down)?, resolution).map_err(|_| no_page(&grey))?;
    on_sheet(&drawn, paper, resolution)
}

/// What is as wide as a fax line, and does not say that it is something else, is a fax page already: pixel by pixel.
fn as_it_is(grey: &Grey) -> Result<Option<Page>, DocumentError> {
    let fax = grey.density.is_none_or(|density| (190.0..=215.0).contains(&density.across));
    if grey.width != A4_WIDTH || grey.height > sealfax_ifax::page::MAX_HEIGHT || !fax {
        return Ok(None);
    }
    let resolution = grey.density.map_or(Resolution::Fine, |density| Resolution::nearest(density.down as u32));
    halftone(grey, resolution).map(Some).map_err(|_| no_page(grey))
}

fn no_page(grey: &Grey) -> DocumentError {
    DocumentError::Pixels { width: grey.width, height: grey.height }
}

/// At the top of the sheet, in the middle.
pub(crate) fn on_sheet(drawn: &Page, paper: Paper, resolution: Resolution) -> Result<Page, DocumentError> {
    let size = || DocumentError::Pixels { width: drawn.width(), height: drawn.height() };
    let mut page = Page::blank(A4_WIDTH, paper.lines(resolution), resolution).map_err(|_| size())?;
    let left = page.width().saturating_sub(drawn.width()) / 2;
    for y in 0..drawn.height() {
        for x in 0..drawn.width() {
            if drawn.pixel(x, y) {
                page.set(left + x, y, true);
            }
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::grey::Density;

    fn black(width: u32, height: u32, density: Option<f64>) -> Page {
        let mut grey = Grey::white(width, height).unwrap();
        grey.pixels.fill(0);
        grey.density = density.map(|dpi| Density { across: dpi, down: dpi });
        picture(grey, Resolution::Fine).unwrap()
    }

    /// Columns and lines that have something on them.
    fn extent(page: &Page) -> (u32, u32) {
        let across = (0..page.width()).filter(|x| (0..page.height()).any(|y| page.pixel(*x, y))).count();
        let down = (0..page.height()).filter(|y| (0..page.width()).any(|x| page.pixel(x, *y))).count();
        (across as u32, down as u32)
    }

    #[test]
    fn a_scan_keeps_its_size_and_a_picture_without_one_fills_the_sheet() {
        // Three by two inches... lying, and therefore turned.
        assert_eq!(extent(&black(600, 400, Some(200.0))), (408, 588));
        // An A4 sheet at 300 dots per inch: as wide as it is, 210 of the 215 mm of a line.
        assert_eq!(extent(&black(2480, 3508, Some(300.0))), (1686, 2292));
        assert_eq!(extent(&black(100, 100, None)), (1728, 1660));
        assert_eq!(extent(&black(100, 100, Some(72.0))), (1728, 1660));
        // A poster is shrunk.
        assert_eq!(extent(&black(3000, 4243, Some(100.0))).1, 2292);
    }

    #[test]
    fn sheets_are_told_by_their_shape() {
        assert_eq!(black(850, 1100, Some(100.0)).height(), 2156);
        assert_eq!(black(1100, 850, Some(100.0)).height(), 2156);
        assert_eq!(black(827, 1169, Some(100.0)).height(), 2292);
        assert_eq!(Paper::Letter.lines(Resolution::Standard), 1078);
    }

    #[test]
    fn a_lying_picture_is_turned_clockwise() {
        let mut grey = Grey::white(200, 100).unwrap();
        for y in 0..100 {
            grey.pixels[y * 200] = 0;
            grey.pixels[y * 200 + 1] = 0;
        }
        // The stroke at its left edge is at the top of the sheet.
        let page = picture(grey, Resolution::Fine).unwrap();
        assert!(page.pixel(864, 5) && !page.pixel(864, 200));
    }

    #[test]
    fn fax_lines_pass_as_they_are() {
        let mut grey = Grey::white(1728, 40).unwrap();
        grey.pixels[5] = 0;
        grey.density = Some(Density { across: 204.0, down: 98.0 });
        let page = picture(grey, Resolution::Fine).unwrap();
        assert_eq!((page.height(), page.resolution(), page.black_pixels()), (40, Resolution::Standard, 1));
    }
}
