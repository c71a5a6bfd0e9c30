//! What a server that is no friend of ours may send; real servers are asked in the cross-crate tests.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ber::{ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE, SET, put, put_number};
use super::*;
use crate::seam::{BoxStream, Listener, Network};

/// A network with one server, which says what it was told to say, in pieces, and hangs up.
struct Scripted {
    says: Vec<u8>,
    pieces: usize,
    heard: Arc<Mutex<Vec<u8>>>,
}

#[async_trait]
impl Network for Scripted {
    async fn connect(&self, _to: SocketAddr) -> io::Result<BoxStream> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (mut read, mut write) = tokio::io::split(theirs);
        let (says, pieces, heard) = (self.says.clone(), self.pieces, Arc::clone(&self.heard));
        tokio::spawn(async move {
            for piece in says.chunks(pieces) {
                if write.write_all(piece).await.is_err() {
                    return;
                }
            }
            let _ = write.shutdown().await;
            let mut octets = Vec::new();
            let _ = read.read_to_end(&mut octets).await;
            heard.lock().unwrap().extend(octets);
        });
        Ok(Box::new(ours))
    }

    async fn bind(&self, _at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn directory() -> LdapDirectory {
    LdapDirectory::new(SocketAddr::from(([127, 0, 0, 1], 389)), "dc=b,dc=example")
}

async fn hears(directory: &LdapDirectory, says: &[u8], pieces: usize) -> Result<Vec<Vec<u8>>, LdapError> {
    let network = Arc::new(Scripted { says: says.to_vec(), pieces, heard: Arc::default() });
    let seams = Seams { network, ..Seams::system() };
    certificates(&seams, directory, "hanako@b.example").await
}

async fn code(directory: &LdapDirectory, says: &[u8]) -> &'static str {
    hears(directory, says, 7).await.unwrap_err().code()
}

fn message(id: u32, tag: u8, operation: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    put_number(&mut content, INTEGER, id);
    put(&mut content, tag, operation);
    let mut octets = Vec::new();
    put(&mut octets, SEQUENCE, &content);
    octets
}

fn result(code: u32, text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    put_number(&mut octets, ENUMERATED, code);
    put(&mut octets, OCTET_STRING, b"");
    put(&mut octets, OCTET_STRING, text.as_bytes());
    octets
}

fn done(id: u32, code: u32) -> Vec<u8> {
    message(id, 0x65, &result(code, "the server's words"))
}

fn entry(id: u32, attribute: &str, values: &[&[u8]]) -> Vec<u8> {
    let mut set = Vec::new();
    for value in values {
        put(&mut set, OCTET_STRING, value);
    }
    let mut pair = Vec::new();
    put(&mut pair, OCTET_STRING, attribute.as_bytes());
    put(&mut pair, SET, &set);
    let mut list = Vec::new();
    put(&mut list, SEQUENCE, &pair);
    let mut operation = Vec::new();
    put(&mut operation, OCTET_STRING, b"cn=Hanako,dc=b,dc=example");
    put(&mut operation, SEQUENCE, &list);
    message(id, 0x64, &operation)
}

#[tokio::test]
async fn values_arrive_whatever_the_pieces() {
    let two = entry(1, "userCertificate;binary", &[b"one", &[7; 300]]);
    let other = entry(1, "USERCERTIFICATE", &[b"three"]);
    let foreign = entry(1, "userCertificateX;binary", &[b"four"]);
    let intermediate = message(1, 0x79, b"");
    let says = [two, intermediate, other, foreign, done(1, 0)].concat();
    for pieces in [1, 2, 3, 100, 100_000] {
        let found = hears(&directory(), &says, pieces).await.unwrap();
        assert_eq!(found, [b"one".to_vec(), vec![7; 300], b"three".to_vec()]);
    }
    assert!(hears(&directory(), &done(1, 0), 5).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_cut_short_is_no_answer() {
    let whole = [entry(1, "userCertificate;binary", &[b"one"]), done(1, 0)].concat();
    for end in 0..whole.len() {
        assert_eq!(code(&directory(), &whole[..end]).await, "LDAP-004", "{end}");
    }
}

#[tokio::test]
async fn each_refusal_has_its_code() {
    let many: Vec<u8> = (0..=MAX_ENTRIES).flat_map(|_| entry(1, "cn", &[])).collect();
    let certificates = vec![&b"x"[..]; MAX_CERTIFICATES + 1];
    let certificates = entry(1, "userCertificate", &certificates);
    // A message of a gibioctet, announced; many small ones that add up.
    let announced = [0x30, 0x84, 0x40, 0, 0, 0].to_vec();
    let together: Vec<u8> = (0..12).flat_map(|_| entry(1, "jpegPhoto", &[&[0; 100_000]])).collect();
    let talk: Vec<u8> = (0..=MAX_MESSAGES).flat_map(|_| message(1, 0x79, b"")).collect();
    let goodbye = message(0, 0x78, &result(52, "shutting down"));
    for (says, wanted) in [
        (many, "LDAP-003"),
        (certificates, "LDAP-003"),
        (announced, "LDAP-003"),
        (together, "LDAP-003"),
        (talk, "LDAP-003"),
        (done(1, 4), "LDAP-003"),
        (goodbye, "LDAP-004"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "LDAP-005"),
        (done(2, 0), "LDAP-005"),
        (message(1, 0x61, &result(0, "")), "LDAP-005"),
        (message(1, 0x65, b"\x0a\x01"), "LDAP-005"),
        (done(1, 32), "LDAP-007"),
        (done(1, 50), "LDAP-007"),
        (done(1, 10), "LDAP-008"),
        (message(1, 0x73, b"\x04\x0eldap://other/x"), "LDAP-008"),
    ] {
        assert_eq!(code(&directory(), &says).await, wanted, "{:?}", &says[..says.len().min(20)]);
    }
    let error = hears(&directory(), &done(1, 32), 9).await.unwrap_err().to_string();
    assert!(error.contains("32 noSuchObject: the server's words") && error.contains("base"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    struct Silent(Mutex<Vec<tokio::io::DuplexStream>>);
    #[async_trait]
    impl Network for Silent {
        async fn connect(&self, _to: SocketAddr) -> io::Result<BoxStream> {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            self.0.lock().unwrap().push(theirs);
            Ok(Box::new(ours))
        }
        async fn bind(&self, _at: SocketAddr) -> io::Result<Box<dyn Listener>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
    let seams = Seams { network: Arc::new(Silent(Mutex::default())), ..Seams::system() };
    let error = certificates(&seams, &directory(), "hanako@b.example").await.unwrap_err();
    assert!(matches!(error, LdapError::Timeout { limit, .. } if limit.as_secs() == 10), "{error}");
}

/// CVE-2011-0411 and its kin: what is slipped in before TLS must not be taken for what came through it.
#[tokio::test]
async fn octets_behind_start_tls_end_the_conversation() {
    let folder = tempfile::tempdir().unwrap();
    let directory = LdapDirectory {
        security: Security::Starttls,
        tls_name: Some("ldap.b.example".into()),
        tls_anchors: Some(folder.path().join("anchors.pem")),
        ..directory()
    };
    let accepted = message(1, 0x78, &result(0, ""));
    let slipped = entry(2, "userCertificate;binary", &[b"forged"]);
    assert_eq!(hears(&directory, &[accepted, slipped].concat(), 100_000).await.unwrap_err().code(), "LDAP-005");
    let refused = message(1, 0x78, &result(2, "unsupported extended operation"));
    assert_eq!(code(&directory, &refused).await, "LDAP-010");
}

#[tokio::test]
async fn a_password_is_read_only_from_a_file_that_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, mode: u32, text: &[u8]| {
        let path = folder.path().join(name);
        let mut file = std::fs::OpenOptions::new().write(true).create(true).mode(mode).open(&path).unwrap();
        io::Write::write_all(&mut file, text).unwrap();
        LdapDirectory { bind_dn: Some("cn=adapter".into()), password_file: Some(path), ..directory() }
    };
    let long = vec![b'x'; 1025];
    for (name, mode, text) in
        [("open", 0o644, &b"secret"[..]), ("empty", 0o600, b""), ("newline", 0o600, b"\n"), ("long", 0o600, &long)]
    {
        let directory = file(name, mode, text);
        assert_eq!(code(&directory, b"").await, "LDAP-009", "{name}");
    }
    let missing = LdapDirectory { password_file: Some(folder.path().join("none")), ..file("x", 0o600, b"") };
    assert_eq!(code(&missing, b"").await, "LDAP-009");

    // The right one is sent as it is, without its newline, and never with a name alone.
    let heard = Arc::new(Mutex::new(Vec::new()));
    let says = message(1, 0x61, &result(49, "no"));
    let network = Arc::new(Scripted { says, pieces: 100, heard: Arc::clone(&heard) });
    let seams = Seams { network, ..Seams::system() };
    let error = certificates(&seams, &file("good", 0o640, b"himitsu\n"), "hanako@b.example").await.unwrap_err();
    assert_eq!(error.code(), "LDAP-006");
    assert!(error.to_string().contains("49 invalidCredentials"), "{error}");
    while heard.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*heard.lock().unwrap(), b"\x30\x1d\x02\x01\x01\x60\x18\x02\x01\x03\x04\x0acn=adapter\x80\x07himitsu");
}

#[test]
fn a_table_that_cannot_work_is_refused_with_the_reason() {
    let read = |text: &str| toml::from_str::<LdapDirectory>(text).map_err(|error| error.to_string());
    let good = "server = \"192.0.2.28:389\"\nbase = \"dc=b,dc=example\"\n";
    assert_eq!(read(good).unwrap().address_attribute, "mail");
    assert_eq!(read(&format!("{good}scope = \"one\"")).unwrap().scope, Scope::One);
    for (added, hint) in [
        ("scoop = \"one\"", "scoop"),
        ("scope = \"all\"", "subtree"),
        ("address_attribute = \"mail)(uid\"", "\"mail\""),
        ("certificate_attribute = \"userCertificate;binary\"", "without"),
        ("bind_dn = \"cn=adapter\"", "go together"),
        ("bind_dn = \"cn=adapter\"\npassword_file = \"/x\"", "starttls"),
        ("security = \"starttls\"", "tls_name"),
        ("tls_name = \"x\"", "mean nothing"),
        ("seconds = 0", "1 to 60"),
    ] {
        let error = read(&format!("{good}{added}")).unwrap_err();
        assert!(error.contains(hint), "{added}: {error}");
    }
}

proptest! {
    #[test]
    fn no_octets_make_the_reader_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = message::read(&octets);
        for value in message::values(&octets) {
            let _ = value;
        }
    }

    #[test]
    fn no_damage_makes_the_reader_panic(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut octets = [entry(1, "userCertificate;binary", &[b"one", b"two"]), done(1, 0)].concat();
        let at = at.index(octets.len());
        octets[at] = with;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        // Whatever comes of it: an answer, or a refusal with a code.
        if let Err(error) = runtime.block_on(hears(&directory(), &octets, 50)) {
            prop_assert!(error.code().starts_with("LDAP-"));
        }
    }
}
