//! Keys in a PKCS#11 token (OASIS PKCS#11 3.1, CKM_ECDSA): they are made there and never leave. The module is loaded
//! at run time; nothing of it is linked.

use std::sync::{Mutex, PoisonError};

use cryptoki::error::Error as Pkcs11Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::login::session;
use super::{AuthorityKey, Pkcs11Uri};
use crate::authority::AuthorityError;

/// secp256r1 (RFC 5480 2.1.1.1).
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// A private key in a token.
#[derive(Debug)]
pub(super) struct TokenKey {
    uri: Pkcs11Uri,
    open: Mutex<Option<Open>>,
    public: VerifyingKey,
}

#[derive(Debug)]
struct Open {
    session: Session,
    key: ObjectHandle,
}

impl TokenKey {
    /// Opens the key that `uri` names.
    pub(super) fn open(uri: &Pkcs11Uri) -> Result<Self, AuthorityError> {
        let session = session(uri)?;
        let (key, public) = find(uri, &session)?;
        Ok(Self { uri: uri.clone(), open: Mutex::new(Some(Open { session, key })), public })
    }

    /// Makes a key pair named as `uri` says. It is never to leave the token.
    pub(super) fn create(uri: &Pkcs11Uri) -> Result<Self, AuthorityError> {
        let session = session(uri)?;
        if !session.find_objects(&template(uri, ObjectClass::PRIVATE_KEY)).map_err(failed(uri))?.is_empty() {
            return Err(token_error(uri, "a key of this name is in the token already; choose another object name"));
        }
        let mut common = vec![Attribute::Token(true)];
        if let Some(label) = &uri.object {
            common.push(Attribute::Label(label.clone().into_bytes()));
        }
        common.push(Attribute::Id(identifier(uri)));
        let mut public = common.clone();
        public.extend([Attribute::EcParams(P_256.to_der()?), Attribute::Verify(true)]);
        let mut private = common;
        private.extend([
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ]);
        session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).map_err(failed(uri))?;
        let (key, public) = find(uri, &session)?;
        Ok(Self { uri: uri.clone(), open: Mutex::new(Some(Open { session, key })), public })
    }

    fn sign_once(&self, open: &Open, digest: &[u8]) -> Result<Vec<u8>, Pkcs11Error> {
        open.session.sign(&Mechanism::Ecdsa, open.key, digest)
    }
}

impl AuthorityKey for TokenKey {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<DerSignature, AuthorityError> {
        let digest = Sha256::digest(message);
        let mut place = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let first = place.as_ref().map(|open| self.sign_once(open, &digest));
        let octets = match first {
            Some(Ok(octets)) => octets,
            _ => {
                // The token was taken out, or the module restarted: one fresh session, then it is an error.
                *place = None;
                let session = session(&self.uri)?;
                let (key, public) = find(&self.uri, &session)?;
                if public != self.public {
                    return Err(token_error(&self.uri, "it holds another key of this name; put the right token in"));
                }
                let open = Open { session, key };
                let octets = self.sign_once(&open, &digest).map_err(failed(&self.uri))?;
                *place = Some(open);
                octets
            }
        };
        let raw = checked(&self.public, message, &octets).map_err(|why| token_error(&self.uri, why))?;
        Ok(raw.to_der())
    }

    fn waits(&self) -> bool {
        true
    }
}

/// What a token made, if it is a signature on `message`: who relies on it must not be the first to find out.
fn checked(public: &VerifyingKey, message: &[u8], octets: &[u8]) -> Result<Signature, &'static str> {
    let raw = Signature::from_slice(octets).map_err(|_| "it made something that is no P-256 signature")?;
    public.verify(message, &raw).map_err(|_| "it made a signature that does not hold; replace it")?;
    Ok(raw)
}

/// The private key, and the public half that stands beside it.
fn find(uri: &Pkcs11Uri, session: &Session) -> Result<(ObjectHandle, VerifyingKey), AuthorityError> {
    let one = |class| {
        let found = session.find_objects(&template(uri, class)).map_err(failed(uri))?;
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(token_error(uri, "the key is not in the token; check object and id, and that the PIN fits")),
            _ => Err(token_error(uri, "several keys fit; name it by id")),
        }
    };
    let key = one(ObjectClass::PRIVATE_KEY)?;
    let attributes = session.get_attributes(one(ObjectClass::PUBLIC_KEY)?, &[AttributeType::EcPoint]);
    let point = attributes.map_err(failed(uri))?.into_iter().find_map(|attribute| match attribute {
        Attribute::EcPoint(octets) => Some(octets),
        _ => None,
    });
    let point = point.ok_or_else(|| token_error(uri, "it has no elliptic-curve public key beside the private one"))?;
    // PKCS#11 wants the point in an OCTET STRING; some modules leave it bare.
    let bare = <&OctetStringRef>::from_der(&point).map_or(point.as_slice(), |string| string.as_bytes());
    let public = VerifyingKey::from_sec1_bytes(bare)
        .map_err(|_| token_error(uri, "its key is not on the curve P-256; make one that is"))?;
    Ok((key, public))
}

fn template(uri: &Pkcs11Uri, class: ObjectClass) -> Vec<Attribute> {
    let mut attributes = vec![Attribute::Class(class)];
    if let Some(label) = &uri.object {
        attributes.push(Attribute::Label(label.clone().into_bytes()));
    }
    if let Some(id) = &uri.id {
        attributes.push(Attribute::Id(id.clone()));
    }
    attributes
}

/// CKA_ID of a new pair: as wished, else from its label, so that both halves carry the same.
fn identifier(uri: &Pkcs11Uri) -> Vec<u8> {
    match &uri.id {
        Some(id) => id.clone(),
        None => Sha256::digest(uri.object.as_deref().unwrap_or_default()).iter().copied().take(8).collect(),
    }
}

pub(super) fn token_error(uri: &Pkcs11Uri, why: &'static str) -> AuthorityError {
    AuthorityError::Token { uri: uri.to_string(), why, source: None }
}

pub(super) fn failed(uri: &Pkcs11Uri) -> impl Fn(Pkcs11Error) -> AuthorityError + '_ {
    move |source| AuthorityError::Token {
        uri: uri.to_string(),
        why: "the module refused; check that it is installed and the token ready",
        source: Some(Box::new(source)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::Signer;

    #[test]
    fn a_signature_that_does_not_hold_does_not_leave() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let signature: Signature = key.sign(b"a message");
        let octets = signature.to_bytes();
        assert!(checked(key.verifying_key(), b"a message", &octets).is_ok());
        assert!(checked(key.verifying_key(), b"another one", &octets).unwrap_err().contains("does not hold"));
        assert!(checked(key.verifying_key(), b"a message", &octets[1..]).unwrap_err().contains("no P-256"));
    }
}
