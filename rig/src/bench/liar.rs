//! A certificate server that lies: its OCSP answers (RFC 6960) are signed by a key that the offices were told to believe,
//! and bent as a story wants; its look-ups (RFC 4387) hand out whatever certificates a story wants. Of whom no lie is told it
//! says what the authority says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use der::asn1::{Any, BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString};
use der::{Decode, Encode};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::EncodePublicKey as _;
use sealfax_client::lookup::Use;
use sealfax_client::ocsp::asn1::{
    self, BASIC, BasicOcspResponse, CertId, CertStatus, OcspRequest, OcspResponse, ResponderId, ResponseBytes,
    ResponseData, ResponseStatus, RevokedInfo, SingleResponse,
};
use sealfax_client::seam::{BoxStream, EntropyRng, Seams};
use sealfax_mailserver::authority::{Authority, AuthorityOptions, PersonRequest, Standing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use x509_cert::Certificate;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::people::{KeyPair, Person};
use crate::scenario::Failure;

/// ecdsa-with-SHA256 (RFC 5758, 3.2).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// How far a lie about time is from the truth, in seconds.
const HOURS: i64 = 2 * 60 * 60;

/// What is said of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lie {
    /// The signature does not hold.
    Forged,
    /// The answer to an earlier question.
    Replayed,
    /// The answer ended long ago.
    Expired,
    /// The answer begins only later.
    FutureDated,
    /// Signed by somebody whom nobody told the offices to believe.
    Stranger,
    /// The server's clock is behind.
    ClockBehind,
    /// The server's clock is ahead.
    ClockAhead,
    /// It is about another certificate.
    Elsewhere,
    /// Revoked, for now.
    OnHold,
    /// Never heard of.
    Unknown,
    /// No nonce, as responders answer that sign in advance.
    NoNonce,
    /// No nonce, and older than the answer before.
    OlderWithoutNonce,
    /// Not an answer at all.
    Nonsense,
}

/// A running liar.
#[derive(Debug)]
pub struct Liar {
    shared: Arc<Shared>,
    addr: SocketAddr,
    certificate: Vec<u8>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    authority: Arc<Authority>,
    seams: Seams,
    believed: Signer,
    stranger: Signer,
    tales: Mutex<Tales>,
}

#[derive(Debug)]
struct Signer {
    key: SigningKey,
    certificate: Certificate,
}

#[derive(Debug, Default)]
struct Tales {
    /// By serial number.
    lies: HashMap<Vec<u8>, Lie>,
    /// The last honest answer, by serial number.
    answers: HashMap<Vec<u8>, Vec<u8>>,
    /// What look-ups find, by address and use.
    found: HashMap<(String, Use), Vec<Vec<u8>>>,
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::infrastructure(format!("the lying certificate server: {error}"))
}

impl Liar {
    /// Begins to listen at `at`; `folder` is for its own use.
    pub async fn start(
        authority: Arc<Authority>,
        seams: Seams,
        at: SocketAddr,
        folder: &Path,
    ) -> Result<Self, Failure> {
        let (place, own_seams) = (folder.to_owned(), seams.clone());
        let signers = tokio::task::spawn_blocking(move || {
            let own = Authority::create(&place, &AuthorityOptions::default(), &own_seams).map_err(broken)?;
            Ok::<_, Failure>((Signer::new(&own, &own_seams)?, Signer::new(&own, &own_seams)?))
        });
        let (believed, stranger) = signers.await.map_err(broken)??;
        let certificate = believed.certificate.to_der().map_err(broken)?;
        let listener = seams.network.bind(at).await.map_err(broken)?;
        let addr = listener.local_addr().map_err(broken)?;
        let shared = Arc::new(Shared { authority, seams, believed, stranger, tales: Mutex::default() });
        let serving = tokio::spawn({
            let shared = shared.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let shared = shared.clone();
                    tokio::spawn(async move { serve(&shared, stream).await });
                }
            }
        });
        Ok(Self { shared, addr, certificate, serving })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The certificate of the key it signs with, DER: what the offices are told to believe.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Lies about one certificate.
    pub fn tell_of(&self, pair: &KeyPair, lie: Lie) {
        if let Some(serial) = serial(&pair.certificate) {
            self.shared.tales().lies.insert(serial, lie);
        }
    }

    /// Lies about both certificates of a person.
    pub fn tell(&self, person: &Person, lie: Lie) {
        for pair in [&person.signature, &person.encryption] {
            self.tell_of(pair, lie);
        }
    }

    /// Look-ups of `address` find these.
    pub fn hand_out(&self, address: &str, usage: Use, certificates: Vec<Vec<u8>>) {
        self.shared.tales().found.insert((address.to_owned(), usage), certificates);
    }

    /// Says nothing but the truth from now on.
    pub fn repent(&self) {
        let mut tales = self.shared.tales();
        tales.lies.clear();
        tales.found.clear();
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn serial(certificate: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().serial_number().as_bytes().to_vec())
}

impl Signer {
    fn new(authority: &Authority, seams: &Seams) -> Result<Self, Failure> {
        let key = SigningKey::generate_from_rng(&mut EntropyRng(seams.entropy.clone()));
        let request = PersonRequest {
            name: "Responder".into(),
            address: "responder@liar.example".into(),
            public_key: key.verifying_key().to_public_key_der().map_err(broken)?.into_vec(),
            usage: Use::Sign,
            validity: Duration::from_secs(30 * 24 * 3600),
            ocsp_url: None,
        };
        let certificate = authority.issue_person(&request).map_err(broken)?;
        Ok(Self { key, certificate: Certificate::from_der(&certificate).map_err(broken)? })
    }
}

impl Shared {
    fn tales(&self) -> MutexGuard<'_, Tales> {
        self.tales.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to an OCSP request; `None` if that cannot be read.
    fn ocsp(&self, request: &[u8]) -> Option<Vec<u8>> {
        let request = OcspRequest::from_der(request).ok()?;
        let asked = request.tbs_request.request_list.first()?.req_cert.clone();
        let nonce = asn1::nonce(request.tbs_request.request_extensions.as_deref()).ok()?;
        let serial = asked.serial_number.as_bytes().to_vec();
        let lie = self.tales().lies.get(&serial).copied();
        if lie == Some(Lie::Replayed)
            && let Some(answer) = self.tales().answers.get(&serial)
        {
            return Some(answer.clone());
        }
        if lie == Some(Lie::Nonsense) {
            return Some(b"I would rather not say".to_vec());
        }
        let answer = self.sign(lie, asked, nonce)?;
        if lie.is_none() {
            self.tales().answers.insert(serial, answer.clone());
        }
        Some(answer)
    }

    fn sign(&self, lie: Option<Lie>, mut cert_id: CertId, nonce: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let now = self.seams.clock.now();
        let at = |offset: i64| time(now, offset);
        let (produced, begins, ends) = match lie {
            Some(Lie::Expired) => (0, -2 * HOURS, -HOURS),
            Some(Lie::FutureDated) => (0, HOURS, 2 * HOURS),
            Some(Lie::ClockBehind) => (-HOURS, -HOURS, HOURS),
            Some(Lie::ClockAhead) => (HOURS, HOURS, 2 * HOURS),
            Some(Lie::OlderWithoutNonce) => (-60, -60, 600),
            _ => (0, 0, 600),
        };
        let cert_status = match lie {
            Some(Lie::OnHold) => revoked(at(-60)?, CrlReason::CertificateHold),
            Some(Lie::Unknown) => CertStatus::Unknown(Null),
            _ => self.truth(&cert_id)?,
        };
        if lie == Some(Lie::Elsewhere) {
            cert_id.issuer_name_hash = OctetString::new([0; 32]).ok()?;
        }
        let nonce = match lie {
            Some(Lie::NoNonce | Lie::OlderWithoutNonce) => None,
            Some(Lie::Replayed) => Some(vec![0xaa; 32]),
            _ => nonce,
        };
        let response_extensions = match nonce {
            Some(nonce) => Some(vec![asn1::nonce_extension(&nonce).ok()?]),
            None => None,
        };
        let signer = if lie == Some(Lie::Stranger) { &self.stranger } else { &self.believed };
        let data = ResponseData {
            version: 0,
            responder_id: ResponderId::by_key(&signer.certificate).ok()?,
            produced_at: at(produced)?,
            responses: vec![SingleResponse {
                cert_id,
                cert_status,
                this_update: at(begins)?,
                next_update: Some(at(ends)?),
                single_extensions: None,
            }],
            response_extensions,
        };
        let tbs = data.to_der().ok()?;
        let signed: &[u8] = if lie == Some(Lie::Forged) { b"something else" } else { &tbs };
        let signature: DerSignature = signer.key.sign(signed);
        let basic = BasicOcspResponse {
            tbs_response_data: Any::from_der(&tbs).ok()?,
            signature_algorithm: AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None },
            signature: BitString::from_bytes(signature.as_bytes()).ok()?,
            certs: Some(vec![Any::from_der(&signer.certificate.to_der().ok()?).ok()?]),
        };
        let response = OctetString::new(basic.to_der().ok()?).ok()?;
        let response_bytes = Some(ResponseBytes { response_type: BASIC, response });
        OcspResponse { response_status: ResponseStatus::Successful, response_bytes }.to_der().ok()
    }

    /// What the authority says.
    fn truth(&self, asked: &CertId) -> Option<CertStatus> {
        Some(match self.authority.by_serial(asked.serial_number.as_bytes()).ok()? {
            None => CertStatus::Unknown(Null),
            Some(issued) => match issued.standing {
                Standing::Good => CertStatus::Good(Null),
                Standing::Revoked { at, reason } => revoked(time(at, 0)?, reason),
            },
        })
    }

    /// The answer to a look-up: content type and body; `None` if there is nothing.
    fn look_up(&self, query: &str) -> Option<(String, Vec<u8>)> {
        let value = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(percent_decoded)
        };
        let address = value("email")?;
        let usage = if value("usage")? == "sign" { Use::Sign } else { Use::Encrypt };
        let told = self.tales().found.get(&(address.clone(), usage)).cloned();
        let certificates = match told {
            Some(certificates) => certificates,
            None => {
                let issued = self.authority.by_address(&address, Some(usage)).ok()?;
                issued.into_iter().map(|issued| issued.certificate.to_vec()).collect()
            }
        };
        if certificates.is_empty() {
            return None;
        }
        let mut body = Vec::new();
        for certificate in certificates {
            body.extend_from_slice(b"--liar\r\nContent-Type: application/pkix-cert\r\n\r\n");
            body.extend_from_slice(&certificate);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--liar--\r\n");
        Some(("multipart/mixed; boundary=liar".into(), body))
    }

    fn answer(&self, head: &str, body: &[u8]) -> Option<(String, Vec<u8>)> {
        let mut words = head.split_ascii_whitespace();
        match (words.next()?, words.next()?) {
            ("POST", _) => Some(("application/ocsp-response".into(), self.ocsp(body)?)),
            ("GET", path) => self.look_up(path.split_once('?')?.1),
            _ => None,
        }
    }
}

fn revoked(at: GeneralizedTime, reason: CrlReason) -> CertStatus {
    CertStatus::Revoked(RevokedInfo { revocation_time: at, revocation_reason: Some(reason) })
}

/// Whole seconds, `offset` of them from `base`.
fn time(base: SystemTime, offset: i64) -> Option<GeneralizedTime> {
    let seconds = base.duration_since(UNIX_EPOCH).ok()?.as_secs().checked_add_signed(offset)?;
    GeneralizedTime::from_unix_duration(Duration::from_secs(seconds)).ok()
}

fn percent_decoded(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        let escaped = (octet == b'%').then(|| [rest.next(), rest.next()]);
        let hex = |pair: [Option<u8>; 2]| {
            let digits = [pair[0]?, pair[1]?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
        };
        octets.push(escaped.map_or(Some(octet), hex).unwrap_or(b'?'));
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// One request of a connection, as our client makes them.
async fn serve(shared: &Shared, mut stream: BoxStream) {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    let (head, body) = loop {
        if let Some(request) = complete(&read) {
            break request;
        }
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 && read.len() < 64 * 1024 => {
                read.extend_from_slice(chunk.get(..count).unwrap_or_default());
            }
            _ => return,
        }
    };
    let response = match shared.answer(&head, &body) {
        None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        Some((content_type, body)) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            [head.into_bytes(), body].concat()
        }
    };
    let _ = stream.write_all(&response).await;
    let _ = stream.shutdown().await;
}

/// Head and body, once all of both is there.
fn complete(read: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = memchr::memmem::find(read, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(read.get(..end)?).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, value)| value.trim().parse().ok())?;
    let body = read.get(end + 4..end + 4 + length)?;
    Some((head, body.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_when_its_body_is() {
        let whole = b"POST /ocsp HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(complete(&whole[..whole.len() - 1]), None);
        assert_eq!(complete(whole).map(|(_, body)| body), Some(b"abc".to_vec()));
        assert_eq!(percent_decoded("taro%40a.example"), "taro@a.example");
        assert_eq!(percent_decoded("x%4"), "x?");
    }
}
