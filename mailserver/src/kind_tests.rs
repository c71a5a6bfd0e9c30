#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;

use super::*;

fn mail(content_type: &str) -> Vec<u8> {
    format!("From: a@b\r\nContent-Type: {content_type}\r\n\r\nbody\r\n").into_bytes()
}

fn kind(content_type: &str) -> Kind {
    judge(&mail(content_type), false).kind
}

/// A ContentInfo with this last part of its object identifier, in base64.
fn cms(content_type: &str, identifier: &[u8], indefinite: bool) -> Vec<u8> {
    let mut der = vec![0x30];
    der.extend_from_slice(if indefinite { &[0x80] } else { &[0x82, 0x10, 0x00] });
    der.extend_from_slice(&[0x06, identifier.len() as u8]);
    der.extend_from_slice(identifier);
    der.extend_from_slice(&[0xa0, 0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: Base64\r\n\r\n{}", header::base64_lines(&der))
        .into_bytes()
}

const SIGNED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const ENVELOPED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
const AUTH_ENVELOPED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17];
const COMPRESSED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x09];

#[test]
fn rule_1_exactly_one_parsable_content_type() {
    assert_eq!(judge(b"From: a@b\r\n\r\nx", false).kind, Kind::Plain);
    let twice = judge(
        b"Content-Type: text/plain\r\ncontent-type: application/pkcs7-mime; smime-type=signed-data\r\n\r\nx",
        false,
    );
    assert_eq!((twice.kind, twice.rule), (Kind::Plain, 1));
    assert!(twice.security.is_some());
    for broken in ["application", "multipart/signed; protocol", "a/b; x=\"open", "a/b (open", "a/b; x=1; X=2", ""] {
        let judged = judge(&mail(broken), false);
        assert_eq!((judged.kind, judged.rule), (Kind::Plain, 1), "{broken}");
        assert!(judged.security.is_some(), "{broken}");
    }
}

#[test]
fn rule_2_reports() {
    assert_eq!(kind("Multipart/REPORT; Report-Type=Disposition-Notification; boundary=x"), Kind::Confirmation);
    assert_eq!(kind("multipart/report;\r\n\treport-type=\"delivery-status\"; boundary=x"), Kind::Bounce);
    assert_eq!(kind("multipart/report; boundary=x; report-type=feedback-report"), Kind::Plain);
}

#[test]
fn rule_3_signed_receipt() {
    assert_eq!(kind("application/x-pkcs7-mime; smime-type=signed-receipt"), Kind::Confirmation);
}

#[test]
fn rule_4_multipart_signed() {
    let outer = "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"b 1\"";
    assert_eq!(kind(outer), Kind::Sealed);
    assert_eq!(kind("multipart/signed; protocol=\"application/pgp-signature\"; boundary=x"), Kind::Plain);
    let child = |child: &str| {
        format!("Content-Type: {outer}\r\n\r\npreamble\r\n--b 1\r\nContent-Type: {child}\r\n\r\nx\r\n--b 1--\r\n")
            .into_bytes()
    };
    let report = child("multipart/report;\r\n report-type=disposition-notification; boundary=y");
    assert_eq!(judge(&report, false).kind, Kind::Confirmation);
    assert_eq!(judge(&child("text/plain"), false).kind, Kind::Sealed);
}

#[test]
fn rule_5_smime_types() {
    for smime_type in ["signed-data", "enveloped-data", "authEnveloped-data", "authenticated-enveloped-data"] {
        assert_eq!(kind(&format!("application/pkcs7-mime; smime-type={smime_type}")), Kind::Sealed);
        assert_eq!(kind(&format!("APPLICATION/X-PKCS7-MIME; SMIME-TYPE=\"{smime_type}\"")), Kind::Sealed);
        assert_eq!(kind(&format!("application/(a (b) c)pkcs7-mime (x); smime-type={smime_type}")), Kind::Sealed);
    }
    assert_eq!(kind("application/pkcs7-mime; smime-type=certs-only"), Kind::Plain);
    assert_eq!(judge(&cms("application/pkcs7-mime; smime-type=certs-only", SIGNED, false), false).kind, Kind::Plain);
}

#[test]
fn rule_6_the_identifier_wins() {
    for indefinite in [false, true] {
        for identifier in [SIGNED, ENVELOPED, AUTH_ENVELOPED] {
            for content_type in [
                "application/pkcs7-mime",
                "application/pkcs7-mime; smime-type=novelty",
                "application/octet-stream; name=\"SMIME.P7M\"",
            ] {
                let judged = judge(&cms(content_type, identifier, indefinite), false);
                assert_eq!((judged.kind, judged.rule), (Kind::Sealed, 6), "{content_type}");
            }
        }
        let compressed =
            judge(&cms("application/pkcs7-mime; smime-type=enveloped-data", COMPRESSED, indefinite), false);
        assert_eq!(compressed.kind, Kind::Plain);
        assert!(compressed.security.is_some());
        let hidden = judge(&cms("application/pkcs7-mime; smime-type=certs-only", ENVELOPED, indefinite), false);
        assert_eq!(hidden.kind, Kind::Sealed);
        assert!(hidden.security.is_some());
    }
    let disposed = b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=smime.p7m\r\n\
Content-Transfer-Encoding: binary\r\n\r\n\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x80";
    assert_eq!(judge(disposed, false).kind, Kind::Sealed);
    assert_eq!(kind("application/pkcs7-mime"), Kind::Plain);
    assert_eq!(judge(&cms("application/octet-stream", ENVELOPED, false), false).kind, Kind::Plain);
}

#[test]
fn rule_7_everything_else_is_plain() {
    for plain in ["text/plain", "multipart/mixed; boundary=\"design\"", "image/tiff; application=faxbw"] {
        assert_eq!(kind(plain), Kind::Plain);
    }
}

#[test]
fn the_literal_rule_keeps_0068_to_the_letter() {
    let literal = |content_type: &str| judge(&mail(content_type), true).kind;
    assert_eq!(literal("multipart/mixed; boundary=\"design\""), Kind::Sealed);
    assert_eq!(literal("application/pkcs7-mime; smime-type=enveloped-data"), Kind::Plain);
    assert_eq!(literal("multipart/SIGNED; protocol=\"application/pkcs7-signature\"; boundary=x"), Kind::Sealed);
    assert_eq!(literal("multipart/report; report-type=disposition-notification"), Kind::Confirmation);
}

proptest! {
    #[test]
    fn no_mail_panics(octets in proptest::collection::vec(any::<u8>(), 0..600), literal in any::<bool>()) {
        judge(&octets, literal);
        let mut mail = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
        mail.extend_from_slice(&octets);
        judge(&mail, literal);
    }

    #[test]
    fn no_content_type_panics(value in "[ -~]{0,80}") {
        kind(&value);
    }
}
