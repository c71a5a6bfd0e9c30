//! Looks after the ports: whether their links are up, and that this machine forwards nothing.

use std::fs;
use std::sync::Arc;

use sealfax_drivers::display::Fault;

use super::changes::Changes;
use super::sysfs::{Link, Sysfs};
use crate::config::{PortName, PortsConfig};
use crate::office::Office;

/// Each of these is 0 on a machine that forwards nothing (ip-sysctl in the kernel's documentation).
const FORWARDING: [&str; 2] = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];

/// What was seen at the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) terminal: Link,
    pub(crate) network: Link,
    /// The machine passes on what is not for it.
    pub(crate) forwards: bool,
}

impl Default for Seen {
    /// Of ports that nobody watches, nothing is known against.
    fn default() -> Self {
        Self { terminal: Link::Up, network: Link::Up, forwards: false }
    }
}

/// Something to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Failure(&'static str, String),
    Security(&'static str, &'static str),
    Note(&'static str),
}

impl Seen {
    /// The gravest of what is wrong, for the fault band.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let (code, japanese, english) = if self.forwards {
            ("NET-003", "端末側が分離されていません", "The fax machine's side is not isolated")
        } else if self.network != Link::Up {
            ("NET-001", "ネットワーク断", "No network")
        } else if self.terminal != Link::Up {
            ("NET-002", "ファクス機との接続断", "No link to the fax machine")
        } else {
            return None;
        };
        Some(Fault { code, japanese: japanese.into(), english: english.into() })
    }

    /// What is to be said of the change since `before`.
    fn since(&self, before: &Self, ports: &PortsConfig) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut compare = |before: Link, now: Link, code, port: Option<&PortName>, good| {
            let Some(port) = port.filter(|_| before != now) else { return };
            lines.push(match now {
                Link::Up => Line::Note(good),
                Link::Down => {
                    Line::Failure(code, format!("no link at {port}; check the cable and what is at its other end"))
                }
                Link::Absent => {
                    Line::Failure(code, format!("no network device at {port}; plug it in, or correct [ports]"))
                }
            });
        };
        compare(before.network, self.network, "NET-001", ports.network.as_ref(), "the network's link is up");
        compare(before.terminal, self.terminal, "NET-002", ports.terminal.as_ref(), "the fax machine's link is up");
        match (before.forwards, self.forwards) {
            (false, true) => lines.push(Line::Security(
                "NET-003",
                "this machine forwards packets, so the fax machine's side is not isolated; set net.ipv4.ip_forward and \
                 net.ipv6.conf.all.forwarding to 0",
            )),
            (true, false) => lines.push(Line::Note("this machine forwards nothing any more")),
            _ => {}
        }
        lines
    }
}

/// Looks now.
pub(crate) fn look(ports: &PortsConfig, sysfs: &Sysfs) -> Seen {
    let link = |port: Option<&PortName>| port.map_or(Link::Up, |port| sysfs.link(port));
    let forwards = |file: &&str| fs::read_to_string(file).is_ok_and(|text| text.trim() != "0");
    Seen {
        terminal: link(ports.terminal.as_ref()),
        network: link(ports.network.as_ref()),
        forwards: FORWARDING.iter().any(forwards),
    }
}

/// Runs for as long as the adapter.
pub(crate) async fn run(ports: PortsConfig, sysfs: Sysfs, office: Arc<Office>) {
    let changes = Changes::follow();
    // What is not there at the start is told like what goes later.
    let mut before = Seen::default();
    loop {
        let now = look(&ports, &sysfs);
        for line in now.since(&before, &ports) {
            match line {
                Line::Failure(code, text) => office.failed(code, text),
                Line::Security(code, text) => office.suspicious(code, text),
                Line::Note(text) => office.seams.journal.note(office.host(), text),
            }
        }
        if now != before {
            before = now;
            office.set_ports(now);
        }
        changes.next().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports() -> PortsConfig {
        let name = |name: &str| Some(PortName::Interface(name.into()));
        PortsConfig { terminal: name("t"), network: name("n") }
    }

    #[test]
    fn what_changes_is_said_once() {
        let good = Seen::default();
        assert!(good.since(&good, &ports()).is_empty());
        let bad = Seen { network: Link::Absent, terminal: Link::Down, forwards: true };
        let codes: Vec<_> = bad
            .since(&good, &ports())
            .into_iter()
            .filter_map(|line| match line {
                Line::Failure(code, _) | Line::Security(code, _) => Some(code),
                Line::Note(_) => None,
            })
            .collect();
        assert_eq!(codes, ["NET-001", "NET-002", "NET-003"]);
        assert!(bad.since(&bad, &ports()).is_empty());
        assert!(good.since(&bad, &ports()).iter().all(|line| matches!(line, Line::Note(_))));
        // Of a port that nobody named there is nothing to say.
        let nothing = PortsConfig::default();
        assert_eq!(Seen { forwards: false, ..bad }.since(&good, &nothing), []);
    }

    #[test]
    fn the_gravest_is_shown() {
        let code = |seen: Seen| seen.fault().map(|fault| fault.code);
        let good = Seen::default();
        assert_eq!(code(good), None);
        assert_eq!(code(Seen { terminal: Link::Down, ..good }), Some("NET-002"));
        let both = Seen { terminal: Link::Down, network: Link::Absent, ..good };
        assert_eq!(code(both), Some("NET-001"));
        assert_eq!(code(Seen { forwards: true, ..both }), Some("NET-003"));
    }
}
