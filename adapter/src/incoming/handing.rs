//! Handing over what was opened, and what is owed for it (ST921, ST922): written down before the first octet leaves, confirmed
//! when the terminal took it, and only then deleted at the mail server.

use std::sync::Arc;

use sealfax_client::pop3::{Client, Pop3Error};
use sealfax_client::seam::TransmissionId;
use sealfax_ifax::header::Headers;
use zeroize::Zeroizing;

use super::{Given, Incoming, OpenedMail};
use crate::confirmation;
use crate::flow::Protection;
use crate::flow::receiving::{Fetched, MailId, SessionId};
use crate::header_protection;
use crate::ledger::{Handed, Owed, Print};
use crate::notification;
use crate::outer;
use crate::outgoing::hex;

impl Incoming {
    /// ST921: written down before the first octet leaves, so that a power cut cannot lead to a silent second print.
    pub(super) fn hand(&self, id: SessionId, ids: &[MailId]) {
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
                            receipt: opened.receipt.clone(),
                        };
                        let now = self.office.seams.clock.now();
                        let maybe_printed = match self.office.ledger.hand(&mail.key, &handed, now) {
                            Ok(before) => before,
                            Err(error) => {
                                self.office.failed("LEDGER-001", error.to_string());
                                continue;
                            }
                        };
                        let sender = handed.sender.clone();
                        mail.known = Some(handed);
                        let mut marks = Vec::new();
                        if maybe_printed {
                            self.office
                                .suspicious("RECV-009", "this document was given to the terminal before: marked");
                            marks.push(outer::MAYBE_PRINTED);
                        }
                        match opened.protection {
                            Protection::EncryptedOnly => marks.push(outer::NOT_PROVEN),
                            Protection::SignedOnly => marks.push(outer::NOT_SEALED),
                            Protection::Signed | Protection::Legacy | Protection::Unbound => {}
                        }
                        if !opened.bound {
                            marks.push(outer::NOT_BOUND);
                        }
                        let outer_fields = header_protection::with_outer_fields(&opened.content, &mail.raw, &sender);
                        if outer_fields.is_some() {
                            marks.push(outer::NOT_PROTECTED);
                        }
                        let whole = outer_fields.unwrap_or_else(|| header_protection::restore(&opened.content));
                        notification::without_requests(outer::marked(&Zeroizing::new(whole), &marks))
                    }
                    (None, Fetched::Plain) => notification::without_requests(mail.raw.to_vec().into()),
                    _ => continue,
                };
                given.push(OpenedMail { id: *mail_id, uid: mail.uid.clone(), octets: Arc::new(octets) });
            }
        }
        self.give(id, Given::Opened(given));
    }

    /// The terminal took these: the ledger knows it from now on, whatever happens next.
    pub(super) fn note_printed(&self, ids: &[MailId]) {
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
    pub(super) async fn confirm(&self, id: MailId) -> Result<(), String> {
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
    pub(super) async fn settle(&self, id: SessionId, ids: &[MailId]) {
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
}

async fn delete(mailbox: &mut Client, numbers: &[usize]) -> Result<(), Pop3Error> {
    for number in numbers {
        mailbox.dele(*number).await?;
    }
    Ok(())
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
}
