//! Calls that come about or do not, and what a modem tells.

use super::*;

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

/// What the exchange told before a wait was broken off is not lost, and nobody dials into a call that comes.
#[tokio::test(start_paused = true)]
async fn a_call_that_comes_is_kept_and_goes_first() {
    let (first, second) = line(Line { dialled_number: Some("104".to_owned()), ..Line::default() });
    let (mut caller, mut called) = (Class1::new(first), Class1::new(second));
    assert!(!called.is_ringing());
    let mut document = Made::of(&[10], FINE);
    let (ours, theirs) = (station("1"), station("2"));
    let (sent, ()) = tokio::join!(caller.call("5", &ours, None, &mut document), async {
        // A little at a time, whatever has come by then.
        let call = loop {
            match tokio::time::timeout(Duration::from_millis(70), called.wait_for_call()).await {
                Ok(call) => break call.unwrap(),
                Err(_) if called.is_ringing() => {
                    let mut other = Made::of(&[10], FINE);
                    let error = called.call("6", &theirs, None, &mut other).await.unwrap_err();
                    assert_eq!(error.code(), "FAX-017");
                }
                Err(_) => {}
            }
        };
        assert_eq!(call.dialled.as_deref(), Some("104"));
        called.answer(&theirs, &mut Kept::default()).await.unwrap();
        assert!(!called.is_ringing());
    });
    sent.unwrap();
}
