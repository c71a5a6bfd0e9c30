//! The daemon's doors and unit, who keeps the clock, and the certificates in files.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use sealfax_client::seam::Seams;
use sealfax_drivers::card::piv::Slot;
use sealfax_smime::path::{self, PathError, Use};

use super::super::facts::{CertificatesFacts, ClockFacts, DoorFacts, FileFacts, PathFacts, ServiceFacts, UnitFacts};
use super::card::{CardCertificate, seconds, slot_name};
use super::files::Root;
use crate::config::Config;
use crate::trust::{fault, read_pem, with_sources};

/// The daemon's unit.
const UNIT: &str = "sealfax-adapter.service";

pub(super) fn certificates(config: &Config, seams: &Seams, card: &[CardCertificate]) -> CertificatesFacts {
    let network = &config.network;
    let tls = network.ldap.as_ref().and_then(|ldap| ldap.tls_anchors.as_deref());
    let named = [
        ("network.anchors", Some(network.anchors.as_path())),
        ("network.intermediates", network.intermediates.as_deref()),
        ("trust.ocsp_responders", config.trust.ocsp_responders.as_deref()),
        ("network.ldap.tls_anchors", tls),
    ];
    let files: Vec<FileFacts> = named.into_iter().filter_map(|(key, path)| Some(file(key, path?))).collect();
    let mut paths = Vec::new();
    // Without anchors no path holds, which would say nothing of the card.
    if let Ok(anchors) = read_pem(&network.anchors) {
        let intermediates = network.intermediates.as_deref().and_then(|path| read_pem(path).ok()).unwrap_or_default();
        for CardCertificate { slot, der } in card {
            let purpose = if *slot == Slot::KeyManagement { Use::Encrypt } else { Use::Sign };
            let held = path::check_path(der, &intermediates, &anchors, seams.clock.now(), purpose);
            paths.push(match held {
                Ok(()) => PathFacts { slot: slot_name(*slot), ..PathFacts::default() },
                Err(error) => PathFacts {
                    slot: slot_name(*slot),
                    code: Some(fault::of_path(&error, der, purpose).code().to_owned()),
                    detail: format!("{}: {error}", error.code()),
                    of_time: of_time(&error),
                },
            });
        }
    }
    CertificatesFacts { files, paths }
}

const fn of_time(error: &PathError) -> bool {
    matches!(
        error,
        PathError::Expired
            | PathError::NotYetValid
            | PathError::IssuerExpired
            | PathError::IssuerNotYetValid
            | PathError::AnchorExpired
            | PathError::AnchorNotYetValid
    )
}

fn file(key: &str, path: &Path) -> FileFacts {
    let mut facts = FileFacts { key: key.to_owned(), path: path.display().to_string(), ..FileFacts::default() };
    match read_pem(path) {
        Err(error) => facts.problem = Some(with_sources(&error)),
        Ok(certificates) => {
            facts.count = certificates.len();
            let dates: Result<Vec<_>, _> = certificates.iter().map(|der| path::validity(der)).collect();
            match dates {
                Ok(dates) => facts.ends = dates.into_iter().map(|(_, ends)| seconds(ends)).min(),
                Err(error) => facts.problem = Some(error.to_string()),
            }
        }
    }
    facts
}

pub(super) fn clock(root: &Root) -> ClockFacts {
    let keeper = "/run/systemd/timesync";
    ClockFacts {
        synchronised: root.has(keeper).then(|| root.has(format!("{keeper}/synchronized"))),
        battery: Some(root.has("/sys/class/rtc/rtc0")),
    }
}

pub(super) fn service(root: &Root, config: &Config) -> ServiceFacts {
    let tables: String =
        ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|path| Some(root.text(path)? + "\n")).collect();
    let listeners = listeners(&tables);
    let door = |(key, at): (&str, Option<SocketAddr>)| {
        at.map(|at| DoorFacts { key: key.to_owned(), at, open: is_open(&listeners, at) })
    };
    let named = [
        ("terminal.smtp", config.terminal.smtp),
        ("terminal.pop3", config.terminal.pop3),
        ("network.notices", Some(config.network.notices)),
        ("status.listen", config.status.map(|status| status.listen)),
    ];
    let doors = named.into_iter().filter_map(door).collect();
    ServiceFacts { doors, unit: if root.is_real() { unit() } else { None } }
}

fn is_open(listeners: &[SocketAddr], at: SocketAddr) -> bool {
    listeners.iter().any(|one| {
        one.port() == at.port() && (one.ip() == at.ip() || one.ip().is_unspecified() || at.ip().is_unspecified())
    })
}

/// Who listens, by `/proc/net/tcp` and `tcp6`: local address and state 0A.
fn listeners(table: &str) -> Vec<SocketAddr> {
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
            let (address, port) = local.split_once(':')?;
            let port = u16::from_str_radix(port, 16).ok()?;
            (state == "0A").then_some(())?;
            Some(SocketAddr::new(address_of(address)?, port))
        })
        .collect()
}

/// Words of 32 bits in memory order, each printed as a number of this machine.
fn address_of(text: &str) -> Option<IpAddr> {
    let mut octets = Vec::new();
    for word in text.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        octets.extend(word.to_ne_bytes());
    }
    if let Ok(four) = <[u8; 4]>::try_from(octets.as_slice()) {
        return Some(IpAddr::V4(Ipv4Addr::from(four)));
    }
    <[u8; 16]>::try_from(octets).ok().map(|six| IpAddr::V6(Ipv6Addr::from(six)))
}

/// What systemd says of the unit; `None` where there is no systemd, or no such unit.
fn unit() -> Option<UnitFacts> {
    let asked = ["LoadState", "ActiveState", "SubState", "Result", "NRestarts"].join(",");
    let output = Command::new("systemctl").args(["show", UNIT, "--no-pager", "-p", &asked]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default().to_owned()
    };
    (value("LoadState") == "loaded").then(|| UnitFacts {
        active: value("ActiveState"),
        sub: value("SubState"),
        result: value("Result"),
        restarts: value("NRestarts").parse().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn listeners_are_found() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
                     \x20  0: 014DA8C0:0019 00000000:0000 0A 00000000:00000000\n\
                     \x20  1: 014DA8C0:006E 0100007F:1F90 01 00000000:00000000\n\
                     \x20  0: 00000000000000000000000000000000:0019 00000000000000000000000000000000:0000 0A 0\n";
        let listeners = listeners(table);
        assert_eq!(listeners, ["192.168.77.1:25".parse().unwrap(), "[::]:25".parse().unwrap()]);
        assert!(is_open(&listeners, "192.168.77.1:25".parse().unwrap()));
        assert!(is_open(&listeners, "0.0.0.0:25".parse().unwrap()));
        assert!(!is_open(&listeners, "192.168.77.1:110".parse().unwrap()));
    }
}
