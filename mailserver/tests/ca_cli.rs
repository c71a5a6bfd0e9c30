//! `sealfax-mailserver ca` as an administrator and `card issue` use it, with OpenSSL as the judge of what it makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Place, ill, mode, present, well};

const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn founded() -> Place {
    let place = Place::new();
    place.ca_well(&["create", "--organization", "Office A", "--key-passphrase-file", "passphrase"]);
    place
}

#[test]
fn keys_are_encrypted_where_openssl_can_read_them() {
    if !present("openssl", "version") {
        return;
    }
    let place = founded();
    for key in ["root", "issuing", "ocsp"] {
        let name = format!("ca/{key}.key.pem");
        assert!(place.text(&name).starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        assert_eq!(mode(&place.path(&name)), 0o600);
        let public = place.openssl(&["pkey", "-in", &name, "-passin", "file:passphrase", "-pubout"]);
        let certified = place.openssl(&["x509", "-in", &format!("ca/{key}.pem"), "-noout", "-pubkey"]);
        assert_eq!(public.trim(), certified.trim());
        let wrong = place.openssl_run(&["pkey", "-in", &name, "-passin", "pass:wrong", "-noout"]);
        assert!(!wrong.status.success());
    }
    assert_eq!(mode(&place.path("ca/audit.jsonl")), 0o600);

    // A key that OpenSSL encrypted, with PBKDF2, is read as well.
    place.secret("same", "correct horse battery staple");
    place.openssl(&[
        "pkcs8",
        "-topk8",
        "-in",
        "ca/issuing.key.pem",
        "-passin",
        "file:passphrase",
        "-passout",
        "file:same",
        "-v2",
        "aes-256-cbc",
        "-v2prf",
        "hmacWithSHA256",
        "-iter",
        "100000",
        "-out",
        "again.pem",
    ]);
    std::fs::rename(place.path("again.pem"), place.path("ca/issuing.key.pem")).unwrap();
    place.ca_well(&["crl"]);
    place.secret("passphrase", "not this one at all");
    assert!(ill(&place.ca(&["crl"]), 1).contains("passphrase does not open"));
    // To look no key is needed.
    place.ca_well(&["list"]);
}

#[test]
fn plain_keys_are_warned_about_until_they_are_protected() {
    let place = Place::new();
    let refused = place.ca(&["create"]);
    assert!(ill(&refused, 1).contains("--key-passphrase-file"));
    place.secret("short", "too short");
    assert!(ill(&place.ca(&["create", "--key-passphrase-file", "short"]), 1).contains("12"));
    place.ca_well(&["create", "--plain-keys"]);
    let listed = place.ca(&["crl"]);
    well(&listed);
    assert!(String::from_utf8_lossy(&listed.stderr).contains("in clear"));
    place.ca_well(&["protect", "--new-key-passphrase-file", "passphrase"]);
    assert!(place.text("ca/issuing.key.pem").contains("ENCRYPTED"));
    ill(&place.ca(&["crl"]), 1);
    let quiet = place.ca(&["crl", "--key-passphrase-file", "passphrase"]);
    well(&quiet);
    assert!(!String::from_utf8_lossy(&quiet.stderr).contains("in clear"));
    // The root's key may go into a safe.
    std::fs::remove_file(place.path("ca/root.key.pem")).unwrap();
    place.ca_well(&["crl", "--key-passphrase-file", "passphrase"]);
    // A passphrase that everybody can read is none.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(place.path("passphrase"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(ill(&place.ca(&["crl", "--key-passphrase-file", "passphrase"]), 1).contains("0600"));
}

#[test]
fn an_ocsp_key_is_replaced_under_its_own_passphrase() {
    if !present("openssl", "version") {
        return;
    }
    let place = Place::new();
    place.secret("ocsp-passphrase", "another passphrase, for the server");
    place.ca_well(&[
        "create",
        "--key-passphrase-file",
        "passphrase",
        "--ocsp-key-passphrase-file",
        "ocsp-passphrase",
        "--ocsp-signer-days",
        "20",
    ]);
    let key = ["pkey", "-in", "ca/ocsp.key.pem", "-passin", "file:ocsp-passphrase", "-pubout"];
    let certified = ["x509", "-in", "ca/ocsp.pem", "-noout", "-pubkey"];
    let old = place.openssl(&certified);
    assert_eq!(place.openssl(&key), old);
    assert!(!place.openssl_run(&["x509", "-in", "ca/ocsp.pem", "-noout", "-checkend", "1728000"]).status.success());
    let renewed = place.ca(&["renew-ocsp", "--new-key"]);
    assert!(String::from_utf8_lossy(&renewed.stderr).contains("start the server again"), "{renewed:?}");
    assert_ne!(place.openssl(&certified), old);
    assert_eq!(place.openssl(&key), place.openssl(&certified));
    // New passphrases: each key's from its own file, and authority.toml says so.
    place.secret("new", "a new passphrase for keys");
    place.secret("new-ocsp", "a new passphrase for the server");
    let refused = place.ca(&["protect", "--new-key-passphrase-file", "new"]);
    assert!(ill(&refused, 1).contains("two passphrases"));
    place.ca_well(&["protect", "--new-key-passphrase-file", "new", "--new-ocsp-key-passphrase-file", "new-ocsp"]);
    place.ca_well(&["crl"]);
    place.openssl(&["pkey", "-in", "ca/ocsp.key.pem", "-passin", "file:new-ocsp", "-noout"]);
    let settings = place.text("ca/authority.toml");
    assert!(settings.contains("new-ocsp") && settings.contains("ocsp_signer_days = 20"), "{settings}");
}

#[test]
fn a_cards_request_is_signed_with_the_callers_words() {
    if !present("openssl", "version") {
        return;
    }
    let place = founded();
    // What the request wishes for is not heeded.
    std::fs::write(
        place.path("wish.cnf"),
        "[req]\ndistinguished_name=d\nreq_extensions=e\n[d]\n[e]\nbasicConstraints=CA:TRUE\n\
         subjectAltName=email:director@a.example.jp\nkeyUsage=keyCertSign\n",
    )
    .unwrap();
    let request = place.request("wish", &[P256, &["-config", "wish.cnf"]].concat());
    place.sign(&request, "taro-sign", "taro@a.example.jp", "sign");
    let text = place.openssl(&["x509", "-noout", "-text", "-nameopt", "utf8", "-in", "taro-sign.pem"]);
    for expected in [
        "email:taro@a.example.jp",
        "Digital Signature, Non Repudiation",
        "E-mail Protection",
        "CA:FALSE",
        "山田 太郎",
        "O=Office A",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    for unexpected in ["director", "Certificate Sign", "anyone"] {
        assert!(!text.contains(unexpected), "{unexpected} is in {text}");
    }
    let request = place.request("rsa", &["-newkey", "rsa:2048"]);
    let arguments = ["sign", "--name", "Taro", "--address", "taro@a.example.jp", "--usage", "encrypt", "--json"];
    let fed = place.ca_fed(&arguments, place.text(&request).as_bytes());
    let answer: serde_json::Value = serde_json::from_str(&well(&fed)).unwrap();
    std::fs::write(place.path("taro-encrypt.pem"), answer["certificate"].as_str().unwrap()).unwrap();
    assert_eq!(answer["serial"], place.serial("taro-encrypt"));
    let text = place.openssl(&["x509", "-noout", "-text", "-in", "taro-encrypt.pem"]);
    assert!(text.contains("Key Encipherment") && !text.contains("Digital Signature"), "{text}");
    for (purpose, name) in [("smimesign", "taro-sign.pem"), ("smimeencrypt", "taro-encrypt.pem")] {
        place.openssl(&[
            "verify",
            "-x509_strict",
            "-purpose",
            purpose,
            "-CAfile",
            "ca/root.pem",
            "-untrusted",
            "ca/issuing.pem",
            name,
        ]);
    }
}

#[test]
fn what_proves_nothing_or_is_too_weak_is_not_signed() {
    if !present("openssl", "version") {
        return;
    }
    let place = founded();
    let sign = |input: &[u8]| {
        place.ca_fed(&["sign", "--name", "Taro", "--address", "taro@a.example.jp", "--usage", "sign"], input)
    };
    let weak = place.request("weak", &["-newkey", "rsa:1024"]);
    assert!(ill(&sign(place.text(&weak).as_bytes()), 1).contains("2048"));
    let other = place.request("other", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    assert!(ill(&sign(place.text(&other).as_bytes()), 1).contains("P-256"));
    let old = place.request("old", &["-newkey", "rsa:2048", "-sha1"]);
    assert!(ill(&sign(place.text(&old).as_bytes()), 1).contains("SHA-256"));
    // Another key's signature under this key's request.
    place.openssl(&["req", "-in", &place.request("good", P256), "-outform", "DER", "-out", "good.der"]);
    let mut der = std::fs::read(place.path("good.der")).unwrap();
    let last = der.len() - 1;
    der[last] ^= 1;
    std::fs::write(place.path("bad.der"), der).unwrap();
    place.openssl(&["req", "-inform", "DER", "-in", "bad.der", "-out", "bad.csr"]);
    assert!(ill(&sign(place.text("bad.csr").as_bytes()), 1).contains("prove"));
    assert!(ill(&sign(b"-----BEGIN CERTIFICATE REQUEST-----\n"), 1).contains("PKCS#10"));
    assert!(ill(&sign(&[b'A'; 100_000]), 1).contains("PKCS#10"));
    assert_eq!(place.json(&["list"])["certificates"].as_array().unwrap().len(), 0);
    ill(&place.ca(&["sign", "--usage", "shred"]), 2);
    ill(&place.ca(&["revoke", "00", "--reason", "boredom"]), 2);
    ill(&place.ca(&["revoke", "00", "--reason", "6"]), 2);
    ill(&place.ca(&["revoke", "../../etc/passwd"]), 1);
    ill(&place.ca(&["show", "..%2f"]), 1);
}

#[test]
fn a_person_gets_a_second_card_only_on_purpose() {
    if !present("openssl", "version") {
        return;
    }
    let place = founded();
    let first = place.request("first", P256);
    place.sign(&first, "first", "taro@a.example.jp", "sign");
    // The same key again is a renewal.
    place.sign(&first, "renewed", "taro@a.example.jp", "sign");
    let second = place.request("second", P256);
    let again = ["sign", &second, "--name", "Taro", "--address", "taro@A.example.jp", "--usage", "sign"];
    assert!(ill(&place.ca(&again), 1).contains("--replace"));
    let replaced = place.ca(&[&again[..], &["--replace"]].concat());
    well(&replaced);
    let words = String::from_utf8_lossy(&replaced.stderr).into_owned();
    assert!(words.contains(&place.serial("first")) && words.contains("revoke"), "{words}");
    place.ca_well(&["revoke", &place.serial("first"), "--reason", "cessation"]);
    assert!(ill(&place.ca(&["revoke", &place.serial("first")]), 1).contains("before"));
    let listed = place.json(&["list", "--address", "taro@a.example.jp"]);
    let listed = listed["certificates"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[2]["revoked"]["reason"], "cessation-of-operation");
    let shown = place.ca_well(&["show", &place.serial("renewed")]);
    assert_eq!(shown, place.text("renewed.pem"));
    let log = place.json(&["audit"]);
    let acts: Vec<&str> = log["entries"].as_array().unwrap().iter().map(|one| one["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["create", "renew-ocsp", "issue", "issue", "issue", "revoke"]);
    assert!(log["entries"][5]["who"].as_str().unwrap().contains("uid"));
    assert_eq!(place.json(&["audit", "--verify"])["head"], log["head"]);
    let tampered = place.text("ca/audit.jsonl").replacen("taro", "jiro", 1);
    std::fs::write(place.path("ca/audit.jsonl"), tampered).unwrap();
    assert!(ill(&place.ca(&["audit", "--verify"]), 1).contains("tampered"));
}

#[test]
fn servers_and_adapters_get_tls_certificates() {
    if !present("openssl", "version") {
        return;
    }
    let place = founded();
    place.ca_well(&["server", "mail.a.example.jp", "127.0.0.1", "::1"]);
    place.ca_well(&["device", "adapter.a.example.jp"]);
    assert_eq!(mode(&place.path("mail.a.example.jp.key.pem")), 0o600);
    for (name, purpose, extra) in [
        ("mail.a.example.jp", "sslserver", "-verify_ip=127.0.0.1"),
        ("adapter.a.example.jp", "sslserver", "-verify_hostname=adapter.a.example.jp"),
        ("adapter.a.example.jp", "sslclient", "-x509_strict"),
    ] {
        let certificate = format!("{name}.pem");
        let mut arguments = vec!["verify", "-purpose", purpose, "-CAfile", "ca/root.pem", "-untrusted", &certificate];
        arguments.extend(extra.split('='));
        arguments.push(&certificate);
        place.openssl(&arguments);
        let public = place.openssl(&["pkey", "-in", &format!("{name}.key.pem"), "-pubout"]);
        assert_eq!(public, place.openssl(&["x509", "-in", &certificate, "-noout", "-pubkey"]));
    }
    // A server is no client, and neither signs mail.
    let verify = ["verify", "-CAfile", "ca/root.pem", "-untrusted", "ca/issuing.pem", "-purpose"];
    for (purpose, name) in [("sslclient", "mail"), ("smimesign", "adapter")] {
        let certificate = format!("{name}.a.example.jp.pem");
        assert!(!place.openssl_run(&[&verify[..], &[purpose, &certificate]].concat()).status.success());
    }
    let request = place.request("elsewhere", P256);
    let issued = place.json(&["server", "history.a.example.jp", "--request", &request]);
    assert_eq!(issued["key"], serde_json::Value::Null);
    for name in ["..", "a/b", "-a", "under_score", "a..b", ""] {
        ill(&place.ca(&["server", "--", name]), 1);
    }
}

#[test]
fn openssl_believes_the_revocation_lists() {
    if !present("openssl", "version") {
        return;
    }
    let place = founded();
    place.sign(&place.request("good", P256), "good", "good@a.example.jp", "sign");
    place.sign(&place.request("bad", P256), "bad", "bad@a.example.jp", "sign");
    let check = |name: &str| {
        for (list, authority) in [("issuing", "issuing"), ("root", "root")] {
            let (der, pem) = (format!("ca/{list}.crl"), format!("{list}.crl.pem"));
            place.openssl(&["crl", "-inform", "DER", "-in", &der, "-out", &pem]);
            let verified =
                place.openssl(&["crl", "-in", &pem, "-noout", "-CAfile", &format!("ca/{authority}.pem"), "-verify"]);
            assert!(verified.contains("verify OK"), "{verified}");
        }
        std::fs::write(place.path("lists.pem"), place.text("issuing.crl.pem") + &place.text("root.crl.pem")).unwrap();
        place.openssl_run(&[
            "verify",
            "-x509_strict",
            "-crl_check_all",
            "-CAfile",
            "ca/root.pem",
            "-untrusted",
            "ca/issuing.pem",
            "-CRLfile",
            "lists.pem",
            &format!("{name}.pem"),
        ])
    };
    well(&check("bad"));
    place.ca_well(&["revoke", &place.serial("bad"), "--reason", "key-compromise"]);
    well(&check("good"));
    assert!(String::from_utf8_lossy(&check("bad").stderr).contains("revoked"));
    let text = place.openssl(&["crl", "-in", "issuing.crl.pem", "-noout", "-text"]);
    for expected in ["Version 2", "Key Compromise", "X509v3 CRL Number", "Next Update"] {
        assert!(text.contains(expected), "{text}");
    }
    let before = place.json(&["crl"])["number"].as_u64().unwrap();
    assert_eq!(place.json(&["crl", "--out", "copy.crl"])["number"], before + 1);
    assert_eq!(std::fs::read(place.path("copy.crl")).unwrap(), std::fs::read(place.path("ca/issuing.crl")).unwrap());
}
