//! A frame of the log: the changes of one commit, then their bodies, under one checksum with a number that rises by one.
//!
//! Little-endian: `SFL2`, CRC-32 of what follows up to the bodies (begun with the store's token, so that no mail can hold what
//! looks like a frame), number (8 octets), length of the changes (4), four octets of zero, length of the bodies (8), the
//! changes in JSON with each body's length and CRC-32, behind the number that the first new mail among them gets, the bodies.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use super::change::{Change, Cursor, Logged, Place};

/// Octets of a header.
pub(super) const HEADER: usize = 32;
const MAGIC: [u8; 4] = *b"SFL2";
/// Longest changes of a frame: what is longer is no frame.
const LONGEST: u32 = 256 * 1024 * 1024;

/// What a frame says.
#[derive(Debug)]
pub(super) struct Frame {
    /// The number that the first new mail among the changes gets.
    pub(super) next: u64,
    pub(super) changes: Vec<Logged>,
    /// Octets in all.
    pub(super) octets: u64,
}

/// A change as it stands in the log.
#[derive(Serialize)]
struct Writing<'a> {
    change: &'a Change,
    body: Option<(u64, u32)>,
}

#[derive(Deserialize)]
struct Reading {
    change: Change,
    body: Option<(u64, u32)>,
}

/// Header and changes, and where each body goes if the frame is put at `at`; and the frame's octets in all.
pub(super) fn compose(
    token: u64,
    next: u64,
    changes: &[Change],
    at: Cursor,
) -> io::Result<(Vec<u8>, Vec<Option<Place>>, u64)> {
    let sums: Vec<Option<(u64, u32)>> = changes.iter().map(|change| change.body().map(sum_of)).collect();
    let writing: Vec<Writing<'_>> =
        changes.iter().zip(&sums).map(|(change, body)| Writing { change, body: *body }).collect();
    let mut octets = vec![0u8; HEADER];
    serde_json::to_writer(&mut octets, &(next, writing))?;
    let meta = u32::try_from(octets.len() - HEADER).map_err(io::Error::other)?;
    let mut offset = at.offset + octets.len() as u64;
    let begin = offset;
    let mut places = Vec::with_capacity(sums.len());
    for sum in sums {
        places.push(sum.map(|(length, crc)| {
            let place = Place { segment: at.segment, offset, length, crc };
            offset += length;
            place
        }));
    }
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&at.number.to_le_bytes());
    header.extend_from_slice(&meta.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&(offset - begin).to_le_bytes());
    octets.splice(..HEADER, header);
    let crc = sum(token, octets.get(8..).unwrap_or_default());
    octets.splice(4..8, crc.to_le_bytes());
    Ok((octets, places, offset - at.offset))
}

/// Length and CRC-32 of a body in two parts.
fn sum_of([head, mail]: [&[u8]; 2]) -> (u64, u32) {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(mail);
    ((head.len() + mail.len()) as u64, hasher.finalize())
}

fn sum(token: u64, octets: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&token.to_le_bytes());
    hasher.update(octets);
    hasher.finalize()
}

/// The frame that stands at `at` in a file of `length` octets; `None`: none does. Bodies are not looked at.
pub(super) fn read(file: &File, token: u64, length: u64, at: Cursor) -> io::Result<Option<Frame>> {
    let left = length.saturating_sub(at.offset);
    if left < HEADER as u64 {
        return Ok(None);
    }
    let mut header = [0u8; HEADER];
    file.read_exact_at(&mut header, at.offset)?;
    let [m0, m1, m2, m3, c0, c1, c2, c3, number @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = header;
    let [.., l0, l1, l2, l3, _, _, _, _, b0, b1, b2, b3, b4, b5, b6, b7] = header;
    let meta = u32::from_le_bytes([l0, l1, l2, l3]);
    let bodies = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
    let whole = bodies.checked_add(u64::from(meta) + HEADER as u64).filter(|whole| *whole <= left);
    let (true, true, Some(whole)) = ([m0, m1, m2, m3] == MAGIC, meta <= LONGEST, whole) else {
        return Ok(None);
    };
    let mut checked = header.get(8..).unwrap_or_default().to_vec();
    let begin = checked.len();
    checked.resize(begin + meta as usize, 0);
    file.read_exact_at(checked.get_mut(begin..).unwrap_or_default(), at.offset + HEADER as u64)?;
    if u64::from_le_bytes(number) != at.number || sum(token, &checked) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Ok(None);
    }
    let Ok((next, read)) = serde_json::from_slice::<(u64, Vec<Reading>)>(checked.get(begin..).unwrap_or_default())
    else {
        return Ok(None);
    };
    let mut offset = at.offset + HEADER as u64 + u64::from(meta);
    let mut changes = Vec::with_capacity(read.len());
    for Reading { change, body } in read {
        let body = body.map(|(length, crc)| {
            let place = Place { segment: at.segment, offset, length, crc };
            offset = offset.saturating_add(length);
            place
        });
        changes.push(Logged { change, body });
    }
    Ok((offset == at.offset + whole).then_some(Frame { next, changes, octets: whole }))
}

/// The next frame behind `at` whose number is not below that of `at`, wherever it begins.
pub(super) fn find(file: &File, token: u64, length: u64, at: Cursor) -> io::Result<Option<Cursor>> {
    const WINDOW: usize = 1 << 20;
    let mut window = vec![0u8; WINDOW];
    let mut from = at.offset;
    while from + (HEADER as u64) < length {
        let wanted = usize::try_from(length - from).unwrap_or(WINDOW).min(WINDOW);
        let window = window.get_mut(..wanted).unwrap_or_default();
        file.read_exact_at(window, from)?;
        for found in memchr::memmem::find_iter(window, &MAGIC) {
            let number = window.get(found + 8..found + 16).and_then(|octets| octets.try_into().ok());
            let Some(number) = number.map(u64::from_le_bytes).filter(|number| *number >= at.number) else { continue };
            let place = Cursor { offset: from + found as u64, number, ..at };
            if read(file, token, length, place)?.is_some() {
                return Ok(Some(place));
            }
        }
        // A header may lie across the windows.
        from += (wanted - HEADER.min(wanted)).max(1) as u64;
    }
    Ok(None)
}

/// Whether the octets of a body are those that were written.
pub(super) fn is_whole(file: &File, place: &Place) -> io::Result<bool> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0u8; 1 << 16];
    let mut done = 0;
    while done < place.length {
        let wanted = usize::try_from(place.length - done).unwrap_or(buffer.len()).min(buffer.len());
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        file.read_exact_at(buffer, place.offset + done)?;
        hasher.update(buffer);
        done += wanted as u64;
    }
    Ok(hasher.finalize() == place.crc)
}
