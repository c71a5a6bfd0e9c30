//! The scanner of an IFAX terminal (ST703): a file becomes fax pages of 1728 pixels at 204x196 (ITU-T T.4 clause 2).
//! TIFF, PNG, PDF and plain text are told apart by their content; without a file the built-in letter is scanned.

use std::io::Read as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use hayro::hayro_interpret::InterpreterSettings;
use hayro::hayro_syntax::Pdf;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings};
use sealfax_ifax::page::{A4_WIDTH, Page, Resolution};
use sealfax_ifax::tiff::{self, TiffError};
use sealfax_ifax::{report, text};

/// Most pages of a document.
pub const MAX_PAGES: usize = 200;
/// Most octets of a file.
pub const MAX_OCTETS: u64 = 64 << 20;
/// Most pixels of a picture.
pub const MAX_PIXELS: u64 = 100_000_000;

/// Why a document cannot be scanned: which file, why, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// No such file.
    #[error("{}: there is no such file{}", path.display(), suggestion.as_ref().map_or_else(|| "; check the name and the folder".to_owned(), |name| format!("; did you mean {name}?")))]
    NotFound {
        /// The path given.
        path: PathBuf,
        /// The nearest name in that folder.
        suggestion: Option<String>,
    },
    /// It cannot be read.
    #[error("{}: it cannot be read ({source}); {}", path.display(), if path.is_dir() { "name a file in it" } else { "check its permissions" })]
    Read {
        /// The path given.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Over [`MAX_OCTETS`].
    #[error("{}: the file is over {} MiB; split the document", path.display(), MAX_OCTETS >> 20)]
    TooLarge {
        /// The path given.
        path: PathBuf,
    },
    /// Neither TIFF, PNG, PDF nor text.
    #[error("{}: this is neither TIFF, PNG, PDF nor plain text; print it into a PDF first", path.display())]
    Unsupported {
        /// The path given.
        path: PathBuf,
    },
    /// The TIFF is no fax document.
    #[error("{}: {source}; other kinds of TIFF can be sent as PNG or PDF", path.display())]
    Tiff {
        /// The path given.
        path: PathBuf,
        /// Why.
        source: TiffError,
    },
    /// The PNG is damaged or too large.
    #[error("{}: the PNG cannot be decoded ({source}); save it again", path.display())]
    Png {
        /// The path given.
        path: PathBuf,
        /// Why.
        source: png::DecodingError,
    },
    /// The PDF is damaged or protected.
    #[error("{}: the PDF cannot be drawn ({why}); print it into a new PDF without a password", path.display())]
    Pdf {
        /// The path given.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A picture over [`MAX_PIXELS`].
    #[error("{}: a picture of {width}x{height} pixels is too large; scan it at 200 to 300 dots per inch", path.display())]
    Pixels {
        /// The path given.
        path: PathBuf,
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// Over [`MAX_PAGES`], or none at all.
    #[error("{}: the document has {pages} pages; 1 to {MAX_PAGES} can be sent at a time", path.display())]
    Pages {
        /// The path given.
        path: PathBuf,
        /// Pages found.
        pages: usize,
    },
}

/// Scans a document, or the built-in letter where there is none.
pub fn scan(path: Option<&Path>) -> Result<Vec<Page>, ScanError> {
    let Some(path) = path else { return Ok(report::test_letter()) };
    let data = load(path)?;
    let pages = if data.starts_with(b"II\x2a\0") || data.starts_with(b"MM\0\x2a") {
        from_tiff(path, &data)?
    } else if data.starts_with(b"\x89PNG\r\n\x1a\n") {
        vec![from_png(path, &data)?]
    } else if data.get(..1024).unwrap_or(&data).windows(5).any(|window| window == b"%PDF-") {
        from_pdf(path, data)?
    } else {
        match std::str::from_utf8(&data) {
            Ok(words) if !words.contains('\0') => text::pages_from_text(words),
            _ => return Err(ScanError::Unsupported { path: path.to_owned() }),
        }
    };
    if pages.is_empty() || pages.len() > MAX_PAGES {
        return Err(ScanError::Pages { path: path.to_owned(), pages: pages.len() });
    }
    Ok(pages)
}

fn load(path: &Path) -> Result<Vec<u8>, ScanError> {
    let open = std::fs::File::open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ScanError::NotFound { path: path.to_owned(), suggestion: nearest_name(path) },
        _ => ScanError::Read { path: path.to_owned(), source },
    })?;
    let mut data = Vec::new();
    let read = open.take(MAX_OCTETS + 1).read_to_end(&mut data);
    read.map_err(|source| ScanError::Read { path: path.to_owned(), source })?;
    if data.len() as u64 > MAX_OCTETS {
        return Err(ScanError::TooLarge { path: path.to_owned() });
    }
    Ok(data)
}

/// The name in the same folder that a typing mistake separates least from the one given.
fn nearest_name(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_string_lossy().to_lowercase();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names = std::fs::read_dir(folder).ok()?.take(1000).filter_map(Result::ok);
    let scored = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let scored = scored.map(|name| (distance(&wanted, &name.to_lowercase()), name));
    let (mistakes, name) = scored.min()?;
    (mistakes <= 2 + wanted.chars().count() / 8).then(|| folder.join(name).display().to_string())
}

/// Characters to insert, remove or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(256).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(256).enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (cb, pair) in b.iter().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            left = (diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

fn from_tiff(path: &Path, data: &[u8]) -> Result<Vec<Page>, ScanError> {
    let limits = tiff::Limits { pages: MAX_PAGES, ..tiff::Limits::default() };
    let pages = tiff::read(data, &limits).map_err(|source| ScanError::Tiff { path: path.to_owned(), source })?;
    Ok(pages.into_iter().map(|page| if page.width() == A4_WIDTH { page } else { refit(&page) }).collect())
}

/// A page of another width as grey at the sheet's width.
fn refit(page: &Page) -> Page {
    let mut grey = Grey::new(page.width(), page.height());
    for (y, row) in (0..page.height()).zip(grey.pixels.chunks_mut(page.width() as usize)) {
        for (x, pixel) in (0..page.width()).zip(row) {
            *pixel = if page.pixel(x, y) { 0 } else { 255 };
        }
    }
    let (across, down) = page.resolution().dpi();
    grey.to_page(f64::from(across) / f64::from(down))
}

fn from_png(path: &Path, data: &[u8]) -> Result<Page, ScanError> {
    let bad = |source| ScanError::Png { path: path.to_owned(), source };
    let mut decoder = png::Decoder::new(std::io::Cursor::new(data));
    decoder.set_limits(png::Limits { bytes: 512 << 20 });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(bad)?;
    let (width, height) = (reader.info().width, reader.info().height);
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ScanError::Pixels { path: path.to_owned(), width, height });
    }
    let Some(size) = reader.output_buffer_size().filter(|size| *size as u64 <= MAX_PIXELS * 4) else {
        return Err(ScanError::Pixels { path: path.to_owned(), width, height });
    };
    let mut octets = vec![0; size];
    let frame = reader.next_frame(&mut octets).map_err(bad)?;
    let samples = frame.color_type.samples();
    let mut grey = Grey::new(width, height);
    for (pixel, sample) in grey.pixels.iter_mut().zip(octets.chunks_exact(samples)) {
        *pixel = match *sample {
            [level] => level,
            [level, alpha] => over_white(level, alpha),
            [r, g, b] => luminance(r, g, b),
            [r, g, b, alpha] => over_white(luminance(r, g, b), alpha),
            _ => 255,
        };
    }
    // A picture as wide as a fax line is a fax page already: pixel by pixel.
    if width == A4_WIDTH && height <= sealfax_ifax::page::MAX_HEIGHT {
        return Ok(grey.halftoned());
    }
    Ok(grey.to_page(1.0))
}

fn from_pdf(path: &Path, data: Vec<u8>) -> Result<Vec<Page>, ScanError> {
    let bad = |why: &str| ScanError::Pdf { path: path.to_owned(), why: why.to_owned() };
    // The renderer is another's and the file anyone's: what it does not expect must not take the rig down.
    let drawn = std::panic::catch_unwind(AssertUnwindSafe(|| draw_pdf(path, data)));
    drawn.unwrap_or_else(|_| Err(bad("the renderer gave up")))
}

fn draw_pdf(path: &Path, data: Vec<u8>) -> Result<Vec<Page>, ScanError> {
    let bad = |why: String| ScanError::Pdf { path: path.to_owned(), why };
    let pdf = Pdf::new(data).map_err(|error| bad(format!("{error:?}")))?;
    let count = pdf.pages().len();
    if count == 0 || count > MAX_PAGES {
        return Err(ScanError::Pages { path: path.to_owned(), pages: count });
    }
    let cache = RenderCache::new();
    let sheet = Resolution::Fine.a4_lines() as f32;
    let aspect = 196.0 / 204.0;
    let mut pages = Vec::new();
    for page in pdf.pages().iter() {
        let (width, height) = page.render_dimensions();
        if !(width >= 1.0 && height >= 1.0 && width <= 100_000.0 && height <= 100_000.0) {
            return Err(bad(format!("a page of {width}x{height} points")));
        }
        // The last hundredth keeps a full sheet's right and bottom edge on the page.
        let x_scale = (A4_WIDTH as f32 / width).min(sheet / (height * aspect)) + 0.01 / width.max(height);
        let settings = PixmapSettings { x_scale, y_scale: x_scale * aspect, bg_color: WHITE };
        let pixmap =
            hayro::render(page, &cache, &InterpreterSettings::default(), &RenderSettings::default(), &settings);
        let mut grey = Grey::new(u32::from(pixmap.width()), u32::from(pixmap.height()));
        for (pixel, sample) in grey.pixels.iter_mut().zip(pixmap.data_as_u8_slice().chunks_exact(4)) {
            if let [r, g, b, _] = *sample {
                *pixel = luminance(r, g, b);
            }
        }
        pages.push(placed(&grey.halftoned()));
    }
    Ok(pages)
}

fn luminance(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29) >> 8) as u8
}

fn over_white(level: u8, alpha: u8) -> u8 {
    let (level, alpha) = (u32::from(level), u32::from(alpha));
    ((level * alpha + 255 * (255 - alpha)) / 255) as u8
}

/// Puts a picture no larger than an A4 sheet at its top, in the middle.
fn placed(picture: &Page) -> Page {
    let mut page = Page::a4(Resolution::Fine);
    let left = page.width().saturating_sub(picture.width()) / 2;
    for y in 0..picture.height() {
        for x in 0..picture.width() {
            if picture.pixel(x, y) {
                page.set(left + x, y, true);
            }
        }
    }
    page
}

/// A grey picture, 0 black, 255 white.
struct Grey {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Grey {
    fn new(width: u32, height: u32) -> Self {
        Self { width, height, pixels: vec![255; width as usize * height as usize] }
    }

    fn at(&self, x: u32, y: u32) -> u8 {
        self.pixels.get(y as usize * self.width as usize + x as usize).copied().unwrap_or(255)
    }

    /// Fits the picture into an A4 sheet at 204x196. `pixel_aspect` is the height of its pixels over their width.
    fn to_page(&self, pixel_aspect: f64) -> Page {
        let sheet = f64::from(Resolution::Fine.a4_lines());
        let shape = pixel_aspect * 196.0 / 204.0;
        let scale = (f64::from(A4_WIDTH) / f64::from(self.width)).min(sheet / (f64::from(self.height) * shape));
        let width = ((f64::from(self.width) * scale).round() as u32).clamp(1, A4_WIDTH);
        let height = ((f64::from(self.height) * scale * shape).round() as u32).clamp(1, Resolution::Fine.a4_lines());
        placed(&self.resized(width, height).halftoned())
    }

    /// Each new pixel is the mean of those it covers, or the nearest one where it covers less than one.
    fn resized(&self, width: u32, height: u32) -> Self {
        let mut out = Self::new(width, height);
        let span = |i: u32, new: u32, old: u32| {
            let from = (u64::from(i) * u64::from(old) / u64::from(new)) as u32;
            let to = (u64::from(i + 1) * u64::from(old) / u64::from(new)) as u32;
            (from, to.max(from + 1).min(old))
        };
        let columns: Vec<(u32, u32)> = (0..width).map(|x| span(x, width, self.width)).collect();
        for (y, row) in (0..height).zip(out.pixels.chunks_mut(width as usize)) {
            let (top, bottom) = span(y, height, self.height);
            for ((left, right), pixel) in columns.iter().copied().zip(row) {
                let mut sum = 0u64;
                for sy in top..bottom {
                    let start = sy as usize * self.width as usize;
                    let covered = self.pixels.get(start + left as usize..start + right as usize).unwrap_or_default();
                    sum += covered.iter().map(|level| u64::from(*level)).sum::<u64>();
                }
                let count = u64::from(right - left) * u64::from(bottom - top);
                *pixel = sum.checked_div(count).map_or(255, |mean| mean as u8);
            }
        }
        out
    }

    /// Black and white: text and lines by threshold, photographs by Floyd-Steinberg error diffusion, decided tile
    /// by tile from how much grey there is.
    fn halftoned(&self) -> Page {
        const TILE: u32 = 32;
        let Ok(mut page) = Page::blank(self.width, self.height, Resolution::Fine) else {
            return Page::a4(Resolution::Fine);
        };
        let tiles_across = self.width.div_ceil(TILE) as usize;
        let photo: Vec<bool> = (0..self.height.div_ceil(TILE))
            .flat_map(|ty| (0..self.width.div_ceil(TILE)).map(move |tx| (tx, ty)))
            .map(|(tx, ty)| self.is_photograph(tx * TILE, ty * TILE, TILE))
            .collect();
        // Errors of this line and the next, one pixel of room at either end.
        let mut here = vec![0i32; self.width as usize + 2];
        for y in 0..self.height {
            let mut below = vec![0i32; here.len()];
            for x in 0..self.width {
                let i = x as usize + 1;
                let level = i32::from(self.at(x, y));
                if !photo.get((y / TILE) as usize * tiles_across + (x / TILE) as usize).copied().unwrap_or(false) {
                    page.set(x, y, level < 128);
                    continue;
                }
                let value = level + here.get(i).copied().unwrap_or(0) / 16;
                let black = value < 128;
                page.set(x, y, black);
                let error = if black { value } else { value - 255 };
                let spread = |row: &mut Vec<i32>, at: usize, share: i32| {
                    if let Some(cell) = row.get_mut(at) {
                        *cell += error * share;
                    }
                };
                spread(&mut here, i + 1, 7);
                spread(&mut below, i - 1, 3);
                spread(&mut below, i, 5);
                spread(&mut below, i + 1, 1);
            }
            here = below;
        }
        page
    }

    fn is_photograph(&self, left: u32, top: u32, tile: u32) -> bool {
        let (right, bottom) = ((left + tile).min(self.width), (top + tile).min(self.height));
        let mut grey = 0;
        for y in top..bottom {
            for x in left..right {
                grey += u32::from((64..=191).contains(&self.at(x, y)));
            }
        }
        // Smoothed edges of letters are grey too, but never a third of a tile.
        grey * 3 > (right - left) * (bottom - top)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn file(name: &str, octets: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, octets).unwrap();
        (dir, path)
    }

    fn png(width: u32, height: u32, level: impl Fn(u32, u32) -> u8) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let pixels: Vec<u8> =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| level(x, y)).collect();
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        out
    }

    /// A PDF of one page with one black rectangle, in points from the lower left corner.
    fn pdf(width: u32, height: u32, rectangle: &str) -> Vec<u8> {
        let drawing = format!("0 g {rectangle} re f");
        let objects = [
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents 4 0 R /Resources << >> >>"
            ),
            format!("<< /Length {} >>\nstream\n{drawing}\nendstream", drawing.len()),
        ];
        let mut out = "%PDF-1.4\n".to_owned();
        let mut offsets = Vec::new();
        for (i, object) in objects.iter().enumerate() {
            offsets.push(out.len());
            out += &format!("{} 0 obj\n{object}\nendobj\n", i + 1);
        }
        let start = out.len();
        out += "xref\n0 5\n0000000000 65535 f \n";
        for offset in offsets {
            out += &format!("{offset:010} 00000 n \n");
        }
        out += &format!("trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n");
        out.into_bytes()
    }

    #[test]
    fn without_a_file_the_letter_is_scanned() {
        let pages = scan(None).unwrap();
        assert_eq!((pages[0].width(), pages[0].height()), (1728, 2292));
    }

    #[test]
    fn fax_pages_pass_pixel_by_pixel() {
        let letter = report::test_letter();
        let (_dir, path) = file("letter.tif", &tiff::write(&letter).unwrap());
        assert_eq!(scan(Some(&path)).unwrap(), letter);
        let (_dir, path) = file("letter.png", &png(1728, 2292, |x, y| if letter[0].pixel(x, y) { 0 } else { 255 }));
        assert_eq!(scan(Some(&path)).unwrap(), letter);
    }

    #[test]
    fn pictures_are_fitted_with_white_margins() {
        let (_dir, path) = file("tall.png", &png(100, 1000, |_, _| 0));
        let page = scan(Some(&path)).unwrap().remove(0);
        assert_eq!((page.width(), page.height()), (1728, 2292));
        assert!(page.pixel(864, 5) && page.pixel(864, 2290) && !page.pixel(600, 1000) && !page.pixel(1100, 1000));
    }

    #[test]
    fn photographs_are_dithered_and_text_is_not() {
        let (_dir, path) = file("grey.png", &png(600, 600, |_, _| 128));
        let page = scan(Some(&path)).unwrap().remove(0);
        let share = page.black_pixels() as f64 / (1728.0 * 1660.0);
        assert!((0.45..0.55).contains(&share), "{share}");
        let (_dir, path) = file("text.png", &png(600, 600, |x, _| if x % 60 < 10 { 60 } else { 250 }));
        let page = scan(Some(&path)).unwrap().remove(0);
        assert!((0..1660).all(|y| page.row(y) == page.row(0)));
    }

    #[test]
    fn a_pdf_is_drawn_at_fax_resolution() {
        // An A4 sheet whose left half is black.
        let (_dir, path) = file("half.pdf", &pdf(595, 842, "0 0 297.5 842"));
        let page = scan(Some(&path)).unwrap().remove(0);
        assert_eq!((page.width(), page.height()), (1728, 2292));
        assert!(page.pixel(400, 1000) && !page.pixel(1300, 1000));
    }

    #[test]
    fn text_and_its_absence_are_understood() {
        let (_dir, path) = file("note.txt", "親展\nconfidential\n".as_bytes());
        assert!(scan(Some(&path)).unwrap()[0].black_pixels() > 100);
        let (_dir, path) = file("x.docx", b"PK\x03\x04\0\0\xff\xfe");
        assert!(matches!(scan(Some(&path)), Err(ScanError::Unsupported { .. })));
        let (_dir, path) = file("cut.png", &png(50, 50, |_, _| 0)[..60]);
        assert!(matches!(scan(Some(&path)), Err(ScanError::Png { .. })));
        let (_dir, path) = file("cut.pdf", b"%PDF-1.7\nnothing");
        assert!(matches!(scan(Some(&path)), Err(ScanError::Pdf { .. } | ScanError::Pages { .. })));
        let (_dir, path) = file("cut.tif", b"II\x2a\0\xff\xff\0\0");
        assert!(matches!(scan(Some(&path)), Err(ScanError::Tiff { .. })));
    }

    #[test]
    fn a_typing_mistake_is_answered_with_the_nearest_name() {
        let (dir, path) = file("referral-letter.pdf", b"%PDF-");
        let wrong = dir.path().join("referal-leter.pdf");
        let error = scan(Some(&wrong)).unwrap_err().to_string();
        assert!(error.contains("did you mean") && error.contains(&path.display().to_string()), "{error}");
        let error = scan(Some(&dir.path().join("zzzzzzzzzzzz.tif"))).unwrap_err().to_string();
        assert!(error.contains("check the name"), "{error}");
        assert!(matches!(scan(Some(dir.path())), Err(ScanError::Read { .. })));
    }
}
