//! Every planted fault is found under its name, what stands on it is blocked, and a sound adapter is called sound.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;
use sealfax_drivers::display::{DiagnosisMark, Font, Language};

use super::area::Area;
use super::engine::{Progress, examine};
use super::facts::*;
use super::report::{Health, Report, State};
use super::watch::{View, Wish};
use super::{bundle, catalogue, page, redact, text};

/// 2026-12-01T00:00:00Z.
const NOW: i64 = 1_796_083_200;
const YEAR: i64 = 365 * 24 * 60 * 60;
const TERMINAL: &str = "platform-3f980000.usb-usb-0:1.2:1.0";
const NETWORK: &str = "platform-3f980000.usb-usb-0:1.3:1.0";

/// An adapter that has everything, and all of it well.
fn sound() -> FactSheet {
    let line = |role: &str, line| LineFacts {
        role: role.into(),
        line,
        exists: true,
        held: true,
        holder: Some("sealfax-adapter".into()),
    };
    let slot = |slot: &str, serial: &str| SlotFacts {
        slot: slot.into(),
        problem: None,
        serial: Some(serial.into()),
        issuer: Some("CN=Demo Issuing CA".into()),
        begins: Some(NOW - YEAR),
        ends: Some(NOW + YEAR),
    };
    let port = |name: &str, path: &str, address: &str| InterfaceFacts {
        name: name.into(),
        path: Some(path.into()),
        carrier: Some(true),
        addresses: vec![address.parse().unwrap()],
    };
    let route = |interface: &str, network: &str, prefix| RouteFacts {
        interface: interface.into(),
        network: network.parse().unwrap(),
        prefix,
    };
    let server = |role: &str, address: &str, said: &str, ahead| ServerFacts {
        role: role.into(),
        address: address.into(),
        said: said.into(),
        ahead,
        ..ServerFacts::default()
    };
    let door = |key: &str, at: &str| DoorFacts { key: key.into(), at: at.parse().unwrap(), open: true };
    FactSheet {
        version: VERSION,
        tool: "sealfax-adapter 0.1.0".into(),
        built: NOW - YEAR / 12,
        at: NOW,
        configuration: Some(ConfigurationFacts {
            path: "/etc/sealfax/adapter.toml".into(),
            problem: None,
            japanese: true,
            terminal: vec!["192.168.77.1:25".parse().unwrap(), "192.168.77.1:110".parse().unwrap()],
            servers: vec!["192.0.2.25:25".parse().unwrap(), "192.0.2.26:80".parse().unwrap()],
            notices: Some("0.0.0.0:25".parse().unwrap()),
            data: "/var/lib/sealfax/adapter".into(),
            clock_tolerance: 300,
            lines: vec![LineWish { role: "lamp".into(), line: 17 }, LineWish { role: "buzzer".into(), line: 18 }],
            chip: None,
            display: Some("drm".into()),
            display_device: None,
            terminal_path: Some(TERMINAL.into()),
            network_path: Some(NETWORK.into()),
            reader: None,
        }),
        power: Some(PowerFacts { throttled: Some(0), alarm: Some(false), millicelsius: Some(48_312) }),
        storage: Some(StorageFacts {
            path: "/var/lib/sealfax/adapter".into(),
            exists: true,
            mount: Some("/var/lib/sealfax".into()),
            read_only: Some(false),
            free: Some(900 << 20),
            total: Some(1000 << 20),
            free_files: Some(60_000),
            total_files: Some(64_000),
            written: Written::Done,
        }),
        gpio: Some(GpioFacts {
            chips: vec![ChipFacts { path: "/dev/gpiochip0".into(), label: "pinctrl-bcm2835".into(), lines: 54 }],
            chosen: Some("pinctrl-bcm2835".into()),
            lines: vec![line("lamp", 17), line("buzzer", 18)],
            problem: None,
            not_allowed: false,
        }),
        display: Some(DisplayFacts {
            connectors: vec![ConnectorFacts {
                name: "card0-HDMI-A-1".into(),
                status: "connected".into(),
                mode: Some("1280x720".into()),
            }],
            framebuffers: vec!["fb0 vc4drmfb 1280x720".into()],
        }),
        reader: Some(ReaderFacts {
            built: true,
            socket: "/run/pcscd/pcscd.comm".into(),
            socket_there: true,
            refused: None,
            readers: vec!["ACS ACR39U ICC Reader 00 00".into()],
            chosen: Some("ACS ACR39U ICC Reader 00 00".into()),
            not_chosen: None,
            usb: vec!["072f:b100 ACR39U ICC Reader".into()],
            problem: None,
        }),
        card: Some(CardFacts {
            presence: Presence::Present,
            piv: true,
            tries_left: Some(3),
            certificates: vec![slot("9C", "1f02"), slot("9D", "1f03")],
            one_owner: Some(true),
        }),
        ports: Some(PortsFacts {
            interfaces: vec![port("terminal0", TERMINAL, "192.168.77.1"), port("network0", NETWORK, "192.0.2.7")],
            routes: vec![
                route("terminal0", "192.168.77.0", 24),
                route("network0", "192.0.2.0", 24),
                route("network0", "0.0.0.0", 0),
            ],
            forwarding: Some(false),
        }),
        names: Some(NamesFacts {
            asked: vec![NameFacts {
                server: "192.0.2.53:53".parse().unwrap(),
                name: "ocsp.example".into(),
                answer: NameAnswer::Addresses(1),
            }],
        }),
        certificates: Some(CertificatesFacts {
            files: vec![FileFacts {
                key: "network.anchors".into(),
                path: "/etc/sealfax/anchors.pem".into(),
                count: 1,
                ends: Some(NOW + 10 * YEAR),
                problem: None,
            }],
            paths: ["9C", "9D"].map(|slot| PathFacts { slot: slot.into(), ..PathFacts::default() }).to_vec(),
        }),
        servers: Some(ServersFacts {
            servers: vec![
                server("smtp", "192.0.2.25:25", "220 mail.b.example", None),
                server("pop3", "192.0.2.25:110", "+OK", None),
                server("directory", "192.0.2.26:80", "HTTP status 404", Some(0)),
                server("ocsp", "ocsp.example:80", "its answers are believed", None),
                server("history", "192.0.2.27:80", "HTTP status 200", Some(1)),
            ],
            card: ["9C", "9D"].map(|slot| StatusFacts { slot: slot.into(), code: None }).to_vec(),
        }),
        clock: Some(ClockFacts { synchronised: Some(true), battery: Some(false) }),
        service: Some(ServiceFacts {
            doors: vec![
                door("terminal.smtp", "192.168.77.1:25"),
                door("terminal.pop3", "192.168.77.1:110"),
                door("network.notices", "0.0.0.0:25"),
            ],
            unit: Some(UnitFacts {
                active: "active".into(),
                sub: "running".into(),
                result: "success".into(),
                restarts: 0,
            }),
        }),
    }
}

/// Judges facts as `--from` does.
fn judged(sheet: FactSheet) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (report, kept) = runtime.block_on(examine(&mut Recorded(sheet.clone()), &Area::ALL, |_| {}));
    // What is judged again from the facts that were kept says the same.
    let (again, _) = runtime.block_on(examine(&mut Recorded(kept), &Area::ALL, |_| {}));
    assert_eq!(report, again);
    report
}

fn planted(plant: impl FnOnce(&mut FactSheet)) -> Report {
    let mut sheet = sound();
    plant(&mut sheet);
    judged(sheet)
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings().iter().map(|(_, finding)| finding.entry.code).collect()
}

fn blocked(report: &Report, by: Area) -> Vec<Area> {
    let waits = |check: &&super::report::Check| check.judgement.state == State::Blocked(by);
    report.checks.iter().filter(waits).map(|check| check.area).collect()
}

/// One fault, one finding, in its own area; nothing else fails.
fn finds(code: &str, area: Area, plant: impl FnOnce(&mut FactSheet)) -> Report {
    let report = planted(plant);
    assert_eq!(codes(&report), [code]);
    for check in &report.checks {
        assert_eq!(check.judgement.state == State::Failed, check.area == area, "{code}: {check:?}");
    }
    assert_eq!(report.health(), Health::Failing);
    report
}

/// The server with this role.
fn server<'a>(sheet: &'a mut FactSheet, role: &str) -> &'a mut ServerFacts {
    sheet.servers.as_mut().unwrap().servers.iter_mut().find(|server| server.role == role).unwrap()
}

#[test]
fn a_sound_adapter_is_called_sound() {
    let report = judged(sound());
    assert_eq!(codes(&report), [""; 0]);
    assert!(report.checks.iter().all(|check| check.judgement.state == State::Ok), "{report:#?}");
    assert_eq!(report.health().exit(), 0);
}

#[test]
fn reader_and_card() {
    let report = finds("CARD-001", Area::Reader, |sheet| {
        let reader = sheet.reader.as_mut().unwrap();
        (reader.readers, reader.usb, reader.chosen) = (Vec::new(), Vec::new(), None);
    });
    assert_eq!(blocked(&report, Area::Reader), [Area::Card]);
    let report = finds("CARD-004", Area::Reader, |sheet| {
        let reader = sheet.reader.as_mut().unwrap();
        (reader.readers, reader.refused) = (Vec::new(), Some("Connection refused".into()));
    });
    assert_eq!(blocked(&report, Area::Reader), [Area::Card]);
    finds("CARD-004", Area::Reader, |sheet| {
        let reader = sheet.reader.as_mut().unwrap();
        (reader.readers, reader.socket_there) = (Vec::new(), false);
    });
    finds("CARD-007", Area::Reader, |sheet| sheet.reader.as_mut().unwrap().readers.clear());
    finds("CARD-008", Area::Reader, |sheet| sheet.reader.as_mut().unwrap().not_chosen = Some("fits several".into()));
    finds("CARD-005", Area::Card, |sheet| {
        sheet.card = Some(CardFacts { presence: Presence::Present, ..CardFacts::default() });
        sheet.certificates.as_mut().unwrap().paths.clear();
        sheet.servers.as_mut().unwrap().card.clear();
    });
    finds("CARD-108", Area::Card, |sheet| sheet.card.as_mut().unwrap().presence = Presence::Mute);
    finds("CARD-110", Area::Card, |sheet| sheet.card.as_mut().unwrap().one_owner = Some(false));
    finds("PIN-002", Area::Card, |sheet| sheet.card.as_mut().unwrap().tries_left = Some(0));
}

#[test]
fn no_card_or_one_that_the_adapter_has_is_no_failure() {
    for presence in [Presence::Absent, Presence::Busy] {
        let report = planted(|sheet| {
            sheet.card = Some(CardFacts { presence, ..CardFacts::default() });
            sheet.certificates.as_mut().unwrap().paths.clear();
        });
        assert_eq!((report.health(), codes(&report)), (Health::Healthy, vec![]));
    }
}

#[test]
fn certificates() {
    let expired = |sheet: &mut FactSheet| {
        let slot = &mut sheet.card.as_mut().unwrap().certificates[0];
        (slot.begins, slot.ends) = (Some(NOW - 2 * YEAR), Some(NOW - YEAR));
        let path = &mut sheet.certificates.as_mut().unwrap().paths[0];
        (path.code, path.of_time) = (Some("CARD-102".into()), true);
        path.detail = "PATH-002: the certificate has expired".into();
    };
    finds("CARD-102", Area::Certificates, expired);
    // With a wrong clock nobody can say whether it has.
    let report = finds("CLOCK-001", Area::Clock, |sheet| {
        expired(sheet);
        server(sheet, "directory").ahead = Some(-2 * YEAR);
        server(sheet, "history").ahead = Some(-2 * YEAR);
    });
    assert_eq!(blocked(&report, Area::Clock), [Area::Certificates]);
    finds("CARD-105", Area::Certificates, |sheet| {
        sheet.certificates.as_mut().unwrap().paths[1].code = Some("CARD-105".into());
    });
    finds("CARD-101", Area::Certificates, |sheet| {
        sheet.servers.as_mut().unwrap().card[0].code = Some("CARD-101".into());
    });
    finds("CERT-001", Area::Certificates, |sheet| {
        sheet.certificates.as_mut().unwrap().files[0].problem = Some("it holds no certificate".into());
    });
    finds("CERT-002", Area::Certificates, |sheet| {
        sheet.certificates.as_mut().unwrap().files[0].ends = Some(NOW - 1);
    });
    let report = planted(|sheet| sheet.card.as_mut().unwrap().certificates[1].ends = Some(NOW + 86_400));
    assert_eq!((codes(&report), report.health().exit()), (vec!["CERT-003"], 2));
}

#[test]
fn board() {
    let report = finds("GPIO-002", Area::Gpio, |sheet| {
        sheet.gpio.as_mut().unwrap().lines[0].holder = Some("led-blinker".into());
    });
    let findings = report.findings();
    let (_, finding) = findings.first().unwrap();
    assert_eq!((finding.subject.as_str(), finding.evidence[0].value.as_str()), ("lamp, line 17", "led-blinker"));
    finds("GPIO-001", Area::Gpio, |sheet| sheet.gpio.as_mut().unwrap().chosen = None);
    finds("GPIO-003", Area::Gpio, |sheet| sheet.gpio.as_mut().unwrap().lines[1].exists = false);
    finds("GPIO-004", Area::Gpio, |sheet| sheet.gpio.as_mut().unwrap().not_allowed = true);
    finds("DISPLAY-003", Area::Display, |sheet| {
        sheet.display.as_mut().unwrap().connectors[0].status = "disconnected".into();
    });
    finds("DISPLAY-102", Area::Display, |sheet| sheet.display = Some(DisplayFacts::default()));
    finds("POWER-001", Area::Power, |sheet| sheet.power.as_mut().unwrap().throttled = Some(0x5_0005));
    finds("POWER-001", Area::Power, |sheet| sheet.power.as_mut().unwrap().alarm = Some(true));
    for (bits, code) in [(0x5_0000, "POWER-002"), (0x4, "POWER-003")] {
        let report = planted(|sheet| sheet.power.as_mut().unwrap().throttled = Some(bits));
        assert_eq!((codes(&report), report.health().exit()), (vec![code], 2));
    }
}

#[test]
fn storage() {
    let full = |sheet: &mut FactSheet| {
        sheet.storage.as_mut().unwrap().written = Written::Full;
        sheet.service.as_mut().unwrap().doors.iter_mut().for_each(|door| door.open = false);
    };
    let report = finds("DISK-001", Area::Storage, full);
    assert_eq!(blocked(&report, Area::Storage), [Area::Service]);
    finds("DISK-001", Area::Storage, |sheet| sheet.storage.as_mut().unwrap().free = Some(4096));
    finds("DISK-001", Area::Storage, |sheet| sheet.storage.as_mut().unwrap().free_files = Some(0));
    finds("DISK-002", Area::Storage, |sheet| sheet.storage.as_mut().unwrap().read_only = Some(true));
    finds("DISK-002", Area::Storage, |sheet| sheet.storage.as_mut().unwrap().written = Written::ReadOnly);
    finds("DISK-003", Area::Storage, |sheet| sheet.storage.as_mut().unwrap().exists = false);
    finds("DISK-004", Area::Storage, |sheet| {
        sheet.storage.as_mut().unwrap().written = Written::Failed("Input/output error".into());
    });
    let report = planted(|sheet| sheet.storage.as_mut().unwrap().free = Some(20 << 20));
    assert_eq!(codes(&report), ["DISK-005"]);
}

#[test]
fn ports() {
    let behind = [Area::Names, Area::Servers];
    let report = finds("NET-001", Area::NetworkPort, |sheet| {
        sheet.ports.as_mut().unwrap().interfaces[1].carrier = Some(false);
        // Nothing gets through, of course.
        server(sheet, "smtp").reached = Reached::No("timed out".into());
    });
    assert_eq!(blocked(&report, Area::NetworkPort), behind);
    finds("NET-002", Area::TerminalPort, |sheet| {
        sheet.ports.as_mut().unwrap().interfaces[0].carrier = Some(false);
    });
    finds("NET-003", Area::TerminalPort, |sheet| sheet.ports.as_mut().unwrap().forwarding = Some(true));
    // Pulled out whole: a USB adapter.
    let report = finds("NET-005", Area::NetworkPort, |sheet| {
        sheet.ports.as_mut().unwrap().interfaces.remove(1);
    });
    assert_eq!(blocked(&report, Area::NetworkPort), behind);
    finds("NET-006", Area::TerminalPort, |sheet| sheet.ports.as_mut().unwrap().interfaces[0].addresses.clear());
}

#[test]
fn swapped_ports_are_one_finding() {
    let reversed = |sheet: &mut FactSheet| {
        let configuration = sheet.configuration.as_mut().unwrap();
        std::mem::swap(&mut configuration.terminal_path, &mut configuration.network_path);
    };
    let report = finds("NET-004", Area::TerminalPort, reversed);
    assert_eq!(blocked(&report, Area::TerminalPort), [Area::NetworkPort, Area::Names, Area::Servers]);
    // By their names alone.
    let report = planted(|sheet| {
        let ports = sheet.ports.as_mut().unwrap();
        ports.interfaces[0].name = "network0".into();
        ports.interfaces[1].name = "terminal0".into();
        ports.routes.clear();
    });
    assert_eq!(codes(&report), ["NET-004"]);
    // A daemon that cannot bind because of it is not called down.
    let report = finds("NET-004", Area::TerminalPort, |sheet| {
        reversed(sheet);
        sheet.service.as_mut().unwrap().doors.iter_mut().for_each(|door| door.open = false);
    });
    assert!(blocked(&report, Area::TerminalPort).contains(&Area::Service));
}

#[test]
fn network() {
    let report = finds("NAME-001", Area::Names, |sheet| {
        sheet.names.as_mut().unwrap().asked[0].answer = NameAnswer::None("no answer in time".into());
        server(sheet, "ocsp").reached = Reached::NoName("no address".into());
    });
    assert_eq!(blocked(&report, Area::Names), [Area::Servers]);
    finds("NAME-002", Area::Names, |sheet| sheet.names.as_mut().unwrap().asked[0].answer = NameAnswer::NotFound);
    let report = finds("SERVER-001", Area::Servers, |sheet| {
        server(sheet, "pop3").reached = Reached::No("Connection refused".into());
    });
    let findings = report.findings();
    assert_eq!(findings[0].1.subject, "pop3, 192.0.2.25:110");
    finds("SERVER-002", Area::Servers, |sheet| server(sheet, "smtp").reached = Reached::Strange("SSH-2.0".into()));
    let distrust = |of_time| Some(Distrust { code: "OCSP-005".into(), why: "another issuer".into(), of_time });
    finds("TRUST-001", Area::Servers, |sheet| server(sheet, "ocsp").distrust = distrust(false));
    // A wrong clock makes the responder's certificate look expired, and explains nothing else.
    let report = finds("CLOCK-001", Area::Clock, |sheet| {
        server(sheet, "ocsp").distrust = distrust(true);
        server(sheet, "directory").ahead = Some(4000);
        server(sheet, "history").ahead = Some(4001);
    });
    assert_eq!(blocked(&report, Area::Clock), [Area::Servers]);
}

#[test]
fn the_clock() {
    finds("CLOCK-001", Area::Clock, |sheet| {
        sheet.at = 0;
        sheet.certificates.as_mut().unwrap().paths[0] =
            PathFacts { slot: "9C".into(), code: Some("CARD-103".into()), detail: String::new(), of_time: true };
    });
    let report = planted(|sheet| server(sheet, "history").ahead = Some(-7200));
    assert_eq!((codes(&report), report.health()), (vec!["CLOCK-003"], Health::Warnings));
    let report = planted(|sheet| sheet.clock.as_mut().unwrap().synchronised = Some(false));
    assert_eq!(codes(&report), ["CLOCK-002"]);
}

#[test]
fn the_service() {
    finds("SERVICE-101", Area::Service, |sheet| {
        sheet.service.as_mut().unwrap().doors.iter_mut().for_each(|door| door.open = false);
    });
    finds("SERVICE-102", Area::Service, |sheet| sheet.service.as_mut().unwrap().doors[1].open = false);
    let report = planted(|sheet| sheet.service.as_mut().unwrap().unit.as_mut().unwrap().restarts = 7);
    assert_eq!(codes(&report), ["SERVICE-103"]);
}

#[test]
fn without_a_configuration_the_devices_are_still_looked_at() {
    let report = finds("CONFIG-002", Area::Configuration, |sheet| {
        let configuration = sheet.configuration.as_mut().unwrap();
        configuration.problem = Some(ConfigurationProblem::Unusable("line 3: unknown field".into()));
    });
    let waits = blocked(&report, Area::Configuration);
    assert!(waits.contains(&Area::Servers) && !waits.contains(&Area::Reader) && !waits.contains(&Area::Power));
    let report = planted(|sheet| *sheet = FactSheet { version: VERSION, ..FactSheet::default() });
    assert!(report.checks.iter().all(|check| matches!(check.judgement.state, State::Unknown(_))));
}

/// Four things at once.
fn sick() -> FactSheet {
    let mut sheet = sound();
    sheet.power.as_mut().unwrap().throttled = Some(0x5_0000);
    sheet.gpio.as_mut().unwrap().lines[0].holder = Some("led-blinker".into());
    let reader = sheet.reader.as_mut().unwrap();
    (reader.readers, reader.usb, reader.chosen) = (Vec::new(), Vec::new(), None);
    sheet.ports.as_mut().unwrap().interfaces[1].carrier = Some(false);
    sheet.names = Some(NamesFacts::default());
    sheet.certificates.as_mut().unwrap().paths.clear();
    sheet
}

#[test]
fn what_a_person_reads() {
    let report = judged(sick());
    insta::assert_snapshot!("report_english", text::report(&report, Language::English));
    insta::assert_snapshot!("report_japanese", text::report(&report, Language::Japanese));
    insta::assert_snapshot!("report_json", serde_json::to_string_pretty(&report.json()).unwrap());
}

#[test]
fn the_live_screen() {
    let mut view = View::new(Language::English);
    let mut terminal = Terminal::new(TestBackend::new(100, 32)).unwrap();
    view.begun(Area::Configuration);
    terminal.draw(|frame| super::watch::draw(frame, &view)).unwrap();
    insta::assert_snapshot!("watch_begins", terminal.backend());
    let report = judged(sick());
    report.checks.iter().for_each(|check| view.done(check.clone()));
    view.round(report.clone());
    assert_eq!(view.key(KeyCode::Tab), None);
    assert_eq!(view.key(KeyCode::Tab), None);
    terminal.draw(|frame| super::watch::draw(frame, &view)).unwrap();
    insta::assert_snapshot!("watch_english", terminal.backend());
    let mut view = View::new(Language::Japanese);
    let mut terminal = Terminal::new(TestBackend::new(100, 32)).unwrap();
    report.checks.iter().for_each(|check| view.done(check.clone()));
    view.round(report);
    (0..40).for_each(|_| assert_eq!(view.key(KeyCode::Up), None));
    (0..5).for_each(|_| assert_eq!(view.key(KeyCode::Down), None));
    terminal.draw(|frame| super::watch::draw(frame, &view)).unwrap();
    insta::assert_snapshot!("watch_japanese", terminal.backend());
    assert_eq!((view.health(), view.key(KeyCode::Char('r'))), (Health::Failing, Some(Wish::Again)));
    assert_eq!(view.key(KeyCode::Char('q')), Some(Wish::Quit));
    // A terminal of any size.
    for (width, height) in [(1, 1), (20, 5), (300, 100)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| super::watch::draw(frame, &view)).unwrap();
    }
}

#[test]
fn the_page_on_the_screen() {
    let (lines, advice) = page::lines(&judged(sick()));
    let marks: Vec<_> = lines.iter().map(|line| line.mark).collect();
    assert_eq!(marks[1], DiagnosisMark::Warning);
    assert_eq!((marks[3], lines[3].code), (DiagnosisMark::Failed, Some("GPIO-002")));
    assert_eq!((marks[6], marks[9]), (DiagnosisMark::Blocked, DiagnosisMark::Blocked));
    assert_eq!(advice.unwrap().code, "GPIO-002");
}

#[test]
fn every_word_of_the_page_can_be_drawn_without_a_package() {
    let titles = Area::ALL.iter().map(|area| area.title());
    let actions = catalogue::ALL.iter().map(|entry| entry.action);
    for words in titles.chain(actions) {
        for c in words.ja.chars().chain(words.en.chars()) {
            assert!(Font::Bitmap.has(c), "{c:?} U+{:04X} in {}", c as u32, words.ja);
        }
    }
}

#[test]
fn progress_tells_each_area_once_and_in_order() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut told = Vec::new();
    let mut facts = Recorded(sound());
    let seen = |progress: Progress<'_>| {
        if let Progress::Done(check) = progress {
            told.push(check.area);
        }
    };
    let (report, _) = runtime.block_on(examine(&mut facts, &[Area::Clock, Area::Reader, Area::Configuration], seen));
    assert_eq!(told, [Area::Configuration, Area::Reader, Area::Clock]);
    assert_eq!(report.checks.len(), 3);
    assert!(report.checks.iter().all(|check| check.took < Duration::from_secs(60)));
}

/// What nobody may find in a bundle.
const SECRETS: [&str; 6] = [
    "271828",
    "himitsu-no-kotoba",
    "taro.yamada",
    "MIIEvQIBADAN",
    "0102030405060708010203040506070801020304",
    "hunter22",
];

#[test]
fn a_bundle_has_no_secrets_and_says_the_same_again() {
    let mut sheet = sick();
    let why = "the certificate of taro.yamada@office-a.example has no path";
    sheet.certificates.as_mut().unwrap().files[0].problem = Some(why.into());
    let report = judged(sheet.clone());
    let configuration = "host_name = \"adapter\" # the PIN of the test card is 271828\n[terminal]\n\
                         machine_addresses = [\"taro.yamada@office-a.example\"]\n[network.ldap]\nbind_password = \"hunter22\"\n";
    let journal = "10:00 PIN 271828 typed\n10:01 password himitsu-no-kotoba for taro.yamada@office-a.example\n\
                   -----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----\n\
                   10:02 management key 0102030405060708010203040506070801020304\n10:03 CARD-001 the card reader is gone\n";
    let packed = bundle::pack(&report, &sheet, configuration, journal).unwrap();
    assert_eq!(packed, bundle::pack(&report, &sheet, configuration, journal).unwrap(), "not deterministic");

    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        names.push(entry.path().unwrap().display().to_string());
        let mut content = String::new();
        std::io::Read::read_to_string(&mut entry, &mut content).unwrap();
        for secret in SECRETS {
            assert!(!content.contains(secret), "{secret} in {}:\n{content}", names.last().unwrap());
        }
    }
    assert_eq!(names, ["report.json", "facts.json", "configuration.toml", "journal.txt"]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.tar.gz");
    bundle::write(&path, &report, &sheet, configuration, journal).unwrap();
    let read = bundle::read(&path).unwrap();
    assert_eq!(codes(&judged(read.clone())), codes(&report));
    // Its facts alone, taken out of it, do as well.
    let facts = folder.path().join("facts.json");
    std::fs::write(&facts, serde_json::to_string(&read).unwrap()).unwrap();
    assert_eq!(bundle::read(&facts).unwrap(), read);
    for (content, word) in
        [("{}", "version"), ("[1]", "neither"), ("\u{1f}\u{8b}", "neither"), ("{\"version\":99}", "99")]
    {
        std::fs::write(&facts, content).unwrap();
        let error = bundle::read(&facts).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(!redact::text("nothing").contains(redact::REMOVED));
}
