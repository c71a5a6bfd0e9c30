//! Pictures for the report: a captured screen re-encoded small (PNG, ISO/IEC 15948, with a palette where its colours
//! allow), so that hundreds of them fit into one file.

use std::collections::HashMap;
use std::io::Cursor;

/// Largest picture decoded, in pixels: a screen is 1280 by 720.
const MOST_PIXELS: u32 = 4096 * 4096;

/// The picture, smaller; `None` if it is no PNG that we understand. With `half`, at half the width and height.
pub(super) fn small(png: &[u8], half: bool) -> Option<Vec<u8>> {
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
    let mut pixels: Vec<[u8; 3]> = colours.collect();
    let (mut width, mut height) = (width, height);
    if half {
        pixels = halved(&pixels, width as usize);
        (width, height) = (width / 2, pixels.len() as u32 / (width / 2).max(1));
    }
    encode(&pixels, width, height)
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

fn encode(pixels: &[[u8; 3]], width: u32, height: u32) -> Option<Vec<u8>> {
    // Edges drawn smoothly have hundreds of shades; with fewer bits a shade they fit a palette, and nobody sees it.
    let (palette, indices) = [0xff, 0xf8, 0xf0].into_iter().find_map(|mask| indexed(pixels, mask)).unzip();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let data = if let (Some(palette), Some(indices)) = (palette, indices) {
        // Rows of palette indices compress best as they are.
        encoder.set_filter(png::Filter::NoFilter);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_palette(palette);
        indices
    } else {
        encoder.set_color(png::ColorType::Rgb);
        pixels.concat()
    };
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&data).ok()?;
    writer.finish().ok()?;
    Some(out)
}

/// The pixels as a palette and indices into it, of each channel only the bits of `mask`; `None` beyond 256 colours.
fn indexed(pixels: &[[u8; 3]], mask: u8) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut palette: Vec<[u8; 3]> = Vec::new();
    let mut places: HashMap<[u8; 3], u8> = HashMap::new();
    let mut indices = Vec::with_capacity(pixels.len());
    for pixel in pixels {
        // White stays white: the bits taken from a bright channel are given back.
        let pixel = pixel.map(|value| if value | !mask == 0xff { 0xff } else { value & mask });
        let place = match places.get(&pixel) {
            Some(place) => *place,
            None => {
                let place = u8::try_from(palette.len()).ok()?;
                palette.push(pixel);
                places.insert(pixel, place);
                place
            }
        };
        indices.push(place);
    }
    Some((palette.concat(), indices))
}

#[cfg(test)]
pub(super) fn test_picture(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let pixels: Vec<_> = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).collect();
    let pixels: Vec<_> = pixels.into_iter().map(|(x, y)| colour(x, y)).collect();
    encode(&pixels, width, height).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_colours_become_a_palette_and_many_stay() {
        let flat = test_picture(64, 32, |x, _| if x < 32 { [255, 191, 0] } else { [0, 0, 0] });
        assert_eq!(small(&flat, false).unwrap(), flat);
        assert!(small(&flat, true).unwrap().len() <= flat.len());
        let many = test_picture(64, 64, |x, y| [x as u8 * 4, y as u8 * 4, (x ^ y) as u8]);
        assert!(small(&many, true).is_some());
    }

    proptest! {
        #[test]
        fn what_is_no_picture_is_none(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(small(&octets, true), None);
        }
    }
}
