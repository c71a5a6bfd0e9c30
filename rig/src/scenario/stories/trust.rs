//! Stories of sending in which the certificate server lies or the card's state changes: whatever cannot be believed is
//! refused under its own code, nothing leaves, and when the fault is gone the same card and document are good.

use std::time::Duration;

use sealfax_adapter::config::{ChangeRule, NonceRule, TrustConfig};
use sealfax_client::lookup::Use;
use sealfax_drivers::card::piv::Algorithm;
use sealfax_drivers::display::ScreenKind;
use sealfax_mailserver::authority::{Authority, AuthorityOptions};
use x509_cert::ext::pkix::CrlReason;

use super::evidence::{did, journal, left_the_office, nothing_left, reads};
use super::{SUBJECT, note, taro_sends};
use crate::bench::liar::Lie;
use crate::bench::people::{Character, HANAKO, JIRO, Person, TARO};
use crate::bench::region::{Plan, Region};
use crate::events::{EventKind, EventLog};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![
        CARD_LIED_ABOUT,
        RECIPIENT_LIED_ABOUT,
        WRONG_CERTIFICATE,
        WRONG_CARD_CERTIFICATE,
        REVOKED_WHILE_IN,
        CERTIFICATE_CHANGED,
        CHANGE_REFUSED,
        CACHING_RESPONDER,
    ]
}

/// What an unbelievable answer is called: the lie, the number of its code on the screen, and the detail in the journal.
pub const UNBELIEVABLE: [(Lie, &str, &str); 10] = [
    (Lie::Forged, "113", "OCSP-007"),
    (Lie::Replayed, "114", "OCSP-010"),
    (Lie::NoNonce, "114", "OCSP-009"),
    (Lie::Expired, "115", "OCSP-012"),
    (Lie::FutureDated, "116", "OCSP-013"),
    (Lie::Stranger, "117", "OCSP-005"),
    (Lie::ClockBehind, "118", "OCSP-017"),
    (Lie::ClockAhead, "118", "OCSP-017"),
    (Lie::Elsewhere, "119", "OCSP-011"),
    (Lie::Nonsense, "119", "OCSP-003"),
];

/// Longest that a story of all these may take: each is a card inserted, a PIN typed, a screen read.
pub const MANY_LIES: Duration = Duration::from_secs(180);

/// A region whose certificate server lies, and whose screens nobody wants to look at.
pub fn lying() -> Plan {
    Plan { pictures: false, lying: true, ..Plan::default() }
}

/// One's own card.
pub const CARD_LIED_ABOUT: Scenario = Scenario {
    name: "sending-card-lied-about",
    title: "Forged, replayed, expired, future-dated and strangers' answers about the sender's card: each refused as such",
    requirements: &["C5", "C6", "C8", "ST603", "ST613", "ST614", "ST615", "ocsp-replay"],
    deadline: MANY_LIES,
    run: |bench| Box::pin(card_lied_about(bench)),
};

async fn card_lied_about(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, lying()).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    // Known to the server from an honest question: what is replayed below was once a true answer.
    a.identify(&taro, ScreenKind::Ready).await?;
    a.pull(&taro);
    let known = [(Lie::OnHold, "109", "CARD-109"), (Lie::Unknown, "104", "CARD-104")];
    for (lie, number, detail) in UNBELIEVABLE.into_iter().chain(known) {
        region.log.note("liar", format!("{lie:?} about Taro's card"));
        region.liar()?.tell(&taro, lie);
        let (mark, code) = (region.log.mark(), format!("CARD-{number}"));
        a.identify(&taro, ScreenKind::CardInvalid).await?;
        reads(a, mark, ScreenKind::CardInvalid, &[&code]).await?;
        journal(&region, "adapter-a", mark, &code).await?;
        journal(&region, "adapter-a", mark, detail).await?;
        let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("not on such a word")).await?;
        // Where only the answer is at fault the machine may try again by itself.
        let reply = if detail.starts_with("OCSP") { 451 } else { 550 };
        expect(!lcd.sent && lcd.code == Some(reply), format!("{lie:?}: {reply}, not: {}", lcd.text))?;
        did(&region, "adapter-a", mark, &["ST602", "ST613", "ST614", "ST615"]).await?;
        a.pull(&taro);
        a.sees(ScreenKind::NotSent).await?;
    }
    nothing_left(&region, 'a')?;
    region.liar()?.repent();
    taro_sends(&region, &[HANAKO.address], &note("on an honest word")).await.map(|_| ())
}

/// The recipient's certificate.
pub const RECIPIENT_LIED_ABOUT: Scenario = Scenario {
    name: "sending-recipient-lied-about",
    title: "The same about the recipient's certificate: the terminal is told whose and why, nothing leaves",
    requirements: &["C7", "ST606", "ST607", "ST611", "ocsp-replay"],
    deadline: MANY_LIES,
    run: |bench| Box::pin(recipient_lied_about(bench)),
};

async fn recipient_lied_about(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, lying()).await?;
    let (a, taro, hanako) = (region.site('a')?, region.person(TARO)?, region.person(HANAKO)?);
    a.identify(&taro, ScreenKind::Ready).await?;
    let known = [(Lie::OnHold, "109", "TRUST-109"), (Lie::Unknown, "104", "TRUST-104")];
    for (lie, number, detail) in UNBELIEVABLE.into_iter().chain(known) {
        region.log.note("liar", format!("{lie:?} about Hanako's certificate"));
        region.liar()?.tell_of(&hanako.encryption, lie);
        let (mark, code) = (region.log.mark(), format!("TRUST-{number}"));
        let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("to whom?")).await?;
        let reply = if detail.starts_with("OCSP") { 451 } else { 550 };
        expect(!lcd.sent && lcd.code == Some(reply), format!("{lie:?}: {reply}, not: {}", lcd.text))?;
        expect(lcd.text.contains(&code), format!("{lie:?}: the terminal shows {code}: {}", lcd.text))?;
        reads(a, mark, ScreenKind::NotSent, &[&code, HANAKO.address]).await?;
        journal(&region, "adapter-a", mark, &code).await?;
        journal(&region, "adapter-a", mark, detail).await?;
        did(&region, "adapter-a", mark, &["ST606", "ST607", "ST611"]).await?;
    }
    nothing_left(&region, 'a')?;
    // One who cannot be trusted keeps the document from the other one too.
    let lcd = a.fax(Some(&taro), &[JIRO.address, HANAKO.address], SUBJECT, &note("both or none")).await?;
    expect(!lcd.sent && !lcd.text.contains(JIRO.address), format!("refused, naming Hanako alone: {}", lcd.text))?;
    nothing_left(&region, 'a')?;
    region.liar()?.repent();
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("now it is she")).await?;
    expect(lcd.sent, format!("sent when the fault is gone, not: {}", lcd.text))
}

/// What the look-up brings.
pub const WRONG_CERTIFICATE: Scenario = Scenario {
    name: "sending-wrong-certificate",
    title: "A certificate of somebody else, of another root, not for enciphering, expired, broken: each refused as such",
    requirements: &["C7", "ST607", "ST611", "certificate-substitution"],
    deadline: DEADLINE,
    run: |bench| Box::pin(wrong_certificate(bench)),
};

/// Issues a card in a place where time may be taken: by the region's authority, or by one that nobody trusts.
async fn issue(region: &Region, who: Character, seed: u64, uses: [Use; 2], trusted: bool) -> Result<Person, Failure> {
    let (authority, seams) = (region.authority.clone(), region.stranger("counter")?);
    let place = region.folder(&format!("counter-{seed}"));
    let issuing = tokio::task::spawn_blocking(move || {
        if trusted {
            return Person::issue_with(who, Algorithm::Rsa2048, seed, &authority, uses);
        }
        let other = Authority::create(&place, &AuthorityOptions::default(), &seams).map_err(Failure::infrastructure)?;
        Person::issue_with(who, Algorithm::Rsa2048, seed, &other, uses)
    });
    issuing.await.map_err(Failure::infrastructure)?
}

const USUAL: [Use; 2] = [Use::Sign, Use::Encrypt];

async fn wrong_certificate(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, lying()).await?;
    let (a, taro, hanako, jiro) =
        (region.site('a')?, region.person(TARO)?, region.person(HANAKO)?, region.person(JIRO)?);
    let foreign = issue(&region, HANAKO, 77, USUAL, false).await?;
    let expired = issue(&region, Character { certificate_days: 0, ..HANAKO }, 77, USUAL, true).await?;
    // The last second of its validity is over.
    region.shift_clock(2);
    a.identify(&taro, ScreenKind::Ready).await?;
    let cases = [
        ("somebody else's", jiro.encryption.certificate.clone(), "TRUST-110", "LOOKUP-003"),
        ("of another root", foreign.encryption.certificate.clone(), "TRUST-105", "TRUST-105"),
        ("not for enciphering", hanako.signature.certificate.clone(), "TRUST-111", "LOOKUP-006"),
        ("expired", expired.encryption.certificate.clone(), "TRUST-102", "TRUST-102"),
        ("broken", b"no certificate".to_vec(), "TRUST-108", "LOOKUP-004"),
    ];
    for (what, certificate, code, detail) in cases {
        region.log.note("liar", format!("hands out a certificate that is {what}"));
        region.liar()?.hand_out(HANAKO.address, Use::Encrypt, vec![certificate]);
        let mark = region.log.mark();
        let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("for her eyes")).await?;
        expect(!lcd.sent && lcd.code == Some(550), format!("{what}: 550, not: {}", lcd.text))?;
        expect(lcd.text.contains(code), format!("{what}: the terminal shows {code}: {}", lcd.text))?;
        reads(a, mark, ScreenKind::NotSent, &[code, HANAKO.address]).await?;
        journal(&region, "adapter-a", mark, code).await?;
        journal(&region, "adapter-a", mark, detail).await?;
        did(&region, "adapter-a", mark, &["ST607", "ST611"]).await?;
    }
    nothing_left(&region, 'a')?;
    region.liar()?.repent();
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("for hers")).await?;
    expect(lcd.sent, format!("sent when the fault is gone, not: {}", lcd.text))
}

/// What is on the card.
pub const WRONG_CARD_CERTIFICATE: Scenario = Scenario {
    name: "sending-wrong-card-certificate",
    title: "A card whose certificates may not sign, or not encipher, is refused as such; the right one is accepted",
    requirements: &["C5", "ST603", "ST613"],
    deadline: DEADLINE,
    run: |bench| Box::pin(wrong_card_certificate(bench)),
};

async fn wrong_card_certificate(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan { pictures: false, ..Plan::default() }).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    for uses in [[Use::Sign, Use::Sign], [Use::Encrypt, Use::Encrypt]] {
        let wrong = issue(&region, TARO, 77, uses, true).await?;
        let mark = region.log.mark();
        a.identify(&wrong, ScreenKind::CardInvalid).await?;
        reads(a, mark, ScreenKind::CardInvalid, &["CARD-111", "鍵の用途違い", "key not for this use"]).await?;
        journal(&region, "adapter-a", mark, "CARD-111").await?;
        a.pull(&wrong);
        a.sees(ScreenKind::Idle).await?;
    }
    a.identify(&taro, ScreenKind::Ready).await
}

/// The card's state changes while it is in.
pub const REVOKED_WHILE_IN: Scenario = Scenario {
    name: "sending-revoked-while-card-in",
    title: "A card put on hold, then revoked, while it is in the reader: the next document is refused, the last one is not",
    requirements: &["C5", "C6", "C8", "ST602", "ST603", "ST613", "ST614", "ST615"],
    deadline: DEADLINE,
    run: |bench| Box::pin(revoked_while_in(bench)),
};

async fn revoked_while_in(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, lying()).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    for (number, code) in ["CARD-109", "CARD-101"].into_iter().enumerate() {
        a.identify(&taro, ScreenKind::Ready).await?;
        let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("in good standing")).await?;
        expect(lcd.sent, format!("a valid card sends, not: {}", lcd.text))?;
        match code {
            "CARD-109" => region.liar()?.tell(&taro, Lie::OnHold),
            _ => region.revoke(&taro)?,
        }
        let mark = region.log.mark();
        let lcd = a.fax_with_pin(&taro, &[HANAKO.address], SUBJECT, &note("no longer")).await?;
        expect(!lcd.sent && lcd.code == Some(550), format!("550, not: {}", lcd.text))?;
        reads(a, mark, ScreenKind::CardInvalid, &[code]).await?;
        journal(&region, "adapter-a", mark, code).await?;
        did(&region, "adapter-a", mark, &["ST602", "ST613", "ST614", "ST615"]).await?;
        let left = left_the_office(&region, 'a').len();
        expect(left == number + 1, format!("only what was sent before has left, not {left}"))?;
        a.pull(&taro);
        a.sees(ScreenKind::NotSent).await?;
        region.liar()?.repent();
    }
    let mark = region.log.mark();
    a.identify(&taro, ScreenKind::CardInvalid).await?;
    reads(a, mark, ScreenKind::CardInvalid, &["CARD-101"]).await
}

/// A correspondent's certificate is another one than before.
pub const CERTIFICATE_CHANGED: Scenario = Scenario {
    name: "correspondent-certificate-changed",
    title: "The recipient's certificate changed while the old one still counts: sent, and the sender is told, once",
    requirements: &["A7", "C7", "certificate-substitution"],
    deadline: DEADLINE,
    run: |bench| Box::pin(certificate_changed(bench)),
};

/// How often an adapter has written down that a certificate changed.
fn warnings(region: &Region) -> usize {
    let warned = |event: &crate::events::Event| {
        event.host == "adapter-a" && matches!(event.kind, EventKind::Security { code: "TRUST-004" })
    };
    region.log.since(EventLog::beginning()).iter().filter(|event| warned(event)).count()
}

/// Longer than a looked-up certificate is kept.
pub const LATER: i64 = 700;

async fn certificate_changed(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, Plan { pictures: false, ..Plan::default() }).await?;
    taro_sends(&region, &[HANAKO.address], &note("first")).await?;
    issue(&region, HANAKO, 99, USUAL, true).await?;
    region.shift_clock(LATER);
    let mark = region.log.mark();
    taro_sends(&region, &[HANAKO.address], &note("second")).await?;
    journal(&region, "adapter-a", mark, "TRUST-004").await?;
    let words = [HANAKO.address, "TRUST-004", "証明書が変わりました", "has changed"];
    reads(region.site('a')?, mark, ScreenKind::CertificateChanged, &words).await?;
    // The memory is on the disk: neither time nor a power cut makes it news again, or forgets it.
    region.site_mut('a')?.power_cut().await;
    region.site_mut('a')?.power_on().await?;
    region.shift_clock(LATER);
    taro_sends(&region, &[HANAKO.address], &note("third")).await?;
    let count = warnings(&region);
    expect(count == 1, format!("told once, not {count} times"))?;
    let left = left_the_office(&region, 'a').len();
    expect(left == 3, format!("all three were sent, not {left}"))
}

/// The same where it is configured to be refused.
pub const CHANGE_REFUSED: Scenario = Scenario {
    name: "correspondent-certificate-change-refused",
    title: "Where a changed certificate is to be refused, nothing is sealed for it until the old one is revoked",
    requirements: &["A7", "C7", "ST611", "certificate-substitution"],
    deadline: DEADLINE,
    run: |bench| Box::pin(change_refused(bench)),
};

async fn change_refused(bench: Bench) -> Result<(), Failure> {
    let trust = TrustConfig { certificate_change: ChangeRule::Refuse, ..TrustConfig::default() };
    let region = Region::start(&bench, Plan { trust, ..lying() }).await?;
    let (a, taro, hanako) = (region.site('a')?, region.person(TARO)?, region.person(HANAKO)?);
    taro_sends(&region, &[HANAKO.address], &note("first")).await?;
    let other = issue(&region, HANAKO, 99, USUAL, true).await?;
    region.liar()?.hand_out(HANAKO.address, Use::Encrypt, vec![other.encryption.certificate.clone()]);
    region.shift_clock(LATER);
    let mark = region.log.mark();
    a.identify(&taro, ScreenKind::Ready).await?;
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("second")).await?;
    expect(!lcd.sent && lcd.code == Some(550), format!("550, not: {}", lcd.text))?;
    reads(a, mark, ScreenKind::NotSent, &["TRUST-004", HANAKO.address]).await?;
    journal(&region, "adapter-a", mark, "TRUST-004").await?;
    let left = left_the_office(&region, 'a').len();
    expect(left == 1, format!("nothing more has left, not {left}"))?;

    // The administrator says that the new card is right.
    region
        .authority
        .revoke_certificate(
            &hanako.encryption.certificate,
            CrlReason::Superseded,
            region.stranger("admin")?.clock.now(),
        )
        .map_err(Failure::infrastructure)?;
    let before = warnings(&region);
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("third")).await?;
    expect(lcd.sent, format!("now it is sent, not: {}", lcd.text))?;
    expect(warnings(&region) == before, "a superseded certificate is as it should be")
}

/// RFC 5019.
pub const CACHING_RESPONDER: Scenario = Scenario {
    name: "responder-without-nonce",
    title: "A responder that answers from a cache serves where it is configured, and an older answer than the last does not",
    requirements: &["C8", "ST602", "ST603", "ST613", "ocsp-replay"],
    deadline: DEADLINE,
    run: |bench| Box::pin(caching_responder(bench)),
};

async fn caching_responder(bench: Bench) -> Result<(), Failure> {
    let trust = TrustConfig { ocsp_nonce: NonceRule::Optional, ..TrustConfig::default() };
    let region = Region::start(&bench, Plan { trust, ..lying() }).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    region.liar()?.tell(&taro, Lie::NoNonce);
    a.identify(&taro, ScreenKind::Ready).await?;
    a.pull(&taro);
    let refusals = [
        (Lie::OlderWithoutNonce, "CARD-114", "OCSP-016"),
        (Lie::Replayed, "CARD-114", "OCSP-010"),
        (Lie::Expired, "CARD-115", "OCSP-012"),
    ];
    for (lie, code, detail) in refusals {
        region.liar()?.tell(&taro, lie);
        let mark = region.log.mark();
        a.identify(&taro, ScreenKind::CardInvalid).await?;
        reads(a, mark, ScreenKind::CardInvalid, &[code]).await?;
        journal(&region, "adapter-a", mark, detail).await?;
        a.pull(&taro);
        a.sees(ScreenKind::Idle).await?;
    }
    region.liar()?.tell(&taro, Lie::NoNonce);
    taro_sends(&region, &[HANAKO.address], &note("from a cache")).await.map(|_| ())
}
