//! Signed receipts: asked for with every sealed mail, answering that mail alone. OpenSSL makes and checks them as well.

use super::people::*;
use crate::*;
use std::path::Path;
use std::process::Command;

/// A card that signs as Ichiro.
fn ichiro_signing() -> SoftwareKey {
    // Of the fixtures' people, this one has an address beside Hanako's, and may sign.
    mallory()
}
const ANSWERS: &str = "mallory@a.example";

async fn asked() -> (Sealed, Opened) {
    let sealed = seal(CONTENT, &signing(&sender()), &[ichiro()], &mut rng()).await.unwrap();
    let opened = open(&mail(&sealed.entity)).await.unwrap();
    (sealed, opened)
}

fn check(receipt: &[u8], terms: &ReceiptTerms) -> Result<Receipt, OpenError> {
    verify_receipt(receipt, terms, &anchors(), now(), None, ANSWERS)
}

#[tokio::test]
async fn both_sides_have_the_same_terms_and_a_receipt_answers_them() {
    let (sealed, opened) = asked().await;
    let terms = sealed.seal.receipt.unwrap();
    assert_eq!(opened.verdict.receipt.as_ref(), Some(&terms));
    let receipt = sign_receipt(opened.verdict.receipt.as_ref().unwrap(), &signing(&ichiro_signing())).await.unwrap();
    let verified = check(&receipt, &terms).unwrap();
    assert_eq!(verified.signing_time, Some(now()));
    assert_eq!(verified.signer_certificate, ichiro_signing().certificate);
    // Nothing else takes it for a mail.
    assert!(decrypt(&receipt, &recipient()).await.is_err());
    assert!(verify_detached(&receipt, &anchors(), now(), None, ANSWERS).is_err());
}

#[tokio::test]
async fn a_receipt_answers_one_mail_by_one_signer() {
    let (sealed, _) = asked().await;
    let terms = sealed.seal.receipt.unwrap();
    let key = ichiro_signing();
    let receipt = sign_receipt(&terms, &signing(&key)).await.unwrap();
    let change = |change: fn(&mut ReceiptTerms)| {
        let mut other = terms.clone();
        change(&mut other);
        other
    };
    for other in [
        change(|terms| terms.identifier[0] ^= 1),
        change(|terms| terms.signature[9] ^= 1),
        change(|terms| terms.attributes_digest[9] ^= 1),
    ] {
        assert_eq!(check(&receipt, &other).unwrap_err(), OpenError::ReceiptForAnother);
    }
    let by = |who: &str| verify_receipt(&receipt, &terms, &anchors(), now(), None, who).unwrap_err();
    assert!(matches!(by("hanako@a.example"), OpenError::SenderMismatch { .. }));
    let known = [fixture!("sender.der").to_vec()];
    let error = verify_receipt(&receipt, &terms, &anchors(), now(), Some(&known), ANSWERS).unwrap_err();
    assert_eq!(error, OpenError::UnknownSigner);
    // A signed mail is no receipt, and the other way round.
    let signed = sign_detached(CONTENT, &signing(&key)).await.unwrap();
    assert_eq!(check(&signed, &terms).unwrap_err(), OpenError::Unsigned);
}

#[tokio::test]
async fn every_changed_octet_of_a_receipt_is_found() {
    let (sealed, _) = asked().await;
    let terms = sealed.seal.receipt.unwrap();
    let receipt = sign_receipt(&terms, &signing(&ichiro_signing())).await.unwrap();
    let octets = mime::Entity::parse(&receipt).unwrap().decoded().unwrap();
    let whole = check(&receipt, &terms).unwrap();
    for position in (0..octets.len()).step_by(7) {
        let mut changed = octets.clone();
        changed[position] ^= 0x10;
        if let Ok(receipt) = check(&mime::pkcs7_mime("signed-receipt", &changed), &terms) {
            assert_eq!(receipt, whole, "octet {position}");
        }
    }
}

fn openssl(folder: &Path, line: &str) -> Result<(), String> {
    let output = Command::new("openssl").current_dir(folder).args(line.split(' ')).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[tokio::test]
async fn openssl_takes_our_receipts_and_we_take_its() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var_os("SEALFAX_STRICT").is_none(), "openssl is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| std::fs::write(folder.path().join(name), octets).unwrap();
    let (sealed, opened) = asked().await;
    write("sealed.eml", &mail(&sealed.entity));
    write("anchor.der", fixture!("anchor.der"));
    write("recipient.der", fixture!("demo-only-recipient.key.der"));
    write("mallory.key", fixture!("demo-only-mallory.key.der"));
    write("mallory.der", fixture!("mallory.der"));
    let run = |line: &str| openssl(folder.path(), line);
    run("x509 -inform DER -in anchor.der -out anchor.pem").unwrap();
    run("x509 -inform DER -in mallory.der -out mallory.pem").unwrap();
    run("pkey -inform DER -in mallory.key -out mallory.key.pem").unwrap();
    run("pkey -inform DER -in recipient.der -out recipient.pem").unwrap();
    run("cms -decrypt -in sealed.eml -inkey recipient.pem -out signed.eml").unwrap();
    // Theirs.
    run("cms -sign_receipt -in signed.eml -signer mallory.pem -inkey mallory.key.pem -out theirs.eml").unwrap();
    let theirs = std::fs::read(folder.path().join("theirs.eml")).unwrap();
    check(&theirs, sealed.seal.receipt.as_ref().unwrap()).unwrap();
    // Ours.
    let ours = sign_receipt(opened.verdict.receipt.as_ref().unwrap(), &signing(&mallory())).await.unwrap();
    write("ours.eml", &ours);
    run("cms -verify_receipt ours.eml -in signed.eml -CAfile anchor.pem").unwrap();
    // For another mail it does not verify there either.
    let other = seal(CONTENT, &signing(&sender()), &[ichiro()], &mut rng()).await.unwrap();
    let mut terms = other.seal.receipt.unwrap();
    terms.signature[0] ^= 1;
    write("wrong.eml", &sign_receipt(&terms, &signing(&mallory())).await.unwrap());
    run("cms -verify_receipt wrong.eml -in signed.eml -CAfile anchor.pem").unwrap_err();
}
