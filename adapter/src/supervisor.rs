//! Starts an adapter and keeps it going: the desk decides, the tasks around it carry out, and when one of them dies the
//! adapter ends rather than limp.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sealfax_client::seam::{Network, Seams};
use sealfax_client::tls::{Security, TlsError};
use sealfax_client::{pop3_server, smtp_server};
use sealfax_drivers::display::{CardFault, Status};
use sealfax_drivers::modem::FaxLine;
use sealfax_drivers::pin::Pin;
use sealfax_ifax::address::{Address, AddressError, Mailbox};
use sealfax_smime::{KeyError, OpenError};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::card::{InsertedCard, PinAnswer};
use crate::config::{Config, ModemConfig};
use crate::devices::{self, Devices, Shown};
use crate::flow::At;
use crate::flow::card_session::CardInput;
use crate::flow::desk::{Action, Desk, Event, Insertion};
use crate::incoming::Incoming;
use crate::ledger::{Ledger, LedgerError};
use crate::office::Office;
use crate::outgoing::Outgoing;
use crate::person;
use crate::ports::{Link, Sysfs, watch as ports};
use crate::pulse::{self, Beat, EVERY, Silent};
use crate::server::confirmations::Confirmations;
use crate::server::notices::NetworkSmtp;
use crate::server::outbox;
use crate::status::{self, StatusPage};
use crate::terminal::modem::{self, Machine, Numbers, NumbersError, OnRamp};
use crate::terminal::pop3::TerminalPop3;
use crate::terminal::smtp::TerminalSmtp;
use crate::track;
use crate::trust::{Trust, TrustError};
use crate::workers::{Ended, Workers};

/// A notice or a confirmation has no reason to be larger.
const NETWORK_MAIL: usize = 512 * 1024;
/// Most documents that the fax machine can have on their way at once.
const TERMINAL_SESSIONS: usize = 8;

/// Why an adapter does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A port.
    #[error("cannot listen for {what} at {at}; is another program using it, or is the address not this machine's?")]
    Listen {
        /// For whom.
        what: &'static str,
        /// Where.
        at: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The anchors, or the certificate server.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Who is meant by which number.
    #[error("`terminal.modem.numbers`: {0}")]
    Numbers(#[from] NumbersError),
    /// The machine's own address.
    #[error("`terminal.machine_addresses`: {0}")]
    MachineAddress(#[from] AddressError),
    /// TLS with the mail server.
    #[error("`network.tls`: {0}")]
    Tls(#[from] TlsError),
}

/// A running adapter. Dropping it ends it at once, as a power cut would.
#[derive(Debug)]
pub struct Adapter {
    office: Arc<Office>,
    shutdown: watch::Sender<bool>,
    terminal_smtp: Option<SocketAddr>,
    terminal_pop3: Option<SocketAddr>,
    notices: SocketAddr,
    status: Option<SocketAddr>,
    workers: Workers,
    /// Work beside the desk ends when this is dropped.
    _power: watch::Sender<()>,
}

impl Adapter {
    /// Starts with `seams.network` towards the servers and `terminal_network` towards the fax machine.
    pub async fn start(
        config: Config,
        seams: Seams,
        terminal_network: Arc<dyn Network>,
        mut devices: Devices,
    ) -> Result<Self, StartError> {
        let person = devices.person.clone();
        let fax_line = devices.fax_line.take();
        let ledger = Ledger::open(&config.data)?;
        let trust = Trust::open(&config, &seams, ledger.clone())?;
        let (events, inbox) = mpsc::unbounded_channel();
        let (power, on) = watch::channel(());
        let office = Arc::new(Office::new(config, seams, ledger, trust, person, events, on)?);
        let outgoing = Arc::new(Outgoing::new(office.clone()));
        let incoming = Arc::new(Incoming::new(office.clone()));
        let confirmations = Arc::new(Confirmations::new(office.clone()));
        let (shutdown, stop) = watch::channel(false);
        let mut workers = Workers::new();

        let desk = Desk::new(
            office.config.sending.hold(),
            office.config.terminal.machine_addresses.clone(),
            office.config.card.pin_life(),
        )
        .louder_after(office.config.notices.louder_after());
        let first = Shown { screen: desk.screen(At::ZERO), status: status(&office) };
        let (shown, showing) = watch::channel(first);
        devices::start(devices, &office, &showing, &mut workers);

        let config = &office.config;
        let host = config.host_name.clone();
        let journal = office.seams.journal.clone();
        let listen = async |network: &dyn Network, what, at| {
            let listener = network.bind(at).await.map_err(|source| StartError::Listen { what, at, source })?;
            let bound = listener.local_addr().map_err(|source| StartError::Listen { what, at, source })?;
            Ok::<_, StartError>((listener, bound))
        };
        let receiver = Arc::new(TerminalSmtp::new(office.clone(), outgoing.clone()));
        let door = Arc::new(TerminalPop3::new(office.clone(), incoming.clone()));
        if let Some((modem, line)) = config.terminal.modem.clone().zip(fax_line) {
            let machine = machine(modem, line, &office, receiver.clone(), door.clone())?;
            workers.spawn("fax-machine", modem::run(machine, showing.clone()));
        }

        let mut terminal_smtp = None;
        if let Some(at) = config.terminal.smtp {
            let (listener, bound) = listen(terminal_network.as_ref(), "the terminal's mail", at).await?;
            terminal_smtp = Some(bound);
            let mut limits = smtp_server::Limits::default();
            // The desk answers at the end of the hold; the listener's own limit is only a net beneath it.
            limits.hold = config.sending.hold() + Duration::from_secs(60);
            // Each may hold a document in memory for as long: one machine needs few.
            limits.sessions = TERMINAL_SESSIONS;
            limits.sessions_per_address = TERMINAL_SESSIONS;
            let serving = smtp_server::serve(
                listener,
                Security::Clear,
                receiver,
                limits,
                host.clone(),
                journal.clone(),
                stop.clone(),
            );
            workers.spawn("terminal-smtp", serving);
        }

        let mut terminal_pop3 = None;
        if let Some(at) = config.terminal.pop3 {
            let (listener, bound) = listen(terminal_network.as_ref(), "the terminal's receive button", at).await?;
            terminal_pop3 = Some(bound);
            let limits = pop3_server::Limits::default();
            let serving = pop3_server::serve(
                listener,
                Security::Clear,
                door,
                limits,
                host.clone(),
                journal.clone(),
                stop.clone(),
            );
            workers.spawn("terminal-pop3", serving);
        }

        let (listener, notices) = listen(office.seams.network.as_ref(), "notices", config.network.notices).await?;
        let receiver = Arc::new(NetworkSmtp::new(office.clone(), confirmations));
        let mut limits = smtp_server::Limits::default();
        limits.message = NETWORK_MAIL;
        let security = config.network.notices_security(&office.seams.clock)?;
        workers.spawn("notices", smtp_server::serve(listener, security, receiver, limits, host, journal, stop));

        let mut status_page = None;
        if let Some(config) = office.config.status {
            let (listener, bound) = listen(office.seams.network.as_ref(), "the status page", config.listen).await?;
            status_page = Some(bound);
            let page = Arc::new(StatusPage::new(office.clone(), config));
            workers.spawn("status", status::run(page, listener, shutdown.subscribe()));
        }
        workers.spawn("outbox", outbox::run(office.clone()));
        if let Some(named) = config.ports.clone() {
            workers.spawn("ports", ports::run(named, Sysfs::default(), office.clone()));
        }
        let desk_office = office.clone();
        workers.spawn_beating("desk", move |beat| run_desk(desk, inbox, desk_office, outgoing, incoming, shown, beat));
        office.did(&["T3", "H1"], "the adapter is ready");
        Ok(Self {
            office,
            shutdown,
            terminal_smtp,
            terminal_pop3,
            notices,
            status: status_page,
            workers,
            _power: power,
        })
    }

    /// Where an Internet fax machine sends its mail.
    pub fn terminal_smtp(&self) -> Option<SocketAddr> {
        self.terminal_smtp
    }

    /// Where an Internet fax machine fetches its mail.
    pub fn terminal_pop3(&self) -> Option<SocketAddr> {
        self.terminal_pop3
    }

    /// Where notices and confirmations are taken.
    pub fn notices(&self) -> SocketAddr {
        self.notices
    }

    /// Where the status page is, if there is one.
    pub fn status(&self) -> Option<SocketAddr> {
        self.status
    }

    /// The durable memory, for inspection.
    pub fn ledger(&self) -> &Ledger {
        &self.office.ledger
    }

    /// Waits until a part of the adapter ends, which it never should.
    pub async fn ended(&mut self) -> Ended {
        self.workers.ended().await
    }

    /// The workers that are stuck: while there are any, no watchdog is to be fed.
    pub fn silent(&self) -> Vec<Silent> {
        self.workers.silent()
    }

    /// How it is, in a few words for an administrator.
    pub fn state_of_health(&self) -> String {
        match status(&self.office).fault {
            Some(fault) => format!("{} {}", fault.code, fault.english),
            None => "ready".to_owned(),
        }
    }

    /// Writes down that a worker is stuck.
    pub(crate) fn complain(&self, silent: &Silent) {
        let Silent { worker, since } = silent;
        let text =
            format!("the worker `{worker}` has not come round for {} s; the watchdogs are not fed", since.as_secs());
        self.office.failed("SERVICE-001", text);
    }

    /// Lets running sessions finish, then ends.
    pub async fn shutdown(mut self) {
        let _ = self.shutdown.send(true);
        let finish = async {
            // The listeners end by themselves; the rest is ended with them.
            for _ in [self.terminal_smtp, self.terminal_pop3, Some(self.notices), self.status].into_iter().flatten() {
                self.workers.ended().await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(10), finish).await;
        self.workers.shutdown().await;
    }
}

/// A plain fax machine on its line, with the doors that every fax machine goes through.
fn machine(
    config: ModemConfig,
    line: Box<dyn FaxLine>,
    office: &Arc<Office>,
    receiver: Arc<TerminalSmtp>,
    door: Arc<TerminalPop3>,
) -> Result<Machine, StartError> {
    let numbers = Numbers::read(config.numbers.as_deref(), config.gateway.as_deref())?;
    let own = office.config.terminal.machine_addresses.first().map_or("", String::as_str);
    let from = Mailbox::from(Address::parse(own)?);
    let on_ramp = OnRamp { office: office.clone(), numbers, callers: config.callers(), from, receiver };
    Ok(Machine { office: office.clone(), line, config, on_ramp, door })
}

fn status(office: &Office) -> Status {
    let ports = office.ports();
    Status {
        office: office.config.office.clone(),
        clock: office.local(office.seams.clock.now()).split_off("2026-11-22 ".len()),
        terminal_link: ports.terminal == Link::Up,
        network_link: ports.network == Link::Up,
        reader: office.has_reader(),
        fault: ports.fault().or_else(|| (!office.has_reader()).then(devices::no_reader)).or_else(|| office.fault()),
    }
}

/// The one place where events become actions.
async fn run_desk(
    mut desk: Desk,
    mut inbox: mpsc::UnboundedReceiver<Event>,
    office: Arc<Office>,
    outgoing: Arc<Outgoing>,
    incoming: Arc<Incoming>,
    shown: watch::Sender<Shown>,
    beat: Beat,
) {
    let start = Instant::now();
    loop {
        beat.beat();
        let timer = desk.next_timer(start.elapsed());
        let event = tokio::select! {
            event = inbox.recv() => match event {
                Some(event) => event,
                None => return,
            },
            () = tokio::time::sleep_until(start + timer.unwrap_or_default()), if timer.is_some() => Event::Tick,
            // The clock on the screen moves even when nothing else does.
            () = pulse::tick(EVERY) => Event::Tick,
        };
        let at = start.elapsed();
        let about = track::of_event(&event);
        let actions = desk.handle(at, event);
        let subjects = track::of_actions(about, &actions);
        for (action, about) in actions.into_iter().zip(subjects) {
            let carry_out = || carry_out(action, &office, &outgoing, &incoming);
            match about.and_then(|about| about.transmission(&outgoing, &incoming)) {
                Some(id) => id.during(carry_out),
                None => carry_out(),
            }
        }
        let now = Shown { screen: desk.screen(start.elapsed()), status: status(&office) };
        shown.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
    }
}

fn carry_out(action: Action, office: &Arc<Office>, outgoing: &Arc<Outgoing>, incoming: &Arc<Incoming>) {
    match action {
        Action::ReadCard(insertion) => devices::tell_identity(office, insertion),
        Action::ReadAgain(insertion) => {
            let asked = office.clone();
            office.spawn(async move { devices::tell_identity_anew(&asked, insertion).await });
        }
        Action::VerifyPin(insertion, pin, shown) => verify_pin(office, insertion, Some(pin), shown),
        Action::VerifyPinOnPad(insertion, shown) => verify_pin(office, insertion, None, shown),
        Action::CheckCertificate(insertion) => {
            let checked = office.clone();
            office.spawn(async move { check_certificate(&checked, insertion).await });
        }
        Action::ProvePerson(insertion) => {
            let proving = office.clone();
            office.spawn(async move { person::prove(&proving, insertion).await });
        }
        Action::CheckAgain(insertion) => {
            let checked = office.clone();
            office.spawn(async move {
                if let Some(card) = checked.card_of(insertion) {
                    let (Ok(input) | Err(input)) = check_state(&checked, &card).await;
                    checked.tell(Event::Card(insertion, input));
                }
            });
        }
        // The PIN is wiped; the card itself may stay in the slot until it is pulled.
        Action::ForgetCard | Action::ForgetPin => {
            if let Some((_, card)) = office.card() {
                card.forget_pin();
                office.spawn(async move { card.forgotten().await });
            }
        }
        Action::LetGo(insertion) => {
            if let Some(card) = office.card_of(insertion) {
                office.spawn(async move { card.let_go().await });
            }
        }
        Action::Sending(action) => outgoing.carry_out(action),
        Action::Receiving(action) => incoming.carry_out(action),
        Action::Acknowledge(answered) => {
            office.did(&["C10"], "somebody has seen what was not delivered or not confirmed");
            if let Err(error) = office.ledger.acknowledge(&answered.failures, answered.overdue) {
                office.failed("LEDGER-001", error.to_string());
            }
        }
    }
}

/// Shows the card the PIN that was typed, or has its reader ask for one, if it has the tries that the person saw.
fn verify_pin(office: &Arc<Office>, insertion: Insertion, pin: Option<Arc<Pin>>, shown: u8) {
    let asked = office.clone();
    office.spawn(async move {
        let office = asked;
        let Some(card) = office.card_of(insertion) else { return };
        let answer = match pin {
            Some(pin) => card.verify_pin(pin, shown).await,
            None => card.verify_pin_on_pad(shown).await,
        };
        let input = match answer {
            PinAnswer::Accepted => CardInput::PinAccepted,
            PinAnswer::Refused(tries_left) => {
                office.suspicious("PIN-001", format!("a wrong PIN; {tries_left} tries left"));
                CardInput::PinRefused { tries_left }
            }
            PinAnswer::Untried(tries_left) => CardInput::PinUntried { tries_left },
            PinAnswer::Cancelled => CardInput::PadCancelled,
            PinAnswer::Failed(why) => devices::trouble(&office, why),
        };
        office.tell(Event::Card(insertion, input));
    });
}

/// ST602, ST603, ST908, ST909: both certificates of the card, path first, then the certificate server.
async fn check_certificate(office: &Office, insertion: Insertion) {
    let Some(card) = office.card_of(insertion) else { return };
    if let Err(input) = check_paths(office, &card) {
        return office.tell(Event::Card(insertion, input));
    }
    office.tell(Event::Card(insertion, CardInput::PathHolds));
    // Certificates are public: only the use of a key proves that this is the card they were issued for.
    match prove_possession(office, &card).await {
        Ok(()) => {}
        // A pulled card proves nothing against itself.
        Err(OpenError::Key(KeyError::Gone)) => return office.tell(Event::Card(insertion, CardInput::Removed)),
        Err(why) => {
            office.suspicious("CARD-006", why.to_string());
            return office.tell(Event::Card(insertion, CardInput::CertificateInvalid(CardFault::Untrusted)));
        }
    }
    let input = match check_state(office, &card).await {
        Ok(_) if office.person.is_some() => CardInput::PersonWanted,
        Ok(input) | Err(input) => input,
    };
    office.tell(Event::Card(insertion, input));
}

/// ST603, ST909: the paths of both certificates; asks nobody.
fn check_paths(office: &Office, card: &InsertedCard) -> Result<(), CardInput> {
    use sealfax_smime::path::Use;
    let identity = card.identity();
    let both = [(&identity.signature_certificate, Use::Sign), (&identity.encryption_certificate, Use::Encrypt)];
    for (certificate, purpose) in both {
        office.trust.check_card_path(certificate, purpose).map_err(|unusable| {
            office.suspicious(unusable.fault.code(), unusable.why);
            CardInput::CertificateInvalid(unusable.fault)
        })?;
    }
    Ok(())
}

/// ST602, ST908: whether both certificates are valid now. A path may have come to its end while the card was in.
async fn check_state(office: &Office, card: &InsertedCard) -> Result<CardInput, CardInput> {
    check_paths(office, card)?;
    let identity = card.identity();
    let (signature, encryption) = tokio::join!(
        office.trust.check_card_status(&identity.signature_certificate),
        office.trust.check_card_status(&identity.encryption_certificate)
    );
    for state in [signature, encryption] {
        state.map_err(|unusable| {
            office.suspicious(unusable.fault.code(), unusable.why);
            CardInput::CertificateInvalid(unusable.fault)
        })?;
    }
    Ok(CardInput::CertificateValid)
}

/// The card opens something that nobody has seen before: only the holder of the key that its certificate names can. The
/// decryption key does not ask for the PIN again, as the signature key would; what it signs is verified before it leaves.
async fn prove_possession(office: &Office, card: &Arc<InsertedCard>) -> Result<(), OpenError> {
    sealfax_smime::prove_possession(&card.decryption_key(), &mut office.rng()).await
}
