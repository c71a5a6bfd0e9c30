//! The mails around what is sealed or signed: their header fields say what the network needs and nothing else.

use std::time::SystemTime;

use sealfax_client::smtp::{RecipientResult, SendError};
use sealfax_drivers::display::NotSent;
use sealfax_ifax::address::{Address, Mailbox};
use sealfax_ifax::header::{HeaderError, Headers, format_date};
use sealfax_ifax::mail::{self, FaxMail};
use sealfax_ifax::{Page, tiff};
use zeroize::Zeroizing;

use crate::flow::{Owner, normal_address};
use crate::ledger::Handed;
use crate::notification;
use crate::office::Office;

/// What is sealed: the terminal's mail, in the name of the card's owner.
pub(crate) struct Inner {
    pub(crate) octets: Zeroizing<Vec<u8>>,
    pub(crate) message_id: String,
    pub(crate) pages: Option<u32>,
}

/// Takes the terminal's mail as it is, but for what it must have: From is the card's owner (A6, RFC 8550 section 3),
/// and there is a Message-ID and a Date to refer to.
pub(crate) fn in_the_owners_name(mail: &[u8], owner: &Owner, office: &Office) -> Result<Inner, HeaderError> {
    let (mut headers, body) = Headers::parse(mail)?;
    let mut changed = false;
    if crate::outgoing::origin(mail).map(|from| normal_address(&from)).as_deref() != Some(&owner.address) {
        headers.replace("From", &mailbox(owner))?;
        changed = true;
    }
    let message_id = match headers.only("Message-ID")?.and_then(mail::message_id) {
        Some(id) => format!("<{id}>"),
        None => {
            let id = office.message_id();
            headers.replace("Message-ID", &id)?;
            changed = true;
            id
        }
    };
    if headers.only("Date")?.is_none() {
        headers.push("Date", &format_date(office.seams.clock.now()))?;
        changed = true;
    }
    // What the terminal asks for, the adapter answers.
    changed |= notification::take_requests(&mut headers);
    let octets = if changed {
        let mut octets = headers.to_octets();
        octets.extend_from_slice(b"\r\n");
        octets.extend_from_slice(body);
        octets
    } else {
        mail.to_vec()
    };
    let pages = mail::parse(mail, &mail::Limits::default())
        .ok()
        .and_then(|fax| tiff::count_pages(&fax.pages, &tiff::Limits::default()).ok())
        .and_then(|pages| u32::try_from(pages).ok());
    Ok(Inner { octets: Zeroizing::new(octets), message_id, pages })
}

/// A fax as this adapter itself makes it, for or from its machine (T.37 simple mode).
pub(crate) fn fax_mail(
    office: &Office,
    from: Mailbox,
    to: Vec<Mailbox>,
    subject: &str,
    pages: &[Page],
) -> Result<Vec<u8>, String> {
    let fax = FaxMail {
        from,
        to,
        subject: subject.to_owned(),
        date: office.seams.clock.now(),
        message_id: office.message_id().trim_matches(['<', '>']).to_owned(),
        notify: None,
        text: None,
        pages: tiff::write(pages).map_err(|error| error.to_string())?,
        boundary: format!("=_{}", office.seams.entropy.token()),
    };
    mail::compose(&fax).map_err(|error| error.to_string())
}

/// The fields before a sealed entity. The real Subject, Date and names are inside (RFC 9788, 3.1); this date is the sealing's.
pub(crate) fn sealed_fields(
    owner: &Owner,
    recipients: &[String],
    message_id: &str,
    date: SystemTime,
) -> Vec<(&'static str, String)> {
    vec![
        ("From", owner.address.clone()),
        ("To", recipients.join(", ")),
        ("Subject", "[...]".to_owned()),
        ("Date", format_date(date)),
        ("Message-ID", message_id.to_owned()),
        ("Disposition-Notification-To", owner.address.clone()),
        ("MIME-Version", "1.0".to_owned()),
    ]
}

/// The confirmation mail around its signed entity (RFC 8098, section 2 and 3; RFC 3834, section 5).
pub(crate) fn confirmation_mail(owner: &Owner, handed: &Handed, office: &Office, entity: &[u8]) -> Vec<u8> {
    let fields = [
        ("From", mailbox(owner)),
        ("To", handed.sender.clone()),
        ("Subject", "Delivery confirmation".to_owned()),
        ("Date", format_date(office.seams.clock.now())),
        ("Message-ID", office.message_id()),
        ("In-Reply-To", handed.message_id.clone()),
        ("Auto-Submitted", "auto-replied".to_owned()),
        ("MIME-Version", "1.0".to_owned()),
    ];
    mail(&fields, entity)
}

/// Fields that cannot be written are ours, or were checked when they came: none of them can inject anything, because
/// [`Headers::push`] refuses line breaks.
pub(crate) fn mail(fields: &[(&str, String)], entity: &[u8]) -> Vec<u8> {
    let mut headers = Headers::new();
    for (name, value) in fields {
        let _ = headers.push(name, value);
    }
    let mut octets = headers.to_octets();
    octets.extend_from_slice(entity);
    octets
}

/// The owner as a header field shows them.
pub(crate) fn mailbox(owner: &Owner) -> String {
    match Address::parse(&owner.address) {
        Ok(address) => Mailbox { name: Some(owner.name.clone()), address }.to_header(),
        Err(_) => owner.address.clone(),
    }
}

/// On a mail whose printing was begun before and may have succeeded.
pub(crate) const MAYBE_PRINTED: &str = "[再印刷の可能性 / may have been printed before]";
/// On a mail that bears no signature.
pub(crate) const NOT_PROVEN: &str = "[差出人は未確認 / sender not proven]";
/// On a mail that does not say whom it was sealed for.
pub(crate) const NOT_BOUND: &str = "[宛先は未確認 / not proven to be for you]";
/// On a mail that was not encrypted.
pub(crate) const NOT_SEALED: &str = "[暗号化なし / was not encrypted]";
/// On a mail whose header fields stand outside of what was signed.
pub(crate) const NOT_PROTECTED: &str = "[件名は未保護 / subject not protected]";

/// What the person has to know of a mail stands in front of its subject.
pub(crate) fn marked(mail: &[u8], marks: &[&str]) -> Zeroizing<Vec<u8>> {
    let with_marks = || {
        let (mut headers, body) = Headers::parse(mail).ok()?;
        let subject = headers.get("Subject").map(sealfax_ifax::header::decode_words).unwrap_or_default();
        let marked = sealfax_ifax::header::encode_words(&format!("{} {subject}", marks.join(" ")));
        headers.replace("Subject", &marked).ok()?;
        let mut octets = headers.to_octets();
        octets.extend_from_slice(b"\r\n");
        octets.extend_from_slice(body);
        Some(octets)
    };
    let octets = if marks.is_empty() { None } else { with_marks() };
    octets.unwrap_or_else(|| mail.to_vec()).into()
}

/// ST612: whether the mail server took the whole mail. All recipients or none.
pub(crate) fn judge_submission(submitted: Result<Vec<RecipientResult>, SendError>) -> Result<(), NotSent> {
    match submitted {
        Ok(results) => match results.iter().find_map(|result| result.outcome.as_ref().err()) {
            None => Ok(()),
            Some(rejection) => Err(NotSent::Refused(rejection.code)),
        },
        Err(error) => Err(error.code().map_or(NotSent::ServerUnreachable, NotSent::Refused)),
    }
}
