//! An adapter in the rig's own process, with virtual devices behind the driver traits: the `sim` bench.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use sealfax_adapter::config::{
    CardConfig, ConfirmationConfig, MailTls, ModemConfig, NetworkConfig, SendingConfig, ServiceConfig, TerminalConfig,
};
use sealfax_adapter::{Adapter, Config, Devices};
use sealfax_client::seam::{Network, Seams};
use sealfax_drivers::card::CardReader;
use sealfax_drivers::display::{Album, Style};
use sealfax_drivers::modem::FaxLine;
use sealfax_drivers::person::PersonProof;

use super::cards::CardSlot;
use super::site::{PATIENCE, POP3, SMTP, SitePlan};
use crate::endpoint::fax_machine::MACHINE;
use crate::events::{EventKind, EventLog, Lane};
use crate::instrument::buzzer::SensedBuzzer;
use crate::instrument::fingerprint::{Fingers, fingerprint_reader};
use crate::instrument::keypad::{Finger, Keys, button, keypad};
use crate::instrument::lamp::SensedLamp;
use crate::instrument::screen::{RecordedDisplay, ScreenNumbers};
use crate::scenario::Failure;
use crate::virtual_card::Hand;

/// Screens that stories show again and again, 2.7 MB each.
const PICTURES: usize = 32;

/// The adapter, its slot, and what people press.
pub(super) struct InProcess {
    name: String,
    plan: SitePlan,
    seams: Seams,
    terminal_network: Arc<dyn Network>,
    log: EventLog,
    screens: ScreenNumbers,
    cards: CardSlot,
    pub(super) keys: Keys,
    pub(super) finger: Finger,
    /// At the fingerprint reader, if the office has one.
    pub(super) fingers: Option<Fingers>,
    adapter: Option<Adapter>,
}

impl InProcess {
    /// Starts it.
    pub(super) async fn start(
        plan: SitePlan,
        name: &str,
        seams: Seams,
        terminal_network: Arc<dyn Network>,
        log: EventLog,
        screens: ScreenNumbers,
        fax_line: Option<Box<dyn FaxLine>>,
    ) -> Result<Self, Failure> {
        let (cards, reader) = CardSlot::new(plan.cards, name)?;
        let (mut devices, keys, finger, fingers) = devices(&plan, name, &log, &screens, reader, cards.hand());
        devices.fax_line = fax_line;
        if plan.telephone.is_some() {
            write_numbers(&plan)?;
        }
        let adapter = Adapter::start(config(&plan, name), seams.clone(), terminal_network.clone(), devices)
            .await
            .map_err(|error| Failure::infrastructure(format!("{name}: {error}")))?;
        Ok(Self {
            name: name.to_owned(),
            plan,
            seams,
            terminal_network,
            log,
            screens,
            cards,
            keys,
            finger,
            fingers,
            adapter: Some(adapter),
        })
    }

    /// The hand at the slot.
    pub(super) fn hand(&self) -> &Hand {
        self.cards.hand()
    }

    /// The adapter, while it has power.
    pub(super) fn adapter(&self) -> Result<&Adapter, Failure> {
        self.adapter.as_ref().ok_or_else(|| Failure::infrastructure(format!("{} has no power", self.name)))
    }

    /// Nothing is finished, nothing is said.
    pub(super) async fn power_cut(&mut self) {
        self.adapter = None;
        // The database file is released when the last task that held it is gone.
        tokio::task::yield_now().await;
    }

    /// The power is back, the card slot is empty.
    pub(super) async fn power_on(&mut self) -> Result<(), Failure> {
        let reader = self.cards.renew()?;
        let (devices, keys, finger, fingers) =
            devices(&self.plan, &self.name, &self.log, &self.screens, reader, self.cards.hand());
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let config = config(&self.plan, &self.name);
        let ledger = config.data.clone();
        // Tasks of the adapter that was cut off may still be letting go of the ledger.
        while let Err(error) = sealfax_adapter::ledger::Ledger::open(&ledger) {
            if tokio::time::Instant::now() > deadline {
                return Err(Failure::infrastructure(error));
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let adapter = Adapter::start(config, self.seams.clone(), self.terminal_network.clone(), devices)
            .await
            .map_err(|error| Failure::infrastructure(format!("{}: {error}", self.name)))?;
        (self.keys, self.finger, self.fingers, self.adapter) = (keys, finger, fingers, Some(adapter));
        Ok(())
    }
}

fn confirmations(plan: &SitePlan) -> ConfirmationConfig {
    let usual = ConfirmationConfig { batch: plan.batch, retry_seconds: 1, ..ConfirmationConfig::default() };
    match plan.patience {
        None => usual,
        Some(patience) => {
            ConfirmationConfig { batch_seconds: patience.as_secs(), overdue_seconds: patience.as_secs(), ..usual }
        }
    }
}

fn config(plan: &SitePlan, name: &str) -> Config {
    let at = |port| SocketAddr::new(plan.network.ip(), port);
    let [mail_smtp, mail_pop3] = plan.mail_doors();
    Config {
        host_name: name.to_owned(),
        office: plan.title.clone(),
        language: plan.language,
        utc_offset_minutes: 540,
        data: plan.data.clone(),
        terminal: TerminalConfig {
            smtp: plan.telephone.is_none().then(|| SocketAddr::new(plan.towards_terminal.ip(), SMTP)),
            pop3: plan.telephone.is_none().then(|| SocketAddr::new(plan.towards_terminal.ip(), POP3)),
            machine_addresses: vec![format!("fax@{}.example", plan.letter)],
            modem: plan.telephone.map(|_| modem(plan)),
        },
        network: NetworkConfig {
            notices: at(SMTP),
            notices_from: vec![plan.mail_server],
            smtp: mail_smtp,
            pop3: mail_pop3,
            directory: plan.directory,
            tls: plan.mail_tls.clone().map(|name| MailTls { name, anchors: plan.anchors.clone() }),
            notices_tls: plan.notices_tls.clone(),
            ldap: plan.ldap.clone(),
            ocsp: None,
            dns_servers: Vec::new(),
            history: plan.history,
            history_key: None,
            // Both servers are known by certificate, or none is.
            history_tls: plan
                .notices_tls
                .is_some()
                .then(|| MailTls { name: "history".into(), anchors: plan.anchors.clone() }),
            anchors: plan.anchors.clone(),
            intermediates: Some(plan.intermediates.clone()),
        },
        trust: plan.trust.clone(),
        correspondents: plan.correspondents.clone(),
        card: CardConfig::default(),
        sending: SendingConfig { hold_seconds: plan.hold.as_secs() },
        confirmations: confirmations(plan),
        notices: Default::default(),
        status: None,
        gpio: None,
        display: None,
        person: None,
        ports: None,
        service: ServiceConfig::default(),
    }
}

/// The machine's line, whose modem is plugged in by the bench.
fn modem(plan: &SitePlan) -> ModemConfig {
    ModemConfig {
        device: PathBuf::new(),
        machine: MACHINE.to_owned(),
        number: "100".to_owned(),
        numbers: Some(numbers_file(plan)),
        gateway: None,
        callers: Vec::new(),
        private: false,
        redial_seconds: 1,
    }
}

fn numbers_file(plan: &SitePlan) -> PathBuf {
    plan.data.join("numbers.toml")
}

fn write_numbers(plan: &SitePlan) -> Result<(), Failure> {
    let lines = plan.numbers.iter().map(|(address, number)| format!("\"{number}\" = \"{address}\"\n"));
    std::fs::write(numbers_file(plan), lines.collect::<String>()).map_err(Failure::infrastructure)
}

/// What all adapters of all benches of this process have drawn.
fn album() -> Album {
    static ALBUM: LazyLock<Album> = LazyLock::new(|| Album::with_room(PICTURES));
    ALBUM.clone()
}

fn devices(
    plan: &SitePlan,
    name: &str,
    log: &EventLog,
    screens: &ScreenNumbers,
    reader: Box<dyn CardReader>,
    slot: &Hand,
) -> (Devices, Keys, Finger, Option<Fingers>) {
    let (card_log, host) = (log.clone(), name.to_owned());
    slot.observe(Arc::new(move |apdu| {
        let kind = EventKind::Apdu { command: apdu.command.clone(), status: apdu.status.unwrap_or(0) };
        card_log.write(Lane::Card, &host, kind, format!("{} -> {}", apdu.command, apdu.response));
    }));
    let (pad, keys) = keypad(log.clone());
    let (knob, finger) = button(log.clone());
    let (glass, fingers) = plan.fingerprints.then(|| fingerprint_reader(log.clone())).unzip();
    let folder = plan.keep_pictures.then(|| plan.folder.clone());
    let devices = Devices {
        lamp: Box::new(SensedLamp::new(log.clone(), name)),
        buzzer: Box::new(SensedBuzzer::new(log.clone(), name)),
        button: Box::new(knob),
        display: Box::new(RecordedDisplay::new(log.clone(), name, plan.language, folder, screens.clone())),
        reader,
        pin_pad: Box::new(pad),
        fax_line: None,
        person: glass.map(|glass| Arc::new(glass) as Arc<dyn PersonProof>),
        style: Style { language: plan.language, ..Style::default() },
        album: album(),
    };
    (devices, keys, finger, fingers)
}
