//! What each peer may take: connections at a time, and requests a second (a leaky bucket as in ITU-T I.371, GCRA). One
//! peer that floods is told to wait; the others do not notice.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Limits;

/// Peers remembered before those that have gone are forgotten.
const REMEMBERED: usize = 4096;

/// All peers of a server.
#[derive(Debug)]
pub(super) struct Peers {
    connections: usize,
    /// Nanoseconds that one request takes up; 0 for no limit.
    interval: u64,
    /// Nanoseconds by which a peer may be ahead.
    ahead: u64,
    began: Instant,
    known: Mutex<HashMap<IpAddr, Arc<Peer>>>,
}

#[derive(Debug, Default)]
struct Peer {
    open: AtomicUsize,
    /// When the peer's requests so far are used up, in nanoseconds since the start.
    due: AtomicU64,
    told: AtomicBool,
}

/// One connection of a peer.
#[derive(Debug)]
pub(super) struct Guest {
    peers: Arc<Peers>,
    peer: Arc<Peer>,
}

impl Peers {
    pub(super) fn new(limits: &Limits) -> Self {
        let rate = u64::from(limits.peer_requests_per_second);
        let interval = 1_000_000_000u64.checked_div(rate).unwrap_or(0);
        Self {
            connections: limits.peer_connections.max(1),
            interval,
            ahead: interval.saturating_mul(u64::from(limits.peer_burst)),
            began: Instant::now(),
            known: Mutex::new(HashMap::new()),
        }
    }

    /// Lets a connection from `address` in, unless the peer has too many.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            let now = self.now();
            known.retain(|_, peer| peer.open.load(Ordering::Relaxed) > 0 || peer.due.load(Ordering::Relaxed) > now);
        }
        let peer = Arc::clone(known.entry(whole(address)).or_default());
        if peer.open.load(Ordering::Relaxed) >= self.connections {
            return None;
        }
        peer.open.fetch_add(1, Ordering::Relaxed);
        Some(Guest { peers: Arc::clone(self), peer })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Guest {
    /// Counts a request. `Err` says how long the peer should wait.
    pub(super) fn ask(&self) -> Result<(), Duration> {
        if self.peers.interval == 0 {
            return Ok(());
        }
        let now = self.peers.now();
        let counted = self.peer.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
            (due <= now.saturating_add(self.peers.ahead)).then(|| due.max(now).saturating_add(self.peers.interval))
        });
        match counted {
            Ok(_) => {
                if self.peer.told.load(Ordering::Relaxed) && self.peer.due.load(Ordering::Relaxed) <= now {
                    self.peer.told.store(false, Ordering::Relaxed);
                }
                Ok(())
            }
            Err(due) => Err(Duration::from_nanos(due.saturating_sub(now.saturating_add(self.peers.ahead)).max(1))),
        }
    }

    /// Whether this is the first time since the peer was quiet that something is refused: that is worth a line.
    pub(super) fn first_refusal(&self) -> bool {
        !self.peer.told.swap(true, Ordering::Relaxed)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.peer.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who has an IPv6 address has 2^64 of them, and a site has 256 such networks (RFC 6177 2).
fn whole(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.into(),
            None => Ipv6Addr::from(u128::from(address) & !0xff_ffff_ffff_ffff_ffff).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_flood_of_one_peer_costs_the_others_nothing() {
        let limits = Limits { peer_connections: 2, peer_requests_per_second: 1, peer_burst: 3, ..Limits::default() };
        let peers = Arc::new(Peers::new(&limits));
        let first = peers.enter(address("2001:db8::1")).unwrap();
        let second = peers.enter(address("2001:db8::2")).unwrap();
        assert!(peers.enter(address("2001:db8::3")).is_none(), "one /64 is one peer");
        assert!(peers.enter(address("2001:db8:0:ff::1")).is_none(), "and so is one /56");
        assert!(peers.enter(address("2001:db8:0:100::1")).is_some());
        let other = peers.enter(address("192.0.2.1")).unwrap();
        for _ in 0..2 {
            assert!(first.ask().is_ok());
            assert!(second.ask().is_ok());
        }
        let wait = first.ask().unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(2), "{wait:?}");
        assert!(second.ask().is_err());
        assert!(first.first_refusal() && !second.first_refusal());
        assert!(other.ask().is_ok());
        drop(first);
        assert!(peers.enter(address("2001:db8::3")).is_some());
    }

    #[test]
    fn no_rate_is_no_limit_and_the_gone_are_forgotten() {
        let peers = Arc::new(Peers::new(&Limits { peer_requests_per_second: 0, ..Limits::default() }));
        let guest = peers.enter(address("192.0.2.1")).unwrap();
        assert!((0..100_000).all(|_| guest.ask().is_ok()));
        for number in 0..10_000u32 {
            peers.enter(std::net::Ipv4Addr::from(number).into()).unwrap();
        }
        assert!(peers.known.lock().unwrap().len() <= REMEMBERED);
    }
}
