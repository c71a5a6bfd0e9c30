//! When somebody was last heard of: adapters that took something, and accounts that were logged in to. Since the start of this
//! server, in memory: it is for an administrator who wonders whether a board is still there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Names that are remembered; further ones are not.
const MOST: usize = 65_536;

/// What is known of an adapter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Adapter {
    /// When it last took a notice or a confirmation.
    pub(super) took: Option<SystemTime>,
    /// When it last did not, and why.
    pub(super) failed: Option<(SystemTime, String)>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Contacts {
    /// Since when.
    pub(super) since: SystemTime,
    adapters: Mutex<HashMap<String, Adapter>>,
    log_ins: Mutex<HashMap<String, (SystemTime, IpAddr)>>,
}

impl Contacts {
    pub(super) fn new(since: SystemTime) -> Self {
        Self { since, adapters: Mutex::default(), log_ins: Mutex::default() }
    }

    /// An adapter took something, or did not.
    pub(super) fn tried(&self, host: &str, now: SystemTime, failure: Option<&str>) {
        let mut adapters = self.adapters.lock().unwrap_or_else(PoisonError::into_inner);
        if adapters.len() >= MOST && !adapters.contains_key(host) {
            return;
        }
        let adapter = adapters.entry(host.to_owned()).or_default();
        match failure {
            None => *adapter = Adapter { took: Some(now), failed: None },
            Some(why) => adapter.failed = Some((now, why.to_owned())),
        }
    }

    /// Somebody logged in to an account.
    pub(super) fn logged_in(&self, account: &str, from: IpAddr, now: SystemTime) {
        let mut log_ins = self.log_ins.lock().unwrap_or_else(PoisonError::into_inner);
        if log_ins.len() < MOST || log_ins.contains_key(account) {
            log_ins.insert(account.to_owned(), (now, from));
        }
    }

    /// What is known of an adapter.
    pub(super) fn adapter(&self, host: &str) -> Adapter {
        self.adapters.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned().unwrap_or_default()
    }

    /// When an account was last logged in to, and from where.
    pub(super) fn log_in(&self, account: &str) -> Option<(SystemTime, IpAddr)> {
        self.log_ins.lock().unwrap_or_else(PoisonError::into_inner).get(account).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_an_adapter_takes_forgives_what_it_did_not() {
        let start = SystemTime::UNIX_EPOCH;
        let contacts = Contacts::new(start);
        assert_eq!(contacts.adapter("adapter-b"), Adapter::default());
        contacts.tried("adapter-b", start, Some("no route"));
        assert_eq!(contacts.adapter("adapter-b").failed, Some((start, "no route".to_owned())));
        let later = start + Duration::from_secs(1);
        contacts.tried("adapter-b", later, None);
        assert_eq!(contacts.adapter("adapter-b"), Adapter { took: Some(later), failed: None });
        contacts.logged_in("a@b.test", IpAddr::from([127, 0, 0, 1]), later);
        assert_eq!(contacts.log_in("a@b.test"), Some((later, IpAddr::from([127, 0, 0, 1]))));
    }
}
