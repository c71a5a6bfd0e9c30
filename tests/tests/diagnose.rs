//! `diagnose` against real servers and the rig's virtual card: what is planted is found under its name, and no PIN attempt
//! is ever spent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sealfax_adapter::diagnose::area::Area;
use sealfax_adapter::diagnose::engine::examine;
use sealfax_adapter::diagnose::facts::{FactSheet, Presence};
use sealfax_adapter::diagnose::probe::{CardSource, Live, Root, look};
use sealfax_adapter::diagnose::report::{Report, State};
use sealfax_client::seam::{Clock, Seams};
use sealfax_rig::bench::people::{Character, HANAKO, Person};
use sealfax_rig::bench::region::{Plan, Region, pem};
use sealfax_rig::bench::site::{HTTP, POP3, SMTP};
use sealfax_rig::events::EventLog;
use sealfax_rig::scenario::{Bench, BenchKind};
use sealfax_rig::virtual_card::{CardHandle, SlotHandle, VirtualReader};
use sealfax_tests::cards;

/// What can be looked at without a board, pcscd or a network of one's own.
const AREAS: [Area; 6] = [Area::Configuration, Area::Card, Area::Names, Area::Servers, Area::Clock, Area::Certificates];

/// A region with its servers, and a technician beside it.
struct Place {
    region: Region,
    seams: Seams,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        Self::grown_from(7).await
    }

    /// The authority's keys follow from the seed: another one, another authority.
    async fn grown_from(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = Bench::new(BenchKind::Sim, seed, folder.path().join("bench"), EventLog::new());
        std::fs::create_dir_all(&bench.folder).unwrap();
        let plan = Plan { offices: vec!['b'], people: vec![HANAKO], pictures: false, ..Plan::default() };
        let region = Region::start(&bench, plan).await.unwrap();
        let seams = region.stranger("technician").unwrap();
        Self { region, seams, folder }
    }

    fn configuration(&self, anchors: &Path, intermediates: &Path) -> PathBuf {
        let at = |name: &str, port: u16| format!("\"{}:{port}\"", self.region.address(name).unwrap());
        let text = format!(
            "host_name = \"adapter-b.b.example\"\noffice = \"B\"\ndata = \"{}\"\n[terminal]\nsmtp = \"127.0.0.1:1\"\n\
             pop3 = \"127.0.0.1:2\"\n[network]\nnotices = \"127.0.0.2:1\"\nnotices_from = []\nsmtp = {}\npop3 = {}\n\
             directory = {}\nhistory = {}\nanchors = \"{}\"\nintermediates = \"{}\"\n",
            self.folder.path().display(),
            at("mail-b", SMTP),
            at("mail-b", POP3),
            at("directory", HTTP),
            at("history", HTTP),
            anchors.display(),
            intermediates.display(),
        );
        let path = self.folder.path().join("adapter.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn diagnose(&self, card: Option<&CardHandle>) -> (Report, FactSheet) {
        let (anchors, intermediates) = (self.region.folder("anchors.pem"), self.region.folder("intermediates.pem"));
        self.diagnose_with(&self.configuration(&anchors, &intermediates), self.seams.clone(), card).await
    }

    async fn diagnose_with(&self, config: &Path, seams: Seams, card: Option<&CardHandle>) -> (Report, FactSheet) {
        let (reader, slot) = VirtualReader::new("Technician's reader");
        if let Some(card) = card {
            slot.insert(card);
        }
        let mut facts = Live::new(Root::new(self.folder.path()), config, seams, CardSource::Reader(Box::new(reader)));
        let outcome = examine(&mut facts, &AREAS, |_| {}).await;
        drop(slot);
        outcome
    }

    async fn issue(&self, character: Character) -> Person {
        let authority = self.region.authority.clone();
        tokio::task::spawn_blocking(move || Person::issue(character, 99, &authority)).await.unwrap().unwrap()
    }
}

fn codes(report: &Report, area: Area) -> Vec<&'static str> {
    report.check(area).unwrap().judgement.findings.iter().map(|finding| finding.entry.code).collect()
}

fn all_codes(report: &Report) -> Vec<&'static str> {
    report.findings().iter().map(|(_, finding)| finding.entry.code).collect()
}

fn state(report: &Report, area: Area) -> State {
    report.check(area).unwrap().judgement.state
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_and_cards_as_they_are() {
    let mut place = Place::new().await;
    let hanako = place.region.person(HANAKO).unwrap();

    let (report, sheet) = place.diagnose(Some(&hanako.card)).await;
    assert_eq!(all_codes(&report), [""; 0], "{report:#?}");
    for area in [Area::Configuration, Area::Card, Area::Servers, Area::Clock, Area::Certificates] {
        assert_eq!(state(&report, area), State::Ok, "{report:#?}");
    }
    // Both certificates were asked about, two servers tell the time, and the facts name nobody.
    let servers = sheet.servers.as_ref().unwrap();
    assert_eq!(servers.card.len(), 2);
    assert_eq!(servers.servers.iter().filter(|server| server.ahead.is_some()).count(), 2);
    let facts = serde_json::to_string(&sheet).unwrap();
    for secret in [HANAKO.address, HANAKO.name, HANAKO.pin, hanako.password.as_str()] {
        assert!(!facts.contains(secret), "{secret} in {facts}");
    }

    // Without a card the responder's word is tried all the same.
    let (report, sheet) = place.diagnose(None).await;
    assert_eq!((all_codes(&report), state(&report, Area::Servers)), (vec![], State::Ok), "{report:#?}");
    assert_eq!(sheet.card.unwrap().presence, Presence::Absent);
    assert!(sheet.servers.unwrap().servers.iter().any(|one| one.role == "ocsp" && one.said.contains("believed")));

    place.region.revoke(&hanako).unwrap();
    let (report, _) = place.diagnose(Some(&hanako.card)).await;
    assert_eq!(codes(&report, Area::Certificates), ["CARD-101", "CARD-101"]);

    place.region.stop_directory().await;
    let (report, _) = place.diagnose(None).await;
    assert_eq!(all_codes(&report), ["SERVER-001"], "told once, though it is look-up and responder in one");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_card() {
    let place = Place::new().await;
    let expired = place.issue(Character { certificate_days: 0, ..HANAKO }).await;
    place.region.shift_clock(2);
    let (report, _) = place.diagnose(Some(&expired.card)).await;
    assert_eq!(codes(&report, Area::Certificates), ["CARD-102", "CARD-102"], "{report:#?}");
    assert_eq!((codes(&report, Area::Card), state(&report, Area::Clock)), (vec![], State::Ok));
}

struct Stopped(SystemTime);

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        self.0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_is_one_finding() {
    let place = Place::new().await;
    let hanako = place.region.person(HANAKO).unwrap();
    let config = place.configuration(&place.region.folder("anchors.pem"), &place.region.folder("intermediates.pem"));
    // A board without a battery that woke up in 1970; one two years ahead; one an hour behind.
    let year = Duration::from_secs(365 * 86_400);
    let now = place.seams.clock.now();
    for wrong in [SystemTime::UNIX_EPOCH, now + 2 * year, now - Duration::from_secs(3600)] {
        let seams = Seams { clock: Arc::new(Stopped(wrong)), ..place.seams.clone() };
        let (report, _) = place.diagnose_with(&config, seams, Some(&hanako.card)).await;
        assert_eq!(all_codes(&report), ["CLOCK-001"], "{wrong:?}: {report:#?}");
        for area in [Area::Servers, Area::Certificates] {
            assert!(matches!(state(&report, area), State::Ok | State::Blocked(Area::Clock)), "{report:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anchors_that_are_not_the_servers() {
    let place = Place::new().await;
    // Another authority altogether, as a mistaken administrator would install it.
    let other = Place::grown_from(8).await;
    let foreign = other.region.authority.clone();
    let (anchors, intermediates) = (place.folder.path().join("a.pem"), place.folder.path().join("i.pem"));
    std::fs::write(&anchors, foreign.anchor_pem().unwrap()).unwrap();
    std::fs::write(&intermediates, pem("CERTIFICATE", &foreign.issuing_der().unwrap())).unwrap();
    let config = place.configuration(&anchors, &intermediates);
    let (report, sheet) = place.diagnose_with(&config, place.seams.clone(), None).await;
    assert_eq!(codes(&report, Area::Servers), ["TRUST-001"], "{sheet:#?}");
    let hanako = place.region.person(HANAKO).unwrap();
    let (report, _) = place.diagnose_with(&config, place.seams.clone(), Some(&hanako.card)).await;
    assert_eq!(codes(&report, Area::Certificates), ["CARD-105", "CARD-105"]);

    std::fs::write(&anchors, "no certificate").unwrap();
    let (report, _) = place.diagnose_with(&config, place.seams.clone(), Some(&hanako.card)).await;
    assert_eq!(codes(&report, Area::Certificates), ["CERT-001"]);
}

/// The commands that a card has seen.
fn watched(card: &CardHandle) -> (VirtualReader, SlotHandle, Arc<Mutex<Vec<String>>>) {
    let (reader, slot) = VirtualReader::new("Reader");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    slot.observe(Arc::new(move |event| log.lock().unwrap().push(event.command.clone())));
    slot.insert(card);
    (reader, slot, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_card_spends_nothing() {
    let card = cards::card(cards::profile("taro@a.example"));
    let tries = card.lock().unwrap().pin_tries();
    for _ in 0..5 {
        let (reader, _slot, seen) = watched(&card);
        let (facts, certificates) = look(Box::new(reader)).await;
        assert_eq!((facts.presence, facts.piv, facts.tries_left), (Presence::Present, true, Some(tries)));
        assert_eq!((certificates.len(), facts.one_owner), (2, Some(true)));
        // Nothing but SELECT, GET DATA (and its continuation) and the empty VERIFY.
        let seen = seen.lock().unwrap();
        assert!(!seen.is_empty());
        for command in seen.iter() {
            let harmless = ["SELECT", "GET", "VERIFY"].iter().any(|word| command.to_uppercase().contains(word))
                || ["00a4", "00cb", "00c0", "0020"].iter().any(|head| command.to_lowercase().starts_with(head));
            assert!(harmless, "{seen:?}");
        }
    }
    assert_eq!(card.lock().unwrap().pin_tries(), tries);

    // A card without the PIV application: its SELECT finds nothing.
    let (reader, slot, _) = watched(&card);
    slot.fail_next(0x6a82);
    let (facts, certificates) = look(Box::new(reader)).await;
    assert_eq!((facts.presence, facts.piv, certificates.len()), (Presence::Present, false, 0));
    // Nobody's card, and no reader.
    let (reader, slot) = VirtualReader::new("Reader");
    assert_eq!(look(Box::new(reader)).await.0.presence, Presence::Absent);
    let (reader, _) = VirtualReader::new("Reader");
    slot.unplug();
    drop(reader);
    assert_eq!(card.lock().unwrap().pin_tries(), tries);
}
