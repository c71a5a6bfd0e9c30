//! The ASN.1 of OCSP: RFC 6960 appendix B (1988 syntax), with the nonce of RFC 9654, for both ends of the wire.

use der::asn1::{Any, BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString};
use der::{Choice, Decode, Encode, Enumerated, Sequence};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;

/// id-sha1.
pub const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
/// id-sha256.
pub const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// id-pkix-ocsp-basic (RFC 6960 4.2.1).
pub const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// id-pkix-ocsp-nonce (RFC 9654 2.1).
pub const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
/// id-pkix-ocsp-nocheck (RFC 6960 4.2.2.2.1).
pub const NO_CHECK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5");
/// id-kp-OCSPSigning (RFC 6960 4.2.2.2).
pub const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");

/// CertID: which certificate is meant, by hashes of its issuer's name and key and its serial number.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct CertId {
    /// The hash used in the next two fields.
    pub hash_algorithm: AlgorithmIdentifierOwned,
    /// Hash of the issuer's distinguished name, DER.
    pub issuer_name_hash: OctetString,
    /// Hash of the issuer's public key: the BIT STRING's value, without tag, length and unused-bits octet.
    pub issuer_key_hash: OctetString,
    /// Serial number of the certificate.
    pub serial_number: SerialNumber,
}

impl CertId {
    /// The CertID with SHA-256 of the certificate `serial_number` issued by `issuer`.
    pub fn sha256(issuer: &Certificate, serial_number: SerialNumber) -> der::Result<Self> {
        Self::new::<Sha256>(SHA_256, issuer, serial_number)
    }

    /// The CertID with SHA-1, which RFC 6960 still makes every responder understand.
    pub fn sha1(issuer: &Certificate, serial_number: SerialNumber) -> der::Result<Self> {
        Self::new::<Sha1>(SHA_1, issuer, serial_number)
    }

    fn new<D: Digest>(oid: ObjectIdentifier, issuer: &Certificate, serial_number: SerialNumber) -> der::Result<Self> {
        let tbs = issuer.tbs_certificate();
        let key = &tbs.subject_public_key_info().subject_public_key;
        Ok(Self {
            hash_algorithm: AlgorithmIdentifierOwned { oid, parameters: Some(Null.into()) },
            issuer_name_hash: OctetString::new(D::digest(tbs.subject().to_der()?).as_slice())?,
            issuer_key_hash: OctetString::new(D::digest(key.raw_bytes()).as_slice())?,
            serial_number,
        })
    }

    /// Whether both name the same certificate. Absent and NULL hash parameters are the same thing.
    pub fn matches(&self, other: &Self) -> bool {
        self.hash_algorithm.oid == other.hash_algorithm.oid
            && self.issuer_name_hash == other.issuer_name_hash
            && self.issuer_key_hash == other.issuer_key_hash
            && self.serial_number == other.serial_number
    }
}

/// OCSPRequest. The optional signature is read past: nothing is granted on it.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct OcspRequest {
    /// What is asked.
    pub tbs_request: TbsRequest,
    /// The requestor's signature, unread.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub optional_signature: Option<Any>,
}

/// TBSRequest.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TbsRequest {
    /// v1 is 0.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    pub version: u8,
    /// Who asks.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub requestor_name: Option<GeneralName>,
    /// The certificates asked about.
    pub request_list: Vec<SingleRequest>,
    /// Among them the nonce.
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    pub request_extensions: Option<Vec<Extension>>,
}

/// Request: one certificate asked about.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SingleRequest {
    /// Which one.
    pub req_cert: CertId,
    /// Extensions for this one.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub single_request_extensions: Option<Vec<Extension>>,
}

/// OCSPResponseStatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumerated)]
#[repr(u8)]
pub enum ResponseStatus {
    /// There is an answer.
    Successful = 0,
    /// The request does not conform.
    MalformedRequest = 1,
    /// The responder is in trouble.
    InternalError = 2,
    /// Ask again later.
    TryLater = 3,
    /// Requests must be signed.
    SigRequired = 5,
    /// The responder cannot answer for this certificate, or not to us.
    Unauthorized = 6,
}

/// OCSPResponse.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct OcspResponse {
    /// Whether there is an answer.
    pub response_status: ResponseStatus,
    /// The answer.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub response_bytes: Option<ResponseBytes>,
}

/// ResponseBytes.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct ResponseBytes {
    /// [`BASIC`].
    pub response_type: ObjectIdentifier,
    /// A DER [`BasicOcspResponse`].
    pub response: OctetString,
}

/// BasicOCSPResponse. The signed part is kept as it came, so that the signature is checked over what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct BasicOcspResponse {
    /// A DER [`ResponseData`].
    pub tbs_response_data: Any,
    /// How it is signed.
    pub signature_algorithm: AlgorithmIdentifierOwned,
    /// The signature.
    pub signature: BitString,
    /// Certificates that help to verify the signature.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub certs: Option<Vec<Any>>,
}

/// ResponseData.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct ResponseData {
    /// v1 is 0.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    pub version: u8,
    /// Who signed.
    pub responder_id: ResponderId,
    /// When this was signed.
    pub produced_at: GeneralizedTime,
    /// One for each certificate asked about.
    pub responses: Vec<SingleResponse>,
    /// Among them the nonce.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub response_extensions: Option<Vec<Extension>>,
}

/// ResponderID.
#[derive(Clone, Debug, PartialEq, Eq, Choice)]
pub enum ResponderId {
    /// By the subject of its certificate.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", constructed = "true")]
    ByName(Name),
    /// By SHA-1 of its public key.
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", constructed = "true")]
    ByKey(OctetString),
}

impl ResponderId {
    /// byKey of the public key in `certificate`.
    pub fn by_key(certificate: &Certificate) -> der::Result<Self> {
        Ok(Self::ByKey(OctetString::new(key_hash(certificate).as_slice())?))
    }

    /// Whether `certificate` is the responder's.
    pub fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::ByName(name) => name == certificate.tbs_certificate().subject(),
            Self::ByKey(hash) => hash.as_bytes() == key_hash(certificate).as_slice(),
        }
    }
}

fn key_hash(certificate: &Certificate) -> [u8; 20] {
    let spki = certificate.tbs_certificate().subject_public_key_info();
    Sha1::digest(spki.subject_public_key.raw_bytes()).into()
}

/// SingleResponse.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SingleResponse {
    /// Which certificate this is about.
    pub cert_id: CertId,
    /// Its status.
    pub cert_status: CertStatus,
    /// When the status was known to be right.
    pub this_update: GeneralizedTime,
    /// When newer information will be there at the latest.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub next_update: Option<GeneralizedTime>,
    /// Extensions for this one.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub single_extensions: Option<Vec<Extension>>,
}

/// CertStatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum CertStatus {
    /// Not revoked.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Good(Null),
    /// Revoked, for ever or for now.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true")]
    Revoked(RevokedInfo),
    /// The responder knows nothing of it.
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT")]
    Unknown(Null),
}

/// RevokedInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Sequence)]
pub struct RevokedInfo {
    /// Since when.
    pub revocation_time: GeneralizedTime,
    /// Why.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub revocation_reason: Option<CrlReason>,
}

/// The nonce extension holding `nonce` (an OCTET STRING inside the extension's OCTET STRING).
pub fn nonce_extension(nonce: &[u8]) -> der::Result<Extension> {
    Ok(Extension { extn_id: NONCE, critical: false, extn_value: OctetString::new(OctetString::new(nonce)?.to_der()?)? })
}

/// The nonce among `extensions`: `None` if absent, an error if repeated, not an OCTET STRING, or not of 1 to 128
/// octets (RFC 9654 2.1).
pub fn nonce(extensions: Option<&[Extension]>) -> der::Result<Option<Vec<u8>>> {
    let mut found = extensions.unwrap_or_default().iter().filter(|extension| extension.extn_id == NONCE);
    let Some(extension) = found.next() else {
        return Ok(None);
    };
    let value = OctetString::from_der(extension.extn_value.as_bytes())?;
    if found.next().is_some() || !(1..=128).contains(&value.as_bytes().len()) {
        return Err(der::ErrorKind::Failed.into());
    }
    Ok(Some(value.as_bytes().to_vec()))
}
