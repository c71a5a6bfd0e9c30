//! The steps of Fig. 10, with their words for the journal.

use super::ReceivingAction;
use crate::flow::Step;

const fn step(ids: &'static [&'static str], text: &'static str) -> ReceivingAction {
    ReceivingAction::Step(Step::new(ids, text))
}

pub(super) const STEP_902: ReceivingAction = step(&["ST901", "ST902"], "the mail server's notice was received");
pub(super) const STEP_903: ReceivingAction =
    step(&["ST903", "C1"], "the notice was analysed and its addressee is alerted");
pub(super) const STEP_904: ReceivingAction = step(&["ST904"], "a card was inserted");
pub(super) const STEP_905: ReceivingAction = step(&["ST905"], "the card's owner is the notice's destination");
pub(super) const STEP_906: ReceivingAction =
    step(&["ST905", "ST906"], "the card's owner is not the notice's destination: shown, the alert goes on");
pub(super) const STEP_907: ReceivingAction = step(&["ST907", "C2"], "the certificate was read from the card");
pub(super) const STEP_908: ReceivingAction =
    step(&["ST908", "C4"], "the certificate server is asked whether it is valid");
pub(super) const STEP_909: ReceivingAction = step(&["ST909"], "it is valid");
pub(super) const STEP_910: ReceivingAction = step(&["ST910"], "the display says: press RECEIVE");
pub(super) const STEP_911: ReceivingAction = step(&["ST911"], "the addressee's card is not valid: shown, end");
pub(super) const STEP_912: ReceivingAction = step(&["ST912"], "the terminal asks to receive");
pub(super) const STEP_913: ReceivingAction = step(&["ST913", "P3"], "fetching by POP with the login from the card");
pub(super) const STEP_914: ReceivingAction = step(&["ST914", "C3", "A5"], "decrypting with the card's key");
pub(super) const STEP_915: ReceivingAction = step(&["ST915"], "the decryption was judged");
pub(super) const STEP_UNSIGNED: ReceivingAction =
    step(&["V3"], "it bears no signature, and such mails are taken from its domain: the sender is not proven");
pub(super) const STEP_UNBOUND: ReceivingAction =
    step(&["ST919"], "it does not say whom it was sealed for, and such mails are taken from its domain");
pub(super) const STEP_READABLE: ReceivingAction =
    step(&["ST919"], "it was signed and not encrypted, and such mails are taken from its domain");
pub(super) const STEP_916: ReceivingAction =
    step(&["ST916"], "the mail cannot be opened: shown, nothing is printed or confirmed");
pub(super) const STEP_917: ReceivingAction =
    step(&["ST917"], "the certificate server is asked for the sender's certificate");
pub(super) const STEP_918: ReceivingAction = step(&["ST918"], "verifying the sender's signature");
pub(super) const STEP_919: ReceivingAction = step(&["ST919"], "the signature was judged");
pub(super) const STEP_920: ReceivingAction =
    step(&["ST920"], "the sender is not confirmed: shown, nothing is printed or confirmed");
pub(super) const STEP_921: ReceivingAction = step(&["ST921"], "handing the document to the terminal to print");
pub(super) const STEP_922: ReceivingAction =
    step(&["ST922", "C9"], "making the confirmation with the recipient's card");
