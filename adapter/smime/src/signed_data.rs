//! SignedData: making one with a card, reading one, checking one (RFC 5652 5, RFC 8551 2.5, RFC 5035).

use crate::algorithm::{Algorithm, Digesting, Digests, Hash, oid};
use crate::asn1::{self, Layer, Malformed, Reader, Value, tag};
use crate::bounds;
use crate::error::{OpenError, SealError};
use crate::path::{self, Fields, KeyType, Use};
use crate::rsa_padding;
use crate::seal::Signing;
use crate::signature;
use crate::stream::tlv::Tlv;
use crate::stream::{Keep, Source, drain, push_secret};
use der::asn1::ObjectIdentifier;
use sha2::{Digest, Sha256};
use std::time::SystemTime;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A signature, and what makes a SignedData of it.
pub(crate) struct Made {
    pub(crate) signature: Vec<u8>,
    pub(crate) content_digest: [u8; 32],
    /// SHA-256 of the signed attributes, as the signature covers them.
    pub(crate) attributes_digest: [u8; 32],
    kind: ObjectIdentifier,
    digest_algorithms: Vec<u8>,
    certificates: Vec<u8>,
    signer_infos: Vec<u8>,
}

/// Signs content of this type and SHA-256 digest. `extra` are further signed attributes: type and encoded value.
pub(crate) async fn sign(
    kind: ObjectIdentifier,
    content_digest: [u8; 32],
    signing: &Signing<'_>,
    extra: &[(ObjectIdentifier, Vec<u8>)],
) -> Result<Made, SealError> {
    let certificate = signing.key.certificate();
    let fields = Fields::of(certificate).map_err(|_| SealError::NotForSigning)?;
    if !path::allows(certificate, Use::Sign).map_err(|_| SealError::NotForSigning)? {
        return Err(SealError::NotForSigning);
    }

    let time = asn1::time(signing.signing_time).map_err(|_| SealError::SigningTime)?;
    let mut attributes = vec![
        attribute(&oid::ID_CONTENT_TYPE, &asn1::object_identifier(&kind)),
        attribute(&oid::ID_MESSAGE_DIGEST, &asn1::octet_string(&content_digest)),
        attribute(&oid::ID_SIGNING_TIME, &time),
        attribute(&oid::ID_AA_SIGNING_CERTIFICATE_V2, &signing_certificate_v2(certificate, &fields)),
    ];
    attributes.extend(extra.iter().map(|(kind, value)| attribute(kind, value)));
    let to_sign = asn1::set_of(tag::SET, attributes.clone());

    let digest: [u8; 32] = Sha256::digest(&to_sign).into();
    let null = asn1::value::<[u8; 0]>(tag::NULL, &[]);
    let (block, algorithm) = match fields.key_type().map_err(|_| SealError::NotForSigning)? {
        KeyType::Rsa => {
            let length = fields.rsa_modulus().map_err(|_| SealError::NotForSigning)?.len();
            let block = rsa_padding::emsa_pkcs1_v1_5(&digest, length).ok_or(SealError::NotForSigning)?;
            (block, asn1::algorithm(&oid::SHA256_WITH_RSA, &null))
        }
        KeyType::P256 => (digest.to_vec(), asn1::algorithm(&oid::ECDSA_WITH_SHA256, &[])),
        _ => return Err(SealError::NotForSigning),
    };
    let signature = signing.key.raw(&block).await?.to_vec();

    if !signature::is_well_formed(&fields, &signature) {
        return Err(SealError::NoSignature);
    }
    // A signature that does not hold would only be found at the other end (and a faulty one can betray the key).
    let read = asn1::single(&algorithm, tag::SEQUENCE)
        .and_then(|value| Algorithm::read(&value))
        .map_err(|_| SealError::NotForSigning)?;
    signature::verify(certificate, &read, Hash::Sha256, &to_sign, &signature).map_err(|_| SealError::WrongKey)?;

    let sha256 = asn1::algorithm(&oid::ID_SHA256, &[]);
    let signer_info = asn1::sequence(&[
        asn1::small_integer(1),
        fields.issuer_and_serial(),
        sha256.clone(),
        asn1::set_of(tag::constructed(0), attributes),
        algorithm,
        asn1::octet_string(&signature),
    ]);
    let mut certificates = vec![certificate.to_vec()];
    certificates.extend(signing.chain.iter().take(bounds::CERTIFICATES - 1).cloned());
    certificates.sort();
    certificates.dedup();
    Ok(Made {
        signature,
        content_digest,
        attributes_digest: digest,
        kind,
        digest_algorithms: asn1::value(tag::SET, &[sha256]),
        certificates: asn1::set_of(tag::constructed(0), certificates),
        signer_infos: asn1::value(tag::SET, &[signer_info]),
    })
}

impl Made {
    /// The SignedData as a ContentInfo, around content of so many octets: what stands before and behind it.
    pub(crate) fn around(&self, length: usize) -> (Vec<u8>, Vec<u8>) {
        self.layers(&[Layer::new(tag::constructed(0), &[]), Layer::new(tag::OCTET_STRING, &[])], length)
    }

    /// The same beside content that stands elsewhere.
    pub(crate) fn detached(&self) -> Vec<u8> {
        let (before, behind) = self.layers(&[], 0);
        [before, behind].concat()
    }

    fn layers(&self, inmost: &[Layer<'_>], length: usize) -> (Vec<u8>, Vec<u8>) {
        // RFC 5652 5.1: version 3 for whatever is not plain data.
        let version = asn1::small_integer(if self.kind == oid::ID_DATA { 1 } else { 3 });
        let before = [version.as_slice(), &self.digest_algorithms].concat();
        let behind = [self.certificates.as_slice(), &self.signer_infos].concat();
        let (signed_data, kind) = (asn1::object_identifier(&oid::ID_SIGNED_DATA), asn1::object_identifier(&self.kind));
        let mut layers = vec![
            Layer::new(tag::SEQUENCE, &signed_data),
            Layer::new(tag::constructed(0), &[]),
            Layer { tag: tag::SEQUENCE, before: &before, behind: &behind },
            Layer::new(tag::SEQUENCE, &kind),
        ];
        layers.extend(inmost.iter().copied());
        asn1::around(&layers, length)
    }
}

/// ContentInfo (RFC 5652 3).
pub(crate) fn content_info(kind: &ObjectIdentifier, content: &[u8]) -> Vec<u8> {
    asn1::sequence(&[asn1::object_identifier(kind), asn1::value(tag::constructed(0), &[content])])
}

/// Goes into a ContentInfo, as far as behind its contentType.
pub(crate) fn content_info_kind<S: Source>(tlv: &mut Tlv<S>) -> Result<ObjectIdentifier, OpenError> {
    tlv.enter(tag::SEQUENCE)?;
    let kind = tlv.value(bounds::ASN1_SMALL)?;
    tlv.object_identifier(&kind)
}

/// The content of a ContentInfo in definite lengths, with its type.
pub(crate) fn read_content_info(cms: &[u8]) -> Result<(ObjectIdentifier, Value<'_>), Malformed> {
    let mut info = asn1::single(cms, tag::SEQUENCE)?.reader();
    let kind = info.value()?.object_identifier()?;
    let content = info.expect(tag::constructed(0))?;
    info.end()?;
    Ok((kind, asn1::single(content.content, tag::SEQUENCE)?))
}

fn attribute(kind: &ObjectIdentifier, value: &[u8]) -> Vec<u8> {
    asn1::sequence(&[asn1::object_identifier(kind), asn1::value(tag::SET, &[value])])
}

/// SigningCertificateV2 with one ESSCertIDv2, its hash the default SHA-256 (RFC 5035 3).
fn signing_certificate_v2(certificate: &[u8], fields: &Fields<'_>) -> Vec<u8> {
    let directory_name = asn1::value(tag::constructed(4), &[fields.issuer]);
    let issuer_serial =
        asn1::sequence(&[asn1::sequence(&[directory_name]), asn1::value(tag::INTEGER, &[fields.serial])]);
    let id = asn1::sequence(&[asn1::octet_string(&Sha256::digest(certificate)), issuer_serial]);
    asn1::sequence(&[asn1::sequence(&[id])])
}

/// Whom a SignerInfo names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SignerIdentifier<'a> {
    /// Encoded IssuerAndSerialNumber.
    IssuerAndSerialNumber(&'a [u8]),
    SubjectKeyIdentifier(&'a [u8]),
}

impl SignerIdentifier<'_> {
    pub(crate) fn names(&self, certificate: &[u8]) -> bool {
        match self {
            Self::IssuerAndSerialNumber(name) => Fields::of(certificate).is_ok_and(|fields| fields.is_named_by(name)),
            Self::SubjectKeyIdentifier(identifier) => {
                path::subject_key_identifier(certificate).is_some_and(|own| own == *identifier)
            }
        }
    }
}

/// A SignedData whose content has gone by.
pub(crate) struct Passed {
    /// The same without its content, in definite lengths.
    pub(crate) cms: Vec<u8>,
    pub(crate) digests: Digests,
    /// The content's own header section, as far as it has one.
    pub(crate) head: Zeroizing<Vec<u8>>,
}

/// Reads on from a ContentInfo's contentType; the content is digested, and kept.
pub(crate) fn read_passing<S: Source>(tlv: &mut Tlv<S>, keep: &mut impl Keep) -> Result<Passed, OpenError> {
    tlv.enter(tag::constructed(0))?;
    tlv.enter(tag::SEQUENCE)?;
    let version = tlv.value(bounds::ASN1_SMALL)?;
    let digest_algorithms = tlv.value(bounds::ASN1_SET)?;
    tlv.enter(tag::SEQUENCE)?;
    let content_type = tlv.value(bounds::ASN1_SMALL)?;
    let mut digesting = Digesting::new(&hashes(&digest_algorithms));
    let mut head = Head::default();
    tlv.enter(tag::constructed(0))?;
    drain(&mut tlv.string(tag::OCTET_STRING, tag::CONSTRUCTED_OCTET_STRING)?, |piece| {
        digesting.update(piece);
        head.update(piece);
        keep.put(piece)
    })?;
    tlv.leave()?;
    tlv.leave()?;
    let certificates = tlv.optional(tag::constructed(0), bounds::ASN1_SET)?.unwrap_or_default();
    tlv.optional(tag::constructed(1), bounds::ASN1_SET)?;
    let signer_infos = tlv.value(bounds::ASN1_SET)?;
    tlv.leave()?;
    tlv.leave()?;
    tlv.leave()?;
    tlv.end()?;
    let signed_data =
        asn1::sequence(&[version, digest_algorithms, asn1::sequence(&[content_type]), certificates, signer_infos]);
    let cms = content_info(&oid::ID_SIGNED_DATA, &signed_data);
    Ok(Passed { cms, digests: digesting.finish(), head: head.octets })
}

/// What is to be digested with. Whatever else stands there is nothing that may sign.
fn hashes(digest_algorithms: &[u8]) -> Vec<Hash> {
    let all = asn1::single(digest_algorithms, tag::SET).and_then(|set| set.reader().all(bounds::ATTRIBUTES));
    let algorithms = all.unwrap_or_default();
    algorithms.iter().filter_map(|value| Hash::from_oid(Algorithm::read(value).ok()?.oid)).collect()
}

/// Collects a header section, up to its empty line.
#[derive(Default)]
pub(crate) struct Head {
    pub(crate) octets: Zeroizing<Vec<u8>>,
    complete: bool,
}

impl Head {
    pub(crate) fn update(&mut self, piece: &[u8]) {
        if self.complete {
            return;
        }
        let room = bounds::HEADER_SECTION.saturating_sub(self.octets.len());
        let from = self.octets.len().saturating_sub(3);
        push_secret(&mut self.octets, piece.get(..room).unwrap_or(piece));
        let new = self.octets.get(from..).unwrap_or_default();
        let ends = [&b"\n\r\n"[..], b"\n\n"].map(|end| memchr::memmem::find(new, end).map(|at| from + at + end.len()));
        let begins_empty = self.octets.starts_with(b"\r\n") || self.octets.starts_with(b"\n");
        if let Some(end) = ends.into_iter().flatten().min() {
            self.octets.truncate(end);
        }
        self.complete = begins_empty || ends.iter().any(Option::is_some) || self.octets.len() >= bounds::HEADER_SECTION;
    }
}

/// A SignedData with its one SignerInfo, read but not believed.
#[derive(Debug)]
pub(crate) struct SignedData<'a> {
    pub(crate) content: Option<&'a [u8]>,
    pub(crate) certificates: Vec<&'a [u8]>,
    pub(crate) signer: SignerIdentifier<'a>,
    pub(crate) content_type: ObjectIdentifier,
    digest_algorithm: Algorithm<'a>,
    attributes: Vec<Value<'a>>,
    signature_algorithm: Algorithm<'a>,
    pub(crate) signature: &'a [u8],
}

impl<'a> SignedData<'a> {
    /// Reads a ContentInfo in definite lengths.
    pub(crate) fn read(cms: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, content) = read_content_info(cms)?;
        if kind != oid::ID_SIGNED_DATA {
            return Err(Malformed);
        }
        let mut data = content.reader();
        data.expect(tag::INTEGER)?;
        data.expect(tag::SET)?;
        let mut encapsulated = data.expect(tag::SEQUENCE)?.reader();
        let content_type = encapsulated.value()?.object_identifier()?;
        let content = match encapsulated.optional(tag::constructed(0))? {
            Some(explicit) => Some(asn1::single(explicit.content, tag::OCTET_STRING)?.content),
            None => None,
        };
        encapsulated.end()?;
        let certificates = match data.optional(tag::constructed(0))? {
            Some(set) => set.reader().all(bounds::CERTIFICATES)?,
            None => Vec::new(),
        };
        data.optional(tag::constructed(1))?;
        let signers = data.expect(tag::SET)?;
        data.end()?;

        // One signer, one verdict: a second signature could only blur whose word this is.
        let mut info = asn1::single(signers.content, tag::SEQUENCE)?.reader();
        info.expect(tag::INTEGER)?;
        let sid = info.value()?;
        let signer = match sid.tag {
            tag::SEQUENCE => SignerIdentifier::IssuerAndSerialNumber(sid.whole),
            other if other == tag::context(0) => SignerIdentifier::SubjectKeyIdentifier(sid.content),
            _ => return Err(Malformed),
        };
        let digest_algorithm = Algorithm::read(&info.value()?)?;
        let attributes = match info.optional(tag::constructed(0))? {
            Some(set) => set.reader().all(bounds::ATTRIBUTES)?,
            None => Vec::new(),
        };
        let signature_algorithm = Algorithm::read(&info.value()?)?;
        let signature = info.expect(tag::OCTET_STRING)?.content;
        info.optional(tag::constructed(1))?;
        info.end()?;
        Ok(Self {
            content,
            // Attribute certificates and other choices are of no use here.
            certificates: certificates.iter().filter(|one| one.tag == tag::SEQUENCE).map(|one| one.whole).collect(),
            signer,
            content_type,
            digest_algorithm,
            attributes,
            signature_algorithm,
            signature,
        })
    }

    /// The one value of a signed attribute, `None` if there is no such attribute.
    pub(crate) fn attribute(&self, kind: ObjectIdentifier) -> Result<Option<Value<'a>>, Malformed> {
        let mut found = None;
        for attribute in &self.attributes {
            let mut reader = asn1::single(attribute.whole, tag::SEQUENCE)?.reader();
            if reader.value()?.object_identifier()? != kind {
                continue;
            }
            let mut values = reader.expect(tag::SET)?.reader();
            let value = values.value()?;
            values.end()?;
            if found.replace(value).is_some() {
                return Err(Malformed);
            }
        }
        Ok(found)
    }

    /// The signer's certificate: among those that are known of them, else among those sent along.
    pub(crate) fn signer_among<'c>(&self, known: Option<&'c [Vec<u8>]>) -> Option<&'c [u8]>
    where
        'a: 'c,
    {
        match known {
            Some(known) => known.iter().map(Vec::as_slice).find(|one| self.signer.names(one)),
            None => self.certificates.iter().copied().find(|one| self.signer.names(one)),
        }
    }

    pub(crate) fn digest_algorithm(&self) -> Option<Hash> {
        Hash::from_oid(self.digest_algorithm.oid).filter(|hash| hash.signs())
    }

    /// What the signature covers: the attributes' DER as a SET OF, whatever tag and order they came in (RFC 5652 5.4).
    pub(crate) fn signed_attributes(&self) -> Vec<u8> {
        asn1::set_of(tag::SET, self.attributes.iter().map(|attribute| attribute.whole.to_vec()).collect())
    }

    pub(crate) fn signing_time(&self) -> Result<Option<SystemTime>, OpenError> {
        let value = self.attribute(oid::ID_SIGNING_TIME).map_err(|_| OpenError::Attribute("signingTime"))?;
        value.map(|value| value.time()).transpose().map_err(|_| OpenError::Attribute("signingTime"))
    }

    /// Is content of these digests what the holder of `certificate` signed (RFC 5652 5.4, 5.6; RFC 5035 5.4)?
    pub(crate) fn verify(&self, digests: &Digests, certificate: &[u8]) -> Result<(), OpenError> {
        let hash = self
            .digest_algorithm()
            .ok_or_else(|| OpenError::SignatureAlgorithm(self.digest_algorithm.oid.to_string()))?;

        let content_type = self
            .attribute(oid::ID_CONTENT_TYPE)
            .and_then(|value| value.ok_or(Malformed)?.object_identifier())
            .map_err(|_| OpenError::Attribute("contentType"))?;
        // What is signed besides data is a receipt, and that is for its own reader to take.
        if content_type != self.content_type || ![oid::ID_DATA, oid::ID_CT_RECEIPT].contains(&content_type) {
            return Err(OpenError::Attribute("contentType"));
        }
        let digest = self
            .attribute(oid::ID_MESSAGE_DIGEST)
            .and_then(|value| asn1::single(value.ok_or(Malformed)?.whole, tag::OCTET_STRING))
            .map_err(|_| OpenError::Attribute("messageDigest"))?;

        signature::verify(certificate, &self.signature_algorithm, hash, &self.signed_attributes(), self.signature)?;
        // RFC 5652 5.1: which digests are to be made is said before the content.
        let found = digests.get(hash).ok_or(OpenError::SignatureMalformed)?;
        if !bool::from(found.ct_eq(digest.content)) {
            return Err(OpenError::DigestMismatch);
        }
        self.check_signing_certificate(certificate)
    }

    /// The first ESSCertIDv2 has to be the signer's; senders that omit the attribute are bound by the signer's own
    /// certificate having come from the certificate server.
    fn check_signing_certificate(&self, certificate: &[u8]) -> Result<(), OpenError> {
        const NAME: &str = "signingCertificateV2";
        let malformed = |_| OpenError::Attribute(NAME);
        let Some(value) = self.attribute(oid::ID_AA_SIGNING_CERTIFICATE_V2).map_err(malformed)? else {
            return Ok(());
        };
        let (hash, expected) = first_cert_id(&value).map_err(malformed)?;
        let hash = hash.filter(|hash| hash.signs()).ok_or(OpenError::Attribute(NAME))?;
        if bool::from(hash.digest(certificate).ct_eq(expected)) { Ok(()) } else { Err(OpenError::CertificateSwapped) }
    }
}

/// Hash and certHash of the first ESSCertIDv2.
fn first_cert_id<'a>(value: &Value<'a>) -> Result<(Option<Hash>, &'a [u8]), Malformed> {
    let certs = Reader::new(value.whole).expect(tag::SEQUENCE)?.reader().expect(tag::SEQUENCE)?;
    let mut id = certs.reader().expect(tag::SEQUENCE)?.reader();
    let hash = match id.optional(tag::SEQUENCE)? {
        Some(algorithm) => Hash::from_oid(Algorithm::read(&algorithm)?.oid),
        None => Some(Hash::Sha256),
    };
    Ok((hash, id.expect(tag::OCTET_STRING)?.content))
}
