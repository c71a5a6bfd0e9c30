//! Why a directory gave no answer.

use std::path::PathBuf;
use std::time::Duration;

use super::message::LdapResult;

/// Why a directory gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LdapError {
    /// No connection could be made.
    #[error("the directory {host} cannot be reached; check the network cable and the directory's address")]
    Unreachable {
        /// Whom we tried to reach.
        host: String,
        /// What the network said.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("the directory {host} did not answer within {} s; check that it is not overloaded and has an index on the address", .limit.as_secs())]
    Timeout {
        /// Whom we asked.
        host: String,
        /// How long we waited.
        limit: Duration,
    },
    /// There is more than anybody can need.
    #[error("the directory's answer has more than {limit} {what}; clean up what stands under this address")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The connection ended before the answer did.
    #[error("the exchange with the directory {host} broke off; try again, and see the directory's log")]
    BrokeOff {
        /// Whom we asked.
        host: String,
        /// What the network, or the server's last word, said.
        #[source]
        source: std::io::Error,
    },
    /// What came is not what RFC 4511 allows.
    #[error("the directory's answer cannot be read ({0}); check that an LDAP server listens at this address and port")]
    Malformed(&'static str),
    /// The server does not accept the name and password.
    #[error(
        "the directory refuses the log-in ({}: {text}); check bind_dn and the password file",
        super::error::name_of(*.code)
    )]
    BindRefused {
        /// resultCode (RFC 4511 appendix A).
        code: u32,
        /// The server's words.
        text: String,
    },
    /// The server does not carry out the search.
    #[error(
        "the directory refuses the search ({}: {text}); check base, scope and the adapter's rights in the directory",
        super::error::name_of(*.code)
    )]
    Refused {
        /// resultCode (RFC 4511 appendix A).
        code: u32,
        /// The server's words.
        text: String,
    },
    /// The server sends us to another one.
    #[error(
        "the directory refers to another server, which is not followed; set base to what this directory holds itself"
    )]
    Referral,
    /// The password file cannot be used.
    #[error("the password file {path} cannot be used: {why}")]
    PasswordFile {
        /// Which file.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// The connection cannot be protected.
    #[error(
        "no TLS with the directory {host}: {why}; check tls_name, tls_anchors, the server's certificate and the clocks"
    )]
    Tls {
        /// Whom we asked.
        host: String,
        /// What went wrong.
        why: String,
    },
    /// The configuration cannot be carried out.
    #[error("the table [network.ldap] is not usable: {0}")]
    Configuration(&'static str),
}

impl LdapError {
    /// Stable code for logs and screens.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "LDAP-001",
            Self::Timeout { .. } => "LDAP-002",
            Self::TooLarge { .. } => "LDAP-003",
            Self::BrokeOff { .. } => "LDAP-004",
            Self::Malformed(_) => "LDAP-005",
            Self::BindRefused { .. } => "LDAP-006",
            Self::Refused { .. } => "LDAP-007",
            Self::Referral => "LDAP-008",
            Self::PasswordFile { .. } => "LDAP-009",
            Self::Tls { .. } => "LDAP-010",
            Self::Configuration(_) => "LDAP-011",
        }
    }

    /// Whether asking again later may help, be it that the directory is back or that its administrator let us in. What
    /// stands under one address, or in no LDAP at all, does not change by waiting.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::BrokeOff { .. }
            | Self::BindRefused { .. }
            | Self::Refused { .. }
            | Self::PasswordFile { .. }
            | Self::Tls { .. } => true,
            Self::TooLarge { .. } | Self::Malformed(_) | Self::Referral | Self::Configuration(_) => false,
        }
    }

    pub(super) fn tls_refused(host: &str, result: &LdapResult) -> Self {
        let why = format!("the server refuses StartTLS ({}: {})", name_of(result.code), result.text);
        Self::Tls { host: host.to_owned(), why }
    }
}

/// A result code with its name in RFC 4511 4.1.9, where it is one that happens.
fn name_of(code: u32) -> String {
    let name = match code {
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        11 => "adminLimitExceeded",
        13 => "confidentialityRequired",
        17 => "undefinedAttributeType",
        18 => "inappropriateMatching",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        _ => return format!("result {code}"),
    };
    format!("{code} {name}")
}
