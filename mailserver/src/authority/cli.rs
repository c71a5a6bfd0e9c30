//! `sealfax-mailserver ca`: found the authority, issue and revoke certificates, list them. Works beside a running
//! server, which heeds every change at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use der::pem::LineEnding;
use sealfax_client::history::time_text;
use sealfax_client::lookup::Use;
use sealfax_client::seam::Seams;

use super::AuthorityError;
use super::ca::{Authority, AuthorityOptions, PersonRequest};
use super::index::{Issued, Standing, reason_of};

/// `sealfax-mailserver ca ...`
#[derive(Debug, Args)]
pub struct CaArgs {
    /// Folder of the certificate authority
    #[arg(long)]
    data: PathBuf,
    /// Versioned JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Debug, Subcommand)]
enum CaCommand {
    /// Found a root, an issuing authority and an OCSP signer
    Create {
        /// Organization in every name
        #[arg(long, default_value = "Sealfax")]
        organization: String,
    },
    /// Issue a certificate for a public key
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
        /// Where validity can be asked: http://directory.example.jp/ocsp
        #[arg(long)]
        ocsp_url: Option<String>,
        /// Where to write the certificate, PEM
        #[arg(long)]
        out: PathBuf,
    },
    /// Revoke a certificate by its serial number
    Revoke {
        /// Serial number, hexadecimal
        serial: String,
        /// Reason by the number of RFC 5280 5.3.1: 1 key compromise, 4 superseded, 5 left, ...
        #[arg(long, default_value_t = 0)]
        reason: u32,
    },
    /// List every certificate issued to people
    List,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum UseArg {
    Sign,
    Encrypt,
}

impl CaArgs {
    /// Runs the command.
    pub fn run(self, seams: &Seams) -> Result<(), AuthorityError> {
        match self.command {
            CaCommand::Create { organization } => {
                let options = AuthorityOptions { organization, ..AuthorityOptions::default() };
                Authority::create(&self.data, &options, seams)?;
                let anchor = self.data.join("root.pem");
                if self.json {
                    println!("{}", serde_json::json!({"schema": 1, "anchor": anchor}));
                } else {
                    eprintln!(
                        "Authority founded. Give {} to every adapter; keep the folder backed up.",
                        anchor.display()
                    );
                }
            }
            CaCommand::Issue { name, address, usage, public_key, days, ocsp_url, out } => {
                let authority = Authority::open(&self.data, seams)?;
                let certificate = authority.issue_person(&PersonRequest {
                    name,
                    address,
                    public_key: read_public_key(&public_key)?,
                    usage: match usage {
                        UseArg::Sign => Use::Sign,
                        UseArg::Encrypt => Use::Encrypt,
                    },
                    validity: Duration::from_secs(u64::from(days) * 24 * 60 * 60),
                    ocsp_url,
                })?;
                let pem = der::pem::encode_string("CERTIFICATE", LineEnding::LF, &certificate)
                    .map_err(|error| AuthorityError::Build(Box::new(error)))?;
                std::fs::write(&out, pem).map_err(|source| AuthorityError::Disk { path: out.clone(), source })?;
                if self.json {
                    println!("{}", serde_json::json!({"schema": 1, "certificate": out}));
                } else {
                    eprintln!("Certificate written to {}", out.display());
                }
            }
            CaCommand::Revoke { serial, reason } => {
                let reason = reason_of(reason)
                    .ok_or(AuthorityError::BadRequest("the reason must be one of 0 to 6, 9, 10 (RFC 5280 5.3.1)"))?;
                let authority = Authority::open(&self.data, seams)?;
                authority.revoke(&serial, reason, seams.clock.now())?;
                if self.json {
                    println!("{}", serde_json::json!({"schema": 1, "revoked": serial}));
                } else {
                    eprintln!("Revoked {serial}.");
                }
            }
            CaCommand::List => {
                let issued = Authority::open(&self.data, seams)?.list()?;
                if self.json {
                    let rows: Vec<_> = issued.iter().map(row).collect();
                    println!("{}", serde_json::json!({"schema": 1, "certificates": rows}));
                } else {
                    for one in &issued {
                        let state = match one.standing {
                            Standing::Good => "good",
                            Standing::Revoked { .. } => "revoked",
                        };
                        eprintln!(
                            "{}  {:7}  {:7}  until {}  {} <{}>",
                            one.serial,
                            one.usage.as_str(),
                            state,
                            time_text(one.not_after),
                            one.name,
                            one.address
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

fn row(issued: &Issued) -> serde_json::Value {
    let revoked = match issued.standing {
        Standing::Good => None,
        Standing::Revoked { at, reason } => Some(serde_json::json!({"at": time_text(at), "reason": reason as u32})),
    };
    serde_json::json!({
        "serial": issued.serial,
        "name": issued.name,
        "address": issued.address,
        "use": issued.usage.as_str(),
        "not_before": time_text(issued.not_before),
        "not_after": time_text(issued.not_after),
        "revoked": revoked,
    })
}

fn read_public_key(path: &Path) -> Result<Vec<u8>, AuthorityError> {
    let pem = std::fs::read(path).map_err(|source| AuthorityError::Disk { path: path.to_owned(), source })?;
    match der::pem::decode_vec(&pem) {
        Ok(("PUBLIC KEY", der)) => Ok(der),
        _ => Err(AuthorityError::Unreadable { path: path.to_owned(), what: "public key in PEM" }),
    }
}
