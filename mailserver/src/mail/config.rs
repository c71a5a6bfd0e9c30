//! The configuration of the mail server; every key stands with its meaning in `sealfax-mailserver.example.toml`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sealfax_client::seam::{Clock, SystemClock};
use sealfax_client::smtp::Upgrade;
use sealfax_client::smtp_server::valid_address;
use sealfax_client::tls::{ClientTls, ServerTls, TlsError};
use sealfax_client::{pop3_server, smtp_server};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::escalation::Escalation;
use crate::pages::Zone;
use crate::store::millis_of;

/// Everything one mail server is told. Durations are texts such as "90s" or "4h".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// This server's own host name: in greetings, `Received`, and in the journal.
    pub host_name: String,
    /// Domains whose mailboxes are here.
    pub domains: Vec<String>,
    /// Where SMTP listens.
    pub smtp: SocketAddr,
    /// Where POP3 listens.
    pub pop3: SocketAddr,
    /// Folder of accounts, mailboxes and queue; with a database only of the socket for the command line, and of
    /// who this node is.
    pub data: PathBuf,
    /// PostgreSQL instead, shared by several servers: `postgres://USER@HOST/DATABASE`.
    #[serde(default)]
    pub database: Option<String>,
    /// DNS servers to ask.
    pub dns_servers: Vec<SocketAddr>,
    /// Port of other domains' mail servers.
    #[serde(default = "default_relay_port")]
    pub relay_port: u16,
    /// Port of adapters that have no SRV record.
    #[serde(default = "default_relay_port")]
    pub notice_port: u16,
    /// Clients that may send to other domains through this server.
    #[serde(default)]
    pub relay_from: Vec<AddressRange>,
    /// Shortest time between two notices to one account.
    #[serde(default = "default_notice_interval", deserialize_with = "duration")]
    pub notice_interval: Duration,
    /// How long a notice is repeated.
    #[serde(default = "default_expiry", deserialize_with = "duration")]
    pub notice_expiry: Duration,
    /// What becomes of a notice that nobody answers; without it, it is repeated as it is.
    #[serde(default)]
    pub escalation: Option<Escalation>,
    /// Waits after the first, second, ... failed attempt; the last one repeats.
    #[serde(default = "default_retry", deserialize_with = "durations")]
    pub retry_schedule: Vec<Duration>,
    /// When a mail that cannot be sent on is given up.
    #[serde(default = "default_expiry", deserialize_with = "duration")]
    pub queue_expiry: Duration,
    /// How long a mail waits before its sender is told that it takes long.
    #[serde(default = "default_delay", deserialize_with = "duration")]
    pub delay_warning: Duration,
    /// Whether mail goes on under TLS where the other server offers it.
    #[serde(default = "default_true")]
    pub relay_starttls: bool,
    /// PEM file of anchors: adapters have to prove their names under TLS before they get anything.
    #[serde(default)]
    pub adapter_anchors: Option<PathBuf>,
    /// "Sealed" is whether Content-Type holds "sign", to the letter of paragraph 0068.
    #[serde(default)]
    pub literal_sign_rule: bool,
    /// Where figures for Prometheus and the server's health are told, by HTTP.
    #[serde(default)]
    pub metrics: Option<SocketAddr>,
    /// Where the administrator's page is, by HTTP; under TLS if there is any, else on loopback only.
    #[serde(default)]
    pub administration_http: Option<SocketAddr>,
    /// Addresses of the accounts that it is for.
    #[serde(default)]
    pub administrators: Vec<String>,
    /// The time zone of that page: how far the clocks on the wall are ahead of UTC.
    #[serde(default)]
    pub utc_offset: Zone,
    /// TLS; without it everything is said in clear.
    #[serde(default)]
    pub tls: Option<MailTls>,
    /// Bounds.
    #[serde(default)]
    pub limits: MailLimits,
}

/// What the server shows, and where TLS begins with the first octet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailTls {
    /// PEM file of this server's certificate, followed by those above it.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// PEM file of anchors: clients that show a certificate below one of them are known.
    #[serde(default)]
    pub clients: Option<PathBuf>,
    /// Where SMTP listens with TLS from the first octet (RFC 8314).
    #[serde(default)]
    pub smtps: Option<SocketAddr>,
    /// Where POP3 does.
    #[serde(default)]
    pub pop3s: Option<SocketAddr>,
    /// Whether POP3 takes passwords in clear as well.
    #[serde(default)]
    pub clear_logins: bool,
}

impl MailTls {
    /// Reads the files.
    pub(super) fn server(&self, clock: &Arc<dyn Clock>) -> Result<ServerTls, ConfigError> {
        let read =
            |path: &PathBuf| std::fs::read(path).map_err(|source| ConfigError::File { path: path.clone(), source });
        let clients = self.clients.as_ref().map(read).transpose()?;
        let tls = ServerTls::new(&read(&self.certificate)?, &read(&self.key)?, clients.as_deref(), clock);
        tls.map_err(|source| ConfigError::Tls { path: self.certificate.clone(), source })
    }
}

/// Bounds that an administrator may want to change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailLimits {
    /// Largest mail in octets.
    pub message_octets: usize,
    /// Most octets of one mailbox, where its account says nothing else; 0: no bound.
    pub mailbox_octets: u64,
    /// Most recipients of one mail.
    pub recipients: usize,
    /// Most SMTP sessions, and most POP3 sessions, at once.
    pub sessions: usize,
    /// The same from one address.
    pub sessions_per_address: usize,
    /// Most `Received` fields before a mail counts as looping.
    pub hops: usize,
    /// How long a refused login waits.
    #[serde(deserialize_with = "duration")]
    pub login_failure_delay: Duration,
    /// Failed logins per account and per address within ten minutes before further ones are refused.
    pub login_failures: u32,
}

impl Default for MailLimits {
    fn default() -> Self {
        Self {
            message_octets: 32 * 1024 * 1024,
            mailbox_octets: 0,
            recipients: 100,
            sessions: 500,
            sessions_per_address: 50,
            hops: 50,
            login_failure_delay: Duration::from_secs(1),
            login_failures: 10,
        }
    }
}

impl MailLimits {
    pub(super) fn smtp(&self) -> smtp_server::Limits {
        let mut limits = smtp_server::Limits::default();
        limits.message = self.message_octets;
        limits.recipients = self.recipients;
        limits.sessions = self.sessions;
        limits.sessions_per_address = self.sessions_per_address;
        limits
    }

    pub(super) fn pop3(&self) -> pop3_server::Limits {
        let mut limits = pop3_server::Limits::default();
        limits.sessions = self.sessions;
        limits.sessions_per_address = self.sessions_per_address;
        limits.login_failure_delay = self.login_failure_delay;
        limits
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A name that is no host or domain name.
    #[error("{key}: {value:?} is not a host name; write it as mail.example.org")]
    Name {
        /// Which key.
        key: &'static str,
        /// What stands there.
        value: String,
    },
    /// A key that must not be empty.
    #[error("{0} must not be empty; see the example configuration")]
    Empty(&'static str),
    /// A duration that must be one.
    #[error("{0} must be longer than nothing; leave [mail.escalation] away where nothing is to escalate")]
    NoTime(&'static str),
    /// The administrator's page would show passwords to the network.
    #[error("administration_http: {0} is not loopback; give the server [mail.tls], or a loopback address")]
    AdministrationInClear(SocketAddr),
    /// A file that it names.
    #[error("{} cannot be read; check its path and who may read it", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Certificate and key.
    #[error("no TLS with {}", .path.display())]
    Tls {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: TlsError,
    },
    /// Not readable as TOML, or unknown keys.
    #[error("the configuration cannot be read; compare it with the example configuration")]
    Toml(#[from] toml::de::Error),
}

impl MailConfig {
    /// A configuration with the defaults of the example file; listens at any free port.
    pub fn new(host_name: &str, domains: &[&str], data: impl Into<PathBuf>, dns_servers: Vec<SocketAddr>) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            host_name: host_name.to_owned(),
            domains: domains.iter().map(ToString::to_string).collect(),
            smtp: any,
            pop3: any,
            data: data.into(),
            database: None,
            dns_servers,
            relay_port: default_relay_port(),
            notice_port: default_relay_port(),
            relay_from: Vec::new(),
            notice_interval: default_notice_interval(),
            notice_expiry: default_expiry(),
            escalation: None,
            retry_schedule: default_retry(),
            queue_expiry: default_expiry(),
            delay_warning: default_delay(),
            relay_starttls: true,
            adapter_anchors: None,
            literal_sign_rule: false,
            metrics: None,
            administration_http: None,
            administrators: Vec::new(),
            utc_offset: Zone::default(),
            tls: None,
            limits: MailLimits::default(),
        }
    }

    /// Reads the text of a configuration file.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// Whether it makes sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        let names = [("host_name", &self.host_name)].into_iter();
        for (key, name) in names.chain(self.domains.iter().map(|domain| ("domains", domain))) {
            if !valid_address(&format!("x@{name}")) || name.starts_with('[') {
                return Err(ConfigError::Name { key, value: name.clone() });
            }
        }
        if self.domains.is_empty() {
            return Err(ConfigError::Empty("domains"));
        }
        if self.dns_servers.is_empty() {
            return Err(ConfigError::Empty("dns_servers"));
        }
        if self.retry_schedule.is_empty() {
            return Err(ConfigError::Empty("retry_schedule"));
        }
        if let Some(rules) = &self.escalation {
            let times = [("escalation.after", rules.after), ("escalation.repeat", rules.repeat)];
            if let Some((key, _)) = times.into_iter().find(|(_, time)| millis_of(*time) == 0) {
                return Err(ConfigError::NoTime(key));
            }
        }
        if let Some(at) = self.administration_http {
            if self.administrators.is_empty() {
                return Err(ConfigError::Empty("administrators"));
            }
            if self.tls.is_none() && !at.ip().is_loopback() {
                return Err(ConfigError::AdministrationInClear(at));
            }
        }
        Ok(())
    }

    /// Whether the files that it names can be used.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        self.adapter_tls(&clock)?;
        self.tls.as_ref().map_or(Ok(()), |tls| tls.server(&clock).map(drop))
    }

    /// Whom adapters have to be proven by.
    pub(super) fn adapter_tls(&self, clock: &Arc<dyn Clock>) -> Result<Option<ClientTls>, ConfigError> {
        let Some(path) = &self.adapter_anchors else { return Ok(None) };
        let anchors = std::fs::read(path).map_err(|source| ConfigError::File { path: path.clone(), source })?;
        let tls = ClientTls::new(&anchors, clock);
        tls.map(Some).map_err(|source| ConfigError::Tls { path: path.clone(), source })
    }

    /// How mail goes on to other servers.
    pub(super) fn relay_upgrade(&self, clock: &Arc<dyn Clock>) -> Upgrade {
        // Without TLS at all, rather in clear than not.
        let tls = self.relay_starttls.then(|| ClientTls::unproven(clock).ok()).flatten();
        tls.map_or(Upgrade::Clear, Upgrade::IfOffered)
    }

    /// Keys of `new` that differ and hold from the next start only.
    pub(super) fn fixed_keys_changed(&self, new: &Self) -> Vec<&'static str> {
        let listens = |config: &Self| config.tls.as_ref().map(|tls| (tls.smtps, tls.pop3s));
        let sessions = |config: &Self| {
            let MailLimits { message_octets, recipients, sessions, sessions_per_address, .. } = config.limits;
            (message_octets, recipients, sessions, sessions_per_address, config.limits.login_failures)
        };
        [
            ("host_name", self.host_name != new.host_name),
            ("smtp", self.smtp != new.smtp),
            ("pop3", self.pop3 != new.pop3),
            ("data", self.data != new.data),
            ("database", self.database != new.database),
            ("dns_servers", self.dns_servers != new.dns_servers),
            ("relay_starttls", self.relay_starttls != new.relay_starttls),
            ("adapter_anchors", self.adapter_anchors != new.adapter_anchors),
            ("metrics", self.metrics != new.metrics),
            ("administration_http", self.administration_http != new.administration_http),
            ("tls.smtps, tls.pop3s", listens(self) != listens(new)),
            ("limits of sessions and mails", sessions(self) != sessions(new)),
        ]
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(key, _)| key)
        .collect()
    }

    pub(super) fn may_relay(&self, address: IpAddr) -> bool {
        self.relay_from.iter().any(|range| range.contains(address))
    }

    /// The wait after this many failed attempts.
    pub(super) fn retry_after(&self, attempts: u32) -> Duration {
        let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.retry_schedule.get(index).or_else(|| self.retry_schedule.last());
        wait.copied().unwrap_or(Duration::from_secs(300))
    }
}

fn default_relay_port() -> u16 {
    25
}

fn default_notice_interval() -> Duration {
    Duration::from_secs(300)
}

fn default_expiry() -> Duration {
    Duration::from_secs(5 * 24 * 3600)
}

fn default_delay() -> Duration {
    Duration::from_secs(4 * 3600)
}

fn default_true() -> bool {
    true
}

fn default_retry() -> Vec<Duration> {
    [5, 30, 60, 300, 900, 3600].map(Duration::from_secs).to_vec()
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(D::Error::custom)
}

fn durations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| humantime::parse_duration(text).map_err(D::Error::custom)).collect()
}

/// Addresses that share a prefix: "10.1.0.0/16", "2001:db8::/32", or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    address: IpAddr,
    prefix: u8,
}

impl AddressRange {
    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differing = u32::from(ours) ^ u32::from(theirs);
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differing = u128::from(ours) ^ u128::from(theirs);
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || format!("{text:?} is no range of addresses; write it as 10.1.0.0/16 or 10.1.2.3");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| bad())?,
            None => longest,
        };
        if prefix > longest {
            return Err(bad());
        }
        Ok(Self { address, prefix })
    }
}

impl<'de> Deserialize<'de> for AddressRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_example_is_valid_and_names_the_defaults() {
        let text = include_str!("../../sealfax-mailserver.example.toml");
        #[derive(Deserialize)]
        struct File {
            mail: MailConfig,
        }
        let example = toml::from_str::<File>(text).unwrap().mail;
        example.check().unwrap();
        let mut defaults = MailConfig::new("mail.office-a.example", &["office-a.example"], "", vec![]);
        defaults.smtp = example.smtp;
        defaults.pop3 = example.pop3;
        defaults.data.clone_from(&example.data);
        defaults.dns_servers.clone_from(&example.dns_servers);
        defaults.relay_from.clone_from(&example.relay_from);
        assert_eq!(example, defaults);
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = MailConfig::from_toml("host_nam = 'x'").unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("host_nam"));
    }

    #[test]
    fn escalation_is_off_and_its_example_names_its_defaults() {
        let text = include_str!("../../sealfax-mailserver.example.toml");
        let commented = text.split("# [mail.escalation]\n").nth(1).unwrap().split("\n\n").next().unwrap();
        let keys = commented.lines().filter(|line| line.contains(" = ")).map(|line| line.trim_start_matches("# "));
        let keys: Vec<&str> = keys.collect();
        assert_eq!(keys.len(), 3);
        assert_eq!(toml::from_str::<Escalation>(&keys.join("\n")).unwrap(), Escalation::default());
        assert!(toml::from_str::<Escalation>("aftr = '1h'").is_err());
        let mut config = MailConfig::new("mail.b.test", &["b.test"], "", vec![([127, 0, 0, 1], 53).into()]);
        assert_eq!(config.escalation, None);
        config.escalation = Some(Escalation { repeat: Duration::ZERO, ..Escalation::default() });
        assert!(matches!(config.check(), Err(ConfigError::NoTime("escalation.repeat"))));
    }

    #[test]
    fn ranges() {
        let range: AddressRange = "127.1.0.0/16".parse().unwrap();
        assert!(range.contains("127.1.9.9".parse().unwrap()));
        assert!(range.contains("::ffff:127.1.9.9".parse().unwrap()));
        assert!(!range.contains("127.2.0.1".parse().unwrap()));
        assert!("10.0.0.0/33".parse::<AddressRange>().is_err());
        assert!("0.0.0.0/0".parse::<AddressRange>().unwrap().contains("9.9.9.9".parse().unwrap()));
    }
}
