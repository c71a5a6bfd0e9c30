//! Signed receipts (RFC 2634 2): the sender asks with a signed attribute, the recipient's card signs what quotes the sender's own
//! signature value, so that it can answer this mail and no other.
//!
//! ```text
//! ReceiptRequest ::= SEQUENCE { signedContentIdentifier OCTET STRING, receiptsFrom ReceiptsFrom,
//!                               receiptsTo SEQUENCE SIZE (1..16) OF GeneralNames }
//! ReceiptsFrom   ::= CHOICE { allOrFirstTier [0] INTEGER, receiptList [1] SEQUENCE OF GeneralNames }
//! Receipt        ::= SEQUENCE { version INTEGER, contentType OBJECT IDENTIFIER,
//!                               signedContentIdentifier OCTET STRING, originatorSignatureValue OCTET STRING }
//! ```

use crate::algorithm::{Digests, Hash, oid};
use crate::asn1::{self, Malformed, Value, tag};
use crate::ber;
use crate::bounds;
use crate::error::{OpenError, SealError};
use crate::mime::{self, Entity};
use crate::path;
use crate::seal::Signing;
use crate::signed_data::{self, SignedData};
use crate::verdict::check_signer;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use std::time::SystemTime;
use subtle::ConstantTimeEq;

/// Most octets of a receipt; they are some 4,000.
const MAX_OCTETS: usize = 256 * 1024;

/// What a receipt has to quote of the mail that it answers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReceiptTerms {
    /// By what the sender names the mail, signedContentIdentifier.
    pub identifier: Vec<u8>,
    /// The sender's signature value.
    pub signature: Vec<u8>,
    /// The digest of the sender's signed attributes, made with `hash`.
    pub attributes_digest: Vec<u8>,
    /// The sender's digest algorithm.
    pub hash: Hash,
}

/// A receipt whose signature holds and which quotes what it has to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The certificate that signed it, DER.
    pub signer_certificate: Vec<u8>,
    /// The signing time the signer claims.
    pub signing_time: Option<SystemTime>,
}

/// The value of a receiptRequest attribute, from all recipients to the owner of `certificate`, with its identifier.
pub(crate) fn request(certificate: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> Option<(Vec<u8>, Vec<u8>)> {
    let address = path::addresses(certificate).into_iter().next().filter(|address| address.is_ascii())?;
    // RFC 2634 2.7: of the sender, and like no other.
    let mut identifier = address.clone().into_bytes();
    let mut chance = [0u8; 16];
    rng.fill_bytes(&mut chance);
    identifier.push(b' ');
    identifier.extend(chance.iter().flat_map(|octet| format!("{octet:02x}").into_bytes()));
    let general_name = asn1::value(tag::context(1), &[address.as_bytes()]);
    let value = asn1::sequence(&[
        asn1::octet_string(&identifier),
        asn1::value(tag::context(0), &[[0u8]]), // allReceipts
        asn1::sequence(&[asn1::sequence(&[general_name])]),
    ]);
    Some((value, identifier))
}

/// What a receipt for this mail has to quote, if its sender asks `recipient` for one.
pub(crate) fn terms(signed: &SignedData<'_>, recipient: &str) -> Result<Option<ReceiptTerms>, OpenError> {
    let malformed = |_| OpenError::Attribute("receiptRequest");
    let Some(value) = signed.attribute(oid::ID_AA_RECEIPT_REQUEST).map_err(malformed)? else { return Ok(None) };
    let hash = signed.digest_algorithm().ok_or(OpenError::Attribute("receiptRequest"))?;
    let (identifier, asked) = read_request(&value, recipient).map_err(malformed)?;
    Ok(asked.then(|| ReceiptTerms {
        identifier: identifier.to_vec(),
        signature: signed.signature.to_vec(),
        attributes_digest: hash.digest(&signed.signed_attributes()),
        hash,
    }))
}

/// The identifier, and whether this recipient is asked.
fn read_request<'a>(value: &Value<'a>, recipient: &str) -> Result<(&'a [u8], bool), Malformed> {
    let mut request = asn1::single(value.whole, tag::SEQUENCE)?.reader();
    let identifier = request.expect(tag::OCTET_STRING)?.content;
    let from = request.value()?;
    let asked = match from.tag {
        // allReceipts and firstTierRecipients: here is no mailing list.
        other if other == tag::context(0) => true,
        other if other == tag::constructed(1) => {
            let mut named = false;
            for names in from.reader().all(bounds::RECIPIENTS)? {
                for name in asn1::single(names.whole, tag::SEQUENCE)?.reader().all(bounds::RECIPIENTS)? {
                    let address = std::str::from_utf8(name.content).unwrap_or_default();
                    named |= name.tag == tag::context(1) && crate::same_address(address, recipient);
                }
            }
            named
        }
        _ => return Err(Malformed),
    };
    request.expect(tag::SEQUENCE)?;
    request.end()?;
    Ok((identifier, asked))
}

/// Signs a receipt: an `application/pkcs7-mime; smime-type=signed-receipt` entity.
pub async fn sign_receipt(terms: &ReceiptTerms, signing: &Signing<'_>) -> Result<Vec<u8>, SealError> {
    let receipt = asn1::sequence(&[
        asn1::small_integer(1),
        asn1::object_identifier(&oid::ID_DATA),
        asn1::octet_string(&terms.identifier),
        asn1::octet_string(&terms.signature),
    ]);
    let extra = [(oid::ID_AA_MSG_SIG_DIGEST, asn1::octet_string(&terms.attributes_digest))];
    let made = signed_data::sign(oid::ID_CT_RECEIPT, Sha256::digest(&receipt).into(), signing, &extra).await?;
    let (before, behind) = made.around(receipt.len());
    Ok(mime::pkcs7_mime("signed-receipt", &[before, receipt, behind].concat()))
}

/// Checks a receipt, a mail or the entity alone: signed by `expected_signer`, and for the mail of these terms.
///
/// `certificates` are those the certificate server has for the signer; with `None` the one sent along is taken.
pub fn verify_receipt(
    entity: &[u8],
    terms: &ReceiptTerms,
    anchors: &[Vec<u8>],
    now: SystemTime,
    certificates: Option<&[Vec<u8>]>,
    expected_signer: &str,
) -> Result<Receipt, OpenError> {
    if entity.len() > MAX_OCTETS {
        return Err(OpenError::TooLarge);
    }
    let entity = Entity::parse(entity)?;
    if !entity.content_type()?.is_pkcs7("pkcs7-mime") {
        return Err(OpenError::Unsigned);
    }
    let cms = ber::definite(entity.decoded()?).map_err(|_| OpenError::SignatureMalformed)?;
    let signed = SignedData::read(&cms).map_err(|_| OpenError::SignatureMalformed)?;
    if signed.content_type != oid::ID_CT_RECEIPT {
        return Err(OpenError::ReceiptMalformed);
    }
    let content = signed.content.ok_or(OpenError::ReceiptMalformed)?;
    let signer = signed.signer_among(certificates).ok_or(OpenError::UnknownSigner)?;
    let digests = Digests::of(content, signed.digest_algorithm().as_slice());
    check_signer(&signed, &digests, signer, expected_signer, anchors, now)?;
    let (identifier, signature) = read(content).map_err(|_| OpenError::ReceiptMalformed)?;
    let quoted = signed
        .attribute(oid::ID_AA_MSG_SIG_DIGEST)
        .and_then(|value| asn1::single(value.ok_or(Malformed)?.whole, tag::OCTET_STRING))
        .map_err(|_| OpenError::ReceiptMalformed)?;
    let same = identifier.ct_eq(&terms.identifier)
        & signature.ct_eq(&terms.signature)
        & quoted.content.ct_eq(&terms.attributes_digest);
    if !bool::from(same) {
        return Err(OpenError::ReceiptForAnother);
    }
    Ok(Receipt { signer_certificate: signer.to_vec(), signing_time: signed.signing_time()? })
}

/// Identifier and signature value of a Receipt.
fn read(content: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut receipt = asn1::single(content, tag::SEQUENCE)?.reader();
    let version = receipt.expect(tag::INTEGER)?.content;
    let kind = receipt.value()?.object_identifier()?;
    let identifier = receipt.expect(tag::OCTET_STRING)?.content;
    let signature = receipt.expect(tag::OCTET_STRING)?.content;
    receipt.end()?;
    if version == [1] && kind == oid::ID_DATA { Ok((identifier, signature)) } else { Err(Malformed) }
}
