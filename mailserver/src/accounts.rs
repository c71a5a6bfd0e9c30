//! Accounts (M4): who has a mailbox here, what opens it, and at which adapters its owner is registered (C1).
//!
//! Domains compare without case, local parts with (RFC 5321, 2.4): `Sato@Office-A.example` and
//! `Sato@office-a.example` are one account, `sato@office-a.example` is another.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::Entropy;
use sealfax_client::smtp_server::valid_address;
use serde::{Deserialize, Serialize};

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
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("address", &self.address)
            .field("display_name", &self.display_name)
            .field("adapters", &self.adapters)
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
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accounts")
    }
}

/// An address as accounts are looked up: domain in lower case.
pub fn normalise(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => address.to_owned(),
    }
}

/// The domain of an address, in lower case.
pub fn domain_of(address: &str) -> String {
    address.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase()).unwrap_or_default()
}

impl Accounts {
    /// Reads the accounts of a store.
    pub fn open(store: Arc<dyn Store>, entropy: Arc<dyn Entropy>) -> Result<Self, StoreError> {
        let known = Arc::new(RwLock::new(store.accounts()?));
        Ok(Self { store, entropy, known, changing: Arc::default() })
    }

    /// All accounts, by address.
    pub fn list(&self) -> Vec<Account> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The account of an address.
    pub fn find(&self, address: &str) -> Option<Account> {
        let address = normalise(address);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|account| account.address == address).cloned()
    }

    /// Adds an account. Slow: the password is hashed.
    pub fn add(
        &self,
        address: &str,
        display_name: &str,
        password: &Password,
        adapters: &[String],
    ) -> Result<Account, AccountError> {
        if !valid_address(address) {
            return Err(AccountError::BadAddress(address.to_owned()));
        }
        check_adapters(adapters)?;
        let account = Account {
            address: normalise(address),
            display_name: display_name.chars().filter(|character| !character.is_control()).take(100).collect(),
            password: self.hash(password)?,
            adapters: adapters.iter().map(|host| host.to_ascii_lowercase()).collect(),
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

    /// Removes the account with its mails.
    pub fn remove(&self, address: &str) -> Result<(), AccountError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.store.remove_account(&normalise(address))? {
            return Err(AccountError::Unknown(address.to_owned()));
        }
        self.reload()?;
        Ok(())
    }

    /// Whether this password opens that account. As slow for unknown names as for known ones.
    pub fn verify(&self, address: &str, password: &Password) -> Option<Account> {
        // A hash that no password has; same cost as ours.
        const NOBODY: &str =
            "$argon2id$v=19$m=19456,t=2,p=1$c2VhbGZheC1ub2JvZHk$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let found = self.find(address);
        let hash = found.as_ref().map_or(NOBODY, |account| account.password.as_str());
        let parsed = PasswordHash::new(hash).ok()?;
        // The comparison of the outputs is in constant time.
        Argon2::default().verify_password(password.expose(), &parsed).ok()?;
        found
    }

    fn change(&self, address: &str, change: impl FnOnce(&mut Account)) -> Result<(), AccountError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut account = self.find(address).ok_or_else(|| AccountError::Unknown(address.to_owned()))?;
        change(&mut account);
        self.store.put_account(&account)?;
        self.reload()?;
        Ok(())
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
        let hash = Argon2::default().hash_password(octets, &salt).map_err(|_| AccountError::BadPassword)?;
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
