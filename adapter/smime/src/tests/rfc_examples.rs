//! The examples that RFC 4134 and RFC 9788 print. Those of 2005 are below today's floor: each is read as far as it may be, and refused
//! by its own name.

use super::people::*;
use crate::*;

/// Whatever was known of the signer before, as far as the algorithms of their time let it be checked.
fn believe(mail: &[u8], anchor: &[u8], from: &str) -> Result<SignedEntity, OpenError> {
    match layers::envelope_head(&mut std::io::Cursor::new(mail))? {
        layers::Around::Signature(passed, entity) => passed.believe(entity, &[anchor.to_vec()], now(), None, from),
        layers::Around::Envelope(_) => Err(OpenError::Unsigned),
    }
}

macro_rules! rfc4134 {
    ($name:expr) => {
        fixture!(concat!("rfc4134/", $name))
    };
}

/// Appendix B: Bob's key has 1024 bits.
fn bob() -> SoftwareKey {
    SoftwareKey::rsa(rfc4134!("bob.der"), rfc4134!("demo-only-bob.key.der"))
}

#[tokio::test]
async fn what_was_encrypted_for_bob_in_2005_opens() {
    // 5.1, and what stands in the mail of 5.3.
    let content = rfc4134!("ExContent.bin");
    assert_eq!(content, b"This is some sample content.");
    assert_eq!(possession::open_object(rfc4134!("5.1.bin"), &bob()).await.unwrap().as_slice(), content);
    let mail = rfc4134!("5.3.eml");
    let cms = mime::Entity::parse(mail).unwrap().decoded().unwrap();
    assert_eq!(possession::open_object(&cms, &bob()).await.unwrap().as_slice(), content);
    // What nothing protects from being changed, and nobody signed, is not shown to people.
    assert_eq!(decrypt(mail, &bob()).await.unwrap_err(), OpenError::CannotDecrypt);
}

#[tokio::test]
async fn what_is_below_the_floor_or_nothing_sealed_is_told_by_its_name() {
    for (section, octets, code) in [
        ("3.1", rfc4134!("3.1.bin"), "OPEN-012"), // data
        ("5.2", rfc4134!("5.2.bin"), "OPEN-014"), // RC2
        ("6.0", rfc4134!("6.0.bin"), "OPEN-012"), // DigestedData
        ("7.1", rfc4134!("7.1.bin"), "OPEN-012"), // EncryptedData
        ("7.2", rfc4134!("7.2.bin"), "OPEN-012"),
    ] {
        let error = decrypt(&mime::pkcs7_mime("enveloped-data", octets), &bob()).await.unwrap_err();
        assert_eq!(error.code(), code, "{section}");
    }
}

#[test]
fn signatures_of_2005_are_refused_by_their_algorithms() {
    let signed = |octets: &[u8]| mime::pkcs7_mime("signed-data", octets);
    for (section, mail, code) in [
        ("4.1 DSS", signed(rfc4134!("4.1.bin")), "OPEN-026"),
        ("4.2 RSA with SHA-1", signed(rfc4134!("4.2.bin")), "OPEN-026"),
        ("4.3 its content elsewhere", signed(rfc4134!("4.3.bin")), "OPEN-013"),
        ("4.4 DSS with attributes", signed(rfc4134!("4.4.bin")), "OPEN-026"),
        ("4.5 RSA, RC2 among the capabilities", signed(rfc4134!("4.5.bin")), "OPEN-026"),
        ("4.6 two signers", signed(rfc4134!("4.6.bin")), "OPEN-021"),
        ("4.7 signer by key identifier", signed(rfc4134!("4.7.bin")), "OPEN-026"),
        ("4.8 multipart/signed", rfc4134!("4.8.eml").to_vec(), "OPEN-026"),
        ("4.9 signed-data", rfc4134!("4.9.eml").to_vec(), "OPEN-026"),
        ("4.10 ESS attributes", signed(rfc4134!("4.10.bin")), "OPEN-026"),
        ("4.11 certificates only", signed(rfc4134!("4.11.bin")), "OPEN-013"),
    ] {
        let error = believe(&mail, rfc4134!("carl.der"), "alice@example.com").unwrap_err();
        assert_eq!(error.code(), code, "{section}: {error:?}");
    }
}

#[test]
fn the_signed_message_of_rfc_9788_holds() {
    let mail = fixture!("rfc9788/smime-multipart-hp.eml");
    let check = |mail: &[u8], from: &str| believe(mail, fixture!("rfc9788/ca.der"), from);
    let signed = check(mail, "alice@smime.example").unwrap();
    let text = String::from_utf8(signed.entity).unwrap();
    assert!(text.contains("\r\nSubject: smime-multipart-hp\r\n") && text.contains("; hp=\"clear\"\r\n"));
    assert_eq!(check(mail, "bob@smime.example").unwrap_err().code(), "OPEN-024");
    let changed = String::from_utf8(mail.to_vec()).unwrap().replace("This is the\n", "This is not the\n");
    assert_eq!(check(changed.as_bytes(), "alice@smime.example").unwrap_err(), OpenError::DigestMismatch);
}
