//! ST922, C9: the confirmation as a mail: a disposition notification (RFC 8098) that names the mail and the digest of
//! its content, and encloses the signed receipt (RFC 2634) that its sender asked for, inside multipart/signed by the recipient's
//! card.

use base64::Engine as _;
use sealfax_ifax::address::Address;
use sealfax_ifax::header::format_date;
use sealfax_ifax::mdn;
use sealfax_smime::Signing;

use crate::card::CardKey;
use crate::flow::Owner;
use crate::ledger::Handed;
use crate::office::Office;
use crate::outer;

/// Makes and signs it. The error is for the journal.
pub(crate) async fn signed(office: &Office, handed: &Handed, owner: &Owner, key: &CardKey) -> Result<String, String> {
    let recipient = Address::parse(&owner.address).map_err(|error| error.to_string())?;
    let now = office.seams.clock.now();
    let signing = Signing { key, chain: office.trust.intermediates(), signing_time: now };
    // Where the PIN is typed for every signature, nobody types it twice for one page: the notification says it all.
    let enclosed = match handed.receipt.as_ref().filter(|_| !key.asks_each_time()) {
        Some(terms) => {
            let receipt = sealfax_smime::sign_receipt(terms, &signing).await.map_err(|error| error.to_string())?;
            Some(receipt)
        }
        None => None,
    };
    let mdn = mdn::Mdn {
        reporting_ua: format!("{}; Sealfax", office.host()),
        original_recipient: Some(recipient.clone()),
        final_recipient: recipient.clone(),
        original_message_id: handed.message_id.trim_matches(['<', '>']).to_owned(),
        disposition: mdn::Disposition::printed(),
        received_content_mic: Some(mdn::ContentMic {
            digest: base64_of_hex(&handed.content_digest),
            algorithm: "sha-256".into(),
        }),
        extensions: Vec::new(),
        enclosed,
        text: mdn::human_text(&recipient, &format_date(now)),
        boundary: format!("=_{}", office.seams.entropy.token()),
    };
    let entity = mdn::compose(&mdn).map_err(|error| error.to_string())?;
    let signed = sealfax_smime::sign_detached(&entity, &signing).await.map_err(|error| error.to_string())?;
    String::from_utf8(outer::confirmation_mail(owner, handed, office, &signed))
        .map_err(|_| "the confirmation is not text".to_owned())
}

fn base64_of_hex(hex: &str) -> String {
    let octets: Vec<u8> = (0..hex.len() / 2)
        .filter_map(|index| hex.get(index * 2..index * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    base64::engine::general_purpose::STANDARD.encode(octets)
}
