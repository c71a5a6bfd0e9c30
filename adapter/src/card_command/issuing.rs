//! `card issue` and `card renew`: which steps of [`personalise`](super::personalise) are taken, and in which order.

use std::path::Path;

use sealfax_drivers::card::object::MailboxLogin;
use sealfax_drivers::card::piv::{Algorithm, LastTry, ManagementKey, Slot, tag};
use sealfax_drivers::pin::Pin;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::arguments::{AuthorityArgs, IssueArgs, RenewArgs, SecretArgs};
use super::authority::{self, Authority, CommandLine};
use super::console::{self, PinSource};
use super::error::CardCommandError;
use super::inventory::{self, Certified, Inventory, SLOTS, hexadecimal};
use super::personalise::{self, Administrator, Checklist, Known, Work};
use super::request::{self, Subject};
use super::secrets::{self, AdministratorSecret};
use super::verify::{self, Verdict};
use super::{Desk, Outcome, Trust, unblocking};

impl Desk<'_> {
    pub(super) fn issue(&mut self, args: &IssueArgs, list: &mut Checklist) -> Result<Outcome, CardCommandError> {
        let subject = person(&args.name, &args.address, args.authority.days)?;
        let way = Way::of(&args.authority)?;
        let secret = AdministratorSecret::read(&args.secrets.secret)?;
        let mut known = known(&secret, &args.secrets)?;
        known.puk.unknown_tries = args.unknown_puk_tries;
        known.puk.present = args.initial_puk.as_deref().map(unblocking_key).transpose()?;
        let account = args.account.as_deref().map(CommandLine::parse).transpose()?;
        let source = PinSource::of(args.pin_stdin);
        let complete = matches!(way, Way::Certificates(_));
        if !complete && account.is_none() && !args.password_stdin {
            return Err(CardCommandError::Usage(
                "the mail account has to get the mailbox password that goes on the card: give --account COMMAND, or \
                 --password-stdin for one that the account has already"
                    .to_owned(),
            ));
        }
        let pin = if complete {
            source.present(self.console, &format!("PIN of {}: ", args.name))?
        } else {
            source.new_pin(self.console, &args.name)?
        };
        let password = if args.password_stdin {
            self.console.piped().map_err(console::input)?
        } else {
            secrets::password(self.seams.entropy.as_ref())
        };
        let login =
            MailboxLogin::new(args.mailbox.as_deref().unwrap_or(&args.address), &password).ok_or_else(|| {
                CardCommandError::Input("login and password have 1 to 254 octets and no control characters".to_owned())
            })?;

        let mut piv = self.station.open(self.console)?;
        let inventory = Inventory::read(&mut piv)?;
        let kept = if args.overwrite { None } else { occupied(&inventory, &args.address)? };
        if inventory.global_pin {
            return Err(CardCommandError::Unfit(
                "the card wants its Global PIN first, and an adapter asks for the PIV PIN alone; use another card"
                    .to_owned(),
            ));
        }
        if !complete {
            // Before anything is written: what stops here leaves the card as it came.
            unblocking::may_try(inventory.puk, args.unknown_puk_tries)?;
        }
        self.console.say(&format!("Issuing a card to {} <{}>", args.name, args.address));
        let mut work = Work { piv, console: self.console, list, seams: self.seams };
        let administrator = work.administrator(&known, inventory.guid.as_ref())?;
        let own = administrator == Administrator::Own;
        let keeps = !own && args.keep_management_key;
        let resumed = !args.overwrite && (own || kept.is_some());
        if resumed {
            work.console.say("    This card was begun before: what is missing is done now.");
        }
        if let Way::Certificates(folder) = &way {
            if !own && !keeps {
                return Err(CardCommandError::KeptManagementKey("has not got a management key of its own"));
            }
            let mut candidates = authority::certificates(folder)?;
            candidates.extend(kept.map(|certified| certified.der.clone()));
            let candidates = newest_first(candidates);
            for slot in SLOTS {
                let certified = work.own_certificate(slot, &candidates, &args.address, &pin)?;
                work.write(slot, &certified)?;
            }
            drop(work);
            return self.finish(&pin, list, json!({"result": "issued", "resumed": resumed}));
        }
        if !keeps && administrator == (Administrator::Stranger { proves: false }) {
            return Err(CardCommandError::KeptManagementKey("cannot prove that it has a management key of its own"));
        }
        let before = work.piv.data(tag::CHUID)?;
        // A GUID that the card brought stays if it is proven to be the card's, or if nothing but what is for unproven
        // cards will follow from it.
        let guid = work.identifier(inventory.guid.filter(|_| own || keeps))?;
        if own {
            work.list.kept(work.console, "management key", "its own");
        } else if keeps {
            work.list.warned(
                work.console,
                "management key",
                "left as it is: whoever has it can write this card, which can never prove which one it is",
            );
        } else if let Err(error) = work.management_key(&known, &guid) {
            if matches!(error, CardCommandError::KeptManagementKey(_)) {
                // A card that is given back is as it came: its identifier would say that it was begun.
                work.piv.put_data(tag::CHUID, before.as_ref().map_or(&[], |content| content.as_slice()))?;
            }
            return Err(error);
        }
        let mut made = if args.overwrite { work.overwrite(args.keys.into())? } else { Vec::new() };
        // A card that kept both GUID and management key may have been begun before.
        let begun = own || (keeps && inventory.guid.is_some());
        work.references(&known, &guid, !keeps, begun, &pin)?;
        work.mailbox(&login, account.as_ref(), &pin)?;
        let mut requests = Vec::new();
        for slot in SLOTS {
            if let Some(certified) = kept.filter(|_| slot == Slot::Signature) {
                // Only if its key is really on the card; else it is made anew.
                let candidates = [certified.der.clone()];
                if work.own_certificate(slot, &candidates, &args.address, &pin).is_ok() {
                    work.list.kept(work.console, "certificate in 9C", format!("serial {}", certified.serial));
                    continue;
                }
            }
            let public_key = match made.iter().position(|(one, _)| *one == slot) {
                Some(at) => made.swap_remove(at).1,
                None => work.generate(slot, args.keys.into())?,
            };
            let request = work.request(slot, public_key, subject, &pin)?;
            match &way {
                Way::Authority(authority) => work.certify(&request, authority)?,
                _ => requests.push(request),
            }
        }
        if let Way::Requests(folder) = &way {
            let files =
                requests.iter().map(|request| write_request(folder, &guid, request)).collect::<Result<Vec<_>, _>>()?;
            for file in &files {
                work.console.say(&format!("    request written: {file}"));
            }
            work.console.say("Have them signed, put the certificates into a folder, and give the command again with --certificates DIR.");
            return Ok(Outcome {
                good: true,
                json: json!({"result": "requested", "requests": files, "guid": hexadecimal(&guid), "steps": work.list.json()}),
            });
        }
        drop(work);
        self.finish(&pin, list, json!({"result": "issued", "resumed": resumed}))
    }

    pub(super) fn renew(&mut self, args: &RenewArgs, list: &mut Checklist) -> Result<Outcome, CardCommandError> {
        let way = Way::of(&args.authority)?;
        let secret = AdministratorSecret::read(&args.secrets.secret)?;
        let known = known(&secret, &args.secrets)?;
        let trust = Trust::read(args.anchors.as_deref(), args.intermediates.as_deref())?;
        let mut piv = self.station.open(self.console)?;
        let inventory = Inventory::read(&mut piv)?;
        let nothing =
            || CardCommandError::Unfit("there is nothing to renew on this card; issue it with `card issue`".to_owned());
        let (name, address) = inventory.owner().ok_or_else(nothing)?;
        let (vouching, present) = inventory.of_the_owner().ok_or_else(nothing)?;
        let subject = person(&name, &address, args.authority.days)?;
        self.console.say(&format!("Renewing the card of {name} <{address}>"));
        let pin = PinSource::of(args.pin_stdin).present(self.console, &format!("PIN of {name}: "))?;
        piv.verify_pin(&pin, LastTry::Refuse)?;
        let mut work = Work { piv, console: self.console, list, seams: self.seams };
        if work.administrator(&known, inventory.guid.as_ref())? != Administrator::Own {
            // Anybody can write anybody's certificate on a card: what is certified anew is a name that was proven.
            let standard = trust.standard(Some(&pin), self.seams);
            verify::vouched(&mut work.piv, vouching, present, &pin, &standard)?;
            work.list.done(work.console, "present certificate", format!("leads to --anchors; the card is {address}'s"));
        }
        if let Way::Certificates(folder) = &way {
            let candidates = newest_first(authority::certificates(folder)?);
            for slot in SLOTS {
                let certified = work.own_certificate(slot, &candidates, &address, &pin)?;
                work.write(slot, &certified)?;
            }
            drop(work);
            return self.finish(&pin, list, json!({"result": "renewed"}));
        }
        let mut requests = Vec::new();
        for slot in SLOTS {
            let present = inventory.certificate(slot);
            let public_key = match present {
                Some(certified) if !args.new_keys => certified.public_key()?,
                _ => {
                    let algorithm = present.and_then(|one| one.algorithm).unwrap_or(Algorithm::Rsa2048);
                    work.generate(slot, algorithm)?
                }
            };
            let request = work.request(slot, public_key, subject, &pin)?;
            match &way {
                Way::Authority(authority) => work.certify(&request, authority)?,
                _ => requests.push(request),
            }
        }
        if let Way::Requests(folder) = &way {
            let guid = inventory.guid.unwrap_or_default();
            let files =
                requests.iter().map(|request| write_request(folder, &guid, request)).collect::<Result<Vec<_>, _>>()?;
            work.console.say("Have the requests signed and give the command again with --certificates DIR.");
            return Ok(Outcome {
                good: true,
                json: json!({"result": "requested", "requests": files, "steps": work.list.json()}),
            });
        }
        drop(work);
        self.finish(&pin, list, json!({"result": "renewed"}))
    }

    /// A new session, as the adapter will have it: the final verify.
    fn finish(&mut self, pin: &Pin, list: &Checklist, mut json: Value) -> Result<Outcome, CardCommandError> {
        let (inventory, verdict) = self.last_look(pin).map_err(|error| match error {
            CardCommandError::Removed => CardCommandError::RemovedAtTheEnd,
            error => error,
        })?;
        if let Some(fields) = json.as_object_mut() {
            fields.insert("steps".to_owned(), list.json());
            fields.insert("card".to_owned(), inventory.json());
            fields.insert("verdict".to_owned(), verdict.json());
        }
        let failure = verdict.failure().map(CardCommandError::Verdict);
        if let Some(error) = &failure {
            self.console.say(&format!("{}: {error}.", error.code()));
        }
        Ok(Outcome { good: failure.is_none(), json })
    }

    fn last_look(&mut self, pin: &Pin) -> Result<(Inventory, Verdict), CardCommandError> {
        let mut piv = self.station.open(self.console)?;
        let inventory = Inventory::read(&mut piv)?;
        let verdict = self.check(&mut piv, &inventory, &Trust::default().standard(Some(pin), self.seams))?;
        Ok((inventory, verdict))
    }
}

/// How requests become certificates.
enum Way {
    /// At once.
    Authority(Authority),
    /// In two steps, the first.
    Requests(std::path::PathBuf),
    /// In two steps, the second.
    Certificates(std::path::PathBuf),
}

impl Way {
    fn of(args: &AuthorityArgs) -> Result<Self, CardCommandError> {
        match (&args.ca, &args.requests, &args.certificates) {
            (Some(command), None, None) => Ok(Self::Authority(Authority(CommandLine::parse(command)?))),
            (None, Some(folder), None) => Ok(Self::Requests(folder.clone())),
            (None, None, Some(folder)) => Ok(Self::Certificates(folder.clone())),
            _ => Err(CardCommandError::Usage(
                "say who signs: --ca COMMAND, or in two steps --requests DIR and --certificates DIR".to_owned(),
            )),
        }
    }
}

/// What would be lost on this card. The certificate in 9C of a card that was begun for the same person is kept.
fn occupied<'a>(inventory: &'a Inventory, address: &str) -> Result<Option<&'a Certified>, CardCommandError> {
    let held = |slot: Slot| match inventory.slots.iter().find(|(one, _)| *one == slot).map(|(_, holding)| holding) {
        Some(inventory::Holding::Unreadable(_)) => {
            Err(CardCommandError::Occupied(format!("what is in {:02X} cannot be read", slot.key_reference())))
        }
        Some(inventory::Holding::Certificate(certified)) => Ok(Some(&**certified)),
        _ => Ok(None),
    };
    let (signature, decryption) = (held(Slot::Signature)?, held(Slot::KeyManagement)?);
    match (signature, decryption) {
        (None, None) => Ok(None),
        (Some(certified), None) => {
            personalise::expect_owner(inventory, address)?;
            Ok(Some(certified))
        }
        _ => {
            let whose = inventory
                .owner()
                .map_or_else(|| "somebody".to_owned(), |(name, address)| format!("{name} <{address}>"));
            Err(CardCommandError::Occupied(format!("it is issued to {whose}")))
        }
    }
}

fn person<'a>(name: &'a str, address: &'a str, days: u32) -> Result<Subject<'a>, CardCommandError> {
    let sound_name = (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
    let sound_address = address.is_ascii() && sealfax_client::lookup::is_address(address);
    if !sound_name {
        return Err(CardCommandError::Usage("--name has 1 to 64 octets and no control characters".to_owned()));
    }
    if !sound_address {
        return Err(CardCommandError::Usage(format!("this is no mail address: {address}")));
    }
    Ok(Subject { name, address, days })
}

fn known<'a>(secret: &'a AdministratorSecret, args: &SecretArgs) -> Result<Known<'a>, CardCommandError> {
    let wrong = |path: &Path, what| CardCommandError::SecretFile { path: path.to_owned(), what };
    let management = match &args.initial_management_key {
        None => ManagementKey::factory(),
        Some(path) => unhex(&secrets::secret_file(path)?)
            .and_then(|octets| ManagementKey::new(&octets))
            .ok_or_else(|| wrong(path, "a management key is 32, 48 or 64 hexadecimal digits"))?,
    };
    let puk = unblocking::Told { present: None, unknown_tries: false };
    Ok(Known { secret, management, puk })
}

/// The unblocking key in a file.
fn unblocking_key(path: &Path) -> Result<Zeroizing<[u8; 8]>, CardCommandError> {
    let octets = secrets::secret_file(path)?;
    let exact = octets.trim_ascii().try_into();
    exact.map(Zeroizing::new).map_err(|_| CardCommandError::SecretFile {
        path: path.to_owned(),
        what: "an unblocking key is eight characters",
    })
}

fn unhex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(32));
    for pair in text.trim_ascii().chunks(2) {
        let [high, low] = pair else { return None };
        let digit = |octet: &u8| char::from(*octet).to_digit(16);
        out.push(u8::try_from((digit(high)? << 4) | digit(low)?).ok()?);
    }
    Some(out)
}

/// Writes a request for an authority without a network; the name says whose card and which key.
fn write_request(folder: &Path, guid: &[u8; 16], request: &request::Request<'_>) -> Result<String, CardCommandError> {
    let file = folder.join(format!("{}-{}.csr.pem", hexadecimal(guid), request::usage(request.slot)));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, request.pem().unwrap_or_default()))
        .map_err(|source| CardCommandError::File { path: file.clone(), source })?;
    Ok(file.display().to_string())
}

/// A renewed certificate lies beside the old one, for the same key.
fn newest_first(mut certificates: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    certificates.sort_by_key(|der| std::cmp::Reverse(Certified::read(der.clone()).map(|one| one.validity.0)));
    certificates
}
