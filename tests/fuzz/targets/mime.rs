//! Mails of fax machines, their pages, and what header protection writes and takes off again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealfax_ifax::{mail, tiff};

fuzz_target!(|octets: &[u8]| {
    if let Ok(fax) = mail::parse(octets, &mail::Limits::default()) {
        let _ = tiff::count_pages(&fax.pages, &tiff::Limits::default());
    }
    let restored = sealfax_adapter::header_protection::restore(octets);
    assert!(restored.len() <= octets.len(), "taking something off adds nothing");
    if let Ok(protected) = sealfax_adapter::header_protection::protect(&restored, &[("Subject", "[...]".to_owned())]) {
        let _ = sealfax_adapter::header_protection::restore(&protected);
    }
});
