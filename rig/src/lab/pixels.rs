//! What a capture device gives, as the picture that the adapter drew: its colours as RGB, its size that of the display.

use sealfax_drivers::display::Frame;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// How a device lays out its pixels; the names are those of V4L2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Red, green, blue.
    Rgb3,
    /// Blue, green, red.
    Bgr3,
    /// Two pixels in four octets, of the limited range of ITU-R BT.601.
    Yuyv,
    /// A JPEG file each.
    Mjpg,
}

/// A picture of `width` and `height` (those of a JPEG are in it) on the adapter's canvas. `None` if it is none, or of
/// another shape: a picture with bars beside it would be read wrongly.
pub fn frame(layout: Layout, width: u32, height: u32, row_octets: usize, octets: &[u8]) -> Option<Frame> {
    let (width, height, rgb) = match layout {
        Layout::Mjpg => jpeg(octets)?,
        Layout::Yuyv => (
            width,
            height,
            rows(octets, width as usize * 2, row_octets, height)?.chunks_exact(4).flat_map(yuyv).collect(),
        ),
        Layout::Rgb3 => (width, height, rows(octets, width as usize * 3, row_octets, height)?),
        Layout::Bgr3 => {
            let mut rgb = rows(octets, width as usize * 3, row_octets, height)?;
            rgb.chunks_exact_mut(3).for_each(|pixel| pixel.reverse());
            (width, height, rgb)
        }
    };
    scaled(width, height, rgb)
}

/// The rows without what fills them up.
fn rows(octets: &[u8], wanted: usize, row_octets: usize, height: u32) -> Option<Vec<u8>> {
    let mut all = Vec::with_capacity(wanted * height as usize);
    for row in 0..height as usize {
        let start = row * row_octets.max(wanted);
        all.extend_from_slice(octets.get(start..start + wanted)?);
    }
    Some(all)
}

/// ITU-R BT.601, limited range, in 256ths.
fn yuyv(four: &[u8]) -> [u8; 6] {
    let [y0, u, y1, v] = four.try_into().unwrap_or([16, 128, 16, 128]).map(i32::from);
    let (u, v) = (u - 128, v - 128);
    let pixel = |y: i32| {
        let y = 298 * (y - 16) + 128;
        [y + 409 * v, y - 100 * u - 208 * v, y + 516 * u].map(|value| (value >> 8).clamp(0, 255) as u8)
    };
    let ([r0, g0, b0], [r1, g1, b1]) = (pixel(y0), pixel(y1));
    [r0, g0, b0, r1, g1, b1]
}

/// Largest picture that is taken: a screen of 4K.
const MOST_PIXELS: usize = 3840 * 2160;

fn jpeg(octets: &[u8]) -> Option<(u32, u32, Vec<u8>)> {
    let options =
        DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB).set_max_width(3840).set_max_height(2160);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(octets), options);
    let rgb = decoder.decode().ok()?;
    let (width, height) = decoder.dimensions()?;
    if width * height > MOST_PIXELS || rgb.len() != width * height * 3 {
        return None;
    }
    Some((u32::try_from(width).ok()?, u32::try_from(height).ok()?, rgb))
}

/// Each pixel of the canvas is the one in the middle of its place in the picture.
fn scaled(width: u32, height: u32, rgb: Vec<u8>) -> Option<Frame> {
    if (width, height) == (Frame::WIDTH, Frame::HEIGHT) {
        return Some(Frame::of(rgb));
    }
    if width == 0 || width * Frame::HEIGHT != height * Frame::WIDTH {
        return None;
    }
    let middle = |n: u32, of: u32, to: u32| ((2 * n + 1) * to / (2 * of)) as usize;
    let mut canvas = Vec::with_capacity((Frame::WIDTH * Frame::HEIGHT * 3) as usize);
    for row in 0..Frame::HEIGHT {
        let start = middle(row, Frame::HEIGHT, height) * width as usize;
        for column in 0..Frame::WIDTH {
            let at = (start + middle(column, Frame::WIDTH, width)) * 3;
            canvas.extend_from_slice(rgb.get(at..at + 3)?);
        }
    }
    Some(Frame::of(canvas))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use sealfax_drivers::display::{Language, Marker, Screen, Status, Style, draw, marker};

    fn drawn() -> (Marker, Frame) {
        let screen = Screen::Arrived { names: vec!["佐藤 花子".into()] };
        let style = Style { language: Language::Japanese, ..Style::default() };
        (Marker::of(&screen, Language::Japanese), draw(&screen, &Status::default(), &style))
    }

    /// As large as a screen of 1920 x 1080 shows it, mixed by the adapter's own hand.
    fn on_full_hd(frame: &Frame) -> Vec<u8> {
        let mut rgb = Vec::new();
        for row in 0..1080_usize {
            for column in 0..1920_usize {
                let at = ((row * 2 / 3) * Frame::WIDTH as usize + column * 2 / 3) * 3;
                rgb.extend_from_slice(&frame.rgb()[at..at + 3]);
            }
        }
        rgb
    }

    #[test]
    fn the_marker_is_read_off_every_layout_and_size() {
        let (wanted, picture) = drawn();
        let bgr: Vec<u8> = picture.rgb().chunks_exact(3).flat_map(|rgb| [rgb[2], rgb[1], rgb[0]]).collect();
        // Each row is filled up.
        let row = Frame::WIDTH as usize * 3;
        let filled: Vec<u8> = bgr.chunks_exact(row).flat_map(|row| row.iter().copied().chain([9; 40])).collect();
        let grey =
            |rgb: &[u8]| 16 + ((66 * i32::from(rgb[0]) + 129 * i32::from(rgb[1]) + 25 * i32::from(rgb[2])) >> 8) as u8;
        let yuyv: Vec<u8> =
            picture.rgb().chunks_exact(6).flat_map(|two| [grey(&two[..3]), 128, grey(&two[3..]), 128]).collect();
        let (w, h) = (Frame::WIDTH, Frame::HEIGHT);
        for (layout, width, height, row_octets, octets) in [
            (Layout::Rgb3, w, h, 0, picture.rgb().to_vec()),
            (Layout::Bgr3, w, h, row + 40, filled),
            (Layout::Yuyv, w, h, 0, yuyv),
            (Layout::Rgb3, 1920, 1080, 0, on_full_hd(&picture)),
        ] {
            let seen = frame(layout, width, height, row_octets, &octets).unwrap();
            assert_eq!(marker::read(&seen), Some(wanted), "{layout:?} of {width} x {height}");
        }
    }

    #[test]
    fn what_is_no_picture_is_none() {
        assert!(frame(Layout::Mjpg, 0, 0, 0, b"\xff\xd8 not quite").is_none());
        assert!(frame(Layout::Rgb3, 1280, 720, 0, &[0; 100]).is_none());
        assert!(frame(Layout::Rgb3, 640, 480, 0, &vec![0; 640 * 480 * 3]).is_none());
    }
}
