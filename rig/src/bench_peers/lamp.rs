//! How long a person waits for the lamp: from the adapter's acceptance of a notice until its line is high, in process.

use std::time::Duration;

use sealfax_drivers::display::ScreenKind;

use super::{BenchError, Benchmark, Options, Progress, Row};
use crate::bench::people::HANAKO;
use crate::bench::region::{Plan, Region};
use crate::events::{Direction, Event, EventKind, EventLog, Lane, Mark};
use crate::scenario::stories::{note, receives, taro_sends};
use crate::scenario::{Bench, BenchKind, Failure};

/// This benchmark.
pub(super) const BENCHMARK: Benchmark =
    Benchmark { name: "lamp", title: "From a notice's acceptance to the lamp, in process", run };

/// Documents that are sent, each with its notice.
const NOTICES: usize = 100;
/// Milliseconds within which 99 of a hundred have their lamp.
const LAMP: f64 = 20.0;

fn run(_: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    let runtime = tokio::runtime::Handle::current();
    Ok(vec![runtime.block_on(many(progress)).map_err(BenchError::broken)?])
}

async fn many(progress: &Progress) -> Result<Row, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::infrastructure)?;
    let bench = Bench::new(BenchKind::Sim, 1, folder.path().to_path_buf(), EventLog::new());
    let region = Region::start(&bench, Plan { pictures: false, ..Plan::default() }).await?;
    let mut waits = Vec::new();
    for number in 1..=NOTICES {
        progress.at(format!("document {number} of {NOTICES}"));
        waits.push(one_document(&region, number).await?);
    }
    waits.sort();
    let late = waits.get(NOTICES * 99 / 100 - 1).copied().unwrap_or_default().as_secs_f64() * 1e3;
    Ok(Row::alone("from a notice's acceptance to the lamp, 99 of 100 documents", "ms", late).no_more_than(LAMP))
}

/// A document is sent and taken out, and everybody is as before. Gives the time from its notice to the lamp.
pub(super) async fn one_document(region: &Region, number: usize) -> Result<Duration, Failure> {
    let mark = region.log.mark();
    taro_sends(region, &[HANAKO.address], &note(&format!("number {number}"))).await?;
    let b = region.site('b')?;
    b.sees(ScreenKind::Arrived).await?;
    b.lamp(true).await?;
    let wait = to_the_lamp(&region.log, mark)?;
    receives(region, 'b', &region.person(HANAKO)?).await?;
    b.sees(ScreenKind::Idle).await?;
    region.site('a')?.receive().await.map_err(Failure::expectation)?;
    Ok(wait)
}

/// From the adapter's answer to the notice's data to the line going high.
fn to_the_lamp(log: &EventLog, mark: Mark) -> Result<Duration, Failure> {
    let accepted = |event: &&Event| match &event.kind {
        EventKind::Wire { from, direction: Direction::ToClient, .. } => {
            from.starts_with("adapter-b:") && event.text.starts_with("250 ")
        }
        _ => false,
    };
    let events = log.since(mark);
    let lit = events.iter().find(|event| {
        event.lane == Lane::Lamp && event.host == "adapter-b" && event.kind == EventKind::Level { lit: true }
    });
    // The last acceptance in the session is that of its data.
    let accepted = events.iter().rfind(accepted);
    match (accepted, lit) {
        (Some(accepted), Some(lit)) => Ok(lit.at.saturating_sub(accepted.at)),
        _ => Err(Failure::expectation("a notice that is accepted, and a lamp that is lit for it")),
    }
}
