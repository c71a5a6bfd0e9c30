//! D1: a confirmation comes back, is verified against an open transmission, goes into a delivery report for the terminal
//! and is owed to the history server (C9-C12).

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use sealfax_client::history::{Digest256, Outcome, Transmission};
use sealfax_client::ocsp::CLOCK_SKEW;
use sealfax_drivers::display::Language;
use sealfax_ifax::address::{Address, Mailbox};
use sealfax_ifax::header::Headers;
use sealfax_ifax::{Page, dsn, mdn, report};
use sealfax_smime::path;

use crate::flow::desk::Event;
use crate::flow::{Protection, normal_address};
use crate::ledger::{Delivered, LedgerError, Owed};
use crate::notification::{self, Ending};
use crate::office::Office;
use crate::outer;
use crate::outgoing::{hex, origin};
use crate::trust::Untrusted;

/// What the mail server is told; always the same words for all that is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is ours now.
    Taken,
    /// It could not be judged; bring it again.
    Later,
    /// Not a confirmation that we believe.
    Refused,
}

/// The confirmations of one adapter.
#[derive(Debug)]
pub struct Confirmations {
    office: Arc<Office>,
}

impl Confirmations {
    pub(crate) fn new(office: Arc<Office>) -> Self {
        Self { office }
    }

    /// Takes a confirmation or a bounce.
    pub async fn take(&self, mail: &[u8]) -> Verdict {
        let content_type = Headers::parse(mail)
            .ok()
            .and_then(|(headers, _)| headers.get("Content-Type").map(str::to_ascii_lowercase))
            .unwrap_or_default();
        let judged = if content_type.starts_with("multipart/signed") {
            self.confirmed(mail).await
        } else if content_type.starts_with("multipart/report") {
            self.bounced(mail)
        } else {
            Ok(Verdict::Refused)
        };
        judged.unwrap_or_else(|error| {
            self.office.failed("LEDGER-001", error.to_string());
            Verdict::Later
        })
    }

    fn refused(&self, code: &'static str, why: impl AsRef<str>) -> Verdict {
        self.office.suspicious(code, why);
        Verdict::Refused
    }

    /// A signed notification: right signer, right message, right content.
    async fn confirmed(&self, octets: &[u8]) -> Result<Verdict, LedgerError> {
        let Some(signer) = origin(octets).map(|from| normal_address(&from)) else {
            return Ok(self.refused("CONFIRM-001", "a confirmation has no single From"));
        };
        let certificates = match self.office.trust.certificates(&signer, path::Use::Sign).await {
            Ok(found) => found.certificates,
            Err(Untrusted::Unreachable(why)) => {
                self.office.failed("CONFIRM-002", why);
                return Ok(Verdict::Later);
            }
            Err(error) => {
                self.office.suspicious("CONFIRM-003", error.to_string());
                // What was said of the certificate cannot be relied on now; later it may be.
                let later = matches!(&error, Untrusted::NotAccepted { fault, .. } if fault.is_of_the_answer());
                return Ok(if later { Verdict::Later } else { Verdict::Refused });
            }
        };
        let now = self.office.seams.clock.now();
        let anchors = self.office.trust.anchors();
        let signed = match sealfax_smime::verify_detached(octets, anchors, now, Some(&certificates), &signer) {
            Ok(signed) => signed,
            Err(error) => return Ok(self.refused("CONFIRM-004", format!("{}: {error}", error.code()))),
        };
        let notification = match mdn::parse(&signed.entity) {
            Ok(notification) => notification,
            Err(error) => return Ok(self.refused("CONFIRM-005", error.to_string())),
        };
        if notification.final_recipient.to_string() != signer || notification.disposition != mdn::Disposition::printed()
        {
            return Ok(
                self.refused("CONFIRM-006", format!("{signer} signed a notification that confirms no print of theirs"))
            );
        }
        let message_id = format!("<{}>", notification.original_message_id);
        let Some(open) = self.office.ledger.open_transmission(&message_id, &signer)? else {
            // A late or repeated one. The server need not bring it again.
            self.office.suspicious("CONFIRM-007", format!("{signer} confirms {message_id}, which is not open"));
            return Ok(Verdict::Taken);
        };
        let digest = notification
            .received_content_mic
            .and_then(|mic| base64::engine::general_purpose::STANDARD.decode(mic.digest).ok());
        if digest.map(|digest| hex(&digest)).as_deref() != Some(&open.content_digest) {
            return Ok(self.refused("CONFIRM-008", format!("{signer} confirms {message_id} with another content")));
        }
        // Other programs enclose the header of the mail there; that is under the signature and proves nothing more.
        let enclosed = notification.enclosed.as_ref().filter(|part| is_receipt(part));
        if let (Some(terms), Some(receipt)) = (&open.receipt, enclosed) {
            let known = Some(certificates.as_slice());
            if let Err(error) = sealfax_smime::verify_receipt(receipt, terms, anchors, now, known, &signer) {
                return Ok(self.refused("CONFIRM-012", format!("{}: {error}", error.code())));
            }
            self.office.did(&["D1"], format!("{signer}'s receipt quotes the signature of {message_id}"));
        }
        let delivered_after = open.sent;
        let delivered = Delivered {
            transmission: open,
            at: believable(signed.signing_time, delivered_after, now),
            recipient_name: path::common_name(&signed.signer_certificate).unwrap_or_default(),
            failure: None,
        };
        self.close(octets, delivered)?;
        Ok(Verdict::Taken)
    }

    /// A bounce tells of a failure; it can close a transmission as not delivered, never as delivered.
    fn bounced(&self, octets: &[u8]) -> Result<Verdict, LedgerError> {
        let status = match dsn::parse(octets) {
            Ok(status) => status,
            Err(error) => return Ok(self.refused("CONFIRM-009", error.to_string())),
        };
        let Some(message_id) = status.original_message_id.map(|id| format!("<{id}>")) else {
            return Ok(self.refused("CONFIRM-009", "a bounce does not say of which mail"));
        };
        let mut ours = false;
        for recipient in status.recipients.iter().filter(|recipient| recipient.action == dsn::Action::Failed) {
            let address = normal_address(&recipient.final_recipient);
            if let Some(open) = self.office.ledger.open_transmission(&message_id, &address)? {
                ours = true;
                let delivered = Delivered {
                    transmission: open,
                    at: self.office.seams.clock.now(),
                    recipient_name: String::new(),
                    failure: Some(recipient.diagnostic.clone().unwrap_or_else(|| "returned".into())),
                };
                self.close(octets, delivered)?;
            }
        }
        // Of a mail that was not sent from here, or not any more open: the server keeps it for its addressee.
        Ok(if ours {
            Verdict::Taken
        } else {
            self.refused("CONFIRM-011", format!("a bounce of {message_id}, which is not open"))
        })
    }

    fn close(&self, confirmation: &[u8], delivered: Delivered) -> Result<(), LedgerError> {
        match delivered.transmission.transmission.clone() {
            Some(id) => id.during(|| self.close_followed(confirmation, delivered)),
            None => self.close_followed(confirmation, delivered),
        }
    }

    fn close_followed(&self, confirmation: &[u8], delivered: Delivered) -> Result<(), LedgerError> {
        let transmission = &delivered.transmission;
        let record = Transmission {
            message_id: transmission.message_id.clone(),
            sender: transmission.sender.clone(),
            recipient: transmission.recipient.clone(),
            sent: transmission.sent,
            delivered: delivered.at,
            content_digest: transmission.content_digest.parse().unwrap_or_else(|_| Digest256::of(b"")),
            confirmation_digest: Digest256::of(confirmation),
            outcome: if delivered.failure.is_none() { Outcome::Delivered } else { Outcome::Failed },
        };
        let ending = match &delivered.failure {
            None => Ending::Printed(delivered.at),
            Some(why) => Ending::Returned(why),
        };
        let told = transmission.wanted.as_ref().map_or_else(Vec::new, |wanted| {
            notification::mails(&self.office, wanted, &transmission.message_id, &transmission.recipient, ending)
        });
        if !self.office.ledger.close(&self.office.ledger_key(), &delivered, &Owed::History(record), &told)? {
            return Ok(());
        }
        if !told.is_empty() {
            let kept = format!("{} notification(s) wait for the terminal, which asked for them", told.len());
            self.office.did(&["D1"], kept);
        }
        let (id, recipient) = (&transmission.message_id, &transmission.recipient);
        match &delivered.failure {
            None => self.office.did(&["D1", "C9"], format!("{id} is confirmed by {recipient}")),
            Some(why) => {
                self.office.failed("SEND-004", format!("{id} came back from {recipient}: {why}"));
                self.office.tell(Event::Returned(recipient.clone()));
            }
        }
        self.office.owed.notify_one();
        self.report_if_due()
    }

    /// C10, C11: when the preset number of confirmations is there, one report lists them all.
    fn report_if_due(&self) -> Result<(), LedgerError> {
        let waiting = self.office.ledger.unreported()?;
        // Good news may be collected; what came back has to be known at once.
        let urgent = waiting.iter().any(|(_, delivered)| delivered.failure.is_some());
        if !urgent && waiting.len() < self.office.config.confirmations.batch.max(1) {
            return Ok(());
        }
        let count = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        let waiting = waiting.get(..report::MAX_DELIVERIES).unwrap_or(&waiting);
        let good = waiting.iter().filter(|(_, delivered)| delivered.failure.is_none()).count();
        let ids: Vec<String> = waiting.iter().map(|(id, _)| id.clone()).collect();
        match self.report_mail(waiting) {
            Ok(mail) => {
                self.office.ledger.report(&self.office.ledger_key(), &mail, &ids)?;
                self.office
                    .did(&["C10", "C11"], format!("a delivery report with {count} entries waits for the terminal"));
                self.office.tell(Event::Delivered(u32::try_from(good).unwrap_or(u32::MAX)));
            }
            Err(why) => self.office.failed("REPORT-001", why),
        }
        Ok(())
    }

    fn report_mail(&self, waiting: &[(String, Delivered)]) -> Result<String, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let deliveries: Vec<report::Delivery> = waiting
            .iter()
            .map(|(_, delivered)| report::Delivery {
                recipient: delivered.transmission.recipient.clone(),
                recipient_name: delivered.recipient_name.clone(),
                sent: self.office.local(delivered.transmission.sent),
                delivered: if delivered.failure.is_none() { self.office.local(delivered.at) } else { String::new() },
                message_id: delivered.transmission.message_id.clone(),
                pages: delivered.transmission.pages,
                weakness: match delivered.transmission.protection {
                    Protection::Signed | Protection::Unbound => None,
                    Protection::SignedOnly => Some(report::Weakness::Readable),
                    Protection::Legacy => Some(report::Weakness::OldCipher),
                    Protection::EncryptedOnly => Some(report::Weakness::Unsigned),
                },
                outcome: delivered.failure.clone().map_or(report::Outcome::Delivered, report::Outcome::Failed),
            })
            .collect();
        let language = match self.office.config.language {
            Language::Japanese => report::Language::Japanese,
            Language::English => report::Language::English,
        };
        let resolution = self.office.config.confirmations.report_resolution.page();
        let pages = report::delivery_report(&deliveries, language, &self.office.config.office);
        let pages: Vec<Page> = pages.iter().map(|page| page.at(resolution)).collect();
        let address = Address::parse(&format!("sealfax@{}", self.office.host())).map_err(|e| words(&e))?;
        let own = Mailbox { name: Some("Sealfax".into()), address };
        let octets = outer::fax_mail(&self.office, own.clone(), vec![own], "Delivery report", &pages)?;
        String::from_utf8(octets).map_err(|e| words(&e))
    }
}

/// Whether a part of a notification is an object of S/MIME.
fn is_receipt(part: &[u8]) -> bool {
    let kind =
        Headers::parse(part).ok().and_then(|(headers, _)| headers.get("Content-Type").map(str::to_ascii_lowercase));
    kind.is_some_and(|kind| kind.starts_with("application/pkcs7-mime") || kind.starts_with("application/x-pkcs7-mime"))
}

/// When it was delivered: what the recipient signed, unless that is before the mail was sent or yet to come. The time is
/// theirs to choose, and it goes on paper and into the history.
fn believable(claimed: Option<SystemTime>, sent: SystemTime, now: SystemTime) -> SystemTime {
    let later = |time: SystemTime| time.checked_add(CLOCK_SKEW).unwrap_or(time);
    claimed.filter(|at| *at <= later(now) && later(*at) >= sent).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn what_other_programs_enclose_is_no_receipt() {
        assert!(is_receipt(b"Content-Type: Application/PKCS7-mime; smime-type=signed-receipt\r\n\r\nMIAG"));
        assert!(!is_receipt(b"Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n"));
        assert!(!is_receipt(b"no header at all"));
    }

    #[test]
    fn nobody_delivers_before_the_mail_was_sent_or_in_the_year_9999() {
        let (sent, now) = (UNIX_EPOCH + Duration::from_secs(10_000), UNIX_EPOCH + Duration::from_secs(20_000));
        let claimed = UNIX_EPOCH + Duration::from_secs(15_000);
        assert_eq!(believable(Some(claimed), sent, now), claimed);
        assert_eq!(believable(Some(now + CLOCK_SKEW), sent, now), now + CLOCK_SKEW);
        for invented in [UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(253_402_300_799)] {
            assert_eq!(believable(Some(invented), sent, now), now);
        }
        assert_eq!(believable(None, sent, now), now);
    }
}
