//! What a card's data objects hold (NIST SP 800-73-5), also compressed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealfax_drivers::card::object::{self, MailboxLogin};

fuzz_target!(|content: &[u8]| {
    if let Ok(Some(certificate)) = object::certificate(content) {
        assert!(certificate.len() <= 64 * 1024, "a certificate is bounded, compressed or not");
        let _ = sealfax_smime::path::addresses(&certificate);
        let _ = sealfax_smime::path::common_name(&certificate);
        let _ = sealfax_smime::path::validity(&certificate);
    }
    let _ = object::guid(content);
    let _ = MailboxLogin::decode(content);
});
