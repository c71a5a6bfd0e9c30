//! `sealfax-mailserver ca`: found the authority, issue and revoke certificates, look at them. Works beside a running
//! server, which heeds every change at once.
//!
//! Words for people go to standard error; standard output has only what was asked for: a certificate, or `--json`.

mod arguments;
mod words;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use p256::pkcs8::EncodePublicKey;
use sealfax_client::history::time_text;
use sealfax_client::seam::Seams;
use serde_json::{Value, json};

use super::AuthorityError;
use super::ca::{
    Access, Authority, AuthorityOptions, CardRequest, EndpointRequest, NewPassphrase, PersonRequest, Protect,
};
use super::keys::{Passphrase, PassphraseSource, file};
use super::settings::Settings;
use arguments::{CaCommand, EndpointArgs};
use words::{absolute, certificate_pem, days_of, line, new_passphrase, read_public_key, read_request, row};

pub use arguments::CaArgs;

/// Where things go.
struct Output {
    json: bool,
}

impl Output {
    /// `value` for programs, or `words` for people.
    fn say(&self, value: Value, words: impl FnOnce() -> String) {
        if self.json {
            let mut whole = json!({"schema": 1});
            if let (Some(whole), Value::Object(fields)) = (whole.as_object_mut(), value) {
                whole.extend(fields);
            }
            println!("{whole}");
        } else {
            eprintln!("{}", words());
        }
    }
}

impl CaArgs {
    /// Runs the command.
    pub fn run(self, seams: &Seams) -> Result<(), AuthorityError> {
        let output = Output { json: self.json };
        let data = self.data.as_path();
        // The OCSP key is not opened: it may be elsewhere, and nobody who revokes is to be kept from it by that.
        let issuing = || -> Result<Authority, AuthorityError> {
            let settings = Settings::load(data)?;
            let file = self.key_passphrase_file.clone().or(settings.key_passphrase_file);
            let passphrase = PassphraseSource::new(file, std::io::stderr().is_terminal());
            let authority = Authority::open_with(data, Access::Issue { passphrase }, seams)?;
            for key in authority.unprotected_keys() {
                eprintln!("Warning: the {key} key stands on the disk in clear. `ca protect` encrypts it.");
            }
            for warning in authority.warnings() {
                eprintln!("Warning: {warning}");
            }
            Ok(authority)
        };
        let ocsp_source = || -> Result<PassphraseSource, AuthorityError> {
            let settings = Settings::load(data)?;
            let file = self
                .ocsp_key_passphrase_file
                .clone()
                .or(settings.ocsp_key_passphrase_file)
                .or_else(|| self.key_passphrase_file.clone())
                .or(settings.key_passphrase_file);
            Ok(PassphraseSource::new(file, std::io::stderr().is_terminal()))
        };
        let look = || Authority::open_with(data, Access::Read, seams);
        match self.command {
            CaCommand::Create {
                organization,
                years,
                plain_keys,
                issuing_key,
                ocsp_key,
                ocsp_url,
                crl_url,
                renew_online,
                ocsp_signer_days,
            } => {
                let defaults = Settings::default();
                let settings = Settings {
                    issuing_key: issuing_key.unwrap_or(defaults.issuing_key),
                    ocsp_key: ocsp_key.unwrap_or(defaults.ocsp_key),
                    key_passphrase_file: absolute(self.key_passphrase_file)?,
                    ocsp_key_passphrase_file: absolute(self.ocsp_key_passphrase_file)?,
                    ocsp_url,
                    crl_url,
                    crl_days: defaults.crl_days,
                    ocsp_signer_days,
                    renew_online,
                };
                let passphrase = match plain_keys {
                    true => None,
                    false => Some(new_passphrase(settings.key_passphrase_file.clone(), data)?),
                };
                let ocsp_passphrase = match &settings.ocsp_key_passphrase_file {
                    Some(path) if !plain_keys => Some(Passphrase::read(path)?),
                    _ => None,
                };
                let life = Duration::from_secs(u64::from(years) * 365 * 24 * 60 * 60);
                let options = AuthorityOptions { organization, life, settings, passphrase, ocsp_passphrase };
                Authority::create(data, &options, seams)?;
                let anchor = data.join("root.pem");
                output.say(json!({"anchor": anchor}), || {
                    format!(
                        "Authority founded. Give {} to every adapter; keep the folder backed up, and {} in a safe.",
                        anchor.display(),
                        data.join("root.key.pem").display()
                    )
                });
            }
            CaCommand::Sign { request, address, name, usage, days, replace } => {
                let request = read_request(request.as_deref())?;
                let signed = issuing()?.sign_request(&CardRequest {
                    request,
                    name,
                    address,
                    usage: usage.into(),
                    validity: days_of(days),
                    replace,
                })?;
                let pem = certificate_pem(&signed.certificate)?;
                for serial in &signed.still_valid {
                    eprintln!(
                        "The older certificate {serial} of this person is still valid; if its card is out of use: \
                         ca revoke {serial} --reason superseded"
                    );
                }
                if self.json {
                    output.say(
                        json!({"serial": signed.serial, "certificate": pem, "still_valid": signed.still_valid}),
                        String::new,
                    );
                } else {
                    print!("{pem}");
                    eprintln!("Issued {}.", signed.serial);
                }
            }
            CaCommand::Issue { name, address, usage, public_key, days, ocsp_url, out } => {
                let authority = issuing()?;
                let certificate = authority.issue_person(&PersonRequest {
                    name,
                    address,
                    public_key: read_public_key(&public_key)?,
                    usage: usage.into(),
                    validity: days_of(days),
                    ocsp_url: ocsp_url.or_else(|| authority.settings().ocsp_url.clone()),
                })?;
                file::write(&out, certificate_pem(&certificate)?.as_bytes(), 0o644)?;
                output.say(json!({"certificate": out}), || format!("Certificate written to {}", out.display()));
            }
            CaCommand::Server(endpoint) => issue_endpoint(endpoint, false, issuing, seams, &output)?,
            CaCommand::Device(endpoint) => issue_endpoint(endpoint, true, issuing, seams, &output)?,
            CaCommand::Revoke { serial, reason } => {
                issuing()?.revoke(&serial, reason, seams.clock.now())?;
                output.say(json!({"revoked": serial}), || format!("Revoked {serial}."));
            }
            CaCommand::List { address } => {
                let authority = look()?;
                let issued = match &address {
                    Some(address) => authority.all_by_address(address)?,
                    None => authority.list()?,
                };
                output.say(json!({"certificates": issued.iter().map(row).collect::<Vec<_>>()}), || {
                    issued.iter().map(line).collect::<Vec<_>>().join("\n")
                });
            }
            CaCommand::Show { serial } => {
                let one = look()?.show(&serial)?;
                let pem = certificate_pem(&one.certificate)?;
                let mut value = row(&one);
                if let Some(fields) = value.as_object_mut() {
                    fields.insert("certificate".to_owned(), json!(pem));
                }
                output.say(json!({"certificate": value}), || line(&one));
                if !self.json {
                    print!("{pem}");
                }
            }
            CaCommand::RenewOcsp { new_key } => {
                let mut authority = issuing()?;
                let source = ocsp_source()?;
                let until = if new_key {
                    authority.renew_signer_key(&source)?
                } else {
                    // Where its key is elsewhere, the present certificate says which one it is.
                    if let Err(error) = authority.open_ocsp_key(&source) {
                        eprintln!("Warning: the OCSP key is not looked at: {error}");
                    }
                    authority.renew_signer()?
                };
                output.say(json!({"not_after": time_text(until), "new_key": new_key}), || {
                    let then = if new_key { "; start the server again to have it sign with the new key" } else { "" };
                    format!("The OCSP signer is valid until {}{then}.", time_text(until))
                });
            }
            CaCommand::Crl { out } => {
                let authority = issuing()?;
                let list = authority.publish_list()?;
                authority.note("crl", json!({"number": list.number, "revoked": list.revoked}))?;
                if let Some(out) = &out {
                    file::write(out, &list.der, 0o644)?;
                }
                let next = list.next_update.map(time_text);
                output.say(json!({"number": list.number, "revoked": list.revoked, "next_update": next}), || {
                    format!(
                        "Revocation list {} names {} certificates; the next one is due before {}.",
                        list.number,
                        list.revoked,
                        next.as_deref().unwrap_or("ever")
                    )
                });
            }
            CaCommand::Audit { verify } => {
                let mut entries = Vec::new();
                let summary = look()?.audit(|entry| {
                    if !verify {
                        entries.push(entry.clone());
                    }
                })?;
                output.say(json!({"entries": entries, "count": summary.entries, "head": summary.head}), || {
                    let mut text = String::new();
                    for entry in &entries {
                        text.push_str(&format!(
                            "{:6}  {}  {}  {} {}\n",
                            entry.index, entry.at, entry.who, entry.act, entry.what
                        ));
                    }
                    text + &format!("{} acts, every link holds. Head: {}", summary.entries, summary.head)
                });
            }
            CaCommand::Protect { keys, new_key_passphrase_file, new_ocsp_key_passphrase_file } => {
                let settings = Settings::load(data)?;
                let old_ocsp = ocsp_source()?;
                let old_file = self.key_passphrase_file.or(settings.key_passphrase_file);
                let old = PassphraseSource::new(old_file, std::io::stderr().is_terminal());
                let named = |file: Option<PathBuf>| -> Result<NewPassphrase, AuthorityError> {
                    Ok(NewPassphrase { passphrase: new_passphrase(file.clone(), data)?, file })
                };
                let new = named(new_key_passphrase_file)?;
                let new_ocsp = new_ocsp_key_passphrase_file.map(|file| named(Some(file))).transpose()?;
                let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let how = Protect { which: &names, old: &old, old_ocsp: &old_ocsp, new, new_ocsp };
                let done = Authority::protect(data, &how, seams)?;
                output.say(json!({"protected": done}), || done.join("\n"));
            }
        }
        Ok(())
    }
}

fn issue_endpoint(
    endpoint: EndpointArgs,
    device: bool,
    open: impl FnOnce() -> Result<Authority, AuthorityError>,
    seams: &Seams,
    output: &Output,
) -> Result<(), AuthorityError> {
    let (public_key, key) = match &endpoint.request {
        Some(path) => (Authority::requested_key(&read_request(Some(path))?)?, None),
        None => {
            let key = file::generate(&seams.entropy);
            let public = key.verifying_key().to_public_key_der();
            let public = public.map_err(|error| AuthorityError::Build(Box::new(error)))?;
            (public.as_bytes().to_vec(), Some(key))
        }
    };
    let authority = open()?;
    let signed = authority.issue_endpoint(&EndpointRequest {
        names: endpoint.names.clone(),
        public_key,
        device,
        validity: days_of(endpoint.days),
    })?;
    // Issuing has checked that the names are names.
    let stem = endpoint.names.first().map_or("endpoint", String::as_str).replace('*', "wildcard").replace(':', "-");
    let certificate_file = endpoint.out.join(format!("{stem}.pem"));
    let key_file = key.is_some().then(|| endpoint.out.join(format!("{stem}.key.pem")));
    if let (Some(key), Some(path)) = (&key, &key_file) {
        file::write(path, file::key_pem(key, None, seams.entropy.as_ref())?.as_bytes(), 0o600)?;
    }
    let chain = certificate_pem(&signed.certificate)? + &certificate_pem(&authority.issuing_der()?)?;
    file::write(&certificate_file, chain.as_bytes(), 0o644)?;
    let value = json!({"serial": signed.serial, "certificate": certificate_file, "key": key_file});
    output.say(value, || {
        let key = key_file.map_or_else(String::new, |path| format!(", its key to {}", path.display()));
        format!("Issued {}: written to {}{key}.", signed.serial, certificate_file.display())
    });
    Ok(())
}
