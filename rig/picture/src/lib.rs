//! Pictures for the report: a captured screen re-encoded small (PNG, ISO/IEC 15948, with a palette of
//! sixteen colours), so that hundreds of them fit into one file.

use std::collections::HashMap;
use std::io::Cursor;

/// Largest picture decoded, in pixels: a screen is 1280 by 720.
const MOST_PIXELS: u32 = 4096 * 4096;

/// A picture with more colours was not drawn but taken.
const MOST_COLOURS: usize = 4096;
/// Rows of a screen that change by themselves: the clock's at the top, the marker's at the bottom, of [`ROWS`].
const EDGE: usize = 64;
/// A screen's height.
const ROWS: usize = 720;

struct Pixels {
    colours: Vec<[u8; 3]>,
    width: usize,
}

/// The picture, smaller; `None` if it is no PNG that we understand. Each halving halves its width and height.
pub fn small(png: &[u8], halvings: u32) -> Option<Vec<u8>> {
    let pixels = decode(png, halvings)?;
    encode(&pixels.colours, pixels.width)
}

/// A screen in three bands, upper edge, body and lower edge: screens of one minute share the upper ones, screens that say
/// the same share their bodies.
pub fn bands(png: &[u8], halvings: u32) -> Option<Vec<Vec<u8>>> {
    let pixels = decode(png, halvings)?;
    let height = pixels.colours.len() / pixels.width.max(1);
    let edge = (height * EDGE / ROWS).max(1) * pixels.width;
    let (upper, rest) = pixels.colours.split_at_checked(edge)?;
    let (body, lower) = rest.split_at_checked(rest.len().checked_sub(edge)?)?;
    let bands = [upper, body, lower].into_iter().filter(|band| !band.is_empty());
    bands.map(|band| encode(band, pixels.width)).collect()
}

fn decode(png: &[u8], halvings: u32) -> Option<Pixels> {
    let mut decoder = png::Decoder::new(Cursor::new(png));
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().ok()?;
    let (width, height) = (reader.info().width, reader.info().height);
    if width.checked_mul(height)? > MOST_PIXELS {
        return None;
    }
    let mut octets = vec![0; reader.output_buffer_size()?];
    let frame = reader.next_frame(&mut octets).ok()?;
    let channels = frame.color_type.samples();
    let colours = octets.chunks_exact(channels).map(|pixel| match *pixel {
        [grey, _] => [grey; 3],
        [red, green, blue, ..] => [red, green, blue],
        _ => [0; 3],
    });
    let mut pixels = Pixels { colours: colours.collect(), width: width as usize };
    for _ in 0..halvings {
        pixels = Pixels { colours: halved(&pixels.colours, pixels.width), width: pixels.width / 2 };
    }
    Some(pixels)
}

/// Each four pixels become their mean.
fn halved(pixels: &[[u8; 3]], width: usize) -> Vec<[u8; 3]> {
    let rows: Vec<&[[u8; 3]]> = pixels.chunks_exact(width.max(1)).collect();
    let mut half = Vec::with_capacity(pixels.len() / 4);
    for pair in rows.chunks_exact(2) {
        let [upper, lower] = pair else { continue };
        for (above, below) in upper.chunks_exact(2).zip(lower.chunks_exact(2)) {
            let mut mean = [0u8; 3];
            for (channel, mean) in mean.iter_mut().enumerate() {
                let four = above.iter().chain(below).filter_map(|pixel| pixel.get(channel));
                *mean = (four.map(|value| u16::from(*value)).sum::<u16>() / 4) as u8;
            }
            half.push(mean);
        }
    }
    half
}

fn encode(pixels: &[[u8; 3]], width: usize) -> Option<Vec<u8>> {
    let height = pixels.len().checked_div(width)?;
    let (columns, rows) = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, columns, rows);
    encoder.set_compression(png::Compression::High);
    let data = if let Some((palette, indices)) = indexed(pixels) {
        // Rows of palette indices compress best as they are.
        encoder.set_filter(png::Filter::NoFilter);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Four);
        encoder.set_palette(palette);
        let pair = |pair: &[u8]| pair.first().map_or(0, |left| left << 4) | pair.get(1).copied().unwrap_or(0);
        indices.chunks_exact(width.max(1)).flat_map(|row| row.chunks(2).map(pair)).collect()
    } else {
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_color(png::ColorType::Rgb);
        pixels.concat()
    };
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&data).ok()?;
    writer.finish().ok()?;
    Some(out)
}

/// The pixels as a palette of their sixteen most frequent colours, and for each pixel the nearest of these: areas keep
/// their colour, and of the hundreds of shades along smoothly drawn edges nobody misses one. `None` for a photograph.
fn indexed(pixels: &[[u8; 3]]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut counts: HashMap<[u8; 3], usize> = HashMap::new();
    for pixel in pixels {
        *counts.entry(*pixel).or_default() += 1;
        if counts.len() > MOST_COLOURS {
            return None;
        }
    }
    let mut palette: Vec<([u8; 3], usize)> = counts.iter().map(|(colour, count)| (*colour, *count)).collect();
    palette.sort_by_key(|(colour, count)| (std::cmp::Reverse(*count), *colour));
    palette.truncate(16);
    let distance =
        |a: &[u8; 3], b: &[u8; 3]| -> u32 { a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum() };
    let nearest = |colour: &[u8; 3]| {
        let by_distance = palette.iter().zip(0u8..).min_by_key(|((known, _), _)| distance(known, colour));
        by_distance.map_or(0, |(_, place)| place)
    };
    let places: HashMap<[u8; 3], u8> = counts.keys().map(|colour| (*colour, nearest(colour))).collect();
    let indices = pixels.iter().map(|pixel| places.get(pixel).copied().unwrap_or(0)).collect();
    Some((palette.iter().flat_map(|(colour, _)| *colour).collect(), indices))
}

/// A picture drawn pixel by pixel, red, green and blue of each; rows from the top.
pub fn drawn(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let pixels: Vec<_> = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).collect();
    let pixels: Vec<_> = pixels.into_iter().map(|(x, y)| colour(x, y)).collect();
    encode(&pixels, width as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_colours_become_a_palette_and_many_stay() {
        let flat = drawn(64, 32, |x, _| if x < 32 { [255, 191, 0] } else { [0, 0, 0] });
        assert_eq!(small(&flat, 0).unwrap(), flat);
        assert!(small(&flat, 1).unwrap().len() <= flat.len());
        let odd = drawn(33, 3, |x, _| [x as u8 * 7, 0, 0]);
        assert_eq!(decode(&odd, 0).unwrap().colours.len(), 99);
        let many = drawn(128, 64, |x, y| [x as u8 * 2, y as u8 * 4, (x ^ y) as u8]);
        assert_eq!(decode(&many, 0).unwrap().colours[65], [130, 0, 65]);
        assert!(small(&many, 1).is_some());
    }

    #[test]
    fn screens_that_differ_at_an_edge_share_their_body() {
        let screen = |edge: u8| {
            let colour = move |x: u32, y: u32| if y < 64 { [edge; 3] } else { [(x / 4) as u8, 0, 0] };
            bands(&drawn(320, 720, colour), 0).unwrap()
        };
        let (one, other) = (screen(100), screen(200));
        assert_eq!((one.len(), one[0] == other[0], one[1] == other[1], one[2] == other[2]), (3, false, true, true));
    }

    proptest! {
        #[test]
        fn what_is_no_picture_is_none(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(small(&octets, 1), None);
            prop_assert_eq!(bands(&octets, 1), None);
        }
    }
}
