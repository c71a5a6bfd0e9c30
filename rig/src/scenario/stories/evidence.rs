//! What a story proves by looking everywhere: on the wires, on every disk, in the journals.

use std::path::Path;

use memchr::memmem;
use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::mime::base64_lines;
use sealfax_ifax::{Page, tiff};

use crate::bench::region::Region;
use crate::bench::site::{PATIENCE, Site};
use crate::events::{EventKind, Mark};
use crate::scenario::{Failure, expect};
use crate::world::mails::SentMail;
use crate::world::network::Side;

/// The mails that an office's adapter began to send to its own mail server, whether they were taken or not.
pub fn left_the_office(region: &Region, letter: char) -> Vec<SentMail> {
    let (adapter, server) = (format!("adapter-{letter}"), format!("mail-{letter}"));
    region.sent_mails().into_iter().filter(|mail| mail.from == adapter && mail.to == server).collect()
}

/// Nothing left the office.
pub fn nothing_left(region: &Region, letter: char) -> Result<(), Failure> {
    let left = left_the_office(region, letter).len();
    expect(left == 0, format!("nothing is sent to mail-{letter}, not {left} mail(s)"))
}

/// Waits until a host has carried out each of these steps since `mark`.
pub async fn did(region: &Region, host: &str, mark: Mark, ids: &[&'static str]) -> Result<(), Failure> {
    for id in ids {
        let what = format!("{host} carries out {id}");
        let carried_out = region.log.wait_after(mark, &what, PATIENCE, |event| {
            event.host == host && matches!(&event.kind, EventKind::Step { ids } if ids.contains(id))
        });
        carried_out.await?;
    }
    Ok(())
}

/// Waits until a host's journal has this security or failure code since `mark`.
pub async fn journal(region: &Region, host: &str, mark: Mark, wanted: &str) -> Result<(), Failure> {
    let what = format!("{host} writes {wanted} into its journal");
    let written = region.log.wait_after(mark, &what, PATIENCE, |event| {
        event.host == host
            && matches!(&event.kind, EventKind::Security { code } | EventKind::Failure { code } if *code == wanted)
    });
    written.await.map(|_| ()).map_err(Failure::from)
}

/// Waits for a screen whose words contain all of these.
pub async fn reads(site: &Site, mark: Mark, kind: ScreenKind, words: &[&str]) -> Result<(), Failure> {
    let shown = site.sees_after(mark, kind).await?;
    for word in words {
        expect(shown.text.contains(word), format!("the screen {} says {word:?}, not: {}", kind.name(), shown.text))?;
    }
    Ok(())
}

/// Of everything that terminals handed over so far, no subject and no piece of a page stands in clear on any wire of the
/// network or in any file of any host. To be asked before a delivery report is made: an adapter keeps that for its terminal,
/// and its TIFF has stretches in common with every other.
pub fn nowhere_in_clear(region: &Region) -> Result<(), Failure> {
    let submitted = region.sent_mails().into_iter().filter(|mail| mail.to.ends_with("terminal-port"));
    nowhere(region, submitted.flat_map(|mail| pieces(&mail.octets)).collect())
}

/// The same of pages that came by telephone, as the adapter makes a mail of them.
pub fn pages_nowhere_in_clear(region: &Region, pages: &[Page]) -> Result<(), Failure> {
    let tiff = tiff::write(pages).map_err(Failure::infrastructure)?;
    let lines = base64_lines(&tiff);
    nowhere(region, stretches(&tiff).chain(telling(lines.lines())).collect())
}

fn nowhere(region: &Region, needles: Vec<Vec<u8>>) -> Result<(), Failure> {
    expect(!needles.is_empty(), "a terminal handed something over")?;
    let (captured, lost) = region.capture.octets();
    expect(captured > 0 && lost == 0, "every octet was recorded")?;
    let mut places: Vec<(String, Vec<u8>)> =
        region.capture.streams(Side::Network).into_iter().map(|stream| ("the network".to_owned(), stream)).collect();
    read_all(&region.folder(""), &mut places).map_err(Failure::infrastructure)?;
    for needle in needles {
        let finder = memmem::Finder::new(&needle);
        for (place, octets) in &places {
            let shown = String::from_utf8_lossy(&needle).chars().take(40).collect::<String>();
            expect(finder.find(octets).is_none(), format!("{shown:?} is nowhere in clear, also not in {place}"))?;
        }
    }
    Ok(())
}

/// The subject as it stands and as people read it, every line of the body, and stretches of what the body encodes.
fn pieces(mail: &[u8]) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let text = String::from_utf8_lossy(mail).into_owned();
    let (header, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut pieces = vec![super::SUBJECT.as_bytes().to_vec(), b"strictly confidential".to_vec()];
    let subject = header.lines().find_map(|line| line.strip_prefix("Subject:"));
    pieces.extend(subject.map(|subject| subject.trim().as_bytes().to_vec()).filter(|subject| !subject.is_empty()));
    let lines: Vec<&str> = body
        .lines()
        .filter(|line| line.len() >= 24 && !line.starts_with("Content-") && !line.starts_with("--"))
        .collect();
    let octets = base64::engine::general_purpose::STANDARD.decode(lines.concat()).unwrap_or_default();
    pieces.extend(stretches(&octets));
    pieces.extend(telling(lines.into_iter()));
    pieces
}

fn stretches(octets: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    octets.chunks_exact(48).step_by(4).map(<[u8]>::to_vec).filter(|piece| distinct(piece) > 12)
}

fn telling<'a>(lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = Vec<u8>> {
    lines.map(|line| line.as_bytes().to_vec()).filter(|piece| distinct(piece) > 16)
}

/// White paper looks like other white paper; only what says something is searched for.
fn distinct(octets: &[u8]) -> usize {
    octets.iter().collect::<std::collections::BTreeSet<_>>().len()
}

fn read_all(folder: &Path, places: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, places)?;
        // A socket holds nothing.
        } else if path.is_file() {
            // A file that is gone by now holds nothing any more.
            match std::fs::read(&path) {
                Ok(octets) => places.push((path.display().to_string(), octets)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
