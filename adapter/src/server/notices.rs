//! The adapter's own SMTP door towards the network (ST901, ST902): arrival notices and confirmations from our mail
//! server, and nothing else from nobody else.
//!
//! A notice carries no content and can only light a lamp (see the decisions in the requirements).

use std::sync::Arc;

use async_trait::async_trait;
use sealfax_client::smtp_server::{Envelope, Peer, Receiver, Reply, ReversePath};
use sealfax_ifax::address::Mailbox;
use sealfax_ifax::header::Headers;

use super::confirmations::{Confirmations, Verdict};
use crate::flow::desk::Event;
use crate::flow::receiving::ReceivingEvent;
use crate::flow::{Owner, normal_address};
use crate::office::Office;

/// The header field that marks a notice.
pub const NOTICE_FIELD: &str = "Sealfax-Notice";

/// Stands behind the network's SMTP port.
#[derive(Debug)]
pub struct NetworkSmtp {
    office: Arc<Office>,
    confirmations: Arc<Confirmations>,
}

impl NetworkSmtp {
    pub(crate) fn new(office: Arc<Office>, confirmations: Arc<Confirmations>) -> Self {
        Self { office, confirmations }
    }
}

#[async_trait]
impl Receiver for NetworkSmtp {
    async fn mail_from(&self, peer: &Peer, _: &ReversePath) -> Result<(), Reply> {
        if self.office.config.network.notices_from.contains(&peer.address.ip()) {
            return Ok(());
        }
        self.office.suspicious("NOTICE-001", format!("{} is not our mail server; turned away", peer.address));
        Err(Reply::new(550, "5.7.1", "Not accepted"))
    }

    async fn rcpt_to(&self, _: &Peer, _: &Envelope, _: &str) -> Result<(), Reply> {
        Ok(())
    }

    async fn message(&self, peer: &Peer, envelope: Envelope, data: Vec<u8>) -> Reply {
        let notice = addressee(&data, &envelope.forward_paths).filter(|_| envelope.reverse_path.is_null());
        if let Some(owner) = notice {
            self.office.tell(Event::Receiving(ReceivingEvent::Notice(owner)));
            return Reply::new(250, "2.0.0", "Noticed");
        }
        match self.confirmations.take(&data).await {
            Verdict::Taken => Reply::new(250, "2.0.0", "Taken"),
            Verdict::Later => Reply::new(451, "4.3.0", "Try again later"),
            Verdict::Refused => {
                self.office.suspicious("NOTICE-002", format!("{} brought what is no notice of ours", peer.address));
                Reply::new(554, "5.7.0", "Not accepted")
            }
        }
    }
}

/// ST902, ST903: whom the notice is for. `None` if it is none that we understand.
pub fn addressee(mail: &[u8], forward_paths: &[String]) -> Option<Owner> {
    let (headers, _) = Headers::parse(mail).ok()?;
    headers.only(NOTICE_FIELD).ok()??;
    // Our server writes a notice itself. What it only passes on, a confirmation from anybody, has its trace field
    // (RFC 5321, 4.4) and cannot light a lamp.
    if headers.get("Received").is_some() {
        return None;
    }
    let to = Mailbox::parse(headers.only("To").ok()??).ok()?;
    let address = normal_address(&to.address.to_string());
    let named = forward_paths.iter().any(|path| normal_address(path) == address);
    let name = shown_name(&to.name.unwrap_or_else(|| to.address.local().to_owned()));
    named.then_some(Owner { address, name })
}

/// A name as the screen may show it: of bounded length, and without what would turn the line around.
fn shown_name(name: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    name.chars().filter(|c| !c.is_control() && !turns(*c)).take(48).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTICE: &str = "To: \"Hanako\" <hanako@b.example>\r\nSealfax-Notice: arrival; count=1\r\n\r\n";

    #[test]
    fn what_the_server_only_passes_on_is_no_notice() {
        let paths = ["hanako@B.example".to_owned()];
        let owner = Owner { address: "hanako@b.example".into(), name: "Hanako".into() };
        assert_eq!(addressee(NOTICE.as_bytes(), &paths), Some(owner));
        let passed_on = format!("Received: from x ([192.0.2.1])\r\n\tby mail.b.example\r\n{NOTICE}");
        assert_eq!(addressee(passed_on.as_bytes(), &paths), None);
        assert_eq!(addressee(NOTICE.as_bytes(), &["jiro@b.example".to_owned()]), None);
    }

    /// A deputy's adapter gets it as the recipient's own would: in the recipient's name, with one word more in its field.
    #[test]
    fn a_notice_that_escalated_is_the_recipients() {
        let notice = NOTICE.replace("count=1", "count=1; expires=2026-11-28T00:00:00Z; escalated");
        let owner = Owner { address: "hanako@b.example".into(), name: "Hanako".into() };
        assert_eq!(addressee(notice.as_bytes(), &["hanako@b.example".to_owned()]), Some(owner));
    }

    #[test]
    fn a_name_keeps_to_its_line() {
        assert_eq!(shown_name("佐藤\u{202e}花子\u{7}"), "佐藤花子");
        assert_eq!(shown_name(&"x".repeat(5000)).len(), 48);
    }
}
