//! Finds a person's certificates by mail address (ST606, ST917, C7): RFC 4387, HTTP GET `?email=`, or LDAP, RFC 4523.
//!
//! The answer is not trusted further than that: each certificate must really carry the address, and the caller
//! validates its path and asks [`crate::ocsp`] about it.

use der::asn1::{Any, ObjectIdentifier};
use der::{Decode, Encode, Sequence};
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{KeyUsage, SubjectAltName};

use crate::http::{self, HttpError, Limits, Response, Server, percent_encode};
use crate::ldap::{self, LdapDirectory, LdapError};
use crate::seam::Seams;

/// Certificates in one answer.
const MAX_CERTIFICATES: usize = 32;
/// Octets of one mail address (RFC 5321 4.5.3.1.3, without the angle brackets).
const MAX_ADDRESS: usize = 254;

/// Where certificates are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Directory {
    /// A certificate store reached by HTTP (RFC 4387): our own certificate server, or another's.
    Rfc4387 {
        /// Where it is.
        server: Server,
        /// Path of the search: "/certificates/search.cgi" (RFC 4387 3.1).
        path: String,
    },
    /// A directory that the site already runs (RFC 4511, RFC 4523).
    Ldap(LdapDirectory),
}

impl Directory {
    /// Our own certificate server at `server`.
    pub fn new(server: Server) -> Self {
        Self::Rfc4387 { server, path: "/certificates/search.cgi".to_owned() }
    }
}

/// What a certificate is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Verifying this person's signatures.
    Sign,
    /// Encrypting to this person.
    Encrypt,
}

impl Use {
    /// As written in the query: `usage=sign`, `usage=encrypt`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Encrypt => "encrypt",
        }
    }

    /// Whether a certificate with this key usage (RFC 5280 4.2.1.3) serves.
    pub fn allowed_by(self, usage: KeyUsage) -> bool {
        match self {
            Self::Sign => usage.digital_signature() || usage.non_repudiation(),
            Self::Encrypt => usage.key_encipherment() || usage.key_agreement(),
        }
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The directory could not be asked.
    #[error("the certificate server could not be asked for the certificate of {address}")]
    Http {
        /// Whose certificate was wanted.
        address: String,
        /// What went wrong.
        #[source]
        source: HttpError,
    },
    /// The directory could not be asked by LDAP.
    #[error("the directory could not be asked for the certificate of {address}")]
    Ldap {
        /// Whose certificate was wanted.
        address: String,
        /// What went wrong.
        #[source]
        source: LdapError,
    },
    /// The directory has none.
    #[error("there is no certificate for {address}; check the address, or have a card issued to this person")]
    NotFound {
        /// Whose certificate was wanted.
        address: String,
    },
    /// A certificate came that belongs to somebody else.
    #[error(
        "the certificate server sent a certificate that is not for {address}; someone may be substituting certificates"
    )]
    OtherAddress {
        /// Whose certificate was wanted.
        address: String,
    },
    /// There are certificates of this person, and none of them may be used for what it is wanted for.
    #[error("no certificate of {address} has a key usage that serves; have a card issued whose certificates do")]
    WrongUse {
        /// Whose certificate was wanted.
        address: String,
    },
    /// What came is not what RFC 4387 allows, or no certificate at all.
    #[error("the certificate server's answer cannot be read ({0}); check that it serves RFC 4387, and what it holds")]
    Malformed(&'static str),
    /// Not a mail address that can be searched for.
    #[error("{0:?} is not a mail address; check what was entered on the panel")]
    BadAddress(String),
}

impl LookupError {
    /// Stable code for logs and screens; what LDAP has to say has its own.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Http { .. } => "LOOKUP-001",
            Self::Ldap { source, .. } => source.code(),
            Self::NotFound { .. } => "LOOKUP-002",
            Self::OtherAddress { .. } => "LOOKUP-003",
            Self::Malformed(_) => "LOOKUP-004",
            Self::BadAddress(_) => "LOOKUP-005",
            Self::WrongUse { .. } => "LOOKUP-006",
        }
    }

    /// Whether asking again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http { source, .. } => match source {
                HttpError::Status { status, .. } => *status >= 500,
                _ => true,
            },
            Self::Ldap { source, .. } => source.is_transient(),
            _ => false,
        }
    }
}

/// The certificates (DER) of `address` that serve `usage`; at least one.
pub async fn by_address(
    seams: &Seams,
    directory: &Directory,
    address: &str,
    usage: Use,
) -> Result<Vec<Vec<u8>>, LookupError> {
    if !is_address(address) {
        return Err(LookupError::BadAddress(address.chars().take(80).collect()));
    }
    let (any, fitting) = match directory {
        Directory::Rfc4387 { server, path } => {
            let found = ask(seams, server, path, address, usage).await?;
            (!found.is_empty(), fitting(found, address, usage)?)
        }
        Directory::Ldap(directory) => {
            let unasked = |source| LookupError::Ldap { address: address.to_owned(), source };
            let found = ldap::certificates(seams, directory, address).await.map_err(unasked)?;
            (!found.is_empty(), sifted(found, address, usage)?)
        }
    };
    match (fitting.is_empty(), any) {
        (false, _) => Ok(fitting),
        (true, true) => Err(LookupError::WrongUse { address: address.to_owned() }),
        (true, false) => Err(LookupError::NotFound { address: address.to_owned() }),
    }
}

/// Asks a certificate store by RFC 4387.
async fn ask(
    seams: &Seams,
    server: &Server,
    path: &str,
    address: &str,
    usage: Use,
) -> Result<Vec<Vec<u8>>, LookupError> {
    let unasked = |source| LookupError::Http { address: address.to_owned(), source };
    let path = format!("{path}?email={}&usage={}", percent_encode(address), usage.as_str());
    let response = http::get(
        seams.network.as_ref(),
        server,
        &path,
        "application/pkix-cert, multipart/mixed, application/pkcs7-mime",
        Limits::default(),
    )
    .await
    .map_err(unasked)?;
    if response.status == 404 {
        return Err(LookupError::NotFound { address: address.to_owned() });
    }
    certificates(&response.success().map_err(unasked)?)
}

/// Those that serve `usage`. A store by RFC 4387 answers for one address, so a certificate of another one is an alarm.
fn fitting(found: Vec<Vec<u8>>, address: &str, usage: Use) -> Result<Vec<Vec<u8>>, LookupError> {
    let mut fitting = Vec::new();
    for der in found {
        let certificate = Certificate::from_der(&der).map_err(|_| LookupError::Malformed("certificate"))?;
        if !carries(&certificate, address) {
            return Err(LookupError::OtherAddress { address: address.to_owned() });
        }
        if serves(&certificate, usage) {
            fitting.push(der);
        }
    }
    Ok(fitting)
}

/// Those that carry the address and serve `usage`, newest first. The entry of a person may hold what has gathered over
/// the years, and certificates for their other addresses, in no order: what does not fit is passed over, and is an
/// alarm only if nothing carries the address.
fn sifted(found: Vec<Vec<u8>>, address: &str, usage: Use) -> Result<Vec<Vec<u8>>, LookupError> {
    let (mut unreadable, mut others, mut ours) = (false, false, Vec::new());
    for der in found {
        match Certificate::from_der(&der) {
            Err(_) => unreadable = true,
            Ok(certificate) if !carries(&certificate, address) => others = true,
            Ok(certificate) => ours.push((certificate, der)),
        }
    }
    if ours.is_empty() && others {
        return Err(LookupError::OtherAddress { address: address.to_owned() });
    }
    if ours.is_empty() && unreadable {
        return Err(LookupError::Malformed("certificate"));
    }
    ours.retain(|(certificate, _)| serves(certificate, usage));
    ours.sort_by_key(|(certificate, _)| {
        std::cmp::Reverse(certificate.tbs_certificate().validity().not_before.to_unix_duration())
    });
    Ok(ours.into_iter().map(|(_, der)| der).collect())
}

fn carries(certificate: &Certificate, address: &str) -> bool {
    addresses(certificate).iter().any(|carried| same_address(carried, address))
}

/// Whether the certificate's key may be used so.
fn serves(certificate: &Certificate, usage: Use) -> bool {
    match certificate.tbs_certificate().get_extension::<KeyUsage>() {
        Ok(Some((_, key_usage))) => usage.allowed_by(key_usage),
        // RFC 8550 4.4.2: without the extension any use is allowed.
        Ok(None) => true,
        Err(_) => false,
    }
}

/// The mail addresses that a certificate carries as rfc822Name (RFC 8550 3).
pub fn addresses(certificate: &Certificate) -> Vec<String> {
    match certificate.tbs_certificate().get_extension::<SubjectAltName>() {
        Ok(Some((_, names))) => names
            .0
            .iter()
            .filter_map(|name| match name {
                GeneralName::Rfc822Name(address) => Some(address.to_string()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether two addresses are the same: domains compare without case, local parts with (RFC 5280 7.5).
pub fn same_address(one: &str, other: &str) -> bool {
    match (one.rsplit_once('@'), other.rsplit_once('@')) {
        (Some((local, domain)), Some((other_local, other_domain))) => {
            local == other_local && domain.eq_ignore_ascii_case(other_domain)
        }
        _ => false,
    }
}

/// Whether `address` is something to search for: printable ASCII with a local part and a domain, of bounded length.
pub fn is_address(address: &str) -> bool {
    address.len() <= MAX_ADDRESS
        && address.bytes().all(|octet| octet.is_ascii_graphic())
        && matches!(address.rsplit_once('@'), Some((local, domain)) if !local.is_empty() && !domain.is_empty())
}

/// The certificates in an answer: one as `application/pkix-cert`, several as `multipart/mixed` of those (RFC 4387
/// 2), or a certs-only `application/pkcs7-mime` as many directories send.
pub fn certificates(response: &Response) -> Result<Vec<Vec<u8>>, LookupError> {
    match response.media_type().as_str() {
        "application/pkix-cert" => Ok(vec![response.body.to_vec()]),
        "application/pkcs7-mime" | "application/x-pkcs7-certificates" => certs_only(&response.body),
        "multipart/mixed" => {
            let boundary =
                response.content_type.as_deref().and_then(boundary).ok_or(LookupError::Malformed("no boundary"))?;
            multipart(&response.body, &boundary)
        }
        _ => Err(LookupError::Malformed("content type")),
    }
}

/// ContentInfo and SignedData (RFC 5652 5.1) as far as certs-only needs them.
#[derive(Sequence)]
struct ContentInfo {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: SignedData,
}

#[derive(Sequence)]
struct SignedData {
    version: u8,
    digest_algorithms: Any,
    encap_content_info: Any,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    certificates: Option<der::asn1::SetOfVec<Any>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    crls: Option<der::asn1::SetOfVec<Any>>,
    signer_infos: Any,
}

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

fn certs_only(body: &[u8]) -> Result<Vec<Vec<u8>>, LookupError> {
    let unreadable = |_| LookupError::Malformed("certs-only");
    let info = ContentInfo::from_der(body).map_err(unreadable)?;
    if info.content_type != SIGNED_DATA {
        return Err(LookupError::Malformed("certs-only"));
    }
    let set = info.content.certificates.unwrap_or_default();
    if set.len() > MAX_CERTIFICATES {
        return Err(LookupError::Malformed("too many certificates"));
    }
    set.iter().map(|certificate| certificate.to_der().map_err(unreadable)).collect()
}

/// The boundary parameter of a Content-Type.
fn boundary(content_type: &str) -> Option<String> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        let wanted = name.trim().eq_ignore_ascii_case("boundary");
        (wanted && (1..=70).contains(&value.len())).then(|| value.to_owned())
    })
}

/// The binary bodies of a multipart (RFC 2046 5.1) over HTTP, where lengths are not lines.
fn multipart(body: &[u8], boundary: &str) -> Result<Vec<Vec<u8>>, LookupError> {
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may stand at the very beginning.
    let body = [b"\r\n", body].concat();
    let mut found = Vec::new();
    let mut rest = body.as_slice();
    let mut started = false;
    while let Some(at) = find(rest, delimiter.as_bytes()) {
        let (part, after) = rest.split_at(at);
        if started {
            if found.len() == MAX_CERTIFICATES {
                return Err(LookupError::Malformed("too many certificates"));
            }
            found.push(part_body(part)?);
        }
        rest = after.get(delimiter.len()..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return Ok(found);
        }
        started = true;
    }
    Err(LookupError::Malformed("multipart without end"))
}

fn part_body(part: &[u8]) -> Result<Vec<u8>, LookupError> {
    let end = find(part, b"\r\n\r\n").ok_or(LookupError::Malformed("part without header"))?;
    let (header, body) = part.split_at(end);
    let header = String::from_utf8_lossy(header).to_ascii_lowercase();
    let body = body.get(4..).unwrap_or_default();
    if !header.contains("application/pkix-cert") {
        return Err(LookupError::Malformed("part of another type"));
    }
    if header.contains("base64") {
        let text: Vec<u8> = body.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
        return base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text)
            .map_err(|_| LookupError::Malformed("base64"));
    }
    Ok(body.to_vec())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
