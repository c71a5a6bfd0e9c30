//! One office: a mail server, an adapter with its devices, a fax machine, and what people do there.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealfax_adapter::Adapter;
use sealfax_adapter::config::{CorrespondentsConfig, NoticesTls, TrustConfig};
use sealfax_client::ldap::LdapDirectory;
use sealfax_client::seam::{Network, Seams};
use sealfax_drivers::button::ButtonPress;
use sealfax_drivers::display::{Language, ScreenKind};

use super::in_process::InProcess;
use super::mail_tls::{POP3S, SMTPS};
use super::on_lab::{LabPlan, OnLab};
use super::on_twin::{OnTwin, TwinPlan};
use super::people::Person;
use crate::endpoint::fax_machine::{FaxMachine, Telephone};
use crate::endpoint::ifax::{IfaxTerminal, Lcd, PrintedDocument, TerminalError};
use crate::events::{Event, EventKind, EventLog, Lane, Mark};
use crate::instrument::fingerprint::Fingers;
use crate::instrument::screen::ScreenNumbers;
use crate::scenario::{Cards, Failure};
use crate::virtual_card::Hand;

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
    /// The mail server's address, and under TLS its name.
    pub(super) mail_server: IpAddr,
    pub(super) mail_tls: Option<String>,
    /// What the adapter shows to the mail server.
    pub(super) notices_tls: Option<NoticesTls>,
    pub(super) directory: SocketAddr,
    pub(super) ldap: Option<LdapDirectory>,
    pub(super) trust: TrustConfig,
    pub(super) correspondents: CorrespondentsConfig,
    pub(super) history: SocketAddr,
    pub(super) anchors: PathBuf,
    pub(super) intermediates: PathBuf,
    pub(super) hold: Duration,
    pub(super) batch: usize,
    pub(super) patience: Option<Duration>,
    pub(super) fingerprints: bool,
    /// What the office's machine is, if it is on a telephone line.
    pub(super) telephone: Option<Telephone>,
    /// Under which number a person is reached by telephone.
    pub(super) numbers: BTreeMap<&'static str, String>,
    pub(super) seed: u64,
    /// The machine is of T.37 extended mode.
    pub(super) extended: bool,
    pub(super) language: Language,
    pub(super) keep_pictures: bool,
    pub(super) cards: Cards,
    /// The adapter of this office runs on a twin.
    pub(super) twin: Option<TwinPlan>,
    /// The adapter of this office runs on a board of the lab.
    pub(super) lab: Option<LabPlan>,
}

impl SitePlan {
    /// Where the mail server takes mail in, and where it hands it out.
    pub(super) fn mail_doors(&self) -> [SocketAddr; 2] {
        let ports = if self.mail_tls.is_some() { [SMTPS, POP3S] } else { [SMTP, POP3] };
        ports.map(|port| SocketAddr::new(self.mail_server, port))
    }
}

/// The adapter of one office, wherever it runs.
enum UnderTest {
    InProcess(Box<InProcess>),
    Twin(Box<OnTwin>),
    Lab(Box<OnLab>),
}

/// A plain fax machine, and who is reached through it under which number.
struct OnTheTelephone {
    machine: FaxMachine,
    numbers: BTreeMap<&'static str, String>,
}

/// One office.
pub struct Site {
    /// "adapter-b".
    pub adapter_name: String,
    /// The fax machine, where it is an Internet fax machine.
    pub terminal: IfaxTerminal,
    /// The fax machine on a telephone line, where there is one.
    telephone: Option<OnTheTelephone>,
    /// The hand at the card slot.
    pub slot: Hand,
    adapter: UnderTest,
    log: EventLog,
    letter: char,
    /// From where on in the log the display is looked at: since somebody last did something here, or last saw something.
    looking: Mutex<Mark>,
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
        let machine = format!("fax@{letter}.example");
        let mut terminal = IfaxTerminal::new(
            &format!("terminal-{letter}"),
            &machine,
            SocketAddr::new(plan.towards_terminal.ip(), SMTP),
            SocketAddr::new(plan.towards_terminal.ip(), POP3),
            terminal_seams,
            log.clone(),
            &plan.folder,
        )
        .map_err(Failure::infrastructure)?;
        if plan.extended {
            terminal = terminal.in_extended_mode();
        }
        let mut telephone = None;
        let (adapter, slot) = match (plan.twin.clone(), plan.lab.clone()) {
            (None, None) => {
                let mut line = None;
                if let Some(kind) = plan.telephone {
                    let name = format!("machine-{letter}");
                    std::fs::create_dir_all(&plan.data).map_err(Failure::infrastructure)?;
                    let (machine, near) =
                        FaxMachine::new(kind, &name, plan.seed, log.clone(), &plan.folder, &plan.data)?;
                    telephone = Some(OnTheTelephone { machine, numbers: plan.numbers.clone() });
                    line = Some(near);
                }
                let starting =
                    InProcess::start(plan, &adapter_name, seams, terminal_network, log.clone(), screens, line).await?;
                let hand = starting.hand().clone();
                (UnderTest::InProcess(Box::new(starting)), hand)
            }
            (Some(twin), _) => {
                let starting = OnTwin::start(plan, twin, &adapter_name, seams.network, log.clone(), screens).await?;
                let hand = starting.hand();
                (UnderTest::Twin(Box::new(starting)), hand)
            }
            (None, Some(lab)) => {
                let starting = OnLab::start(plan, lab, &adapter_name, seams.network, log.clone(), screens).await?;
                let hand = starting.hand();
                (UnderTest::Lab(Box::new(starting)), hand)
            }
        };
        let looking = Mutex::new(log.mark());
        Ok(Self { adapter_name, terminal, telephone, slot, adapter, log, letter, looking })
    }

    /// The power of the adapter is cut: nothing is finished, nothing is said.
    pub async fn power_cut(&mut self) {
        self.log.note(&self.adapter_name, "the power is cut");
        match &mut self.adapter {
            UnderTest::InProcess(adapter) => adapter.power_cut().await,
            UnderTest::Twin(twin) => twin.power_cut(),
            UnderTest::Lab(board) => board.power_cut().await,
        }
    }

    /// The power is back, the card slot is empty.
    pub async fn power_on(&mut self) -> Result<(), Failure> {
        match &mut self.adapter {
            UnderTest::InProcess(adapter) => {
                adapter.power_on().await?;
                self.slot = adapter.hand().clone();
            }
            UnderTest::Twin(twin) => {
                let _ = self.slot.remove();
                twin.power_on().await?;
            }
            UnderTest::Lab(board) => {
                let _ = self.slot.remove();
                board.power_on().await?;
            }
        }
        self.log.note(&self.adapter_name, "the power is back");
        Ok(())
    }

    /// The adapter, while it has power, of a bench that can look into it.
    pub fn adapter(&self) -> Result<&Adapter, Failure> {
        match &self.adapter {
            UnderTest::InProcess(adapter) => adapter.adapter(),
            UnderTest::Twin(_) | UnderTest::Lab(_) => {
                Err(Failure::Unsupported("way to look into the memory of an adapter on a board".into()))
            }
        }
    }

    /// The twin that the adapter runs on.
    pub fn twin(&self) -> Option<&OnTwin> {
        match &self.adapter {
            UnderTest::Twin(twin) => Some(twin),
            _ => None,
        }
    }

    /// Puts the card in.
    pub fn insert(&self, person: &Person) {
        self.look_from(self.log.mark());
        self.log.person(person.character.called, format!("inserts the card at {}", self.adapter_name));
        if let UnderTest::Lab(board) = &self.adapter {
            board.before_a_card();
        }
        self.slot.insert(&person.card);
    }

    /// The region's clock was moved: a board has one of its own, which follows.
    pub(super) fn set_clock(&self) {
        match &self.adapter {
            UnderTest::InProcess(_) => {}
            UnderTest::Twin(twin) => twin.set_clock(),
            UnderTest::Lab(board) => board.set_clock(),
        }
    }

    /// Takes the card out.
    pub fn pull(&self, person: &Person) {
        self.look_from(self.log.mark());
        self.log.person(person.character.called, "takes the card out");
        self.slot.remove();
    }

    /// Types a PIN and Enter.
    pub async fn type_pin(&self, person: &Person, pin: &str) {
        self.look_from(self.log.mark());
        match &self.adapter {
            UnderTest::InProcess(adapter) => {
                adapter.keys.type_pin(person.character.called, pin, Duration::ZERO).await;
            }
            UnderTest::Twin(twin) => twin.type_pin(person.character.called, pin).await,
            UnderTest::Lab(board) => board.type_pin(person.character.called, pin).await,
        }
    }

    /// Lays a finger on the reader.
    pub fn lay_finger(&self, person: &Person) -> Result<(), Failure> {
        self.look_from(self.log.mark());
        self.fingers()?.lay(person.character.called, person.character.address);
        Ok(())
    }

    /// The fingerprint reader of an office that has one.
    pub fn fingers(&self) -> Result<&Fingers, Failure> {
        let of = match &self.adapter {
            UnderTest::InProcess(adapter) => adapter.fingers.as_ref(),
            UnderTest::Twin(_) | UnderTest::Lab(_) => None,
        };
        of.ok_or_else(|| Failure::Unsupported(format!("fingerprint reader at {}", self.adapter_name)))
    }

    /// Presses the adapter's button.
    pub async fn press_button(&self, person: &Person) {
        self.press(person, ButtonPress::Short).await;
    }

    /// Holds the adapter's button until the technician's page comes.
    pub async fn hold_button(&self, person: &Person) {
        self.press(person, ButtonPress::Long).await;
    }

    async fn press(&self, person: &Person, press: ButtonPress) {
        self.look_from(self.log.mark());
        let who = person.character.called;
        match &self.adapter {
            UnderTest::InProcess(adapter) => adapter.finger.press(who, press),
            UnderTest::Twin(twin) => twin.press_button(who, press).await,
            UnderTest::Lab(board) => board.press_button(who, press).await,
        }
    }

    /// Inserts the card, types the right PIN and waits until the card is accepted, as `then` shows.
    pub async fn identify(&self, person: &Person, then: ScreenKind) -> Result<(), Failure> {
        self.insert(person);
        self.sees(ScreenKind::Pin).await?;
        self.type_pin(person, person.character.pin).await;
        self.sees(then).await
    }

    /// Waits until the display shows this state, or has shown it since somebody last did or saw something here: a person looks
    /// on while doing it, and what comes next may come fast.
    pub async fn sees(&self, kind: ScreenKind) -> Result<(), Failure> {
        let looking = *self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.sees_after(looking.min(self.last_screen_mark()), kind).await?;
        self.look_from(self.log.mark_before_last(|event| event.at == seen.at && event.host == seen.host));
        Ok(())
    }

    fn look_from(&self, mark: Mark) {
        *self.looking.lock().unwrap_or_else(PoisonError::into_inner) = mark;
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
        self.look_from(self.log.mark());
        if let Some(telephone) = &self.telephone {
            let number = to.first().and_then(|address| telephone.numbers.get(address)).map_or("999", String::as_str);
            return telephone.machine.send(number, pages).await.map_err(Failure::expectation);
        }
        let to: Vec<String> = to.iter().map(|address| (*address).to_owned()).collect();
        let mut terminal = self.terminal.clone();
        if let Some(person) = from {
            let chosen = person.character.address;
            terminal = terminal.sending_as(chosen).map_err(Failure::infrastructure)?;
        }
        terminal.send(&to, pages, subject).await.map_err(Failure::expectation)
    }

    /// The same for a person whose PIN was spent on the act before: it is asked for when the machine begins to send.
    pub async fn fax_with_pin(
        &self,
        person: &Person,
        to: &[&str],
        subject: &str,
        pages: &[sealfax_ifax::Page],
    ) -> Result<Lcd, Failure> {
        let typing = async {
            self.sees(ScreenKind::Pin).await?;
            self.type_pin(person, person.character.pin).await;
            Ok(())
        };
        let (lcd, ()) = tokio::try_join!(self.fax(Some(person), to, subject, pages), typing)?;
        Ok(lcd)
    }

    /// RECEIVE is pressed: everything that comes is printed. On a telephone line: the next document that the machine prints.
    pub async fn receive(&self) -> Result<Vec<PrintedDocument>, TerminalError> {
        if let Some(telephone) = &self.telephone {
            // Nobody presses anything: the machine is called.
            return Ok(telephone.machine.next_printed(PATIENCE).await?.into_iter().collect());
        }
        self.look_from(self.log.mark());
        let letter = self.letter;
        self.terminal.receive(&format!("fax@{letter}.example"), machine_password(letter).as_bytes()).await
    }
}

/// The password of a fax machine's own mailbox.
pub(crate) fn machine_password(letter: char) -> String {
    format!("machine-{letter}-password")
}
