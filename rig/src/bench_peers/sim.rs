//! How quick the simulated bench is: one confidential fax from the sender's card to the report of its delivery, a bench
//! for it, sixteen benches side by side, and the whole suite.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::lamp::one_document;
use super::{BenchError, Benchmark, Options, Progress, Row};
use crate::bench::region::{Plan, Region};
use crate::events::EventLog;
use crate::report::Verdict;
use crate::scenario::{self, Bench, BenchKind, Failure, runner};

/// This benchmark.
pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "sim",
    title: "A confidential fax, sixteen benches and the whole suite on the simulated bench",
    run,
};

/// Documents, of which the median counts.
const DOCUMENTS: usize = 21;
/// Benches side by side.
const BENCHES: usize = 16;
/// Milliseconds for a happy path.
const HAPPY_PATH: f64 = 50.0;
/// Seconds for the whole suite.
const SUITE: f64 = 60.0;

fn run(_: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    let runtime = tokio::runtime::Handle::current();
    let folder = tempfile::tempdir().map_err(BenchError::broken)?;
    let (mut rows, one) = runtime.block_on(alone(folder.path(), progress)).map_err(BenchError::broken)?;
    progress.at(format!("{BENCHES} benches side by side"));
    let all = runtime.block_on(side_by_side(folder.path())).map_err(BenchError::broken)?;
    rows.push(Row::alone(&format!("{BENCHES} benches side by side, built and a happy path on each"), "s", all));
    let bench_of_its_own = Row::less("the same, one bench of the sixteen", "s", all / BENCHES as f64, "one alone", one);
    rows.push(bench_of_its_own);
    rows.push(suite(&runtime, folder.path(), progress)?);
    Ok(rows)
}

async fn region(folder: &Path) -> Result<Region, Failure> {
    let bench = Bench::new(BenchKind::Sim, 1, folder.to_path_buf(), EventLog::new());
    Region::start(&bench, Plan { pictures: false, ..Plan::default() }).await
}

/// One bench, and one document after the other on it. Also gives the seconds for a bench and its first document.
async fn alone(folder: &Path, progress: &Progress) -> Result<(Vec<Row>, f64), Failure> {
    // The people's keys are made once for all benches.
    drop(region(folder).await?);
    let begin = Instant::now();
    let region = region(folder).await?;
    let built = begin.elapsed();
    let mut times = Vec::new();
    for number in 1..=DOCUMENTS {
        progress.at(format!("document {number} of {DOCUMENTS}"));
        let begin = Instant::now();
        one_document(&region, number).await?;
        times.push(begin.elapsed());
    }
    let first = times.first().copied().unwrap_or_default();
    times.sort();
    let median = times.get(DOCUMENTS / 2).copied().unwrap_or_default();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let rows = vec![
        Row::alone("a bench is built: servers, two offices, cards", "ms", milliseconds(built)),
        Row::alone("a happy path on it, median", "ms", milliseconds(median)).no_more_than(HAPPY_PATH),
    ];
    Ok((rows, (built + first).as_secs_f64()))
}

/// Every bench for itself, all at once.
async fn side_by_side(folder: &Path) -> Result<f64, Failure> {
    let begin = Instant::now();
    let benches = (0..BENCHES).map(|_| {
        let folder = folder.to_path_buf();
        tokio::spawn(async move { one_document(&region(&folder).await?, 1).await })
    });
    let ended = try_join_all(benches).await.map_err(Failure::infrastructure)?;
    ended.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(begin.elapsed().as_secs_f64())
}

fn suite(runtime: &tokio::runtime::Handle, folder: &Path, progress: &Progress) -> Result<Row, BenchError> {
    let scenarios = scenario::all();
    let options = runner::Options { jobs: BENCHES, ..runner::Options::new(folder.join("suite")) };
    let (begin, mut done) = (Instant::now(), 0);
    let report = runtime.block_on(runner::run(&scenarios, &options, |_| {
        done += 1;
        progress.at(format!("scenario {done} of {}", scenarios.len()));
    }));
    let seconds = begin.elapsed().as_secs_f64();
    // What this machine has no peer for is not counted against it.
    match report.results.iter().find(|result| !matches!(result.verdict, Verdict::Pass | Verdict::Unsupported)) {
        None => Ok(Row::alone(&format!("all {} scenarios", scenarios.len()), "s", seconds).no_more_than(SUITE)),
        Some(broken) => Err(BenchError::broken(format!("{}: {}", broken.name, broken.why.clone().unwrap_or_default()))),
    }
}
