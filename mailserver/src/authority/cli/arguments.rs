//! What can be said to `sealfax-mailserver ca`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use sealfax_client::lookup::Use;
use x509_cert::ext::pkix::CrlReason;

use crate::authority::crl;
use crate::authority::index::reason_of;

/// `sealfax-mailserver ca ...`
#[derive(Debug, Args)]
pub struct CaArgs {
    /// Folder of the certificate authority
    #[arg(long, global = true, default_value = "/var/lib/sealfax-ca")]
    pub(super) data: PathBuf,
    /// Versioned JSON on standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// File whose first line is the passphrase of the key files [default: as the authority's settings say, else the
    /// systemd credential sealfax-ca-passphrase, else it is asked for]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) key_passphrase_file: Option<PathBuf>,
    /// The same for the OCSP key, where it has a passphrase of its own
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ocsp_key_passphrase_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: CaCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CaCommand {
    /// Found a root, an issuing authority and an OCSP signer
    Create {
        /// Organization in every name
        #[arg(long, default_value = "Sealfax")]
        organization: String,
        /// Years that root and issuing authority are valid
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=40))]
        years: u32,
        /// Leave the key files in clear: for demonstrations only
        #[arg(long)]
        plain_keys: bool,
        /// Make the issuing key in a token: a pkcs11: URI (RFC 7512) with module-path and pin-source
        #[arg(long, value_name = "URI")]
        issuing_key: Option<String>,
        /// Make the OCSP key in a token, likewise
        #[arg(long, value_name = "URI")]
        ocsp_key: Option<String>,
        /// Where validity can be asked; stands in certificates: http://directory.example.jp/ocsp
        #[arg(long, value_name = "URL")]
        ocsp_url: Option<String>,
        /// Where the revocation list is; stands in certificates: http://directory.example.jp/crl/issuing.crl
        #[arg(long, value_name = "URL")]
        crl_url: Option<String>,
        /// Let the server renew the OCSP signer and the revocation list by itself, with the issuing key
        #[arg(long)]
        renew_online: bool,
        /// Days until an OCSP signer's certificate ends, which cannot be revoked; it is renewed a third of them before,
        /// at most 30 days (`ocsp_signer_days` in authority.toml)
        #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
        ocsp_signer_days: u32,
    },
    /// Sign a card's request (PKCS#10, PEM); the certificate goes to standard output
    Sign {
        /// The request [default: standard input]
        request: Option<PathBuf>,
        /// The person's mail address
        #[arg(long)]
        address: String,
        /// The person's name
        #[arg(long)]
        name: String,
        /// What the key is for
        #[arg(long)]
        usage: UseArg,
        /// Days of validity
        #[arg(long, default_value_t = 730)]
        days: u32,
        /// Let this key take the place of another one that still has a valid certificate
        #[arg(long)]
        replace: bool,
    },
    /// Issue a certificate for a public key whose holder is known otherwise
    Issue {
        /// The person's name
        #[arg(long)]
        name: String,
        /// The person's mail address
        #[arg(long)]
        address: String,
        /// What the key is for
        #[arg(long = "use")]
        usage: UseArg,
        /// SubjectPublicKeyInfo, PEM ("openssl pkey -pubout")
        #[arg(long)]
        public_key: PathBuf,
        /// Days of validity
        #[arg(long, default_value_t = 730)]
        days: u32,
        /// Where validity can be asked [default: as the authority's settings say]
        #[arg(long)]
        ocsp_url: Option<String>,
        /// Where to write the certificate, PEM
        #[arg(long)]
        out: PathBuf,
    },
    /// Issue a TLS certificate for a server
    Server(EndpointArgs),
    /// Issue a TLS certificate for an adapter: client and server
    Device(EndpointArgs),
    /// Revoke a certificate by its serial number, and publish a new revocation list
    Revoke {
        /// Serial number, hexadecimal
        serial: String,
        /// Why: unspecified, key-compromise, ca-compromise, affiliation-changed, superseded, cessation-of-operation,
        /// privilege-withdrawn or aa-compromise (RFC 5280 5.3.1)
        #[arg(long, default_value = "unspecified", value_parser = reason)]
        reason: CrlReason,
    },
    /// List every certificate issued
    List {
        /// Only those of this address
        #[arg(long)]
        address: Option<String>,
    },
    /// Show a certificate; it goes to standard output
    Show {
        /// Serial number, hexadecimal
        serial: String,
    },
    /// Give the OCSP signer a new certificate; a running server takes it up by itself
    RenewOcsp {
        /// And a new key, where `ocsp_key` of authority.toml says: a key file is replaced, under its passphrase; in a
        /// token the name must be a new one. Then the server has to be started again
        #[arg(long)]
        new_key: bool,
    },
    /// Publish a new revocation list
    Crl {
        /// Also write it here, DER
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Show the audit log
    Audit {
        /// Only check every link of it
        #[arg(long)]
        verify: bool,
    },
    /// Encrypt key files, or give them another passphrase
    Protect {
        /// Which ones
        #[arg(long = "key", default_values_t = [KeyArg::Root, KeyArg::Issuing, KeyArg::Ocsp])]
        keys: Vec<KeyArg>,
        /// File whose first line is the new passphrase [default: it is asked for]
        #[arg(long, value_name = "FILE")]
        new_key_passphrase_file: Option<PathBuf>,
        /// The same for the OCSP key, where it is to have one of its own
        #[arg(long, value_name = "FILE")]
        new_ocsp_key_passphrase_file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct EndpointArgs {
    /// Host names and IP addresses; the first one is its name
    #[arg(required = true)]
    pub(super) names: Vec<String>,
    /// A request (PKCS#10, PEM) for a key made elsewhere [default: a key is made]
    #[arg(long)]
    pub(super) request: Option<PathBuf>,
    /// Days of validity
    #[arg(long, default_value_t = 397)]
    pub(super) days: u32,
    /// Folder for NAME.pem, the certificate with its issuer's, and NAME.key.pem, the key
    #[arg(long, default_value = ".")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum UseArg {
    /// Verify this person's signatures
    Sign,
    /// Encrypt to this person
    Encrypt,
}

impl From<UseArg> for Use {
    fn from(usage: UseArg) -> Self {
        match usage {
            UseArg::Sign => Self::Sign,
            UseArg::Encrypt => Self::Encrypt,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KeyArg {
    Root,
    Issuing,
    Ocsp,
}

impl std::fmt::Display for KeyArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Issuing => "issuing",
            Self::Ocsp => "ocsp",
        })
    }
}

fn reason(text: &str) -> Result<CrlReason, String> {
    // A hold could be lifted again, by number as by name.
    let lasting = |reason: &CrlReason| *reason != CrlReason::CertificateHold;
    let by_number = || text.parse().ok().and_then(reason_of).filter(lasting);
    crl::reason_named(text).or_else(by_number).ok_or_else(|| "no such reason in RFC 5280 5.3.1".to_owned())
}
