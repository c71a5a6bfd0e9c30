//! Sealed mails, signed mails and receipts: the envelope, what is found inside, the signature and its attributes.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;
use sealfax_smime::{Hash, KeyError, PrivateKey, ReceiptTerms, Verification};
use zeroize::Zeroizing;

const RECIPIENT: &[u8] = include_bytes!("../../../adapter/smime/tests/fixtures/recipient.der");
const SENDER: &[u8] = include_bytes!("../../../adapter/smime/tests/fixtures/sender.der");
const ANCHOR: &[u8] = include_bytes!("../../../adapter/smime/tests/fixtures/anchor.der");

/// A card that gives its block back: whoever writes the mail chooses the content key.
struct Echo;

#[async_trait::async_trait]
impl PrivateKey for Echo {
    fn certificate(&self) -> &[u8] {
        RECIPIENT
    }
    async fn raw(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        Ok(Zeroizing::new(block.to_vec()))
    }
}

fuzz_target!(|mail: &[u8]| {
    let (anchors, known) = ([ANCHOR.to_vec()], [SENDER.to_vec()]);
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    if let Ok(decrypted) = runtime.map(|runtime| runtime.block_on(sealfax_smime::decrypt(mail, &Echo)))
        && let Ok(decrypted) = decrypted
    {
        let _ = decrypted.signer_hint();
        let _ = decrypted.verify(&Verification {
            anchors: &anchors,
            now,
            sender: "hanako@a.example",
            sender_certificates: &known,
            recipient: "ichiro@b.example",
            recipient_certificate: RECIPIENT,
            allow_unbound: true,
        });
    }
    for certificates in [None, Some(&known[..])] {
        let _ = sealfax_smime::verify_detached(mail, &anchors, now, certificates, "hanako@a.example");
    }
    let terms =
        ReceiptTerms { identifier: vec![1], signature: vec![2], attributes_digest: vec![3], hash: Hash::Sha256 };
    let _ = sealfax_smime::verify_receipt(mail, &terms, &anchors, now, None, "hanako@a.example");
});
