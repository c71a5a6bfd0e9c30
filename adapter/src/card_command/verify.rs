//! `card verify`: does this card do what the adapter needs? A list of named checks, each *ok*, *warning*, *failed* or
//! *unchecked*, and one thing to do next. With the PIN the card really signs and decrypts.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sealfax_client::seam::Entropy;
use sealfax_drivers::card::CardError;
use sealfax_drivers::card::piv::{LastTry, PinStatus, Piv, Slot};
use sealfax_drivers::pin::Pin;
use sealfax_smime::{path, same_address};
use serde_json::{Value, json};

use super::console::Console;
use super::error::CardCommandError;
use super::inventory::{Certified, Holding, Inventory, date};
use super::proof;
use super::request::{purpose, usage};

/// How long before its end a certificate is worth a word.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it has to be.
    Ok,
    /// It works, and should be looked after.
    Warning,
    /// The adapter will not take this card.
    Failed,
    /// Could not be looked at.
    Unchecked,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Unchecked => "unchecked",
        }
    }
}

/// One finding.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its stable name.
    pub name: &'static str,
    /// How it came out.
    pub state: State,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    pub next: Option<&'static str>,
}

/// All findings.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// In the order in which they depend on each other.
    pub checks: Vec<Check>,
}

impl Verdict {
    fn add(&mut self, name: &'static str, state: State, detail: impl Into<String>, next: Option<&'static str>) {
        self.checks.push(Check { name, state, detail: detail.into(), next });
    }

    /// Good or not, with its one sentence.
    fn judge(&mut self, name: &'static str, good: bool, detail: impl Into<String>, next: &'static str) {
        let (state, next) = if good { (State::Ok, None) } else { (State::Failed, Some(next)) };
        self.add(name, state, detail, next);
    }

    /// The worst that was found; what could not be looked at does not count.
    pub fn state(&self) -> State {
        let any = |state| self.checks.iter().any(|check| check.state == state);
        if any(State::Failed) {
            State::Failed
        } else if any(State::Warning) {
            State::Warning
        } else {
            State::Ok
        }
    }

    /// The one thing to do next.
    pub fn next(&self) -> Option<&'static str> {
        [State::Failed, State::Warning]
            .into_iter()
            .find_map(|state| self.checks.iter().find(|check| check.state == state).and_then(|check| check.next))
    }

    /// The first failure, in a sentence.
    pub fn failure(&self) -> Option<String> {
        let failed = self.checks.iter().find(|check| check.state == State::Failed)?;
        Some(format!("{}: {}", failed.name, failed.detail))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let checks: Vec<Value> = self
            .checks
            .iter()
            .map(|check| {
                json!({"name": check.name, "state": check.state.word(), "detail": check.detail, "next": check.next})
            })
            .collect();
        json!({"state": self.state().word(), "next": self.next(), "checks": checks})
    }

    /// For people.
    pub fn tell(&self, console: &mut dyn Console) {
        for check in &self.checks {
            console.say(&format!("  {:9}  {:23}  {}", check.state.word(), check.name, check.detail));
        }
        match self.next() {
            Some(next) => console.say(&format!("Next: {next}.")),
            None => console.say("The card does what the adapter needs."),
        }
    }
}

/// What a card is held against.
pub struct Standard<'a> {
    /// Trust anchors, DER; none: the path is not looked at.
    pub anchors: &'a [Vec<u8>],
    /// Certificates between.
    pub intermediates: &'a [Vec<u8>],
    /// The PIN, if somebody gave it.
    pub pin: Option<&'a Pin>,
    /// Whether it may be shown when one try is left.
    pub last_try: LastTry,
    /// The time.
    pub now: SystemTime,
    /// Random octets.
    pub entropy: &'a Arc<dyn Entropy>,
}

const ISSUE: &str = "issue the card with `card issue`";
const RENEW: &str = "renew its certificates with `card renew`";
const UNBLOCK: &str = "give it a new PIN with `card unblock`";
const LAST_TRY: &str = "if you are sure of the PIN say `card verify --allow-last-try`, else give it a new one with \
                        `card unblock`";
const FACTORY: &str = "issue the card with `card issue`, which replaces what its maker set";

/// Looks at everything.
pub fn verify(piv: &mut Piv, inventory: &Inventory, standard: &Standard<'_>) -> Result<Verdict, CardCommandError> {
    let mut verdict = Verdict::default();
    verdict.add("piv-application", State::Ok, "the card speaks NIST SP 800-73", None);
    match inventory.guid {
        Some(_) => verdict.add("guid", State::Ok, "the card has an identifier of its own", None),
        None => verdict.add("guid", State::Warning, "the card has no identifier of its own", Some(ISSUE)),
    }
    match inventory.pin {
        PinStatus::Blocked => verdict.add("pin-tries", State::Failed, "the PIN is blocked", Some(UNBLOCK)),
        PinStatus::TriesLeft(1) => {
            verdict.add("pin-tries", State::Warning, "one try is left", Some(LAST_TRY));
        }
        PinStatus::TriesLeft(left) => verdict.add("pin-tries", State::Ok, format!("{left} tries left"), None),
        PinStatus::Verified => verdict.add("pin-tries", State::Ok, "verified just now", None),
    }
    match inventory.puk {
        Some(0) => verdict.add(
            "puk-tries",
            State::Warning,
            "the unblocking key is blocked",
            Some("keep in mind that a blocked PIN will be the end of this card"),
        ),
        Some(left) => verdict.add("puk-tries", State::Ok, format!("{left} tries left"), None),
        None => verdict.add("puk-tries", State::Unchecked, "the card does not tell", None),
    }
    let policy =
        if inventory.global_pin { "the card wants its Global PIN first" } else { "the PIV PIN is what counts" };
    verdict.judge(
        "pin-policy",
        !inventory.global_pin,
        policy,
        "use another card: an adapter asks for the PIV PIN alone",
    );
    factory(&mut verdict, inventory);
    certificates(&mut verdict, inventory, standard);
    match standard.pin {
        Some(pin) => with_pin(&mut verdict, piv, inventory, pin, standard)?,
        None => {
            for name in ["pin", "mailbox-login", "signs", "pin-for-every-signature", "decrypts"] {
                verdict.add(name, State::Unchecked, "wants the PIN", None);
            }
        }
    }
    Ok(verdict)
}

fn factory(verdict: &mut Verdict, inventory: &Inventory) {
    let named = ["pin", "unblocking key", "management key"];
    let still: Vec<&str> =
        named.into_iter().zip(inventory.factory).filter(|(_, f)| *f == Some(true)).map(|(name, _)| name).collect();
    if !still.is_empty() {
        verdict.add("maker-secrets", State::Warning, format!("still its maker's: {}", still.join(", ")), Some(FACTORY));
    } else if inventory.factory.iter().all(Option::is_some) {
        verdict.add("maker-secrets", State::Ok, "PIN, unblocking key and management key were replaced", None);
    } else {
        verdict.add("maker-secrets", State::Unchecked, "the card does not tell", None);
    }
}

fn certificates(verdict: &mut Verdict, inventory: &Inventory, standard: &Standard<'_>) {
    for (slot, holding) in &inventory.slots {
        let name = match slot {
            Slot::Signature => "signature-certificate",
            _ => "decryption-certificate",
        };
        let certified = match holding {
            Holding::Empty => {
                verdict.add(name, State::Failed, "there is none", Some(ISSUE));
                continue;
            }
            Holding::Unreadable(why) => {
                verdict.add(
                    name,
                    State::Failed,
                    why.clone(),
                    Some("issue the card anew with `card issue --overwrite`"),
                );
                continue;
            }
            Holding::Certificate(certified) => certified,
        };
        let (from, until) = certified.validity;
        let now = standard.now;
        let allowed = path::allows(&certified.der, purpose(*slot)).unwrap_or(false);
        if certified.address.is_none() {
            verdict.add(name, State::Failed, "it names no mail address", Some(RENEW));
        } else if certified.algorithm.is_none() {
            verdict.add(name, State::Failed, "its key is of a kind this adapter does not use", Some(ISSUE));
        } else if !allowed {
            verdict.add(name, State::Failed, format!("its key usage does not let it {}", usage(*slot)), Some(RENEW));
        } else if now < from {
            verdict.add(
                name,
                State::Failed,
                format!("not valid before {}", date(from)),
                Some("check this machine's clock"),
            );
        } else if now > until {
            verdict.add(name, State::Failed, format!("expired on {}", date(until)), Some(RENEW));
        } else if now + SOON > until {
            verdict.add(name, State::Warning, format!("expires on {}", date(until)), Some(RENEW));
        } else {
            verdict.add(name, State::Ok, format!("valid until {}", date(until)), None);
        }
    }
    let address = |slot| inventory.certificate(slot).and_then(|one| one.address.as_deref());
    if let Some((signer, reader)) = address(Slot::Signature).zip(address(Slot::KeyManagement)) {
        let same = same_address(signer, reader);
        let detail = if same { format!("both are {signer}'s") } else { format!("9C is {signer}'s, 9D is {reader}'s") };
        verdict.judge("one-owner", same, detail, "issue the card anew with `card issue --overwrite`");
    }
    if standard.anchors.is_empty() {
        verdict.add("path", State::Unchecked, "give --anchors FILE to have the certificates' path looked at", None);
        return;
    }
    let mut trouble = None;
    for (slot, _) in &inventory.slots {
        if let Some(certified) = inventory.certificate(*slot) {
            let (intermediates, anchors) = (standard.intermediates, standard.anchors);
            let checked = path::check_path(&certified.der, intermediates, anchors, standard.now, purpose(*slot));
            trouble = trouble.or(checked.err().map(|error| format!("{:02X}: {error}", slot.key_reference())));
        }
    }
    match trouble {
        None => verdict.add("path", State::Ok, "the certificates lead to the anchor", None),
        Some(why) => verdict.add(
            "path",
            State::Failed,
            why,
            Some("check --anchors and --intermediates, else renew with `card renew`"),
        ),
    }
}

fn with_pin(
    verdict: &mut Verdict,
    piv: &mut Piv,
    inventory: &Inventory,
    pin: &Pin,
    standard: &Standard<'_>,
) -> Result<(), CardCommandError> {
    let (why, next) = match piv.verify_pin(pin, standard.last_try) {
        Ok(()) => (None, ""),
        Err(error @ CardError::WrongPin { .. }) => (Some(error.to_string()), "ask the card's owner for the right PIN"),
        Err(CardError::LastTry) => (Some("it was not tried: one try is left".to_owned()), LAST_TRY),
        Err(CardError::Blocked) => (Some("it is blocked".to_owned()), UNBLOCK),
        Err(error) => return Err(error.into()),
    };
    if let Some(why) = why {
        verdict.add("pin", State::Failed, why, Some(next));
        return Ok(());
    }
    verdict.add("pin", State::Ok, "the card takes it", None);
    match piv.mailbox_login() {
        Ok(login) => verdict.add("mailbox-login", State::Ok, format!("for {}", login.login()), None),
        Err(CardError::Removed) => return Err(CardCommandError::Removed),
        Err(error) => verdict.add("mailbox-login", State::Failed, error.to_string(), Some(ISSUE)),
    }
    const OTHER_KEY: &str = "have a certificate issued for the key that is on it: `card renew --new-keys`";
    if let Some(certified) = inventory.certificate(Slot::Signature)
        && let Some(algorithm) = certified.algorithm
    {
        let good = soft(proof::signs(piv, Slot::Signature, &certified.public_key()?, pin, standard.entropy.as_ref()))?;
        let detail = match &good {
            Ok(true) => format!("{}: the certificate's key signs", algorithm.name()),
            Ok(false) => "the key on the card is not the certificate's".to_owned(),
            Err(why) => why.clone(),
        };
        verdict.judge("signs", good == Ok(true), detail, OTHER_KEY);
        let unasked = soft(proof::signs_unasked(piv, algorithm))?;
        match unasked {
            Ok(false) => verdict.add("pin-for-every-signature", State::Ok, "it signs nothing unasked", None),
            Ok(true) => verdict.add(
                "pin-for-every-signature",
                State::Warning,
                "it signs without its PIN",
                Some("use another card: whoever finds this one can sign with it"),
            ),
            Err(why) => verdict.add("pin-for-every-signature", State::Unchecked, why, None),
        }
    }
    if let Some(certified) = inventory.certificate(Slot::KeyManagement)
        && let Some(algorithm) = certified.algorithm
    {
        let good = soft(proof::decrypts(piv, &certified.public_key()?, pin, standard.entropy))?;
        let detail = match &good {
            Ok(true) => format!("{}: the certificate's key decrypts", algorithm.name()),
            Ok(false) => "the key on the card is not the certificate's".to_owned(),
            Err(why) => why.clone(),
        };
        verdict.judge("decrypts", good == Ok(true), detail, OTHER_KEY);
    }
    Ok(())
}

/// Whether an authority that is trusted here has said whose card this is, and the card has the key that was certified: a
/// certificate alone can be copied. What has expired since says it still.
pub fn vouched(
    piv: &mut Piv,
    slot: Slot,
    certified: &Certified,
    pin: &Pin,
    standard: &Standard<'_>,
) -> Result<(), CardCommandError> {
    if standard.anchors.is_empty() {
        return Err(CardCommandError::Unproven(
            "renew it with the secret it was issued with, or have its present certificate checked with --anchors FILE",
        ));
    }
    let reference = slot.key_reference();
    let (from, until) = certified.validity;
    let then = standard.now.min(until).max(from);
    path::check_path(&certified.der, standard.intermediates, standard.anchors, then, purpose(slot)).map_err(|error| {
        CardCommandError::Unfit(format!(
            "the present certificate in {reference:02X} does not lead to --anchors ({error}): issue the card anew with \
             `card issue --overwrite` if it is its owner's"
        ))
    })?;
    let public_key = certified.public_key()?;
    let proven = match slot {
        Slot::KeyManagement => proof::decrypts(piv, &public_key, pin, standard.entropy)?,
        _ => proof::signs(piv, slot, &public_key, pin, standard.entropy.as_ref())?,
    };
    if proven {
        return Ok(());
    }
    Err(CardCommandError::Unfit(format!(
        "the key in {reference:02X} is not that of its certificate: this is not the card it says it is"
    )))
}

/// What a card refuses is a finding; that it is gone is none.
fn soft<T>(result: Result<T, CardCommandError>) -> Result<Result<T, String>, CardCommandError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error @ (CardCommandError::Card(_) | CardCommandError::LastTry | CardCommandError::Blocked)) => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(error),
    }
}
