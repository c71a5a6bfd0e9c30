//! ITU-T T.37 extended mode (RFC 2532) at a terminal, with the advice of RFC 3249 clauses 4.2 to 4.4: what a machine
//! remembers of a fax it sent, and how it finds that fax again in the notifications that come back.
//!
//! A notification in clear is a convenience for the person at the machine. It proves nothing: whoever can write to the
//! machine's mailbox can write one.

use std::collections::BTreeMap;

use crate::dsn::{self, DsnError};
use crate::header::Headers;
use crate::mdn::{self, MdnError};
use crate::mime::ContentType;

/// RFC 2530's field by which a notification says what its recipient can take.
pub const FEATURES_FIELD: &str = "Media-Accept-Features";
/// What a machine of TIFF-FX profile S takes, as a media feature expression (RFC 2879, RFC 3949 clause 3).
pub const PROFILE_S_FEATURES: &str = "(& (color=Binary) (image-file-structure=TIFF-minimal) (MRC-mode=0) \
     (image-coding=MH) (| (& (dpi=204) (dpi-xyratio=[204/98,204/196])) (& (dpi=200) (dpi-xyratio=[200/100,1]))) \
     (size-x<=2150/254) (paper-size=A4) (ua-media=stationery) )";
/// Most faxes a machine waits for; the oldest is forgotten first.
pub const MAX_AWAITED: usize = 200;

/// What is known of one recipient of a fax; later news only add to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum State {
    /// Nothing was heard yet.
    #[default]
    Awaited,
    /// It is in the mailbox or handed to the next office (DSN `delivered`, `relayed`, `expanded`).
    Delivered,
    /// It was shown or printed (MDN).
    Processed,
    /// It will not be: came back, or could not be printed.
    Failed,
}

/// A fax that waits for its notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// Message-ID that the machine gave, without angle brackets.
    pub message_id: String,
    /// ENVID that it gave (RFC 3461 clause 4.4).
    pub envelope_id: String,
    /// Each recipient, as dialled, and how far it is.
    pub recipients: BTreeMap<String, State>,
}

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// Of what the recipient did (RFC 8098).
    Disposition(Box<mdn::Mdn>),
    /// Of what the mail servers did (RFC 3464).
    Status(Box<dsn::DeliveryStatus>),
}

/// Why something that calls itself a notification is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotificationError {
    /// The disposition notification.
    #[error(transparent)]
    Disposition(#[from] MdnError),
    /// The delivery status notification.
    #[error(transparent)]
    Status(#[from] DsnError),
}

impl Notification {
    /// Reads a mail that is a notification; `None`: it is something else, a fax perhaps.
    pub fn read(mail: &[u8]) -> Result<Option<Self>, NotificationError> {
        let kind = Headers::parse(mail)
            .ok()
            .and_then(|(headers, _)| headers.only("Content-Type").ok()?.and_then(|kind| ContentType::parse(kind).ok()));
        let report = kind.as_ref().filter(|kind| kind.essence == "multipart/report");
        let report = report.and_then(|kind| kind.param("report-type")).map(str::to_ascii_lowercase);
        match report.as_deref() {
            Some("disposition-notification") => Ok(Some(Self::Disposition(Box::new(mdn::parse(mail)?)))),
            Some("delivery-status") => Ok(Some(Self::Status(Box::new(dsn::parse(mail)?)))),
            _ => Ok(None),
        }
    }
}

/// What a notification told of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Message-ID of the fax, without angle brackets.
    pub message_id: String,
    /// Which recipient, as dialled.
    pub recipient: String,
    /// How far it is now.
    pub state: State,
}

/// The faxes of one machine that wait for notifications. Pure: it is told what was sent and what came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    faxes: Vec<Awaited>,
}

impl Waiting {
    /// A fax was sent with requests.
    pub fn sent(&mut self, fax: Awaited) {
        if self.faxes.len() >= MAX_AWAITED {
            self.faxes.remove(0);
        }
        self.faxes.push(fax);
    }

    /// What is known of a fax, by its Message-ID.
    pub fn fax(&self, message_id: &str) -> Option<&Awaited> {
        self.faxes.iter().find(|fax| fax.message_id == message_id)
    }

    /// Takes a notification; what it tells of the machine's own faxes, nothing where it is about somebody else's.
    ///
    /// RFC 3249 clause 4.2 matches an MDN by its Original-Message-ID. A DSN (clause 4.3) is matched by the envelope's
    /// identifier, or by the Message-ID of what it returns.
    pub fn take(&mut self, notification: &Notification) -> Vec<News> {
        let mut news = Vec::new();
        match notification {
            Notification::Disposition(mdn) => {
                let state = if mdn.disposition.is_success() { State::Processed } else { State::Failed };
                let of = |fax: &Awaited| fax.message_id == mdn.original_message_id;
                if let Some(fax) = self.faxes.iter_mut().find(|fax| of(fax)) {
                    let original = mdn.original_recipient.as_ref().map(ToString::to_string);
                    fax.heard(original.as_deref(), &mdn.final_recipient.to_string(), state, &mut news);
                }
            }
            Notification::Status(status) => {
                let of = |fax: &Awaited| match &status.original_envelope_id {
                    Some(id) => *id == fax.envelope_id,
                    None => status.original_message_id.as_ref() == Some(&fax.message_id),
                };
                if let Some(fax) = self.faxes.iter_mut().find(|fax| of(fax)) {
                    for recipient in &status.recipients {
                        let state = match recipient.action {
                            dsn::Action::Failed => State::Failed,
                            // Still being tried is no news to act on.
                            dsn::Action::Delayed => continue,
                            dsn::Action::Delivered | dsn::Action::Relayed | dsn::Action::Expanded => State::Delivered,
                        };
                        let original = recipient.original_recipient.as_deref();
                        fax.heard(original, &recipient.final_recipient, state, &mut news);
                    }
                }
            }
        }
        news
    }
}

impl Awaited {
    fn heard(&mut self, original: Option<&str>, last: &str, state: State, news: &mut Vec<News>) {
        let named = |dialled: &str| {
            [original, Some(last)].into_iter().flatten().any(|address| address.trim().eq_ignore_ascii_case(dialled))
        };
        // Behind a list or a forwarder the address is another one; of a fax to one person it is clear whom it is about.
        let alone = self.recipients.len() == 1;
        let found = self.recipients.iter_mut().find(|(dialled, _)| alone || named(dialled));
        if let Some((recipient, known)) = found
            // Who has printed it has it, whatever a server says later; and twice told is told.
            && *known != State::Processed
            && *known < state
        {
            *known = state;
            news.push(News { message_id: self.message_id.clone(), recipient: recipient.clone(), state });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::address::Address;
    use crate::dsn::{Action, DeliveryStatus, RecipientStatus, Status};
    use proptest::prelude::*;

    fn waiting(recipients: &[&str]) -> Waiting {
        let mut waiting = Waiting::default();
        let recipients = recipients.iter().map(|to| ((*to).to_owned(), State::Awaited)).collect();
        waiting.sent(Awaited { message_id: "1@a.example".into(), envelope_id: "fax-1".into(), recipients });
        waiting
    }

    fn mdn(recipient: &str, modifier: &str) -> Vec<u8> {
        let address = Address::parse(recipient).unwrap();
        let mut disposition = mdn::Disposition::printed();
        disposition.modifiers.extend((!modifier.is_empty()).then(|| modifier.to_owned()));
        mdn::compose(&mdn::Mdn {
            reporting_ua: String::new(),
            original_recipient: None,
            final_recipient: address.clone(),
            original_message_id: "1@a.example".into(),
            disposition,
            received_content_mic: None,
            extensions: vec![(FEATURES_FIELD.into(), PROFILE_S_FEATURES.into())],
            enclosed: None,
            text: mdn::verified_text(&address, "today"),
            boundary: "=_b".into(),
        })
        .unwrap()
    }

    fn status(recipient: &str, action: Action) -> Vec<u8> {
        let recipient = RecipientStatus {
            final_recipient: recipient.into(),
            original_recipient: None,
            action,
            status: Status::DELIVERED,
            diagnostic: None,
        };
        let status = DeliveryStatus {
            reporting_mta: Some("m.example".into()),
            original_envelope_id: Some("fax-1".into()),
            original_message_id: None,
            recipients: vec![recipient],
        };
        dsn::compose(&status, "x", "=_b").unwrap()
    }

    fn told(waiting: &mut Waiting, mail: &[u8]) -> Vec<State> {
        let notification = Notification::read(mail).unwrap().unwrap();
        waiting.take(&notification).into_iter().map(|news| news.state).collect()
    }

    #[test]
    fn each_recipient_is_followed_by_itself() {
        let mut fax = waiting(&["sato@b.example", "ito@c.example"]);
        assert_eq!(told(&mut fax, &status("SATO@b.example", Action::Delivered)), [State::Delivered]);
        assert_eq!(told(&mut fax, &status("ito@c.example", Action::Delayed)), []);
        assert_eq!(told(&mut fax, &mdn("sato@b.example", "")), [State::Processed]);
        assert_eq!(told(&mut fax, &mdn("ito@c.example", "error")), [State::Failed]);
        assert_eq!(told(&mut fax, &mdn("eve@e.example", "")), []);
        let states: Vec<State> = fax.fax("1@a.example").unwrap().recipients.values().copied().collect();
        assert_eq!(states, [State::Failed, State::Processed]);
    }

    #[test]
    fn a_print_is_not_taken_back_and_not_told_twice() {
        let mut fax = waiting(&["sato@b.example"]);
        assert_eq!(told(&mut fax, &mdn("sato@b.example", "")), [State::Processed]);
        assert_eq!(told(&mut fax, &mdn("sato@b.example", "")), []);
        assert_eq!(told(&mut fax, &status("sato@b.example", Action::Failed)), []);
    }

    #[test]
    fn a_forwarded_fax_is_found_by_its_identifier() {
        let mut fax = waiting(&["list@b.example"]);
        assert_eq!(told(&mut fax, &status("home@elsewhere.example", Action::Relayed)), [State::Delivered]);
    }

    #[test]
    fn features_come_through() {
        let Some(Notification::Disposition(read)) = Notification::read(&mdn("a@b.example", "")).unwrap() else {
            panic!("an MDN")
        };
        assert_eq!(read.extensions, [(FEATURES_FIELD.to_owned(), PROFILE_S_FEATURES.to_owned())]);
    }

    #[test]
    fn a_fax_is_no_notification_and_a_broken_one_is_refused() {
        assert_eq!(Notification::read(b"Content-Type: image/tiff\r\n\r\nx").unwrap(), None);
        assert_eq!(Notification::read(b"no header").unwrap(), None);
        let broken = b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\nx";
        assert!(Notification::read(broken).is_err());
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut many = Waiting::default();
        for number in 0..MAX_AWAITED + 5 {
            many.sent(Awaited {
                message_id: number.to_string(),
                envelope_id: String::new(),
                recipients: BTreeMap::new(),
            });
        }
        assert!(many.fax("4").is_none() && many.fax("5").is_some());
    }

    proptest! {
        #[test]
        fn no_notification_panics(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..10)) {
            for mail in [mdn("sato@b.example", ""), status("sato@b.example", Action::Failed)] {
                let mut octets = mail;
                for (at, octet) in &flips {
                    let at = at.index(octets.len());
                    octets[at] = *octet;
                }
                if let Ok(Some(read)) = Notification::read(&octets) {
                    waiting(&["sato@b.example"]).take(&read);
                }
            }
        }
    }
}
