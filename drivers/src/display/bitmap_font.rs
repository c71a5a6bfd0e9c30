//! The bitmap type that a crate carries (u8g2's fonts), so that every state can be drawn with no package installed.
//!
//! Its Japanese glyphs are 16 pixels high. They are doubled three times with Scale2x, which keeps diagonals and curves
//! where plain enlarging would leave stairs, and sampled down from there, so that they may have any size.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use embedded_graphics::Pixel;
use embedded_graphics::geometry::OriginDimensions;
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{DrawTarget, Point, Size};
use u8g2_fonts::FontRenderer;
use u8g2_fonts::fonts;
use u8g2_fonts::types::{FontColor, RenderedDimensions, VerticalPosition};

/// A capital's height as part of the em, which all faces are scaled to share.
pub const CAP_RATIO: f32 = 0.74;

/// Largest glyph taken from a face, in its own pixels.
const MAX_GLYPH: u32 = 128;

/// Most glyphs that are kept ready, of 16 KiB each at most: more than two screens show.
const MOST_READY: usize = 128;

/// A face, asked in order; the first that has a glyph draws it.
struct Face {
    renderer: FontRenderer,
    /// Pixels of the face that make one em.
    em: f32,
    /// How often it is doubled.
    doublings: u32,
}

/// Latin first (large and proportional), then Japanese, then whatever has the character.
static FACES: [Face; 5] = [
    Face { renderer: FontRenderer::new::<fonts::u8g2_font_fub42_tf>(), em: 42.0 / CAP_RATIO, doublings: 1 },
    Face { renderer: FontRenderer::new::<fonts::u8g2_font_helvB24_te>(), em: 25.0 / CAP_RATIO, doublings: 2 },
    Face { renderer: FontRenderer::new::<fonts::u8g2_font_b16_t_japanese3>(), em: 16.0, doublings: 3 },
    Face { renderer: FontRenderer::new::<fonts::u8g2_font_unifont_t_japanese3>(), em: 16.0, doublings: 3 },
    Face { renderer: FontRenderer::new::<fonts::u8g2_font_wqy16_t_gb2312>(), em: 16.0, doublings: 3 },
];

/// From a character's origin to the next one's, for an em of `em` pixels; `None` if no face has it.
pub fn advance(c: char, em: f32) -> Option<f32> {
    if !basic(c) {
        return None;
    }
    FACES.iter().find_map(|face| {
        let size = face.dimensions(c)?;
        Some(size.advance.x as f32 * em / face.em)
    })
}

/// The fonts index the basic plane only, and would take another plane's character for one of theirs.
fn basic(c: char) -> bool {
    c as u32 <= 0xffff
}

/// One glyph as a mask, in units of its face's doubled pixels.
pub struct Glyph {
    mask: Mask,
    left: i32,
    top: i32,
    /// Doubled pixels that make one em.
    em: f32,
}

impl Glyph {
    /// The glyph of a character, if any face has it. What was made ready for one screen is there for the next: on a small
    /// board that is most of the time a screen takes.
    pub fn of(c: char) -> Option<Arc<Self>> {
        static READY: Mutex<BTreeMap<char, Arc<Glyph>>> = Mutex::new(BTreeMap::new());
        if !basic(c) {
            return None;
        }
        let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(glyph) = ready.get(&c) {
            return Some(glyph.clone());
        }
        let glyph = Arc::new(FACES.iter().find_map(|face| face.glyph(c))?);
        if ready.len() >= MOST_READY {
            ready.clear();
        }
        ready.insert(c, glyph.clone());
        Some(glyph)
    }

    /// Calls `paint` with each touched pixel and its coverage; the origin lies at (`x`, `baseline`).
    pub fn draw(&self, (x, baseline): (f32, f32), em: f32, condense: f32, mut paint: impl FnMut(i32, i32, f32)) {
        const SAMPLES: i32 = 4;
        let ky = em / self.em;
        let kx = ky * condense;
        if kx <= 0.0 || ky <= 0.0 {
            return;
        }
        let (left, top) = (x + self.left as f32 * kx, baseline + self.top as f32 * ky);
        let right = left + self.mask.width as f32 * kx;
        let bottom = top + self.mask.height as f32 * ky;
        // Where a sample falls depends on its column and its row apart: asked once each, not for every pixel.
        let step = |n: i32| (n as f32 + 0.5) / SAMPLES as f32;
        let places = |from: f32, to: f32, start: f32, scale: f32| -> Vec<(i32, [i32; SAMPLES as usize])> {
            let pixels = from.floor() as i32..=to.ceil() as i32;
            let of = |p: i32, n: i32| ((p as f32 + step(n) - start) / scale).floor() as i32;
            pixels.map(|p| (p, [of(p, 0), of(p, 1), of(p, 2), of(p, 3)])).collect()
        };
        // A column's place in a row of sums that has a nought before and behind it.
        let width = self.mask.width as i32;
        let columns = places(left, right, left, kx);
        let columns = columns.into_iter().map(|(px, at)| (px, at.map(|u| (u.clamp(-1, width) + 1) as usize)));
        let columns: Vec<_> = columns.collect();
        let mut sums = vec![0_u8; self.mask.width as usize + 2];
        for (py, rows) in places(top, bottom, top, ky) {
            sums.fill(0);
            for row in rows {
                for (sum, on) in sums.iter_mut().skip(1).zip(self.mask.row(row)) {
                    *sum += u8::from(*on);
                }
            }
            for (px, at) in &columns {
                let hits: u8 = at.iter().filter_map(|place| sums.get(*place)).sum();
                if hits > 0 {
                    paint(*px, py, f32::from(hits) / (SAMPLES * SAMPLES) as f32);
                }
            }
        }
    }
}

impl Face {
    fn dimensions(&self, c: char) -> Option<RenderedDimensions> {
        self.renderer.get_rendered_dimensions(c, Point::zero(), VerticalPosition::Baseline).ok()
    }

    fn glyph(&self, c: char) -> Option<Glyph> {
        let origin = Point::zero();
        let size = self.dimensions(c)?;
        let (corner, extent) = size.bounding_box.map_or((origin, Size::zero()), |b| (b.top_left, b.size));
        if extent.width > MAX_GLYPH || extent.height > MAX_GLYPH {
            return None;
        }
        let mut mask = Mask::new(extent.width, extent.height);
        self.renderer
            .render(
                c,
                Point::zero() - corner,
                VerticalPosition::Baseline,
                FontColor::Transparent(BinaryColor::On),
                &mut mask,
            )
            .ok()?;
        // The strokes of a 16-pixel face are one pixel thin: they are doubled with care, and made bolder for far eyes.
        let thin = self.em <= 16.0;
        for pass in 0..self.doublings {
            mask = mask.doubled(thin && pass == 0);
        }
        if thin {
            mask = mask.bolder();
        }
        let factor = 1_i32 << self.doublings;
        Some(Glyph { mask, left: corner.x * factor, top: corner.y * factor, em: self.em * factor as f32 })
    }
}

/// Black and white pixels.
struct Mask {
    width: u32,
    height: u32,
    on: Vec<bool>,
}

impl Mask {
    fn new(width: u32, height: u32) -> Self {
        Self { width, height, on: vec![false; width as usize * height as usize] }
    }

    fn index(&self, x: i32, y: i32) -> Option<usize> {
        let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
        (x < self.width && y < self.height).then(|| y as usize * self.width as usize + x as usize)
    }

    /// A row's pixels; none where there is no row.
    fn row(&self, y: i32) -> &[bool] {
        let width = self.width as usize;
        let row = self.index(0, y).and_then(|from| self.on.get(from..from + width));
        row.unwrap_or_default()
    }

    fn get(&self, x: i32, y: i32) -> bool {
        self.index(x, y).and_then(|i| self.on.get(i).copied()).unwrap_or(false)
    }

    fn set(&mut self, x: i32, y: i32) {
        if let Some(pixel) = self.index(x, y).and_then(|i| self.on.get_mut(i)) {
            *pixel = true;
        }
    }

    /// Scale2x: each pixel becomes four; a corner takes its neighbours' colour where exactly they agree. With `thin`
    /// only true diagonals are filled: where strokes one pixel thin meet or cross, their corners would clot.
    fn doubled(&self, thin: bool) -> Self {
        let mut out = Self::new(self.width * 2, self.height * 2);
        for y in 0..self.height as i32 {
            for x in 0..self.width as i32 {
                let (up, down) = (self.get(x, y - 1), self.get(x, y + 1));
                let (left, right) = (self.get(x - 1, y), self.get(x + 1, y));
                let here = self.get(x, y);
                let split = up != down && left != right;
                let corners = [
                    (0, 0, left == up, left),
                    (1, 0, up == right, right),
                    (0, 1, left == down, left),
                    (1, 1, down == right, right),
                ];
                for (dx, dy, agree, theirs) in corners {
                    let crossing = thin && self.get(x + dx * 2 - 1, y + dy * 2 - 1);
                    let turn = split && agree && !(theirs && crossing);
                    if if turn { theirs } else { here } {
                        out.set(x * 2 + dx, y * 2 + dy);
                    }
                }
            }
        }
        out
    }
}

impl Mask {
    /// Every stroke one pixel wider on each side; the mask keeps its size.
    fn bolder(&self) -> Self {
        let mut out = Self::new(self.width, self.height);
        for y in 0..self.height as i32 {
            for x in 0..self.width as i32 {
                let near = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)];
                if near.iter().any(|(dx, dy)| self.get(x + dx, y + dy)) {
                    out.set(x, y);
                }
            }
        }
        out
    }
}

impl OriginDimensions for Mask {
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }
}

impl DrawTarget for Mask {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = Pixel<Self::Color>>,
    {
        for Pixel(Point { x, y }, colour) in pixels {
            if colour.is_on() {
                self.set(x, y);
            }
        }
        Ok(())
    }
}
