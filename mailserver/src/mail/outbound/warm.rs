//! Connections that stay open a while after a mail, for the next one: a notice then needs no handshake.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sealfax_client::seam::Network;
use sealfax_client::smtp::{Connection, END_OF_DATA, Outgoing, RecipientResult, SendError, Upgrade};
use tokio::time::Instant;

/// How long one is kept. Servers wait for five minutes at least (RFC 5321, 4.5.3.2.7).
const KEPT: Duration = Duration::from_secs(120);
/// Most of them.
const MOST: usize = 256;

/// The connections that are open and idle, one a server.
#[derive(Debug, Default)]
pub(in crate::mail) struct Warm(Mutex<HashMap<SocketAddr, (Connection, Instant)>>);

/// What was sent, and whether the server is known to report deliveries.
pub(super) struct Sent {
    pub(super) results: Vec<RecipientResult>,
    pub(super) reports: bool,
}

impl Warm {
    /// Sends over the open connection to `to`, if there is one, or over a new one, which is kept.
    pub(super) async fn send(
        &self,
        network: &dyn Network,
        to: SocketAddr,
        hello: &str,
        upgrade: &Upgrade,
        outgoing: Outgoing<'_>,
    ) -> Result<Sent, SendError> {
        if let Some(mut connection) = self.take(to) {
            match connection.transact(outgoing).await {
                Ok(results) => return Ok(self.keep(to, connection, results)),
                // The server may have taken it: a second attempt is for the schedule.
                Err(error @ (SendError::Broken { stage: END_OF_DATA, .. } | SendError::Timeout(END_OF_DATA))) => {
                    return Err(error);
                }
                // It closed the connection meanwhile, or has had enough of this one.
                Err(SendError::Broken { .. } | SendError::Timeout(_)) => {}
                Err(SendError::Rejected { rejection, .. }) if rejection.code == 421 => {}
                Err(error) => return Err(error),
            }
        }
        let mut connection = Connection::open(network, to, hello, upgrade).await?;
        let results = connection.transact(outgoing).await?;
        Ok(self.keep(to, connection, results))
    }

    pub(super) fn take(&self, to: SocketAddr) -> Option<Connection> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.remove(&to).filter(|(_, since)| since.elapsed() < KEPT).map(|(connection, _)| connection)
    }

    pub(super) fn keep(&self, to: SocketAddr, connection: Connection, results: Vec<RecipientResult>) -> Sent {
        let reports = connection.knows_dsn();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST {
            idle.insert(to, (connection, Instant::now()));
        }
        Sent { results, reports }
    }

    /// Takes leave of those that were not used for long; of all, at the end.
    pub(super) async fn part(&self, all: bool) {
        let old: Vec<Connection> = {
            let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let old: Vec<SocketAddr> =
                idle.iter().filter(|(_, (_, since))| all || since.elapsed() >= KEPT).map(|(to, _)| *to).collect();
            old.iter().filter_map(|to| idle.remove(to)).map(|(connection, _)| connection).collect()
        };
        for connection in old {
            connection.quit().await;
        }
    }
}
