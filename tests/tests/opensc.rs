//! Cards that `card issue` personalised, in the hands of programs nobody here wrote: through a real pcscd, OpenSC's tools
//! read them, sign (9C) and decrypt (9D) with them, and OpenSSL verifies with the certificate that is on the card. One
//! card is the rig's, the other is one that nobody here wrote either (`tests/softcard`).
#![cfg(feature = "pcsc")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod card_desk;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use card_desk::{ADDRESS, Desk, NAME, PIN, blank, card, target, words};
use sealfax_adapter::card::{InsertedCard, PinAnswer};
use sealfax_adapter::card_command::open_reader;
use sealfax_client::seam::{EntropyRng, SystemEntropy};
use sealfax_drivers::pin::Pin;
use sealfax_rig::peer::pcscd::Pcscd;
use sealfax_rig::virtual_card::VpcdHandle;
use sealfax_smime::{Recipient, Signing, Verification};
use sealfax_tests::openssl::openssl;
use sealfax_tests::pcscd::in_own_process;

const MESSAGE: &[u8] = b"A page that is signed.\n";

/// OpenSC's PKCS#11 module; `None`, and said so, where OpenSC is not installed.
fn module() -> Option<PathBuf> {
    let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = folders.map(|entry| entry.path().join("opensc-pkcs11.so")).find(|path| path.exists());
    let tools = Command::new("pkcs11-tool").arg("--help").output().is_ok();
    match found.filter(|_| tools) {
        Some(module) => Some(module),
        None if strict => panic!("OpenSC is not installed; install opensc"),
        None => {
            eprintln!("unsupported: OpenSC is not installed");
            None
        }
    }
}

/// Runs one of OpenSC's tools; its standard output.
fn tool(desk: &Desk, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(desk.path()).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {}: {}\n{said}\n{complained}", arguments.join(" "), output.status);
    said.into_owned()
}

/// OpenSC reads, signs and decrypts; OpenSSL is the witness.
fn opensc_uses(desk: &Desk, module: &std::path::Path, algorithm: &str) {
    let module = module.display().to_string();
    let seen = tool(desk, "opensc-tool", &["--list-readers"]);
    assert!(seen.contains("Yes"), "{seen}");
    let name = tool(desk, "opensc-tool", &["--reader", "0", "--name"]);
    assert!(name.contains("PIV") || name.contains("Personal Identity Verification"), "{name}");
    let piv = tool(desk, "piv-tool", &["--reader", "0", "--name"]);
    assert!(piv.contains("PIV") || piv.contains("Personal Identity Verification"), "{piv}");

    let pkcs11 = |arguments: &[&str]| {
        let always = ["--module", &module, "--login", "--pin", PIN];
        tool(desk, "pkcs11-tool", &[&always, arguments].concat())
    };
    let objects = pkcs11(&["--list-objects"]);
    assert!(objects.contains("Certificate Object") && objects.contains("Private Key Object"), "{objects}");
    let certificate = |id: &str| {
        pkcs11(&["--read-object", "--type", "cert", "--id", id, "--output-file", "read.der"]);
        openssl(desk.path(), &["x509", "-inform", "DER", "-in", "read.der", "-out", "read.pem"]).unwrap();
        let email = openssl(desk.path(), &["x509", "-in", "read.pem", "-noout", "-email"]).unwrap();
        assert_eq!(String::from_utf8(email).unwrap().trim(), ADDRESS);
        let public = openssl(desk.path(), &["x509", "-in", "read.pem", "-noout", "-pubkey"]).unwrap();
        std::fs::write(desk.path().join("public.pem"), public).unwrap();
    };
    // 02 is 9C, 03 is 9D.
    certificate("02");
    if algorithm == "P-256" && !pkcs11(&["--list-mechanisms"]).contains("ECDSA") {
        // OpenSC 0.23 offers them for makes of card that it knows by name only.
        eprintln!("unsupported: this OpenSC uses no elliptic curves with this card; it has read it");
        return certificate("03");
    }
    std::fs::write(desk.path().join("message"), MESSAGE).unwrap();
    std::fs::write(
        desk.path().join("digest"),
        openssl(desk.path(), &["dgst", "-sha256", "-binary", "message"]).unwrap(),
    )
    .unwrap();
    if algorithm == "RSA-2048" {
        pkcs11(&["--sign", "--id", "02", "--mechanism", "SHA256-RSA-PKCS", "-i", "message", "-o", "signature"]);
    } else {
        let ecdsa = ["--sign", "--id", "02", "--mechanism", "ECDSA", "--signature-format", "openssl"];
        pkcs11(&[&ecdsa[..], &["-i", "digest", "-o", "signature"]].concat());
    }
    let verify = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "message"];
    openssl(desk.path(), &verify).unwrap();

    certificate("03");
    let key: Vec<u8> = (0..32).collect();
    std::fs::write(desk.path().join("key"), &key).unwrap();
    if algorithm == "RSA-2048" {
        openssl(
            desk.path(),
            &["pkeyutl", "-encrypt", "-pubin", "-inkey", "public.pem", "-in", "key", "-out", "sealed"],
        )
        .unwrap();
        pkcs11(&["--decrypt", "--id", "03", "--mechanism", "RSA-PKCS", "-i", "sealed", "-o", "opened"]);
    } else {
        let other = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "other.pem"];
        openssl(desk.path(), &other).unwrap();
        let public = openssl(desk.path(), &["pkey", "-in", "other.pem", "-pubout", "-outform", "DER"]).unwrap();
        std::fs::write(desk.path().join("other.der"), public).unwrap();
        let derived =
            openssl(desk.path(), &["pkeyutl", "-derive", "-inkey", "other.pem", "-peerkey", "public.pem"]).unwrap();
        std::fs::write(desk.path().join("key"), derived).unwrap();
        pkcs11(&["--derive", "--id", "03", "--mechanism", "ECDH1-DERIVE", "-i", "other.der", "-o", "opened"]);
    }
    let (opened, key) =
        (std::fs::read(desk.path().join("opened")).unwrap(), std::fs::read(desk.path().join("key")).unwrap());
    assert_eq!(opened, key);
}

/// The adapter's own code, as it meets the card in its slot: seals for it, and opens.
fn the_adapter_uses(desk: &Desk, reader: &str) {
    let mut reader = open_reader(Some(reader)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        while reader.next_event().await.unwrap() != sealfax_drivers::card::CardEvent::Inserted {}
        let card = Arc::new(InsertedCard::read(reader.connect().unwrap()).unwrap());
        let owner = &card.identity().owner;
        assert_eq!((owner.name.as_str(), owner.address.as_str()), (NAME, ADDRESS));
        let shown = card.identity().tries_left;
        let pin = Arc::new(Pin::new(PIN.as_bytes()).unwrap());
        assert_eq!(card.verify_pin(pin, shown).await, PinAnswer::Accepted);
        assert_eq!(card.mailbox_login().await.unwrap().password(), desk.account_password());

        let certificate = card.identity().encryption_certificate.clone();
        let recipients = [Recipient { address: ADDRESS.to_owned(), certificate: certificate.clone() }];
        let key = card.signature_key();
        let signing = Signing { key: &key, chain: &[], signing_time: SystemTime::now() };
        let content = b"Content-Type: text/plain\r\n\r\nFor her eyes only.\r\n";
        let rng = &mut EntropyRng(Arc::new(SystemEntropy));
        let sealed = sealfax_smime::seal(content, &signing, &recipients, rng).await.unwrap();
        let decrypted = sealfax_smime::decrypt(&sealed.entity, &card.decryption_key()).await.unwrap();
        let anchor = openssl(desk.path(), &["x509", "-in", "ca.pem", "-outform", "DER"]).unwrap();
        let opened = decrypted
            .verify(&Verification {
                anchors: &[anchor],
                now: SystemTime::now(),
                sender: ADDRESS,
                sender_certificates: &[card.identity().signature_certificate.clone()],
                recipient: ADDRESS,
                recipient_certificate: &certificate,
                allow_unbound: false,
            })
            .unwrap();
        assert_eq!(opened.content.as_slice(), content);
    });
}

fn a_virtual_card_is_issued_and_used(seed: u64, keys: &str, algorithm: &str) {
    let (Some(module), Some(mut desk)) = (module(), Desk::new()) else { return };
    desk.wait = 30;
    let pcscd = Pcscd::start(&["Office"]).unwrap();
    let slot = VpcdHandle::new(pcscd.slots()[0].port);
    let reader = pcscd.slots()[0].reader.clone();
    slot.insert(&card(blank(seed)));
    let issued = desk.run(open_reader(Some(&reader)), &desk.issue(&["--keys", keys]), &[PIN]);
    assert_eq!(issued.exit, 0, "{}", issued.told);
    opensc_uses(&desk, &module, algorithm);
    let verified = desk.run(open_reader(Some(&reader)), &words(&["verify", "--pin-stdin"]), &[PIN]);
    assert_eq!((verified.exit, verified.json["verdict"]["state"].as_str()), (0, Some("ok")), "{}", verified.told);
    a_reader_that_is_not_there_is_said(&desk);
}

#[test]
fn opensc_uses_the_virtual_card_with_rsa() {
    in_own_process(|| a_virtual_card_is_issued_and_used(21, "rsa2048", "RSA-2048"));
}

#[test]
fn opensc_uses_the_virtual_card_with_p256() {
    in_own_process(|| a_virtual_card_is_issued_and_used(22, "p256", "P-256"));
}

/// A reader that is not there is said with the names of those that are.
fn a_reader_that_is_not_there_is_said(desk: &Desk) {
    let lost = desk.run(open_reader(Some("nobody's")), &words(&["show"]), &[]);
    assert_eq!((lost.exit, lost.json["error"]["code"].as_str()), (3, Some("CARD-202")), "{}", lost.told);
    assert!(lost.told.contains("Office 00 00"), "{}", lost.told);
}

/// The foreign card, taken out with this value.
struct Foreign(Child);

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_card_nobody_here_wrote_is_issued_and_used() {
    in_own_process(|| {
        let (Some(module), Some(mut desk)) = (module(), Desk::new()) else { return };
        let program = target("softcard/debug/softcard");
        if !program.exists() {
            let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
            assert!(!strict, "tests/softcard is not built; tests/run builds it");
            eprintln!("unsupported: tests/softcard is not built; tests/run builds it");
            return;
        }
        desk.wait = 30;
        let pcscd = Pcscd::start(&["Office"]).unwrap();
        let (port, reader) = (pcscd.slots()[0].port, pcscd.slots()[0].reader.clone());
        let foreign = Command::new(program).arg(port.to_string()).stdin(Stdio::null()).spawn().unwrap();
        let _foreign = Foreign(foreign);

        let shown = desk.run(open_reader(Some(&reader)), &words(&["show"]), &[]);
        assert_eq!(shown.exit, 0, "{}", shown.told);
        // It takes its management key and proves it, and does not tell its unblocking key's tries.
        let rsa = desk.issue(&["--keys", "rsa2048", "--unknown-puk-tries"]);
        let issued = desk.run(open_reader(Some(&reader)), &rsa, &[PIN]);
        assert_eq!(issued.exit, 0, "{}", issued.told);
        opensc_uses(&desk, &module, "RSA-2048");
        the_adapter_uses(&desk, &reader);
        // Its owner's life with it: certificates renewed, a PIN changed, a blocked card unblocked.
        let mut renew = words(&["renew", "--pin-stdin", "--secret", &desk.file("secret")]);
        renew.extend(words(&["--ca", &desk.file("ca")]));
        let renewed = desk.run(open_reader(Some(&reader)), &renew, &[PIN]);
        assert_eq!(renewed.exit, 0, "{}", renewed.told);
        let changed = desk.run(open_reader(Some(&reader)), &words(&["pin", "--pin-stdin"]), &[PIN, "31415926"]);
        assert_eq!(changed.exit, 0, "{}", changed.told);
        let unblock = words(&["unblock", "--pin-stdin", "--unknown-puk-tries", "--secret", &desk.file("secret")]);
        let unblocked = desk.run(open_reader(Some(&reader)), &unblock, &[PIN]);
        assert_eq!(unblocked.exit, 0, "{}", unblocked.told);
        let p256 = desk.issue(&["--keys", "p256", "--overwrite", "--unknown-puk-tries"]);
        let replaced = desk.run(open_reader(Some(&reader)), &p256, &[PIN]);
        // With P-256 too.
        assert_eq!((replaced.exit, replaced.json["verdict"]["state"].as_str()), (0, Some("ok")), "{}", replaced.told);
    });
}
