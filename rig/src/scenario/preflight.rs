//! The bench itself: addresses, names, cables and the record of octets work, before anything is said about the product.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sealfax_client::seam::Network;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Bench, Failure, Scenario, expect};
use crate::events::Lane;
use crate::world::dns::{DnsRecord, DnsServer};
use crate::world::hosts::Hosts;
use crate::world::network::{Capture, Side};

/// Nothing of the product takes part, so it proves no requirement.
pub const SCENARIO: Scenario = Scenario {
    name: "bench-preflight",
    title: "The bench is sound: names resolve, octets are captured, a pulled cable breaks the line",
    requirements: &[],
    deadline: Duration::from_secs(20),
    run,
};

fn run(bench: Bench) -> BoxFuture<'static, Result<(), Failure>> {
    story(bench).boxed()
}

async fn story(bench: Bench) -> Result<(), Failure> {
    let broke = |error: std::io::Error| Failure::infrastructure(error);
    let hosts = Hosts::allocate().map_err(Failure::infrastructure)?;
    let here = hosts.add("mail-a").map_err(Failure::infrastructure)?;
    let there = hosts.add("adapter-a").map_err(Failure::infrastructure)?;
    let IpAddr::V4(address) = here else {
        return Err(Failure::infrastructure("the world has no IPv4 address"));
    };
    let records = [DnsRecord::A { name: "mail-a.example".into(), address }];
    let names = hosts.add("dns").map_err(Failure::infrastructure)?;
    let dns = DnsServer::start(names, &records, bench.log.clone()).await.map_err(Failure::infrastructure)?;
    let asked = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(broke)?;
    asked.send_to(QUESTION, dns.address()).await.map_err(broke)?;
    let mut answer = [0; 512];
    let (length, _) = asked.recv_from(&mut answer).await.map_err(broke)?;
    let found = answer.get(..length).unwrap_or_default().windows(4).any(|octets| octets == address.octets());
    expect(found, "the name server knows mail-a.example").map_err(Failure::infrastructure)?;

    let capture = Capture::new(bench.log.clone(), hosts);
    let listener = capture.network(here, Side::Network).bind(SocketAddr::new(here, 0)).await.map_err(broke)?;
    let client = capture.network(there, Side::Network);
    let at = listener.local_addr().map_err(broke)?;
    let (near, far) = tokio::join!(client.connect(at), listener.accept());
    let (mut near, (mut far, peer)) = (near.map_err(broke)?, far.map_err(broke)?);
    bench.ready();
    expect(peer.ip() == there, "a host speaks from its own address").map_err(Failure::infrastructure)?;
    far.write_all(b"220 mail-a ready\r\n").await.map_err(broke)?;
    let mut greeting = [0; 18];
    near.read_exact(&mut greeting).await.map_err(broke)?;
    bench
        .log
        .wait_for("the greeting in the transcript", Duration::from_secs(5), |event| {
            event.lane == Lane::Smtp && event.text == "220 mail-a ready"
        })
        .await?;
    capture.cut(here);
    let broken = near.read_exact(&mut greeting).await.is_err() && client.connect(at).await.is_err();
    expect(broken, "a pulled cable breaks the line").map_err(Failure::infrastructure)?;
    drop((near, far));
    let mut file = Vec::new();
    let began = bench.log.started().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    capture.write_pcap(&mut file, began).map_err(broke)?;
    bench.save("rig", "capture.pcap", &file, "every octet of the run")
}

/// A standard query for the address of mail-a.example (RFC 1035, 4.1).
const QUESTION: &[u8] = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06mail-a\x07example\x00\x00\x01\x00\x01";
