//! Mail out (M4, C13): who may open which mailbox by POP3, one session at a time (RFC 1939, sections 3 and 8).

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sealfax_client::pop3_server::{MailboxDoor, Maildrop, MessageInfo, Outcome, Password, Refusal, ResponseCode};

use super::Core;
use super::credentials::Unknown;
use crate::accounts::Account;
use crate::store::{StoredMail, millis};

pub(super) struct Door {
    core: Arc<Core>,
    open: Arc<Mutex<HashSet<String>>>,
}

impl Door {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, open: Arc::default() }
    }

    /// Locks the account's mailbox and opens it.
    async fn open(&self, account: Account) -> Result<Box<dyn Maildrop>, Refusal> {
        let account = account.address;
        let lock = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if !open.insert(account.clone()) {
                return Err(Refusal::new(ResponseCode::InUse, "Another session has this mailbox open"));
            }
            Lock { open: self.open.clone(), account: account.clone() }
        };
        let name = account.clone();
        let mails = self.core.with_store(move |store| store.list(&name)).await.map_err(|error| {
            self.core.seams.journal.failure(self.core.host(), "STORE-LIST", format!("{account}: {error}"));
            store_trouble()
        })?;
        let messages = mails.iter().map(|mail| MessageInfo { size: mail.size, uid: mail.uid.clone() }).collect();
        Ok(Box::new(Mailbox { core: self.core.clone(), lock, mails, messages }))
    }
}

fn refusal(unknown: Unknown) -> Refusal {
    match unknown {
        Unknown::Wrong => Refusal::new(ResponseCode::Auth, "Wrong login or password"),
        Unknown::TooMany => Refusal::new(ResponseCode::LoginDelay, "Too many attempts, try again in ten minutes"),
        Unknown::Trouble => store_trouble(),
    }
}

/// The exclusive lock on a mailbox; given back when dropped.
struct Lock {
    open: Arc<Mutex<HashSet<String>>>,
    account: String,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
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
        self.open(known.map_err(refusal)?).await
    }

    async fn login_by_certificate(
        &self,
        _: SocketAddr,
        certificate: &[u8],
        user: Option<&str>,
    ) -> Result<Box<dyn Maildrop>, Refusal> {
        let known = self.core.credentials.by_certificate(certificate, user);
        self.open(known.map_err(refusal)?).await
    }

    fn takes_clear_passwords(&self) -> bool {
        self.core.config.tls.as_ref().is_none_or(|tls| tls.clear_logins)
    }
}

/// An opened mailbox.
struct Mailbox {
    core: Arc<Core>,
    lock: Lock,
    mails: Vec<StoredMail>,
    messages: Vec<MessageInfo>,
}

#[async_trait]
impl Maildrop for Mailbox {
    fn messages(&self) -> &[MessageInfo] {
        &self.messages
    }

    async fn retrieve(&mut self, index: usize) -> Result<Vec<u8>, Refusal> {
        let account = self.lock.account.clone();
        let Some(id) = self.mails.get(index).map(|mail| mail.id) else {
            return Err(Refusal { code: None, text: "No such message".to_owned() });
        };
        match self.core.with_store(move |store| store.read(&account, id)).await {
            Ok(Some(mail)) => {
                self.core.step(&["M4", "C13"], format!("a mail of {} sent on request", self.lock.account));
                Ok(mail)
            }
            Ok(None) => Err(Refusal::new(ResponseCode::SysPerm, "The message is gone")),
            Err(error) => {
                self.core.seams.journal.failure(
                    self.core.host(),
                    "STORE-READ",
                    format!("{}: {error}", self.lock.account),
                );
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
        let account = self.lock.account.clone();
        let now = millis(self.core.seams.clock.now());
        let count = ids.len();
        match self.core.with_store(move |store| store.delete(&account, &ids, now)).await {
            Ok(()) => {
                self.core
                    .seams
                    .journal
                    .note(self.core.host(), format!("{count} mail(s) of {} deleted at QUIT", self.lock.account));
                self.core.wake.notify_one();
                Ok(())
            }
            Err(error) => {
                self.core.seams.journal.failure(
                    self.core.host(),
                    "STORE-DELETE",
                    format!("{}: {error}", self.lock.account),
                );
                Err(Refusal::new(ResponseCode::SysTemp, "Some messages were not deleted"))
            }
        }
    }
}
