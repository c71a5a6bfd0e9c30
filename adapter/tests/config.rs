//! The example configuration is a configuration, and a typing mistake is told by its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sealfax_adapter::Config;
use sealfax_adapter::config::NonceRule;

const EXAMPLE: &str = include_str!("../sealfax-adapter.example.toml");

#[test]
fn the_example_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.toml");
    std::fs::write(&path, EXAMPLE).unwrap();
    let config = Config::read(&path).unwrap();
    assert_eq!(config.sending.hold_seconds, 540);
    assert_eq!(config.trust.ocsp_nonce, NonceRule::Required);
    assert_eq!(config.terminal.machine_addresses, ["fax@b.example"]);
}

#[test]
fn a_typing_mistake_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.toml");
    std::fs::write(&path, EXAMPLE.replace("hold_seconds", "hold_secnods")).unwrap();
    let error = Config::read(&path).unwrap_err().to_string();
    assert!(error.contains("hold_secnods") && error.contains("hold_seconds"), "{error}");
}

/// What the example says of a directory, taken at its word.
#[test]
fn the_commented_directory_is_good_and_its_mistakes_are_named() {
    let (before, table) = EXAMPLE.split_once("# [network.ldap]").unwrap();
    let (table, after) = table.split_once("\n\n").unwrap();
    let keys = table.lines().map(|line| line.trim_start_matches("# ")).filter(|line| line.contains(" = "));
    let table: String = keys.map(|line| format!("{line}\n")).collect();
    let read = |table: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adapter.toml");
        std::fs::write(&path, format!("{before}[network.ldap]\n{table}\n{after}")).unwrap();
        Config::read(&path).map_err(|error| error.to_string())
    };
    let config = read(&table).unwrap();
    assert!(matches!(config.network.certificates(), sealfax_client::lookup::Directory::Ldap(_)));
    let error = read(&table.replace("scope =", "scoop =")).unwrap_err();
    assert!(error.contains("scoop") && error.contains("scope"), "{error}");
    let error = read(&table.replace("security = \"starttls\"", "")).unwrap_err();
    assert!(error.contains("clear"), "{error}");
}

fn read(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.toml");
    std::fs::write(&path, text).unwrap();
    Config::read(&path).map_err(|error| error.to_string())
}

#[test]
fn another_responder_is_a_url_and_its_name_needs_a_server_to_ask() {
    let with = |lines: &str| read(&EXAMPLE.replace("history = ", &format!("{lines}\nhistory = ")));
    let ocsp = with("ocsp = \"http://192.0.2.9:2560/x\"").unwrap().network.ocsp.unwrap();
    assert_eq!((ocsp.address(), ocsp.path.as_str()), (Some("192.0.2.9:2560".parse().unwrap()), "/x"));
    let named = "ocsp = \"http://ocsp.example/\"";
    let error = with(named).unwrap_err();
    assert!(error.contains("network.dns_servers"), "{error}");
    with(&format!("{named}\ndns_servers = [\"192.0.2.53:53\"]")).unwrap();
    let error = with("ocsp = \"https://ocsp.example/\"").unwrap_err();
    assert!(error.contains("http is enough"), "{error}");
}

#[test]
fn what_is_days_old_is_no_answer() {
    let error = read(&EXAMPLE.replace("max_age_seconds = 3600", "max_age_seconds = 360000")).unwrap_err();
    assert!(error.contains("86400"), "{error}");
}

/// A table that the example has commented out, taken at its word: every line of it that is a key.
fn uncommented(name: &str) -> String {
    let (_, table) = EXAMPLE.split_once(&format!("# [{name}]")).unwrap();
    let table = table.split_once("\n\n").map_or(table, |(table, _)| table);
    let keys = table.lines().map(|line| line.trim_start_matches("# ")).filter(|line| line.contains(" = "));
    // Sentences may contain an equals sign, keys are words.
    let keys = keys.filter(|line| line.split(" = ").next().is_some_and(|key| !key.contains([' ', '`'])));
    keys.fold(format!("[{name}]\n"), |table, line| format!("{table}{line}\n"))
}

#[test]
fn lamp_buzzer_button_and_screen_as_the_example_says() {
    use sealfax_adapter::config::{DisplayBackend, GpioBackend};
    let with = |table: &str| read(&format!("{EXAMPLE}\n{table}"));
    let gpio = with(&uncommented("gpio")).unwrap().gpio.unwrap();
    assert_eq!((gpio.backend, gpio.chip.as_deref()), (GpioBackend::Gpiocdev, Some("pinctrl-bcm2711")));
    let lamp = gpio.lamp().unwrap();
    assert_eq!((lamp.line, lamp.sense, lamp.active_low), (17, Some(27), false));
    let (buzzer, button) = (gpio.buzzer().unwrap(), gpio.button().unwrap());
    assert_eq!((buzzer.line, buzzer.active_low, button.line, button.active_low), (18, false, 22, true));
    assert_eq!(
        gpio.at_rest().iter().map(|rest| (rest.line, rest.high)).collect::<Vec<_>>(),
        [(17, false), (18, false)]
    );
    let display = with(&uncommented("display")).unwrap().display.unwrap();
    assert_eq!((display.backend, display.blank_seconds, display.speech), (DisplayBackend::Drm, 600, false));
    let few = with("[gpio]\nlamp = 5\nlamp_active_low = true\n[display]\nbackend = \"framebuffer\"").unwrap();
    assert!(few.gpio.as_ref().is_some_and(|gpio| gpio.buzzer().is_none() && gpio.at_rest()[0].high));
    assert_eq!(few.display.unwrap().blank_seconds, 600);
}

#[test]
fn what_cannot_be_wired_is_refused() {
    let with = |table: &str| read(&format!("{EXAMPLE}\n{table}")).unwrap_err();
    for (table, named) in [
        ("[gpio]\nlamp = 17\nbuzzer = 17", "same pin"),
        ("[gpio]\nlamp_sense = 27", "gpio.lamp"),
        ("[gpio]\nlamb = 17", "lamb"),
        ("[gpio]\nbackend = \"sysfs\"", "rppal"),
        ("[display]\nbackend = \"png\"", "display.device"),
        ("[display]\nblank_seconds = 5", "backend"),
    ] {
        let error = with(table);
        assert!(error.contains(named), "{table}: {error}");
    }
}
