//! Every registered scenario as an ordinary test of its own name, on the simulated bench: `cargo test --test scenarios
//! wrong-card`, or with cargo-nextest. Each has a world of its own, so they may run side by side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use sealfax_rig::report::Verdict;
use sealfax_rig::scenario::runner::{Options, run};
use sealfax_rig::scenario::{self, Scenario};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new().unwrap());
    let trial = |scenario: Scenario| {
        let runtime = Arc::clone(&runtime);
        Trial::test(scenario.name, move || passes(&runtime, scenario))
    };
    let trials = scenario::all().into_iter().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn passes(runtime: &Runtime, scenario: Scenario) -> Result<(), Failed> {
    let out = tempfile::tempdir()?;
    let options = Options::new(out.path().to_path_buf());
    let report = runtime.block_on(run(&[scenario], &options, |_| {}));
    let result = report.results.into_iter().next().ok_or("no result")?;
    let why = result.why.unwrap_or_default();
    let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
    match result.verdict {
        Verdict::Pass => Ok(()),
        // A peer that is not installed is a failure only where everything has to be (CI).
        Verdict::Unsupported if !strict => {
            println!("unsupported: {}: {why}", result.name);
            Ok(())
        }
        verdict => Err(format!("{} {}: {why}", verdict.mark(), verdict.name()).into()),
    }
}
