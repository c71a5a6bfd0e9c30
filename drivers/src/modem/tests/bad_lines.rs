//! Lines that are noisy, slow or cut.

use super::*;

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
                let begun = tokio::time::Instant::now();
                let (sent, received) = call(on, &ours, &station("2"), None, &mut document, &mut tray).await;
                // T1 is the longest of the time-outs, and before the cut there were two pages at most: on the line's time.
                assert!(begun.elapsed() < Duration::from_secs(100), "{cut:?}: {:?}", begun.elapsed());
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

/// After a cut both modems are good for the next call, over the same line.
#[tokio::test(start_paused = true)]
async fn the_call_after_a_cut() {
    for told in [false, true] {
        for cut in [
            Cut::AfterFrame { fcf: frame::DCS, count: 1 },
            Cut::AfterOctets(6000),
            Cut::AfterFrame { fcf: frame::PPS, count: 1 },
        ] {
            let (first, second) = line(Line { cut: Some(cut), cut_is_told: told, ..Line::default() });
            let in_hand = first.line();
            let (mut caller, mut called) = (Class1::new(first), Class1::new(second));
            let (ours, theirs) = (station("1"), station("2"));
            let mut document = Made::of(&[30_000], FINE);
            for whole in [false, true] {
                let mut tray = Kept::default();
                let (sent, received) = tokio::join!(caller.call("5", &ours, None, &mut document), async {
                    called.wait_for_call().await?;
                    called.answer(&theirs, &mut tray).await
                });
                // After its PPS the receiver has the page, although the sender never learns it.
                assert_eq!(sent.is_ok(), whole, "{cut:?} {told}: {sent:?} {received:?}");
                if whole {
                    received.unwrap();
                    assert_arrived(&document, &tray);
                }
                in_hand.change(|line| line.cut = None);
            }
        }
    }
}
