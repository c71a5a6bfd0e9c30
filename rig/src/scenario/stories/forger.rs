//! Somebody who holds a private key outside a card and signs whatever they like with it.

use async_trait::async_trait;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, RsaPrivateKey};
use sealfax_ifax::address::Address;
use sealfax_ifax::mdn;
use sealfax_smime::{KeyError, PrivateKey, Signing};
use zeroize::Zeroizing;

use crate::bench::people::{KeyPair, Person};
use crate::bench::region::Region;
use crate::scenario::Failure;

/// A demo-only key in software, as the PIV card would use it (NIST SP 800-73-5 part 2, 3.2.4).
pub struct LooseKey {
    key: RsaPrivateKey,
    certificate: Vec<u8>,
}

impl LooseKey {
    /// The key of one slot of somebody's card.
    pub fn of(pair: &KeyPair) -> Result<Self, Failure> {
        let key = RsaPrivateKey::from_pkcs8_pem(&pair.key_pem).map_err(Failure::infrastructure)?;
        Ok(Self { key, certificate: pair.certificate.clone() })
    }
}

#[async_trait]
impl PrivateKey for LooseKey {
    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    async fn raw(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let failed = |error: &dyn std::fmt::Display| KeyError::Failed(error.to_string());
        let number = BoxedUint::from_be_slice(block, self.key.n_bits_precision()).map_err(|error| failed(&error))?;
        let result = rsa::hazmat::rsa_decrypt_and_check::<rand_chacha::ChaCha20Rng>(&self.key, None, &number);
        Ok(Zeroizing::new(result.map_err(|error| failed(&error))?.to_be_bytes().into_vec()))
    }
}

/// What a forged confirmation claims.
pub struct Claim<'a> {
    /// Whose name stands in From and in the notification.
    pub name: &'a Person,
    /// Whose key signs; `None` leaves the notification unsigned.
    pub signer: Option<&'a Person>,
    /// Which mail it says was printed, without angle brackets.
    pub message_id: &'a str,
    /// SHA-256 of the content it says was printed, in base64.
    pub digest: &'a str,
    /// What it says became of it.
    pub disposition: mdn::Disposition,
}

/// The mail that makes this claim to `to`.
pub async fn confirmation(region: &Region, claim: &Claim<'_>, to: &str) -> Result<Vec<u8>, Failure> {
    use sealfax_client::seam::Clock as _;
    let recipient = Address::parse(claim.name.character.address).map_err(Failure::infrastructure)?;
    let report = mdn::Mdn {
        reporting_ua: "forger; Sealfax".into(),
        original_recipient: Some(recipient.clone()),
        final_recipient: recipient.clone(),
        original_message_id: claim.message_id.to_owned(),
        disposition: claim.disposition.clone(),
        received_content_mic: Some(mdn::ContentMic { digest: claim.digest.to_owned(), algorithm: "sha-256".into() }),
        extensions: Vec::new(),
        enclosed: None,
        text: mdn::human_text(&recipient, "now"),
        boundary: "=_forged".into(),
    };
    let entity = mdn::compose(&report).map_err(Failure::infrastructure)?;
    let entity = match claim.signer {
        None => entity,
        Some(signer) => {
            let key = LooseKey::of(&signer.signature)?;
            let chain = [region.authority.issuing_der().map_err(Failure::infrastructure)?];
            let signing = Signing { key: &key, chain: &chain, signing_time: region.clock.now() };
            sealfax_smime::sign_detached(&entity, &signing).await.map_err(Failure::infrastructure)?
        }
    };
    let head = format!(
        "From: {recipient}\r\nTo: {to}\r\nSubject: Delivery confirmation\r\nMessage-ID: <forged@b.example>\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
    );
    Ok([head.as_bytes(), &entity].concat())
}
