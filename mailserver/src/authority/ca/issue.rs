//! Issuing certificates: to people by their cards' keys, to servers and adapters (RFC 5280 4, RFC 8550 4.4).

use std::time::Duration;

use bytes::Bytes;
use der::asn1::Ia5String;
use der::{Decode, Encode};
use sealfax_client::lookup::{Use, is_address};
use serde_json::json;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::ext::pkix::name::GeneralName;

use super::{Authority, BACKDATE, hex, serial};
use crate::authority::index::{Index, Issued, Purpose, Standing};
use crate::authority::profile::{Kind, Plan, Pointers, build, name};
use crate::authority::request::{check_key, public_key};
use crate::authority::{AuthorityError, skim};

/// A certificate wanted for one key on a person's card.
#[derive(Debug, Clone)]
pub struct PersonRequest {
    /// The person's name, as it will stand in the certificate.
    pub name: String,
    /// The person's mail address.
    pub address: String,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// What the key is for.
    pub usage: Use,
    /// How long the certificate is to be valid, from now.
    pub validity: Duration,
    /// Where validity can be asked, if that is to stand in the certificate.
    pub ocsp_url: Option<String>,
}

/// A certificate wanted by a card that proves possession of its key.
#[derive(Debug, Clone)]
pub struct CardRequest {
    /// The certification request (RFC 2986), PEM.
    pub request: Vec<u8>,
    /// The person's name, as it will stand in the certificate.
    pub name: String,
    /// The person's mail address.
    pub address: String,
    /// What the key is for.
    pub usage: Use,
    /// How long the certificate is to be valid, from now.
    pub validity: Duration,
    /// Whether this key may take the place of another one that still has a valid certificate.
    pub replace: bool,
}

/// A TLS certificate wanted for a server or an adapter.
#[derive(Debug, Clone)]
pub struct EndpointRequest {
    /// DNS names and IP addresses; the first one is its name.
    pub names: Vec<String>,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// Whether it is for an adapter, which is also a client.
    pub device: bool,
    /// How long the certificate is to be valid, from now.
    pub validity: Duration,
}

/// A certificate that was issued on a request.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The certificate, DER.
    pub certificate: Bytes,
    /// Its serial number, lower-case hexadecimal.
    pub serial: String,
    /// Older certificates of the same person and use that still count.
    pub still_valid: Vec<String>,
}

impl Authority {
    /// Issues a certificate (DER). It is in the index, durably, before this returns.
    pub fn issue_person(&self, request: &PersonRequest) -> Result<Vec<u8>, AuthorityError> {
        let mut made = Vec::new();
        self.issue_people(std::slice::from_ref(request), |certificate| made = certificate.to_vec())?;
        Ok(made)
    }

    /// Issues a certificate for each of `requests`, all or none, and hands each (DER) to `take`. One write for all of
    /// them: this is how a whole register is brought in.
    pub fn issue_people(&self, requests: &[PersonRequest], mut take: impl FnMut(&[u8])) -> Result<(), AuthorityError> {
        let mut all = Vec::with_capacity(requests.len());
        for request in requests {
            let key = SubjectPublicKeyInfoOwned::from_der(&request.public_key)
                .map_err(|_| AuthorityError::BadRequest("the public key cannot be read"))?;
            let pointers = Pointers { ocsp: request.ocsp_url.as_deref(), ..self.pointers() };
            all.push(self.person(&request.address, &request.name, request.usage, request.validity, key, pointers)?);
        }
        let what = match all.as_slice() {
            [one] => described(one),
            many => json!({ "certificates": many.len() }),
        };
        let certificates: Vec<Bytes> = all.iter().map(|issued| issued.certificate.clone()).collect();
        self.enter("issue", what, all)?;
        certificates.iter().for_each(|certificate| take(certificate));
        Ok(())
    }

    /// Issues a certificate on a card's request: the key is the request's, everything else is the caller's word.
    pub fn sign_request(&self, request: &CardRequest) -> Result<Signed, AuthorityError> {
        let key = public_key(&request.request)?;
        let spki = key.to_der()?;
        let issued =
            self.person(&request.address, &request.name, request.usage, request.validity, key, self.pointers())?;
        let signed = (issued.certificate.clone(), issued.serial.clone());
        let now = self.clock.now();
        let mut still_valid = Vec::new();
        self.enter_if("issue", described(&issued), |index| {
            let others = index
                .by_address(&request.address)
                .filter(|entry| entry.purpose == Purpose::from(request.usage) && entry.counts_at(now));
            for other in others {
                let same_key = skim::skim(&other.certificate).is_ok_and(|parts| parts.public_key == spki.as_slice());
                if !same_key && !request.replace {
                    return Err(AuthorityError::AlreadyIssued {
                        address: request.address.clone(),
                        serial: other.serial.hex(),
                    });
                }
                still_valid.push(other.serial.hex());
            }
            Ok(vec![issued])
        })?;
        Ok(Signed { certificate: signed.0, serial: signed.1, still_valid })
    }

    /// Issues a TLS certificate for a server or an adapter.
    pub fn issue_endpoint(&self, request: &EndpointRequest) -> Result<Signed, AuthorityError> {
        let key = SubjectPublicKeyInfoOwned::from_der(&request.public_key)
            .map_err(|_| AuthorityError::BadRequest("the public key cannot be read"))?;
        let names = request.names.iter().map(|name| general_name(name)).collect::<Result<Vec<_>, _>>()?;
        let first = request.names.first().ok_or(AuthorityError::BadRequest("a name is needed"))?;
        if first.len() > 64 || request.names.len() > 32 {
            return Err(AuthorityError::BadRequest("the first name must have at most 64 octets, and there may be 32"));
        }
        let (kind, purpose) = if request.device {
            (Kind::Device { names: &names }, Purpose::Device)
        } else {
            (Kind::Server { names: &names }, Purpose::Server)
        };
        let issued = self.certify(kind, purpose, first, first, request.validity, key, self.pointers())?;
        let signed =
            Signed { certificate: issued.certificate.clone(), serial: issued.serial.clone(), still_valid: Vec::new() };
        self.enter("issue", described(&issued), vec![issued])?;
        Ok(signed)
    }

    /// The public key of the request in `pem`, SubjectPublicKeyInfo in DER, if the request proves that its sender
    /// holds the private one.
    pub fn requested_key(pem: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        Ok(public_key(pem)?.to_der()?)
    }

    fn person(
        &self,
        address: &str,
        person: &str,
        usage: Use,
        validity: Duration,
        key: SubjectPublicKeyInfoOwned,
        pointers: Pointers<'_>,
    ) -> Result<Issued, AuthorityError> {
        if !is_address(address) {
            return Err(AuthorityError::BadRequest("this is not a mail address"));
        }
        let printable = !person.chars().any(char::is_control);
        if !printable || person.is_empty() || person.len() > 64 {
            return Err(AuthorityError::BadRequest("the name must have 1 to 64 printable octets"));
        }
        self.certify(Kind::Person { address, usage }, usage.into(), address, person, validity, key, pointers)
    }

    #[allow(clippy::too_many_arguments)]
    fn certify(
        &self,
        kind: Kind<'_>,
        purpose: Purpose,
        address: &str,
        called: &str,
        validity: Duration,
        key: SubjectPublicKeyInfoOwned,
        pointers: Pointers<'_>,
    ) -> Result<Issued, AuthorityError> {
        check_key(&key)?;
        let now = self.clock.now();
        let last = self.issuing.tbs_certificate().validity().not_after;
        let (not_before, not_after) = (now - BACKDATE, now + validity);
        if not_after > last.to_system_time() {
            return Err(AuthorityError::BadRequest(
                "it would outlive the authority's own certificate; ask for a shorter validity",
            ));
        }
        let serial = serial(self.entropy.as_ref())?;
        let number = hex(serial.as_bytes());
        let plan =
            Plan { kind, pointers, serial, subject: name(&self.organization, called)?, key, not_before, not_after };
        let certificate = build(plan, Some(&self.issuing), self.issuing_key()?)?.to_der()?;
        Ok(Issued {
            serial: number,
            address: address.to_owned(),
            name: called.to_owned(),
            purpose,
            not_before,
            not_after,
            certificate: certificate.into(),
            standing: Standing::Good,
        })
    }

    fn enter(&self, act: &str, what: serde_json::Value, all: Vec<Issued>) -> Result<(), AuthorityError> {
        self.enter_if(act, what, |_| Ok(all))
    }

    fn enter_if(
        &self,
        act: &str,
        what: serde_json::Value,
        make: impl FnOnce(&Index) -> Result<Vec<Issued>, AuthorityError>,
    ) -> Result<(), AuthorityError> {
        self.store.issue(self.issuing_key()?, |index| {
            let all = make(index)?;
            self.audit.record(act, what, Some(index.lines()), self.clock.now())?;
            Ok(all)
        })
    }
}

/// A name of a server: an IP address, or a host name in letters, digits, hyphens and dots, perhaps with a wildcard.
fn general_name(text: &str) -> Result<GeneralName, AuthorityError> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(address.into());
    }
    let host = text.strip_prefix("*.").unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(AuthorityError::BadRequest("a name must be a host name or an IP address"));
    }
    Ok(GeneralName::DnsName(Ia5String::new(text)?))
}

fn described(issued: &Issued) -> serde_json::Value {
    json!({
        "serial": issued.serial,
        "use": issued.purpose.as_str(),
        "address": issued.address,
        "name": issued.name,
        "until": sealfax_client::history::time_text(issued.not_after),
    })
}
