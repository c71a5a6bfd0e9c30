//! Mails of any length: what is sealed and opened in pieces is the same, and nothing comes out unchecked.

use super::people::*;
use crate::*;
use proptest::prelude::*;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};

async fn opened_in_pieces(mail: &[u8], piece: usize) -> Result<(Vec<u8>, Verdict), OpenError> {
    let (key, known) = (recipient(), [fixture!("sender.der").to_vec()]);
    let decrypted = decrypt_stream(BufReader::with_capacity(piece, Cursor::new(mail)), &key, Floor::Today).await?;
    let opened = decrypted.verify(&against(&anchors(), &known, &key))?;
    let (verdict, mut out) = (opened.verdict.clone(), Vec::new());
    opened.release(&mut out)?;
    Ok((out, verdict))
}

/// A document of so many octets.
fn document(length: usize) -> Vec<u8> {
    let mut text = b"To: ichiro@b.example\r\nContent-Type: image/tiff\r\n\r\n".to_vec();
    let line = b"SUkqAAgAAAAQAP4ABAABAAAAAgAAAAABAwABAAAAwAYAAAEBAwABAAAA8QgAAAIBAwABAAAA\r\n";
    text.extend(line.iter().copied().cycle().take(length / line.len() * line.len()));
    text
}

#[tokio::test]
async fn whatever_the_pieces_it_is_the_same() {
    for length in [0, 1000, 100_000] {
        let content = document(length);
        for scheme in [Scheme::Aes256Gcm, Scheme::Aes256Cbc, Scheme::DesEde3Cbc] {
            let whole = seal_as(&content, &signing(&sender()), &[ichiro()], scheme, &mut rng()).await.unwrap();
            let mut out = Vec::new();
            let mut source = BufReader::with_capacity(777, Cursor::new(&content));
            let seal =
                seal_stream(&mut source, &signing(&sender()), &[ichiro()], scheme, &mut rng(), &mut out).await.unwrap();
            assert!(out == whole.entity, "{length} {scheme:?}");
            assert_eq!(seal, whole.seal);
            for piece in [1000, 100_000] {
                let (opened, verdict) = opened_in_pieces(&mail(&out), piece).await.unwrap();
                assert!(opened == content, "{length} {scheme:?} {piece}");
                assert_eq!(verdict.content_digest, seal.content_digest);
            }
        }
    }
}

#[tokio::test]
async fn what_others_make_opens_in_pieces() {
    for file in [fixture!("openssl-cbc.eml"), fixture!("openssl-3des.eml")] {
        let whole = open(file).await.unwrap();
        let (opened, verdict) = opened_in_pieces(file, 500).await.unwrap();
        assert_eq!(opened, *whole.content);
        assert_eq!(verdict.encryption, whole.verdict.encryption);
    }
    assert_eq!(opened_in_pieces(fixture!("openssl-unsigned.eml"), 500).await.map(|_| ()), Err(OpenError::Unsigned));
}

/// An AuthEnvelopedData with an attribute that is authenticated with the content and stands behind it (RFC 5083 2.1).
fn with_attributes(content: &[u8]) -> Vec<u8> {
    use aes_gcm::{Aes256Gcm, KeyInit as _, aead::Aead as _, aead::Payload};
    use algorithm::{Hash, oid};
    use asn1::tag;
    let (key, nonce) = ([1; 32], [2; 12]);
    let padding = key_transport::Padding::Oaep(Hash::Sha256, Hash::Sha256);
    let certificate = ichiro().certificate;
    let info = key_transport::make(&key, &path::Fields::of(&certificate).unwrap(), padding, &mut rng()).unwrap();
    let content_type = [
        asn1::object_identifier(&oid::ID_CONTENT_TYPE),
        asn1::value(tag::SET, &[asn1::object_identifier(&oid::ID_DATA)]),
    ];
    let attributes = [asn1::sequence(&content_type)];
    let aad = asn1::value(tag::SET, &attributes);
    let cipher = Aes256Gcm::new_from_slice(&key).unwrap();
    let mut text = cipher.encrypt((&nonce).into(), Payload { msg: content, aad: &aad }).unwrap();
    let mac = text.split_off(content.len());
    let parameters = asn1::sequence(&[asn1::octet_string(&nonce), asn1::small_integer(16)]);
    let encrypted = asn1::sequence(&[
        asn1::object_identifier(&oid::ID_DATA),
        asn1::algorithm(&oid::AES256_GCM, &parameters),
        asn1::value(tag::context(0), &[text]),
    ]);
    let object = asn1::sequence(&[
        asn1::small_integer(0),
        asn1::value(tag::SET, &[info]),
        encrypted,
        asn1::value(tag::constructed(1), &attributes),
        asn1::octet_string(&mac),
    ]);
    mime::pkcs7_mime("authEnveloped-data", &signed_data::content_info(&oid::ID_CT_AUTH_ENVELOPED_DATA, &object))
}

#[tokio::test]
async fn what_needs_two_readings_comes_out_once() {
    let signed = sign_detached(&document(30_000), &signing(&sender())).await.unwrap();
    let made = mail(&with_attributes(&signed));
    assert!(open(&made).await.unwrap().content.as_slice() == document(30_000));
    assert!(opened_in_pieces(&made, 1000).await.unwrap().0 == document(30_000));
}

#[tokio::test]
async fn lines_that_end_in_lf_may_grow_while_they_are_read() {
    let text = format!("To: ichiro@b.example\r\n\r\n{}", "1\r\n".repeat(40_000));
    let signed = sign_detached(text.as_bytes(), &signing(&sender())).await.unwrap();
    let unix = String::from_utf8(signed).unwrap().replace("\r\n", "\n");
    let binary = [
        b"From: hanako@a.example\r\nContent-Type: application/pkcs7-mime; smime-type=authEnveloped-data\r\n\
            Content-Transfer-Encoding: binary\r\n\r\n"
            .as_slice(),
        &enveloped(unix.as_bytes(), &[ichiro()]),
    ]
    .concat();
    assert!(binary.len() < text.len());
    assert!(open(&binary).await.unwrap().content.as_slice() == text.as_bytes());
}

#[tokio::test]
async fn a_document_that_changes_while_it_is_sealed_is_not() {
    /// Longer at the second reading.
    struct Growing(Cursor<Vec<u8>>, u32);
    impl Read for Growing {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Seek for Growing {
        fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
            self.1 += 1;
            if self.1 == 2 {
                self.0.get_mut().extend_from_slice(b"and more\r\n");
            }
            self.0.seek(to)
        }
    }
    let mut source = BufReader::new(Growing(Cursor::new(document(5000)), 0));
    let made =
        seal_stream(&mut source, &signing(&sender()), &[ichiro()], Scheme::default(), &mut rng(), &mut Vec::new())
            .await;
    assert_eq!(made.unwrap_err().code(), "SEAL-040");
}

/// A mail of which the second reading, from so many octets on, is another.
struct Exchanged<'a> {
    mails: [&'a [u8]; 2],
    readings: usize,
    at: u64,
}

impl Read for Exchanged<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // Its head is read first, then the whole, then, to be released, the whole again.
        let mut mail = Cursor::new(self.mails[usize::from(self.readings > 3)]);
        mail.set_position(self.at);
        let count = mail.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Exchanged<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let SeekFrom::Start(at) = to else { return Ok(self.at) };
        self.at = at;
        self.readings += usize::from(at == 0);
        Ok(at)
    }
}

#[tokio::test]
async fn a_mail_that_was_exchanged_after_the_check_is_told() {
    let key = recipient();
    let known = [fixture!("sender.der").to_vec()];
    let of = async |text: &[u8]| mail(&seal(text, &signing(&sender()), &[ichiro()], &mut rng()).await.unwrap().entity);
    let good = of(&document(60_000)).await;
    let mut changed = good.clone();
    let at = changed.len() / 2;
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    let other = of(&document(30_000)).await;
    for (second, expected) in [(&good, Ok(())), (&changed, Err("OPEN-016")), (&other, Err("OPEN-034"))] {
        let mail = BufReader::new(Exchanged { mails: [&good, second], readings: 0, at: 0 });
        let decrypted = decrypt_stream(mail, &key, Floor::Today).await.unwrap();
        let opened = decrypted.verify(&against(&anchors(), &known, &key)).unwrap();
        let released = opened.release(&mut Vec::new());
        assert_eq!(released.map_err(|error| error.code()), expected);
    }
}

#[tokio::test]
async fn who_cannot_write_is_told() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let content = document(50_000);
    let mut source = Cursor::new(&content);
    let made =
        seal_stream(&mut source, &signing(&sender()), &[ichiro()], Scheme::default(), &mut rng(), &mut Full).await;
    assert_eq!(made.unwrap_err().code(), "SEAL-041");
    let (key, known) = (recipient(), [fixture!("sender.der").to_vec()]);
    for scheme in [Scheme::Aes256Gcm, Scheme::Aes256Cbc] {
        let sealed = seal_as(&content, &signing(&sender()), &[ichiro()], scheme, &mut rng()).await.unwrap().entity;
        let opened = decrypt_stream(Cursor::new(&sealed), &key, Floor::Today)
            .await
            .unwrap()
            .verify(&against(&anchors(), &known, &key))
            .unwrap();
        assert_eq!(opened.release(&mut Full).unwrap_err().code(), "OPEN-003");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_change_is_found_in_pieces_as_in_whole(position in any::<prop::sample::Index>(), bit in 0u8..8, piece in 1usize..5000) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let content = document(20_000);
            let mut octets = mail(&seal(&content, &signing(&sender()), &[ichiro()], &mut rng()).await.unwrap().entity);
            *position.get_mut(&mut octets) ^= 1 << bit;
            let whole = open(&octets).await.map(|opened| opened.content.to_vec());
            let pieces = opened_in_pieces(&octets, piece).await.map(|(content, _)| content);
            prop_assert!(whole == pieces);
            Ok(())
        })?;
    }
}
