//! `cargo rig bench directory`: our certificate server beside `openssl ocsp -multi 2` and OpenLDAP's slapd, each holding
//! the same certificates, each a process of its own.
//!
//! All are asked by the same lean client ([`super::load`]). `openssl ocsp` hangs up after every answer, so it is always
//! asked over new connections; ours is asked both ways. With the same OCSP key on both sides, an ECDSA P-256 one; and
//! once more beside an `openssl ocsp` with the RSA-2048 key that most authorities sign with, which is what its published
//! figures are of. Everything is asked once before it is measured: answers without nonce come from what a server keeps,
//! those with one are signed each.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use der::{Decode, Encode};
use p256::ecdsa::SigningKey;
use p256::elliptic_curve::Generate as _;
use pkcs8::EncodePublicKey as _;
use sealfax_client::http::{Server, percent_encode};
use sealfax_client::ldap::LdapDirectory;
use sealfax_client::lookup::{self, Directory, Use};
use sealfax_client::ocsp::asn1::{CertId, OcspRequest, SingleRequest, TbsRequest, nonce_extension};
use sealfax_client::ocsp::{self, Responder, Status};
use sealfax_client::seam::{EntropyRng, Seams};
use sealfax_mailserver::authority::{Authority, AuthorityOptions, PersonRequest};
use x509_cert::Certificate;

use super::load::{self, Load, Protocol};
use super::{
    BenchError, Benchmark, Contender, Options, Progress, Row, Sample, beside, in_turn, meter, with_shipped_server,
};
use crate::peer::openssl_ocsp::{self, Known, OpensslOcsp, Signer};
use crate::peer::process::{Process, find, free_port};
use crate::peer::slapd::{self, Entry, PEOPLE, Slapd, SlapdOptions};

/// The benchmark.
pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "directory",
    title: "OCSP answers and certificate look-ups with 100,000 certificates, beside openssl ocsp and slapd",
    run,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SERVER: &str = "sealfax-mailserver";
const OPENSSL: &str = "openssl ocsp -multi 2";
const OPENSSL_RSA: &str = "openssl ocsp -multi 2, RSA-2048";
const SLAPD: &str = "slapd";
/// Different questions; more than any processor's cache of answers holds.
const QUESTIONS: usize = 8192;
/// Connections at a time.
const CONNECTIONS: usize = 16;
/// Certificates issued in one go.
const BATCH: usize = 2000;
/// What slapd did on a machine like CI's, kept alive.
const SLAPD_PUBLISHED: f64 = 23_000.0;

fn run(options: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    openssl_ocsp::present()?;
    slapd::present()?;
    let options = &with_shipped_server(options, progress)?;
    let mut rows = vec![ceiling(options, progress)?];
    let world = World::build(options.entries, progress)?;
    let questions = world.questions()?;

    progress.at("starting the servers");
    let (mut ours, opened) = serve(options, &world.home())?;
    let mut openssl = OpensslOcsp::start(HERE, &world.known, &world.signer()?, 2)?;
    let mut openssl_rsa = OpensslOcsp::start(HERE, &world.known, &world.rsa_signer()?, 2)?;
    let openssl_opened = openssl.ready_in().as_secs_f64();
    progress.at("loading slapd");
    let (mut slapd, loaded) = timed(|| Ok(Slapd::start(HERE, world.entries(), &SlapdOptions::default())?))?;
    progress.say(format!(
        "slapd loaded its entries in {loaded:.1} s; openssl ocsp read its index in {openssl_opened:.2} s"
    ));
    let (openssl_at, openssl_rsa_at, slapd_at) = (openssl.addr(), openssl_rsa.addr(), slapd.addr());
    let (ours_id, openssl_id, slapd_id) = (ours.process.id(), openssl.process().id(), slapd.process().id());
    progress.at("checking that all of them answer rightly");
    world.check(ours.at, &[openssl_at, openssl_rsa_at], slapd_at)?;

    let http = |requests, keep_alive, at| Load {
        at,
        requests,
        protocol: Protocol::Http,
        connections: CONNECTIONS,
        keep_alive,
    };
    let ldap = |keep_alive| Load {
        at: slapd_at,
        requests: &questions.ldap,
        protocol: Protocol::Ldap,
        connections: CONNECTIONS,
        keep_alive,
    };
    let asked = |keep_alive, at| {
        let requests: &[Vec<u8>] = if keep_alive { &questions.email } else { &questions.email_close };
        http(requests, keep_alive, at)
    };
    let ocsp = |nonce, keep_alive, at| {
        let requests: &[Vec<u8>] = match (nonce, keep_alive) {
            (false, true) => &questions.ocsp,
            (false, false) => &questions.ocsp_close,
            (true, true) => &questions.nonce,
            (true, false) => &questions.nonce_close,
        };
        http(requests, keep_alive, at)
    };
    let p256 = (openssl_at, openssl_id, OPENSSL);
    let rsa = (openssl_rsa_at, openssl_rsa.process().id(), OPENSSL_RSA);
    for (name, nonce, keep_alive, (at, id, peer), goal) in [
        ("OCSP answers, kept alive", false, true, rsa, Some(10.0)),
        ("OCSP answers, kept alive, the same key", false, true, p256, None),
        ("OCSP answers, reconnecting", false, false, p256, None),
        ("OCSP answers with nonce, kept alive", true, true, p256, None),
        ("OCSP answers with nonce, reconnecting", true, false, p256, None),
    ] {
        let mine = (ocsp(nonce, keep_alive, ours.at), ours_id);
        let (rate, cpu) = duel(name, options, progress, mine, (ocsp(nonce, false, at), id, peer))?;
        rows.push(match goal {
            Some(goal) => rate.at_least(goal),
            None => rate,
        });
        rows.extend(cpu);
    }
    drop(openssl_rsa);
    for (name, keep_alive) in [("Look-ups by address, kept alive", true), ("Look-ups by address, reconnecting", false)]
    {
        let mine = (asked(keep_alive, ours.at), ours_id);
        let (rate, cpu) = duel(name, options, progress, mine, (ldap(keep_alive), slapd_id, SLAPD))?;
        if keep_alive {
            rows.push(Row::alone("Look-ups by address, as published", "1/s", rate.ours).no_less_than(SLAPD_PUBLISHED));
            rows.push(rate.at_least(1.0));
        } else {
            rows.push(rate);
        }
        rows.extend(cpu);
    }
    let megabytes = |id| meter::memory(id).map(|octets| octets as f64 / 1e6);
    if let (Some(mine), Some(openssl), Some(slapd)) = (megabytes(ours_id), megabytes(openssl_id), megabytes(slapd_id)) {
        rows.push(Row::less("Memory (PSS) after all that", "MB", mine, OPENSSL, openssl));
        rows.push(Row::less("Memory (PSS) after all that", "MB", mine, SLAPD, slapd));
    }
    rows.push(Row::less("From start until it listens", "s", opened, OPENSSL, openssl_opened));
    ours.process.kill();
    Ok(rows)
}

/// What this client can do against a server that does nothing: figures near it say more of the client than of a server.
fn ceiling(options: &Options, progress: &Progress) -> Result<Row, BenchError> {
    let server = load::trivial(HERE).map_err(BenchError::broken)?;
    let requests = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()];
    let load =
        Load { at: server, requests: &requests, protocol: Protocol::Http, connections: CONNECTIONS, keep_alive: true };
    let round = || {
        let outcome = load::run(load, Duration::from_secs_f64(options.seconds)).map_err(BenchError::broken)?;
        Ok(Sample { operations: outcome.answers, seconds: outcome.seconds, cpu: None })
    };
    let mut contenders = [Contender { name: "a server that does nothing", round: Box::new(round) }];
    let best = in_turn("The load client itself", options.rounds, progress, &mut contenders)?;
    let rate = best.first().map_or(0.0, |best| best.0);
    Ok(Row::alone("The load client itself, kept alive", "1/s", rate).no_less_than(60_000.0))
}

/// Both in turn: rate, and processor time of one answer if it can be read.
fn duel(
    name: &str,
    options: &Options,
    progress: &Progress,
    (mine, my_id): (Load<'_>, u32),
    (peer, peer_id, peer_name): (Load<'_>, u32, &str),
) -> Result<(Row, Option<Row>), BenchError> {
    let time = Duration::from_secs_f64(options.seconds);
    progress.at(format!("{name}: everything is asked once"));
    for load in [mine, peer] {
        load::warm(load).map_err(BenchError::broken)?;
    }
    let round = |load, id| {
        move || {
            let before = meter::cpu_seconds(id);
            let outcome = load::run(load, time).map_err(BenchError::broken)?;
            let cpu = meter::cpu_seconds(id).zip(before).map(|(after, before)| after - before);
            Ok(Sample { operations: outcome.answers, seconds: outcome.seconds, cpu })
        }
    };
    let mut contenders = [
        Contender { name: "ours", round: Box::new(round(mine, my_id)) },
        Contender { name: peer_name, round: Box::new(round(peer, peer_id)) },
    ];
    let best = in_turn(name, options.rounds, progress, &mut contenders)?;
    let [(ours, our_cpu), (theirs, their_cpu)] = best.as_slice() else {
        return Err(BenchError::broken("two contenders gave another number of results"));
    };
    let cpu = our_cpu
        .zip(*their_cpu)
        .map(|(ours, theirs)| Row::less(&format!("{name}: processor time of one"), "us", ours, peer_name, theirs));
    Ok((Row::more(name, "1/s", *ours, peer_name, *theirs), cpu))
}

fn timed<T>(work: impl FnOnce() -> Result<T, BenchError>) -> Result<(T, f64), BenchError> {
    let begin = Instant::now();
    let made = work()?;
    Ok((made, begin.elapsed().as_secs_f64()))
}

/// Our server, as a process.
struct Ours {
    process: Process,
    at: SocketAddr,
}

/// Starts `sealfax-mailserver` from beside this program, and says how long it took until it answered.
fn serve(options: &Options, authority: &Path) -> Result<(Ours, f64), BenchError> {
    let program = options.server.clone().map_or_else(|| beside(SERVER), Ok)?;
    let at = free_port(HERE).map_err(BenchError::broken)?;
    // One client is the whole world here, so the bounds for one peer are those for all.
    let config = format!(
        "[directory]\nhost_name = \"directory\"\nhttp = \"{at}\"\ndata = {:?}\n\
         [directory.limits]\nconnections = 512\nconnection_seconds = 3600\n\
         peer_connections = 512\npeer_requests_per_second = 0\n",
        authority.display().to_string(),
    );
    let path = authority.with_file_name("bench-mailserver.toml");
    std::fs::write(&path, config).map_err(BenchError::broken)?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(&path).env("RUST_LOG", "warn");
    let begin = Instant::now();
    let mut process = Process::start(SERVER, command, &authority.with_file_name("bench-mailserver.log"))?;
    process.wait_for_port(at, Duration::from_secs(120))?;
    Ok((Ours { process, at }, begin.elapsed().as_secs_f64()))
}

/// The certificates that everybody holds.
struct World {
    folder: tempfile::TempDir,
    issuing: Certificate,
    certificates: Vec<Vec<u8>>,
    known: Vec<Known>,
    serials: Vec<x509_cert::serial_number::SerialNumber>,
}

/// Questions ready to be sent.
struct Questions {
    email: Vec<Vec<u8>>,
    email_close: Vec<Vec<u8>>,
    ldap: Vec<Vec<u8>>,
    ocsp: Vec<Vec<u8>>,
    ocsp_close: Vec<Vec<u8>>,
    nonce: Vec<Vec<u8>>,
    nonce_close: Vec<Vec<u8>>,
}

fn address(number: usize) -> String {
    format!("person-{number:06}@office-{:03}.example", number % 1000)
}

impl World {
    /// Issues `count` certificates. All for one key: that of the answers is what costs.
    fn build(count: usize, progress: &Progress) -> Result<Self, BenchError> {
        let seams = Seams::system();
        let folder = tempfile::tempdir().map_err(BenchError::broken)?;
        let home = folder.path().join("authority");
        let authority = Authority::create(&home, &AuthorityOptions::default(), &seams).map_err(BenchError::broken)?;
        let key = SigningKey::generate_from_rng(&mut EntropyRng(seams.entropy.clone()));
        let public_key = key.verifying_key().to_public_key_der().map_err(BenchError::broken)?.into_vec();
        let mut certificates = Vec::with_capacity(count);
        let begin = Instant::now();
        let numbers: Vec<usize> = (0..count).collect();
        for batch in numbers.chunks(BATCH) {
            progress.at(format!("issuing certificates: {} of {count}", certificates.len()));
            let requests: Vec<PersonRequest> = batch
                .iter()
                .map(|number| PersonRequest {
                    name: format!("Person {number:06}"),
                    address: address(*number),
                    public_key: public_key.clone(),
                    usage: Use::Encrypt,
                    validity: Duration::from_secs(365 * 24 * 3600),
                    ocsp_url: None,
                })
                .collect();
            let issued = authority.issue_people(&requests, |certificate| certificates.push(certificate.to_vec()));
            issued.map_err(BenchError::broken)?;
        }
        let seconds = begin.elapsed().as_secs_f64();
        progress.say(format!("{count} certificates issued in {seconds:.1} s ({:.0}/s)", count as f64 / seconds));
        let issuing = Certificate::from_der(&authority.issuing_der().map_err(BenchError::broken)?);
        let issuing = issuing.map_err(BenchError::broken)?;
        let not_after = SystemTime::now() + Duration::from_secs(364 * 24 * 3600);
        let mut known = Vec::with_capacity(count);
        let mut serials = Vec::with_capacity(count);
        for der in &certificates {
            let certificate = Certificate::from_der(der).map_err(BenchError::broken)?;
            let serial = certificate.tbs_certificate().serial_number().clone();
            let text = serial.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
            known.push(Known { serial: text, not_after, revoked: None });
            serials.push(serial);
        }
        Ok(Self { folder, issuing, certificates, known, serials })
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("authority")
    }

    /// What openssl ocsp signs with: the authority's own OCSP signer.
    fn signer(&self) -> Result<Signer, BenchError> {
        let read = |name: &str| std::fs::read_to_string(self.home().join(name)).map_err(BenchError::broken);
        Ok(Signer {
            authority_pem: read("issuing.pem")?,
            certificate_pem: read("ocsp.pem")?,
            key_pem: read("ocsp.key.pem")?,
        })
    }

    /// The same with an RSA-2048 key, to which the authority delegates too; by OpenSSL, as a site of its own would do it.
    fn rsa_signer(&self) -> Result<Signer, BenchError> {
        let extensions = "keyUsage=critical,digitalSignature\nextendedKeyUsage=OCSPSigning\nnoCheck=ignored\n";
        std::fs::write(self.home().join("rsa.ext"), extensions).map_err(BenchError::broken)?;
        for line in [
            "req -new -newkey rsa:2048 -nodes -subj /CN=OCSP -keyout rsa.key.pem -out rsa.csr",
            "x509 -req -in rsa.csr -CA issuing.pem -CAkey issuing.key.pem -set_serial 4711 -days 30 -extfile rsa.ext \
             -out rsa.pem",
        ] {
            let mut command = Command::new(find("openssl", "openssl")?);
            let output = command.args(line.split_ascii_whitespace()).current_dir(self.home()).output();
            let output = output.map_err(BenchError::broken)?;
            if !output.status.success() {
                return Err(BenchError::broken(String::from_utf8_lossy(&output.stderr)));
            }
        }
        let read = |name: &str| std::fs::read_to_string(self.home().join(name)).map_err(BenchError::broken);
        Ok(Signer { certificate_pem: read("rsa.pem")?, key_pem: read("rsa.key.pem")?, ..self.signer()? })
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        self.certificates.iter().enumerate().map(|(number, certificate)| Entry {
            uid: format!("person-{number:06}"),
            mail: vec![address(number)],
            certificates: vec![certificate.clone()],
        })
    }

    /// Whom the questions are about: spread over everybody, in no order that helps anyone.
    fn sample(&self) -> impl Iterator<Item = usize> {
        let count = self.certificates.len();
        // A prime stride visits every place once.
        (0..QUESTIONS.min(count)).map(move |step| step.wrapping_mul(7919) % count)
    }

    fn questions(&self) -> Result<Questions, BenchError> {
        let mut questions = Questions {
            email: Vec::new(),
            email_close: Vec::new(),
            ldap: Vec::new(),
            ocsp: Vec::new(),
            ocsp_close: Vec::new(),
            nonce: Vec::new(),
            nonce_close: Vec::new(),
        };
        let directory = LdapDirectory::new(SocketAddr::new(HERE, 0), PEOPLE);
        let entropy = Seams::system().entropy;
        for number in self.sample() {
            let path = format!("/certificates/search.cgi?email={}&usage=encrypt", percent_encode(&address(number)));
            questions.email.push(get(&path, true));
            questions.email_close.push(get(&path, false));
            questions.ldap.push(directory.search(&address(number)).encode(1));
            let Some(serial) = self.serials.get(number) else { continue };
            let cert_id = CertId::sha256(&self.issuing, serial.clone()).map_err(BenchError::broken)?;
            let mut nonce = [0; 32];
            entropy.fill(&mut nonce);
            let extension = nonce_extension(&nonce).map_err(BenchError::broken)?;
            let bare = request(cert_id.clone(), None)?;
            let with_nonce = request(cert_id, Some(vec![extension]))?;
            questions.ocsp.push(post(&bare, true));
            questions.ocsp_close.push(post(&bare, false));
            questions.nonce.push(post(&with_nonce, true));
            questions.nonce_close.push(post(&with_nonce, false));
        }
        Ok(questions)
    }

    /// A few of them asked as an adapter asks, everything verified.
    fn check(&self, ours: SocketAddr, openssl: &[SocketAddr], slapd: SocketAddr) -> Result<(), BenchError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BenchError::broken)?;
        let seams = Seams::system();
        let issuer = self.issuing.to_der().map_err(BenchError::broken)?;
        let theirs = |at: &SocketAddr| Responder { path: "/".to_owned(), ..Responder::new(Server::at(*at)) };
        let directories = [Directory::new(Server::at(ours)), Directory::Ldap(LdapDirectory::new(slapd, PEOPLE))];
        let responders: Vec<_> = openssl.iter().map(theirs).chain([Responder::new(Server::at(ours))]).collect();
        for number in self.sample().take(5) {
            let Some(certificate) = self.certificates.get(number) else { continue };
            for directory in &directories {
                let found = runtime.block_on(lookup::by_address(&seams, directory, &address(number), Use::Encrypt));
                if found.map_err(BenchError::broken)? != [certificate.clone()] {
                    return Err(BenchError::broken(format!("{directory:?} gave another certificate")));
                }
            }
            for responder in &responders {
                let status = runtime.block_on(ocsp::check(&seams, responder, certificate, &issuer));
                if status.map_err(BenchError::broken)? != Status::Good {
                    return Err(BenchError::broken(format!("{responder:?} does not say good")));
                }
            }
        }
        Ok(())
    }
}

fn request(cert_id: CertId, extensions: Option<Vec<x509_cert::ext::Extension>>) -> Result<Vec<u8>, BenchError> {
    let request = OcspRequest {
        tbs_request: TbsRequest {
            version: 0,
            requestor_name: None,
            request_list: vec![SingleRequest { req_cert: cert_id, single_request_extensions: None }],
            request_extensions: extensions,
        },
        optional_signature: None,
    };
    request.to_der().map_err(BenchError::broken)
}

fn connection(keep: bool) -> &'static str {
    if keep { "" } else { "Connection: close\r\n" }
}

fn get(path: &str, keep: bool) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: directory\r\n{}\r\n", connection(keep)).into_bytes()
}

fn post(body: &[u8], keep: bool) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: directory\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n{}\r\n",
        body.len(),
        connection(keep)
    );
    [head.as_bytes(), body].concat()
}
