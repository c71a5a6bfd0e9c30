//! The example configuration is a configuration, and a typing mistake is told by its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sealfax_adapter::Config;

const EXAMPLE: &str = include_str!("../sealfax-adapter.example.toml");

#[test]
fn the_example_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.toml");
    std::fs::write(&path, EXAMPLE).unwrap();
    let config = Config::read(&path).unwrap();
    assert_eq!(config.sending.hold_seconds, 540);
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
