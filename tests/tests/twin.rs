//! Whole stories with the field's own program on emulated boards: the same stories with the same expectations as in process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sealfax_rig::report::Verdict;
use sealfax_rig::scenario::{self, BenchKind, runner};
use sealfax_rig::twin::{Gpio, Offices};
use sealfax_tests::twin::on_twins;

/// Runs the story of this name with the adapters of these offices on twins.
fn passes(name: &str, offices: &str, gpio: Gpio) {
    on_twins(offices.parse().unwrap(), gpio, |twins| {
        let story = scenario::all().into_iter().find(|scenario| scenario.name == name);
        let story = story.unwrap_or_else(|| panic!("there is no story {name}"));
        let out = tempfile::tempdir().unwrap();
        let options = runner::Options {
            bench: BenchKind::Twin,
            twins: Some(twins),
            ..runner::Options::new(out.path().to_path_buf())
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let report = runtime.block_on(runner::run(&[story], &options, |_| {}));
        let [result] = report.results.as_slice() else { panic!("one result") };
        let last = result.events.iter().rev().take(40).map(|event| format!("{} {}", event.host, event.text));
        let last: Vec<String> = last.collect();
        assert_eq!(result.verdict, Verdict::Pass, "{name}: {:?}; last of all:\n{}", result.why, last.join("\n"));
        // The report says which program it was.
        assert_eq!(report.environment["twin adapter sha256"].len(), 64);
    });
}

#[test]
fn the_confidential_fax() {
    passes("confidential-fax", "all", Gpio::Rppal);
}

#[test]
fn a_wrong_card() {
    passes("wrong-card", "b", Gpio::Gpiocdev);
}

#[test]
fn a_card_pulled_while_its_document_is_handed_over() {
    passes("card-pulled-while-handed-over", "b", Gpio::Rppal);
}

#[test]
fn a_power_cut_before_the_machine_says_quit() {
    passes("power-cut-before-quit", "b", Gpio::Rppal);
}

#[test]
fn offices_are_letters() {
    assert_eq!("b".parse::<Offices>(), Ok(Offices::These(vec!['b'])));
}
