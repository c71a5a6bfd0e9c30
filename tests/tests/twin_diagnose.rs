//! Faults that are planted in an emulated board, each with the field's own program and the kernel's own files: the diagnosis
//! finds every one under its stable name, and nothing once it is mended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use sealfax_drivers::display::ScreenKind;
use sealfax_drivers::pin::Pin;
use sealfax_mailserver::authority::{Authority, AuthorityOptions};
use sealfax_rig::bench::on_twin::OnTwin;
use sealfax_rig::bench::people::{Character, HANAKO, Person};
use sealfax_rig::bench::region::{Plan, Region};
use sealfax_rig::events::EventLog;
use sealfax_rig::scenario::stories::{note, taro_sends};
use sealfax_rig::scenario::{Bench, BenchKind, Failure};
use sealfax_rig::twin::{Gpio, Offices, Twins};
use sealfax_rig::virtual_card::{BlankCard, VirtualCard};
use sealfax_tests::twin::on_twins;
use serde_json::Value;

/// A fault: what it is, how it is planted, under which code it is found, how it is mended.
struct Planted(&'static str, &'static str, &'static str, &'static str);

const PCSCD: &str =
    "LD_PRELOAD=/usr/lib/usbfs_whole_reads.so pcscd --foreground --error </dev/null >/dev/null 2>&1 & sleep 1";
const NETWORK: &str = "$(basename $(echo /sys/bus/usb/devices/1-1.2:1.0/net/*))";

const DAY: i64 = 24 * 3600;

/// Those that a command plants. `PCSCD` and `NETWORK` stand for what they are called above.
const PLANTED: [Planted; 10] = [
    Planted("pcscd stopped", "killall pcscd; sleep 0.5", "CARD-004", "PCSCD"),
    Planted(
        "no reader",
        "killall -9 pcscd; echo 0 >/sys/bus/usb/devices/1-1.1/authorized; sleep 0.5; PCSCD",
        "CARD-001",
        "killall -9 pcscd; echo 1 >/sys/bus/usb/devices/1-1.1/authorized; sleep 0.5; PCSCD",
    ),
    Planted(
        "the lamp's line held by another program",
        "mount -t sysfs sys /sys; chip=$(basename $(dirname $(grep -l bcm2835 /sys/class/gpio/gpiochip*/label)));
         echo $((${chip#gpiochip} + 17)) >/sys/class/gpio/export",
        "GPIO-002",
        "chip=$(basename $(dirname $(grep -l bcm2835 /sys/class/gpio/gpiochip*/label)));
         echo $((${chip#gpiochip} + 17)) >/sys/class/gpio/unexport",
    ),
    Planted(
        "no display",
        "mkdir -p /run/empty; mount --bind /run/empty /sys/class/graphics; mv /dev/fb0 /dev/away",
        "DISPLAY-102",
        "umount /sys/class/graphics; mv /dev/away /dev/fb0",
    ),
    Planted("the network's port without a link", "ip link set NETWORK down", "NET-001", "ip link set NETWORK up"),
    Planted(
        "the network's port unplugged",
        "echo 0 >/sys/bus/usb/devices/1-1.2/authorized; sleep 0.5",
        "NET-005",
        "echo 1 >/sys/bus/usb/devices/1-1.2/authorized; sleep 1;
         ip addr add 10.0.2.15/24 dev NETWORK; ip link set NETWORK up; sleep 1",
    ),
    Planted(
        "the clock a day ahead",
        "date -s @$(($(date +%s) + 86400))",
        "CLOCK-001",
        "date -s @$(($(date +%s) - 86400))",
    ),
    Planted("a full disk", "dd if=/dev/zero of=/data/fill bs=64k 2>/dev/null; true", "DISK-001", "rm /data/fill"),
    Planted(
        "a read-only data partition",
        "mount --bind /data /data; mount -o remount,bind,ro /data",
        "DISK-002",
        "umount /data",
    ),
    Planted(
        "under-voltage",
        "mkdir -p /run/hwmon/hwmon0; echo rpi_volt >/run/hwmon/hwmon0/name; echo 1 >/run/hwmon/hwmon0/in0_lcrit_alarm;
         mount --bind /run/hwmon /sys/class/hwmon",
        "POWER-001",
        "umount /sys/class/hwmon",
    ),
];

/// Those that stand in the configuration, as commands that make another of it.
const CONFIGURED: [Planted; 3] = [
    Planted(
        "the two ports swapped",
        "sed -e 's/usb-0:1.2:/usb-0:x:/; s/usb-0:1.3:/usb-0:1.2:/; s/usb-0:x:/usb-0:1.3:/' /data/adapter.toml",
        "NET-004",
        "",
    ),
    Planted(
        "an unreachable server",
        "sed -e 's/^history = \"10.0.2.2:.*\"/history = \"10.0.2.2:9\"/' /data/adapter.toml",
        "SERVER-001",
        "",
    ),
    Planted(
        "a certificate server that is not the one that was agreed upon",
        "sed -e 's#^.trust.$#[trust]\\nocsp_responders = \"/run/strangers.pem\"#' /data/adapter.toml",
        "TRUST-001",
        "",
    ),
];

/// A board, and what it says of itself.
struct Patient<'a>(&'a OnTwin);

impl Patient<'_> {
    async fn run(&self, command: &str) -> String {
        let command = command.replace("PCSCD", PCSCD).replace("NETWORK", NETWORK);
        self.0.shell(&command).await.unwrap().text
    }

    /// The codes of all findings, and the exit status.
    async fn diagnosis(&self, configuration: &str) -> (Vec<String>, i32) {
        let said = self
            .0
            .shell(&format!("sealfax-adapter diagnose --json --config {configuration} 2>/dev/null"))
            .await
            .unwrap();
        let json: Value = serde_json::from_str(said.text.trim()).unwrap_or_else(|why| panic!("{why}: {}", said.text));
        let checks = json["checks"].as_array().unwrap();
        let findings = checks.iter().flat_map(|check| check["findings"].as_array().unwrap());
        (findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect(), said.status)
    }

    async fn has(&self, what: &str, code: &str, configuration: &str) {
        let (codes, status) = self.diagnosis(configuration).await;
        assert!(codes.iter().any(|found| found == code), "{what}: {code} is not among {codes:?}");
        assert_eq!(status, 1, "{what}: {codes:?}");
    }

    async fn is_well(&self, after: &str) {
        let (codes, _) = self.diagnosis("/data/adapter.toml").await;
        assert_eq!(codes, [""; 0], "after {after}");
    }
}

#[test]
fn every_planted_fault_is_found_under_its_name() {
    on_twins(Offices::These(vec!['b']), Gpio::Rppal, |twins| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(examined(twins)).unwrap();
    });
}

async fn examined(twins: Twins) -> Result<(), Failure> {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(BenchKind::Twin, 1, folder.path().to_path_buf(), EventLog::new());
    bench.twins = Some(twins);
    let region = Region::start(&bench, Plan { pictures: false, ..Plan::default() }).await?;
    let b = region.site('b')?;
    b.sees(ScreenKind::Idle).await?;
    let board = Patient(b.twin().unwrap());
    board.is_well("the start").await;

    for Planted(what, plant, code, mend) in PLANTED {
        board.run(plant).await;
        board.has(what, code, "/data/adapter.toml").await;
        board.run(mend).await;
        board.is_well(what).await;
    }

    let seams = region.stranger("another-authority")?;
    let place = folder.path().join("authority");
    let other = tokio::task::spawn_blocking(move || Authority::create(&place, &AuthorityOptions::default(), &seams));
    let strangers = other.await.unwrap().unwrap().anchor_pem().unwrap();
    board.run(&format!("cat >/run/strangers.pem <<'END'\n{strangers}END")).await;
    for Planted(what, make, code, _) in CONFIGURED {
        board.run(&format!("{make} >/run/other.toml")).await;
        board.has(what, code, "/run/other.toml").await;
    }

    // A card that the adapter refuses is free for whoever mends it.
    let hanako = region.person(HANAKO)?;
    let blank = BlankCard::new("a transit card", Pin::new(b"123456").unwrap(), 5);
    let unknown = Person { card: Arc::new(Mutex::new(VirtualCard::without_piv(blank))), ..hanako.clone() };
    b.insert(&unknown);
    b.sees(ScreenKind::CardInvalid).await?;
    board.has("an unknown card", "CARD-005", "/data/adapter.toml").await;
    b.pull(&unknown);

    b.sees(ScreenKind::Idle).await?;
    let authority = region.authority.clone();
    let short = Character { certificate_days: 1, ..HANAKO };
    region.shift_clock(-10 * DAY);
    let issued = tokio::task::spawn_blocking(move || Person::issue(short, 77, &authority));
    let hanako = issued.await.unwrap()?;
    region.shift_clock(10 * DAY);
    taro_sends(&region, &[HANAKO.address], &note("for a card that is no longer valid")).await?;
    b.sees(ScreenKind::Arrived).await?;
    b.insert(&hanako);
    b.sees(ScreenKind::Pin).await?;
    b.type_pin(&hanako, HANAKO.pin).await;
    b.sees(ScreenKind::CardInvalid).await?;
    board.has("an expired certificate", "CARD-102", "/data/adapter.toml").await;
    Ok(())
}
