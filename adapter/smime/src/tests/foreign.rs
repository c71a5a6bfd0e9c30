//! Old schemes, and programs that are not ours at the other end: OpenSSL and GnuPG's gpgsm make what we open and open what we make.

use super::people::*;
use crate::*;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const SCHEMES: [(Scheme, ContentEncryption); 3] = [
    (Scheme::Aes256Gcm, ContentEncryption::Aes256Gcm),
    (Scheme::Aes256Cbc, ContentEncryption::Aes256Cbc),
    (Scheme::DesEde3Cbc, ContentEncryption::DesEde3Cbc),
];

/// Whether it is there; a strict run wants it.
fn at_hand(program: &str) -> bool {
    let there = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(there || std::env::var_os("SEALFAX_STRICT").is_none(), "{program} is not installed");
    there
}

fn run(folder: &Path, program: &str, line: &str, input: &[u8]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    command.current_dir(folder).env("GNUPGHOME", folder.join("home")).args(line.split(' '));
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(output.stdout) } else { Err(format!("{program} {line}: {said}")) }
}

/// Keys and certificates as files, for whoever reads them so.
fn people(folder: &Path) {
    let write = |name: &str, octets: &[u8]| std::fs::write(folder.join(name), octets).unwrap();
    write("anchor.der", fixture!("anchor.der"));
    write("sender.der", fixture!("sender.der"));
    write("recipient.der", fixture!("recipient.der"));
    write("sender.key.der", fixture!("demo-only-sender.key.der"));
    write("recipient.key.der", fixture!("demo-only-recipient.key.der"));
    write("agree.key.der", fixture!("demo-only-agree.key.der"));
    let openssl = |line: &str| run(folder, "openssl", line, b"").unwrap();
    for name in ["anchor", "sender", "recipient"] {
        openssl(&format!("x509 -inform DER -in {name}.der -out {name}.pem"));
    }
    for name in ["sender", "recipient", "agree"] {
        openssl(&format!("pkey -inform DER -in {name}.key.der -out {name}.key"));
    }
}

#[tokio::test]
async fn every_scheme_opens_and_says_what_it_is() {
    for (scheme, expected) in SCHEMES {
        for (key, recipient) in [(recipient(), ichiro()), (agree(), ichiro_with(&agree()))] {
            let sealed = seal_as(CONTENT, &signing(&sender()), &[recipient], scheme, &mut rng()).await.unwrap();
            let certificates = [fixture!("sender.der").to_vec()];
            let opened = open_as(&sealed.entity, &key, "ichiro@b.example", "hanako@a.example", &certificates).await;
            let opened = opened.unwrap();
            assert_eq!((opened.content.as_slice(), opened.verdict.encryption), (CONTENT, expected));
        }
        let sealed = seal_as(CONTENT, &signing(&sender()), &[ichiro()], scheme, &mut rng()).await.unwrap();
        let kind = if scheme == Scheme::Aes256Gcm { "authEnveloped-data" } else { "enveloped-data" };
        assert!(String::from_utf8(sealed.entity).unwrap().contains(&format!("smime-type={kind};")));
    }
}

#[tokio::test]
async fn openssl_opens_every_scheme() {
    if !at_hand("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    people(folder.path());
    for (scheme, _) in SCHEMES {
        let recipients = [ichiro_with(&agree()), yuki()];
        for (key, recipients) in [("recipient", &[ichiro()][..]), ("agree", &recipients)] {
            let sealed = seal_as(CONTENT, &signing(&sender()), recipients, scheme, &mut rng()).await.unwrap();
            let openssl = |line: &str, input: &[u8]| run(folder.path(), "openssl", line, input).unwrap();
            let signed = openssl(&format!("cms -decrypt -inkey {key}.key"), &mail(&sealed.entity));
            let content = openssl("cms -verify -CAfile anchor.pem", &signed);
            assert_eq!(content, CONTENT, "{scheme:?} for {key}");
        }
    }
}

/// A home for gpgsm with everybody's keys in it.
fn gpgsm_home(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    people(folder);
    let home = folder.join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(home.join("gpg-agent.conf"), "allow-loopback-pinentry\n").unwrap();
    std::fs::write(home.join("gpgsm.conf"), "disable-crl-checks\ndisable-policy-checks\n").unwrap();
    let gpgsm = |line: &str, input: &[u8]| run(folder, "gpgsm", line, input).unwrap();
    gpgsm("--batch --import anchor.pem", b"");
    let listed = String::from_utf8(gpgsm("--batch --with-colons --list-keys", b"")).unwrap();
    let anchor = listed.lines().find(|line| line.starts_with("fpr:")).and_then(|line| line.split(':').nth(9)).unwrap();
    std::fs::write(home.join("trustlist.txt"), format!("{anchor} S relax\n")).unwrap();
    for name in ["sender", "recipient"] {
        let line = format!("pkcs12 -export -legacy -inkey {name}.key -in {name}.pem -out {name}.p12 -passout pass:x");
        run(folder, "openssl", &line, b"").unwrap();
        gpgsm(&format!("--batch --pinentry-mode loopback --passphrase-fd 0 --import {name}.p12"), b"x\n");
    }
}

#[tokio::test]
async fn gpgsm_opens_what_is_sealed_for_old_peers() {
    if !at_hand("gpgsm") || !at_hand("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    gpgsm_home(folder.path());
    for scheme in [Scheme::Aes256Cbc, Scheme::DesEde3Cbc] {
        let sealed = seal_as(CONTENT, &signing(&sender()), &[ichiro()], scheme, &mut rng()).await.unwrap();
        let cms = mime::Entity::parse(&sealed.entity).unwrap().decoded().unwrap();
        std::fs::write(folder.path().join("sealed.p7m"), cms).unwrap();
        let line = "--batch --pinentry-mode loopback --passphrase-fd 0 --decrypt sealed.p7m";
        let signed = run(folder.path(), "gpgsm", line, b"x\n").unwrap();
        let cms = mime::Entity::parse(&signed).unwrap().decoded().unwrap();
        std::fs::write(folder.path().join("signed.p7m"), cms).unwrap();
        run(folder.path(), "gpgsm", "--batch --output content --verify signed.p7m", b"").unwrap();
        assert_eq!(std::fs::read(folder.path().join("content")).unwrap(), CONTENT, "{scheme:?}");
        std::fs::remove_file(folder.path().join("content")).unwrap();
    }
    let _ = run(folder.path(), "gpgconf", "--kill gpg-agent", b"");
}

#[tokio::test]
async fn what_gpgsm_makes_opens() {
    if !at_hand("gpgsm") || !at_hand("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    gpgsm_home(folder.path());
    let content = fixture!("text.eml");
    let secret = "--batch --pinentry-mode loopback --passphrase-fd 0";
    std::fs::write(folder.path().join("text"), content).unwrap();
    let sign = |how: &str| {
        let line = format!("{secret} -u hanako@a.example --digest-algo SHA256 {how} text");
        run(folder.path(), "gpgsm", &line, b"x\n").unwrap()
    };
    let opaque = mime::pkcs7_mime("signed-data", &sign("--sign"));
    let mut beside = b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256;\r\n \
        boundary=b\r\n\r\n--b\r\n"
        .to_vec();
    beside.extend_from_slice(content);
    beside.extend_from_slice(
        b"\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    );
    mime::base64_lines(&sign("--detach-sign"), &mut beside);
    beside.extend_from_slice(b"--b--\r\n");
    for (signed, cipher, expected) in [
        (&opaque, "AES", ContentEncryption::Aes128Cbc),
        (&opaque, "AES256", ContentEncryption::Aes256Cbc),
        (&opaque, "3DES", ContentEncryption::DesEde3Cbc),
        (&beside, "AES", ContentEncryption::Aes128Cbc),
    ] {
        std::fs::write(folder.path().join("signed"), signed).unwrap();
        let line = format!("--batch --cipher-algo {cipher} -r ichiro@b.example --encrypt signed");
        let sealed = run(folder.path(), "gpgsm", &line, b"").unwrap();
        let opened = open(&mail(&mime::pkcs7_mime("enveloped-data", &sealed))).await.unwrap();
        assert_eq!((opened.content.as_slice(), opened.verdict.encryption), (content, expected));
        assert!(opened.verdict.bound, "its To is inside");
    }
    let _ = run(folder.path(), "gpgconf", "--kill gpg-agent", b"");
}

#[tokio::test]
async fn what_mail_programs_write_opens_where_unbound_mails_are_taken() {
    for (name, mail, inside) in [
        ("Thunderbird", fixture!("like-thunderbird.eml"), "format=flowed"),
        ("Outlook", fixture!("like-outlook.eml"), "multipart/alternative"),
    ] {
        assert_eq!(open(mail).await.unwrap_err(), OpenError::Unbound, "{name}");
        let opened = open_unbound(mail).await.unwrap();
        assert!(!opened.verdict.bound);
        assert_eq!(opened.verdict.encryption, ContentEncryption::Aes256Cbc);
        let text = String::from_utf8_lossy(&opened.content);
        assert!(text.contains(inside) && text.contains("The price is 4,200."), "{name}: {text}");
    }
}

#[tokio::test]
async fn what_openssl_signs_around_an_envelope_opens() {
    if !at_hand("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    people(folder.path());
    let sealed = seal(CONTENT, &signing(&sender()), &[ichiro()], &mut rng()).await.unwrap().entity;
    for how in ["-nodetach", "-nodetach -stream", "-md sha512"] {
        let line = format!("cms -sign -binary {how} -signer sender.pem -inkey sender.key");
        let wrapped = run(folder.path(), "openssl", &line, &sealed).unwrap();
        let opened = open(&mail(&wrapped)).await.unwrap();
        assert_eq!(opened.content.as_slice(), CONTENT, "{how}");
    }
}
