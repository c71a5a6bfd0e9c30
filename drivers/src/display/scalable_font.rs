//! A scalable Japanese font of the system (TrueType or CFF outlines, ISO/IEC 14496-22, also in collections).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use swash::scale::{Render, ScaleContext, Source};
use swash::zeno::{Format, Transform, Vector};
use swash::{CacheKey, FontRef};

use super::font_file::FontFile;

/// Largest font file that is read; the largest in use, a pan-CJK collection, has 20 MiB.
const MAX_FILE: u64 = 64 << 20;

/// Where distributions put fonts with Japanese, the best for a distant eye first.
const USUAL_PLACES: [&str; 12] = [
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Bold.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Bold.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Medium.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf",
    "/usr/share/fonts/opentype/ipafont-gothic/ipagp.ttf",
    "/usr/share/fonts/truetype/vlgothic/VL-PGothic-Regular.ttf",
    "/usr/share/fonts/truetype/vlgothic/VL-Gothic-Regular.ttf",
    "/usr/share/fonts/truetype/fonts-japanese-gothic.ttf",
];

/// Why a font cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FontError {
    /// The file cannot be read.
    #[error("the font {path} cannot be read; check the path, or remove it to use the built-in type")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than any font.
    #[error("the font {path} is larger than 64 MiB; configure another one")]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// The file is no TrueType or OpenType font, or lacks what drawing needs.
    #[error("the font {path} is no usable TrueType or OpenType font; install one such as fonts-noto-cjk")]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// The font has no Japanese.
    #[error("the font {path} has no Japanese characters; install one such as fonts-noto-cjk")]
    NotJapanese {
        /// Which file.
        path: PathBuf,
    },
}

/// A font read from a file.
pub struct ScalableFont {
    octets: FontFile,
    offset: u32,
    key: CacheKey,
    path: PathBuf,
    cap_ratio: f32,
    /// Scratch memory of the rasteriser.
    scratch: Mutex<ScaleContext>,
}

impl std::fmt::Debug for ScalableFont {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScalableFont({})", self.path.display())
    }
}

impl ScalableFont {
    /// Reads a font; of a collection, its first.
    pub fn open(path: &Path) -> Result<Self, FontError> {
        let read = |source| FontError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(read)?.len() > MAX_FILE {
            return Err(FontError::TooLarge { path: path.to_owned() });
        }
        let malformed = || FontError::Malformed { path: path.to_owned() };
        let octets = std::fs::File::open(path).and_then(|file| FontFile::map(&file)).map_err(read)?;
        let font = FontRef::from_index(&octets, 0).ok_or_else(malformed)?;
        let (offset, key) = (font.offset, font.key);
        let em = f32::from(font.metrics(&[]).units_per_em);
        let charmap = font.charmap();
        if "様親展カ（".chars().any(|c| charmap.map(c) == 0) {
            return Err(FontError::NotJapanese { path: path.to_owned() });
        }
        let mut scratch = ScaleContext::new();
        // The H itself is measured: what a font says of its capitals is not always so.
        let outline = scratch.builder(font).size(em).build().scale_outline(charmap.map('H'));
        let cap = outline.map_or(0.0, |outline| outline.bounds().height());
        // Not every font that parses can be drawn: zeros and infinities would place every glyph nowhere.
        let sound = |v: f32| v.is_finite() && v > 0.0;
        if !(sound(em) && sound(cap)) {
            return Err(malformed());
        }
        Ok(Self { octets, offset, key, path: path.to_owned(), cap_ratio: cap / em, scratch: Mutex::new(scratch) })
    }

    fn font(&self) -> FontRef<'_> {
        FontRef { data: &self.octets, offset: self.offset, key: self.key }
    }

    /// The first font with Japanese in the places where distributions put them.
    pub fn find() -> Option<Self> {
        USUAL_PLACES.iter().find_map(|path| Self::open(Path::new(path)).ok())
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A capital's height as part of the em.
    pub fn cap_ratio(&self) -> f32 {
        self.cap_ratio
    }

    /// Whether the font has a glyph for a character.
    pub fn has(&self, c: char) -> bool {
        self.font().charmap().map(c) != 0
    }

    /// From this character's origin to the next one's.
    pub fn advance(&self, c: char, em: f32) -> f32 {
        let font = self.font();
        let advance = font.glyph_metrics(&[]).scale(em).advance_width(font.charmap().map(c));
        if advance.is_finite() { advance.clamp(0.0, em * 3.0) } else { 0.0 }
    }

    /// Calls `paint` with each touched pixel and its coverage; the origin lies at (`x`, `baseline`).
    pub fn draw(
        &self,
        c: char,
        (x, baseline): (f32, f32),
        em: f32,
        condense: f32,
        mut paint: impl FnMut(i32, i32, f32),
    ) {
        let font = self.font();
        let glyph = font.charmap().map(c);
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scaler = scratch.builder(font).size(em).build();
        // A broken outline may claim to be as large as it likes; the rasteriser would allocate it.
        let Some(bounds) = scaler.scale_outline(glyph).map(|outline| outline.bounds()) else { return };
        let reach = [bounds.min.x, bounds.min.y, bounds.max.x, bounds.max.y];
        if reach.iter().any(|edge| !edge.is_finite() || edge.abs() > em * 4.0) {
            return;
        }
        let (left, bottom) = (x.floor(), baseline.floor());
        let image = Render::new(&[Source::Outline])
            .format(Format::Alpha)
            .transform(Some(Transform::scale(condense, 1.0)))
            // The picture's y axis points down, the outline's up.
            .offset(Vector::new(x - left, bottom - baseline))
            .render(&mut scaler, glyph);
        let Some(image) = image else { return };
        let (left, top) = (left as i32 + image.placement.left, bottom as i32 - image.placement.top);
        let width = image.placement.width.max(1) as usize;
        for (row, line) in (0i32..).zip(image.data.chunks(width)) {
            for (column, cover) in (0i32..).zip(line) {
                if *cover > 0 {
                    paint(left.saturating_add(column), top.saturating_add(row), f32::from(*cover) / 255.0);
                }
            }
        }
    }
}
