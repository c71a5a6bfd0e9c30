//! A grey picture on its way to the page: lightness as sRGB codes it (IEC 61966-2-1), 0 black, 255 white.

use std::sync::LazyLock;

use crate::MAX_PIXELS;
use crate::error::DocumentError;

/// How large a picture's pixels are meant to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Density {
    /// Pixels per inch across.
    pub(crate) across: f64,
    /// Pixels per inch down.
    pub(crate) down: f64,
}

/// A quarter turn, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Turn {
    #[default]
    None,
    Right,
    Half,
    Left,
}

/// The picture.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grey {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<u8>,
    /// What the file says of its size, if it does.
    pub(crate) density: Option<Density>,
}

/// Linear light of each code, of 65535.
static LINEAR: LazyLock<Vec<u32>> = LazyLock::new(|| {
    (0..=255u32)
        .map(|code| {
            let v = f64::from(code) / 255.0;
            let linear = if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) };
            (linear * 65_535.0).round() as u32
        })
        .collect()
});

/// The code of each linear light, in steps of 16 of 65535.
static CODE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..=4096u32)
        .map(|step| {
            let v = f64::from(step) / 4096.0;
            let code = if v <= 0.003_130_8 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
            (code * 255.0).round() as u8
        })
        .collect()
});

/// The grey that is as light as the colour (ITU-R BT.709 weights, in linear light).
pub(crate) fn luminance(r: u8, g: u8, b: u8) -> u8 {
    if r == g && g == b {
        return g;
    }
    let linear = |code: u8| LINEAR.get(usize::from(code)).copied().unwrap_or(0);
    let light = (linear(r) * 13_933 + linear(g) * 46_871) / 65_536 + linear(b) * 4_732 / 65_536;
    CODE.get((light as usize).div_ceil(16)).copied().unwrap_or(255)
}

/// What paper shows through.
pub(crate) fn over_white(level: u8, alpha: u8) -> u8 {
    let (level, alpha) = (u32::from(level), u32::from(alpha));
    ((level * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// The grey of one pixel as decoders give it: grey, grey and alpha, RGB, RGB and alpha.
pub(crate) fn of_sample(sample: &[u8]) -> u8 {
    match *sample {
        [level] => level,
        [level, alpha] => over_white(level, alpha),
        [r, g, b] => luminance(r, g, b),
        [r, g, b, alpha] => over_white(luminance(r, g, b), alpha),
        _ => 255,
    }
}

/// Before anything is allocated for it.
pub(crate) fn check(width: u32, height: u32) -> Result<(), DocumentError> {
    if width == 0 || height == 0 || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DocumentError::Pixels { width, height });
    }
    Ok(())
}

impl Grey {
    /// White paper of a size that was checked.
    pub(crate) fn white(width: u32, height: u32) -> Result<Self, DocumentError> {
        check(width, height)?;
        Ok(Self { width, height, pixels: vec![255; width as usize * height as usize], density: None })
    }

    pub(crate) fn at(&self, x: u32, y: u32) -> u8 {
        if x >= self.width {
            return 255;
        }
        self.pixels.get(y as usize * self.width as usize + x as usize).copied().unwrap_or(255)
    }

    pub(crate) fn row(&self, y: u32) -> &[u8] {
        let start = y as usize * self.width as usize;
        self.pixels.get(start..start + self.width as usize).unwrap_or_default()
    }

    /// Turned clockwise.
    pub(crate) fn turned(self, turn: Turn) -> Self {
        let (old_width, old_height) = (self.width, self.height);
        let (width, height) = match turn {
            Turn::None => return self,
            Turn::Half => (old_width, old_height),
            Turn::Right | Turn::Left => (old_height, old_width),
        };
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for y in 0..height {
            for x in 0..width {
                pixels.push(match turn {
                    Turn::Right => self.at(y, old_height - 1 - x),
                    Turn::Left => self.at(old_width - 1 - y, x),
                    _ => self.at(old_width - 1 - x, old_height - 1 - y),
                });
            }
        }
        let density = self.density.map(|Density { across, down }| match turn {
            Turn::Half => Density { across, down },
            _ => Density { across: down, down: across },
        });
        Self { width, height, pixels, density }
    }

    /// Left and right exchanged, as some cameras say their pictures are.
    pub(crate) fn mirrored(mut self) -> Self {
        for row in self.pixels.chunks_mut(self.width.max(1) as usize) {
            row.reverse();
        }
        self
    }

    /// As it is to be looked at, by the number that Exif and TIFF 6.0 (Orientation) give: 1 is upright already.
    pub(crate) fn upright(self, orientation: u16) -> Self {
        match orientation {
            2 => self.mirrored(),
            3 => self.turned(Turn::Half),
            4 => self.mirrored().turned(Turn::Half),
            5 => self.mirrored().turned(Turn::Left),
            6 => self.turned(Turn::Right),
            7 => self.mirrored().turned(Turn::Right),
            8 => self.turned(Turn::Left),
            _ => self,
        }
    }

    /// Another size: each new pixel is the mean of what it covers, and in between where it covers less than one.
    pub(crate) fn resized(&self, width: u32, height: u32) -> Result<Self, DocumentError> {
        check(width, height)?;
        if (width, height) == (self.width, self.height) {
            return Ok(self.clone());
        }
        let (columns, lines) = (taps(self.width, width), taps(self.height, height));
        let mut out = Self::white(width, height)?;
        // Each line of the old picture at its new width is needed by few new lines, in order: a short window is kept.
        let mut window: std::collections::VecDeque<(u32, Vec<u16>)> = std::collections::VecDeque::new();
        for (tap, row) in lines.iter().zip(out.pixels.chunks_mut(width as usize)) {
            while window.front().is_some_and(|(y, _)| *y < tap.first) {
                window.pop_front();
            }
            for y in (tap.first..).take(tap.weights.len()) {
                if window.back().is_none_or(|(last, _)| *last < y) {
                    window.push_back((y, across(self.row(y), &columns)));
                }
            }
            let mut sums = vec![0u64; width as usize];
            for ((_, line), weight) in window.iter().zip(&tap.weights) {
                for (sum, level) in sums.iter_mut().zip(line) {
                    *sum += u64::from(*level) * u64::from(*weight);
                }
            }
            for (pixel, sum) in row.iter_mut().zip(sums) {
                // Levels are kept 256 times as fine across; weights add up to 65536.
                *pixel = ((sum + (1 << 23)) >> 24).min(255) as u8;
            }
        }
        Ok(out)
    }
}

/// Which old pixels a new one is made of.
struct Tap {
    first: u32,
    /// They add up to 65536.
    weights: Vec<u32>,
}

fn taps(old: u32, new: u32) -> Vec<Tap> {
    let scale = f64::from(old) / f64::from(new);
    (0..new)
        .map(|i| {
            // Below one old pixel a box would leave stairs: the two nearest ones are mixed.
            let (from, to) = if scale >= 1.0 {
                (f64::from(i) * scale, f64::from(i + 1) * scale)
            } else {
                let middle = (f64::from(i) + 0.5) * scale;
                (middle - 0.5, middle + 0.5)
            };
            let (from, to) = (from.clamp(0.0, f64::from(old)), to.clamp(0.0, f64::from(old)));
            let first = (from.floor() as u32).min(old - 1);
            let last = ((to.ceil() as u32).max(first + 1) - 1).min(old - 1);
            let shares: Vec<f64> =
                (first..=last).map(|x| (to.min(f64::from(x + 1)) - from.max(f64::from(x))).max(0.0)).collect();
            let whole: f64 = shares.iter().sum();
            let mut weights: Vec<u32> = shares
                .iter()
                .map(|share| if whole > 0.0 { (share / whole * 65_536.0).round() as u32 } else { 0 })
                .collect();
            let sum: u32 = weights.iter().sum();
            // Rounding must not tint white paper.
            if let Some(largest) = weights.iter_mut().max() {
                *largest = (*largest + 65_536).saturating_sub(sum);
            }
            Tap { first, weights }
        })
        .collect()
}

/// One line at its new width, 256 times as fine.
fn across(row: &[u8], columns: &[Tap]) -> Vec<u16> {
    columns
        .iter()
        .map(|tap| {
            let covered = row.get(tap.first as usize..).unwrap_or_default();
            let sum: u64 =
                covered.iter().zip(&tap.weights).map(|(level, weight)| u64::from(*level) * u64::from(*weight)).sum();
            (sum >> 8).min(u64::from(u16::MAX)) as u16
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    /// A picture whose every pixel is as light as `level` says of its column and row.
    pub(crate) fn picture(width: u32, height: u32, level: impl Fn(u32, u32) -> u8) -> Grey {
        let mut grey = Grey::white(width, height).unwrap();
        for y in 0..height {
            for x in 0..width {
                grey.pixels[(y * width + x) as usize] = level(x, y);
            }
        }
        grey
    }

    #[test]
    fn greys_are_as_light_as_their_colours() {
        assert_eq!((luminance(255, 255, 255), luminance(0, 0, 0), luminance(90, 90, 90)), (255, 0, 90));
        // Yellow is nearly white, blue nearly black, green between.
        let (yellow, green, blue) = (luminance(255, 255, 0), luminance(0, 255, 0), luminance(0, 0, 255));
        assert!(yellow > 240 && (200..235).contains(&green) && blue < 80, "{yellow} {green} {blue}");
        assert_eq!((over_white(0, 0), over_white(0, 255), over_white(0, 128)), (255, 0, 127));
    }

    #[test]
    fn turning_four_times_changes_nothing() {
        let grey = picture(3, 2, |x, y| (10 * y + x) as u8);
        let right = grey.clone().turned(Turn::Right);
        assert_eq!((right.width, right.height, right.at(1, 0), right.at(0, 0)), (2, 3, 0, 10));
        let mut back = right;
        for _ in 0..3 {
            back = back.turned(Turn::Right);
        }
        assert_eq!(back, grey);
        assert_eq!(grey.clone().turned(Turn::Right).turned(Turn::Left), grey);
        assert_eq!(grey.clone().turned(Turn::Half), grey.clone().turned(Turn::Right).turned(Turn::Right));
        assert_eq!(grey.clone().mirrored().at(0, 0), 2);
    }

    #[test]
    fn flat_pictures_stay_flat_at_every_size() {
        for level in [0, 1, 128, 254, 255] {
            let grey = picture(37, 23, |_, _| level);
            for (width, height) in [(1, 1), (37, 23), (36, 22), (100, 5), (5, 100), (1000, 7)] {
                let resized = grey.resized(width, height).unwrap();
                assert!(resized.pixels.iter().all(|pixel| *pixel == level), "{level} at {width}x{height}");
            }
        }
    }

    #[test]
    fn halving_takes_means() {
        let grey = picture(4, 4, |x, _| if x % 2 == 0 { 0 } else { 200 });
        assert!(grey.resized(2, 2).unwrap().pixels.iter().all(|pixel| *pixel == 100));
    }

    proptest! {
        #[test]
        fn any_size_is_reached(width in 1u32..40, height in 1u32..40, to_width in 1u32..80, to_height in 1u32..80) {
            let grey = picture(width, height, |x, y| (x * 7 + y * 13) as u8);
            let resized = grey.resized(to_width, to_height).unwrap();
            prop_assert_eq!(resized.pixels.len() as u32, to_width * to_height);
            let (low, high) = (grey.pixels.iter().min().unwrap(), grey.pixels.iter().max().unwrap());
            prop_assert!(resized.pixels.iter().all(|p| p >= low && p <= high));
        }
    }
}
