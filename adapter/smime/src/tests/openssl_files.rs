//! Mails made by OpenSSL (`tests/fixtures/make.sh`) open, or are refused for their own reason.

use super::people::*;
use crate::*;

macro_rules! opens {
    ($($test:ident $file:literal $encryption:ident;)*) => {$(
        #[tokio::test]
        async fn $test() {
            let opened = open(fixture!(concat!("openssl-", $file, ".eml"))).await.unwrap();
            assert_eq!(opened.content.as_slice(), fixture!("text.eml"));
            assert_eq!(opened.encryption, ContentEncryption::$encryption);
            // OpenSSL writes no recipient-emails; the To inside the signature binds it.
            assert!(opened.bound);
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
