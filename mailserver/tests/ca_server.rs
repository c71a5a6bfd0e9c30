//! The running certificate server, asked by `openssl ocsp` and `curl`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use common::{Place, Server, present, well};
use sha1::Digest;

const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn place() -> Place {
    let place = Place::new();
    place.ca_well(&["create", "--key-passphrase-file", "passphrase"]);
    for name in ["good", "bad"] {
        place.sign(&place.request(name, P256), name, &format!("{name}@a.example.jp"), "encrypt");
    }
    place
}

/// What `openssl ocsp` says of the certificates `names`.
fn ask(place: &Place, server: &Server, names: &[&str], more: &[&str]) -> String {
    let url = server.url("/ocsp");
    let files: Vec<String> = names.iter().map(|name| format!("{name}.pem")).collect();
    let mut arguments = vec!["ocsp", "-url", &url, "-issuer", "ca/issuing.pem", "-CAfile", "ca/root.pem"];
    arguments.extend(more);
    for file in &files {
        arguments.extend(["-cert", file]);
    }
    let text = place.openssl(&arguments);
    assert!(text.contains("Response verify OK"), "{text}");
    assert!(!text.contains("WARNING"), "{text}");
    text
}

fn curl(place: &Place, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("curl");
    command.args(["-s", "--max-time", "20"]).args(arguments);
    let output = place.run(command, b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn openssl_is_told_good_revoked_and_unknown() {
    if !present("openssl", "version") {
        return;
    }
    let place = place();
    let server = place.serve();
    place.openssl(&["x509", "-in", "ca/ocsp.pem", "-out", "unknown.pem"]);
    for hash in ["-sha1", "-sha256"] {
        // Twice: without a nonce the second answer comes from the cache.
        for more in [&[hash][..], &[hash, "-no_nonce"], &[hash, "-no_nonce"]] {
            let text = ask(&place, &server, &["good", "bad", "unknown"], more);
            assert!(text.contains("good.pem: good") && text.contains("unknown.pem: unknown"), "{text}");
            for one in ["good", "bad"] {
                assert!(ask(&place, &server, &[one], more).contains(&format!("{one}.pem: good")));
            }
        }
    }
    place.ca_well(&["revoke", &place.serial("bad"), "--reason", "key-compromise"]);
    for more in [&["-sha256"][..], &["-sha256", "-no_nonce"], &["-sha1", "-no_nonce"]] {
        let text = ask(&place, &server, &["bad"], more);
        assert!(text.contains("bad.pem: revoked") && text.contains("keyCompromise"), "{text}");
        assert!(ask(&place, &server, &["good"], more).contains("good.pem: good"));
    }
    // Renewed while it runs.
    place.ca_well(&["renew-ocsp"]);
    ask(&place, &server, &["good"], &["-sha256"]);
}

#[test]
fn an_answer_by_get_may_be_kept_by_caches() {
    if !present("openssl", "version") || !present("curl", "--version") {
        return;
    }
    let place = place();
    let server = place.serve();
    for (more, kept) in [(&["-no_nonce"][..], true), (&["-nonce"], false)] {
        let make = ["ocsp", "-issuer", "ca/issuing.pem", "-cert", "good.pem", "-reqout", "request.der"];
        place.openssl(&[&make[..], more].concat());
        let request = STANDARD.encode(std::fs::read(place.path("request.der")).unwrap());
        let path = request.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        for path in [format!("/ocsp/{path}"), format!("/ocsp/{request}"), format!("/{path}")] {
            curl(&place, &["-D", "head", "-o", "answer.der", &server.url(&path)]);
            let text = place.openssl(&[
                "ocsp",
                "-respin",
                "answer.der",
                "-issuer",
                "ca/issuing.pem",
                "-CAfile",
                "ca/root.pem",
                "-no_nonce",
                "-cert",
                "good.pem",
            ]);
            assert!(text.contains("good.pem: good"), "{text}");
        }
        let head = place.text("head").to_ascii_lowercase();
        assert!(head.contains("content-type: application/ocsp-response"), "{head}");
        if !kept {
            assert!(head.contains("cache-control: no-store") && !head.contains("etag"), "{head}");
            continue;
        }
        for field in ["cache-control: max-age=", "etag: \"", "last-modified: ", "expires: ", "must-revalidate"] {
            assert!(head.contains(field), "{field} in {head}");
        }
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim().to_owned();
        let field = format!("If-None-Match: {tag}");
        let path = server.url(&format!("/ocsp/{path}"));
        let code = curl(&place, &["-H", &field, "-o", "nothing", "-w", "%{http_code} %{size_download}", &path]);
        assert_eq!(code, b"304 0");
    }
}

#[test]
fn certificates_and_lists_are_found() {
    if !present("openssl", "version") || !present("curl", "--version") {
        return;
    }
    let place = place();
    place.ca_well(&["revoke", &place.serial("bad"), "--reason", "superseded"]);
    let server = place.serve();
    place.openssl(&["x509", "-in", "good.pem", "-outform", "DER", "-out", "good.der"]);
    let der = std::fs::read(place.path("good.der")).unwrap();
    let hash =
        |octets: &[u8]| STANDARD_NO_PAD.encode(sha1::Sha1::digest(octets)).replace('+', "%2B").replace('/', "%2F");
    let found = curl(&place, &[&server.url("/certificates/search.cgi?email=good%40a.example.jp&usage=encrypt")]);
    assert_eq!(found, der);
    assert_eq!(curl(&place, &[&server.url(&format!("/certificates/search.cgi?certHash={}", hash(&der)))]), der);
    let code = |path: &str| {
        String::from_utf8(curl(&place, &["-o", "nothing", "-w", "%{http_code}", &server.url(path)])).unwrap()
    };
    assert_eq!(code("/certificates/search.cgi?email=bad%40a.example.jp&usage=encrypt"), "404");
    assert_eq!(code("/certificates/search.cgi?email=nobody%40a.example.jp"), "404");
    assert_eq!(code("/certificates/search.cgi?email=nobody"), "400");
    assert_eq!(code("/certificates/search.cgi"), "400");
    assert_eq!(code("/crls/search.cgi?iHash=AAAAAAAAAAAAAAAAAAAAAAAAAAA"), "404");
    for path in ["/", "/nothing", "/crl/../root.key.pem", "/crl/%2e%2e/issuing.key.pem", "/issuing.key.pem", "/crl/"] {
        assert_eq!(code(path), "404", "{path}");
    }
    assert_eq!(curl(&place, &["-X", "DELETE", "-o", "nothing", "-w", "%{http_code}", &server.url("/ocsp")]), b"405");

    // The issuing authority's list: at its place, by the hash of its name, and by that of its key identifier.
    let list = curl(&place, &[&server.url("/crl/issuing.crl")]);
    assert_eq!(list, std::fs::read(place.path("ca/issuing.crl")).unwrap());
    std::fs::write(place.path("found.crl"), &list).unwrap();
    let text = place.openssl(&["crl", "-inform", "DER", "-in", "found.crl", "-CAfile", "ca/issuing.pem", "-text"]);
    assert!(text.contains("Superseded") && text.contains("verify OK"), "{text}");
    for name in ["issuing", "root"] {
        let pem = format!("ca/{name}.pem");
        let text = place.openssl(&["x509", "-in", &pem, "-noout", "-ext", "subjectKeyIdentifier"]);
        let hex: String = text.lines().nth(1).unwrap().trim().replace(':', "");
        let identifier: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let found = curl(&place, &[&server.url(&format!("/crls/search.cgi?sKIDHash={}", hash(&identifier)))]);
        assert_eq!(found, std::fs::read(place.path(&format!("ca/{name}.crl"))).unwrap(), "{name}");
    }
}

fn raw(server: &Server, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(&server.at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may hang up before it has everything.
    let _ = stream.write_all(octets);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn what_is_too_large_or_nonsense_is_answered_and_forgotten() {
    let place = Place::new();
    place.ca_well(&["create", "--plain-keys"]);
    let server = place.serve();
    let post = |body: &[u8]| {
        let head =
            format!("POST /ocsp HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        raw(&server, &[head.as_bytes(), body].concat())
    };
    assert!(post(b"nonsense").contains("200"));
    assert!(post(&vec![0x30; 20_000]).contains("413"));
    let long = format!("GET /ocsp/{} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n", "M".repeat(14_000));
    assert!(raw(&server, long.as_bytes()).contains("200"), "as one that does not conform");
    let longer = format!("GET /{} HTTP/1.1\r\nHost: d\r\n\r\n", "M".repeat(100_000));
    assert!(!raw(&server, longer.as_bytes()).contains("200"));
    let fields = format!("GET / HTTP/1.1\r\nHost: d\r\n{}\r\n", "X: y\r\n".repeat(200));
    assert!(raw(&server, fields.as_bytes()).contains("431"));
    assert!(raw(&server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").contains("400"));
    assert!(raw(&server, b"GET /certificates/anchor.pem HTTP/1.0\r\n\r\n").contains("200"));
}

#[test]
fn one_peer_that_floods_is_told_to_wait_and_no_other() {
    let place = Place::new();
    place.ca_well(&["create", "--plain-keys"]);
    // Another configuration: few connections and requests for each peer.
    let server =
        place.serve_with("[directory.limits]\npeer_connections = 3\npeer_requests_per_second = 1\npeer_burst = 5\n");
    let request = b"GET /certificates/anchor.cer HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
    let answers: Vec<String> = (0..20).map(|_| raw(&server, request)).collect();
    assert!(answers[0].contains("200"), "{answers:?}");
    assert!(answers.iter().any(|answer| answer.contains("429")), "{answers:?}");
    let idle: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(&server.at).unwrap()).collect();
    assert!(raw(&server, b"").contains("429"));
    // Another address is another peer.
    let other = if present("curl", "--version") {
        curl(
            &place,
            &["--interface", "127.0.0.9", "-o", "n", "-w", "%{http_code}", &server.url("/certificates/anchor.cer")],
        )
    } else {
        b"200".to_vec()
    };
    assert_eq!(other, b"200");
    drop(idle);
}

/// Whoever dawdles is sent away, in the middle of a header as of a body, and gives its place to who waits.
#[test]
fn a_dawdler_loses_its_place() {
    let place = Place::new();
    place.ca_well(&["create", "--plain-keys"]);
    let server = place.serve_with("[directory.limits]\nconnections = 2\nheader_seconds = 1\nconnection_seconds = 2\n");
    let dawdle = |begin: &[u8]| {
        let mut stream = TcpStream::connect(&server.at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(begin).unwrap();
        stream
    };
    let mut header = dawdle(b"GET /certificates/anchor.cer HTTP/1.1\r\nHost: ");
    let mut body = dawdle(b"POST /ocsp HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\n0");
    // Both places are taken; this one waits for one of them.
    let request = b"GET /certificates/anchor.cer HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
    assert!(raw(&server, request).contains("200 OK"));
    for stream in [&mut header, &mut body] {
        let mut told = Vec::new();
        // It is told to go, or the connection is just over.
        let _ = stream.read_to_end(&mut told);
        let told = String::from_utf8_lossy(&told);
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 408"), "{told}");
    }
    assert!(raw(&server, request).contains("200 OK"));
}

#[test]
fn who_sends_nothing_keeps_nobody_out() {
    let place = Place::new();
    place.ca_well(&["create", "--plain-keys"]);
    // Nobody would be hung up on for long.
    let server = place.serve_with(
        "[directory.limits]\nconnections = 4\nheader_seconds = 600\nconnection_seconds = 600\npeer_connections = 100\n",
    );
    let silent: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(&server.at).unwrap()).collect();
    for _ in 0..3 {
        assert!(raw(&server, b"GET /certificates/anchor.pem HTTP/1.0\r\n\r\n").contains("200"));
    }
    drop(silent);
}

#[test]
fn the_server_leaves_no_core_dump() {
    let place = Place::new();
    place.ca_well(&["create", "--plain-keys"]);
    let server = place.serve();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
}

#[test]
fn the_server_needs_the_ocsp_key_alone() {
    if !present("openssl", "version") {
        return;
    }
    let place = Place::new();
    place.secret("ocsp-passphrase", "another passphrase, for the server");
    place.ca_well(&["create", "--key-passphrase-file", "passphrase", "--ocsp-key-passphrase-file", "ocsp-passphrase"]);
    place.sign(&place.request("good", P256), "good", "good@a.example.jp", "sign");
    // Issuing and root key are elsewhere, and so is their passphrase.
    for name in ["issuing.key.pem", "root.key.pem"] {
        std::fs::rename(place.path(&format!("ca/{name}")), place.path(name)).unwrap();
    }
    std::fs::rename(place.path("passphrase"), place.path("kept")).unwrap();
    let server = place.serve();
    assert!(ask(&place, &server, &["good"], &["-sha256"]).contains("good.pem: good"));
    let refused = place.ca(&["revoke", &place.serial("good")]);
    assert_eq!(refused.status.code(), Some(1));
    std::fs::rename(place.path("kept"), place.path("passphrase")).unwrap();
    std::fs::rename(place.path("issuing.key.pem"), place.path("ca/issuing.key.pem")).unwrap();
    // And where the authority works, the OCSP key need not be, or may be under a passphrase that is elsewhere.
    std::fs::rename(place.path("ocsp-passphrase"), place.path("moved")).unwrap();
    well(&place.ca(&["crl"]));
    std::fs::rename(place.path("ca/ocsp.key.pem"), place.path("ocsp.key.pem")).unwrap();
    well(&place.ca(&["renew-ocsp"]));
    well(&place.ca(&["revoke", &place.serial("good")]));
    assert!(ask(&place, &server, &["good"], &["-sha256"]).contains("good.pem: revoked"));
}
