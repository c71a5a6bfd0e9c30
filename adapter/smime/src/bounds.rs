//! The limits every reader of this crate holds to, checked before anything is allocated.

/// Octets of a whole mail.
pub const MESSAGE: usize = 64 << 20;
/// Octets of one header section.
pub const HEADER_SECTION: usize = 256 << 10;
/// Octets of one header line (RFC 5322 2.1.1 allows 998; long `To` lines of old software are longer).
pub const HEADER_LINE: usize = 16 << 10;
/// Fields of one header section.
pub const HEADER_FIELDS: usize = 512;
/// Parameters of one Content-Type.
pub const PARAMETERS: usize = 32;
/// RecipientInfos of one EnvelopedData, and recipients of one sealing.
pub const RECIPIENTS: usize = 64;
/// Octets of a KeyAgreeRecipientInfo's user keying material (RFC 2631 wants 64).
pub const USER_KEYING_MATERIAL: usize = 1024;
/// Certificates of one SignedData.
pub const CERTIFICATES: usize = 16;
/// Octets of one certificate.
pub const CERTIFICATE: usize = 64 << 10;
/// Attributes of one SignerInfo.
pub const ATTRIBUTES: usize = 64;
/// Octets of a set in a CMS object that is read as a whole: all recipients, all certificates, all attributes.
pub const ASN1_SET: usize = 2 << 20;
/// Octets of a single value there: a version, an algorithm with its parameters, a tag.
pub const ASN1_SMALL: usize = 4096;
/// Nesting of ASN.1 values.
pub const ASN1_DEPTH: usize = 32;
/// Bits of an RSA modulus, least and most.
pub const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;
