//! PNG (ISO/IEC 15948): every depth and colour type, what is transparent on white.

use sealfax_ifax::page::{Page, Resolution};

use crate::error::DocumentError;
use crate::grey::{self, Density, Grey};
use crate::place;

/// Most octets the decoder may take beside the picture.
const DECODER: usize = 64 << 20;

pub(crate) fn pages(data: &[u8], resolution: Resolution) -> Result<Vec<Page>, DocumentError> {
    Ok(vec![place::picture(decode(data)?, resolution)?])
}

fn decode(data: &[u8]) -> Result<Grey, DocumentError> {
    let mut decoder = png::Decoder::new_with_limits(std::io::Cursor::new(data), png::Limits { bytes: DECODER });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let (width, height) = (reader.info().width, reader.info().height);
    let density = reader.info().pixel_dims.filter(|dims| dims.unit == png::Unit::Meter).and_then(|dims| {
        let per_inch = |per_metre: u32| f64::from(per_metre) * 0.0254;
        (dims.xppu > 0 && dims.yppu > 0)
            .then(|| Density { across: per_inch(dims.xppu).round(), down: per_inch(dims.yppu).round() })
    });
    let mut grey = Grey::white(width, height)?;
    let (color, _) = reader.output_color_type();
    let samples = color.samples();
    // Row by row, so that the colours of the whole picture are never in memory; an interlaced one comes only as a whole.
    if reader.info().interlaced {
        let size = reader.output_buffer_size().unwrap_or(usize::MAX);
        if size as u64 > crate::MAX_PIXELS * 4 {
            return Err(DocumentError::Pixels { width, height });
        }
        let mut octets = vec![0; size];
        reader.next_frame(&mut octets)?;
        for (pixel, sample) in grey.pixels.iter_mut().zip(octets.chunks_exact(samples)) {
            *pixel = grey::of_sample(sample);
        }
    } else {
        for line in grey.pixels.chunks_mut(width as usize) {
            let Some(row) = reader.next_row()? else { break };
            for (pixel, sample) in line.iter_mut().zip(row.data().chunks_exact(samples)) {
                *pixel = grey::of_sample(sample);
            }
        }
    }
    grey.density = density;
    Ok(grey)
}
