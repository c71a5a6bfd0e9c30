//! What becomes of a transmission after it was sent: what is made of a confirmation, a refusal or a bounce that comes for
//! it, whenever and however often (D1, C9), and when a batch of them is reported (C11). Pure.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// How a transmission ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// Its recipient's card signed that it was printed.
    Delivered,
    /// It came back.
    Returned,
    /// Its recipient signed that it was not taken.
    Refused,
}

/// What a delivery report says beside the ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Remark {
    /// The confirmation came after the set time.
    Late,
    /// It was reported as not delivered before.
    AfterAll,
}

/// A transmission that failed, until somebody has seen that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alarm {
    /// Whose it is.
    pub sender: String,
    /// Whom it did not reach.
    pub recipient: String,
    /// They refused it; else it came back.
    pub refused: bool,
    /// Of which mail, with its angle brackets; empty where an older version did not write it down.
    #[serde(default)]
    pub message_id: String,
}

/// How a transmission stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was heard of it.
    Open {
        /// Nor within the set time.
        overdue: bool,
    },
    /// It ended so.
    Closed(Ending),
}

/// A transmission to one recipient, as it is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a> {
    /// Message-ID of the sealed mail, with its angle brackets.
    pub message_id: &'a str,
    /// Its recipient.
    pub recipient: &'a str,
    /// SHA-256 of the content as signed, hexadecimal.
    pub content_digest: &'a str,
    /// How it stands.
    pub standing: Standing,
}

/// What a notification says of the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It was printed with card and PIN.
    Printed,
    /// It was denied, deleted, or failed.
    Refused,
    /// Neither.
    Other,
}

/// The signed receipt in a notification (RFC 2634).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// There is none, as from readers with keys of their own.
    Absent,
    /// It quotes the signature of the mail.
    Holds,
    /// It does not.
    Broken,
}

/// A notification that bears a good signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    /// Who signed, by a certificate that counts.
    pub signer: &'a str,
    /// Of whose copy it speaks.
    pub recipient: &'a str,
    /// Of which mail.
    pub message_id: &'a str,
    /// What it says.
    pub said: Said,
    /// SHA-256 of the content, hexadecimal, if it tells one.
    pub digest: Option<&'a str>,
    /// Its receipt.
    pub receipt: Receipt,
}

/// What is made of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is not believed, under this code.
    Refuse(&'static str),
    /// It is of a mail that was never sent from here.
    Unknown,
    /// It tells nothing new.
    Repeated,
    /// The transmission has ended, for the first time or otherwise than was known.
    Ends(Ending, Option<Remark>),
}

/// Judges a signed notification. `known`: what was found under its Message-ID and signer.
pub fn judge_signed(known: Option<&Known<'_>>, news: &Signed<'_>) -> Judgement {
    if news.recipient != news.signer || news.said == Said::Other {
        return Judgement::Refuse("CONFIRM-006");
    }
    let Some(known) = known.filter(|known| known.message_id == news.message_id && known.recipient == news.signer)
    else {
        return Judgement::Unknown;
    };
    // Who refuses need not have opened it; who printed it has its digest.
    let content = match news.said {
        Said::Refused => news.digest.is_none_or(|digest| digest == known.content_digest),
        Said::Printed | Said::Other => news.digest == Some(known.content_digest),
    };
    if !content {
        return Judgement::Refuse("CONFIRM-008");
    }
    if news.receipt == Receipt::Broken {
        return Judgement::Refuse("CONFIRM-012");
    }
    let printed = news.said == Said::Printed;
    match known.standing {
        Standing::Open { overdue } if printed => Judgement::Ends(Ending::Delivered, overdue.then_some(Remark::Late)),
        Standing::Open { .. } => Judgement::Ends(Ending::Refused, None),
        // What its recipient signed weighs more than what a mail server said.
        Standing::Closed(Ending::Returned | Ending::Refused) if printed => {
            Judgement::Ends(Ending::Delivered, Some(Remark::AfterAll))
        }
        Standing::Closed(Ending::Returned) => Judgement::Ends(Ending::Refused, None),
        Standing::Closed(Ending::Delivered | Ending::Refused) => Judgement::Repeated,
    }
}

/// Judges a bounce, which anybody on the way could have written: it ends what is open, and nothing else.
pub fn judge_bounce(known: Option<&Known<'_>>, message_id: &str, recipient: &str) -> Judgement {
    match known.filter(|known| known.message_id == message_id && known.recipient == recipient) {
        None => Judgement::Unknown,
        Some(Known { standing: Standing::Open { .. }, .. }) => Judgement::Ends(Ending::Returned, None),
        Some(_) => Judgement::Repeated,
    }
}

/// When a batch is to be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At once.
    Now,
    /// Then, if nothing else comes.
    At(SystemTime),
    /// Nothing waits for its time.
    Never,
}

/// What waits to be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Batch {
    /// How many.
    pub waiting: usize,
    /// One of them has to be known at once.
    pub urgent: bool,
    /// When the first of them came.
    pub oldest: Option<SystemTime>,
}

impl Batch {
    /// C11: `size` of them are reported together; the first waits at most `limit`, for ever if that is zero.
    pub fn due(&self, size: usize, limit: Duration, now: SystemTime) -> Due {
        if self.waiting == 0 {
            return Due::Never;
        }
        if self.urgent || self.waiting >= size.max(1) {
            return Due::Now;
        }
        if limit.is_zero() {
            return Due::Never;
        }
        let Some(oldest) = self.oldest else { return Due::Now };
        match oldest.checked_add(limit) {
            // A clock that was set back must not hold it for longer than it would have waited.
            Some(then) if then > now && oldest <= now => Due::At(then),
            _ => Due::Now,
        }
    }
}

#[cfg(test)]
mod tests;
