//! Whole calls between two of our own stations over the simulated line, in paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use super::simulated::{Cut, Exchange, Line, line};
use super::t30::frame;
use super::*;

/// A document of made-up octets; a page is never looked at here.
struct Made {
    pages: Vec<(PageWish, Vec<u8>)>,
    formats: Vec<PageFormat>,
}

impl Made {
    fn of(lengths: &[usize], wish: PageWish) -> Self {
        let page = |(number, length): (usize, &usize)| {
            // Runs of every length, among them DLE, ETX and flags.
            let octets = (0..*length).map(|at| ((at * 7 + at / 251 + number) & 0xFF) as u8).collect();
            (wish, octets)
        };
        Self { pages: lengths.iter().enumerate().map(page).collect(), formats: Vec::new() }
    }
}

const FINE: PageWish = PageWish { width: 1728, resolution: Resolution::Fine };

impl Document for Made {
    fn pages(&self) -> usize {
        self.pages.len()
    }

    fn wants(&self, page: usize) -> PageWish {
        self.pages[page].0
    }

    fn page(&mut self, page: usize, format: &PageFormat) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        self.formats.push(*format);
        Ok(self.pages[page].1.clone())
    }
}

/// A tray that keeps what comes and says what it was told to say.
struct Kept {
    pages: Vec<(PageFormat, Vec<u8>)>,
    /// What to say of the pages, in order; then `Good`.
    says: Vec<CopyQuality>,
    accepts: bool,
    decides_after: Duration,
}

impl Default for Kept {
    fn default() -> Self {
        Self { pages: Vec::new(), says: Vec::new(), accepts: true, decides_after: Duration::ZERO }
    }
}

#[async_trait]
impl Tray for Kept {
    fn page(&mut self, format: &PageFormat, octets: &[u8]) -> CopyQuality {
        let quality = if self.says.is_empty() { CopyQuality::Good } else { self.says.remove(0) };
        if quality != CopyQuality::Unusable {
            self.pages.push((*format, octets.to_vec()));
        }
        quality
    }

    async fn accept(&mut self, arrived: &Arrived) -> bool {
        assert_eq!(arrived.pages.len(), self.pages.len());
        tokio::time::sleep(self.decides_after).await;
        self.accepts
    }
}

type Outcome = (Result<Sent, FaxError>, Result<Received, FaxError>);

async fn call(
    on: Line,
    ours: &Identity,
    theirs: &Identity,
    subaddress: Option<&str>,
    document: &mut Made,
    tray: &mut Kept,
) -> Outcome {
    let (first, second) = line(on);
    let (mut caller, mut called) = (Class1::new(first), Class1::new(second));
    // The longest that anything may take: nothing hangs.
    let both = async {
        tokio::join!(caller.call("0312345678", ours, subaddress, document), async {
            called.wait_for_call().await?;
            called.answer(theirs, tray).await
        })
    };
    tokio::time::timeout(Duration::from_secs(3600), both).await.expect("the call ends")
}

fn station(number: &str) -> Identity {
    Identity::new(number)
}

/// What arrived is what was sent; with error correction frames are filled up with zeros.
fn assert_arrived(document: &Made, tray: &Kept) {
    assert_eq!(document.pages.len(), tray.pages.len(), "number of pages");
    for ((_, sent), (format, came)) in document.pages.iter().zip(&tray.pages) {
        if format.ecm {
            assert!(came.len() < sent.len() + 256 && came[sent.len()..].iter().all(|octet| *octet == 0));
        }
        assert!(came.starts_with(sent) && (format.ecm || came.len() == sent.len()), "a page differs");
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_arrives() {
    let mut document = Made::of(&[5000, 70_000, 300], FINE);
    let mut tray = Kept::default();
    let (sent, received) =
        call(Line::default(), &station("+81 1"), &station("+81 2"), Some("42"), &mut document, &mut tray).await;
    let (sent, received) = (sent.unwrap(), received.unwrap());
    assert_arrived(&document, &tray);
    assert_eq!((sent.pages, sent.retrainings), (3, 0));
    assert_eq!(sent.far_end.as_deref(), Some("+81 2"));
    assert_eq!(received.arrived.far_end.as_deref(), Some("+81 1"));
    assert_eq!(received.arrived.subaddress.as_deref(), Some("42"));
    assert_eq!(received.rate, Rate::STEPS[0]);
    assert!(sent.format.ecm && sent.format.coding == Coding::Mmr);
}
