//! BER to definite lengths (ITU-T X.690 8.1.3.6 and 8.7.3): what OpenSSL `-stream`, Thunderbird and KIM send.
//!
//! Indefinite lengths become definite and minimal, and a constructed OCTET STRING becomes one primitive string, so a
//! digest runs over the content and not over chunk headers. Implicitly tagged strings keep their chunks, for only the
//! schema tells them from other values: [`crate::enveloped_data`] joins those.

use crate::asn1::{self, Malformed, header_octets, tag};
use crate::bounds;
use zeroize::Zeroizing;

/// The first value of `input`, in definite lengths. Octets after it are refused.
pub(crate) fn definite(input: Vec<u8>) -> Result<Vec<u8>, Malformed> {
    if input.len() > bounds::MESSAGE {
        return Err(Malformed);
    }
    // Most is so already, and large: it is not written once more.
    if !input.is_empty() && is_definite(&input, 0) {
        return Ok(input);
    }
    let input = Zeroizing::new(input);
    let input = input.as_slice();
    let mut out = Vec::with_capacity(input.len());
    let rest = transcribe(input, 0, &mut out)?;
    if rest.is_empty() { Ok(out) } else { Err(Malformed) }
}

/// Whether these are values in the shortest definite lengths, without constructed strings: nothing would be changed.
fn is_definite(mut input: &[u8], depth: usize) -> bool {
    if depth > bounds::ASN1_DEPTH {
        return false;
    }
    while let Some(identifier) = input.first() {
        let Ok((Some(content), rest)) = split(input) else { return false };
        let header = input.len() - rest.len() - content.len();
        let shortest = header_octets(*identifier, content.len()).len() == header;
        let inside = *identifier & 0x20 == 0
            || (*identifier != tag::CONSTRUCTED_OCTET_STRING && is_definite(content, depth + 1));
        // At the top stands one value alone.
        if !shortest || !inside || (depth == 0 && !rest.is_empty()) {
            return false;
        }
        input = rest;
    }
    true
}

/// Writes the first value of `input` to `out` and returns what follows it.
fn transcribe<'a>(input: &'a [u8], depth: usize, out: &mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    let identifier = *input.first().ok_or(Malformed)?;
    let (contents, rest) = split(input)?;
    if identifier & 0x20 == 0 {
        let content = contents.ok_or(Malformed)?;
        out.extend(header_octets(identifier, content.len()));
        out.extend_from_slice(content);
        return Ok(rest);
    }
    if depth == bounds::ASN1_DEPTH {
        return Err(Malformed);
    }
    let start = out.len();
    let rest = children(contents, rest, |input| {
        if identifier == tag::CONSTRUCTED_OCTET_STRING {
            chunk(input, depth + 1, out)
        } else {
            transcribe(input, depth + 1, out)
        }
    })?;
    let identifier = if identifier == tag::CONSTRUCTED_OCTET_STRING { tag::OCTET_STRING } else { identifier };
    // The header goes in front once the length is known; the octets behind it move once per level of nesting.
    let header = header_octets(identifier, out.len() - start);
    out.splice(start..start, header);
    Ok(rest)
}

/// Writes the content of one chunk of a constructed OCTET STRING.
fn chunk<'a>(input: &'a [u8], depth: usize, out: &mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    let identifier = *input.first().ok_or(Malformed)?;
    let (contents, rest) = split(input)?;
    match identifier {
        tag::OCTET_STRING => {
            out.extend_from_slice(contents.ok_or(Malformed)?);
            Ok(rest)
        }
        tag::CONSTRUCTED_OCTET_STRING if depth < bounds::ASN1_DEPTH => {
            children(contents, rest, |input| chunk(input, depth + 1, out))
        }
        _ => Err(Malformed),
    }
}

/// The content octets (`None` when the length is indefinite) and what follows them, or follows the header.
fn split(input: &[u8]) -> Result<(Option<&[u8]>, &[u8]), Malformed> {
    let (header, length) = asn1::header(input)?;
    let after = input.get(header..).ok_or(Malformed)?;
    match length {
        Some(length) => {
            let (content, rest) = after.split_at_checked(length).ok_or(Malformed)?;
            Ok((Some(content), rest))
        }
        None => Ok((None, after)),
    }
}

/// Runs `each` over the values inside: to the end of `contents`, or to end-of-contents octets in `rest`.
fn children<'a>(
    contents: Option<&'a [u8]>,
    rest: &'a [u8],
    mut each: impl FnMut(&'a [u8]) -> Result<&'a [u8], Malformed>,
) -> Result<&'a [u8], Malformed> {
    match contents {
        Some(mut inside) => {
            while !inside.is_empty() {
                inside = each(inside)?;
            }
            Ok(rest)
        }
        None => {
            let mut inside = rest;
            loop {
                if let Some(after) = inside.strip_prefix(&[0, 0]) {
                    return Ok(after);
                }
                inside = each(inside)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn chunks_are_joined() {
        let ber = [0x30, 0x80, 0x24, 0x80, 4, 2, 1, 2, 0x24, 3, 4, 1, 3, 0, 0, 2, 1, 5, 0, 0];
        assert_eq!(definite(ber.to_vec()).unwrap(), [0x30, 8, 4, 3, 1, 2, 3, 2, 1, 5]);
    }

    #[test]
    fn implicit_strings_keep_their_chunks() {
        let ber = [0xa0, 0x80, 4, 1, 1, 4, 1, 2, 0, 0];
        assert_eq!(definite(ber.to_vec()).unwrap(), [0xa0, 6, 4, 1, 1, 4, 1, 2]);
    }

    #[test]
    fn nesting_is_bounded() {
        let mut deep = [0x30u8, 0x80].repeat(100_000);
        assert_eq!(definite(deep.clone()), Err(Malformed));
        deep.extend([0, 0].repeat(100_000));
        assert_eq!(definite(deep), Err(Malformed));
    }

    #[test]
    fn an_open_end_is_refused() {
        for open in [&[0x30, 0x80, 2, 1, 1][..], &[0x30, 0x80, 2, 1, 1, 0, 0, 9], &[], &[4, 1, 1, 4, 1, 1]] {
            assert_eq!(definite(open.to_vec()), Err(Malformed), "{open:?}");
        }
    }

    proptest! {
        #[test]
        fn der_stays_as_it_is(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let der = asn1::sequence(&[asn1::octet_string(&octets), asn1::set_of(tag::SET, vec![asn1::octet_string(&octets)])]);
            prop_assert!(is_definite(&der, 0));
            prop_assert_eq!(definite(der.clone()).unwrap(), der);
        }

        #[test]
        fn any_octets_are_survived(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(once) = definite(octets) {
                prop_assert!(is_definite(&once, 0));
                prop_assert_eq!(definite(once.clone()).unwrap(), once);
            }
        }
    }
}
