//! Round trips, foreign samples and hostile files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::super::{write, write_with};
use super::*;
use crate::t4::{EncodeOptions, Eol};

fn pages() -> Vec<Page> {
    [(1728, 30, Resolution::Standard), (1728, 60, Resolution::Fine), (2432, 10, Resolution::Superfine)]
        .into_iter()
        .map(|(width, height, resolution)| {
            let mut page = Page::blank(width, height, resolution).unwrap();
            for y in 0..height {
                for x in 0..width {
                    page.set(x, y, (x / 30 + y / 3) % 5 == 0);
                }
            }
            page
        })
        .collect()
}

#[test]
fn profile_s_comes_back_with_its_resolutions() {
    let file = write(&pages()).unwrap();
    assert_eq!(read(&file, &Limits::default()).unwrap(), pages());
}

#[test]
fn every_coding_comes_back() {
    for coding in [Coding::ModifiedHuffman, Coding::ModifiedRead, Coding::ModifiedModifiedRead] {
        for eol in [Eol::Absent, Eol::Unaligned, Eol::OctetAligned] {
            for fill_order in [FillOrder::MsbFirst, FillOrder::LsbFirst] {
                if coding == Coding::ModifiedRead && eol == Eol::Absent {
                    continue;
                }
                let options = EncodeOptions { coding, eol, rtc: false, fill_order, k: 4, line_bits: 0 };
                let file = write_with(&pages(), &options).unwrap();
                assert_eq!(read(&file, &Limits::default()).unwrap(), pages(), "{options:?}");
            }
        }
    }
}

#[test]
fn profile_s_has_the_fields_the_profile_demands_in_order() {
    let file = write(&pages()[..1]).unwrap();
    let count = usize::from(u16::from_le_bytes([file[8], file[9]]));
    let fields: Vec<_> = (0..count)
        .map(|i| {
            let entry = &file[10 + i * 12..];
            (u16::from_le_bytes([entry[0], entry[1]]), u32::from_le_bytes([entry[8], entry[9], entry[10], entry[11]]))
        })
        .collect();
    assert!(fields.is_sorted_by(|a, b| a.0 < b.0));
    for expected in [(254, 2), (256, 1728), (257, 30), (258, 1), (259, 3), (262, 0), (266, 2), (277, 1), (278, 30)] {
        assert!(fields.contains(&expected), "{expected:?} in {fields:?}");
    }
    for expected in [(292, 4), (296, 2), (297, 1 << 16)] {
        assert!(fields.contains(&expected), "{expected:?} in {fields:?}");
    }
}

#[test]
fn foreign_samples_agree_with_each_other() {
    let sample = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/fax").join(name);
        read(&std::fs::read(path).unwrap(), &Limits::default()).unwrap()
    };
    let mh = sample("mh.tif");
    assert_eq!(mh.len(), 1);
    assert!(mh[0].black_pixels() > 1000);
    assert_eq!(mh, sample("mr.tif"));
    assert_eq!(mh, sample("mmr.tif"));
    assert!(sample("multi.tif").len() > 1);
}

#[test]
fn loops_bombs_and_cuts_are_refused() {
    let limits = Limits::default();
    let mut file = write(&pages()[..1]).unwrap();
    let fields = usize::from(u16::from_le_bytes([file[8], file[9]]));
    let next = 10 + fields * 12;
    file[next] = 8;
    assert_eq!(read(&file, &limits), Err(TiffError::Loop { page: 2 }));
    assert_eq!(count_pages(&file, &limits), Err(TiffError::Loop { page: 2 }));

    let mut file = write(&pages()[..1]).unwrap();
    file[10 + 2 * 12 + 8..10 + 2 * 12 + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(read(&file, &limits), Err(TiffError::Field { page: 1, field: "ImageLength", value: u32::MAX }));

    let file = write(&vec![Page::blank(8, 1, Resolution::Fine).unwrap(); 201]).unwrap();
    assert_eq!(read(&file, &limits), Err(TiffError::Pages { limit: 200 }));

    let blank = Page::blank(4864, 20_000, Resolution::Fine).unwrap();
    let file = write(&vec![blank; 12]).unwrap();
    assert!(matches!(read(&file, &limits), Err(TiffError::Raster { page: 12, .. })));
    // They are counted all the same: nothing is unpacked for that.
    assert_eq!(count_pages(&file, &limits), Ok(12));

    let file = write(&pages()).unwrap();
    for cut in [0, 3, 9, 60, 300, file.len() / 2] {
        assert!(read(&file[..cut], &limits).is_err(), "{cut}");
    }
    assert_eq!(read(b"%PDF-1.7", &limits), Err(TiffError::NotTiff));
}

#[test]
fn strips_upon_each_other_are_refused() {
    let entry = |field: u16, count: u32, value: u32| {
        [&field.to_le_bytes()[..], &4u16.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let file = |counts: [u32; 2]| {
        let entries = [
            entry(tag::IMAGE_WIDTH, 1, 8),
            entry(tag::IMAGE_LENGTH, 1, 2),
            entry(tag::STRIP_OFFSETS, 2, 8),
            entry(tag::ROWS_PER_STRIP, 1, 1),
            entry(tag::STRIP_BYTE_COUNTS, 2, 16),
        ];
        let numbers = [24, 24, counts[0], counts[1]].map(u32::to_le_bytes).concat();
        let directory = [&5u16.to_le_bytes()[..], &entries.concat(), &[0; 4]].concat();
        [b"II\x2a\0".as_slice(), &32u32.to_le_bytes(), &numbers, &[0x81; 8], &directory].concat()
    };
    assert_eq!(read(&file([1, 1]), &Limits::default()).unwrap()[0].rows(), [0x81, 0x81]);
    assert!(matches!(read(&file([60, 60]), &Limits::default()), Err(TiffError::Outside { page: 1, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn hostile_files_never_panic(
        data in prop::collection::vec(any::<u8>(), 0..600),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        big: bool,
    ) {
        let limits = Limits { raster: 1 << 22, ..Limits::default() };
        let mut random = if big { b"MM\0\x2a\0\0\0\x08".to_vec() } else { b"II\x2a\0\x08\0\0\0".to_vec() };
        random.extend(data);
        let _ = read(&random, &limits);
        let mut file = write(&pages()).unwrap();
        for (at, octet) in flips {
            let at = at.index(file.len().min(300));
            file[at] = octet;
        }
        let _ = read(&file, &limits);
    }
}

/// Interoperability with another TIFF library, driven from outside: `SEALFAX_TIFF_OUT` names a folder into which the
/// test letter is written in every coding, beside its raw rows (`letter.rows`); `SEALFAX_TIFF_IN` one whose files,
/// rewritten by the other library from `profile-s.tif`, must all read as the letter.
#[test]
fn another_library_agrees_where_it_is_at_hand() {
    let letter = crate::report::test_letter();
    if let Some(out) = std::env::var_os("SEALFAX_TIFF_OUT").map(std::path::PathBuf::from) {
        std::fs::write(out.join("letter.rows"), letter[0].rows()).unwrap();
        std::fs::write(out.join("profile-s.tif"), write(&letter).unwrap()).unwrap();
        for coding in [Coding::ModifiedHuffman, Coding::ModifiedRead, Coding::ModifiedModifiedRead] {
            for eol in [Eol::Absent, Eol::Unaligned, Eol::OctetAligned] {
                for fill_order in [FillOrder::MsbFirst, FillOrder::LsbFirst] {
                    if coding != Coding::ModifiedRead || eol != Eol::Absent {
                        let options = EncodeOptions { coding, eol, rtc: false, fill_order, k: 4, line_bits: 0 };
                        let name = format!("{coding:?}-{eol:?}-{fill_order:?}.tif");
                        std::fs::write(out.join(name), write_with(&letter, &options).unwrap()).unwrap();
                    }
                }
            }
        }
    }
    if let Some(folder) = std::env::var_os("SEALFAX_TIFF_IN") {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.extension().is_some_and(|end| end == "tif") {
                let scans = read_scans(&std::fs::read(&entry).unwrap(), &Limits::default()).unwrap();
                assert!(scans.iter().all(|scan| scan.quality.is_perfect()), "{entry:?} {:?}", scans[0].quality);
                assert!(scans[0].page.rows() == letter[0].rows(), "{entry:?}");
            }
        }
    }
}

/// The same with files that others made of pages of their own: `SEALFAX_TIFF_CORPUS` names a folder of files, each beside the rows of
/// all its pages as another library reads them.
#[test]
fn a_corpus_reads_as_another_library_reads_it() {
    let Some(folder) = std::env::var_os("SEALFAX_TIFF_CORPUS") else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|end| end == "tif") {
            let scans = read_scans(&std::fs::read(&entry).unwrap(), &Limits::default()).unwrap();
            assert!(scans.iter().all(|scan| scan.quality.is_perfect()), "{entry:?} {:?}", scans[0].quality);
            let rows: Vec<u8> = scans.iter().flat_map(|scan| scan.page.rows().to_vec()).collect();
            assert!(rows == std::fs::read(entry.with_extension("rows")).unwrap(), "{entry:?}");
            count += 1;
        }
    }
    assert!(count > 300, "only {count} files");
}
