//! The canvas: a [`Frame`] that shapes and glyphs are drawn on with smooth edges. Shapes are signed distances: below
//! zero is inside, and the pixel at the edge is blended by how far its centre lies from it.

use embedded_graphics::Pixel;
use embedded_graphics::geometry::OriginDimensions;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{DrawTarget, Point, Size};
use embedded_graphics::primitives::Rectangle;

use super::Frame;

/// A frame being drawn.
pub struct Canvas {
    /// As in a [`Frame`].
    rgb: Vec<u8>,
}

impl Canvas {
    /// A canvas filled with one colour.
    pub fn new(colour: Rgb888) -> Self {
        let pixels = Frame::WIDTH as usize * Frame::HEIGHT as usize;
        let rgb = [colour.r(), colour.g(), colour.b()].repeat(pixels);
        Self { rgb }
    }

    /// A picture that is drawn on once more.
    pub fn on(frame: Frame) -> Self {
        Self { rgb: frame.into_rgb() }
    }

    /// The finished picture.
    pub fn into_frame(self) -> Frame {
        Frame::of(self.rgb)
    }

    /// Mixes `colour` into a pixel; `cover` from 0 (nothing) to 1 (all). Outside of the frame nothing happens.
    pub fn blend(&mut self, x: i32, y: i32, colour: Rgb888, cover: f32) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
            return;
        };
        if x >= Frame::WIDTH || y >= Frame::HEIGHT || cover <= 0.0 {
            return;
        }
        let at = (y as usize * Frame::WIDTH as usize + x as usize) * 3;
        let Some(pixel) = self.rgb.get_mut(at..at + 3) else {
            return;
        };
        // Whole steps keep the picture the same on every machine.
        let cover = (cover.min(1.0) * 255.0 + 0.5) as u32;
        for (old, new) in pixel.iter_mut().zip([colour.r(), colour.g(), colour.b()]) {
            let mixed = (u32::from(*old) * (255 - cover) + u32::from(new) * cover + 127) / 255;
            *old = mixed as u8;
        }
    }

    /// Fills whole pixels from (`left`, `top`) to before (`right`, `bottom`).
    pub fn fill(&mut self, left: i32, top: i32, right: i32, bottom: i32, colour: Rgb888) {
        let inside = |v: i32, most: u32| u32::try_from(v).unwrap_or_default().min(most) as usize;
        let (left, right) = (inside(left, Frame::WIDTH), inside(right, Frame::WIDTH));
        let row = Frame::WIDTH as usize * 3;
        for y in inside(top, Frame::HEIGHT)..inside(bottom, Frame::HEIGHT) {
            let pixels = self.rgb.get_mut(y * row + left * 3..y * row + right.max(left) * 3).unwrap_or_default();
            for pixel in pixels.chunks_exact_mut(3) {
                pixel.copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
            }
        }
    }

    /// Draws a shape inside the box (`left`, `top`, `right`, `bottom`); `distance` is asked at pixel centres.
    pub fn shape(&mut self, area: [f32; 4], colour: Rgb888, distance: impl Fn(f32, f32) -> f32) {
        let [left, top, right, bottom] = area;
        let clamp = |v: f32, most: u32| v.clamp(0.0, most as f32) as i32;
        let (x0, x1) = (clamp(left - 2.0, Frame::WIDTH), clamp(right + 2.0, Frame::WIDTH));
        let (y0, y1) = (clamp(top - 2.0, Frame::HEIGHT), clamp(bottom + 2.0, Frame::HEIGHT));
        for y in y0..y1 {
            for x in x0..x1 {
                let d = distance(x as f32 + 0.5, y as f32 + 0.5);
                self.blend(x, y, colour, 0.5 - d);
            }
        }
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(Frame::WIDTH, Frame::HEIGHT)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = Pixel<Self::Color>>,
    {
        for Pixel(Point { x, y }, colour) in pixels {
            self.blend(x, y, colour, 1.0);
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: Self::Color) -> Result<(), Self::Error> {
        let corner = area.top_left;
        let right = corner.x.saturating_add_unsigned(area.size.width.min(Frame::WIDTH));
        let bottom = corner.y.saturating_add_unsigned(area.size.height.min(Frame::HEIGHT));
        self.fill(corner.x, corner.y, right, bottom, colour);
        Ok(())
    }
}

/// Distance to a segment thickened to radius `r`.
pub fn capsule(p: (f32, f32), a: (f32, f32), b: (f32, f32), r: f32) -> f32 {
    let (px, py) = (p.0 - a.0, p.1 - a.1);
    let (bx, by) = (b.0 - a.0, b.1 - a.1);
    let length = bx * bx + by * by;
    let h = if length > 0.0 { ((px * bx + py * by) / length).clamp(0.0, 1.0) } else { 0.0 };
    hypot(px - bx * h, py - by * h) - r
}

/// Distance to a box with corners rounded by `r`.
pub fn rounded(p: (f32, f32), area: [f32; 4], r: f32) -> f32 {
    let [left, top, right, bottom] = area;
    let qx = (p.0 - (left + right) / 2.0).abs() - (right - left) / 2.0 + r;
    let qy = (p.1 - (top + bottom) / 2.0).abs() - (bottom - top) / 2.0 + r;
    hypot(qx.max(0.0), qy.max(0.0)) + qx.max(qy).min(0.0) - r
}

/// Distance to a disc.
pub fn disc(p: (f32, f32), centre: (f32, f32), r: f32) -> f32 {
    hypot(p.0 - centre.0, p.1 - centre.1) - r
}

/// Length by square root, which IEEE 754 rounds alike everywhere (the library's `hypot` is not bound to).
fn hypot(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}
