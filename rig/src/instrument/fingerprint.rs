//! A fingerprint reader that a scenario's people lay a finger on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sealfax_drivers::person::{PersonError, PersonProof};
use tokio::sync::{Mutex, mpsc, watch};

use crate::events::EventLog;
use crate::scenario::Failure;

/// Fingers that wait for the reader; more are not felt.
const BUFFERED: usize = 4;

/// The adapter's end.
pub struct FingerprintReader {
    fingers: Mutex<mpsc::Receiver<String>>,
    asked: watch::Sender<bool>,
    works: Arc<AtomicBool>,
}

/// The people's end.
#[derive(Debug, Clone)]
pub struct Fingers {
    fingers: mpsc::Sender<String>,
    asked: watch::Receiver<bool>,
    works: Arc<AtomicBool>,
    log: EventLog,
}

/// A reader: what the adapter asks, and where people lay their fingers.
pub fn fingerprint_reader(log: EventLog) -> (FingerprintReader, Fingers) {
    let (fingers, laid) = mpsc::channel(BUFFERED);
    let works = Arc::new(AtomicBool::new(true));
    let (asking, asked) = watch::channel(false);
    let reader = FingerprintReader { fingers: Mutex::new(laid), asked: asking, works: works.clone() };
    (reader, Fingers { fingers, asked, works, log })
}

/// The light of the reader: on while it is asked.
struct Asked<'a>(&'a watch::Sender<bool>);

impl<'a> Asked<'a> {
    fn now(light: &'a watch::Sender<bool>) -> Self {
        light.send_replace(true);
        Self(light)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

#[async_trait]
impl PersonProof for FingerprintReader {
    async fn prove(&self, address: &str) -> Result<bool, PersonError> {
        if !self.works.load(Ordering::SeqCst) {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(PersonError::Start { program: "/usr/bin/fprintd-verify".into(), source });
        }
        let mut fingers = self.fingers.lock().await;
        // A finger that was laid down before anybody asked is no answer.
        while fingers.try_recv().is_ok() {}
        let _asked = Asked::now(&self.asked);
        match fingers.recv().await {
            Some(of) => Ok(of == address),
            None => std::future::pending().await,
        }
    }
}

impl Fingers {
    /// Waits until the reader's light is on.
    pub async fn when_asked(&self, patience: Duration) -> Result<(), Failure> {
        let mut asked = self.asked.clone();
        let lit = tokio::time::timeout(patience, asked.wait_for(|asked| *asked)).await;
        lit.map(|_| ()).map_err(|_| Failure::expectation("the fingerprint reader is asked"))
    }

    /// `who`, whose mail address this is, lays a finger on the reader.
    pub fn lay(&self, who: &str, address: &str) {
        self.log.person(who, "lays a finger on the reader");
        let _ = self.fingers.try_send(address.to_owned());
    }

    /// From now on nothing answers.
    pub fn break_reader(&self) {
        self.log.note("rig", "the fingerprint reader is broken");
        self.works.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn a_finger_is_its_owners_and_must_be_laid_down_when_asked() {
        let (reader, fingers) = fingerprint_reader(EventLog::new());
        fingers.lay("Hanako", "hanako@b.example");
        let later = async {
            fingers.when_asked(Duration::from_secs(20)).await.unwrap();
            fingers.lay("Jiro", "jiro@b.example");
        };
        let (proof, ()) = tokio::join!(reader.prove("hanako@b.example"), later);
        assert!(!proof.unwrap());
        fingers.break_reader();
        assert_eq!(reader.prove("hanako@b.example").await.unwrap_err().code(), "PERSON-002");
    }
}
