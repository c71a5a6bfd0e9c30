//! D1: a confirmation comes back, is verified against an open transmission, goes into a delivery report for the terminal
//! and is owed to the history server (C9-C12).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use sealfax_client::history;
use sealfax_client::ocsp::CLOCK_SKEW;
use sealfax_ifax::header::Headers;
use sealfax_ifax::{dsn, mdn};
use sealfax_smime::path;

use super::reports;
use crate::flow::confirming::{
    Ending, Judgement, Known, Receipt, Remark, Said, Signed, Standing, judge_bounce, judge_signed,
};
use crate::flow::desk::Event;
use crate::flow::normal_address;
use crate::ledger::{Alarm, Closed, Closing, Delivered, LedgerError, OpenTransmission, Owed};
use crate::notification;
use crate::office::Office;
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
    turn: Mutex<()>,
}

impl Confirmations {
    pub(crate) fn new(office: Arc<Office>) -> Self {
        Self { office, turn: Mutex::default() }
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
        let verdict = judged.unwrap_or_else(|error| {
            self.office.failed("LEDGER-001", error.to_string());
            Verdict::Later
        });
        // Whatever came of it: one mail may have ended several.
        self.report().await;
        // It is owed to the history now; what was overdue is so no more, and a batch may have begun.
        self.office.owed.notify_one();
        verdict
    }

    /// One report on all that it is due for. Pages are drawn, which is not for a thread that others wait for.
    async fn report(&self) {
        let office = self.office.clone();
        let made = tokio::task::spawn_blocking(move || {
            reports::report_if_due(&office).map_err(|error| office.failed("LEDGER-001", error.to_string())).ok()
        });
        if let Err(error) = made.await {
            self.office.failed("REPORT-001", error.to_string());
        }
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
        let message_id = format!("<{}>", notification.original_message_id);
        let disposition = &notification.disposition;
        let said = if *disposition == mdn::Disposition::printed() {
            Said::Printed
        } else if disposition.is_refusal() {
            Said::Refused
        } else {
            Said::Other
        };
        let digest = notification
            .received_content_mic
            .and_then(|mic| base64::engine::general_purpose::STANDARD.decode(mic.digest).ok());
        let digest = digest.map(|digest| hex(&digest));

        let turn = self.turn();
        let found = self.find(&message_id, &signer)?;
        // Other programs enclose the header of the mail there; that is under the signature and proves nothing more.
        let enclosed = notification.enclosed.as_ref().filter(|part| is_receipt(part));
        let mut receipt = Receipt::Absent;
        let terms = found.as_ref().and_then(|(transmission, _)| transmission.receipt.as_ref());
        if let (Some(terms), Some(enclosed)) = (terms, enclosed) {
            let known = Some(certificates.as_slice());
            receipt = match sealfax_smime::verify_receipt(enclosed, terms, anchors, now, known, &signer) {
                Ok(_) => Receipt::Holds,
                Err(error) => {
                    self.office.suspicious(error.code(), format!("the receipt for {message_id}: {error}"));
                    Receipt::Broken
                }
            };
        }
        let news = Signed {
            signer: &signer,
            recipient: &notification.final_recipient.to_string(),
            message_id: &message_id,
            said,
            digest: digest.as_deref(),
            receipt,
        };
        let judgement = judge_signed(found.as_ref().map(known).as_ref(), &news);
        let Some((open, standing)) = found else {
            return Ok(self.not_ended(judgement, &message_id, &signer, "a confirmation"));
        };
        let Judgement::Ends(ending, remark) = judgement else {
            return Ok(self.not_ended(judgement, &message_id, &signer, "a confirmation"));
        };
        if receipt == Receipt::Holds {
            self.office.did(&["D1"], format!("{signer}'s receipt quotes the signature of {message_id}"));
        }
        let refused = ending == Ending::Refused;
        let delivered = Delivered {
            at: believable(signed.signing_time, open.sent, now),
            transmission: open,
            recipient_name: path::common_name(&signed.signer_certificate).unwrap_or_default(),
            failure: refused.then(|| disposition.words()),
            refused,
            remark,
            taken: Some(now),
        };
        self.close(octets, delivered, ending, standing)?;
        drop(turn);
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
        let _turn = self.turn();
        let mut ours = false;
        for recipient in status.recipients.iter().filter(|recipient| recipient.action == dsn::Action::Failed) {
            let address = normal_address(&recipient.final_recipient);
            let found = self.find(&message_id, &address)?;
            let judgement = judge_bounce(found.as_ref().map(known).as_ref(), &message_id, &address);
            match (judgement, found) {
                (Judgement::Ends(ending, remark), Some((open, standing))) => {
                    let now = self.office.seams.clock.now();
                    let delivered = Delivered {
                        transmission: open,
                        at: now,
                        recipient_name: String::new(),
                        failure: Some(recipient.diagnostic.clone().unwrap_or_else(|| "returned".into())),
                        refused: false,
                        remark,
                        taken: Some(now),
                    };
                    self.close(octets, delivered, ending, standing)?;
                }
                (Judgement::Repeated, _) => drop(self.not_ended(judgement, &message_id, &address, "a bounce")),
                _ => continue,
            }
            ours = true;
        }
        // Of a mail that was not sent from here: the server keeps it for its addressee.
        Ok(if ours {
            Verdict::Taken
        } else {
            self.refused("CONFIRM-011", format!("a bounce of {message_id}, which was not sent from here"))
        })
    }

    /// What ends nothing.
    fn not_ended(&self, judgement: Judgement, message_id: &str, whose: &str, what: &str) -> Verdict {
        match judgement {
            Judgement::Refuse(code) => {
                let why = match code {
                    "CONFIRM-006" => "confirms no print of theirs",
                    "CONFIRM-008" => "has another content",
                    _ => "has a receipt that does not hold",
                };
                self.refused(code, format!("{what} that {whose} signed for {message_id} {why}"))
            }
            // The server need not bring it again.
            Judgement::Repeated => {
                self.office.failed("CONFIRM-013", format!("{what} for {message_id} of {whose} came again"));
                Verdict::Taken
            }
            Judgement::Unknown | Judgement::Ends(..) => {
                let text = format!("{whose} confirms {message_id}, which was not sent from here");
                self.office.suspicious("CONFIRM-007", text);
                Verdict::Taken
            }
        }
    }

    /// The transmission to this recipient, open or ended.
    fn find(&self, message_id: &str, recipient: &str) -> Result<Option<(OpenTransmission, Standing)>, LedgerError> {
        let ledger = &self.office.ledger;
        if let Some(open) = ledger.open_transmission(message_id, recipient)? {
            let standing = Standing::Open { overdue: open.overdue.is_some() };
            return Ok(Some((open, standing)));
        }
        let closed = ledger.closed_transmission(message_id, recipient)?;
        Ok(closed.map(|closed| (closed.transmission, Standing::Closed(closed.ending))))
    }

    /// Two that come at once are judged one after the other.
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(
        &self,
        evidence: &[u8],
        delivered: Delivered,
        ending: Ending,
        before: Standing,
    ) -> Result<(), LedgerError> {
        match delivered.transmission.transmission.clone() {
            Some(id) => id.during(|| self.close_followed(evidence, delivered, ending, before)),
            None => self.close_followed(evidence, delivered, ending, before),
        }
    }

    fn close_followed(
        &self,
        evidence: &[u8],
        delivered: Delivered,
        ending: Ending,
        before: Standing,
    ) -> Result<(), LedgerError> {
        let transmission = &delivered.transmission;
        let event = match ending {
            Ending::Delivered => history::Event::Retrieval,
            Ending::Returned => history::Event::NonDelivery,
            Ending::Refused => history::Event::Refusal,
        };
        let record = Box::new(transmission.record(event, delivered.at).with_evidence(evidence));
        let record = Owed::Record { record, transmission: transmission.transmission.clone() };
        let outcome = match &delivered.failure {
            None => notification::Ending::Printed(delivered.at),
            Some(why) => notification::Ending::Returned(why),
        };
        let told = transmission.wanted.as_ref().map_or_else(Vec::new, |wanted| {
            notification::mails(&self.office, wanted, &transmission.message_id, &transmission.recipient, outcome)
        });
        let alarm = delivered.failure.is_some().then(|| Alarm {
            sender: transmission.sender.clone(),
            recipient: transmission.recipient.clone(),
            refused: delivered.refused,
            message_id: transmission.message_id.clone(),
        });
        let at = self.office.seams.clock.now();
        let closed = Closed { transmission: transmission.clone(), ending, at };
        let closing = Closing {
            closed: &closed,
            report: &delivered,
            record: &record,
            notifications: &told,
            alarm: alarm.as_ref(),
        };
        let was = match before {
            Standing::Open { .. } => None,
            Standing::Closed(ending) => Some(ending),
        };
        if !self.office.ledger.close(&self.office.ledger_key(), closing, was)? {
            return Ok(());
        }
        if !told.is_empty() {
            let kept = format!("{} notification(s) wait for the terminal, which asked for them", told.len());
            self.office.did(&["D1"], kept);
        }
        let (id, recipient) = (&transmission.message_id, &transmission.recipient);
        match (&delivered.failure, alarm) {
            (Some(why), Some(alarm)) => {
                let how = if alarm.refused { "was refused by" } else { "came back from" };
                let code = if alarm.refused { "SEND-007" } else { "SEND-004" };
                self.office.failed(code, format!("{id} {how} {recipient}: {why}"));
                self.office.tell(Event::Failed(alarm));
            }
            _ => {
                let how = match delivered.remark {
                    None => "",
                    Some(Remark::Late) => ", late",
                    Some(Remark::AfterAll) => ", after it was reported as not delivered",
                };
                self.office.did(&["D1", "C9"], format!("{id} is confirmed by {recipient}{how}"));
                if delivered.remark == Some(Remark::AfterAll) {
                    self.office.tell(Event::FailedNot { message_id: id.clone(), recipient: recipient.clone() });
                }
            }
        }
        Ok(())
    }
}

/// What is known of a transmission, for the judge.
fn known((transmission, standing): &(OpenTransmission, Standing)) -> Known<'_> {
    Known {
        message_id: &transmission.message_id,
        recipient: &transmission.recipient,
        content_digest: &transmission.content_digest,
        standing: *standing,
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
