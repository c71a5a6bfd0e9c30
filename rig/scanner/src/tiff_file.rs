//! TIFF (revision 6.0): fax pages pass pixel by pixel (RFC 3949), any other kind is decoded as a picture.

use std::io::Cursor;

use sealfax_ifax::page::{A4_WIDTH, Page, Resolution};
use sealfax_ifax::tiff as fax;
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use crate::error::DocumentError;
use crate::grey::{self, Density, Grey};
use crate::{MAX_PAGES, place};

/// Compression of T.4 and T.6 (TIFF 6.0 section 11, RFC 3949 clause 4): what only fax programs write.
const FAX_CODES: [u16; 3] = [2, 3, 4];

pub(crate) fn pages(data: &[u8], resolution: Resolution) -> Result<Vec<Page>, DocumentError> {
    let limits = fax::Limits { pages: MAX_PAGES, ..fax::Limits::default() };
    match fax::read(data, &limits) {
        Ok(pages) => {
            let mut said = if pages.iter().all(|page| page.width() == A4_WIDTH) { Vec::new() } else { densities(data) };
            said.resize(pages.len(), None);
            pages.into_iter().zip(said).map(|(page, said)| fitted(page, said, resolution)).collect()
        }
        Err(error) => match pictures(data, resolution) {
            Ok(pages) => Ok(pages),
            // Of a fax the fax reader knows better what is wrong.
            Err(Other::Fax) => Err(error.into()),
            Err(Other::Document(error)) => Err(error),
        },
    }
}

/// What each page says of its size, as far as that can be read.
fn densities(data: &[u8]) -> Vec<Option<Density>> {
    let mut said = Vec::new();
    let Ok(mut decoder) = Decoder::new(Cursor::new(data)) else { return said };
    while said.len() < MAX_PAGES {
        said.push(density(&mut decoder));
        if !decoder.more_images() || decoder.next_image().is_err() {
            break;
        }
    }
    said
}

/// A fax page of another width is fitted like a picture.
fn fitted(page: Page, said: Option<Density>, resolution: Resolution) -> Result<Page, DocumentError> {
    if page.width() == A4_WIDTH {
        return Ok(page);
    }
    let mut grey = Grey::white(page.width(), page.height())?;
    for (y, row) in (0..page.height()).zip(grey.pixels.chunks_mut(page.width() as usize)) {
        for (x, pixel) in (0..page.width()).zip(row) {
            *pixel = if page.pixel(x, y) { 0 } else { 255 };
        }
    }
    let (across, down) = page.resolution().dpi();
    // The wider lines of T.4 are of wider sheets (B4, A3), unless they are of finer dots.
    grey.density = said.or(Some(Density { across: f64::from(across), down: f64::from(down) }));
    place::picture(grey, resolution)
}

enum Other {
    /// It claims to be a fax.
    Fax,
    Document(DocumentError),
}

impl From<DocumentError> for Other {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

impl From<tiff::TiffError> for Other {
    fn from(error: tiff::TiffError) -> Self {
        Self::Document(DocumentError::Tiff(error.to_string()))
    }
}

fn pictures(data: &[u8], resolution: Resolution) -> Result<Vec<Page>, Other> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = 512 << 20;
    limits.intermediate_buffer_size = 128 << 20;
    let mut data = data.to_vec();
    let palettes = palettes_as_greys(&mut data);
    let mut decoder = Decoder::new(Cursor::new(data.as_slice()))?.with_limits(limits);
    let mut pages = Vec::new();
    loop {
        if pages.len() >= MAX_PAGES {
            return Err(DocumentError::Pages(pages.len() + 1).into());
        }
        let palette = palettes.get(pages.len()).copied().unwrap_or(false);
        pages.push(place::picture(picture(&mut decoder, palette)?, resolution)?);
        if !decoder.more_images() {
            return Ok(pages);
        }
        decoder.next_image()?;
    }
}

/// The decoder knows no palettes (TIFF 6.0 section 5), but their codes are laid out like greys: where PhotometricInterpretation
/// says palette it is made to say grey, and each page's answer is whether that was so.
fn palettes_as_greys(data: &mut [u8]) -> Vec<bool> {
    const PHOTOMETRIC: u16 = 262;
    let little = data.starts_with(b"II");
    let two = |data: &[u8], at: usize| -> Option<u16> {
        let octets: [u8; 2] = data.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(octets) } else { u16::from_be_bytes(octets) })
    };
    let four = |data: &[u8], at: usize| -> Option<usize> {
        let octets: [u8; 4] = data.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(octets) } else { u32::from_be_bytes(octets) } as usize)
    };
    let mut palettes = Vec::new();
    let mut next = four(data, 4);
    while let Some(at) = next.filter(|at| *at != 0 && palettes.len() < MAX_PAGES) {
        let Some(entries) = two(data, at).map(usize::from) else { break };
        let mut palette = false;
        for entry in 0..entries {
            let field = at + 2 + entry * 12;
            if two(data, field) == Some(PHOTOMETRIC) && two(data, field + 8) == Some(3) {
                palette = true;
                let grey: [u8; 2] = if little { [1, 0] } else { [0, 1] };
                if let Some(value) = data.get_mut(field + 8..field + 10) {
                    value.copy_from_slice(&grey);
                }
            }
        }
        palettes.push(palette);
        next = four(data, at + 2 + entries * 12);
    }
    palettes
}

fn picture(decoder: &mut Decoder<Cursor<&[u8]>>, palette: bool) -> Result<Grey, Other> {
    let number = |decoder: &mut Decoder<Cursor<&[u8]>>, tag: Tag| -> Result<Option<u16>, Other> {
        Ok(decoder.find_tag_unsigned::<u16>(tag)?)
    };
    if number(decoder, Tag::Compression)?.is_some_and(|code| FAX_CODES.contains(&code)) {
        return Err(Other::Fax);
    }
    let unknown = |what: &str| Other::from(DocumentError::Tiff(what.to_owned()));
    let (width, height) = decoder.dimensions()?;
    grey::check(width, height)?;
    let color = decoder.colortype()?;
    let planes = number(decoder, Tag::PlanarConfiguration)?.unwrap_or(1);
    let samples = match color {
        ColorType::Gray(_) => 1,
        ColorType::GrayA(_) => 2,
        ColorType::RGB(_) | ColorType::YCbCr(_) => 3,
        ColorType::RGBA(_) | ColorType::CMYK(_) => 4,
        _ => return Err(unknown("its colours are not known here")),
    };
    if planes != 1 && samples > 1 {
        return Err(unknown("its colours are in planes"));
    }
    let palette = if palette { decoder.get_tag_u16_vec(Tag::ColorMap)? } else { Vec::new() };
    let density = density(decoder);
    let orientation = number(decoder, Tag::Orientation)?.unwrap_or(1);
    let decoded = decoder.read_image()?;
    let mut grey = Grey::white(width, height)?;
    let bits = u32::from(color.bit_depth());
    match decoded {
        DecodingResult::U8(octets) if bits == 8 => {
            for (pixel, sample) in grey.pixels.iter_mut().zip(octets.chunks_exact(samples)) {
                *pixel = level(color, sample, &palette);
            }
        }
        // Narrower samples stay packed, each line on its own octets.
        DecodingResult::U8(octets) if bits < 8 && samples == 1 => {
            let stride = (u64::from(width) * u64::from(bits)).div_ceil(8) as usize;
            for (line, row) in grey.pixels.chunks_mut(width as usize).zip(octets.chunks_exact(stride)) {
                for (x, pixel) in (0u32..).zip(line) {
                    let at = x * bits;
                    let octet = u32::from(row.get((at / 8) as usize).copied().unwrap_or(0));
                    let code = octet.checked_shr(8u32.saturating_sub(bits + at % 8)).unwrap_or(0) & ((1 << bits) - 1);
                    *pixel = if palette.is_empty() {
                        (code * 255 / ((1 << bits) - 1)) as u8
                    } else {
                        from_palette(code as usize, &palette)
                    };
                }
            }
        }
        DecodingResult::U16(words) if bits == 16 => {
            for (pixel, sample) in grey.pixels.iter_mut().zip(words.chunks_exact(samples)) {
                let narrow: Vec<u8> = sample.iter().map(|word| (word >> 8) as u8).collect();
                *pixel = level(color, &narrow, &palette);
            }
        }
        _ => return Err(unknown("its samples are not of 1 to 8 or 16 bits")),
    }
    grey.density = density;
    Ok(grey.upright(orientation))
}

fn level(color: ColorType, sample: &[u8], palette: &[u16]) -> u8 {
    match (color, sample) {
        (_, [code]) if !palette.is_empty() => from_palette(usize::from(*code), palette),
        (ColorType::CMYK(_), [c, m, y, k]) => {
            let light = |ink: u8| ((u32::from(255 - ink) * u32::from(255 - *k) + 127) / 255) as u8;
            grey::luminance(light(*c), light(*m), light(*y))
        }
        (ColorType::YCbCr(_), [luma, ..]) => *luma,
        (_, sample) => grey::of_sample(sample),
    }
}

/// TIFF 6.0 section 5: all reds, all greens, all blues.
fn from_palette(code: usize, palette: &[u16]) -> u8 {
    let colours = palette.len() / 3;
    let part = |which: usize| palette.get(which * colours + code).map_or(255, |word| (word >> 8) as u8);
    if code < colours { grey::luminance(part(0), part(1), part(2)) } else { 255 }
}

fn density(decoder: &mut Decoder<Cursor<&[u8]>>) -> Option<Density> {
    let unit = decoder.find_tag_unsigned::<u16>(Tag::ResolutionUnit).ok()?.unwrap_or(2);
    let per_inch = match unit {
        2 => 1.0,
        3 => 2.54,
        _ => return None,
    };
    let mut number = |tag: Tag| match decoder.find_tag(tag).ok()?? {
        tiff::decoder::ifd::Value::Rational(numerator, denominator) if denominator > 0 => {
            Some(f64::from(numerator) / f64::from(denominator) * per_inch)
        }
        _ => None,
    };
    let (across, down) = (number(Tag::XResolution)?, number(Tag::YResolution)?);
    (across >= 1.0 && down >= 1.0).then_some(Density { across, down })
}
