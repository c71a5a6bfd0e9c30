//! A bounded count of failed logins, per account and per address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

const WINDOW: Duration = Duration::from_secs(600);
const MOST: usize = 10_000;

/// Whose failures are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Culprit {
    Account(String),
    Address(IpAddr),
}

/// Failed logins of the last ten minutes.
#[derive(Debug)]
pub(super) struct Guesses {
    limit: u32,
    failures: Mutex<HashMap<Culprit, (u32, SystemTime)>>,
}

impl Guesses {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, failures: Mutex::default() }
    }

    /// Whether a further attempt may be made.
    pub(super) fn allows(&self, account: &str, address: IpAddr, now: SystemTime) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        [Culprit::Account(account.to_owned()), Culprit::Address(address)].iter().all(|culprit| {
            failures.get(culprit).is_none_or(|(count, since)| *count < self.limit || expired(*since, now))
        })
    }

    /// Counts a failed attempt.
    pub(super) fn failed(&self, account: &str, address: IpAddr, now: SystemTime) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MOST {
            failures.retain(|_, (_, since)| !expired(*since, now));
        }
        for culprit in [Culprit::Account(account.to_owned()), Culprit::Address(address)] {
            if failures.len() >= MOST && !failures.contains_key(&culprit) {
                continue;
            }
            let (count, since) = failures.entry(culprit).or_insert((0, now));
            if expired(*since, now) {
                *count = 0;
                *since = now;
            }
            *count = count.saturating_add(1);
        }
    }

    /// A good login clears the account's count, not the address's: one good account must not wash away guesses.
    pub(super) fn succeeded(&self, account: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&Culprit::Account(account.to_owned()));
    }
}

fn expired(since: SystemTime, now: SystemTime) -> bool {
    now.duration_since(since).is_ok_and(|age| age > WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes() {
        let guesses = Guesses::new(2);
        let here = IpAddr::from([127, 0, 0, 1]);
        let elsewhere = IpAddr::from([127, 0, 0, 2]);
        let start = SystemTime::UNIX_EPOCH;
        guesses.failed("a", here, start);
        assert!(guesses.allows("a", here, start));
        guesses.failed("a", here, start);
        assert!(!guesses.allows("a", elsewhere, start));
        assert!(!guesses.allows("b", here, start));
        assert!(guesses.allows("b", elsewhere, start));
        assert!(guesses.allows("a", here, start + WINDOW * 2));
    }
}
