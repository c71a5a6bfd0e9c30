//! The network seam on real loopback sockets: every host speaks from its own address, every octet is captured once,
//! and each host's cable can be pulled and put back.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use sealfax_client::seam::{BoxStream, Listener, Network};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::hosts::Hosts;
use super::transcript::{Line, Transcript};
use crate::events::{Direction, EventKind, EventLog};

/// Most octets one capture keeps; what comes later is counted only.
const MOST_CAPTURED: u64 = 512 << 20;

/// On which side of the adapter a cable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The LAN or WAN, where confidential pages must never be seen.
    Network,
    /// Between the fax machine and its adapter.
    Terminal,
}

/// A stretch of octets, as one write or read moved it.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Since the log's beginning.
    pub at: Duration,
    /// Index into [`Capture::connections`].
    pub connection: u32,
    /// Which way.
    pub direction: Direction,
    /// What.
    pub octets: Vec<u8>,
}

/// One connection of the capture.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Who opened it.
    pub client: SocketAddr,
    /// Who listened.
    pub server: SocketAddr,
    /// On which side of the adapter.
    pub side: Side,
    /// When it was opened, since the log's beginning.
    pub opened: Duration,
    /// When it was closed.
    pub closed: Option<Duration>,
}

#[derive(Debug, Default)]
struct Record {
    connections: Vec<Connection>,
    segments: Vec<Segment>,
    captured: u64,
    lost: u64,
}

#[derive(Debug)]
struct Cable {
    plugged: bool,
    side: Side,
    severed: CancellationToken,
}

#[derive(Debug)]
struct Inner {
    log: EventLog,
    hosts: Hosts,
    record: Mutex<Record>,
    cables: Mutex<BTreeMap<IpAddr, Cable>>,
    // Connections whose octets are recorded by the end that opened them; the listening end keeps quiet.
    inside: Mutex<HashSet<(SocketAddr, SocketAddr)>>,
}

/// Every octet of a world's connections, and the cables they run through. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Capture(Arc<Inner>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Capture {
    /// An empty capture for the hosts of one world.
    pub fn new(log: EventLog, hosts: Hosts) -> Self {
        Self(Arc::new(Inner {
            log,
            hosts,
            record: Mutex::default(),
            cables: Mutex::default(),
            inside: Mutex::default(),
        }))
    }

    /// The network as `host` sees it: its cable is on `side`, its outgoing connections come from its address.
    pub fn network(&self, host: IpAddr, side: Side) -> RecordingNetwork {
        self.declare(host, side);
        RecordingNetwork { host, side, capture: self.clone() }
    }

    /// Says on which side of the adapter an address is, without speaking from it: an adapter's second port.
    pub fn declare(&self, host: IpAddr, side: Side) {
        locked(&self.0.cables).entry(host).or_insert_with(|| Cable {
            plugged: true,
            side,
            severed: CancellationToken::new(),
        });
    }

    /// Pulls the cable of `host`: its connections break, new ones from and to it are refused.
    pub fn cut(&self, host: IpAddr) {
        if let Some(cable) = locked(&self.0.cables).get_mut(&host) {
            cable.plugged = false;
            std::mem::take(&mut cable.severed).cancel();
        }
        let name = self.0.hosts.name_of(host);
        self.0.log.note(&name, "the network cable is pulled");
    }

    /// Puts the cable of `host` back.
    pub fn restore(&self, host: IpAddr) {
        if let Some(cable) = locked(&self.0.cables).get_mut(&host) {
            cable.plugged = true;
        }
        let name = self.0.hosts.name_of(host);
        self.0.log.note(&name, "the network cable is back");
    }

    fn plugged(&self, host: IpAddr) -> bool {
        locked(&self.0.cables).get(&host).is_none_or(|cable| cable.plugged)
    }

    fn side(&self, host: IpAddr) -> Option<Side> {
        locked(&self.0.cables).get(&host).map(|cable| cable.side)
    }

    fn severed(&self, host: IpAddr) -> Option<Pin<Box<WaitForCancellationFutureOwned>>> {
        locked(&self.0.cables).get(&host).map(|cable| Box::pin(cable.severed.clone().cancelled_owned()))
    }

    /// The connections so far.
    pub fn connections(&self) -> Vec<Connection> {
        locked(&self.0.record).connections.clone()
    }

    /// The segments so far.
    pub fn segments(&self) -> Vec<Segment> {
        locked(&self.0.record).segments.clone()
    }

    /// How many octets were captured, and how many were lost to the bound.
    pub fn octets(&self) -> (u64, u64) {
        let record = locked(&self.0.record);
        (record.captured, record.lost)
    }

    /// All octets of one connection in one direction.
    pub fn stream(&self, connection: u32, direction: Direction) -> Vec<u8> {
        let record = locked(&self.0.record);
        let segments =
            record.segments.iter().filter(|segment| segment.connection == connection && segment.direction == direction);
        segments.flat_map(|segment| segment.octets.iter().copied()).collect()
    }

    /// All octets on cables of `side`, one stream for each connection and direction; for searching.
    pub fn streams(&self, side: Side) -> Vec<Vec<u8>> {
        let record = locked(&self.0.record);
        let mut streams: BTreeMap<(u32, Direction), Vec<u8>> = BTreeMap::new();
        for segment in &record.segments {
            let on_side = usize::try_from(segment.connection)
                .ok()
                .and_then(|number| record.connections.get(number))
                .is_some_and(|connection| connection.side == side);
            if on_side {
                streams.entry((segment.connection, segment.direction)).or_default().extend_from_slice(&segment.octets);
            }
        }
        streams.into_values().collect()
    }

    /// Whether `needle` was ever sent on a cable of `side`, also across the borders of segments.
    pub fn contains(&self, side: Side, needle: &[u8]) -> bool {
        !self.find(side, needle).is_empty()
    }

    /// The connections on `side` in which `needle` was sent, with the direction.
    pub fn find(&self, side: Side, needle: &[u8]) -> Vec<(u32, Direction)> {
        let mut found = Vec::new();
        for (connection, entry) in (0u32..).zip(self.connections()) {
            if entry.side != side || needle.is_empty() {
                continue;
            }
            for direction in [Direction::ToServer, Direction::ToClient] {
                let octets = self.stream(connection, direction);
                if search(&octets, needle) {
                    found.push((connection, direction));
                }
            }
        }
        found
    }

    fn open(&self, client: SocketAddr, server: SocketAddr) -> u32 {
        let terminal = [client.ip(), server.ip()].into_iter().any(|host| self.side(host) == Some(Side::Terminal));
        let opened = self.0.log.elapsed();
        let mut record = locked(&self.0.record);
        let number = u32::try_from(record.connections.len()).unwrap_or(u32::MAX);
        record.connections.push(Connection {
            client,
            server,
            side: if terminal { Side::Terminal } else { Side::Network },
            opened,
            closed: None,
        });
        number
    }

    fn add(&self, connection: u32, direction: Direction, octets: &[u8]) {
        let at = self.0.log.elapsed();
        let mut record = locked(&self.0.record);
        let length = octets.len() as u64;
        if record.captured + length > MOST_CAPTURED {
            record.lost += length;
            return;
        }
        record.captured += length;
        record.segments.push(Segment { at, connection, direction, octets: octets.to_vec() });
    }

    fn close(&self, connection: u32) {
        let at = self.0.log.elapsed();
        if let Some(entry) = locked(&self.0.record).connections.get_mut(connection as usize) {
            entry.closed.get_or_insert(at);
        }
    }
}

/// Whether `octets` holds `needle`; skips by its rarest-looking first octet, which is enough for captures of megabytes.
fn search(octets: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else {
        return false;
    };
    let mut rest = octets;
    while let Some(start) = rest.iter().position(|octet| octet == first) {
        rest = rest.get(start..).unwrap_or_default();
        if rest.starts_with(needle) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

/// The network of one host.
#[derive(Debug, Clone)]
pub struct RecordingNetwork {
    host: IpAddr,
    side: Side,
    capture: Capture,
}

impl RecordingNetwork {
    /// The host's own address.
    pub fn host(&self) -> IpAddr {
        self.host
    }

    /// On which side of the adapter its cable is.
    pub fn side(&self) -> Side {
        self.side
    }

    fn wrap(&self, stream: TcpStream, far: SocketAddr, meter: Option<Meter>) -> io::Result<BoxStream> {
        stream.set_nodelay(true)?;
        let near = stream.local_addr()?;
        let cables = [near.ip(), far.ip()].into_iter();
        let severed = cables.filter_map(|host| self.capture.severed(host));
        Ok(Box::new(RecordedStream { stream, severed: severed.collect(), meter }))
    }
}

#[async_trait]
impl Network for RecordingNetwork {
    async fn connect(&self, to: SocketAddr) -> io::Result<BoxStream> {
        if !to.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("the rig's world is loopback only; {to} is outside"),
            ));
        }
        if !self.capture.plugged(self.host) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        if !self.capture.plugged(to.ip()) {
            return Err(io::ErrorKind::HostUnreachable.into());
        }
        let socket = match to {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(SocketAddr::new(self.host, 0))?;
        // Known before the connection stands, so that the listening end finds it whoever runs first.
        let near = socket.local_addr()?;
        locked(&self.capture.0.inside).insert((near, to));
        let stream = match socket.connect(to).await {
            Ok(stream) => stream,
            Err(error) => {
                locked(&self.capture.0.inside).remove(&(near, to));
                return Err(error);
            }
        };
        let meter = Meter::new(&self.capture, near, to, Direction::ToServer);
        self.wrap(stream, to, Some(meter))
    }

    async fn bind(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        if !at.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("the rig's world is loopback only; it does not listen at {at}"),
            ));
        }
        self.capture.declare(at.ip(), self.side);
        Ok(Box::new(RecordingListener { listener: TcpListener::bind(at).await?, network: self.clone() }))
    }
}

struct RecordingListener {
    listener: TcpListener,
    network: RecordingNetwork,
}

#[async_trait]
impl Listener for RecordingListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    async fn accept(&self) -> io::Result<(BoxStream, SocketAddr)> {
        loop {
            let (stream, peer) = self.listener.accept().await?;
            let here = stream.local_addr()?;
            let capture = &self.network.capture;
            if !capture.plugged(here.ip()) || !capture.plugged(peer.ip()) {
                continue;
            }
            let inside = locked(&capture.0.inside).remove(&(peer, here));
            let meter = (!inside).then(|| Meter::new(capture, peer, here, Direction::ToClient));
            match self.network.wrap(stream, peer, meter) {
                Ok(stream) => return Ok((stream, peer)),
                // The peer is gone already: that is its affair, not the listener's end.
                Err(_) => continue,
            }
        }
    }
}

/// Counts and keeps what one end of a connection moves.
#[derive(Debug)]
struct Meter {
    capture: Capture,
    connection: u32,
    /// The direction of what this end writes.
    outgoing: Direction,
    client: String,
    server: String,
    transcript: Transcript,
}

impl Meter {
    fn new(capture: &Capture, client: SocketAddr, server: SocketAddr, outgoing: Direction) -> Self {
        let hosts = &capture.0.hosts;
        Self {
            capture: capture.clone(),
            connection: capture.open(client, server),
            outgoing,
            client: hosts.name_of(client.ip()),
            server: hosts.name_of_socket(server),
            transcript: Transcript::new(),
        }
    }

    fn moved(&mut self, direction: Direction, octets: &[u8]) {
        self.capture.add(self.connection, direction, octets);
        let lines = self.transcript.feed(direction, octets);
        self.write(lines);
    }

    fn write(&self, lines: Vec<Line>) {
        for line in lines {
            let (from, to) = match line.direction {
                Direction::ToServer => (&self.client, &self.server),
                Direction::ToClient => (&self.server, &self.client),
            };
            let kind = EventKind::Wire {
                connection: self.connection,
                direction: line.direction,
                from: from.clone(),
                to: to.clone(),
                octets: line.octets,
            };
            let lane = self.transcript.lane();
            self.capture.0.log.write(lane, from, kind, line.text);
        }
    }

    fn incoming(&self) -> Direction {
        match self.outgoing {
            Direction::ToServer => Direction::ToClient,
            Direction::ToClient => Direction::ToServer,
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let lines = self.transcript.finish();
        self.write(lines);
        self.capture.close(self.connection);
    }
}

struct RecordedStream {
    stream: TcpStream,
    severed: Vec<Pin<Box<WaitForCancellationFutureOwned>>>,
    meter: Option<Meter>,
}

impl std::fmt::Debug for RecordedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RecordedStream").field(&self.stream).finish()
    }
}

impl RecordedStream {
    /// An error if a cable this connection runs through was pulled; otherwise wakes the task when one is.
    fn whole(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        for severed in &mut self.severed {
            if severed.as_mut().poll(context).is_ready() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
        Ok(())
    }
}

impl AsyncRead for RecordedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.whole(context)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let (Poll::Ready(Ok(())), Some(meter)) = (&polled, &mut self.meter) {
            let octets = buffer.filled().get(before..).unwrap_or_default();
            if !octets.is_empty() {
                meter.moved(meter.incoming(), octets);
            }
        }
        polled
    }
}

impl AsyncWrite for RecordedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.whole(context)?;
        let polled = Pin::new(&mut self.stream).poll_write(context, octets);
        if let (Poll::Ready(Ok(written)), Some(meter)) = (&polled, &mut self.meter) {
            let octets = octets.get(..*written).unwrap_or_default();
            meter.moved(meter.outgoing, octets);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct World {
        log: EventLog,
        capture: Capture,
        a: IpAddr,
        b: IpAddr,
    }

    fn world() -> World {
        let (log, hosts) = (EventLog::new(), Hosts::allocate().unwrap());
        let (a, b) = (hosts.add("adapter-a").unwrap(), hosts.add("mail-a").unwrap());
        World { capture: Capture::new(log.clone(), hosts), log, a, b }
    }

    async fn pair(world: &World) -> (BoxStream, BoxStream, SocketAddr) {
        let server = world.capture.network(world.b, Side::Network);
        let listener = server.bind(SocketAddr::new(world.b, 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let client = world.capture.network(world.a, Side::Network);
        let (near, far) = tokio::join!(client.connect(at), listener.accept());
        let (far, peer) = far.unwrap();
        assert_eq!(peer.ip(), world.a);
        (near.unwrap(), far, at)
    }

    #[tokio::test]
    async fn each_octet_is_captured_once_and_found_across_segments() {
        let world = world();
        let (mut near, mut far, _) = pair(&world).await;
        far.write_all(b"220 mail-a\r\n").await.unwrap();
        let mut greeting = [0; 12];
        near.read_exact(&mut greeting).await.unwrap();
        near.write_all(b"EHLO ada").await.unwrap();
        near.write_all(b"pter-a\r\n").await.unwrap();
        let mut hello = [0; 16];
        far.read_exact(&mut hello).await.unwrap();
        drop(near);
        assert_eq!(world.capture.octets(), (28, 0));
        assert!(world.capture.contains(Side::Network, b"adapter-a"));
        assert!(!world.capture.contains(Side::Terminal, b"adapter-a"));
        assert_eq!(world.capture.connections().len(), 1);
        let wires = world.log.events();
        let texts: Vec<_> = wires.iter().map(|event| event.text.as_str()).collect();
        assert_eq!(texts, ["220 mail-a", "EHLO adapter-a"]);
    }

    #[tokio::test]
    async fn a_cut_cable_breaks_what_stands_and_refuses_what_comes() {
        let world = world();
        let (mut near, mut far, at) = pair(&world).await;
        let reader = tokio::spawn(async move {
            let mut octet = [0];
            near.read_exact(&mut octet).await.unwrap_err().kind()
        });
        // The read must be woken by the cut, not only find it later.
        tokio::task::yield_now().await;
        world.capture.cut(world.b);
        assert_eq!(reader.await.unwrap(), io::ErrorKind::ConnectionReset);
        assert!(far.write_all(b"x").await.is_err());
        let client = world.capture.network(world.a, Side::Network);
        let refused = client.connect(at).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::HostUnreachable);
        world.capture.restore(world.b);
        // The listener of `pair` is gone, so the port is closed: an answer of the real network again.
        let refused = client.connect(at).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn nothing_leaves_loopback() {
        let world = world();
        let network = world.capture.network(world.a, Side::Network);
        let outside: SocketAddr = "192.0.2.1:25".parse().unwrap();
        for refused in [network.connect(outside).await.err().unwrap(), network.bind(outside).await.err().unwrap()] {
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        }
    }

    #[tokio::test]
    async fn the_terminal_side_is_known_by_either_end() {
        let world = world();
        world.capture.declare(world.b, Side::Terminal);
        let (mut near, _far, _) = pair(&world).await;
        near.write_all(b"in clear").await.unwrap();
        assert!(world.capture.contains(Side::Terminal, b"in clear"));
        assert!(!world.capture.contains(Side::Network, b"in clear"));
    }
}
