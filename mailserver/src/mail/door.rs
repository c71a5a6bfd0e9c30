//! Mail out (M4, C13): who may open which mailbox by POP3, one session at a time (RFC 1939, sections 3 and 8).

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sealfax_client::pop3_server::{MailboxDoor, Maildrop, MessageInfo, Outcome, Password, Refusal, ResponseCode};
use tokio::sync::Semaphore;

use super::Core;
use super::guesses::Guesses;
use crate::accounts::normalise;
use crate::store::{StoredMail, millis};

/// Most passwords compared at once.
const COMPARISONS: usize = 4;

pub(super) struct Door {
    core: Arc<Core>,
    guesses: Guesses,
    /// Comparing a password takes 19 MiB and a processor: this many at once, however many sessions ask.
    comparing: Semaphore,
    open: Arc<Mutex<HashSet<String>>>,
}

impl Door {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let guesses = Guesses::new(core.config.limits.login_failures);
        Self { core, guesses, comparing: Semaphore::new(COMPARISONS), open: Arc::default() }
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
        let user = normalise(user);
        let Ok(_place) = self.comparing.acquire().await else { return Err(store_trouble()) };
        let now = self.core.seams.clock.now();
        if !self.guesses.allows(&user, peer.ip(), now) {
            return Err(Refusal::new(ResponseCode::LoginDelay, "Too many attempts, try again in ten minutes"));
        }
        let accounts = self.core.accounts.clone();
        let (name, secret) = (user.clone(), password.clone());
        let verified = tokio::task::spawn_blocking(move || accounts.verify(&name, &secret)).await;
        let Ok(Some(account)) = verified else {
            self.guesses.failed(&user, peer.ip(), now);
            return Err(Refusal::new(ResponseCode::Auth, "Wrong login or password"));
        };
        self.guesses.succeeded(&user);
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
