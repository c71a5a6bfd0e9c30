//! Type: which font the words are set in, how wide a line is, how it is fitted or broken, and how it is drawn.
//! Line breaking keeps to the few rules of JIS X 4051 that matter here: no line begins with closing punctuation.

use std::path::Path;
use std::sync::Arc;

use super::bitmap_font::{self, Glyph};
use super::canvas::{Canvas, rounded};
use super::palette::Pair;
use super::scalable_font::{FontError, ScalableFont};

/// What the words are set in.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Font {
    /// The type that a crate carries: always there, the same on every machine.
    #[default]
    Bitmap,
    /// A font of the system; characters it lacks are taken from the bitmap type.
    Scalable(Arc<ScalableFont>),
}

/// A line of text placed on the canvas.
#[derive(Clone, Copy)]
pub struct Place {
    /// Left end.
    pub x: f32,
    /// Baseline.
    pub y: f32,
    /// Size of the em in pixels.
    pub em: f32,
    /// Width as part of the natural width.
    pub condense: f32,
}

/// Characters that must not begin a line.
const CLOSING: &str = "、。，．）」』】・：；！？ー…,.:;!?)]}様々ぁぃぅぇぉっゃゅょァィゥェォッャュョ";

impl Font {
    /// A font from a file (TrueType, OpenType, or the first of a collection).
    pub fn open(path: &Path) -> Result<Self, FontError> {
        ScalableFont::open(path).map(|font| Self::Scalable(Arc::new(font)))
    }

    /// A scalable Japanese font of this system, or else the bitmap type.
    pub fn best_available() -> Self {
        ScalableFont::find().map_or(Self::Bitmap, |font| Self::Scalable(Arc::new(font)))
    }

    /// A capital's height as part of the em.
    pub fn cap_ratio(&self) -> f32 {
        match self {
            Self::Bitmap => bitmap_font::CAP_RATIO,
            Self::Scalable(font) => font.cap_ratio(),
        }
    }

    /// Whether a character can be drawn; otherwise a box stands for it.
    pub fn has(&self, c: char) -> bool {
        self.scalable(c).is_some() || bitmap_font::advance(c, 1.0).is_some()
    }

    fn scalable(&self, c: char) -> Option<&ScalableFont> {
        match self {
            Self::Scalable(font) if font.has(c) => Some(font),
            _ => None,
        }
    }

    fn advance(&self, c: char, em: f32) -> f32 {
        match self.scalable(c) {
            Some(font) => font.advance(c, em),
            None => bitmap_font::advance(c, em).unwrap_or(em * 0.8),
        }
    }

    /// How wide a line is.
    pub fn width(&self, text: &str, em: f32) -> f32 {
        text.chars().map(|c| self.advance(c, em)).sum()
    }

    /// Draws a line and returns where it ends.
    pub fn draw(&self, canvas: &mut Canvas, text: &str, pair: Pair, place: Place) -> f32 {
        let Place { mut x, y, em, condense } = place;
        for c in text.chars() {
            let mut paint = |px, py, cover| canvas.blend(px, py, pair.ink, cover);
            if let Some(font) = self.scalable(c) {
                font.draw(c, (x, y), em, condense, &mut paint);
                x += font.advance(c, em) * condense;
            } else if let Some(glyph) = Glyph::of(c) {
                glyph.draw((x, y), em, condense, &mut paint);
                x += self.advance(c, em) * condense;
            } else {
                let area = [x + em * 0.08, y - em * 0.74, x + em * 0.72 * condense, y];
                let stroke = (em / 28.0).max(1.0);
                canvas.shape(area, pair.ink, |px, py| (rounded((px, py), area, em * 0.05) + stroke).abs() - stroke);
                x += em * 0.8 * condense;
            }
        }
        x
    }

    /// Breaks a text into lines no wider than `width`; a word wider than a line is broken where it must be.
    pub fn wrap(&self, text: &str, em: f32, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for piece in pieces(text) {
            let joined = format!("{line}{piece}");
            if self.width(joined.trim_end(), em) <= width {
                line = joined;
                continue;
            }
            if !line.trim_end().is_empty() {
                lines.push(line.trim_end().to_owned());
            }
            line = String::new();
            for c in piece.trim_start().chars() {
                if !line.is_empty() && self.width(&format!("{line}{c}"), em) > width {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(c);
            }
        }
        if !line.trim_end().is_empty() {
            lines.push(line.trim_end().to_owned());
        }
        lines
    }

    /// The text cut to `width`, with an ellipsis if something was cut.
    pub fn cut(&self, text: &str, em: f32, width: f32) -> String {
        if self.width(text, em) <= width {
            return text.to_owned();
        }
        let mut kept = String::new();
        for c in text.chars() {
            if self.width(&format!("{kept}{c}…"), em) > width {
                break;
            }
            kept.push(c);
        }
        format!("{}…", kept.trim_end())
    }
}

/// The stretches of a text that a line may not be broken within.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut before: Option<char> = None;
    for c in text.chars() {
        let breakable = match before {
            None => true,
            Some(' ') => c != ' ',
            Some(b) => (wide(b) || wide(c)) && c != ' ' && !CLOSING.contains(c) && b != '（',
        };
        match pieces.last_mut() {
            Some(piece) if !breakable => piece.push(c),
            _ => pieces.push(c.to_string()),
        }
        before = Some(c);
    }
    pieces
}

/// Characters of scripts that are written without spaces.
fn wide(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff01}'..='\u{ff60}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_begin_with_closing_punctuation() {
        let font = Font::Bitmap;
        for width in 100..500 {
            let lines = font.wrap("暗証番号が違います。残り2回（使用停止）", 40.0, width as f32);
            for line in &lines[1..] {
                let first = line.chars().next().unwrap_or(' ');
                assert!(!"。）".contains(first), "{lines:?}");
            }
            assert_eq!(lines.concat(), "暗証番号が違います。残り2回（使用停止）");
        }
    }

    #[test]
    fn words_stay_whole_where_they_can() {
        let font = Font::Bitmap;
        let lines = font.wrap("Bartholomew Featherstone", 104.0, 900.0);
        assert_eq!(lines, ["Bartholomew", "Featherstone"]);
        let lines = font.wrap(&"m".repeat(40), 100.0, 500.0);
        assert!(lines.len() > 1);
        assert_eq!(lines.concat(), "m".repeat(40));
    }

    #[test]
    fn cutting_shows_that_something_is_missing() {
        let cut = Font::Bitmap.cut("a very long address of somebody", 40.0, 300.0);
        assert!(cut.ends_with('…'));
        assert!(Font::Bitmap.width(&cut, 40.0) <= 300.0);
    }

    #[test]
    fn characters_of_other_planes_are_boxes_not_others() {
        assert!(!Font::Bitmap.has('\u{1f600}'));
        assert!(!Font::Bitmap.has('\u{10041}'), "U+10041 is not an A");
        assert!(Font::Bitmap.has('A'));
    }
}
