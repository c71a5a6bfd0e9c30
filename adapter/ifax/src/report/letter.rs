//! The built-in test letter: what the demo sends when nobody names a document.

use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{Drawable, Point, Primitive, Size};
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle, RoundedRectangle};

use super::{LEFT, RIGHT};
use crate::page::{Page, Resolution};
use crate::text::{CELL, Style, draw, draw_centred, draw_right, fill, wrap};

/// The built-in test letter: one A4 page at 204x196 with Japanese and English text, a table, rules and a halftone,
/// so that every coding has something to do.
pub fn test_letter() -> Vec<Page> {
    let mut page = Page::a4(Resolution::Fine);
    draw(&mut page, LEFT, 110, "みどり総合病院", Style::TITLE);
    draw(&mut page, LEFT, 190, "Midori General Hospital  -  Department of Internal Medicine", Style::BODY);
    draw_right(&mut page, RIGHT, 110, "〒100-0001 東京都千代田区1-1-1", Style::BODY);
    fill(&mut page, LEFT, 246, RIGHT - LEFT, 8);
    let badge = Rectangle::new(Point::new(RIGHT as i32 - 330, 300), Size::new(330, 130));
    let pen = PrimitiveStyle::with_stroke(BinaryColor::On, 6);
    let Ok(()) = RoundedRectangle::with_equal_corners(badge, Size::new(16, 16)).into_styled(pen).draw(&mut page);
    draw(&mut page, RIGHT - 245, 316, "親 展", Style { scale: 4, bold: true });
    draw(&mut page, RIGHT - 262, 388, "CONFIDENTIAL", Style::STRONG);
    draw(&mut page, LEFT, 300, "さくら診療所", Style::BODY);
    draw(&mut page, LEFT, 346, "佐藤 花子 様  /  Dr. Hanako Sato", Style::STRONG);
    draw_right(&mut page, RIGHT, 460, "2026年11月22日", Style::BODY);
    draw_centred(&mut page, 540, "診療情報提供書", Style::TITLE);
    draw_centred(&mut page, 618, "Referral letter", Style::BODY);
    let paragraphs = [
        "いつもお世話になっております。患者様のご紹介にあたり、検査結果をお送りします。この文書は宛先の方のカードと暗証番号でのみ印刷されます。内容をご確認のうえ、ご不明な点は担当医までご連絡ください。",
        "Thank you for your continued support. We refer the patient below to you and enclose the results of the examination. This document can be printed only with your card and your PIN. Please call the physician in charge if anything is unclear.",
    ];
    let mut y = 710;
    for paragraph in paragraphs {
        for line in wrap(paragraph, Style::BODY, RIGHT - LEFT) {
            draw(&mut page, LEFT, y, &line, Style::BODY);
            y += 48;
        }
        y += 24;
    }
    y = letter_table(&mut page, y + 20);
    halftone(&mut page, y + 50);
    let y = Resolution::Fine.a4_lines() - 330;
    draw_right(&mut page, RIGHT, y, "担当医 / Physician in charge", Style::BODY);
    draw_right(&mut page, RIGHT, y + 52, "田中 太郎  Taro Tanaka, MD", Style::STRONG);
    fill(&mut page, LEFT, y + 190, RIGHT - LEFT, 2);
    draw(
        &mut page,
        LEFT,
        y + 206,
        "This is a test letter of Sealfax. All names are invented. / テスト用の文書です。",
        Style::SMALL,
    );
    draw_right(&mut page, RIGHT, y + 206, "1 / 1", Style::SMALL);
    vec![page]
}

fn letter_table(page: &mut Page, top: u32) -> u32 {
    const ROWS: [[&str; 4]; 5] = [
        ["検査項目 / Test", "結果 / Result", "単位 / Unit", "基準値 / Range"],
        ["白血球数  WBC", "6.2", "10^3/uL", "3.3 - 8.6"],
        ["ヘモグロビン  Hb", "13.8", "g/dL", "11.6 - 14.8"],
        ["血糖値  Glucose", "128  H", "mg/dL", "73 - 109"],
        ["総コレステロール  T-Cho", "196", "mg/dL", "142 - 248"],
    ];
    const EDGES: [u32; 5] = [LEFT, 640, 940, 1230, RIGHT];
    let mut y = top;
    for (i, row) in ROWS.iter().enumerate() {
        fill(page, LEFT, y, RIGHT - LEFT, if i < 2 { 4 } else { 2 });
        for (x, cell) in EDGES.into_iter().zip(row) {
            draw(page, x + 16, y + 14, cell, if i == 0 { Style::STRONG } else { Style::BODY });
        }
        y += CELL * 2 + 28;
    }
    fill(page, LEFT, y, RIGHT - LEFT, 4);
    for x in EDGES {
        fill(page, x, top, 3, y + 4 - top);
    }
    y
}

/// A grey wedge and a sphere as ordered dither: what a photograph does to a fax coder.
fn halftone(page: &mut Page, top: u32) {
    const BAYER: [[u32; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
    const HEIGHT: u32 = 240;
    let wide = RIGHT - LEFT;
    for y in 0..HEIGHT {
        for x in 0..wide {
            let (dx, dy) = (x as f32 - 1250.0, y as f32 - 120.0);
            let radius = (dx * dx + dy * dy).sqrt();
            let grey = if radius < 110.0 {
                let (lx, ly) = (dx + 40.0, dy + 40.0);
                1.0 - (lx * lx + ly * ly).sqrt() / 190.0
            } else if x < 980 {
                x as f32 / 980.0
            } else {
                1.0
            };
            let cell = BAYER.get((y / 2 % 4) as usize).and_then(|row| row.get((x / 2 % 4) as usize));
            let threshold = cell.map_or(0.5, |cell| (*cell as f32 + 0.5) / 16.0);
            if grey < threshold {
                page.set(LEFT + x, top + y, true);
            }
        }
    }
    for (y, height) in [(top, 2), (top + HEIGHT, 2)] {
        fill(page, LEFT, y, wide, height);
    }
}
