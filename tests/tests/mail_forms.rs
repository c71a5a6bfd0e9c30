//! Every form of mail as it really leaves the product: taken from the wires of running regions, never composed here.
//!
//! What differs from run to run is named by [`sealfax_tests::redact`]; everything else is held fast by snapshots.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rand_chacha::ChaCha20Rng;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, RsaPrivateKey};
use sealfax_drivers::display::ScreenKind;
use sealfax_rig::bench::people::{HANAKO, TARO};
use sealfax_rig::bench::region::{Plan, Region};
use sealfax_rig::events::{EventKind, EventLog};
use sealfax_rig::report::Verdict;
use sealfax_rig::scenario::stories::{confidential, note, receives, taro_sends};
use sealfax_rig::scenario::{Bench, BenchKind, runner};
use sealfax_smime::{KeyError, PrivateKey, Verification, decrypt, verify_detached};
use sealfax_tests::redact::Redactor;
use zeroize::Zeroizing;

/// A private key of the demo's `pki/` folder, in software where the card was.
struct DemoKey {
    certificate: Vec<u8>,
    key: RsaPrivateKey,
}

impl DemoKey {
    fn read(pki: &Path, name: &str) -> Self {
        let key = std::fs::read_to_string(pki.join(format!("{name}.key.pem"))).unwrap();
        Self { certificate: certificate(pki, name), key: RsaPrivateKey::from_pkcs8_pem(&key).unwrap() }
    }
}

#[async_trait]
impl PrivateKey for DemoKey {
    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    async fn raw(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let exponent = self.key.n().bits_precision();
        let number = BoxedUint::from_be_slice(block, exponent).unwrap();
        let result = rsa::hazmat::rsa_decrypt::<ChaCha20Rng>(None, &self.key, &number).unwrap();
        let octets = result.to_be_bytes();
        Ok(Zeroizing::new(octets[octets.len() - self.key.size()..].to_vec()))
    }
}

fn certificate(pki: &Path, name: &str) -> Vec<u8> {
    let pem = std::fs::read_to_string(pki.join(format!("{name}.pem"))).unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(base64).unwrap()
}

/// The demonstration's mails, in the order in which they were sent.
#[tokio::test(flavor = "multi_thread")]
async fn the_main_job() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_path_buf();
    let options = runner::Options { flat: true, ..runner::Options::new(out.clone()) };
    let report = runner::run(&[confidential::SCENARIO], &options, |_| {}).await;
    assert_eq!(report.verdict(), Verdict::Pass, "{:?}", report.results[0].why);

    let mail = |name: &str| std::fs::read(out.join("mail").join(name)).unwrap();
    let mut redactor = Redactor::default();
    let (submitted, sealed) = (mail("1-submitted.eml"), mail("2-sealed.eml"));
    insta::assert_snapshot!("1-submitted", redactor.mail(&submitted));
    insta::assert_snapshot!("2-sealed", redactor.mail(&sealed));

    let pki = out.join("pki");
    let opened = decrypt(&sealed, &DemoKey::read(&pki, "recipient")).await.unwrap();
    let hint = opened.signer_hint().unwrap();
    let encryption = opened.encryption();
    let signer = certificate(&pki, "sender");
    let anchors = [certificate(&pki, "anchor")];
    let opened = opened
        .verify(&Verification {
            anchors: &anchors,
            now: SystemTime::now(),
            sender: TARO.address,
            sender_certificates: std::slice::from_ref(&signer),
            recipient: HANAKO.address,
            recipient_certificate: &certificate(&pki, "recipient"),
            allow_unbound: false,
        })
        .unwrap();
    assert_eq!(opened.verdict.signer_certificate, signer);
    let restored = sealfax_adapter::header_protection::restore(&opened.content);
    assert_eq!(restored, submitted, "what was sealed is what the machine handed over, octet for octet");
    let structure = format!(
        "encryption: {encryption:?}\nsigner named by issuer and serial number: {}\nsigner's certificate sent along: {}\n\
        certificates sent along: {}\nsigning time: {}\nbound to its recipient: {}\ncontent:\n\n{}",
        hint.issuer_and_serial.is_some(),
        hint.certificate.as_ref() == Some(&signer),
        hint.certificates.len(),
        opened.verdict.signing_time.is_some(),
        opened.verdict.bound,
        redactor.mail(&opened.content),
    );
    insta::assert_snapshot!("2-sealed-inside", structure);

    insta::assert_snapshot!("3-notice", redactor.mail(&mail("3-notice.eml")));
    let printed = mail("4-opened.eml");
    insta::assert_snapshot!("4-opened", redactor.mail(&printed));

    let confirmation = mail("5-confirmation.eml");
    insta::assert_snapshot!("5-confirmation", redactor.mail(&confirmation));
    let signed = verify_detached(&confirmation, &anchors, SystemTime::now(), None, HANAKO.address).unwrap();
    assert_eq!(signed.signer_certificate, certificate(&pki, "recipient-signature"));
    insta::assert_snapshot!("5-confirmation-signed-part", redactor.mail(&signed.entity));
}

/// The two mails that the main job does not leave behind: the delivery report that the sender's machine prints, and the
/// error mail when the recipient's account is gone.
#[tokio::test(flavor = "multi_thread")]
async fn report_and_bounce() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(BenchKind::Sim, 1, folder.path().to_path_buf(), EventLog::new());
    let plan = Plan { people: vec![TARO, HANAKO], pictures: false, ..Plan::default() };
    let region = Region::start(&bench, plan).await.unwrap();
    let hanako = region.person(HANAKO).unwrap();
    let office_a = region.site('a').unwrap();
    let mut redactor = Redactor::default();

    taro_sends(&region, &[HANAKO.address], &note("A note.")).await.unwrap();
    region.site('b').unwrap().sees(ScreenKind::Arrived).await.unwrap();
    assert_eq!(receives(&region, 'b', &hanako).await.unwrap().len(), 1);
    office_a.sees(ScreenKind::Delivered).await.unwrap();
    let reports = office_a.receive().await.unwrap();
    assert_eq!(reports.len(), 1);
    insta::assert_snapshot!("6-delivery-report", redactor.mail(&reports[0].mail));

    // Her account is gone; her certificate is not, so the adapter seals and sends.
    region.mail_server('b').unwrap().accounts().remove(HANAKO.address).unwrap();
    let mark = region.log.mark();
    taro_sends(&region, &[HANAKO.address], &note("Another note.")).await.unwrap();
    let brought = |event: &sealfax_rig::events::Event| {
        event.host == "adapter-a" && matches!(&event.kind, EventKind::Failure { code } if *code == "SEND-004")
    };
    region.log.wait_after(mark, "adapter A takes the error mail", Duration::from_secs(20), brought).await.unwrap();
    let sent = region.sent_mails();
    let to_adapter = |mail: &&sealfax_rig::world::mails::SentMail| mail.from == "mail-a" && mail.to == "adapter-a";
    let bounce = &sent.iter().rfind(to_adapter).unwrap().octets;
    assert!(!String::from_utf8_lossy(bounce).contains("MIAG"), "nothing of the sealed content goes back");
    insta::assert_snapshot!("7-error-mail", redactor.mail(bounce));
}
