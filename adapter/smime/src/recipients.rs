//! The signed attribute recipient-emails (1.2.276.0.76.4.173), which ends surreptitious forwarding: what was signed
//! says for whom it was sealed, so a recipient cannot seal it anew for someone else.
//!
//! ```text
//! RecipientEmails ::= SET SIZE (1..MAX) OF RecipientEmail
//! RecipientEmail  ::= SEQUENCE { emailAddress IA5String, rid IssuerAndSerialNumber }
//! ```

use crate::asn1::{self, Malformed, Value, tag};
use crate::bounds;
use crate::path::Fields;
use crate::same_address;

/// The attribute's value.
pub(crate) fn encode<'a>(recipients: impl Iterator<Item = (&'a str, Fields<'a>)>) -> Vec<u8> {
    let entries = recipients
        .map(|(address, certificate)| {
            asn1::sequence(&[asn1::value(tag::IA5_STRING, &[address.as_bytes()]), certificate.issuer_and_serial()])
        })
        .collect();
    asn1::set_of(tag::SET, entries)
}

/// Does the attribute name this address with this certificate?
pub(crate) fn names(attribute: &Value<'_>, address: &str, certificate: &Fields<'_>) -> Result<bool, Malformed> {
    if attribute.tag != tag::SET {
        return Err(Malformed);
    }
    let mut found = false;
    for entry in attribute.reader().all(bounds::RECIPIENTS)? {
        let mut entry = asn1::single(entry.whole, tag::SEQUENCE)?.reader();
        let email = entry.expect(tag::IA5_STRING)?.content;
        let rid = entry.expect(tag::SEQUENCE)?.whole;
        entry.end()?;
        let email = core::str::from_utf8(email).map_err(|_| Malformed)?;
        found |= same_address(email, address) && certificate.is_named_by(rid);
    }
    Ok(found)
}
