//! Look-ups in the DNS (RFC 1035; MX of RFC 5321, 5.1; SRV of RFC 2782) through hickory, with bounded time.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::rr::{RData, RecordType};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver as Hickory, TokioResolver};

/// Why a name gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// No servers were configured.
    #[error("no DNS server is configured; name at least one in the configuration")]
    NoServers,
    /// The name does not exist, or has no record of that type.
    #[error("the DNS has no {kind} record for {name}; check the name and its zone")]
    NotFound {
        /// What was asked for.
        name: String,
        /// Record type.
        kind: &'static str,
    },
    /// The name is not a host name.
    #[error("{0:?} is not a host name; check where it is configured")]
    BadName(String),
    /// No answer in time, or a faulty one.
    #[error("the DNS did not answer for {name}; check the DNS servers and the network")]
    Failed {
        /// What was asked for.
        name: String,
        /// What the resolver said.
        #[source]
        source: Box<NetError>,
    },
    /// The resolver could not be built.
    #[error("the DNS resolver could not be started; check the DNS servers")]
    Build(#[source] Box<NetError>),
}

impl DnsError {
    /// Whether the DNS said for certain that there is no such record (trying again is useless for now).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::BadName(_))
    }
}

/// A mail exchanger of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailExchanger {
    /// Lower is tried first.
    pub preference: u16,
    /// Host name without final dot; empty for "accepts no mail" (RFC 7505).
    pub host: String,
}

/// A service location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLocation {
    /// Lower is tried first.
    pub priority: u16,
    /// Among equals, more is better.
    pub weight: u16,
    /// TCP port.
    pub port: u16,
    /// Host name without final dot.
    pub host: String,
}

/// Asks a fixed set of DNS servers. Cheap to clone.
#[derive(Clone)]
pub struct Resolver {
    inner: TokioResolver,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

/// Longest time for one look-up, all servers and attempts together.
const LOOKUP: Duration = Duration::from_secs(10);

impl Resolver {
    /// A resolver that asks `servers`, in any order. Must be called within a tokio runtime.
    pub fn new(servers: Vec<SocketAddr>) -> Result<Self, DnsError> {
        if servers.is_empty() {
            return Err(DnsError::NoServers);
        }
        let servers = servers
            .into_iter()
            .map(|server| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
                    .into_iter()
                    .map(|mut connection| {
                        connection.port = server.port();
                        connection
                    })
                    .collect();
                NameServerConfig::new(server.ip(), true, connections)
            })
            .collect();
        let mut builder =
            Hickory::builder_with_config(ResolverConfig::from_name_servers(servers), TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = Duration::from_secs(2);
        options.attempts = 2;
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 1024;
        // A zone that was just mended must not stay broken for long.
        options.negative_max_ttl = Some(Duration::from_secs(10));
        let inner = builder.build().map_err(|source| DnsError::Build(Box::new(source)))?;
        Ok(Self { inner })
    }

    async fn lookup(&self, name: &str, kind: &'static str, record_type: RecordType) -> Result<Vec<RData>, DnsError> {
        let plain = name.strip_suffix('.').unwrap_or(name);
        let good = !plain.is_empty()
            && plain.len() <= 253
            && plain.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet));
        if !good {
            return Err(DnsError::BadName(name.to_owned()));
        }
        let absolute = format!("{plain}.");
        let answer = tokio::time::timeout(LOOKUP, self.inner.lookup(absolute, record_type)).await;
        match answer {
            Ok(Ok(lookup)) => Ok(lookup.answers().iter().take(64).map(|record| record.data.clone()).collect()),
            Ok(Err(error)) if error.is_no_records_found() => Err(DnsError::NotFound { name: name.to_owned(), kind }),
            Ok(Err(error)) => Err(DnsError::Failed { name: name.to_owned(), source: Box::new(error) }),
            Err(_) => Err(DnsError::Failed { name: name.to_owned(), source: Box::new(NetError::Timeout) }),
        }
    }

    /// The mail exchangers of `domain`, best first.
    pub async fn mx(&self, domain: &str) -> Result<Vec<MailExchanger>, DnsError> {
        let mut found: Vec<MailExchanger> = self
            .lookup(domain, "MX", RecordType::MX)
            .await?
            .into_iter()
            .filter_map(|data| match data {
                RData::MX(mx) => {
                    Some(MailExchanger { preference: mx.preference, host: host_text(&mx.exchange.to_ascii()) })
                }
                _ => None,
            })
            .collect();
        found.sort_by_key(|exchanger| exchanger.preference);
        nonempty(found, domain, "MX")
    }

    /// The locations of the service `name` ("_sealfax._tcp.host"), best first.
    pub async fn srv(&self, name: &str) -> Result<Vec<ServiceLocation>, DnsError> {
        let mut found: Vec<ServiceLocation> = self
            .lookup(name, "SRV", RecordType::SRV)
            .await?
            .into_iter()
            .filter_map(|data| match data {
                RData::SRV(srv) => Some(ServiceLocation {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    host: host_text(&srv.target.to_ascii()),
                }),
                _ => None,
            })
            .collect();
        found.sort_by_key(|location| (location.priority, u16::MAX - location.weight));
        nonempty(found, name, "SRV")
    }

    /// The addresses of `host`, IPv4 first.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        let (four, six) =
            tokio::join!(self.lookup(host, "A", RecordType::A), self.lookup(host, "AAAA", RecordType::AAAA));
        let mut found: Vec<IpAddr> = Vec::new();
        for data in four.as_deref().unwrap_or_default() {
            if let RData::A(address) = data {
                found.push(IpAddr::V4(address.0));
            }
        }
        for data in six.as_deref().unwrap_or_default() {
            if let RData::AAAA(address) = data {
                found.push(IpAddr::V6(address.0));
            }
        }
        match (found.is_empty(), four, six) {
            (false, _, _) => Ok(found),
            // A server that could not be asked is worse news than one that has nothing.
            (true, Err(error), _) if !error.is_not_found() => Err(error),
            (true, _, Err(error)) if !error.is_not_found() => Err(error),
            (true, Err(error), _) | (true, _, Err(error)) => Err(error),
            (true, Ok(_), Ok(_)) => nonempty(found, host, "A or AAAA"),
        }
    }
}

fn host_text(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn nonempty<T>(found: Vec<T>, name: &str, kind: &'static str) -> Result<Vec<T>, DnsError> {
    if found.is_empty() {
        return Err(DnsError::NotFound { name: name.to_owned(), kind });
    }
    Ok(found)
}
