//! The command line of `sealfax-adapter card`. No PIN, password or key is ever an argument: every user of the machine
//! could read it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use sealfax_drivers::card::piv::Algorithm;

/// `sealfax-adapter card ...`
#[derive(Debug, Args)]
pub struct CardArgs {
    /// The reader whose name contains this; needed when there are several
    #[arg(long, global = true, value_name = "PATTERN")]
    pub reader: Option<String>,
    /// Seconds to wait for a card
    #[arg(long, global = true, default_value_t = 60, value_name = "SECONDS")]
    pub wait: u64,
    /// Versioned JSON, and nothing else, on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: CardSubcommand,
}

/// What to do with the card.
#[derive(Debug, Subcommand)]
pub enum CardSubcommand {
    /// Show what is on the card, whose it is, until when, and the tries left; asks for no PIN and spends no try
    Show,
    /// Check whether the card does what the adapter needs; with the PIN it really signs and decrypts
    Verify(VerifyArgs),
    /// Personalise a blank card for a person
    Issue(IssueArgs),
    /// Renew the certificates of an issued card
    Renew(RenewArgs),
    /// Change the PIN
    Pin {
        /// Read the old and the new PIN from standard input, a line each
        #[arg(long)]
        pin_stdin: bool,
        /// Show the PIN to the card even if one try is left: a wrong one blocks it
        #[arg(long)]
        allow_last_try: bool,
    },
    /// Give a card with a blocked or forgotten PIN a new one
    Unblock(UnblockArgs),
    /// Open a mail that was kept with the card it was sealed for, of any length, from file to file. Whether the sender's
    /// certificate was revoked is not asked
    Open(OpenArgs),
}

/// `card open`
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The mail, as it was fetched
    #[arg(value_name = "MAIL")]
    pub mail: PathBuf,
    /// Where the document goes; the file must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Trust anchors, PEM: the sender's certificate has to lead to one of them, as it was when the mail was signed
    #[arg(long, value_name = "FILE")]
    pub anchors: PathBuf,
    /// Read single DES too, which old archives hold: anybody who kept such a mail can read it by trying all keys
    #[arg(long)]
    pub single_des: bool,
    /// Open a mail that does not say for whom it was sealed
    #[arg(long)]
    pub accept_unbound: bool,
    /// Read the PIN from standard input
    #[arg(long)]
    pub pin_stdin: bool,
}

/// `card unblock`
#[derive(Debug, Args)]
pub struct UnblockArgs {
    /// File with the administrator's secret
    #[arg(long, value_name = "FILE")]
    pub secret: PathBuf,
    /// Read the new PIN from standard input
    #[arg(long)]
    pub pin_stdin: bool,
    /// The card was issued with --keep-management-key and cannot prove which one it is: believe it
    #[arg(long)]
    pub keep_management_key: bool,
    /// Use the unblocking key of a card that does not tell how many tries are left of it
    #[arg(long)]
    pub unknown_puk_tries: bool,
}

/// `card verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Read the PIN from standard input
    #[arg(long)]
    pub pin_stdin: bool,
    /// Ask for no PIN: what wants it stays unchecked
    #[arg(long, conflicts_with = "pin_stdin")]
    pub no_pin: bool,
    /// Show the PIN to the card even if one try is left: the right one gives the tries back, a wrong one blocks it
    #[arg(long)]
    pub allow_last_try: bool,
    /// Trust anchors, PEM: the certificates have to lead to one of them
    #[arg(long, value_name = "FILE")]
    pub anchors: Option<PathBuf>,
    /// Certificates between, PEM
    #[arg(long, value_name = "FILE", requires = "anchors")]
    pub intermediates: Option<PathBuf>,
}

/// Who signs the card's requests.
#[derive(Debug, Args)]
pub struct AuthorityArgs {
    /// Command that gets the request in PEM on standard input, with --address, --name, --usage and --days added, and
    /// gives the certificate in PEM on standard output: "sealfax-mailserver ca --data DIR sign" (with --replace where a
    /// new key takes the place of an old one), or the same through ssh
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["requests", "certificates"])]
    pub ca: Option<String>,
    /// Without a command, step one: write the requests into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "certificates")]
    pub requests: Option<PathBuf>,
    /// Without a command, step two: take the certificates from this folder
    #[arg(long, value_name = "DIR")]
    pub certificates: Option<PathBuf>,
    /// Days of validity
    #[arg(long, default_value_t = 730)]
    pub days: u32,
}

/// The secrets of the card's administrator.
#[derive(Debug, Args)]
pub struct SecretArgs {
    /// File with the administrator's secret, from which each card's management and unblocking keys follow
    #[arg(long, value_name = "FILE")]
    pub secret: PathBuf,
    /// File with the card's present management key in hexadecimal, if it is neither its maker's usual one nor ours
    #[arg(long, value_name = "FILE")]
    pub initial_management_key: Option<PathBuf>,
}

/// `card issue`
#[derive(Debug, Args)]
pub struct IssueArgs {
    /// The person's name, as it will stand on screens
    #[arg(long)]
    pub name: String,
    /// The person's mail address
    #[arg(long)]
    pub address: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub secrets: SecretArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub authority: AuthorityArgs,
    /// File with the card's present unblocking key, if it is neither its maker's usual one nor ours; it is tried first,
    /// and nothing else in the same run
    #[arg(long, value_name = "FILE")]
    pub initial_puk: Option<PathBuf>,
    /// Use the unblocking key of a card that does not tell how many tries are left of it
    #[arg(long)]
    pub unknown_puk_tries: bool,
    /// Leave the card the management key that it has, if it knows no command to change it: whoever has that key can
    /// write the card. Such a card can never prove which one it is
    #[arg(long)]
    pub keep_management_key: bool,
    /// Kind of the keys
    #[arg(long, value_enum, default_value_t = KeyKind::Rsa2048)]
    pub keys: KeyKind,
    /// Login name of the mailbox; the address if not given
    #[arg(long, value_name = "LOGIN")]
    pub mailbox: Option<String>,
    /// Read the mailbox password from standard input, after the PIN if that is read there too
    #[arg(long)]
    pub password_stdin: bool,
    /// Command that gets the mailbox password on standard input and gives it to the mail account:
    /// "sealfax-mailserver account --config FILE passwd ADDRESS". A password is made up if none is given
    #[arg(long, value_name = "COMMAND")]
    pub account: Option<String>,
    /// Read the new PIN from standard input
    #[arg(long)]
    pub pin_stdin: bool,
    /// Replace the keys and certificates of a card that holds some; what was sealed for them is lost
    #[arg(long)]
    pub overwrite: bool,
}

/// `card renew`
#[derive(Debug, Args)]
pub struct RenewArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub secrets: SecretArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub authority: AuthorityArgs,
    /// Trust anchors, PEM, for a card that does not know this secret: its present certificate has to lead to one of them
    #[arg(long, value_name = "FILE")]
    pub anchors: Option<PathBuf>,
    /// Certificates between, PEM
    #[arg(long, value_name = "FILE", requires = "anchors")]
    pub intermediates: Option<PathBuf>,
    /// Make new keys; what is sealed for the old ones and not yet fetched cannot be opened any more
    #[arg(long)]
    pub new_keys: bool,
    /// Read the PIN from standard input
    #[arg(long)]
    pub pin_stdin: bool,
}

/// Kinds of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyKind {
    /// RSA with 2048 bits
    Rsa2048,
    /// RSA with 3072 bits, which not every card has
    Rsa3072,
    /// The elliptic curve P-256
    P256,
}

impl From<KeyKind> for Algorithm {
    fn from(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Rsa2048 => Self::Rsa2048,
            KeyKind::Rsa3072 => Self::Rsa3072,
            KeyKind::P256 => Self::P256,
        }
    }
}
