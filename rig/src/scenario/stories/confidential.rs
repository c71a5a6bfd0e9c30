//! The main job: a confidential fax from office A is printed in office B by the right person only, and the confirmation
//! stands in the history.

use sealfax_drivers::display::ScreenKind;

use super::SUBJECT;
use super::wire::{is_of, is_step};
use crate::bench::people::{HANAKO, JIRO, TARO};
use crate::bench::region::{Plan, Region, pem};
use crate::bench::site::PATIENCE;
use crate::endpoint::scanner;
use crate::events::Event;
use crate::scenario::runner::WIRES;
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};
use crate::world::mails::SentMail;
use crate::world::network::Side;

/// The whole flow, Fig. 6.
pub const SCENARIO: Scenario = Scenario {
    name: crate::demo::SCENARIO,
    title: "A confidential fax from office A is printed in office B by the right person only",
    requirements: &["C1", "C13", "C14", "P1", "P2", "I3", "A6"],
    deadline: DEADLINE,
    run: |bench| Box::pin(story(bench)),
};

async fn story(bench: Bench) -> Result<(), Failure> {
    let pages = scanner::scan(bench.document.as_deref()).map_err(Failure::expectation)?;
    let region = Region::start(&bench, Plan::default()).await?;
    let (a, b) = (region.site('a')?, region.site('b')?);
    let (taro, hanako, jiro) = (region.person(TARO)?, region.person(HANAKO)?, region.person(JIRO)?);

    let chapter = |text: &str| bench.log.note(crate::demo::NARRATOR, text);

    chapter("1  Office A: Taro identifies himself with card and PIN");
    a.sees(ScreenKind::Idle).await?;
    b.sees(ScreenKind::Idle).await?;
    a.identify(&taro, ScreenKind::Ready).await?;
    chapter("2  The fax machine sends as ever; the adapter seals; the servers carry, keep and notify");
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &pages).await?;
    expect(lcd.sent, format!("the terminal's display says sent, not: {}", lcd.text))?;
    a.sees(ScreenKind::Sent).await?;

    b.sees(ScreenKind::Arrived).await?;
    b.lamp(true).await?;
    chapter("3  Office B: lamp and screen call Hanako; Jiro's card opens nothing");
    b.insert(&jiro);
    b.sees(ScreenKind::WrongCard).await?;
    b.pull(&jiro);
    b.sees(ScreenKind::Arrived).await?;
    expect(b.receive().await.map_err(Failure::expectation)?.is_empty(), "nothing is printed without Hanako's card")?;

    chapter("4  Hanako comes: card, PIN, RECEIVE");
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    let printed = b.receive().await.map_err(Failure::expectation)?;
    b.sees(ScreenKind::Done).await?;
    let [document] = printed.as_slice() else {
        return Err(Failure::expectation(format!("one document is printed, not {}", printed.len())));
    };
    expect(document.pages == pages, "the printed pages equal the sent ones pixel by pixel")?;
    b.pull(&hanako);
    b.sees(ScreenKind::Idle).await?;
    b.lamp(false).await?;

    chapter("5  Back at office A: the signed confirmation, its report, the history");
    a.pull(&taro);
    a.sees(ScreenKind::Delivered).await?;
    let reports = a.receive().await.map_err(Failure::expectation)?;
    expect(reports.len() == 1, "one delivery report is printed")?;
    in_history(&region, &lcd.message_id).await?;
    let left = region.mailbox(&hanako)?;
    expect(left.is_empty(), "the mail is gone from the server once it is printed and confirmed")?;

    keep(&bench, &region, document, &pages)
}

/// C12: the transmission stands in the history under its Message-ID.
async fn in_history(region: &Region, message_id: &str) -> Result<(), Failure> {
    let registered = |event: &Event| is_step(event, "adapter-a", "C12") && is_step(event, "adapter-a", "D1");
    region.log.wait_for("the transmission is registered in the history", PATIENCE, registered).await?;
    let id = format!("<{message_id}>");
    let found = region.history().into_iter().filter(|entry| is_of(entry, &id)).count();
    expect(found == 1, "the history lists the transmission once")
}

/// The artefacts: each mail as sent, the pages, the demo's keys and certificates, the wires.
fn keep(
    bench: &Bench,
    region: &Region,
    printed: &crate::endpoint::ifax::PrintedDocument,
    pages: &[sealfax_ifax::Page],
) -> Result<(), Failure> {
    let sent = region.sent_mails();
    let pick = |from: &str, to: &str| -> Result<&SentMail, Failure> {
        sent.iter()
            .find(|mail| mail.from == from && mail.to == to)
            .ok_or_else(|| Failure::expectation(format!("a mail from {from} to {to}")))
    };
    let submitted = pick("terminal-a", "adapter-a-terminal-port")?;
    let sealed = pick("adapter-a", "mail-a")?;
    let notice = pick("mail-b", "adapter-b")?;
    let confirmation = pick("adapter-b", "mail-b")?;
    bench.save("terminal-a", "mail/1-submitted.eml", &submitted.octets, "what the fax machine handed over")?;
    bench.save("adapter-a", "mail/2-sealed.eml", &sealed.octets, "what left the office")?;
    bench.save("mail-b", "mail/3-notice.eml", &notice.octets, "what called Hanako")?;
    bench.save("terminal-b", "mail/4-opened.eml", &printed.mail, "what Hanako's card opened")?;
    bench.save("adapter-b", "mail/5-confirmation.eml", &confirmation.octets, "what Hanako's card signed")?;
    let tiff = |pages: &[sealfax_ifax::Page]| sealfax_ifax::tiff::write(pages).map_err(Failure::expectation);
    bench.save("terminal-a", "pages/sent.tif", &tiff(pages)?, "the pages as scanned")?;
    bench.save("terminal-b", "pages/printed.tif", &printed.tiff, "the pages as printed")?;

    let anchor = region.authority.anchor_pem().map_err(Failure::infrastructure)?;
    bench.save("directory", "pki/anchor.pem", anchor.as_bytes(), "the trust anchor")?;
    let issuing = region.authority.issuing_der().map_err(Failure::infrastructure)?;
    bench.save("directory", "pki/issuing.pem", pem("CERTIFICATE", &issuing).as_bytes(), "the issuing authority")?;
    for (role, who) in [("sender", TARO), ("recipient", HANAKO)] {
        let person = region.person(who)?;
        // The sender is known by the key that signs, the recipient by the one that decrypts.
        let (first, second) = match role {
            "sender" => (("", &person.signature), ("-encryption", &person.encryption)),
            _ => (("", &person.encryption), ("-signature", &person.signature)),
        };
        for (suffix, pair) in [first, second] {
            let certificate = pem("CERTIFICATE", &pair.certificate);
            bench.save("directory", &format!("pki/{role}{suffix}.pem"), certificate.as_bytes(), "a certificate")?;
            bench.save(
                "directory",
                &format!("pki/{role}{suffix}.key.pem"),
                pair.key_pem.as_bytes(),
                "a demo-only key",
            )?;
        }
    }

    let wires = region.pcap();
    bench.save("region", WIRES, &wires, "every octet on every wire")?;
    nothing_in_clear(region, &submitted.octets)
}

/// No octet of page or subject in clear on the network side.
fn nothing_in_clear(region: &Region, submitted: &[u8]) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(submitted).into_owned();
    let (header, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let subject = header.lines().skip_while(|line| !line.starts_with("Subject:")).take(1);
    let subject = subject.map(|line| line.trim_start_matches("Subject:").trim());
    let page = body.lines().filter(|line| line.len() >= 24 && !line.starts_with("Content-") && !line.starts_with("--"));
    let (captured, lost) = region.capture.octets();
    expect(captured > 0 && lost == 0, "every octet was recorded")?;
    let streams = region.capture.streams(Side::Network);
    for needle in [SUBJECT, "strictly confidential"].into_iter().chain(subject).chain(page) {
        let finder = memchr::memmem::Finder::new(needle.as_bytes());
        let seen = streams.iter().any(|stream| finder.find(stream).is_some());
        expect(!seen, format!("{:?} is nowhere in clear on the network", needle.chars().take(40).collect::<String>()))?;
    }
    Ok(())
}
