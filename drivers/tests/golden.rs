//! Every state of the screen in both languages, against what was approved: words, lamp, buzzer and a checksum of the
//! picture in a snapshot, and contact sheets compared pixel by pixel. `UPDATE_GOLDEN=1` approves new sheets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::PathBuf;

use sealfax_drivers::display::{
    DiagnosisLine, DiagnosisMark, Fault, Font, Frame, Language, Marker, NAME_CAPITAL, Screen, Status, Style, draw,
    marker, palette,
};

mod samples;

const LANGUAGES: [(&str, Language); 2] = [("ja", Language::Japanese), ("en", Language::English)];

fn style(language: Language) -> Style {
    Style { language, font: Font::Bitmap }
}

/// CRC-32 (ISO/IEC 15948, annex D), enough to tell one picture from another.
fn crc32(octets: &[u8]) -> u32 {
    !octets.iter().fold(u32::MAX, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}

fn record(language: Language) -> String {
    let mut out = String::new();
    for (name, screen, status) in samples::all() {
        let frame = draw(&screen, &status, &style(language));
        let words = screen.words(language);
        let mark = Marker::of(&screen, language);
        assert_eq!(marker::read(&frame), Some(mark), "{name}");
        writeln!(out, "{name}: {} {:04x}", screen.kind().name(), mark.words).unwrap();
        for line in words.text().lines() {
            writeln!(out, "    {line}").unwrap();
        }
        writeln!(out, "    lamp {:?}, buzzer {:?}", screen.lamp(), screen.buzzer()).unwrap();
        writeln!(out, "    picture {:08x}\n", crc32(frame.rgb())).unwrap();
    }
    out
}

#[test]
fn every_state_in_japanese() {
    insta::assert_snapshot!("japanese", record(Language::Japanese));
}

#[test]
fn every_state_in_english() {
    insta::assert_snapshot!("english", record(Language::English));
}

/// A picture quartered in width and height, each pixel the mean of sixteen.
fn thumbnail(frame: &Frame) -> Vec<u8> {
    let wide = Frame::WIDTH as usize;
    let (w, h) = (wide / 4, Frame::HEIGHT as usize / 4);
    let mut small = Vec::with_capacity(w * h * 3);
    for y in 0..h {
        for x in 0..w {
            for channel in 0..3 {
                let sum: u32 = (0..16)
                    .map(|n| {
                        let (px, py) = (x * 4 + n % 4, y * 4 + n / 4);
                        u32::from(frame.rgb()[(py * wide + px) * 3 + channel])
                    })
                    .sum();
                small.push((sum / 16) as u8);
            }
        }
    }
    small
}

/// The first sample of each state, and the names that are hard to set, four beside each other.
fn sheet(language: Language) -> (Vec<u8>, u32, u32) {
    let mut seen = Vec::new();
    let extra = ["arrived-long", "arrived-six", "fault-arrived-four", "wrong-card-six"];
    let picked: Vec<_> = samples::all()
        .into_iter()
        .filter(|(name, screen, _)| {
            let first = !seen.contains(&screen.kind());
            seen.push(screen.kind());
            first || extra.contains(name)
        })
        .collect();
    let (w, h) = (Frame::WIDTH as usize / 4, Frame::HEIGHT as usize / 4);
    let rows = picked.len().div_ceil(4);
    let mut rgb = vec![0x30; w * 4 * h * rows * 3];
    for (n, (_, screen, status)) in picked.iter().enumerate() {
        let small = thumbnail(&draw(screen, status, &style(language)));
        for (row, line) in small.chunks(w * 3).enumerate() {
            let at = (((n / 4) * h + row) * w * 4 + (n % 4) * w) * 3;
            rgb[at..at + w * 3].copy_from_slice(line);
        }
    }
    (rgb, (w * 4) as u32, (h * rows) as u32)
}

fn encode(rgb: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(rgb).unwrap();
    drop(writer);
    file
}

fn decode(file: &[u8]) -> (Vec<u8>, u32, u32) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut rgb).unwrap();
    (rgb, info.width, info.height)
}

fn compare(name: &str, actual: (Vec<u8>, u32, u32)) {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let (rgb, width, height) = &actual;
    let file = encode(rgb, *width, *height);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, file).unwrap();
        return;
    }
    let approved = std::fs::read(&golden).map(|file| decode(&file)).ok();
    if approved.as_ref() != Some(&actual) {
        let beside = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&beside, file).unwrap();
        panic!(
            "{} is not what is drawn now; look at {} and approve it with UPDATE_GOLDEN=1",
            golden.display(),
            beside.display()
        );
    }
}

#[test]
fn contact_sheets_are_as_approved() {
    for (suffix, language) in LANGUAGES {
        compare(&format!("sheet-{suffix}.png"), sheet(language));
    }
}

#[test]
fn png_files_hold_the_picture() {
    let frame = draw(&Screen::Sent, &samples::healthy(), &style(Language::English));
    let expected = (frame.rgb().to_vec(), Frame::WIDTH, Frame::HEIGHT);
    assert_eq!(decode(frame.to_png()), expected);
}

#[test]
fn every_word_can_be_drawn_without_a_package() {
    for (_, language) in LANGUAGES {
        for (name, screen, status) in samples::all() {
            let fault = status.fault.map(|f| f.japanese + &f.english);
            let text = screen.words(language).text() + &status.office + &fault.unwrap_or_default();
            for c in text.chars().filter(|c| !"\n\u{1f600}".contains(*c)) {
                assert!(Font::Bitmap.has(c), "{name}: {c:?} U+{:04X}", c as u32);
            }
        }
    }
}

/// Heights of the runs of rows, in the first letter's columns, that carry ink.
fn runs(frame: &Frame, ink: [u8; 3], columns: std::ops::Range<usize>) -> Vec<u32> {
    let mut runs = Vec::new();
    let mut run = 0;
    for row in frame.rgb().chunks(Frame::WIDTH as usize * 3) {
        if columns.clone().any(|x| row[x * 3..x * 3 + 3] == ink) {
            run += 1;
        } else if run > 0 {
            runs.push(run);
            run = 0;
        }
    }
    runs
}

#[test]
fn capitals_of_names_are_a_tenth_of_the_screen() {
    use embedded_graphics::pixelcolor::RgbColor;
    assert_eq!(NAME_CAPITAL, Frame::HEIGHT as f32 / 10.0);
    let long = format!("{0} {0}", "H".repeat(11));
    let four = vec!["HHHHHH".to_owned(); 4];
    let cases: [(Vec<String>, Status, usize); 5] = [
        (vec!["HHH".into()], samples::healthy(), 1),
        (vec![long.clone()], samples::healthy(), 1),
        (four.clone(), samples::healthy(), 4),
        (four.clone(), samples::faulty(), 4),
        (vec![long; 6], samples::faulty(), 4),
    ];
    for (_, language) in LANGUAGES {
        for (names, status, least) in &cases {
            let many = names.len();
            let arrived = Screen::Arrived { names: names.clone() };
            let wrong = Screen::WrongCard { names: names.clone() };
            for screen in [arrived, wrong] {
                let pair = palette::AMBER;
                let ink = [pair.ink.r(), pair.ink.g(), pair.ink.b()];
                let frame = draw(&screen, status, &style(language));
                let tall = runs(&frame, ink, 312..340);
                let capitals = tall.iter().filter(|h| (72..200).contains(*h)).count();
                assert!(capitals >= *least, "{many} names: {tall:?}");
            }
        }
    }
}

fn hostile_diagnosis(text: &str) -> Screen {
    let line = DiagnosisLine {
        mark: DiagnosisMark::Failed,
        code: Some("GPIO-002"),
        japanese: text.into(),
        english: text.into(),
    };
    let advice = Fault { code: "GPIO-002", japanese: text.into(), english: text.into() };
    Screen::Diagnosis { lines: vec![line; 40], advice: Some(advice) }
}

#[test]
fn nothing_panics_on_hostile_text() {
    let nasty = [
        String::new(),
        "\u{202e}\0\r\n\u{feff}".to_owned(),
        "𠮷\u{10ffff}\u{e000}".repeat(500),
        "W".repeat(5000),
        "\u{301}".repeat(300),
        "様".repeat(64),
    ];
    for (_, language) in LANGUAGES {
        for text in &nasty {
            let status = Status { office: text.clone(), clock: text.clone(), ..samples::faulty() };
            for names in [vec![text.clone()], vec![text.clone(); 9], Vec::new()] {
                for screen in [
                    Screen::Arrived { names: names.clone() },
                    Screen::WrongCard { names },
                    Screen::Ready { name: text.clone() },
                    hostile_diagnosis(text),
                ] {
                    let frame = draw(&screen, &status, &style(language));
                    assert_eq!(marker::read(&frame), Some(Marker::of(&screen, language)));
                }
            }
        }
    }
}
