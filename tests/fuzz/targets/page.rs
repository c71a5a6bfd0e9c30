//! Pages: TIFF files as they are, and the data of a line in every coding, as it says itself in its first octets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealfax_ifax::t4::{Coding, DecodeOptions, FillOrder, decode};
use sealfax_ifax::tiff;

const CODINGS: [Coding; 3] = [Coding::ModifiedHuffman, Coding::ModifiedRead, Coding::ModifiedModifiedRead];

fuzz_target!(|octets: &[u8]| {
    let limits = tiff::Limits { raster: 4 << 20, pages: 20, ..tiff::Limits::default() };
    if let Ok(pages) = tiff::read(octets, &limits) {
        let rows: usize = pages.iter().map(|page| page.rows().len()).sum();
        assert!(rows <= limits.raster, "no more than was allowed");
    }
    let Some(([how, width_high, width_low, height], line)) = octets.split_first_chunk::<4>() else { return };
    let width = (u32::from(*width_high) << 8 | u32::from(*width_low)) % 5000;
    let coding = CODINGS[usize::from(how % 3)];
    let options = DecodeOptions {
        coding,
        lines_aligned: how & 4 != 0,
        fill_order: if how & 8 != 0 { FillOrder::LsbFirst } else { FillOrder::MsbFirst },
        width,
        height: (how & 16 != 0).then_some(u32::from(*height)),
        max_height: 300,
    };
    if let Ok(read) = decode(line, &options) {
        assert!(read.height <= 300 && read.rows.len() == (width as usize).div_ceil(8) * read.height as usize);
        let padding = if width % 8 == 0 { 0 } else { 0xffu8 >> (width % 8) };
        let stride = (width as usize).div_ceil(8);
        assert!(read.rows.chunks_exact(stride).all(|row| row[stride - 1] & padding == 0), "padding is white");
    }
});
