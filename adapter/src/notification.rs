//! What a fax machine of T.37 extended mode (RFC 2532) asks for, and what it gets: its request goes no further than the
//! adapter, which answers it by itself once the signed confirmation is verified or the mail has come back. In clear there
//! is only what the machine said itself, and the outcome.

use std::collections::HashMap;
use std::time::SystemTime;

use sealfax_client::smtp_server::{Envelope, Notify};
use sealfax_ifax::address::{Address, Mailbox};
use sealfax_ifax::header::{Headers, format_date};
use sealfax_ifax::{dsn, mdn};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::flow::normal_address;
use crate::office::Office;
use crate::outer;

/// The fields by which a mail asks its reader's program for a notification (RFC 8098 clause 2).
const REQUESTS: [&str; 3] = ["Disposition-Notification-To", "Disposition-Notification-Options", "Return-Receipt-To"];

/// What the machine wants to hear of one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wanted {
    /// Where a disposition notification goes (`Disposition-Notification-To`).
    #[serde(default)]
    pub disposition_to: Option<String>,
    /// Where delivery status notifications go: the reverse path of the machine's own transaction.
    #[serde(default)]
    pub status_to: Option<String>,
    /// `NOTIFY=SUCCESS`.
    #[serde(default)]
    pub success: bool,
    /// `NOTIFY=FAILURE`.
    #[serde(default)]
    pub failure: bool,
    /// `ENVID`.
    #[serde(default)]
    pub envelope_id: Option<String>,
    /// `ORCPT`.
    #[serde(default)]
    pub original_recipient: Option<String>,
}

impl Wanted {
    /// What the machine's transaction asks for, by recipient as the flow knows it. Who asks for nothing is not in it.
    pub(crate) fn by(envelope: &Envelope, mail: &[u8]) -> HashMap<String, Self> {
        let disposition_to = Headers::parse(mail).ok().and_then(|(headers, _)| {
            let asked = headers.only("Disposition-Notification-To").ok()??;
            Mailbox::parse_list(asked).ok()?.into_iter().next().map(|mailbox| mailbox.address.to_string())
        });
        let status_to = envelope.reverse_path.address().map(str::to_owned);
        let of = |recipient: &String| {
            let said = envelope.dsn.recipients.get(recipient);
            // Failures are reported on paper in any case; a notification is for those who say so.
            let Notify { success, failure, .. } = said.and_then(|said| said.notify).unwrap_or_default();
            let status_to = status_to.clone().filter(|_| success || failure);
            let wanted = Self {
                disposition_to: disposition_to.clone(),
                envelope_id: envelope.dsn.envid.clone().filter(|_| status_to.is_some()),
                original_recipient: said.and_then(|said| said.orcpt.clone()),
                status_to,
                success,
                failure,
            };
            (wanted.disposition_to.is_some() || wanted.status_to.is_some()).then(|| (normal_address(recipient), wanted))
        };
        envelope.forward_paths.iter().filter_map(of).collect()
    }
}

/// How a transmission ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending<'a> {
    /// Confirmed, printed at this time.
    Printed(SystemTime),
    /// It came back, in these words.
    Returned(&'a str),
}

/// The mails for the machine about one recipient of one mail. `message_id` as it stands in the mail, brackets or not.
pub(crate) fn mails(
    office: &Office,
    wanted: &Wanted,
    message_id: &str,
    recipient: &str,
    ending: Ending<'_>,
) -> Vec<String> {
    let message_id = message_id.trim_matches(['<', '>']);
    let boundary = || format!("=_{}", office.seams.entropy.token());
    let mut mails = Vec::new();
    if let (Some(to), Ending::Printed(at), Ok(address)) = (&wanted.disposition_to, ending, Address::parse(recipient)) {
        let notification = mdn::Mdn {
            reporting_ua: format!("{}; Sealfax", office.host()),
            original_recipient: Some(address.clone()),
            final_recipient: address.clone(),
            original_message_id: message_id.to_owned(),
            disposition: mdn::Disposition::printed(),
            received_content_mic: None,
            extensions: Vec::new(),
            enclosed: None,
            text: mdn::verified_text(&address, &format_date(at)),
            boundary: boundary(),
        };
        mails.extend(mdn::compose(&notification).ok().and_then(|entity| {
            // RFC 8098 clause 3: it comes from the person whose print it tells of.
            in_a_mail(office, recipient, to, "Delivery confirmation", message_id, &entity)
        }));
    }
    let (asked, action, status, words) = match ending {
        Ending::Printed(_) => (wanted.success, dsn::Action::Delivered, dsn::Status::DELIVERED, None),
        Ending::Returned(why) => (wanted.failure, dsn::Action::Failed, dsn::Status::FAILED, Some(why.to_owned())),
    };
    if let Some(to) = wanted.status_to.as_ref().filter(|_| asked) {
        let original = wanted.original_recipient.clone().unwrap_or_else(|| recipient.to_owned());
        let told = dsn::DeliveryStatus {
            reporting_mta: Some(office.host().to_owned()),
            original_envelope_id: wanted.envelope_id.clone(),
            original_message_id: Some(message_id.to_owned()),
            recipients: vec![dsn::RecipientStatus {
                final_recipient: recipient.to_owned(),
                original_recipient: Some(original),
                action,
                status,
                diagnostic: words,
            }],
        };
        let (subject, text) = match ending {
            Ending::Printed(at) => {
                ("Delivered", format!("配達されました / Delivered: {recipient}\n{}\n", format_date(at)))
            }
            Ending::Returned(_) => ("Not delivered", format!("不達 / Not delivered: {recipient}\n")),
        };
        mails.extend(dsn::compose(&told, &text, &boundary()).ok().and_then(|entity| {
            in_a_mail(office, &format!("sealfax@{}", office.host()), to, subject, message_id, &entity)
        }));
    }
    mails
}

fn in_a_mail(office: &Office, from: &str, to: &str, subject: &str, message_id: &str, entity: &[u8]) -> Option<String> {
    let fields = [
        ("From", from.to_owned()),
        ("To", to.to_owned()),
        ("Subject", subject.to_owned()),
        ("Date", format_date(office.seams.clock.now())),
        ("Message-ID", office.message_id()),
        ("In-Reply-To", format!("<{message_id}>")),
        ("Auto-Submitted", "auto-replied".to_owned()),
        ("MIME-Version", "1.0".to_owned()),
    ];
    String::from_utf8(outer::mail(&fields, entity)).ok()
}

/// A mail for the machine of its recipient, which must not answer by itself: the card confirms, and an answer in clear
/// would tell the network who received what.
pub(crate) fn without_requests(mail: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let Ok((mut headers, body)) = Headers::parse(&mail) else { return mail };
    if !take_requests(&mut headers) {
        return mail;
    }
    let mut octets = headers.to_octets();
    octets.extend_from_slice(b"\r\n");
    octets.extend_from_slice(body);
    octets.into()
}

/// Takes the requests out of a header. `true`: there was one.
pub(crate) fn take_requests(headers: &mut Headers) -> bool {
    let asked = REQUESTS.iter().any(|name| headers.get(name).is_some());
    for name in REQUESTS {
        headers.remove(name);
    }
    asked
}

/// Whether the machine brings a notification of its own.
pub(crate) fn is_notification(mail: &[u8]) -> bool {
    let kind = Headers::parse(mail)
        .ok()
        .and_then(|(headers, _)| headers.get("Content-Type").map(|kind| kind.trim_start().to_ascii_lowercase()));
    kind.is_some_and(|kind| kind.starts_with("multipart/report"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use sealfax_client::smtp_server::{Dsn, RecipientDsn, ReversePath};

    fn envelope(notify: Option<Notify>) -> Envelope {
        let said = RecipientDsn { notify, orcpt: Some("Sato@B.example".into()) };
        Envelope {
            reverse_path: ReversePath::new("fax@a.example"),
            forward_paths: vec!["Sato@B.example".into(), "ito@c.example".into()],
            dsn: Dsn { envid: Some("fax-1".into()), recipients: [("Sato@B.example".into(), said)].into(), ret: None },
            ..Envelope::default()
        }
    }

    #[test]
    fn only_who_asks_is_answered() {
        let simple = b"From: fax@a.example\r\n\r\nx";
        assert!(Wanted::by(&envelope(None), simple).is_empty());
        assert!(Wanted::by(&envelope(Some(Notify::default())), simple).is_empty());
        let success = Notify { success: true, ..Notify::default() };
        let wanted = Wanted::by(&envelope(Some(success)), simple);
        let [(recipient, wanted)] = wanted.iter().collect::<Vec<_>>()[..] else { panic!("one recipient") };
        assert_eq!(recipient, "Sato@b.example");
        assert_eq!((wanted.success, wanted.failure, wanted.disposition_to.as_deref()), (true, false, None));
        assert_eq!(wanted.status_to.as_deref(), Some("fax@a.example"));
        assert_eq!(wanted.envelope_id.as_deref(), Some("fax-1"));
        let extended = b"Disposition-Notification-To: IFAX <fax@a.example>\r\n\r\nx";
        let wanted = Wanted::by(&envelope(None), extended);
        assert_eq!(wanted.len(), 2);
        assert!(wanted.values().all(|w| w.disposition_to.as_deref() == Some("fax@a.example") && w.status_to.is_none()));
    }

    #[test]
    fn requests_are_taken_out_and_the_rest_stays() {
        let asked = b"From: a@b\r\nDisposition-Notification-To: a@b\r\nSubject: x\r\n\r\nbody\r\n".to_vec();
        assert_eq!(*without_requests(asked.into()), b"From: a@b\r\nSubject: x\r\n\r\nbody\r\n".to_vec());
        let plain = b"From: a@b\r\nsubject:  odd  spaces\r\n\r\nbody".to_vec();
        assert_eq!(*without_requests(plain.clone().into()), plain);
    }

    #[test]
    fn a_notification_is_seen_by_its_type() {
        assert!(is_notification(b"Content-Type: Multipart/Report; report-type=x\r\n\r\n"));
        assert!(!is_notification(b"Content-Type: image/tiff\r\n\r\n"));
        assert!(!is_notification(b"nothing"));
    }
}
