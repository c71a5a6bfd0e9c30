//! What stands inside PIV's data objects: the certificate container (NIST SP 800-73-5 part 1, appendix A), the CHUID's
//! GUID, and Sealfax's own mailbox login in the PIN-protected object 5FC109.

use super::{CardError, tlv};
use flate2::{
    Compression,
    read::{GzDecoder, GzEncoder},
};
use std::io::Read as _;
use zeroize::Zeroizing;

/// The most octets a certificate may have, also after inflation.
pub const MAX_CERTIFICATE: usize = 16 * 1024;

const CERTIFICATE: u32 = 0x70;
const CERT_INFO: u32 = 0x71;
const ERROR_DETECTION_CODE: u32 = 0xFE;

const READ: &str = "GET DATA";

pub(super) fn malformed(error: tlv::TlvError) -> CardError {
    CardError::Malformed { command: READ, what: error.what() }
}

/// The certificate in DER from the content of a certificate object (the value of tag 53); `None` if it is empty.
pub fn certificate(content: &[u8]) -> Result<Option<Vec<u8>>, CardError> {
    let stored = match tlv::find(content, CERTIFICATE).map_err(malformed)? {
        None | Some([]) => return Ok(None),
        Some(stored) => stored,
    };
    let info = match tlv::find(content, CERT_INFO).map_err(malformed)? {
        Some([info, ..]) => *info,
        _ => 0,
    };
    let refuse = |what| Err(CardError::Malformed { command: READ, what });
    // CertInfo, bits 1 and 2: how the certificate is compressed.
    let der = match info & 0x03 {
        0 => stored.to_vec(),
        1 => {
            let mut der = Vec::new();
            let limit = MAX_CERTIFICATE as u64 + 1;
            if GzDecoder::new(stored).take(limit).read_to_end(&mut der).is_err() {
                return refuse("the certificate does not unpack");
            }
            der
        }
        _ => return refuse("the certificate is packed in an unknown way"),
    };
    if der.len() > MAX_CERTIFICATE {
        return refuse("the certificate is too large");
    }
    Ok(Some(der))
}

/// The content of a certificate object for a certificate in DER, not compressed.
pub fn certificate_object(der: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(der.len() + 16);
    tlv::write(&mut out, CERTIFICATE, der);
    tlv::write(&mut out, CERT_INFO, &[0]);
    tlv::write(&mut out, ERROR_DETECTION_CODE, &[]);
    out
}

/// The same, gzipped (CertInfo 01): for cards whose object is too small for the plain certificate.
pub fn packed_certificate_object(der: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    // Reading from and writing to memory does not fail.
    let read = GzEncoder::new(der, Compression::best()).read_to_end(&mut packed);
    if read.is_err() {
        return certificate_object(der);
    }
    let mut out = Vec::with_capacity(packed.len() + 16);
    tlv::write(&mut out, CERTIFICATE, &packed);
    tlv::write(&mut out, CERT_INFO, &[1]);
    tlv::write(&mut out, ERROR_DETECTION_CODE, &[]);
    out
}

/// The content of a CHUID (part 1, 3.1.2 and appendix A, table 9) for a card that no United States agency issued: a
/// FASC-N of nines, our GUID (a UUID, RFC 9562), the date YYYYMMDD on which the card is to be replaced, no signature.
pub fn chuid(guid: &[u8; 16], expires: &[u8; 8]) -> Vec<u8> {
    // Agency, system and credential number all nines, in BCD with parity (Technical Implementation Guidance 2.4).
    const FASC_N: [u8; 25] = [
        0xD4, 0xE7, 0x39, 0xDA, 0x73, 0x9C, 0xED, 0x39, 0xCE, 0x73, 0x9D, 0x83, 0x68, 0x58, 0x21, 0x08, 0x42, 0x10,
        0x84, 0x21, 0xC8, 0x42, 0x10, 0xC3, 0xEB,
    ];
    const FASC_N_TAG: u32 = 0x30;
    const GUID: u32 = 0x34;
    const EXPIRATION_DATE: u32 = 0x35;
    const ISSUER_SIGNATURE: u32 = 0x3E;
    let mut out = Vec::new();
    tlv::write(&mut out, FASC_N_TAG, &FASC_N);
    tlv::write(&mut out, GUID, guid);
    tlv::write(&mut out, EXPIRATION_DATE, expires);
    tlv::write(&mut out, ISSUER_SIGNATURE, &[]);
    tlv::write(&mut out, ERROR_DETECTION_CODE, &[]);
    out
}

/// The card's GUID from the content of its CHUID: the same for the card's whole life, told without a PIN.
pub fn guid(content: &[u8]) -> Result<Option<[u8; 16]>, CardError> {
    let guid = tlv::find(content, 0x34).map_err(malformed)?;
    Ok(guid.and_then(|guid| guid.try_into().ok()))
}

/// Where the owner's mail waits and what opens it: read from the card after the PIN, kept nowhere else.
///
/// The object's content (the value of tag 53) holds, in tags of the private class so that an issuer's Printed
/// Information can stand beside them:
///
/// | Tag | Value |
/// |---|---|
/// | `C0` | version, one octet: `01` |
/// | `C1` | login, UTF-8, 1 to 254 octets without control characters |
/// | `C2` | password, UTF-8, 1 to 254 octets without control characters |
/// | `FE` | error detection code, empty |
///
/// Other tags are passed over. The password is zeroised when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct MailboxLogin {
    login: String,
    password: Zeroizing<String>,
}

impl MailboxLogin {
    /// The most octets of a login, and of a password.
    pub const MAX: usize = 254;
    const VERSION: u32 = 0xC0;
    const LOGIN: u32 = 0xC1;
    const PASSWORD: u32 = 0xC2;

    /// A login; `None` if either part is empty, too long, or holds control characters that could end a POP3 line.
    pub fn new(login: &str, password: &str) -> Option<Self> {
        let sound = |text: &str| (1..=Self::MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        (sound(login) && sound(password))
            .then(|| Self { login: login.to_owned(), password: Zeroizing::new(password.to_owned()) })
    }

    /// The login name at the mail server.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The password. Do not copy it into memory that is not zeroised.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The object's content, to be put on a card.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let room = self.login.len() + self.password.len() + 4 * tlv::HEADER;
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        tlv::write(&mut out, Self::VERSION, &[1]);
        tlv::write(&mut out, Self::LOGIN, self.login.as_bytes());
        tlv::write(&mut out, Self::PASSWORD, self.password.as_bytes());
        tlv::write(&mut out, ERROR_DETECTION_CODE, &[]);
        out
    }

    /// Reads the object's content; `None` if it holds no mailbox login of a version we know.
    pub fn decode(content: &[u8]) -> Result<Option<Self>, CardError> {
        let find = |tag| tlv::find(content, tag).map_err(malformed);
        if find(Self::VERSION)? != Some(&[1]) {
            return Ok(None);
        }
        let text = |tag| Ok::<_, CardError>(find(tag)?.and_then(|octets| std::str::from_utf8(octets).ok()));
        let both = text(Self::LOGIN)?.zip(text(Self::PASSWORD)?);
        match both.and_then(|(login, password)| Self::new(login, password)) {
            Some(login) => Ok(Some(login)),
            None => Err(CardError::Malformed { command: READ, what: "the mailbox login on it cannot be used" }),
        }
    }
}

impl std::fmt::Debug for MailboxLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailboxLogin").field("login", &self.login).field("password", &"*").finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn certificates_plain_and_packed() {
        let der = vec![0x30; 900];
        assert_eq!(certificate(&certificate_object(&der)).unwrap(), Some(der.clone()));
        assert_eq!(certificate(&packed_certificate_object(&der)).unwrap(), Some(der));
        assert_eq!(certificate(&certificate_object(&[])).unwrap(), None);
        assert_eq!(certificate(&[]).unwrap(), None);
    }

    #[test]
    fn a_packed_bomb_is_refused() {
        let error = certificate(&packed_certificate_object(&vec![0; 40_000_000])).unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
        assert!(certificate(&certificate_object(&[1; MAX_CERTIFICATE + 1])).is_err());
        assert!(certificate(&certificate_object(&[1; MAX_CERTIFICATE])).is_ok());
    }

    #[test]
    fn unsound_containers_are_refused() {
        for content in [&[0x70, 5, 1][..], &[0x70, 1, 0x30, 0x71, 1, 3], &[0x70, 2, 0x1f, 0x8b, 0x71, 1, 1]] {
            assert!(certificate(content).is_err(), "{content:02x?}");
        }
    }

    #[test]
    fn logins_that_could_break_a_pop3_line_do_not_exist() {
        let long = "x".repeat(255);
        for (login, password) in
            [("", "p"), ("l", ""), ("l\r\nDELE 1", "p"), ("l", "p\0"), (&*long, "p"), ("l", &*long)]
        {
            assert!(MailboxLogin::new(login, password).is_none());
        }
    }

    #[test]
    fn printed_information_is_no_login() {
        assert_eq!(MailboxLogin::decode(&[0x01, 1, b'N', 0xFE, 0]).unwrap(), None);
        assert_eq!(MailboxLogin::decode(&[0xC0, 1, 2]).unwrap(), None);
        assert!(MailboxLogin::decode(&[0xC0, 1, 1]).is_err());
        assert!(MailboxLogin::decode(&[0xC0, 1, 1, 0xC1, 1, 0xff, 0xC2, 1, b'p']).is_err());
    }

    #[test]
    fn a_password_does_not_show_itself() {
        let login = MailboxLogin::new("hanako@b.example", "open-sesame").unwrap();
        let shown = format!("{login:?}");
        assert!(shown.contains("hanako") && !shown.contains("sesame"), "{shown}");
    }

    proptest! {
        #[test]
        fn a_login_comes_back(login in "[^\\p{Cc}]{1,60}", password in "[^\\p{Cc}]{1,60}") {
            let stored = MailboxLogin::new(&login, &password).unwrap();
            prop_assert_eq!(MailboxLogin::decode(&stored.encode()).unwrap(), Some(stored));
        }

        #[test]
        fn noise_is_no_object(content in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = (certificate(&content), MailboxLogin::decode(&content), guid(&content));
        }
    }
}
