//! `cargo rig bench mail`: our mail server beside Postfix, which takes mail into Maildirs, and beside Dovecot, which hands it
//! out; each a process of its own, all with the same client ([`load`]) and everything written through to the disk.

mod load;
mod notice;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use self::load::{Fetching, Outcome};
use super::{
    BenchError, Benchmark, Contender, Options, Progress, Row, Sample, beside, in_turn, meter, with_shipped_server,
};
use crate::peer::dovecot::{self, Dovecot, PASSWORD};
use crate::peer::postfix::{self, Postfix, PostfixOptions};
use crate::peer::process::{Process, free_port};

/// The benchmark.
pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "mail",
    title: "Mail taken into mailboxes and handed out, beside Postfix and Dovecot (as root)",
    run,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SERVER: &str = "sealfax-mailserver";
const DOMAIN: &str = "bench.example";
const POSTFIX: &str = "Postfix, Maildir";
const DOVECOT: &str = "Dovecot";
const BOXES: usize = 50;
/// Mails of 100 KiB in each mailbox that is fetched from.
const FETCHED: usize = 20;

fn run(options: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    postfix::present()?;
    dovecot::present()?;
    let options = &with_shipped_server(options, progress)?;
    let mut rows = Vec::new();
    for (size, name) in [(4 << 10, "4 KiB"), (100 << 10, "100 KiB"), (1 << 20, "1 MiB")] {
        for sessions in [1, 10, 50] {
            rows.extend(taking(options, progress, size, name, sessions)?);
        }
    }
    rows.extend(handing_out(options, progress)?);
    rows.push(dripping(options, progress)?);
    rows.extend(notice::rows(options, progress)?);
    rows.extend(much(options, progress)?);
    Ok(rows)
}

fn boxes(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("box{number}")).collect()
}

fn addresses(boxes: &[String]) -> Vec<String> {
    boxes.iter().map(|name| format!("{name}@{DOMAIN}")).collect()
}

/// Mail in: rate until in the mailbox, and what it costs.
fn taking(
    options: &Options,
    progress: &Progress,
    size: usize,
    name: &str,
    sessions: usize,
) -> Result<Vec<Row>, BenchError> {
    let what = format!("{name}, {sessions} session(s)");
    progress.at(format!("{what}: starting the servers"));
    let boxes = boxes(BOXES);
    let to = addresses(&boxes);
    let ours = Ours::start(options, &boxes)?;
    let lines = PostfixOptions { domain: DOMAIN.to_owned(), boxes: boxes.clone(), lmtp: None, main: String::new() };
    let mut peer = Postfix::start(HERE, &lines)?;
    let (maildirs, peer_at, peer_id) = (peer.maildirs(), peer.addr(), peer.process().id());
    let mail = load::mail(size);
    let time = Duration::from_secs_f64(options.seconds);
    let (mut our_waits, mut their_waits) = (Vec::new(), Vec::new());
    let best = {
        let mut contenders = [
            Contender {
                name: "ours",
                round: Box::new(|| {
                    let before = meter::cpu_seconds(ours.id());
                    let mut outcome = load::send(ours.smtp, sessions, &to, &mail, time).map_err(BenchError::broken)?;
                    our_waits.append(&mut outcome.waits);
                    Ok(sample(&outcome, outcome.seconds, meter::cpu_seconds(ours.id()).zip(before)))
                }),
            },
            Contender {
                name: POSTFIX,
                round: Box::new(|| {
                    clear(&maildirs)?;
                    let (begin, before) = (Instant::now(), meter::cpu_seconds(peer_id));
                    let mut outcome = load::send(peer_at, sessions, &to, &mail, time).map_err(BenchError::broken)?;
                    // Its 250 says that the mail is in its queue; it counts when it is in the mailbox.
                    while delivered(&maildirs) < outcome.done {
                        if begin.elapsed() > time * 10 + Duration::from_secs(60) {
                            return Err(BenchError::broken("Postfix did not deliver everything"));
                        }
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    their_waits.append(&mut outcome.waits);
                    Ok(sample(&outcome, begin.elapsed().as_secs_f64(), meter::cpu_seconds(peer_id).zip(before)))
                }),
            },
        ];
        in_turn(&what, options.rounds, progress, &mut contenders)?
    };
    // Before anybody logs in to count.
    let memories = (meter::memory(ours.id()), meter::memory(peer_id));
    let taken: u64 = our_waits.len() as u64;
    let held = ours.held(&boxes)?;
    if held != taken {
        return Err(BenchError::broken(format!("{taken} mails were answered 250, {held} are in the mailboxes")));
    }
    let [(our_rate, our_cpu), (their_rate, their_cpu)] = best.as_slice() else {
        return Err(BenchError::broken("two contenders gave another number of results"));
    };
    let (page, many) = (size == 100 << 10, sessions >= 10);
    let goal = match (size, sessions) {
        (4096, 50) => Some(10.0),
        _ if page && many => Some(5.0),
        _ => None,
    };
    let with = |row: Row, goal: Option<f64>| goal.map_or(row.clone(), |goal| row.at_least(goal));
    let mut rows = vec![with(Row::more(&format!("Taken, {what}"), "1/s", *our_rate, POSTFIX, *their_rate), goal)];
    if let (Some(ours), Some(theirs)) = (our_cpu, their_cpu) {
        let row = Row::less(&format!("Taken, {what}: processor time of one"), "us", *ours, POSTFIX, *theirs);
        rows.push(with(row, (page && many).then_some(5.0)));
    }
    for (part, share) in [("half", 0.5), ("99 of 100", 0.99)] {
        let (mine, theirs) = (quantile(&mut our_waits, share), quantile(&mut their_waits, share));
        rows.push(Row::less(&format!("Taken, {what}: {part} wait at most"), "ms", mine, POSTFIX, theirs));
    }
    if let (Some(mine), Some(theirs)) = memories {
        let row = Row::less(&format!("Memory (PSS), {what}"), "MB", mine as f64 / 1e6, POSTFIX, theirs as f64 / 1e6);
        rows.push(if size <= 100 << 10 && many { row.at_least(3.0) } else { row });
    }
    Ok(rows)
}

fn sample(outcome: &Outcome, seconds: f64, cpu: Option<(f64, f64)>) -> Sample {
    Sample { operations: outcome.done, seconds, cpu: cpu.map(|(after, before)| after - before) }
}

/// In milliseconds.
fn quantile(waits: &mut [Duration], share: f64) -> f64 {
    waits.sort_unstable();
    let at = (waits.len() as f64 * share) as usize;
    waits.get(at.min(waits.len().saturating_sub(1))).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn delivered(maildirs: &Path) -> u64 {
    files(maildirs).map(|maildir| files(&maildir.join("new")).count() as u64).sum()
}

fn clear(maildirs: &Path) -> Result<(), BenchError> {
    files(maildirs).try_for_each(|maildir| std::fs::remove_dir_all(maildir).map_err(BenchError::broken))
}

/// Mail out, in long sessions and in short ones.
fn handing_out(options: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    progress.at("mailboxes to fetch from");
    let boxes = boxes(10);
    let ours = Ours::start(options, &boxes)?;
    let maildirs = tempfile::tempdir().map_err(BenchError::broken)?;
    let given = Command::new("chown").arg("65534:65534").arg(maildirs.path()).status();
    if !given.is_ok_and(|status| status.success()) {
        return Err(BenchError::broken("the Maildirs cannot be given away"));
    }
    let mut peer = Dovecot::start(HERE, maildirs.path())?;
    let (peer_at, peer_id) = (peer.addr(), peer.process().id());
    fill(ours.smtp, &peer, maildirs.path(), &boxes)?;
    let time = Duration::from_secs_f64(options.seconds);
    let users = addresses(&boxes);
    let mut rows = Vec::new();
    for (how, what, goal) in [
        (Fetching::Long, "Fetched, 100 KiB, 10 long sessions", 1.5),
        (Fetching::Short, "Login, STAT, RETR, QUIT, 100 KiB, 10 at a time", 10.0),
    ] {
        let round = |at, id, users: &'static [String]| {
            move || {
                let before = meter::cpu_seconds(id);
                let outcome = load::fetch(at, users, PASSWORD, FETCHED, how, time).map_err(BenchError::broken)?;
                Ok(sample(&outcome, outcome.seconds, meter::cpu_seconds(id).zip(before)))
            }
        };
        let users: &'static [String] = Vec::leak(users.clone());
        let mut contenders = [
            Contender { name: "ours", round: Box::new(round(ours.pop3, ours.id(), users)) },
            Contender { name: DOVECOT, round: Box::new(round(peer_at, peer_id, users)) },
        ];
        let best = in_turn(what, options.rounds, progress, &mut contenders)?;
        let [(our_rate, our_cpu), (their_rate, their_cpu)] = best.as_slice() else {
            return Err(BenchError::broken("two contenders gave another number of results"));
        };
        rows.push(Row::more(what, "1/s", *our_rate, DOVECOT, *their_rate).at_least(goal));
        if let (Some(mine), Some(theirs)) = (our_cpu, their_cpu) {
            rows.push(Row::less(&format!("{what}: processor time of one"), "us", *mine, DOVECOT, *theirs));
        }
    }
    if let (Some(mine), Some(theirs)) = (meter::memory(ours.id()), meter::memory(peer_id)) {
        rows.push(Row::less("Memory (PSS) after all that", "MB", mine as f64 / 1e6, DOVECOT, theirs as f64 / 1e6));
    }
    Ok(rows)
}

/// Fills the mailboxes of both alike: ours by SMTP, Dovecot's by Postfix, which hands to its LMTP.
fn fill(ours: SocketAddr, dovecot: &Dovecot, maildirs: &Path, boxes: &[String]) -> Result<(), BenchError> {
    let lmtp = Some(dovecot.lmtp());
    let lines = PostfixOptions { domain: DOMAIN.to_owned(), boxes: boxes.to_vec(), lmtp, main: String::new() };
    let postfix = Postfix::start(HERE, &lines)?;
    let mail = load::mail(100 << 10);
    for name in boxes {
        let to = [format!("{name}@{DOMAIN}")];
        for _ in 0..FETCHED {
            for at in [ours, postfix.addr()] {
                load::send(at, 1, &to, &mail, Duration::ZERO).map_err(BenchError::broken)?;
            }
        }
    }
    let (begin, all) = (Instant::now(), (boxes.len() * FETCHED) as u64);
    while delivered(maildirs) < all {
        if begin.elapsed() > Duration::from_secs(60) {
            return Err(BenchError::broken("Postfix and Dovecot did not deliver everything"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// What 500 clients that drip cost one that does not.
fn dripping(options: &Options, progress: &Progress) -> Result<Row, BenchError> {
    let boxes = boxes(1);
    let (ours, to) = (Ours::start(options, &boxes)?, addresses(&boxes));
    let (mail, time) = (load::mail(100 << 10), Duration::from_secs_f64(options.seconds));
    let round = || {
        let outcome = load::send(ours.smtp, 1, &to, &mail, time).map_err(BenchError::broken)?;
        Ok::<_, BenchError>(outcome.done as f64 / outcome.seconds)
    };
    let (mut alone, mut among) = (0f64, 0f64);
    for number in 1..=options.rounds {
        progress.at(format!("one client alone, and among 500 that drip, round {number} of {}", options.rounds));
        alone = alone.max(round()?);
        let slow = load::Dripping::start(ours.smtp, 500, &to[0]).map_err(BenchError::broken)?;
        among = among.max(round()?);
        drop(slow);
        // They are seen to be gone.
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(Row::more("Taken, 100 KiB, one client among 500 that drip", "1/s", among, "alone", alone).at_least(0.8))
}

/// A mailbox with very many mails, and a store with ten times as many.
fn much(options: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    let boxes = boxes(BOXES);
    let mut ours = Ours::start(options, &boxes)?;
    let mail = load::mail(300);
    let (one, all) = (addresses(&boxes[..1]), addresses(&boxes));
    let fill = |smtp, to: &[String], count: usize, name: &str| {
        let mut sent = 0;
        let mut rates = Vec::new();
        while sent < count {
            progress.at(format!("{name}: {sent} of {count} mails"));
            let time = Duration::from_millis(500);
            let outcome = load::send(smtp, 50, to, &mail, time).map_err(BenchError::broken)?;
            sent += usize::try_from(outcome.done).unwrap_or(usize::MAX);
            rates.push(outcome.done as f64 / outcome.seconds);
        }
        Ok::<_, BenchError>((sent, rates))
    };
    let (count, rates) = fill(ours.smtp, &one, options.entries, "one mailbox")?;
    let (first, last) = (mean(&rates, true), mean(&rates, false));
    // The first login hashes the password, which takes its time on purpose; an adapter that comes again is known.
    load::look(ours.pop3, &one[0], PASSWORD).map_err(BenchError::broken)?;
    let (_, took) = load::look(ours.pop3, &one[0], PASSWORD).map_err(BenchError::broken)?;
    let name = format!("{count} mails in one mailbox: opened, STAT and UIDL");
    let mut rows = vec![
        Row::alone(&name, "ms", took.as_secs_f64() * 1e3).no_more_than(50.0),
        Row::more("The same: taken at its end beside at its beginning", "1/s", last, "its beginning", first)
            .at_least(0.8),
    ];
    let (more, _) = fill(ours.smtp, &all, options.entries * 9, "the whole store")?;
    let name = format!("{} mails in the store: from start until it listens", count + more);
    // As after a power cut: nothing was said to it before.
    ours.process.kill();
    let opened = ours.again()?;
    rows.push(Row::alone(&name, "s", opened).no_more_than(1.0));
    Ok(rows)
}

/// Of the first fifth, or of the last.
fn mean(rates: &[f64], first: bool) -> f64 {
    let fifth = (rates.len() / 5).max(1);
    let part = if first { rates.get(..fifth) } else { rates.get(rates.len() - fifth..) }.unwrap_or_default();
    part.iter().sum::<f64>() / part.len().max(1) as f64
}

/// Our server, as a process, with accounts.
struct Ours {
    process: Process,
    program: PathBuf,
    smtp: SocketAddr,
    pop3: SocketAddr,
    folder: tempfile::TempDir,
}

impl Ours {
    fn start(options: &Options, boxes: &[String]) -> Result<Self, BenchError> {
        Self::start_with(options, SocketAddr::new(HERE, 9), boxes, None)
    }

    fn start_with(
        options: &Options,
        dns: SocketAddr,
        boxes: &[String],
        adapter: Option<&str>,
    ) -> Result<Self, BenchError> {
        let program = options.server.clone().map_or_else(|| beside(SERVER), Ok)?;
        let folder = tempfile::tempdir().map_err(BenchError::broken)?;
        let port = || free_port(HERE).map_err(BenchError::broken);
        let (smtp, pop3) = (port()?, port()?);
        let text = format!(
            "[mail]\nhost_name = \"mail.{DOMAIN}\"\ndomains = [\"{DOMAIN}\"]\nsmtp = \"{smtp}\"\npop3 = \"{pop3}\"\n\
             data = {:?}\ndns_servers = [\"{dns}\"]\n[mail.limits]\nsessions = 600\nsessions_per_address = 600\n",
            folder.path().join("data").display().to_string(),
        );
        std::fs::write(folder.path().join("mail.toml"), text).map_err(BenchError::broken)?;
        let process = Self::serve(&program, folder.path(), smtp)?;
        let ours = Self { process, program, smtp, pop3, folder };
        boxes.iter().try_for_each(|name| ours.add(&format!("{name}@{DOMAIN}"), adapter))?;
        Ok(ours)
    }

    fn serve(program: &Path, folder: &Path, smtp: SocketAddr) -> Result<Process, BenchError> {
        let mut command = Command::new(program);
        command.args(["serve", "--config"]).arg(folder.join("mail.toml")).env("RUST_LOG", "warn");
        // As its service file says.
        command.env("MIMALLOC_PURGE_DELAY", "0").env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        let mut process = Process::start(SERVER, command, &folder.join("log"))?;
        process.wait_for_port(smtp, Duration::from_secs(60))?;
        Ok(process)
    }

    /// Starts it once more; seconds until it listens.
    fn again(&mut self) -> Result<f64, BenchError> {
        let begin = Instant::now();
        self.process = Self::serve(&self.program, self.folder.path(), self.smtp)?;
        Ok(begin.elapsed().as_secs_f64())
    }

    fn add(&self, address: &str, adapter: Option<&str>) -> Result<(), BenchError> {
        let mut command = Command::new(&self.program);
        command.args(["account", "--config"]).arg(self.folder.path().join("mail.toml")).args(["add", address]);
        command.args(adapter.map(|adapter| format!("--adapter={adapter}")));
        let spawned = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(BenchError::broken)?;
        if let Some(mut input) = child.stdin.take() {
            writeln!(input, "{PASSWORD}").map_err(BenchError::broken)?;
        }
        let output = child.wait_with_output().map_err(BenchError::broken)?;
        if output.status.success() { Ok(()) } else { Err(BenchError::broken(String::from_utf8_lossy(&output.stderr))) }
    }

    fn id(&self) -> u32 {
        self.process.id()
    }

    /// Mails in all of these mailboxes, as POP3 says.
    fn held(&self, boxes: &[String]) -> Result<u64, BenchError> {
        let counts = addresses(boxes).into_iter().map(|user| load::look(self.pop3, &user, PASSWORD));
        counts.map(|count| count.map(|(count, _)| count).map_err(BenchError::broken)).sum()
    }
}
