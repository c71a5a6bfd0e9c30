//! Carries out what Fig. 7 decides: certificates, sealing, submitting (ST605-ST612).
//!
//! A document is in memory only, and only while the terminal's DATA is unanswered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sealfax_client::seam::TransmissionId;
use sealfax_client::smtp::{self, SendError};
use sealfax_client::smtp_server::Envelope;
use sealfax_drivers::display::NotSent;
use sealfax_ifax::header::Headers;
use sealfax_smime::{KeyError, ReceiptTerms, Recipient, Scheme, SealError, Signing, path};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::flow::desk::Event;
use crate::flow::sending::{DocumentId, SendingAction, SendingEvent};
use crate::flow::{Owner, Protection, normal_address};
use crate::header_protection;
use crate::ledger::OpenTransmission;
use crate::notification::Wanted;
use crate::office::Office;
use crate::outer;
use crate::trust::Untrusted;

/// A document the terminal is handing over.
struct Document {
    mail: Arc<Zeroizing<Vec<u8>>>,
    recipients: Vec<String>,
    /// What the terminal asked to be told, by recipient.
    wanted: HashMap<String, Wanted>,
    transmission: TransmissionId,
    certificates: Vec<Recipient>,
    /// None of the recipients has a certificate, and they are agreed to get it all the same (ST611's option).
    signed_only: bool,
    sealed: Option<Arc<SealedMail>>,
    answer: oneshot::Sender<Result<(), NotSent>>,
}

/// A sealed mail, ready to be submitted.
struct SealedMail {
    octets: Vec<u8>,
    sender: String,
    message_id: String,
    content_digest: String,
    pages: Option<u32>,
    protection: Protection,
    receipt: Option<ReceiptTerms>,
}

/// The documents at hand.
pub struct Outgoing {
    office: Arc<Office>,
    documents: Mutex<HashMap<DocumentId, Document>>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outgoing")
    }
}

/// While it lives the terminal waits; when it is dropped unanswered, the terminal is gone and so is the document.
pub struct Waiting {
    outgoing: Arc<Outgoing>,
    id: DocumentId,
    answer: oneshot::Receiver<Result<(), NotSent>>,
}

impl Waiting {
    /// The answer for the terminal.
    pub async fn answer(mut self) -> Result<(), NotSent> {
        (&mut self.answer).await.unwrap_or(Err(NotSent::ServerUnreachable))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.outgoing.remove(self.id).is_some() {
            self.outgoing.tell(SendingEvent::TerminalGone(self.id));
        }
    }
}

impl Outgoing {
    pub(crate) fn new(office: Arc<Office>) -> Self {
        Self { office, documents: Mutex::default() }
    }

    /// ST604, ST605: takes a document in. `from` is the origin the terminal gives, recipients and what it wants to hear
    /// of them are the envelope's.
    pub fn take(self: &Arc<Self>, from: &str, envelope: &Envelope, mail: Vec<u8>) -> Waiting {
        let recipients = &envelope.forward_paths;
        let wanted = Wanted::by(envelope, &mail);
        let id = DocumentId(self.office.number());
        let mut normal: Vec<String> = recipients.iter().map(|address| normal_address(address)).collect();
        normal.sort();
        normal.dedup();
        let (sender, answer) = oneshot::channel();
        let document = Document {
            mail: Arc::new(Zeroizing::new(mail)),
            recipients: normal.clone(),
            wanted,
            transmission: TransmissionId::current().unwrap_or_else(|| self.office.new_transmission()),
            certificates: Vec::new(),
            signed_only: false,
            sealed: None,
            answer: sender,
        };
        self.lock().insert(id, document);
        self.tell(SendingEvent::Document { id, from: normal_address(from), recipients: normal });
        Waiting { outgoing: self.clone(), id, answer }
    }

    /// Carries out one action of Fig. 7.
    pub fn carry_out(self: &Arc<Self>, action: SendingAction) {
        match action {
            SendingAction::Step(step) => self.office.step(step),
            // The desk has asked it of the card's session.
            SendingAction::CheckCard => {}
            SendingAction::FindCertificates(id, recipients) => {
                let this = self.clone();
                self.office.spawn(async move {
                    let found = this.find_certificates(id, recipients).await;
                    this.tell(SendingEvent::Certificates(id, found));
                });
            }
            SendingAction::Seal(id, owner) => {
                let this = self.clone();
                self.office.spawn(async move {
                    let sealed = this.seal(id, &owner).await;
                    this.tell(SendingEvent::Sealed(id, sealed));
                });
            }
            SendingAction::Submit(id) => {
                let this = self.clone();
                self.office.spawn(async move {
                    let submitted = this.submit(id).await;
                    this.tell(SendingEvent::Submitted(id, submitted));
                });
            }
            SendingAction::Answer(id, answer) => {
                if let Some(document) = self.remove(id) {
                    let _ = document.answer.send(answer);
                }
            }
        }
    }

    /// ST606, ST607: all or nothing; the addresses without a valid certificate are named.
    async fn find_certificates(&self, id: DocumentId, recipients: Vec<String>) -> Result<(), NotSent> {
        let mut certificates = Vec::with_capacity(recipients.len());
        let (mut missing, mut refused) = (Vec::new(), None);
        for address in recipients {
            match self.office.trust.certificates(&address, path::Use::Encrypt).await {
                Ok(found) => {
                    if found.changed {
                        self.office.tell(Event::CertificateChanged(address.clone()));
                    }
                    if let Some(certificate) = found.certificates.into_iter().next() {
                        certificates.push(Recipient { address, certificate });
                    }
                }
                Err(Untrusted::None(address)) => missing.push(address),
                Err(Untrusted::NotAccepted { address, fault, .. }) => {
                    refused.get_or_insert(NotSent::BadCertificate { address, fault });
                }
                Err(error) => {
                    self.office.failed("SEND-001", error.to_string());
                    return Err(NotSent::CertificateServerUnreachable("SEND-001"));
                }
            }
        }
        // What an attacker may be behind is told before what may be a typing mistake.
        if let Some(refused) = refused {
            return Err(refused);
        }
        let signed_only = !missing.is_empty() && missing.iter().all(|address| self.gets_it_readable(address));
        if signed_only && !certificates.is_empty() {
            self.office.failed(
                "SEND-005",
                "some recipients have a certificate, others would get it readable: send to each separately",
            );
            return Err(NotSent::SendSeparately);
        }
        if !missing.is_empty() && !signed_only {
            return Err(NotSent::NoCertificate(missing));
        }
        if let Some(document) = self.lock().get_mut(&id) {
            document.certificates = certificates;
            document.signed_only = signed_only;
        }
        Ok(())
    }

    /// ST611's option, for one who has no certificate: agreed on, and nobody who had one before.
    fn gets_it_readable(&self, address: &str) -> bool {
        if !self.office.config.correspondents.send_signed_only.hold(address) {
            return false;
        }
        match self.office.trust.was_sealed_for(address) {
            Ok(false) => true,
            Ok(true) => {
                let text = format!(
                    "the certificate server says that {address} has no certificate, who had one before: not sent readable; \
                     have their certificate published again"
                );
                self.office.suspicious("SEND-006", text);
                false
            }
            Err(error) => {
                self.office.failed("LEDGER-001", error.to_string());
                false
            }
        }
    }

    /// ST608, ST609. Without a signature (V3), or without encryption (ST611's option), only where every recipient's domain is
    /// configured so.
    async fn seal(&self, id: DocumentId, owner: &Owner) -> Result<Protection, NotSent> {
        let found = self.lock().get(&id).map(|document| {
            let readable = document.signed_only.then(|| document.recipients.clone());
            (document.mail.clone(), document.certificates.clone(), readable)
        });
        let Some((mail, certificates, readable)) = found else { return Err(NotSent::Unacceptable) };
        let card = self.office.card_owned_by(owner).ok_or(NotSent::CardPulled)?;
        let now = self.office.seams.clock.now();
        let inner = outer::in_the_owners_name(&mail, owner, &self.office).map_err(|error| {
            self.office.failed("SEND-002", error.to_string());
            NotSent::Unacceptable
        })?;
        let key = card.signature_key();
        let signing = Signing { key: &key, chain: self.office.trust.intermediates(), signing_time: now };
        let signed_only = readable.is_some();
        let recipients =
            readable.unwrap_or_else(|| certificates.iter().map(|recipient| recipient.address.clone()).collect());
        let without = &self.office.config.correspondents.send_encrypted_only;
        let scheme = self.scheme(&recipients)?;
        let protection = match scheme {
            _ if signed_only => Protection::SignedOnly,
            _ if recipients.iter().all(|address| without.hold(address)) => Protection::EncryptedOnly,
            Scheme::Aes256Gcm => Protection::Signed,
            _ => Protection::Legacy,
        };
        let fields = outer::sealed_fields(owner, &recipients, &inner.message_id, now);
        let content = match protection {
            Protection::SignedOnly => Ok(header_protection::protect_in_clear(&inner.octets)),
            _ => header_protection::protect(&inner.octets, &fields),
        };
        let content = content.map(Zeroizing::new).map_err(|error| {
            self.office.failed("SEND-002", error.to_string());
            NotSent::Unacceptable
        })?;
        let rng = &mut self.office.rng();
        let sealed = match protection {
            Protection::SignedOnly => sealfax_smime::sign_only(&content, &signing).await,
            Protection::EncryptedOnly => sealfax_smime::encrypt_only(&content, &certificates, rng),
            Protection::Signed | Protection::Legacy | Protection::Unbound => {
                sealfax_smime::seal_as(&content, &signing, &certificates, scheme, rng).await
            }
        };
        let sealed = sealed.map_err(|error| {
            self.office.failed(error.code(), error.to_string());
            match &error {
                SealError::Key(KeyError::Gone) => NotSent::CardPulled,
                SealError::Key(KeyError::PinRequired) => NotSent::PinNotGiven,
                SealError::Key(_) => NotSent::CardFailed,
                other => match other.recipient() {
                    Some(address) => NotSent::NoCertificate(vec![address.to_owned()]),
                    None => NotSent::Unacceptable,
                },
            }
        })?;
        let octets = outer::mail(&fields, &sealed.entity);
        let sealed = SealedMail {
            octets,
            sender: owner.address.clone(),
            message_id: inner.message_id,
            content_digest: hex(&sealed.seal.content_digest),
            pages: inner.pages,
            protection,
            receipt: sealed.seal.receipt,
        };
        if let Some(document) = self.lock().get_mut(&id) {
            document.sealed = Some(Arc::new(sealed));
        }
        Ok(protection)
    }

    /// The cipher that all of them read. One mail has one, and nobody gets an older one because of somebody else.
    fn scheme(&self, recipients: &[String]) -> Result<Scheme, NotSent> {
        let agreed = &self.office.config.correspondents;
        let mut schemes = recipients.iter().map(|address| {
            if agreed.send_triple_des.hold(address) {
                Scheme::DesEde3Cbc
            } else if agreed.send_aes_cbc.hold(address) {
                Scheme::Aes256Cbc
            } else {
                Scheme::Aes256Gcm
            }
        });
        let first = schemes.next().unwrap_or_default();
        if schemes.all(|scheme| scheme == first) {
            return Ok(first);
        }
        self.office
            .failed("SEND-005", "its recipients read different ciphers ([correspondents]): send to each separately");
        Err(NotSent::SendSeparately)
    }

    /// ST610, ST612. The transmission is opened before the mail leaves, so that no confirmation can come too early.
    async fn submit(&self, id: DocumentId) -> Result<(), NotSent> {
        let Some((sealed, recipients, mut wanted)) = self.lock().get(&id).and_then(|document| {
            Some((document.sealed.clone()?, document.recipients.clone(), document.wanted.clone()))
        }) else {
            return Err(NotSent::Unacceptable);
        };
        let sent = self.office.seams.clock.now();
        let transmissions: Vec<OpenTransmission> = recipients
            .iter()
            .map(|recipient| OpenTransmission {
                message_id: sealed.message_id.clone(),
                sender: sealed.sender.clone(),
                recipient: recipient.clone(),
                sent,
                content_digest: sealed.content_digest.clone(),
                pages: sealed.pages,
                transmission: TransmissionId::current(),
                protection: sealed.protection,
                receipt: sealed.receipt.clone(),
                wanted: wanted.remove(recipient),
                submitted: None,
                overdue: None,
                seen: false,
            })
            .collect();
        let ledger_failed = |error: crate::ledger::LedgerError| {
            self.office.failed("LEDGER-001", error.to_string());
            NotSent::Unacceptable
        };
        self.office.ledger.open_transmissions(&transmissions).map_err(ledger_failed)?;
        // From now on somebody looks whether their confirmations come in time.
        self.office.owed.notify_one();
        let submitted = smtp::send_to_all(
            self.office.mail.as_ref(),
            self.office.config.network.smtp,
            self.office.host(),
            Some(&sealed.sender),
            &recipients,
            &sealed.octets,
        )
        .await;
        // When the line broke after the last octet the mail server may have the mail: its confirmation is still believed.
        let perhaps_taken = matches!(&submitted, Err(SendError::Broken { stage, .. } | SendError::Timeout(stage)) if *stage == smtp::END_OF_DATA);
        let outcome = outer::judge_submission(submitted);
        if outcome.is_ok() {
            let at = self.office.seams.clock.now();
            // The mail is on its way whatever the ledger says; its confirmation will tell that it was sent.
            if let Err(error) = self.office.ledger.submitted(&self.office.ledger_key(), &transmissions, at) {
                self.office.failed("LEDGER-001", error.to_string());
            }
            self.office.owed.notify_one();
        }
        if let Err(why) = &outcome {
            self.office.failed("SEND-003", format!("the mail server did not take the mail: {why:?}"));
            if !perhaps_taken {
                self.office.ledger.withdraw(&transmissions).map_err(ledger_failed)?;
            }
        }
        outcome
    }

    /// What the document's lines in the journal have in common, while it is at hand.
    pub(crate) fn transmission(&self, id: DocumentId) -> Option<TransmissionId> {
        self.lock().get(&id).map(|document| document.transmission.clone())
    }

    fn tell(&self, event: SendingEvent) {
        self.office.tell(Event::Sending(event));
    }

    fn remove(&self, id: DocumentId) -> Option<Document> {
        self.lock().remove(&id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DocumentId, Document>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The origin that the terminal gives in its mail: the one mailbox in From.
pub(crate) fn origin(mail: &[u8]) -> Option<String> {
    let (headers, _) = Headers::parse(mail).ok()?;
    let from = headers.only("From").ok()??;
    sealfax_ifax::address::Mailbox::parse(from).ok().map(|mailbox| mailbox.address.to_string())
}
