//! Delivery reports as fax pages (C10, C11: T.37's confirmation made visible on paper): one confirmation as a clear
//! page, a batch as a table. 1728 pixels across at 204x196, and as sharp at 204x98.

mod letter;
mod table;

use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{Drawable, Point, Primitive, Size};
use embedded_graphics::primitives::{Circle, Line, PrimitiveStyle, Rectangle, RoundedRectangle};

use crate::page::{A4_WIDTH, Page, Resolution};
use crate::text::{Style, draw, draw_centred, draw_cut, draw_right, fill, width, wrap};

pub use letter::test_letter;

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
    /// Its recipient signed that it was not taken; in the words of the notification.
    Refused(String),
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

/// What stands beside the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remark {
    /// The confirmation came after the set time.
    Late,
    /// It was reported as not delivered before.
    AfterAll,
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
    /// What stands beside the result.
    pub remark: Option<Remark>,
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
const REFUSED: Words = Words("受取拒否", "Refused");
const REMARK: Words = Words("備考", "Remark");
const LATE: Words = Words("期限後に確認", "confirmed late");
const AFTER_ALL: Words = Words("不達報告の後に確認", "after a report of failure");
const UNCONFIRMED: Words = Words("未確認", "Not confirmed");
const MEANING: Words = Words(
    "宛先の方のカードと暗証番号で印刷されたことを、電子署名付きの配達確認で検証しました。",
    "The signed confirmation was verified: the page was released by the addressee's card and PIN.",
);
const NUMBER: Words = Words("番号", "No.");
const NOTE: Words = Words(
    "「配達済み」は、宛先の方のカードで署名された配達確認を検証したものです。",
    "Delivered: a confirmation signed by the addressee's card was verified.",
);
const NOT_MEANING: Words = Words(
    "配達は確認されていません。宛先の方に連絡し、必要ならもう一度送信してください。",
    "Delivery is not confirmed. Contact the addressee, and send the document again if needed.",
);

#[cfg(test)]
const ALL_WORDS: [&Words; 25] = [
    &NUMBER,
    &NOTE,
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
    &REFUSED,
    &REMARK,
    &LATE,
    &AFTER_ALL,
    &UNCONFIRMED,
    &MEANING,
    &NOT_MEANING,
];

impl Remark {
    fn words(self) -> &'static Words {
        match self {
            Self::Late => &LATE,
            Self::AfterAll => &AFTER_ALL,
        }
    }
}

impl Outcome {
    fn words(&self) -> &'static Words {
        match self {
            Self::Delivered => &DELIVERED,
            Self::Failed(_) => &FAILED,
            Self::Refused(_) => &REFUSED,
            Self::Unconfirmed => &UNCONFIRMED,
        }
    }
}

/// Draws the report, A4 at 204x196: one delivery as a page of its own, more of them as a table, on one page as long as they
/// fit. Only the first [`MAX_DELIVERIES`] are drawn.
///
/// Everything stands on even lines, so that [`Page::at`] makes a page at 204x98 of it whose letters are as sharp.
pub fn delivery_report(deliveries: &[Delivery], language: Language, office: &str) -> Vec<Page> {
    let shown = deliveries.get(..MAX_DELIVERIES).unwrap_or(deliveries);
    let sheets = table::sheets(shown);
    let count = sheets.len();
    let mut pages = Vec::new();
    for (number, sheet) in (1..).zip(sheets) {
        let mut page = Page::a4(Resolution::Fine);
        letterhead(&mut page, language, office);
        match shown {
            [one] => single(&mut page, one, language),
            all => table::draw_sheet(&mut page, &sheet, all, language),
        }
        let numbered = if count > 1 { format!("{number} / {count}") } else { String::new() };
        footer(&mut page, office, &numbered);
        pages.push(page);
    }
    pages
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

fn footer(page: &mut Page, office: &str, number: &str) {
    let y = page.height() - 120;
    fill(page, LEFT, y - 24, RIGHT - LEFT, 2);
    draw_cut(page, LEFT, y, 700, office, Style::BODY);
    draw_centred(page, y, number, Style::BODY);
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
        Outcome::Failed(_) | Outcome::Refused(_) => {
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
    if let Some(remark) = delivery.remark {
        rows.push((&REMARK, said(remark.words()), true));
    }
    if let Outcome::Failed(reason) | Outcome::Refused(reason) = &delivery.outcome {
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

#[cfg(test)]
mod tests;
