//! One transmission, from submission to print.

use std::sync::Arc;

use axum::extract::{Path, State as Given};
use axum::response::Response;
use maud::{Markup, html};
use sealfax_client::history::{Digest256, Entry};

use super::rows::{badge, event_word, personal};
use super::visitor::{Visitor, live, number as numbered};
use crate::history::server::Shared;
use crate::history::view::{State, Transmission};
use crate::pages::{Language, Visit, Zone};

/// The transmission that a path names, if there is one and it is for this visitor, and how many records the log had.
pub(super) async fn found(shared: &Shared, visitor: &Visitor, number: &str) -> Result<(u64, Transmission), Response> {
    let visit = &visitor.visit;
    let number = numbered(number).ok_or_else(|| shared.not_there(visit))?;
    let found = shared.look(move |history| Ok((history.checkpoint()?.0.size, history.transmission(number)?)));
    let (seen, found) = found.await.map_err(|error| shared.trouble(visit, "a transmission", &error))?;
    let theirs = found.filter(|found| visitor.person.sees(found));
    theirs.map(|found| (seen, found)).ok_or_else(|| shared.not_there(visit))
}

/// Its name as a title.
pub(super) fn title(language: Language, number: u64) -> String {
    format!("{} #{number}", language.say("送信", "Transmission"))
}

pub(super) async fn show(Given(shared): Given<Arc<Shared>>, visit: Visit, Path(number): Path<String>) -> Response {
    let visitor = match shared.visitor(visit).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let (seen, transmission) = match found(&shared, &visitor, &number).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    shared.looked(&visitor, &format!("transmission {}", transmission.number));
    let language = visitor.language();
    let main = html! {
        (live(language, seen, &facts(language, shared.pages.zone, &transmission)))
        p.acts {
            a href=(visitor.visit.here) { (language.say("更新", "Refresh")) }
            a href="/" { (language.say("送信履歴へ", "To the transmissions")) }
        }
    };
    visitor.page(&shared, &title(language, transmission.number), &main)
}

fn facts(language: Language, zone: Zone, transmission: &Transmission) -> Markup {
    html! {
        p { (badge(language, transmission.state)) }
        dl {
            dt { (language.say("送信者", "From")) } dd { (personal(language, transmission.sender())) }
            dt { (language.say("受信者", "To")) } dd { (personal(language, transmission.recipient())) }
            dt { (language.say("送信日時", "Sent")) } dd { (zone.moment(transmission.sent())) }
            dt { "Message-ID" } dd { (personal(language, transmission.message_id())) }
        }
        form method="get" action={ "/transmissions/" (transmission.number) "/proof" } {
            p.acts { button.first { (language.say("検証する", "Verify")) } span.hint {
                (language.say("記録が改ざんされていないことを示します。", "Shows that none of these records was changed."))
            } }
        }
        section {
            h2 #course { (language.say("経過", "What happened")) }
            ol.timeline aria-labelledby="course" {
                @for entry in &transmission.entries { li { (happened(language, zone, entry)) } }
                @if matches!(transmission.state, State::Waiting | State::Overdue) {
                    li.ahead {
                        h3 { (language.say("まだ: 本人による印刷の確認", "Not yet: the recipient's confirmation")) }
                    }
                }
            }
        }
    }
}

fn happened(language: Language, zone: Zone, entry: &Entry) -> Markup {
    let leaf = &entry.leaf;
    let index = leaf.index;
    let kept = entry.personal.as_ref().is_some_and(|personal| !personal.evidence.is_empty());
    let none = Digest256::of(b"");
    let of_this = html! { span.unseen { " (" (language.say("記録 ", "record ")) (index) ")" } };
    html! {
        h3 { (event_word(language, leaf.event)) }
        p { (zone.moment(leaf.at)) }
        dl {
            dt { (language.say("登録日時", "Registered")) } dd { (zone.moment(leaf.registered)) }
            dt { (language.say("記録番号", "Record")) } dd { (index) }
            dt { (language.say("登録者の証明書", "Registrar's certificate")) }
            dd {
                @match leaf.registrar {
                    Some(registrar) => code { "SHA-256 " (registrar) },
                    None => (language.say("なし", "none shown")),
                }
            }
            dt { (language.say("証拠", "Evidence")) }
            dd {
                @if kept {
                    a href={ "/evidence/" (index) } download={ "evidence-" (index) ".eml" } {
                        (language.say("署名付き確認をダウンロード", "Download what was signed")) (of_this)
                    }
                } @else if entry.personal.is_none() {
                    em { (language.say("消去済み", "erased")) }
                } @else if leaf.evidence_digest == none {
                    (language.say("なし", "none"))
                } @else {
                    (language.say("要約値のみ保管", "kept by its digest alone"))
                }
            }
        }
        details {
            summary { (language.say("要約値と受領証", "Digests and receipt")) (of_this) }
            dl {
                dt { (language.say("内容", "Content")) } dd { code { "SHA-256 " (leaf.content_digest) } }
                dt { (language.say("証拠", "Evidence")) } dd { code { "SHA-256 " (leaf.evidence_digest) } }
            }
            (receipts(language, index))
        }
    }
}

/// Links to what proves one record.
pub(super) fn receipts(language: Language, index: u64) -> Markup {
    html! {
        ul {
            li {
                a href={ "/records/" (index) "/receipt" } download={ "receipt-" (index) ".json" } {
                    (language.say("受領証 (JSON)", "Receipt (JSON)"))
                    span.unseen { " " (index) }
                }
            }
            li {
                a href={ "/records/" (index) "/proof" } download={ "record-" (index) ".tlog-proof" } {
                    (language.say("証明 (C2SP tlog-proof)", "Proof (C2SP tlog-proof)"))
                    span.unseen { " " (index) }
                }
            }
        }
    }
}
