//! Transmissions as rows, and the words that stand in them.

use maud::{Markup, html};
use sealfax_client::history::Event;

use crate::history::view::{State, Transmission};
use crate::pages::{Language, Zone};

/// What a state is called.
pub(super) const fn state_word(language: Language, state: State) -> &'static str {
    match state {
        State::Overdue => language.say("未確認(期限超過)", "overdue"),
        State::Waiting => language.say("待機中", "waiting"),
        State::Refused => language.say("受取拒否", "refused"),
        State::Failed => language.say("不達", "failed"),
        State::Delivered => language.say("配達済み", "delivered"),
    }
}

/// What an event is called.
pub(super) const fn event_word(language: Language, event: Event) -> &'static str {
    match event {
        Event::Submission => language.say("送信を受付", "Submitted"),
        Event::Relay => language.say("相手のサーバーへ中継", "Relayed to the recipient's server"),
        Event::Delivery => language.say("受信箱に到着", "Delivered to the mailbox"),
        Event::Retrieval => language.say("本人が印刷", "Printed for its recipient"),
        Event::NonDelivery => language.say("不達", "Could not be delivered"),
        Event::Refusal => language.say("受取拒否", "Refused"),
        Event::Overdue => language.say("期限までに確認なし", "No confirmation in time"),
    }
}

/// A state with its sign: nobody has to see colours.
pub(super) fn badge(language: Language, state: State) -> Markup {
    let sign = match state {
        State::Overdue => "⚠",
        State::Waiting => "…",
        State::Refused => "⊘",
        State::Failed => "✕",
        State::Delivered => "✓",
    };
    html! {
        span class={ "badge " (state.word()) } { span aria-hidden="true" { (sign) " " } (state_word(language, state)) }
    }
}

/// What was said by strangers, so that its direction of writing does not turn what stands around it; `None` was erased.
pub(super) fn personal(language: Language, text: Option<&str>) -> Markup {
    html! {
        @match text {
            Some(text) => bdi { (text) },
            None => em { (language.say("消去済み", "erased")) },
        }
    }
}

/// A table of transmissions. On narrow screens its rows are cards; the roles keep it a table all the same.
pub(super) fn table(language: Language, zone: Zone, caption: &str, rows: &[Transmission]) -> Markup {
    let heads = [
        language.say("番号", "Number"),
        language.say("状態", "State"),
        language.say("送信日時", "Sent"),
        language.say("送信者", "From"),
        language.say("受信者", "To"),
        language.say("最新の記録", "Latest record"),
    ];
    let [_, state, sent, from, to, latest] = heads;
    html! {
        table role="table" {
            caption { (caption) }
            thead role="rowgroup" {
                tr role="row" { @for head in heads { th scope="col" role="columnheader" { (head) } } }
            }
            tbody role="rowgroup" {
                @for row in rows {
                    tr role="row" {
                        th scope="row" role="rowheader" {
                            a href={ "/transmissions/" (row.number) } {
                                span.unseen { (language.say("送信 ", "Transmission ")) } "#" (row.number)
                            }
                        }
                        td role="cell" data-label=(state) { (badge(language, row.state)) }
                        td role="cell" data-label=(sent) { (zone.moment(row.sent())) }
                        td role="cell" data-label=(from) { (personal(language, row.sender())) }
                        td role="cell" data-label=(to) { (personal(language, row.recipient())) }
                        td role="cell" data-label=(latest) {
                            @if let Some(entry) = row.entries.last() {
                                (event_word(language, entry.leaf.event)) br; (zone.moment(entry.leaf.at))
                            }
                        }
                    }
                }
            }
        }
    }
}
