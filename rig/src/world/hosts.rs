//! Hosts by name: each world takes a free /24 inside 127.0.0.0/8 (RFC 1122, 3.2.1.3 (g)), each host one address of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The last address of a world's /24 is no host: a listener there, at this port, is the lease on the /24.
const LEASE: (u8, u16) = (254, 47_047);
/// Octets 16 to 254 of the second place: 127.0 to 127.15 is left to what else lives on the machine (127.0.0.53 ...).
const FIRST_SECOND_OCTET: u32 = 16;
const BLOCKS: u32 = (255 - FIRST_SECOND_OCTET) * 256;
/// Most tries for a free block before giving up.
const MOST_TRIES: u32 = 4096;

/// Why a world has no addresses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostsError {
    /// No free /24 was found.
    #[error(
        "no free loopback network was found in {tries} tries; end other runs of the rig, or check that 127.0.0.0/8 is routed to lo"
    )]
    NoBlock {
        /// How many blocks were tried.
        tries: u32,
        /// What the last one said.
        #[source]
        source: std::io::Error,
    },
    /// The /24 is full.
    #[error("a world holds at most 250 hosts; start another world for {0:?}")]
    Full(String),
}

#[derive(Debug, Default)]
struct Names {
    by_name: BTreeMap<String, IpAddr>,
    by_address: BTreeMap<IpAddr, String>,
}

#[derive(Debug)]
struct Inner {
    prefix: [u8; 3],
    names: Mutex<Names>,
    // Held open for its whole life: who binds it owns the block.
    _lease: TcpListener,
}

/// The hosts of one world. Cheap to clone; the block is given back when the last handle goes.
#[derive(Debug, Clone)]
pub struct Hosts(Arc<Inner>);

static WORLDS: AtomicU32 = AtomicU32::new(0);

impl Hosts {
    /// Takes a free /24: a different one for each process and each world in it, verified by holding a listener.
    pub fn allocate() -> Result<Self, HostsError> {
        let mut last = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        for _ in 0..MOST_TRIES {
            let world = WORLDS.fetch_add(1, Ordering::Relaxed);
            // An odd multiplier spreads neighbouring process ids far apart, so that runs side by side rarely collide.
            let block = std::process::id().wrapping_mul(0x9e37_79b1).wrapping_add(world) % BLOCKS;
            let [_, _, high, low] = (block + FIRST_SECOND_OCTET * 256).to_be_bytes();
            let prefix = [127, high, low];
            match TcpListener::bind((Ipv4Addr::new(127, high, low, LEASE.0), LEASE.1)) {
                Ok(lease) => {
                    return Ok(Self(Arc::new(Inner { prefix, names: Mutex::default(), _lease: lease })));
                }
                Err(error) => last = error,
            }
        }
        Err(HostsError::NoBlock { tries: MOST_TRIES, source: last })
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of `name`; the next free one if the name is new.
    pub fn add(&self, name: &str) -> Result<IpAddr, HostsError> {
        let mut names = self.names();
        if let Some(address) = names.by_name.get(name) {
            return Ok(*address);
        }
        let last = u8::try_from(names.by_name.len() + 1)
            .ok()
            .filter(|last| *last <= 250)
            .ok_or_else(|| HostsError::Full(name.to_owned()))?;
        let [a, b, c] = self.0.prefix;
        let address = IpAddr::V4(Ipv4Addr::new(a, b, c, last));
        names.by_name.insert(name.to_owned(), address);
        names.by_address.insert(address, name.to_owned());
        Ok(address)
    }

    /// The address of `name`, if it was added.
    pub fn address(&self, name: &str) -> Option<IpAddr> {
        self.names().by_name.get(name).copied()
    }

    /// The name of `address`; an address that is no host's stands for itself.
    pub fn name_of(&self, address: IpAddr) -> String {
        let names = self.names();
        names.by_address.get(&address).cloned().unwrap_or_else(|| address.to_string())
    }

    /// `name:port` for people.
    pub fn name_of_socket(&self, at: SocketAddr) -> String {
        format!("{}:{}", self.name_of(at.ip()), at.port())
    }

    /// Every host and its address, by name.
    pub fn all(&self) -> Vec<(String, IpAddr)> {
        let names = self.names();
        names.by_name.iter().map(|(name, address)| (name.clone(), *address)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn worlds_do_not_share_addresses() {
        let (one, two) = (Hosts::allocate().unwrap(), Hosts::allocate().unwrap());
        let (a, b) = (one.add("mail").unwrap(), two.add("mail").unwrap());
        assert_ne!(a, b);
        assert!(a.is_loopback() && b.is_loopback());
        assert_eq!(one.add("mail").unwrap(), a);
        assert_ne!(one.add("adapter-a").unwrap(), a);
        assert_eq!(one.name_of(a), "mail");
        assert_eq!(two.name_of(a), a.to_string());
        // The address can really be bound.
        TcpListener::bind((a, 0)).unwrap();
    }

    #[test]
    fn a_full_world_says_so() {
        let hosts = Hosts::allocate().unwrap();
        for number in 0..250 {
            hosts.add(&number.to_string()).unwrap();
        }
        assert!(matches!(
            hosts.add("one more"),
            Err(HostsError::Full(name)) if name == "one more"
        ));
    }
}
