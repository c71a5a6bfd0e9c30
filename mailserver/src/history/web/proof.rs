//! The proof of a transmission, step by step, made when somebody asks: nothing here is believed because it is in the index.

use std::sync::Arc;

use axum::extract::{Path, State as Given};
use axum::response::Response;
use maud::{Markup, html};
use sealfax_client::history::{Checkpoint, Digest256, Leaf, LogKey, Personal, Receipt};

use super::climb::{Step, climb, leaf_hash};
use super::rows::event_word;
use super::transmission::{found, receipts, title};
use crate::history::HistoryError;
use crate::history::server::Shared;
use crate::pages::{Language, Visit, Zone};

/// What comes of looking at one receipt.
#[derive(Debug)]
pub(super) struct Shown {
    receipt: Receipt,
    leaf: Option<Leaf>,
    leaf_hash: Digest256,
    /// The head that the checkpoint names, if the key signed it.
    head: Option<Checkpoint>,
    /// The way up, if the path fits the tree.
    steps: Option<Vec<Step>>,
    /// Whether what the personal part says is what the leaf was made with; `None`: it was erased.
    personal: Option<bool>,
    /// Whether the evidence is what the leaf was made with; `None`: it is not kept.
    evidence: Option<bool>,
    /// Whether the checker that adapters and third parties use says the same.
    good: bool,
}

impl Shown {
    pub(super) fn of(receipt: Receipt, key: &LogKey) -> Self {
        let leaf: Option<Leaf> = serde_json::from_str(&receipt.leaf).ok();
        let leaf_hash = leaf_hash(receipt.leaf.as_bytes());
        let head = key.checkpoint(&receipt.proof.checkpoint).ok();
        let steps = head.and_then(|head| climb(receipt.proof.index, head.size, leaf_hash, &receipt.proof.path));
        let bound = |text: &String| leaf.as_ref().is_some_and(|leaf| leaf.personal == Digest256::of(text.as_bytes()));
        let personal = receipt.personal.as_ref().map(bound);
        let parsed: Option<Personal> = receipt.personal.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let same = |personal: Personal| {
            leaf.as_ref().is_some_and(|leaf| leaf.evidence_digest == Digest256::of(&personal.evidence))
        };
        let evidence = parsed.filter(|personal| !personal.evidence.is_empty()).map(same);
        let good = receipt.verify(key).is_ok();
        Self { receipt, leaf, leaf_hash, head, steps, personal, evidence, good }
    }

    fn reaches_root(&self) -> bool {
        let Some((steps, head)) = self.steps.as_ref().zip(self.head) else { return false };
        steps.last().map_or(self.leaf_hash, |step| step.result) == head.root
    }

    /// Whether everything holds.
    pub(super) fn holds(&self) -> bool {
        self.good && self.reaches_root() && self.personal != Some(false) && self.evidence != Some(false)
    }
}

pub(super) async fn show(Given(shared): Given<Arc<Shared>>, visit: Visit, Path(number): Path<String>) -> Response {
    let visitor = match shared.visitor(visit).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let transmission = match found(&shared, &visitor, &number).await {
        Ok((_, transmission)) => transmission,
        Err(refused) => return refused,
    };
    let indexes: Vec<u64> = transmission.entries.iter().map(|entry| entry.leaf.index).collect();
    let key = shared.key.clone();
    let proofs = shared.look(move |history| {
        let shown = |index| history.receipt(index).map(|receipt| Shown::of(receipt, &key));
        indexes.into_iter().map(shown).collect::<Result<Vec<Shown>, HistoryError>>()
    });
    let proofs = match proofs.await {
        Ok(proofs) => proofs,
        Err(error) => return shared.trouble(&visitor.visit, "a proof", &error),
    };
    let number = transmission.number;
    let holds = proofs.iter().all(Shown::holds);
    shared.looked(
        &visitor,
        &format!("the proof of transmission {number}, which {}", if holds { "holds" } else { "does not hold" }),
    );
    if !holds {
        let text = format!("the proof of transmission {number} does not hold; verify the folder");
        shared.seams.journal.security(&shared.host, "HISTORY-107", text);
    }
    let language = visitor.language();
    let title = format!("{}: {}", title(language, number), language.say("検証", "verified"));
    visitor.page(&shared, &title, &whole(language, shared.pages.zone, number, &proofs, &shared.key, holds))
}

fn whole(language: Language, zone: Zone, number: u64, proofs: &[Shown], key: &LogKey, holds: bool) -> Markup {
    html! {
        @if holds {
            p.good role="status" {
                span aria-hidden="true" { "✓ " }
                (language.say("すべての記録が証明されました。改ざんはありません。", "Every record is proven: none was changed."))
            }
        } @else {
            p.wrong role="alert" {
                span aria-hidden="true" { "✕ " }
                (language.say(
                    "証明できない記録があります。管理者に知らせ、この履歴を証拠として保管してください。",
                    "Some record is not proven. Tell an administrator, and have this history kept as evidence.",
                ))
            }
        }
        @for proof in proofs { (one(language, zone, proof)) }
        section {
            h2 { (language.say("第三者による検証", "How anybody else checks this")) }
            p {
                (language.say(
                    "受領証をダウンロードすれば、このサーバーがなくても次のコマンドで検証できます。公開鍵は、このページ以外 (管理者など) から得たものと一致することを確かめてください。",
                    "With the receipts downloaded, this command checks them without this server. Make sure that the key is the one \
                     you got elsewhere, from an administrator for instance.",
                ))
            }
            pre { code { (command(proofs, key)) } }
            p { (language.say("公開鍵: ", "Public key: ")) code { (key) } }
        }
        p.acts { a href={ "/transmissions/" (number) } { (language.say("送信の詳細へ戻る", "Back to the transmission")) } }
    }
}

/// What a third party types.
fn command(proofs: &[Shown], key: &LogKey) -> String {
    // A name may hold an apostrophe.
    let key = key.to_string().replace('\'', "'\\''");
    let files: Vec<String> = proofs.iter().map(|proof| format!("receipt-{}.json", proof.receipt.proof.index)).collect();
    format!("sealfax-mailserver history verify --key '{key}' --receipt {}", files.join(" "))
}

fn mark(language: Language, holds: bool) -> Markup {
    html! {
        @if holds { strong { span aria-hidden="true" { "✓ " } (language.say("一致", "holds")) } }
        @else { strong { span aria-hidden="true" { "✕ " } (language.say("不一致", "does not hold")) } }
    }
}

fn one(language: Language, zone: Zone, proof: &Shown) -> Markup {
    let index = proof.receipt.proof.index;
    let record = format!("{} {index}", language.say("記録", "Record"));
    html! {
        section {
            h2 {
                (record) @if let Some(leaf) = &proof.leaf { ": " (event_word(language, leaf.event)) }
            }
            ol.steps {
                li {
                    h3 { (language.say("葉: 記録の要約値", "The leaf: what was written down, and its hash")) }
                    pre { code { (proof.receipt.leaf) } }
                    p { (language.say("葉のハッシュ", "Leaf hash")) ": " code { (proof.leaf_hash) } }
                    p { (language.say("番号は証明の番号と", "Its number is the proof's:")) " " (mark(language, proof.leaf.as_ref().is_some_and(|leaf| leaf.index == index))) }
                }
                li {
                    h3 { (language.say("誰から誰へ、どのメール", "Who, to whom, which mail")) }
                    @match proof.personal {
                        Some(holds) => p { (language.say("葉に結び付けられた要約値と", "Its digest is the one in the leaf:")) " " (mark(language, holds)) },
                        None => p { em { (language.say("消去済み", "erased")) } "。" (language.say("葉の要約値だけが残っています。", " Its digest in the leaf remains.")) },
                    }
                }
                li {
                    h3 { (language.say("証拠", "Evidence")) }
                    @match proof.evidence {
                        Some(holds) => p { (language.say("葉に結び付けられた要約値と", "Its digest is the one in the leaf:")) " " (mark(language, holds)) },
                        None => p { (language.say("この記録には証拠が保管されていません。", "None is kept with this record.")) },
                    }
                }
                li {
                    h3 { (language.say("葉から根へ", "From the leaf to the root")) }
                    (way(language, proof, &record))
                }
                li {
                    h3 { (language.say("チェックポイント", "The checkpoint")) }
                    pre { code { (proof.receipt.proof.checkpoint) } }
                    p { (language.say("この履歴の鍵による署名", "Signed by this history's key")) ": " (mark(language, proof.head.is_some())) }
                    @if let Some(leaf) = &proof.leaf { p { (language.say("登録日時", "Registered")) ": " (zone.moment(leaf.registered)) } }
                }
            }
            (receipts(language, index))
        }
    }
}

fn way(language: Language, proof: &Shown, record: &str) -> Markup {
    let heads = [
        language.say("段", "Step"),
        language.say("相手の位置", "The other stands"),
        language.say("相手のハッシュ", "The other hash"),
        language.say("合わせたハッシュ", "Both together"),
    ];
    let [_, place, other, result] = heads;
    html! {
        @match &proof.steps {
            Some(steps) if steps.is_empty() => p { (language.say("記録は一つだけで、葉が根です。", "It is the only record: the leaf is the root.")) },
            Some(steps) => details {
                summary { (steps.len()) " " (language.say("段のハッシュを表示", "hashes on the way")) span.unseen { ": " (record) } }
                table role="table" {
                    caption { (record) ": " (language.say("葉から根へ (RFC 9162, 2.1.3.2)", "from the leaf to the root (RFC 9162, 2.1.3.2)")) }
                    thead role="rowgroup" { tr role="row" { @for head in heads { th scope="col" role="columnheader" { (head) } } } }
                    tbody role="rowgroup" {
                        @for (at, step) in steps.iter().enumerate() {
                            tr role="row" {
                                th scope="row" role="rowheader" { (at + 1) }
                                td role="cell" data-label=(place) { (if step.before { language.say("左", "left") } else { language.say("右", "right") }) }
                                td role="cell" data-label=(other) { code { (step.other) } }
                                td role="cell" data-label=(result) { code { (step.result) } }
                            }
                        }
                    }
                }
            },
            None => p { (language.say("道筋が木の大きさに合いません。", "The way does not fit a tree of that size.")) },
        }
        p {
            (language.say("チェックポイントの根と", "It ends at the checkpoint's root:")) " " (mark(language, proof.reaches_root()))
            @if let Some(head) = proof.head { " " code { (head.root) } " (" (head.size) " " (language.say("件", "records")) ")" }
        }
    }
}
