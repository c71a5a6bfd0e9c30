//! The authority over real sockets, and forged OCSP answers against the client that must refuse them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use der::asn1::{Any, BitString, GeneralizedTime, Null, OctetString};
use der::{Decode, Encode};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
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

use super::ocsp::respond;
use super::profile::{Kind, Plan, build, name};
use super::{Authority, AuthorityError, AuthorityOptions, DirectoryConfig, DirectoryServer, PersonRequest, Use, keys};

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
        let seams = Seams::system();
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

    async fn serve(&self) -> DirectoryServer {
        let config = DirectoryConfig {
            host_name: "directory".to_owned(),
            http: "127.0.0.1:0".parse().unwrap(),
            data: self.folder.path().to_owned(),
            limits: super::web::Limits::default(),
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
    let (_, signer) = fixture.authority.ocsp_signer().unwrap();
    let signer = signer.to_der().unwrap();
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
    let mut certificates = vec![fixture.issue(Use::Sign), fixture.issue(Use::Encrypt)];
    for certs_only in [false, true] {
        let body = super::lookup::body(&certificates, certs_only, "token").unwrap();
        let response = sealfax_client::http::Response {
            status: 200,
            content_type: Some(body.content_type),
            body: body.octets.into(),
        };
        let mut read = lookup::certificates(&response).unwrap();
        read.sort();
        certificates.sort();
        assert_eq!(read, certificates);
    }
}

/// What a forger, or a mistaken responder, can vary.
struct Forgery<'a> {
    signer: &'a SigningKey,
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
            produced_at: at(self.this_update),
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
        let signature: DerSignature = self.signer.sign(&signed);
        let basic = BasicOcspResponse {
            tbs_response_data: Any::from_der(&tbs).unwrap(),
            signature_algorithm: self.signer.signature_algorithm_identifier().unwrap(),
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
    let (signer, signer_certificate) = fixture.authority.ocsp_signer().unwrap();
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
    let issuing_key = keys::load_key(&fixture.folder.path().join("issuing.key.pem")).unwrap();
    let stranger = keys::generate(&fixture.seams.entropy);
    // A certificate for the OCSP signer's key, made by whomever, for whatever, valid whenever.
    let made = |kind, by: &SigningKey, from: i64, until: i64| {
        let at = |offset: i64| {
            let span = Duration::from_secs(offset.unsigned_abs());
            if offset < 0 { now - span } else { now + span }
        };
        let plan = Plan {
            kind,
            serial: other_serial.clone(),
            subject: name("Sealfax", "OCSP").unwrap(),
            key: SubjectPublicKeyInfoOwned::from_der(&public_der(signer)).unwrap(),
            not_before: at(from),
            not_after: at(until),
        };
        build(plan, Some(&issuer), by).unwrap()
    };
    let person = Kind::Person { address: ADDRESS, usage: Use::Sign, ocsp_url: None };
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
    let refused = question.judge(&respond(&fixture.authority, b"nonsense").response, now);
    assert!(matches!(refused, Err(OcspError::Refused(ResponseStatus::MalformedRequest))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_and_mutated_octets_never_panic(noise: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
        let fixture = Fixture::new();
        let certificate = fixture.issue(Use::Sign);
        let issuer = fixture.authority.issuing_der().unwrap();
        let now = fixture.seams.clock.now();
        let question = Question::about(&certificate, &issuer, [1; 32]).unwrap();
        let _ = respond(&fixture.authority, &noise);
        prop_assert!(question.judge(&noise, now).is_err());
        let mut request = question.der().to_vec();
        let place = at.index(request.len());
        request[place] ^= 1 << bit;
        let _ = respond(&fixture.authority, &request);
        let mut response = respond(&fixture.authority, question.der()).response;
        prop_assert!(question.judge(&response, now).is_ok());
        let place = at.index(response.len());
        response[place] ^= 1 << bit;
        // Nothing in an answer may be changed but what no decision rests on: bits in the certificate's copy.
        let _ = question.judge(&response, now);
    }
}
