//! What stands within what (RFC 8551 3, RFC 2634 1.1): a signature around the envelope, the envelope, a signature inside, the content;
//! each layer read as it comes, none of it believed.

use crate::algorithm::{Digesting, Digests, oid};
use crate::ber;
use crate::bounds;
use crate::enveloped_data::{ContentEncryption, ContentKey, Floor, Head, Reading, read_content};
use crate::error::OpenError;
use crate::key::PrivateKey;
use crate::mime::{self, Body, Entity, MimeError};
use crate::signed_data::{self, SignedData};
use crate::stream::tlv::Tlv;
use crate::stream::{Input, Keep, Source, drain, push_secret};
use std::io::{BufRead, Cursor, Seek};
use zeroize::Zeroizing;

/// What opens a mail, and opens it again.
pub(crate) struct Opening {
    head: Head,
    key: ContentKey,
    /// The attributes that are authenticated with the content, once they were seen.
    authenticated: Option<Vec<u8>>,
    /// What was encrypted and then signed: the signature, and the entity that it was taken off.
    outer: Option<(Passed, Vec<u8>)>,
}

/// What a mail holds, without its content.
#[derive(PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) encryption: ContentEncryption,
    /// The signature inside.
    pub(crate) inner: Option<Passed>,
    /// The signature around the envelope (RFC 2634 1.1: the third layer of a triple wrap).
    pub(crate) outer: Option<Passed>,
    pub(crate) digests: Digests,
    /// The content's header section.
    pub(crate) head: Zeroizing<Vec<u8>>,
}

/// A SignedData without its content, in definite lengths, and its content's digests.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) cms: Zeroizing<Vec<u8>>,
    pub(crate) digests: Digests,
}

impl Opening {
    /// Finds what is meant for the card, and has the card give up the key to it.
    pub(crate) async fn begin(
        mail: &mut (impl BufRead + Seek + Send),
        key: &dyn PrivateKey,
        floor: Floor,
    ) -> Result<Self, OpenError> {
        let (head, outer) = match envelope_head(mail)? {
            Around::Envelope(head) => (head, None),
            Around::Signature(passed, entity) => match envelope_head(&mut Cursor::new(&entity))? {
                Around::Envelope(head) => (head, Some((passed, entity))),
                Around::Signature(..) => return Err(OpenError::NotSealed),
            },
        };
        let envelope = head.envelope(key.certificate(), floor)?;
        let answer = key.raw(&envelope.block()?).await?;
        let key = envelope.content_key(&answer)?;
        Ok(Self { head, key, authenticated: None, outer })
    }

    /// Reads the whole mail. What it holds goes into what `keep` makes; that counts only if all is sound.
    ///
    /// Attributes are authenticated before the content and stand behind it: with them it takes two readings. They are remembered,
    /// so that whoever reads the mail another time gets its content once.
    pub(crate) fn read<K: Keep>(
        &mut self,
        mail: &mut (impl BufRead + Seek),
        keep: impl Fn() -> K,
    ) -> Result<(Found, K), OpenError> {
        loop {
            let mut kept = keep();
            let reading = match &self.outer {
                None => self.read_envelope(mail, &mut kept),
                Some((_, entity)) => self.read_envelope(&mut Cursor::new(entity), &mut kept),
            };
            match reading? {
                Reading::Done(found) => {
                    self.authenticated.get_or_insert_default();
                    let outer = self.outer.as_ref().map(|(passed, _)| passed.clone());
                    return Ok((Found { outer, ..found }, kept));
                }
                Reading::Again(attributes) if self.authenticated.is_none() => self.authenticated = Some(attributes),
                Reading::Again(_) => return Err(OpenError::Changed),
            }
        }
    }

    fn read_envelope(
        &self,
        mail: &mut (impl BufRead + Seek),
        keep: &mut impl Keep,
    ) -> Result<Reading<Found>, OpenError> {
        let mut tlv = object(mail)?;
        if Head::read(signed_data::content_info_kind(&mut tlv)?, &mut tlv)? != self.head {
            return Err(OpenError::Changed);
        }
        let authenticated = self.authenticated.as_deref().unwrap_or_default();
        read_content(&mut tlv, &self.key, authenticated, |source| {
            let found = read_inside(source, self.key.encryption, keep)?;
            // Where nothing else shows a change, what is not signed may be anything.
            let shown = found.inner.is_some() || self.outer.is_some() || self.key.encryption.is_authenticated();
            if shown { Ok(found) } else { Err(OpenError::CannotDecrypt) }
        })
    }
}

/// What a mail is at its outside.
pub(crate) enum Around {
    Envelope(Head),
    /// A signature, and the entity in it.
    Signature(Passed, Vec<u8>),
}

/// The CMS object of a mail, whose header section said that it is one.
fn object<M: BufRead + Seek>(mail: &mut M) -> Result<Tlv<Body<Input<&mut M>>>, OpenError> {
    let (header, source) = header(mail)?;
    Ok(Tlv::new(Body::of(&Entity::parse(&header)?, source)?, OpenError::Malformed))
}

fn header<M: BufRead + Seek>(mail: &mut M) -> Result<(Zeroizing<Vec<u8>>, Input<&mut M>), OpenError> {
    mail.rewind().map_err(|error| OpenError::Read(error.to_string()))?;
    let mut source = Input::new(mail, bounds::MESSAGE);
    Ok((mime::header_section(&mut source)?, source))
}

pub(crate) fn envelope_head(mail: &mut (impl BufRead + Seek)) -> Result<Around, OpenError> {
    let (mut whole, mut source) = header(mail)?;
    let content_type = Entity::parse(&whole)?.content_type()?;
    if content_type.essence == "multipart/signed" {
        drain(&mut source, |piece| {
            push_secret(&mut whole, piece);
            Ok(())
        })?;
        let (entity, cms) = multipart_signed(&Entity::parse(&whole)?, &content_type)?;
        return Ok(Around::Signature(passed(&entity, cms)?, entity));
    }
    if !content_type.is_pkcs7("pkcs7-mime") && content_type.essence != "application/octet-stream" {
        return Err(OpenError::NotSealed);
    }
    // What it is, its object identifier says; smime-type is only a hint (STANDARDS, rule 6).
    let mut tlv = object(mail)?;
    let kind = signed_data::content_info_kind(&mut tlv)?;
    if kind != oid::ID_SIGNED_DATA {
        return Head::read(kind, &mut tlv).map(Around::Envelope);
    }
    let mut entity = Entirely(Vec::new());
    let signed = signed_data::read_passing(&mut tlv, &mut entity)?;
    Ok(Around::Signature(Passed { cms: Zeroizing::new(signed.cms), digests: signed.digests }, entity.0))
}

/// Into memory that grows: of what is encrypted, and of what the whole is needed for.
struct Entirely(Vec<u8>);

impl Keep for Entirely {
    fn put(&mut self, octets: &[u8]) -> Result<(), OpenError> {
        self.0.extend_from_slice(octets);
        Ok(())
    }
}

/// A signature that stood beside `entity`.
pub(crate) fn passed(entity: &[u8], cms: Vec<u8>) -> Result<Passed, OpenError> {
    let signed = SignedData::read(&cms).map_err(|_| OpenError::SignatureMalformed)?;
    let digests = Digests::of(entity, signed.digest_algorithm().as_slice());
    Ok(Passed { cms: Zeroizing::new(cms), digests })
}

/// What is inside the envelope.
fn read_inside(
    source: &mut impl Source,
    encryption: ContentEncryption,
    keep: &mut impl Keep,
) -> Result<Found, OpenError> {
    let unsigned = |_: OpenError| OpenError::Unsigned;
    let header = mime::header_section(source).map_err(unsigned)?;
    let entity = Entity::parse(&header).map_err(|_| OpenError::Unsigned)?;
    let content_type = entity.content_type().map_err(|_| OpenError::Unsigned)?;
    if content_type.is_pkcs7("pkcs7-mime") {
        let malformed = OpenError::SignatureMalformed;
        let body = Body::of(&entity, source).map_err(|_| malformed.clone())?;
        let mut tlv = Tlv::new(body, malformed.clone());
        let read = signed_data::content_info_kind(&mut tlv).and_then(|kind| match kind {
            oid::ID_SIGNED_DATA => signed_data::read_passing(&mut tlv, keep),
            _ => Err(malformed.clone()),
        });
        let signed = read.map_err(|error| match error {
            // Text that is no base64.
            OpenError::Mime(_) => malformed.clone(),
            other => other,
        })?;
        SignedData::read(&signed.cms).map_err(|_| malformed)?;
        let inner = Some(Passed { cms: Zeroizing::new(signed.cms), digests: signed.digests.clone() });
        return Ok(Found { encryption, inner, outer: None, digests: signed.digests, head: signed.head });
    }
    if content_type.essence != "multipart/signed" {
        let (mut digesting, mut head) = (Digesting::new(&[]), signed_data::Head::default());
        digesting.update(&header);
        head.update(&header);
        keep.put(&header)?;
        drain(source, |piece| {
            digesting.update(piece);
            keep.put(piece)
        })?;
        return Ok(Found { encryption, inner: None, outer: None, digests: digesting.finish(), head: head.octets });
    }
    let mut whole = Zeroizing::new(header.to_vec());
    drain(source, |piece| {
        push_secret(&mut whole, piece);
        Ok(())
    })?;
    let entity = Entity::parse(&whole).map_err(|_| OpenError::Unsigned)?;
    let (signed, cms) = multipart_signed(&entity, &content_type)?;
    let signed = Zeroizing::new(signed);
    let inner = passed(&signed, cms)?;
    let mut head = signed_data::Head::default();
    head.update(&signed);
    keep.put(&signed)?;
    Ok(Found { encryption, digests: inner.digests.clone(), inner: Some(inner), outer: None, head: head.octets })
}

/// The canonical first part of multipart/signed and the SignedData of the second (RFC 8551 3.5.3).
pub(crate) fn multipart_signed(
    entity: &Entity<'_>,
    content_type: &mime::ContentType,
) -> Result<(Vec<u8>, Vec<u8>), OpenError> {
    if content_type.essence != "multipart/signed" {
        return Err(OpenError::Unsigned);
    }
    let malformed = |_: MimeError| OpenError::SignatureMalformed;
    let (first, second) = entity.signed_parts(content_type).map_err(malformed)?;
    let second = Entity::parse(second).map_err(malformed)?;
    if !second.content_type().map_err(malformed)?.is_pkcs7("pkcs7-signature") {
        return Err(OpenError::Unsigned);
    }
    let cms = ber::definite(second.decoded().map_err(malformed)?).map_err(|_| OpenError::SignatureMalformed)?;
    if SignedData::read(&cms).map_err(|_| OpenError::SignatureMalformed)?.content.is_some() {
        return Err(OpenError::SignatureMalformed);
    }
    Ok((mime::canonical(first), cms))
}
