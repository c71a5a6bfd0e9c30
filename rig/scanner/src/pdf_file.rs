//! PDF (ISO 32000), drawn by hayro at the page's own resolution: upright, in true size, each page on the sheet it has.

use std::panic::AssertUnwindSafe;

use hayro::hayro_interpret::InterpreterSettings;
use hayro::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings};
use sealfax_ifax::page::{Page, Resolution};

use crate::MAX_PAGES;
use crate::dither::halftone;
use crate::error::DocumentError;
use crate::grey::{Grey, Turn, luminance};
use crate::place::{self, Paper};

/// Points of an inch.
const POINTS: f64 = 72.0;
/// A page that nests its drawings deeply wants a deep stack.
const STACK: usize = 64 << 20;

pub(crate) fn pages(data: Vec<u8>, resolution: Resolution) -> Result<Vec<Page>, DocumentError> {
    // The renderer is another's and the file anyone's: what it does not expect must not take the program down.
    let draw = move || std::panic::catch_unwind(AssertUnwindSafe(|| draw(data, resolution)));
    let drawn = std::thread::Builder::new().name("pdf".into()).stack_size(STACK).spawn(draw);
    let gave_up = || DocumentError::Pdf("the renderer gave up".into());
    drawn
        .map_err(|error| DocumentError::Pdf(error.to_string()))?
        .join()
        .ok()
        .and_then(Result::ok)
        .ok_or_else(gave_up)?
}

fn draw(data: Vec<u8>, resolution: Resolution) -> Result<Vec<Page>, DocumentError> {
    let pdf = Pdf::new(data).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => DocumentError::Encrypted,
        other => DocumentError::Pdf(format!("{other:?}")),
    })?;
    let count = pdf.pages().len();
    if count == 0 || count > MAX_PAGES {
        return Err(DocumentError::Pages(count));
    }
    let cache = RenderCache::new();
    let mut pages = Vec::new();
    for page in pdf.pages().iter() {
        let (width, height) = page.render_dimensions();
        if !(width >= 1.0 && height >= 1.0 && width <= 100_000.0 && height <= 100_000.0) {
            return Err(DocumentError::Pdf(format!("a page of {width}x{height} points")));
        }
        let (width, height) = (f64::from(width), f64::from(height));
        let landscape = place::is_landscape(width, height);
        let upright = if landscape { (height, width) } else { (width, height) };
        let paper = Paper::of(upright.0, upright.1);
        // The last hundredth keeps a full sheet's right and bottom edge on the page.
        let scale = place::scale(upright, Some(POINTS), 1.0, paper, resolution) + 0.01 / width.max(height);
        let (across, down) = (scale as f32, (scale * place::shape(resolution)) as f32);
        let (x_scale, y_scale) = if landscape { (down, across) } else { (across, down) };
        let settings = PixmapSettings { x_scale, y_scale, bg_color: WHITE };
        let pixmap =
            hayro::render(page, &cache, &InterpreterSettings::default(), &RenderSettings::default(), &settings);
        let mut grey = Grey::white(u32::from(pixmap.width()), u32::from(pixmap.height()))?;
        for (pixel, sample) in grey.pixels.iter_mut().zip(pixmap.data_as_u8_slice().chunks_exact(4)) {
            if let [r, g, b, _] = *sample {
                *pixel = luminance(r, g, b);
            }
        }
        drop(pixmap);
        let grey = grey.turned(if landscape { Turn::Right } else { Turn::None });
        let size = DocumentError::Pixels { width: grey.width, height: grey.height };
        let drawn = halftone(&grey, resolution).map_err(|_| size)?;
        pages.push(place::on_sheet(&drawn, paper, resolution)?);
    }
    Ok(pages)
}
