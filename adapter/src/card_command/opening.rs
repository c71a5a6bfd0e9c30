//! `card open`: a mail that was kept, of any length, opened with the card from file to file. What the adapter checks before it
//! prints is checked here, as it was when the mail was signed; what old archives hold and no adapter reads is read on request.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use sealfax_drivers::card::CardError;
use sealfax_smime::{Floor, Verification, decrypt_stream};
use serde_json::json;

use super::arguments::OpenArgs;
use super::console::PinSource;
use super::error::CardCommandError;
use super::{Desk, Outcome, certificates};
use crate::card::{InsertedCard, PinAnswer};
use crate::flow::normal_address;

/// Octets of a mail in which its header section is looked for.
const HEADER: u64 = sealfax_smime::bounds::HEADER_SECTION as u64;

impl Desk<'_> {
    pub(super) fn open_mail(&mut self, args: &OpenArgs) -> Result<Outcome, CardCommandError> {
        let anchors = certificates(&args.anchors)?;
        let broken = |path: &Path, source| CardCommandError::File { path: path.to_owned(), source };
        let read = |source| broken(&args.mail, source);
        let mut beginning = Vec::new();
        File::open(&args.mail).and_then(|file| file.take(HEADER).read_to_end(&mut beginning)).map_err(read)?;
        let sender = crate::outgoing::origin(&beginning).map(|from| normal_address(&from)).ok_or_else(|| {
            CardCommandError::Usage(format!("{} is no mail: it has no single From", args.mail.display()))
        })?;

        let channel = self.station.connect(self.console)?;
        let card = Arc::new(InsertedCard::read(channel)?);
        let whose = card.identity().owner.clone();
        let pin = PinSource::of(args.pin_stdin).present(self.console, &format!("PIN of {}: ", whose.name))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CardError::Reader(error.to_string()))?;
        match runtime.block_on(card.verify_pin(Arc::new(pin), card.identity().tries_left)) {
            PinAnswer::Accepted => {}
            PinAnswer::Refused(0) | PinAnswer::Untried(0) => return Err(CardCommandError::Blocked),
            PinAnswer::Refused(left) => return Err(CardError::WrongPin { left }.into()),
            PinAnswer::Untried(_) => return Err(CardCommandError::LastTry),
            PinAnswer::Failed(trouble) => return Err(trouble.into()),
            PinAnswer::Cancelled => return Err(CardCommandError::Input("no PIN was given".to_owned())),
        }

        let floor = if args.single_des { Floor::Archive } else { Floor::Today };
        let mail = BufReader::new(File::open(&args.mail).map_err(read)?);
        let decrypted = runtime.block_on(decrypt_stream(mail, &card.decryption_key(), floor))?;
        let hint = decrypted.signer_hint()?;
        let now = self.seams.clock.now();
        let opened = decrypted.verify(&Verification {
            anchors: &anchors,
            // Certificates run out while mails are kept: they had to be valid then. Nobody signs later than today.
            now: hint.signing_time.map_or(now, |signed| signed.min(now)),
            sender: &sender,
            sender_certificates: &hint.certificates,
            recipient: &whose.address,
            recipient_certificate: &card.identity().encryption_certificate,
            allow_unbound: args.accept_unbound,
        })?;
        let verdict = opened.verdict.clone();
        let mut out = NewFile::create(&args.out).map_err(|source| broken(&args.out, source))?;
        opened.release(&mut out.file)?;
        out.keep().map_err(|source| broken(&args.out, source))?;

        let signed = verdict.signing_time.map(sealfax_ifax::header::format_date).unwrap_or_default();
        self.console.say(&format!("{} was sealed by {sender} ({signed}) for {}.", args.mail.display(), whose.address));
        if !verdict.encryption.is_authenticated() {
            self.console.say(&format!("It came under an old cipher ({:?}).", verdict.encryption));
        }
        if !verdict.bound {
            self.console.say("It does not say for whom: somebody else may have been meant, and have passed it on.");
        }
        let json = json!({
            "result": "opened",
            "sender": sender,
            "signed": signed,
            "encryption": format!("{:?}", verdict.encryption),
            "bound": verdict.bound,
            "out": args.out,
        });
        Ok(Outcome { good: true, json })
    }
}

/// A file that is there in the end or not at all, for its owner's eyes.
struct NewFile<'a> {
    path: &'a Path,
    file: File,
    kept: bool,
}

impl<'a> NewFile<'a> {
    fn create(path: &'a Path) -> std::io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { path, file, kept: false })
    }

    fn keep(mut self) -> std::io::Result<()> {
        self.file.sync_all()?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(self.path);
        }
    }
}
