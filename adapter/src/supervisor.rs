//! Starts an adapter and keeps it going: the desk decides, the tasks around it carry out, and when one of them dies the
//! adapter ends rather than limp.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sealfax_client::seam::{Network, Seams};
use sealfax_client::{pop3_server, smtp_server};
use sealfax_drivers::display::{CardFault, Status};
use sealfax_smime::{KeyError, SealError, Signing};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::card::{InsertedCard, PinAnswer};
use crate::config::Config;
use crate::devices::{self, Devices, Shown};
use crate::flow::At;
use crate::flow::card_session::CardInput;
use crate::flow::desk::{Action, Desk, Event, Insertion};
use crate::incoming::Incoming;
use crate::ledger::{Ledger, LedgerError};
use crate::office::Office;
use crate::outgoing::Outgoing;
use crate::server::confirmations::Confirmations;
use crate::server::notices::NetworkSmtp;
use crate::server::outbox;
use crate::terminal::pop3::TerminalPop3;
use crate::terminal::smtp::TerminalSmtp;
use crate::trust::Trust;

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
    /// The anchors.
    #[error("the trust anchors in {path} cannot be used: {why}")]
    Anchors {
        /// Which file.
        path: std::path::PathBuf,
        /// Why.
        why: String,
    },
}

/// A running adapter. Dropping it ends it at once, as a power cut would.
#[derive(Debug)]
pub struct Adapter {
    office: Arc<Office>,
    shutdown: watch::Sender<bool>,
    terminal_smtp: SocketAddr,
    terminal_pop3: SocketAddr,
    notices: SocketAddr,
    tasks: JoinSet<()>,
    /// Work beside the desk ends when this is dropped.
    _power: watch::Sender<()>,
}

impl Adapter {
    /// Starts with `seams.network` towards the servers and `terminal_network` towards the fax machine.
    pub async fn start(
        config: Config,
        seams: Seams,
        terminal_network: Arc<dyn Network>,
        devices: Devices,
    ) -> Result<Self, StartError> {
        let trust = read_trust(&config, &seams)?;
        let ledger = Ledger::open(&config.data)?;
        let (events, inbox) = mpsc::unbounded_channel();
        let (power, on) = watch::channel(());
        let office = Arc::new(Office::new(config, seams, ledger, trust, events, on));
        let outgoing = Arc::new(Outgoing::new(office.clone()));
        let incoming = Arc::new(Incoming::new(office.clone()));
        let confirmations = Arc::new(Confirmations::new(office.clone()));
        let (shutdown, stop) = watch::channel(false);
        let mut tasks = JoinSet::new();

        let desk = Desk::new(office.config.sending.hold(), office.config.terminal.machine_addresses.clone());
        let first = Shown { screen: desk.screen(At::ZERO), status: status(&office) };
        let (shown, showing) = watch::channel(first);
        devices::start(devices, &office, &showing, &mut tasks);

        let config = &office.config;
        let host = config.host_name.clone();
        let journal = office.seams.journal.clone();
        let listen = async |network: &dyn Network, what, at| {
            let listener = network.bind(at).await.map_err(|source| StartError::Listen { what, at, source })?;
            let bound = listener.local_addr().map_err(|source| StartError::Listen { what, at, source })?;
            Ok::<_, StartError>((listener, bound))
        };
        let (listener, terminal_smtp) =
            listen(terminal_network.as_ref(), "the terminal's mail", config.terminal.smtp).await?;
        let receiver = Arc::new(TerminalSmtp::new(office.clone(), outgoing.clone()));
        let mut limits = smtp_server::Limits::default();
        // The desk answers at the end of the hold; the listener's own limit is only a net beneath it.
        limits.hold = config.sending.hold() + Duration::from_secs(60);
        // Each may hold a document in memory for as long: one machine needs few.
        limits.sessions = TERMINAL_SESSIONS;
        limits.sessions_per_address = TERMINAL_SESSIONS;
        tasks.spawn(smtp_server::serve(listener, receiver, limits, host.clone(), journal.clone(), stop.clone()));

        let (listener, terminal_pop3) =
            listen(terminal_network.as_ref(), "the terminal's receive button", config.terminal.pop3).await?;
        let door = Arc::new(TerminalPop3::new(office.clone(), incoming.clone()));
        let limits = pop3_server::Limits::default();
        tasks.spawn(pop3_server::serve(listener, door, limits, host.clone(), journal.clone(), stop.clone()));

        let (listener, notices) = listen(office.seams.network.as_ref(), "notices", config.network.notices).await?;
        let receiver = Arc::new(NetworkSmtp::new(office.clone(), confirmations));
        let mut limits = smtp_server::Limits::default();
        limits.message = NETWORK_MAIL;
        tasks.spawn(smtp_server::serve(listener, receiver, limits, host, journal, stop));

        tasks.spawn(outbox::run(office.clone()));
        tasks.spawn(run_desk(desk, inbox, office.clone(), outgoing, incoming, shown));
        office.did(&["T3", "H1"], "the adapter is ready");
        Ok(Self { office, shutdown, terminal_smtp, terminal_pop3, notices, tasks, _power: power })
    }

    /// Where the terminal sends its mail.
    pub fn terminal_smtp(&self) -> SocketAddr {
        self.terminal_smtp
    }

    /// Where the terminal fetches its mail.
    pub fn terminal_pop3(&self) -> SocketAddr {
        self.terminal_pop3
    }

    /// Where notices and confirmations are taken.
    pub fn notices(&self) -> SocketAddr {
        self.notices
    }

    /// The durable memory, for inspection.
    pub fn ledger(&self) -> &Ledger {
        &self.office.ledger
    }

    /// Waits until a part of the adapter ends, which it never should.
    pub async fn ended(&mut self) {
        self.tasks.join_next().await;
    }

    /// Lets running sessions finish, then ends.
    pub async fn shutdown(mut self) {
        let _ = self.shutdown.send(true);
        let finish = async {
            // The three listeners end by themselves; the rest is ended with them.
            for _ in 0..3 {
                self.tasks.join_next().await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(10), finish).await;
        self.tasks.shutdown().await;
    }
}

fn read_trust(config: &Config, seams: &Seams) -> Result<Trust, StartError> {
    let read = |path: &std::path::Path| {
        let wrong = |why: String| StartError::Anchors { path: path.to_owned(), why };
        let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&text)
            .map(|certificate| certificate.map(|der| der.to_vec()).map_err(|error| wrong(error.to_string())))
            .collect::<Result<_, _>>()?;
        if certificates.is_empty() { Err(wrong("it holds no certificate".into())) } else { Ok(certificates) }
    };
    let anchors = read(&config.network.anchors)?;
    let intermediates = config.network.intermediates.as_deref().map(read).transpose()?.unwrap_or_default();
    Ok(Trust::new(seams.clone(), &config.host_name, anchors, intermediates, config.network.directory))
}

fn status(office: &Office) -> Status {
    Status {
        office: office.config.office.clone(),
        clock: office.local(office.seams.clock.now()).split_off("2026-11-22 ".len()),
        terminal_link: true,
        network_link: true,
        reader: office.has_reader(),
        fault: (!office.has_reader()).then(devices::no_reader),
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
) {
    let start = Instant::now();
    loop {
        let at = start.elapsed();
        // The clock on the screen moves even when nothing else does.
        let due = desk.next_timer(at).unwrap_or(at + Duration::from_secs(30)).min(at + Duration::from_secs(30));
        let event = tokio::select! {
            event = inbox.recv() => match event {
                Some(event) => event,
                None => return,
            },
            () = tokio::time::sleep_until(start + due) => Event::Tick,
        };
        let at = start.elapsed();
        for action in desk.handle(at, event) {
            carry_out(action, &office, &outgoing, &incoming);
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
        Action::VerifyPin(insertion, pin) => {
            let asked = office.clone();
            office.spawn(async move {
                let office = asked;
                let Some(card) = office.card_of(insertion) else { return };
                let input = match card.verify_pin(pin).await {
                    PinAnswer::Accepted => CardInput::PinAccepted,
                    PinAnswer::Refused(tries_left) => {
                        office.suspicious("PIN-001", format!("a wrong PIN; {tries_left} tries left"));
                        CardInput::PinRefused { tries_left }
                    }
                    PinAnswer::Failed(why) => devices::trouble(&office, why),
                };
                office.tell(Event::Card(insertion, input));
            });
        }
        Action::CheckCertificate(insertion) => {
            let checked = office.clone();
            office.spawn(async move { check_certificate(&checked, insertion).await });
        }
        // The PIN is wiped; the card itself may stay in the slot until it is pulled.
        Action::ForgetCard => {
            if let Some((_, card)) = office.card() {
                card.forget_pin();
            }
        }
        Action::Sending(action) => outgoing.carry_out(action),
        Action::Receiving(action) => incoming.carry_out(action),
    }
}

/// ST602, ST603, ST908, ST909: both certificates of the card, path first, then the certificate server.
async fn check_certificate(office: &Office, insertion: Insertion) {
    use sealfax_smime::path::Use;
    let Some(card) = office.card_of(insertion) else { return };
    let identity = card.identity();
    let both = [(&identity.signature_certificate, Use::Sign), (&identity.encryption_certificate, Use::Encrypt)];
    for (certificate, purpose) in both {
        if let Err(unusable) = office.trust.check_card_path(certificate, purpose) {
            office.suspicious("CARD-004", unusable.why);
            return office.tell(Event::Card(insertion, CardInput::CertificateInvalid(unusable.fault)));
        }
    }
    office.tell(Event::Card(insertion, CardInput::PathHolds));
    // Certificates are public: only a signature proves that this is the card they were issued for.
    match prove_possession(office, &card).await {
        Ok(()) => {}
        // A pulled card proves nothing against itself.
        Err(SealError::Key(KeyError::Gone)) => return office.tell(Event::Card(insertion, CardInput::Removed)),
        Err(why) => {
            office.suspicious("CARD-006", why.to_string());
            return office.tell(Event::Card(insertion, CardInput::CertificateInvalid(CardFault::Untrusted)));
        }
    }
    for (certificate, _) in both {
        if let Err(unusable) = office.trust.check_card_status(certificate).await {
            office.suspicious("CARD-005", unusable.why);
            return office.tell(Event::Card(insertion, CardInput::CertificateInvalid(unusable.fault)));
        }
    }
    office.tell(Event::Card(insertion, CardInput::CertificateValid));
}

/// The card signs something that it cannot have signed before; what comes is checked against its certificate.
async fn prove_possession(office: &Office, card: &Arc<InsertedCard>) -> Result<(), SealError> {
    let challenge = format!("Content-Type: text/plain\r\n\r\n{}\r\n", office.seams.entropy.token());
    let signing = Signing { key: &card.signature_key(), chain: &[], signing_time: office.seams.clock.now() };
    sealfax_smime::sign_detached(challenge.as_bytes(), &signing).await.map(|_| ())
}
