//! Certificates by LDAP from a real slapd: what is found, what is not, and what a directory may do wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use sealfax_client::ldap::{LdapDirectory, LdapError, Scope, Security};
use sealfax_client::lookup::{Directory, LookupError, Use, by_address};
use sealfax_client::seam::Seams;
use sealfax_mailserver::authority::{Authority, AuthorityOptions, PersonRequest};
use sealfax_rig::peer::process::{PeerError, find};
use sealfax_rig::peer::slapd::{Entry, PASSWORD, PEOPLE, ROOT, SUFFIX, Slapd, SlapdOptions, present};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Whether slapd is at hand; without it the comparison is not made, or fails where it has to be.
fn unsupported() -> bool {
    let Err(PeerError::Missing { .. }) = present() else { return false };
    assert!(std::env::var_os("SEALFAX_STRICT").is_none_or(|value| value != "1"), "slapd is not installed");
    println!("unsupported: slapd is not installed");
    true
}

/// An authority for all tests of this file.
fn issue(address: &str, usage: Use) -> Vec<u8> {
    static AUTHORITY: OnceLock<(Authority, tempfile::TempDir)> = OnceLock::new();
    let (authority, _) = AUTHORITY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let seams = Seams::system();
        (Authority::create(&folder.path().join("ca"), &AuthorityOptions::default(), &seams).unwrap(), folder)
    });
    let request = PersonRequest {
        name: "Somebody".to_owned(),
        address: address.to_owned(),
        // SubjectPublicKeyInfo of a point on P-256: nobody has to have its key.
        public_key: KEY.to_vec(),
        usage,
        validity: Duration::from_secs(3600),
        ocsp_url: None,
    };
    authority.issue_person(&request).unwrap()
}

/// The base point of P-256 as a public key (SEC 2, 2.4.2).
const KEY: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04\
\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96\
\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";

fn person(uid: &str, mail: &[&str], certificates: Vec<Vec<u8>>) -> Entry {
    Entry { uid: uid.to_owned(), mail: mail.iter().map(|mail| (*mail).to_owned()).collect(), certificates }
}

async fn find_in(directory: &LdapDirectory, address: &str, usage: Use) -> Result<Vec<Vec<u8>>, LookupError> {
    by_address(&Seams::system(), &Directory::Ldap(directory.clone()), address, usage).await
}

async fn code(directory: &LdapDirectory, address: &str) -> &'static str {
    find_in(directory, address, Use::Encrypt).await.unwrap_err().code()
}

#[tokio::test]
async fn who_is_there_is_found_and_who_is_not_is_not() {
    if unsupported() {
        return;
    }
    let (hanako_sign, hanako) = (issue("hanako@b.example", Use::Sign), issue("hanako@b.example", Use::Encrypt));
    let (elsewhere, twice_one, twice_two) = (
        issue("h.sato@c.example", Use::Encrypt),
        issue("twice@b.example", Use::Encrypt),
        issue("stranger@b.example", Use::Encrypt),
    );
    let slapd = Slapd::start(
        HERE,
        [
            // Two addresses, a certificate each, and one to sign with.
            person(
                "hanako",
                &["hanako@b.example", "h.sato@c.example"],
                vec![hanako.clone(), hanako_sign.clone(), elsewhere.clone()],
            ),
            person("twice-a", &["twice@b.example"], vec![twice_one.clone()]),
            person("twice-b", &["twice@b.example"], vec![]),
            person("forged", &["forged@b.example"], vec![twice_two]),
            person("none", &["none@b.example"], vec![]),
            person("signer", &["signer@b.example"], vec![issue("signer@b.example", Use::Sign)]),
        ],
        &SlapdOptions::default(),
    )
    .unwrap();
    let directory = LdapDirectory::new(slapd.addr(), PEOPLE);
    let found = async |address: &str, usage| find_in(&directory, address, usage).await;
    assert_eq!(found("hanako@b.example", Use::Encrypt).await.unwrap(), std::slice::from_ref(&hanako));
    assert_eq!(found("hanako@b.example", Use::Sign).await.unwrap(), [hanako_sign]);
    assert_eq!(found("h.sato@c.example", Use::Encrypt).await.unwrap(), [elsewhere]);
    // Domains compare without case, in the directory and here.
    assert_eq!(found("hanako@B.EXAMPLE", Use::Encrypt).await.unwrap(), std::slice::from_ref(&hanako));
    // Local parts with: what the directory is generous about is not taken.
    assert_eq!(code(&directory, "HANAKO@b.example").await, "LOOKUP-003");
    assert_eq!(found("twice@b.example", Use::Encrypt).await.unwrap(), [twice_one]);
    for missing in ["nobody@b.example", "none@b.example"] {
        assert_eq!(code(&directory, missing).await, "LOOKUP-002", "{missing}");
    }
    assert_eq!(code(&directory, "signer@b.example").await, "LOOKUP-006", "nothing to encrypt with");
    // Somebody else's certificate under this address is an alarm.
    assert_eq!(code(&directory, "forged@b.example").await, "LOOKUP-003");

    // Other attributes and other depths.
    let by_uid = LdapDirectory { address_attribute: "uid".into(), ..directory.clone() };
    assert_eq!(code(&by_uid, "hanako@b.example").await, "LOOKUP-002");
    let above = LdapDirectory { base: SUFFIX.into(), scope: Scope::One, ..directory.clone() };
    assert_eq!(code(&above, "hanako@b.example").await, "LOOKUP-002");
    let above = LdapDirectory { base: SUFFIX.into(), ..directory.clone() };
    assert_eq!(find_in(&above, "hanako@b.example", Use::Encrypt).await.unwrap(), [hanako]);
    let nowhere = LdapDirectory { base: "ou=nowhere,dc=example".into(), ..directory };
    assert_eq!(code(&nowhere, "hanako@b.example").await, "LDAP-007");
}

/// Whatever an address contains, it is a value and nothing else; ldapsearch reads our text form the same way.
#[tokio::test]
async fn an_address_cannot_change_the_question() {
    if unsupported() {
        return;
    }
    let star = "*@b.example";
    let injections = [
        "*",
        "*@*",
        "*)(uid=*",
        "*)(|(uid=*@b.example",
        "a@b.example)(objectClass=*",
        "\\2a@b.example",
        "a\0@b.example",
    ];
    let victim = issue("victim@b.example", Use::Encrypt);
    let slapd = Slapd::start(
        HERE,
        [
            person("victim", &["victim@b.example"], vec![victim]),
            person("star", &[star], vec![issue(star, Use::Encrypt)]),
        ],
        &SlapdOptions::default(),
    )
    .unwrap();
    let directory = LdapDirectory::new(slapd.addr(), PEOPLE);
    for injection in injections {
        let code = code(&directory, injection).await;
        assert!(matches!(code, "LOOKUP-002" | "LOOKUP-005"), "{injection:?}: {code}");
    }
    // A star is a star: the one who really is called so, not everybody.
    assert_eq!(find_in(&directory, star, Use::Encrypt).await.unwrap().len(), 1);

    let Ok(ldapsearch) = find("ldapsearch", "ldap-utils") else {
        assert!(std::env::var_os("SEALFAX_STRICT").is_none_or(|value| value != "1"), "ldapsearch is not installed");
        println!("unsupported: ldapsearch is not installed");
        return;
    };
    let count = |address: &str| {
        let filter = directory.filter(address).to_string();
        let at = format!("ldap://{}", slapd.addr());
        let output =
            Command::new(&ldapsearch).args(["-x", "-LLL", "-H", &at, "-b", PEOPLE, &filter, "uid"]).output().unwrap();
        assert!(output.status.success(), "{filter}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).matches("dn: ").count()
    };
    assert_eq!((count(star), count("victim@b.example")), (1, 1));
    for injection in injections {
        assert_eq!(count(injection), 0, "{injection:?}");
    }
}

#[tokio::test]
async fn a_directory_that_wants_a_log_in_gets_one() {
    if unsupported() {
        return;
    }
    let hanako = issue("login@b.example", Use::Encrypt);
    let options =
        SlapdOptions { database: "access to * by anonymous auth by users read".into(), ..SlapdOptions::default() };
    let slapd = Slapd::start(HERE, [person("login", &["login@b.example"], vec![hanako.clone()])], &options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let write = |password: &str| {
        std::fs::write(&file, password).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let anonymous = LdapDirectory::new(slapd.addr(), PEOPLE);
    // slapd tells nobody what it does not show them.
    assert_eq!(code(&anonymous, "login@b.example").await, "LDAP-007");
    let known = LdapDirectory { bind_dn: Some(ROOT.into()), password_file: Some(file.clone()), ..anonymous };
    write("not-the-password");
    let error = find_in(&known, "login@b.example", Use::Encrypt).await.unwrap_err();
    assert_eq!(error.code(), "LDAP-006");
    assert!(error.is_transient());
    assert!(!format!("{error:?} {error}").contains("not-the-password"));
    // Changed while everything runs.
    write(&format!("{PASSWORD}\n"));
    assert_eq!(find_in(&known, "login@b.example", Use::Encrypt).await.unwrap(), [hanako]);
}

#[tokio::test]
async fn too_much_and_elsewhere_are_refused() {
    if unsupported() {
        return;
    }
    let many = (0..20).map(|number| person(&format!("many-{number}"), &["many@b.example"], vec![]));
    let heap = (0..40).map(|number| issue(&format!("heap-{number}@b.example"), Use::Encrypt)).collect();
    let referral = format!(
        "dn: ou=elsewhere,{PEOPLE}\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\n\
         ref: ldap://127.0.0.1:1/{PEOPLE}\n\n"
    );
    let options = SlapdOptions { ldif: referral, ..SlapdOptions::default() };
    let one = issue("one@b.example", Use::Encrypt);
    let entries =
        many.chain([person("heap", &["heap@b.example"], heap), person("one", &["one@b.example"], vec![one.clone()])]);
    let slapd = Slapd::start(HERE, entries, &options).unwrap();
    let directory = LdapDirectory { scope: Scope::One, ..LdapDirectory::new(slapd.addr(), PEOPLE) };
    assert_eq!(code(&directory, "many@b.example").await, "LDAP-003");
    assert_eq!(code(&directory, "heap@b.example").await, "LDAP-003");
    // A referral below the base, and a base that is one: neither is followed.
    assert_eq!(code(&directory, "one@b.example").await, "LDAP-008");
    let there = LdapDirectory { base: format!("ou=elsewhere,{PEOPLE}"), ..directory.clone() };
    assert_eq!(code(&there, "one@b.example").await, "LDAP-008");
    let base = LdapDirectory { base: format!("uid=one,{PEOPLE}"), scope: Scope::Base, ..directory };
    assert_eq!(find_in(&base, "one@b.example", Use::Encrypt).await.unwrap(), [one]);
}

#[tokio::test]
async fn a_directory_that_hangs_or_dies_is_told_from_one_that_has_nothing() {
    if unsupported() {
        return;
    }
    let mut slapd = Slapd::start(HERE, [], &SlapdOptions::default()).unwrap();
    let directory = LdapDirectory { seconds: 1, ..LdapDirectory::new(slapd.addr(), PEOPLE) };
    assert_eq!(code(&directory, "a@b.example").await, "LOOKUP-002");
    slapd.process().freeze();
    let error = find_in(&directory, "a@b.example", Use::Encrypt).await.unwrap_err();
    assert!(matches!(&error, LookupError::Ldap { source: LdapError::Timeout { .. }, .. }), "{error:?}");
    // Killed while the question is under way: the kernel took it, nobody answers it.
    let asked = LdapDirectory { seconds: 20, ..directory.clone() };
    let asking = tokio::spawn(async move { find_in(&asked, "a@b.example", Use::Encrypt).await });
    // By then it is written: loopback takes it at once.
    tokio::time::sleep(Duration::from_millis(300)).await;
    slapd.process().kill();
    let error = asking.await.unwrap().unwrap_err();
    assert!(matches!(error.code(), "LDAP-004" | "LDAP-001"), "{error:?}");
    assert!(error.is_transient());
    assert_eq!(code(&directory, "a@b.example").await, "LDAP-001");
}

/// A server certificate by OpenSSL, for slapd and for us.
fn tls_files(folder: &Path) {
    let openssl = |arguments: &[&str]| drop(sealfax_tests::openssl::openssl(folder, arguments).unwrap());
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=Directory CA",
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    ]);
    openssl(&[
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=ldap.b.example",
        "-keyout",
        "server.key",
        "-out",
        "server.csr",
    ]);
    std::fs::write(
        folder.join("extensions"),
        "subjectAltName=DNS:ldap.b.example\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    openssl(&[
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-days",
        "1",
        "-extfile",
        "extensions",
        "-out",
        "server.pem",
    ]);
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=Somebody else",
        "-keyout",
        "other.key",
        "-out",
        "other.pem",
    ]);
}

#[tokio::test]
async fn with_tls_name_and_anchor_must_be_right() {
    if unsupported() || !sealfax_tests::openssl::present() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    tls_files(here);
    let global = format!(
        "TLSCACertificateFile {0}/ca.pem\nTLSCertificateFile {0}/server.pem\nTLSCertificateKeyFile {0}/server.key",
        here.display()
    );
    let secret = issue("secret@b.example", Use::Encrypt);
    for (security, ldaps) in [(Security::Starttls, false), (Security::Ldaps, true)] {
        let options = SlapdOptions {
            global: global.clone(),
            database: "security tls=1".into(),
            ldaps,
            ..SlapdOptions::default()
        };
        let entry = person("secret", &["secret@b.example"], vec![secret.clone()]);
        let slapd = Slapd::start(HERE, [entry], &options).unwrap();
        let clear = LdapDirectory { seconds: 5, ..LdapDirectory::new(slapd.addr(), PEOPLE) };
        // Where TLS comes first, what we say in clear is no handshake.
        let refused = code(&clear, "secret@b.example").await;
        assert_eq!(refused, if ldaps { "LDAP-004" } else { "LDAP-007" });
        let secure = LdapDirectory {
            security,
            tls_name: Some("ldap.b.example".into()),
            tls_anchors: Some(here.join("ca.pem")),
            ..clear
        };
        assert_eq!(find_in(&secure, "secret@b.example", Use::Encrypt).await.unwrap(), std::slice::from_ref(&secret));
        let other_name = LdapDirectory { tls_name: Some("other.b.example".into()), ..secure.clone() };
        assert_eq!(code(&other_name, "secret@b.example").await, "LDAP-010");
        let other_anchor = LdapDirectory { tls_anchors: Some(here.join("other.pem")), ..secure.clone() };
        assert_eq!(code(&other_anchor, "secret@b.example").await, "LDAP-010");
        let no_anchor = LdapDirectory { tls_anchors: Some(here.join("none.pem")), ..secure };
        assert_eq!(code(&no_anchor, "secret@b.example").await, "LDAP-010");
    }
}
