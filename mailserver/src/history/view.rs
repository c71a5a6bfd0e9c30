//! What people ask the history for: transmissions, each with its records in order, and what has become of it.

use std::time::SystemTime;

use sealfax_client::history::{Entry, Event};
use serde::{Deserialize, Serialize};

use crate::accounts::{domain_of, normalise};

/// What has become of a transmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No confirmation has come in the set time.
    Overdue,
    /// It is on its way, or waits for its recipient.
    Waiting,
    /// The recipient's side refused it.
    Refused,
    /// It came back undeliverable.
    Failed,
    /// It was opened and printed, which the recipient's card signed.
    Delivered,
}

impl State {
    /// All of them, those to look at first at the beginning.
    pub const ALL: [Self; 5] = [Self::Overdue, Self::Waiting, Self::Refused, Self::Failed, Self::Delivered];

    /// What a transmission with these events has become. A confirmation is stronger than all that went before.
    pub fn after(events: impl IntoIterator<Item = Event>) -> Self {
        events.into_iter().fold(Self::Waiting, |state, event| match (state, event) {
            (Self::Delivered, _) | (_, Event::Retrieval) => Self::Delivered,
            (_, Event::NonDelivery) => Self::Failed,
            (_, Event::Refusal) => Self::Refused,
            (Self::Waiting, Event::Overdue) => Self::Overdue,
            (state, _) => state,
        })
    }

    /// The word that queries and exports use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
        }
    }

    /// The state of that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Overdue => 0,
            Self::Waiting => 1,
            Self::Refused => 2,
            Self::Failed => 3,
            Self::Delivered => 4,
        }
    }
}

/// All that is known of one mail to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transmission {
    /// The index of its first record, by which it is asked for.
    pub number: u64,
    /// What has become of it.
    pub state: State,
    /// Its records, in the order in which they were registered. Never empty.
    pub entries: Vec<Entry>,
}

impl Transmission {
    /// The sender's address, unless it was erased.
    pub fn sender(&self) -> Option<&str> {
        self.personal().map(|personal| personal.sender.as_str())
    }

    /// The recipient's address, unless it was erased.
    pub fn recipient(&self) -> Option<&str> {
        self.personal().map(|personal| personal.recipient.as_str())
    }

    /// The Message-ID, unless it was erased.
    pub fn message_id(&self) -> Option<&str> {
        self.personal().map(|personal| personal.message_id.as_str())
    }

    fn personal(&self) -> Option<&sealfax_client::history::Personal> {
        self.entries.iter().find_map(|entry| entry.personal.as_ref())
    }

    /// When the mail was sent.
    pub fn sent(&self) -> SystemTime {
        self.entries.first().map_or(SystemTime::UNIX_EPOCH, |entry| entry.leaf.sent)
    }

    /// When the last thing happened.
    pub fn latest(&self) -> SystemTime {
        self.entries.last().map_or(SystemTime::UNIX_EPOCH, |entry| entry.leaf.at)
    }
}

/// Which transmissions are wanted; the default is all, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Sender or recipient, an address; `@office-a.example` for everybody of an office.
    pub party: Option<String>,
    /// A further one, which holds beside it: whoever may see their own alone is set here.
    pub own: Option<String>,
    /// Only those from this sender.
    pub sender: Option<String>,
    /// Only those to this recipient.
    pub recipient: Option<String>,
    /// Only those of this mail.
    pub message_id: Option<String>,
    /// Only those first registered at this time or later.
    pub since: Option<SystemTime>,
    /// Only those first registered before this time.
    pub until: Option<SystemTime>,
    /// Only those that have become this.
    pub state: Option<State>,
    /// Only those with numbers below this: where the last page ended.
    pub before: Option<u64>,
}

impl Query {
    /// Whether `transmission` is one of them.
    pub fn selects(&self, transmission: &Transmission) -> bool {
        let is = |wanted: &Option<String>, address: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| address.is_some_and(|address| is_party(wanted, address)))
        };
        let either = |wanted: &Option<String>| {
            wanted.is_none() || is(wanted, transmission.sender()) || is(wanted, transmission.recipient())
        };
        let registered = transmission.entries.first().map(|entry| entry.leaf.registered);
        either(&self.party)
            && either(&self.own)
            && is(&self.sender, transmission.sender())
            && is(&self.recipient, transmission.recipient())
            && self.message_id.as_deref().is_none_or(|wanted| transmission.message_id() == Some(wanted))
            && self.since.is_none_or(|since| registered.is_some_and(|registered| registered >= since))
            && self.until.is_none_or(|until| registered.is_some_and(|registered| registered < until))
            && self.state.is_none_or(|state| transmission.state == state)
            && self.before.is_none_or(|before| transmission.number < before)
    }

    /// All parties that are given, each of which narrows the search.
    pub(super) fn parties(&self) -> Vec<&str> {
        [&self.own, &self.party, &self.sender, &self.recipient]
            .into_iter()
            .filter_map(|party| party.as_deref())
            .collect()
    }
}

/// Whether `address` is the party `wanted`, an address or `@` and a domain.
pub(super) fn is_party(wanted: &str, address: &str) -> bool {
    match wanted.starts_with('@') {
        true => domain_of(wanted) == domain_of(address),
        false => normalise(wanted) == normalise(address),
    }
}
