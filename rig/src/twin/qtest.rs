//! QEMU's `qtest` socket (docs/devel/testing/qtest.rst in its source): the board's memory and registers, read and written
//! beside the running program, and the edges of a device's output lines as they happen.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;

use super::{TwinError, io_error};

/// Longest an answer may take; QEMU answers within a millisecond unless the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Is told of an edge: which line, and whether it rose. On a thread that also delivers answers: it must not ask for one.
pub type OnEdge = Box<dyn Fn(u32, bool) + Send>;

/// The socket. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Qtest(Arc<Mutex<Line>>);

#[derive(Debug)]
struct Line {
    stream: UnixStream,
    answers: Receiver<String>,
}

impl Qtest {
    /// Over a connected socket.
    pub fn new(stream: UnixStream, edges: OnEdge) -> Result<Self, TwinError> {
        let reading = stream.try_clone().map_err(io_error("the qtest socket"))?;
        let (to, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reading).lines() {
                let Ok(line) = line else { return };
                match edge(&line) {
                    Some((number, rose)) => edges(number, rose),
                    None if to.send(line).is_err() => return,
                    None => {}
                }
            }
        });
        Ok(Self(Arc::new(Mutex::new(Line { stream, answers }))))
    }

    /// Has the edges of a device's output lines reported from now on; its path is that of QEMU's object tree.
    pub fn report_edges(&self, device: &str) -> Result<(), TwinError> {
        self.ask(&[format!("irq_intercept_out {device}")]).map(drop)
    }

    /// Registers of 32 bits, all read at one moment as far as the program on the board can tell.
    pub fn read_words(&self, addresses: &[u64]) -> Result<Vec<u32>, TwinError> {
        let questions: Vec<String> = addresses.iter().map(|address| format!("readl {address:#x}")).collect();
        let answers = self.ask(&questions)?;
        answers.iter().map(|answer| word(answer).ok_or_else(|| misread(answer))).collect()
    }

    /// Writes a register of 32 bits.
    pub fn write_word(&self, address: u64, value: u32) -> Result<(), TwinError> {
        self.ask(&[format!("writel {address:#x} {value:#x}")]).map(drop)
    }

    /// Stretches of memory: address and length of each.
    pub fn read(&self, stretches: &[(u64, usize)]) -> Result<Vec<Vec<u8>>, TwinError> {
        let question = |(address, length): &(u64, usize)| format!("b64read {address:#x} {length:#x}");
        let answers = self.ask(&stretches.iter().map(question).collect::<Vec<_>>())?;
        let engine = base64::engine::general_purpose::STANDARD;
        answers.iter().map(|answer| engine.decode(answer).map_err(|_| misread(answer))).collect()
    }

    /// Asks everything at once and collects the answers, without their `OK`.
    fn ask(&self, questions: &[String]) -> Result<Vec<String>, TwinError> {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut whole = questions.join("\n");
        whole.push('\n');
        line.stream.write_all(whole.as_bytes()).map_err(|error| TwinError::machine("is gone", error))?;
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            let answer = line.answers.recv_timeout(PATIENCE);
            let answer = answer.map_err(|_| TwinError::machine("does not answer", format!("qtest: {question}")))?;
            match answer.strip_prefix("OK") {
                Some(rest) => answers.push(rest.trim().to_owned()),
                None => return Err(TwinError::machine("refuses", format!("qtest: {question}: {answer}"))),
            }
        }
        Ok(answers)
    }
}

fn misread(answer: &str) -> TwinError {
    TwinError::machine("answers strangely", format!("qtest: {answer:?}"))
}

/// `IRQ raise 17`.
fn edge(line: &str) -> Option<(u32, bool)> {
    let (way, number) = line.strip_prefix("IRQ ")?.split_once(' ')?;
    Some((number.trim().parse().ok()?, way == "raise"))
}

/// `0x0000000000400000`, sixteen digits for every width.
fn word(answer: &str) -> Option<u32> {
    u32::try_from(u64::from_str_radix(answer.strip_prefix("0x")?, 16).ok()?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// A QEMU that answers what it is told to.
    fn machine(script: &'static [(&'static str, &'static str)], edges: OnEdge) -> Qtest {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(theirs.try_clone().unwrap()).lines();
            let mut theirs = theirs;
            for (question, answer) in script {
                assert_eq!(lines.next().unwrap().unwrap(), *question);
                theirs.write_all(answer.as_bytes()).unwrap();
            }
        });
        Qtest::new(ours, edges).unwrap()
    }

    #[test]
    fn answers_and_edges_share_the_socket() {
        let (told, heard) = channel();
        let script = &[
            ("irq_intercept_out /machine/soc/peripherals/gpio", "OK\n"),
            ("readl 0x3f200034", "IRQ raise 17\nOK 0x0000000000020000\nIRQ lower 17\n"),
            ("readl 0x3f200004", "OK 0x0000000000200000\n"),
            ("b64read 0x3c100000 0x3", "OK AAH/\n"),
            ("writel 0x3f20001c 0x400000", "FAIL Unknown command\n"),
        ];
        let qtest = machine(script, Box::new(move |pin, rose| told.send((pin, rose)).unwrap()));
        qtest.report_edges("/machine/soc/peripherals/gpio").unwrap();
        assert_eq!(qtest.read_words(&[0x3f20_0034, 0x3f20_0004]).unwrap(), [1 << 17, 1 << 21]);
        assert_eq!([heard.recv().unwrap(), heard.recv().unwrap()], [(17, true), (17, false)]);
        assert_eq!(qtest.read(&[(0x3c10_0000, 3)]).unwrap(), [vec![0, 1, 255]]);
        let error = qtest.write_word(0x3f20_001c, 1 << 22).unwrap_err();
        assert!(error.to_string().contains("Unknown command"), "{error}");
        // The other end is gone.
        assert!(qtest.read_words(&[0]).is_err());
    }
}
