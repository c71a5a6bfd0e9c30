//! The line box, and far ends nobody here wrote on it: first among themselves, so that what is found with our modem driver
//! is the driver's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use sealfax_ifax::page::Page;
use sealfax_rig::peer::efax::{self, Efax, EfaxOptions};
use sealfax_rig::peer::hylafax::{self, Format, HylaFax, HylaFaxOptions};
use sealfax_rig::peer::line_box::{
    self, Cut, End, EndName, HowCut, LineBox, LineOptions, Machine, Modem, Moment, Noise, Refusal, What,
};
use sealfax_tests::fax::{all_here, fixture, pages, pixels, without_header};

const PATIENCE: Duration = Duration::from_secs(120);

fn machine(change: impl FnOnce(&mut Machine)) -> End {
    let mut machine = Machine::default();
    change(&mut machine);
    End::Machine(machine)
}

/// The same pixels, page by page.
fn same(got: &[Page], sent: &[Page]) {
    assert_eq!(pixels(got), pixels(sent));
}

/// Sends a file from one machine to another, and says how it went: pages, and whether every result was good.
fn between_machines(options: &LineOptions, file: &str, both: impl Fn(&mut Machine)) -> (LineBox, Vec<Page>) {
    let folder = tempfile::tempdir().unwrap();
    let got = folder.path().join("got.tif");
    let sends = machine(&both);
    let receives = machine(|machine| {
        both(machine);
        machine.pages_in = Some(got.clone());
    });
    let line = LineBox::start(options, [&sends, &receives]).unwrap();
    line.dial(EndName::A, "032222", Some(&fixture(file)));
    let results = line.call(0, PATIENCE).unwrap();
    assert_eq!(results.iter().map(|result| result.result).collect::<Vec<_>>(), [0, 0], "{results:?}");
    let got = pages(&got);
    (line, got)
}

/// How often a frame was on the line.
fn frames(line: &LineBox, wanted: &str) -> usize {
    line.events().iter().filter(|event| matches!(&event.what, What::Frame { name, .. } if name == wanted)).count()
}

#[test]
fn machines_among_themselves() {
    if !all_here(&[line_box::present]) {
        return;
    }
    for (file, ecm, codings, modems) in [
        ("mh.tif", false, &["mh"][..], &["v27"][..]),
        ("mr.tif", false, &["mh", "mr"], &["v27", "v29"]),
        ("multi.tif", true, &["mh", "mr", "t6"], &["v27", "v29", "v17"]),
    ] {
        let (_line, got) = between_machines(&LineOptions::default(), file, |machine| {
            (machine.ecm, machine.codings, machine.modems) = (ecm, codings, modems);
        });
        same(&got, &pages(&fixture(file)));
    }
}

/// Two seconds of noise in the page: the frames that it took are asked for (PPR) and sent again.
#[test]
fn error_correction_repairs_what_noise_took() {
    if !all_here(&[line_box::present]) {
        return;
    }
    let from = Moment { after: Some("CFR"), seconds: 4.0 };
    let noise = Noise { level: -18.0, seed: 7, towards: Some(EndName::B), from, lasts: Some(2.0) };
    let options = LineOptions { noise: vec![noise], ..LineOptions::default() };
    let (line, got) = between_machines(&options, "mmr.tif", |_| ());
    assert!(frames(&line, "PPR") > 0, "the noise did nothing");
    same(&got, &pages(&fixture("mmr.tif")));
}

#[test]
fn calls_that_do_not_come_about_or_do_not_last() {
    if !all_here(&[line_box::present]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (sends, receives) =
        (machine(|_| ()), machine(|machine| machine.pages_in = Some(folder.path().join("got.tif"))));
    for (refusal, word) in
        [(Refusal::Busy, "busy"), (Refusal::NoAnswer, "no answer"), (Refusal::NoDialtone, "no dialtone")]
    {
        let options = LineOptions { refuse: Some((refusal, 1)), ..LineOptions::default() };
        let line = LineBox::start(&options, [&sends, &receives]).unwrap();
        line.dial(EndName::A, "032222", Some(&fixture("mmr.tif")));
        let over = |what: &What| matches!(what, What::Refused { why, .. } | What::Down { why, .. } if why == word);
        line.wait(PATIENCE, |event| over(&event.what)).unwrap();
        // The next call is put through.
        let before = line.events().len();
        line.dial(EndName::A, "032222", None);
        assert!(line.call(before, PATIENCE).unwrap().iter().all(|result| result.result == 0));
    }
    let at = Moment { after: Some("CFR"), seconds: 3.0 };
    let cut = Some(Cut { at, nth: 1, how: HowCut::Silence });
    let line = LineBox::start(&LineOptions { cut, ..LineOptions::default() }, [&sends, &receives]).unwrap();
    line.dial(EndName::A, "032222", Some(&fixture("mmr.tif")));
    let results = line.call(0, PATIENCE).unwrap();
    assert!(results.len() == 2 && results.iter().all(|result| result.result != 0), "{results:?}");
}

/// What is at the modem of the other end in a call with a machine of libspandsp's: 1 modem, 2 machine.
fn beside_a_machine(machine: &End) -> LineBox {
    LineBox::start(&LineOptions::for_real_time(), [&End::Modem(Modem::default()), machine]).unwrap()
}

#[test]
fn efax_and_a_machine() {
    if !all_here(&[line_box::present, efax::present]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (got, sent) = (folder.path().join("got.tif"), pages(&fixture("multi.tif")));
    let line = beside_a_machine(&machine(|machine| machine.pages_in = Some(got.clone())));
    let port = line.port(EndName::A).unwrap().to_owned();
    let mut efax = Efax::send(&port, "5551234", &sent, EfaxOptions::default()).unwrap();
    efax.finished(PATIENCE).unwrap();
    same(&pages(&got).iter().map(without_header).collect::<Vec<_>>(), &sent);

    let line = beside_a_machine(&machine(|_| ()));
    let port = line.port(EndName::A).unwrap().to_owned();
    let mut efax = Efax::receive(&port, EfaxOptions { rate: 9600, ..EfaxOptions::default() }).unwrap();
    line.dial(EndName::B, "5551234", Some(&fixture("mr.tif")));
    efax.finished(PATIENCE).unwrap();
    let got: Vec<Page> = efax.received().iter().flat_map(|file| pages(file)).collect();
    same(&got, &pages(&fixture("mr.tif")));
}

#[test]
fn hylafax_and_a_machine() {
    if !all_here(&[line_box::present, hylafax::present]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (got, sent) = (folder.path().join("got.tif"), fixture("mmr.tif"));
    let line = beside_a_machine(&machine(|machine| machine.pages_in = Some(got.clone())));
    let mut hylafax = HylaFax::at(line.port(EndName::A).unwrap(), HylaFaxOptions::default()).unwrap();
    hylafax.send("5551234", &sent, 1).unwrap();
    hylafax.sent(PATIENCE).unwrap();
    same(&pages(&got), &pages(&sent));

    let line = beside_a_machine(&machine(|_| ()));
    let options = HylaFaxOptions { format: Format::ModifiedRead, ..HylaFaxOptions::default() };
    let mut hylafax = HylaFax::at(line.port(EndName::A).unwrap(), options).unwrap();
    hylafax.answer().unwrap();
    line.dial(EndName::B, "5551234", Some(&fixture("multi.tif")));
    same(&pages(&hylafax.received(PATIENCE).unwrap()), &pages(&fixture("multi.tif")));
}
