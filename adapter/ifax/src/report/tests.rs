//! Report pages: every word has its glyphs, and the pages stay as they were looked at and approved.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::text::missing_glyphs;

fn delivery(name: &str, outcome: Outcome) -> Delivery {
    Delivery {
        recipient: "hanako.sato@sakura-clinic.example".into(),
        recipient_name: name.into(),
        sent: "2026-11-22 22:20:00".into(),
        delivered: if outcome == Outcome::Delivered { "2026-11-22 22:25:10".into() } else { String::new() },
        message_id: "20261122132000.1@ifax.midori-hospital.example".into(),
        pages: Some(2),
        weakness: None,
        remark: None,
        outcome,
    }
}

fn batch(n: usize) -> Vec<Delivery> {
    let names = ["佐藤 花子", "鈴木 一郎", "Bartholomew Featherstonehaugh-Cholmondeley", "渡邊 さくら", ""];
    (0..n)
        .map(|i| {
            let outcome = match i % 5 {
                3 => Outcome::Failed("5.1.1 unknown recipient".into()),
                4 => Outcome::Unconfirmed,
                _ => Outcome::Delivered,
            };
            delivery(names[i % 5], outcome)
        })
        .collect()
}

/// Every other one goes without a signature.
fn unsigned(mut batch: Vec<Delivery>) -> Vec<Delivery> {
    for delivery in batch.iter_mut().step_by(2) {
        delivery.weakness = Some(Weakness::Unsigned);
    }
    batch
}

/// Writes the pages where `SEALFAX_PAGES` says, for a person to look at.
fn look(name: &str, pages: &[Page]) {
    if let Some(dir) = std::env::var_os("SEALFAX_PAGES") {
        std::fs::write(std::path::Path::new(&dir).join(name), crate::tiff::write(pages).unwrap()).unwrap();
    }
}

fn shape(page: &Page) -> String {
    format!("{}x{} black {} fingerprint {:016x}", page.width(), page.height(), page.black_pixels(), page.fingerprint())
}

#[test]
fn every_word_has_its_glyphs() {
    for words in ALL_WORDS {
        assert_eq!((missing_glyphs(words.0), missing_glyphs(words.1)), (vec![], vec![]));
    }
    assert_eq!(
        missing_glyphs(
            "みどり総合病院〒東京都千代田区親展診療情報提供書白血球数ヘモグロビン血糖値総コレステロール担当医番号件中理由"
        ),
        vec![]
    );
}

#[test]
fn the_pages_are_the_approved_ones() {
    let cases = [
        (
            "single-ja.tif",
            delivery_report(&[delivery("佐藤 花子", Outcome::Delivered)], Language::Japanese, "みどり総合病院 内科"),
        ),
        (
            "single-en.tif",
            delivery_report(
                &[delivery("Hanako Sato", Outcome::Delivered)],
                Language::English,
                "Midori General Hospital",
            ),
        ),
        (
            "failed-ja.tif",
            delivery_report(
                &[delivery(
                    "佐藤 花子",
                    Outcome::Failed("宛先の証明書がありません / no certificate for the addressee".into()),
                )],
                Language::Japanese,
                "みどり総合病院 内科",
            ),
        ),
        (
            "unsigned-ja.tif",
            delivery_report(
                &[Delivery { weakness: Some(Weakness::Unsigned), ..delivery("佐藤 花子", Outcome::Delivered) }],
                Language::Japanese,
                "みどり総合病院 内科",
            ),
        ),
        ("batch-unsigned-en.tif", delivery_report(&unsigned(batch(5)), Language::English, "Midori General Hospital")),
        ("batch-ja.tif", delivery_report(&batch(7), Language::Japanese, "みどり総合病院 内科")),
        ("batch-en.tif", delivery_report(&batch(18), Language::English, "Midori General Hospital")),
        ("batch-30-ja.tif", delivery_report(&batch(30), Language::Japanese, "みどり総合病院 内科")),
        ("batch-40-en.tif", delivery_report(&batch(40), Language::English, "Midori General Hospital")),
        ("letter.tif", test_letter()),
    ];
    let mut lines = String::new();
    for (name, pages) in &cases {
        look(name, pages);
        let coarse: Vec<Page> = pages.iter().map(|page| page.at(Resolution::Standard)).collect();
        look(&format!("standard-{name}"), &coarse);
        for page in pages.iter().chain(&coarse) {
            lines += &format!("{name}: {}\n", shape(page));
        }
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn any_number_is_reported_on_as_few_sheets_as_hold_it() {
    for (n, sheets) in [(0, 1), (1, 1), (2, 1), (15, 1), (30, 1), (40, 2), (150, 4)] {
        let pages = delivery_report(&batch(n), Language::English, &"office ".repeat(40));
        assert_eq!(pages.len(), sheets, "{n}");
        assert!(pages.iter().all(|page| (page.width(), page.height()) == (1728, 2292)));
    }
}

#[test]
fn letters_are_as_sharp_with_half_the_lines() {
    // Drawn on even lines at twice its size, a pixel of the font is two lines: one of them says it all.
    let mut fine = Page::a4(Resolution::Fine);
    draw(&mut fine, 100, 110, "Delivered 配達済み 2026-11-22", Style { scale: 2, bold: false });
    let coarse = fine.at(Resolution::Standard);
    let twice = coarse.at(Resolution::Fine);
    // All that differs are the rounded corners, which half the lines cannot have.
    let differing = (0..fine.height())
        .flat_map(|y| (0..fine.width()).map(move |x| (x, y)))
        .filter(|(x, y)| fine.pixel(*x, *y) != twice.pixel(*x, *y))
        .count() as u64;
    assert!(differing * 4 < fine.black_pixels(), "{differing} of {}", fine.black_pixels());
}

#[test]
fn hostile_words_do_no_harm() {
    let mut odd = delivery("a\r\n\u{202e}\u{1F600}\0", Outcome::Failed("x".repeat(5000)));
    odd.message_id = "y".repeat(5000);
    odd.delivered = "z".repeat(5000);
    for language in [Language::Japanese, Language::English] {
        delivery_report(std::slice::from_ref(&odd), language, "\u{7}");
        delivery_report(&[odd.clone(), odd.clone()], language, "");
    }
}
