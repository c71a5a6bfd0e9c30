//! Between pages and the octets of a telephone line (ITU-T T.4 and T.6 as T.30 has them on the line: EOL before each line and
//! RTC, or EOFB, the first bit lowest).

use sealfax_drivers::modem::{Coding, PageFormat, Resolution};
use sealfax_ifax::page::{self, MAX_HEIGHT, Page};
use sealfax_ifax::t4::{self, DecodeOptions, Decoded, EncodeOptions, Eol, FillOrder, T4Error};

/// A page of the format's width and resolution, as it goes over the line.
pub fn encode(page: &Page, format: &PageFormat) -> Vec<u8> {
    t4::encode(
        page,
        &EncodeOptions {
            coding: coding(format.coding),
            eol: Eol::Unaligned,
            rtc: true,
            fill_order: FillOrder::LsbFirst,
            k: format.k,
            line_bits: format.minimum_line_bits(),
        },
    )
}

/// What came over the line.
pub fn decode(octets: &[u8], format: &PageFormat) -> Result<Decoded, T4Error> {
    t4::decode(
        octets,
        &DecodeOptions {
            coding: coding(format.coding),
            lines_aligned: false,
            fill_order: FillOrder::LsbFirst,
            width: format.width,
            height: None,
            max_height: MAX_HEIGHT,
        },
    )
}

fn coding(coding: Coding) -> t4::Coding {
    match coding {
        Coding::Mh => t4::Coding::ModifiedHuffman,
        Coding::Mr => t4::Coding::ModifiedRead,
        Coding::Mmr => t4::Coding::ModifiedModifiedRead,
    }
}

/// A resolution of T.30 as one of a page.
pub fn on_paper(resolution: Resolution) -> page::Resolution {
    match resolution {
        Resolution::Standard => page::Resolution::Standard,
        Resolution::Fine => page::Resolution::Fine,
        Resolution::Superfine => page::Resolution::Superfine,
    }
}

/// A page's resolution as one of T.30.
pub fn on_the_line(resolution: page::Resolution) -> Resolution {
    match resolution {
        page::Resolution::Standard => Resolution::Standard,
        page::Resolution::Fine => Resolution::Fine,
        page::Resolution::Superfine => Resolution::Superfine,
    }
}
