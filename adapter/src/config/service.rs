//! The tables `[ports]` and `[service]`: which device is which port, and how the program lives with its host.

use std::fmt;

use serde::Deserialize;

/// Which Ethernet device is the fax machine's port and which the network's. With this table every listener takes
/// connections from its own port alone, and the ports' links are watched and shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PortsConfig {
    /// The fax machine's.
    pub terminal: Option<PortName>,
    /// The servers'.
    pub network: Option<PortName>,
}

/// How a port is found: by the socket it sits in, which a restart and a second adapter do not change, and never by a name
/// that the kernel gives in the order in which devices answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum PortName {
    /// udev's `ID_PATH`: `platform-3f980000.usb-usb-0:1.2:1.0`.
    Path(String),
    /// By name after all, written `name:br0`: for what has no path, as a bridge or one end of a veth pair.
    Interface(String),
}

impl TryFrom<String> for PortName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        match text.strip_prefix("name:") {
            // IFNAMSIZ with its final zero.
            Some(name) if plain(name) && name.len() < 16 => Ok(Self::Interface(name.to_owned())),
            None if plain(&text) && text.contains('-') => Ok(Self::Path(text)),
            _ => Err("a port is the ID_PATH that `udevadm info /sys/class/net/NAME` shows, as \
                 \"platform-3f980000.usb-usb-0:1.2:1.0\", or \"name:NAME\" for a device that has none"),
        }
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Interface(name) => write!(f, "name:{name}"),
        }
    }
}

/// How the program lives with its host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceConfig {
    /// In which form the journal is written.
    pub log: LogForm,
    /// Whether `/dev/watchdog` is fed, so that a machine that hangs starts anew.
    pub hardware_watchdog: bool,
}

/// See [`ServiceConfig::log`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogForm {
    /// To journald when systemd started us with its journal behind standard error, else text.
    #[default]
    Auto,
    /// A line for a person, on standard error.
    Text,
    /// A [`JournalLine`](crate::service::JournalLine) each, on standard error.
    Json,
    /// To journald, each value in a field of its own.
    Journald,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_port_is_a_path_or_says_that_it_is_a_name() {
        let path = "platform-3f980000.usb-usb-0:1.2:1.0";
        assert_eq!(PortName::try_from(path.to_owned()), Ok(PortName::Path(path.into())));
        assert_eq!(PortName::try_from("name:br0".to_owned()), Ok(PortName::Interface("br0".into())));
        for wrong in ["", "eth0", "name:", "name:a/b", "name:sixteen-octets-x", "../up-1", "pci-0 0"] {
            assert!(PortName::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
        assert_eq!(PortName::try_from("name:br0".to_owned()).unwrap().to_string(), "name:br0");
    }
}
