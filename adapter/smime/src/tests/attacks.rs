//! What an attacker does on the way, and what it comes to: a refusal with its own reason and nothing released.

use super::people::*;
use crate::*;
use proptest::prelude::*;
use std::sync::OnceLock;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// On a thread of its own: a test that is in a runtime already may need it first.
fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

fn sealed() -> &'static [u8] {
    static SEALED: OnceLock<Vec<u8>> = OnceLock::new();
    SEALED.get_or_init(|| mail(&block_on(seal(CONTENT, &signing(&sender()), &[ichiro()], &mut rng())).unwrap().entity))
}

/// The CMS octets of a mail of ours, and a mail around changed ones.
fn cms(mail: &[u8]) -> Vec<u8> {
    mime::Entity::parse(mail).unwrap().decoded().unwrap()
}
fn with_cms(cms: &[u8]) -> Vec<u8> {
    mail(&mime::pkcs7_mime("authEnveloped-data", cms))
}

/// Where the wrapped key begins.
fn key_at(octets: &[u8]) -> usize {
    octets.windows(4).position(|window| window == [0x04, 0x82, 0x01, 0x00]).map_or(octets.len(), |at| at + 4)
}

/// What stands inside the envelope: the signed entity.
async fn inside(mail: &[u8], who: &SoftwareKey) -> Zeroizing<Vec<u8>> {
    possession::open_object(&cms(mail), who).await.unwrap()
}

/// Anyone can seal anything for anyone: here for Ichiro or Yuki.
fn envelope(content: &[u8], recipient: &Recipient) -> Vec<u8> {
    with_cms(&enveloped(content, std::slice::from_ref(recipient)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn a_flipped_bit_of_the_object_changes_nothing_or_is_refused(position in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut octets = cms(sealed());
        *position.get_mut(&mut octets) ^= 1 << bit;
        // Only a few octets of the envelope are bound by nothing (versions, the tag of a NULL): those may change.
        match block_on(open(&with_cms(&octets))) {
            Ok(opened) => {
                prop_assert_eq!(opened.content.as_slice(), CONTENT);
                let at = position.index(octets.len());
                prop_assert!(at < key_at(&octets), "octet {} of the wrapped key or after it", at);
            }
            Err(error) => prop_assert_ne!(error.group(), OpenGroup::Card),
        }
    }

    #[test]
    fn a_flipped_bit_of_the_mail_never_releases_other_content(position in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut octets = sealed().to_vec();
        *position.get_mut(&mut octets) ^= 1 << bit;
        if let Ok(opened) = block_on(open(&octets)) {
            prop_assert_eq!(opened.content.as_slice(), CONTENT);
        }
    }

    #[test]
    fn a_truncated_mail_is_refused(position in any::<prop::sample::Index>()) {
        let octets = cms(sealed());
        let end = position.index(octets.len());
        prop_assert!(block_on(open(&with_cms(&octets[..end]))).is_err());
    }

    #[test]
    fn a_flipped_bit_inside_the_envelope_is_refused(position in any::<prop::sample::Index>(), bit in 0u8..8) {
        let plain = block_on(inside(sealed(), &recipient()));
        let mut octets = cms(&plain);
        *position.get_mut(&mut octets) ^= 1 << bit;
        let changed = envelope(&mime::pkcs7_mime("signed-data", &octets), &ichiro());
        // Tags of versions and of certificates nobody asked for are not signed; the content is, and stays.
        if let Ok(opened) = block_on(open(&changed)) {
            prop_assert_eq!(opened.content.as_slice(), CONTENT);
        }
    }
}

#[tokio::test]
async fn every_failure_to_decrypt_is_the_same() {
    let octets = cms(sealed());
    let text = OpenError::CannotDecrypt.to_string();
    let last = octets.len() - 1;
    let key_at = key_at(&octets);
    // The tag, the content, the wrapped key's last octet, a wrapped key above the modulus.
    for change in [vec![last], vec![last - 100], vec![key_at + 255], (key_at..key_at + 8).collect()] {
        let mut changed = octets.clone();
        for position in change {
            changed[position] = !changed[position];
        }
        let error = open(&with_cms(&changed)).await.unwrap_err();
        assert_eq!(error, OpenError::CannotDecrypt);
        assert_eq!(error.to_string(), text);
    }
}

#[tokio::test]
async fn a_foreign_signer_is_refused() {
    // Mallory signs what says it is Hanako's.
    let made = seal(CONTENT, &signing(&mallory()), &[ichiro()], &mut rng()).await.unwrap();
    assert_eq!(open(&made.entity).await.unwrap_err(), OpenError::UnknownSigner);
    // Even if a certificate server gave out Mallory's certificate for Hanako.
    let error = open_as(
        &made.entity,
        &recipient(),
        "ichiro@b.example",
        "hanako@a.example",
        &[fixture!("mallory.der").to_vec()],
    )
    .await
    .unwrap_err();
    assert!(matches!(error, OpenError::SenderMismatch { .. }));
    assert_eq!((error.code(), error.group()), ("OPEN-024", OpenGroup::NotGenuine));
}

#[tokio::test]
async fn an_issuer_of_the_same_name_is_not_the_anchor() {
    let made = seal(CONTENT, &signing(&impostor()), &[ichiro()], &mut rng()).await.unwrap();
    assert_eq!(open(&made.entity).await.unwrap_err(), OpenError::UnknownSigner);
    let certificates = [fixture!("impostor.der").to_vec()];
    let error = open_as(&made.entity, &recipient(), "ichiro@b.example", "hanako@a.example", &certificates).await;
    assert_eq!(error.unwrap_err(), OpenError::Path(path::PathError::UnknownIssuer));
}

#[tokio::test]
async fn a_certificate_for_something_else_does_not_sign_mail() {
    let made = seal(CONTENT, &signing(&server()), &[ichiro()], &mut rng()).await.unwrap();
    let certificates = [fixture!("server.der").to_vec()];
    let error = open_as(&made.entity, &recipient(), "ichiro@b.example", "server@a.example", &certificates).await;
    assert_eq!(error.unwrap_err(), OpenError::Path(path::PathError::WrongPurpose));
}

#[tokio::test]
async fn surreptitious_forwarding_is_refused() {
    // Ichiro opens Hanako's mail and seals what she signed for Yuki.
    let signed = inside(sealed(), &recipient()).await;
    let forwarded = envelope(&signed, &yuki());
    let certificates = [fixture!("sender.der").to_vec()];
    let error = open_as(&forwarded, &second(), "yuki@c.example", "hanako@a.example", &certificates).await;
    assert_eq!(error.unwrap_err(), OpenError::SealedForAnother);
    // The right address on another certificate is no binding either.
    let error = open_as(&forwarded, &second(), "ichiro@b.example", "hanako@a.example", &certificates).await;
    assert_eq!(error.unwrap_err(), OpenError::SealedForAnother);
}

#[tokio::test]
async fn a_stripped_signature_is_refused() {
    assert_eq!(open(&envelope(CONTENT, &ichiro())).await.unwrap_err(), OpenError::Unsigned);
    // SignedData with no signer.
    let signed = inside(sealed(), &recipient()).await;
    let octets = cms(&signed);
    let (_, content) = signed_data::read_content_info(&octets).unwrap();
    let mut reader = content.reader();
    let mut parts: Vec<Vec<u8>> = Vec::new();
    while !reader.is_empty() {
        parts.push(reader.value().unwrap().whole.to_vec());
    }
    *parts.last_mut().unwrap() = vec![0x31, 0];
    let empty = signed_data::content_info(&algorithm::oid::ID_SIGNED_DATA, &asn1::sequence(&parts));
    let error = open(&envelope(&mime::pkcs7_mime("signed-data", &empty), &ichiro())).await.unwrap_err();
    assert_eq!(error, OpenError::SignatureMalformed);
}

#[tokio::test]
async fn a_swapped_certificate_is_refused() {
    // Same issuer, serial and key, other octets: what signingCertificateV2 is for.
    let mut twin = fixture!("sender.der").to_vec();
    let name = twin.windows(6).rposition(|window| window == b"Hanako").unwrap();
    twin[name] = b'N';
    let error = open_as(sealed(), &recipient(), "ichiro@b.example", "hanako@a.example", &[twin]).await;
    assert_eq!(error.unwrap_err(), OpenError::CertificateSwapped);
}

#[tokio::test]
async fn content_beside_another_signature_is_refused() {
    // EFAIL's direct form: the sealed object as one part among others.
    let wrapped = [
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<img src=\"\r\n--x\r\n"
            .as_slice(),
        sealed(),
        b"\r\n--x--\r\n",
    ]
    .concat();
    assert_eq!(open(&wrapped).await.unwrap_err(), OpenError::NotSealed);
}

#[tokio::test]
async fn a_mail_that_names_nobody_is_unbound() {
    // Signed by Hanako without the attribute, and no To inside.
    let entity = sign_detached(CONTENT, &signing(&sender())).await.unwrap();
    let made = envelope(&entity, &ichiro());
    assert_eq!(open(&made).await.unwrap_err(), OpenError::Unbound);
    let opened = open_unbound(&made).await.unwrap();
    assert!(!opened.verdict.bound);
    assert_eq!(opened.content.as_slice(), CONTENT);
}

#[tokio::test]
async fn the_card_is_told_apart_from_the_mail() {
    struct Pulled(Vec<u8>);
    #[async_trait::async_trait]
    impl PrivateKey for Pulled {
        fn certificate(&self) -> &[u8] {
            &self.0
        }
        async fn raw(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
            Err(KeyError::Gone)
        }
    }
    let error = decrypt(sealed(), &Pulled(fixture!("recipient.der").to_vec())).await.unwrap_err();
    assert_eq!((error.code(), error.group()), ("OPEN-001", OpenGroup::Card));
}

#[tokio::test]
async fn the_certificate_had_to_be_valid_when_it_says_that_it_signed() {
    let day = std::time::Duration::from_secs(86_400);
    let signed_at = async |time: SystemTime| {
        let key = sender();
        let signing = Signing { signing_time: time, ..signing(&key) };
        let sealed = seal(CONTENT, &signing, &[ichiro()], &mut rng()).await.unwrap();
        open(&mail(&sealed.entity)).await.map(|opened| opened.verdict.signing_time)
    };
    // Clocks differ, and a new card may be younger than the clock thinks that it is.
    for time in [now(), now() + day / 2, now() - day / 2] {
        assert_eq!(signed_at(time).await, Ok(Some(time)));
    }
    assert_eq!(signed_at(now() + day * 2).await, Err(OpenError::Attribute("signingTime")));
    assert_eq!(signed_at(now() - day * 3000).await.unwrap_err().code(), "OPEN-025");
}
