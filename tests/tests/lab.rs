//! The bench `lab` with all its instruments, at a board that is not there: a twin whose serial ports are pseudo terminals,
//! whose lines are a box of instruments, whose picture is a file. The same stories with the same expectations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealfax_rig::lab::check::{self, State};
use sealfax_rig::lab::stand_in::StandIn;
use sealfax_rig::lab::{BenchFile, Lab};
use sealfax_rig::report::{ScenarioResult, Verdict};
use sealfax_rig::scenario::{self, BenchKind, runner};
use sealfax_rig::twin::{Gpio, Offices};
use sealfax_tests::twin::on_twins;

/// Plays the story of this name on the bench.
fn play(runtime: &tokio::runtime::Runtime, name: &str, lab: Lab, out: &Path) -> ScenarioResult {
    let story = scenario::all().into_iter().find(|scenario| scenario.name == name);
    let story = story.unwrap_or_else(|| panic!("there is no story {name}"));
    let options = runner::Options { bench: BenchKind::Lab, lab: Some(lab), ..runner::Options::new(out.to_path_buf()) };
    runtime.block_on(runner::run(&[story], &options, |_| {})).results.remove(0)
}

fn lab(file: BenchFile, programs: Vec<(char, String)>) -> Lab {
    Lab { file: Arc::new(file), programs, broken: None }
}

fn has_passed(result: &ScenarioResult) {
    let last = result.events.iter().rev().take(40).map(|event| format!("{} {}", event.host, event.text));
    let last: Vec<String> = last.collect();
    assert_eq!(result.verdict, Verdict::Pass, "{:?}; last of all:\n{}", result.why, last.join("\n"));
}

#[test]
fn stories_on_a_board_that_is_not_there() {
    on_twins(Offices::All, Gpio::Rppal, |twins| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let stand_in = StandIn::start(twins.image.clone(), folder.path(), 'b').unwrap();
        let file = BenchFile::read(&stand_in.bench_file()).unwrap_or_else(|error| panic!("{error}"));

        // As soon as the board has started every instrument is there, and the board is the right one.
        let late = Instant::now() + Duration::from_secs(180);
        let report = loop {
            let report = runtime.block_on(check::check(&file, false));
            if report.is_sound() {
                break report;
            }
            assert!(Instant::now() < late, "{report}");
        };
        let good = report.findings.iter().filter(|finding| finding.state == State::Good).count();
        assert_eq!(good, report.findings.len() - 1, "all but labgrid: {report}");
        assert_eq!(report.programs, [('b', twins.image.facts.adapter_sha256.clone())]);

        let bench = || lab(file.clone(), report.programs.clone());
        has_passed(&play(&runtime, "wrong-card", bench(), out.path()));
        // What the board wrote is kept.
        let console = std::fs::read(out.path().join("wrong-card/console-adapter-b.log")).unwrap();
        let console = String::from_utf8_lossy(&console);
        assert!(console.contains("\"ids\":"), "{console}");
        has_passed(&play(&runtime, "power-cut-before-quit", bench(), out.path()));

        // What the bench has not makes a story unsupported, whatever the story would have made of it.
        let mut without = file.clone();
        without.board.b.as_mut().unwrap().power = None;
        let result = play(&runtime, "power-cut-before-quit", lab(without, Vec::new()), out.path());
        assert_eq!(result.verdict, Verdict::Unsupported, "{:?}", result.why);
        assert!(result.why.unwrap().contains("no power relay"));

        // What is broken on the bench is an infra-error and never the product's failure: another board at the wires, a
        // capture that ends in the middle of a story.
        let mut wrong = file.clone();
        wrong.board.b.as_mut().unwrap().identity = "40:54:00:00:00:99".into();
        let report = runtime.block_on(check::check(&wrong, false));
        assert!(
            report.reason().unwrap().contains("LAB-030 board b which board it is: the wrong board answers"),
            "{report}"
        );
        let result = play(&runtime, "wrong-card", lab(wrong, Vec::new()), out.path());
        assert_eq!(result.verdict, Verdict::InfraError, "{:?}", result.why);
        assert!(result.why.unwrap().contains("the wrong board answers"));

        let mut torn = file.clone();
        let table = "command = [\"sleep\", \"8\"]";
        torn.board.b.as_mut().unwrap().screen = Some(toml::from_str(table).unwrap());
        let result = play(&runtime, "wrong-card", lab(torn, Vec::new()), out.path());
        assert_eq!(result.verdict, Verdict::InfraError, "{:?}", result.why);
        assert!(result.why.unwrap().contains("the pictures of sleep: it ended"));
    });
}

#[test]
fn a_broken_bench_says_nothing_about_the_product() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let out = tempfile::tempdir().unwrap();
    let file = BenchFile::from_toml(sealfax_rig::lab::file::EXAMPLE).unwrap();
    let bench = Lab { broken: Some("LAB-021 board b the shell: no answer".into()), ..lab(file, Vec::new()) };
    let result = play(&runtime, "wrong-card", bench, out.path());
    assert_eq!(result.verdict, Verdict::InfraError);
    assert_eq!(result.why.as_deref(), Some("LAB-021 board b the shell: no answer"));
}
