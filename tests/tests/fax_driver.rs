//! Our Class 1 driver and T.30 on a line with far ends nobody here wrote: libspandsp's fax machine, efax, HylaFAX; both ways,
//! at every speed, in every coding, with noise, and with the line cut in each phase. Pages are compared pixel by pixel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use sealfax_drivers::modem::serial::{self, USUAL_SPEED};
use sealfax_drivers::modem::{
    Coding, EndReason, FaxError, FaxLine as _, Identity, Phase, Received as Arrival, Resolution, Scheme, Sent,
};
use sealfax_ifax::page::Page;
use sealfax_rig::peer::efax::{self, Efax, EfaxOptions};
use sealfax_rig::peer::hylafax::{self, Format, HylaFax, HylaFaxOptions};
use sealfax_rig::peer::line_box::{
    self, Cut, End, EndName, HowCut, LineBox, LineOptions, Machine, Modem, Moment, Noise, Refusal, What, on_line_time,
};
use sealfax_tests::fax::{Pages, Received, all_here, fixture, pages, pixels, without_header};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(120);
const NUMBER: &str = "03-3222-2222";

/// At most this rate, these codings.
fn station(bits: u32, ecm: bool, codings: &[Coding]) -> Identity {
    let mut me = Identity::new("+81 3 1111 1111");
    me.capabilities.rates.retain(|rate| rate.bits <= bits && (bits != 9600 || rate.scheme != Scheme::V17));
    me.capabilities.ecm = ecm;
    me.capabilities.codings = codings.to_vec();
    me.capabilities.resolution = Resolution::Fine;
    me
}

const ALL: &[Coding] = &[Coding::Mh, Coding::Mr, Coding::Mmr];

/// Our modem at end A, at end B a machine.
fn line_to(machine: Machine, options: LineOptions) -> LineBox {
    LineBox::start(&options, [&End::Modem(Modem::default()), &End::Machine(machine)]).unwrap()
}

async fn send(line: &LineBox, me: &Identity, document: &mut Pages) -> Result<Sent, FaxError> {
    let mut modem = serial::open(line.port(EndName::A).unwrap(), USUAL_SPEED).unwrap();
    modem.call(NUMBER, me, None, document).await
}

/// Has the modem ready, lets `somebody` call, and answers at the first ring.
async fn receive(
    line: &LineBox,
    me: &Identity,
    tray: &mut Received,
    somebody: impl FnOnce(),
) -> Result<Arrival, FaxError> {
    let mut modem = serial::open(line.port(EndName::A).unwrap(), USUAL_SPEED).unwrap().with_rings(1);
    modem.diagnose().await?;
    somebody();
    modem.wait_for_call().await?;
    modem.answer(me, tray).await
}

/// How often a frame was on the line.
fn frames(line: &LineBox, wanted: &str) -> usize {
    line.events().iter().filter(|event| matches!(&event.what, What::Frame { name, .. } if name == wanted)).count()
}

/// Sends a file to a machine: what it got, how we see it, and the line.
fn sent_to(machine: Machine, options: LineOptions, me: &Identity, file: &str) -> (LineBox, Sent, Vec<Page>) {
    let folder = tempfile::tempdir().unwrap();
    let got = folder.path().join("got.tif");
    let line = line_to(Machine { pages_in: Some(got.clone()), ..machine }, options);
    let mut document = Pages::new(pages(&fixture(file)));
    let sent = on_line_time(&line, send(&line, me, &mut document)).unwrap();
    let sent = sent.unwrap_or_else(|error| panic!("{error:?}\n{:#?}", line.events()));
    let results = line.call(0, PATIENCE).unwrap();
    assert!(results.iter().all(|result| result.result == 0), "{results:?}");
    let got = pages(&got);
    assert_eq!(pixels(&got), pixels(&pages(&fixture(file))));
    (line, sent, got)
}

/// Receives a file from a machine, the same.
fn received_from(machine: Machine, options: LineOptions, me: &Identity, file: &str) -> (LineBox, Arrival, Received) {
    let line = line_to(machine, options);
    let mut tray = Received::default();
    let call = || line.dial(EndName::B, NUMBER, Some(&fixture(file)));
    let arrival = on_line_time(&line, receive(&line, me, &mut tray, call)).unwrap();
    let arrival = arrival.unwrap_or_else(|error| panic!("{error:?}\n{:#?}", line.events()));
    let results = line.call(0, PATIENCE).unwrap();
    assert!(results.iter().all(|result| result.result == 0), "{results:?}");
    let same = pixels(&tray.pages) == pixels(&pages(&fixture(file)));
    assert!(same, "{:?} {tray:?}\n{:#?}", pixels(&tray.pages), line.events());
    (line, arrival, tray)
}

/// At each rate: which codings, with error correction or without.
const MATRIX: [(u32, bool, &[Coding], Coding, &str); 6] = [
    (4800, false, &[Coding::Mh], Coding::Mh, "mh.tif"),
    (4800, true, ALL, Coding::Mmr, "mmr.tif"),
    (9600, false, &[Coding::Mh, Coding::Mr], Coding::Mr, "mr.tif"),
    (9600, true, ALL, Coding::Mmr, "mmr.tif"),
    (14_400, false, &[Coding::Mh], Coding::Mh, "multi.tif"),
    (14_400, true, ALL, Coding::Mmr, "multi.tif"),
];

#[test]
fn to_a_machine() {
    if !all_here(&[line_box::present]) {
        return;
    }
    for (bits, ecm, codings, coding, file) in MATRIX {
        let me = station(bits, ecm, codings);
        let (line, sent, _) = sent_to(Machine::default(), LineOptions::for_line_time(), &me, file);
        assert_eq!((sent.format.rate.bits, sent.format.ecm, sent.format.coding), (bits, ecm, coding));
        assert_eq!((frames(&line, "PPR"), frames(&line, "RTN"), sent.retrainings), (0, 0, 0), "a good line");
    }
}

#[test]
fn from_a_machine() {
    if !all_here(&[line_box::present]) {
        return;
    }
    for (bits, ecm, codings, _, file) in MATRIX {
        let me = station(bits, ecm, codings);
        let (line, arrival, tray) = received_from(Machine::default(), LineOptions::for_line_time(), &me, file);
        assert_eq!((arrival.rate.bits, tray.came[0].ecm), (bits, ecm));
        assert_eq!((frames(&line, "PPR"), frames(&line, "RTN"), arrival.retrainings), (0, 0, 0), "a good line");
    }
}

/// A machine that wants 20 ms for each line gets fill, and the page all the same.
#[test]
fn to_a_slow_machine() {
    if !all_here(&[line_box::present]) {
        return;
    }
    let slow = Machine { ecm: false, scan_ms: 20, ..Machine::default() };
    let (line, sent, _) = sent_to(slow, LineOptions::for_line_time(), &station(14_400, true, ALL), "mr.tif");
    assert_eq!((sent.format.minimum_scan_line_ms, frames(&line, "RTN")), (20, 0));
}

/// Who calls whom, and for whom a document is: told by the exchange and by the machine.
#[test]
fn who_calls_whom() {
    if !all_here(&[line_box::present]) {
        return;
    }
    let calls = Machine { number: Some("0312345678".into()), subaddress: Some("42".into()), ..Machine::default() };
    let modem = Modem { tells_caller: true, ..Modem::default() };
    let line = LineBox::start(&LineOptions::for_line_time(), [&End::Modem(modem), &End::Machine(calls)]).unwrap();
    let mut tray = Received::default();
    let (call, arrival) = on_line_time(&line, async {
        let mut modem = serial::open(line.port(EndName::A).unwrap(), USUAL_SPEED).unwrap();
        modem.diagnose().await.unwrap();
        line.dial(EndName::B, "0332222222", Some(&fixture("mmr.tif")));
        let call = modem.wait_for_call().await.unwrap();
        (call, modem.answer(&station(14_400, true, ALL), &mut tray).await.unwrap())
    })
    .unwrap();
    assert_eq!((call.caller.as_deref(), call.dialled.as_deref()), (Some("0312345678"), Some("0332222222")));
    assert_eq!(arrival.arrived.subaddress.as_deref(), Some("42"));
    assert_eq!(arrival.arrived.far_end.as_deref(), Some("0312345678"));
}

/// A page that noise damaged: with error correction the frames it took are sent again, without it the page is.
#[test]
fn noise_is_repaired() {
    if !all_here(&[line_box::present]) {
        return;
    }
    let noisy = |towards, seconds, lasts| {
        let from = Moment { after: Some("CFR"), seconds };
        let noise = Noise { level: -17.0, seed: 11, towards: Some(towards), from, lasts: Some(lasts) };
        LineOptions { noise: vec![noise], ..LineOptions::for_line_time() }
    };
    for bits in [9600, 14_400] {
        let me = station(bits, true, ALL);
        let (line, sent, _) = sent_to(Machine::default(), noisy(EndName::B, 3.0, 2.0), &me, "mmr.tif");
        assert!(sent.format.ecm && frames(&line, "PPR") > 0, "the noise did nothing");
        let (line, _, tray) = received_from(Machine::default(), noisy(EndName::A, 3.0, 2.0), &me, "mmr.tif");
        assert!(tray.came[0].ecm && frames(&line, "PPR") > 0, "the noise did nothing");
    }
    // Without error correction the page is refused (RTN). libspandsp's machine sends none again: it hangs up, and the document is
    // neither accepted here nor confirmed there.
    let me = station(9600, false, &[Coding::Mh]);
    let line = line_to(Machine::default(), noisy(EndName::A, 10.0, 2.0));
    let mut tray = Received::default();
    let call = || line.dial(EndName::B, NUMBER, Some(&fixture("mh.tif")));
    let error = on_line_time(&line, receive(&line, &me, &mut tray, call)).unwrap().unwrap_err();
    assert!(matches!(error.reason, EndReason::FarEndHungUp(Phase::PostMessage)), "{error:?}");
    assert_eq!((frames(&line, "RTN"), tray.refused, tray.pages.len()), (1, 1, 0));
}

/// Training that fails is tried again, slower.
#[test]
fn training_fails_once() {
    if !all_here(&[line_box::present]) {
        return;
    }
    for towards in [EndName::A, EndName::B] {
        // In the training check (TCF), behind the training itself.
        let from = Moment { after: Some("DCS"), seconds: 1.9 };
        let noise = Noise { level: -15.0, seed: 5, towards: Some(towards), from, lasts: Some(0.8) };
        let options = LineOptions { noise: vec![noise], ..LineOptions::for_line_time() };
        let me = station(14_400, true, ALL);
        let (line, bits) = if towards == EndName::B {
            let (line, sent, _) = sent_to(Machine::default(), options, &me, "mmr.tif");
            (line, sent.format.rate.bits)
        } else {
            let (line, arrival, _) = received_from(Machine::default(), options, &me, "mmr.tif");
            (line, arrival.rate.bits)
        };
        assert!(frames(&line, "FTT") == 1 && bits < 14_400, "{bits}");
    }
}

#[test]
fn calls_that_do_not_come_about() {
    if !all_here(&[line_box::present]) {
        return;
    }
    for refusal in [Refusal::Busy, Refusal::NoAnswer, Refusal::NoDialtone] {
        let options = LineOptions { refuse: Some((refusal, 1)), ..LineOptions::for_line_time() };
        let line = line_to(Machine::default(), options);
        let mut document = Pages::new(pages(&fixture("mmr.tif")));
        let error = on_line_time(&line, send(&line, &station(14_400, true, ALL), &mut document)).unwrap().unwrap_err();
        let right = match refusal {
            Refusal::Busy => matches!(error.reason, EndReason::Busy),
            Refusal::NoAnswer => matches!(error.reason, EndReason::NoAnswer),
            Refusal::NoDialtone => matches!(error.reason, EndReason::NoDialTone),
        };
        assert!(right && error.pages_confirmed == 0 && document.asked.is_empty(), "{refusal:?}: {error:?}");
    }
}

/// Where a line breaks: after a frame, so many seconds later.
fn cut(after: Option<&'static str>, seconds: f64, how: HowCut) -> LineOptions {
    let cut = Some(Cut { at: Moment { after, seconds }, nth: 1, how });
    LineOptions { cut, ..LineOptions::for_line_time() }
}

/// What became of a call whose line broke, and how long after that our end had done with it, in seconds of the line's time.
struct Broken<T> {
    outcome: Result<T, FaxError>,
    seconds: f64,
}

impl<T: std::fmt::Debug> Broken<T> {
    fn new(line: &LineBox, outcome: Result<T, FaxError>, lasted: Duration) -> Self {
        let cut = line.wait(PATIENCE, |event| match &event.what {
            What::Cut => true,
            What::Down { why, .. } => why == "cut",
            _ => false,
        });
        Self { outcome, seconds: lasted.as_secs_f64() - cut.expect("the line was cut").at }
    }

    /// It failed for that reason, so many seconds after the cut at most, and nothing of the document counts as confirmed.
    fn failed(&self, is_right: impl FnOnce(&EndReason) -> bool, within: f64) {
        let error = self.outcome.as_ref().expect_err("a call over a line that was cut");
        assert!(is_right(&error.reason) && error.pages_confirmed == 0, "{error:?}");
        assert!(self.seconds < within, "{error:?} after {} seconds", self.seconds);
    }
}

fn sent_into_a_cut(options: &LineOptions, me: &Identity) -> Broken<Sent> {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine { pages_in: Some(folder.path().join("got.tif")), ..Machine::default() };
    let line = line_to(machine, options.clone());
    let mut document = Pages::new(pages(&fixture("mmr.tif")));
    let (outcome, lasted) = on_line_time(&line, async {
        let begun = Instant::now();
        (send(&line, me, &mut document).await, begun.elapsed())
    })
    .unwrap();
    Broken::new(&line, outcome, lasted)
}

fn received_from_a_cut(options: &LineOptions, me: &Identity) -> (Broken<Arrival>, usize) {
    let line = line_to(Machine::default(), options.clone());
    let mut tray = Received::default();
    let (outcome, lasted) = on_line_time(&line, async {
        let begun = Instant::now();
        let call = || line.dial(EndName::B, NUMBER, Some(&fixture("mmr.tif")));
        (receive(&line, me, &mut tray, call).await, begun.elapsed())
    })
    .unwrap();
    (Broken::new(&line, outcome, lasted), tray.pages.len())
}

/// With error correction and without.
fn stations() -> [(bool, Identity); 2] {
    [true, false].map(|ecm| (ecm, station(14_400, ecm, if ecm { ALL } else { &[Coding::Mh] })))
}

/// Cut in each phase of T.30: the sender learns it within T.30's time-outs, by a typed error that says in which phase, and a
/// document that was not confirmed is not sent. After its confirmation (E) it is.
#[test]
fn a_line_cut_while_sending() {
    if !all_here(&[line_box::present]) {
        return;
    }
    for (ecm, me) in stations() {
        let end_of_page = if ecm { "PPS" } else { "EOP" };
        for how in [HowCut::Silence, HowCut::Hangup] {
            let told = how == HowCut::Hangup;
            let broken = |after, seconds| sent_into_a_cut(&cut(after, seconds, how), &me);
            // A: nothing is ever heard from who answered (T1, after which the modem gives up).
            broken(None, 1.0).failed(|reason| matches!(reason, EndReason::NotAFax), 75.0);
            // B: DCS and training stay unanswered three times (T4).
            broken(Some("DCS"), 0.5).failed(|reason| gone(reason, told, Phase::Negotiation), 30.0);
            // C: the page goes on to its end for a sender who is told nothing; then as in D.
            broken(Some("CFR"), 5.0).failed(|reason| gone(reason, told, Phase::Message), 90.0);
            // D: the end of the page is said three times (T4).
            broken(Some(end_of_page), 0.0).failed(|reason| gone(reason, told, Phase::PostMessage), 30.0);
            // E: every page is confirmed.
            let broken = broken(Some("MCF"), 0.1);
            assert_eq!(broken.outcome.map(|sent| sent.pages).ok(), Some(1), "{how:?}");
        }
    }
}

/// The same from the other end. Who has received every page and confirmed them has them, whether the sender hears of it or not.
#[test]
fn a_line_cut_while_receiving() {
    if !all_here(&[line_box::present]) {
        return;
    }
    for (ecm, me) in stations() {
        let (end_of_page, seconds_of_page) = if ecm { ("PPS", 28.0) } else { ("EOP", 53.0) };
        for how in [HowCut::Silence, HowCut::Hangup] {
            let told = how == HowCut::Hangup;
            let broken = |after, seconds| {
                let (broken, pages) = received_from_a_cut(&cut(after, seconds, how), &me);
                (broken, pages)
            };
            // A: who called does not identify itself (T1).
            let silent = |reason: &EndReason| matches!(reason, EndReason::NobodyCalling | EndReason::CallGone);
            broken(None, 1.0).0.failed(silent, 60.0);
            // B: no training, no further command (T2).
            broken(Some("DCS"), 0.5).0.failed(|reason| gone(reason, told, Phase::Negotiation), 20.0);
            // C: no carrier any more, and no command behind it (T2); what there is of a page is not a document.
            let (in_page, pages) = broken(Some("CFR"), 5.0);
            in_page.failed(|reason| gone(reason, told, Phase::Message), 20.0);
            assert_eq!(pages, 0);
            // D: the page is whole, and nothing says that it was the last.
            let (after_page, _) = broken(Some("CFR"), seconds_of_page);
            after_page.failed(|reason| gone(reason, told, Phase::PostMessage), 25.0);
            // D, its end: the confirmation does not come through. E: nothing follows it.
            for after in [end_of_page, "MCF"] {
                let (confirmed, pages) = broken(Some(after), 0.1);
                assert!(confirmed.outcome.is_ok() && pages == 1, "{:?}", confirmed.outcome);
            }
        }
    }
}

/// The line is gone: silent, or said to be cut, in this phase or while it was asked what came of it.
fn gone(reason: &EndReason, told: bool, expected: Phase) -> bool {
    let near = |phase: Phase| phase == expected || (expected == Phase::Message && phase == Phase::PostMessage);
    match reason {
        EndReason::Silent(phase) => near(*phase),
        EndReason::LineCut(phase) => told && near(*phase),
        _ => false,
    }
}

/// A pair of hosts at two modems: ours and somebody else's, both in real time.
fn two_modems() -> LineBox {
    modems_on(&LineOptions::for_real_time())
}

fn modems_on(options: &LineOptions) -> LineBox {
    LineBox::start(options, [&End::Modem(Modem::default()), &End::Modem(Modem::default())]).unwrap()
}

fn real_time<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(work)
}

#[test]
fn to_efax() {
    if !all_here(&[line_box::present, efax::present]) {
        return;
    }
    for (bits, file) in [(4800, "mh.tif"), (9600, "mr.tif"), (14_400, "multi.tif")] {
        let line = two_modems();
        let options = EfaxOptions { rate: bits, ..EfaxOptions::default() };
        let mut efax = Efax::receive(line.port(EndName::B).unwrap(), options).unwrap();
        let mut document = Pages::new(pages(&fixture(file)));
        let sent = real_time(send(&line, &station(bits, true, ALL), &mut document));
        let sent = sent.unwrap_or_else(|error| panic!("{error:?}\n{}", efax.said()));
        efax.finished(PATIENCE).unwrap();
        assert_eq!((sent.format.rate.bits, sent.format.ecm, sent.format.coding), (bits, false, Coding::Mh));
        let got: Vec<Page> = efax.received().iter().flat_map(|file| pages(file)).collect();
        assert_eq!(pixels(&got), pixels(&pages(&fixture(file))));
    }
}

#[test]
fn from_efax() {
    if !all_here(&[line_box::present, efax::present]) {
        return;
    }
    for (bits, file) in [(4800, "mh.tif"), (9600, "mr.tif"), (14_400, "multi.tif")] {
        let line = two_modems();
        let port = line.port(EndName::B).unwrap().to_owned();
        let (mut tray, mut efax) = (Received::default(), None);
        let options = EfaxOptions { rate: bits, ..EfaxOptions::default() };
        let call = || efax = Some(Efax::send(&port, "5551234", &pages(&fixture(file)), options).unwrap());
        let arrival = real_time(receive(&line, &station(bits, true, ALL), &mut tray, call));
        let mut efax = efax.unwrap();
        let arrival = arrival.unwrap_or_else(|error| panic!("{error:?}\n{}", efax.said()));
        efax.finished(PATIENCE).unwrap();
        assert_eq!(arrival.rate.bits, bits);
        let got: Vec<Page> = tray.pages.iter().map(without_header).collect();
        assert_eq!(pixels(&got), pixels(&pages(&fixture(file))));
    }
}

/// With HylaFAX: rate, coding, error correction and file.
type WithHylaFax = (u32, Format, bool, Coding, &'static str);

const PLAIN: [WithHylaFax; 3] = [
    (4800, Format::ModifiedHuffman, false, Coding::Mh, "mh.tif"),
    (9600, Format::ModifiedHuffman, false, Coding::Mh, "mh.tif"),
    (14_400, Format::ModifiedHuffman, false, Coding::Mh, "mh.tif"),
];

const CORRECTED: [WithHylaFax; 4] = [
    (4800, Format::ModifiedModifiedRead, true, Coding::Mmr, "mr.tif"),
    (9600, Format::ModifiedModifiedRead, true, Coding::Mmr, "mr.tif"),
    (9600, Format::ModifiedRead, true, Coding::Mr, "mr.tif"),
    (14_400, Format::ModifiedModifiedRead, true, Coding::Mmr, "multi.tif"),
];

#[test]
fn to_hylafax() {
    PLAIN.into_iter().for_each(one_to_hylafax);
}

#[test]
fn to_hylafax_with_error_correction() {
    CORRECTED.into_iter().for_each(one_to_hylafax);
}

#[test]
fn from_hylafax() {
    PLAIN.into_iter().for_each(one_from_hylafax);
}

#[test]
fn from_hylafax_with_error_correction() {
    CORRECTED.into_iter().for_each(one_from_hylafax);
}

fn one_to_hylafax((rate, format, ecm, coding, file): WithHylaFax) {
    if !all_here(&[line_box::present, hylafax::present]) {
        return;
    }
    let line = two_modems();
    let options = HylaFaxOptions { rate, format, ecm };
    let mut hylafax = HylaFax::at(line.port(EndName::B).unwrap(), options).unwrap();
    hylafax.answer().unwrap();
    let mut document = Pages::new(pages(&fixture(file)));
    let sent = real_time(send(&line, &station(rate, true, ALL), &mut document));
    let sent = sent.unwrap_or_else(|error| panic!("{error:?}\n{}", hylafax.session()));
    assert_eq!((sent.format.rate.bits, sent.format.ecm, sent.format.coding), (rate, ecm, coding));
    let got = hylafax.received(PATIENCE).unwrap();
    assert_eq!(pixels(&pages(&got)), pixels(&pages(&fixture(file))));
}

fn one_from_hylafax((rate, format, ecm, coding, file): WithHylaFax) {
    if !all_here(&[line_box::present, hylafax::present]) {
        return;
    }
    let line = two_modems();
    let sent = pages(&fixture(file));
    let mut hylafax = HylaFax::at(line.port(EndName::B).unwrap(), HylaFaxOptions { rate, format, ecm }).unwrap();
    let mut tray = Received::default();
    let call = || hylafax.send("5551234", &fixture(file), sent.len()).unwrap();
    let arrival = real_time(receive(&line, &station(rate, true, ALL), &mut tray, call));
    let arrival = arrival.unwrap_or_else(|error| panic!("{error:?}\n{}", hylafax.session()));
    hylafax.sent(PATIENCE).unwrap();
    assert_eq!((arrival.rate.bits, tray.came[0].ecm, tray.came[0].coding), (rate, ecm, coding));
    assert_eq!(pixels(&tray.pages), pixels(&sent));
}

/// A page that noise damaged, without error correction: we refuse it (RTN), and HylaFAX sends it again.
#[test]
fn a_page_of_hylafax_that_is_sent_again() {
    if !all_here(&[line_box::present, hylafax::present]) {
        return;
    }
    let from = Moment { after: Some("CFR"), seconds: 10.0 };
    let noise = Noise { level: -15.0, seed: 3, towards: Some(EndName::A), from, lasts: Some(4.0) };
    let line = modems_on(&LineOptions { noise: vec![noise], ..LineOptions::for_real_time() });
    let options = HylaFaxOptions { rate: 9600, format: Format::ModifiedHuffman, ecm: false };
    let (me, sent) = (station(9600, false, &[Coding::Mh]), pages(&fixture("mh.tif")));

    let mut hylafax = HylaFax::at(line.port(EndName::B).unwrap(), options).unwrap();
    let mut tray = Received::default();
    let call = || hylafax.send("5551234", &fixture("mh.tif"), 1).unwrap();
    let arrival = real_time(receive(&line, &me, &mut tray, call));
    arrival.unwrap_or_else(|error| panic!("{error:?}\n{}", hylafax.session()));
    assert!(frames(&line, "RTN") > 0 && tray.refused > 0, "{tray:?}");
    assert_eq!(pixels(&tray.pages), pixels(&sent));
}
