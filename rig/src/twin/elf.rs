//! Which shared libraries a program wants: the DT_NEEDED entries of its dynamic section (System V ABI, chapter 5), of
//! 64-bit little-endian files alone.

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const NEEDED: u64 = 1;
const STRING_TABLE: u64 = 5;
/// `e_machine` of aarch64.
const AARCH64: u16 = 183;

/// A part of the file that is mapped: address, place in the file, length in the file.
struct Segment {
    kind: u32,
    address: u64,
    offset: u64,
    length: u64,
}

/// Whether this is a program or library for the twin's processor.
pub(super) fn is_aarch64(file: &[u8]) -> bool {
    file.starts_with(b"\x7fELF\x02\x01") && number::<2>(file, 18) == Some(u64::from(AARCH64))
}

/// The names of the libraries it needs; none for a program that is linked statically, or that is not one at all.
pub(super) fn needed(file: &[u8]) -> Vec<String> {
    names(file).unwrap_or_default()
}

fn names(file: &[u8]) -> Option<Vec<String>> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let segments = segments(file)?;
    let dynamic = segments.iter().find(|segment| segment.kind == DYNAMIC)?;
    let mut entries = Vec::new();
    for at in (dynamic.offset..dynamic.offset.checked_add(dynamic.length)?).step_by(16) {
        let (tag, value) = (number::<8>(file, at)?, number::<8>(file, at.checked_add(8)?)?);
        if tag == 0 {
            break;
        }
        entries.push((tag, value));
    }
    let table = entries.iter().find(|(tag, _)| *tag == STRING_TABLE)?.1;
    let holder = segments.iter().find(|segment| {
        segment.kind == LOAD && (segment.address..segment.address.saturating_add(segment.length)).contains(&table)
    })?;
    let table = holder.offset.checked_add(table.checked_sub(holder.address)?)?;
    let wanted = entries.iter().filter(|(tag, _)| *tag == NEEDED);
    wanted.map(|(_, name)| text(file, table.checked_add(*name)?)).collect()
}

fn segments(file: &[u8]) -> Option<Vec<Segment>> {
    let (start, size, count) = (number::<8>(file, 32)?, number::<2>(file, 54)?, number::<2>(file, 56)?);
    let segment = |index: u64| {
        let at = start.checked_add(index.checked_mul(size)?)?;
        Some(Segment {
            kind: u32::try_from(number::<4>(file, at)?).ok()?,
            offset: number::<8>(file, at.checked_add(8)?)?,
            address: number::<8>(file, at.checked_add(16)?)?,
            length: number::<8>(file, at.checked_add(32)?)?,
        })
    };
    (0..count).map(segment).collect()
}

/// A little-endian number of N octets.
fn number<const N: usize>(file: &[u8], at: u64) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    let octets = file.get(at..at.checked_add(N)?)?;
    Some(octets.iter().rev().fold(0, |sum, octet| sum << 8 | u64::from(*octet)))
}

fn text(file: &[u8], at: u64) -> Option<String> {
    let rest = file.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().position(|octet| *octet == 0)?;
    String::from_utf8(rest.get(..end)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// The test's own program is one; on 64-bit little-endian Linux, where these tests run, it needs libc.
    #[test]
    fn a_real_program() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let wanted = needed(&program);
        assert!(wanted.iter().any(|name| name.starts_with("libc.so")), "{wanted:?}");
    }

    #[test]
    fn what_is_no_program_needs_nothing() {
        assert!(needed(b"#!/bin/sh\n").is_empty());
        assert!(needed(b"\x7fELF\x02\x01").is_empty());
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        // Cut anywhere in its tables it is refused, not trusted.
        for length in 0..200 {
            let _ = needed(&program[..length]);
        }
        assert!(!is_aarch64(b"MZ"));
    }
}
