//! What is remembered from one answer to the next, so that an older one is known when it comes again (RFC 6960, 5).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::{Answer, OcspError};

/// Certificates remembered. The ones asked about least recently go first.
const MAX_REMEMBERED: usize = 4096;

/// The newest believed answer about each certificate, in memory. One for each responder.
#[derive(Debug, Default)]
pub struct Seen {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By [`super::Question::about_whom`].
    answers: HashMap<[u8; 32], Newest>,
    /// The latest time at which any of them was signed.
    newest: Option<SystemTime>,
    turn: u64,
}

#[derive(Debug)]
struct Newest {
    this_update: SystemTime,
    produced_at: SystemTime,
    turn: u64,
}

impl Seen {
    /// The latest time at which a believed answer was signed.
    pub fn newest(&self) -> Option<SystemTime> {
        self.lock().newest
    }

    /// Takes an answer that was judged well. One without nonce must not be older than what was seen before.
    pub(super) fn admit(&self, whom: [u8; 32], answer: &Answer) -> Result<(), OcspError> {
        let mut state = self.lock();
        let before = state.answers.get(&whom).map(|newest| (newest.this_update, newest.produced_at));
        let age = (answer.this_update, answer.produced_at);
        if !answer.has_nonce && before.is_some_and(|before| age < before) {
            return Err(OcspError::Replayed);
        }
        state.turn += 1;
        let turn = state.turn;
        if before.is_none() && state.answers.len() >= MAX_REMEMBERED {
            let oldest = state.answers.iter().min_by_key(|(_, newest)| newest.turn).map(|(whom, _)| *whom);
            oldest.and_then(|oldest| state.answers.remove(&oldest));
        }
        let (this_update, produced_at) = before.map_or(age, |before| before.max(age));
        state.answers.insert(whom, Newest { this_update, produced_at, turn });
        state.newest = state.newest.max(Some(answer.produced_at));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::Status;
    use super::*;
    use std::time::Duration;

    fn answer(second: u64, has_nonce: bool) -> Answer {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        Answer { status: Status::Good, produced_at: at, this_update: at, next_update: None, has_nonce }
    }

    #[test]
    fn an_older_answer_is_a_replay_unless_it_was_made_for_the_question() {
        let seen = Seen::default();
        seen.admit([1; 32], &answer(100, false)).unwrap();
        seen.admit([1; 32], &answer(100, false)).unwrap();
        seen.admit([2; 32], &answer(50, false)).unwrap();
        assert_eq!(seen.admit([1; 32], &answer(99, false)).unwrap_err().code(), "OCSP-016");
        // A nonce proves it fresh, whatever its clock says; it does not make room for older ones either.
        seen.admit([1; 32], &answer(90, true)).unwrap();
        assert_eq!(seen.admit([1; 32], &answer(95, false)).unwrap_err().code(), "OCSP-016");
        assert_eq!(seen.newest(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(100)));
    }

    #[test]
    fn memory_is_bounded_and_the_least_recent_goes_first() {
        let seen = Seen::default();
        let whom = |number: usize| {
            let mut whom = [0; 32];
            whom[..8].copy_from_slice(&(number as u64).to_be_bytes());
            whom
        };
        for number in 0..MAX_REMEMBERED {
            seen.admit(whom(number), &answer(100, false)).unwrap();
        }
        seen.admit(whom(0), &answer(100, false)).unwrap();
        seen.admit(whom(MAX_REMEMBERED), &answer(100, false)).unwrap();
        assert_eq!(seen.lock().answers.len(), MAX_REMEMBERED);
        assert!(seen.admit(whom(0), &answer(1, false)).is_err());
        assert!(seen.admit(whom(1), &answer(1, false)).is_ok());
    }
}
