//! The adapter's configuration: one TOML file, every key documented in `sealfax-adapter.example.toml`, unknown keys
//! refused.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealfax_drivers::display::Language;
use serde::Deserialize;

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
    /// A key is unknown, missing or of a wrong kind; the message names line and key.
    #[error("the configuration {path} is not usable: {reason}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Line, key, and what was expected.
        reason: String,
    },
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
    /// Sending.
    #[serde(default)]
    pub sending: SendingConfig,
    /// Confirmations.
    #[serde(default)]
    pub confirmations: ConfirmationConfig,
}

/// The side of the fax machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalConfig {
    /// Where the adapter is the terminal's SMTP server.
    pub smtp: SocketAddr,
    /// Where the adapter is the terminal's POP3 server.
    pub pop3: SocketAddr,
    /// Addresses that belong to the machine rather than to a person: who inserts a card sends in their own name.
    #[serde(default)]
    pub machine_addresses: Vec<String>,
}

/// The side of the servers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Where notices and confirmations come in.
    pub notices: SocketAddr,
    /// Who may bring them: the mail server's addresses.
    pub notices_from: Vec<IpAddr>,
    /// The mail server's SMTP.
    pub smtp: SocketAddr,
    /// The mail server's POP3.
    pub pop3: SocketAddr,
    /// The certificate server: OCSP and look-up by address.
    pub directory: SocketAddr,
    /// The history server.
    pub history: SocketAddr,
    /// PEM file with the trust anchors.
    pub anchors: PathBuf,
    /// PEM file with the certificates of the issuing authorities between people's certificates and the anchors.
    #[serde(default)]
    pub intermediates: Option<PathBuf>,
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

/// Confirmations.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfirmationConfig {
    /// C11: how many are collected before a report is printed.
    pub batch: usize,
    /// After this many seconds without a confirmation the sender is alarmed.
    pub overdue_seconds: u64,
    /// How soon a failed delivery of a confirmation or a registration is tried again, in seconds.
    pub retry_seconds: u64,
}

impl Default for ConfirmationConfig {
    fn default() -> Self {
        Self { batch: 1, overdue_seconds: 24 * 60 * 60, retry_seconds: 30 }
    }
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|error| ConfigError::Parse { path: path.to_owned(), reason: error.to_string() })
    }
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
