//! Documents of every kind: what becomes of them, and what becomes of damaged ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Cursor;
use std::path::PathBuf;

use proptest::prelude::*;
use sealfax_ifax::page::A4_WIDTH;
use sealfax_ifax::tiff as fax;
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype};

use super::*;

fn file(name: &str, octets: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, octets).unwrap();
    (dir, path)
}

fn scanned(octets: Vec<u8>) -> Vec<Page> {
    pages(octets, Resolution::Fine).unwrap()
}

fn refused(octets: &[u8]) -> DocumentError {
    pages(octets.to_vec(), Resolution::Fine).unwrap_err()
}

fn png_of(width: u32, height: u32, color: png::ColorType, depth: png::BitDepth, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == png::ColorType::Indexed {
        // White, black, and a black that is transparent.
        encoder.set_palette(vec![255, 255, 255, 0, 0, 0, 0, 0, 0]);
        encoder.set_trns(vec![255, 255, 0]);
    }
    encoder.write_header().unwrap().write_image_data(data).unwrap();
    out
}

fn grey_png(width: u32, height: u32, level: impl Fn(u32, u32) -> u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| level(x, y)).collect();
    png_of(width, height, png::ColorType::Grayscale, png::BitDepth::Eight, &pixels)
}

/// A PDF of pages with one black rectangle each, in points from the lower left corner.
fn pdf(sheets: &[(u32, u32, &str)]) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned()];
    let kids: Vec<String> = (0..sheets.len()).map(|i| format!("{} 0 R", 3 + 2 * i)).collect();
    objects.push(format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), sheets.len()));
    for (i, (width, height, rectangle)) in sheets.iter().enumerate() {
        let drawing = format!("0 g {rectangle} re f");
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents {} 0 R /Resources << >> >>",
            4 + 2 * i
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{drawing}\nendstream", drawing.len()));
    }
    let mut out = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out += &format!("{} 0 obj\n{object}\nendobj\n", i + 1);
    }
    let start = out.len();
    out += &format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for offset in offsets {
        out += &format!("{offset:010} 00000 n \n");
    }
    out += &format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1);
    out.into_bytes()
}

fn grey_tiff(compression: Compression) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut out).unwrap().with_compression(compression);
    let half: Vec<u8> = (0..64u32 * 80).map(|i| if i % 64 < 32 { 0 } else { 255 }).collect();
    encoder.write_image::<colortype::Gray8>(64, 80, &half).unwrap();
    let red: Vec<u8> = (0..64u32 * 80).flat_map(|i| if i / 64 < 40 { [120, 0, 0] } else { [255, 255, 200] }).collect();
    encoder.write_image::<colortype::RGB8>(64, 80, &red).unwrap();
    let deep: Vec<u16> = (0..64u32 * 80).map(|i| if i % 64 < 32 { 0 } else { 65_535 }).collect();
    encoder.write_image::<colortype::Gray16>(64, 80, &deep).unwrap();
    out.into_inner()
}

/// A photograph as a camera sees it: soft shades, some noise, a light and a dark side.
fn photograph(x: u32, y: u32) -> u8 {
    let (fx, fy) = (f64::from(x) / 864.0, f64::from(y) / 1146.0);
    let waves = (fx * 9.0).sin() * 40.0 + (fy * 7.0 + fx * 3.0).cos() * 50.0;
    let noise = f64::from((x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)) >> 28) - 8.0;
    (128.0 + waves + noise).clamp(0.0, 255.0) as u8
}

#[test]
fn without_a_file_the_letter_is_scanned() {
    let pages = scan(None).unwrap();
    assert_eq!((pages[0].width(), pages[0].height()), (1728, 2292));
}

#[test]
fn fax_pages_pass_pixel_by_pixel() {
    let letter = report::test_letter();
    assert_eq!(scanned(fax::write(&letter).unwrap()), letter);
    let as_png = grey_png(1728, 2292, |x, y| if letter[0].pixel(x, y) { 0 } else { 255 });
    assert_eq!(scanned(as_png), letter);
}

#[test]
fn pictures_are_fitted_with_white_margins() {
    let page = scanned(grey_png(100, 1000, |_, _| 0)).remove(0);
    assert_eq!((page.width(), page.height()), (1728, 2292));
    assert!(page.pixel(864, 5) && page.pixel(864, 2290) && !page.pixel(600, 1000) && !page.pixel(1100, 1000));
}

#[test]
fn every_kind_of_png_is_read() {
    use png::{BitDepth, ColorType};
    let black = |page: &Page| page.black_pixels() as f64 / (1728.0 * 1660.0);
    let halves = |octets: Vec<u8>| {
        let page = scanned(octets).remove(0);
        assert!(page.pixel(300, 800) && !page.pixel(1400, 800));
        assert!((0.48..0.52).contains(&black(&page)), "{}", black(&page));
    };
    let rows = |left: &[u8], right: &[u8]| -> Vec<u8> {
        (0..32).flat_map(|_| [left.repeat(16), right.repeat(16)].concat()).collect()
    };
    halves(png_of(32, 32, ColorType::Grayscale, BitDepth::One, &[0, 0, 255, 255].repeat(32)));
    halves(png_of(32, 32, ColorType::Grayscale, BitDepth::Sixteen, &rows(&[0, 9], &[255, 9])));
    halves(png_of(32, 32, ColorType::GrayscaleAlpha, BitDepth::Eight, &rows(&[0, 255], &[0, 0])));
    halves(png_of(32, 32, ColorType::Rgb, BitDepth::Eight, &rows(&[40, 0, 60], &[255, 255, 230])));
    halves(png_of(32, 32, ColorType::Rgba, BitDepth::Eight, &rows(&[0, 0, 0, 255], &[0, 0, 0, 0])));
    halves(png_of(32, 32, ColorType::Rgba, BitDepth::Sixteen, &rows(&[0, 0, 0, 0, 0, 0, 255, 255], &[0; 8])));
    halves(png_of(32, 32, ColorType::Indexed, BitDepth::Eight, &rows(&[1], &[2])));
    halves(png_of(32, 32, ColorType::Indexed, BitDepth::Four, &[[0x11; 8], [0x22; 8]].concat().repeat(32)));
}

#[test]
fn ordinary_tiffs_are_read() {
    for (compression, name) in [
        (Compression::Uncompressed, "none"),
        (Compression::Lzw, "LZW"),
        (Compression::Packbits, "PackBits"),
        (Compression::Deflate(DeflateLevel::Balanced), "Deflate"),
    ] {
        let pages = scanned(grey_tiff(compression));
        assert_eq!(pages.len(), 3, "{name}");
        for half in [&pages[0], &pages[2]] {
            assert!(half.pixel(200, 900) && !half.pixel(1500, 900), "{name}");
        }
        assert!(pages[1].pixel(864, 200) && !pages[1].pixel(864, 1800), "{name}");
    }
}

#[test]
fn photographs_are_dithered_and_text_is_not() {
    let page = scanned(grey_png(600, 600, |_, _| 128)).remove(0);
    let share = page.black_pixels() as f64 / (1728.0 * 1660.0);
    assert!((0.45..0.60).contains(&share), "{share}");
    let page = scanned(grey_png(600, 600, |x, _| if x % 60 < 10 { 60 } else { 250 })).remove(0);
    assert!((0..1660).all(|y| page.row(y) == page.row(0)));
}

#[test]
fn a_photograph_is_no_burden_on_the_line() {
    let page = scanned(grey_png(864, 1146, photograph)).remove(0);
    let black = page.black_pixels() as f64 / (1728.0 * 2292.0);
    assert!((0.3..0.8).contains(&black), "{black}");
    let raw = page.rows().len();
    let coded = fax::write(std::slice::from_ref(&page)).unwrap().len();
    // Dots of single pixels would take over four times the raw page in T.4's one-dimensional code.
    assert!(coded < raw * 9 / 5, "{coded} octets of MH for {raw} raw ones");
}

#[test]
fn a_pdf_is_drawn_in_true_size_on_the_sheet_it_has() {
    // An A4 sheet whose left half is black, a letter sheet, one that lies, and a slip of paper.
    let sheets =
        [(595, 842, "0 0 297.5 842"), (612, 792, "0 0 306 792"), (842, 595, "0 0 421 595"), (144, 144, "0 0 144 144")];
    let pages = scanned(pdf(&sheets));
    let sizes: Vec<(u32, u32)> = pages.iter().map(|page| (page.width(), page.height())).collect();
    assert_eq!(sizes, [(1728, 2292), (1728, 2156), (1728, 2292), (1728, 2292)]);
    for page in &pages[..2] {
        assert!(page.pixel(400, 1000) && page.pixel(30, 2100) && !page.pixel(1300, 1000));
    }
    // Turned clockwise: what was left is above.
    assert!(pages[2].pixel(864, 100) && pages[2].pixel(864, 1100) && !pages[2].pixel(864, 1200));
    // Two inches are two inches.
    let across = (0..1728).filter(|x| pages[3].pixel(*x, 100)).count();
    let down = (0..2292).filter(|y| pages[3].pixel(864, *y)).count();
    assert!((407..=409).contains(&across) && (391..=393).contains(&down), "{across}x{down}");
}

#[test]
fn every_resolution_can_be_had() {
    for resolution in [Resolution::Standard, Resolution::Fine, Resolution::Superfine] {
        for document in [pdf(&[(595, 842, "0 0 297.5 842")]), grey_png(210, 297, |_, _| 0), b"words".to_vec()] {
            let page = pages(document, resolution).unwrap().remove(0);
            assert_eq!((page.width(), page.resolution()), (A4_WIDTH, resolution));
            assert!(page.height().abs_diff(resolution.a4_lines()) < 20, "{}", page.height());
        }
    }
}

#[test]
fn text_and_its_absence_are_understood() {
    assert!(scanned("親展\nconfidential\n".into())[0].black_pixels() > 100);
    assert!(matches!(refused(b"PK\x03\x04\0\0\xff\xfe"), DocumentError::Unsupported));
    assert!(matches!(refused(b""), DocumentError::Empty));
    assert!(matches!(refused(&grey_png(50, 50, |_, _| 0)[..60]), DocumentError::Png(_)));
    assert!(matches!(refused(b"%PDF-1.7\nnothing"), DocumentError::Pdf(_) | DocumentError::Pages(_)));
    assert!(matches!(refused(b"II\x2a\0\xff\xff\0\0"), DocumentError::Tiff(_) | DocumentError::Fax(_)));
    assert!(matches!(refused(b"\xff\xd8\xff\xe0\0\x10JFIF\0"), DocumentError::Jpeg(_)));
}

#[test]
fn an_encrypted_pdf_says_what_to_do() {
    // The standard security handler with a user password; the entries are of the right form, the password is not empty.
    let locked = String::from_utf8(pdf(&[(100, 100, "0 0 9 9")])).unwrap().replace(
        "trailer\n<< ",
        "trailer\n<< /ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899> /U <00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff> >> ",
    );
    let error = refused(locked.as_bytes());
    assert!(matches!(error, DocumentError::Encrypted), "{error}");
    assert!(error.to_string().contains("without one"), "{error}");
}

#[test]
fn bombs_are_refused_before_anything_is_made_of_them() {
    let mut bomb = grey_png(1, 1, |_, _| 0);
    // The width in the header, with its checksum: a hundred thousand pixels, and as many lines.
    bomb[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    let crc = {
        let mut crc = u32::MAX;
        for octet in &bomb[12..29] {
            crc ^= u32::from(*octet);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        !crc
    };
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    assert!(matches!(refused(&bomb), DocumentError::Pixels { width: 100_000, height: 100_000 }));
}

#[test]
fn a_typing_mistake_is_answered_with_the_nearest_name() {
    let (dir, path) = file("referral-letter.pdf", b"%PDF-");
    let wrong = dir.path().join("referal-leter.pdf");
    let error = scan(Some(&wrong)).unwrap_err().to_string();
    assert!(error.contains("did you mean") && error.contains(&path.display().to_string()), "{error}");
    let error = scan(Some(&dir.path().join("zzzzzzzzzzzz.tif"))).unwrap_err().to_string();
    assert!(error.contains("check the name"), "{error}");
    assert!(matches!(scan(Some(dir.path())), Err(ScanError::Read { .. })));
}

fn mutated(mut octets: Vec<u8>, flips: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    for (at, octet) in flips {
        let at = at.index(octets.len());
        octets[at] = *octet;
    }
    octets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn damaged_documents_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        for whole in [
            grey_png(40, 40, |x, y| (x * y) as u8),
            grey_tiff(Compression::Lzw),
            fax::write(&[report::test_letter().remove(0).cropped(60)]).unwrap(),
            pdf(&[(60, 60, "10 10 20 20")]),
            JPEG.to_vec(),
        ] {
            let _ = pages(mutated(whole, &flips), Resolution::Standard);
        }
    }

    #[test]
    fn noise_behind_every_signature_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        for signature in [&b"II\x2a\0"[..], b"MM\0\x2a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"%PDF-1.4\n", b""] {
            let _ = pages([signature, &noise].concat(), Resolution::Standard);
        }
    }
}

/// A grey square of 8x8 pixels, baseline, one quantiser and the shortest of tables.
const JPEG: &[u8] = include_bytes!("tests/grey.jpg");

#[test]
fn a_jpeg_is_read() {
    let page = scanned(JPEG.to_vec()).remove(0);
    let share = page.black_pixels() as f64 / (1728.0 * 1660.0);
    assert!((0.45..0.60).contains(&share), "{share}");
}
