//! The kind judge (ST807, ST810; M3, C14): what kind of mail this is, from its outermost structure.
//!
//! Seven rules over RFC 2045 Content-Type, S/MIME (RFC 8551, 3.2), multipart/signed (RFC 1847) and multipart/report
//! (RFC 6522). They decide only whether to notify or forward; they grant no trust.

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, STANDARD};

use crate::header::{self, Field};

/// What kind of mail it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An ordinary mail: stored, not notified.
    Plain,
    /// Signed or encrypted at its origin: stored and notified.
    Sealed,
    /// A delivery confirmation: forwarded to the original sender's adapter.
    Confirmation,
    /// A delivery status notification.
    Bounce,
}

/// The judgement, with the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What kind of mail it is.
    pub kind: Kind,
    /// Number of the rule that decided, 1 to 7; 0 for the literal rule of paragraph 0068.
    pub rule: u8,
    /// Why, for the log.
    pub reason: &'static str,
    /// Something an administrator should look at.
    pub security: Option<&'static str>,
}

/// Judges a mail. With `literal_sign_rule`, "sealed" is paragraph 0068 to the letter: the Content-Type holds "sign".
pub fn judge(mail: &[u8], literal_sign_rule: bool) -> Judgement {
    let (fields, body) = header::split(mail);
    let by_rules = by_rules(&fields, body);
    if !literal_sign_rule || matches!(by_rules.kind, Kind::Confirmation | Kind::Bounce) {
        return by_rules;
    }
    let holds_sign =
        fields.iter().any(|field| field.is("Content-Type") && field.value.to_ascii_lowercase().contains("sign"));
    Judgement {
        kind: if holds_sign { Kind::Sealed } else { Kind::Plain },
        rule: 0,
        reason: "the literal rule: whether Content-Type contains \"sign\"",
        security: by_rules.security,
    }
}

fn verdict(kind: Kind, rule: u8, reason: &'static str) -> Judgement {
    Judgement { kind, rule, reason, security: None }
}

fn by_rules(fields: &[Field<'_>], body: &[u8]) -> Judgement {
    // Rule 1.
    let mut types = fields.iter().filter(|field| field.is("Content-Type"));
    let Some(first) = types.next() else {
        return verdict(Kind::Plain, 1, "no Content-Type");
    };
    if types.next().is_some() {
        return Judgement {
            security: Some("more than one Content-Type: readers would disagree about this mail"),
            ..verdict(Kind::Plain, 1, "more than one Content-Type")
        };
    }
    let Some(content_type) = ContentType::parse(&first.value) else {
        return Judgement {
            security: Some("a Content-Type that cannot be parsed"),
            ..verdict(Kind::Plain, 1, "Content-Type cannot be parsed")
        };
    };
    let essence = content_type.essence.as_str();
    // Rule 2.
    if essence == "multipart/report" {
        return match content_type.lower("report-type").as_deref() {
            Some("disposition-notification") => verdict(Kind::Confirmation, 2, "report of a disposition"),
            Some("delivery-status") => verdict(Kind::Bounce, 2, "report of a delivery status"),
            _ => verdict(Kind::Plain, 7, "a report of another type"),
        };
    }
    // Rule 4.
    if essence == "multipart/signed" {
        let signature = content_type.lower("protocol");
        if !matches!(signature.as_deref(), Some("application/pkcs7-signature" | "application/x-pkcs7-signature")) {
            return verdict(Kind::Plain, 7, "signed with another protocol than S/MIME");
        }
        let child = content_type.value("boundary").and_then(|boundary| first_child(body, boundary));
        return match child {
            Some(child) if is_report(child) => verdict(Kind::Confirmation, 4, "a signed report"),
            _ => verdict(Kind::Sealed, 4, "multipart/signed with an S/MIME signature"),
        };
    }
    let pkcs7 = matches!(essence, "application/pkcs7-mime" | "application/x-pkcs7-mime");
    let p7m = essence == "application/octet-stream" && is_p7m(&content_type, fields);
    if !pkcs7 && !p7m {
        return verdict(Kind::Plain, 7, "no kind of its own");
    }
    let found = sniff(fields, body);
    let declared = content_type.lower("smime-type");
    match (pkcs7, declared.as_deref(), found) {
        // Rule 3.
        (true, Some("signed-receipt"), None | Some(Cms::Signed)) => verdict(Kind::Confirmation, 3, "a signed receipt"),
        // Rule 5.
        (true, Some("certs-only"), None | Some(Cms::Signed)) => verdict(Kind::Plain, 5, "only certificates"),
        (
            true,
            Some("signed-data" | "enveloped-data" | "authenveloped-data" | "authenticated-enveloped-data"),
            None | Some(Cms::Signed | Cms::Enveloped),
        ) => verdict(Kind::Sealed, 5, "S/MIME by its smime-type"),
        // Rule 6: the identifier wins over whatever was declared.
        (_, declared, Some(found)) => {
            let contradicted = matches!(
                declared,
                Some(
                    "signed-receipt"
                        | "certs-only"
                        | "signed-data"
                        | "enveloped-data"
                        | "authenveloped-data"
                        | "authenticated-enveloped-data"
                )
            );
            let security = contradicted.then_some("the smime-type contradicts the CMS object");
            let judged = match found {
                Cms::Signed | Cms::Enveloped => verdict(Kind::Sealed, 6, "S/MIME by its CMS object identifier"),
                Cms::Other => verdict(Kind::Plain, 6, "CMS object identifier of another kind"),
            };
            Judgement { security, ..judged }
        }
        (_, _, None) => verdict(Kind::Plain, 7, "no CMS object identifier found"),
    }
}

fn is_report(part: &[u8]) -> bool {
    let (fields, _) = header::split(part);
    let mut types = fields.iter().filter(|field| field.is("Content-Type"));
    match (types.next(), types.next()) {
        (Some(field), None) => {
            ContentType::parse(&field.value).is_some_and(|content_type| content_type.essence == "multipart/report")
        }
        _ => false,
    }
}

fn is_p7m(content_type: &ContentType, fields: &[Field<'_>]) -> bool {
    let named = |name: Option<&str>| name.is_some_and(|name| name.to_ascii_lowercase().ends_with(".p7m"));
    let disposition = fields
        .iter()
        .find(|field| field.is("Content-Disposition"))
        .and_then(|field| ContentType::parse_parameters(&field.value));
    named(content_type.value("name"))
        || disposition.is_some_and(|(_, parameters)| {
            parameters.iter().any(|(name, value)| name == "filename" && named(Some(value)))
        })
}

/// The first body part between the delimiters of `boundary` (RFC 2046, 5.1.1).
fn first_child<'a>(body: &'a [u8], boundary: &str) -> Option<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let mut offset = 0;
    for line in body.split_inclusive(|&octet| octet == b'\n') {
        offset += line.len();
        if line.trim_ascii_end() == delimiter.as_bytes() {
            return body.get(offset..);
        }
    }
    None
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cms {
    Signed,
    Enveloped,
    Other,
}

/// The contentType of the ContentInfo (RFC 5652, section 3) in the first octets of the body.
fn sniff(fields: &[Field<'_>], body: &[u8]) -> Option<Cms> {
    let encoding =
        fields.iter().find(|field| field.is("Content-Transfer-Encoding")).map(|field| field.value.to_ascii_lowercase());
    let octets = if encoding.as_deref() == Some("base64") {
        let symbols: Vec<u8> =
            body.iter().take(1024).copied().filter(|octet| !octet.is_ascii_whitespace()).take(96).collect();
        let whole = symbols.get(..symbols.len() - symbols.len() % 4)?;
        let lenient = GeneralPurpose::new(
            &base64::alphabet::STANDARD,
            GeneralPurposeConfig::new()
                .with_decode_allow_trailing_bits(true)
                .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
        );
        lenient.decode(whole).or_else(|_| STANDARD.decode(whole)).ok()?
    } else {
        body.get(..body.len().min(72))?.to_vec()
    };
    // SEQUENCE, then its length in any BER form, then the OBJECT IDENTIFIER.
    let (&tag, rest) = octets.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if tag != 0x30 {
        return None;
    }
    let skip = if length > 0x80 { usize::from(length & 0x7f) } else { 0 };
    let rest = rest.get(skip..)?;
    let (&tag, rest) = rest.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if tag != 0x06 {
        return None;
    }
    let identifier = rest.get(..usize::from(length))?;
    const PKCS7: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];
    const SMIME_CT: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01];
    Some(match (identifier.strip_prefix(PKCS7), identifier.strip_prefix(SMIME_CT)) {
        (Some([2]), _) => Cms::Signed,
        (Some([3]), _) => Cms::Enveloped,
        // id-ct-authData and id-ct-authEnvelopedData.
        (_, Some([2 | 23])) => Cms::Enveloped,
        _ => Cms::Other,
    })
}

/// A parsed Content-Type (RFC 2045, 5.1), comments and quoting resolved.
#[derive(Debug)]
struct ContentType {
    /// `type/subtype` in lower case.
    essence: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    fn parse(value: &str) -> Option<Self> {
        let (essence, parameters) = Self::parse_parameters(value)?;
        let (kind, subtype) = essence.split_once('/')?;
        let token = |text: &str| !text.is_empty() && text.bytes().all(is_token);
        if !token(kind) || !token(subtype) {
            return None;
        }
        // The same parameter twice is read differently by different readers.
        for (index, (name, _)) in parameters.iter().enumerate() {
            if parameters.iter().skip(index + 1).any(|(other, _)| other == name) {
                return None;
            }
        }
        Some(Self { essence, parameters })
    }

    /// The first word, lower case, and the parameters after it with lower-case names.
    fn parse_parameters(value: &str) -> Option<(String, Vec<(String, String)>)> {
        let mut parts: Vec<(String, Option<String>)> = vec![(String::new(), None)];
        let mut characters = value.chars().peekable();
        while let Some(character) = characters.next() {
            let (name, argument) = parts.last_mut()?;
            match character {
                '(' => {
                    let mut depth = 1usize;
                    while depth > 0 {
                        match characters.next()? {
                            '\\' => {
                                characters.next()?;
                            }
                            '(' => depth += 1,
                            ')' => depth -= 1,
                            _ => {}
                        }
                    }
                }
                '"' => {
                    let target = argument.as_mut()?;
                    loop {
                        match characters.next()? {
                            '"' => break,
                            '\\' => target.push(characters.next()?),
                            other => target.push(other),
                        }
                    }
                }
                ';' => parts.push((String::new(), None)),
                '=' if argument.is_none() && !name.is_empty() => *argument = Some(String::new()),
                blank if blank.is_whitespace() => {}
                other => match argument {
                    Some(argument) => argument.push(other),
                    None => name.extend(other.to_lowercase()),
                },
            }
            if parts.len() > 64 {
                return None;
            }
        }
        let mut parts = parts.into_iter();
        let (essence, argument) = parts.next()?;
        if argument.is_some() {
            return None;
        }
        let mut parameters = Vec::new();
        for (name, argument) in parts {
            match argument {
                Some(argument) => parameters.push((name, argument)),
                // A final semicolon is common and harmless.
                None if name.is_empty() => {}
                None => return None,
            }
        }
        Some((essence, parameters))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }

    fn lower(&self, name: &str) -> Option<String> {
        self.value(name).map(str::to_ascii_lowercase)
    }
}

fn is_token(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet)
}

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;
