//! A call of the fax machine's: its pages become the mail that an Internet fax machine would send (the on-ramp of RFC 3249),
//! which goes through the same door.
//!
//! The answer to the last page says what became of it, as 250 does to an Internet fax machine: the machine says that the
//! document was sent when it was, and reports a failure when it was not. It waits some seconds for that, with error
//! correction most of a minute: a card that is not in has to come in that time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealfax_client::smtp_server::{Envelope, Peer, Receiver, ReversePath};
use sealfax_drivers::modem::identity::same_number;
use sealfax_drivers::modem::{Arrived, CopyQuality, IncomingCall, PageFormat, Tray};
use sealfax_ifax::Page;
use sealfax_ifax::address::{Address, AddressError, Mailbox};

use super::machine::NOWHERE;
use super::numbers::Numbers;
use super::paper::Inbound;
use crate::office::Office;
use crate::outer;

/// How long the machine waits for the answer to its last page, with time to spare (T.30: three times T4).
const PATIENCE: Duration = Duration::from_secs(6);
/// The same with error correction, where it is told to wait (RNR and RR, T5).
const PATIENCE_OF_ECM: Duration = Duration::from_secs(45);

/// From the telephone line to the door for mails.
pub(crate) struct OnRamp {
    pub(crate) office: Arc<Office>,
    pub(crate) numbers: Numbers,
    /// Who may call.
    pub(crate) callers: Vec<String>,
    /// The machine's own address.
    pub(crate) from: Mailbox,
    pub(crate) receiver: Arc<dyn Receiver>,
}

/// One call.
pub(super) struct Call<'a> {
    on_ramp: &'a OnRamp,
    ringing: IncomingCall,
    tray: Inbound,
}

impl<'a> Call<'a> {
    pub(super) fn new(on_ramp: &'a OnRamp, ringing: IncomingCall) -> Self {
        Self { on_ramp, ringing, tray: Inbound::default() }
    }

    /// Whose card is in signs what comes: only the machine itself may bring it. What the exchange says of the caller counts
    /// more than what the caller says.
    fn is_the_machine(&self, claimed: Option<&str>) -> bool {
        let caller = self.ringing.caller.as_deref().or(claimed);
        caller.is_some_and(|caller| self.on_ramp.callers.iter().any(|known| same_number(known, caller)))
    }
}

#[async_trait]
impl Tray for Call<'_> {
    fn page(&mut self, format: &PageFormat, octets: &[u8]) -> CopyQuality {
        self.tray.page(format, octets)
    }

    async fn accept(&mut self, arrived: &Arrived) -> bool {
        let on_ramp = self.on_ramp;
        if !self.is_the_machine(arrived.far_end.as_deref()) {
            let who = self.ringing.caller.as_ref().or(arrived.far_end.as_ref());
            on_ramp.office.suspicious("FAX-064", format!("a call from {who:?}, who is not the fax machine: not sent"));
            return false;
        }
        let (subaddress, dialled) = (arrived.subaddress.as_deref(), self.ringing.dialled.as_deref());
        let addressees = on_ramp.numbers.addressees(subaddress, dialled);
        if addressees.is_empty() {
            let called = subaddress.or(dialled);
            on_ramp.office.suspicious("FAX-060", format!("a call for {called:?}, who is nobody here: not sent"));
            return false;
        }
        let corrected = arrived.pages.iter().all(|page| page.format.ecm);
        let patience = if corrected { PATIENCE_OF_ECM } else { PATIENCE };
        match on_ramp.compose(&addressees, self.tray.pages()) {
            Ok(mail) => on_ramp.hand_on(addressees, mail, patience).await,
            Err(why) => {
                on_ramp.office.failed("FAX-061", format!("pages from the telephone line cannot be made a mail: {why}"));
                false
            }
        }
    }
}

impl OnRamp {
    /// Through the door. What is given up before its answer is not sent.
    async fn hand_on(&self, addressees: Vec<String>, mail: Vec<u8>, patience: Duration) -> bool {
        let envelope = Envelope {
            reverse_path: ReversePath::new(&self.from.address.to_string()),
            forward_paths: addressees,
            ..Envelope::default()
        };
        let peer = Peer::new(NOWHERE);
        let sending = self.receiver.message(&peer, envelope, mail);
        matches!(tokio::time::timeout(patience, sending).await, Ok(reply) if reply.is_positive())
    }

    /// What the machine would send, were it an Internet fax machine (T.37 simple mode).
    fn compose(&self, addressees: &[String], pages: &[Page]) -> Result<Vec<u8>, String> {
        let to: Result<Vec<Mailbox>, AddressError> =
            addressees.iter().map(|address| Address::parse(address).map(Mailbox::from)).collect();
        outer::fax_mail(&self.office, self.from.clone(), to.map_err(|error| error.to_string())?, "Fax", pages)
    }
}
