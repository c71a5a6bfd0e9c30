//! `sealfax-adapter card` against cards and people that mean ill: cards that claim to be another, authorities and files
//! that are not what they should be, guesses at secrets whose tries are few, and commands broken off half-way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod card_desk;

use std::os::unix::fs::PermissionsExt as _;

use card_desk::{ADDRESS, Desk, NAME, PIN, Ran, blank, card, words};
use sealfax_adapter::card_command::AdministratorSecret;
use sealfax_drivers::card::piv::{LastTry, ManagementAlgorithm, ManagementKey, Piv, Slot, tag};
use sealfax_drivers::card::{CardReader, object};
use sealfax_drivers::pin::Pin;
use sealfax_rig::virtual_card::{CardHandle, SlotHandle};
use sealfax_tests::openssl::openssl;

fn piv(desk: &Desk, card: &CardHandle) -> (Piv, SlotHandle) {
    let (reader, slot) = desk.reader(card);
    (Piv::select(reader.connect().unwrap()).unwrap(), slot)
}

fn guid(desk: &Desk, card: &CardHandle) -> [u8; 16] {
    piv(desk, card).0.guid().unwrap().unwrap()
}

fn pin(digits: &str) -> Pin {
    Pin::new(digits.as_bytes()).unwrap()
}

/// A card that is still its maker's, with these objects written by whoever has it.
fn claims(desk: &Desk, seed: u64, objects: &[(u32, Vec<u8>)]) -> CardHandle {
    let card = card(blank(seed));
    let (mut piv, _slot) = piv(desk, &card);
    piv.authenticate_management(&ManagementKey::factory(), &[1; 16]).unwrap();
    for (tag, content) in objects {
        piv.put_data(*tag, content).unwrap();
    }
    drop(piv);
    card
}

/// A file that only its owner reads.
fn secret_file(desk: &Desk, name: &str, content: &str) -> String {
    std::fs::write(desk.path().join(name), content).unwrap();
    std::fs::set_permissions(desk.path().join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    desk.file(name)
}

fn refused(ran: &Ran, code: &str, words: &str) {
    assert_eq!((ran.exit, ran.json["error"]["code"].as_str()), (1, Some(code)), "{}", ran.told);
    assert!(ran.told.contains(words), "{}", ran.told);
}

fn unblock(desk: &Desk, more: &[&str]) -> Vec<String> {
    let mut line = words(&["unblock", "--pin-stdin", "--secret", &desk.file("secret")]);
    line.extend(words(more));
    line
}

fn renew(desk: &Desk, more: &[&str]) -> Vec<String> {
    let mut line = words(&["renew", "--pin-stdin", "--secret", &desk.file("secret"), "--ca", &desk.file("ca")]);
    line.extend(words(more));
    line
}

/// The commands that cards were sent since the desk was last asked.
fn sent(desk: &Desk) -> String {
    std::mem::take(&mut *desk.trace.lock().unwrap()).join("\n")
}

/// Hanako's unblocking key is for Hanako's card.
#[test]
fn a_card_that_claims_to_be_another_gets_nothing_of_that_ones() {
    let Some(desk) = Desk::new() else { return };
    let hanakos = card(blank(31));
    assert_eq!(desk.with(&hanakos, &desk.issue(&["--keys", "p256"]), &[PIN]).exit, 0);
    let guid = guid(&desk, &hanakos);
    let impostor = claims(&desk, 32, &[(tag::CHUID, object::chuid(&guid, b"20401231"))]);

    sent(&desk);
    refused(&desk.with(&impostor, &unblock(&desk, &[]), &["31415926"]), "CARD-220", "does not prove");
    let commands = sent(&desk);
    assert!(commands.contains("GENERAL AUTHENTICATE") && !commands.contains("RESET RETRY COUNTER"), "{commands}");
    // Said to be one that cannot prove itself, it is tried with a key that opens no card that can.
    refused(&desk.with(&impostor, &unblock(&desk, &["--keep-management-key"]), &["31415926"]), "CARD-206", "");
    assert!(sent(&desk).contains("RESET RETRY COUNTER"));
    let secret = AdministratorSecret::read(&desk.path().join("secret")).unwrap();
    assert_ne!(secret.puk(&guid).unwrap(), secret.puk_of_an_unproven_card(&guid).unwrap());

    // Issued, it is another card than it said: nothing that follows from Hanako's GUID is on it.
    let impostor = claims(&desk, 33, &[(tag::CHUID, object::chuid(&guid, b"20401231"))]);
    let issued = desk.with(&impostor, &desk.issue(&["--keys", "p256"]), &[PIN]);
    assert_eq!(issued.exit, 0, "{}", issued.told);
    let other = self::guid(&desk, &impostor);
    assert_ne!(other, guid);
    let (mut session, _slot) = piv(&desk, &impostor);
    let key = |guid| secret.management_key(guid, ManagementAlgorithm::Aes256).unwrap();
    session.prove_management(&key(&guid), &[2; 16]).unwrap_err();
    session.prove_management(&key(&other), &[2; 16]).unwrap();
    session.unblock_pin(&secret.puk(&other).unwrap(), &pin("31415926")).unwrap();
    drop(session);
    // Kept as it is, it keeps its GUID, and gets the unblocking key of such cards.
    let impostor = claims(&desk, 34, &[(tag::CHUID, object::chuid(&guid, b"20401231"))]);
    let issued = desk.with(&impostor, &desk.issue(&["--keys", "p256", "--keep-management-key"]), &[PIN]);
    assert_eq!(issued.exit, 0, "{}", issued.told);
    let (mut session, _slot) = piv(&desk, &impostor);
    session.unblock_pin(&secret.puk(&guid).unwrap(), &pin("31415926")).unwrap_err();
    session.unblock_pin(&secret.puk_of_an_unproven_card(&guid).unwrap(), &pin("31415926")).unwrap();
    // Hanako's own card is unblocked as ever.
    let unblocked = desk.with(&hanakos, &unblock(&desk, &[]), &["31415926"]);
    assert_eq!(unblocked.exit, 0, "{}", unblocked.told);
}

/// A certificate can be copied; the key under it cannot.
#[test]
fn a_name_that_nobody_proved_is_not_certified_anew() {
    let Some(desk) = Desk::new() else { return };
    let hanakos = card(blank(35));
    assert_eq!(desk.with(&hanakos, &desk.issue(&["--keys", "p256"]), &[PIN]).exit, 0);
    let certificate = piv(&desk, &hanakos).0.certificate(Slot::Signature).unwrap();
    let copied = object::certificate_object(&certificate);
    let impostor = claims(&desk, 36, &[(tag::SIGNATURE_CERTIFICATE, copied)]);
    // The card has keys of its own, and the maker's PIN.
    let (mut session, slot) = piv(&desk, &impostor);
    session.authenticate_management(&ManagementKey::factory(), &[1; 16]).unwrap();
    session.generate(Slot::Signature, sealfax_drivers::card::piv::Algorithm::P256).unwrap();
    drop((session, slot));
    let anchor = desk.file("ca.pem");
    for more in [&[][..], &["--new-keys"]] {
        refused(&desk.with(&impostor, &renew(&desk, more), &["123456"]), "CARD-220", "--anchors");
        let with = [more, &["--anchors", &anchor]].concat();
        refused(&desk.with(&impostor, &renew(&desk, &with), &["123456"]), "CARD-209", "not that of its certificate");
    }
    // Hers is renewed by what it knows; with another secret and its management key told, by what it is certified for.
    assert_eq!(desk.with(&hanakos, &renew(&desk, &[]), &[PIN]).exit, 0);
    let secret = AdministratorSecret::read(&desk.path().join("secret")).unwrap();
    let key = secret.management_key(&guid(&desk, &hanakos), ManagementAlgorithm::Aes256).unwrap();
    let hexadecimal: String = key.octets().iter().map(|octet| format!("{octet:02x}")).collect();
    let key = secret_file(&desk, "management-key", &hexadecimal);
    secret_file(&desk, "secret", "another administrator's secret of as many octets");
    let told = ["--initial-management-key", &key];
    refused(&desk.with(&hanakos, &renew(&desk, &told), &[PIN]), "CARD-220", "--anchors");
    let anchored = [&told[..], &["--anchors", &anchor]].concat();
    let renewed = desk.with(&hanakos, &renew(&desk, &anchored), &[PIN]);
    assert_eq!(renewed.exit, 0, "{}", renewed.told);
    // Certified by somebody else's authority it is nobody's.
    let Some(stranger) = Desk::new() else { return };
    let anchor = stranger.file("ca.pem");
    let anchored = [&told[..], &["--anchors", &anchor]].concat();
    refused(&desk.with(&hanakos, &renew(&desk, &anchored), &[PIN]), "CARD-209", "does not lead to --anchors");
}

/// However often and however wrongly the administrator tries, the unblocking key keeps its last try.
#[test]
fn the_unblocking_key_is_never_blocked_by_us() {
    let Some(desk) = Desk::new() else { return };
    let mut strange = blank(37);
    strange.puk.copy_from_slice(b"87654321");
    let strange = card(strange);
    let tries = |card: &CardHandle| card.lock().unwrap().puk_tries();
    // The card says that it is not its maker's, and nothing of ours was on it: there is nothing to guess.
    refused(&desk.with(&strange, &desk.issue(&["--keys", "p256"]), &[PIN]), "CARD-206", "--initial-puk");
    assert_eq!(tries(&strange), 3);
    // A wrong one that was told: one try a run.
    let told = ["--keys", "p256", "--initial-puk", &secret_file(&desk, "puk", "11111111")];
    for (left, words) in
        [(2, "2 tries are left"), (1, "1 tries are left"), (1, "not spent here"), (1, "not spent here")]
    {
        refused(&desk.with(&strange, &desk.issue(&told), &[PIN]), "CARD-206", words);
        assert_eq!(tries(&strange), left);
    }
    // Nor is the last one spent on the right one, whatever else is known.
    secret_file(&desk, "puk", "87654321");
    refused(&desk.with(&strange, &desk.issue(&told), &[PIN]), "CARD-206", "not spent here");
    assert_eq!(tries(&strange), 1);

    let hanakos = card(blank(38));
    assert_eq!(desk.with(&hanakos, &desk.issue(&["--keys", "p256"]), &[PIN]).exit, 0);
    let guess = || piv(&desk, &hanakos).0.unblock_pin(b"00000000", &pin("31415926")).unwrap_err();
    for _ in 0..2 {
        guess();
    }
    refused(&desk.with(&hanakos, &unblock(&desk, &[]), &["31415926"]), "CARD-206", "not spent here");
    assert_eq!(tries(&hanakos), 1);
    guess();
    refused(&desk.with(&hanakos, &unblock(&desk, &[]), &["31415926"]), "CARD-206", "issue another");

    // A card that does not tell is not tried unasked.
    let mut silent = blank(39);
    silent.extensions = false;
    let silent = card(silent);
    let kept = ["--keys", "p256", "--keep-management-key"];
    refused(&desk.with(&silent, &desk.issue(&kept), &[PIN]), "CARD-206", "--unknown-puk-tries");
    assert_eq!(tries(&silent), 3);
    let sure = [&kept[..], &["--unknown-puk-tries"]].concat();
    assert_eq!(desk.with(&silent, &desk.issue(&sure), &[PIN]).exit, 0);
    refused(
        &desk.with(&silent, &unblock(&desk, &["--keep-management-key"]), &[PIN]),
        "CARD-206",
        "--unknown-puk-tries",
    );
    let unblocked = desk.with(&silent, &unblock(&desk, &["--keep-management-key", "--unknown-puk-tries"]), &[PIN]);
    assert_eq!(unblocked.exit, 0, "{}", unblocked.told);
}

/// Whoever has the maker's key can put other keys on the card: no key is made on it before that is known.
#[test]
fn a_card_that_goes_on_obeying_its_maker_is_not_issued_unasked() {
    let Some(desk) = Desk::new() else { return };
    let mut plain = blank(40);
    plain.extensions = false;
    let plain = card(plain);
    sent(&desk);
    let told = desk.with(&plain, &words(&["show"]), &[]);
    assert!(told.json["card"]["guid"].is_null());
    let stopped = desk.with(&plain, &desk.issue(&["--keys", "p256", "--unknown-puk-tries"]), &[PIN]);
    refused(&stopped, "CARD-221", "--keep-management-key");
    let commands = sent(&desk);
    assert!(!commands.contains("GENERATE") && !commands.contains("RESET RETRY COUNTER"), "{commands}");
    // What it was told before is taken back, so that the words that help say nothing wrong of it.
    assert!(desk.with(&plain, &words(&["show"]), &[]).json["card"]["guid"].is_null());
    // Nor do certificates that come in the second step get onto it.
    std::fs::create_dir(desk.path().join("signed")).unwrap();
    let mut line =
        words(&["issue", "--name", NAME, "--address", ADDRESS, "--pin-stdin", "--secret", &desk.file("secret")]);
    line.extend(words(&["--certificates", &desk.file("signed")]));
    refused(&desk.with(&plain, &line, &[PIN]), "CARD-221", "--keep-management-key");
}

/// At no moment does the new person's PIN open what was the old one's.
#[test]
fn a_card_that_is_overwritten_forgets_its_owner_before_it_knows_the_next() {
    let Some(desk) = Desk::new() else { return };
    const NEW: &str = "16180339";
    let mut line = desk.issue(&["--keys", "p256", "--overwrite"]);
    for (option, value) in [("--name", "鈴木 一郎"), ("--address", "ichiro@b.example")] {
        let at = line.iter().position(|word| word == option).unwrap();
        line[at + 1] = value.to_owned();
    }
    let (mut pulls, mut half) = (0, 0);
    loop {
        let card = card(blank(41));
        assert_eq!(desk.with(&card, &desk.issue(&["--keys", "p256"]), &[PIN]).exit, 0);
        let old = [Slot::Signature, Slot::KeyManagement].map(|slot| piv(&desk, &card).0.certificate(slot).unwrap());
        let (reader, slot) = desk.reader(&card);
        slot.pull_after(pulls);
        let pulled = desk.run(Ok(Box::new(reader)), &line, &[NEW]);
        drop(slot);
        let (mut session, slot) = piv(&desk, &card);
        if session.verify_pin(&pin(NEW), LastTry::Refuse).is_ok() {
            half += u32::from(pulled.exit != 0);
            for (slot, old) in [Slot::Signature, Slot::KeyManagement].into_iter().zip(&old) {
                assert_ne!(session.certificate(slot).ok().as_ref(), Some(old), "after {pulls}: {}", pulled.told);
            }
            assert!(!session.mailbox_login().is_ok_and(|login| login.login() == ADDRESS), "after {pulls}");
            // Nor does the key still open what was sealed for the old one.
            let key = sealfax_smime::path::public_key(&old[1]).unwrap();
            let told = session.metadata(sealfax_drivers::card::piv::Reference::Key(Slot::KeyManagement)).unwrap();
            assert_ne!(told.unwrap().public_key, Some(key), "after {pulls}");
        }
        drop((session, slot));
        if pulled.exit == 0 {
            break;
        }
        pulls += 5;
    }
    assert!(half > 0, "it was pulled between the new PIN and the end");
}

/// Of several certificates for the card's key the newest is taken, and none whose time is over.
#[test]
fn certificates_of_other_times_are_passed_over() {
    let Some(desk) = Desk::new() else { return };
    let card = card(blank(42));
    let issue = |way: &str, folder: &str| {
        let mut line = words(&["issue", "--name", NAME, "--address", ADDRESS, "--keys", "p256", "--pin-stdin"]);
        line.extend(["--secret".to_owned(), desk.file("secret"), "--account".to_owned(), desk.account_command()]);
        line.extend([way.to_owned(), desk.file(folder)]);
        desk.with(&card, &line, &[PIN])
    };
    let requested = issue("--requests", "travels");
    assert_eq!(requested.exit, 0, "{}", requested.told);
    let requests: Vec<String> =
        requested.json["requests"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect();
    // An authority that dates as it is told.
    let config = "[ca]\ndefault_ca=x\n[x]\nnew_certs_dir=.\ndatabase=index\nrand_serial=yes\ncertificate=ca.pem\n\
                  private_key=ca.key\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n";
    std::fs::write(desk.path().join("dated.cnf"), config).unwrap();
    std::fs::write(desk.path().join("index"), "").unwrap();
    let sign = |folder: &str, name: &str, from: &str, until: &str| {
        std::fs::create_dir_all(desk.path().join(folder)).unwrap();
        for request in &requests {
            let (usage, key_usage) =
                if request.contains("sign") { ("sign", "digitalSignature") } else { ("encrypt", "keyAgreement") };
            let extensions = format!(
                "keyUsage=critical,{key_usage}\nextendedKeyUsage=emailProtection\nsubjectAltName=email:{ADDRESS}\n"
            );
            std::fs::write(desk.path().join("extensions"), extensions).unwrap();
            let out = format!("{folder}/{usage}-{name}");
            let line = ["ca", "-batch", "-notext", "-config", "dated.cnf", "-extfile", "extensions", "-in", request];
            let rest = ["-startdate", from, "-enddate", until, "-out", &out];
            openssl(desk.path(), &[&line[..], &rest].concat()).unwrap();
        }
    };
    // What ended in 2020 is no certificate to issue a card with.
    sign("old", "old", "20190101000000Z", "20200101000000Z");
    refused(&issue("--certificates", "old"), "CARD-212", "there is none");
    // Among several that are valid the newest counts, whatever their files are called.
    for (name, from) in [("a", "20220101000000Z"), ("b", "20230101000000Z"), ("c", "20210101000000Z")] {
        sign("some", name, from, "20490101000000Z");
    }
    let issued = issue("--certificates", "some");
    assert_eq!(issued.exit, 0, "{}", issued.told);
    for key in issued.json["card"]["keys"].as_array().unwrap() {
        let from = key["certificate"]["not_before"].as_str().unwrap();
        assert!(from.starts_with("2023-01-01"), "{from}");
    }
}

/// The last try of a PIN is its owner's to spend, and the words say how.
#[test]
fn the_last_try_of_a_pin_is_spent_when_that_is_said() {
    let Some(desk) = Desk::new() else { return };
    let card = card(blank(43));
    assert_eq!(desk.with(&card, &desk.issue(&["--keys", "p256"]), &[PIN]).exit, 0);
    let guess = |times: u8| {
        for _ in 0..times {
            let _ = piv(&desk, &card).0.verify_pin(&pin("00000000"), LastTry::Allow);
        }
    };
    let tries = || card.lock().unwrap().pin_tries();
    guess(2);
    let change = words(&["pin", "--pin-stdin"]);
    refused(&desk.with(&card, &change, &[PIN, "31415926"]), "CARD-204", "--allow-last-try");
    let verified = desk.with(&card, &words(&["verify", "--pin-stdin"]), &[PIN]);
    assert!(verified.exit == 1 && verified.told.contains("--allow-last-try"), "{}", verified.told);
    assert_eq!(tries(), 1);
    let verified = desk.with(&card, &words(&["verify", "--pin-stdin", "--allow-last-try"]), &[PIN]);
    assert_eq!((verified.exit, tries()), (0, 3), "{}", verified.told);
    guess(2);
    let changed = desk.with(&card, &words(&["pin", "--pin-stdin", "--allow-last-try"]), &[PIN, "31415926"]);
    assert_eq!((changed.exit, tries()), (0, 3), "{}", changed.told);
    guess(3);
    refused(&desk.with(&card, &change, &[PIN, "31415926"]), "CARD-204", "card unblock");
}

/// Who wrote a certificate chose its words; a terminal is not theirs to write on.
#[test]
fn a_certificate_moves_no_cursor() {
    let Some(desk) = Desk::new() else { return };
    let subject = "/CN=Eve\u{1b}[2J\u{202e}ecilA";
    let line = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "eve.key"];
    let rest = [
        "-outform",
        "DER",
        "-out",
        "eve.der",
        "-utf8",
        "-subj",
        subject,
        "-addext",
        "subjectAltName=email:e@b.example",
    ];
    openssl(desk.path(), &[&line[..], &rest].concat()).unwrap();
    let der = std::fs::read(desk.path().join("eve.der")).unwrap();
    let card = claims(&desk, 44, &[(tag::SIGNATURE_CERTIFICATE, object::certificate_object(&der))]);
    let shown = desk.with(&card, &words(&["show"]), &[]);
    assert!(shown.told.contains("Eve?[2J?ecilA"), "{}", shown.told);
    assert!(!shown.told.contains(['\u{1b}', '\u{202e}']), "{}", shown.told);
}
