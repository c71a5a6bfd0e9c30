//! OpenSSL's own OCSP responder, asked by our client and by an adapter's trust: delegated, pinned, the issuer itself; with
//! and without nonce; found by address and by name. Where the command is missing the comparison is not made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealfax_adapter::Config;
use sealfax_adapter::ledger::Ledger;
use sealfax_adapter::trust::Trust;
use sealfax_client::http::Server;
use sealfax_client::ocsp::{NoncePolicy, OcspError, Policy, Responder, Seen, Status, ask};
use sealfax_client::seam::{BoxStream, Listener, Network, Seams};
use sealfax_drivers::display::CardFault;
use sealfax_rig::events::EventLog;
use sealfax_rig::world::dns::{DnsRecord, DnsServer};
use sealfax_rig::world::hosts::Hosts;
use sealfax_tests::openssl::{openssl, present};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// An authority and people, all of OpenSSL's making, in a folder.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let new = Self { folder };
        for (name, subject) in [("ca", "/CN=Theirs"), ("outsider", "/CN=Nobody asked")] {
            let (key, out) = (format!("{name}.key"), format!("{name}.pem"));
            let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10", "-subj", subject];
            new.run(&[&request[..], &["-keyout", &key, "-out", &out]].concat());
        }
        let mail = "keyUsage=digitalSignature\nextendedKeyUsage=emailProtection\nsubjectAltName=email:x@a.example\n";
        for (name, serial) in [("good", "0x11"), ("revoked", "0x12"), ("held", "0x13"), ("absent", "0x14")] {
            new.issue(name, serial, mail);
        }
        new.issue("responder", "0x15", "keyUsage=digitalSignature\nextendedKeyUsage=OCSPSigning\nnoCheck=yes\n");
        new.issue("revocable", "0x18", "keyUsage=digitalSignature\nextendedKeyUsage=OCSPSigning\n");
        new.issue("usurper", "0x16", mail);
        new.issue_by("outsider", "stranger", "0x11", mail);
        new.issue("server", "0x17", "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n");
        let index = "V\t401231235959Z\t\t11\tunknown\t/CN=good\n\
                     R\t401231235959Z\t260101000000Z,keyCompromise\t12\tunknown\t/CN=revoked\n\
                     R\t401231235959Z\t260101000000Z,certificateHold\t13\tunknown\t/CN=held\n";
        std::fs::write(new.folder.path().join("index"), index).unwrap();
        new
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str]) {
        openssl(self.path(), arguments).unwrap();
    }

    fn issue(&self, name: &str, serial: &str, extensions: &str) {
        self.issue_by("ca", name, serial, extensions);
    }

    fn issue_by(&self, issuer: &str, name: &str, serial: &str, extensions: &str) {
        let (key, out, subject) = (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
        std::fs::write(self.path().join("extensions"), extensions).unwrap();
        let request = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-out", "csr"];
        self.run(&[&request[..], &["-keyout", &key]].concat());
        let (issuer, issuer_key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
        let sign = ["x509", "-req", "-in", "csr", "-CA", &issuer, "-CAkey", &issuer_key, "-days", "10"];
        self.run(&[&sign[..], &["-set_serial", serial, "-extfile", "extensions", "-out", &out]].concat());
    }

    fn der(&self, name: &str) -> Vec<u8> {
        let pem = std::fs::read_to_string(self.path().join(format!("{name}.pem"))).unwrap();
        let body = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
        STANDARD.decode(body.take_while(|line| !line.starts_with("-----END")).collect::<String>()).unwrap()
    }

    /// `openssl ocsp` as a responder that signs with this key.
    fn responder(&self, signer: &str) -> Running {
        let (certificate, key) = (format!("{signer}.pem"), format!("{signer}.key"));
        let common = ["ocsp", "-index", "index", "-CA", "ca.pem", "-rmd", "sha256", "-nmin", "5", "-ignore_err"];
        let mut child = Command::new("openssl")
            .args(common)
            .args(["-rsigner", &certificate, "-rkey", &key, "-port", "0"])
            .current_dir(self.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (tell, told) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // "ACCEPT 0.0.0.0:33211 PID=1234"; read on, so that it never writes into a closed pipe.
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let port = line
                    .strip_prefix("ACCEPT ")
                    .and_then(|rest| rest.split(' ').next()?.rsplit(':').next()?.parse().ok());
                if let Some(port) = port {
                    let _ = tell.send(port);
                }
            }
        });
        let port: Result<u16, _> = told.recv_timeout(Duration::from_secs(60));
        let running = Running { child, port: *port.as_ref().unwrap_or(&0) };
        port.expect("openssl's responder did not start");
        running
    }
}

struct Running {
    child: Child,
    port: u16,
}

impl Running {
    fn at(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn at(server: SocketAddr, policy: Policy) -> Responder {
    let mut responder = Responder::new(Server::at(server));
    "/any/path".clone_into(&mut responder.path);
    responder.policy = policy;
    responder
}

async fn asked(authority: &Authority, responder: &Responder, who: &str) -> Result<Status, OcspError> {
    let (certificate, issuer) = (authority.der(who), authority.der("ca"));
    let answer = ask(&Seams::system(), responder, &Seen::default(), &certificate, &issuer).await?;
    assert!(answer.has_nonce, "openssl repeats the nonce");
    Ok(answer.status)
}

fn code(outcome: &Result<Status, OcspError>) -> &'static str {
    outcome.as_ref().err().map_or("", OcspError::code)
}

#[tokio::test]
async fn delegated_pinned_or_the_issuer_itself() {
    if !present() {
        return;
    }
    let authority = Authority::new();
    let pinned = |name: &str| Policy { pinned: vec![authority.der(name)], ..Policy::default() };

    let delegated = authority.responder("responder");
    let anybody = at(delegated.at(), Policy::default());
    assert_eq!(asked(&authority, &anybody, "good").await.unwrap(), Status::Good);
    assert!(matches!(asked(&authority, &anybody, "revoked").await.unwrap(), Status::Revoked { .. }));
    assert_eq!(asked(&authority, &anybody, "absent").await.unwrap(), Status::Unknown);
    let it_alone = at(delegated.at(), pinned("responder"));
    assert_eq!(asked(&authority, &it_alone, "good").await.unwrap(), Status::Good);
    let another = at(delegated.at(), pinned("outsider"));
    assert_eq!(code(&asked(&authority, &another, "good").await), "OCSP-005");

    // The issuer answers in its own name, unless somebody else was named.
    let issuer = authority.responder("ca");
    assert_eq!(asked(&authority, &at(issuer.at(), Policy::default()), "good").await.unwrap(), Status::Good);
    assert_eq!(code(&asked(&authority, &at(issuer.at(), pinned("responder")), "good").await), "OCSP-005");

    // A certificate of the same authority that may not answer, one that nobody issued, and one that may have been revoked:
    // each only where it is named.
    for (name, refused) in [("usurper", "OCSP-005"), ("outsider", "OCSP-005"), ("revocable", "OCSP-019")] {
        let responder = authority.responder(name);
        assert_eq!(code(&asked(&authority, &at(responder.at(), Policy::default()), "good").await), refused, "{name}");
        assert_eq!(asked(&authority, &at(responder.at(), pinned(name)), "good").await.unwrap(), Status::Good, "{name}");
    }
}

/// A network on which nobody is at home, and which counts the knocks.
#[derive(Default)]
struct NobodyHome(AtomicUsize);

#[async_trait::async_trait]
impl Network for NobodyHome {
    async fn connect(&self, _: SocketAddr) -> std::io::Result<BoxStream> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(std::io::ErrorKind::ConnectionRefused.into())
    }

    async fn bind(&self, _: SocketAddr) -> std::io::Result<Box<dyn Listener>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

#[tokio::test(start_paused = true)]
async fn asking_again_has_an_end() {
    if !present() {
        return;
    }
    let authority = Authority::new();
    let (certificate, issuer) = (authority.der("good"), authority.der("ca"));
    for (configured, made) in [(0, 1), (1, 1), (2, 2), (1_000_000, 5)] {
        let network = Arc::new(NobodyHome::default());
        let seams = Seams { network: network.clone(), ..Seams::system() };
        let responder = Responder { attempts: configured, ..at(([127, 0, 0, 1], 9).into(), Policy::default()) };
        let error = ask(&seams, &responder, &Seen::default(), &certificate, &issuer).await.unwrap_err();
        assert_eq!((error.code(), error.is_transient()), ("OCSP-001", true));
        assert_eq!(network.0.load(Ordering::SeqCst), made, "{configured} attempts configured");
    }
}

/// A responder that hands out one answer again and again, as those do that sign in advance (RFC 5019).
async fn cached(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                answer.len()
            );
            // The whole request is smaller than this buffer and comes at once, or in two pieces.
            let mut request = vec![0; 4096];
            let mut read = 0;
            while !request[..read].windows(4).any(|end| end == b"\r\n\r\n") {
                read += stream.read(&mut request[read..]).await.unwrap();
            }
            stream.write_all(&[head.as_bytes(), &answer].concat()).await.unwrap();
            // Not closed before the client has read: an unread request would reset the connection.
            let _ = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut request)).await;
        }
    });
    addr
}

#[tokio::test]
async fn an_answer_without_nonce_only_where_it_is_configured_and_never_an_older_one() {
    if !present() {
        return;
    }
    let authority = Authority::new();
    authority.run(&["ocsp", "-sha256", "-issuer", "ca.pem", "-cert", "good.pem", "-no_nonce", "-reqout", "request"]);
    let respond = |out: &str| {
        let with = ["ocsp", "-index", "index", "-CA", "ca.pem", "-rsigner", "responder.pem", "-rkey", "responder.key"];
        authority.run(&[&with[..], &["-rmd", "sha256", "-nmin", "5", "-reqin", "request", "-respout", out]].concat());
        std::fs::read(authority.path().join(out)).unwrap()
    };
    let older = respond("older");
    // Answers tell whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let newer = respond("newer");
    let (older, newer) = (cached(older).await, cached(newer).await);
    let optional = |seconds| {
        let nonce = NoncePolicy::Optional { max_age: Duration::from_secs(seconds) };
        Policy { nonce, ..Policy::default() }
    };
    let (certificate, issuer, seams, seen) =
        (authority.der("good"), authority.der("ca"), Seams::system(), Seen::default());
    let ask = async |server, policy| {
        ask(&seams, &at(server, policy), &seen, &certificate, &issuer).await.map(|answer| answer.status)
    };
    assert_eq!(code(&ask(older, Policy::default()).await), "OCSP-009");
    assert_eq!(ask(older, optional(3600)).await.unwrap(), Status::Good);
    assert_eq!(ask(newer, optional(3600)).await.unwrap(), Status::Good);
    assert_eq!(code(&ask(older, optional(3600)).await), "OCSP-016");
    assert_eq!(ask(newer, optional(3600)).await.unwrap(), Status::Good);
    assert_eq!(code(&ask(newer, optional(0)).await), "OCSP-012");
}

/// An adapter's trust in this authority, with `ocsp` as its responder.
fn trust(authority: &Authority, ocsp: &str, dns: Option<SocketAddr>, lines: &str) -> Trust {
    let text = include_str!("../../adapter/sealfax-adapter.example.toml");
    let dns = dns.map(|server| format!("dns_servers = [\"{server}\"]\n")).unwrap_or_default();
    let text = text
        .replace("/etc/sealfax/anchors.pem", &authority.path().join("ca.pem").display().to_string())
        .replace("intermediates = ", "# intermediates = ")
        .replace("history = ", &format!("ocsp = \"{ocsp}\"\n{dns}history = "))
        .replace("[trust]\n", &format!("[trust]\n{lines}"));
    let path = authority.path().join("adapter.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::read(&path).unwrap();
    // Each adapter has a disk of its own.
    static ADAPTERS: AtomicUsize = AtomicUsize::new(0);
    let number = ADAPTERS.fetch_add(1, Ordering::SeqCst);
    let ledger = Ledger::open(&authority.path().join(format!("data-{number}"))).unwrap();
    Trust::open(&config, &Seams::system(), ledger).unwrap()
}

#[tokio::test]
async fn an_adapter_asks_any_standard_responder_by_address_or_name() {
    use sealfax_smime::path::Use;
    if !present() {
        return;
    }
    let authority = Authority::new();
    let responder = authority.responder("responder");
    let by_address = trust(&authority, &format!("http://{}/", responder.at()), None, "");
    let fault = async |trust: &Trust, who: &str| {
        trust.check_card_status(&authority.der(who)).await.err().map(|unusable| unusable.fault)
    };
    assert_eq!(by_address.check_card_path(&authority.der("good"), Use::Sign), Ok(()));
    assert_eq!(fault(&by_address, "good").await, None);
    assert_eq!(fault(&by_address, "revoked").await, Some(CardFault::Revoked));
    assert_eq!(fault(&by_address, "held").await, Some(CardFault::OnHold));
    assert_eq!(fault(&by_address, "absent").await, Some(CardFault::Unknown));
    // What the path alone tells: a key for another use, and a certificate that is not for mail at all.
    let path_fault = |who: &str, purpose| {
        by_address.check_card_path(&authority.der(who), purpose).err().map(|unusable| unusable.fault)
    };
    assert_eq!(path_fault("good", Use::Encrypt), Some(CardFault::KeyUsage));
    assert_eq!(path_fault("server", Use::Sign), Some(CardFault::Purpose));
    assert_eq!(path_fault("stranger", Use::Sign), Some(CardFault::Untrusted));

    let pinned = format!("ocsp_responders = \"{}\"\n", authority.path().join("outsider.pem").display());
    let another = trust(&authority, &format!("http://{}/", responder.at()), None, &pinned);
    assert_eq!(fault(&another, "good").await, Some(CardFault::ResponderUntrusted));

    let hosts = Hosts::allocate().unwrap();
    let host = hosts.add("dns").unwrap();
    let name = DnsRecord::A { name: "ocsp.example".into(), address: "127.0.0.1".parse().unwrap() };
    let dns = DnsServer::start(host, &[name], EventLog::new()).await.unwrap();
    let by_name = trust(&authority, &format!("http://ocsp.example:{}/x", responder.port), Some(dns.address()), "");
    assert_eq!(fault(&by_name, "good").await, None);
    let nameless = trust(&authority, &format!("http://nobody.example:{}/", responder.port), Some(dns.address()), "");
    assert_eq!(fault(&nameless, "good").await, Some(CardFault::Unchecked));

    let gone = responder.at();
    drop(responder);
    let down = trust(&authority, &format!("http://{gone}/down"), None, "");
    assert_eq!(fault(&down, "good").await, Some(CardFault::Unchecked));
}
