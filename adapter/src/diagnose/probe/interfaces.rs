//! Network interfaces from `/sys/class/net` and `/proc/net`: where each is plugged in, its link, its addresses, the routes.
//!
//! Where a port is plugged in is what udev calls ID_PATH. It is read from udev's files, and where there is no udev it is
//! put together from the device's place in sysfs by the same rules (systemd, `udev-builtin-path_id`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::super::facts::{InterfaceFacts, PortsFacts, RouteFacts};
use super::files::Root;

pub(super) fn ports(root: &Root) -> PortsFacts {
    let routes = root.text("/proc/net/route").map(|table| routes(&table)).unwrap_or_default();
    let own = root.text("/proc/net/fib_trie").map(|trie| local_addresses(&trie)).unwrap_or_default();
    let own6 = root.text("/proc/net/if_inet6").unwrap_or_default();
    let interfaces = root
        .names("/sys/class/net")
        .into_iter()
        .filter(|name| root.has(format!("/sys/class/net/{name}/ifindex")))
        .map(|name| {
            let read = |file: &str| root.text(format!("/sys/class/net/{name}/{file}"));
            let mut addresses: Vec<IpAddr> =
                own.iter().filter(|address| lives_on(**address, &name, &routes)).copied().map(IpAddr::V4).collect();
            addresses.extend(addresses6(&own6, &name).into_iter().map(IpAddr::V6));
            InterfaceFacts {
                path: path_of(root, &name),
                // Reading it fails while the interface is switched off.
                carrier: read("carrier").map(|text| text == "1"),
                addresses,
                name,
            }
        })
        .collect();
    let forwarding = root.text("/proc/sys/net/ipv4/ip_forward").map(|text| text == "1");
    PortsFacts { interfaces, routes: routes.into_iter().map(|(route, _)| route).collect(), forwarding }
}

fn path_of(root: &Root, name: &str) -> Option<String> {
    let index = root.text(format!("/sys/class/net/{name}/ifindex"))?;
    let noted = root.text(format!("/run/udev/data/n{index}"));
    let noted = noted.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("E:ID_PATH=")));
    if let Some(noted) = noted {
        return Some(noted.to_owned());
    }
    let device = std::fs::canonicalize(root.at(format!("/sys/class/net/{name}/device"))).ok()?;
    let root = std::fs::canonicalize(root.at("/sys/devices")).ok()?;
    id_path(device.strip_prefix(root).ok()?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bus {
    Usb,
    Pci,
    Platform,
}

/// ID_PATH of a device by its place beneath `/sys/devices`. From the device upwards the first of each run of one bus counts.
fn id_path(device: &Path) -> Option<String> {
    let parts: Vec<&str> = device.iter().filter_map(|part| part.to_str()).collect();
    let platform = parts.first() == Some(&"platform");
    let mut pieces: Vec<String> = Vec::new();
    let mut run = None;
    for (n, part) in parts.iter().enumerate().rev() {
        let bus = if is_pci(part) {
            Some(Bus::Pci)
        } else if is_usb(part) {
            Some(Bus::Usb)
        } else if platform && n > 0 && !part.starts_with("pci") && !part.starts_with("virtio") {
            Some(Bus::Platform)
        } else {
            None
        };
        if bus != run {
            match bus {
                // "1-1.2:1.0": bus, ports, configuration and interface.
                Some(Bus::Usb) => {
                    let (_, port) = part.split_once('-').unwrap_or(("", part));
                    pieces.push(format!("usb-0:{port}"));
                }
                Some(Bus::Pci) => pieces.push(format!("pci-{part}")),
                Some(Bus::Platform) => pieces.push(format!("platform-{part}")),
                None => {}
            }
        }
        if bus.is_some() {
            run = bus;
        }
    }
    pieces.reverse();
    (!pieces.is_empty()).then(|| pieces.join("-"))
}

/// A USB device ("1-1.2"), one of its interfaces ("1-1.2:1.0"), or a root hub ("usb1").
fn is_usb(part: &str) -> bool {
    let hub = part.strip_prefix("usb").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    let port = part.split_once('-').is_some_and(|(bus, rest)| {
        !bus.is_empty()
            && bus.bytes().all(|b| b.is_ascii_digit())
            && !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b':')
    });
    hub || port
}

/// "0000:01:00.0".
fn is_pci(part: &str) -> bool {
    let hex = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mut pieces = part.split(':');
    let (Some(domain), Some(bus), Some(slot), None) = (pieces.next(), pieces.next(), pieces.next(), pieces.next())
    else {
        return false;
    };
    hex(domain, 4)
        && hex(bus, 2)
        && slot.split_once('.').is_some_and(|(slot, function)| hex(slot, 2) && hex(function, 1))
}

/// The lines of `/proc/net/route`, and whether each network is at hand.
fn routes(table: &str) -> Vec<(RouteFacts, bool)> {
    // An address in memory order, printed as one number of this machine.
    let number = |text: &str| u32::from_str_radix(text, 16).ok().map(|number| u32::from_be_bytes(number.to_ne_bytes()));
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [interface, network, gateway, _, _, _, _, mask, ..] = fields.as_slice() else { return None };
            let (network, gateway, mask) = (number(network)?, number(gateway)?, number(mask)?);
            let prefix = u8::try_from(mask.leading_ones()).ok()?;
            let route = RouteFacts { interface: (*interface).to_owned(), network: Ipv4Addr::from(network), prefix };
            Some((route, gateway == 0))
        })
        .collect()
}

/// This machine's own IPv4 addresses by `/proc/net/fib_trie`: those with `/32 host LOCAL` beneath them.
fn local_addresses(trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Whether an own address is that of this interface: its network is at hand there.
fn lives_on(address: Ipv4Addr, name: &str, routes: &[(RouteFacts, bool)]) -> bool {
    if address.is_loopback() {
        return name == "lo";
    }
    let at_hand = routes.iter().filter(|(route, at_hand)| {
        let mask = u32::MAX.checked_shl(32 - u32::from(route.prefix)).unwrap_or(0);
        *at_hand && route.prefix > 0 && u32::from(address) & mask == u32::from(route.network)
    });
    at_hand.max_by_key(|(route, _)| route.prefix).is_some_and(|(route, _)| route.interface == name)
}

/// The addresses of an interface in `/proc/net/if_inet6`.
fn addresses6(table: &str, name: &str) -> Vec<Ipv6Addr> {
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let address = u128::from_str_radix(fields.next()?, 16).ok()?;
            (fields.next_back()? == name).then(|| Ipv6Addr::from(address))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_are_those_of_udev() {
        for (device, path) in [
            ("platform/soc/3f980000.usb/usb1/1-1/1-1.2/1-1.2:1.0", "platform-3f980000.usb-usb-0:1.2:1.0"),
            ("platform/scb/fd580000.ethernet", "platform-fd580000.ethernet"),
            (
                "platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0/usb1/1-1/1-1.4/1-1.4:1.0",
                "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.4:1.0",
            ),
            (
                "platform/axi/1000120000.pcie/pci0002:00/0002:00:00.0/0002:01:00.0/1f00100000.ethernet",
                "platform-1000120000.pcie-pci-0002:01:00.0-platform-1f00100000.ethernet",
            ),
            ("pci0000:00/0000:00:03.0/virtio0", "pci-0000:00:03.0"),
        ] {
            assert_eq!(id_path(Path::new(device)).as_deref(), Some(path), "{device}");
        }
        assert_eq!(id_path(Path::new("virtual/net/lo")), None);
    }

    #[test]
    fn addresses_find_their_interface() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     eth1\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth0\t004DA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                     eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.168.77.1\n        \
                    /32 host LOCAL\n     |-- 192.168.77.255\n        /32 link BROADCAST\n     |-- 192.0.2.7\n        /32 host LOCAL\n";
        let routes = routes(table);
        let own = local_addresses(trie);
        assert_eq!(own.len(), 3);
        let on = |name: &str| -> Vec<String> {
            own.iter().filter(|one| lives_on(**one, name, &routes)).map(ToString::to_string).collect()
        };
        assert_eq!(
            (on("lo"), on("eth0"), on("eth1")),
            (vec!["127.0.0.1".to_owned()], vec!["192.168.77.1".to_owned()], vec!["192.0.2.7".to_owned()])
        );
        let six = "fe800000000000004a3dc6fffe1a2b3c 02 40 20 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n";
        assert_eq!(addresses6(six, "lo"), [Ipv6Addr::LOCALHOST]);
    }
}
