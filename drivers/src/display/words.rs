//! Every word on the screen, in both languages, as data: the one place to read or to change what people are told.

use std::time::Duration;

use super::safe::safe;
use super::{CardFault, DiagnosisLine, DiagnosisMark, Fault, Language, NotSent, Screen};

/// Most names shown at once; further ones are counted as "+n".
pub const MAX_NAMES: usize = 4;

/// What one language says. Empty strings are not drawn.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Phrase {
    /// What is the case.
    pub headline: String,
    /// What to do next.
    pub instruction: String,
    /// Small: tries left, a code, an address.
    pub detail: String,
    /// All of it as one text, with the name where the language puts it.
    pub sentence: String,
}

/// The words of one screen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Words {
    /// Which language leads.
    pub language: Language,
    /// The people, made safe to draw, at most [`MAX_NAMES`].
    pub names: Vec<String>,
    /// How many people stand behind the last name.
    pub more: usize,
    /// In the leading language.
    pub first: Phrase,
    /// In the other language.
    pub second: Phrase,
}

impl Words {
    /// What follows each name in the leading language.
    pub fn honorific(&self) -> &'static str {
        match self.language {
            Language::Japanese => "様",
            Language::English => "",
        }
    }

    /// All words as lines, for records and for the marker's checksum.
    pub fn text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        if !self.names.is_empty() {
            let mut line = self.names.join(" / ");
            if self.more > 0 {
                line.push_str(&format!(" +{}", self.more));
            }
            lines.push(line);
        }
        for phrase in [&self.first, &self.second] {
            lines.push(phrase.sentence.clone());
            if !phrase.detail.is_empty() {
                lines.push(phrase.detail.clone());
            }
        }
        lines.join("\n")
    }
}

impl Screen {
    /// The words of this screen with `language` leading.
    pub fn words(&self, language: Language) -> Words {
        let (names, more) = self.names();
        let (japanese, english) = self.phrases(&names, more);
        let (first, second) = match language {
            Language::Japanese => (japanese, english),
            Language::English => (english, japanese),
        };
        Words { language, names, more, first, second }
    }

    fn names(&self) -> (Vec<String>, usize) {
        let all: &[String] = match self {
            Self::Arrived { names } | Self::StillWaiting { names, .. } | Self::WrongCard { names } => names,
            Self::Pin { name, .. }
            | Self::Person { name, .. }
            | Self::PressReceive { name, .. }
            | Self::Ready { name } => std::slice::from_ref(name),
            _ => &[],
        };
        let shown = all
            .iter()
            .take(MAX_NAMES)
            .map(|n| safe(n))
            // A name without one visible character still stands for a person.
            .map(|n| if n.is_empty() { "?".to_owned() } else { n })
            .collect();
        (shown, all.len().saturating_sub(MAX_NAMES))
    }

    /// Japanese, then English: headline, instruction, detail.
    fn phrases(&self, names: &[String], more: usize) -> (Phrase, Phrase) {
        let (ja, en) = match self {
            Self::Idle => (say("待機中", "", ""), say("Ready", "", "")),
            Self::Arrived { .. } => (
                say("親展文書が届いています。", "カードを入れてください", ""),
                say("A confidential document is waiting.", "Insert your card", ""),
            ),
            Self::StillWaiting { since, .. } => {
                let (ja, en) = span(*since);
                (
                    say("親展文書が待っています。", "カードを入れてください", &format!("{ja}経過")),
                    say("A confidential document is still waiting.", "Insert your card", &format!("for {en}")),
                )
            }
            Self::Pin { tries_left, .. } => (
                say("", "暗証番号を入力してください", &ja_left(*tries_left)),
                say("", "Enter your PIN", &en_tries(*tries_left)),
            ),
            Self::Person { tries_left, .. } => (
                say("", "指を読取装置に置いてください", &ja_left(*tries_left)),
                say("", "Lay your finger on the reader", &en_tries(*tries_left)),
            ),
            Self::Checking { .. } => (say("カードを確認しています", "", ""), say("Checking your card", "", "")),
            Self::WrongCard { .. } => (
                say("このカードは宛先の方のものではありません", "", ""),
                say("This card is not the addressee's", "", ""),
            ),
            Self::CardInvalid(fault) => card_invalid(*fault),
            Self::PinWrong { tries_left } => (
                say("暗証番号が違います。", &ja_left(*tries_left), ""),
                say("Wrong PIN", &format!("{tries_left} left"), ""),
            ),
            Self::PinBlocked => {
                (say("使用停止", "管理者に連絡してください", ""), say("Blocked", "See your administrator", ""))
            }
            Self::PressReceive { documents, .. } => {
                // One document needs no count: the calmer screen is the clearer one.
                let (ja, en) = match documents {
                    0 | 1 => (String::new(), String::new()),
                    n => (format!("{n}件"), format!("{n} documents")),
                };
                (say("", "ファクスの受信ボタンを押してください", &ja), say("", "Press RECEIVE on the fax machine", &en))
            }
            Self::Receiving { number, total } => (
                say(&format!("受信中 {number}/{total}"), "", ""),
                say(&format!("Receiving page {number} of {total}"), "", ""),
            ),
            Self::Done { .. } => {
                (say("印刷しました。", "カードをお取りください", ""), say("Printed.", "Take your card", ""))
            }
            Self::DoneUnsigned { .. } => (
                say("印刷しました（差出人は確認されていません）。", "カードをお取りください", ""),
                say("Printed; its sender is not proven.", "Take your card", ""),
            ),
            Self::DoneLegacy { .. } => (
                say("印刷しました（旧方式の暗号でした）。", "カードをお取りください", ""),
                say("Printed; it came under an old cipher.", "Take your card", ""),
            ),
            Self::DoneUnbound { .. } => (
                say("印刷しました（あなた宛てか確認できません）。", "カードをお取りください", ""),
                say("Printed; not proven to be for you.", "Take your card", ""),
            ),
            Self::DoneReadable { .. } => (
                say("印刷しました（暗号化されていませんでした）。", "カードをお取りください", ""),
                say("Printed; it was not encrypted.", "Take your card", ""),
            ),
            Self::CannotOpen { code } => (
                say("文書を開けません。", "管理者に連絡してください", &safe(code)),
                say("Cannot be opened.", "Call your administrator", &safe(code)),
            ),
            Self::NotGenuine { code } => (
                say("送信者を確認できません。", "管理者に連絡してください", &safe(code)),
                say("Sender not confirmed.", "Call your administrator", &safe(code)),
            ),
            Self::Ready { .. } => (say("送信できます", "", ""), say("You can send", "", "")),
            Self::Held { left } => {
                let clock = mm_ss(*left);
                (
                    say("", "カードを入れると送信します", &format!("残り {clock}")),
                    say("", "Insert your card to send", &format!("{clock} left")),
                )
            }
            Self::Sending => (say("送信中", "", ""), say("Sending", "", "")),
            Self::Sent => (say("送信しました", "", ""), say("Sent", "", "")),
            Self::SentUnsigned => (say("送信しました（署名なし）", "", ""), say("Sent, without signature", "", "")),
            Self::SentLegacy => (say("送信しました（旧方式の暗号）", "", ""), say("Sent, under an old cipher", "", "")),
            Self::SentReadable => (say("送信しました（暗号化なし）", "", ""), say("Sent, without encryption", "", "")),
            Self::NotSent(why) => not_sent(why),
            Self::Delivered { count } => (
                say(&format!("{count}件 配達されました"), "", "レポート印刷中"),
                say(&format!("{count} delivered"), "", "report printing"),
            ),
            Self::CertificateChanged { addresses } => {
                let list = first_of(addresses);
                (
                    say(
                        &format!("相手の証明書が変わりました: {list}"),
                        "心当たりがなければ管理者に連絡してください",
                        CardFault::Changed.correspondent_code(),
                    ),
                    say(
                        &format!("The certificate of {list} has changed."),
                        "Call your administrator unless you expected it",
                        CardFault::Changed.correspondent_code(),
                    ),
                )
            }
            Self::Diagnosis { lines, advice } => diagnosis(lines, advice.as_ref()),
            Self::Overdue { count, since } => {
                let (ja, en) = span(*since);
                (
                    say(&format!("配達未確認 {count}件"), "", &format!("{ja}経過")),
                    say(&format!("{count} not confirmed"), "", &format!("for {en}")),
                )
            }
        };
        self.finish(ja, en, names, more)
    }

    /// Makes the one-text forms, with the name where each language puts it.
    fn finish(&self, mut ja: Phrase, mut en: Phrase, names: &[String], more: usize) -> (Phrase, Phrase) {
        let stop = if ja.headline.is_empty() || ja.instruction.is_empty() || ja.headline.ends_with('。') {
            ""
        } else {
            "。"
        };
        ja.sentence = format!("{}{stop}{}", ja.headline, ja.instruction);
        en.sentence = format!("{} {}", en.headline, en.instruction).trim().to_owned();
        if let ([name], 0) = (names, more) {
            match self {
                Self::Arrived { .. } => {
                    ja.sentence = format!("{name} 様 {}", ja.sentence);
                    en.sentence = format!("{name}, a confidential document is waiting. Insert your card");
                }
                Self::StillWaiting { .. } => {
                    ja.sentence = format!("{name} 様 {}", ja.sentence);
                    en.sentence = format!("{name}, a confidential document is still waiting. Insert your card");
                }
                Self::Ready { .. } => {
                    ja.sentence = format!("{name} 様 {}", ja.sentence);
                    en.sentence = format!("You can send, {name}");
                }
                _ => {}
            }
        }
        match self {
            Self::Held { left } => {
                let clock = mm_ss(*left);
                ja.sentence = format!("{}（残り{clock}）", ja.sentence);
                en.sentence = format!("{}, {clock} left", en.sentence);
            }
            Self::PinWrong { tries_left } => en.sentence = format!("Wrong PIN, {tries_left} left"),
            Self::PinBlocked => "Blocked, see your administrator".clone_into(&mut en.sentence),
            Self::StillWaiting { since, .. } => {
                let (ja_long, en_long) = span(*since);
                ja.sentence = format!("{}（{ja_long}経過）", ja.sentence);
                en.sentence = format!("{}, for {en_long}", en.sentence);
            }
            Self::Delivered { .. } => en.sentence.push_str(", report printing"),
            _ => {}
        }
        (ja, en)
    }
}

fn say(headline: &str, instruction: &str, detail: &str) -> Phrase {
    Phrase {
        headline: headline.to_owned(),
        instruction: instruction.to_owned(),
        detail: detail.to_owned(),
        sentence: String::new(),
    }
}

fn ja_left(tries: u8) -> String {
    format!("残り{tries}回")
}

fn en_tries(tries: u8) -> String {
    match tries {
        1 => "1 try left".to_owned(),
        n => format!("{n} tries left"),
    }
}

/// Minutes and seconds as on a kitchen clock; an hour is sixty minutes.
fn mm_ss(left: Duration) -> String {
    let seconds = left.as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// A rough length of time in the largest whole unit, Japanese and English.
fn span(length: Duration) -> (String, String) {
    let minutes = length.as_secs() / 60;
    let (n, ja, en) = match minutes {
        0..60 => (minutes, "分", "min"),
        60..2880 => (minutes / 60, "時間", "h"),
        _ => (minutes / 1440, "日", "days"),
    };
    (format!("{n}{ja}"), format!("{n} {en}"))
}

/// The technician's page: how many checks failed, what to do first, and each check as one line of the detail.
fn diagnosis(lines: &[DiagnosisLine], advice: Option<&Fault>) -> (Phrase, Phrase) {
    if lines.is_empty() {
        return (say("点検しています", "", ""), say("Diagnosis under way", "", ""));
    }
    let failed = lines.iter().filter(|line| line.mark == DiagnosisMark::Failed).count();
    let (ja, en) = match failed {
        0 => ("点検結果: 故障はありません".to_owned(), "Diagnosis: nothing is broken".to_owned()),
        n => (format!("点検結果: 故障 {n}件"), format!("Diagnosis: {n} failed")),
    };
    let (mut ja_detail, mut en_detail) = (Vec::new(), Vec::new());
    for line in lines {
        let (ja_mark, en_mark) = match line.mark {
            DiagnosisMark::Well => ("良", "ok"),
            DiagnosisMark::Warning => ("注意", "warning"),
            DiagnosisMark::Failed => ("故障", "failed"),
            DiagnosisMark::Blocked => ("待ち", "blocked"),
            DiagnosisMark::Open => ("不明", "open"),
        };
        let code = line.code.map(|code| format!(" {code}")).unwrap_or_default();
        ja_detail.push(format!("{}: {ja_mark}{code}", safe(&line.japanese)));
        en_detail.push(format!("{}: {en_mark}{code}", safe(&line.english)));
    }
    let advised = |words: &dyn Fn(&Fault) -> String| {
        advice.map(|advice| format!("{}: {}", safe(advice.code), safe(&words(advice)))).unwrap_or_default()
    };
    let ja_do = advised(&|advice| advice.japanese.clone());
    let en_do = advised(&|advice| advice.english.clone());
    (say(&ja, &ja_do, &ja_detail.join("\n")), say(&format!("{en}."), &en_do, &en_detail.join("\n")))
}

fn card_invalid(fault: CardFault) -> (Phrase, Phrase) {
    let (ja, en) = fault.reason();
    let (ja_do, en_do) = fault.instruction();
    // A card that only could not be checked is not called invalid.
    let (ja_is, en_is) = if fault.is_of_the_answer() && fault != CardFault::Unchecked {
        ("カードを確認できません", "Card not confirmed")
    } else {
        ("カードは無効です", "Card not valid")
    };
    (say(&format!("{ja_is}（{ja}）"), ja_do, fault.code()), say(&format!("{en_is} ({en})."), en_do, fault.code()))
}

/// Of a recipient's certificate.
fn bad_certificate(address: &str, fault: CardFault) -> (Phrase, Phrase) {
    let (ja, en) = fault.reason();
    let address = safe(address);
    let (ja_do, en_do) = match fault {
        CardFault::Clock => fault.instruction(),
        _ => CardFault::Revoked.instruction(),
    };
    let (ja_is, en_is) = if fault.is_of_the_answer() {
        ("確認できません", "not confirmed")
    } else {
        ("使えません", "not valid")
    };
    let code = fault.correspondent_code();
    (
        say(&format!("宛先の証明書は{ja_is}（{ja}）: {address}"), ja_do, code),
        say(&format!("Certificate of {address} {en_is} ({en})."), en_do, code),
    )
}

/// The first address, and how many more.
fn first_of(addresses: &[String]) -> String {
    let mut list = safe(addresses.first().map_or("?", String::as_str));
    if addresses.len() > 1 {
        list.push_str(&format!(" +{}", addresses.len() - 1));
    }
    list
}

fn not_sent(why: &NotSent) -> (Phrase, Phrase) {
    match why {
        NotSent::NoCertificate(addresses) => {
            let list = first_of(addresses);
            (
                say(&format!("宛先の証明書がありません: {list}"), "宛先を確認してください", ""),
                say(&format!("No certificate for {list}."), "Check the address", ""),
            )
        }
        NotSent::BadCertificate { address, fault } => bad_certificate(address, *fault),
        NotSent::CertificateServerUnreachable(code) => (
            say("証明書サーバーに接続できません。", "しばらくしてから送り直してください", &safe(code)),
            say("Cannot reach the certificate server.", "Try again in a while", &safe(code)),
        ),
        NotSent::Returned(addresses) => {
            let list = first_of(addresses);
            (
                say(&format!("届きませんでした: {list}"), "報告書を印刷します", ""),
                say(&format!("Not delivered to {list}."), "A report is printed", ""),
            )
        }
        NotSent::Declined(addresses) => {
            let list = first_of(addresses);
            (
                say(&format!("受け取りを拒否されました: {list}"), "報告書を印刷します", ""),
                say(&format!("Refused by {list}."), "A report is printed", ""),
            )
        }
        NotSent::ServerUnreachable => (
            say("サーバーに接続できません。", "しばらくしてから送り直してください", ""),
            say("Cannot reach the server.", "Send again in a while", ""),
        ),
        NotSent::Refused(code) => (
            say(&format!("サーバーが受け付けません（{code}）"), "管理者に連絡してください", ""),
            say(&format!("The server refused the mail ({code})."), "Call your administrator", ""),
        ),
        NotSent::CardDidNotCome => (
            say("カードが入りませんでした。", "カードを入れて送り直してください", ""),
            say("No card was inserted.", "Insert your card and send again", ""),
        ),
        NotSent::CardPulled => (
            say("カードが抜かれました。", "カードを入れて送り直してください", ""),
            say("The card was taken out.", "Insert your card and send again", ""),
        ),
        NotSent::PinNotGiven => (
            say("暗証番号が入力されませんでした。", "送り直して入力してください", ""),
            say("No PIN was typed.", "Send again and type it", ""),
        ),
        NotSent::CardFailed => (
            say("カードで署名できませんでした。", "カードを入れ直して送り直してください", ""),
            say("The card did not sign.", "Insert it again and send again", ""),
        ),
        NotSent::CardInvalid => (
            say("カードは無効です。", "管理者に連絡してください", ""),
            say("Card not valid.", "Call your administrator", ""),
        ),
        NotSent::CardNotConfirmed => (
            say("カードを確認できません。", "管理者に連絡してください", ""),
            say("Card not confirmed.", "Call your administrator", ""),
        ),
        NotSent::NotYourAddress => (
            say("送信元がカードの方と違います。", "自分のカードで送り直してください", ""),
            say("The sender is not the card's owner.", "Send again with your own card", ""),
        ),
        NotSent::Unacceptable => (
            say("この文書は送信できません。", "枚数と宛先を確認してください", ""),
            say("This document cannot be sent.", "Check its pages and addresses", ""),
        ),
        NotSent::SendSeparately => (
            say("送信できません。", "宛先ごとに分けて送ってください", ""),
            say("Not sent.", "Send it to each recipient separately", ""),
        ),
    }
}
