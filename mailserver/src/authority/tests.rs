//! The authority over real sockets, and forged OCSP answers against the client that must refuse them.

mod guarding;
mod renewing;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use der::asn1::{Any, BitString, GeneralizedTime, Null, OctetString};
use der::{Decode, Encode};
use p256::ecdsa::SigningKey;
use proptest::prelude::*;
use sealfax_client::http::Server;
use sealfax_client::lookup::{self, Directory};
use sealfax_client::ocsp::asn1::{
    self, BasicOcspResponse, CertId, CertStatus, OcspResponse, ResponderId, ResponseBytes, ResponseData,
    ResponseStatus, SingleResponse,
};
use sealfax_client::ocsp::{self as client, OcspError, Question, Responder, Status};
use sealfax_client::seam::Seams;
use spki::{DynSignatureAlgorithmIdentifier, EncodePublicKey, SubjectPublicKeyInfoOwned};
use tempfile::TempDir;
use x509_cert::Certificate;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::serial_number::SerialNumber;

use super::keys::{AuthorityKey, Signer, SoftwareKey, file as keys};
use super::ocsp::Responder as OcspResponder;
use super::profile::{Kind, Plan, Pointers, build, name};
use super::{Authority, AuthorityError, AuthorityOptions, DirectoryConfig, DirectoryServer, PersonRequest, Use};

const ADDRESS: &str = "Taro.Yamada@a.example.jp";

fn public_der(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_public_key_der().unwrap().as_bytes().to_vec()
}

struct Fixture {
    seams: Seams,
    folder: TempDir,
    authority: Arc<Authority>,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Seams::system())
    }

    fn with(seams: Seams) -> Self {
        let folder = TempDir::new().unwrap();
        let authority = Authority::create(folder.path(), &AuthorityOptions::default(), &seams).unwrap();
        Self { seams, folder, authority: Arc::new(authority) }
    }

    fn issue(&self, usage: Use) -> Vec<u8> {
        let key = keys::generate(&self.seams.entropy);
        self.authority
            .issue_person(&PersonRequest {
                name: "山田, 太郎".to_owned(),
                address: ADDRESS.to_owned(),
                public_key: public_der(&key),
                usage,
                validity: Duration::from_secs(86_400),
                ocsp_url: Some("http://directory.example.jp/ocsp".to_owned()),
            })
            .unwrap()
    }

    fn responder(&self) -> OcspResponder {
        OcspResponder::new(Arc::clone(&self.authority)).unwrap()
    }

    async fn serve(&self) -> DirectoryServer {
        let config = DirectoryConfig {
            host_name: "directory".to_owned(),
            http: "127.0.0.1:0".parse().unwrap(),
            data: self.folder.path().to_owned(),
            limits: crate::web::Limits::default(),
        };
        DirectoryServer::start(config, Arc::clone(&self.authority), self.seams.clone()).await.unwrap()
    }
}

#[tokio::test]
async fn good_then_revoked_by_another_process_then_unknown() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    let issuer = fixture.authority.issuing_der().unwrap();
    let server = fixture.serve().await;
    let responder = Responder::new(Server::at(server.addr()));
    let seams = &fixture.seams;
    assert_eq!(client::check(seams, &responder, &certificate, &issuer).await.unwrap(), Status::Good);

    let beside = Authority::open(fixture.folder.path(), seams).unwrap();
    beside.revoke_certificate(&certificate, CrlReason::KeyCompromise, seams.clock.now()).unwrap();
    let status = client::check(seams, &responder, &certificate, &issuer).await.unwrap();
    assert!(matches!(status, Status::Revoked { reason: Some(CrlReason::KeyCompromise), .. }));
    let again = beside.revoke_certificate(&certificate, CrlReason::Superseded, seams.clock.now());
    assert!(matches!(again, Err(AuthorityError::AlreadyRevoked(_))));

    // The OCSP signer's own certificate is from this issuer, but was not issued to a person.
    let (_, signer) = fixture.authority.ocsp_signer().unwrap().parts();
    assert_eq!(client::check(seams, &responder, &signer, &issuer).await.unwrap(), Status::Unknown);
    server.shutdown().await;
}

#[tokio::test]
async fn a_responder_that_is_away_is_transient() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    let issuer = fixture.authority.issuing_der().unwrap();
    let server = fixture.serve().await;
    let responder = Responder::new(Server::at(server.addr()));
    server.shutdown().await;
    let error = client::check(&fixture.seams, &responder, &certificate, &issuer).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), ("OCSP-001", true));
}

#[tokio::test]
async fn certificates_are_found_by_address_and_use() {
    let fixture = Fixture::new();
    let sign = fixture.issue(Use::Sign);
    let old = fixture.issue(Use::Encrypt);
    let new = fixture.issue(Use::Encrypt);
    let server = fixture.serve().await;
    let directory = Directory::new(Server::at(server.addr()));
    let find = async |address: &str, usage| lookup::by_address(&fixture.seams, &directory, address, usage).await;
    assert_eq!(find("Taro.Yamada@A.EXAMPLE.JP", Use::Encrypt).await.unwrap(), vec![new.clone(), old.clone()]);
    assert_eq!(find(ADDRESS, Use::Sign).await.unwrap(), vec![sign.clone()]);
    assert_eq!(find("taro.yamada@a.example.jp", Use::Sign).await.unwrap_err().code(), "LOOKUP-002");
    assert_eq!(find("no address", Use::Sign).await.unwrap_err().code(), "LOOKUP-005");

    // Revoked: not handed out to encrypt with, but still to verify with.
    let now = fixture.seams.clock.now();
    for certificate in [&old, &new, &sign] {
        fixture.authority.revoke_certificate(certificate, CrlReason::Superseded, now).unwrap();
    }
    assert_eq!(find(ADDRESS, Use::Encrypt).await.unwrap_err().code(), "LOOKUP-002");
    assert_eq!(find(ADDRESS, Use::Sign).await.unwrap(), vec![sign]);
}

#[test]
fn certs_only_and_multipart_are_read_back() {
    let fixture = Fixture::new();
    let mut certificates = vec![Bytes::from(fixture.issue(Use::Sign)), fixture.issue(Use::Encrypt).into()];
    for certs_only in [false, true] {
        let body = super::lookup::body(&certificates, certs_only, "token").unwrap();
        let response = sealfax_client::http::Response {
            status: 200,
            content_type: Some(body.content_type.into_owned()),
            date: None,
            body: body.octets,
        };
        let mut read = lookup::certificates(&response).unwrap();
        read.sort();
        certificates.sort();
        assert_eq!(read, certificates);
    }
}

/// What a forger, or a mistaken responder, can vary.
struct Forgery<'a> {
    signer: &'a dyn AuthorityKey,
    certificate: Certificate,
    cert_id: CertId,
    nonce: Option<Vec<u8>>,
    this_update: i64,
    next_update: Option<i64>,
    spoil: bool,
}

impl Forgery<'_> {
    /// Times are in seconds from `now`.
    fn response(&self, now: SystemTime) -> Vec<u8> {
        let at = |offset: i64| {
            let base = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            GeneralizedTime::from_unix_duration(Duration::from_secs(base.checked_add_signed(offset).unwrap())).unwrap()
        };
        let data = ResponseData {
            version: 0,
            responder_id: ResponderId::by_key(&self.certificate).unwrap(),
            produced_at: at(0),
            responses: vec![SingleResponse {
                cert_id: self.cert_id.clone(),
                cert_status: CertStatus::Good(Null),
                this_update: at(self.this_update),
                next_update: self.next_update.map(at),
                single_extensions: None,
            }],
            response_extensions: self.nonce.as_ref().map(|nonce| vec![asn1::nonce_extension(nonce).unwrap()]),
        };
        let tbs = data.to_der().unwrap();
        let signed = if self.spoil { [&tbs[..], b"!"].concat() } else { tbs.clone() };
        let signature = self.signer.sign(&signed).unwrap();
        let basic = BasicOcspResponse {
            tbs_response_data: Any::from_der(&tbs).unwrap(),
            signature_algorithm: Signer(self.signer).signature_algorithm_identifier().unwrap(),
            signature: BitString::from_bytes(signature.as_bytes()).unwrap(),
            certs: Some(vec![Any::from_der(&self.certificate.to_der().unwrap()).unwrap()]),
        };
        OcspResponse {
            response_status: ResponseStatus::Successful,
            response_bytes: Some(ResponseBytes {
                response_type: asn1::BASIC,
                response: OctetString::new(basic.to_der().unwrap()).unwrap(),
            }),
        }
        .to_der()
        .unwrap()
    }
}

#[test]
fn every_forgery_is_refused_with_its_own_code() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    let issuer_der = fixture.authority.issuing_der().unwrap();
    let issuer = Certificate::from_der(&issuer_der).unwrap();
    let now = fixture.seams.clock.now();
    let nonce = [7u8; 32];
    let question = Question::about(&certificate, &issuer_der, nonce).unwrap();
    let serial = Certificate::from_der(&certificate).unwrap().tbs_certificate().serial_number().clone();
    let (signer, signer_certificate) = fixture.authority.ocsp_signer().unwrap().parts();
    let signer_certificate = Certificate::from_der(&signer_certificate).unwrap();
    let signer = signer.as_ref();
    let honest = || Forgery {
        signer,
        certificate: signer_certificate.clone(),
        cert_id: CertId::sha256(&issuer, serial.clone()).unwrap(),
        nonce: Some(nonce.to_vec()),
        this_update: 0,
        next_update: Some(600),
        spoil: false,
    };
    let other_serial = SerialNumber::new(&[1, 2, 3]).unwrap();
    let issuing_key = fixture.folder.path().join("issuing.key.pem");
    let issuing_key = SoftwareKey::new(keys::load_key(&issuing_key, &Default::default()).unwrap().0);
    let stranger = SoftwareKey::new(keys::generate(&fixture.seams.entropy));
    // A certificate for the OCSP signer's key, made by whomever, for whatever, valid whenever.
    let made = |kind, by: &dyn AuthorityKey, from: i64, until: i64| {
        let at = |offset: i64| {
            let span = Duration::from_secs(offset.unsigned_abs());
            if offset < 0 { now - span } else { now + span }
        };
        let plan = Plan {
            kind,
            pointers: Pointers::default(),
            serial: other_serial.clone(),
            subject: name("Sealfax", "OCSP").unwrap(),
            key: SubjectPublicKeyInfoOwned::from_der(signer.verifying_key().to_public_key_der().unwrap().as_bytes())
                .unwrap(),
            not_before: at(from),
            not_after: at(until),
        };
        build(plan, Some(&issuer), by).unwrap()
    };
    let person = Kind::Person { address: ADDRESS, usage: Use::Sign };
    let cases = [
        ("honest", "", honest()),
        ("clock a little off", "", Forgery { this_update: 200, ..honest() }),
        ("no nextUpdate, fresh", "", Forgery { next_update: None, ..honest() }),
        ("forged signature", "OCSP-007", Forgery { spoil: true, ..honest() }),
        ("another key", "OCSP-007", Forgery { signer: &stranger, ..honest() }),
        ("another issuer", "OCSP-005", Forgery { certificate: made(Kind::OcspSigner, &stranger, -60, 60), ..honest() }),
        ("not delegated", "OCSP-005", Forgery { certificate: made(person, &issuing_key, -60, 60), ..honest() }),
        (
            "responder expired",
            "OCSP-006",
            Forgery { certificate: made(Kind::OcspSigner, &issuing_key, -9000, -3000), ..honest() },
        ),
        ("no nonce", "OCSP-009", Forgery { nonce: None, ..honest() }),
        ("replayed", "OCSP-010", Forgery { nonce: Some(vec![8; 32]), ..honest() }),
        (
            "another certificate",
            "OCSP-011",
            Forgery { cert_id: CertId::sha256(&issuer, other_serial.clone()).unwrap(), ..honest() },
        ),
        (
            "SHA-1 though SHA-256 was asked",
            "OCSP-011",
            Forgery { cert_id: CertId::sha1(&issuer, serial.clone()).unwrap(), ..honest() },
        ),
        ("expired", "OCSP-012", Forgery { this_update: -7200, next_update: Some(-3600), ..honest() }),
        ("no nextUpdate, old", "OCSP-012", Forgery { this_update: -3600, next_update: None, ..honest() }),
        ("future", "OCSP-013", Forgery { this_update: 3600, next_update: Some(7200), ..honest() }),
    ];
    for (what, code, forgery) in cases {
        let judged = question.judge(&forgery.response(now), now);
        let found = judged.as_ref().err().map_or("", OcspError::code);
        assert_eq!(found, code, "{what}: {judged:?}");
    }
    let wrong = Fixture::new().authority.issuing_der().unwrap();
    assert_eq!(Question::about(&certificate, &wrong, nonce).unwrap_err().code(), "OCSP-015");
    let refused = question.judge(&fixture.responder().respond(b"nonsense").response, now);
    assert!(matches!(refused, Err(OcspError::Refused(ResponseStatus::MalformedRequest))));
}

/// One authority is enough for all cases: founding it costs more than they do.
fn shared() -> &'static (Fixture, OcspResponder, Vec<u8>, Vec<u8>) {
    static SHARED: std::sync::OnceLock<(Fixture, OcspResponder, Vec<u8>, Vec<u8>)> = std::sync::OnceLock::new();
    SHARED.get_or_init(|| {
        let fixture = Fixture::new();
        let certificate = fixture.issue(Use::Sign);
        let issuer = fixture.authority.issuing_der().unwrap();
        let responder = fixture.responder();
        (fixture, responder, certificate, issuer)
    })
}

/// A request without nonce, as `openssl ocsp -no_nonce` makes it.
fn bare_request(issuer: &[u8], certificate: &[u8], sha256: bool) -> Vec<u8> {
    let issuer = Certificate::from_der(issuer).unwrap();
    let serial = Certificate::from_der(certificate).unwrap().tbs_certificate().serial_number().clone();
    let made = if sha256 { CertId::sha256(&issuer, serial) } else { CertId::sha1(&issuer, serial) };
    let request = asn1::OcspRequest {
        tbs_request: asn1::TbsRequest {
            version: 0,
            requestor_name: None,
            request_list: vec![asn1::SingleRequest { req_cert: made.unwrap(), single_request_extensions: None }],
            request_extensions: None,
        },
        optional_signature: None,
    };
    request.to_der().unwrap()
}

#[test]
fn a_signed_answer_serves_again_until_the_certificate_is_revoked() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    let issuer = fixture.authority.issuing_der().unwrap();
    let responder = fixture.responder();
    let request = bare_request(&issuer, &certificate, true);
    assert!(responder.at_hand(&request).is_none());
    let first = responder.respond(&request);
    let again = responder.at_hand(&request).unwrap();
    assert_eq!(first.response, again.response);
    assert!(again.from_cache && again.lasting.is_some());
    assert_eq!(again.told.to_string(), first.told.to_string());

    // A nonce, or a certificate that was never issued, is not kept.
    let question = Question::about(&certificate, &issuer, [1; 32]).unwrap();
    assert!(responder.respond(question.der()).lasting.is_none());
    let (_, signer) = fixture.authority.ocsp_signer().unwrap().parts();
    let unknown = responder.respond(&bare_request(&issuer, &signer, true));
    assert!(unknown.lasting.is_none() && unknown.told.to_string().ends_with("unknown"));
    assert_eq!(responder.cached(), 1);

    // Revoked by another process: the kept answer is void at once, and the next one says so.
    let beside = Authority::open(fixture.folder.path(), &fixture.seams).unwrap();
    beside.revoke_certificate(&certificate, CrlReason::CessationOfOperation, fixture.seams.clock.now()).unwrap();
    assert!(responder.at_hand(&request).is_none());
    assert!(responder.respond(&request).told.to_string().ends_with("revoked"));
    assert!(responder.at_hand(&request).unwrap().told.to_string().ends_with("revoked"));
}

/// A clock that a test sets.
#[derive(Debug)]
struct SetClock(std::sync::Mutex<SystemTime>);

impl sealfax_client::seam::Clock for SetClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

#[test]
fn answers_are_signed_anew_before_they_are_stale_and_forgotten_when_nobody_asks() {
    let clock = Arc::new(SetClock(std::sync::Mutex::new(SystemTime::now())));
    let fixture = Fixture::with(Seams { clock: clock.clone(), ..Seams::system() });
    let asked = fixture.issue(Use::Sign);
    let quiet = fixture.issue(Use::Encrypt);
    let issuer = fixture.authority.issuing_der().unwrap();
    let responder = fixture.responder();
    let (asked, quiet) = (bare_request(&issuer, &asked, true), bare_request(&issuer, &quiet, false));
    let first = responder.respond(&asked);
    responder.respond(&quiet);
    assert!(responder.at_hand(&asked).is_some());
    assert_eq!((responder.refresh(), responder.cached()), (0, 2));
    *clock.0.lock().unwrap() += Duration::from_secs(6 * 60);
    assert_eq!((responder.refresh(), responder.cached()), (1, 1));
    let fresh = responder.at_hand(&asked).unwrap();
    assert_ne!(fresh.response, first.response);
    // Not refreshed, it is not given out in its last minute, nor before its first second.
    *clock.0.lock().unwrap() += Duration::from_secs(9 * 60 + 30);
    assert!(responder.at_hand(&asked).is_none());
    *clock.0.lock().unwrap() -= Duration::from_secs(3600);
    assert!(responder.at_hand(&asked).is_none());
}

#[test]
fn a_server_without_the_issuing_key_says_when_the_signer_must_be_renewed() {
    let clock = Arc::new(SetClock(std::sync::Mutex::new(SystemTime::now())));
    let fixture = Fixture::with(Seams { clock: clock.clone(), ..Seams::system() });
    let certificate = fixture.issue(Use::Sign);
    let issuer = fixture.authority.issuing_der().unwrap();
    let request = bare_request(&issuer, &certificate, true);
    let online = Arc::new(Authority::open_online(fixture.folder.path(), &fixture.seams).unwrap());
    assert!(!online.can_issue());
    let refused = online.revoke_certificate(&certificate, CrlReason::Superseded, fixture.seams.clock.now());
    assert!(matches!(refused, Err(AuthorityError::KeyAbsent("issuing"))));
    let responder = OcspResponder::new(Arc::clone(&online)).unwrap();
    *clock.0.lock().unwrap() += Duration::from_secs(89 * 86_400);
    assert_eq!(responder.respond(&request).status, ResponseStatus::Successful);
    *clock.0.lock().unwrap() += Duration::from_secs(2 * 86_400);
    let reply = responder.respond(&request);
    assert_eq!(reply.status, ResponseStatus::InternalError);
    assert!(reply.told.to_string().contains("renew-ocsp"), "{}", reply.told);
    // Renewed elsewhere, it goes on by itself.
    Authority::open(fixture.folder.path(), &fixture.seams).unwrap();
    assert_eq!(responder.respond(&request).status, ResponseStatus::Successful);
}

#[test]
fn the_index_cannot_be_forged() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    fixture.issue(Use::Encrypt);
    let now = fixture.seams.clock.now();
    fixture.authority.revoke_certificate(&certificate, CrlReason::KeyCompromise, now).unwrap();
    let path = fixture.folder.path().join("index.jsonl");
    let honest = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = honest.lines().collect();
    assert_eq!(lines.len(), 7, "the first mark stands over nothing");
    let join = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let opened = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Authority::open(fixture.folder.path(), &fixture.seams).and_then(|authority| Ok(authority.list()?.len()))
    };
    assert_eq!(opened(&honest).unwrap(), 2);
    // What a power cut left behind counts for nothing.
    assert_eq!(opened(&(honest.clone() + lines[1])).unwrap(), 2);
    assert_eq!(opened(&(honest.clone() + lines[1] + "\n")).unwrap(), 2);
    assert_eq!(opened(&(honest.clone() + &"\0".repeat(200_000) + "\n")).unwrap(), 2);
    let forged = [
        ("a revocation taken out", join(&[&lines[..5], &lines[6..]].concat())),
        ("a certificate taken out", join(&lines[3..])),
        ("another address", honest.replacen("Taro", "Jiro", 1)),
        ("a line repeated", join(&[&lines[..2], &lines[1..]].concat())),
        ("no mark", join(&[lines[1], lines[3], lines[5]])),
        ("a foreign mark", join(&[lines[1], "{\"mark\":\"AAAA\"}"])),
        ("no end of a mark", join(&[lines[1], "{\"mark\":\"AAAA"])),
        ("a line that is too long", "x".repeat(100_000) + "\n" + &honest),
        ("nothing", String::new()),
    ];
    for (what, text) in forged {
        let error = opened(&text).unwrap_err();
        assert!(matches!(error, AuthorityError::Forged { .. } | AuthorityError::Unmarked(_)), "{what}: {error}");
    }
    // A running server fails closed, also when the file gets shorter.
    assert_eq!(opened(&honest).unwrap(), 2);
    let authority = Arc::new(Authority::open(fixture.folder.path(), &fixture.seams).unwrap());
    std::fs::write(&path, join(&lines[..5])).unwrap();
    let request = bare_request(&fixture.authority.issuing_der().unwrap(), &certificate, true);
    let reply = OcspResponder::new(authority).unwrap().respond(&request);
    assert_eq!(reply.status, ResponseStatus::InternalError);
    // Looked through by a person, an index of a version without marks is taken in; its audit log counted no lines.
    std::fs::remove_file(fixture.folder.path().join("audit.jsonl")).unwrap();
    std::fs::write(&path, join(&[lines[1], lines[3], lines[5]])).unwrap();
    let secret = super::keys::Passphrase::new(b"a passphrase of some length".to_vec());
    let plain = super::keys::PassphraseSource::default();
    let how = super::Protect {
        which: &["root", "issuing", "ocsp"],
        old: &plain,
        old_ocsp: &plain,
        new: super::NewPassphrase { passphrase: secret.clone(), file: None },
        new_ocsp: None,
    };
    let done = Authority::protect(fixture.folder.path(), &how, &fixture.seams);
    assert_eq!(done.unwrap().len(), 3);
    assert!(matches!(Authority::open(fixture.folder.path(), &fixture.seams), Err(AuthorityError::PassphraseNeeded(_))));
    let source = || super::keys::PassphraseSource::given(secret.clone());
    let access = super::Access::Full { passphrase: source(), ocsp_passphrase: source() };
    let protected = Authority::open_with(fixture.folder.path(), access, &fixture.seams).unwrap();
    assert_eq!(protected.list().unwrap().len(), 2);
    assert!(protected.unprotected_keys().is_empty());
    let wrong = || super::keys::PassphraseSource::given(super::keys::Passphrase::new(b"another one".to_vec()));
    let access = super::Access::Full { passphrase: wrong(), ocsp_passphrase: wrong() };
    let refused = Authority::open_with(fixture.folder.path(), access, &fixture.seams);
    assert!(matches!(refused, Err(AuthorityError::WrongPassphrase(_))));
}

#[test]
fn every_act_is_in_the_audit_log_and_no_line_can_be_changed() {
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Sign);
    let now = fixture.seams.clock.now();
    fixture.authority.revoke_certificate(&certificate, CrlReason::Superseded, now).unwrap();
    fixture.authority.renew_signer().unwrap();
    let mut acts = Vec::new();
    let summary = fixture.authority.audit(|entry| acts.push(entry.act.clone())).unwrap();
    assert_eq!(acts, ["create", "renew-ocsp", "issue", "revoke", "renew-ocsp"]);
    assert_eq!(summary.entries, 5);
    let path = fixture.folder.path().join("audit.jsonl");
    let honest = std::fs::read_to_string(&path).unwrap();
    assert!(honest.contains(ADDRESS) && honest.contains("superseded"), "{honest}");
    // What a power cut left unfinished is cut away by the next act.
    std::fs::write(&path, honest.clone() + "{\"index\":5,").unwrap();
    fixture.authority.renew_signer().unwrap();
    assert_eq!(fixture.authority.audit(|_| {}).unwrap().entries, 6);
    let lines: Vec<&str> = honest.lines().collect();
    let long = format!("{{\"index\":5,{}}}\n", " ".repeat(70_000));
    for (entry, text) in [
        (5, honest.clone() + &long + lines[0] + "\n"),
        (3, honest.replace("\"issue\"", "\"list\"")),
        (2, [lines[0], lines[1], lines[3]].map(|line| format!("{line}\n")).concat()),
        (1, [lines[0], lines[2], lines[1]].map(|line| format!("{line}\n")).concat()),
        (0, "nonsense\n".to_owned()),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = fixture.authority.audit(|_| {}).unwrap_err();
        assert!(matches!(error, AuthorityError::AuditTampered { entry: at, .. } if at == entry), "{entry}: {error}");
    }
}

#[test]
fn a_second_card_needs_a_word_a_renewed_one_does_not() {
    use x509_cert::builder::{Builder, RequestBuilder};
    let fixture = Fixture::new();
    let request = |key: &SigningKey| {
        let subject = name("Whatever", "somebody else").unwrap();
        let built = RequestBuilder::new(subject).unwrap().build::<_, p256::ecdsa::DerSignature>(key).unwrap();
        der::EncodePem::to_pem(&built, der::pem::LineEnding::LF).unwrap().into_bytes()
    };
    let wanted = |request: Vec<u8>, replace| super::CardRequest {
        request,
        name: "山田 太郎".to_owned(),
        address: ADDRESS.to_owned(),
        usage: Use::Sign,
        validity: Duration::from_secs(86_400),
        replace,
    };
    let (first, second) = (keys::generate(&fixture.seams.entropy), keys::generate(&fixture.seams.entropy));
    let signed = fixture.authority.sign_request(&wanted(request(&first), false)).unwrap();
    let certificate = Certificate::from_der(&signed.certificate).unwrap();
    assert!(!certificate.tbs_certificate().subject().to_string().contains("somebody"));
    assert_eq!(lookup::addresses(&certificate), [ADDRESS]);
    let renewed = fixture.authority.sign_request(&wanted(request(&first), false)).unwrap();
    assert_eq!(renewed.still_valid, std::slice::from_ref(&signed.serial));
    let refused = fixture.authority.sign_request(&wanted(request(&second), false));
    assert!(matches!(refused, Err(AuthorityError::AlreadyIssued { .. })), "{refused:?}");
    assert_eq!(fixture.authority.list().unwrap().len(), 2);
    let replaced = fixture.authority.sign_request(&wanted(request(&second), true)).unwrap();
    assert_eq!(replaced.still_valid.len(), 2);
    for serial in &replaced.still_valid {
        fixture.authority.revoke(serial, CrlReason::Superseded, fixture.seams.clock.now()).unwrap();
    }
    fixture.authority.sign_request(&wanted(request(&second), false)).unwrap();

    // A request that another key signed proves nothing.
    let mut forged = der::pem::decode_vec(&request(&first)).unwrap().1;
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let forged = der::pem::encode_string("CERTIFICATE REQUEST", der::pem::LineEnding::LF, &forged).unwrap();
    let refused = fixture.authority.sign_request(&wanted(forged.into_bytes(), true));
    assert!(matches!(refused, Err(AuthorityError::BadRequest(_))), "{refused:?}");
}

#[test]
fn everything_is_found_by_every_attribute_of_rfc_4387() {
    use base64::Engine;
    use sha1::Digest;
    let fixture = Fixture::new();
    let certificate = fixture.issue(Use::Encrypt);
    let authorities = super::lookup::Authorities::of(&fixture.authority).unwrap();
    let parsed = Certificate::from_der(&certificate).unwrap();
    let tbs = parsed.tbs_certificate();
    let hash = |octets: &[u8]| {
        let digest = sha1::Sha1::digest(octets);
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest);
        sealfax_client::http::percent_encode(&text)
    };
    let issuer = tbs.issuer().to_der().unwrap();
    let serial = tbs.serial_number().to_der().unwrap();
    let issuer_and_serial = asn1_sequence(&[issuer.clone(), serial]);
    let identifier = tbs.get_extension::<x509_cert::ext::pkix::SubjectKeyIdentifier>().unwrap().unwrap().1;
    let find = |query: &str| {
        let query = super::lookup::parse(query).unwrap();
        super::lookup::select(&fixture.authority, &authorities, &query).unwrap()
    };
    let own = vec![Bytes::from(certificate.clone())];
    for query in [
        format!("email={ADDRESS}"),
        format!("uri={}", ADDRESS.replace('@', "%40")),
        "cn=%E5%B1%B1%E7%94%B0%2C+%E5%A4%AA%E9%83%8E".to_owned(),
        format!("certHash={}", hash(&certificate)),
        format!("sHash={}", hash(&tbs.subject().to_der().unwrap())),
        format!("iAndSHash={}", hash(&issuer_and_serial)),
        format!("sKIDHash={}", hash(identifier.0.as_bytes())),
    ] {
        assert_eq!(find(&query), own, "{query}");
        assert!(find(&format!("{query}&usage=sign")).is_empty(), "{query}");
    }
    // By issuer only the authorities are found: everything would be too much.
    let root = fixture.authority.anchor_der().unwrap();
    let issuing = fixture.authority.issuing_der().unwrap();
    assert!(find(&format!("iHash={}", hash(&issuer))).is_empty());
    let root_name = Certificate::from_der(&root).unwrap().tbs_certificate().subject().to_der().unwrap();
    assert_eq!(find(&format!("iHash={}", hash(&root_name))), [Bytes::from(root), Bytes::from(issuing)]);
    for bad in [
        "",
        "email",
        "email=nobody",
        "email=a@b&name=c",
        "colour=red",
        "name=",
        "usage=sign",
        "usage=all&name=a",
        "certHash=AAAA",
        "certHash=AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D",
        "name=%zz",
        "name=%ff",
    ] {
        assert!(super::lookup::parse(bad).is_err(), "{bad}");
    }
}

fn asn1_sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    Any::new(der::Tag::Sequence, content).unwrap().to_der().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn random_and_mutated_octets_never_panic(noise: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
        let (fixture, responder, certificate, issuer) = shared();
        let now = fixture.seams.clock.now();
        let question = Question::about(certificate, issuer, [1; 32]).unwrap();
        let _ = responder.respond(&noise);
        prop_assert!(question.judge(&noise, now).is_err());
        let mut request = question.der().to_vec();
        let place = at.index(request.len());
        request[place] ^= 1 << bit;
        let _ = responder.respond(&request);
        request.truncate(place);
        let _ = responder.respond(&request);
        let mut response = responder.respond(question.der()).response.to_vec();
        prop_assert!(question.judge(&response, now).is_ok());
        let place = at.index(response.len());
        response[place] ^= 1 << bit;
        // Nothing in an answer may be changed but what no decision rests on: bits in the certificate's copy.
        let _ = question.judge(&response, now);
        // The index reads certificates by the same kind of walk.
        let mut damaged = certificate.clone();
        let place = at.index(damaged.len());
        damaged[place] ^= 1 << bit;
        let _ = super::skim::skim(&damaged);
        let _ = super::skim::skim(&noise);
    }

    #[test]
    fn no_query_panics(text: String, name in "(email|uri|cn|certHash|iHash|usage)", value: String) {
        let _ = super::lookup::parse(&text);
        let _ = super::lookup::parse(&format!("{name}={value}"));
        let _ = super::lookup::parse(&format!("{name}={}", sealfax_client::http::percent_encode(&value)));
    }

    #[test]
    fn no_request_of_a_card_panics(noise: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
        let mut der = der::pem::decode_vec(include_bytes!("testdata/request.pem")).unwrap().1;
        prop_assert!(super::request::public_key(include_bytes!("testdata/request.pem")).is_ok());
        let place = at.index(der.len());
        der[place] ^= 1 << bit;
        for octets in [&der, &noise] {
            let pem = der::pem::encode_string("CERTIFICATE REQUEST", der::pem::LineEnding::LF, octets).unwrap();
            // Whatever bit is changed, the signature covers it or is it.
            prop_assert!(super::request::public_key(pem.as_bytes()).is_err());
        }
        prop_assert!(super::request::public_key(&noise).is_err());
    }
}
