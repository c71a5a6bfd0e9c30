//! JPEG (ITU-T T.81): a photograph as a camera or a scanner gives it, the way up that its Exif data say.

use sealfax_ifax::page::{Page, Resolution};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::error::DocumentError;
use crate::grey::{self, Density, Grey};
use crate::place;

/// Longest edge.
const LONGEST: usize = 30_000;

pub(crate) fn pages(data: &[u8], resolution: Resolution) -> Result<Vec<Page>, DocumentError> {
    Ok(vec![place::picture(decode(data)?, resolution)?])
}

fn decode(data: &[u8]) -> Result<Grey, DocumentError> {
    let bad = |error: zune_jpeg::errors::DecodeErrors| DocumentError::Jpeg(error.to_string());
    let options = DecoderOptions::default()
        .set_max_width(LONGEST)
        .set_max_height(LONGEST)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
    decoder.decode_headers().map_err(bad)?;
    let Some(info) = decoder.info() else { return Err(DocumentError::Jpeg("no header".into())) };
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let mut grey = Grey::white(width, height)?;
    let exif = decoder.exif().cloned().unwrap_or_default();
    let octets = decoder.decode().map_err(bad)?;
    let samples = decoder.output_colorspace().map_or(3, |space| space.num_components());
    for (pixel, sample) in grey.pixels.iter_mut().zip(octets.chunks_exact(samples.max(1))) {
        *pixel = grey::of_sample(sample);
    }
    grey.density = jfif_density(data);
    Ok(grey.upright(orientation(&exif).unwrap_or(1)))
}

/// Dots per inch in the JFIF segment (ITU-T T.871 clause 10.1), which is the first one where there is one.
fn jfif_density(data: &[u8]) -> Option<Density> {
    let segment = data.get(..18)?;
    if segment.get(2..4)? != [0xff, 0xe0] || segment.get(6..11)? != b"JFIF\0" {
        return None;
    }
    let per_unit = match segment.get(13)? {
        1 => 1.0,
        2 => 2.54,
        _ => return None,
    };
    let number = |at: usize| Some(f64::from(u16::from_be_bytes([*segment.get(at)?, *segment.get(at + 1)?])) * per_unit);
    let (across, down) = (number(14)?, number(16)?);
    (across >= 1.0 && down >= 1.0).then(|| Density { across: across.round(), down: down.round() })
}

/// The tag Orientation of an Exif block, which is a TIFF of its own.
fn orientation(exif: &[u8]) -> Option<u16> {
    let little = match exif.get(..4)? {
        b"II\x2a\0" => true,
        b"MM\0\x2a" => false,
        _ => return None,
    };
    let two = |at: usize| {
        let octets: [u8; 2] = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(octets) } else { u16::from_be_bytes(octets) })
    };
    let octets: [u8; 4] = exif.get(4..8)?.try_into().ok()?;
    let directory = if little { u32::from_le_bytes(octets) } else { u32::from_be_bytes(octets) } as usize;
    let entries = usize::from(two(directory)?);
    (0..entries.min(100)).find_map(|entry| {
        let at = directory.checked_add(2 + entry * 12)?;
        (two(at)? == 0x0112).then(|| two(at.checked_add(8)?)).flatten()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_way_up_is_read_in_both_byte_orders() {
        let little = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let big = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0";
        assert_eq!((orientation(little), orientation(big)), (Some(6), Some(8)));
        assert_eq!(orientation(b"II\x2a\0\xff\xff\xff\xff"), None);
    }

    #[test]
    fn densities_are_read() {
        let jfif = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\x01\x01\x2c\x01\x2c\0\0";
        assert_eq!(jfif_density(jfif), Some(Density { across: 300.0, down: 300.0 }));
        assert_eq!(jfif_density(b"\xff\xd8\xff\xe1"), None);
    }

    proptest! {
        #[test]
        fn no_exif_panics(noise in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = orientation(&[b"MM\0\x2a".as_slice(), &noise].concat());
            let _ = jfif_density(&noise);
        }
    }
}
