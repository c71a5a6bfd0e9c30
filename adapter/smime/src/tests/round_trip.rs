//! What is sealed opens, for everyone it was sealed for and nobody else.

use super::people::*;
use crate::*;
use proptest::prelude::*;

#[tokio::test]
async fn a_sealed_mail_opens() {
    let key = sender();
    let sealed = seal(CONTENT, &signing(&key), &[ichiro()], &mut rng()).await.unwrap();
    let opened = open(&mail(&sealed.entity)).await.unwrap();
    assert_eq!(opened.content.as_slice(), CONTENT);
    assert!(opened.verdict.bound);
    assert_eq!(Some(opened.verdict.signature), sealed.seal.signature);
    assert_eq!(opened.verdict.content_digest, sealed.seal.content_digest);
    assert_eq!(opened.verdict.signer_certificate, key.certificate);
    assert_eq!(opened.verdict.signing_time, Some(now()));
    assert_eq!(opened.verdict.encryption, ContentEncryption::Aes256Gcm);
}

#[tokio::test]
async fn the_entity_alone_opens_too() {
    let sealed = seal(CONTENT, &signing(&sender()), &[ichiro()], &mut rng()).await.unwrap();
    assert_eq!(open(&sealed.entity).await.unwrap().content.as_slice(), CONTENT);
}

#[tokio::test]
async fn several_recipients_each_open_it() {
    let sealed = seal(CONTENT, &signing(&sender()), &[ichiro(), yuki()], &mut rng()).await.unwrap();
    let certificates = [fixture!("sender.der").to_vec()];
    for (who, address) in [(recipient(), "ichiro@B.example"), (second(), "yuki@c.example")] {
        let opened = open_as(&sealed.entity, &who, address, "hanako@a.example", &certificates).await.unwrap();
        assert_eq!(opened.content.as_slice(), CONTENT);
    }
    let error = decrypt(&sealed.entity, &mallory()).await.unwrap_err();
    assert_eq!(error, OpenError::NotForThisCard);
    assert_eq!(error.group(), OpenGroup::CannotOpen);
}

#[tokio::test]
async fn every_kind_of_card_opens_what_is_sealed_for_it() {
    let certificates = [fixture!("sender.der").to_vec()];
    for key in [agree(), large()] {
        let sealed = seal(CONTENT, &signing(&sender()), &[ichiro_with(&key)], &mut rng()).await.unwrap();
        let opened = open_as(&sealed.entity, &key, "ichiro@b.example", "hanako@a.example", &certificates).await;
        assert_eq!(opened.unwrap().content.as_slice(), CONTENT);
        assert_eq!(open(&sealed.entity).await.unwrap_err(), OpenError::NotForThisCard);
    }
    // RSA and P-256 beside each other.
    let recipients = [ichiro_with(&agree()), yuki()];
    let sealed = seal(CONTENT, &signing(&sender()), &recipients, &mut rng()).await.unwrap();
    for (who, address) in [(agree(), "ichiro@b.example"), (second(), "yuki@c.example")] {
        let opened = open_as(&sealed.entity, &who, address, "hanako@a.example", &certificates).await.unwrap();
        assert_eq!(opened.content.as_slice(), CONTENT);
    }
}

#[tokio::test]
async fn a_large_key_signs() {
    let key = largesign();
    let sealed = seal(CONTENT, &signing(&key), &[ichiro()], &mut rng()).await.unwrap();
    assert_eq!(sealed.seal.signature.map(|octets| octets.len()), Some(384));
    let certificates = [key.certificate];
    let opened = open_as(&sealed.entity, &recipient(), "ichiro@b.example", "large@a.example", &certificates).await;
    assert_eq!(opened.unwrap().content.as_slice(), CONTENT);
}

#[tokio::test]
async fn a_curve_signs_and_an_intermediate_comes_along() {
    let key = curve();
    let sealed = seal(CONTENT, &signing(&key), &[ichiro()], &mut rng()).await.unwrap();
    let opened = open_as(&sealed.entity, &recipient(), "ichiro@b.example", "curve@a.example", &[key.certificate]).await;
    assert_eq!(opened.unwrap().content.as_slice(), CONTENT);

    let key = branch();
    let chain = [fixture!("issuer.der").to_vec()];
    for (chain, expected) in [(&chain[..], Ok(())), (&[], Err(OpenError::Path(path::PathError::UnknownIssuer)))] {
        let signing = Signing { chain, ..signing(&key) };
        let sealed = seal(CONTENT, &signing, &[ichiro()], &mut rng()).await.unwrap();
        let certificates = [key.certificate.clone()];
        let opened = open_as(&sealed.entity, &recipient(), "ichiro@b.example", "branch@a.example", &certificates).await;
        assert_eq!(opened.map(|_| ()), expected);
    }
}

#[tokio::test]
async fn without_a_signature_it_is_released_as_such_and_as_nothing_else() {
    let sealed = encrypt_only(CONTENT, &[ichiro(), yuki()], &mut rng()).unwrap();
    assert_eq!(sealed.seal.signature, None);
    let decrypted = decrypt(&sealed.entity, &recipient()).await.unwrap();
    assert!(!decrypted.is_signed());
    assert_eq!(decrypted.signer_hint().unwrap_err(), OpenError::Unsigned);
    let released = decrypted.without_signature().unwrap();
    assert_eq!(released.content.as_slice(), CONTENT);
    assert_eq!(released.content_digest, sealed.seal.content_digest);
    assert_eq!(format!("{released:?}"), format!("EncryptedOnly {{ octets: {}, .. }}", CONTENT.len()));

    let signed = seal(CONTENT, &signing(&sender()), &[ichiro()], &mut rng()).await.unwrap();
    let decrypted = decrypt(&signed.entity, &recipient()).await.unwrap();
    assert!(decrypted.is_signed() && decrypted.without_signature().is_none());
}

#[tokio::test]
async fn the_hint_names_the_signer_before_anything_is_believed() {
    let sealed = seal(CONTENT, &signing(&sender()), &[ichiro()], &mut rng()).await.unwrap();
    let decrypted = decrypt(&sealed.entity, &recipient()).await.unwrap();
    let hint = decrypted.signer_hint().unwrap();
    assert_eq!(hint.certificate.as_deref(), Some(fixture!("sender.der")));
    assert_eq!(format!("{decrypted:?}"), "Decrypted { encryption: Aes256Gcm, .. }");
}

#[tokio::test]
async fn the_mime_form() {
    let sealed = seal(CONTENT, &signing(&sender()), &[ichiro()], &mut rng()).await.unwrap();
    let text = String::from_utf8(sealed.entity).unwrap();
    assert!(text.lines().all(|line| line.len() <= 76));
    let (header, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(body.ends_with("\r\n"));
    insta::assert_snapshot!(header.replace("\r\n", "\n"), @r#"
    Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data;
     name="smime.p7m"
    Content-Transfer-Encoding: base64
    Content-Disposition: attachment; filename="smime.p7m"
    "#);
}

/// A P-256 certificate whose point is not on the curve.
fn off_the_curve() -> Vec<u8> {
    let mut certificate = fixture!("agree.der").to_vec();
    let point = certificate.windows(4).position(|window| window == [0x03, 0x42, 0x00, 0x04]).unwrap();
    certificate[point + 4 + 63] ^= 1;
    certificate
}

#[tokio::test]
async fn all_recipients_or_none() {
    let other = |certificate: &[u8], address: &str| Recipient {
        address: address.to_owned(),
        certificate: certificate.to_vec(),
    };
    let address = || "ichiro@b.example".to_owned();
    let cases = [
        (vec![], SealError::NoRecipient),
        (vec![ichiro(), ichiro()], SealError::DuplicateRecipient { address: address() }),
        (
            vec![yuki(), other(fixture!("second.der"), "ichiro@b.example")],
            SealError::DuplicateRecipient { address: address() },
        ),
        (
            vec![other(fixture!("second.der"), "ichiro@b.example")],
            SealError::AddressMismatch { address: address(), certified: vec!["yuki@c.example".to_owned()] },
        ),
        (
            vec![other(fixture!("recipient.der"), "Ichiro@b.example")],
            SealError::AddressMismatch { address: "Ichiro@b.example".to_owned(), certified: vec![address()] },
        ),
        (vec![other(fixture!("nousage.der"), "ichiro@b.example")], SealError::NotForEncryption { address: address() }),
        (
            vec![other(fixture!("small.der"), "small@b.example")],
            SealError::KeySize { address: "small@b.example".to_owned() },
        ),
        (
            vec![other(fixture!("curve.der"), "curve@a.example")],
            SealError::NotForEncryption { address: "curve@a.example".to_owned() },
        ),
        (
            vec![other(fixture!("agree384.der"), "agree384@b.example")],
            SealError::UnsupportedKey { address: "agree384@b.example".to_owned() },
        ),
        (vec![other(&off_the_curve(), "ichiro@b.example")], SealError::BadCertificate { address: address() }),
        (vec![yuki(), other(b"no certificate", "ichiro@b.example")], SealError::BadCertificate { address: address() }),
    ];
    for (recipients, expected) in cases {
        let made = seal(CONTENT, &signing(&sender()), &recipients, &mut rng()).await;
        assert_eq!(made, Err(expected));
    }
}

#[tokio::test]
async fn only_canonical_text_is_sealed() {
    for content in [&b"A: b\n\nc\r\n"[..], b"A: b\r\n\r\nc\r", b"A: b\r\n\r\n\0"] {
        let made = seal(content, &signing(&sender()), &[ichiro()], &mut rng()).await;
        assert_eq!(made, Err(SealError::NotCanonical));
    }
}

#[tokio::test]
async fn a_card_whose_key_is_not_its_certificates_is_found_out() {
    let mut key = sender();
    key.certificate = fixture!("mallory.der").to_vec();
    let made = seal(CONTENT, &signing(&key), &[ichiro()], &mut rng()).await;
    assert_eq!(made, Err(SealError::WrongKey));
    key.certificate = fixture!("recipient.der").to_vec();
    let made = seal(CONTENT, &signing(&key), &[ichiro()], &mut rng()).await;
    assert_eq!(made, Err(SealError::NotForSigning));
}

#[tokio::test]
async fn a_card_that_answers_with_no_signature_is_found_out() {
    /// A card that says what it is told to.
    struct Parrot(Vec<u8>, Vec<u8>);
    #[async_trait::async_trait]
    impl PrivateKey for Parrot {
        fn certificate(&self) -> &[u8] {
            &self.0
        }
        async fn raw(&self, _: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, KeyError> {
            Ok(zeroize::Zeroizing::new(self.1.clone()))
        }
    }
    let order = [
        [0xff; 4].as_slice(),
        &[0; 4],
        &[0xff; 8],
        &[0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51],
    ]
    .concat();
    let too_large = [&[0x30, 38, 2, 33, 0], order.as_slice(), &[2, 1, 1]].concat();
    for answer in [
        &[][..],
        &[0x30, 6, 2, 1, 0, 2, 1, 1],          // r is 0
        &[0x30, 6, 2, 1, 1, 2, 1, 0],          // s is 0
        &[0x30, 6, 2, 1, 0x81, 2, 1, 1],       // r is negative
        &[0x30, 7, 2, 2, 0, 1, 2, 1, 1],       // not the shortest
        &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1],    // neither
        &[0x30, 6, 2, 1, 1, 2, 1, 1, 0],       // something behind
        &[0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0], // BER
        &too_large,                            // r is the curve's order
    ] {
        let key = Parrot(fixture!("curve.der").to_vec(), answer.to_vec());
        let made =
            seal(CONTENT, &Signing { key: &key, chain: &[], signing_time: now() }, &[ichiro()], &mut rng()).await;
        let error = made.unwrap_err();
        assert_eq!((error.code(), &error), ("SEAL-023", &SealError::NoSignature), "{answer:02x?}");
    }
    // In shape, but nobody's signature; and an RSA answer of the wrong length and of the right one.
    for (certificate, answer, expected) in [
        (fixture!("curve.der"), vec![0x30, 6, 2, 1, 1, 2, 1, 1], SealError::WrongKey),
        (fixture!("sender.der"), vec![1; 255], SealError::NoSignature),
        (fixture!("sender.der"), vec![1; 256], SealError::WrongKey),
    ] {
        let key = Parrot(certificate.to_vec(), answer);
        let signing = Signing { key: &key, chain: &[], signing_time: now() };
        assert_eq!(seal(CONTENT, &signing, &[ichiro()], &mut rng()).await, Err(expected.clone()));
        assert_eq!(sign_detached(CONTENT, &signing).await, Err(expected));
    }
}

#[test]
fn the_futures_may_run_on_any_thread() {
    fn check<T: Send>(_: T) {}
    let (key, mut rng) = (sender(), rng());
    check(seal(CONTENT, &signing(&key), &[], &mut rng));
    check(sign_detached(CONTENT, &signing(&key)));
    check(decrypt(CONTENT, &key));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_body_comes_back_octet_for_octet(body in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body: Vec<u8> = body.into_iter().filter(|octet| !matches!(octet, 0 | b'\r' | b'\n')).collect();
        let content = [b"Content-Type: text/plain\r\n\r\n".as_slice(), &body].concat();
        let opened = runtime.block_on(async {
            let sealed = seal(&content, &signing(&sender()), &[ichiro()], &mut rng()).await.unwrap();
            open(&sealed.entity).await.unwrap()
        });
        prop_assert_eq!(opened.content.as_slice(), content.as_slice());
    }
}
