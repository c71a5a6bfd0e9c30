//! Signed OCSP answers that serve again (RFC 6960 2.5, RFC 9919): only those about one certificate that we issued, to
//! a request without nonce or anything else in it. So no stranger can fill the cache, and an answer is the same for
//! everybody who asks so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderValue;
use sha1::{Digest, Sha1};

use super::ca::hex;
use super::index::{Serial, Standing};

/// Answers kept; about a kilobyte each.
const MAX_ANSWERS: usize = 65_536;

/// A signed answer, with what HTTP says about it.
#[derive(Debug)]
pub(super) struct Answer {
    /// OCSPResponse, DER.
    pub(super) response: Bytes,
    pub(super) serial: Serial,
    /// What the answer says; while the index says the same, it is right.
    pub(super) standing: Standing,
    pub(super) this_update: SystemTime,
    pub(super) next_update: SystemTime,
    pub(super) etag: HeaderValue,
    pub(super) last_modified: HeaderValue,
    pub(super) expires: HeaderValue,
    asked: AtomicBool,
}

impl Answer {
    pub(super) fn new(
        response: Bytes,
        serial: Serial,
        standing: Standing,
        this_update: SystemTime,
        next_update: SystemTime,
    ) -> Self {
        let text = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        Self {
            etag: text(format!("\"{}\"", hex(&Sha1::digest(&response)))),
            last_modified: text(httpdate::fmt_http_date(this_update)),
            expires: text(httpdate::fmt_http_date(next_update)),
            response,
            serial,
            standing,
            this_update,
            next_update,
            asked: AtomicBool::new(false),
        }
    }

    /// How long it may still be relied on; `None` if not at all, also after a clock was set back.
    pub(super) fn rest(&self, now: SystemTime) -> Option<Duration> {
        if now < self.this_update { None } else { self.next_update.duration_since(now).ok() }
    }

    /// Whether less than half of its time is left.
    fn ages(&self, now: SystemTime) -> bool {
        let whole = self.next_update.duration_since(self.this_update).unwrap_or_default();
        self.rest(now).is_none_or(|rest| rest < whole / 2)
    }
}

/// Answers by the octets of the request.
#[derive(Debug, Default)]
pub(super) struct Cache {
    answers: RwLock<HashMap<Bytes, Arc<Answer>>>,
}

impl Cache {
    pub(super) fn find(&self, request: &[u8]) -> Option<Arc<Answer>> {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(request)?;
        // Written only when it changes: the line stays shared between cores.
        if !answer.asked.load(Ordering::Relaxed) {
            answer.asked.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(answer))
    }

    pub(super) fn put(&self, request: &[u8], answer: Arc<Answer>) {
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MAX_ANSWERS && !answers.contains_key(request) {
            let Some(any) = answers.keys().next().cloned() else {
                return;
            };
            answers.remove(&any);
        }
        answers.insert(Bytes::copy_from_slice(request), answer);
    }

    /// The requests whose answers age and were asked for since they were made, at most `most` and first those that end
    /// first; those that nobody asked for are dropped.
    pub(super) fn sweep(&self, now: SystemTime, most: usize) -> Vec<Bytes> {
        let mut again = Vec::new();
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|request, answer| {
            if !answer.ages(now) {
                return true;
            }
            let wanted = answer.asked.load(Ordering::Relaxed);
            if wanted {
                again.push((answer.next_update, request.clone()));
            }
            wanted
        });
        drop(answers);
        again.sort_unstable_by_key(|(next_update, _)| *next_update);
        again.into_iter().take(most).map(|(_, request)| request).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.answers.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_round_signs_no_more_than_it_may_and_first_what_ends_first() {
        let cache = Cache::default();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for number in [3u8, 1, 2, 4] {
            let begin = u64::from(number);
            let serial = Serial::new(&[number]).unwrap();
            let answer = Answer::new(Bytes::new(), serial, Standing::Good, at(begin), at(begin + 10));
            cache.put(&[number], Arc::new(answer));
            cache.find(&[number]).unwrap();
        }
        assert_eq!(cache.sweep(at(10), 2), [&[1][..], &[2]]);
        assert_eq!(cache.len(), 4, "the others have their turn in the next round");
    }
}
