//! What a site may run already: a directory (slapd) that holds people's certificates, and an OCSP responder
//! (`openssl ocsp`) that says which of them still count.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use der::Decode;
use sealfax_client::ldap::LdapDirectory;
use sealfax_mailserver::authority::Authority;
use x509_cert::Certificate;

use super::people::Person;
use super::region::pem;
use crate::peer::openssl_ocsp::{Known, OpensslOcsp, Signer};
use crate::peer::process::PeerError;
use crate::peer::slapd::{Entry, PEOPLE, Slapd, SlapdOptions};
use crate::scenario::Failure;

impl From<PeerError> for Failure {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Missing { .. } => Self::Unsupported(error.to_string()),
            PeerError::Broken { .. } => Self::infrastructure(error),
        }
    }
}

/// A person as the directory shows them.
#[derive(Debug, Clone)]
pub struct Publication {
    entry: Entry,
    serials: Vec<String>,
}

impl Publication {
    /// Both certificates of a person's card.
    pub fn of(person: &Person) -> Result<Self, Failure> {
        let certificates = vec![person.signature.certificate.clone(), person.encryption.certificate.clone()];
        let serials = certificates.iter().map(|der| serial(der)).collect::<Result<_, _>>()?;
        let character = person.character;
        Ok(Self {
            entry: Entry { uid: character.key.to_owned(), mail: vec![character.address.to_owned()], certificates },
            serials,
        })
    }
}

fn serial(certificate: &[u8]) -> Result<String, Failure> {
    let certificate = Certificate::from_der(certificate).map_err(Failure::infrastructure)?;
    let serial = certificate.tbs_certificate().serial_number().as_bytes();
    Ok(serial.iter().map(|octet| format!("{octet:02x}")).collect())
}

/// Both servers.
#[derive(Debug)]
pub struct OwnDirectory {
    slapd: Slapd,
    ocsp: OpensslOcsp,
    known: Vec<Known>,
}

impl OwnDirectory {
    /// Starts them at `hosts` (slapd's, the responder's). The responder signs with the OCSP key of `authority`, which
    /// is in `folder`.
    pub fn start(
        hosts: (IpAddr, IpAddr),
        people: Vec<Publication>,
        folder: &Path,
        authority: &Authority,
    ) -> Result<Self, Failure> {
        let serials = people.iter().flat_map(|person| &person.serials);
        let not_after = SystemTime::now() + Duration::from_secs(30 * 24 * 3600);
        let known: Vec<Known> =
            serials.map(|serial| Known { serial: serial.clone(), not_after, revoked: None }).collect();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).map_err(Failure::infrastructure);
        let signer = Signer {
            authority_pem: pem("CERTIFICATE", &authority.issuing_der().map_err(Failure::infrastructure)?),
            certificate_pem: read("ocsp.pem")?,
            key_pem: read("ocsp.key.pem")?,
        };
        let entries = people.into_iter().map(|person| person.entry);
        let slapd = Slapd::start(hosts.0, entries, &SlapdOptions::default())?;
        let ocsp = OpensslOcsp::start(hosts.1, &known, &signer, 1)?;
        Ok(Self { slapd, ocsp, known })
    }

    /// How adapters ask the directory.
    pub fn ldap(&self) -> LdapDirectory {
        LdapDirectory { seconds: 5, ..LdapDirectory::new(self.slapd.addr(), PEOPLE) }
    }

    /// Where the responder listens.
    pub fn ocsp_addr(&self) -> SocketAddr {
        self.ocsp.addr()
    }

    /// The responder learns that a person's certificates are revoked.
    pub fn revoke(&mut self, person: &Person) -> Result<(), Failure> {
        for pair in [&person.signature, &person.encryption] {
            let wanted = serial(&pair.certificate)?;
            for known in self.known.iter_mut().filter(|known| known.serial == wanted) {
                known.revoked = Some(SystemTime::now());
            }
        }
        self.ocsp.know(&self.known).map_err(Failure::from)
    }

    /// The directory is gone.
    pub fn stop_slapd(&mut self) {
        self.slapd.process().kill();
    }
}
