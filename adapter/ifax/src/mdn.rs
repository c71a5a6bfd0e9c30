//! Message disposition notifications: RFC 8098 inside multipart/report of RFC 6522. The confirmation that a page was
//! printed (ST922, D1), as an entity ready to be signed.

use crate::address::{Address, AddressError};
use crate::header::{HeaderError, Headers};
use crate::mail::{MailError, checked_id, message_id, text_part};
use crate::mime::{Entity, MimeError, is_boundary};

/// Most octets of a notification.
pub const MAX_OCTETS: usize = 256 * 1024;

/// RFC 8098 clause 3.2.6.1, action mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionMode {
    /// `manual-action`: the person did it.
    Manual,
    /// `automatic-action`: the machine did it.
    Automatic,
}

/// RFC 8098 clause 3.2.6.1, sending mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendingMode {
    /// `MDN-sent-manually`: the person agreed to the notification.
    Manually,
    /// `MDN-sent-automatically`.
    Automatically,
}

/// RFC 8098 clause 3.2.6.2, disposition type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DispositionKind {
    /// Shown, or here: printed.
    Displayed,
    /// Deleted, possibly unseen.
    Deleted,
    /// Sent on elsewhere.
    Dispatched,
    /// Processed by a program.
    Processed,
    /// The recipient does not say what became of it (RFC 2298, which fax machines still follow).
    Denied,
    /// It could not be shown (RFC 2298).
    Failed,
}

impl DispositionKind {
    const ALL: [Self; 6] =
        [Self::Displayed, Self::Deleted, Self::Dispatched, Self::Processed, Self::Denied, Self::Failed];

    const fn word(self) -> &'static str {
        match self {
            Self::Displayed => "displayed",
            Self::Deleted => "deleted",
            Self::Dispatched => "dispatched",
            Self::Processed => "processed",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// The Disposition field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Disposition {
    /// Who acted.
    pub action: ActionMode,
    /// Who sent the notification.
    pub sending: SendingMode,
    /// What happened.
    pub kind: DispositionKind,
    /// Modifiers such as `error`.
    pub modifiers: Vec<String>,
}

impl Disposition {
    /// Card, PIN and the receive button released the page, and it was printed.
    pub fn printed() -> Self {
        Self {
            action: ActionMode::Manual,
            sending: SendingMode::Automatically,
            kind: DispositionKind::Displayed,
            modifiers: Vec::new(),
        }
    }

    /// Whether the recipient has it: shown, printed or sent on to paper, without `error`, `failure` or `warning`
    /// (RFC 8098 clause 3.2.6; `failure` and `warning` are of RFC 2298, which fax machines still follow).
    pub fn is_success(&self) -> bool {
        !matches!(self.kind, DispositionKind::Deleted | DispositionKind::Denied | DispositionKind::Failed)
            && !self.modifiers.iter().any(|word| ["error", "failure", "warning"].contains(&word.as_str()))
    }

    /// Whether the recipient does not have it and will not: denied, deleted, or it failed.
    pub fn is_refusal(&self) -> bool {
        matches!(self.kind, DispositionKind::Deleted | DispositionKind::Denied | DispositionKind::Failed)
            || self.modifiers.iter().any(|word| ["error", "failure"].contains(&word.as_str()))
    }

    /// What happened, in the words of the field: "deleted", "displayed/error".
    pub fn words(&self) -> String {
        let mut words = self.kind.word().to_owned();
        if !self.modifiers.is_empty() {
            words.push('/');
            words.push_str(&self.modifiers.join(","));
        }
        words
    }

    fn to_value(&self) -> String {
        let action = match self.action {
            ActionMode::Manual => "manual-action",
            ActionMode::Automatic => "automatic-action",
        };
        let sending = match self.sending {
            SendingMode::Manually => "MDN-sent-manually",
            SendingMode::Automatically => "MDN-sent-automatically",
        };
        format!("{action}/{sending}; {}", self.words())
    }

    fn parse(value: &str) -> Option<Self> {
        let (mode, rest) = value.split_once(';')?;
        let (action, sending) = mode.split_once('/')?;
        let (kind, modifiers) = rest.split_once('/').unwrap_or((rest, ""));
        let lower = |text: &str| text.trim().to_ascii_lowercase();
        Some(Self {
            action: match lower(action).as_str() {
                "manual-action" => ActionMode::Manual,
                "automatic-action" => ActionMode::Automatic,
                _ => return None,
            },
            sending: match lower(sending).as_str() {
                "mdn-sent-manually" => SendingMode::Manually,
                "mdn-sent-automatically" => SendingMode::Automatically,
                _ => return None,
            },
            kind: DispositionKind::ALL.into_iter().find(|known| known.word() == lower(kind))?,
            modifiers: modifiers.split(',').map(lower).filter(|m| !m.is_empty()).take(8).collect(),
        })
    }
}

/// Received-content-MIC (RFC 3851 and RFC 4130 use it so): a digest of what was received, which binds the
/// confirmation to the content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentMic {
    /// The digest in base64.
    pub digest: String,
    /// Its algorithm, such as `sha-256`.
    pub algorithm: String,
}

/// A disposition notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mdn {
    /// `host; product` of what makes the notification; may be empty.
    pub reporting_ua: String,
    /// The address the sender wrote.
    pub original_recipient: Option<Address>,
    /// The address that received.
    pub final_recipient: Address,
    /// Message-ID of the original, without angle brackets.
    pub original_message_id: String,
    /// What happened.
    pub disposition: Disposition,
    /// Digest of the content.
    pub received_content_mic: Option<ContentMic>,
    /// Further fields of the machine part, such as those beginning with `X-`.
    pub extensions: Vec<(String, String)>,
    /// What stands behind the machine part (RFC 6522 3): a whole entity in 7-bit lines, such as a signed receipt.
    pub enclosed: Option<Vec<u8>>,
    /// What a person reads; Japanese and English. See [`human_text`].
    pub text: String,
    /// Boundary of the report.
    pub boundary: String,
}

/// Why a notification cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MdnError {
    /// Over [`MAX_OCTETS`].
    #[error("a notification has no reason to be over {MAX_OCTETS} octets")]
    TooLarge,
    /// Not a report of the right type with the parts it needs.
    #[error("this is not a disposition notification: {0}")]
    Structure(&'static str),
    /// A field is missing or unreadable.
    #[error("field {0} of the notification is missing or cannot be read")]
    Field(&'static str),
    /// Its MIME structure.
    #[error(transparent)]
    Mime(#[from] MimeError),
    /// A header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// An address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

const KNOWN: [&str; 7] = [
    "Reporting-UA",
    "MDN-Gateway",
    "Original-Recipient",
    "Final-Recipient",
    "Original-Message-ID",
    "Disposition",
    "Received-content-MIC",
];

/// The words for a person who opens the notification in a mail program.
pub fn human_text(recipient: &Address, printed_at: &str) -> String {
    format!(
        "親展ファクスは {printed_at} に宛先の方のカードで印刷されました。\n宛先: {recipient}\n\n\
         The confidential fax was printed on {printed_at} with the addressee's card.\nAddressee: {recipient}\n\n\
         この通知には宛先の方のカードで電子署名が付いています。\n\
         This notice is signed with the addressee's card.\n"
    )
}

/// The words of the plain notification that a fax machine of extended mode gets: what its adapter has verified.
pub fn verified_text(recipient: &Address, printed_at: &str) -> String {
    format!(
        "親展ファクスは {printed_at} に宛先の方のカードで印刷されました。\n宛先: {recipient}\n\n\
         The confidential fax was printed on {printed_at} with the addressee's card.\nAddressee: {recipient}\n\n\
         アダプターが電子署名付きの配達確認を検証しました。\n\
         The adapter has verified the signed confirmation.\n"
    )
}

/// Writes the entity: Content-Type and body, CRLF, 7-bit, so that a signature over it survives transport.
pub fn compose(mdn: &Mdn) -> Result<Vec<u8>, MdnError> {
    let boundary = &mdn.boundary;
    if !is_boundary(boundary) {
        return Err(MdnError::Structure("the boundary is not usable; take a random one"));
    }
    let mut fields = Headers::new();
    if !mdn.reporting_ua.is_empty() {
        fields.push("Reporting-UA", &mdn.reporting_ua)?;
    }
    if let Some(original) = &mdn.original_recipient {
        fields.push("Original-Recipient", &format!("rfc822; {original}"))?;
    }
    fields.push("Final-Recipient", &format!("rfc822; {}", mdn.final_recipient))?;
    fields.push("Original-Message-ID", &format!("<{}>", checked_id(&mdn.original_message_id)?))?;
    fields.push("Disposition", &mdn.disposition.to_value())?;
    if let Some(ContentMic { digest, algorithm }) = &mdn.received_content_mic {
        fields.push("Received-content-MIC", &format!("{digest}, {algorithm}"))?;
    }
    for (name, value) in &mdn.extensions {
        if KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name)) || !value.is_ascii() {
            return Err(MdnError::Structure("an extension has the name of a standard field or a non-ASCII value"));
        }
        fields.push(name, value)?;
    }
    let mut head = Headers::new();
    head.push(
        "Content-Type",
        &format!("multipart/report; report-type=disposition-notification; boundary=\"{boundary}\""),
    )?;
    let mut out = head.to_octets();
    out.extend(format!("\r\n--{boundary}\r\n").bytes());
    out.extend(text_part(&mdn.text, boundary).map_err(|error| match error {
        MailError::Header(error) => MdnError::Header(error),
        _ => MdnError::Structure("the text cannot be written"),
    })?);
    out.extend(format!("--{boundary}\r\nContent-Type: message/disposition-notification\r\n\r\n").bytes());
    out.extend(fields.to_octets());
    if let Some(enclosed) = &mdn.enclosed {
        let delimiter = format!("--{boundary}");
        let occurs = enclosed.windows(delimiter.len()).any(|window| window == delimiter.as_bytes());
        if occurs || !enclosed.is_ascii() {
            return Err(MdnError::Structure("what is to be enclosed cannot be written"));
        }
        out.extend(format!("\r\n--{boundary}\r\n").bytes());
        out.extend(enclosed);
    }
    out.extend(format!("\r\n--{boundary}--\r\n").bytes());
    Ok(out)
}

/// Reads a notification from its multipart/report entity.
pub fn parse(entity: &[u8]) -> Result<Mdn, MdnError> {
    if entity.len() > MAX_OCTETS {
        return Err(MdnError::TooLarge);
    }
    let entity = Entity::parse(entity)?;
    let kind = entity.content_type()?;
    let report = kind.param("report-type").unwrap_or_default();
    if kind.essence != "multipart/report" || !report.eq_ignore_ascii_case("disposition-notification") {
        return Err(MdnError::Structure("not multipart/report; report-type=disposition-notification"));
    }
    let parts = entity.parts()?;
    let [first, second, further @ ..] = parts.as_slice() else {
        return Err(MdnError::Structure("it has fewer than two parts"));
    };
    if second.content_type()?.essence != "message/disposition-notification" {
        return Err(MdnError::Structure("its second part is not message/disposition-notification"));
    }
    let machine = second.decoded()?;
    let (fields, _) = Headers::parse(&machine)?;
    let recipient = |name: &'static str| -> Result<Option<Address>, MdnError> {
        let Some(value) = fields.only(name)? else { return Ok(None) };
        let (kind, address) = value.split_once(';').ok_or(MdnError::Field(name))?;
        if !kind.trim().eq_ignore_ascii_case("rfc822") {
            return Err(MdnError::Field(name));
        }
        Ok(Some(Address::parse(address.trim())?))
    };
    let mic = |value: &str| {
        let (digest, algorithm) = value.split_once(',')?;
        let (digest, algorithm) = (digest.trim(), algorithm.trim());
        let token = |text: &str| !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic());
        (token(digest) && token(algorithm))
            .then(|| ContentMic { digest: digest.to_owned(), algorithm: algorithm.to_ascii_lowercase() })
    };
    Ok(Mdn {
        reporting_ua: fields.only("Reporting-UA")?.unwrap_or_default().to_owned(),
        original_recipient: recipient("Original-Recipient")?,
        final_recipient: recipient("Final-Recipient")?.ok_or(MdnError::Field("Final-Recipient"))?,
        original_message_id: fields
            .only("Original-Message-ID")?
            .and_then(message_id)
            .ok_or(MdnError::Field("Original-Message-ID"))?,
        disposition: fields.only("Disposition")?.and_then(Disposition::parse).ok_or(MdnError::Field("Disposition"))?,
        received_content_mic: match fields.only("Received-content-MIC")? {
            None => None,
            Some(value) => Some(mic(value).ok_or(MdnError::Field("Received-content-MIC"))?),
        },
        extensions: fields
            .iter()
            .filter(|field| !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(&field.name)))
            .map(|field| (field.name.clone(), field.value.clone()))
            .collect(),
        enclosed: further.first().map(|part| part.raw.to_vec()),
        text: first.text()?,
        boundary: kind.param("boundary").unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn confirmation() -> Mdn {
        let recipient = Address::parse("sato@b.example").unwrap();
        Mdn {
            reporting_ua: "adapter.b.example; Sealfax".into(),
            original_recipient: Some(recipient.clone()),
            text: human_text(&recipient, "2026-11-22 22:25:10 +09:00"),
            final_recipient: recipient,
            original_message_id: "20261122.1@ifax.a.example".into(),
            disposition: Disposition::printed(),
            received_content_mic: Some(ContentMic {
                digest: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".into(),
                algorithm: "sha-256".into(),
            }),
            extensions: vec![("X-Sealfax-Pages".into(), "2".into())],
            enclosed: None,
            boundary: "=_mdn-1".into(),
        }
    }

    #[test]
    fn the_confirmation_as_it_stands() {
        let octets = compose(&confirmation()).unwrap();
        assert!(octets.is_ascii() && octets.windows(2).all(|w| (w[1] == b'\n') == (w[0] == b'\r')));
        insta::assert_snapshot!(String::from_utf8(octets).unwrap().replace("\r\n", "\n"));
        insta::assert_snapshot!(confirmation().text);
    }

    #[test]
    fn it_comes_back() {
        assert_eq!(parse(&compose(&confirmation()).unwrap()).unwrap(), confirmation());
        let plain = Mdn {
            original_recipient: None,
            received_content_mic: None,
            extensions: Vec::new(),
            reporting_ua: String::new(),
            disposition: Disposition {
                action: ActionMode::Automatic,
                sending: SendingMode::Manually,
                kind: DispositionKind::Deleted,
                modifiers: vec!["error".into(), "x-why".into()],
            },
            ..confirmation()
        };
        assert_eq!(parse(&compose(&plain).unwrap()).unwrap(), plain);
        let receipt = b"Content-Type: application/pkcs7-mime; smime-type=signed-receipt\r\n\r\nMIAG\r\n".to_vec();
        let with = Mdn { enclosed: Some(receipt), ..confirmation() };
        assert_eq!(parse(&compose(&with).unwrap()).unwrap(), with);
        for bad in ["A: b\r\n\r\n--=_mdn-1--\r\n", "A: b\r\n\r\n名\r\n"] {
            assert!(compose(&Mdn { enclosed: Some(bad.into()), ..confirmation() }).is_err());
        }
    }

    #[test]
    fn success_is_told_from_failure() {
        let read = |value: &str| Disposition::parse(value).unwrap().is_success();
        for good in ["displayed", "dispatched", "processed", "displayed/mailbox-terminated"] {
            assert!(read(&format!("automatic-action/MDN-sent-automatically; {good}")), "{good}");
        }
        for bad in ["deleted", "processed/error", "processed/Failure", "displayed/warning"] {
            assert!(!read(&format!("automatic-action/MDN-sent-automatically; {bad}")), "{bad}");
        }
    }

    #[test]
    fn it_is_strict() {
        let text = String::from_utf8(compose(&confirmation()).unwrap()).unwrap();
        for (from, to) in [
            ("report-type=disposition-notification", "report-type=delivery-status"),
            ("Final-Recipient: rfc822;", "Final-Recipient: x400;"),
            ("Final-Recipient", "X-Final"),
            ("; displayed", "; eaten"),
            ("Original-Message-ID: <", "Original-Message-ID: "),
            ("Disposition: ", "Disposition: manual-action/MDN-sent-manually; deleted\r\nDisposition: "),
            ("--=_mdn-1--", "--=_mdn-1"),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(parse(text.replace(from, to).as_bytes()).is_err(), "{from} -> {to}");
        }
        assert_eq!(parse(&vec![b'a'; MAX_OCTETS + 1]), Err(MdnError::TooLarge));
    }

    #[test]
    fn values_cannot_add_fields() {
        for bad in [
            Mdn { reporting_ua: "a\r\nDisposition: x".into(), ..confirmation() },
            Mdn { extensions: vec![("disposition".into(), "x".into())], ..confirmation() },
            Mdn { extensions: vec![("X-A".into(), "x\r\n\r\n--=_mdn-1--".into())], ..confirmation() },
            Mdn { boundary: String::new(), ..confirmation() },
        ] {
            assert!(compose(&bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn mutations_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..10)) {
            let mut octets = compose(&confirmation()).unwrap();
            for (at, octet) in flips {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
            let _ = parse(&octets);
        }
    }
}
