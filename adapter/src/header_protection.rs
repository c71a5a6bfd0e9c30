//! Header protection (RFC 9788): the mail inside the seal says in `HP-Outer` which header fields stand outside, and `hp` in its
//! Content-Type says that all others are meant for the recipient alone. Put on before sealing and taken off after opening, so
//! that the terminal's mail arrives octet for octet.

use sealfax_ifax::header::{HeaderError, Headers};

const OUTER: &str = "HP-Outer";

/// Header fields as they stand, each with its continuation lines and line ends, and the rest with the empty line.
fn raw_fields(mail: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (mut fields, mut start, mut at): (Vec<&[u8]>, usize, usize) = (Vec::new(), 0, 0);
    let mut close = |start: usize, at: usize| {
        if let Some(field) = mail.get(start..at).filter(|field| !field.is_empty()) {
            fields.push(field);
        }
    };
    for line in mail.split_inclusive(|octet| *octet == b'\n') {
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        if !continues {
            close(start, at);
            start = at;
        }
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
        at += line.len();
    }
    if start < at {
        close(start, at);
    }
    (fields, mail.get(at..).unwrap_or_default())
}

fn is(field: &[u8], name: &str) -> bool {
    let end = field.iter().position(|octet| *octet == b':');
    end.and_then(|end| field.get(..end)).is_some_and(|own| own.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes()))
}

/// The mail to be sealed, which will stand behind these outer fields (RFC 9788, 5.2).
pub fn protect(mail: &[u8], outer: &[(&str, String)]) -> Result<Vec<u8>, HeaderError> {
    let mut said = Headers::new();
    let structural = |name: &str| name.eq_ignore_ascii_case("MIME-Version") || name.starts_with("Content-");
    for (name, value) in outer.iter().filter(|(name, _)| !structural(name)) {
        said.push(OUTER, &format!("{name}: {value}"))?;
    }
    Ok(protected(mail, "cipher", &said.to_octets()))
}

/// The mail to be signed and not encrypted: its fields are the ones to believe, and no secret (RFC 9788, 5.2.1).
pub fn protect_in_clear(mail: &[u8]) -> Vec<u8> {
    protected(mail, "clear", b"")
}

fn protected(mail: &[u8], hp: &str, said: &[u8]) -> Vec<u8> {
    let (fields, rest) = raw_fields(mail);
    let mut protected = Vec::with_capacity(mail.len() + 1024);
    let hp = format!(";\r\n hp=\"{hp}\"\r\n");
    let mut typed = false;
    for field in fields {
        if is(field, OUTER) {
            // Whoever wrote it, it is not true of what is being made.
            continue;
        }
        if is(field, "Content-Type") && !typed {
            typed = true;
            protected.extend_from_slice(without_hp(field).trim_ascii_end());
            protected.extend_from_slice(hp.as_bytes());
        } else {
            protected.extend_from_slice(field);
        }
    }
    if !typed {
        protected.extend_from_slice(b"Content-Type: text/plain; charset=us-ascii");
        protected.extend_from_slice(hp.as_bytes());
    }
    protected.extend_from_slice(said);
    protected.extend_from_slice(rest);
    protected
}

/// The mail as it was before it was protected; what was not is left as it is.
pub fn restore(content: &[u8]) -> Vec<u8> {
    let (fields, rest) = raw_fields(content);
    let mut mail = Vec::with_capacity(content.len());
    for field in fields {
        if is(field, "Content-Type") {
            mail.extend_from_slice(&without_hp(field));
        } else if !is(field, OUTER) {
            mail.extend_from_slice(field);
        }
    }
    mail.extend_from_slice(rest);
    mail
}

/// A Content-Type field without its parameter `hp`.
fn without_hp(field: &[u8]) -> Vec<u8> {
    let (mut kept, mut quoted, mut start) = (Vec::with_capacity(field.len()), false, 0usize);
    let mut sections = Vec::new();
    for (at, octet) in field.iter().enumerate() {
        match octet {
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                sections.push(field.get(start..at).unwrap_or_default());
                start = at;
            }
            _ => {}
        }
    }
    let end = field.trim_ascii_end().len();
    sections.push(field.get(start..end.max(start)).unwrap_or_default());
    let hp = |section: &[u8]| {
        let text = section.strip_prefix(b";").unwrap_or(section).trim_ascii_start();
        text.get(..3).is_some_and(|name| name.eq_ignore_ascii_case(b"hp="))
    };
    for (number, section) in sections.iter().enumerate() {
        if number == 0 || !hp(section) {
            kept.extend_from_slice(section);
        }
    }
    kept.extend_from_slice(field.get(end.max(start)..).unwrap_or_default());
    kept
}

/// A mail for the person from an entity whose producer protects no header fields: the ones outside, which nobody has signed,
/// stand for those that are missing. The sender is whose signature was verified, by their address alone. `None`: the entity says
/// itself whom it is from.
pub fn with_outer_fields(content: &[u8], mail: &[u8], sender: &str) -> Option<Vec<u8>> {
    let (inside, _) = Headers::parse(content).ok()?;
    let (outside, _) = Headers::parse(mail).ok()?;
    if inside.get("From").is_some() {
        return None;
    }
    let mut headers = Headers::new();
    headers.push("From", sender).ok()?;
    for name in ["To", "Cc", "Subject", "Date", "Message-ID"] {
        if let (None, Some(value)) = (inside.get(name), outside.get(name)) {
            headers.push(name, value).ok()?;
        }
    }
    if inside.get("MIME-Version").is_none() {
        headers.push("MIME-Version", "1.0").ok()?;
    }
    let mut octets = headers.to_octets();
    octets.extend_from_slice(content);
    Some(octets)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    const MAIL: &[u8] =
        b"From: Taro <taro@a.example>\r\nSubject: =?UTF-8?B?5a+G?=\r\n secret\r\nContent-Type: multipart/mixed;\r\n\
        \tboundary=\"a;hp=b\"\r\nDate: Sat, 28 Nov 2026 09:00:00 +0900\r\n\r\n--a;hp=b\r\n";

    fn outer() -> Vec<(&'static str, String)> {
        vec![
            ("From", "taro@a.example".to_owned()),
            ("Subject", "[...]".to_owned()),
            ("Content-Type", "application/pkcs7-mime".to_owned()),
            ("MIME-Version", "1.0".to_owned()),
        ]
    }

    #[test]
    fn what_is_protected_says_what_stands_outside() {
        let protected = protect(MAIL, &outer()).unwrap();
        insta::assert_snapshot!(String::from_utf8(protected.clone()).unwrap().replace("\r\n", "\n"), @r#"
        From: Taro <taro@a.example>
        Subject: =?UTF-8?B?5a+G?=
         secret
        Content-Type: multipart/mixed;
        	boundary="a;hp=b";
         hp="cipher"
        Date: Sat, 28 Nov 2026 09:00:00 +0900
        HP-Outer: From: taro@a.example
        HP-Outer: Subject: [...]

        --a;hp=b
        "#);
        assert_eq!(restore(&protected), MAIL);
        assert_eq!(restore(&protect(&protected, &outer()).unwrap()), MAIL, "what was said before is not believed");
    }

    #[test]
    fn what_is_signed_in_clear_hides_nothing() {
        let protected = protect_in_clear(MAIL);
        let text = String::from_utf8(protected.clone()).unwrap();
        assert!(text.contains("hp=\"clear\"") && !text.contains(OUTER));
        assert_eq!(restore(&protected), MAIL);
    }

    /// RFC 9788, appendix C.3.1.2: the payload of a message that was signed and encrypted by somebody else.
    const RFC_PAYLOAD: &str = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\nSubject: smime-signed-enc-hp-baseline\r\n\
        Message-ID: <smime-signed-enc-hp-baseline@example>\r\nFrom: Alice <alice@smime.example>\r\n\
        To: Bob <bob@smime.example>\r\nDate: Sat, 20 Feb 2021 10:09:02 -0500\r\nUser-Agent: Sample MUA Version 1.0\r\n\
        HP-Outer: Subject: [...]\r\nHP-Outer: Message-ID: <smime-signed-enc-hp-baseline@example>\r\n\
        HP-Outer: From: Alice <alice@smime.example>\r\nHP-Outer: To: Bob <bob@smime.example>\r\n\
        HP-Outer: Date: Sat, 20 Feb 2021 10:09:02 -0500\r\nHP-Outer: User-Agent: Sample MUA Version 1.0\r\n\
        Content-Type: text/plain; charset=\"utf-8\"; hp=\"cipher\"\r\n\r\nThis is the\r\nsmime-signed-enc-hp-baseline\r\nmessage.\r\n";

    #[test]
    fn the_payload_of_rfc_9788_is_read_and_made_as_it_prints_it() {
        let mail = restore(RFC_PAYLOAD.as_bytes());
        let (headers, body) = Headers::parse(&mail).unwrap();
        assert_eq!(headers.get("Subject"), Some("smime-signed-enc-hp-baseline"));
        assert_eq!(headers.get("Content-Type"), Some("text/plain; charset=\"utf-8\""));
        assert_eq!(
            (headers.get(OUTER), body),
            (None, &b"This is the\r\nsmime-signed-enc-hp-baseline\r\nmessage.\r\n"[..])
        );
        assert_eq!(with_outer_fields(&mail, b"From: mallory@smime.example\r\n\r\n", "alice@smime.example"), None);

        let outer: Vec<(&str, String)> = RFC_PAYLOAD
            .lines()
            .filter_map(|line| line.strip_prefix("HP-Outer: ")?.split_once(": "))
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        // In another order, for ours stands behind the fields it speaks of.
        let sorted = |mail: &[u8]| {
            let text = String::from_utf8(mail.to_vec()).unwrap().replace(";\r\n hp=", "; hp=");
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&protect(&mail, &outer).unwrap()), sorted(RFC_PAYLOAD.as_bytes()));
    }

    #[test]
    fn others_write_it_otherwise() {
        let mail = b"hp-outer: x\r\n y\r\nContent-Type: text/plain; HP=clear; charset=utf-8\r\nFrom: a@b\r\n\r\nHP-Outer: body\r\n";
        assert_eq!(restore(mail), b"Content-Type: text/plain; charset=utf-8\r\nFrom: a@b\r\n\r\nHP-Outer: body\r\n");
        assert!(
            protect(b"From: a@b\r\n\r\nx", &outer()).unwrap().starts_with(b"From: a@b\r\nContent-Type: text/plain;")
        );
    }

    #[test]
    fn an_entity_without_fields_of_its_own_gets_the_outer_ones() {
        let mail = b"From: The Chief <a@b>\r\nSubject: open\r\nContent-Type: application/pkcs7-mime\r\n\r\n";
        let whole = with_outer_fields(b"Content-Type: image/tiff\r\n\r\nx", mail, "a@b").unwrap();
        assert_eq!(whole, b"From: a@b\r\nSubject: open\r\nMIME-Version: 1.0\r\nContent-Type: image/tiff\r\n\r\nx");
        let whole = with_outer_fields(b"Subject: signed\r\n\r\nx", mail, "a@b").unwrap();
        assert_eq!(whole, b"From: a@b\r\nMIME-Version: 1.0\r\nSubject: signed\r\n\r\nx");
        assert_eq!(with_outer_fields(b"From: a@b\r\n\r\nx", mail, "a@b"), None);
    }

    proptest! {
        #[test]
        fn a_mail_comes_back(fields in prop::collection::vec("[A-Z][a-z]{1,8}: [ -~]{0,30}", 0..6), body in "[ -~\r\n]{0,80}") {
            let mut mail: Vec<u8> = fields.iter().flat_map(|field| format!("{field}\r\n").into_bytes()).collect();
            mail.extend(b"Content-Type: image/tiff; application=faxbw\r\n\r\n");
            mail.extend(body.bytes());
            prop_assert_eq!(restore(&protect(&mail, &outer()).unwrap()), mail);
        }

        #[test]
        fn any_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = restore(&octets);
            let _ = protect(&octets, &outer());
        }
    }
}
