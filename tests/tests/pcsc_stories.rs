//! Whole stories with every card behind a real pcscd, through the driver of the field.
#![cfg(feature = "pcsc")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sealfax_rig::report::Verdict;
use sealfax_rig::scenario::{self, Cards, runner};
use sealfax_tests::pcscd::in_own_process;

/// Runs the story of this name with its cards behind pcscd.
fn passes(name: &str) {
    in_own_process(|| {
        let story = scenario::all().into_iter().find(|scenario| scenario.name == name);
        let story = story.unwrap_or_else(|| panic!("there is no story {name}"));
        let out = tempfile::tempdir().unwrap();
        let options = runner::Options { cards: Cards::Pcscd, ..runner::Options::new(out.path().to_path_buf()) };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let report = runtime.block_on(runner::run(&[story], &options, |_| {}));
        let [result] = report.results.as_slice() else { panic!("one result") };
        assert_eq!(result.verdict, Verdict::Pass, "{name}: {:?}", result.why);
    });
}

#[test]
fn the_confidential_fax() {
    passes("confidential-fax");
}

#[test]
fn a_wrong_card() {
    passes("wrong-card");
}

#[test]
fn a_card_pulled_at_every_point() {
    passes("card-pulled-at-every-point");
}

#[test]
fn a_card_pulled_while_its_document_is_handed_over() {
    passes("card-pulled-while-handed-over");
}

/// Behind pcscd the plug is pulled by killing pcscd.
#[test]
fn a_reader_unplugged() {
    passes("reader-unplugged");
}
