//! The terminal's SMTP server: takes the document in and answers when it is clear what became of it (ST604, ST611,
//! ST615; *hold open*, S1a).

use std::sync::Arc;

use async_trait::async_trait;
use sealfax_client::smtp_server::{Envelope, Peer, Receiver, Reply, ReversePath};
use sealfax_drivers::display::NotSent;

use crate::notification;
use crate::office::Office;
use crate::outgoing::{Outgoing, origin};

/// Stands behind the terminal's SMTP port.
#[derive(Debug)]
pub struct TerminalSmtp {
    office: Arc<Office>,
    outgoing: Arc<Outgoing>,
}

impl TerminalSmtp {
    pub(crate) fn new(office: Arc<Office>, outgoing: Arc<Outgoing>) -> Self {
        Self { office, outgoing }
    }
}

#[async_trait]
impl Receiver for TerminalSmtp {
    async fn mail_from(&self, _: &Peer, _: &ReversePath) -> Result<(), Reply> {
        Ok(())
    }

    async fn rcpt_to(&self, _: &Peer, _: &Envelope, _: &str) -> Result<(), Reply> {
        Ok(())
    }

    async fn message(&self, peer: &Peer, envelope: Envelope, data: Vec<u8>) -> Reply {
        self.office.new_transmission().follow(self.take(peer, envelope, data)).await
    }
}

impl TerminalSmtp {
    async fn take(&self, peer: &Peer, envelope: Envelope, data: Vec<u8>) -> Reply {
        self.office.did(&["I1", "I3", "A1", "A2"], "the terminal's mail data came after 354");
        if notification::is_notification(&data) {
            // It would tell the network in clear who received what; and no card confirms for a machine.
            let who = format!("{} ({}) brought a notification of its own; refused", peer.address, peer.hello);
            self.office.suspicious("TERMINAL-002", who);
            return Reply::new(550, "5.7.1", "Not sent: cards confirm, switch confirmations by this machine off");
        }
        let from = match origin(&data) {
            Some(from) => from,
            None => {
                let who = format!("{} ({}) brought a mail without one single From; refused", peer.address, peer.hello);
                self.office.suspicious("TERMINAL-001", who);
                self.office.did(&["ST611"], "the terminal is told that the document was not sent");
                return reply(&NotSent::Unacceptable);
            }
        };
        let waiting = self.outgoing.take(&from, &envelope, data);
        match waiting.answer().await {
            Ok(()) => Reply::new(250, "2.0.0", "Sealed and sent"),
            Err(why) => reply(&why),
        }
    }
}

/// The words the terminal shows on its own display.
fn reply(why: &NotSent) -> Reply {
    match why {
        NotSent::NoCertificate(addresses) => {
            Reply::new(550, "5.7.5", format!("Not sent: no valid certificate for {}", addresses.join(", ")))
        }
        NotSent::BadCertificate { address, fault } => {
            let words =
                format!("Not sent: the certificate of {address} is not accepted ({})", fault.correspondent_code());
            match fault.is_of_the_answer() {
                true => Reply::new(451, "4.7.5", words),
                false => Reply::new(550, "5.7.5", words),
            }
        }
        NotSent::CertificateServerUnreachable(_) => {
            Reply::new(451, "4.4.1", "Not sent: certificate server cannot be reached, try again later")
        }
        NotSent::CardNotConfirmed => {
            Reply::new(451, "4.7.0", "Not sent: the card cannot be confirmed, try again later")
        }
        NotSent::ServerUnreachable => Reply::new(451, "4.4.1", "Not sent: server cannot be reached, try again later"),
        NotSent::Refused(code) if *code >= 500 => {
            Reply::new(554, "5.0.0", format!("Not sent: the mail server refused it ({code})"))
        }
        NotSent::Refused(code) => Reply::new(451, "4.0.0", format!("Not sent: the mail server is not ready ({code})")),
        NotSent::CardDidNotCome => Reply::new(451, "4.7.0", "Not sent: insert your card and send again"),
        NotSent::CardPulled => Reply::new(451, "4.7.0", "Not sent: the card was removed, send again"),
        NotSent::PinNotGiven => Reply::new(451, "4.7.0", "Not sent: no PIN was typed, send again"),
        NotSent::CardFailed => Reply::new(451, "4.7.0", "Not sent: the card did not sign, insert it and send again"),
        NotSent::CardInvalid => Reply::new(550, "5.7.0", "Not sent: the card is not valid"),
        NotSent::NotYourAddress => Reply::new(550, "5.7.1", "Not sent: the sender is not the owner of the card"),
        _ => Reply::new(554, "5.6.0", "Not sent: the document cannot be sealed"),
    }
}
