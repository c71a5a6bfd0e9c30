//! Correspondents whose programs bind nothing or encrypt nothing, and those who have no certificate: by configuration alone, for
//! their domain alone, and always told.

use std::collections::BTreeMap;

use sealfax_adapter::config::CorrespondentsConfig;
use sealfax_client::lookup::Use;
use sealfax_client::seam::Clock as _;
use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::header::Headers;
use sealfax_smime::Verification;

use super::attacks::{refused_as, sealed_on_the_wire};
use super::{domains, plan, press_receive, subject};
use crate::bench::attacker::Attacker;
use crate::bench::people::{HANAKO, TARO};
use crate::bench::region::{Plan, Region};
use crate::scenario::stories::evidence::{journal, reads};
use crate::scenario::stories::trust::LATER;
use crate::scenario::stories::{SUBJECT, note};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// What mail programs write.
pub const RECEIVED: Scenario = Scenario {
    name: "other-programs",
    title: "A mail that does not say for whom, or was not encrypted, is printed only from a domain that is listed, and says so",
    requirements: &["ST919", "ST920", "A5", "certificate-substitution"],
    deadline: DEADLINE,
    run: |bench| Box::pin(received(bench)),
};

/// ST611's option.
pub const SENT: Scenario = Scenario {
    name: "sending-signed-only",
    title: "Who has no certificate gets a document readable only where that is agreed, and the sender is told",
    requirements: &["ST611", "A5"],
    deadline: DEADLINE,
    run: |bench| Box::pin(sent(bench)),
};

/// The fax without the header fields of a mail: as mail programs sign it.
fn body_alone(fax: &[u8]) -> Result<Vec<u8>, Failure> {
    let (headers, body) = Headers::parse(fax).map_err(Failure::infrastructure)?;
    let mut entity = Vec::new();
    for name in ["Content-Type", "Content-Transfer-Encoding"] {
        if let Some(value) = headers.get(name) {
            entity.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }
    entity.extend_from_slice(b"\r\n");
    entity.extend_from_slice(body);
    Ok(entity)
}

async fn received(bench: Bench) -> Result<(), Failure> {
    let agreed = CorrespondentsConfig {
        accept_unbound: domains(&["a.example"])?,
        accept_signed_only: domains(&["A.example"])?,
        ..CorrespondentsConfig::default()
    };
    let correspondents = BTreeMap::from([('b', agreed)]);
    let region = Region::start(&bench, Plan { correspondents, ..Plan::default() }).await?;
    let (b, hanako, taro) = (region.site('b')?, region.person(HANAKO)?, region.person(TARO)?);
    let program = Attacker::new(&region)?;
    let fax = program.fax(TARO.address, HANAKO.address, &note("From a mail program"))?;
    let unbound = program.envelope(&program.sign(&body_alone(&fax)?, &taro).await?, &hanako)?;
    let readable = program.sign(&fax, &taro).await?;
    for (entity, shown, mark) in [
        (&unbound, ScreenKind::DoneUnbound, "not proven to be for you"),
        (&readable, ScreenKind::DoneReadable, "was not encrypted"),
    ] {
        program.deliver(&region, &program.mail(TARO.address, HANAKO.address, entity), TARO.address, &hanako).await?;
        b.sees(ScreenKind::Arrived).await?;
        b.identify(&hanako, ScreenKind::PressReceive).await?;
        let printed = press_receive(b).await?;
        b.sees(shown).await?;
        b.pull(&hanako);
        let [document] = printed.as_slice() else {
            return Err(Failure::expectation(format!("one document is printed, not {}", printed.len())));
        };
        expect(document.pages == note("From a mail program"), "what is printed is what was sent")?;
        let says = subject(&document.mail);
        expect(says.contains(mark), format!("the paper says {mark:?}, not: {says}"))?;
        b.sees(ScreenKind::Idle).await?;
    }

    // A signature that does not hold, and a mail that says inside that it was for somebody else, are what they always are.
    let text = String::from_utf8_lossy(&readable).replace("Please pay at once", "Please pay tomorrow");
    let forged = program.mail(TARO.address, HANAKO.address, text.as_bytes());
    refused_as(&region, &program, &forged, ScreenKind::NotGenuine, "OPEN-027").await?;
    let for_taro = program.fax(TARO.address, TARO.address, &note("For himself"))?;
    let passed_on = program.envelope(&program.sign(&for_taro, &taro).await?, &hanako)?;
    for passed_on in [passed_on, program.sign(&for_taro, &taro).await?] {
        let mail = program.mail(TARO.address, HANAKO.address, &passed_on);
        refused_as(&region, &program, &mail, ScreenKind::NotGenuine, "OPEN-030").await?;
    }

    // Where nothing is agreed, neither is printed.
    drop(region);
    let region = Region::start(&bench, plan()).await?;
    let program = Attacker::new(&region)?;
    let (hanako, taro) = (region.person(HANAKO)?, region.person(TARO)?);
    let unbound = program.envelope(&program.sign(&body_alone(&fax)?, &taro).await?, &hanako)?;
    let readable = program.sign(&fax, &taro).await?;
    for (entity, shown, code) in
        [(&unbound, ScreenKind::NotGenuine, "OPEN-031"), (&readable, ScreenKind::CannotOpen, "OPEN-012")]
    {
        let mail = program.mail(TARO.address, HANAKO.address, entity);
        refused_as(&region, &program, &mail, shown, code).await?;
    }
    Ok(())
}

async fn sent(bench: Bench) -> Result<(), Failure> {
    let agreed = CorrespondentsConfig { send_signed_only: domains(&["b.example"])?, ..CorrespondentsConfig::default() };
    let correspondents = BTreeMap::from([('a', agreed)]);
    let region = Region::start(&bench, Plan { correspondents, lying: true, ..Plan::default() }).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    let attempt = async |to: &[&str], shown| {
        a.identify(&taro, ScreenKind::Ready).await?;
        let lcd = a.fax(Some(&taro), to, SUBJECT, &note("For whom it may concern")).await?;
        expect(lcd.sent == (shown != ScreenKind::NotSent), format!("to {to:?}: {}", lcd.text))?;
        a.sees(shown).await?;
        a.pull(&taro);
        Ok::<(), Failure>(())
    };
    // One mail cannot be both, and elsewhere nothing is agreed.
    attempt(&["nobody@b.example", HANAKO.address], ScreenKind::NotSent).await?;
    attempt(&["nobody@a.example"], ScreenKind::NotSent).await?;
    // Who has a certificate is sealed for as ever, agreed or not.
    attempt(&[HANAKO.address], ScreenKind::Sent).await?;

    // And gets nothing readable because the certificate server says one day that there is none.
    region.liar()?.hand_out(HANAKO.address, Use::Encrypt, Vec::new());
    region.shift_clock(LATER);
    let mark = region.log.mark();
    attempt(&[HANAKO.address], ScreenKind::NotSent).await?;
    journal(&region, "adapter-a", mark, "SEND-006").await?;
    reads(a, mark, ScreenKind::NotSent, &[HANAKO.address]).await?;

    attempt(&["nobody@b.example"], ScreenKind::SentReadable).await?;
    let mail = sealed_on_the_wire(&region)?;
    let signed = sealfax_smime::verify_signed(
        &mail,
        &Verification {
            anchors: &[region.authority.anchor_der().map_err(Failure::infrastructure)?],
            now: region.clock.now(),
            sender: TARO.address,
            sender_certificates: &[taro.signature.certificate.clone()],
            recipient: "nobody@b.example",
            recipient_certificate: &[],
            allow_unbound: false,
        },
    );
    let signed = signed.map_err(Failure::expectation)?;
    expect(subject(&signed.content) == SUBJECT, "the fax is inside, signed by Taro's card")?;
    let clear = String::from_utf8_lossy(&signed.content).contains("hp=\"clear\"");
    expect(clear, "it says that its header fields are to be believed and no secret")
}
