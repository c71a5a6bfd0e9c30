//! An adapter on a twin: the field's program on an emulated board, wired into the same world as an adapter in process. What
//! its instruments see goes into the same log in the same words.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sealfax_client::seam::{Clock as _, Network};
use sealfax_drivers::button::{ButtonPress, LONG_PRESS};
use sealfax_drivers::display::{Frame, Marker};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::board::{self, Glass, Place};
use super::sim::ShiftedClock;
use super::site::{POP3, SMTP, SitePlan};
use crate::events::{EventKind, EventLog};
use crate::instrument::screen::ScreenNumbers;
use crate::scenario::Failure;
use crate::twin::console::Said;
use crate::twin::machine::{
    BUTTON, BUZZER, Door, GATEWAY, KEYPAD, LAMP, Machine, NETWORK_PORT, NETWORK_SIDE, Plan, Port, TERMINAL_PORT,
    TERMINAL_SIDE, Witness, make_disk,
};
use crate::twin::pins::Change;
use crate::twin::screen::Phrasebook;
use crate::twin::vsc::VscHandle;
use crate::twin::{Gpio, Image, TwinError};
use crate::virtual_card::Hand;

/// How long a board may take from power to a ready adapter, on a machine that has other things to do.
pub(super) const READY: Duration = Duration::from_secs(120);
/// From key to key: the keypad is asked every ten milliseconds, for a press and for its end.
const BETWEEN_KEYS: Duration = Duration::from_millis(30);
/// How long a finger is on the button: an emulated board tells no edges, and looks at rest every three seconds.
pub(super) const PRESS: Duration = Duration::from_millis(3200);
/// The SD card; a power of two.
const DISK_MEBIBYTES: u64 = 32;

/// What a twin is built from, beside its office's plan.
#[derive(Debug, Clone)]
pub(super) struct TwinPlan {
    /// What it starts from.
    pub(super) image: Arc<Image>,
    /// Which driver works its lines.
    pub(super) gpio: Gpio,
    /// Names and addresses that may come up on its screen.
    pub(super) people: Vec<(&'static str, &'static str)>,
    /// The region's clock.
    pub(super) clock: ShiftedClock,
}

fn broken(error: TwinError) -> Failure {
    match error {
        TwinError::Missing { .. } | TwinError::NoImage { .. } => Failure::Unsupported(format!("twin: {error}")),
        error => Failure::infrastructure(error),
    }
}

/// The adapter on its board, the card slot, and the lines between board and world.
pub struct OnTwin {
    name: String,
    plan: SitePlan,
    twin: TwinPlan,
    log: EventLog,
    screens: ScreenNumbers,
    phrasebook: Arc<Phrasebook>,
    slot: VscHandle,
    machine: Option<Arc<Machine>>,
    folder: tempfile::TempDir,
    _relays: JoinSet<()>,
}

impl OnTwin {
    /// Switches it on and waits until the adapter is ready.
    pub(super) async fn start(
        plan: SitePlan,
        twin: TwinPlan,
        name: &str,
        network: Arc<dyn Network>,
        log: EventLog,
        screens: ScreenNumbers,
    ) -> Result<Self, Failure> {
        if plan.ldap.is_some() {
            return Err(Failure::Unsupported("way from a twin to a site's own directory".into()));
        }
        let mut relays = JoinSet::new();
        let inside = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let servers = board::ways_out(&mut relays, inside, &network, &plan).await.map_err(Failure::infrastructure)?;
        // Sockets have short names: not in the run's folder, wherever that is.
        let folder = tempfile::Builder::new().prefix("twin").tempdir().map_err(Failure::infrastructure)?;
        let content = folder.path().join("sd");
        write_content(&plan, twin.gpio, name, &servers, &content).map_err(Failure::infrastructure)?;
        make_disk(&folder.path().join("sd.img"), &content, DISK_MEBIBYTES).map_err(broken)?;

        let phrasebook = Arc::new(Phrasebook::of(&twin.people, plan.language));
        let slot = VscHandle::default();
        slot.observe(board::card(&log, name));
        let mut on = Self {
            name: name.to_owned(),
            plan,
            twin,
            log,
            screens,
            phrasebook,
            slot,
            machine: None,
            folder,
            _relays: relays,
        };
        on.power_on().await?;
        Ok(on)
    }

    /// The hand at the slot.
    pub(super) fn hand(&self) -> Hand {
        Hand::Vsc(self.slot.clone())
    }

    /// QEMU is killed.
    pub(super) fn power_cut(&mut self) {
        self.machine = None;
    }

    /// The board starts from its SD card as it is.
    pub(super) async fn power_on(&mut self) -> Result<(), Failure> {
        let doors = [
            (Port::Network, SocketAddr::new(self.plan.network.ip(), SMTP)),
            (Port::Terminal, SocketAddr::new(self.plan.towards_terminal.ip(), SMTP)),
            (Port::Terminal, SocketAddr::new(self.plan.towards_terminal.ip(), POP3)),
        ];
        let plan = Plan {
            folder: self.folder.path().to_path_buf(),
            disk: self.folder.path().join("sd.img"),
            doors: doors.map(|(port, at)| Door { port, at, inside: at.port() }).to_vec(),
            time: self.twin.clock.now(),
            bare: false,
        };
        let (image, slot, witness) = (self.twin.image.clone(), self.slot.clone(), self.witness());
        let mark = self.log.mark();
        let starting = tokio::task::spawn_blocking(move || Machine::start(&image, &plan, &slot, witness));
        let machine = Arc::new(starting.await.map_err(Failure::infrastructure)?.map_err(broken)?);
        let plug = Arc::downgrade(&machine);
        self.slot.plug_by(Arc::new(move |plugged| {
            if let Some(machine) = plug.upgrade()
                && let Err(error) = machine.shell(if plugged { PLUG } else { UNPLUG })
            {
                tracing::error!(%error, "the twin's card reader");
            }
        }));
        self.machine = Some(machine.clone());
        let what = format!("{} is ready on its twin", self.name);
        let name = self.name.clone();
        let ready = self.log.wait_after(mark, &what, READY, |event| {
            event.host == name && matches!(&event.kind, EventKind::Step { ids } if ids.contains(&"T3"))
        });
        let ended = async {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if let Some(why) = machine.ended() {
                    return why;
                }
            }
        };
        let outcome = tokio::select! {
            ready = ready => ready.map(drop).map_err(|error| error.to_string()),
            why = ended => Err(format!("QEMU ended, {why}")),
        };
        outcome.map_err(|why| {
            let console = std::fs::read_to_string(self.folder.path().join("console.log")).unwrap_or_default();
            let last: Vec<&str> = console.lines().rev().take(5).collect();
            let last = last.into_iter().rev().collect::<Vec<_>>().join(" / ");
            Failure::infrastructure(format!("{why}; the console's last words: {last}"))
        })
    }

    /// Whether the rig looks at lamp, buzzer and screen; see [`Machine::look`].
    pub fn look(&self, looking: bool) -> Result<(), Failure> {
        self.machine()?.look(looking);
        Ok(())
    }

    /// A command in the guest, as root: for faults, and for looking.
    pub async fn shell(&self, command: &str) -> Result<Said, Failure> {
        let machine = self.machine()?.clone();
        let command = command.to_owned();
        let running = tokio::task::spawn_blocking(move || machine.shell(&command));
        running.await.map_err(Failure::infrastructure)?.map_err(broken)
    }

    fn machine(&self) -> Result<&Arc<Machine>, Failure> {
        self.machine.as_ref().ok_or_else(|| Failure::infrastructure(format!("{} has no power", self.name)))
    }

    /// The board's clock follows the region's, which a story has moved.
    pub(super) fn set_clock(&self) {
        let now = self.twin.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        let set = self.machine.as_ref().map(|machine| machine.shell(&format!("date -s @{now}")));
        if let Some(Err(error)) = set {
            tracing::error!(%error, "the twin's clock");
        }
    }

    /// Types a PIN and Enter on the USB keypad. The log says that keys were pressed, never which.
    pub(super) async fn type_pin(&self, who: &str, pin: &str) {
        self.log.person(who, "types the PIN");
        let Some(machine) = &self.machine else { return };
        let digits = pin.chars().filter(char::is_ascii_digit).map(String::from);
        for key in digits.chain(["ret".to_owned()]) {
            if let Err(error) = machine.key(&key) {
                tracing::error!(%error, "the twin's keypad");
            }
            tokio::time::sleep(BETWEEN_KEYS).await;
        }
    }

    /// Presses the button, or holds it.
    pub(super) async fn press_button(&self, who: &str, press: ButtonPress) {
        let (how, down) = match press {
            ButtonPress::Short => ("presses the button", PRESS),
            ButtonPress::Long => ("holds the button", LONG_PRESS + PRESS),
        };
        self.log.person(who, how);
        let Some(machine) = &self.machine else { return };
        for (pressed, time) in [(true, down), (false, PRESS)] {
            if let Err(error) = machine.button(pressed) {
                tracing::error!(%error, "the twin's button");
            }
            tokio::time::sleep(time).await;
        }
    }

    fn witness(&self) -> Witness {
        let (log, name) = (self.log.clone(), self.name.clone());
        let line = Box::new(move |line: &str| board::tell(&log, &name, line));
        let (log, name) = (self.log.clone(), self.name.clone());
        let signal = Box::new(move |change: Change| match change.pin {
            LAMP => board::lamp(&log, &name, change.high),
            BUZZER => board::buzzer(&log, &name, change.high),
            _ => {}
        });
        let glass = Glass {
            log: self.log.clone(),
            name: self.name.clone(),
            screens: self.screens.clone(),
            phrasebook: self.phrasebook.clone(),
            folder: self.plan.keep_pictures.then(|| self.plan.folder.clone()),
        };
        let screen = Box::new(move |marker: Marker, take: &dyn Fn() -> Option<Frame>| glass.shows(marker, take));
        Witness { line, signal, screen }
    }
}

/// Nothing of it is authorised to speak on the bus any more, and pcscd, which has no udev here to tell it, is gone with it.
pub(crate) const UNPLUG: &str = "killall -9 pcscd; echo 0 >/sys/bus/usb/devices/1-1.1/authorized";
pub(crate) const PLUG: &str = "echo 1 >/sys/bus/usb/devices/1-1.1/authorized; sleep 0.5; \
    LD_PRELOAD=/usr/lib/usbfs_whole_reads.so pcscd --foreground --error </dev/null 2>&1 | cat >/dev/console &";

/// The SD card's content: the configuration and what it names.
fn write_content(plan: &SitePlan, gpio: Gpio, name: &str, servers: &[u16], to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to.join("state"))?;
    for (name, from) in board::files(plan) {
        std::fs::copy(from, to.join(name))?;
    }
    let text = toml::to_string(&configuration(plan, gpio, name, servers)).map_err(std::io::Error::other)?;
    std::fs::write(to.join("adapter.toml"), text)
}

/// The same adapter as in process, with the devices of the board.
fn configuration(plan: &SitePlan, gpio: Gpio, name: &str, servers: &[u16]) -> Value {
    let place = Place {
        network: IpAddr::V4(NETWORK_SIDE),
        terminal: IpAddr::V4(TERMINAL_SIDE),
        // Whoever comes in through the emulated network comes from its gateway.
        rig: IpAddr::V4(GATEWAY),
        servers,
        folder: "/data",
        state: "/data/state",
    };
    let mut whole = board::configuration(plan, name, &place);
    board::merge(
        &mut whole,
        json!({
            "card": { "keypad": KEYPAD },
            "gpio": { "backend": gpio.name(), "lamp": LAMP, "buzzer": BUZZER, "button": BUTTON },
            "display": { "backend": "framebuffer", "device": "/dev/fb0", "blank_seconds": 0 },
            "ports": { "terminal": TERMINAL_PORT, "network": NETWORK_PORT },
        }),
    );
    whole
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use sealfax_adapter::config::{CorrespondentsConfig, TrustConfig};
    use sealfax_drivers::display::Language;

    #[test]
    fn the_configuration_is_one_that_the_adapter_takes() {
        let at = |last, port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 20, 0, last)), port);
        let plan = SitePlan {
            letter: 'b',
            title: "支部 B \"quoted\"".into(),
            data: "/unused".into(),
            folder: "/unused".into(),
            network: at(1, SMTP),
            towards_terminal: at(2, SMTP),
            mail_server: at(3, SMTP).ip(),
            mail_tls: None,
            notices_tls: None,
            directory: at(4, 80),
            ldap: None,
            trust: TrustConfig { ocsp_responders: Some("/elsewhere.pem".into()), ..TrustConfig::default() },
            history: at(5, 80),
            anchors: "/unused".into(),
            intermediates: "/unused".into(),
            hold: Duration::from_secs(9),
            batch: 3,
            patience: None,
            fingerprints: false,
            extended: false,
            telephone: None,
            numbers: std::collections::BTreeMap::new(),
            seed: 0,
            correspondents: CorrespondentsConfig::default(),
            language: Language::English,
            keep_pictures: false,
            cards: crate::scenario::Cards::Virtual,
            twin: None,
            lab: None,
        };
        let text = toml::to_string(&configuration(&plan, Gpio::Rppal, "adapter-b", &[1001, 1002, 1003, 1004])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adapter.toml");
        std::fs::write(&path, &text).unwrap();
        let config = sealfax_adapter::Config::read(&path).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(config.network.history.to_string(), "10.0.2.2:1004");
        assert_eq!(config.sending.hold_seconds, 9);
        assert_eq!(config.trust.ocsp_responders, Some("/data/responders.pem".into()));
    }
}
