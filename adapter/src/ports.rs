//! The two Ethernet ports: the fax machine's and the network's.
//!
//! A port is known by where it sits, as the kernel's device tree says (`ports/sysfs.rs`), so that it is the same one after every
//! start. Each listener takes connections from its own port alone ([`PortNetwork`]), nothing is forwarded between them, and
//! both links are watched (`ports/watch.rs`).

mod changes;
mod network;
mod sysfs;
pub(crate) mod watch;

use std::sync::Arc;

use sealfax_client::seam::{Network, TcpNetwork};

pub use network::PortNetwork;
pub use sysfs::{Interface, Link, Sysfs};

use crate::config::{PortName, PortsConfig};

/// The network of one side: of its port where the configuration names one, else of the whole machine.
pub fn network(port: Option<&PortName>) -> Arc<dyn Network> {
    match port {
        Some(port) => Arc::new(PortNetwork::new(port.clone(), Sysfs::default())),
        None => Arc::new(TcpNetwork),
    }
}

/// Both sides' networks, the terminal's first.
pub fn networks(ports: Option<&PortsConfig>) -> (Arc<dyn Network>, Arc<dyn Network>) {
    let of = |choose: fn(&PortsConfig) -> Option<&PortName>| network(ports.and_then(choose));
    (of(|ports| ports.terminal.as_ref()), of(|ports| ports.network.as_ref()))
}
