//! Mail out (M4, C13): who may open which mailbox by POP3, one session at a time (RFC 1939, sections 3 and 8).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use sealfax_client::pop3_server::{MailboxDoor, Maildrop, MessageInfo, Outcome, Password, Refusal, ResponseCode};
use sealfax_client::seam::TransmissionId;

use super::Core;
use super::credentials::Unknown;
use crate::accounts::Account;
use crate::header;
use crate::store::{MailboxLock, StoredMail, millis};

pub(super) struct Door {
    core: Arc<Core>,
}

impl Door {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Locks the account's mailbox and opens it.
    async fn open(&self, account: Account, from: SocketAddr) -> Result<Box<dyn Maildrop>, Refusal> {
        let account = account.address;
        self.core.contacts.logged_in(&account, from.ip(), self.core.seams.clock.now());
        let name = account.clone();
        let opened = self.core.with_store(move |store| {
            let Some(lock) = store.lock(&name)? else { return Ok(None) };
            Ok(Some((lock, store.list(&name)?)))
        });
        let opened = opened.await.map_err(|error| {
            self.core.seams.journal.failure(self.core.host(), "STORE-LIST", format!("{account}: {error}"));
            store_trouble()
        })?;
        let Some((lock, mails)) = opened else {
            return Err(Refusal::new(ResponseCode::InUse, "Another session has this mailbox open"));
        };
        let messages = mails.iter().map(|mail| MessageInfo { size: mail.size, uid: mail.uid.clone() }).collect();
        Ok(Box::new(Mailbox { core: self.core.clone(), account, _lock: lock, mails, messages, names: HashMap::new() }))
    }
}

fn refusal(unknown: Unknown) -> Refusal {
    match unknown {
        Unknown::Wrong => Refusal::new(ResponseCode::Auth, "Wrong login or password"),
        Unknown::TooMany => Refusal::new(ResponseCode::LoginDelay, "Too many attempts, try again in ten minutes"),
        Unknown::Trouble => store_trouble(),
    }
}

fn store_trouble() -> Refusal {
    Refusal::new(ResponseCode::SysTemp, "The mailbox cannot be read now")
}

#[async_trait]
impl MailboxDoor for Door {
    async fn login(&self, peer: SocketAddr, user: &str, password: &Password) -> Result<Box<dyn Maildrop>, Refusal> {
        let now = self.core.seams.clock.now();
        let known = self.core.credentials.by_password(user, password, peer.ip(), now).await;
        self.open(known.map_err(refusal)?, peer).await
    }

    async fn login_by_certificate(
        &self,
        peer: SocketAddr,
        certificate: &[u8],
        user: Option<&str>,
    ) -> Result<Box<dyn Maildrop>, Refusal> {
        let known = self.core.credentials.by_certificate(certificate, user);
        self.open(known.map_err(refusal)?, peer).await
    }

    fn takes_clear_passwords(&self) -> bool {
        self.core.config().tls.as_ref().is_none_or(|tls| tls.clear_logins)
    }
}

/// An opened mailbox.
struct Mailbox {
    core: Arc<Core>,
    account: String,
    _lock: Box<dyn MailboxLock>,
    mails: Vec<StoredMail>,
    messages: Vec<MessageInfo>,
    /// By what the log calls those that were fetched.
    names: HashMap<u64, TransmissionId>,
}

/// Whoever fetches a sealed mail has heard its notice: it escalates no more, also if the mail stays here.
async fn answered(core: &Core, account: String, id: u64) {
    let name = account.clone();
    if let Err(error) = core.with_store(move |store| store.answer_notice(&name, id)).await {
        // It is fetched all the same; at worst somebody is called once more.
        core.seams.journal.failure(core.host(), "STORE-NOTICE", format!("{account}: {error}"));
    }
}

#[async_trait]
impl Maildrop for Mailbox {
    fn messages(&self) -> &[MessageInfo] {
        &self.messages
    }

    async fn retrieve(&mut self, index: usize) -> Result<Vec<u8>, Refusal> {
        let account = self.account.clone();
        let Some((id, sealed)) = self.mails.get(index).map(|mail| (mail.id, mail.sealed)) else {
            return Err(Refusal { code: None, text: "No such message".to_owned() });
        };
        match self.core.with_store(move |store| store.read(&account, id)).await {
            Ok(Some(mail)) => {
                self.core.metrics.fetched.inc();
                let told = || self.core.step(&["M4", "C13"], format!("a mail of {} sent on request", self.account));
                match header::log_id(&mail, self.core.host()) {
                    Some(name) => {
                        name.clone().during(told);
                        self.names.insert(id, name);
                    }
                    None => told(),
                }
                if sealed && self.core.config().escalation.is_some() {
                    answered(&self.core, self.account.clone(), id).await;
                }
                Ok(mail)
            }
            Ok(None) => Err(Refusal::new(ResponseCode::SysPerm, "The message is gone")),
            Err(error) => {
                self.core.seams.journal.failure(self.core.host(), "STORE-READ", format!("{}: {error}", self.account));
                Err(store_trouble())
            }
        }
    }

    async fn commit(self: Box<Self>, outcome: Outcome) -> Result<(), Refusal> {
        let ids: Vec<u64> =
            outcome.deleted.iter().filter_map(|index| self.mails.get(*index)).map(|mail| mail.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let account = self.account.clone();
        let now = millis(self.core.seams.clock.now());
        let (count, deleted) = (ids.len(), ids.clone());
        match self.core.with_store(move |store| store.delete(&account, &ids, now)).await {
            Ok(()) => {
                let journal = &self.core.seams.journal;
                for name in deleted.iter().filter_map(|id| self.names.get(id)) {
                    name.clone().during(|| journal.note(self.core.host(), format!("deleted by {}", self.account)));
                }
                journal.note(self.core.host(), format!("{count} mail(s) of {} deleted at QUIT", self.account));
                self.core.ahead.no_longer_quiet(&self.account);
                self.core.wake.notify_one();
                Ok(())
            }
            Err(error) => {
                self.core.seams.journal.failure(self.core.host(), "STORE-DELETE", format!("{}: {error}", self.account));
                Err(Refusal::new(ResponseCode::SysTemp, "Some messages were not deleted"))
            }
        }
    }
}
