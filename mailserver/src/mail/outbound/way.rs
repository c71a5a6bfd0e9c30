//! The way to another host: its addresses, how it is secured, and what it said.

use std::net::SocketAddr;

use sealfax_client::dns::DnsError;
use sealfax_client::smtp::{END_OF_DATA, Outgoing, RecipientResult, Rejection, SendError, Upgrade};
use sealfax_client::tls::TlsName;

use super::Core;
use super::ahead::Ready;
use super::warm::Sent;

/// Why an attempt at one host failed.
pub(super) struct Failure {
    pub(super) permanent: bool,
    pub(super) text: String,
}

impl From<DnsError> for Failure {
    fn from(error: DnsError) -> Self {
        Self { permanent: error.is_not_found(), text: error.to_string() }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let text = match &error {
            SendError::Rejected { rejection, .. } => rejection.to_string(),
            other => other.to_string(),
        };
        Self { permanent: error.is_permanent(), text }
    }
}

/// What a server said.
pub(super) struct Taken {
    /// The recipients that it refused, each with its reply.
    pub(super) refused: Vec<(String, Rejection)>,
    /// Whether it reports of the others what their sender wants to hear.
    pub(super) reports: bool,
}

impl From<Sent> for Taken {
    fn from(sent: Sent) -> Self {
        let refusal = |result: RecipientResult| Some((result.recipient, result.outcome.err()?));
        Self { refused: sent.results.into_iter().filter_map(refusal).collect(), reports: sent.reports }
    }
}

/// Sends to the first of `targets` that can be reached.
pub(super) async fn send_to_first(
    core: &Core,
    targets: &[SocketAddr],
    upgrade: &Upgrade,
    outgoing: Outgoing<'_>,
) -> Result<Taken, Failure> {
    let mut last = Failure { permanent: false, text: "no address to send to".to_owned() };
    for target in targets {
        let network = core.seams.network.as_ref();
        match core.warm.send(network, *target, core.host(), upgrade, outgoing).await {
            Ok(sent) => {
                return Ok(sent.into());
            }
            // Only an unreachable host or a busy one lets the next be tried: the mail is still ours alone.
            Err(error @ SendError::Connect { .. }) => last = error.into(),
            Err(error) => return Err(error.into()),
        }
    }
    Err(last)
}

/// An adapter's addresses: SRV `_sealfax._tcp` first, then A or AAAA with the configured port.
pub(super) async fn adapter_addresses(core: &Core, host: &str) -> Result<Vec<SocketAddr>, DnsError> {
    match core.resolver.srv(&format!("_sealfax._tcp.{host}")).await {
        Ok(locations) => {
            let mut targets = Vec::new();
            let mut trouble = None;
            for location in locations.iter().take(4) {
                match core.resolver.addresses(&location.host).await {
                    Ok(found) => targets.extend(found.into_iter().map(|ip| SocketAddr::new(ip, location.port))),
                    Err(error) => trouble = Some(error),
                }
            }
            match trouble {
                Some(error) if targets.is_empty() => Err(error),
                _ => Ok(targets),
            }
        }
        Err(error) if error.is_not_found() => {
            let found = core.resolver.addresses(host).await?;
            Ok(found.into_iter().map(|ip| SocketAddr::new(ip, core.config().notice_port)).collect())
        }
        Err(error) => Err(error),
    }
}

/// A domain's mail servers: MX, or the domain's own address (RFC 5321, 5.1).
pub(super) async fn domain_addresses(core: &Core, domain: &str) -> Result<Vec<SocketAddr>, Failure> {
    let hosts: Vec<String> = match core.resolver.mx(domain).await {
        Ok(exchangers) => exchangers.into_iter().map(|exchanger| exchanger.host).collect(),
        Err(error) if error.is_not_found() => vec![domain.to_owned()],
        Err(error) => return Err(error.into()),
    };
    if hosts.iter().any(String::is_empty) {
        return Err(Failure { permanent: true, text: format!("5.1.10 {domain} accepts no mail") });
    }
    let mut targets = Vec::new();
    let mut trouble = None;
    for host in hosts.iter().take(5) {
        if host.eq_ignore_ascii_case(core.host()) {
            break;
        }
        match core.resolver.addresses(host).await {
            Ok(found) => {
                targets.extend(found.into_iter().take(4).map(|ip| SocketAddr::new(ip, core.config().relay_port)))
            }
            Err(error) => trouble = Some(error),
        }
    }
    match trouble {
        _ if !targets.is_empty() => Ok(targets),
        Some(error) => Err(error.into()),
        None => Err(Failure { permanent: true, text: format!("5.4.6 the mail for {domain} would come back here") }),
    }
}

/// How the way to an adapter is secured: under TLS and with its proof, where that is wanted of adapters.
pub(super) fn adapter_upgrade(core: &Core, host: &str) -> Result<Upgrade, Failure> {
    let Some(tls) = &core.adapter_tls else { return Ok(Upgrade::Clear) };
    let name = TlsName::new(host).map_err(|error| Failure { permanent: true, text: error.to_string() })?;
    Ok(Upgrade::Required(tls.clone(), name))
}

/// To an adapter, and remembers whether it was there.
pub(super) async fn to_adapter(core: &Core, host: &str, outgoing: Outgoing<'_>) -> Result<Taken, Failure> {
    let sent = send_to_adapter(core, host, outgoing).await;
    core.contacts.tried(host, core.seams.clock.now(), sent.as_ref().err().map(|failure| failure.text.as_str()));
    sent
}

/// Over the connection that has the envelope already, if there is one.
async fn send_to_adapter(core: &Core, host: &str, outgoing: Outgoing<'_>) -> Result<Taken, Failure> {
    if let Some(Ready { way, mut connection, results }) = core.ahead.redeem(host, &outgoing).await {
        match connection.content(outgoing, &results).await {
            Ok(()) => return Ok(core.warm.keep(way, connection, results).into()),
            // It may have been taken: a second attempt is for the schedule.
            Err(error @ (SendError::Broken { stage: END_OF_DATA, .. } | SendError::Timeout(END_OF_DATA))) => {
                return Err(error.into());
            }
            // It was too long ago for the server; the usual way says more.
            Err(_) => {}
        }
    }
    let upgrade = adapter_upgrade(core, host)?;
    send_to_first(core, &adapter_addresses(core, host).await?, &upgrade, outgoing).await
}
