//! The mail itself in a session, by DATA or in chunks, and why it is refused (RFC 5321, RFC 3030).

use super::{Action, Mode, Session};
use crate::smtp_server::{DataFault, DataReceiver, Reply, StructureFault, check_structure};

impl Session {
    /// BDAT: its octets come at once, whatever is said of it (RFC 3030, 2).
    pub(super) fn chunk(&mut self, left: usize, last: bool) {
        let refused = match &self.envelope {
            None => Some(Reply::new(503, "5.5.1", "MAIL first")),
            Some(envelope) if envelope.forward_paths.is_empty() => {
                Some(Reply::new(554, "5.5.1", "No valid recipients"))
            }
            Some(_) => {
                let new = || DataReceiver::chunked(self.limits.message, self.limits.text_line);
                self.chunks.get_or_insert_with(new);
                None
            }
        };
        self.mode = Mode::Chunk { left, last, refused };
    }

    pub(super) fn chunk_complete(&mut self, last: bool) {
        let Mode::Chunk { refused, .. } = std::mem::replace(&mut self.mode, Mode::Commands) else { return };
        match (refused, last) {
            (Some(refusal), _) => self.fail(refusal),
            (None, false) => self.say(Reply::new(250, "2.0.0", "Chunk received")),
            (None, true) => {
                if let Some(receiver) = self.chunks.take() {
                    self.received(receiver);
                }
            }
        }
    }

    pub(super) fn data_complete(&mut self) {
        if let Mode::Data(receiver) = std::mem::replace(&mut self.mode, Mode::Commands) {
            self.received(receiver);
        }
    }

    pub(super) fn received(&mut self, receiver: DataReceiver) {
        let envelope = self.envelope.take().unwrap_or_default();
        match receiver.finish() {
            Ok(mail) => match check_structure(&mail, &self.limits) {
                Ok(()) => self.queue.push_back(Action::Message(envelope, mail)),
                Err(StructureFault::Header) => self.refuse(
                    Reply::new(554, "5.6.0", "Header too large"),
                    "SMTP-HEADER",
                    "header section beyond the bounds",
                ),
                Err(StructureFault::Containers) => self.refuse(
                    Reply::new(554, "5.6.0", "MIME structure too deep"),
                    "SMTP-MIME",
                    "MIME structure beyond the bounds",
                ),
            },
            Err(DataFault::TooLarge) => {
                self.refuse(Reply::new(552, "5.3.4", "Message too large"), "SMTP-SIZE", "message beyond the bounds")
            }
            Err(DataFault::LineTooLong) => self.refuse(
                Reply::new(554, "5.6.0", "Line longer than 1000 octets"),
                "SMTP-LINE",
                "line of a mail beyond the bounds",
            ),
            Err(DataFault::BareLineEnd) => self.refuse(
                Reply::new(554, "5.6.0", "A lone CR or LF is not allowed"),
                "SMTP-SMUGGLING",
                "a lone CR or LF inside DATA",
            ),
            Err(DataFault::Nul) => {
                self.refuse(Reply::new(554, "5.6.0", "NUL is not allowed"), "SMTP-NUL", "NUL inside DATA")
            }
        }
    }
}
