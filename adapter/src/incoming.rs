//! Carries out what Fig. 10 decides: fetch, decrypt, the sender's certificate, verify, hand over, confirm, settle
//! (ST912-ST922).
//!
//! Opened mails are in memory only, and only for the session in which they were opened.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use sealfax_client::pop3::{Client, Pop3Error};
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::TransmissionId;
use sealfax_ifax::header::Headers;
use sealfax_smime::{Decrypted, OpenError, OpenGroup, Verification, path};
use tokio::sync::oneshot;

use crate::card::InsertedCard;
use crate::confirmation;
use crate::flow::desk::Event;
use crate::flow::receiving::{Fetched, MailId, ReceivingAction, ReceivingEvent, SessionId, Unfit};
use crate::flow::{Owner, Protection, normal_address};
use crate::ledger::{Handed, Owed, Print};
use crate::office::Office;
use crate::outer;
use crate::outgoing::hex;
use crate::sealed::may_be_sealed;
use crate::trust::Untrusted;

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
                self.remember_unfit(id, result);
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

    /// ST914, ST915. What bears no signature goes no further (V3), unless such mails are taken from its sender's domain.
    async fn decrypt(&self, id: MailId) -> Result<Protection, Unfit> {
        let (raw, card) = {
            let mails = self.mails();
            let mail = mails.get(&id).ok_or(Unfit::CardGone)?;
            let card = self.card_of(mail.session).ok_or(Unfit::CardGone)?;
            (mail.raw.clone(), card)
        };
        let decrypted =
            sealfax_smime::decrypt(&raw, &card.decryption_key()).await.map_err(|error| self.unfit(&error))?;
        if decrypted.is_signed() {
            if let Some(mail) = self.mails().get_mut(&id) {
                mail.decrypted = Some(decrypted);
            }
            return Ok(Protection::Signed);
        }
        let sender = self.sender_of(&raw)?;
        let taken = self.office.config.correspondents.accept_encrypted_only.hold(&sender);
        let released = decrypted.without_signature().filter(|_| taken).ok_or(OpenError::Unsigned);
        let released = released.map_err(|error| self.unfit(&error))?;
        self.says_the_same_inside(&released.content, &sender)?;
        if let Some(mail) = self.mails().get_mut(&id) {
            mail.sender = Some(sender);
            mail.opened = Some(Released {
                content: released.content,
                content_digest: released.content_digest,
                protection: Protection::EncryptedOnly,
            });
        }
        Ok(Protection::EncryptedOnly)
    }

    /// The sender is who From says.
    fn sender_of(&self, raw: &[u8]) -> Result<String, Unfit> {
        crate::outgoing::origin(raw).map(|from| normal_address(&from)).ok_or_else(|| {
            self.office.suspicious("RECV-002", "a sealed mail has no single From");
            Unfit::NotGenuine("RECV-002")
        })
    }

    /// RFC 8550, section 3: the inner From is what the person will read.
    fn says_the_same_inside(&self, content: &[u8], sender: &str) -> Result<(), Unfit> {
        if crate::outgoing::origin(content).is_some_and(|inner| normal_address(&inner) == sender) {
            return Ok(());
        }
        self.office.suspicious("RECV-006", format!("the mail sealed by {sender} says another From inside"));
        Err(Unfit::NotGenuine("RECV-006"))
    }

    /// ST917: the sender is who From says, and only a certificate that the certificate server has for that address, and
    /// calls valid, may have signed.
    async fn find_sender(&self, id: MailId) -> Result<(), Unfit> {
        let raw = self.mails().get(&id).map(|mail| mail.raw.clone()).ok_or(Unfit::CardGone)?;
        let sender = self.sender_of(&raw)?;
        let certificates =
            self.office.trust.certificates(&sender, path::Use::Sign).await.map_err(|error| match error {
                Untrusted::None(_) => {
                    self.office.suspicious("RECV-003", error.to_string());
                    Unfit::NotGenuine("RECV-003")
                }
                Untrusted::NotAccepted { fault, .. } => {
                    self.office.suspicious(fault.correspondent_code(), error.to_string());
                    // Nothing is known against a mail whose sender only could not be confirmed now.
                    if fault.is_of_the_answer() {
                        Unfit::Unconfirmed(fault.correspondent_code())
                    } else {
                        Unfit::NotGenuine(fault.correspondent_code())
                    }
                }
                Untrusted::Unreachable(_) => {
                    self.office.failed("RECV-004", error.to_string());
                    Unfit::Unchecked("RECV-004")
                }
            })?;
        if certificates.changed {
            self.office.tell(Event::CertificateChanged(sender.clone()));
        }
        if let Some(mail) = self.mails().get_mut(&id) {
            mail.sender = Some(sender);
            mail.sender_certificates = certificates.certificates;
        }
        Ok(())
    }

    /// ST918, ST919.
    fn verify(&self, id: MailId) -> Result<(), Unfit> {
        let mut mails = self.mails();
        let mail = mails.get_mut(&id).ok_or(Unfit::CardGone)?;
        let card = self.card_of(mail.session).ok_or(Unfit::CardGone)?;
        let (Some(decrypted), Some(sender)) = (mail.decrypted.take(), mail.sender.clone()) else {
            return Err(Unfit::CardGone);
        };
        let identity = card.identity();
        let verification = Verification {
            anchors: self.office.trust.anchors(),
            now: self.office.seams.clock.now(),
            sender: &sender,
            sender_certificates: &mail.sender_certificates,
            recipient: &identity.owner.address,
            recipient_certificate: &identity.encryption_certificate,
            allow_unbound: false,
        };
        let opened = decrypted.verify(&verification).map_err(|error| self.unfit(&error))?;
        self.says_the_same_inside(&opened.content, &sender)?;
        mail.opened = Some(Released {
            content: opened.content,
            content_digest: opened.content_digest,
            protection: Protection::Signed,
        });
        Ok(())
    }

    fn unfit(&self, error: &OpenError) -> Unfit {
        self.office.suspicious(error.code(), error.to_string());
        match error.group() {
            OpenGroup::Card => Unfit::CardGone,
            OpenGroup::CannotOpen => Unfit::CannotOpen(error.code()),
            _ => Unfit::NotGenuine(error.code()),
        }
    }

    /// ST921: written down before the first octet leaves, so that a power cut cannot lead to a silent second print.
    fn hand(&self, id: SessionId, ids: &[MailId]) {
        let mut given = Vec::new();
        {
            let mut mails = self.mails();
            for mail_id in ids {
                let Some(mail) = mails.get_mut(mail_id) else { continue };
                let octets = match (&mail.opened, mail.kind) {
                    (Some(opened), Fetched::Sealed) => {
                        let handed = Handed {
                            print: Print::Handed,
                            recipient: self.owner_of(id).map(|owner| owner.address).unwrap_or_default(),
                            sender: mail.sender.clone().unwrap_or_default(),
                            message_id: confirmed_message_id(&opened.content, &mail.raw),
                            content_digest: hex(&opened.content_digest),
                        };
                        let now = self.office.seams.clock.now();
                        let maybe_printed = match self.office.ledger.hand(&mail.key, &handed, now) {
                            Ok(before) => before,
                            Err(error) => {
                                self.office.failed("LEDGER-001", error.to_string());
                                continue;
                            }
                        };
                        mail.known = Some(handed);
                        let mut marks = Vec::new();
                        if maybe_printed {
                            self.office
                                .suspicious("RECV-009", "this document was given to the terminal before: marked");
                            marks.push(outer::MAYBE_PRINTED);
                        }
                        if opened.protection == Protection::EncryptedOnly {
                            marks.push(outer::NOT_PROVEN);
                        }
                        outer::marked(&opened.content, &marks)
                    }
                    (None, Fetched::Plain) => mail.raw.to_vec().into(),
                    _ => continue,
                };
                given.push(OpenedMail { id: *mail_id, uid: mail.uid.clone(), octets: Arc::new(octets) });
            }
        }
        self.give(id, Given::Opened(given));
    }

    /// The terminal took these: the ledger knows it from now on, whatever happens next.
    fn note_printed(&self, ids: &[MailId]) {
        let mut mails = self.mails();
        for id in ids {
            let Some(mail) = mails.get_mut(id) else { continue };
            if mail.known.is_none() {
                continue;
            }
            mail.transmission.clone().during(|| match self.office.ledger.printed(&mail.key) {
                Ok(()) => self.office.did(&["I2"], "the terminal took the document completely"),
                Err(error) => self.office.failed("LEDGER-001", error.to_string()),
            });
        }
    }

    /// ST922: an MDN signed by the card that opened the mail, durably queued.
    async fn confirm(&self, id: MailId) -> Result<(), String> {
        let (name, handed, owner, key) = {
            let mails = self.mails();
            let mail = mails.get(&id).ok_or("the session is over")?;
            let handed = mail.known.clone().ok_or("the ledger does not know it")?;
            let sessions = self.sessions();
            let personal = sessions.get(&mail.session).and_then(|session| session.personal.as_ref());
            let personal = personal.ok_or("the session is over")?;
            (mail.key.clone(), handed, personal.owner.clone(), personal.card.signature_key())
        };
        let mail = confirmation::signed(&self.office, &handed, &owner, &key).await?;
        let transmission = TransmissionId::current();
        let owed = Owed::Confirmation { to: handed.sender.clone(), mail, transmission };
        let ledger_key = self.office.ledger_key();
        self.office.ledger.confirm(&ledger_key, &name, &handed, &owed).map_err(|error| error.to_string())?;
        self.office.owed.notify_one();
        Ok(())
    }

    /// Deletes at the mail server what is printed and confirmed, and ends the session.
    async fn settle(&self, id: SessionId, ids: &[MailId]) {
        let settled: Vec<(usize, String)> = {
            let mails = self.mails();
            ids.iter().filter_map(|id| mails.get(id)).map(|mail| (mail.number, mail.key.clone())).collect()
        };
        let taken = self.sessions().get_mut(&id).and_then(|session| {
            let personal = session.personal.as_mut()?;
            Some((personal.mailbox.take()?, std::mem::take(&mut personal.spent)))
        });
        if let Some((mut mailbox, spent)) = taken {
            let done: Vec<(usize, String)> = settled.into_iter().chain(spent).collect();
            let numbers: Vec<usize> = done.iter().map(|(number, _)| *number).collect();
            match delete(&mut mailbox, &numbers).await {
                Ok(()) => match mailbox.quit().await {
                    Ok(()) => {
                        for (_, key) in &done {
                            if let Err(error) = self.office.ledger.forget(key) {
                                self.office.failed("LEDGER-001", error.to_string());
                            }
                        }
                    }
                    Err(error) => self.office.failed("RECV-007", error.to_string()),
                },
                Err(error) => self.office.failed("RECV-007", error.to_string()),
            }
        }
        if let Some(owner) = self.owner_of(id).filter(|_| !ids.is_empty()) {
            self.transmissions().remove(&owner.address);
        }
        let settled = self.sessions().get_mut(&id).and_then(|session| session.settled.take());
        self.forget(id);
        if let Some(settled) = settled {
            let _ = settled.send(());
        }
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

async fn delete(mailbox: &mut Client, numbers: &[usize]) -> Result<(), Pop3Error> {
    for number in numbers {
        mailbox.dele(*number).await?;
    }
    Ok(())
}

/// A mail's name in the ledger.
fn ledger_name(owner: &Owner, uid: &str) -> String {
    format!("{} {uid}", owner.address)
}

/// What the confirmation refers to: the Message-ID that was signed; the outer one, which anybody on the way can change,
/// only where there is no other (RFC 9788).
fn confirmed_message_id(signed: &[u8], outer: &[u8]) -> String {
    let inner = message_id(signed);
    if inner.is_empty() { message_id(outer) } else { inner }
}

fn message_id(mail: &[u8]) -> String {
    Headers::parse(mail)
        .ok()
        .and_then(|(headers, _)| headers.get("Message-ID").and_then(sealfax_ifax::mail::message_id))
        .map(|id| format!("<{id}>"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_refers_to_what_was_signed() {
        let outer = b"Message-ID: <swapped@b.example>\r\n\r\n";
        assert_eq!(confirmed_message_id(b"Message-ID: <1@a.example>\r\n\r\n", outer), "<1@a.example>");
        assert_eq!(confirmed_message_id(b"Subject: x\r\n\r\n", outer), "<swapped@b.example>");
    }

    #[test]
    fn one_unique_id_in_two_mailboxes_is_two_mails() {
        let owner = |address: &str| Owner { address: address.into(), name: String::new() };
        assert_ne!(ledger_name(&owner("hanako@b.example"), "1"), ledger_name(&owner("ichiro@b.example"), "1"));
    }
}
