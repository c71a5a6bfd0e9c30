//! Mails that the openssl command makes now, with a PKI that did not exist a second ago, opened by `sealfax-smime`; and
//! those that must be refused, for their own reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, RsaPrivateKey};
use sealfax_smime::{
    KeyError, OpenError, Opened, PrivateKey, Recipient, Verification, decrypt, encrypt_only, verify_detached,
};
use sealfax_tests::openssl::{openssl, present};
use zeroize::Zeroizing;

const TEXT: &[u8] = b"From: taro@a.example\r\nTo: hanako@b.example\r\nSubject: memo\r\nMIME-Version: 1.0\r\n\
Content-Type: text/plain\r\n\r\nThe price is 4,200.\r\n.\r\n";

/// A key in software where the card would be.
struct SoftwareKey(Vec<u8>, RsaPrivateKey);

#[async_trait]
impl PrivateKey for SoftwareKey {
    fn certificate(&self) -> &[u8] {
        &self.0
    }

    async fn raw(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let number = BoxedUint::from_be_slice(block, self.1.n().bits_precision()).unwrap();
        let result = rsa::hazmat::rsa_decrypt::<ChaCha20Rng>(None, &self.1, &number).unwrap().to_be_bytes();
        Ok(Zeroizing::new(result[result.len() - self.1.size()..].to_vec()))
    }
}

/// An anchor, Taro who signs, Hanako who decrypts, Jiro beside her, and a stranger's anchor with a Taro of its own.
struct Pki(tempfile::TempDir);

impl Pki {
    fn new() -> Self {
        let pki = Self(tempfile::tempdir().unwrap());
        std::fs::write(pki.path().join("text"), TEXT).unwrap();
        for anchor in ["anchor", "stranger"] {
            let subject = format!("/CN={anchor}");
            let key = format!("{anchor}.key");
            let out = format!("{anchor}.pem");
            pki.run(&[
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-subj", &subject, "-out", &out,
            ]);
        }
        for (name, address, usage, issuer) in [
            ("taro", "taro@a.example", "digitalSignature", "anchor"),
            ("mallory", "mallory@a.example", "digitalSignature", "anchor"),
            ("impostor", "taro@a.example", "digitalSignature", "stranger"),
            ("hanako", "hanako@b.example", "keyEncipherment", "anchor"),
            ("jiro", "jiro@b.example", "keyEncipherment", "anchor"),
        ] {
            let extensions = format!(
                "subjectAltName=email:{address}\nkeyUsage=critical,{usage}\nextendedKeyUsage=emailProtection\n\
                subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
            );
            std::fs::write(pki.path().join("extensions"), extensions).unwrap();
            let [key, out] = [format!("{name}.key"), format!("{name}.pem")];
            let [ca, ca_key] = [format!("{issuer}.pem"), format!("{issuer}.key")];
            pki.run(&[
                "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-subj", "/CN=x", "-out", "request",
            ]);
            pki.run(&[
                "x509",
                "-req",
                "-in",
                "request",
                "-CA",
                &ca,
                "-CAkey",
                &ca_key,
                "-CAcreateserial",
                "-days",
                "10",
                "-extfile",
                "extensions",
                "-out",
                &out,
            ]);
        }
        pki
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        openssl(self.path(), arguments).unwrap()
    }

    fn certificate(&self, name: &str) -> Vec<u8> {
        self.run(&["x509", "-in", &format!("{name}.pem"), "-outform", "DER"])
    }

    fn key(&self, name: &str) -> SoftwareKey {
        let pem = std::fs::read_to_string(self.path().join(format!("{name}.key"))).unwrap();
        SoftwareKey(self.certificate(name), RsaPrivateKey::from_pkcs8_pem(&pem).unwrap())
    }

    /// `text`, signed by `signer` and sealed for Hanako.
    fn mail(&self, signer: &str, sign: &[&str], encrypt: &[&str]) -> Vec<u8> {
        let [certificate, key] = [format!("{signer}.pem"), format!("{signer}.key")];
        let always =
            ["cms", "-sign", "-binary", "-in", "text", "-signer", &certificate, "-inkey", &key, "-out", "signed"];
        self.run(&[&always, sign].concat());
        self.seal("signed", encrypt)
    }

    fn seal(&self, file: &str, options: &[&str]) -> Vec<u8> {
        let always = ["cms", "-encrypt", "-in", file, "-recip", "hanako.pem"];
        let entity = self.run(&[&always, options].concat());
        let header = "From: taro@a.example\nTo: hanako@b.example\nSubject: [...]\n";
        [header.as_bytes(), &entity].concat()
    }

    async fn open(&self, mail: &[u8], who: &str) -> Result<Opened, OpenError> {
        let address = format!("{who}@b.example");
        decrypt(mail, &self.key(who)).await?.verify(&Verification {
            anchors: &[self.certificate("anchor")],
            now: SystemTime::now(),
            sender: "taro@a.example",
            sender_certificates: &[self.certificate("taro"), self.certificate("impostor"), self.certificate("mallory")],
            recipient: &address,
            recipient_certificate: &self.certificate(who),
            allow_unbound: false,
        })
    }
}

const OAEP: [&str; 6] =
    ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"];

#[tokio::test]
async fn what_openssl_seals_now_is_opened() {
    if !present() {
        return;
    }
    let pki = Pki::new();
    let forms: [(&[&str], &[&str]); 7] = [
        (&["-nodetach"], &["-aes-256-gcm"]),
        (&["-nodetach"], &["-aes-256-gcm", "-stream"]),
        (&["-nodetach", "-stream"], &["-aes-128-gcm", "-stream", "-keyid"]),
        (&[], &["-aes-256-gcm"]),
        (&["-nodetach", "-cades"], &["-aes-256-cbc", "-stream"]),
        (&["-nodetach", "-md", "sha512"], &["-aes-192-cbc"]),
        (&["-nodetach", "-keyopt", "rsa_padding_mode:pss", "-keyid"], &["-aes-256-gcm"]),
    ];
    for (sign, encrypt) in forms {
        let mail = pki.mail("taro", sign, &[encrypt, &OAEP].concat());
        let opened = pki.open(&mail, "hanako").await;
        let opened = opened.unwrap_or_else(|error| panic!("{sign:?} {encrypt:?}: {error:?}"));
        assert_eq!(*opened.content, TEXT, "{sign:?} {encrypt:?}");
        assert_eq!(opened.verdict.signer_certificate, pki.certificate("taro"));
        // Somebody else's card opens none of them.
        assert!(pki.open(&mail, "jiro").await.is_err(), "{sign:?} {encrypt:?}");
    }
}

#[tokio::test]
async fn what_must_be_refused_is_refused_for_its_own_reason() {
    if !present() {
        return;
    }
    let pki = Pki::new();
    let seal: Vec<&str> = [&["-aes-256-gcm"][..], &OAEP].concat();
    let error = async |mail: Vec<u8>, who: &str| pki.open(&mail, who).await.unwrap_err();

    let impostor = error(pki.mail("impostor", &["-nodetach"], &seal), "hanako").await;
    assert!(!matches!(impostor, OpenError::SenderMismatch { .. } | OpenError::CannotDecrypt), "{impostor:?}");
    let mallory = error(pki.mail("mallory", &["-nodetach"], &seal), "hanako").await;
    assert!(matches!(mallory, OpenError::SenderMismatch { .. }), "{mallory:?}");
    let weak = error(pki.mail("taro", &["-nodetach", "-md", "sha1"], &seal), "hanako").await;
    assert!(matches!(weak, OpenError::SignatureAlgorithm(_)), "{weak:?}");
    assert_eq!(error(pki.seal("text", &seal), "hanako").await, OpenError::Unsigned);

    // Hanako's mail, sealed anew for Jiro: opened by his card, meant for another (surreptitious forwarding).
    pki.mail("taro", &["-nodetach"], &seal);
    let always = ["cms", "-encrypt", "-in", "signed", "-recip", "jiro.pem"];
    let forwarded = pki.run(&[&always, &seal[..]].concat());
    assert_eq!(error(forwarded, "jiro").await, OpenError::SealedForAnother);

    // One changed octet in the middle of the sealed text.
    let mail = pki.mail("taro", &["-nodetach"], &seal);
    let mut changed = mail.clone();
    let middle = changed.len() * 3 / 4;
    let at = (middle..changed.len()).find(|at| changed[*at].is_ascii_alphanumeric()).unwrap();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    assert!(pki.open(&mail, "hanako").await.is_ok());
    assert!(pki.open(&changed, "hanako").await.is_err());
}

/// V3: encrypted and never signed, from there to here and from here to there.
#[tokio::test]
async fn what_bears_no_signature_is_whole_and_says_so() {
    if !present() {
        return;
    }
    let pki = Pki::new();
    let seal = |cipher: &'static str| pki.seal("text", &[&[cipher][..], &OAEP].concat());
    let decrypted = decrypt(&seal("-aes-256-gcm"), &pki.key("hanako")).await.unwrap();
    assert!(!decrypted.is_signed());
    assert_eq!(*decrypted.without_signature().unwrap().content, TEXT);
    // Without a tag nobody knows whether it is whole.
    assert_eq!(decrypt(&seal("-aes-256-cbc"), &pki.key("hanako")).await.unwrap_err(), OpenError::CannotDecrypt);

    let recipient = Recipient { address: "hanako@b.example".into(), certificate: pki.certificate("hanako") };
    let sealed = encrypt_only(TEXT, &[recipient], &mut ChaCha20Rng::from_seed([7; 32])).unwrap();
    std::fs::write(pki.path().join("ours"), sealed.entity).unwrap();
    let opened =
        pki.run(&["cms", "-decrypt", "-binary", "-in", "ours", "-recip", "hanako.pem", "-inkey", "hanako.key"]);
    assert_eq!(opened, TEXT);
}

#[tokio::test]
async fn a_signature_in_clear_holds_and_breaks() {
    if !present() {
        return;
    }
    let pki = Pki::new();
    let mail = pki.run(&["cms", "-sign", "-in", "text", "-signer", "taro.pem", "-inkey", "taro.key"]);
    let anchors = [pki.certificate("anchor")];
    let verify = |mail: &[u8], who: &str| verify_detached(mail, &anchors, SystemTime::now(), None, who);
    let signed = verify(&mail, "taro@a.example").unwrap();
    assert_eq!(signed.signer_certificate, pki.certificate("taro"));
    assert!(String::from_utf8_lossy(&signed.entity).contains("4,200"));
    assert!(verify(&mail, "mallory@a.example").is_err());
    let forged = String::from_utf8(mail).unwrap().replace("4,200", "9,200");
    assert!(verify(forged.as_bytes(), "taro@a.example").is_err());
}
