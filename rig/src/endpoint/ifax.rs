//! An unmodified Internet fax machine (ITU-T T.37 simple mode, RFC 3965; I1-I3, ST701-ST709): it scans, compresses,
//! converts, sends by SMTP to the one mail server it knows, and fetches and prints by POP3. In extended mode (RFC 2532)
//! it asks for notifications besides, and answers those who ask. It knows nothing of adapters, cards or sealing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealfax_client::pop3::{self, Pop3Error};
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::Seams;
use sealfax_client::smtp::{self, Connection, Outgoing, SendError};
use sealfax_client::smtp_server::{Dsn, Notify, RecipientDsn, Return};
use sealfax_ifax::address::{Address, AddressError, Mailbox};
use sealfax_ifax::extended::{
    Awaited, FEATURES_FIELD, Notification, NotificationError, PROFILE_S_FEATURES, State, Waiting,
};
use sealfax_ifax::header::{Headers, format_date};
use sealfax_ifax::mail::{self, FaxMail, MailError};
use sealfax_ifax::mdn::{self, Mdn, MdnError};
use sealfax_ifax::page::Page;
use sealfax_ifax::tiff::{self, TiffError};

use super::tray::OutputTray;
pub use super::tray::PrintedDocument;
use crate::events::{EventKind, EventLog, Lane};

/// How long the machine waits for its mail server's last word (RFC 5321, 4.5.3.2.6).
const PATIENCE: Duration = Duration::from_secs(600);
/// Most mails taken in one session.
const MOST_MAILS: usize = 1000;

/// Why the machine could not do what was asked. What its mail server refuses is no error but an [`Lcd`] text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TerminalError {
    /// An address on the panel is none.
    #[error("the address {0:?} cannot be entered; correct it")]
    Address(String, #[source] AddressError),
    /// The pages cannot be converted.
    #[error("the pages cannot be converted")]
    Tiff(#[from] TiffError),
    /// The mail cannot be made.
    #[error("the mail cannot be made")]
    Mail(#[from] MailError),
    /// Fetching failed.
    #[error("fetching failed")]
    Pop3(#[from] Pop3Error),
    /// The output tray cannot be written.
    #[error("{} cannot be written; check the run's folder", path.display())]
    Tray {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A notification that came cannot be read.
    #[error("a notification cannot be read")]
    Notification(#[from] NotificationError),
    /// The notification that a sender asked for cannot be made.
    #[error("the notification that the sender asked for cannot be made")]
    Mdn(#[from] MdnError),
    /// The picture of a printed page cannot be made.
    #[error("the picture of a printed page cannot be made")]
    Picture(#[from] png::EncodingError),
}

/// What the machine's own little display says after sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lcd {
    /// The words.
    pub text: String,
    /// The mail server took the mail for every address.
    pub sent: bool,
    /// The reply that decided it, if there was one.
    pub code: Option<u16>,
    /// The Message-ID the machine gave, without angle brackets.
    pub message_id: String,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct IfaxTerminal {
    name: String,
    from: Mailbox,
    smtp: SocketAddr,
    pop3: SocketAddr,
    seams: Seams,
    log: EventLog,
    folder: PathBuf,
    extended: Option<Arc<Mutex<Extended>>>,
}

/// What a machine of extended mode remembers.
#[derive(Debug, Default)]
struct Extended {
    /// What was sent and waits for its notifications.
    waiting: Waiting,
    /// The notifications that came.
    taken: Vec<Vec<u8>>,
}

impl IfaxTerminal {
    /// A machine called `name` ("terminal-a") that sends as `from` and knows one mail server. Copies of what it sends
    /// and prints go into `folder/pages`.
    pub fn new(
        name: &str,
        from: &str,
        smtp: SocketAddr,
        pop3: SocketAddr,
        seams: Seams,
        log: EventLog,
        folder: &Path,
    ) -> Result<Self, TerminalError> {
        Ok(Self {
            name: name.to_owned(),
            from: mailbox(from)?,
            smtp,
            pop3,
            seams,
            log,
            folder: folder.to_path_buf(),
            extended: None,
        })
    }

    /// The same machine in extended mode (RFC 2532): it asks for notifications of both kinds, waits for them, and gives
    /// those that others ask for.
    pub fn in_extended_mode(mut self) -> Self {
        self.extended = Some(Arc::default());
        self
    }

    /// What the machine knows of a fax to this recipient; `None` in simple mode, or if it sent no such fax.
    pub fn confirmed(&self, message_id: &str, recipient: &str) -> Option<State> {
        let extended = self.extended.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        extended.waiting.fax(message_id)?.recipients.get(recipient).copied()
    }

    /// The notifications that the machine has fetched, as they came.
    pub fn notifications(&self) -> Vec<Vec<u8>> {
        let taken =
            |extended: &Arc<Mutex<Extended>>| extended.lock().unwrap_or_else(PoisonError::into_inner).taken.clone();
        self.extended.as_ref().map(taken).unwrap_or_default()
    }

    /// The same machine with another sender chosen on its panel.
    pub fn sending_as(mut self, from: &str) -> Result<Self, TerminalError> {
        self.from = mailbox(from)?;
        Ok(self)
    }

    fn step(&self, ids: &[&'static str], text: impl AsRef<str>) {
        let kind = EventKind::Step { ids: ids.to_vec() };
        self.log.write(Lane::Terminal, &self.name, kind, text);
    }

    /// Addresses on the panel, start, scan, compress, convert, send, and watch for the error (ST701-ST709).
    pub async fn send(&self, to: &[String], pages: &[Page], subject: &str) -> Result<Lcd, TerminalError> {
        self.step(&["ST701"], format!("address entered: {}", to.join(", ")));
        self.step(&["ST702"], "start pressed");
        self.step(&["ST703", "I1"], format!("{} page(s) scanned", pages.len()));
        let tiff = tiff::write(pages)?;
        self.step(&["ST704"], format!("compressed to MH, {} octets", tiff.len()));
        let recipients: Result<Vec<Mailbox>, TerminalError> = to.iter().map(|address| mailbox(address)).collect();
        let recipients = recipients?;
        let token = self.seams.entropy.token();
        let message_id = format!("{token}@{}", self.from.address.domain());
        let fax = FaxMail {
            from: self.from.clone(),
            to: recipients,
            subject: subject.to_owned(),
            date: self.seams.clock.now(),
            message_id: message_id.clone(),
            notify: self.extended.is_some().then(|| self.from.clone()),
            text: None,
            pages: tiff.clone(),
            boundary: format!("fax-{token}"),
        };
        let octets = mail::compose(&fax)?;
        self.step(&["ST705", "P1"], "TIFF and MIME made");
        self.tray().keep(&format!("pages/{}-sent.tif", self.name), &tiff)?;
        self.step(&["ST706"], format!("to the mail server at {}", self.smtp));
        let reverse_path = self.from.address.to_string();
        let envelope_id = format!("fax-{token}");
        let wishes = self.extended.is_some().then(|| wishes(&envelope_id, to));
        let sending = self.transact(Some(&reverse_path), to, &octets, wishes.as_ref());
        let outcome = tokio::time::timeout(PATIENCE, sending).await;
        self.step(&["ST707"], "error from the adapter?");
        let lcd = lcd(outcome.unwrap_or(Err(SendError::Timeout("end of data"))), message_id);
        if let Some(extended) = self.extended.as_ref().filter(|_| lcd.sent) {
            let recipients = to.iter().map(|address| (address.clone(), State::Awaited)).collect();
            let fax = Awaited { message_id: lcd.message_id.clone(), envelope_id, recipients };
            extended.lock().unwrap_or_else(PoisonError::into_inner).waiting.sent(fax);
        }
        let id = if lcd.sent { "ST708" } else { "ST709" };
        self.step(&[id], format!("LCD: {}", lcd.text));
        Ok(lcd)
    }

    async fn transact(
        &self,
        reverse_path: Option<&str>,
        to: &[String],
        octets: &[u8],
        dsn: Option<&Dsn>,
    ) -> Result<Vec<smtp::RecipientResult>, SendError> {
        let network = &*self.seams.network;
        if dsn.is_none() {
            return smtp::send(network, self.smtp, &self.name, reverse_path, to, octets).await;
        }
        let mut connection = Connection::open_asking(network, self.smtp, &self.name).await?;
        let outgoing = Outgoing { reverse_path, recipients: to, mail: octets, all_or_nothing: false, utf8: false, dsn };
        let results = connection.transact(outgoing).await?;
        connection.quit().await;
        Ok(results)
    }

    /// Fetches everything in the mailbox, prints it, deletes it. A mail that is no fax is left where it is.
    pub async fn receive(&self, login: &str, password: &[u8]) -> Result<Vec<PrintedDocument>, TerminalError> {
        self.step(&["ST912"], "receive pressed");
        let mut client = pop3::Client::connect(&*self.seams.network, self.pop3).await?;
        client.login(login, &Password::new(password.to_vec())).await?;
        let listing = client.list().await?;
        let (mut printed, mut asked) = (Vec::new(), Vec::new());
        for (number, _) in listing.into_iter().take(MOST_MAILS) {
            let mail = client.retr(number).await?;
            if self.is_news(&mail) {
                client.dele(number).await?;
                continue;
            }
            match self.print(mail) {
                Ok(document) => {
                    client.dele(number).await?;
                    asked.extend(request(&document.mail));
                    printed.push(document);
                }
                Err(error @ (TerminalError::Mail(_) | TerminalError::Tiff(_))) => {
                    self.log.write(
                        Lane::Terminal,
                        &self.name,
                        EventKind::Note,
                        format!("mail {number} is no fax and stays: {error}"),
                    );
                }
                Err(error) => return Err(error),
            }
        }
        client.quit().await?;
        if self.extended.is_some() {
            for request in asked {
                self.answer(&request).await?;
            }
        }
        Ok(printed)
    }

    /// In extended mode: takes a notification, and says on the display what it tells.
    fn is_news(&self, mail: &[u8]) -> bool {
        let Some(extended) = &self.extended else { return false };
        let note = |text: String| self.log.write(Lane::Terminal, &self.name, EventKind::Note, text);
        match Notification::read(mail) {
            Ok(None) => false,
            Ok(Some(notification)) => {
                let news = {
                    let mut extended = extended.lock().unwrap_or_else(PoisonError::into_inner);
                    extended.taken.push(mail.to_vec());
                    extended.waiting.take(&notification)
                };
                for news in &news {
                    let words = match news.state {
                        State::Processed => "印刷されました / PRINTED",
                        State::Failed => "不達 / NOT DELIVERED",
                        _ => "配達されました / DELIVERED",
                    };
                    note(format!("LCD: {words} {}", news.recipient));
                }
                if news.is_empty() {
                    note("a notification that tells nothing new".to_owned());
                }
                true
            }
            Err(error) => {
                note(format!("a notification that cannot be read is deleted: {error}"));
                true
            }
        }
    }

    /// In extended mode: the sender asked for a disposition notification, and gets it by mail in clear (RFC 2532).
    async fn answer(&self, request: &Request) -> Result<(), TerminalError> {
        let token = self.seams.entropy.token();
        let entity = mdn::compose(&Mdn {
            reporting_ua: format!("{}; simulated IFAX", self.name),
            original_recipient: None,
            final_recipient: self.from.address.clone(),
            original_message_id: request.message_id.clone(),
            disposition: mdn::Disposition::printed(),
            received_content_mic: None,
            extensions: vec![(FEATURES_FIELD.to_owned(), PROFILE_S_FEATURES.to_owned())],
            enclosed: None,
            text: "印刷しました。\nPrinted.\n".to_owned(),
            boundary: format!("mdn-{token}"),
        })?;
        let fields = [
            ("From", self.from.to_header()),
            ("To", request.to.to_string()),
            ("Subject", "Printed".to_owned()),
            ("Date", format_date(self.seams.clock.now())),
            ("Message-ID", format!("<{token}@{}>", self.from.address.domain())),
            ("MIME-Version", "1.0".to_owned()),
        ];
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.push(name, &value).map_err(MdnError::from)?;
        }
        let octets = [headers.to_octets(), entity].concat();
        let sent = self.transact(None, &[request.to.to_string()], &octets, None).await;
        let lcd = lcd(sent, request.message_id.clone());
        let text = format!("the notification for {}: {}", request.to, lcd.text);
        self.log.write(Lane::Terminal, &self.name, EventKind::Note, text);
        Ok(())
    }

    /// Decodes, expands, prints (I2).
    fn print(&self, octets: Vec<u8>) -> Result<PrintedDocument, TerminalError> {
        let fax = mail::parse(&octets, &mail::Limits::default())?;
        self.tray().print(tiff::read(&fax.pages, &tiff::Limits::default())?, octets)
    }

    fn tray(&self) -> OutputTray<'_> {
        OutputTray { machine: &self.name, folder: &self.folder, log: &self.log }
    }
}

/// A sender's request for a notification.
struct Request {
    to: Address,
    message_id: String,
}

fn request(mail: &[u8]) -> Option<Request> {
    let fax = mail::parse(mail, &mail::Limits::default()).ok()?;
    Some(Request { to: fax.notify?.address, message_id: fax.message_id })
}

/// Notifications of success and failure, and no page of the fax in them (RFC 2532, RFC 3461).
fn wishes(envelope_id: &str, to: &[String]) -> Dsn {
    let of = |recipient: &String| {
        let notify = Some(Notify { success: true, failure: true, delay: false });
        (recipient.clone(), RecipientDsn { notify, orcpt: Some(recipient.clone()) })
    };
    Dsn { ret: Some(Return::Headers), envid: Some(envelope_id.to_owned()), recipients: to.iter().map(of).collect() }
}

fn mailbox(text: &str) -> Result<Mailbox, TerminalError> {
    let address = Address::parse(text).map_err(|source| TerminalError::Address(text.to_owned(), source))?;
    Ok(address.into())
}

/// The words on the machine's display for what its mail server said.
fn lcd(outcome: Result<Vec<smtp::RecipientResult>, SendError>, message_id: String) -> Lcd {
    let (text, sent, code) = match outcome {
        Ok(results) => {
            let refused: Vec<_> =
                results.iter().filter_map(|result| Some((&result.recipient, result.outcome.as_ref().err()?))).collect();
            match refused.first() {
                None => ("送信しました / SENT".to_owned(), true, Some(250)),
                Some((recipient, rejection)) => (
                    format!("送信エラー / NOT SENT {recipient}: {} {}", rejection.code, rejection.text),
                    false,
                    Some(rejection.code),
                ),
            }
        }
        Err(SendError::Rejected { rejection, .. }) => {
            (format!("送信エラー / NOT SENT {} {}", rejection.code, rejection.text), false, Some(rejection.code))
        }
        Err(error) => (format!("通信エラー / COMMUNICATION ERROR: {error}"), false, None),
    };
    Lcd { text, sent, code, message_id }
}

#[cfg(test)]
mod tests;
