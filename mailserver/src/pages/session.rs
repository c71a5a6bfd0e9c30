//! Who has signed in: sessions that live here, and of which the browser has nothing but a number nobody can guess.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealfax_client::history::Digest256;
use sealfax_client::seam::{Clock, Entropy, Seams};
use zeroize::Zeroizing;

use crate::accounts::Account;

/// How long a session lasts in which nothing happens.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How long it lasts whatever happens.
const LONGEST: Duration = Duration::from_secs(8 * 3600);
/// Sessions at a time; where there is no place, the one goes that was unused for the longest time.
const MOST: usize = 4096;
/// The same of one account.
const MOST_OF_ONE: usize = 16;

/// A session as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Whose it is.
    pub(crate) account: String,
    /// What the account's log-in was when it began: with another password, or suspended, the session is over.
    pub(crate) stamp: Digest256,
}

#[derive(Debug)]
struct Open {
    session: Session,
    began: SystemTime,
    used: SystemTime,
}

impl Open {
    fn is_over(&self, now: SystemTime) -> bool {
        // A clock that was set back makes nothing older.
        let age = |since: SystemTime| now.duration_since(since).unwrap_or_default();
        age(self.used) >= IDLE || age(self.began) >= LONGEST
    }
}

/// All of them.
pub(crate) struct Sessions {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// By the digest of what the browser has: who reads this memory cannot go on with it.
    open: Mutex<HashMap<Digest256, Open>>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Sessions {
    /// None yet.
    pub(crate) fn new(seams: &Seams) -> Self {
        Self { clock: seams.clock.clone(), entropy: seams.entropy.clone(), open: Mutex::default() }
    }

    /// A number of 256 bits, which is no session yet.
    pub(crate) fn token(&self) -> String {
        let mut octets = Zeroizing::new([0u8; 32]);
        self.entropy.fill(octets.as_mut_slice());
        URL_SAFE_NO_PAD.encode(octets.as_slice())
    }

    /// Begins a session of `account`, and says what its browser is to send. Never what it sent before: that may be known to
    /// somebody else.
    pub(crate) fn begin(&self, account: &Account) -> String {
        let (token, now) = (self.token(), self.clock.now());
        let session = Session { account: account.address.clone(), stamp: account.stamp() };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = open.values().filter(|other| other.session.account == account.address).count();
        if open.len() >= MOST || theirs >= MOST_OF_ONE {
            open.retain(|_, session| !session.is_over(now));
        }
        let crowded = open.values().filter(|other| other.session.account == account.address).count() >= MOST_OF_ONE;
        if open.len() >= MOST || crowded {
            let goes = |other: &Open| !crowded || other.session.account == account.address;
            let oldest = open.iter().filter(|(_, other)| goes(other)).min_by_key(|(_, other)| other.used);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                open.remove(&key);
            }
        }
        open.insert(Digest256::of(token.as_bytes()), Open { session, began: now, used: now });
        token
    }

    /// The session of this token. What a person does keeps it alive; what their page does by itself does not.
    pub(crate) fn find(&self, token: &str, by_hand: bool) -> Option<Session> {
        let now = self.clock.now();
        let key = Digest256::of(token.as_bytes());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(&key)?.is_over(now) {
            open.remove(&key);
            return None;
        }
        let found = open.get_mut(&key)?;
        if by_hand {
            found.used = now;
        }
        Some(found.session.clone())
    }

    /// Ends it.
    pub(crate) fn end(&self, token: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&Digest256::of(token.as_bytes()));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    struct Hand(Mutex<SystemTime>);

    impl Hand {
        fn goes(&self, by: Duration) {
            *self.0.lock().unwrap() += by;
        }
    }

    impl Clock for Hand {
        fn now(&self) -> SystemTime {
            *self.0.lock().unwrap()
        }
    }

    fn desk() -> (Arc<Hand>, Sessions) {
        let clock = Arc::new(Hand(Mutex::new(SystemTime::UNIX_EPOCH)));
        let seams = Seams { clock: clock.clone(), ..Seams::system() };
        (clock, Sessions::new(&seams))
    }

    #[test]
    fn a_session_ends_when_nobody_uses_it_and_at_the_latest_after_eight_hours() {
        let (clock, sessions) = desk();
        let taro = Account::unusable("taro@a.test");
        let token = sessions.begin(&taro);
        clock.goes(IDLE / 2);
        assert_eq!(sessions.find(&token, true).unwrap().account, "taro@a.test");
        clock.goes(IDLE / 2);
        // The page looks for news by itself.
        assert!(sessions.find(&token, false).is_some());
        clock.goes(IDLE / 2);
        assert!(sessions.find(&token, true).is_none());

        let token = sessions.begin(&taro);
        for _ in 0..32 {
            assert!(sessions.find(&token, true).is_some());
            clock.goes(IDLE - Duration::from_secs(1));
        }
        clock.goes(Duration::from_secs(32));
        assert!(sessions.find(&token, true).is_none());
    }

    #[test]
    fn who_begins_many_ends_their_own() {
        let (clock, sessions) = desk();
        let other = sessions.begin(&Account::unusable("jiro@a.test"));
        let first = sessions.begin(&Account::unusable("taro@a.test"));
        for _ in 0..MOST_OF_ONE {
            clock.goes(Duration::from_secs(1));
            sessions.begin(&Account::unusable("taro@a.test"));
        }
        assert!(sessions.find(&first, true).is_none());
        assert!(sessions.find(&other, true).is_some());
        sessions.end(&other);
        assert!(sessions.find(&other, true).is_none());
    }
}
