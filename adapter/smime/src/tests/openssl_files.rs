//! Mails made by OpenSSL (`tests/fixtures/make.sh`) open, or are refused for their own reason.

use super::people::*;
use crate::*;

macro_rules! opens {
    ($($test:ident $file:literal $encryption:ident;)*) => {$(
        #[tokio::test]
        async fn $test() {
            let opened = open(fixture!(concat!("openssl-", $file, ".eml"))).await.unwrap();
            assert_eq!(opened.content.as_slice(), fixture!("text.eml"));
            assert_eq!(opened.verdict.encryption, ContentEncryption::$encryption);
            // OpenSSL writes no recipient-emails; the To inside the signature binds it.
            assert!(opened.verdict.bound);
        }
    )*};
}
opens! {
    gcm "gcm" Aes256Gcm;
    gcm_in_ber "gcm-stream" Aes256Gcm;
    gcm_by_key_identifier "gcm-keyid" Aes128Gcm;
    ber_inside_and_outside "inner-stream" Aes256Gcm;
    detached_inside "detached" Aes256Gcm;
    pss_signature "pss" Aes256Gcm;
    cbc_in_ber "cbc" Aes256Cbc;
    cbc_with_pkcs1_v1_5 "cbc-v15" Aes128Cbc;
    triple_des "3des" DesEde3Cbc;
}

macro_rules! opens_by_agreement {
    ($($test:ident $file:literal $encryption:ident;)*) => {$(
        #[tokio::test]
        async fn $test() {
            let certificates = [fixture!("sender.der").to_vec()];
            let mail = fixture!(concat!("openssl-", $file, ".eml"));
            let opened = open_as(mail, &agree(), "ichiro@b.example", "hanako@a.example", &certificates).await.unwrap();
            assert_eq!(opened.content.as_slice(), fixture!("text.eml"));
            assert_eq!(opened.verdict.encryption, ContentEncryption::$encryption);
            assert_eq!(open(mail).await.unwrap_err(), OpenError::NotForThisCard);
        }
    )*};
}
opens_by_agreement! {
    ecdh_as_openssl_does_unasked "ecdh-sha1" Aes256Cbc;
    ecdh_sha256 "ecdh-sha256" Aes256Gcm;
    ecdh_sha384 "ecdh-sha384" Aes192Cbc;
    ecdh_sha512_in_ber_by_key_identifier "ecdh-sha512" Aes128Gcm;
    ecdh_cofactor "ecdh-cofactor" Aes128Cbc;
    ecdh_cofactor_sha1 "ecdh-cofactor-sha1" Aes256Gcm;
}

#[tokio::test]
async fn key_agreement_we_do_not_read_is_named() {
    for (mail, named) in [
        (fixture!("openssl-ecdh-sha224.eml"), algorithm_named("1.3.132.1.11.0")),
        (fixture!("openssl-ecdh-3des.eml"), algorithm_named("1.2.840.113549.1.9.16.3.6")),
    ] {
        let error = decrypt(mail, &agree()).await.unwrap_err();
        assert_eq!((error.code(), &error), ("OPEN-014", &named));
    }
}

fn algorithm_named(oid: &str) -> OpenError {
    OpenError::Algorithm(oid.to_owned())
}

#[tokio::test]
async fn one_mail_for_keys_of_several_kinds() {
    let mail = fixture!("openssl-mixed.eml");
    let certificates = [fixture!("sender.der").to_vec()];
    for key in [recipient(), agree(), large()] {
        let opened = open_as(mail, &key, "ichiro@b.example", "hanako@a.example", &certificates).await.unwrap();
        assert_eq!(opened.content.as_slice(), fixture!("text.eml"));
    }
    assert_eq!(decrypt(mail, &second()).await.unwrap_err(), OpenError::NotForThisCard);
}

#[tokio::test]
async fn signers_of_every_kind_and_size() {
    for (file, sender, certificate) in [
        (fixture!("openssl-signed-curve-sha256.eml"), "curve@a.example", fixture!("curve.der")),
        (fixture!("openssl-signed-curve-sha384.eml"), "curve@a.example", fixture!("curve.der")),
        (fixture!("openssl-signed-curve-sha512.eml"), "curve@a.example", fixture!("curve.der")),
        (fixture!("openssl-signed-curve384-sha384.eml"), "curve384@a.example", fixture!("curve384.der")),
        (fixture!("openssl-signed-largesign-sha256.eml"), "large@a.example", fixture!("largesign.der")),
    ] {
        let opened = open_as(file, &agree(), "ichiro@b.example", sender, &[certificate.to_vec()]).await;
        assert_eq!(opened.map(|opened| opened.content.to_vec()), Ok(fixture!("text.eml").to_vec()), "{sender}");
    }
}

#[tokio::test]
async fn sha1_is_below_the_floor() {
    let error = open(fixture!("openssl-sha1.eml")).await.unwrap_err();
    assert!(matches!(error, OpenError::SignatureAlgorithm(_)), "{error:?}");
}

#[tokio::test]
async fn encrypted_only_is_refused() {
    assert_eq!(open(fixture!("openssl-unsigned.eml")).await.unwrap_err(), OpenError::Unsigned);
}

#[tokio::test]
async fn a_changed_cbc_text_fails_as_any_other() {
    let text = fixture!("openssl-3des.eml");
    let entity = mime::Entity::parse(text).unwrap();
    let octets = entity.decoded().unwrap();
    for from_end in [1, 9, 40, 900] {
        let mut changed = octets.clone();
        let position = changed.len() - from_end;
        changed[position] ^= 0x40;
        let error = open(&mail(&mime::pkcs7_mime("enveloped-data", &changed))).await.unwrap_err();
        assert!(
            matches!(error, OpenError::CannotDecrypt | OpenError::DigestMismatch | OpenError::SignatureInvalid),
            "{from_end}: {error:?}"
        );
    }
}

#[test]
fn a_multipart_signed_in_clear() {
    let certificates = [fixture!("sender.der").to_vec()];
    for certificates in [Some(&certificates[..]), None] {
        let mail = fixture!("openssl-multipart.eml");
        let signed = verify_detached(mail, &anchors(), now(), certificates, "hanako@a.example").unwrap();
        assert_eq!(signed.entity, fixture!("text.eml"));
        assert_eq!(signed.signer_certificate, fixture!("sender.der"));
    }
}
