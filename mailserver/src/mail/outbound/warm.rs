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

/// Where a connection goes and how it was secured: what was proven to be one host is not used for another at the same address,
/// nor one in clear for a host that has to prove itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Way {
    to: SocketAddr,
    secured: String,
}

impl Way {
    pub(super) fn new(to: SocketAddr, upgrade: &Upgrade) -> Self {
        let secured = match upgrade {
            Upgrade::Clear => "no".to_owned(),
            Upgrade::IfOffered(_) => "if offered".to_owned(),
            Upgrade::Required(_, name) => format!("as {name:?}"),
        };
        Self { to, secured }
    }
}

/// The connections that are open and idle, one a way.
#[derive(Debug, Default)]
pub(in crate::mail) struct Warm(Mutex<HashMap<Way, (Connection, Instant)>>);

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
        let way = Way::new(to, upgrade);
        if let Some(mut connection) = self.take(&way) {
            match connection.transact(outgoing).await {
                Ok(results) => return Ok(self.keep(way, connection, results)),
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
        Ok(self.keep(way, connection, results))
    }

    pub(super) fn take(&self, way: &Way) -> Option<Connection> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.remove(way).filter(|(_, since)| since.elapsed() < KEPT).map(|(connection, _)| connection)
    }

    pub(super) fn keep(&self, way: Way, connection: Connection, results: Vec<RecipientResult>) -> Sent {
        let reports = connection.knows_dsn();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST {
            idle.insert(way, (connection, Instant::now()));
        }
        Sent { results, reports }
    }

    /// Takes leave of those that were not used for long; of all, at the end.
    pub(super) async fn part(&self, all: bool) {
        let old: Vec<Connection> = {
            let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let old: Vec<Way> = idle
                .iter()
                .filter(|(_, (_, since))| all || since.elapsed() >= KEPT)
                .map(|(way, _)| way.clone())
                .collect();
            old.iter().filter_map(|way| idle.remove(way)).map(|(connection, _)| connection).collect()
        };
        for connection in old {
            connection.quit().await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use sealfax_client::seam::SystemClock;
    use sealfax_client::tls::{ClientTls, TlsName};

    use super::*;

    #[test]
    fn what_was_proven_for_one_name_is_not_used_for_another() {
        let to: SocketAddr = "192.0.2.1:25".parse().unwrap();
        let clock: std::sync::Arc<dyn sealfax_client::seam::Clock> = std::sync::Arc::new(SystemClock);
        let tls = ClientTls::unproven(&clock).unwrap();
        let named = |name: &str| Way::new(to, &Upgrade::Required(tls.clone(), TlsName::new(name).unwrap()));
        let ways = [
            named("a.test"),
            named("b.test"),
            Way::new(to, &Upgrade::Clear),
            Way::new(to, &Upgrade::IfOffered(tls.clone())),
        ];
        for (number, way) in ways.iter().enumerate() {
            assert!(ways.iter().skip(number + 1).all(|other| other != way), "{way:?}");
        }
        assert_eq!(named("a.test"), named("a.test"));
    }
}
