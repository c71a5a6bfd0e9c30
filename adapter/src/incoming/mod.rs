//! Carries out what Fig. 10 decides: fetch, decrypt, the sender's certificate, verify, hand over, confirm, settle
//! (ST912-ST922).
//!
//! Opened mails are in memory only, and only for the session in which they were opened.

mod handing;
mod opening;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use sealfax_client::pop3::{Client, Pop3Error};
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::TransmissionId;
use sealfax_smime::{Decrypted, ReceiptTerms};
use tokio::sync::oneshot;

use crate::card::InsertedCard;
use crate::flow::desk::Event;
use crate::flow::receiving::{Fetched, MailId, ReceivingAction, ReceivingEvent, SessionId, Unfit};
use crate::flow::{Owner, Protection};
use crate::ledger::{Handed, Print};
use crate::office::Office;
use crate::sealed::may_be_sealed;

/// Mails looked at in one session; the rest are for the next one.
const MAILS: usize = 32;
/// Octets fetched in one session.
const OCTETS: usize = 96 * 1024 * 1024;
/// Unfit mails remembered, over all people.
const UNFIT: usize = 4096;

/// What the terminal is given at its log-in.
#[derive(Debug)]
pub enum Given {
    /// No card is accepted: its own mailbox.
    Ordinary,
    /// The opened mails of a person.
    Opened(Vec<OpenedMail>),
    /// Not now.
    Refused,
}

/// A mail for the terminal.
#[derive(Debug, Clone)]
pub struct OpenedMail {
    /// Which.
    pub id: MailId,
    /// Its unique identifier at the mail server.
    pub uid: String,
    /// The mail, CRLF.
    pub octets: Arc<zeroize::Zeroizing<Vec<u8>>>,
}

/// One mail of a session.
struct Mail {
    session: SessionId,
    number: usize,
    uid: String,
    /// Its name in the ledger: a unique-id is unique in one mailbox only (RFC 1939, section 7).
    key: String,
    raw: Arc<Vec<u8>>,
    kind: Fetched,
    transmission: TransmissionId,
    known: Option<Handed>,
    decrypted: Option<Decrypted>,
    sender: Option<String>,
    sender_certificates: Vec<Vec<u8>>,
    opened: Option<Released>,
}

/// What may be handed to the terminal.
struct Released {
    content: zeroize::Zeroizing<Vec<u8>>,
    content_digest: [u8; 32],
    protection: Protection,
    /// Does it say that it is for the card's owner?
    bound: bool,
    receipt: Option<ReceiptTerms>,
}

/// One log-in of the terminal.
struct Session {
    given: Option<oneshot::Sender<Given>>,
    settled: Option<oneshot::Sender<()>>,
    cut: Arc<std::sync::atomic::AtomicBool>,
    personal: Option<Personal>,
}

/// What a personal session holds: the card it began with, and the mailbox.
struct Personal {
    owner: Owner,
    card: Arc<InsertedCard>,
    mailbox: Option<Client>,
    spent: Vec<(usize, String)>,
}

/// The sessions at hand.
pub struct Incoming {
    office: Arc<Office>,
    sessions: Mutex<HashMap<SessionId, Session>>,
    mails: Mutex<HashMap<MailId, Mail>>,
    /// By ledger name, what could not be opened or was not genuine: it stays at the server, and is tried last.
    unfit: Mutex<HashSet<String>>,
    /// By address, what the lines have in common of that which waits for it, from the notice until it is printed.
    transmissions: Mutex<HashMap<String, TransmissionId>>,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Incoming")
    }
}

/// One log-in of the terminal, seen from its door.
#[derive(Debug)]
pub struct Visit {
    incoming: Arc<Incoming>,
    id: SessionId,
    /// Turns true when the card is pulled: nothing more is handed over.
    pub cut: Arc<std::sync::atomic::AtomicBool>,
    over: bool,
}

impl Visit {
    /// The terminal said QUIT and took these completely. Returns when what was owed is queued and deleted.
    pub async fn taken(mut self, mails: Vec<MailId>) {
        self.over = true;
        let (sender, settled) = oneshot::channel();
        if let Some(session) = self.incoming.sessions().get_mut(&self.id) {
            session.settled = Some(sender);
        }
        self.incoming.note_printed(&mails);
        self.incoming.tell(ReceivingEvent::Taken(self.id, mails));
        let _ = settled.await;
    }

    /// The terminal cannot print this one, whatever else it takes.
    pub fn unprintable(&self, mail: MailId, code: &'static str) {
        self.incoming.remember_unfit(mail, Err(Unfit::CannotOpen(code)));
        self.incoming.tell(ReceivingEvent::Unprintable(mail, code));
    }

    /// The terminal went without QUIT, but took these completely: they are not printed again.
    pub fn left(self, mails: &[MailId]) {
        self.incoming.note_printed(mails);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.over {
            self.incoming.tell(ReceivingEvent::TerminalLeft(self.id));
        }
    }
}

impl Incoming {
    pub(crate) fn new(office: Arc<Office>) -> Self {
        Self {
            office,
            sessions: Mutex::default(),
            mails: Mutex::default(),
            unfit: Mutex::default(),
            transmissions: Mutex::default(),
        }
    }

    /// ST912: the terminal logs in. Returns when it is clear what it is given.
    pub async fn visit(self: &Arc<Self>) -> (Visit, Given) {
        let id = SessionId(self.office.number());
        let (sender, given) = oneshot::channel();
        let cut = Arc::default();
        let session = Session { given: Some(sender), settled: None, cut: Arc::clone(&cut), personal: None };
        self.sessions().insert(id, session);
        let visit = Visit { incoming: self.clone(), id, cut, over: false };
        self.tell(ReceivingEvent::Receive(id));
        let given = given.await.unwrap_or(Given::Refused);
        (visit, given)
    }

    /// Carries out one action of Fig. 10.
    pub fn carry_out(self: &Arc<Self>, action: ReceivingAction) {
        match action {
            ReceivingAction::Step(step) => self.office.step(step),
            // The desk has asked it of the card's session.
            ReceivingAction::CheckCard => {}
            ReceivingAction::Ordinary(id) => {
                self.give(id, Given::Ordinary);
                self.sessions().remove(&id);
            }
            ReceivingAction::Refuse(id) => {
                self.give(id, Given::Refused);
                self.forget(id);
            }
            ReceivingAction::Fetch(id, owner) => self.spawn(async move |this| this.fetch(id, owner).await),
            ReceivingAction::Decrypt(id) => self.spawn(async move |this| {
                let result = this.decrypt(id).await;
                this.remember_unfit(id, result.map(drop));
                this.tell(ReceivingEvent::Decrypted(id, result));
            }),
            ReceivingAction::FindSenderCertificate(id) => self.spawn(async move |this| {
                let result = this.find_sender(id).await;
                this.remember_unfit(id, result);
                this.tell(ReceivingEvent::SenderCertificate(id, result));
            }),
            ReceivingAction::Verify(id) => {
                let result = self.verify(id);
                self.remember_unfit(id, result.map(drop));
                self.tell(ReceivingEvent::Verified(id, result));
            }
            ReceivingAction::Hand(id, mails) => self.hand(id, &mails),
            ReceivingAction::Cut(id) => {
                if let Some(session) = self.sessions().get(&id) {
                    session.cut.store(true, std::sync::atomic::Ordering::SeqCst);
                }
            }
            ReceivingAction::Confirm(id) => self.spawn(async move |this| {
                let queued = match this.confirm(id).await {
                    Ok(()) => true,
                    Err(why) => {
                        this.office.failed("RECV-005", format!("the confirmation is still owed: {why}"));
                        false
                    }
                };
                this.tell(ReceivingEvent::Confirmed(id, queued));
            }),
            ReceivingAction::Settle(id, mails) => self.spawn(async move |this| this.settle(id, &mails).await),
        }
    }

    fn spawn<F, Fut>(self: &Arc<Self>, work: F)
    where
        F: FnOnce(Arc<Self>) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.office.spawn(work(self.clone()));
    }

    /// ST913, P3: login and password come from the card, and are forgotten at once.
    async fn fetch(self: &Arc<Self>, id: SessionId, owner: Owner) {
        match self.fetch_mailbox(id, owner).await {
            Ok(mails) => self.tell(ReceivingEvent::Fetched(id, mails)),
            Err(why) => {
                self.office.failed("RECV-001", why);
                // The session may have ended before the last of these came: nobody else forgets them.
                self.mails().retain(|_, mail| mail.session != id);
                self.tell(ReceivingEvent::FetchFailed(id));
            }
        }
    }

    async fn fetch_mailbox(self: &Arc<Self>, id: SessionId, owner: Owner) -> Result<Vec<(MailId, Fetched)>, String> {
        let card = self.office.card_owned_by(&owner).ok_or("the card was pulled before the mailbox was fetched")?;
        let login = card.mailbox_login().await.map_err(|error| error.to_string())?;
        let words = |error: Pop3Error| error.to_string();
        let network = self.office.mail.as_ref();
        let mut mailbox = Client::connect(network, self.office.config.network.pop3).await.map_err(words)?;
        let password = Password::new(login.password().as_bytes().to_vec());
        mailbox.login(login.login(), &password).await.map_err(words)?;
        drop((login, password));
        let mut spent = Vec::new();
        let mut mails = Vec::new();
        let mut octets = 0usize;
        let transmission = self.transmission_for(&owner.address);
        for (number, uid) in self.unfit_last(&owner, mailbox.uidl().await.map_err(words)?) {
            if mails.len() >= MAILS || octets >= OCTETS {
                break;
            }
            if !self.sessions().contains_key(&id) {
                return Err("the terminal or the card went away".into());
            }
            let key = ledger_name(&owner, &uid);
            let known = self.office.ledger.handed(&key).map_err(|error| error.to_string())?;
            if known.as_ref().is_some_and(|known| known.print == Print::Confirmed) {
                // Printed and confirmed: only its deletion was lost, by a power cut or a broken connection.
                spent.push((number, key));
                continue;
            }
            let raw = mailbox.retr(number).await.map_err(words)?;
            self.office.did(&["A1", "A2"], format!("mail {number} of {} was fetched", owner.address));
            octets = octets.saturating_add(raw.len());
            let kind = match &known {
                Some(known) if known.print == Print::Printed => Fetched::Printed,
                _ if may_be_sealed(&raw) => Fetched::Sealed,
                _ => Fetched::Plain,
            };
            let mail = Mail {
                session: id,
                number,
                uid,
                key,
                raw: Arc::new(raw),
                kind,
                transmission: match mails.len() {
                    0 => transmission.clone(),
                    before => transmission.part(before + 1),
                },
                known,
                decrypted: None,
                sender: None,
                sender_certificates: Vec::new(),
                opened: None,
            };
            let mail_id = MailId(self.office.number());
            self.mails().insert(mail_id, mail);
            mails.push((mail_id, kind));
        }
        match self.sessions().get_mut(&id) {
            Some(session) => session.personal = Some(Personal { owner, card, mailbox: Some(mailbox), spent }),
            None => return Err("the terminal went away".into()),
        }
        Ok(mails)
    }

    /// Those that could not be opened before come last: however many of them somebody sends, they keep nothing else out.
    fn unfit_last(&self, owner: &Owner, mut listed: Vec<(usize, String)>) -> Vec<(usize, String)> {
        let unfit = self.unfit.lock().unwrap_or_else(PoisonError::into_inner);
        listed.sort_by_key(|(_, uid)| unfit.contains(&ledger_name(owner, uid)));
        listed
    }

    fn remember_unfit(&self, id: MailId, result: Result<(), Unfit>) {
        if !matches!(result, Err(Unfit::CannotOpen(_) | Unfit::NotGenuine(_))) {
            return;
        }
        let Some(key) = self.mails().get(&id).map(|mail| mail.key.clone()) else { return };
        let mut unfit = self.unfit.lock().unwrap_or_else(PoisonError::into_inner);
        if unfit.len() >= UNFIT {
            unfit.clear();
        }
        unfit.insert(key);
    }

    /// What the lines have in common of that which waits for this address.
    pub(crate) fn transmission_for(&self, address: &str) -> TransmissionId {
        let new = || self.office.new_transmission();
        self.transmissions().entry(address.to_owned()).or_insert_with(new).clone()
    }

    /// The same for a session, once it is known whose it is.
    pub(crate) fn transmission_of_session(&self, id: SessionId) -> Option<TransmissionId> {
        let owner = self.owner_of(id)?;
        self.transmissions().get(&owner.address).cloned()
    }

    /// The same for one mail.
    pub(crate) fn transmission_of(&self, id: MailId) -> Option<TransmissionId> {
        self.mails().get(&id).map(|mail| mail.transmission.clone())
    }

    fn transmissions(&self) -> std::sync::MutexGuard<'_, HashMap<String, TransmissionId>> {
        self.transmissions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, id: SessionId, given: Given) {
        if let Some(sender) = self.sessions().get_mut(&id).and_then(|session| session.given.take()) {
            let _ = sender.send(given);
        }
    }

    fn forget(&self, id: SessionId) {
        self.sessions().remove(&id);
        self.mails().retain(|_, mail| mail.session != id);
    }

    fn card_of(&self, id: SessionId) -> Option<Arc<InsertedCard>> {
        self.sessions().get(&id)?.personal.as_ref().map(|personal| personal.card.clone())
    }

    fn owner_of(&self, id: SessionId) -> Option<Owner> {
        self.sessions().get(&id)?.personal.as_ref().map(|personal| personal.owner.clone())
    }

    fn tell(&self, event: ReceivingEvent) {
        self.office.tell(Event::Receiving(event));
    }

    // Whoever needs both locks takes that of the mails first.
    fn mails(&self) -> std::sync::MutexGuard<'_, HashMap<MailId, Mail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mail's name in the ledger.
fn ledger_name(owner: &Owner, uid: &str) -> String {
    format!("{} {uid}", owner.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_unique_id_in_two_mailboxes_is_two_mails() {
        let owner = |address: &str| Owner { address: address.into(), name: String::new() };
        assert_ne!(ledger_name(&owner("hanako@b.example"), "1"), ledger_name(&owner("ichiro@b.example"), "1"));
    }
}
