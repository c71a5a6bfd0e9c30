//! Whole calls between two of our own stations over the simulated line, in paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_lines;
mod calls;

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

/// Every coding, with and without error correction, at every rate.
#[tokio::test(start_paused = true)]
async fn every_coding_at_every_rate() {
    for ecm in [false, true] {
        for coding in [Coding::Mh, Coding::Mr, Coding::Mmr] {
            for rate in Rate::STEPS {
                if coding == Coding::Mmr && !ecm {
                    continue;
                }
                let mut theirs = station("2");
                theirs.capabilities.ecm = ecm;
                theirs.capabilities.codings.retain(|offered| *offered <= coding);
                // Who has V.17 has all of V.27ter and V.29 by its DIS: the sender chooses.
                let mut ours = station("1");
                ours.capabilities.rates = vec![rate];
                let mut document = Made::of(&[20_000, 9000], FINE);
                let mut tray = Kept::default();
                let (sent, received) = call(Line::default(), &ours, &theirs, None, &mut document, &mut tray).await;
                let (sent, received) = (sent.unwrap(), received.unwrap());
                assert_arrived(&document, &tray);
                let format = sent.format;
                assert_eq!((format.coding, format.ecm, format.rate), (coding, ecm, rate));
                assert_eq!((received.rate, received.retrainings), (rate, 0));
                assert_eq!(document.formats[0].minimum_scan_line_ms, 0);
            }
        }
    }
}

/// A far end that can do nothing but what all can.
#[tokio::test(start_paused = true)]
async fn the_plainest_machine() {
    let mut theirs = station("");
    theirs.capabilities = Capabilities::basic();
    let wish = PageWish { width: 2048, resolution: Resolution::Superfine };
    let mut document = Made::of(&[4000], wish);
    let mut tray = Kept::default();
    let (sent, received) = call(Line::default(), &station("1"), &theirs, None, &mut document, &mut tray).await;
    assert_arrived(&document, &tray);
    let format = sent.unwrap().format;
    assert_eq!(format, PageFormat::BASIC);
    // 20 ms at 2400 bit/s.
    assert_eq!((format.minimum_line_bits(), format.minimum_line_octets()), (48, 6));
    assert_eq!(received.unwrap().arrived.far_end.as_deref(), Some("1"));
}

/// Each ability that a far end may lack, alone.
#[tokio::test(start_paused = true)]
async fn what_the_far_end_lacks_is_not_used() {
    let wish = PageWish { width: 2432, resolution: Resolution::Superfine };
    type Lack = fn(&mut Capabilities);
    type Seen = fn(&PageFormat) -> bool;
    let lacks: [(Lack, Seen); 7] = [
        (|far| far.codings.retain(|coding| *coding != Coding::Mmr), |format| format.coding == Coding::Mr && format.ecm),
        (|far| far.codings = vec![Coding::Mh, Coding::Mmr], |format| format.coding == Coding::Mmr),
        (|far| far.resolution = Resolution::Fine, |format| format.resolution == Resolution::Fine && format.k == 4),
        (|far| far.resolution = Resolution::Standard, |format| format.resolution == Resolution::Standard),
        (|far| far.width = 2048, |format| format.width == 2048),
        (|far| far.width = 1728, |format| format.width == 1728),
        (|far| far.rates.retain(|rate| rate.scheme != Scheme::V17), |format| format.rate.bits == 9600),
    ];
    for (lack, seen) in lacks {
        let mut theirs = station("2");
        lack(&mut theirs.capabilities);
        let mut document = Made::of(&[1000], wish);
        let mut tray = Kept::default();
        let (sent, _) = call(Line::default(), &station("1"), &theirs, None, &mut document, &mut tray).await;
        assert!(seen(&sent.unwrap().format));
        assert_arrived(&document, &tray);
    }
}

/// Pages of different kinds go in one call: EOM, and phase B anew.
#[tokio::test(start_paused = true)]
async fn pages_of_different_kinds() {
    for ecm in [false, true] {
        let mut document = Made::of(&[3000, 3000, 3000], FINE);
        document.pages[1].0.width = 2432;
        let mut ours = station("1");
        ours.capabilities.ecm = ecm;
        let mut tray = Kept::default();
        let (sent, received) = call(Line::default(), &ours, &station("2"), None, &mut document, &mut tray).await;
        received.unwrap();
        assert_eq!(sent.unwrap().pages, 3);
        assert_arrived(&document, &tray);
        assert_eq!(tray.pages.iter().map(|(format, _)| format.width).collect::<Vec<_>>(), [1728, 2432, 1728]);
    }
}

/// RTN has a page sent again, RTP takes it and trains anew.
#[tokio::test(start_paused = true)]
async fn pages_are_sent_again() {
    use CopyQuality::{Good, Poor, Unusable};
    for (says, rates, retrainings) in [
        (vec![Unusable, Good, Good], [12_000, 12_000], 1),
        (vec![Poor, Good], [14_400, 14_400], 1),
        (vec![Good, Unusable, Unusable, Good], [14_400, 9600], 2),
        (vec![Good, Poor], [14_400, 14_400], 0),
    ] {
        let mut ours = station("1");
        ours.capabilities.ecm = false;
        let mut document = Made::of(&[3000, 4000], FINE);
        let mut tray = Kept { says: says.clone(), ..Kept::default() };
        let (sent, received) = call(Line::default(), &ours, &station("2"), None, &mut document, &mut tray).await;
        assert_arrived(&document, &tray);
        assert_eq!(sent.unwrap().retrainings, retrainings, "{says:?}");
        assert_eq!(received.unwrap().arrived.pages.len(), 2);
        assert_eq!(tray.pages.iter().map(|(format, _)| format.rate.bits).collect::<Vec<_>>(), rates);
    }
    let mut ours = station("1");
    ours.capabilities.ecm = false;
    let mut document = Made::of(&[300, 400], FINE);
    let mut tray = Kept { says: vec![Good, Unusable, Unusable, Unusable, Unusable], ..Kept::default() };
    let (sent, _) = call(Line::default(), &ours, &station("2"), None, &mut document, &mut tray).await;
    let error = sent.unwrap_err();
    assert_eq!((error.code(), error.pages_confirmed), ("FAX-040", 1));
}

/// A document that is not accepted is not confirmed; one that is thought over for a while is waited for.
#[tokio::test(start_paused = true)]
async fn the_last_page_waits_for_a_decision() {
    for (ecm, seconds, accepts, arrives) in [
        (true, 0, true, true),
        (true, 40, true, true),
        (true, 40, false, false),
        (true, 600, true, false),
        (false, 0, true, true),
        (false, 0, false, false),
        (false, 5, true, true),
        (false, 600, true, false),
    ] {
        let mut ours = station("1");
        ours.capabilities.ecm = ecm;
        let mut document = Made::of(&[300, 400], FINE);
        let decides_after = Duration::from_secs(seconds);
        let mut tray = Kept { accepts, decides_after, ..Kept::default() };
        let (sent, received) = call(Line::default(), &ours, &station("2"), None, &mut document, &mut tray).await;
        assert_eq!(
            (sent.is_ok(), received.is_ok()),
            (arrives, arrives),
            "{ecm} {seconds} {accepts}: {sent:?} {received:?}"
        );
        if !arrives {
            assert_eq!(sent.unwrap_err().pages_confirmed, 1);
            assert_eq!(received.unwrap_err().code(), "FAX-051");
        }
    }
}

/// A line that runs faster than the clock, without paused time: what a bench without system packages uses.
#[tokio::test]
async fn a_fast_line_in_real_time() {
    for ecm in [false, true] {
        let mut ours = station("1");
        ours.capabilities.ecm = ecm;
        let mut document = Made::of(&[30_000, 20_000], FINE);
        let mut tray = Kept::default();
        let on = Line { speed: 2000.0, ..Line::default() };
        let (sent, received) = call(on, &ours, &station("2"), None, &mut document, &mut tray).await;
        sent.unwrap();
        received.unwrap();
        assert_arrived(&document, &tray);
    }
}
