//! Opening a mail (ST914-ST920): decrypt, the sender's certificate, verify. What does not hold goes no further.

use sealfax_ifax::header::Headers;
use sealfax_smime::{OpenError, OpenGroup, Verification, path};

use super::{Incoming, Released};
use crate::flow::desk::Event;
use crate::flow::receiving::{MailId, Unfit};
use crate::flow::{Protection, normal_address};
use crate::trust::Untrusted;

impl Incoming {
    /// ST914, ST915. What bears no signature goes no further (V3), unless such mails are taken from its sender's domain.
    pub(super) async fn decrypt(&self, id: MailId) -> Result<Protection, Unfit> {
        let (raw, card) = {
            let mails = self.mails();
            let mail = mails.get(&id).ok_or(Unfit::CardGone)?;
            let card = self.card_of(mail.session).ok_or(Unfit::CardGone)?;
            (mail.raw.clone(), card)
        };
        let decrypted = match sealfax_smime::decrypt(&raw, &card.decryption_key()).await {
            // ST611's option: there is nothing to decrypt, and everything else is as ever.
            Err(OpenError::NotSealed) if self.takes_signed_only(&raw) => return Ok(Protection::SignedOnly),
            decrypted => decrypted.map_err(|error| self.unfit(&error))?,
        };
        let modern = decrypted.encryption().is_authenticated();
        let protection = if modern { Protection::Signed } else { Protection::Legacy };
        if decrypted.is_signed() {
            if let Some(mail) = self.mails().get_mut(&id) {
                mail.decrypted = Some(decrypted);
            }
            return Ok(protection);
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
                // It could be opened with this card, and who meant it so is not known at all.
                bound: true,
                receipt: None,
            });
        }
        Ok(Protection::EncryptedOnly)
    }

    fn takes_signed_only(&self, raw: &[u8]) -> bool {
        let taken = &self.office.config.correspondents.accept_signed_only;
        crate::outgoing::origin(raw).is_some_and(|from| taken.hold(&from))
    }

    /// The sender is who From says.
    pub(super) fn sender_of(&self, raw: &[u8]) -> Result<String, Unfit> {
        crate::outgoing::origin(raw).map(|from| normal_address(&from)).ok_or_else(|| {
            self.office.suspicious("RECV-002", "a sealed mail has no single From");
            Unfit::NotGenuine("RECV-002")
        })
    }

    /// RFC 8550, section 3: the inner From is what the person will read.
    pub(super) fn says_the_same_inside(&self, content: &[u8], sender: &str) -> Result<(), Unfit> {
        let inner = match Headers::parse(content) {
            Ok((headers, _)) if headers.get("From").is_some() => crate::outgoing::origin(content),
            // Its producer protects no header fields: the outer From is the signer's, as was checked.
            Ok((_, _)) => Some(sender.to_owned()),
            Err(_) => None,
        };
        if inner.is_some_and(|inner| normal_address(&inner) == sender) {
            return Ok(());
        }
        self.office.suspicious("RECV-006", format!("the mail sealed by {sender} says another From inside"));
        Err(Unfit::NotGenuine("RECV-006"))
    }

    /// ST917: the sender is who From says, and only a certificate that the certificate server has for that address, and
    /// calls valid, may have signed.
    pub(super) async fn find_sender(&self, id: MailId) -> Result<(), Unfit> {
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

    /// ST918, ST919. What the document turned out to be protected by.
    pub(super) fn verify(&self, id: MailId) -> Result<Protection, Unfit> {
        let mut mails = self.mails();
        let mail = mails.get_mut(&id).ok_or(Unfit::CardGone)?;
        let card = self.card_of(mail.session).ok_or(Unfit::CardGone)?;
        let Some(sender) = mail.sender.clone() else { return Err(Unfit::CardGone) };
        let identity = card.identity();
        let verification = Verification {
            anchors: self.office.trust.anchors(),
            now: self.office.seams.clock.now(),
            sender: &sender,
            sender_certificates: &mail.sender_certificates,
            recipient: &identity.owner.address,
            recipient_certificate: &identity.encryption_certificate,
            allow_unbound: self.office.config.correspondents.accept_unbound.hold(&sender),
        };
        let released = match mail.decrypted.take() {
            Some(decrypted) => {
                let opened = decrypted.verify(&verification).map_err(|error| self.unfit(&error))?;
                let protection = match &opened.verdict {
                    verdict if !verdict.bound => Protection::Unbound,
                    verdict if verdict.encryption.is_authenticated() => Protection::Signed,
                    _ => Protection::Legacy,
                };
                Released {
                    content: opened.content,
                    content_digest: opened.verdict.content_digest,
                    protection,
                    bound: opened.verdict.bound,
                    receipt: opened.verdict.receipt,
                }
            }
            None if self.takes_signed_only(&mail.raw) => {
                let signed = sealfax_smime::verify_signed(&mail.raw, &verification);
                let signed = signed.map_err(|error| self.unfit(&error))?;
                Released {
                    content: signed.content,
                    content_digest: signed.content_digest,
                    protection: Protection::SignedOnly,
                    bound: signed.bound,
                    receipt: None,
                }
            }
            None => return Err(Unfit::CardGone),
        };
        self.says_the_same_inside(&released.content, &sender)?;
        let protection = released.protection;
        mail.opened = Some(released);
        Ok(protection)
    }

    pub(super) fn unfit(&self, error: &OpenError) -> Unfit {
        self.office.suspicious(error.code(), error.to_string());
        match error.group() {
            OpenGroup::Card => Unfit::CardGone,
            OpenGroup::CannotOpen => Unfit::CannotOpen(error.code()),
            _ => Unfit::NotGenuine(error.code()),
        }
    }
}
