//! Detached signatures, as confirmations carry them (ST922).

use super::people::*;
use crate::*;

const REPORT: &[u8] =
    b"Content-Type: multipart/report; report-type=disposition-notification;\r\n boundary=\"r\"\r\n\r\n\
    --r\r\nContent-Type: text/plain\r\n\r\nPrinted. \r\n--r--\r\n";

#[tokio::test]
async fn the_entity_comes_back_exactly() {
    let entity = sign_detached(REPORT, &signing(&sender())).await.unwrap();
    for entity in [entity.clone(), mail(&entity), String::from_utf8(entity).unwrap().replace("\r\n", "\n").into()] {
        let signed = verify_detached(&entity, &anchors(), now(), None, "hanako@a.example").unwrap();
        assert_eq!(signed.entity, REPORT);
        assert_eq!(signed.signing_time, Some(now()));
    }
}

#[tokio::test]
async fn every_change_of_the_entity_is_found() {
    let made = sign_detached(REPORT, &signing(&sender())).await.unwrap();
    let start = made.windows(REPORT.len()).position(|window| window == REPORT).unwrap();
    for position in start..start + REPORT.len() {
        let mut changed = made.clone();
        changed[position] ^= 1;
        if let Ok(signed) = verify_detached(&changed, &anchors(), now(), None, "hanako@a.example") {
            assert_eq!(signed.entity, REPORT);
        }
    }
}

#[tokio::test]
async fn only_the_expected_signer_counts() {
    let made = sign_detached(REPORT, &signing(&mallory())).await.unwrap();
    let error = verify_detached(&made, &anchors(), now(), None, "hanako@a.example").unwrap_err();
    assert!(matches!(error, OpenError::SenderMismatch { .. }));
    let known = [fixture!("sender.der").to_vec()];
    let error = verify_detached(&made, &anchors(), now(), Some(&known), "hanako@a.example").unwrap_err();
    assert_eq!(error, OpenError::UnknownSigner);
    let made = sign_detached(REPORT, &signing(&impostor())).await.unwrap();
    let error = verify_detached(&made, &anchors(), now(), None, "hanako@a.example").unwrap_err();
    assert_eq!(error, OpenError::Path(path::PathError::UnknownIssuer));
    assert_eq!(verify_detached(REPORT, &anchors(), now(), None, "hanako@a.example"), Err(OpenError::Unsigned));
}

#[tokio::test]
async fn eight_bit_text_is_not_signed_in_clear() {
    let made = sign_detached("Content-Type: text/plain\r\n\r\n印刷済\r\n".as_bytes(), &signing(&sender())).await;
    assert_eq!(made, Err(SealError::NotSevenBit));
}

#[tokio::test]
async fn the_mime_form() {
    let made = sign_detached(REPORT, &signing(&sender())).await.unwrap();
    let text = String::from_utf8(made).unwrap().replace("\r\n", "\n");
    let (before, after) = text.split_once("smime.p7s\"\n\n").unwrap();
    let boundary = &text[text.find("=_sealfax_").unwrap()..][..42];
    let closing = after.rsplit_once("\n\n").unwrap().1;
    let shown = format!("{before}smime.p7s\"\n\n[base64]\n\n{closing}").replace(boundary, "[boundary]");
    insta::assert_snapshot!(shown, @r#"
    Content-Type: multipart/signed; protocol="application/pkcs7-signature";
     micalg=sha-256;
     boundary="[boundary]"

    --[boundary]
    Content-Type: multipart/report; report-type=disposition-notification;
     boundary="r"

    --r
    Content-Type: text/plain

    Printed. 
    --r--

    --[boundary]
    Content-Type: application/pkcs7-signature; name="smime.p7s"
    Content-Transfer-Encoding: base64
    Content-Disposition: attachment; filename="smime.p7s"

    [base64]

    --[boundary]--
    "#);
}
