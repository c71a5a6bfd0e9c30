//! Cards with P-256 and RSA-3072 keys, behind the adapter's own card code, against the openssl command: it opens what is
//! sealed here and verifies what the cards sign; the cards open what it seals, in every key derivation it knows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sealfax_adapter::card::{InsertedCard, PinAnswer};
use sealfax_drivers::card::CardReader;
use sealfax_drivers::card::object::MailboxLogin;
use sealfax_drivers::pin::Pin;
use sealfax_rig::virtual_card::{CardKey, CardProfile, KeyAndCertificate, SlotHandle, VirtualCard, VirtualReader};
use sealfax_smime::{
    ContentEncryption, OpenError, Opened, Recipient, Signing, Verification, decrypt, seal, sign_detached,
};
use sealfax_tests::openssl::present;
use sealfax_tests::pki::{Kind, Person, Pki};

const TEXT: &[u8] = b"From: taro@a.example\r\nTo: hanako@b.example, jiro@b.example\r\nSubject: memo\r\n\
MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nThe price is 4,200.\r\n";
const OAEP: [&str; 6] =
    ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"];

/// Taro signs and Hanako decrypts, both with P-256; Jiro does both with RSA-3072.
fn pki() -> Pki {
    let pki = Pki::new().unwrap();
    pki.write("text", TEXT).unwrap();
    pki.authority("anchor", None).unwrap();
    let (curve, large) = (Kind::Curve("P-256"), Kind::Rsa(3072));
    for (name, address, kind, usage) in [
        ("taro", "taro@a.example", curve, "digitalSignature"),
        ("taro-9d", "taro@a.example", curve, "keyAgreement"),
        ("hanako-9c", "hanako@b.example", curve, "digitalSignature,nonRepudiation"),
        ("hanako", "hanako@b.example", curve, "keyAgreement"),
        ("jiro-9c", "jiro@b.example", large, "digitalSignature"),
        ("jiro", "jiro@b.example", large, "keyEncipherment"),
    ] {
        pki.person(&Person { name, address, kind, usage, issuer: "anchor" }).unwrap();
    }
    pki
}

/// A card with these two of the PKI's keys, in a reader, its PIN given; and the slot, which has to outlive it.
async fn card(pki: &Pki, signature: &str, decryption: &str) -> (Arc<InsertedCard>, SlotHandle) {
    let pair = |name: &str| KeyAndCertificate {
        key: CardKey::from_pkcs8_der(&pki.private_key(name).unwrap()).unwrap(),
        certificate: pki.certificate(name).unwrap(),
    };
    let login = MailboxLogin::new("somebody@b.example", "himitsu").unwrap();
    let pin = || Pin::new(b"271828").unwrap();
    let profile = CardProfile::new(decryption, pair(signature), pair(decryption), login, pin());
    let (reader, slot) = VirtualReader::new("virtual");
    slot.insert(&Arc::new(Mutex::new(VirtualCard::new(profile))));
    let card = Arc::new(InsertedCard::read(reader.connect().unwrap()).unwrap());
    assert_eq!(card.verify_pin(Arc::new(pin()), 3).await, PinAnswer::Accepted);
    (card, slot)
}

fn recipient(pki: &Pki, name: &str) -> Recipient {
    Recipient { address: format!("{name}@b.example"), certificate: pki.certificate(name).unwrap() }
}

async fn open(pki: &Pki, mail: &[u8], card: &Arc<InsertedCard>, sender: &str) -> Result<Opened, OpenError> {
    let identity = card.identity();
    decrypt(mail, &card.decryption_key()).await?.verify(&Verification {
        anchors: &[pki.certificate("anchor").unwrap()],
        now: SystemTime::now(),
        sender: "taro@a.example",
        sender_certificates: &[pki.certificate(sender).unwrap()],
        recipient: &identity.owner.address,
        recipient_certificate: &identity.encryption_certificate,
        allow_unbound: false,
    })
}

#[tokio::test]
async fn openssl_opens_and_verifies_what_is_sealed_here() {
    if !present() {
        return;
    }
    let pki = pki();
    let (taro, _slot) = card(&pki, "taro", "taro-9d").await;
    let key = taro.signature_key();
    let signing = Signing { key: &key, chain: &[], signing_time: SystemTime::now() };
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    // P-256, RSA-3072, and both in one mail.
    for recipients in [&["hanako"][..], &["jiro"], &["hanako", "jiro"]] {
        let all: Vec<Recipient> = recipients.iter().map(|name| recipient(&pki, name)).collect();
        let sealed = seal(TEXT, &signing, &all, &mut rng).await.unwrap();
        pki.write("sealed.eml", &[b"MIME-Version: 1.0\r\n".as_slice(), &sealed.entity].concat()).unwrap();
        for name in recipients {
            let [certificate, private] = [format!("{name}.pem"), format!("{name}.key")];
            let decrypt =
                ["cms", "-decrypt", "-in", "sealed.eml", "-recip", &certificate, "-inkey", &private, "-out", "inner"];
            pki.run(&decrypt).unwrap();
            let text = pki.run(&["cms", "-verify", "-in", "inner", "-CAfile", "anchor.pem", "-signer", "signer.pem"]);
            assert_eq!(text.unwrap(), TEXT, "{name} of {recipients:?}");
            let signer = pki.certificate("signer").unwrap();
            assert_eq!(signer, taro.identity().signature_certificate);
        }
        // And so do the cards.
        for name in recipients {
            let (card, _slot) = card(&pki, &format!("{name}-9c"), name).await;
            assert_eq!(*open(&pki, &sealed.entity, &card, "taro").await.unwrap().content, TEXT);
        }
    }
    // Whose mail it is not, opens nothing.
    let sealed = seal(TEXT, &signing, &[recipient(&pki, "jiro")], &mut rng).await.unwrap();
    let (hanako, _slot) = card(&pki, "hanako-9c", "hanako").await;
    assert_eq!(open(&pki, &sealed.entity, &hanako, "taro").await.unwrap_err(), OpenError::NotForThisCard);
}

#[tokio::test]
async fn openssl_verifies_what_the_cards_sign_in_clear() {
    if !present() {
        return;
    }
    let pki = pki();
    let entity = b"Content-Type: text/plain\r\n\r\nPrinted.\r\n";
    for (signer, reader) in [("hanako-9c", "hanako"), ("jiro-9c", "jiro")] {
        let (card, _slot) = card(&pki, signer, reader).await;
        let key = card.signature_key();
        let signing = Signing { key: &key, chain: &[], signing_time: SystemTime::now() };
        let signed = sign_detached(entity, &signing).await.unwrap();
        pki.write("signed.eml", &[b"MIME-Version: 1.0\r\n".as_slice(), &signed].concat()).unwrap();
        let text = pki.run(&["cms", "-verify", "-in", "signed.eml", "-CAfile", "anchor.pem"]).unwrap();
        assert_eq!(text, entity, "{signer}");
        let changed = String::from_utf8(signed).unwrap().replace("Printed.", "Printet.");
        pki.write("signed.eml", changed.as_bytes()).unwrap();
        assert!(pki.run(&["cms", "-verify", "-in", "signed.eml", "-CAfile", "anchor.pem"]).is_err());
    }
}

#[tokio::test]
async fn the_cards_open_what_openssl_seals() {
    if !present() {
        return;
    }
    let pki = pki();
    let sign = |options: &[&str]| {
        let always =
            ["cms", "-sign", "-binary", "-nodetach", "-in", "text", "-signer", "taro.pem", "-inkey", "taro.key"];
        pki.run(&[&always[..], &["-out", "signed"], options].concat()).unwrap();
    };
    let seal = |options: &[&str]| pki.run(&[&["cms", "-encrypt", "-in", "signed"], options].concat()).unwrap();
    let (hanako, _slot) = card(&pki, "hanako-9c", "hanako").await;
    let (jiro, _slot) = card(&pki, "jiro-9c", "jiro").await;

    let to_hanako = ["-recip", "hanako.pem"];
    let sha256 = ["-keyopt", "ecdh_kdf_md:sha256"];
    type Form<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], ContentEncryption);
    let forms: [Form<'_>; 7] = [
        // As OpenSSL and Outlook do unasked: dhSinglePass-stdDH-sha1kdf, EnvelopedData.
        (&[], &["-aes-256-cbc"], &[], ContentEncryption::Aes256Cbc),
        (&[], &["-aes-128-cbc", "-stream"], &[], ContentEncryption::Aes128Cbc),
        (&["-md", "sha384"], &["-aes-256-gcm"], &sha256, ContentEncryption::Aes256Gcm),
        (&["-md", "sha512"], &["-aes-128-gcm", "-stream", "-keyid"], &sha256, ContentEncryption::Aes128Gcm),
        (&[], &["-aes-192-cbc"], &["-keyopt", "ecdh_kdf_md:sha384"], ContentEncryption::Aes192Cbc),
        (&[], &["-aes-256-gcm"], &["-keyopt", "ecdh_kdf_md:sha512"], ContentEncryption::Aes256Gcm),
        (&[], &["-aes-256-gcm"], &["-keyopt", "ecdh_cofactor_mode:1"], ContentEncryption::Aes256Gcm),
    ];
    for (signature, cipher, derivation, encryption) in forms {
        sign(signature);
        let mail = seal(&[cipher, &to_hanako, derivation].concat());
        let opened = open(&pki, &mail, &hanako, "taro").await;
        let opened = opened.unwrap_or_else(|error| panic!("{cipher:?} {derivation:?}: {error:?}"));
        assert_eq!(*opened.content, TEXT, "{cipher:?} {derivation:?}");
        assert_eq!(opened.verdict.encryption, encryption);
        assert_eq!(open(&pki, &mail, &jiro, "taro").await.unwrap_err(), OpenError::NotForThisCard);
    }
    // Both in one mail, in either order.
    sign(&[]);
    let to_jiro = [&["-recip", "jiro.pem"][..], &OAEP].concat();
    for recipients in [[&to_hanako, &to_jiro[..]].concat(), [&to_jiro[..], &to_hanako].concat()] {
        let mail = seal(&[&["-aes-256-gcm"], &recipients[..]].concat());
        for card in [&hanako, &jiro] {
            assert_eq!(*open(&pki, &mail, card, "taro").await.unwrap().content, TEXT);
        }
    }
}

fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        length @ 0..0x80 => out.push(length as u8),
        length @ 0x80..0x100 => out.extend([0x81, length as u8]),
        length => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(content);
    out
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

/// What a KeyAgreeRecipientInfo may say beyond what `openssl cms` itself writes.
#[derive(Debug, Default, Clone, Copy)]
struct Form {
    user_keying_material: Option<&'static [u8]>,
    /// NULL as parameters of the key wrap.
    null: bool,
    /// The curve's name as parameters of the ephemeral key.
    named: bool,
    compressed: bool,
    /// A stranger's key in front of ours.
    stranger: bool,
}

/// EnvelopedData for Hanako out of nothing but OpenSSL's primitives: ECDH, X963KDF, key wrap and CBC.
fn assembled(pki: &Pki, form: Form) -> Vec<u8> {
    const SPKI_HEAD: usize = 26;
    let run = |arguments: &[&str]| pki.run(arguments).unwrap();
    pki.key("ephemeral", Kind::Curve("P-256")).unwrap();
    let public = run(&["pkey", "-in", "ephemeral.key", "-pubout", "-outform", "DER"]);
    let mut point = public[SPKI_HEAD..].to_vec();
    if form.compressed {
        point = [&[2 | (point[64] & 1)], &point[1..33]].concat();
    }
    let peer = run(&["x509", "-in", "hanako.pem", "-noout", "-pubkey"]);
    pki.write("peer.pem", &peer).unwrap();
    let secret = run(&["pkeyutl", "-derive", "-inkey", "ephemeral.key", "-peerkey", "peer.pem"]);

    let ukm = form.user_keying_material.map(|ukm| value(4, &[ukm]));
    let null: &[u8] = if form.null { &[5, 0] } else { &[] };
    let key_wrap = value(0x30, &[&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2d], null]);
    let entity = ukm.as_ref().map(|ukm| value(0xa0, &[ukm])).unwrap_or_default();
    let info = value(0x30, &[&key_wrap, &entity, &[0xa2, 6, 4, 4, 0, 0, 1, 0]]);
    let (hexsecret, hexinfo) = (format!("hexsecret:{}", hex(&secret)), format!("hexinfo:{}", hex(&info)));
    let derive = ["kdf", "-keylen", "32", "-kdfopt", "digest:SHA256", "-kdfopt", &hexsecret, "-kdfopt", &hexinfo];
    let wrapping = run(&[&derive[..], &["-binary", "X963KDF"]].concat());

    let (content_key, iv) = ([0x42; 32], [0x24; 16]);
    pki.write("content-key", &content_key).unwrap();
    let wrapping = hex(&wrapping);
    let wrapped = run(&["enc", "-id-aes256-wrap", "-K", &wrapping, "-iv", "A6A6A6A6A6A6A6A6", "-in", "content-key"]);
    let (key, vector) = (hex(&content_key), hex(&iv));
    let encrypted = run(&["enc", "-aes-256-cbc", "-K", &key, "-iv", &vector, "-in", "signed"]);

    let certificate = pki.certificate("hanako").unwrap();
    let tail = |part: &str| run(&["x509", "-in", "hanako.pem", "-noout", part]);
    let serial = String::from_utf8(tail("-serial")).unwrap();
    let serial = serial.trim().trim_start_matches("serial=").to_owned();
    let serial: Vec<u8> =
        (0..serial.len()).step_by(2).map(|at| u8::from_str_radix(&serial[at..at + 2], 16).unwrap()).collect();
    // The issuer is /CN=anchor, as OpenSSL encodes it; it stands in the certificate just so.
    let issuer = value(0x30, &[&value(0x31, &[&value(0x30, &[&[6, 3, 0x55, 4, 3], &value(0x0c, &[b"anchor"])])])]);
    assert!(certificate.windows(issuer.len()).any(|window| window == issuer));
    let name = |serial: &[u8]| value(0x30, &[&issuer, &value(2, &[serial])]);
    let ours = value(0x30, &[&name(&serial), &value(4, &[&wrapped])]);
    let stranger = if form.stranger { value(0x30, &[&name(&[7]), &value(4, &[&[7; 40]])]) } else { Vec::new() };

    let curve: &[u8] = if form.named { &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] } else { &[] };
    let algorithm = value(0x30, &[&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], curve]);
    let originator = value(0xa0, &[&value(0xa1, &[&algorithm, &value(3, &[&[0], &point])])]);
    let scheme = value(0x30, &[&[6, 6, 0x2b, 0x81, 4, 1, 0x0b, 1], &key_wrap]);
    let ukm = ukm.map(|ukm| value(0xa1, &[&ukm])).unwrap_or_default();
    let agreement = value(0xa1, &[&[2, 1, 3], &originator, &ukm, &scheme, &value(0x30, &[&stranger, &ours])]);
    let cipher = value(0x30, &[&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2a], &value(4, &[&iv])]);
    let data: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    let content = value(0x30, &[data, &cipher, &value(0x80, &[&encrypted])]);
    let enveloped = value(0x30, &[&[2, 1, 2], &value(0x31, &[&agreement]), &content]);
    let kind: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3];
    value(0x30, &[kind, &value(0xa0, &[&enveloped])])
}

#[tokio::test]
async fn forms_that_the_standard_allows_and_openssl_reads() {
    if !present() {
        return;
    }
    let pki = pki();
    pki.run(&[
        "cms",
        "-sign",
        "-binary",
        "-nodetach",
        "-in",
        "text",
        "-signer",
        "taro.pem",
        "-inkey",
        "taro.key",
        "-out",
        "signed",
    ])
    .unwrap();
    let signed = std::fs::read(pki.path().join("signed")).unwrap();
    let (hanako, _slot) = card(&pki, "hanako-9c", "hanako").await;
    for form in [
        Form::default(),
        Form { user_keying_material: Some(b"what both sides know"), ..Form::default() },
        Form { user_keying_material: Some(b""), ..Form::default() },
        Form { null: true, ..Form::default() },
        Form { named: true, ..Form::default() },
        Form { compressed: true, ..Form::default() },
        Form { stranger: true, user_keying_material: Some(&[7; 64]), null: true, named: true, compressed: true },
    ] {
        let cms = assembled(&pki, form);
        pki.write("assembled", &cms).unwrap();
        // The witness first: it is OpenSSL's opinion that this is a good message.
        let decrypt =
            ["cms", "-decrypt", "-binary", "-inform", "DER", "-in", "assembled", "-recip", "hanako.pem", "-inkey"];
        let witness = pki.run(&[&decrypt[..], &["hanako.key"]].concat());
        assert_eq!(witness.unwrap_or_else(|error| panic!("{form:?}: {error}")), signed, "{form:?}");
        let base64 = pki.run(&["base64", "-in", "assembled"]).unwrap();
        let head = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\
            Content-Transfer-Encoding: base64\n\n";
        let mail = [head.as_bytes(), &base64].concat();
        let opened = open(&pki, &mail, &hanako, "taro").await.unwrap_or_else(|error| panic!("{form:?}: {error:?}"));
        assert_eq!(*opened.content, TEXT, "{form:?}");
    }
}
