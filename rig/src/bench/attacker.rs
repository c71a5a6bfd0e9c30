//! Somebody between the offices: takes mails from the wire, opens those that were sealed for an accomplice, makes mails
//! with whatever card they hold, and delivers them to an office's mail server as a stranger would.

use std::net::SocketAddr;
use std::sync::Arc;

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs8::DecodePrivateKey;
use rsa::{Oaep, RsaPrivateKey};
use sealfax_adapter::card::{InsertedCard, PinAnswer};
use sealfax_client::seam::{EntropyRng, Seams};
use sealfax_client::smtp;
use sealfax_drivers::card::CardReader;
use sealfax_drivers::pin::Pin;
use sealfax_ifax::Page;
use sealfax_ifax::address::Mailbox;
use sealfax_ifax::mail::{self, FaxMail};
use sealfax_smime::{Recipient, Signing};
use sha2::Sha256;

use super::people::Person;
use super::region::{Region, pem};
use super::site::SMTP;
use crate::scenario::Failure;
use crate::virtual_card::VirtualReader;

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::infrastructure(format!("the attacker's own tools: {error}"))
}

/// The attacker, with a host of their own on the region's network.
#[derive(Debug, Clone)]
pub struct Attacker {
    seams: Seams,
    chain: Vec<Vec<u8>>,
}

impl Attacker {
    /// Somebody on the region's network.
    pub fn new(region: &Region) -> Result<Self, Failure> {
        let chain = vec![region.authority.issuing_der().map_err(broken)?];
        Ok(Self { seams: region.stranger("attacker")?, chain })
    }

    /// What a fax machine would hand over, with any From and any To.
    pub fn fax(&self, from: &str, to: &str, pages: &[Page]) -> Result<Vec<u8>, Failure> {
        let token = self.seams.entropy.token();
        mail::compose(&FaxMail {
            from: Mailbox::parse(from).map_err(broken)?,
            to: vec![Mailbox::parse(to).map_err(broken)?],
            subject: "Please pay at once".into(),
            date: self.seams.clock.now(),
            message_id: format!("{token}@attacker"),
            notify: None,
            text: None,
            pages: sealfax_ifax::tiff::write(pages).map_err(broken)?,
            boundary: format!("fax-{token}"),
        })
        .map_err(broken)
    }

    /// Seals as an adapter would: signed by `signer`'s card, which is in a reader of the attacker's, for `recipient`.
    pub async fn seal(&self, content: &[u8], signer: &Person, recipient: &Person) -> Result<Vec<u8>, Failure> {
        let key = self.card_of(signer).await?.signature_key();
        let signing = Signing { key: &key, chain: &self.chain, signing_time: self.seams.clock.now() };
        let mut rng = EntropyRng(self.seams.entropy.clone());
        let sealed = sealfax_smime::seal(content, &signing, &[for_person(recipient)], &mut rng).await;
        Ok(sealed.map_err(broken)?.entity)
    }

    /// Signs as a mail program would that binds nothing: beside the entity, for nobody in particular.
    pub async fn sign(&self, entity: &[u8], signer: &Person) -> Result<Vec<u8>, Failure> {
        let key = self.card_of(signer).await?.signature_key();
        let signing = Signing { key: &key, chain: &self.chain, signing_time: self.seams.clock.now() };
        sealfax_smime::sign_detached(entity, &signing).await.map_err(broken)
    }

    async fn card_of(&self, signer: &Person) -> Result<Arc<InsertedCard>, Failure> {
        let (reader, slot) = VirtualReader::new("the attacker's reader");
        slot.insert(&signer.card);
        let channel = reader.connect().map_err(broken)?;
        let card = tokio::task::spawn_blocking(move || InsertedCard::read(channel)).await.map_err(broken)?;
        let card = Arc::new(card.map_err(|trouble| broken(format!("{trouble:?}")))?);
        let pin = Pin::new(signer.character.pin.as_bytes()).ok_or_else(|| broken("no PIN"))?;
        if card.verify_pin(Arc::new(pin), card.identity().tries_left).await != PinAnswer::Accepted {
            return Err(broken("the PIN is refused"));
        }
        Ok(card)
    }

    /// An envelope for `recipient` around any entity, which anybody can make.
    pub fn envelope(&self, entity: &[u8], recipient: &Person) -> Result<Vec<u8>, Failure> {
        let mut rng = EntropyRng(self.seams.entropy.clone());
        Ok(sealfax_smime::encrypt_only(entity, &[for_person(recipient)], &mut rng).map_err(broken)?.entity)
    }

    /// Opens an envelope with an accomplice's decryption key, as no adapter would: what was signed, not verified.
    pub fn open(&self, sealed: &[u8], accomplice: &Person) -> Result<Vec<u8>, Failure> {
        let cms = cms(sealed)?;
        let parts = Envelope::read(&cms).ok_or_else(|| broken("not an envelope for one recipient"))?;
        let key = RsaPrivateKey::from_pkcs8_pem(&accomplice.encryption.key_pem).map_err(broken)?;
        let wrapped = cms.get(parts.wrapped_key).unwrap_or_default();
        let content_key = key.decrypt(Oaep::<Sha256>::new(), wrapped).map_err(broken)?;
        let cipher = Aes256Gcm::new_from_slice(&content_key).map_err(broken)?;
        let nonce: [u8; 12] =
            cms.get(parts.nonce).and_then(|nonce| nonce.try_into().ok()).ok_or_else(|| broken("nonce"))?;
        let tag: [u8; 16] = cms.get(parts.tag).and_then(|tag| tag.try_into().ok()).ok_or_else(|| broken("tag"))?;
        let mut content = cms.get(parts.content).unwrap_or_default().to_vec();
        cipher
            .decrypt_inout_detached(&nonce.into(), &[], content.as_mut_slice().into(), &tag.into())
            .map_err(|_| broken("the tag does not hold"))?;
        Ok(content)
    }

    /// The mail around an entity, as an adapter writes it: with `from` as the sender it claims.
    pub fn mail(&self, from: &str, to: &str, entity: &[u8]) -> Vec<u8> {
        let date = sealfax_ifax::header::format_date(self.seams.clock.now());
        let token = self.seams.entropy.token();
        let mut octets = format!(
            "From: <{from}>\r\nTo: <{to}>\r\nSubject: [...]\r\nDate: {date}\r\nMessage-ID: <{token}@attacker>\r\n\
             MIME-Version: 1.0\r\n"
        )
        .into_bytes();
        octets.extend_from_slice(entity);
        octets
    }

    /// Brings a mail to the office's mail server, which takes it: an envelope proves nothing, so refusing is not its
    /// work.
    pub async fn deliver(&self, region: &Region, mail: &[u8], from: &str, to: &Person) -> Result<(), Failure> {
        let office = office_of(to)?;
        region.log.person("Attacker", format!("brings a mail for {} to mail-{office}", to.character.called));
        let at = SocketAddr::new(region.address(&format!("mail-{office}"))?, SMTP);
        let recipients = [to.character.address.to_owned()];
        let sent =
            smtp::send(&*self.seams.network, at, "attacker", Some(from), &recipients, mail).await.map_err(broken)?;
        match sent.into_iter().find_map(|result| result.outcome.err()) {
            None => Ok(()),
            Some(rejection) => Err(broken(rejection)),
        }
    }
}

/// The letter of the office where somebody has their mailbox.
fn office_of(person: &Person) -> Result<char, Failure> {
    let domain = person.character.address.rsplit('@').next();
    domain.and_then(|domain| domain.chars().next()).ok_or_else(|| broken("an address without a domain"))
}

fn for_person(person: &Person) -> Recipient {
    Recipient { address: person.character.address.to_owned(), certificate: person.encryption.certificate.clone() }
}

/// The CMS octets of an `application/pkcs7-mime` mail or entity.
pub fn cms(mail: &[u8]) -> Result<Vec<u8>, Failure> {
    let text = String::from_utf8_lossy(mail);
    let (_, body) = text.split_once("\r\n\r\n").ok_or_else(|| broken("a mail without a body"))?;
    let base64: String = body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    STANDARD.decode(base64).map_err(broken)
}

/// The same mail or entity around other CMS octets.
pub fn with_cms(mail: &[u8], cms: &[u8]) -> Result<Vec<u8>, Failure> {
    let text = String::from_utf8_lossy(mail);
    let (head, _) = text.split_once("\r\n\r\n").ok_or_else(|| broken("a mail without a body"))?;
    // The lines of a PEM block are those of base64 in MIME, but for their ends.
    let block = pem("CMS", cms);
    let lines: Vec<&str> = block.lines().filter(|line| !line.starts_with("-----")).collect();
    Ok(format!("{head}\r\n\r\n{}\r\n", lines.join("\r\n")).into_bytes())
}

/// Where the parts of an AuthEnvelopedData for one recipient lie (RFC 5083, 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The content key under the recipient's.
    pub wrapped_key: std::ops::Range<usize>,
    /// The GCM nonce.
    pub nonce: std::ops::Range<usize>,
    /// The encrypted content.
    pub content: std::ops::Range<usize>,
    /// The GCM tag.
    pub tag: std::ops::Range<usize>,
}

impl Envelope {
    /// Reads definite lengths, as our own mails have them.
    pub fn read(cms: &[u8]) -> Option<Self> {
        let whole = 0..cms.len();
        // ContentInfo { contentType, [0] { AuthEnvelopedData { version, recipientInfos, encrypted, mac } } }
        let data = inside(cms, &whole, &[0, 1, 0])?;
        let wrapped_key = inside(cms, &data, &[1, 0, 3])?;
        let nonce = inside(cms, &data, &[2, 1, 1, 0])?;
        let content = inside(cms, &data, &[2, 2])?;
        let tag = inside(cms, &data, &[3])?;
        Some(Self { wrapped_key, nonce, content, tag })
    }
}

/// Goes down by child numbers from the elements in `range` to the content of one.
fn inside(der: &[u8], range: &std::ops::Range<usize>, path: &[usize]) -> Option<std::ops::Range<usize>> {
    let mut range = range.clone();
    for step in path {
        let mut at = range.start;
        let mut child = None;
        for _ in 0..=*step {
            let element = element(der, at).filter(|element| element.end <= range.end)?;
            at = element.end;
            child = Some(element);
        }
        range = child?;
    }
    Some(range)
}

/// The content of the element at `at`.
fn element(der: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let first = usize::from(*der.get(at + 1)?);
    let (octets, length) = match first {
        0..=0x7F => (0, first),
        0x81..=0x84 => {
            let octets = first - 0x80;
            let length = der.get(at + 2..at + 2 + octets)?;
            (octets, length.iter().fold(0usize, |length, octet| (length << 8) | usize::from(*octet)))
        }
        _ => return None,
    };
    let start = at + 2 + octets;
    let end = start.checked_add(length).filter(|end| *end <= der.len())?;
    Some(start..end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn elements_are_found_by_their_place() {
        // SEQUENCE { INTEGER 1, SEQUENCE { OCTET STRING 02 03 } }
        let der = [0x30, 0x09, 0x02, 0x01, 0x01, 0x30, 0x04, 0x04, 0x02, 0x02, 0x03];
        assert_eq!(inside(&der, &(0..der.len()), &[0, 1, 0]), Some(9..11));
        assert_eq!(inside(&der, &(0..der.len()), &[0, 2]), None);
        assert_eq!(element(&[0x04, 0x05, 0x00], 0), None);
    }

    #[test]
    fn a_mail_around_other_octets_gives_them_back() {
        let mail = with_cms(b"A: b\r\n\r\nAAAA\r\n", &[7; 100]).unwrap();
        assert_eq!(cms(&mail).unwrap(), [7; 100]);
        assert!(mail.starts_with(b"A: b\r\n\r\n"));
    }
}
