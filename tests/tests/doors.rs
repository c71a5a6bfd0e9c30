//! The adapter's three doors (terminal SMTP and POP3, network SMTP) under random octets and damaged real transcripts, over
//! real sockets: it stays up, what it says stays well formed, and the fax still works afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sealfax_drivers::display::ScreenKind;
use sealfax_rig::bench::people::{HANAKO, TARO};
use sealfax_rig::bench::region::{Plan, Region};
use sealfax_rig::events::{Direction, EventLog};
use sealfax_rig::scenario::stories::{note, receives, taro_sends};
use sealfax_rig::scenario::{Bench, BenchKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Longest wait for a door to end a conversation whose other end is closed.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
enum Grammar {
    Smtp,
    Pop3,
}

/// A door, and from where one knocks.
#[derive(Debug, Clone, Copy)]
struct Door {
    name: &'static str,
    at: SocketAddr,
    from: IpAddr,
    grammar: Grammar,
}

impl Door {
    /// Says everything, closes the sending half, and returns what was answered until the door closed.
    async fn say(&self, octets: &[u8], pieces: usize) -> Vec<u8> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(self.from, 0)).unwrap();
        let stream = socket.connect(self.at).await.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let (mut from_door, mut to_door) = stream.into_split();
        let size = octets.len().div_ceil(pieces.max(1)).max(1);
        let saying = async {
            for piece in octets.chunks(size) {
                // A door may close on one who errs too often; what is still unsaid then is lost.
                if to_door.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            let _ = to_door.shutdown().await;
        };
        let mut said = Vec::new();
        let hearing = async {
            let mut buffer = [0u8; 4096];
            // A reset is an end too.
            while let Ok(count @ 1..) = from_door.read(&mut buffer).await {
                said.extend_from_slice(&buffer[..count]);
            }
        };
        let both = async { tokio::join!(saying, hearing) };
        assert!(tokio::time::timeout(PATIENCE, both).await.is_ok(), "{} never closed", self.name);
        said
    }

    /// What was said keeps to the grammar: RFC 5321 4.2 and 4.5.3.1.5, RFC 1939 3.
    fn check(&self, said: &[u8]) -> Result<(), String> {
        let Some(lines) = said.strip_suffix(b"\r\n") else {
            // A reset may cut the last line, and then take everything.
            return if said.is_empty() { Ok(()) } else { Err(format!("no line end: {:?}", tail(said))) };
        };
        let mut multiline = false;
        for line in lines.split(|octet| *octet == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let bad = || Err(format!("{:?}", String::from_utf8_lossy(line)));
            if line.len() > 998 || line.contains(&b'\r') {
                return bad();
            }
            match self.grammar {
                Grammar::Smtp => {
                    let code = line.len() >= 4
                        && matches!(line[0], b'2'..=b'5')
                        && line[1].is_ascii_digit()
                        && line[2].is_ascii_digit()
                        && matches!(line[3], b' ' | b'-');
                    if !code || line.len() > 510 || line.iter().any(|octet| !(b' '..=b'~').contains(octet)) {
                        return bad();
                    }
                }
                Grammar::Pop3 if multiline => multiline = line != b".",
                // Which of the answers go on in further lines depends on the command; these do.
                Grammar::Pop3 => {
                    let ok = line.starts_with(b"+OK")
                        || line.starts_with(b"-ERR")
                        || line == b"+"
                        || line.starts_with(b"+ ");
                    // The lines of an answer, up to its dot.
                    if !ok {
                        multiline = line != b".";
                    } else if line.len() > 510 {
                        return bad();
                    }
                }
            }
        }
        Ok(())
    }
}

fn tail(octets: &[u8]) -> String {
    String::from_utf8_lossy(&octets[octets.len().saturating_sub(80)..]).into_owned()
}

struct World {
    region: Region,
    doors: Vec<Door>,
    /// What real clients said at each door.
    transcripts: Vec<(usize, Vec<u8>)>,
    _folder: tempfile::TempDir,
}

/// A region in which one fax has gone through, so that its wires hold real conversations.
async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(BenchKind::Sim, 1, folder.path().to_path_buf(), EventLog::new());
    // Without a card no document waits, so every conversation ends by itself.
    let plan = Plan { people: vec![TARO, HANAKO], pictures: false, hold: Duration::ZERO, ..Plan::default() };
    let region = Region::start(&bench, plan).await.unwrap();
    fax_goes_through(&region).await;
    let adapter = |office: char| region.site(office).unwrap().adapter().unwrap();
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let mail_server = region.address("mail-b").unwrap();
    let door = |name, at, from, grammar| Door { name, at, from, grammar };
    let doors = vec![
        door("terminal SMTP", adapter('a').terminal_smtp().unwrap(), loopback, Grammar::Smtp),
        door("terminal POP3", adapter('b').terminal_pop3().unwrap(), loopback, Grammar::Pop3),
        door("network SMTP, our mail server", adapter('b').notices(), mail_server, Grammar::Smtp),
        door("network SMTP, a stranger", adapter('b').notices(), loopback, Grammar::Smtp),
    ];
    let mut transcripts = Vec::new();
    for (number, connection) in (0u32..).zip(region.capture.connections()) {
        for (index, door) in doors.iter().enumerate() {
            if connection.server == door.at {
                transcripts.push((index, region.capture.stream(number, Direction::ToServer)));
            }
        }
    }
    for (index, door) in doors.iter().enumerate() {
        assert!(transcripts.iter().any(|(which, _)| *which == index), "no transcript for {}", door.name);
    }
    World { region, doors, transcripts, _folder: folder }
}

async fn fax_goes_through(region: &Region) {
    taro_sends(region, &[HANAKO.address], &note("A note.")).await.unwrap();
    region.site('b').unwrap().sees(ScreenKind::Arrived).await.unwrap();
    let hanako = region.person(HANAKO).unwrap();
    assert_eq!(receives(region, 'b', &hanako).await.unwrap().len(), 1);
    region.site('a').unwrap().sees(ScreenKind::Delivered).await.unwrap();
    assert_eq!(region.site('a').unwrap().receive().await.unwrap().len(), 1);
}

/// What goes wrong with a transcript on its way.
#[derive(Debug, Clone)]
enum Damage {
    Cut(usize, usize),
    Repeat(usize, usize),
    Overwrite(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    SwapLines(usize, usize),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let words = prop_oneof![
            prop::collection::vec(any::<u8>(), 1..40),
            prop::sample::select(vec![
                &b"\r\n"[..],
                b"\n",
                b"\r",
                b"\0",
                b"\r\n.\r\n",
                b"\n.\n",
                b"\r\nDATA\r\n",
                b"\r\nRSET\r\n",
                b"\r\nAUTH PLAIN\r\n",
                b"\r\nBDAT 99999999999999999999 LAST\r\n",
                b"\r\nEHLO [127.0.0.1]\r\n",
                b"\r\nMAIL FROM:<>\r\n",
                b"\r\nSTAT\r\n",
                b"\r\nRETR 4294967296\r\n",
                b"\r\nTOP 1 -1\r\n",
                b"\r\nUIDL\r\n",
                b"\r\nCAPA\r\n",
                b"\r\nPASS\r\n",
                b"\xff\xfe",
            ])
            .prop_map(<[u8]>::to_vec),
            (any::<u8>(), 500usize..5000).prop_map(|(octet, count)| vec![octet; count]),
        ];
        let at = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20));
        prop_oneof![
            (at.clone(), 1usize..200).prop_map(|(at, length)| Self::Cut(at, length)),
            (at.clone(), 1usize..200).prop_map(|(at, length)| Self::Repeat(at, length)),
            (at.clone(), words.clone()).prop_map(|(at, octets)| Self::Overwrite(at, octets)),
            (at.clone(), words).prop_map(|(at, octets)| Self::Insert(at, octets)),
            (at.clone(), at).prop_map(|(one, other)| Self::SwapLines(one, other)),
        ]
    }

    fn to(&self, text: &mut Vec<u8>) {
        // Commands are short and pages long: half of all damage falls on the first octets.
        let place = |at: usize, text: &[u8]| {
            let room = if at.is_multiple_of(2) { text.len().min(300) } else { text.len() };
            (at / 2) % (room + 1)
        };
        match self {
            Self::Cut(at, length) => {
                let start = place(*at, text);
                let end = (start + length).min(text.len());
                text.drain(start..end);
            }
            Self::Repeat(at, length) => {
                let start = place(*at, text);
                let piece = text[start..(start + length).min(text.len())].to_vec();
                text.splice(start..start, piece);
            }
            Self::Overwrite(at, octets) => {
                let start = place(*at, text);
                let end = (start + octets.len()).min(text.len());
                text.splice(start..end, octets.clone());
            }
            Self::Insert(at, octets) => {
                let start = place(*at, text);
                text.splice(start..start, octets.clone());
            }
            Self::SwapLines(one, other) => {
                let mut lines: Vec<Vec<u8>> =
                    text.split_inclusive(|octet| *octet == b'\n').map(<[u8]>::to_vec).collect();
                if !lines.is_empty() {
                    let count = lines.len();
                    lines.swap(one % count, other % count);
                    *text = lines.concat();
                }
            }
        }
    }
}

#[test]
fn any_octets_at_any_door() {
    let world = Arc::new(RUNTIME.block_on(world()));
    let doors = world.doors.len();
    let mut runner = TestRunner::new(Config { cases: 96, failure_persistence: None, ..Config::default() });
    let noise = (0..doors, prop::collection::vec(any::<u8>(), 0..3000), 1usize..6);
    runner
        .run(&noise, |(index, octets, pieces)| {
            let door = world.doors[index];
            let said = RUNTIME.block_on(door.say(&octets, pieces));
            door.check(&said).map_err(|why| TestCaseError::fail(format!("{}: {why}", door.name)))
        })
        .unwrap();

    let answered = Mutex::new(vec![0usize; doors]);
    let count = world.transcripts.len();
    let mut runner = TestRunner::new(Config { cases: 192, failure_persistence: None, ..Config::default() });
    let damaged = (0..count, prop::collection::vec(Damage::any(), 1..5), 1usize..6);
    runner
        .run(&damaged, |(which, damages, pieces)| {
            let (index, transcript) = &world.transcripts[which];
            let mut text = transcript.clone();
            damages.iter().for_each(|damage| damage.to(&mut text));
            let door = world.doors[*index];
            let said = RUNTIME.block_on(door.say(&text, pieces));
            answered.lock().unwrap()[*index] += usize::from(!said.is_empty());
            door.check(&said).map_err(|why| TestCaseError::fail(format!("{}: {why}", door.name)))
        })
        .unwrap();
    assert!(answered.lock().unwrap().iter().all(|count| *count > 0), "every door has spoken");

    // After all that, the next fax goes its way. Notices among the damaged transcripts may have called Hanako.
    RUNTIME.block_on(async {
        taro_sends(&world.region, &[HANAKO.address], &note("After the storm.")).await.unwrap();
        world.region.site('b').unwrap().sees(ScreenKind::Arrived).await.unwrap();
        let hanako = world.region.person(HANAKO).unwrap();
        assert_eq!(receives(&world.region, 'b', &hanako).await.unwrap().len(), 1);
    });
}
