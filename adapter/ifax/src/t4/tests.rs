//! Round trips, damage and hostile data for T.4 and T.6.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::page::Resolution;

const CODINGS: [(Coding, Eol, bool); 8] = [
    (Coding::ModifiedHuffman, Eol::Absent, false),
    (Coding::ModifiedHuffman, Eol::Unaligned, false),
    (Coding::ModifiedHuffman, Eol::Unaligned, true),
    (Coding::ModifiedHuffman, Eol::OctetAligned, false),
    (Coding::ModifiedHuffman, Eol::OctetAligned, true),
    (Coding::ModifiedRead, Eol::Unaligned, true),
    (Coding::ModifiedRead, Eol::OctetAligned, false),
    (Coding::ModifiedModifiedRead, Eol::Absent, true),
];

fn reading(options: &EncodeOptions, width: u32, height: Option<u32>) -> DecodeOptions {
    DecodeOptions {
        coding: options.coding,
        lines_aligned: options.coding == Coding::ModifiedHuffman && options.eol == Eol::Absent,
        fill_order: options.fill_order,
        width,
        height,
        max_height: MAX_HEIGHT,
    }
}

fn every_way(page: &Page) {
    for (coding, eol, rtc) in CODINGS {
        for fill_order in [FillOrder::MsbFirst, FillOrder::LsbFirst] {
            for k in [1, 2, 4] {
                let options = EncodeOptions { coding, eol, rtc, fill_order, k, line_bits: 0 };
                let data = encode(page, &options);
                for height in [Some(page.height()), None] {
                    let read = decode(&data, &reading(&options, page.width(), height)).unwrap();
                    assert!(read.quality.is_perfect(), "{options:?} {height:?} {:?}", read.quality);
                    // Without a height, fill after the last line may look like one more only where there is no EOL.
                    assert_eq!(read.height, page.height(), "{options:?} {height:?}");
                    assert!(read.rows == page.rows(), "{options:?} {height:?}");
                }
            }
        }
    }
}

fn page(width: u32, height: u32, mut pixel: impl FnMut(u32, u32) -> bool) -> Page {
    let mut page = Page::blank(width, height, Resolution::Fine).unwrap();
    for y in 0..height {
        for x in 0..width {
            page.set(x, y, pixel(x, y));
        }
    }
    page
}

#[test]
fn plain_pages_survive_every_coding() {
    for width in [1, 7, 8, 64, 1728, 2048, 2432, 4864] {
        every_way(&page(width, 3, |_, _| false));
        every_way(&page(width, 3, |_, _| true));
        every_way(&page(width, 3, |x, y| (x + y) % 2 == 0));
        every_way(&page(width, 3, |x, _| x % 2 == 0));
        every_way(&page(width, 5, |_, y| y % 2 == 0));
        every_way(&page(width, 4, |x, y| x > width / 2 + y));
    }
}

/// Two EOL in a row stand for a line that was lost: also behind the last one that there is room for.
#[test]
fn a_line_lost_at_the_end_is_not_one_too_many() {
    // White lines of 64 pixels: 11011, then 00110101 for none more.
    let line = "000000000001".to_owned() + "11011" + "00110101";
    let bits = line.repeat(2) + "000000000001" + &line;
    let octets: Vec<u8> = bits
        .as_bytes()
        .chunks(8)
        .map(|chunk| chunk.iter().fold(0, |octet, bit| octet << 1 | (bit - b'0')) << (8 - chunk.len()))
        .collect();
    for (height, max_height) in [(Some(3), 100), (None, 3), (Some(2), 100), (None, 100)] {
        let options = DecodeOptions {
            coding: Coding::ModifiedHuffman,
            lines_aligned: false,
            fill_order: FillOrder::MsbFirst,
            width: 64,
            height,
            max_height,
        };
        let read = decode(&octets, &options);
        assert!(read.is_err() || read.unwrap().height <= height.unwrap_or(max_height), "{height:?} {max_height}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn pages_of_runs_survive_every_coding(
        width in prop::sample::select(vec![1728u32, 2048, 2432, 33]),
        lines in prop::collection::vec((prop::collection::vec(0u32..300, 0..24), -4i32..5), 1..8),
    ) {
        let mut made = Page::blank(width, lines.len() as u32, Resolution::Fine).unwrap();
        let mut edges: Vec<u32> = Vec::new();
        for (y, (runs, shift)) in lines.iter().enumerate() {
            // Half of the lines are the line above, shifted: that is what the vertical modes are for.
            if y % 2 == 1 {
                edges = edges.iter().map(|e| e.saturating_add_signed(*shift)).collect();
            } else {
                edges = runs.iter().scan(0, |at, run| { *at += run; Some(*at) }).collect();
            }
            for pair in edges.chunks(2) {
                for x in pair[0]..pair.get(1).copied().unwrap_or(width).min(width) {
                    made.set(x, y as u32, true);
                }
            }
        }
        every_way(&made);
    }

    /// Lines of every density above each other: what they are read with changes from line to line.
    #[test]
    fn lines_of_any_density_survive_every_coding(
        width in prop::sample::select(vec![1728u32, 63, 64, 65, 127, 1000]),
        lines in prop::collection::vec((0u32..6, any::<u64>()), 1..12),
    ) {
        let mut made = Page::blank(width, lines.len() as u32, Resolution::Fine).unwrap();
        for (y, (density, chance)) in lines.iter().enumerate() {
            let mut chance = *chance;
            for x in 0..width {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let black = match density {
                    0 => false,
                    1 => (chance >> 40).is_multiple_of(200),
                    2 => x / 40 % 2 == 1,
                    // Most of a line of noise stands below it again, shifted.
                    3 if y > 0 => made.pixel(x.wrapping_sub(1), y as u32 - 1) != (chance >> 40).is_multiple_of(9),
                    _ => chance >> 63 == 1,
                };
                made.set(x, y as u32, black);
            }
        }
        every_way(&made);
    }

    #[test]
    fn noise_survives_every_coding(seed in prop::collection::vec(any::<u8>(), 216 * 2)) {
        every_way(&Page::from_rows(1728, 2, Resolution::Fine, seed).unwrap());
    }

    #[test]
    fn hostile_data_is_bounded(data in prop::collection::vec(any::<u8>(), 0..3000), which in 0usize..8, lsb: bool) {
        let (coding, eol, rtc) = CODINGS[which];
        let fill_order = if lsb { FillOrder::LsbFirst } else { FillOrder::MsbFirst };
        let options = EncodeOptions { coding, eol, rtc, fill_order, k: 4, line_bits: 0 };
        for height in [Some(100), None] {
            if let Ok(read) = decode(&data, &reading(&options, 1728, height)) {
                prop_assert!(read.height <= height.unwrap_or(MAX_HEIGHT));
                prop_assert_eq!(read.rows.len(), 216 * read.height as usize);
            }
        }
    }

    #[test]
    fn mutated_data_is_bounded(flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..20), which in 0usize..8) {
        let (coding, eol, rtc) = CODINGS[which];
        let options = EncodeOptions { coding, eol, rtc, fill_order: FillOrder::LsbFirst, k: 4, line_bits: 0 };
        let mut data = encode(&page(1728, 24, |x, y| (x * 7 + y * 13) % 61 < 20), &options);
        for (at, bit) in flips {
            let at = at.index(data.len());
            data[at] ^= 1 << bit;
        }
        let read = decode(&data, &reading(&options, 1728, Some(24))).unwrap();
        prop_assert_eq!(read.rows.len(), 216 * 24);
    }
}

#[test]
fn a_damaged_line_repeats_the_one_above_and_is_counted() {
    let sent = page(1728, 40, |x, y| (x / 40 + y / 4) % 3 == 0);
    let options = EncodeOptions { rtc: true, ..EncodeOptions::PROFILE_S };
    let lines: Vec<Vec<u8>> =
        (0..40).map(|y| encode(&page(1728, 1, |x, _| sent.pixel(x, y)), &EncodeOptions::PROFILE_S)).collect();
    let mut data = encode(&sent, &options);
    let start: usize = lines[..20].iter().map(Vec::len).sum();
    data[start + 4] ^= 0xff;
    let read = decode(&data, &reading(&options, 1728, Some(40))).unwrap();
    assert_eq!(read.quality, CopyQuality { damaged_lines: 1, most_consecutive: 1, missing_lines: 0 });
    assert_eq!(read.rows[..20 * 216], sent.rows()[..20 * 216]);
    assert_eq!(read.rows[20 * 216..21 * 216], sent.rows()[19 * 216..20 * 216]);
    assert_eq!(read.rows[21 * 216..], sent.rows()[21 * 216..]);
}

#[test]
fn after_damage_modified_read_waits_for_a_one_dimensional_line() {
    let sent = page(1728, 16, |x, y| (x / 40 + y) % 3 == 0);
    let options = EncodeOptions {
        coding: Coding::ModifiedRead,
        eol: Eol::OctetAligned,
        rtc: true,
        fill_order: FillOrder::MsbFirst,
        k: 4,
        line_bits: 0,
    };
    let mut data = encode(&sent, &options);
    // The second EOL with tag 0 begins line 1; break what follows it.
    let line_1 = data.windows(3).position(|w| w[0] & 15 == 0 && w[1] == 1 && w[2] & 0x80 == 0).unwrap();
    data[line_1 + 2] = 0x01;
    let read = decode(&data, &reading(&options, 1728, Some(16))).unwrap();
    assert_eq!(read.quality.damaged_lines, 3);
    assert_eq!(read.quality.most_consecutive, 3);
    assert_eq!(read.rows[4 * 216..], sent.rows()[4 * 216..]);
}

#[test]
fn a_cut_page_is_reported_as_missing_lines() {
    let sent = page(1728, 40, |x, y| (x + y) % 16 < 5);
    for (coding, eol, rtc) in CODINGS {
        let options = EncodeOptions { coding, eol, rtc, fill_order: FillOrder::MsbFirst, k: 4, line_bits: 0 };
        let data = encode(&sent, &options);
        let read = decode(&data[..data.len() / 2], &reading(&options, 1728, Some(40))).unwrap();
        assert!((15..25).contains(&read.quality.missing_lines), "{options:?} {:?}", read.quality);
        assert_eq!(read.height, 40);
    }
}

#[test]
fn dimensions_are_refused_before_anything_is_allocated() {
    let options = reading(&EncodeOptions::PROFILE_S, 1728, Some(u32::MAX));
    assert_eq!(decode(&[], &options), Err(T4Error::Height { height: u32::MAX, limit: MAX_HEIGHT }));
    let options = reading(&EncodeOptions::PROFILE_S, u32::MAX, None);
    assert_eq!(decode(&[], &options), Err(T4Error::Width(u32::MAX)));
}

#[test]
fn a_slow_receiver_gets_fill_and_reads_the_same_page() {
    let sent = page(1728, 12, |x, y| (x / 400 + y) % 2 == 0);
    for coding in [Coding::ModifiedHuffman, Coding::ModifiedRead] {
        for eol in [Eol::Unaligned, Eol::OctetAligned] {
            let quick = EncodeOptions { coding, eol, rtc: true, fill_order: FillOrder::LsbFirst, k: 4, line_bits: 0 };
            let slow = EncodeOptions { line_bits: 288, ..quick };
            let data = encode(&sent, &slow);
            // 14,400 bit/s and 20 ms a line: every line has its 288 bits.
            assert!(data.len() * 8 >= 12 * 288 && encode(&sent, &quick).len() * 8 < 12 * 288, "{coding:?}");
            let read = decode(&data, &reading(&slow, 1728, None)).unwrap();
            assert!(read.quality.is_perfect() && read.rows == sent.rows(), "{coding:?} {eol:?}");
        }
    }
}

#[test]
fn a_page_that_lost_its_end_does_not_say_that_it_ended() {
    let sent = page(1728, 40, |x, y| (x / 100 + y) % 2 == 0);
    for coding in [Coding::ModifiedHuffman, Coding::ModifiedRead, Coding::ModifiedModifiedRead] {
        let fill_order = FillOrder::LsbFirst;
        let options = EncodeOptions { coding, eol: Eol::Unaligned, rtc: true, fill_order, k: 4, line_bits: 0 };
        let data = encode(&sent, &options);
        assert!(decode(&data, &reading(&options, 1728, None)).unwrap().ended, "{coding:?}");
        for cut in [data.len() / 2, data.len() - 12] {
            let read = decode(&data[..cut], &reading(&options, 1728, None)).unwrap();
            assert!(!read.ended && read.height <= 40, "{coding:?} {cut}");
        }
    }
}
