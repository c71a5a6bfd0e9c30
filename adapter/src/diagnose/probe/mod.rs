//! The probes: facts about this machine, each gathered by a thin reader of files or sockets.

mod board;
mod card;
mod configuration;
mod files;
mod gpio;
mod interfaces;
mod servers;
mod service;

pub use card::{CardCertificate, look};
pub use files::Root;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sealfax_client::seam::Seams;
use sealfax_drivers::card::CardReader;

use super::area::Area;
use super::facts::{self, CardFacts, FactSheet, Facts, Presence};
use crate::card_command;
use crate::config::Config;

/// When this program was made, in seconds since 1970; no true clock shows less. A build that is to be reproducible says it
/// with `SOURCE_DATE_EPOCH`; otherwise it is the day from which this line is.
pub const BUILT: i64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) => number(text.as_bytes()),
    None => 1_793_491_200,
};

const fn number(text: &[u8]) -> i64 {
    let (mut rest, mut number) = (text, 0_i64);
    while let [digit @ b'0'..=b'9', tail @ ..] = rest {
        number = number.saturating_mul(10).saturating_add((*digit - b'0') as i64);
        rest = tail;
    }
    number
}

/// Where the card is looked at.
pub enum CardSource {
    /// In the reader that the configuration names.
    Configured,
    /// In this one.
    Reader(Box<dyn CardReader>),
    /// The running adapter has it already, or has none.
    Held(Option<Held>),
}

/// What a running adapter knows of the card that is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// PIN tries left.
    pub tries_left: u8,
    /// Its certificates.
    pub certificates: Vec<CardCertificate>,
}

/// Facts about this machine as it is now.
pub struct Live {
    root: Root,
    path: PathBuf,
    seams: Seams,
    source: CardSource,
    config: Option<Config>,
    /// The configuration is not to be read from its file.
    given: bool,
    certificates: Vec<CardCertificate>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("root", &self.root).field("path", &self.path).finish_non_exhaustive()
    }
}

impl Live {
    /// With the configuration at `path`.
    pub fn new(root: Root, path: &Path, seams: Seams, source: CardSource) -> Self {
        Self { root, path: path.to_owned(), seams, source, config: None, given: false, certificates: Vec::new() }
    }

    /// With a configuration that was read already.
    pub(crate) fn of(root: Root, config: &Config, seams: Seams, source: CardSource) -> Self {
        Self { config: Some(config.clone()), given: true, ..Self::new(root, Path::new(""), seams, source) }
    }

    async fn card(&mut self) -> CardFacts {
        let reader = match std::mem::replace(&mut self.source, CardSource::Configured) {
            CardSource::Held(held) => {
                self.source = CardSource::Held(held.clone());
                let Some(held) = held else { return CardFacts::default() };
                let mut facts = CardFacts {
                    presence: Presence::Present,
                    piv: true,
                    tries_left: Some(held.tries_left),
                    ..CardFacts::default()
                };
                card::describe(&mut facts, &held.certificates);
                self.certificates = held.certificates;
                return facts;
            }
            CardSource::Reader(reader) => Ok(reader),
            CardSource::Configured => {
                let pattern = self.config.as_ref().and_then(|config| config.card.reader.clone());
                card_command::open_reader(pattern.as_deref())
            }
        };
        match reader {
            Err(error) => CardFacts { presence: Presence::Failed(error.to_string()), ..CardFacts::default() },
            Ok(reader) => {
                let (facts, certificates) = look(reader).await;
                self.certificates = certificates;
                facts
            }
        }
    }
}

/// Work that blocks: files that hang on a failing medium, a daemon that does not answer.
async fn blocking<T: Default + Send + 'static>(root: &Root, work: impl FnOnce(&Root) -> T + Send + 'static) -> T {
    let root = root.clone();
    tokio::task::spawn_blocking(move || work(&root)).await.unwrap_or_default()
}

#[async_trait]
impl Facts for Live {
    fn begin(&mut self) -> FactSheet {
        self.certificates.clear();
        FactSheet {
            version: facts::VERSION,
            tool: format!("sealfax-adapter {}", env!("CARGO_PKG_VERSION")),
            built: BUILT,
            at: card::seconds(self.seams.clock.now()),
            ..FactSheet::default()
        }
    }

    async fn gather(&mut self, area: Area, sheet: &mut FactSheet) {
        match area {
            Area::Configuration if self.given => {
                sheet.configuration = self.config.as_ref().map(configuration::running);
            }
            Area::Configuration => {
                let path = self.path.clone();
                let read = tokio::task::spawn_blocking(move || configuration::read(&path)).await;
                if let Ok((config, facts)) = read {
                    self.config = config;
                    sheet.configuration = Some(facts);
                }
            }
            Area::Power => sheet.power = Some(board::power(&self.root)),
            Area::Storage => {
                if let Some(configuration) = &sheet.configuration {
                    let path = configuration.data.clone();
                    sheet.storage = Some(blocking(&self.root, move |root| board::storage(root, &path)).await);
                }
            }
            Area::Gpio => {
                if let Some(configuration) = sheet.configuration.clone() {
                    sheet.gpio = Some(blocking(&self.root, move |root| gpio::gpio(root, &configuration)).await);
                }
            }
            Area::Display => sheet.display = Some(board::display(&self.root)),
            Area::Reader => {
                let pattern = self.config.as_ref().and_then(|config| config.card.reader.clone());
                sheet.reader = Some(blocking(&self.root, move |root| card::reader(root, pattern.as_deref())).await);
            }
            Area::Card => sheet.card = Some(self.card().await),
            Area::TerminalPort | Area::NetworkPort => {
                if sheet.ports.is_none() {
                    sheet.ports = Some(blocking(&self.root, interfaces::ports).await);
                }
            }
            Area::Names => {
                if let Some(config) = &self.config {
                    sheet.names = Some(servers::names(config).await);
                }
            }
            Area::Servers => {
                if let Some(config) = &self.config {
                    sheet.servers = Some(servers::servers(config, &self.seams, &self.certificates).await);
                }
            }
            Area::Certificates => {
                if let Some(config) = &self.config {
                    sheet.certificates = Some(service::certificates(config, &self.seams, &self.certificates));
                }
            }
            Area::Clock => sheet.clock = Some(service::clock(&self.root)),
            Area::Service => {
                if let Some(config) = self.config.clone() {
                    sheet.service = Some(blocking(&self.root, move |root| service::service(root, &config)).await);
                }
            }
        }
    }
}
