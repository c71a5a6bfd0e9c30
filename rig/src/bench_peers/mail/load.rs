//! The client that every mail server is measured with: sockets and threads, nothing more, the same octets for all.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one round brought.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Mails taken, or fetched.
    pub(super) done: u64,
    /// Until the last reply.
    pub(super) seconds: f64,
    /// How long each took, from its first command to its last reply.
    pub(super) waits: Vec<Duration>,
}

struct Session {
    stream: TcpStream,
    replies: BufReader<TcpStream>,
    line: Vec<u8>,
}

impl Session {
    fn open(at: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let replies = BufReader::with_capacity(1 << 16, stream.try_clone()?);
        Ok(Self { stream, replies, line: Vec::new() })
    }

    /// The next line.
    fn line(&mut self) -> io::Result<&[u8]> {
        self.line.clear();
        self.replies.read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(&self.line) }
    }

    /// An SMTP reply, of several lines maybe; it must begin with `wanted`.
    fn reply(&mut self, wanted: &[u8]) -> io::Result<()> {
        loop {
            let line = self.line()?;
            if !line.starts_with(wanted) {
                return Err(io::Error::other(String::from_utf8_lossy(line).into_owned()));
            }
            if line.get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }

    /// A POP3 reply: it must be positive.
    fn ok(&mut self, command: &str) -> io::Result<()> {
        self.stream.write_all(command.as_bytes())?;
        let line = self.line()?;
        if line.starts_with(b"+OK") {
            Ok(())
        } else {
            Err(io::Error::other(String::from_utf8_lossy(line).into_owned()))
        }
    }

    /// Reads a multi-line answer to its end; its octets.
    fn skip(&mut self) -> io::Result<usize> {
        let mut octets = 0;
        loop {
            let line = self.line()?;
            if line == b".\r\n" {
                return Ok(octets);
            }
            octets += line.len();
        }
    }
}

/// A mail of about `size` octets that looks like a sealed page.
pub(super) fn mail(size: usize) -> Vec<u8> {
    let mut mail = b"From: taro@a.example\r\nTo: box@bench.example\r\nSubject: [...]\r\nMIME-Version: 1.0\r\n\
        Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        .to_vec();
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 0x2545_f491_4f6c_dd1du64;
    while mail.len() < size {
        for _ in 0..76 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            mail.push(letters.get((state % 64) as usize).copied().unwrap_or(b'A'));
        }
        mail.extend_from_slice(b"\r\n");
    }
    mail
}

/// Runs `work` in as many threads until `time` is over; it says how long it took, again and again.
fn in_threads(
    threads: usize,
    time: Duration,
    work: impl Fn(usize, &dyn Fn(Duration) -> bool) -> io::Result<()> + Sync,
) -> io::Result<Outcome> {
    let begin = Instant::now();
    let done = AtomicU64::new(0);
    let waits = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let (work, done, waits) = (&work, &done, &waits);
                scope.spawn(move || {
                    let own = std::cell::RefCell::new(Vec::new());
                    let ended = work(number, &|wait| {
                        done.fetch_add(1, Ordering::Relaxed);
                        own.borrow_mut().push(wait);
                        begin.elapsed() < time
                    });
                    waits.lock().unwrap_or_else(std::sync::PoisonError::into_inner).append(&mut own.borrow_mut());
                    ended
                })
            })
            .collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(io::Error::other("a panic"))))
    })?;
    let waits = waits.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(Outcome { done: done.into_inner(), seconds: begin.elapsed().as_secs_f64(), waits })
}

/// Sends one mail in a session of its own; when it was taken.
pub(super) fn one(at: SocketAddr, to: &str, mail: &[u8]) -> io::Result<Instant> {
    let mut session = Session::open(at)?;
    session.reply(b"220")?;
    session.stream.write_all(b"EHLO client.example\r\n")?;
    session.reply(b"250")?;
    session.stream.write_all(format!("MAIL FROM:<taro@a.example>\r\nRCPT TO:<{to}>\r\nDATA\r\n").as_bytes())?;
    session.reply(b"250")?;
    session.reply(b"250")?;
    session.reply(b"354")?;
    session.stream.write_all(&[mail, b".\r\n"].concat())?;
    session.reply(b"250")?;
    let taken = Instant::now();
    session.stream.write_all(b"QUIT\r\n")?;
    session.reply(b"221")?;
    Ok(taken)
}

/// Clients that are in the middle of a mail, and say an octet of it now and then; they go when dropped.
pub(super) struct Dripping {
    stop: std::sync::mpsc::Sender<()>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Dripping {
    pub(super) fn start(at: SocketAddr, count: usize, to: &str) -> io::Result<Self> {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let mut session = Session::open(at)?;
            session.reply(b"220")?;
            session.stream.write_all(b"EHLO slow.example\r\n")?;
            session.reply(b"250")?;
            let commands = format!("MAIL FROM:<slow@a.example>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
            session.stream.write_all(commands.as_bytes())?;
            session.reply(b"250")?;
            session.reply(b"250")?;
            session.reply(b"354")?;
            streams.push(session.stream);
        }
        let (stop, stopped) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(200)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                // Whoever is turned away drips no more.
                streams.retain_mut(|stream| stream.write_all(b"x").is_ok());
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Dripping {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Sends mails for `time`, each session to mailboxes in turn, pipelined (RFC 2920).
pub(super) fn send(
    at: SocketAddr,
    sessions: usize,
    boxes: &[String],
    mail: &[u8],
    time: Duration,
) -> io::Result<Outcome> {
    in_threads(sessions, time, |number, done| {
        let mut session = Session::open(at)?;
        session.reply(b"220")?;
        session.stream.write_all(b"EHLO client.example\r\n")?;
        session.reply(b"250")?;
        let mut body = mail.to_vec();
        body.extend_from_slice(b".\r\n");
        for turn in number.. {
            let Some(to) = boxes.get(turn % boxes.len().max(1)) else { break };
            let begin = Instant::now();
            let commands = format!("MAIL FROM:<taro@a.example>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
            session.stream.write_all(commands.as_bytes())?;
            session.reply(b"250")?;
            session.reply(b"250")?;
            session.reply(b"354")?;
            session.stream.write_all(&body)?;
            session.reply(b"250")?;
            if !done(begin.elapsed()) {
                break;
            }
        }
        session.stream.write_all(b"QUIT\r\n")?;
        session.reply(b"221")
    })
}

/// Which way mail is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetching {
    /// One session, RETR after RETR.
    Long,
    /// Login, STAT, one RETR, QUIT, and again.
    Short,
}

/// Fetches mails for `time`, each session from a mailbox of its own with `mails` mails in it.
pub(super) fn fetch(
    at: SocketAddr,
    boxes: &[String],
    password: &str,
    mails: usize,
    how: Fetching,
    time: Duration,
) -> io::Result<Outcome> {
    in_threads(boxes.len(), time, |number, done| {
        let user = boxes.get(number).map(String::as_str).unwrap_or_default();
        let login = || {
            let mut session = Session::open(at)?;
            session.line()?;
            session.ok(&format!("USER {user}\r\n"))?;
            session.ok(&format!("PASS {password}\r\n"))?;
            Ok::<_, io::Error>(session)
        };
        let mut turn = 0;
        let mut session = login()?;
        loop {
            let begin = Instant::now();
            if how == Fetching::Short && turn > 0 {
                session = login()?;
            }
            if how == Fetching::Short {
                session.ok("STAT\r\n")?;
            }
            session.ok(&format!("RETR {}\r\n", turn % mails + 1))?;
            session.skip()?;
            turn += 1;
            if how == Fetching::Short {
                session.ok("QUIT\r\n")?;
            }
            if !done(begin.elapsed()) {
                break;
            }
        }
        if how == Fetching::Long {
            session.ok("QUIT\r\n")?;
        }
        Ok(())
    })
}

/// How many mails a mailbox holds, and how long STAT and UIDL took behind the login.
pub(super) fn look(at: SocketAddr, user: &str, password: &str) -> io::Result<(u64, Duration)> {
    let mut session = Session::open(at)?;
    session.line()?;
    session.ok(&format!("USER {user}\r\n"))?;
    // The list is made at the login: that is part of it.
    let begin = Instant::now();
    session.ok(&format!("PASS {password}\r\n"))?;
    session.stream.write_all(b"STAT\r\n")?;
    let line = String::from_utf8_lossy(session.line()?).into_owned();
    let count = line.split(' ').nth(1).and_then(|count| count.parse().ok());
    session.ok("UIDL\r\n")?;
    session.skip()?;
    let took = begin.elapsed();
    session.ok("QUIT\r\n")?;
    let mut rest = Vec::new();
    session.replies.read_to_end(&mut rest)?;
    Ok((count.ok_or_else(|| io::Error::other(line))?, took))
}
