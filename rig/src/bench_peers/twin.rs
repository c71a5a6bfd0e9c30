//! The board: how long it takes from power to a ready adapter, what the adapter takes of its memory and processor while it
//! has nothing to do, and how long a person waits for the lamp.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealfax_drivers::display::ScreenKind;

use super::lamp::one_document;
use super::{BenchError, Benchmark, Options, Progress, Row};
use crate::bench::on_twin::OnTwin;
use crate::bench::region::{Plan, Region};
use crate::events::EventLog;
use crate::report::Verdict;
use crate::scenario::{self, Bench, BenchKind, Failure, runner};
use crate::twin::{Gpio, Image, Offices, Twins};

/// This benchmark.
pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "twin",
    title: "An emulated board: from power to ready, memory and processor of the adapter, from a notice to the lamp",
    run,
};

/// Seconds from power to a ready adapter, at most.
const READY: f64 = 8.0;
/// Seconds of the demonstration on two boards, at most.
const DEMONSTRATION: f64 = 60.0;
/// Megabytes of the adapter's resident memory, at most.
const MEMORY: f64 = 24.0;
/// Percent of a processor that an idle adapter takes, at most.
const IDLE: f64 = 0.5;
/// Milliseconds from a notice's acceptance to the lamp, at most.
const LAMP: f64 = 200.0;
/// How often a notice is brought.
const NOTICES: usize = 5;
/// How long the adapter is left in peace: a whole minute, since the clock on its screen moves once in each.
const PEACE: Duration = Duration::from_secs(60);

fn run(_: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    let image = Arc::new(Image::open(Path::new(Image::PLACE)).map_err(BenchError::broken)?);
    let boards = |offices| Twins { image: image.clone(), offices, gpio: Gpio::Rppal };
    let runtime = tokio::runtime::Handle::current();
    let mut rows =
        runtime.block_on(one_board(boards(Offices::These(vec!['b'])), progress)).map_err(BenchError::broken)?;
    progress.at("the demonstration on two boards");
    rows.push(runtime.block_on(demonstration(boards(Offices::All)))?);
    Ok(rows)
}

async fn one_board(twins: Twins, progress: &Progress) -> Result<Vec<Row>, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::infrastructure)?;
    let mut bench = Bench::new(BenchKind::Twin, 1, folder.path().to_path_buf(), EventLog::new());
    bench.twins = Some(twins);
    progress.at("from power to ready");
    let mut region = Region::start(&bench, Plan { pictures: false, ..Plan::default() }).await?;
    region.site('b')?.sees(ScreenKind::Idle).await?;
    // The world stands and the processor is free: this start counts.
    region.site_mut('b')?.power_cut().await;
    let begin = Instant::now();
    region.site_mut('b')?.power_on().await?;
    let ready = begin.elapsed().as_secs_f64();

    progress.at("an idle adapter");
    region.site('b')?.sees(ScreenKind::Idle).await?;
    let board = region.site('b')?.twin().ok_or_else(|| Failure::infrastructure("no twin"))?;
    board.look(false)?;
    // What it does for the first time an emulator has to translate first: the adapter has stood a while.
    tokio::time::sleep(PEACE).await;
    let before = processor(board).await?;
    tokio::time::sleep(PEACE).await;
    let idle = processor(board).await?.since(before);
    board.look(true)?;

    progress.at("from a notice to the lamp");
    let mut waits = Vec::new();
    for number in 1..=NOTICES {
        waits.push(one_document(&region, number).await?);
    }
    let longest = waits.into_iter().max().unwrap_or_default().as_secs_f64() * 1e3;
    let memory = resident(region.site('b')?.twin().ok_or_else(|| Failure::infrastructure("no twin"))?).await?;
    Ok(vec![
        Row::alone("from power to a ready adapter", "s", ready).no_more_than(READY),
        Row::alone("resident memory of the adapter after five documents", "MB", memory).no_more_than(MEMORY),
        Row::alone("processor of an idle adapter", "%", idle).no_more_than(IDLE),
        Row::alone("from a notice's acceptance to the lamp, longest of five", "ms", longest).no_more_than(LAMP),
    ])
}

/// Processor time of the adapter and the board's uptime, in hundredths of a second.
#[derive(Clone, Copy)]
struct Spent {
    adapter: f64,
    uptime: f64,
}

impl Spent {
    /// In percent of one processor.
    fn since(self, before: Self) -> f64 {
        (self.adapter - before.adapter) * 100.0 / (self.uptime - before.uptime).max(1.0)
    }
}

async fn processor(board: &OnTwin) -> Result<Spent, Failure> {
    let said = board.shell("cat /proc/$(pidof sealfax-adapter)/stat /proc/uptime").await?.text;
    let mut lines = said.lines();
    // The fields after the program's name: utime and stime are the 14th and 15th of all.
    let after = lines.next().and_then(|line| line.rsplit_once(") ")).map(|(_, after)| after).unwrap_or_default();
    let field = |number: usize| after.split(' ').nth(number - 3).and_then(|field| field.parse::<f64>().ok());
    let uptime = lines.next().and_then(|line| line.split(' ').next()).and_then(|seconds| seconds.parse::<f64>().ok());
    match (field(14), field(15), uptime) {
        (Some(user), Some(system), Some(uptime)) => Ok(Spent { adapter: user + system, uptime: uptime * 100.0 }),
        _ => Err(Failure::infrastructure(format!("the board's processor times cannot be read: {said}"))),
    }
}

/// Of the adapter, in megabytes.
async fn resident(board: &OnTwin) -> Result<f64, Failure> {
    let said = board.shell("grep VmRSS /proc/$(pidof sealfax-adapter)/status").await?.text;
    let kibibytes = said.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok());
    kibibytes.map(|number| number * 1024.0 / 1e6).ok_or_else(|| Failure::infrastructure(format!("no VmRSS: {said}")))
}

async fn demonstration(twins: Twins) -> Result<Row, BenchError> {
    let folder = tempfile::tempdir().map_err(BenchError::broken)?;
    let all = scenario::all();
    let story = all.iter().find(|scenario| scenario.name == crate::demo::SCENARIO);
    let story = story.ok_or_else(|| BenchError::broken("there is no demonstration"))?;
    let options = runner::Options {
        bench: BenchKind::Twin,
        twins: Some(twins),
        flat: true,
        ..runner::Options::new(folder.path().to_path_buf())
    };
    let report = runner::run(std::slice::from_ref(story), &options, |_| {}).await;
    match report.results.as_slice() {
        [result] if result.verdict == Verdict::Pass => {
            let seconds = result.elapsed.as_secs_f64();
            Ok(Row::alone("the demonstration on two boards", "s", seconds).no_more_than(DEMONSTRATION))
        }
        [result] => Err(BenchError::broken(result.why.clone().unwrap_or_default())),
        _ => Err(BenchError::broken("one result was expected")),
    }
}
