//! Every registered scenario as an ordinary test, once, on the simulated bench.
//!
//! Each has a world of its own, so a few run side by side. All are run before the test fails, and each is named with its
//! verdict and its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use sealfax_rig::report::{ScenarioResult, Verdict};
use sealfax_rig::scenario::runner::{Options, run};
use sealfax_rig::scenario::{self, BenchKind};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Worlds at once: they mostly wait for each other's sockets and for the disk.
const SIDE_BY_SIDE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_passes() {
    let out = tempfile::tempdir().unwrap();
    let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut running: JoinSet<ScenarioResult> = JoinSet::new();
    let scenarios = scenario::all();
    for scenario in scenarios.clone() {
        let options = Options {
            bench: BenchKind::Sim,
            seed: 1,
            out: out.path().to_path_buf(),
            document: None,
            repeat: 1,
            flat: false,
            live: None,
        };
        let places = places.clone();
        running.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            run(&[scenario], &options, |_| {}).await.results.remove(0)
        });
    }
    let mut wrong = Vec::new();
    let mut count = 0;
    while let Some(result) = running.join_next().await {
        let result = result.unwrap();
        count += 1;
        let line = format!("{} {} ({:.1} s)", result.verdict.mark(), result.name, result.elapsed.as_secs_f64());
        println!("{line}");
        if result.verdict != Verdict::Pass {
            wrong.push(format!("{line}: {}", result.why.unwrap_or_default()));
        }
    }
    assert_eq!(count, scenarios.len());
    assert!(wrong.is_empty(), "{} of {count} did not pass:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn names_are_unique_and_steady() {
    let mut names: Vec<&str> = scenario::all().iter().map(|scenario| scenario.name).collect();
    let good =
        |name: &str| name.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-');
    assert!(names.iter().all(|name| good(name)), "{names:?}");
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two scenarios share a name");
}
