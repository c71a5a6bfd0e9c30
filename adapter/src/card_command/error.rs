//! What can go wrong with a card command: for the administrator, with a stable code and a remedy.

use std::path::PathBuf;

use sealfax_drivers::card::CardError;

use crate::card::CardTrouble;

/// Why a card command did not do what it was asked. No message holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardCommandError {
    /// The command line contradicts itself.
    #[error("{0}")]
    Usage(String),
    /// The card came out before the work was done.
    #[error(
        "the card was removed before the work was done; nothing is lost: insert it again and give the same command"
    )]
    Removed,
    /// The card came out when it was complete, during the checks at the end.
    #[error(
        "the card is complete, but it was removed during the checks at the end; insert it again and give `card verify`"
    )]
    RemovedAtTheEnd,
    /// The card refused or misbehaved.
    #[error("{0}")]
    Card(#[source] CardError),
    /// The reader is not there or failed.
    #[error("{0}")]
    Reader(#[source] CardError),
    /// This build has no card readers.
    #[error(
        "this program was built without card readers; install libpcsclite-dev and build it with `cargo build -p \
         sealfax-adapter --features pcsc`"
    )]
    NoPcsc,
    /// Nobody inserted a card.
    #[error("no card was inserted within {0} seconds; insert it and give the same command, or raise --wait")]
    NoCard(u64),
    /// Neither the secret's management key nor the maker's fits.
    #[error(
        "the card takes neither the management key of this --secret nor its maker's; use the secret it was issued \
         with, or tell its present key with --initial-management-key FILE"
    )]
    ManagementKey,
    /// The card does not prove that it is the one whose GUID it tells, so it gets nothing of that one's.
    #[error(
        "the card does not prove that it is the one it says it is: it has not got the management key that follows from \
         this --secret; {0}"
    )]
    Unproven(&'static str),
    /// The card would go on obeying a management key that others have.
    #[error(
        "the card {0}, and whoever has that key can put other keys and certificates on it; use another card, or say \
         --keep-management-key to issue this one all the same"
    )]
    KeptManagementKey(&'static str),
    /// The unblocking key is not known; no try was spent.
    #[error(
        "the card's unblocking key is neither its maker's nor one of this --secret; tell it with --initial-puk FILE"
    )]
    Puk,
    /// The unblocking key was wrong; one try was spent.
    #[error("the card did not take {which}{}; {remedy}", and_left(*left))]
    PukWrong {
        /// Which key.
        which: &'static str,
        /// Tries left, if the card says so.
        left: Option<u8>,
        /// What may be the right one.
        remedy: &'static str,
    },
    /// One try of the unblocking key is left.
    #[error(
        "one try is left of the card's unblocking key, and it is not spent here: unblock the card with its maker's tool \
         if you are sure of the key, else issue another card"
    )]
    PukLastTry,
    /// No try of the unblocking key is left.
    #[error(
        "the card's unblocking key is blocked: it can never get another PIN. Revoke its certificates and issue another \
         card"
    )]
    PukBlocked,
    /// The card does not say how many tries of the unblocking key are left.
    #[error(
        "the card does not tell how many tries its unblocking key has left; say --unknown-puk-tries if you are sure \
         that this is the right card and the right --secret"
    )]
    PukTriesUnknown,
    /// One try of the PIN is left.
    #[error(
        "one more wrong PIN blocks the card; if you are sure of it, say `card verify --allow-last-try`, which gives the \
         tries back, else give it a new one with `card unblock`"
    )]
    LastTry,
    /// The PIN is blocked.
    #[error("the card's PIN is blocked; give it a new one with `card unblock`")]
    Blocked,
    /// There is something on the card that would be lost.
    #[error(
        "the card already holds certificates: {0}; use `card renew` to renew them, or say --overwrite to replace them"
    )]
    Occupied(String),
    /// The card belongs to somebody else.
    #[error("this is the card of {found}, not of {wanted}; insert the right card")]
    OtherOwner {
        /// Whose card it is.
        found: String,
        /// Whose was expected.
        wanted: String,
    },
    /// A certificate or the key under it is not as it has to be for this command.
    #[error("{0}")]
    Unfit(String),
    /// The certificate authority's command could not be run.
    #[error("the certificate authority's command cannot be run: {program}; check --ca")]
    AuthorityMissing {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificate authority said no.
    #[error("the certificate authority refused: {0}")]
    AuthorityRefused(String),
    /// What the certificate authority answered is not the certificate that was asked for.
    #[error("the certificate authority's answer cannot be used: {0}; nothing was written for it")]
    AuthorityAnswer(String),
    /// The certificate that was issued was not seen on the card.
    #[error(
        "{source}. The certificate {serial} was issued: if `card show` does not show it on the card, revoke it with \
         `sealfax-mailserver ca revoke {serial} --reason 4`"
    )]
    Orphan {
        /// The certificate's serial number, hexadecimal.
        serial: String,
        /// What came between.
        #[source]
        source: Box<CardCommandError>,
    },
    /// Setting the mail account's password failed.
    #[error("the mail account's command failed: {0}; the card is not complete: mend it and give the same command")]
    Account(String),
    /// A file cannot be read or written.
    #[error("cannot use {path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that holds a secret is not what it has to be.
    #[error("{path} cannot serve as a secret: {what}", path = path.display())]
    SecretFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: &'static str,
    },
    /// A PIN or a password could not be read.
    #[error("{0}")]
    Input(String),
    /// The checks at the end found the card wanting.
    #[error("the card was written, but it does not do what the adapter needs: {0}")]
    Verdict(String),
    /// The mail cannot be opened, or is not what it says it is.
    #[error("{0}")]
    Mail(#[from] sealfax_smime::OpenError),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] std::io::Error),
}

fn and_left(left: Option<u8>) -> String {
    left.map(|left| format!(", and {left} tries are left of it")).unwrap_or_default()
}

impl CardCommandError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "CARD-200",
            Self::Removed | Self::RemovedAtTheEnd => "CARD-201",
            Self::Reader(_) | Self::NoPcsc => "CARD-202",
            Self::NoCard(_) => "CARD-203",
            Self::Card(_) | Self::LastTry | Self::Blocked => "CARD-204",
            Self::ManagementKey => "CARD-205",
            Self::Puk | Self::PukWrong { .. } | Self::PukLastTry | Self::PukBlocked | Self::PukTriesUnknown => {
                "CARD-206"
            }
            Self::Occupied(_) => "CARD-207",
            Self::OtherOwner { .. } => "CARD-208",
            Self::Unfit(_) => "CARD-209",
            Self::AuthorityMissing { .. } => "CARD-210",
            Self::AuthorityRefused(_) => "CARD-211",
            Self::AuthorityAnswer(_) => "CARD-212",
            Self::Orphan { .. } => "CARD-213",
            Self::Account(_) => "CARD-214",
            Self::File { .. } => "CARD-215",
            Self::SecretFile { .. } => "CARD-216",
            Self::Input(_) => "CARD-217",
            Self::Verdict(_) => "CARD-218",
            Self::Output(_) => "CARD-219",
            Self::Mail(error) => error.code(),
            Self::Unproven(_) => "CARD-220",
            Self::KeptManagementKey(_) => "CARD-221",
        }
    }

    /// The process's exit code: 1 the answer is no, 2 the command line, 3 the tool could not work.
    pub const fn exit(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Reader(_) | Self::NoPcsc | Self::Output(_) => 3,
            _ => 1,
        }
    }
}

impl From<CardTrouble> for CardCommandError {
    fn from(trouble: CardTrouble) -> Self {
        match trouble {
            CardTrouble::Gone => Self::Removed,
            CardTrouble::Unusable(unusable) => Self::Unfit(format!("the card cannot be used: {}", unusable.why)),
        }
    }
}

impl From<CardError> for CardCommandError {
    fn from(error: CardError) -> Self {
        match error {
            CardError::Removed => Self::Removed,
            // The administrator is the one whom the card's own words send people to.
            CardError::LastTry => Self::LastTry,
            CardError::Blocked => Self::Blocked,
            error @ (CardError::NoReader | CardError::Reader(_) | CardError::NotChosen(_)) => Self::Reader(error),
            error => Self::Card(error),
        }
    }
}
