//! Whether a card holds the key that its certificate names. Certificates are public: anybody can put them on a card.

use crate::enveloped_data::{self, ContentKey, Floor, Head, Reading, Scheme, Sealing, read_content};
use crate::error::OpenError;
use crate::key::PrivateKey;
use crate::path::Fields;
use crate::signed_data::content_info_kind as content_info;
use crate::stream::tlv::Tlv;
use crate::stream::{Input, Keep, drain};
use rand_core::CryptoRng;
use std::io::Write;
use zeroize::Zeroizing;

/// Octets of a challenge.
const CHALLENGE: usize = 32;

/// Has the key open what nobody has seen before, encrypted for its certificate: only the key that belongs to it can.
/// Anything else than [`OpenError::Key`] says that it is not there.
pub async fn prove_possession(key: &dyn PrivateKey, rng: &mut impl CryptoRng) -> Result<(), OpenError> {
    let certificate = key.certificate();
    let fields = Fields::of(certificate).map_err(|_| OpenError::Malformed)?;
    let mut challenge = Zeroizing::new([0u8; CHALLENGE]);
    rng.fill_bytes(challenge.as_mut_slice());
    let sealing = Sealing::new(&[("", fields)], Scheme::default(), rng).map_err(|_| OpenError::Malformed)?;
    let sealed = sealing
        .begin(CHALLENGE, Vec::new())
        .and_then(|mut envelope| envelope.write_all(challenge.as_slice()).map(|()| envelope))
        .and_then(enveloped_data::finish)
        .map_err(|_| OpenError::Malformed)?;
    let opened = open_object(&sealed, key).await?;
    if opened.as_slice() == challenge.as_slice() { Ok(()) } else { Err(OpenError::CannotDecrypt) }
}

/// What an enveloped object holds, in memory.
pub(crate) async fn open_object(cms: &[u8], key: &dyn PrivateKey) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let read = |authenticated: &[u8], content_key: Option<&ContentKey>| {
        let mut tlv = Tlv::new(Input::new(cms, cms.len()), OpenError::Malformed);
        let head = Head::read(content_info(&mut tlv)?, &mut tlv)?;
        let Some(content_key) = content_key else { return Ok((head, None)) };
        let mut content = Zeroizing::new(Vec::with_capacity(cms.len()));
        let read =
            read_content(&mut tlv, content_key, authenticated, |source| drain(source, |piece| content.put(piece)))?;
        match read {
            Reading::Done(()) => Ok((head, Some(content))),
            Reading::Again(_) => Err(OpenError::Malformed),
        }
    };
    let (head, _) = read(&[], None)?;
    let content_key = {
        let envelope = head.envelope(key.certificate(), Floor::Today)?;
        envelope.content_key(&key.raw(&envelope.block()?).await?)?
    };
    read(&[], Some(&content_key))?.1.ok_or(OpenError::Malformed)
}
