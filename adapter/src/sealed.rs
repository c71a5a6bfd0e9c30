//! Whether a fetched mail may be S/MIME, and so has to be opened before anyone may see it (ST914).
//!
//! Errs on the side of *sealed*. What is wrongly taken for sealed stays at the mail server and is shown as one that
//! cannot be opened; what is wrongly taken for plain goes to the terminal unopened, unverified and unconfirmed, and is
//! deleted. So an odd, doubled or unreadable header must not turn the one into the other.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// id-data and its siblings (RFC 5652), and the content types of S/MIME (RFC 5083), up to their last arc.
const CMS: [&[u8]; 2] =
    [&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07], &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01]];

/// See the module.
pub(crate) fn may_be_sealed(mail: &[u8]) -> bool {
    let (fields, body) = content_fields(mail);
    // With comments taken out and with them left in: an open comment must not hide what follows it.
    [squeezed(&fields, true), squeezed(&fields, false)].iter().any(|text| speaks_of_smime(text)) || begins_as_cms(body)
}

fn speaks_of_smime(text: &str) -> bool {
    ["pkcs7", "p7m", "p7s", "smime"].iter().any(|word| text.contains(word))
        || (text.contains("multipart/signed") && !text.contains("pgp-signature"))
}

/// The values of all `Content-*` fields, and the body. Lines that are no fields hide none.
fn content_fields(mail: &[u8]) -> (String, &[u8]) {
    let mut fields = String::new();
    let mut rest = mail;
    let mut wanted = false;
    loop {
        let end = rest.iter().position(|octet| *octet == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return (fields, rest);
        }
        let text = String::from_utf8_lossy(line).to_lowercase();
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            wanted = text.starts_with("content-");
        }
        if wanted {
            fields.push_str(&text);
            fields.push('\n');
        }
    }
}

/// Without blanks and quotes, and on request without comments (RFC 5322, 3.2.2).
fn squeezed(fields: &str, drop_comments: bool) -> String {
    let mut out = String::with_capacity(fields.len());
    let mut depth = 0usize;
    for character in fields.chars() {
        match character {
            '(' if drop_comments => depth += 1,
            ')' if drop_comments => depth = depth.saturating_sub(1),
            '"' | '\\' => {}
            blank if blank.is_whitespace() => {}
            other if depth == 0 => out.push(other),
            _ => {}
        }
    }
    out
}

/// The body is a ContentInfo of RFC 5652, in base64 or as it is, whatever its Content-Type says.
fn begins_as_cms(body: &[u8]) -> bool {
    let is_cms = |octets: &[u8]| {
        let start = octets.get(..24).unwrap_or(octets);
        start.first() == Some(&0x30)
            && CMS.iter().any(|identifier| start.windows(identifier.len()).any(|window| window == *identifier))
    };
    let symbols: Vec<u8> =
        body.iter().take(4096).copied().filter(|octet| !octet.is_ascii_whitespace()).take(48).collect();
    let lenient = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    is_cms(body) || GeneralPurpose::new(&STANDARD, lenient).decode(&symbols).is_ok_and(|octets| is_cms(&octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_headers_do_not_make_a_sealed_mail_plain() {
        for header in [
            "Content-Type: application/pkcs7-mime; smime-type=enveloped-data",
            "Content-Type: text/plain\r\nContent-Type: application/x-pkcs7-mime",
            "Content-Type: (a) Application/(b)PKCS7-(c)Mime",
            "Content-Type: (open application/pkcs7-mime",
            "Content-Type:\r\n application/\r\n\tpkcs7-mime",
            "Content-Type: application / pkcs7-mime",
            "From a mailbox file\r\nContent-Type: application/pkcs7-mime",
            "nonsense\r\nContent-Type: application/pkcs7-mime",
            "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename*=utf-8''x%2Ep7m",
            "Content-Type: application/octet-stream; name=\"smime.p7\\m\"",
            "Content-Type: multipart/signed; boundary=x",
        ] {
            assert!(may_be_sealed(format!("{header}\r\n\r\nbody\r\n").as_bytes()), "{header}");
        }
        let many = "X: y\r\n".repeat(400) + "Content-Type: application/pkcs7-mime\r\n\r\nbody\r\n";
        assert!(may_be_sealed(many.as_bytes()));
    }

    #[test]
    fn the_body_speaks_for_itself() {
        // ContentInfo with id-ct-authEnvelopedData, then with id-envelopedData of indefinite length.
        assert!(may_be_sealed(b"Content-Type: text/plain\r\n\r\nMIIBAAYLKoZIhvcNAQkQARegggDv\r\n"));
        assert!(may_be_sealed(b"Subject: x\r\n\r\nMIAG\r\nCSqGSIb3DQEHA6CAMIACAQAx\r\n"));
    }

    #[test]
    fn ordinary_mails_are_plain() {
        for mail in [
            "Subject: about smime.p7m and application/pkcs7-mime\r\nContent-Type: text/plain\r\n\r\nHello\r\n",
            "Content-Type: multipart/mixed; boundary=\"design\"\r\n\r\n--design\r\n\r\nHello\r\n--design--\r\n",
            "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"\r\n\r\n--x\r\n",
            "Content-Type: image/tiff; application=faxbw\r\nContent-Transfer-Encoding: base64\r\n\r\nSUkqAAgAAAA=\r\n",
            "",
            "\r\n",
        ] {
            assert!(!may_be_sealed(mail.as_bytes()), "{mail}");
        }
    }
}
