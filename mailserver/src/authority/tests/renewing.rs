//! The OCSP signer through the months, a token that is slow, and requests that ask for what is not done.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use der::asn1::ObjectIdentifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use x509_cert::ext::Extension;

use super::*;
use crate::authority::Settings;

const DAY: Duration = Duration::from_secs(86_400);

fn with_clock() -> (Arc<SetClock>, Seams) {
    let clock = Arc::new(SetClock(Mutex::new(SystemTime::now())));
    let seams = Seams { clock: clock.clone(), ..Seams::system() };
    (clock, seams)
}

#[test]
fn while_it_is_valid_the_signer_needs_no_file() {
    let (clock, seams) = with_clock();
    let fixture = Fixture::with(seams);
    let certificate = fixture.issue(Use::Sign);
    let request = bare_request(&fixture.authority.issuing_der().unwrap(), &certificate, true);
    let online = Arc::new(Authority::open_online(fixture.folder.path(), &fixture.seams).unwrap());
    let responder = OcspResponder::new(online).unwrap();
    assert_eq!(responder.respond(&request).status, ResponseStatus::Successful);
    // Due for renewal, and the file is gone: the certificate in memory is good all the same.
    std::fs::remove_file(fixture.folder.path().join("ocsp.pem")).unwrap();
    *clock.0.lock().unwrap() += 70 * DAY;
    assert_eq!(responder.respond(&request).status, ResponseStatus::Successful);
    *clock.0.lock().unwrap() += 30 * DAY;
    assert!(responder.respond(&request).told.to_string().contains("renew-ocsp"));
}

#[test]
fn a_renewal_that_fails_does_not_stop_the_answers() {
    let (clock, seams) = with_clock();
    let fixture = Fixture::with(seams);
    fixture.authority.ocsp_signer().unwrap();
    *clock.0.lock().unwrap() += 70 * DAY;
    // Nothing can be written in its place.
    let pem = fixture.folder.path().join("ocsp.pem");
    std::fs::remove_file(&pem).unwrap();
    std::fs::create_dir_all(pem.join("in the way")).unwrap();
    let before = fixture.authority.ocsp_signer().unwrap().not_after();
    std::fs::remove_dir_all(&pem).unwrap();
    *clock.0.lock().unwrap() += Duration::from_secs(60);
    assert!(fixture.authority.ocsp_signer().unwrap().not_after() > before);
}

#[test]
fn a_signers_life_is_as_the_settings_say() {
    let (clock, seams) = with_clock();
    let folder = TempDir::new().unwrap();
    let settings = Settings { ocsp_signer_days: 9, ..Settings::default() };
    let options = AuthorityOptions { settings, ..AuthorityOptions::default() };
    let authority = Authority::create(folder.path(), &options, &seams).unwrap();
    let ends = || authority.ocsp_signer().unwrap().not_after();
    let first = ends();
    let life = first.duration_since(*clock.0.lock().unwrap()).unwrap();
    assert!(life > 8 * DAY && life <= 9 * DAY, "{life:?}");
    *clock.0.lock().unwrap() += 5 * DAY;
    assert_eq!(ends(), first);
    *clock.0.lock().unwrap() += 2 * DAY;
    assert!(ends() > first);
}

#[test]
fn a_new_ocsp_key_takes_over_when_the_server_is_started_again() {
    let (clock, seams) = with_clock();
    let fixture = Fixture::with(seams);
    let certificate = fixture.issue(Use::Sign);
    let request = bare_request(&fixture.authority.issuing_der().unwrap(), &certificate, true);
    let online = || Arc::new(Authority::open_online(fixture.folder.path(), &fixture.seams).unwrap());
    let key_of = |authority: &Authority| *authority.ocsp_signer().unwrap().parts().0.verifying_key();
    let running = online();
    let old = key_of(&running);
    let opened = Authority::open(fixture.folder.path(), &fixture.seams).unwrap();
    opened.renew_signer_key(&super::super::keys::PassphraseSource::default()).unwrap();
    let responder = OcspResponder::new(running).unwrap();
    assert_eq!(responder.respond(&request).status, ResponseStatus::Successful);
    let started_again = online();
    assert_ne!(key_of(&started_again), old);
    let responder = OcspResponder::new(started_again).unwrap();
    assert_eq!(responder.respond(&request).status, ResponseStatus::Successful);
    // Who still has the old key, and could renew it, lets it end.
    *clock.0.lock().unwrap() += 70 * DAY;
    assert_eq!(key_of(&fixture.authority), old);
    *clock.0.lock().unwrap() += 30 * DAY;
    assert!(matches!(fixture.authority.ocsp_signer(), Err(AuthorityError::SignerReplaced)));
}

#[test]
fn what_is_critical_and_unknown_in_a_request_is_refused() {
    let (fixture, responder, certificate, issuer) = shared();
    let nonce = |critical| Extension { critical, ..asn1::nonce_extension(&[1; 32]).unwrap() };
    let unknown = |critical| Extension {
        extn_id: ObjectIdentifier::new_unwrap("1.2.3.4"),
        critical,
        extn_value: OctetString::new([5, 0]).unwrap(),
    };
    let issuer = Certificate::from_der(issuer).unwrap();
    let serial = Certificate::from_der(certificate).unwrap().tbs_certificate().serial_number().clone();
    let answered = |outer: Vec<Extension>, single: Vec<Extension>| {
        let some = |list: Vec<Extension>| (!list.is_empty()).then_some(list);
        let request = asn1::OcspRequest {
            tbs_request: asn1::TbsRequest {
                version: 0,
                requestor_name: None,
                request_list: vec![asn1::SingleRequest {
                    req_cert: CertId::sha256(&issuer, serial.clone()).unwrap(),
                    single_request_extensions: some(single),
                }],
                request_extensions: some(outer),
            },
            optional_signature: None,
        };
        responder.respond(&request.to_der().unwrap()).status
    };
    assert!(fixture.authority.can_issue());
    for (outer, single, status) in [
        (vec![nonce(true)], vec![], ResponseStatus::Successful),
        (vec![unknown(false)], vec![unknown(false)], ResponseStatus::Successful),
        (vec![nonce(false), unknown(true)], vec![], ResponseStatus::MalformedRequest),
        (vec![], vec![unknown(true)], ResponseStatus::MalformedRequest),
    ] {
        assert_eq!(answered(outer, single), status);
    }
}

/// A token that signs nothing until it is let go.
#[derive(Debug)]
struct Slow {
    key: Arc<dyn AuthorityKey>,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    waiting: AtomicUsize,
    open: Mutex<bool>,
    opened: Condvar,
}

impl AuthorityKey for Slow {
    fn verifying_key(&self) -> &p256::ecdsa::VerifyingKey {
        self.key.verifying_key()
    }

    fn sign(&self, message: &[u8]) -> Result<p256::ecdsa::DerSignature, AuthorityError> {
        self.gate.waiting.fetch_add(1, Ordering::SeqCst);
        drop(self.gate.opened.wait_while(self.gate.open.lock().unwrap(), |open| !*open).unwrap());
        self.key.sign(message)
    }

    fn waits(&self) -> bool {
        true
    }
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
        self.opened.notify_all();
    }
}

/// Lets the token go, also when the test fails: nothing waits for ever.
struct Opens(Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[tokio::test]
async fn a_slow_token_is_waited_for_by_a_few_and_the_others_try_later() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    let issuer = fixture.authority.issuing_der().unwrap();
    let gate = Arc::new(Gate::default());
    let opens = Opens(Arc::clone(&gate));
    let mut authority = Authority::open(fixture.folder.path(), &fixture.seams).unwrap();
    authority.change_ocsp_key(|key| Arc::new(Slow { key, gate: Arc::clone(&gate) }));
    let config = DirectoryConfig {
        host_name: "directory".to_owned(),
        http: "127.0.0.1:0".parse().unwrap(),
        data: fixture.folder.path().to_owned(),
        limits: crate::web::Limits::default(),
    };
    let server = DirectoryServer::start(config, Arc::new(authority), fixture.seams.clone()).await.unwrap();
    let at = server.addr();
    let question = Question::about(&certificate, &issuer, [1; 32]).unwrap();
    let send = async || {
        let body = question.der();
        let head =
            format!("POST /ocsp HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        stream
    };
    let mut asking = Vec::new();
    for number in 1..=8 {
        asking.push(send().await);
        while gate.waiting.load(Ordering::SeqCst) < number {
            tokio::task::yield_now().await;
        }
    }
    // Nor does it help to hang up and ask again: the token works on for those who have gone.
    drop(asking);
    for _ in 0..3 {
        let mut answer = Vec::new();
        send().await.read_to_end(&mut answer).await.unwrap();
        assert!(answer.ends_with(&[0x30, 3, 0x0a, 1, 3]), "tryLater: {}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(gate.waiting.load(Ordering::SeqCst), 8);
    drop(opens);
    server.shutdown().await;
}
