//! A [`Frame`] on a screen of any size: as large as it fits, in the middle, black beside it. Pixels between pixels are
//! mixed from their neighbours, which keeps letters even where the screen is not a multiple of the picture.

use super::Frame;
use super::pixels::PixelFormat;

/// Where the picture stands on a screen, and what each of the screen's pixels is mixed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    screen: (u32, u32),
    /// Left, top, width, height.
    area: (u32, u32, u32, u32),
    columns: Vec<Tap>,
}

/// Two neighbours in the picture, and how much of the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tap {
    first: u32,
    second: u32,
    /// Out of 256.
    share: u32,
}

impl Tap {
    /// For the middle of pixel `n` of `length` pixels that stand for `source` pixels.
    fn at(n: u32, length: u32, source: u32) -> Self {
        if length == source {
            return Self { first: n, second: n, share: 0 };
        }
        let (n, length, source) = (u64::from(n), u64::from(length.max(1)), u64::from(source));
        // Middles are half a pixel in; 256ths, never left of the first middle.
        let at = ((2 * n + 1) * source * 128 / length).saturating_sub(128);
        let last = source.saturating_sub(1);
        let first = (at / 256).min(last);
        Self { first: first as u32, second: (first + 1).min(last) as u32, share: (at % 256) as u32 }
    }
}

impl Fit {
    /// On a screen of this many pixels. Screens of nothing, or wider or higher than 16384, are refused.
    pub fn new(width: u32, height: u32) -> Option<Self> {
        const MOST: u32 = 16_384;
        if !(1..=MOST).contains(&width) || !(1..=MOST).contains(&height) {
            return None;
        }
        // As wide as the screen, or if that is too high, as high as it.
        let by_width = (width, (width * Frame::HEIGHT / Frame::WIDTH).max(1));
        let by_height = ((height * Frame::WIDTH / Frame::HEIGHT).max(1), height);
        let (w, h) = if by_width.1 <= height { by_width } else { (by_height.0.min(width), by_height.1) };
        let columns = (0..w).map(|n| Tap::at(n, w, Frame::WIDTH)).collect();
        Some(Self { screen: (width, height), area: ((width - w) / 2, (height - h) / 2, w, h), columns })
    }

    /// Left, top, width and height of the picture on the screen.
    pub fn area(&self) -> (u32, u32, u32, u32) {
        self.area
    }

    /// Width and height of the screen.
    pub fn size(&self) -> (u32, u32) {
        self.screen
    }

    /// The two rows of the picture that row `y` of the screen is mixed from; none for what is black beside it.
    pub(super) fn sources(&self, y: u32) -> Option<(u32, u32)> {
        let (_, top, _, height) = self.area;
        let line = y.checked_sub(top).filter(|line| *line < height)?;
        let Tap { first, second, .. } = Tap::at(line, height, Frame::HEIGHT);
        Some((first, second))
    }

    /// Appends row `y` of the screen.
    pub fn row(&self, frame: &Frame, y: u32, format: PixelFormat, to: &mut Vec<u8>) {
        let (left, top, width, height) = self.area;
        let black = |count: u32, to: &mut Vec<u8>| to.resize(to.len() + count as usize * format.octets(), 0);
        let Some(line) = y.checked_sub(top).filter(|line| *line < height) else {
            return black(self.screen.0, to);
        };
        black(left, to);
        let rows = Tap::at(line, height, Frame::HEIGHT);
        let (upper, lower) = (source_row(frame, rows.first), source_row(frame, rows.second));
        if (width, rows.share) == (Frame::WIDTH, 0) {
            // Pixel for pixel, as on most screens.
            format.put_row(upper, to);
            return black(self.screen.0 - left - width, to);
        }
        for column in &self.columns {
            let above = mix(pixel(upper, column.first), pixel(upper, column.second), column.share);
            let rgb = match rows.share {
                0 => above,
                share => mix(above, mix(pixel(lower, column.first), pixel(lower, column.second), column.share), share),
            };
            format.put(rgb, to);
        }
        black(self.screen.0 - left - width, to);
    }
}

fn source_row(frame: &Frame, y: u32) -> &[u8] {
    let length = Frame::WIDTH as usize * 3;
    let from = y as usize * length;
    frame.rgb().get(from..from + length).unwrap_or_default()
}

fn pixel(row: &[u8], x: u32) -> [u8; 3] {
    let from = x as usize * 3;
    row.get(from..from + 3).and_then(|octets| octets.try_into().ok()).unwrap_or_default()
}

fn mix(first: [u8; 3], second: [u8; 3], share: u32) -> [u8; 3] {
    if share == 0 {
        return first;
    }
    let mut mixed = first;
    for (value, other) in mixed.iter_mut().zip(second) {
        *value = ((u32::from(*value) * (256 - share) + u32::from(other) * share + 128) / 256) as u8;
    }
    mixed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::display::{Language, Marker, Screen, Status, Style, draw, marker};
    use proptest::prelude::*;

    /// A screen's whole memory, four octets a pixel.
    fn shown(frame: &Frame, width: u32, height: u32) -> Vec<u8> {
        let fit = Fit::new(width, height).unwrap();
        let mut octets = Vec::new();
        (0..height).for_each(|y| fit.row(frame, y, PixelFormat::XRGB8888, &mut octets));
        octets
    }

    /// A screen photographed: the picture's area brought back to the picture's size.
    fn seen(octets: &[u8], width: u32, height: u32) -> Frame {
        let (left, top, w, h) = Fit::new(width, height).unwrap().area();
        let mut rgb = Vec::new();
        for y in 0..Frame::HEIGHT {
            for x in 0..Frame::WIDTH {
                let (sx, sy) =
                    (left + (2 * x + 1) * w / (2 * Frame::WIDTH), top + (2 * y + 1) * h / (2 * Frame::HEIGHT));
                let at = (sy * width + sx) as usize * 4;
                let pixel = u32::from_ne_bytes(octets[at..at + 4].try_into().unwrap());
                rgb.extend([16, 8, 0].map(|shift| (pixel >> shift) as u8));
            }
        }
        Frame::of(rgb)
    }

    #[test]
    fn its_own_size_is_the_picture_itself() {
        let frame = draw(&Screen::Sending, &Status::default(), &Style::default());
        assert!(seen(&shown(&frame, 1280, 720), 1280, 720) == frame);
    }

    #[test]
    fn as_large_as_it_fits() {
        assert_eq!(Fit::new(1920, 1080).unwrap().area(), (0, 0, 1920, 1080));
        assert_eq!(Fit::new(1280, 1024).unwrap().area(), (0, 152, 1280, 720));
        assert_eq!(Fit::new(800, 480).unwrap().area(), (0, 15, 800, 450));
        assert_eq!(Fit::new(2560, 1080).unwrap().area(), (320, 0, 1920, 1080));
        assert_eq!(Fit::new(0, 1080), None);
        assert_eq!(Fit::new(1 << 20, 1080), None);
    }

    #[test]
    fn the_marker_is_read_off_every_usual_screen() {
        let screen = Screen::Arrived { names: vec!["佐藤 花子".to_owned()] };
        let frame = draw(&screen, &Status::default(), &Style::default());
        let sizes =
            [(800, 480), (1024, 600), (1024, 768), (1280, 1024), (1366, 768), (1920, 1080), (1920, 1200), (2560, 1440)];
        for (width, height) in sizes {
            let frame = seen(&shown(&frame, width, height), width, height);
            assert_eq!(marker::read(&frame), Some(Marker::of(&screen, Language::Japanese)), "{width}x{height}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// On any screen: the picture inside, its shape kept to a pixel, rows of the right length, and of a white picture
        /// exactly the area is white.
        #[test]
        fn any_screen(width in 1_u32..3000, height in 1_u32..2200, y in 0_u32..2200) {
            let fit = Fit::new(width, height).unwrap();
            let (left, top, w, h) = fit.area();
            prop_assert!(left + w <= width && top + h <= height);
            prop_assert!(w == width || h == height || w * 9 <= 16 * h + 16);
            prop_assert!((i64::from(w) * 9 - i64::from(h) * 16).abs() <= 16 || h == 1 || w == 1);
            let white = Frame::of(vec![255; 1280 * 720 * 3]);
            let mut row = Vec::new();
            let y = y % height;
            fit.row(&white, y, PixelFormat::RGB565, &mut row);
            prop_assert_eq!(row.len(), width as usize * 2);
            let lit = row.chunks(2).filter(|pixel| *pixel == [255, 255]).count();
            prop_assert_eq!(lit, if (top..top + h).contains(&y) { w as usize } else { 0 });
        }
    }

    #[test]
    fn a_broken_frame_is_black() {
        let mut row = Vec::new();
        Fit::new(64, 48).unwrap().row(&Frame::of(vec![9; 5]), 24, PixelFormat::RGB565, &mut row);
        assert_eq!(row, [0; 128]);
    }
}
