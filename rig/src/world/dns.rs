//! A real name server for a world (RFC 1035; SRV RFC 2782), over UDP and TCP, with its zone in memory.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::rr::rdata::{A, MX, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record};
use hickory_server::Server;
use hickory_server::net::runtime::{Time, TokioRuntimeProvider};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType};
use tokio::net::{TcpListener, UdpSocket};

use crate::events::{EventKind, EventLog, Lane};

/// How long a resolver may keep an answer: a world changes within a run.
const TIME_TO_LIVE: u32 = 1;
/// A port free over UDP may be taken over TCP: so often is another one tried.
const MOST_TRIES: u32 = 64;

/// One line of the zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsRecord {
    /// A host's address.
    A {
        /// The host's name.
        name: String,
        /// Its address.
        address: Ipv4Addr,
    },
    /// Which host takes mail for a domain.
    Mx {
        /// The mail domain.
        domain: String,
        /// Lower is tried first.
        preference: u16,
        /// The host.
        exchange: String,
    },
    /// Where a host offers a service.
    Srv {
        /// The whole owner name: `_sealfax._tcp.adapter-b.example`.
        service: String,
        /// Lower is tried first.
        priority: u16,
        /// Share among equals.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        target: String,
    },
}

/// Why there is no name server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// A name does not follow RFC 1035.
    #[error("{name:?} is no domain name; correct the world's description")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        #[source]
        source: hickory_proto::ProtoError,
    },
    /// No socket.
    #[error("the name server could not listen at {at}; end other runs of the rig")]
    Bind {
        /// Where.
        at: IpAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// A running name server; it ends when dropped.
pub struct DnsServer {
    address: SocketAddr,
    zone: Arc<InMemoryZoneHandler<TokioRuntimeProvider>>,
    silent: Arc<AtomicBool>,
    serial: std::sync::atomic::AtomicU32,
    _server: Server<LoggedCatalog>,
}

impl std::fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DnsServer({})", self.address)
    }
}

impl DnsServer {
    /// Serves `records` at a free port of `host`, the same over UDP and TCP. Every question is noted in `log`.
    pub async fn start(host: IpAddr, records: &[DnsRecord], log: EventLog) -> Result<Self, DnsError> {
        let (udp, tcp, address) = sockets(host).await?;
        // The root zone: whatever names a scenario invents, this server answers for them.
        let mut zone: InMemoryZoneHandler<TokioRuntimeProvider> =
            InMemoryZoneHandler::empty(Name::root(), ZoneType::Primary, AxfrPolicy::Deny);
        let soa = SOA::new(name("ns.rig.invalid")?, name("root.rig.invalid")?, 1, 1, 1, 1, 1);
        let soa = Record::from_rdata(Name::root(), TIME_TO_LIVE, RData::SOA(soa));
        zone.upsert_mut(soa, 1);
        for record in records {
            zone.upsert_mut(record.to_record()?, 1);
        }
        let zone = Arc::new(zone);
        let mut catalog = Catalog::new();
        let handler: Arc<dyn ZoneHandler> = zone.clone();
        catalog.upsert(Name::root().into(), vec![handler]);
        let silent = Arc::new(AtomicBool::new(false));
        let mut server = Server::new(LoggedCatalog { catalog, log, silent: Arc::clone(&silent) });
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 4096);
        Ok(Self { address, zone, silent, serial: std::sync::atomic::AtomicU32::new(1), _server: server })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a record while the world runs.
    pub async fn add(&self, record: &DnsRecord) -> Result<(), DnsError> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed) + 1;
        self.zone.upsert(record.to_record()?, serial).await;
        Ok(())
    }

    /// The name service breaks: questions stay without answer until it is mended.
    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }
}

async fn sockets(host: IpAddr) -> Result<(UdpSocket, TcpListener, SocketAddr), DnsError> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for _ in 0..MOST_TRIES {
        let udp = match UdpSocket::bind((host, 0)).await {
            Ok(udp) => udp,
            Err(source) => return Err(DnsError::Bind { at: host, source }),
        };
        let address = match udp.local_addr() {
            Ok(address) => address,
            Err(source) => return Err(DnsError::Bind { at: host, source }),
        };
        match TcpListener::bind(address).await {
            Ok(tcp) => return Ok((udp, tcp, address)),
            Err(error) => last = error,
        }
    }
    Err(DnsError::Bind { at: host, source: last })
}

fn name(text: &str) -> Result<Name, DnsError> {
    let mut name = Name::from_ascii(text).map_err(|source| DnsError::Name { name: text.to_owned(), source })?;
    name.set_fqdn(true);
    Ok(name)
}

impl DnsRecord {
    fn to_record(&self) -> Result<Record, DnsError> {
        let (owner, data) = match self {
            Self::A { name, address } => (name, RData::A(A(*address))),
            Self::Mx { domain, preference, exchange } => (domain, RData::MX(MX::new(*preference, name(exchange)?))),
            Self::Srv { service, priority, weight, port, target } => {
                let data = SRV::new(*priority, *weight, *port, name(target)?);
                (service, RData::SRV(data))
            }
        };
        Ok(Record::from_rdata(name(owner)?, TIME_TO_LIVE, data))
    }
}

/// The catalog, with every question written down.
struct LoggedCatalog {
    catalog: Catalog,
    log: EventLog,
    silent: Arc<AtomicBool>,
}

#[async_trait]
impl RequestHandler for LoggedCatalog {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, response: R) -> ResponseInfo {
        if let Ok(info) = request.request_info() {
            let text = format!("{} {}?", info.query.query_type(), info.query.name());
            self.log.write(Lane::Dns, "dns", EventKind::Note, text);
        }
        while self.silent.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.catalog.handle_request::<R, T>(request, response).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::world::hosts::Hosts;
    use hickory_proto::op::{Message, MessageType, OpCode, Query};
    use hickory_proto::rr::RecordType;
    use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn question(owner: &str, kind: RecordType) -> Vec<u8> {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(name(owner).unwrap(), kind));
        message.to_bytes().unwrap()
    }

    async fn ask(server: SocketAddr, owner: &str, kind: RecordType) -> Message {
        let socket = UdpSocket::bind((server.ip(), 0)).await.unwrap();
        socket.send_to(&question(owner, kind), server).await.unwrap();
        let mut answer = [0; 4096];
        let (length, _) = socket.recv_from(&mut answer).await.unwrap();
        Message::from_bytes(&answer[..length]).unwrap()
    }

    #[tokio::test]
    async fn the_zone_is_answered_over_udp_and_tcp() {
        let hosts = Hosts::allocate().unwrap();
        let at = hosts.add("dns").unwrap();
        let records = [
            DnsRecord::A { name: "mail-b.example".into(), address: Ipv4Addr::new(127, 9, 9, 9) },
            DnsRecord::Mx { domain: "b.example".into(), preference: 10, exchange: "mail-b.example".into() },
            DnsRecord::Srv {
                service: "_sealfax._tcp.adapter-b.example".into(),
                priority: 0,
                weight: 0,
                port: 2525,
                target: "adapter-b.example".into(),
            },
        ];
        let log = EventLog::new();
        let server = DnsServer::start(at, &records, log.clone()).await.unwrap();
        for (owner, kind, expected) in [
            ("mail-b.example", RecordType::A, "127.9.9.9"),
            ("b.example", RecordType::MX, "10 mail-b.example."),
            ("_sealfax._tcp.adapter-b.example", RecordType::SRV, "0 0 2525 adapter-b.example."),
        ] {
            let answer = ask(server.address(), owner, kind).await;
            let data: Vec<_> = answer.answers.iter().map(|a| a.data.to_string()).collect();
            assert_eq!(data, [expected]);
        }
        let mut tcp = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        let question = question("mail-b.example", RecordType::A);
        tcp.write_u16(question.len() as u16).await.unwrap();
        tcp.write_all(&question).await.unwrap();
        let mut answer = vec![0; usize::from(tcp.read_u16().await.unwrap())];
        tcp.read_exact(&mut answer).await.unwrap();
        assert_eq!(Message::from_bytes(&answer).unwrap().answers.len(), 1);

        // Unknown names are denied at once, later names are known at once.
        let late = "late.example";
        let none = ask(server.address(), late, RecordType::A).await;
        assert!(none.answers.is_empty());
        server.add(&DnsRecord::A { name: late.into(), address: Ipv4Addr::new(127, 9, 9, 8) }).await.unwrap();
        let some = ask(server.address(), late, RecordType::A).await;
        assert_eq!(some.answers.len(), 1);
        let asked = log.find(EventLog::beginning(), |event| event.text == "MX b.example.?");
        assert!(asked.is_some(), "{:?}", log.events());
    }
}
