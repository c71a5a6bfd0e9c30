//! `sealfax-adapter card`: the administrator's desk. Shows and checks cards, issues them to people, renews them, changes
//! and unblocks PINs, over any [`CardReader`].

mod arguments;
mod authority;
mod console;
mod error;
mod inventory;
mod issuing;
mod opening;
mod personalise;
mod proof;
mod request;
mod secrets;
mod station;
mod unblocking;
mod verify;

pub use arguments::{CardArgs, CardSubcommand};
pub use console::{Console, Terminal};
pub use error::CardCommandError;
pub use secrets::AdministratorSecret;
pub use station::open_reader;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sealfax_client::seam::Seams;
use sealfax_drivers::card::CardReader;
use sealfax_drivers::card::piv::{LastTry, Piv};
use sealfax_drivers::pin::Pin;
use serde_json::{Value, json};

use arguments::{UnblockArgs, VerifyArgs};
use console::PinSource;
use inventory::Inventory;
pub(crate) use inventory::hexadecimal;
use personalise::Checklist;
use station::Station;
use verify::{Standard, State, Verdict};

/// What a command has to say at its end.
struct Outcome {
    /// Whether it is a good end.
    good: bool,
    /// For programs.
    json: Value,
}

/// Runs a card command and answers the process's exit code: 0 well, 1 failed, 2 wrong command line, 3 the tool or its
/// reader could not work. Human text goes to `console`, JSON alone to `out`. Blocks.
pub fn run(
    args: &CardArgs,
    reader: Result<Box<dyn CardReader>, CardCommandError>,
    console: &mut dyn Console,
    out: &mut dyn Write,
    seams: &Seams,
) -> u8 {
    let name = match &args.command {
        CardSubcommand::Show => "show",
        CardSubcommand::Verify(_) => "verify",
        CardSubcommand::Issue(_) => "issue",
        CardSubcommand::Renew(_) => "renew",
        CardSubcommand::Pin { .. } => "pin",
        CardSubcommand::Unblock(_) => "unblock",
        CardSubcommand::Open(_) => "open",
    };
    let mut list = Checklist::default();
    let result = reader.and_then(|reader| {
        let station = Station::new(reader, Duration::from_secs(args.wait));
        Desk { station, console: &mut *console, seams }.perform(&args.command, &mut list)
    });
    let (mut exit, mut answer) = match result {
        Ok(outcome) => (u8::from(!outcome.good), outcome.json),
        Err(error) => {
            console.say(&format!("{}: {error}.", error.code()));
            (error.exit(), json!({"error": {"code": error.code(), "message": error.to_string()}, "steps": list.json()}))
        }
    };
    if args.json {
        if let Some(fields) = answer.as_object_mut() {
            fields.insert("schema".to_owned(), json!(1));
            fields.insert("command".to_owned(), json!(name));
            fields.insert("exit".to_owned(), json!(exit));
        }
        if writeln!(out, "{answer}").is_err() {
            exit = 3;
        }
    }
    exit
}

/// A reader, a person, the world.
struct Desk<'a> {
    station: Station,
    console: &'a mut dyn Console,
    seams: &'a Seams,
}

impl Desk<'_> {
    fn perform(&mut self, command: &CardSubcommand, list: &mut Checklist) -> Result<Outcome, CardCommandError> {
        match command {
            CardSubcommand::Show => {
                let mut piv = self.station.open(self.console)?;
                let inventory = Inventory::read(&mut piv)?;
                inventory.tell(self.console);
                Ok(Outcome { good: true, json: json!({"reader": self.station.name(), "card": inventory.json()}) })
            }
            CardSubcommand::Verify(args) => self.verify(args),
            CardSubcommand::Issue(args) => self.issue(args, list),
            CardSubcommand::Renew(args) => self.renew(args, list),
            CardSubcommand::Pin { pin_stdin, allow_last_try } => {
                self.change_pin(PinSource::of(*pin_stdin), last_try(*allow_last_try))
            }
            CardSubcommand::Unblock(args) => self.unblock(args),
            CardSubcommand::Open(args) => self.open_mail(args),
        }
    }

    fn verify(&mut self, args: &VerifyArgs) -> Result<Outcome, CardCommandError> {
        let trust = Trust::read(args.anchors.as_deref(), args.intermediates.as_deref())?;
        let mut piv = self.station.open(self.console)?;
        let inventory = Inventory::read(&mut piv)?;
        inventory.tell(self.console);
        let source = PinSource::of(args.pin_stdin);
        let pin = if args.no_pin { None } else { source.maybe(self.console, "PIN (nothing: without it): ")? };
        let standard = Standard { last_try: last_try(args.allow_last_try), ..trust.standard(pin.as_ref(), self.seams) };
        let verdict = self.check(&mut piv, &inventory, &standard)?;
        let good = verdict.state() != State::Failed;
        let json = json!({"reader": self.station.name(), "card": inventory.json(), "verdict": verdict.json()});
        Ok(Outcome { good, json })
    }

    fn check(
        &mut self,
        piv: &mut Piv,
        inventory: &Inventory,
        standard: &Standard<'_>,
    ) -> Result<Verdict, CardCommandError> {
        let verdict = verify::verify(piv, inventory, standard)?;
        verdict.tell(self.console);
        Ok(verdict)
    }

    fn change_pin(&mut self, source: PinSource, last_try: LastTry) -> Result<Outcome, CardCommandError> {
        let mut piv = self.station.open(self.console)?;
        let inventory = Inventory::read(&mut piv)?;
        let whose = inventory.owner().map_or_else(|| "this card".to_owned(), |(name, _)| name);
        let old = source.present(self.console, &format!("Present PIN of {whose}: "))?;
        let new = source.new_pin(self.console, &whose)?;
        piv.change_pin(&old, &new, last_try)?;
        piv.verify_pin(&new, LastTry::Refuse)?;
        self.console.say(&format!("The PIN of {whose} was changed."));
        Ok(Outcome { good: true, json: json!({"result": "changed"}) })
    }

    fn unblock(&mut self, args: &UnblockArgs) -> Result<Outcome, CardCommandError> {
        let source = PinSource::of(args.pin_stdin);
        let secret = AdministratorSecret::read(&args.secret)?;
        let mut piv = self.station.open(self.console)?;
        let inventory = Inventory::read(&mut piv)?;
        let whose = inventory.owner().map_or_else(|| "this card".to_owned(), |(name, _)| name);
        let guid = inventory.guid.ok_or_else(|| {
            CardCommandError::Unfit("this card has no identifier, so it was not issued with any secret".to_owned())
        })?;
        unblocking::may_try(inventory.puk, args.unknown_puk_tries)?;
        let proven = proof::is_the_card(&mut piv, &secret, &guid, self.seams.entropy.as_ref())?;
        if !proven && !args.keep_management_key {
            return Err(CardCommandError::Unproven(
                "use the secret it was issued with; only if it was issued with --keep-management-key, say that again here",
            ));
        }
        let puk = if proven { secret.puk(&guid) } else { secret.puk_of_an_unproven_card(&guid) };
        let puk = puk.ok_or(CardCommandError::Puk)?;
        let new = source.new_pin(self.console, &whose)?;
        unblocking::unblock(&mut piv, &puk, &new)?;
        piv.verify_pin(&new, LastTry::Refuse)?;
        self.console.say(&format!("The card of {whose} has a new PIN and all its tries."));
        Ok(Outcome { good: true, json: json!({"result": "unblocked"}) })
    }
}

const fn last_try(allow: bool) -> LastTry {
    if allow { LastTry::Allow } else { LastTry::Refuse }
}

/// Whose certificates are believed.
#[derive(Default)]
struct Trust {
    anchors: Vec<Vec<u8>>,
    intermediates: Vec<Vec<u8>>,
}

impl Trust {
    fn read(anchors: Option<&Path>, intermediates: Option<&Path>) -> Result<Self, CardCommandError> {
        Ok(Self {
            anchors: anchors.map(certificates).transpose()?.unwrap_or_default(),
            intermediates: intermediates.map(certificates).transpose()?.unwrap_or_default(),
        })
    }

    /// What a card is held against now.
    fn standard<'a>(&'a self, pin: Option<&'a Pin>, seams: &'a Seams) -> Standard<'a> {
        Standard {
            anchors: &self.anchors,
            intermediates: &self.intermediates,
            pin,
            last_try: LastTry::Refuse,
            now: seams.clock.now(),
            entropy: &seams.entropy,
        }
    }
}

/// Certificates of a PEM file.
fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, CardCommandError> {
    let broken = |source| CardCommandError::File { path: path.to_owned(), source };
    let pem = std::fs::read(path).map_err(broken)?;
    CertificateDer::pem_slice_iter(&pem)
        .map(|one| one.map(|der| der.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| broken(std::io::Error::other(error.to_string())))
}
