//! A7: correspondents' certificates in memory, so that the certificate server is not asked for them again and again.
//!
//! What is in here was only looked up. Whether it is valid is asked before every use.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sealfax_smime::path::Use;

/// How long a looked-up certificate may be used without asking for it again.
pub(super) const KEEP: Duration = Duration::from_secs(600);
/// How many correspondents are remembered. The server sends at most 32 certificates for each.
const MAX_PEOPLE: usize = 1024;

/// Whose certificates, and for what.
type Key = (String, bool);

/// Looked-up certificates.
#[derive(Debug, Default)]
pub(super) struct Cache {
    known: Mutex<HashMap<Key, Remembered>>,
}

#[derive(Debug)]
struct Remembered {
    certificates: Vec<Vec<u8>>,
    until: SystemTime,
}

impl Cache {
    /// What was looked up at most [`KEEP`] ago. A clock that was set back does not make it last longer.
    pub(super) fn find(&self, address: &str, purpose: Use, now: SystemTime) -> Option<Vec<Vec<u8>>> {
        let known = self.lock();
        let remembered = known.get(&key(address, purpose))?;
        let runs = now < remembered.until && remembered.until <= now + KEEP;
        runs.then(|| remembered.certificates.clone())
    }

    /// Remembers; where there is no room, what ends first goes.
    pub(super) fn put(&self, address: &str, purpose: Use, certificates: Vec<Vec<u8>>, now: SystemTime) {
        let mut known = self.lock();
        let key = key(address, purpose);
        if known.len() >= MAX_PEOPLE && !known.contains_key(&key) {
            known.retain(|_, remembered| now < remembered.until && remembered.until <= now + KEEP);
        }
        if known.len() >= MAX_PEOPLE && !known.contains_key(&key) {
            let first = known.iter().min_by_key(|(_, remembered)| remembered.until).map(|(key, _)| key.clone());
            first.and_then(|first| known.remove(&first));
        }
        known.insert(key, Remembered { certificates, until: now + KEEP });
    }

    /// None of them was good: the next one asks the server.
    pub(super) fn forget(&self, address: &str, purpose: Use) {
        self.lock().remove(&key(address, purpose));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Remembered>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(address: &str, purpose: Use) -> Key {
    (address.to_owned(), purpose == Use::Encrypt)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn it_ends_and_a_clock_set_back_does_not_prolong_it() {
        let (cache, now) = (Cache::default(), NOW + Duration::from_secs(100_000));
        cache.put("a@a.example", Use::Sign, vec![vec![1]], now);
        assert_eq!(cache.find("a@a.example", Use::Sign, now + Duration::from_secs(599)), Some(vec![vec![1]]));
        assert_eq!(cache.find("a@a.example", Use::Encrypt, now), None);
        assert_eq!(cache.find("a@a.example", Use::Sign, now + KEEP), None);
        assert_eq!(cache.find("a@a.example", Use::Sign, now - Duration::from_secs(1)), None);
        cache.forget("a@a.example", Use::Sign);
        assert_eq!(cache.find("a@a.example", Use::Sign, now), None);
    }

    #[test]
    fn it_is_bounded_and_the_newest_stay() {
        let cache = Cache::default();
        let at = |number: usize| NOW + Duration::from_millis(number as u64);
        for number in 0..MAX_PEOPLE + 10 {
            cache.put(&format!("{number}@a.example"), Use::Sign, vec![], at(number));
        }
        assert_eq!(cache.lock().len(), MAX_PEOPLE);
        assert_eq!(cache.find("0@a.example", Use::Sign, at(MAX_PEOPLE + 10)), None);
        assert!(cache.find(&format!("{}@a.example", MAX_PEOPLE + 9), Use::Sign, at(MAX_PEOPLE + 10)).is_some());
    }
}
