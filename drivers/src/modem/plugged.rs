//! A modem that can be pulled out and plugged in again: its port is opened when it is needed, and let go when it fails.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::class1::Class1;
use super::error::{EndReason, FaxError};
use super::identity::Identity;
use super::{Diagnosis, Document, FaxLine, IncomingCall, Received, Sent, Tray, serial};

/// The modem at this port. It need not be there yet.
#[derive(Debug)]
pub struct Plugged {
    path: PathBuf,
    modem: Option<Class1>,
}

impl Plugged {
    /// At a port such as `/dev/serial/by-id/...`. Nothing is opened yet.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), modem: None }
    }

    fn modem(&mut self) -> Result<&mut Class1, FaxError> {
        match &mut self.modem {
            Some(modem) => Ok(modem),
            none => Ok(none.insert(serial::open(&self.path, serial::USUAL_SPEED)?)),
        }
    }

    /// A port that failed, or behind which nobody answers, is opened anew: it may be another modem by then.
    fn kept<T>(&mut self, outcome: Result<T, FaxError>) -> Result<T, FaxError> {
        if let Err(FaxError { reason: EndReason::Port(_) | EndReason::ModemSilent { .. }, .. }) = outcome {
            self.modem = None;
        }
        outcome
    }
}

#[async_trait]
impl FaxLine for Plugged {
    async fn wait_for_call(&mut self) -> Result<IncomingCall, FaxError> {
        let outcome = self.modem()?.wait_for_call().await;
        self.kept(outcome)
    }

    fn is_ringing(&self) -> bool {
        self.modem.as_ref().is_some_and(Class1::is_ringing)
    }

    async fn answer(&mut self, me: &Identity, tray: &mut dyn Tray) -> Result<Received, FaxError> {
        let outcome = self.modem()?.answer(me, tray).await;
        self.kept(outcome)
    }

    async fn call(
        &mut self,
        number: &str,
        me: &Identity,
        subaddress: Option<&str>,
        document: &mut dyn Document,
    ) -> Result<Sent, FaxError> {
        let outcome = self.modem()?.call(number, me, subaddress, document).await;
        self.kept(outcome)
    }

    async fn diagnose(&mut self) -> Result<Diagnosis, FaxError> {
        let outcome = self.modem()?.diagnose().await;
        self.kept(outcome)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn a_modem_that_is_not_there_is_told_and_may_come() {
        let mut line = Plugged::at(Path::new("/dev/there-is-no-such-modem"));
        for _ in 0..2 {
            let error = line.diagnose().await.unwrap_err();
            assert_eq!(error.code(), "FAX-001");
        }
    }
}
