//! Stories of receiving (Fig. 10): whatever goes wrong, nothing is printed that should not be, nothing is confirmed that
//! was not printed, nothing is lost, and afterwards the rightful flow still works.

mod attacks;
mod card;
mod faults;
mod lies;
mod old_cipher;
mod other_programs;
mod power;
mod pulled;
mod unsigned;

use sealfax_adapter::config::Domains;
use sealfax_client::pop3::Client;
use sealfax_client::pop3_server::Password;
use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::Page;
use sealfax_ifax::header::{Headers, decode_words};
use std::net::SocketAddr;

use super::{receives, taro_sends};
use crate::bench::people::{HANAKO, Person};
use crate::bench::region::{Plan, Region};
use crate::bench::site::{PATIENCE, POP3, Site};
use crate::endpoint::ifax::PrintedDocument;
use crate::events::{Event, EventKind, Lane};
use crate::scenario::{Failure, Scenario, expect};

/// Every story of receiving.
pub fn all() -> Vec<Scenario> {
    vec![
        card::WRONG_CARD,
        card::REVOKED,
        card::NOT_VALID,
        card::WRONG_PIN,
        card::UNPLUGGED,
        pulled::AT_EVERY_POINT,
        pulled::WHILE_HANDED_OVER,
        attacks::CIPHERTEXT,
        attacks::FOREIGN_SIGNATURE,
        attacks::TAMPERED_SIGNATURE,
        attacks::FORWARDED,
        attacks::ONE_BAD_ONE_GOOD,
        attacks::REPLAYED,
        faults::TWO_MAILS,
        faults::DIRECTORY_DOWN,
        faults::MAIL_SERVER_DOWN,
        lies::CARD_LIED_ABOUT,
        lies::SENDER_LIED_ABOUT,
        lies::REVOKED_WHILE_IN,
        power::CUT_BEFORE_QUIT,
        power::CUT_BEFORE_SIGNED,
        power::CUT_BEFORE_SENT,
        unsigned::AGREED,
        unsigned::UNASKED,
        old_cipher::SCENARIO,
        other_programs::RECEIVED,
        other_programs::SENT,
    ]
}

/// A region for stories whose screens nobody wants to look at.
fn plan() -> Plan {
    Plan { pictures: false, ..Plan::default() }
}

/// As `[correspondents]` lists them.
fn domains(list: &[&str]) -> Result<Domains, Failure> {
    let list: Vec<String> = list.iter().map(|domain| (*domain).to_owned()).collect();
    Domains::try_from(list).map_err(Failure::infrastructure)
}

/// What a mail is about.
fn subject(mail: &[u8]) -> String {
    let headers = Headers::parse(mail).map(|(headers, _)| headers).unwrap_or_default();
    headers.get("Subject").map(decode_words).unwrap_or_default()
}

/// Whether an event is a screen of office B's adapter, and which with what words.
fn screen_of_b(event: &Event) -> Option<(ScreenKind, &str)> {
    match event.kind {
        EventKind::Screen { screen, .. } if event.host == "adapter-b" => Some((screen, event.text.as_str())),
        _ => None,
    }
}

/// Waits until office B's display shows this state with these words, a code for example.
async fn shows(region: &Region, kind: ScreenKind, words: &str) -> Result<(), Failure> {
    let mark = region.log.mark_before_last(|event| screen_of_b(event).is_some());
    let what = format!("adapter-b shows {} with {words:?}", kind.name());
    let seen = |event: &Event| screen_of_b(event).is_some_and(|(shown, text)| shown == kind && text.contains(words));
    region.log.wait_after(mark, &what, PATIENCE, seen).await?;
    Ok(())
}

/// Waits until office B's lamp has gone on and off again: it blinks.
async fn blinks(region: &Region) -> Result<(), Failure> {
    let (mark, mut lit) = (region.log.mark(), false);
    let changed = |event: &Event| {
        let level = match event.kind {
            EventKind::Level { lit } if event.lane == Lane::Lamp && event.host == "adapter-b" => lit,
            _ => return false,
        };
        lit |= level;
        lit && !level
    };
    region.log.wait_after(mark, "the lamp of adapter-b blinks", PATIENCE, changed).await?;
    Ok(())
}

/// Waits for something in the journal of office B's adapter under this code.
async fn journal_says(region: &Region, code: &'static str) -> Result<(), Failure> {
    let under = move |event: &Event| {
        event.host == "adapter-b"
            && matches!(event.kind, EventKind::Security { code: c } | EventKind::Failure { code: c } if c == code)
    };
    region.log.wait_for(&format!("{code} in the journal of adapter-b"), PATIENCE, under).await?;
    Ok(())
}

/// How many mails office B's adapter has given to its mail server: it has nothing to give but confirmations.
fn confirmations(region: &Region) -> usize {
    region.sent_mails().iter().filter(|mail| mail.from == "adapter-b" && mail.to == "mail-b").count()
}

/// Nothing was printed and nothing confirmed, and Hanako's mailbox still holds what it held.
fn nothing_came_of_it(
    region: &Region,
    printed: &[PrintedDocument],
    confirmed_before: usize,
    waiting: usize,
) -> Result<(), Failure> {
    expect(printed.is_empty(), format!("nothing is printed, not {} document(s)", printed.len()))?;
    let confirmed = confirmations(region);
    expect(confirmed == confirmed_before, format!("{confirmed_before} confirmation(s) in all, not {confirmed}"))?;
    still_waiting(region, waiting)
}

/// This many mails are in Hanako's mailbox at her mail server.
fn still_waiting(region: &Region, count: usize) -> Result<(), Failure> {
    let waiting = region.mailbox(&region.person(HANAKO)?)?.len();
    expect(waiting == count, format!("{count} mail(s) in Hanako's mailbox, not {waiting}"))
}

/// Waits until this many confirmations in all have come all the way: from office B's card into the history.
async fn confirmed(region: &Region, total: usize) -> Result<(), Failure> {
    let mut seen = 0;
    let registered = |event: &Event| {
        let counts = event.host == "adapter-a"
            && event.text.contains("stands in the history")
            && matches!(&event.kind, EventKind::Step { ids } if ids.contains(&"C12") && ids.contains(&"D1"));
        seen += usize::from(counts);
        seen >= total
    };
    if total > 0 {
        region.log.wait_for(&format!("{total} transmission(s) in the history"), PATIENCE, registered).await?;
    }
    let all = confirmations(region);
    expect(all == total, format!("{total} confirmation(s) in all, not {all}"))?;
    // Each has its own line in the history, and the sender's machine prints what came.
    let history = region.history().len();
    expect(history == total, format!("{total} line(s) in the history, not {history}"))
}

/// Office A's machine prints the delivery reports that wait, so that its screen is free for the next person.
async fn reports(region: &Region, count: usize) -> Result<(), Failure> {
    let reports = region.site('a')?.receive().await.map_err(Failure::expectation)?;
    expect(reports.len() == count, format!("{count} delivery report(s), not {}", reports.len()))
}

/// Taro sends one document to Hanako, and office B calls her.
async fn one_arrives(region: &Region, pages: &[Page]) -> Result<(), Failure> {
    taro_sends(region, &[HANAKO.address], pages).await?;
    region.site('b')?.sees(ScreenKind::Arrived).await
}

/// Hanako takes what waits: each document once, each confirmed once, and nothing is left anywhere.
async fn hanako_takes(region: &Region, expected: &[&[Page]]) -> Result<(), Failure> {
    let (site, before) = (region.site('b')?, confirmations(region));
    let printed = receives(region, 'b', &region.person(HANAKO)?).await?;
    expect(printed.len() == expected.len(), format!("{} document(s) printed, not {}", expected.len(), printed.len()))?;
    for (document, pages) in printed.iter().zip(expected) {
        expect(document.pages == *pages, "what is printed is what was sent, pixel by pixel")?;
    }
    confirmed(region, before + expected.len()).await?;
    reports(region, expected.len()).await?;
    still_waiting(region, 0)?;
    site.sees(ScreenKind::Idle).await?;
    site.lamp(false).await
}

/// The rightful flow from end to end, to show that what went before broke nothing.
async fn rightful_flow(region: &Region) -> Result<(), Failure> {
    let pages = super::note("and now as it should be");
    one_arrives(region, &pages).await?;
    hanako_takes(region, &[&pages]).await
}

/// Presses RECEIVE without expecting it to be refused.
async fn press_receive(site: &Site) -> Result<Vec<PrintedDocument>, Failure> {
    site.receive().await.map_err(Failure::expectation)
}

/// The terminal's POP3 session by hand, where a story has to stop in its middle.
async fn terminal_session(region: &Region) -> Result<Client, Failure> {
    let seams = region.stranger("terminal-b")?;
    let at = SocketAddr::new(region.address("adapter-b-terminal-port")?, POP3);
    let mut client = Client::connect(&*seams.network, at).await.map_err(Failure::expectation)?;
    // With an accepted card the login decides nothing: the card does.
    let password = Password::new(b"any".to_vec());
    client.login("fax@b.example", &password).await.map_err(Failure::expectation)?;
    Ok(client)
}

/// The administrator empties a mailbox at the mail server of office B.
async fn administrator_clears(region: &Region, person: &Person) -> Result<(), Failure> {
    let seams = region.stranger("administrator")?;
    let at = SocketAddr::new(region.address("mail-b")?, POP3);
    let mut client = Client::connect(&*seams.network, at).await.map_err(Failure::infrastructure)?;
    let password = Password::new(person.password.clone().into_bytes());
    client.login(person.character.address, &password).await.map_err(Failure::infrastructure)?;
    for (number, _) in client.list().await.map_err(Failure::infrastructure)? {
        client.dele(number).await.map_err(Failure::infrastructure)?;
    }
    client.quit().await.map_err(Failure::infrastructure)
}
