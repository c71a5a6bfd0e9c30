//! What a responder answers about a certificate.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;
use sealfax_client::ocsp::Question;

const SENDER: &[u8] = include_bytes!("../../../adapter/smime/tests/fixtures/sender.der");
const ANCHOR: &[u8] = include_bytes!("../../../adapter/smime/tests/fixtures/anchor.der");

fuzz_target!(|response: &[u8]| {
    if let Ok(question) = Question::about(SENDER, ANCHOR, [7; 32]) {
        let answer = question.judge(response, UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        assert!(answer.is_err(), "nobody has signed an answer to this question");
    }
});
