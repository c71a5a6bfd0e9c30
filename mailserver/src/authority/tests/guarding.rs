//! What keeps the index and its revocations: files that are replaced, put back or held, acts that are cut off.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::*;
use crate::authority::keys::{Passphrase, PassphraseSource};
use crate::authority::{Access, NewPassphrase, Protect};

impl Fixture {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self) -> Result<Authority, AuthorityError> {
        Authority::open(self.folder.path(), &self.seams)
    }

    fn revoke(&self, certificate: &[u8], reason: CrlReason) -> Result<(), AuthorityError> {
        self.authority.revoke_certificate(certificate, reason, self.seams.clock.now())
    }

    /// Moves a file with these octets into the place of `name`, as a restore or rsync does.
    fn replace(&self, name: &str, octets: &[u8]) {
        std::fs::write(self.path("beside"), octets).unwrap();
        std::fs::rename(self.path("beside"), self.path(name)).unwrap();
    }
}

fn serial_of(certificate: &[u8]) -> String {
    let certificate = Certificate::from_der(certificate).unwrap();
    crate::authority::ca::hex(certificate.tbs_certificate().serial_number().as_bytes())
}

#[test]
fn an_index_that_is_replaced_is_read_anew_and_a_revocation_in_it_counts() {
    let fixture = Fixture::new();
    let (first, second) = (fixture.issue(Use::Sign), fixture.issue(Use::Encrypt));
    let issuer = fixture.authority.issuing_der().unwrap();
    let server = Arc::new(Authority::open_online(fixture.folder.path(), &fixture.seams).unwrap());
    let responder = OcspResponder::new(Arc::clone(&server)).unwrap();
    let told = |certificate: &[u8]| responder.respond(&bare_request(&issuer, certificate, true)).told.to_string();
    assert!(told(&first).ends_with("good"));
    // A copy takes its place, as a restore makes one; the next revocation goes into the copy.
    fixture.replace("index.jsonl", &std::fs::read(fixture.path("index.jsonl")).unwrap());
    fixture.revoke(&first, CrlReason::KeyCompromise).unwrap();
    assert!(told(&first).ends_with("revoked"));
    // A copy that knows more than the one before.
    let before = std::fs::read(fixture.path("index.jsonl")).unwrap();
    fixture.open().unwrap().revoke_certificate(&second, CrlReason::Superseded, fixture.seams.clock.now()).unwrap();
    fixture.replace("index.jsonl", &std::fs::read(fixture.path("index.jsonl")).unwrap());
    assert!(told(&second).ends_with("revoked"));
    // One that is gone for a moment is trouble with the disk, which passes.
    let whole = std::fs::read(fixture.path("index.jsonl")).unwrap();
    std::fs::remove_file(fixture.path("index.jsonl")).unwrap();
    assert!(matches!(server.list(), Err(AuthorityError::Disk { .. })));
    fixture.replace("index.jsonl", &whole);
    assert_eq!(server.list().unwrap().len(), 2);
    // An old one is refused, and for good.
    fixture.replace("index.jsonl", &before);
    assert!(matches!(server.list(), Err(AuthorityError::Forged { .. })));
    fixture.replace("index.jsonl", &whole);
    assert!(matches!(server.list(), Err(AuthorityError::Forged { .. })));
}

#[test]
fn an_index_of_another_history_does_not_take_the_place_of_the_one_that_was_read() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    let early = std::fs::read(fixture.path("index.jsonl")).unwrap();
    fixture.revoke(&certificate, CrlReason::Superseded).unwrap();
    fixture.issue(Use::Encrypt);
    let server = fixture.open().unwrap();
    assert_eq!(server.list().unwrap().len(), 2);
    // As long and longer, every line under a good mark, but without the revocation.
    let list = std::fs::read(fixture.path("issuing.crl")).unwrap();
    std::fs::remove_file(fixture.path("issuing.crl")).unwrap();
    std::fs::remove_file(fixture.path("audit.jsonl")).unwrap();
    fixture.replace("index.jsonl", &early);
    let other = fixture.open().unwrap();
    for usage in [Use::Sign, Use::Encrypt, Use::Sign] {
        let key = keys::generate(&fixture.seams.entropy);
        let request = PersonRequest {
            name: "Taro".to_owned(),
            address: ADDRESS.to_owned(),
            public_key: public_der(&key),
            usage,
            validity: Duration::from_secs(86_400),
            ocsp_url: None,
        };
        other.issue_person(&request).unwrap();
    }
    let error = server.list().unwrap_err();
    assert!(matches!(error, AuthorityError::Forged { .. }) && error.to_string().contains("replaced"), "{error}");
    // Nor is it believed by who starts anew and knows the revocation list.
    std::fs::write(fixture.path("issuing.crl"), list).unwrap();
    assert!(matches!(fixture.open(), Err(AuthorityError::RolledBack { .. })));
}

#[test]
fn an_old_index_is_known_by_the_revocation_list_or_the_audit_log() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    let path = fixture.path("index.jsonl");
    let early = std::fs::read(&path).unwrap();
    fixture.revoke(&certificate, CrlReason::KeyCompromise).unwrap();
    fixture.issue(Use::Encrypt);
    let newest = std::fs::read(&path).unwrap();
    let log = std::fs::read(fixture.path("audit.jsonl")).unwrap();
    let list = std::fs::read(fixture.path("issuing.crl")).unwrap();
    std::fs::write(&path, &early).unwrap();
    std::fs::remove_file(fixture.path("audit.jsonl")).unwrap();
    let error = fixture.open().unwrap_err();
    assert!(error.to_string().contains(&serial_of(&certificate)), "{error}");
    assert!(matches!(
        Authority::open_online(fixture.folder.path(), &fixture.seams),
        Err(AuthorityError::RolledBack { .. })
    ));
    std::fs::write(fixture.path("audit.jsonl"), log).unwrap();
    std::fs::remove_file(fixture.path("issuing.crl")).unwrap();
    let error = fixture.open().unwrap_err();
    assert!(error.to_string().contains("entry 4 of the audit log"), "{error}");
    std::fs::write(&path, newest).unwrap();
    fixture.open().unwrap();
    // A list that somebody else made says nothing.
    let foreign = Fixture::new();
    std::fs::copy(foreign.path("issuing.crl"), fixture.path("issuing.crl")).unwrap();
    assert!(matches!(fixture.open(), Err(AuthorityError::Unreadable { .. })));
    std::fs::write(fixture.path("issuing.crl"), list).unwrap();
    fixture.open().unwrap();
}

#[test]
fn a_revocation_that_was_cut_off_is_finished_by_saying_it_again() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    let list = fixture.path("issuing.crl");
    let named = || crate::authority::RevocationList::read(std::fs::read(&list).unwrap()).unwrap().revoked;
    let old = std::fs::read(&list).unwrap();
    fixture.revoke(&certificate, CrlReason::Superseded).unwrap();
    assert_eq!(named(), 1);
    std::fs::write(&list, &old).unwrap();
    assert!(matches!(fixture.revoke(&certificate, CrlReason::Superseded), Err(AuthorityError::AlreadyRevoked(_))));
    assert_eq!(named(), 1, "the list was made all the same");
    // What keeps the list from being made does not unmake the revocation, and is said so.
    let other = fixture.issue(Use::Encrypt);
    std::fs::write(&list, b"nonsense").unwrap();
    let error = fixture.revoke(&other, CrlReason::Superseded).unwrap_err();
    assert!(matches!(error, AuthorityError::ListUnpublished { .. }) && error.to_string().contains("ca crl"), "{error}");
    let standing = fixture.authority.show(&serial_of(&other)).unwrap().standing;
    assert!(matches!(standing, crate::authority::Standing::Revoked { .. }));
}

#[test]
fn nothing_is_put_on_hold_and_a_compromise_takes_the_place_of_less() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    assert!(matches!(fixture.revoke(&certificate, CrlReason::CertificateHold), Err(AuthorityError::Hold)));
    let standing = || fixture.authority.show(&serial_of(&certificate)).unwrap().standing;
    assert_eq!(standing(), crate::authority::Standing::Good);
    fixture.revoke(&certificate, CrlReason::Superseded).unwrap();
    let crate::authority::Standing::Revoked { at: since, .. } = standing() else { panic!("it is revoked") };
    fixture.revoke(&certificate, CrlReason::KeyCompromise).unwrap();
    let worse = crate::authority::Standing::Revoked { at: since, reason: CrlReason::KeyCompromise };
    assert_eq!(standing(), worse);
    assert!(matches!(fixture.revoke(&certificate, CrlReason::Superseded), Err(AuthorityError::AlreadyRevoked(_))));
    assert!(matches!(fixture.revoke(&certificate, CrlReason::KeyCompromise), Err(AuthorityError::AlreadyRevoked(_))));
    assert_eq!(standing(), worse);
    assert_eq!(fixture.open().unwrap().show(&serial_of(&certificate)).unwrap().standing, worse);
}

#[test]
fn only_its_owner_and_group_read_an_authority_and_no_reader_can_hold_it_up() {
    let outer = TempDir::new().unwrap();
    let folder = outer.path().join("ca");
    let seams = Seams::system();
    let authority = Authority::create(&folder, &AuthorityOptions::default(), &seams).unwrap();
    let mode = |name: &str| std::fs::metadata(folder.join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("."), mode("index.jsonl"), mode("index.lock")), (0o750, 0o640, 0o600));
    // Whoever may read the index may lock it: that is of no use.
    let index = std::fs::File::open(folder.join("index.jsonl")).unwrap();
    index.lock().unwrap();
    authority.publish_list().unwrap();
}

/// A key that makes signatures that do not hold.
#[derive(Debug)]
struct Faulty(SoftwareKey);

impl AuthorityKey for Faulty {
    fn verifying_key(&self) -> &p256::ecdsa::VerifyingKey {
        self.0.verifying_key()
    }

    fn sign(&self, message: &[u8]) -> Result<p256::ecdsa::DerSignature, AuthorityError> {
        self.0.sign(&[message, b"!"].concat())
    }

    fn waits(&self) -> bool {
        false
    }
}

#[test]
fn a_mark_that_does_not_hold_is_not_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("index.jsonl");
    let key = || SoftwareKey::new(keys::generate(&Seams::system().entropy));
    let faulty = Faulty(key());
    let founded = crate::authority::index::Store::found(&path, &faulty);
    assert!(matches!(founded, Err(AuthorityError::BadSignature)));
    assert!(!path.exists());
    let good = key();
    crate::authority::index::Store::found(&path, &good).unwrap();
    let store = crate::authority::index::Store::open(&path, *good.verifying_key()).unwrap();
    let before = std::fs::read(&path).unwrap();
    // A good signature by another key is none either.
    assert!(matches!(store.issue(&key(), |_| Ok(Vec::new())), Err(AuthorityError::BadSignature)));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    store.issue(&good, |_| Ok(Vec::new())).unwrap();
}

#[test]
fn keys_are_encrypted_all_or_none() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path();
    let seams = Seams::system();
    let secret = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        NewPassphrase { passphrase: Passphrase::read(&path).unwrap(), file: Some(path) }
    };
    let (one, two) = (secret("one", "the first passphrase"), secret("two", "the second passphrase"));
    let (three, four) = (secret("three", "the third passphrase"), secret("four", "the fourth passphrase"));
    let settings = crate::authority::Settings {
        key_passphrase_file: one.file.clone(),
        ocsp_key_passphrase_file: two.file.clone(),
        ..Default::default()
    };
    let options = AuthorityOptions {
        settings: settings.clone(),
        passphrase: Some(one.passphrase.clone()),
        ocsp_passphrase: Some(one.passphrase.clone()),
        ..AuthorityOptions::default()
    };
    assert!(matches!(Authority::create(dir, &options, &seams), Err(AuthorityError::Passphrases(_))));
    let options = AuthorityOptions { ocsp_passphrase: Some(two.passphrase.clone()), ..options };
    Authority::create(dir, &options, &seams).unwrap();
    let given = |secret: &NewPassphrase| PassphraseSource::given(secret.passphrase.clone());
    let all = ["root", "issuing", "ocsp"];
    let protect = |which: &[&str],
                   old: &NewPassphrase,
                   old_ocsp: &NewPassphrase,
                   new: &NewPassphrase,
                   ocsp: Option<&NewPassphrase>| {
        let (old, old_ocsp) = (given(old), given(old_ocsp));
        let how = Protect { which, old: &old, old_ocsp: &old_ocsp, new: new.clone(), new_ocsp: ocsp.cloned() };
        Authority::protect(dir, &how, &seams)
    };
    let kept: Vec<Vec<u8>> = all.iter().map(|key| std::fs::read(dir.join(format!("{key}.key.pem"))).unwrap()).collect();
    let typed = NewPassphrase { file: None, ..three.clone() };
    for (refused, why) in [
        // The last key does not open: the first two stay as they are.
        (protect(&all, &one, &one, &three, Some(&four)), "does not open"),
        (protect(&all, &one, &two, &three, None), "two passphrases"),
        (protect(&["ocsp"], &one, &two, &one, None), "two passphrases"),
        (protect(&["issuing"], &one, &two, &typed, None), "in a file"),
    ] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    for (key, before) in all.iter().zip(&kept) {
        assert_eq!(&std::fs::read(dir.join(format!("{key}.key.pem"))).unwrap(), before, "{key}");
    }
    protect(&all, &one, &two, &three, Some(&four)).unwrap();
    let settings = crate::authority::Settings::load(dir).unwrap();
    assert_eq!((&settings.key_passphrase_file, &settings.ocsp_key_passphrase_file), (&three.file, &four.file));
    Authority::open(dir, &seams).unwrap();
    // One at a time, the other one's file stays named.
    protect(&["ocsp"], &three, &four, &two, None).unwrap();
    assert_eq!(crate::authority::Settings::load(dir).unwrap().ocsp_key_passphrase_file, two.file);
    Authority::open(dir, &seams).unwrap();
    assert!(
        std::fs::read_dir(dir).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().ends_with(".new"))
    );
}

#[test]
fn who_revokes_needs_the_issuing_key_alone() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    std::fs::write(fixture.path("ocsp.key.pem"), "damaged").unwrap();
    std::fs::write(fixture.path("ocsp.pem"), "damaged").unwrap();
    let access = Access::Issue { passphrase: PassphraseSource::default() };
    let authority = Authority::open_with(fixture.folder.path(), access, &fixture.seams).unwrap();
    assert!(authority.warnings().iter().any(|warning| warning.contains("OCSP")), "{:?}", authority.warnings());
    authority.revoke_certificate(&certificate, CrlReason::KeyCompromise, fixture.seams.clock.now()).unwrap();
    authority.publish_list().unwrap();
}
