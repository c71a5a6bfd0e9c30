//! ST606, ST607, ST917: the certificates of a correspondent, looked up by address and judged one by one.

use sealfax_client::lookup::{self, LookupError};
use sealfax_drivers::display::CardFault;
use sealfax_smime::path::Use;

use super::{Trust, fault, with_sources};

/// Why a correspondent's certificate is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// The certificate server has none.
    #[error("no valid certificate for {0}; ask your administrator to have one issued")]
    None(String),
    /// There is one, and it is not accepted.
    #[error("the certificate of {address} is not accepted ({}): {why}", .fault.correspondent_code())]
    NotAccepted {
        /// Whose.
        address: String,
        /// Why, for the screen.
        fault: CardFault,
        /// Why, for the journal.
        why: String,
    },
    /// The certificate server cannot be asked.
    #[error("the certificate server cannot be asked ({0}); check the network and try again")]
    Unreachable(String),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The valid certificates, DER, newest first; at least one.
    pub certificates: Vec<Vec<u8>>,
    /// Among them is a key that was never relied on before, while an old one still counts.
    pub changed: bool,
}

/// A fault and its words for the journal, of the first certificate that was not good.
type Refusal = Option<(CardFault, String)>;

impl Trust {
    /// ST606, ST917: the valid certificates of a correspondent, newest knowledge of their state included.
    pub async fn certificates(&self, address: &str, purpose: Use) -> Result<Found, Untrusted> {
        if let Some(known) = self.cache.find(address, purpose, self.seams.clock.now()) {
            let (good, refusal) = self.judge(address, purpose, known).await?;
            match refusal {
                _ if !good.is_empty() => return self.noticing_change(address, purpose, good).await,
                // Another certificate would not be spoken of more truly.
                Some((fault, why)) if fault.is_of_the_answer() => {
                    return Err(Untrusted::NotAccepted { address: address.to_owned(), fault, why });
                }
                _ => {}
            }
            // Revoked or expired since: perhaps there is a new card already.
            self.cache.forget(address, purpose);
        }
        let (good, refusal) = self.judge(address, purpose, self.look_up(address, purpose).await?).await?;
        match refusal {
            _ if !good.is_empty() => self.noticing_change(address, purpose, good).await,
            Some((fault, why)) => Err(Untrusted::NotAccepted { address: address.to_owned(), fault, why }),
            None => Err(Untrusted::None(address.to_owned())),
        }
    }

    /// Those that are good now, and why the first of the others is not.
    async fn judge(
        &self,
        address: &str,
        purpose: Use,
        found: Vec<Vec<u8>>,
    ) -> Result<(Vec<Vec<u8>>, Refusal), Untrusted> {
        let (mut good, mut refusal) = (Vec::new(), None);
        for certificate in found {
            match self.judge_one(address, purpose, &certificate).await {
                Ok(()) => good.push(certificate),
                Err((CardFault::Unchecked, why)) => return Err(Untrusted::Unreachable(why)),
                Err((fault, why)) => {
                    let text = format!("certificate of {address}: {why}");
                    self.seams.journal.security(&self.host, fault.correspondent_code(), text);
                    refusal = refusal.or(Some((fault, why)));
                }
            }
        }
        Ok((good, refusal))
    }

    async fn judge_one(&self, address: &str, purpose: Use, certificate: &[u8]) -> Result<(), (CardFault, String)> {
        if !sealfax_smime::speaks_for(certificate, address) {
            return Err((CardFault::OtherAddress, "it speaks for somebody else".into()));
        }
        self.path_fault(certificate, purpose)?;
        self.status_fault(certificate).await
    }

    /// Asks the certificate server, and remembers what it has.
    async fn look_up(&self, address: &str, purpose: Use) -> Result<Vec<Vec<u8>>, Untrusted> {
        let usage = match purpose {
            Use::Sign => lookup::Use::Sign,
            Use::Encrypt => lookup::Use::Encrypt,
        };
        match lookup::by_address(&self.seams, &self.directory, address, usage).await {
            Ok(certificates) => {
                let words = format!("the certificate of {address} was looked up and is kept in memory");
                self.seams.journal.step(&self.host, &["A7"], words);
                self.cache.put(address, purpose, certificates.clone(), self.seams.clock.now());
                Ok(certificates)
            }
            Err(error) => Err(self.not_found(address, &error)),
        }
    }

    fn not_found(&self, address: &str, error: &LookupError) -> Untrusted {
        let why = with_sources(error);
        if error.is_transient() {
            return Untrusted::Unreachable(why);
        }
        self.seams.journal.failure(&self.host, error.code(), &why);
        match fault::of_lookup(error) {
            Some(fault) => {
                self.seams.journal.security(&self.host, fault.correspondent_code(), &why);
                Untrusted::NotAccepted { address: address.to_owned(), fault, why }
            }
            None => Untrusted::None(address.to_owned()),
        }
    }
}
