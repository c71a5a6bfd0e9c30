//! From grey to black and white (T.4 knows nothing else): text and lines by threshold, photographs by error diffusion in
//! both directions in turn (Floyd and Steinberg, serpentine), decided tile by tile.
//!
//! A photograph is diffused in cells two pixels wide. T.4's shortest codes are those of two and three pixels (Table 2),
//! so it takes about a third of the octets and of the time on the line, and small dots that a printer would swallow or
//! smear are none. Its tones are bent for the printer, whose dots are larger than they should be: of paper with the
//! share `a` of black, light shines `(1 - a)²` rather than `1 - a` (Yule and Nielsen, n = 2).

use std::sync::LazyLock;

use sealfax_ifax::page::{Page, PageError, Resolution};

use crate::grey::Grey;

/// Edge of a tile; even, so that cells do not lie across.
const TILE: u32 = 16;
/// Pixels of a cell.
const CELL: u32 = 2;
/// From here on it is paper, and no dust is printed on it.
const PAPER: u8 = 248;
/// Darker than this is a stroke. A hairline that covers a third of two pixels each is one.
const STROKE: u8 = 160;
/// Up to here it is ink.
const INK: u8 = 12;

/// How a tile is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tile {
    /// Nothing but paper and ink, no matter how.
    Plain,
    /// A light or dark shade without any detail: of a photograph beside it, or of a form.
    Tone,
    Text,
    Photograph,
}

/// The share of white for each level, of 255, for a printer whose dots gain.
static TONE: LazyLock<Vec<i32>> = LazyLock::new(|| {
    let levels = (0..=255u8).map(|level| {
        if level >= PAPER {
            return 255;
        }
        if level <= INK {
            return 0;
        }
        let v = (f64::from(level) - f64::from(INK)) / (f64::from(PAPER) - f64::from(INK));
        let linear = if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) };
        (linear.sqrt() * 255.0).round() as i32
    });
    levels.collect()
});

/// The page, as large as the picture.
pub(crate) fn halftone(grey: &Grey, resolution: Resolution) -> Result<Page, PageError> {
    let grey = &on_white_paper(grey);
    let mut page = Page::blank(grey.width, grey.height, resolution)?;
    let map = Map::of(grey);
    let cells = grey.width.div_ceil(CELL) as usize;
    // Errors of this line and the next, in sixteenths, one cell of room at either end.
    let mut here = vec![0i32; cells + 2];
    for y in 0..grey.height {
        let mut below = vec![0i32; cells + 2];
        let rightwards = y % 2 == 0;
        for step in 0..cells {
            let cell = if rightwards { step } else { cells - 1 - step };
            let x = cell as u32 * CELL;
            if map.at(x, y) != Tile::Photograph {
                for x in x..(x + CELL).min(grey.width) {
                    page.set(x, y, grey.at(x, y) < STROKE);
                }
                continue;
            }
            let tone = |x: u32| TONE.get(usize::from(grey.at(x, y))).copied().unwrap_or(255);
            let pair = (x..(x + CELL).min(grey.width)).map(tone);
            let wide = pair.len() as i32;
            let level = pair.sum::<i32>() / wide.max(1);
            let value = level + here.get(cell + 1).copied().unwrap_or(0) / 16;
            // Pure white and black carry no dots, whatever their neighbours owe: edges stay clean.
            let black = match level {
                255 => false,
                0 => true,
                _ => value < 128 + jitter(cell as u32, y),
            };
            for x in (x..(x + CELL).min(grey.width)).filter(|_| black) {
                page.set(x, y, true);
            }
            let error = (value - if black { 0 } else { 255 }).clamp(-255, 255);
            let (next, back) = if rightwards { (cell + 2, cell) } else { (cell, cell + 2) };
            spread(&mut here, next, error * 7);
            spread(&mut below, back, error * 3);
            spread(&mut below, cell + 1, error * 5);
            spread(&mut below, next, error);
        }
        here = below;
    }
    Ok(page)
}

/// Paper that is not quite white becomes so: the level that a quarter of the picture has, if it is a light one.
fn on_white_paper(grey: &Grey) -> Grey {
    let mut counts = [0u64; 256];
    for level in &grey.pixels {
        if let Some(count) = counts.get_mut(usize::from(*level)) {
            *count += 1;
        }
    }
    let of_paper = |paper: usize| -> u64 { counts.iter().skip(paper.saturating_sub(8)).take(17).sum() };
    let paper = (200..=255usize).max_by_key(|level| counts.get(*level).copied().unwrap_or(0)).unwrap_or(255);
    let mut lifted = grey.clone();
    if of_paper(paper) * 4 >= grey.pixels.len() as u64 {
        let white = (paper as u32).saturating_sub(6).max(1);
        for level in &mut lifted.pixels {
            *level = (u32::from(*level) * 255 / white).min(255) as u8;
        }
    }
    lifted
}

fn spread(row: &mut [i32], at: usize, share: i32) {
    if let Some(cell) = row.get_mut(at) {
        *cell += share;
    }
}

/// A little unrest in the threshold, always the same at the same place: without it flat greys grow worms.
fn jitter(x: u32, y: u32) -> i32 {
    let mut hash = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77);
    hash = (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d);
    ((hash >> 16) % 41) as i32 - 20
}

/// Which tiles are photographs.
struct Map {
    across: usize,
    tiles: Vec<Tile>,
}

impl Map {
    fn of(grey: &Grey) -> Self {
        let (across, down) = (grey.width.div_ceil(TILE), grey.height.div_ceil(TILE));
        let mut tiles: Vec<Tile> = (0..down)
            .flat_map(|ty| (0..across).map(move |tx| (tx, ty)))
            .map(|(tx, ty)| judge(grey, tx * TILE, ty * TILE))
            .collect();
        let across = across as usize;
        // A photograph goes on in its shadows and lights, as far as there is any tone.
        let of = |tiles: &[Tile], wanted| -> Vec<usize> {
            tiles.iter().enumerate().filter(|(_, tile)| **tile == wanted).map(|(at, _)| at).collect()
        };
        let mut open = of(&tiles, Tile::Photograph);
        while let Some(at) = open.pop() {
            let x = at % across.max(1);
            let left = (x > 0).then(|| at - 1);
            let right = (x + 1 < across).then_some(at + 1);
            for next in [left, right, at.checked_sub(across), Some(at + across)].into_iter().flatten() {
                if let Some(tile) = tiles.get_mut(next).filter(|tile| **tile == Tile::Tone) {
                    *tile = Tile::Photograph;
                    open.push(next);
                }
            }
        }
        // What looks like text amid a photograph is an edge in it.
        let seen = tiles.clone();
        for at in of(&tiles, Tile::Text) {
            let (x, y) = (at % across.max(1), at / across.max(1));
            let around = (y.saturating_sub(1)..=y + 1)
                .flat_map(|y| (x.saturating_sub(1)..=x + 1).map(move |x| (x, y)))
                .filter(|(x, y)| *x < across && seen.get(y * across + x) == Some(&Tile::Photograph))
                .count();
            if let Some(tile) = tiles.get_mut(at).filter(|_| around >= 4) {
                *tile = Tile::Photograph;
            }
        }
        Self { across, tiles }
    }

    fn at(&self, x: u32, y: u32) -> Tile {
        let at = (y / TILE) as usize * self.across + (x / TILE) as usize;
        self.tiles.get(at).copied().unwrap_or(Tile::Plain)
    }
}

/// Text has few greys, and they lie between black and white: smoothed edges. A photograph's greys lie among greys.
fn judge(grey: &Grey, left: u32, top: u32) -> Tile {
    let (right, bottom) = ((left + TILE).min(grey.width), (top + TILE).min(grey.height));
    let (mut greys, mut among, mut light, mut sum) = (0, 0, 0, 0);
    for y in top..bottom {
        for x in left..right {
            let level = grey.at(x, y);
            light += u32::from(level > 207);
            sum += u32::from(level);
            if (72..=207).contains(&level) {
                greys += 1;
                // Of its neighbours to the right and below: as grey as itself, or an edge away?
                let near = |other: u8| other.abs_diff(level) <= 40;
                among += u32::from(near(grey.at(x + 1, y)) && near(grey.at(x, y + 1)));
            }
        }
    }
    let area = (right - left) * (bottom - top);
    if greys == 0 {
        // Light shading by itself is paper to a fax; dots in it would only be in the way of the words.
        let mean = sum / area.max(1);
        let tone = (u32::from(INK)..u32::from(PAPER)).contains(&mean);
        return if tone { Tile::Tone } else { Tile::Plain };
    }
    let mostly_paper = light * 3 > area * 2;
    if greys * 3 > area || (among * 8 > area && !mostly_paper) { Tile::Photograph } else { Tile::Text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::grey::tests::picture;
    use proptest::prelude::*;

    fn share(page: &Page) -> f64 {
        page.black_pixels() as f64 / f64::from(page.width() * page.height())
    }

    #[test]
    fn a_grey_is_as_dark_on_paper_as_on_the_screen() {
        let mut before = 1.1;
        // Darker and lighter ones by themselves are ink and paper.
        for level in (80..200).step_by(16) {
            let page = halftone(&picture(256, 256, |_, _| level as u8), Resolution::Fine).unwrap();
            let black = share(&page);
            // What shines from paper with that share of black, dots grown, is the light that the level stands for.
            let v: f64 = (f64::from(level) - 12.0) / 236.0;
            let wanted = ((v + 0.055) / 1.055).max(0.0).powf(2.4);
            assert!(((1.0 - black).powi(2) - wanted).abs() < 0.05, "{level}: {black} black, {wanted} wanted");
            assert!(black < before, "{level}");
            before = black;
        }
    }

    #[test]
    fn dots_are_two_pixels_wide() {
        let page = halftone(&picture(256, 64, |x, _| x as u8), Resolution::Fine).unwrap();
        for y in 0..64 {
            for x in (0..256).step_by(2) {
                assert_eq!(page.pixel(x, y), page.pixel(x + 1, y), "{x} {y}");
            }
        }
    }

    #[test]
    fn text_beside_a_photograph_stays_sharp() {
        // A photograph at the left; at the right strokes of 3 pixels with smoothed edges, on paper that is not quite white.
        let level = |x: u32, y: u32| match x {
            0..128 => 60 + (x / 2 + y) as u8 % 120,
            _ => match x % 12 {
                4..7 => 20,
                3 | 7 => 190,
                _ => 250,
            },
        };
        let page = halftone(&picture(320, 128, level), Resolution::Fine).unwrap();
        for x in 176..320 {
            for y in 0..128 {
                assert_eq!(page.pixel(x, y), (4..7).contains(&(x % 12)), "{x} {y}");
            }
        }
        assert!(share(&page) > 0.2);
    }

    #[test]
    fn light_shading_is_paper_and_words_on_it_are_words() {
        let page = halftone(&picture(64, 64, |x, _| if x % 16 < 3 { 0 } else { 225 }), Resolution::Fine).unwrap();
        assert!((0..64).all(|x| page.pixel(x, 5) == (x % 16 < 3)));
    }

    #[test]
    fn a_photograph_keeps_its_lights_and_shadows() {
        // From black to white across the page: no step where a tile would end.
        let page = halftone(&picture(1024, 128, |x, _| (x / 4) as u8), Resolution::Fine).unwrap();
        let shares: Vec<f64> = (0..1024 / 32)
            .map(|band| {
                let of_band = (0..128).flat_map(|y| (band * 32..band * 32 + 32).map(move |x| (x, y)));
                of_band.filter(|(x, y)| page.pixel(*x, *y)).count() as f64 / (32.0 * 128.0)
            })
            .collect();
        for pair in shares.windows(2) {
            assert!(pair[1] <= pair[0] + 0.01 && pair[0] - pair[1] < 0.09, "{shares:?}");
        }
    }

    #[test]
    fn grey_paper_is_white() {
        let page = halftone(
            &picture(128, 64, |x, y| if x % 16 < 3 { 30 } else { 212 + ((x + y) % 5) as u8 }),
            Resolution::Fine,
        );
        let page = page.unwrap();
        assert!((0..128).all(|x| page.pixel(x, 5) == (x % 16 < 3)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_picture_panics(width in 1u32..70, height in 1u32..40, seed in any::<u32>()) {
            let page = halftone(&picture(width, height, |x, y| (x.wrapping_mul(seed) >> (y % 20)) as u8), Resolution::Fine).unwrap();
            prop_assert_eq!((page.width(), page.height()), (width, height));
        }
    }
}
