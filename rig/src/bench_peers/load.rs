//! A load client that costs little, since it shares the machine with what it measures: one thread, one epoll, requests
//! made beforehand, answers looked at no more than it takes to know that they are whole and well.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// Octets of the largest answer.
const MAX_ANSWER: usize = 64 * 1024;
/// Longest that nothing at all may come.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1 with Content-Length and status 200 or 201.
    Http,
    /// LDAP: entries, then a result that says success.
    Ldap,
}

/// A load to be put on a server.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// The server.
    pub at: SocketAddr,
    /// What is asked, in turn.
    pub requests: &'a [Vec<u8>],
    /// What answers look like.
    pub protocol: Protocol,
    /// Connections at a time, each with one question open.
    pub connections: usize,
    /// Whether a connection is used again after an answer.
    pub keep_alive: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Outcome {
    /// Good answers.
    pub answers: u64,
    /// How often the server ended a connection that was to be kept.
    pub hung_up: u64,
    /// From the first question to the last answer that counted, in seconds.
    pub seconds: f64,
}

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    More,
    Whole,
    /// Not the answer we want.
    Wrong,
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    request: usize,
    written: usize,
    /// Nothing is asked over it any more.
    idle: bool,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It goes on.
    NotYet,
    /// The server left between two answers.
    Hung,
    /// It has its answer and is not asked again.
    Answered,
}

/// Puts the load on the server for about `time`.
pub fn run(load: Load<'_>, time: Duration) -> Result<Outcome, String> {
    put(load, time, 0)
}

/// Asks everything once, so that what a server keeps is kept before anything is measured.
pub fn warm(load: Load<'_>) -> Result<Outcome, String> {
    put(load, Duration::ZERO, load.requests.len() as u64)
}

/// For at least `time` and at least `least` answers.
fn put(load: Load<'_>, time: Duration, least: u64) -> Result<Outcome, String> {
    let failed = |what: &'static str| move |error: std::io::Error| format!("{what} {}: {error}", load.at);
    let mut poll = Poll::new().map_err(failed("epoll for"))?;
    let mut events = Events::with_capacity(load.connections.max(16));
    let mut next = 0usize;
    let mut connections: Vec<Connection> = Vec::with_capacity(load.connections);
    for index in 0..load.connections {
        connections.push(Connection {
            stream: connect(&poll, load.at, index).map_err(failed("cannot connect to"))?,
            buffer: vec![0; MAX_ANSWER],
            filled: 0,
            idle: false,
            request: take(&mut next, load.requests.len()),
            written: 0,
        });
    }
    let mut outcome = Outcome::default();
    let begin = Instant::now();
    let mut heard = begin;
    // Once the time is over, what was asked is still answered, and not counted: servers do not all take it well when a
    // client leaves in the middle.
    let (mut over, mut open) = (false, load.connections);
    while open > 0 {
        poll.poll(&mut events, Some(Duration::from_millis(100))).or_else(interrupted).map_err(failed("waiting for"))?;
        let now = Instant::now();
        if !over && now - begin >= time && outcome.answers >= least {
            outcome.seconds = (now - begin).as_secs_f64();
            over = true;
        }
        for event in &events {
            let index = event.token().0;
            let Some(connection) = connections.get_mut(index).filter(|connection| !connection.idle) else { continue };
            let before = outcome;
            let ended = match step(connection, load, &mut next, &mut outcome, over) {
                Ok(ended) => ended,
                Err(why) => return Err(format!("{} answers badly: {why}", load.at)),
            };
            if over {
                outcome = before;
            }
            match (ended, over) {
                (End::NotYet, _) => {}
                (End::Hung | End::Answered, true) => {
                    connection.idle = true;
                    open -= 1;
                }
                (_, false) => {
                    connection.stream = connect(&poll, load.at, index).map_err(failed("cannot connect to"))?;
                    (connection.filled, connection.written) = (0, 0);
                }
            }
            heard = now;
        }
        if now - heard > PATIENCE {
            return Err(format!("{} says nothing any more after {} answers", load.at, outcome.answers));
        }
    }
    Ok(outcome)
}

fn take(next: &mut usize, count: usize) -> usize {
    let taken = *next;
    *next = if taken + 1 < count { taken + 1 } else { 0 };
    taken
}

fn interrupted(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

fn connect(poll: &Poll, at: SocketAddr, index: usize) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(at)?;
    poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

/// Goes on with one connection as far as it goes; what became of it. Events are edges, so what can
/// be written is written at once, and reading goes on until an answer is whole or nothing more is there.
fn step(
    connection: &mut Connection,
    load: Load<'_>,
    next: &mut usize,
    outcome: &mut Outcome,
    last: bool,
) -> Result<End, String> {
    loop {
        let request = load.requests.get(connection.request).map(Vec::as_slice).unwrap_or_default();
        if let Some(rest) = request.get(connection.written..).filter(|rest| !rest.is_empty()) {
            match connection.stream.write(rest) {
                Ok(written) => {
                    connection.written += written;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock || error.kind() == ErrorKind::NotConnected => {
                    return Ok(End::NotYet);
                }
                Err(_) if load.keep_alive && outcome.answers > 0 => {
                    outcome.hung_up += 1;
                    return Ok(End::Hung);
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        let Some(room) = connection.buffer.get_mut(connection.filled..).filter(|room| !room.is_empty()) else {
            return Err(format!("more than {MAX_ANSWER} octets"));
        };
        match connection.stream.read(room) {
            Ok(0) if connection.filled == 0 && load.keep_alive && outcome.answers > 0 => {
                outcome.hung_up += 1;
                return Ok(End::Hung);
            }
            Ok(0) => return Err("hangs up in the middle".to_owned()),
            Ok(read) => connection.filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(End::NotYet),
            Err(error) => return Err(error.to_string()),
        }
        let octets = connection.buffer.get(..connection.filled).unwrap_or_default();
        let state = match load.protocol {
            Protocol::Http => http(octets),
            Protocol::Ldap => ldap(octets),
        };
        match state {
            Progress::More => {}
            Progress::Wrong => {
                return Err(String::from_utf8_lossy(octets.get(..octets.len().min(300)).unwrap_or_default()).into());
            }
            Progress::Whole => {
                outcome.answers += 1;
                connection.request = take(next, load.requests.len());
                if last || !load.keep_alive {
                    return Ok(End::Answered);
                }
                (connection.filled, connection.written) = (0, 0);
            }
        }
    }
}

/// A response with Content-Length (RFC 9112 6.2).
fn http(octets: &[u8]) -> Progress {
    let Some(end) = memchr::memmem::find(octets, b"\r\n\r\n") else { return Progress::More };
    let head = octets.get(..end).unwrap_or_default();
    if !matches!(head.get(8..12), Some(b" 200" | b" 201")) {
        return Progress::Wrong;
    }
    let length = head.split(|octet| *octet == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        if !name.eq_ignore_ascii_case(b"content-length:") {
            return None;
        }
        std::str::from_utf8(value).ok()?.trim().parse::<usize>().ok()
    });
    match length {
        None => Progress::Wrong,
        Some(length) if octets.len() >= end + 4 + length => Progress::Whole,
        Some(_) => Progress::More,
    }
}

/// Messages up to SearchResultDone with success, at least one entry among them (RFC 4511 4.5.2).
fn ldap(octets: &[u8]) -> Progress {
    let mut rest = octets;
    let mut entries = 0;
    loop {
        let Some((content, after)) = element(rest) else { return Progress::More };
        // INTEGER number, then the operation.
        let Some((_, operation)) = element(content) else { return Progress::Wrong };
        match operation.first() {
            Some(0x64) => entries += 1,
            Some(0x65) => {
                let code = element(operation).and_then(|(result, _)| result.get(..3).map(<[u8]>::to_vec));
                return if entries > 0 && code.as_deref() == Some(&[10, 1, 0]) {
                    Progress::Whole
                } else {
                    Progress::Wrong
                };
            }
            _ => return Progress::Wrong,
        }
        rest = after;
    }
}

/// The contents of the first element, and what follows it, if it is there as a whole.
fn element(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = usize::from(*octets.get(1)?);
    let (before, length) = if first < 0x80 {
        (2, first)
    } else {
        let count = first & 0x7f;
        let length = octets.get(2..2 + count)?.iter().fold(0usize, |sum, octet| (sum << 8) | usize::from(*octet));
        (2 + count, length)
    };
    let end = before.checked_add(length)?;
    Some((octets.get(before..end)?, octets.get(end..)?))
}

/// A server that does nothing: it answers whatever comes with the same few octets, from a thread that lives as long as
/// the program. What the client reaches against it is what the client can do at most.
pub fn trivial(host: std::net::IpAddr) -> std::io::Result<SocketAddr> {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const DOOR: Token = Token(usize::MAX);
    let mut listener = mio::net::TcpListener::bind(SocketAddr::new(host, 0))?;
    let at = listener.local_addr()?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, DOOR, Interest::READABLE)?;
    std::thread::spawn(move || {
        let mut events = Events::with_capacity(64);
        let mut streams: Vec<TcpStream> = Vec::new();
        let mut buffer = vec![0; MAX_ANSWER];
        while poll.poll(&mut events, None).or_else(interrupted).is_ok() {
            for event in &events {
                if event.token() == DOOR {
                    while let Ok((mut stream, _)) = listener.accept() {
                        let token = Token(streams.len());
                        if poll.registry().register(&mut stream, token, Interest::READABLE).is_ok() {
                            streams.push(stream);
                        }
                    }
                } else if let Some(stream) = streams.get_mut(event.token().0)
                    && stream.read(&mut buffer).is_ok_and(|read| read > 0)
                {
                    // A client that is gone needs no answer.
                    let _ = stream.write(ANSWER);
                }
            }
        }
    });
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_known_when_they_are_whole() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
        for end in 0..whole.len() {
            assert_eq!(http(whole.get(..end).unwrap_or_default()), Progress::More, "{end}");
        }
        assert_eq!(http(whole), Progress::Whole);
        assert_eq!(http(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"), Progress::Wrong);
        assert_eq!(http(b"HTTP/1.1 200 OK\r\n\r\n"), Progress::Wrong);

        let entry = [&[0x30, 9, 2, 1, 1, 0x64, 4, 4, 0, 0x30, 0][..]].concat();
        let done = [0x30, 12, 2, 1, 1, 0x65, 7, 10, 1, 0, 4, 0, 4, 0];
        let both = [entry.as_slice(), &done].concat();
        for end in 0..both.len() {
            assert_eq!(ldap(both.get(..end).unwrap_or_default()), Progress::More, "{end}");
        }
        assert_eq!(ldap(&both), Progress::Whole);
        // Nothing found, and a refusal, are not what is counted.
        assert_eq!(ldap(&done), Progress::Wrong);
        let refused = [0x30, 12, 2, 1, 1, 0x65, 7, 10, 1, 50, 4, 0, 4, 0];
        assert_eq!(ldap(&[entry.as_slice(), &refused].concat()), Progress::Wrong);
    }
}
