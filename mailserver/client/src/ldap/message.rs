//! The messages of LDAP that a look-up needs (RFC 4511 4.1.1): bind, search, unbind and StartTLS one way, their answers
//! the other. Octets in, octets out; no socket.

use super::ber::{BOOLEAN, ENUMERATED, INTEGER, OCTET_STRING, Reader, SEQUENCE, SET, put, put_number};
use super::filter::Equality;

/// LDAPv3.
const VERSION: u32 = 3;
/// BindRequest [APPLICATION 0].
const BIND_REQUEST: u8 = 0x60;
/// simple [0] in AuthenticationChoice.
const SIMPLE: u8 = 0x80;
/// UnbindRequest [APPLICATION 2] NULL.
const UNBIND_REQUEST: u8 = 0x42;
/// SearchRequest [APPLICATION 3].
const SEARCH_REQUEST: u8 = 0x63;
/// ExtendedRequest [APPLICATION 23] with requestName [0].
const EXTENDED_REQUEST: u8 = 0x77;
const REQUEST_NAME: u8 = 0x80;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH_RESULT_ENTRY: u8 = 0x64;
const SEARCH_RESULT_DONE: u8 = 0x65;
const SEARCH_RESULT_REFERENCE: u8 = 0x73;
const EXTENDED_RESPONSE: u8 = 0x78;
const INTERMEDIATE_RESPONSE: u8 = 0x79;
/// The transfer option of RFC 4522, which RFC 4523 2.1 wants for certificates.
const BINARY: &str = ";binary";
/// StartTLS (RFC 4511 4.14.1).
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

/// Which entries below the base are searched (RFC 4511 4.5.1.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The base alone.
    Base,
    /// What stands directly below it.
    One,
    /// It and everything below.
    #[default]
    Subtree,
}

/// How a conversation with a server went on (RFC 4511 4.1.9, appendix A).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LdapResult {
    /// resultCode.
    pub(super) code: u32,
    /// diagnosticMessage, cut to a line for people.
    pub(super) text: String,
}

/// success.
pub(super) const SUCCESS: u32 = 0;
/// sizeLimitExceeded.
pub(super) const SIZE_LIMIT_EXCEEDED: u32 = 4;
/// referral.
pub(super) const REFERRAL: u32 = 10;

/// Attribute descriptions, each with the contents of the SET of its values.
type Attributes<'a> = Vec<(&'a [u8], &'a [u8])>;

/// What a server sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    /// BindResponse.
    Bound(LdapResult),
    /// SearchResultEntry.
    Entry(Attributes<'a>),
    /// SearchResultReference: look elsewhere.
    Reference,
    /// SearchResultDone.
    Done(LdapResult),
    /// ExtendedResponse: to StartTLS, or the server's own Notice of Disconnection.
    Extended(LdapResult),
    /// IntermediateResponse: nothing that we asked for.
    Intermediate,
}

/// A message with its number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) id: u32,
    pub(super) operation: Operation<'a>,
}

fn message(id: u32, tag: u8, operation: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(operation.len() + 16);
    put_number(&mut content, INTEGER, id);
    put(&mut content, tag, operation);
    let mut octets = Vec::with_capacity(content.len() + 8);
    put(&mut octets, SEQUENCE, &content);
    octets
}

/// A simple bind (RFC 4511 4.2).
pub(super) fn bind(id: u32, name: &str, password: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
    // Room for everything at once: a vector that grows would leave copies of the password behind.
    let mut operation = zeroize::Zeroizing::new(Vec::with_capacity(name.len() + password.len() + 32));
    put_number(&mut operation, INTEGER, VERSION);
    put(&mut operation, OCTET_STRING, name.as_bytes());
    put(&mut operation, SIMPLE, password);
    let mut content = zeroize::Zeroizing::new(Vec::with_capacity(operation.len() + 16));
    put_number(&mut content, INTEGER, id);
    put(&mut content, BIND_REQUEST, &operation);
    let mut octets = zeroize::Zeroizing::new(Vec::with_capacity(content.len() + 16));
    put(&mut octets, SEQUENCE, &content);
    octets
}

/// What is searched for.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// Where the search begins, a distinguished name.
    pub base: &'a str,
    /// How deep it goes.
    pub scope: Scope,
    /// What must hold of an entry.
    pub filter: Equality<'a>,
    /// The attribute that is wanted, without the option `binary`, with which it is asked for.
    pub attribute: &'a str,
    /// Most entries.
    pub entries: u32,
    /// Most seconds.
    pub seconds: u32,
}

impl Search<'_> {
    /// The message with the number `id` (RFC 4511 4.5.1).
    pub fn encode(&self, id: u32) -> Vec<u8> {
        let mut operation = Vec::new();
        put(&mut operation, OCTET_STRING, self.base.as_bytes());
        put_number(
            &mut operation,
            ENUMERATED,
            match self.scope {
                Scope::Base => 0,
                Scope::One => 1,
                Scope::Subtree => 2,
            },
        );
        // neverDerefAliases: what is searched is what was configured.
        put_number(&mut operation, ENUMERATED, 0);
        put_number(&mut operation, INTEGER, self.entries);
        put_number(&mut operation, INTEGER, self.seconds);
        put(&mut operation, BOOLEAN, &[0]);
        self.filter.encode(&mut operation);
        let mut attributes = Vec::new();
        put(&mut attributes, OCTET_STRING, format!("{}{BINARY}", self.attribute).as_bytes());
        put(&mut operation, SEQUENCE, &attributes);
        message(id, SEARCH_REQUEST, &operation)
    }
}

/// Goodbye (RFC 4511 4.3).
pub(super) fn unbind(id: u32) -> Vec<u8> {
    message(id, UNBIND_REQUEST, &[])
}

/// From here on with TLS (RFC 4511 4.14).
pub(super) fn start_tls(id: u32) -> Vec<u8> {
    let mut operation = Vec::new();
    put(&mut operation, REQUEST_NAME, START_TLS.as_bytes());
    message(id, EXTENDED_REQUEST, &operation)
}

/// Reads the contents of one LDAPMessage; the reason if it is none.
pub(super) fn read(content: &[u8]) -> Result<Message<'_>, &'static str> {
    let mut reader = Reader(content);
    let id = reader.next().and_then(|element| element.number(INTEGER)).ok_or("message without number")?;
    let element = reader.next().ok_or("message without operation")?;
    let operation = match element.tag {
        BIND_RESPONSE => Operation::Bound(result(element.content)?),
        SEARCH_RESULT_ENTRY => Operation::Entry(entry(element.content)?),
        SEARCH_RESULT_REFERENCE => Operation::Reference,
        SEARCH_RESULT_DONE => Operation::Done(result(element.content)?),
        EXTENDED_RESPONSE => Operation::Extended(result(element.content)?),
        INTERMEDIATE_RESPONSE => Operation::Intermediate,
        _ => return Err("unknown operation"),
    };
    Ok(Message { id, operation })
}

/// LDAPResult (RFC 4511 4.1.9): code, matchedDN, diagnosticMessage; what follows is read past.
fn result(content: &[u8]) -> Result<LdapResult, &'static str> {
    let mut reader = Reader(content);
    let code = reader.next().and_then(|element| element.number(ENUMERATED)).ok_or("result without code")?;
    let _matched = reader.next().and_then(|element| element.of(OCTET_STRING)).ok_or("result without matchedDN")?;
    let text = reader.next().and_then(|element| element.of(OCTET_STRING)).ok_or("result without message")?;
    let text =
        String::from_utf8_lossy(text).chars().take_while(|character| !character.is_control()).take(200).collect();
    Ok(LdapResult { code, text })
}

/// SearchResultEntry (RFC 4511 4.5.2): objectName, then the attributes.
fn entry(content: &[u8]) -> Result<Attributes<'_>, &'static str> {
    let mut reader = Reader(content);
    let _name = reader.next().and_then(|element| element.of(OCTET_STRING)).ok_or("entry without name")?;
    let list = reader.next().and_then(|element| element.of(SEQUENCE)).ok_or("entry without attributes")?;
    let mut attributes = Vec::new();
    let mut list = Reader(list);
    while let Some(attribute) = list.next() {
        let mut parts = Reader(attribute.of(SEQUENCE).ok_or("attribute of another kind")?);
        let kind = parts.next().and_then(|element| element.of(OCTET_STRING)).ok_or("attribute without name")?;
        let values = parts.next().and_then(|element| element.of(SET)).ok_or("attribute without values")?;
        attributes.push((kind, values));
    }
    if !list.is_empty() {
        return Err("attributes cut short");
    }
    Ok(attributes)
}

/// The values in the contents of a SET OF OCTET STRING; `None` in the place of what is no such value.
pub(super) fn values(set: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut reader = Reader(set);
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let value = reader.next().and_then(|element| element.of(OCTET_STRING));
        if value.is_none() {
            // Nothing behind it can be told apart any more.
            reader = Reader(&[]);
        }
        Some(value)
    })
}

/// Whether an attribute description names this attribute, whatever its options (RFC 4512 2.5, RFC 4522).
pub(super) fn names(description: &[u8], attribute: &str) -> bool {
    let base = description.split(|octet| *octet == b';').next().unwrap_or_default();
    base.eq_ignore_ascii_case(attribute.as_bytes())
}
