//! Both ports, the name service, and the daemon's doors.

use std::net::{IpAddr, Ipv4Addr};

use super::super::catalogue::{self as c, Entry};
use super::super::engine::Known;
use super::super::facts::{FactSheet, InterfaceFacts, NameAnswer, PortsFacts, RouteFacts};
use super::super::report::{Evidence, Finding, Judgement, State};
use super::super::words::{Words, words};

/// So many restarts are no accident.
const MANY_RESTARTS: u32 = 3;

const HERE: Words = words("この機械の中だけで動いています", "everything is on this machine itself");

impl PortsFacts {
    /// The port that the configuration means: by its path, or as `name:br0` what has none.
    fn at(&self, path: &str) -> Option<&InterfaceFacts> {
        match path.strip_prefix("name:") {
            Some(name) => self.named(name),
            None => self.interfaces.iter().find(|one| one.path.as_deref() == Some(path)),
        }
    }

    fn named(&self, name: &str) -> Option<&InterfaceFacts> {
        self.interfaces.iter().find(|one| one.name == name)
    }

    fn having(&self, address: IpAddr) -> Option<&InterfaceFacts> {
        self.interfaces.iter().find(|one| one.addresses.contains(&address))
    }

    /// The interface through which an address is reached; the longest prefix wins.
    fn towards(&self, address: Ipv4Addr) -> Option<&InterfaceFacts> {
        let leads = |route: &&RouteFacts| {
            let mask = u32::MAX.checked_shl(32 - u32::from(route.prefix.min(32))).unwrap_or(0);
            u32::from(address) & mask == u32::from(route.network) & mask
        };
        let best = self.routes.iter().filter(leads).max_by_key(|route| route.prefix)?;
        self.named(&best.interface)
    }

    fn paths(&self) -> String {
        let listed: Vec<String> = self
            .interfaces
            .iter()
            .filter_map(|one| one.path.as_ref().map(|path| format!("{path} ({})", one.name)))
            .collect();
        if listed.is_empty() { "none".to_owned() } else { listed.join(", ") }
    }
}

/// An address that belongs to a port: not everywhere, and not this machine's own.
fn of_a_port(address: &IpAddr) -> bool {
    !address.is_unspecified() && !address.is_loopback()
}

fn terminal_address(sheet: &FactSheet) -> Option<IpAddr> {
    let configuration = sheet.configuration.as_ref()?;
    configuration.terminal.iter().map(|door| door.ip()).find(of_a_port)
}

/// Addresses of the servers, as far as they are numbers.
fn server_addresses(sheet: &FactSheet) -> Vec<Ipv4Addr> {
    let Some(configuration) = &sheet.configuration else { return Vec::new() };
    configuration
        .servers
        .iter()
        .filter_map(|server| match server.ip() {
            IpAddr::V4(address) if of_a_port(&IpAddr::V4(address)) => Some(address),
            _ => None,
        })
        .collect()
}

/// What shows that the two ports are the wrong way round; nothing if they are not.
fn swapped(sheet: &FactSheet, ports: &PortsFacts) -> Vec<Evidence> {
    let paths =
        sheet.configuration.as_ref().and_then(|one| one.terminal_path.as_deref().zip(one.network_path.as_deref()));
    let Some((terminal, network)) = paths.and_then(|(a, b)| ports.at(a).zip(ports.at(b))) else { return Vec::new() };
    let mut evidence = Vec::new();
    if let Some(address) = terminal_address(sheet)
        && network.addresses.contains(&address)
        && !terminal.addresses.contains(&address)
    {
        let name = &network.name;
        evidence
            .push(Evidence::new("the fax machine's address", format!("{address} is on {name}, the network's port")));
    }
    let by_terminal = |address: &Ipv4Addr| ports.towards(*address).is_some_and(|one| one.name == terminal.name);
    if let Some(address) = server_addresses(sheet).into_iter().find(by_terminal) {
        let name = &terminal.name;
        evidence.push(Evidence::new(
            "the way to the servers",
            format!("{address} is behind {name}, the fax machine's port"),
        ));
    }
    let misnamed = |one: &InterfaceFacts, other: &str| one.name.starts_with(other);
    if misnamed(terminal, "network") || misnamed(network, "terminal") {
        evidence.push(Evidence::new(
            "names",
            format!("{} is at the fax machine's path, {} at the network's", terminal.name, network.name),
        ));
    }
    evidence
}

/// A port that was found, judged by its link.
fn linked(one: &InterfaceFacts, entry: &'static Entry, evidence: &mut Vec<Evidence>) -> Option<Finding> {
    evidence.push(Evidence::new("interface", &one.name));
    evidence.extend(one.path.as_ref().map(|path| Evidence::new("path", path)));
    let addresses: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
    if !addresses.is_empty() {
        evidence.push(Evidence::new("addresses", addresses.join(", ")));
    }
    match one.carrier {
        Some(true) => None,
        Some(false) => Some(Finding::about(entry, &one.name).with("link", "none")),
        None => Some(Finding::about(entry, &one.name).with("link", "the interface is switched off")),
    }
}

fn missing(path: &str, ports: &PortsFacts) -> Judgement {
    let finding = Finding::about(&c::NET_005, path).with("there is", ports.paths());
    Judgement::of(vec![finding], Vec::new())
}

pub(super) fn terminal_port(sheet: &FactSheet) -> Option<Judgement> {
    let (ports, configuration) = (sheet.ports.as_ref()?, sheet.configuration.as_ref()?);
    let crossed = swapped(sheet, ports);
    if !crossed.is_empty() {
        let finding = Finding { evidence: crossed, ..Finding::new(&c::NET_004) };
        return Some(Judgement::of(vec![finding], vec![Evidence::new("paths", ports.paths())]));
    }
    let address = terminal_address(sheet);
    let port = match &configuration.terminal_path {
        Some(path) => match ports.at(path) {
            Some(port) => port,
            None => return Some(missing(path, ports)),
        },
        None => match address {
            None => return Some(Judgement::plain(State::Skipped(HERE))),
            Some(address) => match ports.having(address) {
                Some(port) => port,
                None => {
                    let finding = Finding::about(&c::NET_006, address.to_string()).with("there is", ports.paths());
                    return Some(Judgement::of(vec![finding], Vec::new()));
                }
            },
        },
    };
    let mut evidence = Vec::new();
    let mut findings: Vec<Finding> = linked(port, &c::NET_002, &mut evidence).into_iter().collect();
    if let Some(address) = address.filter(|address| !port.addresses.contains(address)) {
        findings.push(Finding::about(&c::NET_006, format!("{}, {address}", port.name)));
    }
    // Whoever has no second port to keep apart may forward what they like.
    if ports.forwarding == Some(true) && configuration.terminal_path.is_some() {
        findings.push(Finding::new(&c::NET_003));
    }
    Some(Judgement::of(findings, evidence))
}

pub(super) fn network_port(sheet: &FactSheet, known: &Known) -> Option<Judgement> {
    let (ports, configuration) = (sheet.ports.as_ref()?, sheet.configuration.as_ref()?);
    if let Some(by) = known.found(c::NET_004.code) {
        return Some(Judgement::plain(State::Blocked(by)));
    }
    let port = match &configuration.network_path {
        Some(path) => match ports.at(path) {
            Some(port) => port,
            None => return Some(missing(path, ports)),
        },
        None => {
            let servers = server_addresses(sheet);
            if servers.is_empty() {
                return Some(Judgement::plain(State::Skipped(HERE)));
            }
            match servers.into_iter().find_map(|address| ports.towards(address)) {
                Some(port) => port,
                None => {
                    let finding = Finding::new(&c::NET_006).with("way to the servers", "none");
                    return Some(Judgement::of(vec![finding], vec![Evidence::new("ports", ports.paths())]));
                }
            }
        }
    };
    let mut evidence = Vec::new();
    let mut findings: Vec<Finding> = linked(port, &c::NET_001, &mut evidence).into_iter().collect();
    let usable = |address: &IpAddr| match address {
        IpAddr::V4(address) => !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    };
    // Without a link nobody gives out addresses: that is the cable's fault.
    if findings.is_empty() && !port.addresses.iter().any(usable) {
        findings.push(Finding::about(&c::NET_006, &port.name));
    }
    Some(Judgement::of(findings, evidence))
}

pub(super) fn names(sheet: &FactSheet) -> Option<Judgement> {
    let facts = sheet.names.as_ref()?;
    if facts.asked.is_empty() {
        let why = words("名前で指定されたサーバーはありません", "no server is configured by its name");
        return Some(Judgement::plain(State::Skipped(why)));
    }
    let (mut findings, mut evidence) = (Vec::new(), Vec::new());
    for one in &facts.asked {
        match &one.answer {
            NameAnswer::Addresses(count) => {
                evidence.push(Evidence::new(&one.name, format!("{count} addresses, says {}", one.server)));
            }
            NameAnswer::NotFound => {
                findings.push(Finding::about(&c::NAME_002, &one.name).with("says", one.server));
            }
            NameAnswer::None(why) => {
                findings.push(Finding::about(&c::NAME_001, one.server.to_string()).with("why", why));
            }
        }
    }
    Some(Judgement::of(findings, evidence))
}

pub(super) fn service(sheet: &FactSheet, known: &Known) -> Option<Judgement> {
    let facts = sheet.service.as_ref()?;
    let mut evidence: Vec<Evidence> = facts
        .doors
        .iter()
        .map(|door| Evidence::new(&door.key, format!("{} {}", door.at, if door.open { "open" } else { "closed" })))
        .collect();
    if let Some(unit) = &facts.unit {
        let state = format!("{} ({}), result {}, {} restarts", unit.active, unit.sub, unit.result, unit.restarts);
        evidence.push(Evidence::new("unit", state));
    }
    let closed: Vec<_> = facts.doors.iter().filter(|door| !door.open).collect();
    if !closed.is_empty() {
        // A door cannot open on a port that is not there.
        let ports = [c::NET_004.code, c::NET_005.code, c::NET_006.code];
        if let Some(by) = ports.into_iter().find_map(|code| known.found(code)) {
            return Some(Judgement { evidence, ..Judgement::plain(State::Blocked(by)) });
        }
    }
    let mut findings = Vec::new();
    if !facts.doors.is_empty() && closed.len() == facts.doors.len() {
        findings.push(Finding::new(&c::SERVICE_101));
    } else {
        findings
            .extend(closed.iter().map(|door| Finding::about(&c::SERVICE_102, format!("{}, {}", door.key, door.at))));
    }
    if let Some(unit) = facts.unit.as_ref().filter(|unit| unit.restarts >= MANY_RESTARTS) {
        findings.push(Finding::new(&c::SERVICE_103).with("restarts", unit.restarts));
    }
    Some(Judgement::of(findings, evidence))
}
