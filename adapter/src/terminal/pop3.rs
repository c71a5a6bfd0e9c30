//! The terminal's POP3 server (ST912, ST921, I2): with an accepted card the opened mails of its owner, without one the
//! terminal's own mailbox at the mail server, and in both cases the delivery reports that wait (D1).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use sealfax_client::pop3::{Client, Pop3Error};
use sealfax_client::pop3_server::{MailboxDoor, Maildrop, MessageInfo, Outcome, Password, Refusal, ResponseCode};

use crate::flow::desk::Event;
use crate::flow::receiving::MailId;
use crate::incoming::{Given, Incoming, OpenedMail, Visit};
use crate::ledger::LedgerError;
use crate::office::Office;

/// Stands behind the terminal's POP3 port.
#[derive(Debug)]
pub struct TerminalPop3 {
    office: Arc<Office>,
    incoming: Arc<Incoming>,
}

impl TerminalPop3 {
    pub(crate) fn new(office: Arc<Office>, incoming: Arc<Incoming>) -> Self {
        Self { office, incoming }
    }

    /// What is the adapter's own to tell: reports on paper, and the notifications that the terminal asked for.
    fn reports(&self) -> Vec<Item> {
        let read = || {
            let reports = self.office.ledger.reports()?.into_iter();
            let told = self.office.ledger.notifications()?.into_iter();
            let reports = reports.map(|(key, mail)| Item::Report { key, mail });
            Ok(reports.chain(told.map(|(key, mail)| Item::Notification { key, mail })).collect())
        };
        read().unwrap_or_else(|error: LedgerError| {
            self.office.failed("LEDGER-001", error.to_string());
            Vec::new()
        })
    }

    /// The terminal's own mailbox, with the login that the terminal itself brought.
    async fn ordinary(&self, user: &str, password: &Password) -> Result<(Client, Vec<MessageInfo>), Pop3Error> {
        let mut client = Client::connect(self.office.mail.as_ref(), self.office.config.network.pop3).await?;
        client.login(user, password).await?;
        let sizes: HashMap<usize, u64> = client.list().await?.into_iter().collect();
        let uids = client.uidl().await?;
        let infos = uids
            .into_iter()
            .map(|(number, uid)| {
                let size = sizes.get(&number).copied().unwrap_or(0);
                MessageInfo { size, uid: uid.into() }
            })
            .collect();
        Ok((client, infos))
    }
}

#[async_trait]
impl MailboxDoor for TerminalPop3 {
    async fn login(&self, _: SocketAddr, user: &str, password: &Password) -> Result<Box<dyn Maildrop>, Refusal> {
        let (visit, given) = self.incoming.visit().await;
        let drop = match given {
            Given::Refused => {
                return Err(Refusal::new(
                    ResponseCode::SysTemp,
                    "documents cannot be fetched now; see the adapter's screen",
                ));
            }
            Given::Opened(mails) => {
                let mut items: Vec<Item> = mails.into_iter().map(Item::Opened).collect();
                items.extend(self.reports());
                Drop::new(self.office.clone(), Some(visit), None, items)
            }
            // A machine on a telephone line has no mailbox of its own.
            Given::Ordinary if user.is_empty() => Drop::new(self.office.clone(), None, None, self.reports()),
            Given::Ordinary => {
                let reports = self.reports();
                match self.ordinary(user, password).await {
                    Ok((client, infos)) => {
                        let mut items: Vec<Item> =
                            (1..).zip(infos).map(|(number, info)| Item::Ordinary { number, info }).collect();
                        items.extend(reports);
                        Drop::new(self.office.clone(), None, Some(client), items)
                    }
                    // The reports are ours and do not depend on the mail server.
                    Err(_) if !reports.is_empty() => Drop::new(self.office.clone(), None, None, reports),
                    Err(error) if error.is_auth() => {
                        return Err(Refusal::new(ResponseCode::Auth, "the mail server refuses this login"));
                    }
                    Err(error) => {
                        self.office.failed("RECV-008", error.to_string());
                        return Err(Refusal::new(ResponseCode::SysTemp, "the mail server cannot be reached"));
                    }
                }
            }
        };
        Ok(Box::new(drop))
    }
}

enum Item {
    Opened(OpenedMail),
    Ordinary { number: usize, info: MessageInfo },
    Report { key: String, mail: Vec<u8> },
    Notification { key: String, mail: Vec<u8> },
}

/// What one log-in of the terminal sees.
struct Drop {
    office: Arc<Office>,
    visit: Option<Visit>,
    client: Option<Client>,
    cut: Option<Arc<AtomicBool>>,
    items: Vec<Item>,
    infos: Vec<MessageInfo>,
}

impl Drop {
    fn new(office: Arc<Office>, visit: Option<Visit>, client: Option<Client>, items: Vec<Item>) -> Self {
        let size = |octets: &[u8]| u64::try_from(octets.len()).unwrap_or(u64::MAX);
        let infos = items
            .iter()
            .map(|item| match item {
                Item::Opened(mail) => MessageInfo { size: size(&mail.octets), uid: mail.uid.as_str().into() },
                Item::Ordinary { info, .. } => info.clone(),
                Item::Report { key, mail } => MessageInfo { size: size(mail), uid: format!("report-{key}").into() },
                Item::Notification { key, mail } => {
                    MessageInfo { size: size(mail), uid: format!("notification-{key}").into() }
                }
            })
            .collect();
        let cut = visit.as_ref().map(|visit| visit.cut.clone());
        Self { office, visit, client, cut, items, infos }
    }

    fn opened(&self, indices: &[usize]) -> Vec<MailId> {
        indices
            .iter()
            .filter_map(|index| match self.items.get(*index) {
                Some(Item::Opened(mail)) => Some(mail.id),
                _ => None,
            })
            .collect()
    }
}

#[async_trait]
impl Maildrop for Drop {
    fn messages(&self) -> &[MessageInfo] {
        &self.infos
    }

    async fn retrieve(&mut self, index: usize) -> Result<Vec<u8>, Refusal> {
        if self.cut.as_ref().is_some_and(|cut| cut.load(Ordering::SeqCst)) {
            return Err(Refusal::new(ResponseCode::SysTemp, "the card was removed"));
        }
        let gone = || Refusal::new(ResponseCode::SysTemp, "the mail cannot be fetched now");
        match self.items.get(index) {
            Some(Item::Opened(mail)) => Ok(mail.octets.to_vec()),
            Some(Item::Report { mail, .. } | Item::Notification { mail, .. }) => Ok(mail.clone()),
            Some(Item::Ordinary { number, .. }) => {
                let client = self.client.as_mut().ok_or_else(gone)?;
                client.retr(*number).await.map_err(|error| {
                    self.office.failed("RECV-008", error.to_string());
                    gone()
                })
            }
            None => Err(gone()),
        }
    }

    fn unusable(&mut self, index: usize, code: &'static str) {
        if let (Some(Item::Opened(mail)), Some(visit)) = (self.items.get(index), &self.visit) {
            visit.unprintable(mail.id, code);
        }
    }

    /// QUIT. What was retrieved completely was printed: the terminal does not hand it back.
    async fn commit(mut self: Box<Self>, outcome: Outcome) -> Result<(), Refusal> {
        let mut reports = false;
        for index in &outcome.retrieved {
            let taken = match self.items.get(*index) {
                Some(Item::Report { key, .. }) => {
                    reports = true;
                    self.office.ledger.report_taken(key)
                }
                Some(Item::Notification { key, .. }) => {
                    self.office.did(&["D1"], "the terminal took the notification that it asked for");
                    self.office.ledger.notification_taken(key)
                }
                _ => Ok(()),
            };
            if let Err(error) = taken {
                self.office.failed("LEDGER-001", error.to_string());
            }
        }
        if reports {
            self.office.did(&["C10", "D1"], "the terminal took the delivery report");
            self.office.tell(Event::ReportsTaken);
        }
        if let Some(mut client) = self.client.take() {
            let mut ordinary = async || {
                for index in &outcome.deleted {
                    if let Some(Item::Ordinary { number, .. }) = self.items.get(*index) {
                        client.dele(*number).await?;
                    }
                }
                Ok::<(), Pop3Error>(())
            };
            let deleted = ordinary().await;
            let quit = client.quit().await;
            if let Err(error) = deleted.and(quit) {
                self.office.failed("RECV-008", error.to_string());
                return Err(Refusal::new(ResponseCode::SysTemp, "the mail server did not delete the mails"));
            }
        }
        let taken = self.opened(&outcome.retrieved);
        if let Some(visit) = self.visit.take() {
            visit.taken(taken).await;
        }
        Ok(())
    }

    async fn abandoned(mut self: Box<Self>, outcome: Outcome) {
        let taken = self.opened(&outcome.retrieved);
        if let Some(visit) = self.visit.take() {
            visit.left(&taken);
        }
    }
}
