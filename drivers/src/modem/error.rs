//! Why a call ended otherwise than well (ITU-T T.30, clause 5): each reason with a code that stays, and advice.

use super::format::{Phase, Rate};

/// Why a call could not be made, or ended too early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndReason {
    /// The serial port cannot be had.
    #[error("the modem's port cannot be used: {0}")]
    Port(#[source] std::io::Error),
    /// The modem does not answer a command.
    #[error("the modem does not answer {command}")]
    ModemSilent {
        /// Which command.
        command: String,
    },
    /// The modem refuses a command that it must know.
    #[error("the modem refuses {command}: {answer}")]
    ModemRefuses {
        /// Which command.
        command: String,
        /// What it said.
        answer: String,
    },
    /// `+FCLASS=?` does not list Class 1.
    #[error("the modem has no service class 1, it has {classes}")]
    NoClass1 {
        /// What it has.
        classes: String,
    },
    /// Nothing that can be dialled.
    #[error("this is no number that a modem can dial")]
    BadNumber,
    /// No dial tone.
    #[error("there is no dial tone")]
    NoDialTone,
    /// The far end is busy.
    #[error("the line dialled is busy")]
    Busy,
    /// Nobody lifts (T0).
    #[error("nobody answers")]
    NoAnswer,
    /// Somebody lifted, but no fax machine (T1).
    #[error("who answered is not a fax machine")]
    NotAFax,
    /// Who called says nothing (T1).
    #[error("who called did not identify itself as a fax machine")]
    NobodyCalling,
    /// The caller had gone before the call was answered.
    #[error("the caller was gone before the call was answered")]
    CallGone,
    /// The line rings: who dials now has answered a stranger.
    #[error("the line rings, and is not dialled on")]
    LineRings,
    /// Nothing was heard any more: three tries of a command went unanswered, or T2 is over.
    #[error("the far end fell silent in {0}")]
    Silent(Phase),
    /// The modem says that the line is gone.
    #[error("the line was cut in {0}")]
    LineCut(Phase),
    /// DCN where it does not belong.
    #[error("the far end hung up in {0}")]
    FarEndHungUp(Phase),
    /// Every rate failed.
    #[error("training failed down to {0}")]
    TrainingFailed(Rate),
    /// The far end cannot receive (DIS bit 10).
    #[error("the far end cannot receive documents")]
    CannotReceive,
    /// Nothing both have.
    #[error("the far end wants something that was not offered: {what}")]
    Incompatible {
        /// What.
        what: &'static str,
    },
    /// A subaddress was to be used and the far end has none (DIS bit 49).
    #[error("the far end knows no subaddresses")]
    NoSubaddress,
    /// It wants to fetch a document (DTC).
    #[error("the far end wanted to fetch a document, and there is none to be fetched")]
    PollingRefused,
    /// RTN again and again.
    #[error("page {page} was refused {tries} times")]
    PageRefused {
        /// Counted from 1.
        page: usize,
        /// How often it was sent.
        tries: u32,
    },
    /// Error correction came to its end (T.30, A.4.3).
    #[error("page {page} could not be corrected down to {rate}")]
    Uncorrectable {
        /// Counted from 1.
        page: usize,
        /// The last rate.
        rate: Rate,
    },
    /// RNR for longer than T5.
    #[error("the far end stayed busy for longer than a minute")]
    NotReady,
    /// An answer that does not belong there, again and again.
    #[error("the far end does not keep to the protocol in {phase}: {what}")]
    Protocol {
        /// Where.
        phase: Phase,
        /// What it said.
        what: String,
    },
    /// The document's side failed.
    #[error("page {page} of the document cannot be had: {source}")]
    Document {
        /// Counted from 1.
        page: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The tray did not accept what came.
    #[error("the document was received and not accepted")]
    Refused,
    /// The far end is none of those that the document may go to.
    #[error("who answered says {}, and the document is not for that machine", .says.as_deref().unwrap_or("no number"))]
    WrongMachine {
        /// Its number (CSI).
        says: Option<String>,
    },
    /// A page without end.
    #[error("a page does not end")]
    PageTooLong,
    /// A call without end.
    #[error("the call does not end")]
    CallTooLong,
}

impl EndReason {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Port(_) => "FAX-001",
            Self::ModemSilent { .. } => "FAX-002",
            Self::ModemRefuses { .. } => "FAX-003",
            Self::NoClass1 { .. } => "FAX-004",
            Self::BadNumber => "FAX-010",
            Self::NoDialTone => "FAX-011",
            Self::Busy => "FAX-012",
            Self::NoAnswer => "FAX-013",
            Self::NotAFax => "FAX-014",
            Self::NobodyCalling => "FAX-015",
            Self::CallGone => "FAX-016",
            Self::LineRings => "FAX-017",
            Self::Silent(_) => "FAX-020",
            Self::LineCut(_) => "FAX-021",
            Self::FarEndHungUp(_) => "FAX-022",
            Self::TrainingFailed(_) => "FAX-030",
            Self::CannotReceive => "FAX-031",
            Self::Incompatible { .. } => "FAX-032",
            Self::NoSubaddress => "FAX-033",
            Self::PollingRefused => "FAX-034",
            Self::PageRefused { .. } => "FAX-040",
            Self::Uncorrectable { .. } => "FAX-041",
            Self::NotReady => "FAX-042",
            Self::Protocol { .. } => "FAX-043",
            Self::Document { .. } => "FAX-050",
            Self::Refused => "FAX-051",
            Self::PageTooLong => "FAX-052",
            Self::CallTooLong => "FAX-053",
            Self::WrongMachine { .. } => "FAX-054",
        }
    }

    /// What to do, in English and in Japanese.
    pub fn advice(&self) -> Advice {
        let (english, japanese) = match self {
            Self::Port(_) => (
                "plug the modem in, check the port's name and that no other program uses it",
                "モデムの接続とポート名を確認してください",
            ),
            Self::ModemSilent { .. } => (
                "switch the modem off and on; check cable and speed",
                "モデムの電源を入れ直し、ケーブルを確認してください",
            ),
            Self::ModemRefuses { .. } => (
                "run `sealfax-adapter diagnose modem`; update the modem's firmware or use another modem",
                "モデムの診断を実行してください",
            ),
            Self::NoClass1 { .. } => {
                ("use a modem with service class 1 (nearly all have it)", "クラス1対応のモデムを使用してください")
            }
            Self::BadNumber => ("correct the number: digits, *, #, + and pauses only", "電話番号を確認してください"),
            Self::NoDialTone => ("check the telephone cable", "電話線を確認してください"),
            Self::Busy => ("it is tried again later", "話し中です。後で再送します"),
            Self::NoAnswer => {
                ("check the number and that the machine is switched on", "番号と相手機の電源を確認してください")
            }
            Self::NotAFax => (
                "check the number: a person or another device lifted",
                "番号を確認してください。ファクスではありません",
            ),
            Self::NobodyCalling => ("nothing to do; a person dialled the fax number", "対応不要です。音声の着信でした"),
            Self::LineRings => {
                ("nothing to do; the call that comes is taken first", "対応不要です。着信を先に処理します")
            }
            Self::CallGone => ("nothing to do; the caller will call again", "対応不要です。相手が切断しました"),
            Self::Silent(_) | Self::LineCut(_) => (
                "send again; if it happens often, have the line checked",
                "再送してください。続く場合は回線を点検してください",
            ),
            Self::FarEndHungUp(_) => {
                ("look at the far machine: paper, memory, its report", "相手機の用紙とメモリを確認してください")
            }
            Self::TrainingFailed(_) => (
                "have the line checked; on Internet telephony ask for T.38 or G.711 without compression",
                "回線品質を点検してください",
            ),
            Self::CannotReceive => {
                ("switch the far machine to automatic reception", "相手機を自動受信に設定してください")
            }
            Self::Incompatible { .. } => ("send from another machine", "別の機器から送信してください"),
            Self::NoSubaddress => {
                ("send without subaddress, or to a machine that knows them", "サブアドレスなしで送信してください")
            }
            Self::PollingRefused => {
                ("nothing to do; there is nothing to be fetched here", "ポーリングには対応していません")
            }
            Self::PageRefused { .. } | Self::Uncorrectable { .. } => {
                ("have the line checked, then send the rest again", "回線を点検し、残りを再送してください")
            }
            Self::NotReady => ("send later; the far machine is busy", "相手機が処理中です。後で再送してください"),
            Self::Protocol { .. } => {
                ("send again; keep the journal for the far machine's maker", "再送してください。記録を保存してください")
            }
            Self::Document { .. } => ("look at the document", "原稿を確認してください"),
            Self::Refused => ("see the message before this one", "直前のメッセージを確認してください"),
            Self::WrongMachine { .. } => (
                "set the machine's own number as `machine` or `callers` have it, or correct these",
                "ファクス機の発信元番号と設定を確認してください",
            ),
            Self::PageTooLong | Self::CallTooLong => {
                ("send fewer or shorter pages in one call", "ページを分けて送信してください")
            }
        };
        Advice { english, japanese }
    }

    /// In which phase the line failed, where that is what the reason says.
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Self::Silent(phase) | Self::LineCut(phase) | Self::FarEndHungUp(phase) => Some(*phase),
            Self::Protocol { phase, .. } => Some(*phase),
            _ => None,
        }
    }
}

/// What to do, short enough for a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// In English.
    pub english: &'static str,
    /// In Japanese.
    pub japanese: &'static str,
}

/// How a call failed, and what of the document had arrived until then.
#[derive(Debug, thiserror::Error)]
#[error("{reason}; {}", .reason.advice().english)]
#[non_exhaustive]
pub struct FaxError {
    /// Why.
    pub reason: EndReason,
    /// Pages of a sent document that the far end has confirmed, or of a received one that we have: the first so many.
    pub pages_confirmed: usize,
    /// Who the far end said it is (CSI or TSI).
    pub far_end: Option<String>,
}

impl FaxError {
    /// The stable code, `FAX-0nn`.
    pub fn code(&self) -> &'static str {
        self.reason.code()
    }

    /// What to do.
    pub fn advice(&self) -> Advice {
        self.reason.advice()
    }

    /// In which phase the line failed.
    pub fn phase(&self) -> Option<Phase> {
        self.reason.phase()
    }
}

impl From<EndReason> for FaxError {
    fn from(reason: EndReason) -> Self {
        Self { reason, pages_confirmed: 0, far_end: None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use super::*;

    /// One of each.
    fn all() -> Vec<EndReason> {
        let text = || "x".to_owned();
        vec![
            EndReason::Port(std::io::ErrorKind::NotFound.into()),
            EndReason::ModemSilent { command: text() },
            EndReason::ModemRefuses { command: text(), answer: text() },
            EndReason::NoClass1 { classes: text() },
            EndReason::BadNumber,
            EndReason::NoDialTone,
            EndReason::Busy,
            EndReason::NoAnswer,
            EndReason::NotAFax,
            EndReason::NobodyCalling,
            EndReason::CallGone,
            EndReason::LineRings,
            EndReason::Silent(Phase::Message),
            EndReason::LineCut(Phase::Message),
            EndReason::FarEndHungUp(Phase::Message),
            EndReason::TrainingFailed(Rate::LOWEST),
            EndReason::CannotReceive,
            EndReason::Incompatible { what: "another width" },
            EndReason::NoSubaddress,
            EndReason::PollingRefused,
            EndReason::PageRefused { page: 1, tries: 4 },
            EndReason::Uncorrectable { page: 1, rate: Rate::LOWEST },
            EndReason::NotReady,
            EndReason::Protocol { phase: Phase::Message, what: text() },
            EndReason::Document { page: 1, source: "x".into() },
            EndReason::Refused,
            EndReason::PageTooLong,
            EndReason::CallTooLong,
            EndReason::WrongMachine { says: None },
        ]
    }

    /// Each reason has a code of its own, a sentence, and advice in both languages that fits a screen.
    #[test]
    fn codes_and_advice() {
        let all = all();
        let codes: BTreeSet<_> = all.iter().map(EndReason::code).collect();
        assert_eq!(codes.len(), all.len());
        for reason in all {
            let advice = reason.advice();
            assert!(reason.code().starts_with("FAX-0") && !reason.to_string().is_empty());
            assert!(advice.english.is_ascii() && (20..120).contains(&advice.english.len()), "{}", advice.english);
            assert!((5..40).contains(&advice.japanese.chars().count()), "{}", advice.japanese);
            let error = FaxError::from(reason);
            assert_eq!(error.pages_confirmed, 0);
            assert!(error.to_string().ends_with(error.advice().english));
        }
    }
}
