//! V2: beside card and PIN, the person is asked for by whatever the office has for it.

use std::sync::Arc;

use crate::flow::card_session::CardInput;
use crate::flow::desk::{Event, Insertion};
use crate::office::Office;

/// Asks once, for the owner of the card of this insertion, for as long as it is in.
pub(crate) async fn prove(office: &Arc<Office>, insertion: Insertion) {
    let (Some(card), Some(person)) = (office.card_of(insertion), office.person.clone()) else {
        return office.tell(Event::Card(insertion, CardInput::PersonUnasked));
    };
    let address = &card.identity().owner.address;
    let answer = tokio::select! {
        answer = person.prove(address) => answer,
        () = office.out(insertion) => return,
    };
    let input = match answer {
        Ok(true) => {
            office.did(&["V2", "C1"], format!("it is {address} who stands here"));
            CardInput::PersonProven
        }
        Ok(false) => {
            office.suspicious("PERSON-001", format!("whoever stands here with the card of {address} is somebody else"));
            CardInput::PersonNotProven
        }
        Err(error) => {
            office.failed(error.code(), error.to_string());
            CardInput::PersonUnasked
        }
    };
    office.tell(Event::Card(insertion, input));
}
