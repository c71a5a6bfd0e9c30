//! What can go wrong, each with a stable code: towards people precise, towards the network always the same.

use crate::bounds;
use crate::key::KeyError;
use crate::path::PathError;

/// Why a mail was not sealed or signed. Nothing was made: it is all recipients or none (ST611).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Longer than [`bounds::MESSAGE`].
    #[error("the mail is longer than {} octets; send fewer pages at once", bounds::MESSAGE)]
    TooLarge,
    /// A CR or LF alone, or a NUL.
    #[error("the mail's lines do not all end in CRLF; the terminal has to send canonical text")]
    NotCanonical,
    /// Octets above 127 in what is to be signed in clear (RFC 8551 3.1.2).
    #[error("the text to sign is not 7-bit; encode it as quoted-printable or base64 first")]
    NotSevenBit,
    /// Nobody to seal for.
    #[error("the mail has no recipient; name at least one")]
    NoRecipient,
    /// More than [`bounds::RECIPIENTS`].
    #[error("the mail has more than {} recipients; send it in several parts", bounds::RECIPIENTS)]
    TooManyRecipients,
    /// The same address or certificate twice.
    #[error("{address} is named twice; name each recipient once")]
    DuplicateRecipient {
        /// The second of the two.
        address: String,
    },
    /// The certificate speaks for others.
    #[error("the certificate found for {address} belongs to {}; tell the administrator", certified.join(", "))]
    AddressMismatch {
        /// Whom the mail is for.
        address: String,
        /// Whom the certificate names.
        certified: Vec<String>,
    },
    /// Key usage without keyEncipherment, or for an elliptic curve without keyAgreement.
    #[error("the certificate of {address} is not for encryption; have one issued that is")]
    NotForEncryption {
        /// Whose certificate.
        address: String,
    },
    /// An RSA key outside [`bounds::RSA_BITS`].
    #[error("the key of {address} is too weak or too long; have a new card issued")]
    KeySize {
        /// Whose key.
        address: String,
    },
    /// Neither RSA nor a curve we seal for.
    #[error("the key of {address} is of a kind we cannot seal for; an RSA or P-256 certificate is needed")]
    UnsupportedKey {
        /// Whose key.
        address: String,
    },
    /// A certificate that cannot be read.
    #[error("the certificate of {address} cannot be read; have a new one issued")]
    BadCertificate {
        /// Whose certificate.
        address: String,
    },
    /// The signer's certificate does not serve for signing.
    #[error("the card's certificate is not for signing; have a new card issued")]
    NotForSigning,
    /// The card's signature does not fit the card's certificate.
    #[error("the card's key and certificate do not belong together; have the card issued anew")]
    WrongKey,
    /// The card answered with octets that are no signature of its kind of key.
    #[error("the card answered with something that is no signature; have the card replaced")]
    NoSignature,
    /// A signing time no certificate time can express.
    #[error("the clock is beyond every calendar; set this machine's clock")]
    SigningTime,
    /// The document could not be read.
    #[error("the document cannot be read: {0}")]
    Read(String),
    /// The sealed mail could not be written.
    #[error("the sealed mail cannot be written: {0}")]
    Write(String),
    /// The card did not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The cipher or key transport failed, which it never should.
    #[error("the mail could not be encrypted; send it again and tell the administrator if that fails")]
    Encryption,
}

impl SealError {
    /// A code that stays when words change.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "SEAL-001",
            Self::NotCanonical => "SEAL-002",
            Self::NotSevenBit => "SEAL-003",
            Self::NoRecipient => "SEAL-010",
            Self::TooManyRecipients => "SEAL-011",
            Self::DuplicateRecipient { .. } => "SEAL-012",
            Self::AddressMismatch { .. } => "SEAL-013",
            Self::NotForEncryption { .. } => "SEAL-014",
            Self::KeySize { .. } => "SEAL-015",
            Self::UnsupportedKey { .. } => "SEAL-016",
            Self::BadCertificate { .. } => "SEAL-017",
            Self::NotForSigning => "SEAL-020",
            Self::WrongKey => "SEAL-021",
            Self::SigningTime => "SEAL-022",
            Self::NoSignature => "SEAL-023",
            Self::Key(_) => "SEAL-030",
            Self::Encryption => "SEAL-031",
            Self::Read(_) => "SEAL-040",
            Self::Write(_) => "SEAL-041",
        }
    }

    /// The recipient it is about, for the reply that names them (ST611).
    pub fn recipient(&self) -> Option<&str> {
        match self {
            Self::DuplicateRecipient { address }
            | Self::AddressMismatch { address, .. }
            | Self::NotForEncryption { address }
            | Self::KeySize { address }
            | Self::UnsupportedKey { address }
            | Self::BadCertificate { address } => Some(address),
            _ => None,
        }
    }
}

/// Where in Fig. 10 opening ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenGroup {
    /// The card has to be asked again; the mail may be perfectly well.
    Card,
    /// ST916: it could not be decrypted.
    CannotOpen,
    /// ST920: its integrity or origin is not proven.
    NotGenuine,
}

/// Why a mail was not opened or its signature not accepted. Nothing of its content was released.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The card did not decrypt.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The mail could not be read.
    #[error("the mail cannot be read: {0}")]
    Read(String),
    /// What was opened could not be written.
    #[error("what was opened cannot be written: {0}")]
    Write(String),
    /// Longer than [`bounds::MESSAGE`].
    #[error("the mail is longer than {} octets; ask the sender to send fewer pages at once", bounds::MESSAGE)]
    TooLarge,
    /// The mail around the sealed content is malformed.
    #[error("the mail is malformed ({0}); ask the sender to send it again")]
    Mime(#[from] crate::mime::MimeError),
    /// Not encrypted at all.
    #[error("the mail is not sealed; ask the sender to seal it")]
    NotSealed,
    /// The CMS object around the content is malformed.
    #[error("the sealed content is malformed; ask the sender to send it again")]
    Malformed,
    /// An algorithm we do not read.
    #[error("the mail is sealed with an algorithm not accepted here ({0}); the sender has to choose another")]
    Algorithm(String),
    /// No RecipientInfo for this key.
    #[error("the mail is not sealed for this card; insert the card it is for")]
    NotForThisCard,
    /// Key, tag, padding or content are wrong: one error for all, so that none tells anything.
    #[error("the mail cannot be decrypted; ask the sender to send it again")]
    CannotDecrypt,
    /// Nothing signed inside.
    #[error("the mail bears no signature; it is not shown")]
    Unsigned,
    /// The signed object is malformed, or has not exactly one signer.
    #[error("the signature is malformed; it is not shown")]
    SignatureMalformed,
    /// A required signed attribute is missing, doubled or wrong.
    #[error("the signature lacks what it has to bind ({0}); it is not shown")]
    Attribute(&'static str),
    /// The signer's certificate is not the one the certificate server has (ST917).
    #[error("the signer is not the one the certificate server names; it is not shown")]
    UnknownSigner,
    /// The certificate does not speak for the sender.
    #[error("the mail says {sender}, its signature {}; it is not shown", certified.join(", "))]
    SenderMismatch {
        /// From.
        sender: String,
        /// The certificate's addresses.
        certified: Vec<String>,
    },
    /// The path from the signer's certificate to an anchor does not hold.
    #[error("the signer's certificate is not accepted ({code}): {0}", code = .0.code())]
    Path(#[from] PathError),
    /// A digest or signature algorithm below the floor or unknown.
    #[error("the signature uses an algorithm not accepted here ({0}); it is not shown")]
    SignatureAlgorithm(String),
    /// The content is not what was signed.
    #[error("the content was changed after it was signed; it is not shown")]
    DigestMismatch,
    /// The signature is not the certificate's.
    #[error("the signature does not hold; it is not shown")]
    SignatureInvalid,
    /// signingCertificateV2 names another certificate (RFC 5035).
    #[error("the signature was made with another certificate; it is not shown")]
    CertificateSwapped,
    /// The sender sealed it for others, and one of them passed it on.
    #[error("the mail was sealed for another person and passed on; it is not shown")]
    SealedForAnother,
    /// A signed receipt that is none (RFC 2634 2.8).
    #[error("the receipt is malformed; it confirms nothing")]
    ReceiptMalformed,
    /// A receipt for another mail, or for a changed one.
    #[error("the receipt quotes another mail's signature; it confirms nothing")]
    ReceiptForAnother,
    /// The mail is not what it was when it was checked.
    #[error("the mail changed after it was checked; use nothing of what came out, and open it again")]
    Changed,
    /// Neither recipients attribute nor protected To.
    #[error(
        "the mail does not say whom it was sealed for; have the sender's domain configured as unbound to accept it"
    )]
    Unbound,
}

impl OpenError {
    /// A code that stays when words change.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Key(_) => "OPEN-001",
            Self::Read(_) => "OPEN-002",
            Self::Write(_) => "OPEN-003",
            Self::TooLarge => "OPEN-010",
            Self::Mime(_) => "OPEN-011",
            Self::NotSealed => "OPEN-012",
            Self::Malformed => "OPEN-013",
            Self::Algorithm(_) => "OPEN-014",
            Self::NotForThisCard => "OPEN-015",
            Self::CannotDecrypt => "OPEN-016",
            Self::Unsigned => "OPEN-020",
            Self::SignatureMalformed => "OPEN-021",
            Self::Attribute(_) => "OPEN-022",
            Self::UnknownSigner => "OPEN-023",
            Self::SenderMismatch { .. } => "OPEN-024",
            Self::Path(_) => "OPEN-025",
            Self::SignatureAlgorithm(_) => "OPEN-026",
            Self::DigestMismatch => "OPEN-027",
            Self::SignatureInvalid => "OPEN-028",
            Self::CertificateSwapped => "OPEN-029",
            Self::SealedForAnother => "OPEN-030",
            Self::Unbound => "OPEN-031",
            Self::ReceiptMalformed => "OPEN-032",
            Self::ReceiptForAnother => "OPEN-033",
            Self::Changed => "OPEN-034",
        }
    }

    /// Which branch of Fig. 10 it belongs to.
    pub fn group(&self) -> OpenGroup {
        match self {
            Self::Key(_) => OpenGroup::Card,
            Self::Read(_)
            | Self::Write(_)
            | Self::TooLarge
            | Self::Mime(_)
            | Self::NotSealed
            | Self::Malformed
            | Self::Algorithm(_)
            | Self::NotForThisCard
            | Self::CannotDecrypt => OpenGroup::CannotOpen,
            _ => OpenGroup::NotGenuine,
        }
    }
}
