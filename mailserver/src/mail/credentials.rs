//! Who somebody is, for SMTP and POP3 alike: by password (Argon2id), or by a certificate that TLS has verified. Guesses are
//! counted for each account and each address, whatever the protocol.

use std::net::IpAddr;

use der::Decode as _;
use sealfax_client::lookup::addresses;
use sealfax_client::pop3_server::Password;
use tokio::sync::Semaphore;
use x509_cert::Certificate;

use super::guesses::Guesses;
use crate::accounts::{Account, Accounts, normalise};

/// Most passwords compared at once.
const COMPARISONS: usize = 4;

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Name or password, or the certificate, is wrong; which, is not told.
    Wrong,
    /// Too many guesses: later.
    TooMany,
    /// It could not be found out.
    Trouble,
}

/// The desk where people say who they are.
#[derive(Debug)]
pub(crate) struct Credentials {
    accounts: Accounts,
    guesses: Guesses,
    /// Comparing a password takes 19 MiB and a processor: this many at once, however many sessions ask.
    comparing: Semaphore,
}

impl Credentials {
    pub(crate) fn new(accounts: Accounts, login_failures: u32) -> Self {
        Self { accounts, guesses: Guesses::new(login_failures), comparing: Semaphore::new(COMPARISONS) }
    }

    /// By name and password.
    pub(crate) async fn by_password(
        &self,
        user: &str,
        password: &Password,
        from: IpAddr,
        now: std::time::SystemTime,
    ) -> Result<Account, Unknown> {
        // Guesses at an account are counted together, whichever of its addresses they name.
        let user = self.accounts.find(user).map_or_else(|| normalise(user), |account| account.address);
        let _place = self.comparing.acquire().await.map_err(|_| Unknown::Trouble)?;
        if !self.guesses.allows(&user, from, now) {
            return Err(Unknown::TooMany);
        }
        let (accounts, name, secret) = (self.accounts.clone(), user.clone(), password.clone());
        let verified = tokio::task::spawn_blocking(move || accounts.verify(&name, &secret)).await;
        match verified {
            Ok(Some(account)) => {
                self.guesses.succeeded(&user);
                Ok(account)
            }
            _ => {
                self.guesses.failed(&user, from, now);
                Err(Unknown::Wrong)
            }
        }
    }

    /// The account of an address, unless nobody may log in to it.
    pub(crate) fn standing(&self, address: &str) -> Option<Account> {
        self.accounts.find(address).filter(|account| !account.suspended)
    }

    /// Whether this is the address of an account that is suspended.
    pub(crate) fn suspends(&self, address: &str) -> bool {
        self.accounts.find(address).is_some_and(|account| account.suspended)
    }

    /// By a certificate: its one address that has an account, or the one that is named.
    pub(crate) fn by_certificate(&self, certificate: &[u8], user: Option<&str>) -> Result<Account, Unknown> {
        let certificate = Certificate::from_der(certificate).map_err(|_| Unknown::Wrong)?;
        let mut found = addresses(&certificate).into_iter().filter_map(|address| self.accounts.find(&address));
        let wanted = user.map(normalise);
        let account = found.find(|account| wanted.as_ref().is_none_or(|wanted| account.has(wanted)));
        account.filter(|account| !account.suspended).ok_or(Unknown::Wrong)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;
    use std::time::SystemTime;

    use sealfax_client::seam::Seams;

    use super::*;
    use crate::store::EmbeddedStore;

    #[tokio::test]
    async fn an_alias_gives_no_further_guesses() {
        let folder = tempfile::tempdir().unwrap();
        let entropy = Seams::system().entropy;
        let store = Arc::new(EmbeddedStore::open(folder.path(), &entropy).unwrap());
        let accounts = Accounts::open(store, entropy).unwrap().cheap();
        let password = |text: &str| Password::new(text.as_bytes().to_vec());
        accounts.add("hanako@b.test", "", &password("correct horse"), &[]).unwrap();
        accounts.set_aliases("hanako@b.test", &["sales@b.test".to_owned()]).unwrap();
        let desk = Credentials::new(accounts, 2);
        let mut said = Vec::new();
        for (host, user) in ["hanako@b.test", "sales@B.test", "sales@b.test"].into_iter().enumerate() {
            // Each from another address, so that only the account's own count speaks.
            let from = IpAddr::from([192, 0, 2, host as u8]);
            said.push(
                desk.by_password(user, &password("wrong guess"), from, SystemTime::UNIX_EPOCH).await.unwrap_err(),
            );
        }
        assert_eq!(said, [Unknown::Wrong, Unknown::Wrong, Unknown::TooMany]);
    }
}
