//! A network that is one port: listeners hear nothing that comes in elsewhere, whatever address it is for, and connections
//! leave by no other way (`SO_BINDTODEVICE`, socket(7)).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sealfax_client::seam::{BoxStream, Listener, Network};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket};

use super::changes::Changes;
use super::sysfs::{Interface, Sysfs};
use crate::config::PortName;

/// How soon a port that cannot be listened at is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// One port as a network.
#[derive(Debug, Clone)]
pub struct PortNetwork {
    port: PortName,
    sysfs: Sysfs,
}

impl PortNetwork {
    /// Of the device that is this port, whenever it is there.
    pub fn new(port: PortName, sysfs: Sysfs) -> Self {
        Self { port, sysfs }
    }
}

#[async_trait]
impl Network for PortNetwork {
    async fn connect(&self, to: SocketAddr) -> io::Result<BoxStream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // What runs on this very machine is reached by no port.
        if !to.ip().is_loopback() {
            let interface = self.sysfs.find(&self.port).ok_or_else(|| absent(&self.port))?;
            socket.bind_device(Some(interface.name.as_bytes()))?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    /// A port that is not there yet is waited for: devices on USB come late, and may be replugged.
    async fn bind(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let changes = Changes::follow();
        let listener = PortListener { at, network: self.clone(), bound: Mutex::default(), changes };
        listener.follow()?;
        Ok(Box::new(listener))
    }
}

/// Listens at its port, and anew when that is another device than before.
struct PortListener {
    at: SocketAddr,
    network: PortNetwork,
    bound: Mutex<Option<Bound>>,
    changes: Changes,
}

struct Bound {
    interface: Interface,
    listener: Arc<TcpListener>,
}

impl PortListener {
    /// Binds to the device that the port is now. `None`: there is none.
    fn follow(&self) -> io::Result<Option<Arc<TcpListener>>> {
        let interface = self.network.sysfs.find(&self.network.port);
        let mut bound = self.bound();
        let Some(interface) = interface else {
            *bound = None;
            return Ok(None);
        };
        if let Some(bound) = bound.as_ref().filter(|bound| bound.interface == interface) {
            return Ok(Some(bound.listener.clone()));
        }
        // The place is given free before it is taken again.
        *bound = None;
        let listener = Arc::new(listen(self.at, &interface)?);
        *bound = Some(Bound { interface, listener: listener.clone() });
        Ok(Some(listener))
    }

    fn bound(&self) -> MutexGuard<'_, Option<Bound>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Listener for PortListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self.bound().as_ref() {
            Some(bound) => bound.listener.local_addr(),
            None => Ok(self.at),
        }
    }

    async fn accept(&self) -> io::Result<(BoxStream, SocketAddr)> {
        loop {
            let listener = match self.follow() {
                Ok(Some(listener)) => listener,
                Ok(None) => {
                    self.changes.next().await;
                    continue;
                }
                Err(error) => {
                    tokio::time::sleep(AGAIN).await;
                    return Err(error);
                }
            };
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, peer) = accepted?;
                    stream.set_nodelay(true)?;
                    return Ok((Box::new(stream), peer));
                }
                () = self.changes.next() => {}
            }
        }
    }
}

fn listen(at: SocketAddr, interface: &Interface) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // DHCP may give the address after we have started.
    match at.ip() {
        IpAddr::V4(_) => socket.set_freebind_v4(true)?,
        IpAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    socket.bind_device(Some(interface.name.as_bytes()))?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn absent(port: &PortName) -> io::Error {
    let why = format!("there is no network device at {port}; plug it in, or name another in [ports]");
    io::Error::new(io::ErrorKind::NetworkDown, why)
}
