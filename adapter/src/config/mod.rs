//! The adapter's configuration: one TOML file, every key documented in `sealfax-adapter.example.toml`, unknown keys
//! refused with what was probably meant, and everything that is wrong said at once.

mod check;
mod confirmations;
mod correspondents;
mod devices;
mod files;
mod keys;
mod modem;
mod network;
mod service;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealfax_client::history::LogKey;
use sealfax_client::ocsp::CLOCK_SKEW;
use sealfax_client::tls::TlsName;
use sealfax_drivers::display::Language;
use serde::Deserialize;

pub use check::{Problem, read as read_toml};
pub use confirmations::{ConfirmationConfig, NoticesConfig, ReportResolution, StatusConfig};
pub use correspondents::{CorrespondentsConfig, Domains};
pub use devices::{DisplayBackend, DisplayConfig, GpioBackend, GpioConfig, PersonConfig};
pub use modem::ModemConfig;
pub use network::{MailTls, NetworkConfig, NoticesTls};
pub use service::{LogForm, PortName, PortsConfig, ServiceConfig};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}; give its place with --config")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Keys are unknown, missing or of a wrong kind, or files that it names cannot be used; each with its line and key.
    #[error("the configuration {path} is not usable:{}", listed(.problems))]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// All that is wrong.
        problems: Vec<Problem>,
    },
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// All that an adapter has to be told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The adapter's own host name, as it is registered with the mail server.
    pub host_name: String,
    /// What stands at the top of the screen.
    pub office: String,
    /// Which language stands first.
    #[serde(default, deserialize_with = "language")]
    pub language: Language,
    /// Minutes east of Greenwich, for the clock on the screen; Japan is 540.
    #[serde(default = "japan")]
    pub utc_offset_minutes: i32,
    /// Where durable state lives: the print-once ledger, queued confirmations, waiting reports.
    pub data: PathBuf,
    /// The side of the fax machine.
    pub terminal: TerminalConfig,
    /// The side of the servers.
    pub network: NetworkConfig,
    /// Whom and what to believe.
    #[serde(default)]
    pub trust: TrustConfig,
    /// What is agreed with some correspondents.
    #[serde(default)]
    pub correspondents: CorrespondentsConfig,
    /// The card and its PIN.
    #[serde(default)]
    pub card: CardConfig,
    /// Sending.
    #[serde(default)]
    pub sending: SendingConfig,
    /// Confirmations.
    #[serde(default)]
    pub confirmations: ConfirmationConfig,
    /// Alerts for what arrives.
    #[serde(default)]
    pub notices: NoticesConfig,
    /// The status page; without it, none.
    #[serde(default)]
    pub status: Option<StatusConfig>,
    /// Lamp, buzzer and button; without it, the console's.
    #[serde(default)]
    pub gpio: Option<GpioConfig>,
    /// The screen; without it, the console's.
    #[serde(default)]
    pub display: Option<DisplayConfig>,
    /// Whoever is asked for the person beside the card.
    #[serde(default)]
    pub person: Option<PersonConfig>,
    /// Which device is which port.
    #[serde(default)]
    pub ports: Option<PortsConfig>,
    /// How the program lives with its host.
    #[serde(default)]
    pub service: ServiceConfig,
}

/// The side of the fax machine: an Internet fax machine's doors, or a modem for one on a telephone line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalConfig {
    /// Where the adapter is the terminal's SMTP server.
    #[serde(default)]
    pub smtp: Option<SocketAddr>,
    /// Where the adapter is the terminal's POP3 server.
    #[serde(default)]
    pub pop3: Option<SocketAddr>,
    /// Addresses that belong to the machine rather than to a person: who inserts a card sends in their own name.
    #[serde(default)]
    pub machine_addresses: Vec<String>,
    /// The line of a plain fax machine.
    #[serde(default)]
    pub modem: Option<ModemConfig>,
}

impl TerminalConfig {
    /// What no single key shows.
    fn contradictions(&self) -> Vec<&'static str> {
        let mut wrong = self.modem.as_ref().map(ModemConfig::contradictions).unwrap_or_default();
        if self.modem.is_none() && (self.smtp.is_none() || self.pop3.is_none()) {
            wrong.push(
                "[terminal] says of no fax machine; give `terminal.smtp` and `terminal.pop3` for an Internet fax machine, or \
                 the table [terminal.modem] for one on a telephone line",
            );
        }
        if self.modem.is_some() && self.machine_addresses.is_empty() {
            wrong.push(
                "[terminal.modem] needs an address of the machine's own; give one in `terminal.machine_addresses`",
            );
        }
        wrong
    }
}

/// Whom and what to believe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustConfig {
    /// PEM file with the certificates of the only OCSP responders that may answer. Without it: the issuer of the
    /// certificate in question, and whom it delegated.
    pub ocsp_responders: Option<PathBuf>,
    /// Whether an OCSP answer has to repeat the question's nonce.
    pub ocsp_nonce: NonceRule,
    /// How old an answer without nonce may be, in seconds.
    pub ocsp_max_age_seconds: u64,
    /// How far the clocks of adapter and OCSP responder may differ, in seconds.
    pub clock_tolerance_seconds: u64,
    /// What to do when another certificate appears for a correspondent while the old one still counts.
    pub certificate_change: ChangeRule,
}

impl Default for TrustConfig {
    fn default() -> Self {
        Self {
            ocsp_responders: None,
            ocsp_nonce: NonceRule::Required,
            ocsp_max_age_seconds: 60 * 60,
            clock_tolerance_seconds: CLOCK_SKEW.as_secs(),
            certificate_change: ChangeRule::Warn,
        }
    }
}

/// See [`TrustConfig::ocsp_nonce`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NonceRule {
    /// It has to.
    Required,
    /// For responders that answer from a cache.
    Optional,
}

/// See [`TrustConfig::certificate_change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeRule {
    /// Say so, and go on.
    Warn,
    /// Rely on the old ones alone until they are expired or revoked.
    Refuse,
}

/// Longest tolerance and age that may be configured: what is a day old says nothing of today.
const A_DAY: u64 = 24 * 60 * 60;

/// The card and its PIN.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CardConfig {
    /// Which PC/SC reader: a part of its name, or a pattern with `*`. Without it there has to be exactly one.
    pub reader: Option<String>,
    /// The USB keypad: its device file, or a part of its name. Without it, the reader's own keys.
    pub keypad: Option<String>,
    /// How long an accepted card may wait for its act, in seconds; then the PIN is asked anew.
    pub pin_seconds: u64,
}

impl Default for CardConfig {
    fn default() -> Self {
        Self { reader: None, keypad: None, pin_seconds: 300 }
    }
}

impl CardConfig {
    /// See `pin_seconds`.
    pub fn pin_life(&self) -> Duration {
        Duration::from_secs(self.pin_seconds)
    }
}

/// Sending.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SendingConfig {
    /// How long a document waits for its sender's card, in seconds. RFC 5321, 4.5.3.2.6 gives a client ten minutes
    /// for the reply after DATA; a minute is left for sealing and submitting.
    pub hold_seconds: u64,
}

impl Default for SendingConfig {
    fn default() -> Self {
        Self { hold_seconds: 9 * 60 }
    }
}

impl SendingConfig {
    /// See `hold_seconds`.
    pub fn hold(&self) -> Duration {
        Duration::from_secs(self.hold_seconds)
    }
}

impl Config {
    /// Reads a file, and checks what it says by itself.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let unusable = |problems| ConfigError::Unusable { path: path.to_owned(), problems };
        let config: Self = check::read(&text).map_err(unusable)?;
        let problems = config.contradictions();
        if problems.is_empty() { Ok(config) } else { Err(unusable(problems)) }
    }

    /// Looks at everything that can be looked at without a device or a server: the files that it names.
    pub fn check_files(&self, path: &Path) -> Result<(), ConfigError> {
        let problems = files::problems(self);
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Unusable { path: path.to_owned(), problems }) }
    }

    /// What no single key shows.
    fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut say = |wrong: bool, what: &str| {
            if wrong {
                problems.push(Problem::anywhere(what));
            }
        };
        let named = self.network.ocsp.as_ref().is_some_and(|location| location.address().is_none());
        say(
            named && self.network.dns_servers.is_empty(),
            "`network.ocsp` has a host name; say in `network.dns_servers` whom to ask for its address",
        );
        say(
            self.trust.clock_tolerance_seconds > A_DAY || self.trust.ocsp_max_age_seconds > A_DAY,
            "`trust.clock_tolerance_seconds` and `trust.ocsp_max_age_seconds` are at most 86400, a day",
        );
        let Self { terminal, network, ports, .. } = self;
        say(
            network.tls.as_ref().is_some_and(|tls| TlsName::new(&tls.name).is_err()),
            "`network.tls.name` is no host name; write the mail server's as it stands in its certificate",
        );
        say(
            network.history_tls.as_ref().is_some_and(|tls| TlsName::new(&tls.name).is_err()),
            "`network.history_tls.name` is no host name; write the history server's as it stands in its certificate",
        );
        say(
            network.history_key.as_deref().is_some_and(|key| LogKey::parse(key).is_err()),
            "`network.history_key` is no key of a history; write NAME+HEX+BASE64 as the history server prints it",
        );
        let (smtp, pop3, notices) = (terminal.smtp, terminal.pop3, Some(network.notices));
        say(collide(smtp, pop3), "`terminal.smtp` and `terminal.pop3` are one place; give each a port of its own");
        let (of_terminal, of_network) =
            ports.as_ref().map_or((None, None), |ports| (ports.terminal.as_ref(), ports.network.as_ref()));
        let apart = of_terminal.is_some() && of_network.is_some();
        say(
            !apart && (collide(smtp, notices) || collide(pop3, notices)),
            "`network.notices` is where the terminal's mail comes in; give this adapter's own address on the network's \
             side, or say in [ports] which port is which",
        );
        let status = self.status.map(|status| status.listen);
        say(
            collide(status, notices) || (!apart && (collide(status, smtp) || collide(status, pop3))),
            "`status.listen` is taken by another door of this adapter; give the status page a port of its own",
        );
        say(
            apart && of_terminal == of_network,
            "`ports.terminal` and `ports.network` are one port; the fax machine needs one of its own",
        );
        problems.extend(terminal.contradictions().into_iter().map(Problem::anywhere));
        if let Some(wrong) = self.correspondents.contradiction() {
            problems.push(Problem::anywhere(wrong));
        }
        if let Some(Err(wrong)) = self.gpio.as_ref().map(GpioConfig::check) {
            problems.push(Problem::anywhere(wrong));
        }
        if let Some(Err(wrong)) = self.person.as_ref().map(PersonConfig::check) {
            problems.push(Problem::anywhere(wrong));
        }
        if let Some(Err(wrong)) = self.display.as_ref().map(DisplayConfig::check) {
            problems.push(Problem::anywhere(wrong));
        }
        problems
    }
}

/// Whether two listeners cannot both be.
fn collide(one: Option<SocketAddr>, other: Option<SocketAddr>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    let (a, b) = (one.ip(), other.ip());
    one.port() == other.port() && one.port() != 0 && (a == b || a.is_unspecified() || b.is_unspecified())
}

fn japan() -> i32 {
    540
}

fn language<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Language, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "japanese" => Ok(Language::Japanese),
        "english" => Ok(Language::English),
        other => {
            Err(serde::de::Error::custom(format!("`{other}` is not a language here; say \"japanese\" or \"english\"")))
        }
    }
}
