//! Runs scenarios: a deadline for each, a verdict of five kinds, artefacts in a folder of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::{Bench, BenchKind, Failure, Scenario};
use crate::events::{Event, EventLog};
use crate::report::{RunReport, ScenarioResult, Verdict};
use crate::requirements;

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// How to run.
#[derive(Clone)]
pub struct Options {
    /// Which bench.
    pub bench: BenchKind,
    /// Everything random follows from it.
    pub seed: u64,
    /// Where the artefacts go.
    pub out: PathBuf,
    /// The user's own page(s), if any.
    pub document: Option<PathBuf>,
    /// How often each scenario runs; more than once tells flaky ones.
    pub repeat: u32,
    /// Artefacts go straight into `out` instead of a folder per scenario; for one scenario run once.
    pub flat: bool,
    /// Sees every event as it happens.
    pub live: Option<Listener>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("bench", &self.bench).field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// Runs `scenarios` one after the other. `done` hears of each result.
pub async fn run(scenarios: &[Scenario], options: &Options, mut done: impl FnMut(&ScenarioResult)) -> RunReport {
    let started = SystemTime::now();
    let mut results = Vec::new();
    for scenario in scenarios {
        let result = repeated(scenario, options).await;
        done(&result);
        results.push(result);
    }
    RunReport {
        bench: options.bench.name().to_owned(),
        seed: options.seed,
        started,
        environment: environment(),
        results,
    }
}

fn environment() -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    let mut put = |name: &str, value: String| environment.insert(name.to_owned(), value);
    put("rig", env!("CARGO_PKG_VERSION").to_owned());
    put("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH));
    put("build", if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    put("processors", cores.to_string());
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
            judged(scenario, bench).await
        }
    };
    let elapsed = log.elapsed();
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
    let ended = tokio::time::timeout(scenario.deadline, &mut story).await;
    match ended {
        Err(_) => {
            let waiting = log.waiting_for();
            story.abort();
            let what = if waiting.is_empty() { "nothing it names".to_owned() } else { waiting.join("; ") };
            let seconds = scenario.deadline.as_secs_f64();
            (Verdict::Fail, Some(format!("not done after its deadline of {seconds:.0} s; it was waiting for: {what}")))
        }
        Ok(Ok(Ok(()))) => (Verdict::Pass, None),
        Ok(Ok(Err(failure))) => {
            let verdict = match failure {
                Failure::Expectation(_) => Verdict::Fail,
                Failure::Infrastructure(_) => Verdict::InfraError,
                Failure::Unsupported(_) => Verdict::Unsupported,
            };
            (verdict, Some(failure.to_string()))
        }
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
        let options = Options {
            bench: BenchKind::Sim,
            seed: 1,
            out: folder.path().to_path_buf(),
            document: None,
            repeat,
            flat: false,
            live: None,
        };
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
