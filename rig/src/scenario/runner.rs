//! Runs scenarios: several benches side by side, a deadline for each, a verdict of five kinds, artefacts in a folder of
//! its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::{StreamExt, stream};

use super::{Bench, BenchKind, Cards, Failure, Scenario};
use crate::events::{Event, EventLog};
use crate::instrument::screen;
use crate::lab::Lab;
use crate::report::{RunReport, ScenarioResult, Verdict, program};
use crate::requirements;
use crate::twin::{Twins, machine};

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// How to run.
#[derive(Clone)]
pub struct Options {
    /// Which bench.
    pub bench: BenchKind,
    /// How cards reach the adapters.
    pub cards: Cards,
    /// The boards, for the bench `twin`.
    pub twins: Option<Twins>,
    /// The boards, for the bench `lab`.
    pub lab: Option<Lab>,
    /// Everything random follows from it.
    pub seed: u64,
    /// Where the artefacts go.
    pub out: PathBuf,
    /// The user's own page(s), if any.
    pub document: Option<PathBuf>,
    /// How often each scenario runs; more than once tells flaky ones.
    pub repeat: u32,
    /// How many benches stand side by side; each scenario has one to itself.
    pub jobs: usize,
    /// Artefacts go straight into `out` instead of a folder per scenario; for one scenario run once.
    pub flat: bool,
    /// Sees every event as it happens.
    pub live: Option<Listener>,
}

impl Options {
    /// On the simulated bench with cards in process, once, one after the other; artefacts below `out`.
    pub fn new(out: PathBuf) -> Self {
        Self {
            bench: BenchKind::Sim,
            cards: Cards::Virtual,
            twins: None,
            lab: None,
            seed: 1,
            out,
            document: None,
            repeat: 1,
            jobs: 1,
            flat: false,
            live: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("bench", &self.bench).field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// Runs `scenarios`, [`Options::jobs`] at a time. `done` hears of each result as it comes; the report has them in order.
pub async fn run(scenarios: &[Scenario], options: &Options, mut done: impl FnMut(&ScenarioResult)) -> RunReport {
    let started = SystemTime::now();
    // Its program is large: it is hashed while the scenarios run.
    std::thread::spawn(program::sha256);
    let one = async |(place, scenario)| (place, repeated(scenario, options).await);
    let mut running = pin!(stream::iter(scenarios.iter().enumerate()).map(one).buffer_unordered(options.jobs.max(1)));
    let mut results = Vec::new();
    while let Some((place, result)) = running.next().await {
        done(&result);
        results.push((place, result));
    }
    results.sort_by_key(|(place, _)| *place);
    let results = results.into_iter().map(|(_, result)| result).collect();
    RunReport {
        bench: options.bench.name().to_owned(),
        seed: options.seed,
        started,
        environment: environment(options),
        results,
    }
}

fn environment(options: &Options) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    let mut put = |name: &str, value: String| environment.insert(name.to_owned(), value);
    put("rig", env!("CARGO_PKG_VERSION").to_owned());
    put("rig sha256", program::sha256().unwrap_or("not to be read").to_owned());
    put("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH));
    put("build", if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cards = match options.bench {
        BenchKind::Twin => "usb-ccid",
        BenchKind::Lab => "the boards'",
        BenchKind::Sim => options.cards.name(),
    };
    put("cards", cards.to_owned());
    put("processors", cores.to_string());
    put("side by side", options.jobs.to_string());
    if let Some(twins) = &options.twins {
        let facts = &twins.image.facts;
        put("twins", twins.offices.to_string());
        put("twin adapter sha256", facts.adapter_sha256.clone());
        put("twin adapter from", facts.adapter_from.clone());
        put("twin gpio", twins.gpio.name().to_owned());
        put("twin kernel", facts.kernel.clone());
        put("twin qemu", machine::version().unwrap_or_else(|| "none".to_owned()));
    }
    if let Some(lab) = &options.lab {
        put("lab bench", lab.file.name.clone());
        for (letter, board) in lab.file.boards() {
            put(&format!("lab board {letter}"), board.identity.clone());
        }
        for (letter, sha256) in &lab.programs {
            put(&format!("lab board {letter} adapter sha256"), sha256.clone());
        }
    }
    environment
}

/// Runs one scenario as often as asked: some passes and some failures make it flaky.
async fn repeated(scenario: &Scenario, options: &Options) -> ScenarioResult {
    let name = if options.repeat > 1 { format!("{}-1", scenario.name) } else { scenario.name.to_owned() };
    let folder = |name: &str| if options.flat { options.out.clone() } else { options.out.join(name) };
    let mut first = once(scenario, options, folder(&name), options.seed).await;
    let (mut passed, mut failed) = (0, 0);
    let mut count = |verdict| match verdict {
        Verdict::Pass => passed += 1,
        Verdict::Fail => failed += 1,
        _ => {}
    };
    count(first.verdict);
    for number in 2..=options.repeat {
        let folder = folder(&format!("{}-{number}", scenario.name));
        let next = once(scenario, options, folder, options.seed.wrapping_add(u64::from(number) - 1)).await;
        count(next.verdict);
        // The evidence of what went wrong is what a person wants to see.
        if next.verdict > first.verdict {
            first = next;
        }
    }
    if passed > 0 && failed > 0 && first.verdict == Verdict::Fail {
        first.verdict = Verdict::Flaky;
        let why = first.why.take().unwrap_or_default();
        first.why = Some(format!("failed {failed} of {} times: {why}", options.repeat));
    }
    first
}

async fn once(scenario: &Scenario, options: &Options, folder: PathBuf, seed: u64) -> ScenarioResult {
    let log = EventLog::new();
    if let Some(live) = options.live.clone() {
        log.subscribe(move |event| live(event));
    }
    let (verdict, why) = match prepare(&folder) {
        Err(why) => (Verdict::InfraError, Some(why)),
        Ok(()) => {
            let mut bench = Bench::new(options.bench, seed, folder.clone(), log.clone());
            bench.document.clone_from(&options.document);
            bench.cards = options.cards;
            bench.twins.clone_from(&options.twins);
            // On boards a picture takes longer than the screen that it is of may stand.
            bench.pictures = options.bench == BenchKind::Sim;
            bench.lab.clone_from(&options.lab);
            let after = bench.clone();
            let judgement = judged(scenario, bench).await;
            if matches!(judgement.0, Verdict::Fail | Verdict::InfraError) {
                for (path, text, octets) in after.evidence.collect() {
                    // A folder that cannot be written to is no second failure of the story.
                    let _ = after.save("rig", path, &octets, text);
                }
            }
            judgement
        }
    };
    let elapsed = log.elapsed();
    let _ = tokio::task::spawn_blocking(screen::developed).await;
    let events = log.events();
    let mut result = ScenarioResult {
        name: scenario.name.to_owned(),
        title: scenario.title.to_owned(),
        verdict,
        why,
        elapsed,
        requirements: scenario.requirements.iter().map(|id| (*id).to_owned()).collect(),
        events,
        folder,
    };
    refuse_unknown_requirements(&mut result);
    result
}

/// Folders of a run's artefacts.
const PARTS: [&str; 4] = ["mail", "pages", "screens", "pki"];
/// Every octet on every wire, of a story that did not pass or that keeps it.
pub(crate) const WIRES: &str = "network.pcap";
/// Says that a folder's [`PARTS`] were written by the rig, so that the next run may take them away.
const MARKER: &str = ".sealfax-run";

/// Makes the folder, and takes away what an earlier run left in it: old evidence beside new would mislead. In a folder
/// the rig has not marked, nothing is ever deleted.
fn prepare(folder: &Path) -> Result<(), String> {
    let make = || {
        std::fs::create_dir_all(folder)?;
        if folder.join(MARKER).exists() {
            for part in PARTS.map(|part| folder.join(part)) {
                if part.is_dir() {
                    std::fs::remove_dir_all(part)?;
                }
            }
            let wires = folder.join(WIRES);
            if wires.exists() {
                std::fs::remove_file(wires)?;
            }
        } else if PARTS.iter().any(|part| folder.join(part).exists()) {
            // Somebody else's; ours goes beside it.
            return Ok(());
        }
        std::fs::write(folder.join(MARKER), b"")
    };
    make().map_err(|error| format!("{} could not be made ready: {error}; check --out", folder.display()))
}

/// Runs the story in a task of its own, so that a panic is caught and the deadline holds.
async fn judged(scenario: &Scenario, bench: Bench) -> (Verdict, Option<String>) {
    let log = bench.log.clone();
    let state = bench.clone();
    let mut story = tokio::spawn((scenario.run)(bench));
    let deadline = scenario.deadline * state.kind.patience();
    let ended = tokio::select! {
        ended = tokio::time::timeout(deadline, &mut story) => ended,
        // Nothing that a story says on a bench in trouble is about the product.
        failure = state.trouble.comes() => {
            story.abort();
            return told(failure);
        }
    };
    if let Some(failure) = state.trouble.seen() {
        return told(failure);
    }
    match ended {
        Err(_) => {
            let waiting = log.waiting_for();
            story.abort();
            let what = if waiting.is_empty() { "nothing it names".to_owned() } else { waiting.join("; ") };
            let seconds = deadline.as_secs_f64();
            (Verdict::Fail, Some(format!("not done after its deadline of {seconds:.0} s; it was waiting for: {what}")))
        }
        Ok(Ok(Ok(()))) => (Verdict::Pass, None),
        Ok(Ok(Err(failure))) => told(failure),
        Ok(Err(error)) => {
            let words = match error.try_into_panic() {
                Ok(panic) => panic_words(panic.as_ref()),
                Err(_) => "the task was cancelled".to_owned(),
            };
            if state.is_ready() {
                (Verdict::Fail, Some(format!("panic: {words}")))
            } else {
                (Verdict::InfraError, Some(format!("panic while the bench was set up: {words}")))
            }
        }
    }
}

fn told(failure: Failure) -> (Verdict, Option<String>) {
    let verdict = match failure {
        Failure::Expectation(_) => Verdict::Fail,
        Failure::Infrastructure(_) => Verdict::InfraError,
        Failure::Unsupported(_) => Verdict::Unsupported,
    };
    (verdict, Some(failure.to_string()))
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words").to_owned()
}

/// A journal or a scenario that names a requirement which does not exist has a mistake in it.
fn refuse_unknown_requirements(result: &mut ScenarioResult) {
    let steps = crate::events::exercised(&result.events);
    let declared = result.requirements.iter().map(String::as_str);
    let unknown = requirements::unknown(steps.into_iter().chain(declared));
    if !unknown.is_empty() && result.verdict == Verdict::Pass {
        result.verdict = Verdict::Fail;
        result.why = Some(format!("unknown requirements were named: {}", unknown.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use std::time::Duration;

    fn scenario(run: fn(Bench) -> BoxFuture<'static, Result<(), Failure>>) -> Scenario {
        Scenario { name: "sample", title: "A sample", requirements: &["C1"], deadline: Duration::from_secs(5), run }
    }

    async fn outcome(run: fn(Bench) -> BoxFuture<'static, Result<(), Failure>>, repeat: u32) -> ScenarioResult {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { repeat, ..Options::new(folder.path().to_path_buf()) };
        super::run(&[scenario(run)], &options, |_| {}).await.results.remove(0)
    }

    #[test]
    fn an_earlier_runs_pages_go_and_other_peoples_stay() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("ours/pages/old.tif");
        prepare(&folder.path().join("ours")).unwrap();
        std::fs::create_dir_all(page.parent().unwrap()).unwrap();
        std::fs::write(&page, b"old").unwrap();
        prepare(&folder.path().join("ours")).unwrap();
        assert!(!page.exists());
        let foreign = folder.path().join("theirs/pages/holiday.png");
        std::fs::create_dir_all(foreign.parent().unwrap()).unwrap();
        std::fs::write(&foreign, b"sun").unwrap();
        for _ in 0..2 {
            prepare(&folder.path().join("theirs")).unwrap();
        }
        assert!(foreign.exists());
    }

    #[tokio::test(start_paused = true)]
    async fn each_end_has_its_verdict() {
        let passed = outcome(|_| async { Ok(()) }.boxed(), 1).await;
        assert_eq!((passed.verdict, passed.why), (Verdict::Pass, None));
        let failed = outcome(|_| async { super::super::expect(false, "a lit lamp") }.boxed(), 1).await;
        assert_eq!((failed.verdict, failed.why.as_deref()), (Verdict::Fail, Some("expected: a lit lamp")));
        let unsupported = outcome(|_| async { Err(Failure::Unsupported("modem".into())) }.boxed(), 1).await;
        assert_eq!(unsupported.verdict, Verdict::Unsupported);
        let broken = outcome(|_| async { Err(Failure::infrastructure("no address")) }.boxed(), 1).await;
        assert_eq!(broken.verdict, Verdict::InfraError);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_the_benchs_before_it_is_ready_and_the_storys_after() {
        let early = outcome(|_| async { panic!("no card") }.boxed(), 1).await;
        assert_eq!(early.verdict, Verdict::InfraError);
        assert!(early.why.unwrap().contains("no card"));
        let late = outcome(
            |bench| {
                async move {
                    bench.ready();
                    panic!("no page")
                }
                .boxed()
            },
            1,
        )
        .await;
        assert_eq!(late.verdict, Verdict::Fail);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_story_fails_at_its_deadline_and_says_on_what() {
        let hung = outcome(
            |bench| {
                async move {
                    bench.log.wait_for("the lamp", Duration::from_secs(3600), |_| false).await?;
                    Ok(())
                }
                .boxed()
            },
            1,
        )
        .await;
        assert_eq!(hung.verdict, Verdict::Fail);
        assert_eq!(hung.why.unwrap(), "not done after its deadline of 5 s; it was waiting for: the lamp");
    }

    /// An instrument that breaks or is not there ends the story, whatever the story would have said.
    #[tokio::test(start_paused = true)]
    async fn trouble_of_the_bench_overrules_the_story() {
        let broken = outcome(
            |bench| {
                async move {
                    bench.ready();
                    bench.trouble.broke("the lamp's sense line");
                    super::super::expect(false, "a lit lamp")
                }
                .boxed()
            },
            1,
        )
        .await;
        assert_eq!((broken.verdict, broken.why.as_deref()), (Verdict::InfraError, Some("the lamp's sense line")));
        let lacking = outcome(
            |bench| {
                async move {
                    bench.trouble.lacks("power relay");
                    bench.trouble.broke("what follows from it");
                    Ok(())
                }
                .boxed()
            },
            1,
        )
        .await;
        assert_eq!(
            (lacking.verdict, lacking.why.as_deref()),
            (Verdict::Unsupported, Some("this bench has no power relay"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_offered_is_kept_of_a_story_that_hung() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new(folder.path().to_path_buf());
        let hangs = scenario(|bench| {
            async move {
                bench.evidence.offer(WIRES, "the wires", || b"octets".to_vec());
                std::future::pending().await
            }
            .boxed()
        });
        let passes = scenario(|bench| {
            async move {
                bench.evidence.offer(WIRES, "the wires", || b"octets".to_vec());
                Ok(())
            }
            .boxed()
        });
        for (story, verdict) in [(hangs, Verdict::Fail), (passes, Verdict::Pass)] {
            let result = run(&[story], &options, |_| {}).await.results.remove(0);
            assert_eq!(result.verdict, verdict);
            assert_eq!(result.folder.join(WIRES).exists(), verdict == Verdict::Fail);
            assert_eq!(result.artefacts().contains(&WIRES), verdict == Verdict::Fail);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sometimes_is_flaky() {
        let flaky = outcome(|bench| async move { super::super::expect(bench.seed != 2, "luck") }.boxed(), 3).await;
        assert_eq!(flaky.verdict, Verdict::Flaky);
        assert_eq!(flaky.why.unwrap(), "failed 1 of 3 times: expected: luck");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_requirement_is_a_failure() {
        let wrong = outcome(
            |bench| {
                async move {
                    bench.log.step("adapter-a", &["ST812"], "does not exist");
                    Ok(())
                }
                .boxed()
            },
            1,
        )
        .await;
        assert_eq!(wrong.verdict, Verdict::Fail);
        assert!(wrong.why.unwrap().contains("ST812"));
    }
}
