//! What the mail servers of a region show under TLS: certificates of the region's own authority, and where it begins with
//! the first octet.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sealfax_adapter::config::NoticesTls;
use sealfax_mailserver::authority::{Authority, EndpointRequest};
use sealfax_mailserver::history::HistoryTls;
use sealfax_mailserver::mail::MailTls;

use super::people::seed_of;
use super::region::pem;
use crate::scenario::Failure;

/// SMTP with TLS from the first octet (465, RFC 8314).
pub const SMTPS: u16 = 2465;
/// POP3 with it (995).
pub const POP3S: u16 = 2995;

/// Issues what the mail server `name` shows, and puts it into `folder`.
pub(super) fn issue(
    name: &str,
    address: IpAddr,
    folder: &Path,
    authority: &Authority,
    seed: u64,
) -> Result<MailTls, Failure> {
    let (certificate, key) = endpoint(name, false, folder, authority, seed)?;
    Ok(MailTls {
        certificate,
        key,
        clients: None,
        smtps: Some(SocketAddr::new(address, SMTPS)),
        pop3s: Some(SocketAddr::new(address, POP3S)),
        clear_logins: false,
    })
}

/// Issues what the adapter `name` shows, and puts it into `folder`.
pub(super) fn notices(name: &str, folder: &Path, authority: &Authority, seed: u64) -> Result<NoticesTls, Failure> {
    endpoint(name, true, folder, authority, seed).map(|(certificate, key)| NoticesTls { certificate, key })
}

/// Issues what the history server shows, and puts it into `folder`; it knows whom the authority knows.
pub(super) fn history(folder: &Path, anchors: &Path, authority: &Authority, seed: u64) -> Result<HistoryTls, Failure> {
    let (certificate, key) = endpoint("history", false, folder, authority, seed)?;
    Ok(HistoryTls { certificate, key, clients: Some(anchors.to_owned()) })
}

/// Files of a certificate and its key; a device is also a client.
fn endpoint(
    name: &str,
    device: bool,
    folder: &Path,
    authority: &Authority,
    seed: u64,
) -> Result<(PathBuf, PathBuf), Failure> {
    let broken = |error: &dyn std::fmt::Display| Failure::infrastructure(format!("{name}: {error}"));
    let key = p256::SecretKey::generate_from_rng(&mut ChaCha20Rng::from_seed(seed_of(name, seed)));
    let public_key = key.public_key().to_public_key_der().map_err(|error| broken(&error))?.into_vec();
    let validity = Duration::from_secs(24 * 60 * 60);
    let request = EndpointRequest { names: vec![name.to_owned()], public_key, device, validity };
    let certificate = authority.issue_endpoint(&request).map_err(|error| broken(&error))?.certificate;
    let issuing = authority.issuing_der().map_err(|error| broken(&error))?;
    let chain = pem("CERTIFICATE", &certificate) + &pem("CERTIFICATE", &issuing);
    let key = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| broken(&error))?;
    std::fs::create_dir_all(folder).map_err(|error| broken(&error))?;
    let (chain_file, key_file) = (folder.join("mail.pem"), folder.join("mail.key.pem"));
    std::fs::write(&chain_file, chain).map_err(|error| broken(&error))?;
    std::fs::write(&key_file, key.as_bytes()).map_err(|error| broken(&error))?;
    Ok((chain_file, key_file))
}
