//! Commands over the protocol T=0 (ISO 7816-3, 12.2): what a command looks like that the card takes octet by octet.
//!
//! A command that both sends and expects data goes without its Le field; the card says `61xx` and GET RESPONSE fetches
//! what there is. Length fields are short ones.

use zeroize::Zeroizing;

/// The command as it is sent over T=0; `None` if it cannot be.
pub fn command(command: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (header, body) = command.split_at_checked(4)?;
    let body = match body {
        // Case 1: P3 is there all the same.
        [] => &[0],
        // Case 2.
        [_] => body,
        // Extended length fields, or an empty data field, which no command has.
        [0, ..] => return None,
        // Case 3, and case 4 but for its last octet.
        [lc, data @ ..] => match data.len().checked_sub(usize::from(*lc)) {
            Some(0 | 1) => body.get(..=usize::from(*lc))?,
            _ => return None,
        },
    };
    let mut sent = Zeroizing::new(Vec::with_capacity(header.len() + body.len()));
    sent.extend_from_slice(header);
    sent.extend_from_slice(body);
    Some(sent)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::card::apdu::{Command, tests::unhex};
    use proptest::prelude::*;

    #[test]
    fn the_four_cases() {
        for (case, given, sent) in [
            ("1", "00200080", Some("0020008000")),
            ("2", "00C0000010", Some("00C0000010")),
            ("3", "0020008008313233343536FFFF", Some("0020008008313233343536FFFF")),
            ("4", "00A4040005A00000030800", Some("00A4040005A000000308")),
            ("2 extended", "00CB3FFF000000", None),
            ("3 extended", "00DB3FFF000001AA", None),
            ("cut off", "00A4040005A0000003", None),
            ("too long", "00A4040005A0000003080000", None),
            ("no command", "00A404", None),
        ] {
            assert_eq!(command(&unhex(given)).map(|octets| octets.to_vec()), sent.map(unhex), "case {case}");
        }
    }

    proptest! {
        /// Nothing but Le is ever lost.
        #[test]
        fn data_stays(data in proptest::collection::vec(any::<u8>(), 1..=255), ne in 0u32..=256) {
            let given = Command::new(0x87, 7, 0x9C, &data, ne);
            let sent = command(&given.short().unwrap()).unwrap();
            prop_assert_eq!(Command::parse(&sent).unwrap(), Command::new(0x87, 7, 0x9C, &data, 0));
        }
    }
}
