//! Asks an OCSP responder about one certificate, as an adapter does: `ask-ocsp HOST:PORT PATH CERTIFICATE ISSUER` (PEM).
//! Prints good, revoked or unknown, or the stable code of what is wrong with the answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealfax_client::http::Server;
use sealfax_client::ocsp::{Responder, Status, check};
use sealfax_client::seam::Seams;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [at, path, certificate, issuer] = arguments.as_slice() else {
        eprintln!("ask-ocsp HOST:PORT PATH CERTIFICATE.pem ISSUER.pem");
        std::process::exit(2);
    };
    let mut responder = Responder::new(Server::at(at.parse().expect("an address and a port")));
    responder.path.clone_from(path);
    let word = match check(&Seams::system(), &responder, &der(certificate), &der(issuer)).await {
        Ok(Status::Good) => "good",
        Ok(Status::Revoked { .. }) => "revoked",
        Ok(Status::Unknown) => "unknown",
        Err(error) => {
            eprintln!("{error}");
            error.code()
        }
    };
    println!("{word}");
}

/// The first certificate in a PEM file.
fn der(path: &str) -> Vec<u8> {
    let pem = std::fs::read_to_string(path).expect("a PEM file");
    let body = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
    let body: String = body.take_while(|line| !line.starts_with("-----END")).collect();
    STANDARD.decode(body).expect("base64")
}
