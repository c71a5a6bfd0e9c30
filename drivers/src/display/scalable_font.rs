//! A scalable Japanese font of the system (TrueType or CFF outlines, ISO/IEC 14496-22, also in collections).

use std::path::{Path, PathBuf};

use ab_glyph::{Font as _, FontVec, Glyph, GlyphId, PxScale, ScaleFont as _, point};

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
        /// Why.
        #[source]
        source: ab_glyph::InvalidFont,
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
    font: FontVec,
    path: PathBuf,
    /// ab_glyph scales ascent plus descent; this turns ems into that.
    scale_per_em: f32,
    cap_ratio: f32,
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
        let malformed = |source| FontError::Malformed { path: path.to_owned(), source };
        let octets = std::fs::read(path).map_err(read)?;
        let font = FontVec::try_from_vec_and_index(octets, 0).map_err(malformed)?;
        let em = font.units_per_em().unwrap_or(0.0);
        let height = font.height_unscaled();
        let cap = font.outline(font.glyph_id('H')).map_or(0.0, |o| (o.bounds.max.y - o.bounds.min.y).abs());
        // Not every font that parses can be drawn: zeros and infinities would place every glyph nowhere.
        let sound = |v: f32| v.is_finite() && v > 0.0;
        if !(sound(em) && sound(height) && sound(cap)) {
            return Err(malformed(ab_glyph::InvalidFont));
        }
        if "様親展カ（".chars().any(|c| font.glyph_id(c).0 == 0) {
            return Err(FontError::NotJapanese { path: path.to_owned() });
        }
        Ok(Self { font, path: path.to_owned(), scale_per_em: height / em, cap_ratio: cap / em })
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
        self.font.glyph_id(c).0 != 0
    }

    /// From this character's origin to the next one's.
    pub fn advance(&self, c: char, em: f32) -> f32 {
        let scaled = self.font.as_scaled(PxScale::from(em * self.scale_per_em));
        let advance = scaled.h_advance(scaled.glyph_id(c));
        if advance.is_finite() { advance.clamp(0.0, em * 3.0) } else { 0.0 }
    }

    /// How much closer (below zero) or wider two neighbours stand.
    pub fn kern(&self, before: char, after: char, em: f32) -> f32 {
        let scaled = self.font.as_scaled(PxScale::from(em * self.scale_per_em));
        let kern = scaled.kern(scaled.glyph_id(before), scaled.glyph_id(after));
        if kern.is_finite() { kern.clamp(-em / 4.0, em / 4.0) } else { 0.0 }
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
        let y = em * self.scale_per_em;
        let id: GlyphId = self.font.glyph_id(c);
        let glyph: Glyph = id.with_scale_and_position(PxScale { x: y * condense, y }, point(x, baseline));
        let Some(outlined) = self.font.outline_glyph(glyph) else {
            return;
        };
        let bounds = outlined.px_bounds();
        // A broken outline may claim to be as large as it likes; the rasteriser would allocate it.
        if !(bounds.width() <= em * 4.0 && bounds.height() <= em * 4.0) {
            return;
        }
        let (left, top) = (bounds.min.x as i32, bounds.min.y as i32);
        outlined.draw(|dx, dy, cover| {
            paint(left.saturating_add_unsigned(dx), top.saturating_add_unsigned(dy), cover);
        });
    }
}
