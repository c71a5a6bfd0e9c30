//! What Fig. 10 is told, and what it asks for.

use crate::flow::{CardChange, Owner, Protection, Step};

/// One log-in of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// A mail fetched in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailId(pub u64);

/// What a fetched mail turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fetched {
    /// Sealed: to be opened.
    Sealed,
    /// An ordinary mail: handed over as it is, never confirmed.
    Plain,
    /// The ledger says that the terminal took it, but its confirmation is still owed. Not printed again.
    Printed,
}

/// Why a mail is not handed over, with the code of its detail in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unfit {
    /// ST916.
    CannotOpen(&'static str),
    /// ST920.
    NotGenuine(&'static str),
    /// ST920: what the certificate server says of the sender cannot be relied on. Nothing is known against the mail.
    Unconfirmed(&'static str),
    /// The certificate server cannot be asked: fail closed, try again later.
    Unchecked(&'static str),
    /// The card was pulled meanwhile.
    CardGone,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceivingEvent {
    /// ST902: a notice from the mail server, analysed.
    Notice(Owner),
    /// The card's state changed.
    Card(CardChange),
    /// ST912: the terminal logged in.
    Receive(SessionId),
    /// ST913: the mailbox was fetched; its mails in order.
    Fetched(SessionId, Vec<(MailId, Fetched)>),
    /// The mail server could not be reached or refused the log-in.
    FetchFailed(SessionId),
    /// ST914, ST915. What bears no signature is decrypted only where such mails are taken.
    Decrypted(MailId, Result<Protection, Unfit>),
    /// ST917: the sender's certificate came.
    SenderCertificate(MailId, Result<(), Unfit>),
    /// ST918, ST919.
    Verified(MailId, Result<Protection, Unfit>),
    /// What was handed over cannot be printed by this terminal, with the code of why.
    Unprintable(MailId, &'static str),
    /// The terminal said QUIT; these it took completely.
    Taken(SessionId, Vec<MailId>),
    /// The terminal went without QUIT. What it took completely is known to the ledger.
    TerminalLeft(SessionId),
    /// ST922: the confirmation is made and durably queued, or could not be made now.
    Confirmed(MailId, bool),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceivingAction {
    /// Write the step down.
    Step(Step),
    /// No card is accepted: let the terminal have its own mailbox and waiting reports.
    Ordinary(SessionId),
    /// ST908: the card was accepted earlier; before it opens anything, the certificate server is asked anew.
    CheckCard,
    /// ST913: fetch this person's mailbox with the login on the card.
    Fetch(SessionId, Owner),
    /// ST914: decrypt with the card's key.
    Decrypt(MailId),
    /// ST917: get the sender's certificate from the certificate server and ask whether it is valid.
    FindSenderCertificate(MailId),
    /// ST918: verify.
    Verify(MailId),
    /// ST921: hand these to the terminal, in order. They may be none.
    Hand(SessionId, Vec<MailId>),
    /// The session cannot go on: the terminal is refused.
    Refuse(SessionId),
    /// The card was pulled: the terminal gets nothing more of what it has not taken yet.
    Cut(SessionId),
    /// ST922: make the confirmation with the card and queue it durably.
    Confirm(MailId),
    /// Delete these at the mail server (at QUIT), forget the others, and answer the terminal's QUIT.
    Settle(SessionId, Vec<MailId>),
}
