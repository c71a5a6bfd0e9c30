//! What is told of documents: confirmations at the sender, alerts at the receiver, and the status page.

use std::net::SocketAddr;
use std::time::Duration;

use sealfax_ifax::Resolution;
use serde::Deserialize;

/// Confirmations.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfirmationConfig {
    /// C11: how many are collected before a report is printed.
    pub batch: usize,
    /// C11: how long the first of them waits for that, in seconds; 0 for as long as it takes.
    pub batch_seconds: u64,
    /// After this many seconds without a confirmation the sender is alarmed.
    pub overdue_seconds: u64,
    /// How soon a failed delivery of a confirmation or a registration is tried again, in seconds.
    pub retry_seconds: u64,
    /// How many receipts of the history server are kept.
    pub receipts_kept: usize,
    /// At which resolution reports are printed.
    pub report_resolution: ReportResolution,
}

/// See [`ConfirmationConfig::report_resolution`]: every machine of TIFF-FX profile S prints both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportResolution {
    /// 204x196 dots per inch.
    #[default]
    Fine,
    /// 204x98: half the octets, and letters as sharp.
    Standard,
}

impl ReportResolution {
    /// The page's.
    pub const fn page(self) -> Resolution {
        match self {
            Self::Fine => Resolution::Fine,
            Self::Standard => Resolution::Standard,
        }
    }
}

impl Default for ConfirmationConfig {
    fn default() -> Self {
        Self {
            batch: 1,
            batch_seconds: 60 * 60,
            overdue_seconds: 24 * 60 * 60,
            retry_seconds: 30,
            receipts_kept: 1000,
            report_resolution: ReportResolution::default(),
        }
    }
}

/// Alerts for what arrives.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoticesConfig {
    /// After this many seconds without its recipient's card an alert becomes louder; 0: never.
    pub louder_after_seconds: u64,
}

impl Default for NoticesConfig {
    fn default() -> Self {
        Self { louder_after_seconds: 600 }
    }
}

impl NoticesConfig {
    /// See `louder_after_seconds`.
    pub fn louder_after(&self) -> Duration {
        Duration::from_secs(self.louder_after_seconds)
    }
}

/// The status page on the network's side.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether it names the people whom the screen names.
    #[serde(default)]
    pub names: bool,
}
