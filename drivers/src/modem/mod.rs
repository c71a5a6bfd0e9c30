//! The fax modem: documents sent and received over a telephone line (ITU-T T.30) with a Class 1 modem (ITU-T T.31).
//!
//! [`FaxLine`] is the device. [`serial::open`] gives the real one, [`simulated::line`] two virtual ones on one line, and
//! [`Class1`] is what both are: T.30 over any stream that speaks AT commands. A page here is coded octets as they go over
//! the line, the first bit lowest; what is on it is nobody's business here.

pub mod at;
pub mod class1;
pub mod error;
pub mod format;
pub mod hdlc;
pub mod identity;
mod operate;
mod plugged;
pub mod port;
pub mod quirks;
pub mod serial;
pub mod simulated;
pub mod t30;
pub mod t31;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

pub use class1::Class1;
pub use error::{Advice, EndReason, FaxError};
pub use format::{Coding, CopyQuality, PageFormat, PageWish, Phase, Rate, Resolution, Scheme};
pub use identity::{Capabilities, Identity};
pub use plugged::Plugged;
pub use t30::called::ReceivedPage;

/// A document to be sent. Pages are asked for one by one, in the format that was agreed with the far end.
pub trait Document: Send {
    /// How many pages it has; at least one.
    fn pages(&self) -> usize;

    /// What page `page` (counted from 0) is, before anything was agreed.
    fn wants(&self, page: usize) -> PageWish;

    /// The numbers of the machines that it may go to, of which the far end has to say one before it is sent anything; `None`:
    /// whoever answers may have it.
    fn only_for(&self) -> Option<&[String]> {
        None
    }

    /// The octets of page `page` in `format`, the first bit on the line lowest. MH and MR with EOL before each line and
    /// RTC at the end, each line filled up to [`PageFormat::minimum_line_bits`]; MMR with EOFB.
    fn page(&mut self, page: usize, format: &PageFormat) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;
}

/// Where received pages go.
#[async_trait]
pub trait Tray: Send {
    /// A page has come, and its sender waits to hear how it is. Without error correction `Unusable` has it sent again,
    /// and `Poor` takes it and has the line trained anew; with error correction it is what was sent, so `Unusable` ends
    /// the call. A page that was `Unusable` does not belong to the document.
    fn page(&mut self, format: &PageFormat, octets: &[u8]) -> CopyQuality;

    /// All pages have come, and the last one is not confirmed yet: is the document accepted? If not, or if the answer
    /// takes too long, the call ends without a confirmation and the sender's machine reports a failure. It can be kept
    /// waiting for about eight seconds, with error correction for almost a minute. Dropped when it is too late.
    async fn accept(&mut self, _arrived: &Arrived) -> bool {
        true
    }
}

/// What is known of a document that has arrived and is not confirmed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrived {
    /// Its pages.
    pub pages: Vec<ReceivedPage>,
    /// Who the far end says it is (TSI): a claim.
    pub far_end: Option<String>,
    /// For whom it is here (SUB).
    pub subaddress: Option<String>,
    /// The password that came with it (SID).
    pub password: Option<Password>,
}

/// A password as it came over the line; not shown in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A call that rings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct IncomingCall {
    /// The caller's number, if the exchange tells it (`NMBR`).
    pub caller: Option<String>,
    /// The caller's name (`NAME`).
    pub name: Option<String>,
    /// The number that was dialled, on lines that have several (`NDID`).
    pub dialled: Option<String>,
}

/// A document that was received and confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// What arrived.
    pub arrived: Arrived,
    /// The rate of the last page.
    pub rate: Rate,
    /// How often the line had to be trained anew.
    pub retrainings: u32,
}

/// A document that was sent: every page confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Pages confirmed, which are all.
    pub pages: usize,
    /// Who the far end says it is (CSI): a claim.
    pub far_end: Option<String>,
    /// How the last page was sent, its rate in it.
    pub format: PageFormat,
    /// How often the line had to be trained anew.
    pub retrainings: u32,
}

/// What a modem says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Maker, model, firmware, as it says them.
    pub identification: Vec<String>,
    /// `+FCLASS=?`.
    pub classes: String,
    /// Whether Class 1 is among them.
    pub has_class_1: bool,
    /// The rates it can send and receive.
    pub rates: Vec<Rate>,
    /// How it is treated: the row of [`quirks::TABLE`].
    pub treated_as: &'static str,
    /// Whether it can show the caller's number.
    pub shows_caller: bool,
}

/// A telephone line with a fax modem on it.
#[async_trait]
pub trait FaxLine: Send {
    /// Waits until it rings. Ends when it is no longer waited for.
    /// What is known of a call by then is not lost when it is waited for again.
    async fn wait_for_call(&mut self) -> Result<IncomingCall, FaxError>;

    /// Whether it has rung so lately that somebody is still calling: to dial now would be to answer them.
    fn is_ringing(&self) -> bool;

    /// Answers a call that rings and receives a document.
    async fn answer(&mut self, me: &Identity, tray: &mut dyn Tray) -> Result<Received, FaxError>;

    /// Dials and sends a document, to a subaddress at the far end if one is given. The error says how many pages the far
    /// end has confirmed: those need not, and must not, be sent again.
    async fn call(
        &mut self,
        number: &str,
        me: &Identity,
        subaddress: Option<&str>,
        document: &mut dyn Document,
    ) -> Result<Sent, FaxError>;

    /// Asks the modem what it is and what it can do.
    async fn diagnose(&mut self) -> Result<Diagnosis, FaxError>;
}
