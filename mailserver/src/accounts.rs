//! Accounts (M4): who has a mailbox here, what opens it, and at which adapters its owner is registered (C1).
//!
//! Domains compare without case, local parts with (RFC 5321, 2.4): `Sato@Office-A.example` and
//! `Sato@office-a.example` are one account, `sato@office-a.example` is another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use sealfax_client::history::Digest256;
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::Entropy;
use sealfax_client::smtp_server::{canonical_domain, valid_address, valid_international_address};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::store::{Store, StoreError};

/// One account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its mail address, domain in lower case.
    pub address: String,
    /// The person's name, for notices.
    pub display_name: String,
    /// Argon2id in PHC form.
    password: String,
    /// Host names of the adapters the person is registered at.
    pub adapters: Vec<String>,
    /// Other addresses whose mail is this account's, domain in lower case.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Nobody logs in; mail is kept.
    #[serde(default)]
    pub suspended: bool,
    /// Most octets of its mailbox; `None`: what the configuration says.
    #[serde(default)]
    pub quota: Option<u64>,
    /// The account whose adapters are told as well when notices stay unanswered.
    #[serde(default)]
    pub deputy: Option<String>,
}

impl Account {
    /// The same under another address.
    pub(crate) fn renamed(self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self }
    }

    /// What opens it now, as a digest: another password, another value.
    pub(crate) fn stamp(&self) -> Digest256 {
        Digest256::of(self.password.as_bytes())
    }

    /// One that nothing opens.
    #[cfg(test)]
    pub(crate) fn unusable(address: &str) -> Self {
        let (address, display_name, password) = (address.to_owned(), String::new(), String::new());
        Self {
            address,
            display_name,
            password,
            adapters: vec![],
            aliases: vec![],
            suspended: false,
            quota: None,
            deputy: None,
        }
    }

    /// Whether this address, domain in lower case, is the account's.
    pub fn has(&self, address: &str) -> bool {
        self.address == address || self.aliases.iter().any(|alias| alias == address)
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("address", &self.address)
            .field("display_name", &self.display_name)
            .field("adapters", &self.adapters)
            .field("aliases", &self.aliases)
            .field("suspended", &self.suspended)
            .field("quota", &self.quota)
            .field("deputy", &self.deputy)
            .finish_non_exhaustive()
    }
}

/// Why an account was not added or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Not a mail address.
    #[error("{0:?} is not a mail address; write it as name@domain")]
    BadAddress(String),
    /// Not a host name.
    #[error("{0:?} is not a host name; write the adapter's name as it stands in the DNS")]
    BadAdapter(String),
    /// Too short, or with characters POP3 cannot carry.
    #[error("the password must have 8 to 200 octets and no control characters")]
    BadPassword,
    /// It is there already.
    #[error("the account {0} exists; change or remove it instead")]
    Exists(String),
    /// There is none.
    #[error("there is no account {0}; see the list of accounts")]
    Unknown(String),
    /// Nobody can be told in their own stead.
    #[error("{0} cannot be its own deputy; name another account")]
    OwnDeputy(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The accounts of a store, kept in memory for the decisions at RCPT.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn Store>,
    entropy: Arc<dyn Entropy>,
    known: Arc<RwLock<Vec<Account>>>,
    /// One change at a time, so that memory and store agree.
    changing: Arc<Mutex<()>>,
    /// What a new password's hash costs.
    cost: Params,
    remembered: Arc<Remembered>,
}

/// Passwords that were found right since the start, each under a key that only this process has: who comes every few
/// minutes need not cost a slow hash each time. A wrong password always does.
#[derive(Default)]
struct Remembered {
    key: Zeroizing<[u8; 32]>,
    by_address: Mutex<HashMap<String, [u8; 32]>>,
}

impl Remembered {
    /// A tag of the password and of the slow hash it was checked against: another password, another tag.
    fn tag(&self, account: &Account, password: &Password) -> [u8; 32] {
        let hash = account.password.as_bytes();
        // Lengths go before what is of no fixed length.
        let digest = Sha256::new().chain_update(*self.key).chain_update((hash.len() as u64).to_be_bytes());
        digest.chain_update(hash).chain_update(password.expose()).chain_update(*self.key).finalize().into()
    }

    fn knows(&self, account: &Account, password: &Password) -> bool {
        let tag = self.tag(account, password);
        let by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        by_address.get(&account.address).is_some_and(|known| bool::from(known.ct_eq(&tag)))
    }

    fn remember(&self, account: &Account, password: &Password) {
        let tag = self.tag(account, password);
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner).insert(account.address.clone(), tag);
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accounts")
    }
}

/// An address as accounts are looked up: local part in normal form C, domain in A-labels and lower case.
pub fn normalise(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) if local.is_ascii() => format!("{local}@{}", canonical_domain(domain)),
        Some((local, domain)) => format!("{}@{}", local.nfc(), canonical_domain(domain)),
        None => address.to_owned(),
    }
}

/// The domain of an address, in A-labels and lower case.
pub fn domain_of(address: &str) -> String {
    address.rsplit_once('@').map(|(_, domain)| canonical_domain(domain)).unwrap_or_default()
}

impl Accounts {
    /// Reads the accounts of a store.
    pub fn open(store: Arc<dyn Store>, entropy: Arc<dyn Entropy>) -> Result<Self, StoreError> {
        let known = Arc::new(RwLock::new(store.accounts()?));
        let mut remembered = Remembered::default();
        entropy.fill(remembered.key.as_mut_slice());
        let (changing, cost, remembered) = (Arc::default(), Params::DEFAULT, Arc::new(remembered));
        Ok(Self { store, entropy, known, changing, cost, remembered })
    }

    /// For throw-away accounts whose passwords protect nothing: what is added through this is hashed in no time.
    #[must_use]
    pub fn cheap(mut self) -> Self {
        // The least that Argon2 allows; it is always allowed.
        self.cost = Params::new(Params::MIN_M_COST, Params::MIN_T_COST, Params::MIN_P_COST, None).unwrap_or_default();
        self
    }

    /// All accounts, by address.
    pub fn list(&self) -> Vec<Account> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The account of an address, its own or an alias.
    pub fn find(&self, address: &str) -> Option<Account> {
        let address = normalise(address);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|account| account.has(&address)).cloned()
    }

    /// Adds an account. Slow: the password is hashed.
    pub fn add(
        &self,
        address: &str,
        display_name: &str,
        password: &Password,
        adapters: &[String],
    ) -> Result<Account, AccountError> {
        if !valid_international_address(address) {
            return Err(AccountError::BadAddress(address.to_owned()));
        }
        check_adapters(adapters)?;
        let account = Account {
            address: normalise(address),
            display_name: display_name.chars().filter(|character| !character.is_control()).take(100).collect(),
            password: self.hash(password)?,
            adapters: adapters.iter().map(|host| host.to_ascii_lowercase()).collect(),
            aliases: Vec::new(),
            suspended: false,
            quota: None,
            deputy: None,
        };
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.find(address).is_some() {
            return Err(AccountError::Exists(account.address));
        }
        self.store.put_account(&account)?;
        self.reload()?;
        Ok(account)
    }

    /// Changes the password.
    pub fn set_password(&self, address: &str, password: &Password) -> Result<(), AccountError> {
        let hash = self.hash(password)?;
        self.change(address, |account| account.password = hash)
    }

    /// Changes the adapters.
    pub fn set_adapters(&self, address: &str, adapters: &[String]) -> Result<(), AccountError> {
        check_adapters(adapters)?;
        self.change(address, |account| {
            account.adapters = adapters.iter().map(|host| host.to_ascii_lowercase()).collect();
        })
    }

    /// Changes the other addresses whose mail is this account's.
    pub fn set_aliases(&self, address: &str, aliases: &[String]) -> Result<(), AccountError> {
        if let Some(bad) = aliases.iter().find(|alias| !valid_international_address(alias)) {
            return Err(AccountError::BadAddress(bad.clone()));
        }
        let mut aliases: Vec<String> = aliases.iter().map(|alias| normalise(alias)).collect();
        aliases.sort();
        aliases.dedup();
        let own = self.find(address).ok_or_else(|| AccountError::Unknown(address.to_owned()))?.address;
        let taken =
            |alias: &&String| self.find(alias).is_some_and(|other| other.address != own || other.address == **alias);
        if let Some(taken) = aliases.iter().find(taken) {
            return Err(AccountError::Exists(taken.clone()));
        }
        self.change(address, |account| account.aliases = aliases)
    }

    /// Lets nobody log in any more (`true`), or again. Mail is kept in either case.
    pub fn suspend(&self, address: &str, suspended: bool) -> Result<(), AccountError> {
        self.change(address, |account| account.suspended = suspended)
    }

    /// Bounds what the mailbox holds, in octets; `None`: as the configuration says.
    pub fn set_quota(&self, address: &str, quota: Option<u64>) -> Result<(), AccountError> {
        self.change(address, |account| account.quota = quota)
    }

    /// Names the account whose adapters are told as well when notices stay unanswered; `None`: nobody's.
    pub fn set_deputy(&self, address: &str, deputy: Option<&str>) -> Result<(), AccountError> {
        let unknown = |address: &str| AccountError::Unknown(address.to_owned());
        let deputy = deputy.map(|deputy| self.find(deputy).ok_or_else(|| unknown(deputy))).transpose()?;
        let deputy = deputy.map(|deputy| deputy.address);
        if deputy.is_some() && self.find(address).map(|account| account.address) == deputy {
            return Err(AccountError::OwnDeputy(address.to_owned()));
        }
        self.change(address, |account| account.deputy = deputy)
    }

    /// Whoever's deputy `from` was has `to` from now on. For who holds the lock on changes.
    fn replace_deputy(&self, from: &str, to: Option<&str>) -> Result<(), StoreError> {
        for account in self.list().into_iter().filter(|account| account.deputy.as_deref() == Some(from)) {
            self.store.put_account(&Account { deputy: to.map(str::to_owned), ..account })?;
        }
        Ok(())
    }

    /// Gives the account another address; its mails and notices go with it.
    pub fn rename(&self, from: &str, to: &str) -> Result<Account, AccountError> {
        if !valid_international_address(to) {
            return Err(AccountError::BadAddress(to.to_owned()));
        }
        let (from, to) = (normalise(from), normalise(to));
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.find(&to).is_some() {
            return Err(AccountError::Exists(to));
        }
        if !self.store.rename_account(&from, &to)? {
            return Err(AccountError::Unknown(from));
        }
        self.reload()?;
        self.replace_deputy(&from, Some(&to))?;
        self.reload()?;
        self.find(&to).ok_or(AccountError::Unknown(to))
    }

    /// Removes the account with its mails.
    pub fn remove(&self, address: &str) -> Result<(), AccountError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // An alias is no account to be removed.
        if !self.store.remove_account(&normalise(address))? {
            return Err(AccountError::Unknown(address.to_owned()));
        }
        self.reload()?;
        // Whoever gets this address later was not meant.
        self.replace_deputy(&normalise(address), None)?;
        self.reload()?;
        Ok(())
    }

    /// Whether this password opens that account. A wrong password is as slow for unknown names and suspended accounts as for
    /// others.
    pub fn verify(&self, address: &str, password: &Password) -> Option<Account> {
        // A hash that no password has; same cost as ours.
        const NOBODY: &str =
            "$argon2id$v=19$m=19456,t=2,p=1$c2VhbGZheC1ub2JvZHk$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let found = self.find(address).filter(|account| !account.suspended);
        if let Some(account) = found.as_ref().filter(|account| self.remembered.knows(account, password)) {
            return Some(account.clone());
        }
        let hash = found.as_ref().map_or(NOBODY, |account| account.password.as_str());
        let parsed = PasswordHash::new(hash).ok()?;
        // The comparison of the outputs is in constant time.
        Argon2::default().verify_password(password.expose(), &parsed).ok()?;
        let account = found?;
        self.remembered.remember(&account, password);
        Some(account)
    }

    fn change(&self, address: &str, change: impl FnOnce(&mut Account)) -> Result<(), AccountError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut account = self.find(address).ok_or_else(|| AccountError::Unknown(address.to_owned()))?;
        change(&mut account);
        self.store.put_account(&account)?;
        self.reload()?;
        Ok(())
    }

    /// Reads them again: another server has changed them.
    pub(crate) fn refresh(&self) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.reload() {
            tracing::warn!(%error, "the accounts could not be read again");
        }
    }

    fn reload(&self) -> Result<(), StoreError> {
        let read = self.store.accounts()?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    fn hash(&self, password: &Password) -> Result<String, AccountError> {
        let octets = password.expose();
        if !(8..=200).contains(&octets.len()) || octets.iter().any(u8::is_ascii_control) {
            return Err(AccountError::BadPassword);
        }
        let mut salt = [0u8; 16];
        self.entropy.fill(&mut salt);
        let salt = SaltString::encode_b64(&salt).map_err(|_| AccountError::BadPassword)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.cost.clone());
        let hash = argon2.hash_password(octets, &salt).map_err(|_| AccountError::BadPassword)?;
        Ok(hash.to_string())
    }
}

fn check_adapters(adapters: &[String]) -> Result<(), AccountError> {
    for host in adapters {
        if !valid_address(&format!("x@{host}")) || host.starts_with('[') {
            return Err(AccountError::BadAdapter(host.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
