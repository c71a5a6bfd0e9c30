//! Text on a fax page (T.30 leaves the sending machine's own pages to it): bitmap fonts with Japanese, enlarged by
//! whole numbers with rounded corners so that they stay sharp at 204x196 dots per inch.

use std::convert::Infallible;

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::Pixel;
use embedded_graphics::primitives::Rectangle;
use u8g2_fonts::types::{FontColor, VerticalPosition};
use u8g2_fonts::{FontRenderer, fonts};

use crate::page::{A4_WIDTH, Page, Resolution};

/// Height of a line of text in font pixels; a line on the page is this times the scale.
pub const CELL: u32 = 16;
/// Most pages a text may become.
pub const MAX_TEXT_PAGES: usize = 200;
/// Most characters drawn of one line.
const MAX_LINE: usize = 400;

static REGULAR: FontRenderer = FontRenderer::new::<fonts::u8g2_font_b16_t_japanese3>();
static BOLD: FontRenderer = FontRenderer::new::<fonts::u8g2_font_b16_b_t_japanese3>();
static OTHER: FontRenderer = FontRenderer::new::<fonts::u8g2_font_unifont_t_japanese3>();
static RARE: FontRenderer = FontRenderer::new::<fonts::u8g2_font_unifont_t_chinese3>();
static WESTERN: FontRenderer = FontRenderer::new::<fonts::u8g2_font_unifont_t_extended>();

/// Size and weight of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Times the font's 16 pixels: 1, 2 or 4. 2 is about 11 points at 204 dots per inch.
    pub scale: u32,
    /// Bold where the font has it.
    pub bold: bool,
}

impl Style {
    /// Running text, 32 lines high.
    pub const BODY: Self = Self { scale: 2, bold: false };
    /// Running text, bold.
    pub const STRONG: Self = Self { scale: 2, bold: true };
    /// Titles, 64 lines high.
    pub const TITLE: Self = Self { scale: 4, bold: true };
    /// Small print, 16 lines high.
    pub const SMALL: Self = Self { scale: 1, bold: false };
}

impl OriginDimensions for Page {
    fn size(&self) -> Size {
        Size::new(self.width(), self.height())
    }
}

impl DrawTarget for Page {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, color) in pixels {
            if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) {
                self.set(x, y, color.is_on());
            }
        }
        Ok(())
    }
}

/// Blackens a rectangle; what is outside the page is left out.
pub fn fill(page: &mut Page, x: u32, y: u32, width: u32, height: u32) {
    let area = Rectangle::new(Point::new(x as i32, y as i32), Size::new(width, height));
    let Ok(()) = page.fill_solid(&area, BinaryColor::On);
}

/// The font that has a glyph for the character, and its advance in font pixels.
fn glyph(c: char, bold: bool) -> Option<(&'static FontRenderer, u32)> {
    let choice = if bold { [&BOLD, &OTHER, &RARE, &WESTERN] } else { [&REGULAR, &OTHER, &RARE, &WESTERN] };
    choice.into_iter().find_map(|font| {
        let size = font.get_rendered_dimensions(c, Point::zero(), VerticalPosition::Baseline).ok()?;
        let advance = u32::try_from(size.advance.x).ok()?;
        (advance > 0).then_some((font, advance))
    })
}

/// What stands for a character no font has.
const GETA: char = '〓';

/// The characters no font has; empty for every text this product writes by itself.
pub fn missing_glyphs(text: &str) -> Vec<char> {
    text.chars().filter(|c| !c.is_control() && glyph(*c, false).is_none()).collect()
}

/// Width of a line in pixels.
pub fn width(text: &str, style: Style) -> u32 {
    text.chars().take(MAX_LINE).map(|c| advance(c, style)).sum()
}

fn advance(c: char, style: Style) -> u32 {
    glyph(c, style.bold).or_else(|| glyph(GETA, style.bold)).map_or(CELL, |(_, advance)| advance) * style.scale
}

/// Draws one line with its top left corner at `x`, `y`; returns its width. Control characters are left out.
pub fn draw(page: &mut Page, x: u32, y: u32, text: &str, style: Style) -> u32 {
    let visible: Vec<char> = text.chars().filter(|c| !c.is_control()).take(MAX_LINE).collect();
    let mut across = 0;
    for c in visible {
        let Some((font, step)) = glyph(c, style.bold).or_else(|| glyph(GETA, style.bold)) else { continue };
        let drawn = if glyph(c, style.bold).is_some() { c } else { GETA };
        // Room on every side for parts that reach over the cell, and for the rounding to look at.
        let Ok(mut cell) = Page::blank(step + 8, CELL + 12, Resolution::Fine) else { continue };
        let color = FontColor::Transparent(BinaryColor::On);
        if font.render(drawn, Point::new(4, 4 + 14), VerticalPosition::Baseline, color, &mut cell).is_ok() {
            let mut scale = 1;
            while scale < style.scale {
                cell = enlarge(&cell);
                scale *= 2;
            }
            for cy in 0..cell.height() {
                for cx in 0..cell.width() {
                    if cell.pixel(cx, cy) {
                        let (px, py) = ((x + across + cx).checked_sub(4 * scale), (y + cy).checked_sub(4 * scale));
                        if let (Some(px), Some(py)) = (px, py) {
                            page.set(px, py, true);
                        }
                    }
                }
            }
        }
        across += step * style.scale;
    }
    across
}

/// Draws a line so that it ends at `right`.
pub fn draw_right(page: &mut Page, right: u32, y: u32, text: &str, style: Style) {
    draw(page, right.saturating_sub(width(text, style)), y, text, style);
}

/// Draws a line in the middle of the page.
pub fn draw_centred(page: &mut Page, y: u32, text: &str, style: Style) {
    let x = page.width().saturating_sub(width(text, style)) / 2;
    draw(page, x, y, text, style);
}

/// Draws a line cut to `room` pixels, with an ellipsis where something was cut.
pub fn draw_cut(page: &mut Page, x: u32, y: u32, room: u32, text: &str, style: Style) {
    if width(text, style) <= room && text.chars().count() <= MAX_LINE {
        draw(page, x, y, text, style);
        return;
    }
    let room = room.saturating_sub(width("...", style));
    let mut used = 0;
    let kept: String = text
        .chars()
        .take_while(|c| {
            used += advance(*c, style);
            used <= room
        })
        .collect();
    draw(page, x, y, &(kept + "..."), style);
}

/// Twice the size, diagonals smoothed: each quarter of a pixel takes the colour of its two outer neighbours where
/// those agree with each other and differ from the opposite ones.
fn enlarge(page: &Page) -> Page {
    let Ok(mut out) = Page::blank(page.width() * 2, page.height() * 2, page.resolution()) else { return page.clone() };
    for y in 0..page.height() {
        for x in 0..page.width() {
            let here = page.pixel(x, y);
            let up = y > 0 && page.pixel(x, y - 1);
            let left = x > 0 && page.pixel(x - 1, y);
            let (right, down) = (page.pixel(x + 1, y), page.pixel(x, y + 1));
            let quarter = |a: bool, b: bool, c: bool, d: bool| if a == b && a != c && b != d { a } else { here };
            out.set(2 * x, 2 * y, quarter(left, up, down, right));
            out.set(2 * x + 1, 2 * y, quarter(up, right, left, down));
            out.set(2 * x, 2 * y + 1, quarter(down, left, right, up));
            out.set(2 * x + 1, 2 * y + 1, quarter(right, down, up, left));
        }
    }
    out
}

/// Breaks a paragraph into lines of at most `room` pixels: between Latin words, between any two Japanese characters,
/// but never before closing punctuation (JIS X 4051).
pub fn wrap(text: &str, style: Style, room: u32) -> Vec<String> {
    const NOT_FIRST: &str = "、。，．・：；！？）」』】〉》ーァィゥェォッャュョ,.:;!?)]}%";
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    // Where the line may be broken, in octets of `line`.
    let mut chance = 0;
    for c in text.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()) {
        let step = advance(c, style);
        let wide = |c: char| c as u32 >= 0x2e80;
        if line.ends_with(' ') || ((wide(c) || line.chars().last().is_some_and(wide)) && !NOT_FIRST.contains(c)) {
            chance = line.len();
        }
        if used + step > room && !line.is_empty() {
            let at = if chance > 0 { chance } else { line.len() };
            let rest = line.split_off(at);
            lines.push(line.trim_end().to_owned());
            line = rest;
            used = width(&line, style);
            chance = 0;
        }
        line.push(c);
        used += step;
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// Plain text as A4 pages at 204x196: wrapped, form feeds begin a page. At most [`MAX_TEXT_PAGES`]; an empty text is
/// one white page.
pub fn pages_from_text(text: &str) -> Vec<Page> {
    const MARGIN: u32 = 120;
    let style = Style::BODY;
    let step = CELL * style.scale + 12;
    let bottom = Resolution::Fine.a4_lines() - MARGIN;
    let mut pages: Vec<Page> = Vec::new();
    'sheets: for sheet in text.trim_start_matches('\u{feff}').split('\u{c}') {
        let mut y = bottom;
        for paragraph in sheet.split('\n') {
            for line in wrap(paragraph.trim_end_matches('\r'), style, A4_WIDTH - 2 * MARGIN) {
                if y + step > bottom {
                    if pages.len() >= MAX_TEXT_PAGES {
                        break 'sheets;
                    }
                    pages.push(Page::a4(Resolution::Fine));
                    y = MARGIN;
                }
                if let Some(page) = pages.last_mut() {
                    draw(page, MARGIN, y, &line, style);
                }
                y += step;
            }
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_lines_wrap_inside_the_margins() {
        let text = "親展文書をお送りします。ご確認のうえ、担当者までご連絡ください。 Please confirm receipt of this document. ".repeat(4);
        let lines = wrap(&text, Style::BODY, 1000);
        assert!(lines.len() > 4 && lines.iter().all(|line| width(line, Style::BODY) <= 1000));
        assert!(lines.iter().all(|line| !line.starts_with('。') && !line.starts_with('、')));
    }

    #[test]
    fn text_becomes_pages() {
        assert_eq!(pages_from_text("").len(), 1);
        assert_eq!(pages_from_text("one\u{c}two").len(), 2);
        assert_eq!(pages_from_text(&"line\n".repeat(100)).len(), 3);
        assert!(pages_from_text("田中")[0].black_pixels() > 100);
        assert!(missing_glyphs("田中 Taro 診断書").is_empty(), "{:?}", missing_glyphs("田中 Taro 診断書"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_text_panics(text in "\\PC{0,120}", room in 0u32..300) {
            let _ = wrap(&text, Style::BODY, room);
            let mut page = Page::blank(300, 60, Resolution::Fine).unwrap();
            draw_cut(&mut page, 10, 10, room, &text, Style::TITLE);
        }
    }
}
