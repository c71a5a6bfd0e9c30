//! Tells when something changed at the machine's network devices, so that nobody looks again and again: the kernel says so
//! on a socket (rtnetlink(7)). What it was is read from sysfs by whoever wants to know.

use std::io;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, bind, socket_with};
use tokio::net::UnixDatagram;

use crate::pulse;

/// `NETLINK_ROUTE`, which is number 0.
const ROUTE: Option<Protocol> = None;
/// `RTMGRP_LINK`: devices that come, go, are renamed, and their links.
const LINK: u32 = 1;
/// `RTNLGRP_IPV4_NETCONF` and `RTNLGRP_IPV6_NETCONF`: also whether packets are forwarded.
const NETCONF: u32 = 1 << (24 - 1) | 1 << (25 - 1);
/// What the kernel did not tell is seen after this time.
const NET: Duration = Duration::from_secs(300);
/// Where it tells nothing, one has to look.
const BLIND: Duration = Duration::from_secs(1);

/// What the kernel tells from now on.
#[derive(Debug)]
pub(crate) struct Changes {
    socket: Option<UnixDatagram>,
}

impl Changes {
    /// Begins to listen; what changes before the next look is not lost.
    pub(crate) fn follow() -> Self {
        let socket =
            listen().inspect_err(|error| tracing::warn!(%error, "the kernel does not tell when a port changes"));
        Self { socket: socket.ok() }
    }

    /// Waits until a look is worth while. May be cancelled and called again.
    pub(crate) async fn next(&self) {
        let Some(socket) = &self.socket else { return pulse::tick(BLIND).await };
        // That something was told is all that matters: its beginning is read, and the rest falls off.
        let mut told = [0; 16];
        tokio::select! {
            // More was told than the kernel kept for us: a change in any case.
            _ = socket.recv(&mut told) => while socket.try_recv(&mut told).is_ok() {},
            () = pulse::tick(NET) => {}
        }
    }
}

/// A netlink socket, which is one for datagrams like those of a Unix socket.
fn listen() -> io::Result<UnixDatagram> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, ROUTE)?;
    bind(&socket, &SocketAddrNetlink::new(0, LINK | NETCONF))?;
    UnixDatagram::from_std(StdDatagram::from(socket))
}
