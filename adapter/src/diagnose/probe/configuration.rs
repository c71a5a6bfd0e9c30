//! The configuration file, and what of it the checks go by.

use std::path::Path;

use sealfax_drivers::display::Language;

use super::super::facts::{ConfigurationFacts, ConfigurationProblem, LineWish};
use crate::config::{Config, ConfigError, DisplayBackend, PortName};

/// Reads the file; without a good one there is no [`Config`], and the facts say why.
pub(super) fn read(path: &Path) -> (Option<Config>, ConfigurationFacts) {
    let place = path.display().to_string();
    match Config::read(path) {
        Ok(config) => {
            let facts = ConfigurationFacts { path: place, ..wanted(&config) };
            (Some(config), facts)
        }
        Err(error) => {
            let problem = match &error {
                ConfigError::Read { source, .. } => ConfigurationProblem::Missing(source.to_string()),
                ConfigError::Unusable { .. } => ConfigurationProblem::Unusable(error.to_string()),
            };
            (None, ConfigurationFacts { path: place, japanese: true, problem: Some(problem), ..Default::default() })
        }
    }
}

/// What the running adapter was started with.
pub(super) fn running(config: &Config) -> ConfigurationFacts {
    ConfigurationFacts { path: "as the adapter was started".to_owned(), ..wanted(config) }
}

fn wanted(config: &Config) -> ConfigurationFacts {
    let network = &config.network;
    let mut servers = vec![network.smtp, network.pop3, network.directory, network.history];
    servers.extend(network.ldap.as_ref().map(|ldap| ldap.server));
    servers.extend(network.ocsp.as_ref().and_then(|location| location.address()));
    let gpio = config.gpio.as_ref();
    let lines = [
        ("lamp", gpio.and_then(|gpio| gpio.lamp)),
        ("lamp_sense", gpio.and_then(|gpio| gpio.lamp_sense)),
        ("buzzer", gpio.and_then(|gpio| gpio.buzzer)),
        ("button", gpio.and_then(|gpio| gpio.button)),
    ];
    let line = |(role, line): (&str, Option<u32>)| Some(LineWish { role: role.to_owned(), line: line? });
    let ports = config.ports.clone().unwrap_or_default();
    ConfigurationFacts {
        path: String::new(),
        problem: None,
        japanese: config.language == Language::Japanese,
        terminal: [config.terminal.smtp, config.terminal.pop3].into_iter().flatten().collect(),
        servers,
        notices: Some(network.notices),
        data: config.data.display().to_string(),
        clock_tolerance: i64::try_from(config.trust.clock_tolerance_seconds).unwrap_or(i64::MAX),
        lines: lines.into_iter().filter_map(line).collect(),
        chip: gpio.and_then(|gpio| gpio.chip.clone()),
        display: config.display.as_ref().map(|display| backend(display.backend).to_owned()),
        display_device: config
            .display
            .as_ref()
            .and_then(|display| Some(display.device.as_ref()?.display().to_string())),
        terminal_path: ports.terminal.as_ref().map(PortName::to_string),
        network_path: ports.network.as_ref().map(PortName::to_string),
        reader: config.card.reader.clone(),
    }
}

/// As it stands in the configuration.
fn backend(backend: DisplayBackend) -> &'static str {
    match backend {
        DisplayBackend::Drm => "drm",
        DisplayBackend::Framebuffer => "framebuffer",
        DisplayBackend::Png => "png",
    }
}
