//! Layers in any order (RFC 8551 3.7, RFC 2634 1.1): signed then encrypted, encrypted then signed, and all three of a triple wrap.

use super::people::*;
use crate::*;

/// A signature around an entity, opaque.
async fn opaque(entity: &[u8], key: &SoftwareKey) -> Vec<u8> {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(entity).into();
    let made = signed_data::sign(algorithm::oid::ID_DATA, digest, &signing(key), &[]).await.unwrap();
    let (before, behind) = made.around(entity.len());
    mime::pkcs7_mime("signed-data", &[&before, entity, &behind].concat())
}

async fn sealed(to: &[Recipient]) -> Vec<u8> {
    seal(CONTENT, &signing(&sender()), to, &mut rng()).await.unwrap().entity
}

fn enveloped_for(content: &[u8], to: &[Recipient]) -> Vec<u8> {
    mime::pkcs7_mime("authEnveloped-data", &enveloped(content, to))
}

#[tokio::test]
async fn a_triple_wrap_opens_by_both_signatures() {
    let inner = sealed(&[ichiro()]).await;
    for wrapped in [sign_detached(&inner, &signing(&sender())).await.unwrap(), opaque(&inner, &sender()).await] {
        let opened = open(&mail(&wrapped)).await.unwrap();
        assert_eq!(opened.content.as_slice(), CONTENT);
        assert!(opened.verdict.bound && opened.verdict.receipt.is_some());
    }
    // By somebody else around it, or changed within it: the outer signature counts as much as the inner.
    let foreign = sign_detached(&inner, &signing(&mallory())).await.unwrap();
    assert_eq!(open(&mail(&foreign)).await.unwrap_err(), OpenError::UnknownSigner);
    let other = sealed(&[ichiro(), yuki()]).await;
    let wrapped = String::from_utf8(sign_detached(&inner, &signing(&sender())).await.unwrap()).unwrap();
    let exchanged = wrapped.replace(std::str::from_utf8(&inner).unwrap(), std::str::from_utf8(&other).unwrap());
    assert_ne!(exchanged, wrapped);
    assert_eq!(open(&mail(exchanged.as_bytes())).await.unwrap_err(), OpenError::DigestMismatch);
}

#[tokio::test]
async fn what_was_encrypted_and_then_signed_opens() {
    let envelope = enveloped_for(CONTENT, &[ichiro()]);
    for wrapped in [sign_detached(&envelope, &signing(&sender())).await.unwrap(), opaque(&envelope, &sender()).await] {
        let decrypted = decrypt(&mail(&wrapped), &recipient()).await.unwrap();
        assert!(decrypted.is_signed());
        assert!(decrypted.without_signature().is_none(), "it is not one without a signature");
        let opened = open(&mail(&wrapped)).await.unwrap();
        assert_eq!(opened.content.as_slice(), CONTENT);
        assert!(opened.verdict.bound, "the signature covers whose card it was sealed for");
    }
    let foreign = opaque(&envelope, &mallory()).await;
    assert_eq!(open(&mail(&foreign)).await.unwrap_err(), OpenError::UnknownSigner);
    // To says that it was for another.
    let text = b"To: yuki@c.example\r\nContent-Type: text/plain\r\n\r\n1\r\n";
    let other = opaque(&enveloped_for(text, &[ichiro()]), &sender()).await;
    assert_eq!(open(&mail(&other)).await.unwrap_err(), OpenError::SealedForAnother);
}

#[tokio::test]
async fn a_cipher_without_a_tag_is_held_by_the_signature_around_it() {
    // OpenSSL's CBC text, which alone is refused for it could be anything.
    let unsigned = fixture!("openssl-unsigned-cbc.eml");
    assert_eq!(open(unsigned).await.unwrap_err(), OpenError::CannotDecrypt);
    let canonical = mime::canonical(unsigned);
    let wrapped = opaque(&canonical, &sender()).await;
    let opened = open(&mail(&wrapped)).await.unwrap();
    assert_eq!(
        (opened.content.as_slice(), opened.verdict.encryption.is_authenticated()),
        (fixture!("text.eml"), false)
    );
}

#[tokio::test]
async fn signatures_around_signatures_and_envelopes_within_envelopes_are_refused() {
    let once = sign_detached(&sealed(&[ichiro()]).await, &signing(&sender())).await.unwrap();
    let twice = sign_detached(&once, &signing(&sender())).await.unwrap();
    assert_eq!(open(&mail(&twice)).await.unwrap_err(), OpenError::NotSealed);
    let doubled = enveloped_for(&sealed(&[ichiro()]).await, &[ichiro()]);
    assert_eq!(open(&mail(&doubled)).await.unwrap_err(), OpenError::SignatureMalformed);
    let clear = sign_detached(CONTENT, &signing(&sender())).await.unwrap();
    assert_eq!(open(&mail(&clear)).await.unwrap_err(), OpenError::NotSealed);
}

#[tokio::test]
async fn what_was_signed_alone_is_for_whom_it_says() {
    let (anchors, known, key) = (anchors(), [fixture!("sender.der").to_vec()], recipient());
    let against = against(&anchors, &known, &key);
    let unbound = Verification { allow_unbound: true, ..against };
    let of = async |text: &[u8]| mail(&sign_detached(text, &signing(&sender())).await.unwrap());
    let named = b"To: ichiro@b.example\r\n\r\n1\r\n";
    for made in [of(named).await, mail(&opaque(named, &sender()).await)] {
        let signed = verify_signed(&made, &against).unwrap();
        assert_eq!((signed.content.as_slice(), signed.bound), (named.as_slice(), true));
    }
    let passed_on = of(b"To: yuki@c.example\r\n\r\n1\r\n").await;
    for against in [&against, &unbound] {
        assert_eq!(verify_signed(&passed_on, against).unwrap_err(), OpenError::SealedForAnother);
    }
    let nobody = of(CONTENT).await;
    assert_eq!(verify_signed(&nobody, &against).unwrap_err(), OpenError::Unbound);
    assert!(!verify_signed(&nobody, &unbound).unwrap().bound);
    let early = Verification { now: now() - std::time::Duration::from_secs(2 * 86_400), ..against };
    assert_eq!(verify_signed(&of(named).await, &early).unwrap_err(), OpenError::Attribute("signingTime"));
    let sealed = mail(&sealed(&[ichiro()]).await);
    assert_eq!(verify_signed(&sealed, &against).unwrap_err(), OpenError::Unsigned);
    let changed = String::from_utf8(of(named).await).unwrap().replace("\r\n1\r\n", "\r\n2\r\n");
    assert_eq!(verify_signed(changed.as_bytes(), &against).unwrap_err(), OpenError::DigestMismatch);
}

#[tokio::test]
async fn all_of_it_opens_in_pieces_too() {
    let key = recipient();
    let known = [fixture!("sender.der").to_vec()];
    let (inner, envelope) = (sealed(&[ichiro()]).await, enveloped_for(CONTENT, &[ichiro()]));
    let clear = enveloped_for(
        &sign_detached(b"To: ichiro@b.example\r\n\r\n1\r\n", &signing(&sender())).await.unwrap(),
        &[ichiro()],
    );
    for (wrapped, content) in [
        (opaque(&inner, &sender()).await, CONTENT),
        (sign_detached(&envelope, &signing(&sender())).await.unwrap(), CONTENT),
        (clear, b"To: ichiro@b.example\r\n\r\n1\r\n"),
    ] {
        let decrypted = decrypt_stream(std::io::Cursor::new(mail(&wrapped)), &key, Floor::Today).await.unwrap();
        let opened = decrypted.verify(&against(&anchors(), &known, &key)).unwrap();
        let mut out = Vec::new();
        opened.release(&mut out).unwrap();
        assert_eq!(out, content);
    }
}
