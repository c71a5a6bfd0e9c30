//! `cargo rig bench sealing`: sealing and opening beside OpenSSL's CMS, each in its own process, the same keys, text and forms,
//! without the private-key operation, which in the field is the card's.

mod memory;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, RsaPrivateKey};
use rustix::time::{ClockId, clock_gettime};
use sealfax_smime::{KeyError, PrivateKey, Recipient, Signing, Verification};
use std::sync::Mutex;
use x509_cert::der::DecodePem as _;
use x509_cert::der::Encode as _;
use zeroize::Zeroizing;

use super::{BenchError, Benchmark, Options, Progress, Row};
use crate::peer::process::find;

/// This benchmark.
pub(super) const BENCHMARK: Benchmark =
    Benchmark { name: "sealing", title: "Mails sealed and opened, beside OpenSSL's CMS in process", run };

const OPENSSL: &str = "OpenSSL";
const HELPER: &str = include_str!("openssl_cms.c");
const SENDER: &str = "hanako@a.example";
const RECIPIENT: &str = "ichiro@b.example";

fn run(options: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    let world = World::new(progress)?;
    progress.at("20 MB, from file to file");
    let mut rows = memory::rows(&world)?;
    for (size, name) in [(100 << 10, "100 KiB"), (5 << 20, "5 MiB")] {
        let mut content = Vec::new();
        write_mail(&mut content, size).map_err(BenchError::broken)?;
        std::fs::write(world.path("content.eml"), &content).map_err(BenchError::broken)?;
        let mut best = [f64::INFINITY; 6];
        for round in 1..=options.rounds {
            progress.at(format!("{name}, round {round} of {}", options.rounds));
            let measured = [
                world.ours(&content, true, options.seconds)?,
                world.theirs("seal", "gcm", options.seconds)?.micros,
                world.ours(&content, false, options.seconds)?,
                world.theirs("open", "gcm", options.seconds)?.micros,
                // Theirs is sealed for both to open.
                {
                    world.theirs("seal", "3des", 0.0)?;
                    world.opened_by_us(&content, options.seconds)?
                },
                world.theirs("open", "3des", options.seconds)?.micros,
            ];
            for (best, measured) in best.iter_mut().zip(measured) {
                *best = best.min(measured);
            }
        }
        let [our_seal, their_seal, our_open, their_open, our_old, their_old] = best;
        let row = |what: &str, ours, theirs| {
            Row::less(&format!("{what}, {name}: processor time without the private key"), "us", ours, OPENSSL, theirs)
        };
        rows.push(row("Sealed, AES-256-GCM", our_seal, their_seal).at_least(2.0));
        rows.push(row("Opened, AES-256-GCM", our_open, their_open).at_least(2.0));
        rows.push(row("Opened, triple DES", our_old, their_old));
    }
    Ok(rows)
}

/// A document of this many octets and a little more, as a fax machine hands it over.
fn write_mail(out: &mut impl Write, size: usize) -> std::io::Result<()> {
    write!(out, "From: {SENDER}\r\nTo: {RECIPIENT}\r\nSubject: offer\r\nMIME-Version: 1.0\r\n")?;
    out.write_all(b"Content-Type: image/tiff\r\nContent-Transfer-Encoding: base64\r\n\r\n")?;
    let mut number = 1u32;
    for _ in 0..size.div_ceil(78) {
        let line: [u8; 76] = std::array::from_fn(|_| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[(number >> 26) as usize & 63]
        });
        out.write_all(&line)?;
        out.write_all(b"\r\n")?;
    }
    Ok(())
}

/// What the peer needed.
struct Theirs {
    micros: f64,
    /// Resident at most, above what was before the first, KiB.
    kib: f64,
}

/// Processor time of this thread.
fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// A key in software that says how long it took.
struct TimedKey {
    certificate: Vec<u8>,
    key: RsaPrivateKey,
    spent: Mutex<Duration>,
}

impl TimedKey {
    fn spent(&self) -> Duration {
        self.spent.lock().map(|spent| *spent).unwrap_or_default()
    }
}

#[async_trait]
impl PrivateKey for TimedKey {
    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    async fn raw(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let begin = cpu();
        let failed = |error: &dyn std::fmt::Display| KeyError::Failed(error.to_string());
        let number = BoxedUint::from_be_slice(block, self.key.n_bits_precision()).map_err(|error| failed(&error))?;
        let result = rsa::hazmat::rsa_decrypt_and_check::<ChaCha20Rng>(&self.key, None, &number);
        let octets = result.map_err(|error| failed(&error))?.to_be_bytes().into_vec();
        if let Ok(mut spent) = self.spent.lock() {
            *spent += cpu().saturating_sub(begin);
        }
        Ok(Zeroizing::new(octets))
    }
}

struct World {
    folder: tempfile::TempDir,
    helper: PathBuf,
    sender: TimedKey,
    recipient: TimedKey,
    anchors: Vec<Vec<u8>>,
    now: SystemTime,
}

impl World {
    fn new(progress: &Progress) -> Result<Self, BenchError> {
        progress.at("keys, certificates, and the peer");
        find("openssl", "openssl")?;
        find("cc", "gcc")?;
        let folder = tempfile::tempdir().map_err(BenchError::broken)?;
        let source = folder.path().join("openssl_cms.c");
        std::fs::write(&source, HELPER).map_err(BenchError::broken)?;
        let helper = folder.path().join("openssl_cms");
        let mut cc = Command::new("cc");
        cc.arg("-O2").arg("-o").arg(&helper).arg(&source).arg("-lcrypto");
        said(cc, "cc (it needs libssl-dev)")?;
        for line in [
            "req -x509 -newkey rsa:2048 -nodes -keyout anchor.key -out anchor.pem -days 30 -subj /CN=anchor",
            "req -newkey rsa:2048 -nodes -keyout sender.key -out sender.csr -subj /CN=Hanako",
            "req -newkey rsa:2048 -nodes -keyout recipient.key -out recipient.csr -subj /CN=Ichiro",
        ] {
            openssl(folder.path(), line)?;
        }
        for (name, address, usage) in
            [("sender", SENDER, "digitalSignature"), ("recipient", RECIPIENT, "keyEncipherment")]
        {
            let extensions = format!(
                "subjectAltName=email:{address}\nkeyUsage=critical,{usage}\nextendedKeyUsage=emailProtection\n"
            );
            std::fs::write(folder.path().join(format!("{name}.ext")), extensions).map_err(BenchError::broken)?;
            let line = format!(
                "x509 -req -in {name}.csr -CA anchor.pem -CAkey anchor.key -days 30 -extfile {name}.ext -out {name}.pem"
            );
            openssl(folder.path(), &line)?;
        }
        let key = |name: &str| {
            let pem = std::fs::read_to_string(folder.path().join(format!("{name}.key"))).map_err(BenchError::broken)?;
            let key = RsaPrivateKey::from_pkcs8_pem(&pem).map_err(BenchError::broken)?;
            Ok::<_, BenchError>(TimedKey {
                certificate: certificate(folder.path(), name)?,
                key,
                spent: Mutex::default(),
            })
        };
        let (sender, recipient) = (key("sender")?, key("recipient")?);
        let anchors = vec![certificate(folder.path(), "anchor")?];
        let now = SystemTime::now() + Duration::from_secs(60);
        Ok(Self { helper, sender, recipient, anchors, now, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn theirs(&self, what: &str, cipher: &str, seconds: f64) -> Result<Theirs, BenchError> {
        let mut command = Command::new(&self.helper);
        command.arg(self.folder.path()).args([what, cipher]);
        command.arg(self.path("content.eml")).arg(self.path("sealed.eml")).arg(seconds.to_string());
        let text = said(command, "the peer")?;
        let figures: Vec<f64> = text.split(' ').filter_map(|figure| figure.parse().ok()).collect();
        match figures.as_slice() {
            [micros, kib] => Ok(Theirs { micros: *micros, kib: *kib }),
            _ => Err(BenchError::broken(text)),
        }
    }

    fn verification<'a>(&'a self, known: &'a [Vec<u8>]) -> Verification<'a> {
        Verification {
            anchors: &self.anchors,
            now: self.now,
            sender: SENDER,
            sender_certificates: known,
            recipient: RECIPIENT,
            recipient_certificate: &self.recipient.certificate,
            allow_unbound: false,
        }
    }

    /// Sealed, or opened what the peer sealed.
    fn ours(&self, content: &[u8], sealing: bool, seconds: f64) -> Result<f64, BenchError> {
        if sealing { self.sealed_by_us(content, seconds) } else { self.opened_by_us(content, seconds) }
    }

    fn sealed_by_us(&self, content: &[u8], seconds: f64) -> Result<f64, BenchError> {
        let signing = Signing { key: &self.sender, chain: &[], signing_time: self.now };
        let recipients = [Recipient { address: RECIPIENT.to_owned(), certificate: self.recipient.certificate.clone() }];
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        self.measured(&self.sender, seconds, async || {
            let sealed = sealfax_smime::seal(content, &signing, &recipients, &mut rng).await;
            sealed.map(drop).map_err(BenchError::broken)
        })
    }

    fn opened_by_us(&self, content: &[u8], seconds: f64) -> Result<f64, BenchError> {
        let sealed = std::fs::read(self.path("sealed.eml")).map_err(BenchError::broken)?;
        let known = [self.sender.certificate.clone()];
        let against = self.verification(&known);
        self.measured(&self.recipient, seconds, async || {
            let decrypted = sealfax_smime::decrypt(&sealed, &self.recipient).await.map_err(BenchError::broken)?;
            let opened = decrypted.verify(&against).map_err(BenchError::broken)?;
            if opened.content.as_slice() == content { Ok(()) } else { Err(BenchError::broken("another content")) }
        })
    }

    /// Microseconds of one, of this thread, without those of the key.
    fn measured(
        &self,
        key: &TimedKey,
        seconds: f64,
        mut work: impl AsyncFnMut() -> Result<(), BenchError>,
    ) -> Result<f64, BenchError> {
        let (begin, before, mut done) = (cpu(), key.spent(), 0u32);
        let runtime = tokio::runtime::Handle::current();
        while done == 0 || (cpu() - begin).as_secs_f64() < seconds {
            runtime.block_on(work())?;
            done += 1;
        }
        let own = (cpu() - begin).saturating_sub(key.spent() - before);
        Ok(own.as_secs_f64() * 1e6 / f64::from(done))
    }
}

fn certificate(folder: &Path, name: &str) -> Result<Vec<u8>, BenchError> {
    let pem = std::fs::read(folder.join(format!("{name}.pem"))).map_err(BenchError::broken)?;
    let read = x509_cert::Certificate::from_pem(&pem).map_err(BenchError::broken)?;
    read.to_der().map_err(BenchError::broken)
}

fn openssl(folder: &Path, line: &str) -> Result<(), BenchError> {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(line.split(' '));
    said(command, "openssl").map(drop)
}

fn said(mut command: Command, who: &str) -> Result<String, BenchError> {
    let output = command.output().map_err(BenchError::broken)?;
    if !output.status.success() {
        return Err(BenchError::broken(format!("{who}: {}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
