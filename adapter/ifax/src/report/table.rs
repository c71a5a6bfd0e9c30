//! The table of a delivery report (C11): two lines for each delivery as long as all of them fit one sheet that way, one
//! line each when there are more, and further sheets when there are too many for one.

use std::ops::Range;

use super::{
    DELIVERED, Delivery, FAILED, LEFT, Language, NOTE, NUMBER, Outcome, PAGES, PRINTED, REFUSED, RESULT, RIGHT, Remark,
    SENT, TO, UNCONFIRMED, Weakness, mark,
};
use crate::page::Page;
use crate::text::{Style, draw, draw_cut, draw_right, fill};

const TOP: u32 = 440;
const HEAD: u32 = 90;
/// What a sheet has for rows: from below the head to above note and footer.
const ROOM: u32 = 2292 - TOP - HEAD - 320;
/// Left edges of the columns: number, recipient, sent, printed, pages, result.
const COLUMNS: [u32; 6] = [LEFT, 190, 770, 970, 1170, 1280];

/// The height of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// Name above address, date above time.
    Two,
    /// One line.
    One,
}

impl Row {
    const fn height(self) -> u32 {
        match self {
            Self::Two => 92,
            Self::One => 48,
        }
    }

    const fn on_a_sheet(self) -> usize {
        (ROOM / self.height()) as usize
    }
}

/// Which deliveries stand on one sheet, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sheet {
    rows: Range<usize>,
    row: Row,
}

/// At least one sheet, whatever there is to list.
pub(super) fn sheets(deliveries: &[Delivery]) -> Vec<Sheet> {
    let row = if deliveries.len() <= Row::Two.on_a_sheet() { Row::Two } else { Row::One };
    let starts = (0..deliveries.len().max(1)).step_by(row.on_a_sheet());
    starts.map(|from| Sheet { rows: from..(from + row.on_a_sheet()).min(deliveries.len()), row }).collect()
}

pub(super) fn draw_sheet(page: &mut Page, sheet: &Sheet, all: &[Delivery], language: Language) {
    let [first, second] = summaries(all);
    let (first, second) = if language == Language::Japanese { (first, second) } else { (second, first) };
    draw(page, LEFT, 310, &first, Style::STRONG);
    draw(page, LEFT, 360, &second, Style::BODY);
    head(page, language);
    let mut y = TOP + HEAD;
    for (index, delivery) in all.iter().enumerate().take(sheet.rows.end).skip(sheet.rows.start) {
        match sheet.row {
            Row::Two => two_lines(page, y, index + 1, delivery, language),
            Row::One => one_line(page, y, index + 1, delivery, language),
        }
        y += sheet.row.height();
        fill(page, LEFT, y - 2, RIGHT - LEFT, 1);
    }
    for x in COLUMNS.into_iter().chain([RIGHT]) {
        fill(page, x, TOP, 1, y - TOP);
    }
    fill(page, LEFT, y - 2, RIGHT - LEFT, 4);
    draw(page, LEFT, y + 40, NOTE.first(language), Style::BODY);
    draw(page, LEFT, y + 88, NOTE.second(language), Style::BODY);
}

/// How many of all ended how, in Japanese and English.
fn summaries(all: &[Delivery]) -> [String; 2] {
    let total = all.len();
    let count = |of: fn(&Outcome) -> bool| all.iter().filter(|delivery| of(&delivery.outcome)).count();
    let delivered = count(|outcome| *outcome == Outcome::Delivered);
    let others = [
        (count(|outcome| matches!(outcome, Outcome::Failed(_))), &FAILED),
        (count(|outcome| matches!(outcome, Outcome::Refused(_))), &REFUSED),
        (count(|outcome| *outcome == Outcome::Unconfirmed), &UNCONFIRMED),
    ];
    let mut japanese = format!("{total}件中 {delivered}件 {}", DELIVERED.0);
    let mut english = format!("{delivered} of {total} delivered");
    for (number, words) in others.into_iter().filter(|(number, _)| *number > 0) {
        japanese += &format!("、{number}件 {}", words.0);
        english += &format!(", {number} {}", words.1.to_lowercase());
    }
    [japanese, english]
}

fn head(page: &mut Page, language: Language) {
    fill(page, LEFT, TOP, RIGHT - LEFT, 4);
    for (x, words) in COLUMNS.into_iter().zip([&NUMBER, &TO, &SENT, &PRINTED, &PAGES, &RESULT]) {
        draw(page, x + 8, TOP + 10, words.first(language), Style::STRONG);
        draw(page, x + 8, TOP + 48, words.second(language), Style::BODY);
    }
    fill(page, LEFT, TOP + HEAD - 4, RIGHT - LEFT, 4);
}

fn name(delivery: &Delivery) -> &str {
    if delivery.recipient_name.is_empty() { &delivery.recipient } else { &delivery.recipient_name }
}

fn count(delivery: &Delivery) -> String {
    delivery.pages.map_or_else(|| "-".to_owned(), |pages| pages.to_string())
}

/// What has to be said of the result beside its word, if anything.
fn remark(delivery: &Delivery) -> Option<String> {
    if let Outcome::Failed(reason) | Outcome::Refused(reason) = &delivery.outcome {
        return Some(reason.clone());
    }
    let remark = delivery.remark.map(|remark| match remark {
        Remark::Late => "期限後 late",
        Remark::AfterAll => "不達報告後 after all",
    });
    let weakness = delivery.weakness.map(|weakness| match weakness {
        Weakness::Unsigned => "署名なし unsigned",
        Weakness::OldCipher => "旧方式の暗号 old cipher",
        Weakness::Readable => "暗号化なし not encrypted",
    });
    let said: Vec<&str> = remark.into_iter().chain(weakness).collect();
    (!said.is_empty()).then(|| said.join(" / "))
}

fn two_lines(page: &mut Page, y: u32, number: usize, delivery: &Delivery, language: Language) {
    let [no, to, sent, printed, pages, result] = COLUMNS;
    let (top, under) = (y + 8, y + 46);
    draw(page, no + 8, top, &number.to_string(), Style::BODY);
    draw_cut(page, to + 8, top, sent - to - 24, name(delivery), Style::STRONG);
    draw_cut(page, to + 8, under, sent - to - 24, &delivery.recipient, Style::BODY);
    for (x, room, time) in [(sent, printed - sent, &delivery.sent), (printed, pages - printed, &delivery.delivered)] {
        // Date above time, so that both are read at a glance.
        let (day, hour) = time.split_once(' ').unwrap_or((time, ""));
        let day = if day.is_empty() { "-" } else { day };
        draw_cut(page, x + 8, top, room - 16, day, Style::BODY);
        draw_cut(page, x + 8, under, room - 16, hour, Style::BODY);
    }
    draw_right(page, result - 24, top, &count(delivery), Style::BODY);
    mark(page, result as i32 + 8, y as i32 + 18, 52, &delivery.outcome);
    let words = delivery.outcome.words();
    draw_cut(page, result + 72, top, RIGHT - result - 72, words.first(language), Style::STRONG);
    let note = remark(delivery).unwrap_or_else(|| words.second(language).to_owned());
    draw_cut(page, result + 72, under, RIGHT - result - 72, &note, Style::BODY);
}

fn one_line(page: &mut Page, y: u32, number: usize, delivery: &Delivery, language: Language) {
    let [no, to, sent, printed, pages, result] = COLUMNS;
    let top = y + 8;
    draw(page, no + 8, top, &number.to_string(), Style::BODY);
    draw_cut(page, to + 8, top, sent - to - 24, name(delivery), Style::STRONG);
    for (x, room, time) in [(sent, printed - sent, &delivery.sent), (printed, pages - printed, &delivery.delivered)] {
        draw_cut(page, x + 8, top, room - 16, short(time), Style::BODY);
    }
    draw_right(page, result - 24, top, &count(delivery), Style::BODY);
    mark(page, result as i32 + 8, y as i32 + 6, 36, &delivery.outcome);
    let word = delivery.outcome.words().first(language);
    let text = remark(delivery).map_or_else(|| word.to_owned(), |remark| format!("{word} {remark}"));
    draw_cut(page, result + 56, top, RIGHT - result - 56, &text, Style::BODY);
}

/// Month, day, hour and minute of "2026-11-22 22:20:00": the year is of no use on a report of the same day.
fn short(time: &str) -> &str {
    match time.get(5..16) {
        Some(part) if time.is_ascii() && time.as_bytes().get(4) == Some(&b'-') => part,
        _ if time.is_empty() => "-",
        _ => time,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn sheets_hold_all_in_order() {
        let delivery = Delivery {
            recipient: String::new(),
            recipient_name: String::new(),
            sent: String::new(),
            delivered: String::new(),
            message_id: String::new(),
            pages: None,
            weakness: None,
            remark: None,
            outcome: Outcome::Delivered,
        };
        for n in [0, 1, 15, 16, 30, 31, 100] {
            let listed = sheets(&vec![delivery.clone(); n]);
            assert_eq!(
                listed.iter().flat_map(|sheet| sheet.rows.clone()).collect::<Vec<_>>(),
                (0..n).collect::<Vec<_>>()
            );
            assert_eq!(listed.len(), n.div_ceil(if n <= 15 { 15 } else { 30 }).max(1), "{n}");
        }
    }

    #[test]
    fn times_are_shortened_only_where_they_are_times() {
        assert_eq!(short("2026-11-22 22:20:00"), "11-22 22:20");
        assert_eq!(short("2026-11-22 22:20"), "11-22 22:20");
        assert_eq!((short(""), short("昨日の夕方ごろでした"), short("soon")), ("-", "昨日の夕方ごろでした", "soon"));
    }
}
