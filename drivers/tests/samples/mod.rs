//! Every state of the screen as an example, for the golden tests and for looking at them.

use std::time::Duration;

use sealfax_drivers::display::{CardFault, DiagnosisLine, DiagnosisMark, Fault, NotSent, Screen, Status};

/// Names a person may have: Japanese, long Latin (24 characters), and many.
pub const LONG: &str = "Bartholomew Featherstone";

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|n| (*n).to_owned()).collect()
}

/// A healthy adapter.
pub fn healthy() -> Status {
    Status {
        office: "第二支社 総務部".into(),
        clock: "14:05".into(),
        terminal_link: true,
        network_link: true,
        reader: true,
        fault: None,
    }
}

/// An adapter whose network is down.
pub fn faulty() -> Status {
    Status {
        network_link: false,
        fault: Some(Fault {
            code: "NET-002", japanese: "ネットワーク断".into(), english: "Network down".into()
        }),
        ..healthy()
    }
}

/// The technician's page with every kind of mark.
fn diagnosis(sick: bool) -> Screen {
    use DiagnosisMark::{Blocked, Failed, Open, Warning, Well};
    let lines = [
        (Well, None, "設定", "Configuration"),
        (Warning, Some("POWER-002"), "電源", "Power"),
        (Well, None, "記憶領域", "Storage"),
        (Failed, Some("GPIO-002"), "ランプ・ブザー配線", "Lamp and buzzer lines"),
        (Well, None, "画面", "Display"),
        (Failed, Some("CARD-001"), "カード読取装置", "Card reader"),
        (Blocked, None, "カード", "Card"),
        (Well, None, "ファクス側ポート", "Fax machine's port"),
        (Well, None, "ネットワーク側ポート", "Network port"),
        (Open, None, "名前解決", "Name service"),
        (Well, None, "証明書", "Certificates"),
        (Well, None, "サーバー", "Servers"),
        (Well, None, "時計", "Clock"),
        (Well, None, "サービス", "Service"),
    ];
    let line = |(mark, code, japanese, english): (DiagnosisMark, Option<&'static str>, &str, &str)| DiagnosisLine {
        mark: if sick || mark == Open { mark } else { Well },
        code: code.filter(|_| sick),
        japanese: japanese.into(),
        english: english.into(),
    };
    let advice = sick.then(|| Fault {
        code: "GPIO-002",
        japanese: "示されたプログラムを止めてください".into(),
        english: "stop the program that is named".into(),
    });
    Screen::Diagnosis { lines: lines.map(line).to_vec(), advice }
}

/// Every state, by name.
pub fn all() -> Vec<(&'static str, Screen, Status)> {
    let name = || "佐藤 花子".to_owned();
    let four = ["佐藤 花子", "鈴木 一郎", "Margaret O'Neill", "高橋 美智子"];
    let six = ["佐藤 花子", "鈴木 一郎", LONG, "高橋 美智子", "渡邉 健", "伊藤 誠"];
    let left = Duration::from_secs(8 * 60 + 59);
    let arrived = |list: &[&str]| Screen::Arrived { names: names(list) };
    let wrong = |list: &[&str]| Screen::WrongCard { names: names(list) };
    let address = || "k.tanaka@branch-b.example".to_owned();
    let not_sent = |why| Screen::NotSent(why);
    let code = "SEAL-003";
    let mut list = vec![
        ("idle", Screen::Idle),
        ("arrived", arrived(&["佐藤 花子"])),
        ("arrived-latin", arrived(&["Hanako Sato"])),
        ("arrived-long", arrived(&[LONG])),
        ("arrived-long-kanji", arrived(&["独立行政法人国際文化交流振興機構理事長秘書室御中殿"])),
        ("arrived-four", arrived(&four)),
        ("arrived-six", arrived(&six)),
        ("arrived-hostile", arrived(&["Eve\u{202e}ecilA\u{202c}\r\n\u{1f600}"])),
        ("still-waiting", Screen::StillWaiting { names: names(&["佐藤 花子"]), since: Duration::from_secs(720) }),
        ("still-waiting-six", Screen::StillWaiting { names: names(&six), since: Duration::from_secs(7200) }),
        ("pin", Screen::Pin { name: name(), entered: 0, tries_left: 3 }),
        ("pin-four", Screen::Pin { name: name(), entered: 4, tries_left: 1 }),
        ("pin-long", Screen::Pin { name: LONG.into(), entered: 8, tries_left: 3 }),
        ("person", Screen::Person { name: name(), tries_left: 3 }),
        ("person-long", Screen::Person { name: LONG.into(), tries_left: 1 }),
        ("checking", Screen::Checking { card: true, certificate: true, server: false }),
        ("checking-begun", Screen::Checking { card: false, certificate: false, server: false }),
        ("wrong-card", wrong(&["佐藤 花子"])),
        ("wrong-card-long", wrong(&[LONG])),
        ("wrong-card-six", wrong(&six)),
        ("pin-wrong", Screen::PinWrong { tries_left: 2 }),
        ("pin-blocked", Screen::PinBlocked),
        ("press-receive", Screen::PressReceive { name: name(), documents: 1 }),
        ("press-receive-three", Screen::PressReceive { name: LONG.into(), documents: 3 }),
        ("receiving", Screen::Receiving { number: 2, total: 3 }),
        ("done", Screen::Done { documents: 1 }),
        ("cannot-open", Screen::CannotOpen { code }),
        ("not-genuine", Screen::NotGenuine { code: "SEAL-007" }),
        ("ready", Screen::Ready { name: name() }),
        ("ready-long", Screen::Ready { name: LONG.into() }),
        ("held", Screen::Held { left }),
        ("sending", Screen::Sending),
        ("done-unsigned", Screen::DoneUnsigned { documents: 1 }),
        ("sent", Screen::Sent),
        ("sent-unsigned", Screen::SentUnsigned),
        ("done-legacy", Screen::DoneLegacy { documents: 1 }),
        ("sent-legacy", Screen::SentLegacy),
        ("done-unbound", Screen::DoneUnbound { documents: 1 }),
        ("done-readable", Screen::DoneReadable { documents: 1 }),
        ("sent-readable", Screen::SentReadable),
        ("no-certificate", not_sent(NotSent::NoCertificate(vec![address()]))),
        ("no-certificates", not_sent(NotSent::NoCertificate(vec![address(), address(), address()]))),
        ("server-unreachable", not_sent(NotSent::ServerUnreachable)),
        ("returned", not_sent(NotSent::Returned(vec![address()]))),
        ("declined", not_sent(NotSent::Declined(vec![address(), address()]))),
        ("refused", not_sent(NotSent::Refused(550))),
        ("card-did-not-come", not_sent(NotSent::CardDidNotCome)),
        ("card-pulled", not_sent(NotSent::CardPulled)),
        ("not-sent-no-pin", not_sent(NotSent::PinNotGiven)),
        ("not-sent-card-failed", not_sent(NotSent::CardFailed)),
        ("not-sent-card-invalid", not_sent(NotSent::CardInvalid)),
        ("not-sent-card-not-confirmed", not_sent(NotSent::CardNotConfirmed)),
        ("not-your-address", not_sent(NotSent::NotYourAddress)),
        ("unacceptable", not_sent(NotSent::Unacceptable)),
        ("send-separately", not_sent(NotSent::SendSeparately)),
        ("delivered", Screen::Delivered { count: 3 }),
        ("overdue", Screen::Overdue { count: 2, since: Duration::from_secs(3 * 3600) }),
    ];
    for (name, fault) in [
        ("card-not-the-person", CardFault::NotThePerson),
        ("card-person-unasked", CardFault::PersonUnasked),
        ("card-revoked", CardFault::Revoked),
        ("card-expired", CardFault::Expired),
        ("card-not-yet-valid", CardFault::NotYetValid),
        ("card-unknown", CardFault::Unknown),
        ("card-untrusted", CardFault::Untrusted),
        ("card-incomplete", CardFault::Incomplete),
        ("card-unchecked", CardFault::Unchecked),
        ("card-unreadable", CardFault::Unreadable),
        ("card-on-hold", CardFault::OnHold),
        ("card-other-address", CardFault::OtherAddress),
        ("card-key-usage", CardFault::KeyUsage),
        ("card-purpose", CardFault::Purpose),
        ("card-answer-forged", CardFault::AnswerForged),
        ("card-answer-replayed", CardFault::AnswerReplayed),
        ("card-answer-expired", CardFault::AnswerExpired),
        ("card-answer-future-dated", CardFault::AnswerFutureDated),
        ("card-responder-untrusted", CardFault::ResponderUntrusted),
        ("card-clock", CardFault::Clock),
        ("card-answer-unusable", CardFault::AnswerUnusable),
    ] {
        list.push((name, Screen::CardInvalid(fault)));
    }
    for (name, fault) in [
        ("recipient-revoked", CardFault::Revoked),
        ("recipient-expired", CardFault::Expired),
        ("recipient-not-yet-valid", CardFault::NotYetValid),
        ("recipient-unknown", CardFault::Unknown),
        ("recipient-untrusted", CardFault::Untrusted),
        ("recipient-unreadable", CardFault::Unreadable),
        ("recipient-on-hold", CardFault::OnHold),
        ("recipient-other-address", CardFault::OtherAddress),
        ("recipient-key-usage", CardFault::KeyUsage),
        ("recipient-purpose", CardFault::Purpose),
        ("recipient-answer-forged", CardFault::AnswerForged),
        ("recipient-answer-replayed", CardFault::AnswerReplayed),
        ("recipient-answer-expired", CardFault::AnswerExpired),
        ("recipient-answer-future-dated", CardFault::AnswerFutureDated),
        ("recipient-responder-untrusted", CardFault::ResponderUntrusted),
        ("recipient-clock", CardFault::Clock),
        ("recipient-answer-unusable", CardFault::AnswerUnusable),
        ("recipient-changed", CardFault::Changed),
    ] {
        list.push((name, Screen::NotSent(NotSent::BadCertificate { address: address(), fault })));
    }
    let unreachable = NotSent::CertificateServerUnreachable(CardFault::Unchecked.correspondent_code());
    list.push(("certificate-server-unreachable", Screen::NotSent(unreachable)));
    list.push(("certificate-changed", Screen::CertificateChanged { addresses: vec![address()] }));
    list.push(("diagnosis", diagnosis(true)));
    list.push(("diagnosis-well", diagnosis(false)));
    list.push(("diagnosis-begun", Screen::Diagnosis { lines: Vec::new(), advice: None }));
    let mut all: Vec<_> = list.into_iter().map(|(name, screen)| (name, screen, healthy())).collect();
    all.push(("fault-diagnosis", diagnosis(true), faulty()));
    all.push(("fault-idle", Screen::Idle, faulty()));
    all.push(("fault-arrived-four", arrived(&four), faulty()));
    all.push(("fault-wrong-card", wrong(&["佐藤 花子"]), faulty()));
    all
}
