//! What is to be believed of layers that were taken off (ST917-920, RFC 8551 2.4.1): signature, signer, path, time, and for whom.

use crate::algorithm::{Digests, oid};
use crate::error::OpenError;
use crate::layers::{Found, Passed};
use crate::mime::Entity;
use crate::open::{SignedEntity, SignedOnly, SignerHint, Verdict, Verification};
use crate::path::{self, Fields, Use};
use crate::receipt;
use crate::recipients;
use crate::signed_data::{self, SignedData, SignerIdentifier};
use crate::{address, same_address, speaks_for};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// How far the clocks of sender and recipient may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(24 * 60 * 60);

impl Found {
    /// The signature that the content is to be believed by: the one nearest to it.
    pub(crate) fn signature(&self) -> Result<&Passed, OpenError> {
        self.inner.as_ref().or(self.outer.as_ref()).ok_or(OpenError::Unsigned)
    }

    pub(crate) fn signer_hint(&self) -> Result<SignerHint, OpenError> {
        let signed = SignedData::read(&self.signature()?.cms).map_err(|_| OpenError::SignatureMalformed)?;
        let (issuer_and_serial, subject_key_identifier) = match signed.signer {
            SignerIdentifier::IssuerAndSerialNumber(name) => (Some(name.to_vec()), None),
            SignerIdentifier::SubjectKeyIdentifier(identifier) => (None, Some(identifier.to_vec())),
        };
        let certificate = signed.certificates.iter().find(|one| signed.signer.names(one));
        Ok(SignerHint {
            issuer_and_serial,
            subject_key_identifier,
            certificate: certificate.map(|one| one.to_vec()),
            signing_time: signed.signing_time()?,
            certificates: signed.certificates.iter().map(|one| one.to_vec()).collect(),
        })
    }

    /// Checks signature, signer and binding (ST917-920).
    pub(crate) fn verify(&self, against: &Verification<'_>) -> Result<Verdict, OpenError> {
        let nearest = self.signature()?;
        let signed = SignedData::read(&nearest.cms).map_err(|_| OpenError::SignatureMalformed)?;
        let signer = check_sender(&signed, &nearest.digests, against)?;
        if let (Some(_), Some(outer)) = (&self.inner, &self.outer) {
            let around = SignedData::read(&outer.cms).map_err(|_| OpenError::SignatureMalformed)?;
            check_sender(&around, &outer.digests, against)?;
        }
        Ok(Verdict {
            bound: check_binding(&signed, &self.head, self.inner.is_none(), against)?,
            receipt: receipt::terms(&signed, against.recipient)?,
            signing_time: signed.signing_time()?,
            signature: signed.signature.to_vec(),
            signer_certificate: signer,
            content_digest: self.digests.sha256,
            encryption: self.encryption,
        })
    }
}

impl Passed {
    pub(crate) fn believe(
        &self,
        entity: Vec<u8>,
        anchors: &[Vec<u8>],
        now: SystemTime,
        certificates: Option<&[Vec<u8>]>,
        expected_signer: &str,
    ) -> Result<SignedEntity, OpenError> {
        let signed = SignedData::read(&self.cms).map_err(|_| OpenError::SignatureMalformed)?;
        only_data(&signed)?;
        let signer = signed.signer_among(certificates).ok_or(OpenError::UnknownSigner)?;
        check_signer(&signed, &self.digests, signer, expected_signer, anchors, now)?;
        Ok(SignedEntity {
            signer_certificate: signer.to_vec(),
            signing_time: signed.signing_time()?,
            content_digest: self.digests.sha256,
            entity,
        })
    }

    /// Checks a signature that nothing stands around.
    pub(crate) fn verify_alone(&self, entity: Vec<u8>, against: &Verification<'_>) -> Result<SignedOnly, OpenError> {
        let signed = SignedData::read(&self.cms).map_err(|_| OpenError::SignatureMalformed)?;
        check_sender(&signed, &self.digests, against)?;
        let mut head = signed_data::Head::default();
        head.update(&entity);
        let bound = check_binding(&signed, &head.octets, false, against)?;
        Ok(SignedOnly { content: Zeroizing::new(entity), content_digest: self.digests.sha256, bound })
    }
}

/// Was it made for this recipient? The attribute decides; without it, the protected To and Cc.
///
/// What was signed around an envelope `names_this_card` among the recipients: nobody can have sealed it for another.
fn check_binding(
    signed: &SignedData<'_>,
    head: &[u8],
    names_this_card: bool,
    against: &Verification<'_>,
) -> Result<bool, OpenError> {
    const NAME: &str = "recipient-emails";
    let malformed = |_| OpenError::Attribute(NAME);
    if let Some(attribute) = signed.attribute(oid::RECIPIENT_EMAILS).map_err(malformed)? {
        let certificate = Fields::of(against.recipient_certificate).map_err(|_| OpenError::NotForThisCard)?;
        return match recipients::names(&attribute, against.recipient, &certificate).map_err(malformed)? {
            true => Ok(true),
            false => Err(OpenError::SealedForAnother),
        };
    }
    let mut addressees = Vec::new();
    match Entity::parse(head) {
        Ok(entity) => {
            for name in ["to", "cc"] {
                if let Some(field) = entity.field(name)? {
                    addressees.extend(address::address_list(field));
                }
            }
        }
        Err(_) if names_this_card => {}
        Err(error) => return Err(error.into()),
    }
    if addressees.iter().any(|addressee| same_address(addressee, against.recipient)) {
        Ok(true)
    } else if !addressees.is_empty() {
        Err(OpenError::SealedForAnother)
    } else if names_this_card {
        Ok(true)
    } else if against.allow_unbound {
        Ok(false)
    } else {
        Err(OpenError::Unbound)
    }
}

/// Is it data, signed by the sender? The signer's certificate.
fn check_sender(signed: &SignedData<'_>, digests: &Digests, against: &Verification<'_>) -> Result<Vec<u8>, OpenError> {
    let known = against.sender_certificates.iter().find(|certificate| signed.signer.names(certificate));
    let signer = known.ok_or(OpenError::UnknownSigner)?;
    only_data(signed)?;
    check_signer(signed, digests, signer, against.sender, against.anchors, against.now)?;
    // Whoever signs with a certificate that is valid today says when they did, and it had to be valid then too. A day is what
    // clocks may differ by, and cards be younger than what is signed with them.
    if let Some(signing_time) = signed.signing_time()? {
        if against.now + CLOCKS_DIFFER < signing_time {
            return Err(OpenError::Attribute("signingTime"));
        }
        if signing_time + CLOCKS_DIFFER < against.now {
            let between: Vec<Vec<u8>> = signed.certificates.iter().map(|one| one.to_vec()).collect();
            path::check_path(signer, &between, against.anchors, signing_time, Use::Sign)?;
        }
    }
    Ok(signer.clone())
}

/// A mail is data; a receipt that is signed likewise is none.
fn only_data(signed: &SignedData<'_>) -> Result<(), OpenError> {
    if signed.content_type == oid::ID_DATA { Ok(()) } else { Err(OpenError::Attribute("contentType")) }
}

/// Tamper and origin: the signature holds, its certificate is the sender's and leads to an anchor.
pub(crate) fn check_signer(
    signed: &SignedData<'_>,
    digests: &Digests,
    signer: &[u8],
    sender: &str,
    anchors: &[Vec<u8>],
    now: SystemTime,
) -> Result<(), OpenError> {
    signed.verify(digests, signer)?;
    if !speaks_for(signer, sender) {
        return Err(OpenError::SenderMismatch { sender: sender.to_owned(), certified: path::addresses(signer) });
    }
    let between: Vec<Vec<u8>> = signed.certificates.iter().map(|one| one.to_vec()).collect();
    path::check_path(signer, &between, anchors, now, Use::Sign)?;
    Ok(())
}
