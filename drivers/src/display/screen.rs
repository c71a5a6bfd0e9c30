//! The states of the screen, one for each thing a person may need to know, with the steps of the source document.
//!
//! A screen names the recipient and nothing else of the mail: no subject, no sender, no page count before the card is
//! accepted.

use std::time::Duration;

use super::CardFault;

/// Which language stands first; the other stands beneath.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// Japanese above, English beneath.
    #[default]
    Japanese,
    /// English above, Japanese beneath.
    English,
}

/// Why a document was not sent (ST611, ST615).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotSent {
    /// No valid certificate for these addresses.
    NoCertificate(Vec<String>),
    /// The certificate of one of the recipients is not accepted.
    BadCertificate {
        /// Whose.
        address: String,
        /// Why.
        fault: CardFault,
    },
    /// The certificate server cannot be reached, with the code of the detail in the journal.
    CertificateServerUnreachable(&'static str),
    /// The mail server cannot be reached.
    ServerUnreachable,
    /// The mail server refused the mail; its reply code.
    Refused(u16),
    /// The mail was on its way and came back from these addresses.
    Returned(Vec<String>),
    /// These recipients signed that they did not take it.
    Declined(Vec<String>),
    /// The card was not inserted in time.
    CardDidNotCome,
    /// The card was pulled before the document was sealed.
    CardPulled,
    /// The card wanted its PIN for the signature, and nobody gave it.
    PinNotGiven,
    /// The card is in and did not sign.
    CardFailed,
    /// The card is not valid.
    CardInvalid,
    /// Nothing is known against the card; what the certificate server says of it cannot be relied on.
    CardNotConfirmed,
    /// The terminal's From is not the card owner's address.
    NotYourAddress,
    /// The document cannot be sealed as it is (too large, no recipients, malformed).
    Unacceptable,
    /// Its recipients read different ciphers; one mail has one.
    SendSeparately,
}

/// How one check of the diagnosis ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiagnosisMark {
    /// Nothing is wrong.
    Well,
    /// Somebody should look.
    Warning,
    /// Something is broken.
    Failed,
    /// It waits for another check to be mended.
    Blocked,
    /// There was nothing to check, or it could not be found out.
    Open,
}

/// One check of the diagnosis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DiagnosisLine {
    /// How it ended.
    pub mark: DiagnosisMark,
    /// The stable name of its first finding.
    pub code: Option<&'static str>,
    /// What it is, in Japanese.
    pub japanese: String,
    /// What it is, in English.
    pub english: String,
}

/// What the screen shows. [`Screen::kind`] is the bare state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Screen {
    /// ST901: nothing waits.
    Idle,
    /// ST903: documents wait for these people (display names, in order of arrival).
    Arrived {
        /// Display names.
        names: Vec<String>,
    },
    /// ST903, and for long: nobody came with their card.
    StillWaiting {
        /// Display names.
        names: Vec<String>,
        /// How long the first document has waited.
        since: Duration,
    },
    /// Enter the PIN.
    Pin {
        /// Whose card is in.
        name: String,
        /// Digits entered so far.
        entered: u8,
        /// Tries the card has left.
        tries_left: u8,
    },
    /// The person is asked for more than card and PIN: a finger on the reader.
    Person {
        /// Whose card is in.
        name: String,
        /// How often they may try.
        tries_left: u8,
    },
    /// ST908, ST602: ticks for card, certificate and server.
    Checking {
        /// The card was read and its PIN accepted.
        card: bool,
        /// The certificate's path holds.
        certificate: bool,
        /// The certificate server answered.
        server: bool,
    },
    /// ST906: not the addressee's card; the alert for `names` stays.
    WrongCard {
        /// Whom the waiting documents are for.
        names: Vec<String>,
    },
    /// ST911, ST613: card not valid.
    CardInvalid(CardFault),
    /// Wrong PIN; tries left.
    PinWrong {
        /// Tries the card has left.
        tries_left: u8,
    },
    /// No tries left: see the administrator.
    PinBlocked,
    /// ST910: press RECEIVE on the fax machine.
    PressReceive {
        /// Whose card is in.
        name: String,
        /// Documents that wait.
        documents: u32,
    },
    /// ST913-921: document `number` of `total` is being fetched, opened, printed.
    Receiving {
        /// Counting from one.
        number: u32,
        /// Documents in all.
        total: u32,
    },
    /// ST922: printed; take your card.
    Done {
        /// Documents printed.
        documents: u32,
    },
    /// V3: printed, though nobody is proven to have sent it; take your card.
    DoneUnsigned {
        /// Documents printed.
        documents: u32,
    },
    /// Printed, and it came under a cipher that only old peers use; take your card.
    DoneLegacy {
        /// Documents printed.
        documents: u32,
    },
    /// Printed, though it does not say whom it was sealed for; take your card.
    DoneUnbound {
        /// Documents printed.
        documents: u32,
    },
    /// Printed, and it came signed but not encrypted; take your card.
    DoneReadable {
        /// Documents printed.
        documents: u32,
    },
    /// ST916: cannot be opened; nothing was printed.
    CannotOpen {
        /// Stable code, the detail stands in the journal.
        code: &'static str,
    },
    /// ST920: the sender is not confirmed; nothing was printed.
    NotGenuine {
        /// Stable code, the detail stands in the journal.
        code: &'static str,
    },
    /// ST604: the card is valid and nothing waits: documents can be sent.
    Ready {
        /// Whose card is in.
        name: String,
    },
    /// S1: a document is held until its sender's card comes.
    Held {
        /// Time left, whole seconds.
        left: Duration,
    },
    /// ST605-610: sealing and sending.
    Sending,
    /// ST708: the mail server has it.
    Sent,
    /// V3: the mail server has it, without a signature.
    SentUnsigned,
    /// The mail server has it, under a cipher that its recipient's administrators asked for.
    SentLegacy,
    /// ST611's option: the mail server has it, signed and readable by everybody.
    SentReadable,
    /// ST611, ST615: not sent, and why.
    NotSent(NotSent),
    /// D1, C11: confirmations arrived, a report is ready to print.
    Delivered {
        /// How many.
        count: u32,
    },
    /// Confirmations that did not come in time.
    Overdue {
        /// How many.
        count: u32,
        /// How long the oldest is overdue.
        since: Duration,
    },
    /// Another certificate than before appeared for these correspondents, while the old one still counts.
    CertificateChanged {
        /// Whose.
        addresses: Vec<String>,
    },
    /// The technician's page, opened by holding the button.
    Diagnosis {
        /// One for each check; none while it goes on.
        lines: Vec<DiagnosisLine>,
        /// The one thing to do next.
        advice: Option<Fault>,
    },
}

/// The bare state of a [`Screen`], for priorities, tables and the machine-readable marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs)] // named after the variants of `Screen`
pub enum ScreenKind {
    Idle,
    Arrived,
    Pin,
    Checking,
    WrongCard,
    CardInvalid,
    PinWrong,
    PinBlocked,
    PressReceive,
    Receiving,
    Done,
    CannotOpen,
    NotGenuine,
    Ready,
    Held,
    Sending,
    Sent,
    NotSent,
    Delivered,
    Overdue,
    CertificateChanged,
    Diagnosis,
    Person,
    DoneUnsigned,
    SentUnsigned,
    DoneLegacy,
    SentLegacy,
    DoneUnbound,
    DoneReadable,
    SentReadable,
    StillWaiting,
}

impl ScreenKind {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::Idle,
        Self::Arrived,
        Self::Pin,
        Self::Checking,
        Self::WrongCard,
        Self::CardInvalid,
        Self::PinWrong,
        Self::PinBlocked,
        Self::PressReceive,
        Self::Receiving,
        Self::Done,
        Self::CannotOpen,
        Self::NotGenuine,
        Self::Ready,
        Self::Held,
        Self::Sending,
        Self::Sent,
        Self::NotSent,
        Self::Delivered,
        Self::Overdue,
        Self::CertificateChanged,
        Self::Diagnosis,
        Self::Person,
        Self::DoneUnsigned,
        Self::SentUnsigned,
        Self::DoneLegacy,
        Self::SentLegacy,
        Self::DoneUnbound,
        Self::DoneReadable,
        Self::SentReadable,
        Self::StillWaiting,
    ];

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The state's name in file names, logs and reports: `press-receive`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Arrived => "arrived",
            Self::Pin => "pin",
            Self::Checking => "checking",
            Self::WrongCard => "wrong-card",
            Self::CardInvalid => "card-invalid",
            Self::PinWrong => "pin-wrong",
            Self::PinBlocked => "pin-blocked",
            Self::PressReceive => "press-receive",
            Self::Receiving => "receiving",
            Self::Done => "done",
            Self::CannotOpen => "cannot-open",
            Self::NotGenuine => "not-genuine",
            Self::Ready => "ready",
            Self::Held => "held",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::NotSent => "not-sent",
            Self::Delivered => "delivered",
            Self::Overdue => "overdue",
            Self::CertificateChanged => "certificate-changed",
            Self::Diagnosis => "diagnosis",
            Self::Person => "person",
            Self::DoneUnsigned => "done-unsigned",
            Self::SentUnsigned => "sent-unsigned",
            Self::DoneLegacy => "done-legacy",
            Self::SentLegacy => "sent-legacy",
            Self::DoneUnbound => "done-unbound",
            Self::DoneReadable => "done-readable",
            Self::SentReadable => "sent-readable",
            Self::StillWaiting => "still-waiting",
        }
    }
}

impl Screen {
    /// The bare state.
    pub fn kind(&self) -> ScreenKind {
        match self {
            Self::Idle => ScreenKind::Idle,
            Self::Arrived { .. } => ScreenKind::Arrived,
            Self::Pin { .. } => ScreenKind::Pin,
            Self::Checking { .. } => ScreenKind::Checking,
            Self::WrongCard { .. } => ScreenKind::WrongCard,
            Self::CardInvalid(_) => ScreenKind::CardInvalid,
            Self::PinWrong { .. } => ScreenKind::PinWrong,
            Self::PinBlocked => ScreenKind::PinBlocked,
            Self::PressReceive { .. } => ScreenKind::PressReceive,
            Self::Receiving { .. } => ScreenKind::Receiving,
            Self::Done { .. } => ScreenKind::Done,
            Self::CannotOpen { .. } => ScreenKind::CannotOpen,
            Self::NotGenuine { .. } => ScreenKind::NotGenuine,
            Self::Ready { .. } => ScreenKind::Ready,
            Self::Held { .. } => ScreenKind::Held,
            Self::Sending => ScreenKind::Sending,
            Self::Sent => ScreenKind::Sent,
            Self::NotSent(_) => ScreenKind::NotSent,
            Self::Delivered { .. } => ScreenKind::Delivered,
            Self::Overdue { .. } => ScreenKind::Overdue,
            Self::CertificateChanged { .. } => ScreenKind::CertificateChanged,
            Self::Diagnosis { .. } => ScreenKind::Diagnosis,
            Self::Person { .. } => ScreenKind::Person,
            Self::DoneUnsigned { .. } => ScreenKind::DoneUnsigned,
            Self::SentUnsigned => ScreenKind::SentUnsigned,
            Self::DoneLegacy { .. } => ScreenKind::DoneLegacy,
            Self::SentLegacy => ScreenKind::SentLegacy,
            Self::DoneUnbound { .. } => ScreenKind::DoneUnbound,
            Self::DoneReadable { .. } => ScreenKind::DoneReadable,
            Self::SentReadable => ScreenKind::SentReadable,
            Self::StillWaiting { .. } => ScreenKind::StillWaiting,
        }
    }
}

/// Something is wrong with the adapter itself; shown as a band over any state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The stable name of `diagnose`, such as `CARD-001`.
    pub code: &'static str,
    /// In Japanese.
    pub japanese: String,
    /// In English.
    pub english: String,
}

/// What stands small and constant at the edge of every screen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Status {
    /// The office's name.
    pub office: String,
    /// Hours and minutes as shown, already in local time ("14:05").
    pub clock: String,
    /// The terminal's port has a link.
    pub terminal_link: bool,
    /// The network's port has a link.
    pub network_link: bool,
    /// A card reader is there.
    pub reader: bool,
    /// The fault band, if any.
    pub fault: Option<Fault>,
}
