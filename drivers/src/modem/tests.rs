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

/// Training steps down to what the line carries.
#[tokio::test(start_paused = true)]
async fn training_steps_down() {
    for (carries, bits, scheme) in [
        (12_000, 12_000, Scheme::V17),
        (9600, 9600, Scheme::V17),
        (7200, 7200, Scheme::V17),
        (4800, 4800, Scheme::V27ter),
        (2400, 2400, Scheme::V27ter),
    ] {
        let mut document = Made::of(&[3000], FINE);
        let mut tray = Kept::default();
        let on = Line { carries, ..Line::default() };
        let (sent, received) = call(on, &station("1"), &station("2"), None, &mut document, &mut tray).await;
        let sent = sent.unwrap();
        assert_eq!((sent.format.rate.bits, sent.format.rate.scheme), (bits, scheme));
        assert!(sent.retrainings > 0);
        assert_eq!(received.unwrap().rate, sent.format.rate);
        assert_arrived(&document, &tray);
    }
    let on = Line { carries: 300, ..Line::default() };
    let mut document = Made::of(&[3000], FINE);
    let (sent, received) = call(on, &station("1"), &station("2"), None, &mut document, &mut Kept::default()).await;
    assert_eq!(sent.unwrap_err().code(), "FAX-030");
    assert_eq!(received.unwrap_err().code(), "FAX-022");
}

/// Noise that breaks every third frame or so is repaired, with frames of 256 and of 64 octets, over several blocks.
#[tokio::test(start_paused = true)]
async fn error_correction_repairs() {
    for (short_frames, seed) in [(false, 1), (true, 2), (false, 3), (true, 4)] {
        let mut theirs = station("2");
        theirs.capabilities.short_frames = short_frames;
        let mut document = Made::of(&[80_000, 2000], FINE);
        let mut tray = Kept::default();
        let on = Line { seed, bit_errors: 1e-4, ..Line::default() };
        let (sent, received) = call(on, &station("1"), &theirs, None, &mut document, &mut tray).await;
        sent.unwrap();
        let received = received.unwrap();
        assert_arrived(&document, &tray);
        assert!(received.arrived.pages[0].frames_repeated > 10);
    }
}

/// Commands and answers at 300 bit/s that are damaged are repeated.
#[tokio::test(start_paused = true)]
async fn damaged_commands_are_repeated() {
    let mut whole = 0;
    for seed in 0..40 {
        let mut document = Made::of(&[3000, 4000], FINE);
        let mut tray = Kept::default();
        let mut ours = station("1");
        ours.capabilities.ecm = seed % 2 == 0;
        let on = Line { seed, frame_errors: 0.12, ..Line::default() };
        let (sent, received) = call(on, &ours, &station("2"), None, &mut document, &mut tray).await;
        // A page is never lost that was said to have arrived.
        let confirmed = sent.as_ref().map_or_else(|error| error.pages_confirmed, |sent| sent.pages);
        assert!(tray.pages.len() >= confirmed, "{seed}: {sent:?} {received:?}");
        if sent.is_ok() {
            received.unwrap();
            assert_arrived(&document, &tray);
            whole += 1;
        }
    }
    assert!(whole >= 30, "{whole} of 40");
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

/// The line is cut after each frame, and in the midst of messages; silently, and with the modem being told.
#[tokio::test(start_paused = true)]
async fn cut_in_every_phase() {
    use Phase::{Message, Negotiation, PostMessage};
    let after = |fcf, count| Cut::AfterFrame { fcf, count };
    for told in [false, true] {
        for ecm in [false, true] {
            let post = after(if ecm { frame::PPS } else { frame::MPS }, 1);
            // Where the sender and the receiver are when they notice: at once if they are told, else by their time-outs.
            // Who sends into a dead line notices when nobody answers.
            for (cut, at_once, in_silence, confirmed) in [
                (after(frame::DIS, 1), [Negotiation, Negotiation], [Negotiation, Negotiation], 0),
                (after(frame::TSI, 1), [Negotiation, Negotiation], [Negotiation, Negotiation], 0),
                (after(frame::DCS, 1), [Negotiation, Negotiation], [Negotiation, Negotiation], 0),
                (Cut::AfterOctets(500), [Negotiation, Negotiation], [Negotiation, Negotiation], 0),
                (after(frame::CFR, 1), [Message, Message], [PostMessage, Message], 0),
                (Cut::AfterOctets(6000), [PostMessage, PostMessage], [PostMessage, PostMessage], 0),
                (post, [PostMessage, PostMessage], [PostMessage, Message], 0),
                (after(frame::MCF, 1), [Message, Message], [PostMessage, Message], 1),
                (Cut::AfterOctets(50_000), [PostMessage, PostMessage], [PostMessage, PostMessage], 1),
            ] {
                let mut ours = station("1");
                ours.capabilities.ecm = ecm;
                let mut document = Made::of(&[30_000, 30_000], FINE);
                let mut tray = Kept::default();
                let on = Line { cut: Some(cut), cut_is_told: told, ..Line::default() };
                let (sent, received) = call(on, &ours, &station("2"), None, &mut document, &mut tray).await;
                let (sent, received) = (sent.unwrap_err(), received.unwrap_err());
                let context = format!("{cut:?}, told {told}, ecm {ecm}: {sent:?} {received:?}");
                let (code, phases) = if told { ("FAX-021", at_once) } else { ("FAX-020", in_silence) };
                assert_eq!(sent.pages_confirmed, confirmed, "{context}");
                assert_eq!((sent.code(), sent.phase()), (code, Some(phases[0])), "{context}");
                if received.code() == "FAX-015" {
                    // Nobody ever said anything.
                    assert!(!told && phases[1] == Negotiation, "{context}");
                } else {
                    assert_eq!((received.code(), received.phase()), (code, Some(phases[1])), "{context}");
                }
            }
        }
    }
}

/// The last page's MCF is lost with the line: who sent does not know, and says so; who received has it all.
#[tokio::test(start_paused = true)]
async fn cut_after_the_last_confirmation() {
    let on = Line { cut: Some(Cut::AfterFrame { fcf: frame::EOP, count: 1 }), ..Line::default() };
    let mut ours = station("1");
    ours.capabilities.ecm = false;
    let mut document = Made::of(&[3000], FINE);
    let (sent, received) = call(on, &ours, &station("2"), None, &mut document, &mut Kept::default()).await;
    let error = sent.unwrap_err();
    assert_eq!((error.code(), error.phase(), error.pages_confirmed), ("FAX-020", Some(Phase::PostMessage), 0));
    received.unwrap();
}

/// What an exchange says instead of ringing, and what is no number.
#[tokio::test(start_paused = true)]
async fn calls_that_are_not_answered() {
    for (exchange, number, code) in [
        (Exchange::Busy, "1", "FAX-012"),
        (Exchange::NobodyLifts, "1", "FAX-013"),
        (Exchange::VoiceAnswers, "1", "FAX-014"),
        (Exchange::NoDialTone, "1", "FAX-011"),
        (Exchange::Rings, "1;ATZ", "FAX-010"),
        (Exchange::Rings, "1", "FAX-013"),
    ] {
        let (first, _second) = line(Line { exchange, ..Line::default() });
        let mut caller = Class1::new(first);
        let mut document = Made::of(&[10], FINE);
        let error = caller.call(number, &station("1"), None, &mut document).await.unwrap_err();
        assert_eq!(error.code(), code, "{exchange:?}");
        assert!(!error.advice().english.is_empty() && !error.advice().japanese.is_empty());
        // The modem is there for the next call.
        assert!(caller.diagnose().await.unwrap().has_class_1);
    }
}

/// Who calls and what was dialled; a call that nobody answers is forgotten; a voice call is answered and given up.
#[tokio::test(start_paused = true)]
async fn incoming_calls() {
    let numbers = |caller: &str, dialled: &str| Line {
        caller_number: Some(caller.to_owned()),
        dialled_number: Some(dialled.to_owned()),
        ..Line::default()
    };
    let (first, second) = line(numbers("0312", "104"));
    let (mut caller, mut called) = (Class1::new(first), Class1::new(second));
    let mut document = Made::of(&[10], FINE);
    let (ours, theirs) = (station("1"), station("2"));
    let (sent, _) = tokio::join!(caller.call("5", &ours, None, &mut document), async {
        let call = called.wait_for_call().await.unwrap();
        assert_eq!((call.caller.as_deref(), call.dialled.as_deref()), (Some("0312"), Some("104")));
        called.answer(&theirs, &mut Kept::default()).await.unwrap();
    });
    sent.unwrap();
    // The same two modems once more, the other way round.
    let mut document = Made::of(&[10], FINE);
    let (sent, _) = tokio::join!(called.call("5", &ours, None, &mut document), async {
        caller.wait_for_call().await.unwrap();
        caller.answer(&theirs, &mut Kept::default()).await.unwrap();
    });
    sent.unwrap();
    // Nobody rings any more.
    let error = caller.answer(&theirs, &mut Kept::default()).await.unwrap_err();
    assert_eq!(error.code(), "FAX-016");
}

/// A subaddress is asked for only where the far end knows them: else the document would reach anybody.
#[tokio::test(start_paused = true)]
async fn no_subaddress_no_document() {
    let mut theirs = station("2");
    theirs.capabilities.subaddress = false;
    let mut document = Made::of(&[10], FINE);
    let mut tray = Kept::default();
    let (sent, received) = call(Line::default(), &station("1"), &theirs, Some("42"), &mut document, &mut tray).await;
    assert_eq!(sent.unwrap_err().code(), "FAX-033");
    assert_eq!(received.unwrap_err().code(), "FAX-022");
    assert!(tray.pages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn diagnosis() {
    let (first, _second) = line(Line::default());
    let diagnosis = Class1::new(first).diagnose().await.unwrap();
    assert_eq!((diagnosis.has_class_1, diagnosis.treated_as, diagnosis.shows_caller), (true, "simulated", true));
    assert_eq!(diagnosis.rates, Rate::STEPS);
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

/// A block that cannot be corrected: the rate goes down (CTC), and a page that stays damaged is not called sent.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_corrected_is_not_sent() {
    let mut given_up = 0;
    for seed in 0..6 {
        let mut document = Made::of(&[500, 30_000], FINE);
        let mut tray = Kept::default();
        let on = Line { seed, bit_errors: 1e-3, ..Line::default() };
        let (sent, received) = call(on, &station("1"), &station("2"), None, &mut document, &mut tray).await;
        match sent {
            Ok(sent) => {
                assert!(sent.retrainings > 0);
                received.unwrap();
                assert_arrived(&document, &tray);
            }
            Err(error) => {
                given_up += 1;
                assert!(matches!(error.code(), "FAX-041" | "FAX-030"), "{error:?}");
                assert!(received.is_err() && tray.pages.len() == error.pages_confirmed);
            }
        }
    }
    assert!(given_up > 0);
}

/// A wait that is broken off does no harm to what comes after.
#[tokio::test(start_paused = true)]
async fn waiting_may_be_broken_off() {
    let (first, second) = line(Line::default());
    let (mut caller, mut called) = (Class1::new(first), Class1::new(second));
    for milliseconds in [0, 1, 700, 5000] {
        let wait = tokio::time::timeout(Duration::from_millis(milliseconds), called.wait_for_call());
        assert!(wait.await.is_err());
    }
    let mut document = Made::of(&[3000], FINE);
    // A call that is given up half-way, and another one.
    let (ours, theirs) = (station("1"), station("2"));
    for seconds in [5, 16] {
        let mut tray = Kept::default();
        let both = async {
            tokio::join!(caller.call("5", &ours, None, &mut document), async {
                called.wait_for_call().await?;
                called.answer(&theirs, &mut tray).await
            })
        };
        assert!(tokio::time::timeout(Duration::from_secs(seconds), both).await.is_err());
    }
    let mut tray = Kept::default();
    let (sent, received) = tokio::join!(caller.call("5", &ours, None, &mut document), async {
        called.wait_for_call().await?;
        called.answer(&theirs, &mut tray).await
    });
    sent.unwrap();
    received.unwrap();
    assert_arrived(&document, &tray);
}
