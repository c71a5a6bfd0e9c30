//! `sealfax-adapter card` whole, with the rig's virtual card in the reader and openssl as the certificate authority.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod card_desk;

use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use card_desk::{ADDRESS, Desk, NAME, PIN, blank, card, target, words};
use sealfax_adapter::card_command::AdministratorSecret;
use sealfax_drivers::card::piv::{
    Algorithm, LastTry, ManagementAlgorithm, ManagementKey, PinStatus, Piv, Reference, Slot,
};
use sealfax_drivers::card::{CardError, CardReader};
use sealfax_drivers::pin::Pin;
use sealfax_rig::virtual_card::CardHandle;
use sealfax_tests::openssl::openssl;

/// What has to be said for a card that knows the standard's commands alone.
const PLAINLY: [&str; 2] = ["--keep-management-key", "--unknown-puk-tries"];

fn states(ran: &card_desk::Ran) -> Vec<(String, String)> {
    let checks = ran.json["verdict"]["checks"].as_array().cloned().unwrap_or_default();
    checks
        .iter()
        .map(|check| (check["name"].as_str().unwrap().to_owned(), check["state"].as_str().unwrap().to_owned()))
        .collect()
}

fn state(ran: &card_desk::Ran, name: &str) -> String {
    states(ran).into_iter().find(|(one, _)| one == name).map_or_else(String::new, |(_, state)| state)
}

fn piv(desk: &Desk, card: &CardHandle) -> (Piv, sealfax_rig::virtual_card::SlotHandle) {
    let (reader, slot) = desk.reader(card);
    (Piv::select(reader.connect().unwrap()).unwrap(), slot)
}

fn guid(desk: &Desk, card: &CardHandle) -> [u8; 16] {
    piv(desk, card).0.guid().unwrap().unwrap()
}

fn secret(desk: &Desk) -> AdministratorSecret {
    AdministratorSecret::read(&desk.path().join("secret")).unwrap()
}

#[test]
fn a_blank_card_becomes_hanakos() {
    let Some(desk) = Desk::new() else { return };
    let mut newer = blank(2);
    newer.management_algorithm = ManagementAlgorithm::Aes192;
    let mut plain = blank(3);
    plain.extensions = false;
    for (blank, keys) in [(blank(1), "rsa2048"), (blank(6), "rsa3072"), (newer, "p256"), (plain, "p256")] {
        let extensions = blank.extensions;
        let plainly: &[&str] = if extensions { &[] } else { &PLAINLY };
        let card = card(blank);
        let before = desk.with(&card, &words(&["show"]), &[]);
        assert_eq!((before.exit, before.json["card"]["owner"].is_null()), (0, true), "{}", before.told);

        let issued = desk.with(&card, &desk.issue(&[&["--keys", keys], plainly].concat()), &[PIN]);
        assert_eq!(issued.exit, 0, "{}", issued.told);
        assert_eq!((&issued.json["result"], &issued.json["resumed"]), (&"issued".into(), &false.into()));
        assert_eq!(issued.json["verdict"]["state"], "ok", "{}", issued.told);

        // Without a PIN: everything that can be seen, and no try spent.
        let shown = desk.with(&card, &words(&["show"]), &[]);
        assert_eq!(shown.json["card"]["owner"]["name"], NAME);
        assert_eq!(shown.json["card"]["pin"]["tries_left"], 3);
        if extensions {
            assert_eq!(shown.json["card"]["puk"]["tries_left"], 3);
            assert_eq!(shown.json["card"]["management_key"]["algorithm"], "AES-256");
            assert_eq!(shown.json["card"]["management_key"]["factory"], false);
        } else {
            assert!(issued.told.contains("left as it is"), "{}", issued.told);
        }
        let unasked = desk.with(&card, &words(&["verify", "--no-pin"]), &[]);
        assert_eq!((unasked.exit, state(&unasked, "signs").as_str()), (0, "unchecked"));

        // With it: signs, decrypts, and the path to the anchor holds.
        let verified = desk.with(&card, &words(&["verify", "--pin-stdin", "--anchors", &desk.file("ca.pem")]), &[PIN]);
        assert_eq!(verified.exit, 0, "{}", verified.told);
        for name in ["path", "one-owner", "mailbox-login", "signs", "pin-for-every-signature", "decrypts"] {
            assert_eq!(state(&verified, name), "ok", "{name}: {}", verified.told);
        }

        // What the mail server got is what the card has, and what the card has is what openssl signed.
        let (mut piv, _slot) = piv(&desk, &card);
        piv.verify_pin(&Pin::new(PIN.as_bytes()).unwrap(), LastTry::Refuse).unwrap();
        let login = piv.mailbox_login().unwrap();
        assert_eq!((login.login(), login.password()), (ADDRESS, desk.account_password().as_str()));
        for slot in [Slot::Signature, Slot::KeyManagement] {
            std::fs::write(desk.path().join("one.der"), piv.certificate(slot).unwrap()).unwrap();
            openssl(desk.path(), &["x509", "-inform", "DER", "-in", "one.der", "-out", "one.pem"]).unwrap();
            openssl(desk.path(), &["verify", "-CAfile", "ca.pem", "one.pem"]).unwrap();
        }
        // What its maker set is gone.
        if extensions {
            for reference in [Reference::Pin, Reference::Puk, Reference::Management] {
                assert_eq!(piv.metadata(reference).unwrap().unwrap().factory, Some(false), "{reference:?}");
            }
            let error = piv.authenticate_management(&ManagementKey::factory(), &[9; 16]).unwrap_err();
            assert!(matches!(error, CardError::WrongManagementKey));
        }
        assert!(matches!(
            piv.unblock_pin(b"12345678", &Pin::new(b"31415926").unwrap()),
            Err(CardError::WrongPin { left: 2 })
        ));
        let (secret, guid) = (secret(&desk), guid(&desk, &card));
        let puk = if extensions { secret.puk(&guid) } else { secret.puk_of_an_unproven_card(&guid) }.unwrap();
        drop(piv);
        let (mut piv, _slot) = self::piv(&desk, &card);
        piv.unblock_pin(&puk, &Pin::new(PIN.as_bytes()).unwrap()).unwrap();
    }
}

#[test]
fn a_card_that_holds_certificates_is_not_overwritten() {
    let Some(desk) = Desk::new() else { return };
    let card = card(blank(4));
    assert_eq!(desk.with(&card, &desk.issue(&["--keys", "p256"]), &[PIN]).exit, 0);
    let before = piv(&desk, &card).0.certificate(Slot::Signature).unwrap();
    let again = desk.with(&card, &desk.issue(&["--keys", "p256"]), &[PIN]);
    assert_eq!((again.exit, again.json["error"]["code"].as_str()), (1, Some("CARD-207")));
    assert!(again.told.contains("--overwrite") && again.told.contains(ADDRESS), "{}", again.told);
    assert_eq!(piv(&desk, &card).0.certificate(Slot::Signature).unwrap(), before);

    let guid_before = guid(&desk, &card);
    let replaced = desk.with(&card, &desk.issue(&["--keys", "p256", "--overwrite"]), &[PIN]);
    assert_eq!(replaced.exit, 0, "{}", replaced.told);
    assert_ne!(piv(&desk, &card).0.certificate(Slot::Signature).unwrap(), before);
    assert_eq!(guid(&desk, &card), guid_before);
}

/// Wherever it is pulled, the same command completes it, and no try is lost. Where a card that tells nothing was pulled
/// between its identifier and its unblocking key, one guess is made, and the other is the administrator's to say.
#[test]
fn a_pulled_card_is_issued_again() {
    let Some(desk) = Desk::new() else { return };
    std::fs::write(desk.path().join("puk"), "12345678").unwrap();
    std::fs::set_permissions(desk.path().join("puk"), std::fs::Permissions::from_mode(0o600)).unwrap();
    for extensions in [true, false] {
        let mut line = desk.issue(&["--keys", "p256"]);
        line.extend(words(if extensions { &[] } else { &PLAINLY }));
        let mut pulls = 0u32;
        let mut resumed = 0;
        loop {
            let mut blank = blank(5);
            blank.extensions = extensions;
            let card = card(blank);
            let (reader, slot) = desk.reader(&card);
            slot.pull_after(pulls);
            let pulled = desk.run(Ok(Box::new(reader)), &line, &[PIN]);
            if pulled.exit == 0 {
                assert!(pulls > 30, "{}", pulled.told);
                break;
            }
            let code = pulled.json["error"]["code"].as_str().unwrap().to_owned();
            assert!(["CARD-201", "CARD-213"].contains(&code.as_str()), "after {pulls}: {}", pulled.told);
            assert!(pulled.told.contains("insert it again"), "{}", pulled.told);
            let complete = [Slot::Signature, Slot::KeyManagement]
                .into_iter()
                .all(|slot| piv(&desk, &card).0.certificate(slot).is_ok());
            let mut again = desk.with(&card, &line, &[PIN]);
            if again.json["error"]["code"] == "CARD-206" {
                assert!(!extensions && again.told.contains("--initial-puk"), "after {pulls}: {}", again.told);
                assert_eq!(card.lock().unwrap().puk_tries(), 2, "after {pulls}: one guess");
                let told = [&line[..], &words(&["--initial-puk", &desk.file("puk")])].concat();
                again = desk.with(&card, &told, &[PIN]);
            }
            if complete {
                // It came out during the checks at the end.
                assert_eq!(again.json["error"]["code"], "CARD-207", "after {pulls}: {}", again.told);
            } else {
                assert_eq!(again.exit, 0, "after {pulls}: {}", again.told);
                resumed += u32::from(again.json["resumed"] == true);
            }
            let verified = desk.with(&card, &words(&["verify", "--pin-stdin"]), &[PIN]);
            assert_eq!(verified.exit, 0, "after {pulls}: {}", verified.told);
            let card = card.lock().unwrap();
            assert_eq!((card.pin_tries(), card.puk_tries()), (3, 3), "after {pulls}");
            pulls += 7;
        }
        assert!(resumed > 0 || !extensions);
    }
}

#[test]
fn certificates_are_renewed_for_the_same_keys_or_new_ones() {
    let Some(desk) = Desk::new() else { return };
    let card = card(blank(6));
    assert_eq!(desk.with(&card, &desk.issue(&["--keys", "p256"]), &[PIN]).exit, 0);
    let certificate = |slot| piv(&desk, &card).0.certificate(slot).unwrap();
    let key = |slot| sealfax_smime::path::public_key(&certificate(slot)).unwrap();
    let renew = |more: &[&str]| {
        let mut line = words(&["renew", "--pin-stdin", "--secret", &desk.file("secret"), "--ca", &desk.file("ca")]);
        line.extend(words(more));
        desk.with(&card, &line, &[PIN])
    };
    let (old, old_key) = (certificate(Slot::Signature), key(Slot::Signature));
    let renewed = renew(&["--days", "30"]);
    assert_eq!((renewed.exit, renewed.json["result"].as_str()), (0, Some("renewed")), "{}", renewed.told);
    assert_ne!(certificate(Slot::Signature), old);
    assert_eq!(key(Slot::Signature), old_key);
    assert_eq!(state(&renewed, "signature-certificate"), "warning", "{}", renewed.told);
    let renewed = renew(&["--new-keys"]);
    assert_eq!((renewed.exit, state(&renewed, "decrypts").as_str()), (0, "ok"), "{}", renewed.told);
    assert_ne!(key(Slot::Signature), old_key);
}

#[test]
fn an_authority_without_a_network_signs_in_two_steps() {
    let Some(desk) = Desk::new() else { return };
    let mut blank = blank(7);
    blank.extensions = false;
    let card = card(blank);
    let issue = |way: &str| {
        let mut line = words(&["issue", "--name", NAME, "--address", ADDRESS, "--keys", "p256", "--pin-stdin"]);
        line.extend(words(&PLAINLY));
        line.extend(["--secret".to_owned(), desk.file("secret"), "--account".to_owned(), desk.account_command()]);
        line.extend([way.to_owned(), desk.file("travels")]);
        desk.with(&card, &line, &[PIN])
    };
    let requested = issue("--requests");
    assert_eq!((requested.exit, requested.json["result"].as_str()), (0, Some("requested")), "{}", requested.told);
    let requests: Vec<String> =
        requested.json["requests"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect();
    assert_eq!(requests.len(), 2);
    // Nothing is signed yet.
    let early = issue("--certificates");
    assert_eq!((early.exit, early.json["error"]["code"].as_str()), (1, Some("CARD-212")), "{}", early.told);
    for request in &requests {
        // OpenSSL reads the request, and holds its signature against its key.
        let shown = openssl(desk.path(), &["req", "-in", request, "-noout", "-verify", "-text"]).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.contains(&format!("email:{ADDRESS}")) && shown.contains("E-mail Protection"), "{shown}");
        let usage = if request.contains("sign") { "sign" } else { "encrypt" };
        let line = format!(
            "{} --address {ADDRESS} --name '{NAME}' --usage {usage} --days 30 < {request} > {request}.crt",
            desk.file("ca")
        );
        assert!(std::process::Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }
    let issued = issue("--certificates");
    assert_eq!((issued.exit, issued.json["result"].as_str()), (0, Some("issued")), "{}", issued.told);
    assert_eq!((state(&issued, "signs").as_str(), state(&issued, "decrypts").as_str()), ("ok", "ok"));
}

#[test]
fn pins_are_changed_and_unblocked() {
    let Some(desk) = Desk::new() else { return };
    let card = card(blank(8));
    assert_eq!(desk.with(&card, &desk.issue(&["--keys", "p256"]), &[PIN]).exit, 0);
    let wrong = desk.with(&card, &words(&["pin", "--pin-stdin"]), &["00000000", "31415926"]);
    assert_eq!((wrong.exit, wrong.json["error"]["code"].as_str()), (1, Some("CARD-204")));
    assert!(wrong.told.contains("2 tries left"), "{}", wrong.told);
    assert_eq!(desk.with(&card, &words(&["pin", "--pin-stdin"]), &[PIN, "31415926"]).exit, 0);
    let mut session = piv(&desk, &card);
    for _ in 0..3 {
        let _ = session.0.verify_pin(&Pin::new(b"00000000").unwrap(), LastTry::Allow);
    }
    assert_eq!(session.0.pin_tries_left().unwrap(), PinStatus::Blocked);
    drop(session);
    let verified = desk.with(&card, &words(&["verify", "--no-pin"]), &[]);
    assert_eq!((verified.exit, state(&verified, "pin-tries").as_str()), (1, "failed"));
    assert!(verified.json["verdict"]["next"].as_str().unwrap().contains("card unblock"));
    let unblock = words(&["unblock", "--pin-stdin", "--secret", &desk.file("secret")]);
    assert_eq!(desk.with(&card, &unblock, &[PIN]).exit, 0);
    assert_eq!(desk.with(&card, &words(&["verify", "--pin-stdin"]), &[PIN]).exit, 0);
}

#[test]
fn what_cannot_be_done_is_said_with_a_remedy() {
    let Some(desk) = Desk::new() else { return };
    let card = card(blank(9));
    let refused = |ran: card_desk::Ran, exit: u8, code: &str, words: &str| {
        assert_eq!((ran.exit, ran.json["error"]["code"].as_str()), (exit, Some(code)), "{}", ran.told);
        assert!(ran.told.contains(words), "{}", ran.told);
        assert_eq!(ran.json["schema"], 1);
    };
    // No PC/SC in this build, no card, no such authority, an authority that says no, that answers nonsense.
    refused(desk.run(Err(no_reader()), &words(&["show"]), &[]), 3, "CARD-202", "diagnose");
    let (reader, _slot) = sealfax_rig::virtual_card::VirtualReader::new("empty");
    refused(desk.run(Ok(Box::new(reader)), &words(&["show"]), &[]), 1, "CARD-203", "--wait");
    let with_ca = |ca: &str| {
        let mut line = desk.issue(&["--keys", "p256"]);
        let at = line.iter().position(|word| word == "--ca").unwrap();
        line[at + 1] = ca.to_owned();
        desk.with(&card, &line, &[PIN])
    };
    refused(with_ca("/nowhere/ca"), 1, "CARD-210", "--ca");
    refused(with_ca("sh -c 'echo not today >&2; exit 1'"), 1, "CARD-211", "not today");
    refused(with_ca("echo nonsense"), 1, "CARD-212", "no certificate");
    refused(with_ca(&format!("sh -c 'cat {}'", desk.file("ca.pem"))), 1, "CARD-212", "another key");
    // Nothing of that keeps the card from being issued now.
    assert_eq!(desk.with(&card, &desk.issue(&["--keys", "p256"]), &[PIN]).exit, 0);
    // Another administrator's secret.
    std::fs::write(desk.path().join("secret"), "another administrator's secret of as many octets").unwrap();
    let renew = words(&["renew", "--pin-stdin", "--secret", &desk.file("secret"), "--ca", &desk.file("ca")]);
    refused(desk.with(&card, &renew, &[PIN]), 1, "CARD-205", "--initial-management-key");
    // PINs that are none, a PIN everybody knows.
    refused(desk.with(&card, &desk.issue(&[]), &["12"]), 1, "CARD-217", "6 to 8 digits");
    refused(desk.with(&card, &desk.issue(&[]), &["123456"]), 1, "CARD-217", "choose another");
    // A PIN policy that would have people type another PIN than the one that is asked for.
    let mut global = blank(13);
    global.pin_policy = [0x60, 0x20];
    let global = self::card(global);
    assert!(desk.with(&global, &words(&["show"]), &[]).told.contains("Global PIN"));
    refused(desk.with(&global, &desk.issue(&[]), &[PIN]), 1, "CARD-209", "Global PIN");
    let verified = desk.with(&global, &words(&["verify", "--no-pin"]), &[]);
    assert_eq!((verified.exit, state(&verified, "pin-policy").as_str()), (1, "failed"));
    let mut nobody = words(&["issue", "--name", NAME, "--address", ADDRESS, "--ca", "x"]);
    nobody.extend(["--secret".to_owned(), desk.file("secret")]);
    refused(desk.with(&card, &nobody, &[]), 2, "CARD-200", "--account");
}

fn no_reader() -> sealfax_adapter::card_command::CardCommandError {
    CardError::NoReader.into()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything these commands write anywhere, with tracing at its most talkative, searched for everything secret.
#[test]
fn no_trace_log_or_error_holds_a_secret() {
    let Some(desk) = Desk::new() else { return };
    let log = Log::default();
    let sink = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || sink.clone()).finish();
    let mut written = String::new();
    let mut passwords = Vec::new();
    let card = card(blank(10));
    tracing::subscriber::with_default(subscriber, || {
        let mut keep = |ran: card_desk::Ran| written += &format!("{}\n{}\n", ran.told, ran.out);
        let (reader, slot) = desk.reader(&card);
        slot.pull_after(40);
        keep(desk.run(Ok(Box::new(reader)), &desk.issue(&[]), &[PIN]));
        passwords.push(desk.account_password());
        keep(desk.with(&card, &desk.issue(&[]), &[PIN]));
        passwords.push(desk.account_password());
        let loud = ["--overwrite", "--password-stdin", "--account", "sh -c 'cat >&2; exit 1'"];
        let mut line = desk.issue(&[]);
        line.truncate(line.len() - 2);
        line.extend(words(&loud));
        keep(desk.with(&card, &line, &[PIN, "himitsu-no-kotoba"]));
        keep(desk.with(&card, &words(&["verify", "--pin-stdin"]), &["00000000"]));
        keep(desk.with(&card, &words(&["verify", "--pin-stdin"]), &[PIN]));
        keep(desk.with(&card, &words(&["pin", "--pin-stdin"]), &[PIN, "31415926"]));
        keep(desk.with(&card, &words(&["unblock", "--pin-stdin", "--secret", &desk.file("secret")]), &["16180339"]));
    });
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("GENERAL AUTHENTICATE"), "the trace is on: {} octets", log.len());
    let everything = format!("{written}\n{log}\n{}", desk.trace.lock().unwrap().join("\n")).to_lowercase();

    let secret = secret(&desk);
    let guid = guid(&desk, &card);
    let mut secrets: Vec<Vec<u8>> =
        [PIN, "00000000", "31415926", "16180339", "himitsu-no-kotoba", "12345678", "an administrator's secret"]
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect();
    secrets.extend(passwords.into_iter().map(String::into_bytes));
    secrets.push(secret.puk(&guid).unwrap().to_vec());
    for algorithm in ManagementAlgorithm::ALL {
        secrets.push(secret.management_key(&guid, algorithm).unwrap().octets().to_vec());
    }
    secrets.push(ManagementKey::factory().octets()[..8].to_vec());
    for secret in secrets {
        assert!(secret.len() >= 8);
        let hexadecimal: String = secret.iter().map(|octet| format!("{octet:02x}")).collect();
        let decimal = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        let text = String::from_utf8_lossy(&secret).to_lowercase();
        for form in [hexadecimal, decimal, text] {
            assert!(!everything.contains(&form), "{form}");
        }
    }
}

/// A certificate that has no room plain goes on gzipped, and one that has none at all leaves the card incomplete.
#[test]
fn a_small_card_gets_its_certificates_gzipped() {
    let Some(desk) = Desk::new() else { return };
    let mut small = blank(11);
    small.object_size = 540;
    let packed = card(small);
    // A name that packs well, and makes the certificate too long for the card.
    let mut line = desk.issue(&["--keys", "p256"]);
    for (option, value) in [("--name", "A".repeat(64)), ("--address", format!("{}@b.example", "a".repeat(60)))] {
        let at = line.iter().position(|word| word == option).unwrap();
        line[at + 1] = value;
    }
    let issued = desk.with(&packed, &line, &[PIN]);
    assert_eq!(issued.exit, 0, "{}", issued.told);
    let (mut session, _slot) = piv(&desk, &packed);
    let content = session.data(Slot::Signature.certificate_tag()).unwrap().unwrap();
    assert_eq!(sealfax_drivers::card::tlv::find(&content, 0x71), Ok(Some(&[1][..])));
    let der = session.certificate(Slot::Signature).unwrap();
    assert_eq!(Algorithm::of_certificate(&der), Some(Algorithm::P256));
    drop(session);
    let mut tiny = blank(12);
    tiny.object_size = 200;
    let tiny = card(tiny);
    let refused = desk.with(&tiny, &desk.issue(&["--keys", "p256"]), &[PIN]);
    assert_eq!((refused.exit, refused.json["error"]["code"].as_str()), (1, Some("CARD-213")), "{}", refused.told);
    assert!(refused.told.contains("ca revoke") && refused.told.contains("no room"), "{}", refused.told);
}

/// The authority that an administrator really has: `sealfax-mailserver ca`, run as a command on the card's own requests.
#[test]
fn our_own_authority_signs_what_the_card_asks_for() {
    let Some(desk) = Desk::new() else { return };
    let program = target("debug/sealfax-mailserver");
    if !program.exists() {
        assert!(std::env::var_os("SEALFAX_STRICT").is_none(), "sealfax-mailserver is not built");
        eprintln!("unsupported: sealfax-mailserver is not built; `cargo test --workspace` builds it");
        return;
    }
    std::fs::write(desk.path().join("passphrase"), "a passphrase of the authority's").unwrap();
    std::fs::set_permissions(desk.path().join("passphrase"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let (folder, passphrase) = (desk.file("authority"), desk.file("passphrase"));
    let common = ["ca", "--data", folder.as_str(), "--key-passphrase-file", passphrase.as_str()];
    let created = std::process::Command::new(&program).args(common).arg("create").output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));

    let sign = format!("{} {} sign", program.display(), common.join(" "));
    let card = card(blank(11));
    let mut line = words(&["issue", "--name", NAME, "--address", ADDRESS, "--pin-stdin", "--keys", "p256"]);
    line.extend(["--secret".to_owned(), desk.file("secret"), "--ca".to_owned(), sign]);
    line.extend(["--account".to_owned(), desk.account_command()]);
    let issued = desk.with(&card, &line, &[PIN]);
    assert_eq!(issued.exit, 0, "{}", issued.told);
    let (root, issuing) = (format!("{folder}/root.pem"), format!("{folder}/issuing.pem"));
    let line = ["verify", "--pin-stdin", "--anchors", &root, "--intermediates", &issuing];
    let verified = desk.with(&card, &words(&line), &[PIN]);
    assert_eq!(verified.exit, 0, "{}", verified.told);
    assert_eq!(state(&verified, "path"), "ok", "{}", verified.told);
}

#[test]
fn a_kept_mail_opens_with_the_card_it_was_sealed_for() {
    let Some(desk) = Desk::new() else { return };
    let card = card(blank(41));
    assert_eq!(desk.with(&card, &desk.issue(&[]), &[PIN]).exit, 0);
    let certificate = piv(&desk, &card).0.certificate(Slot::KeyManagement).unwrap();
    std::fs::write(desk.path().join("hanako.der"), certificate).unwrap();
    std::fs::write(
        desk.path().join("document"),
        "From: taro@a.example\r\nTo: hanako@b.example\r\nContent-Type: text/plain\r\n\r\nKept for years\r\n",
    )
    .unwrap();
    std::fs::write(
        desk.path().join("taro.ext"),
        "subjectAltName=email:taro@a.example\nkeyUsage=digitalSignature\nextendedKeyUsage=emailProtection\n",
    )
    .unwrap();
    let ssl = |line: &str| openssl(desk.path(), &line.split(' ').collect::<Vec<_>>()).unwrap();
    ssl("x509 -inform DER -in hanako.der -out hanako.pem");
    ssl("req -newkey rsa:2048 -nodes -keyout taro.key -out taro.csr -subj /CN=Taro");
    ssl("x509 -req -in taro.csr -CA ca.pem -CAkey ca.key -days 9 -set_serial 77 -extfile taro.ext -out taro.pem");
    ssl("cms -sign -nodetach -binary -in document -signer taro.pem -inkey taro.key -out signed");
    let sealed = |name: &str, from: &str, cipher: &str| {
        let entity = ssl(&format!("cms -encrypt -in signed {cipher} hanako.pem"));
        std::fs::write(desk.path().join(name), [format!("From: {from}\n").as_bytes(), &entity].concat()).unwrap();
    };
    sealed("new.eml", "Taro <taro@a.example>", "-aes-256-gcm");
    sealed("old.eml", "taro@a.example", "-des-cbc -provider legacy -provider default");
    sealed("other.eml", "mallory@a.example", "-aes-256-gcm");
    std::fs::write(desk.path().join("no-mail"), "nothing\n").unwrap();
    let open = |mail: &str, out: &str, more: &[&str]| {
        let (mail, out, anchors) = (desk.file(mail), desk.file(out), desk.file("ca.pem"));
        let line = ["open", mail.as_str(), "--out", &out, "--anchors", &anchors, "--pin-stdin"];
        desk.with(&card, &words(&[&line, more].concat()), &[PIN])
    };

    let opened = open("new.eml", "new", &[]);
    assert_eq!((opened.exit, &opened.json["sender"]), (0, &"taro@a.example".into()), "{}", opened.told);
    assert_eq!((&opened.json["encryption"], &opened.json["bound"]), (&"Aes256Gcm".into(), &true.into()));
    let document = std::fs::read(desk.path().join("document")).unwrap();
    assert_eq!(std::fs::read(desk.path().join("new")).unwrap(), document);
    let mode = std::fs::metadata(desk.path().join("new")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it was confidential");

    // Single DES on request alone, and it is said.
    let refused = open("old.eml", "old", &[]);
    assert_eq!((refused.exit, &refused.json["error"]["code"]), (1, &"OPEN-014".into()), "{}", refused.told);
    let opened = open("old.eml", "old", &["--single-des"]);
    assert_eq!((opened.exit, &opened.json["encryption"]), (0, &"DesCbc".into()), "{}", opened.told);
    assert!(opened.told.contains("old cipher"), "{}", opened.told);
    assert_eq!(std::fs::read(desk.path().join("old")).unwrap(), document);

    // What does not hold leaves no file; one that is there is left as it is; what is no mail costs no PIN.
    for (mail, out, code) in
        [("other.eml", "other", "OPEN-024"), ("new.eml", "document", "CARD-215"), ("no-mail", "x", "CARD-200")]
    {
        let refused = open(mail, out, &[]);
        assert_eq!(refused.json["error"]["code"], code, "{}", refused.told);
    }
    assert!(!desk.path().join("other").exists() && !desk.path().join("x").exists());
    assert_eq!(std::fs::read(desk.path().join("document")).unwrap(), document);
    let wrong = words(&[
        "open",
        &desk.file("new.eml"),
        "--out",
        &desk.file("y"),
        "--anchors",
        &desk.file("ca.pem"),
        "--pin-stdin",
    ]);
    let refused = desk.with(&card, &wrong, &["00000000"]);
    assert_eq!((refused.exit, &refused.json["error"]["code"]), (1, &"CARD-204".into()), "{}", refused.told);
}
