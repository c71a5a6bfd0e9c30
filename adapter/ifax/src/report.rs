//! Delivery reports as fax pages (C10, C11: T.37's confirmation made visible on paper): one confirmation as a clear
//! page, a batch as a table. 1728 pixels across at 204x196.

use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{Drawable, Point, Primitive, Size};
use embedded_graphics::primitives::{Circle, Line, PrimitiveStyle, Rectangle, RoundedRectangle};

use crate::page::{A4_WIDTH, Page, Resolution};
use crate::text::{CELL, Style, draw, draw_centred, draw_cut, draw_right, fill, width, wrap};

/// Which language stands first; the other stands beneath or beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// Japanese first.
    #[default]
    Japanese,
    /// English first.
    English,
}

/// How a transmission ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The addressee's card released it and its confirmation was verified.
    Delivered,
    /// It came back; the reason in words.
    Failed(String),
    /// No confirmation came in time.
    Unconfirmed,
}

/// What a transmission went without, by agreement of two offices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weakness {
    /// Its sender's signature.
    Unsigned,
    /// A cipher that shows a change by itself.
    OldCipher,
    /// Any cipher: everybody on the way could read it.
    Readable,
}

/// One transmission on a report.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// Address of the recipient.
    pub recipient: String,
    /// The recipient's name; may be empty.
    pub recipient_name: String,
    /// When it was sent, as it is to be read.
    pub sent: String,
    /// When it was printed, as it is to be read; empty where it was not.
    pub delivered: String,
    /// Message-ID of the transmission.
    pub message_id: String,
    /// Pages, where known.
    pub pages: Option<u32>,
    /// What it went without, by agreement.
    pub weakness: Option<Weakness>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Most deliveries on one report; more belong on the next.
pub const MAX_DELIVERIES: usize = 100;

const LEFT: u32 = 100;
const RIGHT: u32 = A4_WIDTH - 100;

/// Both languages of a label.
struct Words(&'static str, &'static str);

impl Words {
    fn first(&self, language: Language) -> &'static str {
        if language == Language::Japanese { self.0 } else { self.1 }
    }

    fn second(&self, language: Language) -> &'static str {
        if language == Language::Japanese { self.1 } else { self.0 }
    }
}

const TITLE: Words = Words("配達確認レポート", "Delivery report");
const TO: Words = Words("宛先", "To");
const ADDRESS: Words = Words("アドレス", "Address");
const SENT: Words = Words("送信日時", "Sent");
const PRINTED: Words = Words("印刷日時", "Printed");
const PAGES: Words = Words("枚数", "Pages");
const RESULT: Words = Words("結果", "Result");
const ID: Words = Words("文書番号", "Message ID");
const SIGNATURE: Words = Words("電子署名", "Signature");
const NO_SIGNATURE: Words = Words("署名なしで送信", "sent without signature");
const CIPHER: Words = Words("暗号", "Cipher");
const OLD_CIPHER: Words = Words("旧方式の暗号で送信", "sent under an old cipher");
const NO_CIPHER: Words = Words("暗号化なしで送信", "sent without encryption");
const REASON: Words = Words("理由", "Reason");
const DELIVERED: Words = Words("配達済み", "Delivered");
const FAILED: Words = Words("不達", "Not delivered");
const UNCONFIRMED: Words = Words("未確認", "Not confirmed");
const MEANING: Words = Words(
    "宛先の方のカードと暗証番号で印刷されたことを、電子署名付きの配達確認で検証しました。",
    "The signed confirmation was verified: the page was released by the addressee's card and PIN.",
);
const NOT_MEANING: Words = Words(
    "配達は確認されていません。宛先の方に連絡し、必要ならもう一度送信してください。",
    "Delivery is not confirmed. Contact the addressee, and send the document again if needed.",
);

#[cfg(test)]
const ALL_WORDS: [&Words; 19] = [
    &TITLE,
    &TO,
    &ADDRESS,
    &SENT,
    &PRINTED,
    &PAGES,
    &RESULT,
    &ID,
    &SIGNATURE,
    &NO_SIGNATURE,
    &CIPHER,
    &OLD_CIPHER,
    &NO_CIPHER,
    &REASON,
    &DELIVERED,
    &FAILED,
    &UNCONFIRMED,
    &MEANING,
    &NOT_MEANING,
];

impl Outcome {
    fn words(&self) -> &'static Words {
        match self {
            Self::Delivered => &DELIVERED,
            Self::Failed(_) => &FAILED,
            Self::Unconfirmed => &UNCONFIRMED,
        }
    }
}

/// Draws the report: one delivery as a page of its own, more of them as a table on one page. Only the first
/// [`MAX_DELIVERIES`] are drawn.
pub fn delivery_report(deliveries: &[Delivery], language: Language, office: &str) -> Page {
    let shown = deliveries.get(..MAX_DELIVERIES).unwrap_or(deliveries);
    let lines = Resolution::Fine.a4_lines();
    let height = lines.max(TABLE_TOP + HEAD_HEIGHT + shown.len() as u32 * ROW_HEIGHT + 320);
    let a4 = |_| Page::a4(Resolution::Fine);
    let mut page = Page::blank(A4_WIDTH, height, Resolution::Fine).unwrap_or_else(a4);
    letterhead(&mut page, language, office);
    match shown {
        [one] => single(&mut page, one, language),
        many => table(&mut page, many, language),
    }
    footer(&mut page, office);
    page
}

fn letterhead(page: &mut Page, language: Language, office: &str) {
    draw(page, LEFT, 110, TITLE.first(language), Style::TITLE);
    draw(page, LEFT, 192, TITLE.second(language), Style::BODY);
    draw_right(page, RIGHT, 126, "Sealfax", Style::STRONG);
    let room = 700;
    let office_width = width(office, Style::BODY).min(room);
    draw_cut(page, RIGHT - office_width, 192, room, office, Style::BODY);
    fill(page, LEFT, 250, RIGHT - LEFT, 6);
    fill(page, LEFT, 262, RIGHT - LEFT, 2);
}

fn footer(page: &mut Page, office: &str) {
    let y = page.height() - 120;
    fill(page, LEFT, y - 24, RIGHT - LEFT, 2);
    draw_cut(page, LEFT, y, 1000, office, Style::BODY);
    draw_right(page, RIGHT, y, "Sealfax", Style::BODY);
}

/// A tick, a cross or a question mark in a ring: the result to be seen from across the room, without colour.
fn mark(page: &mut Page, x: i32, y: i32, size: u32, outcome: &Outcome) {
    let stroke = (size / 10).max(3);
    let pen = PrimitiveStyle::with_stroke(BinaryColor::On, stroke);
    let at = |fx: f32, fy: f32| Point::new(x + (fx * size as f32) as i32, y + (fy * size as f32) as i32);
    let mut stroke_line = |from: Point, to: Point| {
        let Ok(()) = Line::new(from, to).into_styled(pen).draw(page);
    };
    match outcome {
        Outcome::Delivered => {
            stroke_line(at(0.26, 0.52), at(0.44, 0.70));
            stroke_line(at(0.43, 0.70), at(0.76, 0.32));
        }
        Outcome::Failed(_) => {
            stroke_line(at(0.30, 0.30), at(0.70, 0.70));
            stroke_line(at(0.30, 0.70), at(0.70, 0.30));
        }
        Outcome::Unconfirmed => {
            stroke_line(at(0.5, 0.22), at(0.5, 0.60));
            stroke_line(at(0.5, 0.70), at(0.5, 0.76));
        }
    }
    let ring = PrimitiveStyle::with_stroke(BinaryColor::On, (stroke / 2).max(2));
    let Ok(()) = Circle::new(Point::new(x, y), size).into_styled(ring).draw(page);
}

fn single(page: &mut Page, delivery: &Delivery, language: Language) {
    let card = Rectangle::new(Point::new(LEFT as i32, 330), Size::new(RIGHT - LEFT, 300));
    let pen = PrimitiveStyle::with_stroke(BinaryColor::On, 4);
    let Ok(()) = RoundedRectangle::with_equal_corners(card, Size::new(24, 24)).into_styled(pen).draw(page);
    mark(page, LEFT as i32 + 60, 370, 220, &delivery.outcome);
    let words = delivery.outcome.words();
    draw(page, LEFT + 350, 400, words.first(language), Style { scale: 4, bold: true });
    draw(page, LEFT + 350, 484, words.second(language), Style::STRONG);
    draw_cut(page, LEFT + 350, 546, RIGHT - LEFT - 400, &delivery.delivered, Style::BODY);

    let pages = delivery.pages.map_or_else(|| "-".to_owned(), |pages| pages.to_string());
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let mut rows = vec![
        (&TO, or_dash(&delivery.recipient_name), true),
        (&ADDRESS, delivery.recipient.clone(), false),
        (&SENT, or_dash(&delivery.sent), false),
        (&PRINTED, or_dash(&delivery.delivered), true),
        (&PAGES, pages, false),
        (&ID, delivery.message_id.clone(), false),
    ];
    let said = |words: &Words| format!("{} / {}", words.first(language), words.second(language));
    match delivery.weakness {
        None => {}
        Some(Weakness::Unsigned) => rows.push((&SIGNATURE, said(&NO_SIGNATURE), true)),
        Some(Weakness::OldCipher) => rows.push((&CIPHER, said(&OLD_CIPHER), true)),
        Some(Weakness::Readable) => rows.push((&CIPHER, said(&NO_CIPHER), true)),
    }
    if let Outcome::Failed(reason) = &delivery.outcome {
        rows.push((&REASON, reason.clone(), true));
    }
    let mut y = 720;
    for (label, value, bold) in rows {
        let after = LEFT + draw(page, LEFT, y, label.first(language), Style::STRONG) + 16;
        draw(page, after, y, label.second(language), Style::BODY);
        let style = Style { scale: 2, bold };
        let x = LEFT + 370;
        let lines = wrap(&value, style, RIGHT - x);
        for (i, line) in (0u32..).zip(lines.iter().take(3)) {
            draw(page, x, y + i * 44, line, style);
        }
        y += 44 * (lines.len().clamp(1, 3) as u32 - 1) + 78;
        fill(page, LEFT, y - 24, RIGHT - LEFT, 2);
    }
    let meaning = if delivery.outcome == Outcome::Delivered { &MEANING } else { &NOT_MEANING };
    y += 50;
    for text in [meaning.first(language), meaning.second(language)] {
        for line in wrap(text, Style::BODY, RIGHT - LEFT) {
            draw(page, LEFT, y, &line, Style::BODY);
            y += 46;
        }
        y += 18;
    }
}

const TABLE_TOP: u32 = 440;
const HEAD_HEIGHT: u32 = 90;
const ROW_HEIGHT: u32 = 92;
/// Left edges of the columns: number, recipient, sent, printed, pages, result.
const COLUMNS: [u32; 6] = [LEFT, 190, 770, 970, 1170, 1280];

fn table(page: &mut Page, deliveries: &[Delivery], language: Language) {
    let delivered = deliveries.iter().filter(|delivery| delivery.outcome == Outcome::Delivered).count();
    let total = deliveries.len();
    let summary = Words("件 配達済み", "delivered");
    let counted = |text: &str| match text {
        "delivered" => format!("{delivered} of {total} delivered"),
        text => format!("{total}件中 {delivered}{text}"),
    };
    draw(page, LEFT, 310, &counted(summary.first(language)), Style::STRONG);
    draw(page, LEFT, 360, &counted(summary.second(language)), Style::BODY);

    let heads = [&Words("番号", "No."), &TO, &SENT, &PRINTED, &PAGES, &RESULT];
    fill(page, LEFT, TABLE_TOP, RIGHT - LEFT, 4);
    for (x, head) in COLUMNS.into_iter().zip(heads) {
        draw(page, x + 8, TABLE_TOP + 10, head.first(language), Style::STRONG);
        draw(page, x + 8, TABLE_TOP + 48, head.second(language), Style::BODY);
    }
    let mut y = TABLE_TOP + HEAD_HEIGHT;
    fill(page, LEFT, y - 4, RIGHT - LEFT, 3);
    for (number, delivery) in (1..).zip(deliveries) {
        let [no, to, sent, printed, pages, result] = COLUMNS;
        let (top, under) = (y + 8, y + 46);
        draw(page, no + 8, top, &number.to_string(), Style::BODY);
        let name = if delivery.recipient_name.is_empty() { &delivery.recipient } else { &delivery.recipient_name };
        draw_cut(page, to + 8, top, sent - to - 24, name, Style::STRONG);
        draw_cut(page, to + 8, under, sent - to - 24, &delivery.recipient, Style::BODY);
        for (x, room, time) in [(sent, printed - sent, &delivery.sent), (printed, pages - printed, &delivery.delivered)]
        {
            // Date above time, so that both are read at a glance.
            let (day, hour) = time.split_once(' ').unwrap_or((time, ""));
            let day = if day.is_empty() { "-" } else { day };
            draw_cut(page, x + 8, y + 8, room - 16, day, Style::BODY);
            draw_cut(page, x + 8, y + 46, room - 16, hour, Style::BODY);
        }
        let count = delivery.pages.map_or_else(|| "-".to_owned(), |pages| pages.to_string());
        draw_right(page, result - 24, top, &count, Style::BODY);
        mark(page, result as i32 + 8, y as i32 + 18, 52, &delivery.outcome);
        let words = delivery.outcome.words();
        draw_cut(page, result + 72, top, RIGHT - result - 72, words.first(language), Style { scale: 2, bold: true });
        let note = match &delivery.outcome {
            Outcome::Failed(reason) => reason.as_str(),
            _ if delivery.weakness == Some(Weakness::Unsigned) => "署名なし unsigned",
            _ if delivery.weakness == Some(Weakness::OldCipher) => "旧方式の暗号 old cipher",
            _ if delivery.weakness == Some(Weakness::Readable) => "暗号化なし not encrypted",
            _ => words.second(language),
        };
        draw_cut(page, result + 72, under, RIGHT - result - 72, note, Style::BODY);
        y += ROW_HEIGHT;
        fill(page, LEFT, y - 2, RIGHT - LEFT, 1);
    }
    for x in COLUMNS.into_iter().chain([RIGHT]) {
        fill(page, x, TABLE_TOP, 1, y - TABLE_TOP);
    }
    fill(page, LEFT, y - 2, RIGHT - LEFT, 4);
    let note = Words(
        "「配達済み」は、宛先の方のカードで署名された配達確認を検証したものです。",
        "Delivered: a confirmation signed by the addressee's card was verified.",
    );
    draw(page, LEFT, y + 40, note.first(language), Style::BODY);
    draw(page, LEFT, y + 88, note.second(language), Style::BODY);
}

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

#[cfg(test)]
mod tests;
