//! A capture as a classic pcap file (magic a1b2c3d4, link type 101: raw IP), with the TCP/IPv4 headers of RFC 9293 and
//! RFC 791 made up around the octets that were really sent, so that Wireshark and tcpdump follow the streams.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::network::Capture;
use crate::events::Direction;

const LINKTYPE_RAW: u32 = 101;
/// Octets of data in one made-up segment; the length field of IPv4 allows 65,535 with headers.
const MOST_DATA: usize = 16_384;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

impl Capture {
    /// Writes everything captured so far; `began` is the log's beginning since 1970.
    pub fn write_pcap(&self, mut out: impl Write, began: Duration) -> io::Result<()> {
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0x0004_0000, LINKTYPE_RAW] {
            out.write_all(&u32::to_le_bytes(word))?;
        }
        let connections = self.connections();
        // Sequence numbers by connection: what each end said so far.
        let mut said: Vec<[u32; 2]> = vec![[1000, 2000]; connections.len()];
        let mut moments: Vec<(Duration, usize, Moment<'_>)> = Vec::new();
        let segments = self.segments();
        for (number, connection) in connections.iter().enumerate() {
            moments.push((connection.opened, number, Moment::Opened));
            if let Some(closed) = connection.closed {
                moments.push((closed, number, Moment::Closed));
            }
        }
        for segment in &segments {
            let moment = Moment::Data(segment.direction, &segment.octets);
            moments.push((segment.at, segment.connection as usize, moment));
        }
        // The sort is stable; opening comes before data and closing after it at the same instant.
        moments.sort_by_key(|(at, _, moment)| (*at, moment.order()));
        for (at, number, moment) in moments {
            let (Some(connection), Some(said)) = (connections.get(number), said.get_mut(number)) else {
                continue;
            };
            let mut frame = |direction: Direction, flags: u8, data: &[u8]| -> io::Result<()> {
                let (from, to, mine, theirs) = match direction {
                    Direction::ToServer => (connection.client, connection.server, 0, 1),
                    Direction::ToClient => (connection.server, connection.client, 1, 0),
                };
                let acknowledged = if flags & ACK == 0 { 0 } else { said[theirs] };
                let packet = packet(from, to, said[mine], acknowledged, flags, data);
                let length = data.len() + usize::from(flags & (SYN | FIN) != 0);
                said[mine] = said[mine].wrapping_add(u32::try_from(length).unwrap_or(0));
                write_record(&mut out, began + at, &packet)
            };
            match moment {
                Moment::Opened => {
                    frame(Direction::ToServer, SYN, &[])?;
                    frame(Direction::ToClient, SYN | ACK, &[])?;
                    frame(Direction::ToServer, ACK, &[])?;
                }
                Moment::Data(direction, octets) => {
                    for data in octets.chunks(MOST_DATA) {
                        frame(direction, PSH | ACK, data)?;
                    }
                }
                Moment::Closed => {
                    frame(Direction::ToServer, FIN | ACK, &[])?;
                    frame(Direction::ToClient, FIN | ACK, &[])?;
                    frame(Direction::ToServer, ACK, &[])?;
                }
            }
        }
        out.flush()
    }
}

enum Moment<'a> {
    Opened,
    Data(Direction, &'a [u8]),
    Closed,
}

impl Moment<'_> {
    fn order(&self) -> u8 {
        match self {
            Self::Opened => 0,
            Self::Data(..) => 1,
            Self::Closed => 2,
        }
    }
}

fn write_record(out: &mut impl Write, at: Duration, packet: &[u8]) -> io::Result<()> {
    let seconds = u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
    let length = u32::try_from(packet.len()).map_err(io::Error::other)?;
    for word in [seconds, at.subsec_micros(), length, length] {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(packet)
}

fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        // ::1 is the only one the rig admits.
        IpAddr::V6(_) => Ipv4Addr::LOCALHOST,
    }
}

/// One IPv4 packet with a TCP segment in it.
fn packet(from: SocketAddr, to: SocketAddr, sequence: u32, acknowledged: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let (source, destination) = (v4(from.ip()).octets(), v4(to.ip()).octets());
    let mut tcp = Vec::with_capacity(20 + data.len());
    tcp.extend(from.port().to_be_bytes());
    tcp.extend(to.port().to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledged.to_be_bytes());
    // Header of five words, window of 65,535.
    tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend(data);
    let length = u16::try_from(tcp.len()).unwrap_or(u16::MAX);
    let mut pseudo = Vec::with_capacity(12 + tcp.len());
    pseudo.extend(source);
    pseudo.extend(destination);
    pseudo.extend([0, 6]);
    pseudo.extend(length.to_be_bytes());
    pseudo.extend(&tcp);
    let sum = checksum(&pseudo).to_be_bytes();
    tcp.splice(16..18, sum);

    let mut ip = Vec::with_capacity(20 + tcp.len());
    ip.extend([0x45, 0]);
    ip.extend(length.saturating_add(20).to_be_bytes());
    // No identification, do not fragment, 64 hops, TCP.
    ip.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    ip.extend(source);
    ip.extend(destination);
    let sum = checksum(&ip).to_be_bytes();
    ip.splice(10..12, sum);
    ip.extend(tcp);
    ip
}

/// RFC 1071.
fn checksum(octets: &[u8]) -> u16 {
    let mut sum = 0u64;
    for pair in octets.chunks(2) {
        let high = pair.first().copied().unwrap_or(0);
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u64::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::events::EventLog;
    use crate::world::hosts::Hosts;
    use crate::world::network::Side;
    use sealfax_client::seam::Network;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn the_checksum_of_rfc_1071() {
        // The worked example of RFC 1071, section 3: the sum is ddf2.
        let octets = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&octets), !0xddf2);
    }

    #[tokio::test]
    async fn a_dialogue_becomes_a_file_whose_packets_check() {
        let hosts = Hosts::allocate().unwrap();
        let (a, b) = (hosts.add("a").unwrap(), hosts.add("b").unwrap());
        let capture = Capture::new(EventLog::new(), hosts);
        let listener = capture.network(b, Side::Network).bind(SocketAddr::new(b, 0)).await.unwrap();
        let client = capture.network(a, Side::Network);
        let (near, far) = tokio::join!(client.connect(listener.local_addr().unwrap()), listener.accept());
        let (mut near, (mut far, _)) = (near.unwrap(), far.unwrap());
        let sent = vec![0x55; 40_000];
        let mut received = vec![0; sent.len()];
        let (wrote, read) = tokio::join!(near.write_all(&sent), far.read_exact(&mut received));
        wrote.unwrap();
        read.unwrap();
        drop(near);

        let mut file = Vec::new();
        capture.write_pcap(&mut file, Duration::from_secs(1_700_000_000)).unwrap();
        assert_eq!(&file[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
        let (mut rest, mut data, mut flags) = (&file[24..], 0, Vec::new());
        while !rest.is_empty() {
            let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
            let packet = &rest[16..16 + length];
            assert_eq!(checksum(&packet[..20]), 0);
            let mut pseudo = packet[12..20].to_vec();
            pseudo.extend([0, 6]);
            pseudo.extend(((length - 20) as u16).to_be_bytes());
            pseudo.extend(&packet[20..]);
            assert_eq!(checksum(&pseudo), 0);
            data += length - 40;
            flags.push(packet[33]);
            rest = &rest[16 + length..];
        }
        assert_eq!(data, sent.len());
        assert_eq!(flags.first(), Some(&SYN));
        assert!(flags.iter().any(|flags| flags & FIN != 0));
    }
}
