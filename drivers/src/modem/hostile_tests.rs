//! Modems that say what they like: whatever comes from one, nothing panics, nothing hangs, and the next call is possible.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::hdlc::{Frame, fcs};
use super::t31::stuffed;
use super::*;

struct Blank;

impl Document for Blank {
    fn pages(&self) -> usize {
        2
    }

    fn wants(&self, _page: usize) -> PageWish {
        PageWish { width: 1728, resolution: Resolution::Standard }
    }

    fn page(
        &mut self,
        _page: usize,
        _format: &PageFormat,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(vec![0x10; 3000])
    }
}

struct Bin;

#[async_trait]
impl Tray for Bin {
    fn page(&mut self, _format: &PageFormat, octets: &[u8]) -> CopyQuality {
        if octets.len().is_multiple_of(2) { CopyQuality::Good } else { CopyQuality::Poor }
    }
}

/// What a modem says to a command.
fn any_answer() -> impl Strategy<Value = Vec<u8>> {
    let line = |text: &str| format!("\r\n{text}\r\n").into_bytes();
    let word = prop::sample::select(vec![
        "OK",
        "CONNECT",
        "NO CARRIER",
        "ERROR",
        "+FCERROR",
        "+FRH:3",
        "BUSY",
        "NO ANSWER",
        "RING",
        "NDID=1",
        "0,1,2",
        "?",
    ]);
    let frame =
        (prop::sample::select(vec![0x80u8, 0x83, 0x84, 0x8C, 0xFB, 0x2F, 0x4F, 0xBF, 0xBC, 0xEC]), any::<bool>());
    let frame = (frame, prop::collection::vec(any::<u8>(), 0..33)).prop_map(move |((fcf, last), fif)| {
        let mut octets = Frame { fcf, fif, last }.octets();
        let check = fcs(&octets);
        octets.extend(check);
        [line("CONNECT"), stuffed(&octets), line("OK")].concat()
    });
    let message = prop::collection::vec(any::<u8>(), 0..3000)
        .prop_map(move |octets| [line("CONNECT"), stuffed(&octets), line("NO CARRIER")].concat());
    let zeros = (1000usize..3000)
        .prop_map(move |count| [line("CONNECT"), stuffed(&vec![0; count]), line("NO CARRIER")].concat());
    prop_oneof![
        6 => word.prop_map(line),
        6 => frame,
        2 => message,
        2 => zeros,
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => Just(Vec::new()),
    ]
}

/// Answers what ends in CR or DLE ETX with one answer after the other; at first as a Class 1 modem would.
async fn modem(mut host: DuplexStream, mut answers: Vec<Vec<u8>>, behaves: bool) {
    let mut said = Vec::new();
    let mut octet = [0u8; 1];
    let ok: &[u8] = b"\r\nOK\r\n";
    while let Ok(1) = host.read(&mut octet).await {
        said.push(octet[0]);
        let is_command = said.ends_with(b"\r");
        if !is_command && !said.ends_with(&[0x10, 0x03]) {
            continue;
        }
        let command = String::from_utf8_lossy(&std::mem::take(&mut said)).into_owned();
        let answer = match command.trim() {
            _ if !behaves => answers.pop().unwrap_or_else(|| ok.to_vec()),
            "AT+FCLASS=?" => b"\r\n0,1\r\n\r\nOK\r\n".to_vec(),
            "AT+FTM=?" | "AT+FRM=?" => b"\r\n24,48,72,96\r\n\r\nOK\r\n".to_vec(),
            text if text.starts_with("ATD") || text == "ATA" => b"\r\nCONNECT\r\n".to_vec(),
            text if text.starts_with("AT+F") && !text.contains("FCLASS") => answers.pop().unwrap_or_default(),
            text if text.ends_with("AT") || text.starts_with("AT") => ok.to_vec(),
            _ => answers.pop().unwrap_or_else(|| ok.to_vec()),
        };
        if host.write_all(&answer).await.is_err() {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn calls_end(
        answers in prop::collection::vec(any_answer(), 0..80),
        behaves in prop::bool::weighted(0.8),
        calls in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = tokio::io::duplex(512);
            let modem = tokio::spawn(modem(theirs, answers, behaves));
            let mut line = Class1::on_stream(ours);
            let me = Identity::new("1");
            let call = async {
                if calls {
                    let _ = line.call("123", &me, Some("7"), &mut Blank).await;
                } else {
                    let _ = line.answer(&me, &mut Bin).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5 * 3600), call).await.expect("the call ends");
            modem.abort();
        });
    }
}

/// The program at the other end of the port has gone.
#[tokio::test(start_paused = true)]
async fn a_port_that_is_gone() {
    let (ours, theirs) = tokio::io::duplex(512);
    drop(theirs);
    let mut line = Class1::on_stream(ours);
    assert_eq!(line.wait_for_call().await.unwrap_err().code(), "FAX-001");
    let error = line.call("123", &Identity::new("1"), None, &mut Blank).await.unwrap_err();
    assert_eq!((error.code(), error.pages_confirmed), ("FAX-001", 0));
}

/// A modem that is switched off.
#[tokio::test(start_paused = true)]
async fn a_silent_modem() {
    let (ours, _theirs) = tokio::io::duplex(1 << 16);
    let error = Class1::on_stream(ours).diagnose().await.unwrap_err();
    assert_eq!(error.code(), "FAX-002");
}

/// A modem for data only.
#[tokio::test(start_paused = true)]
async fn a_modem_without_class_1() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 12);
    tokio::spawn(async move {
        let mut said = Vec::new();
        while let Ok(octet) = theirs.read_u8().await {
            said.push(octet);
            if octet == b'\r' {
                let classes = said.windows(8).any(|part| part == b"FCLASS=?");
                let answer: &[u8] = if classes { b"\r\n0,2.1\r\n\r\nOK\r\n" } else { b"\r\nOK\r\n" };
                theirs.write_all(answer).await.unwrap();
                said.clear();
            }
        }
    });
    let mut line = Class1::on_stream(ours);
    let error = line.call("123", &Identity::new("1"), None, &mut Blank).await.unwrap_err();
    assert_eq!(error.code(), "FAX-004");
    let diagnosis = line.diagnose().await.unwrap();
    assert_eq!((diagnosis.has_class_1, diagnosis.classes.as_str()), (false, "0,2.1"));
}
