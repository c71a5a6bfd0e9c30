//! A call of the fax machine's: its pages become the mail that an Internet fax machine would send (the on-ramp of RFC 3249),
//! which goes through the same door.
//!
//! The machine waits some seconds for the answer to its last page. If by then it is known what became of the document, the
//! machine says so itself. If not, for a card has to come first, it is told that it arrived: from then on paper alone can
//! say that it was not sent, also after a power cut.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealfax_client::smtp_server::{Envelope, Peer, Receiver, Reply, ReversePath};
use sealfax_drivers::modem::{Arrived, CopyQuality, PageFormat, Tray};
use sealfax_ifax::address::{Address, AddressError, Mailbox};
use sealfax_ifax::{Page, text};

use super::machine::NOWHERE;
use super::numbers::Numbers;
use super::paper::Inbound;
use crate::flow::desk::Event;
use crate::ledger::LedgerError;
use crate::office::Office;
use crate::outer;

/// How long the machine waits for the answer to its last page, with time to spare (T.30: three times T4).
const PATIENCE: Duration = Duration::from_secs(6);
/// Bounds the reason on a notice, however much a server had to say.
const MOST_WORDS: usize = 400;

/// From the telephone line to the door for mails.
pub(crate) struct OnRamp {
    pub(crate) office: Arc<Office>,
    pub(crate) numbers: Numbers,
    /// The machine's own address.
    pub(crate) from: Mailbox,
    pub(crate) receiver: Arc<dyn Receiver>,
}

/// One call.
pub(super) struct Call<'a> {
    on_ramp: &'a OnRamp,
    /// The number that the machine dialled, where the line tells.
    dialled: Option<String>,
    tray: Inbound,
}

impl<'a> Call<'a> {
    pub(super) fn new(on_ramp: &'a OnRamp, dialled: Option<String>) -> Self {
        Self { on_ramp, dialled, tray: Inbound::default() }
    }
}

#[async_trait]
impl Tray for Call<'_> {
    fn page(&mut self, format: &PageFormat, octets: &[u8]) -> CopyQuality {
        self.tray.page(format, octets)
    }

    async fn accept(&mut self, arrived: &Arrived) -> bool {
        let on_ramp = self.on_ramp;
        let addressees = on_ramp.numbers.addressees(arrived.subaddress.as_deref(), self.dialled.as_deref());
        if addressees.is_empty() {
            let called = arrived.subaddress.as_ref().or(self.dialled.as_ref()).cloned().unwrap_or_default();
            on_ramp.office.suspicious("FAX-060", format!("a call for {called:?}, who is nobody here: not sent"));
            on_ramp.not_sent(
                &format!("{called}: 宛先が登録されていません / no such addressee is registered"),
                &addressees,
            );
            return false;
        }
        match on_ramp.compose(&addressees, self.tray.pages()) {
            Ok(mail) => on_ramp.hand_on(addressees, mail).await,
            Err(why) => {
                on_ramp.office.failed("FAX-061", format!("pages from the telephone line cannot be made a mail: {why}"));
                false
            }
        }
    }
}

impl OnRamp {
    /// Through the door. What is dropped before its answer is not sent.
    async fn hand_on(&self, addressees: Vec<String>, mail: Vec<u8>) -> bool {
        let notice = Notice::new(&self.office, &self.from, &addressees);
        let receiver = Arc::clone(&self.receiver);
        let mut envelope =
            Envelope { reverse_path: ReversePath::new(&self.from.address.to_string()), ..Envelope::default() };
        envelope.forward_paths = addressees;
        let mut sending = Box::pin(async move { receiver.message(&Peer::new(NOWHERE), envelope, mail).await });
        if let Ok(reply) = tokio::time::timeout(PATIENCE, &mut sending).await {
            if !reply.is_positive() {
                self.write_down(notice.because(&words(&reply)).and_then(|mail| self.report(&mail)));
            }
            return reply.is_positive();
        }
        let (office, key) = (self.office.clone(), self.office.ledger_key());
        let lost = notice.because("停電のため送信されませんでした / the power was cut before it was sent");
        let taken = lost.and_then(|mail| office.ledger.taken(&key, &mail).map_err(|error| error.to_string()));
        if let Err(why) = taken {
            // What is not written down is not said to have arrived.
            self.office.failed("LEDGER-001", why);
            return false;
        }
        self.office.spawn(async move {
            let reply = sending.await;
            let ending = match reply.is_positive() {
                true => office.ledger.settled(&key).map_err(|error| error.to_string()),
                false => notice
                    .because(&words(&reply))
                    .and_then(|mail| office.ledger.taken_in_vain(&key, &mail).map_err(|error| error.to_string())),
            };
            if let Err(why) = ending {
                office.failed("LEDGER-001", why);
            }
            office.tell(Event::Tick);
        });
        true
    }

    /// What the machine would send, were it an Internet fax machine (T.37 simple mode).
    fn compose(&self, addressees: &[String], pages: &[Page]) -> Result<Vec<u8>, String> {
        let to: Result<Vec<Mailbox>, AddressError> =
            addressees.iter().map(|address| Address::parse(address).map(Mailbox::from)).collect();
        outer::fax_mail(&self.office, self.from.clone(), to.map_err(|error| error.to_string())?, "Fax", pages)
    }

    fn not_sent(&self, why: &str, addressees: &[String]) {
        let notice = Notice::new(&self.office, &self.from, addressees);
        self.write_down(notice.because(why).and_then(|mail| self.report(&mail)));
    }

    fn report(&self, mail: &str) -> Result<(), String> {
        self.office.ledger.report(&self.office.ledger_key(), mail, &[]).map_err(|error| error.to_string())
    }

    fn write_down(&self, outcome: Result<(), String>) {
        if let Err(why) = outcome {
            self.office.failed("LEDGER-001", why);
        }
    }

    /// What had arrived when the power went, and had not been sent: its notices become reports.
    pub(super) fn tell_of_what_was_lost(&self) {
        let lost: Result<u64, LedgerError> = self.office.ledger.lost();
        match lost {
            Ok(0) => {}
            Ok(count) => self
                .office
                .failed("FAX-063", format!("{count} document(s) were lost with the power; the machine prints which")),
            Err(error) => self.office.failed("LEDGER-001", error.to_string()),
        }
    }
}

/// A page that says what was not sent, when, to whom, and why.
struct Notice {
    office: Arc<Office>,
    from: Mailbox,
    about: String,
}

impl Notice {
    fn new(office: &Arc<Office>, from: &Mailbox, addressees: &[String]) -> Self {
        let at = office.local(office.seams.clock.now());
        let to = match addressees {
            [] => String::new(),
            some => format!("宛先 / To: {}\n\n", some.join(", ")),
        };
        let about = format!("送信できませんでした\nNOT SENT\n\n{at}\n\n{to}");
        Self { office: office.clone(), from: from.clone(), about }
    }

    /// As the mail that the machine prints.
    fn because(&self, why: &str) -> Result<String, String> {
        let why: String = why.chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect();
        let pages = text::pages_from_text(&format!("{}{why}\n", self.about));
        let pages: Vec<Page> = pages.into_iter().map(trimmed).collect();
        let mail = outer::fax_mail(&self.office, self.from.clone(), vec![self.from.clone()], "Not sent", &pages)?;
        String::from_utf8(mail).map_err(|error| error.to_string())
    }
}

/// Without the white below the text: nobody waits for it.
fn trimmed(page: Page) -> Page {
    const MARGIN: u32 = 120;
    let last = (0..page.height()).rev().find(|y| page.row(*y).iter().any(|octet| *octet != 0)).unwrap_or(0);
    page.cropped(last + MARGIN)
}

fn words(reply: &Reply) -> String {
    reply.lines.join(" ")
}
