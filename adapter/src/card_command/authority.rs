//! The certificate authority as a card command sees it: a command that takes a request on standard input and gives a
//! certificate on standard output, or folders that travel to an authority without a network.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use sealfax_client::seam::Clock;
use sealfax_drivers::card::piv::Slot;
use sealfax_smime::{path, speaks_for};
use zeroize::Zeroizing;

use super::console::printable;
use super::error::CardCommandError;
use super::inventory::{Certified, date};
use super::request::{Request, purpose, usage};

/// The longest answer of a command.
const MAX_ANSWER: u64 = 256 * 1024;
/// How long a command may take: a person may have to allow it at the other end.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long what a command has said is awaited when it has ended: a child of its own may keep the pipe open for ever.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How far the authority's clock may be ahead of ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);
/// The most files that are looked at in a folder of certificates.
const MAX_FILES: usize = 1000;

/// A command that did not succeed.
struct Complaint {
    /// What it said on standard error.
    said: Vec<u8>,
    /// How it ended; `None`: it did not, and was ended.
    end: Option<ExitStatus>,
}

impl Complaint {
    /// In words, in which this secret does not stand: it is taken out of the octets as they came, before anything else
    /// can change how it is written.
    fn without(&self, secret: &[u8]) -> String {
        let Some(status) = self.end else {
            return format!("it did not answer within {} seconds", PATIENCE.as_secs());
        };
        let mut said = Vec::with_capacity(self.said.len());
        let mut rest = self.said.as_slice();
        while let Some((first, after)) = rest.split_first() {
            match rest.strip_prefix(secret).filter(|_| !secret.is_empty()) {
                Some(behind) => {
                    said.push(b'*');
                    rest = behind;
                }
                None => {
                    said.push(*first);
                    rest = after;
                }
            }
        }
        format!("{} ({status})", printable(&said))
    }
}

/// A command with its own arguments, as it stands on the command line.
#[derive(Debug, Clone)]
pub struct CommandLine(Vec<String>);

impl CommandLine {
    /// Splits a command as a shell would; nothing in it is expanded.
    pub fn parse(text: &str) -> Result<Self, CardCommandError> {
        match shlex::split(text) {
            Some(words) if !words.is_empty() => Ok(Self(words)),
            _ => Err(CardCommandError::Usage(format!("this is no command: {text}; mind its quotation marks"))),
        }
    }

    fn program(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Whether it goes through ssh, itself or behind `env`, `timeout` and their like.
    fn remote(&self) -> bool {
        self.0.iter().any(|word| Path::new(word).file_name().is_some_and(|name| name == "ssh"))
    }

    /// Runs it with more arguments and this input; standard output if it succeeds, else what it said.
    fn run(&self, more: &[String], input: &[u8]) -> Result<Result<Vec<u8>, Complaint>, std::io::Error> {
        let remote = self.remote();
        let mut command = Command::new(self.program());
        command.args(self.0.iter().skip(1));
        for argument in more {
            // ssh hands what it gets to a shell at the other end.
            match shlex::try_quote(argument) {
                Ok(quoted) if remote => command.arg(quoted.as_ref()),
                _ => command.arg(argument),
            };
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let input = Zeroizing::new(input.to_vec());
        let stdin = child.stdin.take();
        // Not waited for: who does not want it all need not take it, and what they answer tells.
        std::thread::spawn(move || {
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(&input);
            }
        });
        let output = Collector::of(child.stdout.take());
        let complaint = Collector::of(child.stderr.take());
        let end = wait(&mut child)?;
        let until = Instant::now() + LAST_WORDS;
        let (output, said) = (output.until(until), complaint.until(until));
        Ok(if end.is_some_and(|status| status.success()) { Ok(output) } else { Err(Complaint { said, end }) })
    }
}

/// Reads a pipe in a thread of its own, within bounds.
struct Collector(mpsc::Receiver<Vec<u8>>);

impl Collector {
    fn of(pipe: Option<impl std::io::Read + Send + 'static>) -> Self {
        let (sender, pieces) = mpsc::channel();
        std::thread::spawn(move || {
            let Some(pipe) = pipe else { return };
            let mut pipe = pipe.take(MAX_ANSWER);
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut piece) {
                if sender.send(piece.get(..length).unwrap_or_default().to_vec()).is_err() {
                    return;
                }
            }
        });
        Self(pieces)
    }

    /// What came to the pipe's end, or until then.
    fn until(self, then: Instant) -> Vec<u8> {
        let mut octets = Vec::new();
        while let Ok(piece) = self.0.recv_timeout(then.saturating_duration_since(Instant::now())) {
            octets.extend_from_slice(&piece);
        }
        octets
    }
}

/// Waits for the end; `None` if it was ended for being slow.
fn wait(child: &mut Child) -> Result<Option<ExitStatus>, std::io::Error> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begin.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Who signs requests: a command to which `--address A --name N --usage sign|encrypt --days N` are added, the request goes
/// in, the certificate comes out.
#[derive(Debug, Clone)]
pub struct Authority(pub CommandLine);

impl Authority {
    /// Has a request signed; DER. What comes is held against what was asked, and against the time when it comes.
    pub fn certify(&self, request: &Request<'_>, clock: &dyn Clock) -> Result<Vec<u8>, CardCommandError> {
        let Self(command) = self;
        let subject = request.subject;
        let arguments = [
            ("--address", subject.address.to_owned()),
            ("--name", subject.name.to_owned()),
            ("--usage", usage(request.slot).to_owned()),
            ("--days", subject.days.to_string()),
        ];
        let arguments: Vec<String> = arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        let missing = |source| CardCommandError::AuthorityMissing { program: command.program().to_owned(), source };
        let answer = command.run(&arguments, request.pem()?.as_bytes()).map_err(missing)?;
        let pem = answer.map_err(|complaint| CardCommandError::AuthorityRefused(complaint.without(b"")))?;
        let der = first_certificate(&pem)
            .ok_or_else(|| CardCommandError::AuthorityAnswer("there is no certificate in it".to_owned()))?;
        check(&der, request.slot, &request.public_key, subject.address, clock.now())?;
        Ok(der)
    }
}

/// Is it the certificate that was asked for: this key, this address, this use, and valid now?
pub fn check(
    der: &[u8],
    slot: Slot,
    public_key: &[u8],
    address: &str,
    now: SystemTime,
) -> Result<(), CardCommandError> {
    let refuse = |what: String| Err(CardCommandError::AuthorityAnswer(what));
    match path::validity(der) {
        Ok((from, _)) if from > now + CLOCKS_DIFFER => return refuse(format!("it is not valid before {}", date(from))),
        Ok((_, until)) if until < now => return refuse(format!("it expired on {}", date(until))),
        Ok(_) => {}
        Err(error) => return refuse(error.to_string()),
    }
    match path::public_key(der) {
        Ok(key) if key == public_key => {}
        Ok(_) => return refuse("it is for another key".to_owned()),
        Err(error) => return refuse(error.to_string()),
    }
    if !speaks_for(der, address) {
        return refuse(format!("it is not for {address}"));
    }
    if !path::allows(der, purpose(slot)).unwrap_or(false) {
        return refuse(format!("its key usage does not let it {}", usage(slot)));
    }
    Ok(())
}

/// Every certificate in a folder's files, PEM or DER.
pub fn certificates(folder: &Path) -> Result<Vec<Vec<u8>>, CardCommandError> {
    let broken = |source| CardCommandError::File { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(broken)?.take(MAX_FILES) {
        let path = entry.map_err(broken)?.path();
        let mut octets = Vec::new();
        let Ok(file) = std::fs::File::open(&path) else { continue };
        if file.take(MAX_ANSWER).read_to_end(&mut octets).is_err() {
            continue;
        }
        if let Some(der) = first_certificate(&octets) {
            found.push(der);
        } else if Certified::read(octets.clone()).is_some() {
            found.push(octets);
        }
    }
    Ok(found)
}

/// The first certificate in PEM, whatever stands around it.
fn first_certificate(octets: &[u8]) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = std::str::from_utf8(octets).ok()?;
    let from = text.find(BEGIN)?;
    let rest = text.get(from..)?;
    let block = rest.get(..rest.find(END)? + END.len())?;
    let (_, der) = der::pem::decode_vec(block.as_bytes()).ok()?;
    Certified::read(der.clone()).map(|_| der)
}

/// Gives the mail account its password: the command gets it on standard input and says nothing of it.
pub fn set_account(command: &CommandLine, password: &str) -> Result<(), CardCommandError> {
    let input = Zeroizing::new(format!("{password}\n").into_bytes());
    match command.run(&[], &input) {
        Ok(Ok(_)) => Ok(()),
        // A command that repeats its input must not carry it into our output.
        Ok(Err(complaint)) => Err(CardCommandError::Account(complaint.without(password.as_bytes()))),
        Err(error) => Err(CardCommandError::Account(format!("{} cannot be run: {error}", command.program()))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn ran(command: &CommandLine, more: &[&str]) -> Vec<u8> {
        let more: Vec<String> = more.iter().map(|one| (*one).to_owned()).collect();
        command.run(&more, b"").unwrap().unwrap_or_else(|complaint| panic!("{}", complaint.without(b"")))
    }

    #[test]
    fn a_command_is_split_and_its_words_stay_words() {
        let echo = CommandLine::parse("printf '%s|' 'a b'").unwrap();
        let out = ran(&echo, &["佐藤 花子", "$(x)"]);
        assert_eq!(String::from_utf8(out).unwrap(), "a b|佐藤 花子|$(x)|");
        assert!(CommandLine::parse("").is_err() && CommandLine::parse("a 'b").is_err());
    }

    #[test]
    fn what_a_shell_at_the_other_end_gets_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let ssh = folder.path().join("ssh");
        std::fs::write(&ssh, "#!/bin/sh\nshift\neval \"printf '%s|' $*\"\n").unwrap();
        std::fs::set_permissions(&ssh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        for before in ["", "env ", "env LANG=C "] {
            let command = CommandLine::parse(&format!("{before}{} host", ssh.display())).unwrap();
            let out = ran(&command, &["佐藤 花子", "$(id)'"]);
            assert_eq!(String::from_utf8(out).unwrap(), "佐藤 花子|$(id)'|", "{before}");
        }
    }

    /// It would be waited for to the end of the child's days, an hour.
    #[test]
    fn a_child_that_keeps_the_pipe_is_not_waited_for() {
        let command = CommandLine::parse("sh -c 'sleep 3600 & echo $!'").unwrap();
        let child = String::from_utf8(ran(&command, &[])).unwrap();
        let id = child.trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    #[test]
    fn a_password_is_piped_and_never_repeated() {
        let good = CommandLine::parse("sh -c 'read line && test \"$line\" = himitsu'").unwrap();
        set_account(&good, "himitsu").unwrap();
        let bad = CommandLine::parse("sh -c 'cat >&2; exit 1'").unwrap();
        for password in ["himitsu", "hi  mi\ttsu", "hi\u{200f}mitsu"] {
            let error = set_account(&bad, password).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains('*') && !text.contains("tsu"), "{error}");
        }
        // Not even when the line is cut in its midst.
        let long = CommandLine::parse("sh -c 'printf %0398d 0 >&2; cat >&2; exit 1'").unwrap();
        let error = set_account(&long, "himitsu").unwrap_err();
        assert!(!error.to_string().contains("0h"), "{error}");
        assert!(set_account(&CommandLine::parse("/nowhere/at/all").unwrap(), "x").is_err());
    }

    #[test]
    fn an_authority_that_answers_nonsense_is_refused() {
        assert!(first_certificate(b"").is_none());
        assert!(first_certificate(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_none());
    }
}
