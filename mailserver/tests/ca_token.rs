//! Issuing and OCSP key in a PKCS#11 token (SoftHSM), with OpenSSL as the judge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Place, ill, present, unsupported, well};

const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn module() -> Option<PathBuf> {
    let found = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|path| path.exists());
    if found.is_none() {
        unsupported("no SoftHSM module; install softhsm2");
    }
    found
}

/// A folder with a token of its own, and the ends of URIs for keys in it.
fn token() -> Option<(Place, String)> {
    let module = module()?;
    if !present("softhsm2-util", "--version") || !present("openssl", "version") {
        return None;
    }
    let place = Place::new();
    let configuration = place.path("softhsm2.conf");
    std::fs::create_dir(place.path("tokens")).unwrap();
    std::fs::write(&configuration, format!("directories.tokendir = {}\n", place.path("tokens").display())).unwrap();
    let place = place.with("SOFTHSM2_CONF", configuration);
    let mut command = Command::new("softhsm2-util");
    command.args(["--init-token", "--free", "--label", "The CA", "--so-pin", "87654321", "--pin", "654321"]);
    well(&place.run(command, b""));
    let pin = place.secret("pin", "654321\n");
    Some((place, uri_end(&module, &pin)))
}

fn uri_end(module: &Path, pin: &Path) -> String {
    format!("?module-path={}&pin-source=file:{}", module.display(), pin.display())
}

#[test]
fn an_authority_lives_in_a_token() {
    let Some((place, end)) = token() else {
        return;
    };
    let issuing = format!("pkcs11:token=The%20CA;object=issuing;type=private{end}");
    let ocsp = format!("pkcs11:token=The%20CA;object=ocsp{end}");
    place.ca_well(&["create", "--key-passphrase-file", "passphrase", "--issuing-key", &issuing, "--ocsp-key", &ocsp]);
    assert!(!place.path("ca/issuing.key.pem").exists() && !place.path("ca/ocsp.key.pem").exists());
    assert!(place.path("ca/root.key.pem").exists());
    let request = place.request("taro", P256);
    place.sign(&request, "taro", "taro@a.example.jp", "sign");
    place.openssl(&["verify", "-CAfile", "ca/root.pem", "-untrusted", "ca/issuing.pem", "taro.pem"]);
    let server = place.serve();
    let url = server.url("/ocsp");
    let ask = |nonce: &str| {
        let text = place.openssl(&[
            "ocsp",
            "-url",
            &url,
            "-issuer",
            "ca/issuing.pem",
            "-CAfile",
            "ca/root.pem",
            "-sha256",
            nonce,
            "-cert",
            "taro.pem",
        ]);
        assert!(text.contains("Response verify OK"), "{text}");
        text
    };
    for nonce in ["-nonce", "-no_nonce", "-no_nonce"] {
        assert!(ask(nonce).contains("taro.pem: good"));
    }
    place.ca_well(&["revoke", &place.serial("taro"), "--reason", "superseded"]);
    for nonce in ["-nonce", "-no_nonce"] {
        assert!(ask(nonce).contains("taro.pem: revoked"));
    }
    place.openssl(&[
        "crl",
        "-inform",
        "DER",
        "-in",
        "ca/issuing.crl",
        "-CAfile",
        "ca/issuing.pem",
        "-noout",
        "-verify",
    ]);

    // Nothing of ours says the PIN, nor is a key of this name overwritten.
    for file in ["ca/authority.toml", "ca/audit.jsonl", "ca/index.jsonl"] {
        assert!(!place.text(file).contains("654321"), "{file}");
    }
    std::fs::rename(place.path("ca"), place.path("elsewhere")).unwrap();
    let again = place.ca(&["create", "--key-passphrase-file", "passphrase", "--issuing-key", &issuing]);
    assert!(ill(&again, 1).contains("already"));
}

#[test]
fn a_token_that_does_not_answer_says_what_to_do() {
    let Some((place, end)) = token() else {
        return;
    };
    let create = |uri: String| {
        let _ = std::fs::remove_dir_all(place.path("ca"));
        ill(&place.ca(&["create", "--key-passphrase-file", "passphrase", "--issuing-key", &uri]), 1)
    };
    assert!(create(format!("pkcs11:token=Another;object=issuing{end}")).contains("no such token"));
    let missing = create("pkcs11:token=The%20CA;object=a?module-path=/nonexistent.so&pin-source=/nonexistent".into());
    assert!(missing.contains("module"), "{missing}");
    let value = create("pkcs11:token=The%20CA;object=a?module-path=/m.so&pin-value=654321".into());
    assert!(value.contains("PIN"), "{value}");
    place.secret("pin", "999999\n");
    let wrong = create(format!("pkcs11:token=The%20CA;object=issuing{end}"));
    assert!(wrong.contains("PIN is wrong") && !wrong.contains("999999"), "{wrong}");
}
