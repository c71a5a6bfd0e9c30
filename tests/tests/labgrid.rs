//! A bench shared through labgrid: a real coordinator, a real exporter, and labgrid's own client beside the rig.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sealfax_rig::lab::BenchFile;
use sealfax_rig::lab::check::{self, State};
use sealfax_rig::lab::file::{EXAMPLE, Labgrid};
use sealfax_rig::lab::lease::Lease;
use sealfax_tests::labgrid::{Lab, PLACE, with_labgrid};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// Waits until nobody has reserved the place; a generous time, which is not what is tested.
fn becomes_free(lab: &Lab) {
    let late = Instant::now() + Duration::from_secs(180);
    while lab.is_reserved() {
        assert!(Instant::now() < late, "the place is still reserved: {}", lab.as_user("admin", &["reservations"]));
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn a_place_is_ours_until_it_is_given_back_and_nothing_is_stolen() {
    with_labgrid(|lab| {
        let runtime = runtime();
        runtime.block_on(async {
            let lease = Lease::take(&lab.table(0), |_| {}).await.unwrap();
            // Whoever comes now is refused by labgrid itself.
            let stranger = lab.user("stranger", &["-p", PLACE, "acquire"]);
            assert!(!stranger.status.success(), "{stranger:?}");
            assert!(String::from_utf8_lossy(&stranger.stderr).contains("was not reserved for"), "{stranger:?}");
            lease.release().await;
            assert!(!lab.is_reserved());

            // What somebody else has is theirs, and it is told whose it is.
            lab.as_user("kimura", &["-p", PLACE, "acquire"]);
            let refused = Lease::take(&lab.table(0), |_| {}).await.unwrap_err().to_string();
            assert!(refused.contains("/kimura;") && refused.contains("wait_seconds"), "{refused}");
            assert!(lab.as_user("admin", &["-p", PLACE, "show"]).contains("/kimura"));
            // Nor does our place in the queue stay behind.
            assert!(!lab.as_user("admin", &["reservations"]).contains("Reservation"));

            // Who waits gets it when it is free.
            let (tell, told) = tokio::sync::oneshot::channel();
            let mut tell = Some(tell);
            let table = lab.table(600);
            let waiting = Lease::take(&table, |words| tell.take().unwrap().send(words.to_owned()).unwrap());
            let (lease, told) = tokio::join!(waiting, async {
                let told = told.await.unwrap();
                lab.as_user("kimura", &["-p", PLACE, "release"]);
                told
            });
            assert!(told.contains("/kimura"), "{told}");
            lease.unwrap().release().await;
            assert!(!lab.is_reserved());
        });
    });
}

/// A program that was killed without a word holds the bench no longer, and neither does a machine that is gone.
#[test]
fn a_killed_rig_blocks_nobody() {
    with_labgrid(|lab| {
        let Some(rig) = rig() else { return };
        let file = lab.folder.path().join("bench.toml");
        std::fs::write(&file, bench_file(&lab.table(0))).unwrap();
        let mut holding = Command::new(rig)
            .args(["lab", "reserve", "--bench-file"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(holding.stderr.take().unwrap()).lines();
        let reserved = said.by_ref().map_while(Result::ok).any(|line| line.contains("is reserved for this rig"));
        assert!(reserved && lab.is_reserved());
        holding.kill().unwrap();
        holding.wait().unwrap();
        becomes_free(&lab);
    });
}

#[test]
fn a_machine_that_is_gone_blocks_the_bench_for_a_minute_at_most() {
    with_labgrid(|lab| {
        let runtime = runtime();
        let token = runtime.block_on(async { Lease::take(&lab.table(0), |_| {}).await.unwrap().abandon() });
        drop(runtime);
        assert!(lab.as_user("admin", &["reservations"]).contains(&token));
        becomes_free(&lab);
        lab.as_user("stranger", &["-p", PLACE, "acquire"]);
    });
}

#[test]
fn a_reservation_that_somebody_cancels_is_noticed() {
    with_labgrid(|lab| {
        runtime().block_on(async {
            let mut lease = Lease::take(&lab.table(0), |_| {}).await.unwrap();
            let all = lab.as_user("admin", &["reservations"]);
            let token = all.split('\'').nth(1).unwrap();
            lab.as_user("admin", &["cancel-reservation", token]);
            let why = tokio::time::timeout(Duration::from_secs(120), lease.lost()).await.unwrap();
            assert!(why.contains("no more"), "{why}");
        });
    });
}

#[test]
fn the_check_says_who_has_the_place_and_whether_its_exporter_is_there() {
    with_labgrid(|mut lab| {
        let mut file = BenchFile::from_toml(EXAMPLE).unwrap();
        file.labgrid = Some(lab.table(0));
        let runtime = runtime();
        let place = |file: &BenchFile| {
            let report = runtime.block_on(check::check(file, false));
            report.findings.first().map(|finding| (finding.code, finding.state, finding.evidence.clone())).unwrap()
        };
        // The board of the example is nowhere: only the place is looked at here.
        file.board.b = None;
        let (code, state, evidence) = place(&file);
        assert_eq!((code, state), ("LAB-001", State::Good), "{evidence}");
        assert!(evidence.contains("is free; 1 of its resources exported"), "{evidence}");
        lab.as_user("kimura", &["-p", PLACE, "acquire"]);
        let (_, state, evidence) = place(&file);
        assert_eq!(state, State::Failed);
        assert!(evidence.contains("/kimura"), "{evidence}");
        // Somebody else's bench is not looked at.
        file.board.b = BenchFile::from_toml(EXAMPLE).unwrap().board.b;
        let report = runtime.block_on(check::check(&file, false));
        let others = report.findings.iter().skip(1);
        assert!(others.clone().count() > 10);
        for finding in others {
            assert_eq!((finding.state, finding.blocked_by), (State::Blocked, Some("LAB-001")), "{finding:?}");
        }
        file.board.b = None;
        lab.as_user("kimura", &["-p", PLACE, "release"]);
        lab.end_exporter();
        let late = Instant::now() + Duration::from_secs(60);
        loop {
            let (_, state, evidence) = place(&file);
            if state == State::Failed && evidence.contains("exporter is away") {
                break;
            }
            assert!(Instant::now() < late, "{evidence}");
        }
        // A coordinator that is not there, and a client that is not there.
        file.labgrid = Some(Labgrid { coordinator: "127.0.0.1:1".into(), ..lab.table(0) });
        let (_, state, evidence) = place(&file);
        assert_eq!(state, State::Failed);
        assert!(evidence.contains("Could not connect"), "{evidence}");
        file.labgrid = Some(Labgrid { client: "/no/labgrid-client".into(), ..lab.table(0) });
        assert!(place(&file).2.contains("install labgrid"));
    });
}

/// The rig's own program, which the workspace's tests have built.
fn rig() -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    let rig = here.parent()?.parent()?.join("sealfax-rig");
    if rig.is_file() {
        return Some(rig);
    }
    assert!(std::env::var_os("SEALFAX_STRICT").is_none_or(|value| value != "1"), "{} is not built", rig.display());
    eprintln!("unsupported: {} is not built", rig.display());
    None
}

/// The example, at this coordinator.
fn bench_file(labgrid: &Labgrid) -> String {
    EXAMPLE
        .replace("127.0.0.1:20408", &labgrid.coordinator)
        .replace("\"labgrid-client\"", &format!("{:?}", labgrid.client))
}
