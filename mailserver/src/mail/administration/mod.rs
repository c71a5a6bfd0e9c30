//! What an administrator asks for: accounts, the queue, a backup. The same orders are carried out by a running server, over its
//! socket, and by the command line itself where none runs.

mod socket;
mod web;

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::{Clock, Entropy};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::Notify;

pub use self::socket::{AskError, ask};
pub(super) use self::socket::{bind, serve};
pub(super) use self::web::show;
use super::MailConfig;
use crate::accounts::{Account, Accounts};
use crate::store::{EmbeddedStore, PostgresStore, QueueItem, Route, Store, StoreError, millis};

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// All accounts.
    Accounts,
    /// A new one.
    Add {
        /// Its address.
        address: String,
        /// The person's name.
        name: String,
        /// What opens it.
        password: Secret,
        /// Host names.
        adapters: Vec<String>,
    },
    /// Another password.
    Passwd {
        /// Whose.
        address: String,
        /// The new one.
        password: Secret,
    },
    /// Other adapters.
    Adapters {
        /// Whose.
        address: String,
        /// Host names.
        adapters: Vec<String>,
    },
    /// Other further addresses.
    Aliases {
        /// Whose.
        address: String,
        /// Mail addresses.
        aliases: Vec<String>,
    },
    /// How much the mailbox may hold; `None`: what the configuration says.
    Quota {
        /// Whose.
        address: String,
        /// In octets.
        octets: Option<u64>,
    },
    /// Whose adapters are told as well when notices stay unanswered; `None`: nobody's.
    Deputy {
        /// Whose notices.
        address: String,
        /// Another account's address.
        deputy: Option<String>,
    },
    /// Nobody logs in any more, or again.
    Suspend {
        /// Whose.
        address: String,
        /// Whether nobody does.
        suspended: bool,
    },
    /// Another address; mails and notices go with it.
    Move {
        /// The old one.
        from: String,
        /// The new one.
        to: String,
    },
    /// Away, with its mails.
    Remove {
        /// Whose.
        address: String,
    },
    /// All mails that are on their way.
    Queue,
    /// Try these now; none named: all.
    Retry {
        /// Numbers in the queue.
        ids: Vec<u64>,
    },
    /// Give these up without a word to anybody.
    Drop {
        /// Numbers in the queue.
        ids: Vec<u64>,
    },
    /// A copy of the store.
    Backup {
        /// An empty folder, or one that is not there.
        to: PathBuf,
    },
}

/// A password on its way to a server of the same machine; never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret(pub Password);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&zeroize::Zeroizing::new(STANDARD.encode(self.0.expose())))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
        let octets = STANDARD.decode(text.as_bytes()).map_err(|_| serde::de::Error::custom("not in base64"))?;
        Ok(Self(Password::new(octets)))
    }
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// It is done: a sentence for the administrator.
    Done(String),
    /// The accounts.
    Accounts(Vec<AccountRow>),
    /// The queue.
    Queue(Vec<QueueRow>),
    /// It is not done: why, and what to do.
    Refused(String),
}

/// An account as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// Its address.
    pub address: String,
    /// The person's name.
    pub display_name: String,
    /// Host names.
    pub adapters: Vec<String>,
    /// Its further addresses.
    pub aliases: Vec<String>,
    /// Whether nobody logs in.
    pub suspended: bool,
    /// What its mailbox may hold in octets, where it differs from the configuration.
    pub quota: Option<u64>,
    /// Whose adapters are told as well when notices stay unanswered.
    #[serde(default)]
    pub deputy: Option<String>,
    /// Mails in it.
    pub mails: u64,
    /// Their octets.
    pub octets: u64,
}

/// A mail on its way as it is listed. Times are milliseconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRow {
    /// Its number.
    pub id: u64,
    /// Where to: a domain, or adapters.
    pub to: String,
    /// Who wants it.
    pub recipients: Vec<String>,
    /// Reverse path; none is `<>`.
    pub reverse_path: Option<String>,
    /// Since when.
    pub queued: u64,
    /// Attempts made.
    pub attempts: u32,
    /// When it is tried again.
    pub next: u64,
    /// When it is given up.
    pub expires: u64,
    /// What failed last.
    pub last_error: String,
}

impl From<QueueItem> for QueueRow {
    fn from(item: QueueItem) -> Self {
        let to = match item.route {
            Route::Domain(domain) => domain,
            Route::Adapters(hosts) => hosts.join(" "),
        };
        let QueueItem { id, recipients, reverse_path, queued, attempts, next, expires, last_error, .. } = item;
        Self { id, to, recipients, reverse_path, queued, attempts, next, expires, last_error }
    }
}

/// Carries orders out. Slow: passwords are hashed, disks are waited for.
#[derive(Clone)]
pub struct Administration {
    pub(super) accounts: Accounts,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    /// Rung when something in the queue is to be looked at.
    pub(super) wake: Arc<Notify>,
}

impl std::fmt::Debug for Administration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Administration")
    }
}

impl Administration {
    /// Over a store that no server uses.
    pub fn open(config: &MailConfig, entropy: Arc<dyn Entropy>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let store: Arc<dyn Store> = match &config.database {
            Some(database) => Arc::new(PostgresStore::open(database, &config.data, &entropy)?),
            None => Arc::new(EmbeddedStore::open(&config.data, &entropy)?),
        };
        let accounts = Accounts::open(store.clone(), entropy)?;
        Ok(Self { accounts, store, clock, wake: Arc::default() })
    }

    /// Carries one out.
    pub fn perform(&self, order: Order) -> Told {
        self.attempt(order).unwrap_or_else(Told::Refused)
    }

    fn attempt(&self, order: Order) -> Result<Told, String> {
        let accounts = &self.accounts;
        let done = match order {
            Order::Accounts => return self.list().map(Told::Accounts),
            Order::Queue => {
                return Ok(Told::Queue(self.queue()?.into_iter().map(QueueRow::from).collect()));
            }
            Order::Add { address, name, password, adapters } => {
                let added = accounts.add(&address, &name, &password.0, &adapters).map_err(told)?;
                format!("Added {}.", added.address)
            }
            Order::Passwd { address, password } => {
                accounts.set_password(&address, &password.0).map_err(told)?;
                format!("Password of {address} changed.")
            }
            Order::Adapters { address, adapters } => {
                accounts.set_adapters(&address, &adapters).map_err(told)?;
                format!("Adapters of {address} changed.")
            }
            Order::Aliases { address, aliases } => {
                accounts.set_aliases(&address, &aliases).map_err(told)?;
                format!("Aliases of {address} changed.")
            }
            Order::Quota { address, octets } => {
                accounts.set_quota(&address, octets).map_err(told)?;
                format!("Quota of {address} changed.")
            }
            Order::Deputy { address, deputy } => {
                accounts.set_deputy(&address, deputy.as_deref()).map_err(told)?;
                deputy.map_or(format!("{address} has no deputy."), |deputy| {
                    format!("The deputy of {address} is {deputy}.")
                })
            }
            Order::Suspend { address, suspended } => {
                accounts.suspend(&address, suspended).map_err(told)?;
                if suspended {
                    format!("Nobody logs in as {address} any more; its mail is kept.")
                } else {
                    format!("{address} can log in again.")
                }
            }
            Order::Move { from, to } => {
                let moved = accounts.rename(&from, &to).map_err(told)?;
                format!("{from} is {} now, with its mails.", moved.address)
            }
            Order::Remove { address } => {
                accounts.remove(&address).map_err(told)?;
                format!("Removed {address} with its mails.")
            }
            Order::Retry { ids } => {
                let now = millis(self.clock.now());
                let mut count = 0;
                for item in self.chosen(&ids, true)? {
                    let id = item.id;
                    let item = QueueItem { next: now, ..item };
                    count += usize::from(self.store.settle(id, Some(item), None).map_err(told)?);
                }
                self.wake.notify_one();
                format!("{count} mail(s) are tried now.")
            }
            Order::Drop { ids } => {
                let mut count = 0;
                for item in self.chosen(&ids, false)? {
                    count += usize::from(self.store.settle(item.id, None, None).map_err(told)?);
                }
                format!("{count} mail(s) given up; nobody was told.")
            }
            Order::Backup { to } => {
                self.store.backup(&to).map_err(told)?;
                format!("{} holds the store as it is now; a server can be started on a copy of it.", to.display())
            }
        };
        Ok(Told::Done(done))
    }

    fn list(&self) -> Result<Vec<AccountRow>, String> {
        self.accounts.list().into_iter().map(|account| self.row(account).map_err(told)).collect()
    }

    /// An account with how full its mailbox is.
    fn row(&self, account: Account) -> Result<AccountRow, StoreError> {
        let usage = self.store.usage(&account.address)?;
        Ok(AccountRow {
            mails: usage.mails,
            octets: usage.octets,
            address: account.address,
            display_name: account.display_name,
            adapters: account.adapters,
            aliases: account.aliases,
            suspended: account.suspended,
            quota: account.quota,
            deputy: account.deputy,
        })
    }

    fn queue(&self) -> Result<Vec<QueueItem>, String> {
        self.store.queue().map_err(told)
    }

    /// The items of these numbers; of none: all, if that is meant.
    fn chosen(&self, ids: &[u64], none_is_all: bool) -> Result<Vec<QueueItem>, String> {
        let items = self.queue()?;
        let known = |id: &u64| items.iter().any(|item| item.id == *id);
        if let Some(unknown) = ids.iter().find(|id| !known(id)) {
            return Err(format!("there is no mail {unknown} in the queue; see `queue list`"));
        }
        let all = ids.is_empty() && none_is_all;
        Ok(items.into_iter().filter(|item| all || ids.contains(&item.id)).collect())
    }
}

/// An error with its causes.
fn told(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
