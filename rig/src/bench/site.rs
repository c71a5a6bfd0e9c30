//! One office: a mail server, an adapter with its devices, a fax machine, and what people do there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sealfax_adapter::config::{ConfirmationConfig, NetworkConfig, SendingConfig, TerminalConfig};
use sealfax_adapter::{Adapter, Config, Devices};
use sealfax_client::seam::{Network, Seams};
use sealfax_drivers::button::ButtonPress;
use sealfax_drivers::display::{Language, ScreenKind, Style};

use super::people::Person;
use crate::endpoint::ifax::{IfaxTerminal, Lcd, PrintedDocument, TerminalError};
use crate::events::{Event, EventKind, EventLog, Lane, Mark};
use crate::instrument::buzzer::SensedBuzzer;
use crate::instrument::keypad::{Finger, Keys, button, keypad};
use crate::instrument::lamp::SensedLamp;
use crate::instrument::screen::{RecordedDisplay, ScreenNumbers};
use crate::scenario::Failure;
use crate::virtual_card::{SlotHandle, VirtualReader};

/// How long people wait for a screen before the story fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The standard ports, moved where nobody needs privileges.
pub const SMTP: u16 = 2525;
/// POP3.
pub const POP3: u16 = 2110;
/// HTTP.
pub const HTTP: u16 = 2080;

/// What one office is built from.
#[derive(Debug, Clone)]
pub(super) struct SitePlan {
    pub(super) letter: char,
    pub(super) title: String,
    pub(super) data: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) network: SocketAddr,
    pub(super) towards_terminal: SocketAddr,
    pub(super) mail_server: SocketAddr,
    pub(super) directory: SocketAddr,
    pub(super) history: SocketAddr,
    pub(super) anchors: PathBuf,
    pub(super) intermediates: PathBuf,
    pub(super) hold: Duration,
    pub(super) batch: usize,
    pub(super) language: Language,
    pub(super) keep_pictures: bool,
}

/// One office.
pub struct Site {
    /// "adapter-b".
    pub adapter_name: String,
    /// The fax machine.
    pub terminal: IfaxTerminal,
    /// The card slot.
    pub slot: SlotHandle,
    keys: Keys,
    finger: Finger,
    log: EventLog,
    plan: SitePlan,
    seams: Seams,
    terminal_network: Arc<dyn Network>,
    screens: ScreenNumbers,
    adapter: Option<Adapter>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Site({})", self.adapter_name)
    }
}

impl Site {
    pub(super) async fn start(
        plan: SitePlan,
        seams: Seams,
        terminal_network: Arc<dyn Network>,
        terminal_seams: Seams,
        log: EventLog,
        screens: ScreenNumbers,
    ) -> Result<Self, Failure> {
        let letter = plan.letter;
        let adapter_name = format!("adapter-{letter}");
        let (devices, slot, keys, finger) = devices(&plan, &adapter_name, &log, &screens);
        let config = config(&plan, &adapter_name);
        let adapter = Adapter::start(config, seams.clone(), terminal_network.clone(), devices)
            .await
            .map_err(|error| Failure::infrastructure(format!("{adapter_name}: {error}")))?;
        let machine = format!("fax@{letter}.example");
        let terminal = IfaxTerminal::new(
            &format!("terminal-{letter}"),
            &machine,
            SocketAddr::new(plan.towards_terminal.ip(), SMTP),
            SocketAddr::new(plan.towards_terminal.ip(), POP3),
            terminal_seams,
            log.clone(),
            &plan.folder,
        )
        .map_err(Failure::infrastructure)?;
        Ok(Self {
            adapter_name,
            terminal,
            slot,
            keys,
            finger,
            log,
            plan,
            seams,
            terminal_network,
            screens,
            adapter: Some(adapter),
        })
    }

    /// The power of the adapter is cut: nothing is finished, nothing is said.
    pub async fn power_cut(&mut self) {
        self.log.note(&self.adapter_name, "the power is cut");
        self.adapter = None;
        // The database file is released when the last task that held it is gone.
        tokio::task::yield_now().await;
    }

    /// The power is back, the card slot is empty.
    pub async fn power_on(&mut self) -> Result<(), Failure> {
        let (devices, slot, keys, finger) = devices(&self.plan, &self.adapter_name, &self.log, &self.screens);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut devices = Some(devices);
        let config = config(&self.plan, &self.adapter_name);
        let ledger = config.data.clone();
        // Tasks of the adapter that was cut off may still be letting go of the ledger.
        while let Err(error) = sealfax_adapter::ledger::Ledger::open(&ledger) {
            if tokio::time::Instant::now() > deadline {
                return Err(Failure::infrastructure(error));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let Some(devices) = devices.take() else { return Ok(()) };
        let adapter = Adapter::start(config, self.seams.clone(), self.terminal_network.clone(), devices)
            .await
            .map_err(|error| Failure::infrastructure(format!("{}: {error}", self.adapter_name)))?;
        self.log.note(&self.adapter_name, "the power is back");
        (self.slot, self.keys, self.finger, self.adapter) = (slot, keys, finger, Some(adapter));
        Ok(())
    }

    /// The adapter, while it has power.
    pub fn adapter(&self) -> Result<&Adapter, Failure> {
        self.adapter.as_ref().ok_or_else(|| Failure::infrastructure(format!("{} has no power", self.adapter_name)))
    }

    /// Puts the card in.
    pub fn insert(&self, person: &Person) {
        self.log.person(person.character.called, format!("inserts the card at {}", self.adapter_name));
        self.slot.insert(&person.card);
    }

    /// Takes the card out.
    pub fn pull(&self, person: &Person) {
        self.log.person(person.character.called, "takes the card out");
        self.slot.remove();
    }

    /// Types a PIN and Enter.
    pub async fn type_pin(&self, person: &Person, pin: &str) {
        self.keys.type_pin(person.character.called, pin, Duration::ZERO).await;
    }

    /// Presses the adapter's button.
    pub fn press_button(&self, person: &Person) {
        self.finger.press(person.character.called, ButtonPress::Short);
    }

    /// Inserts the card, types the right PIN and waits until the card is accepted, as `then` shows.
    pub async fn identify(&self, person: &Person, then: ScreenKind) -> Result<(), Failure> {
        self.insert(person);
        self.sees(ScreenKind::Pin).await?;
        self.type_pin(person, person.character.pin).await;
        self.sees(then).await
    }

    /// Waits until the display shows this state.
    pub async fn sees(&self, kind: ScreenKind) -> Result<(), Failure> {
        self.sees_after(self.last_screen_mark(), kind).await.map(|_| ())
    }

    /// The last screen counts as seen as long as nothing else is shown.
    fn last_screen_mark(&self) -> Mark {
        self.log
            .mark_before_last(|event| event.host == self.adapter_name && matches!(event.kind, EventKind::Screen { .. }))
    }

    /// Waits for this state on the display, after a mark in the log.
    pub async fn sees_after(&self, mark: Mark, kind: ScreenKind) -> Result<Event, Failure> {
        let what = format!("{} shows {}", self.adapter_name, kind.name());
        let event = self
            .log
            .wait_after(mark, &what, PATIENCE, |event| {
                event.host == self.adapter_name
                    && matches!(&event.kind, EventKind::Screen { screen, .. } if *screen == kind)
            })
            .await?;
        Ok(event)
    }

    /// Whether the display has shown this state since `mark`.
    pub fn has_seen(&self, mark: Mark, kind: ScreenKind) -> bool {
        let seen = |event: &&Event| {
            event.host == self.adapter_name
                && matches!(&event.kind, EventKind::Screen { screen, .. } if *screen == kind)
        };
        self.log.find(mark, seen).is_some()
    }

    /// What the display shows now.
    pub fn screen(&self) -> Option<ScreenKind> {
        let last =
            self.log.last(|event| event.host == self.adapter_name && matches!(event.kind, EventKind::Screen { .. }))?;
        match last.kind {
            EventKind::Screen { screen, .. } => Some(screen),
            _ => None,
        }
    }

    /// Waits until the lamp is lit or dark.
    pub async fn lamp(&self, wanted: bool) -> Result<(), Failure> {
        let what = format!("lamp of {} {}", self.adapter_name, if wanted { "lit" } else { "dark" });
        let of_lamp = |event: &Event| event.lane == Lane::Lamp && event.host == self.adapter_name;
        let mark = self.log.mark_before_last(of_lamp);
        self.log
            .wait_after(mark, &what, PATIENCE, |event| {
                event.lane == Lane::Lamp
                    && event.host == self.adapter_name
                    && matches!(event.kind, EventKind::Level { lit } if lit == wanted)
            })
            .await?;
        Ok(())
    }

    /// The machine sends, with the sender chosen on its panel if it is a person.
    pub async fn fax(
        &self,
        from: Option<&Person>,
        to: &[&str],
        subject: &str,
        pages: &[sealfax_ifax::Page],
    ) -> Result<Lcd, Failure> {
        let to: Vec<String> = to.iter().map(|address| (*address).to_owned()).collect();
        let mut terminal = self.terminal.clone();
        if let Some(person) = from {
            let chosen = person.character.address;
            terminal = terminal.sending_as(chosen).map_err(Failure::infrastructure)?;
        }
        terminal.send(&to, pages, subject).await.map_err(Failure::expectation)
    }

    /// RECEIVE is pressed: everything that comes is printed.
    pub async fn receive(&self) -> Result<Vec<PrintedDocument>, TerminalError> {
        let letter = self.plan.letter;
        self.terminal.receive(&format!("fax@{letter}.example"), machine_password(letter).as_bytes()).await
    }
}

/// The password of a fax machine's own mailbox.
pub(super) fn machine_password(letter: char) -> String {
    format!("machine-{letter}-password")
}

fn config(plan: &SitePlan, name: &str) -> Config {
    let at = |port| SocketAddr::new(plan.network.ip(), port);
    Config {
        host_name: name.to_owned(),
        office: plan.title.clone(),
        language: plan.language,
        utc_offset_minutes: 540,
        data: plan.data.clone(),
        terminal: TerminalConfig {
            smtp: SocketAddr::new(plan.towards_terminal.ip(), SMTP),
            pop3: SocketAddr::new(plan.towards_terminal.ip(), POP3),
            machine_addresses: vec![format!("fax@{}.example", plan.letter)],
        },
        network: NetworkConfig {
            notices: at(SMTP),
            notices_from: vec![plan.mail_server.ip()],
            smtp: SocketAddr::new(plan.mail_server.ip(), SMTP),
            pop3: SocketAddr::new(plan.mail_server.ip(), POP3),
            directory: plan.directory,
            history: plan.history,
            anchors: plan.anchors.clone(),
            intermediates: Some(plan.intermediates.clone()),
        },
        sending: SendingConfig { hold_seconds: plan.hold.as_secs() },
        confirmations: ConfirmationConfig { batch: plan.batch, retry_seconds: 1, ..ConfirmationConfig::default() },
    }
}

fn devices(
    plan: &SitePlan,
    name: &str,
    log: &EventLog,
    screens: &ScreenNumbers,
) -> (Devices, SlotHandle, Keys, Finger) {
    let (reader, slot) = VirtualReader::new(format!("reader of {name}"));
    let (card_log, host) = (log.clone(), name.to_owned());
    slot.observe(Arc::new(move |apdu| {
        let kind = EventKind::Apdu { command: apdu.command.clone(), status: apdu.status.unwrap_or(0) };
        card_log.write(Lane::Card, &host, kind, format!("{} -> {}", apdu.command, apdu.response));
    }));
    let (pad, keys) = keypad(log.clone());
    let (knob, finger) = button(log.clone());
    let folder = plan.keep_pictures.then(|| plan.folder.clone());
    let devices = Devices {
        lamp: Box::new(SensedLamp::new(log.clone(), name)),
        buzzer: Box::new(SensedBuzzer::new(log.clone(), name)),
        button: Box::new(knob),
        display: Box::new(RecordedDisplay::new(log.clone(), name, plan.language, folder, screens.clone())),
        reader: Box::new(reader),
        pin_pad: Box::new(pad),
        style: Style { language: plan.language, ..Style::default() },
    };
    (devices, slot, keys, finger)
}
