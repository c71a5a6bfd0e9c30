//! What `--check` looks at beyond the file itself: the files that it names.

use std::path::Path;
use std::sync::Arc;

use sealfax_client::seam::{Clock, SystemClock};

use super::{Config, Problem};
use crate::terminal::modem::Numbers;
use crate::trust::{read_pem, trust_anchors};

/// All that is wrong with them.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |key: &str, why: String| problems.push(Problem::anywhere(format!("`{key}`: {why}")));
    let network = &config.network;
    if let Err(error) = read_pem(&network.anchors).and_then(|anchors| trust_anchors(&network.anchors, &anchors)) {
        say("network.anchors", error.to_string());
    }
    let bundles = [
        ("network.intermediates", network.intermediates.as_ref()),
        ("network.tls.anchors", network.tls.as_ref().map(|tls| &tls.anchors)),
        ("network.history_tls.anchors", network.history_tls.as_ref().map(|tls| &tls.anchors)),
        ("trust.ocsp_responders", config.trust.ocsp_responders.as_ref()),
        ("network.ldap.tls_anchors", network.ldap.as_ref().and_then(|ldap| ldap.tls_anchors.as_ref())),
    ];
    for (key, path) in bundles {
        if let Some(Err(error)) = path.map(|path| read_pem(path)) {
            say(key, error.to_string());
        }
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    if let Err(error) = network.notices_security(&clock) {
        say("network.notices_tls", error.to_string());
    }
    if let Some(Err(error)) = network.ldap.as_ref().map(|ldap| ldap.check_password_file()) {
        say("network.ldap.password_file", error.to_string());
    }
    if let Some(why) = config.person.as_ref().and_then(|person| person.problem()) {
        say("person.program", why);
    }
    if let Some(Err(error)) =
        config.terminal.modem.as_ref().map(|modem| Numbers::read(modem.numbers.as_deref(), modem.gateway.as_deref()))
    {
        say("terminal.modem.numbers", error.to_string());
    }
    if let Err(why) = can_hold_data(&config.data) {
        say("data", why);
    }
    if cfg!(not(feature = "pcsc")) && config.card.reader.is_some() {
        say("card.reader", "this build has no card readers; build with `--features pcsc`, or take the key out".into());
    }
    problems
}

/// The folder is made at the first start: what must be there is a folder above it.
fn can_hold_data(path: &Path) -> Result<(), String> {
    let there = path.ancestors().find(|above| above.exists());
    match there {
        _ if !path.is_absolute() => Err("give the whole path, from /".into()),
        Some(folder) if folder.is_dir() => Ok(()),
        Some(file) => Err(format!("{} is not a folder", file.display())),
        None => Err("there is no such place".into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_file_that_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("no-pem"), "hello").unwrap();
        let text = include_str!("../../sealfax-adapter.example.toml")
            .replace("/etc/sealfax/anchors.pem", &at("absent"))
            .replace("/etc/sealfax/intermediates.pem", &at("no-pem"))
            .replace("/var/lib/sealfax/adapter", &at("no-pem/data"))
            + "\n[person]\nprogram = \"/dev/null\"\n";
        let config: Config = toml::from_str(&text).unwrap();
        let said: Vec<String> = problems(&config).iter().map(ToString::to_string).collect();
        for key in ["`network.anchors`", "`network.intermediates`", "`data`", "`person.program`"] {
            assert!(said.iter().any(|problem| problem.starts_with(key)), "{key}: {said:#?}");
        }
    }
}
