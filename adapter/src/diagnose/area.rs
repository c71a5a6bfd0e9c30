//! The areas of a diagnosis, in the order in which a technician walks through them, and what each stands on.

use serde::Serialize;

use super::words::{Words, words};

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// The configuration file, on which most others stand.
    Configuration,
    /// Supply and temperature.
    Power,
    /// Where durable state lives.
    Storage,
    /// Lamp, buzzer, button.
    Gpio,
    /// The screen.
    Display,
    /// The card reader and its daemon.
    Reader,
    /// The card that is in.
    Card,
    /// The port of the fax machine.
    TerminalPort,
    /// The port of the network.
    NetworkPort,
    /// The name service.
    Names,
    /// Anchors, and the certificates on the card.
    Certificates,
    /// The servers.
    Servers,
    /// The time.
    Clock,
    /// The daemon.
    Service,
}

use Area as A;

impl Area {
    /// In the order of reports.
    pub const ALL: [Self; 14] = [
        A::Configuration,
        A::Power,
        A::Storage,
        A::Gpio,
        A::Display,
        A::Reader,
        A::Card,
        A::TerminalPort,
        A::NetworkPort,
        A::Names,
        A::Certificates,
        A::Servers,
        A::Clock,
        A::Service,
    ];

    /// In the order in which they are judged: each after all that it may be blocked by. The clock is judged by what servers
    /// say, and what servers present, and the dates of certificates, by the clock.
    pub const JUDGED: [Self; 14] = [
        A::Configuration,
        A::Power,
        A::Storage,
        A::Gpio,
        A::Display,
        A::Reader,
        A::Card,
        A::TerminalPort,
        A::NetworkPort,
        A::Names,
        A::Clock,
        A::Servers,
        A::Certificates,
        A::Service,
    ];

    /// What must not have failed for this to be worth a look. A judge may find more (the clock, for certificates).
    pub const fn stands_on(self) -> &'static [Self] {
        match self {
            A::Storage | A::Gpio | A::TerminalPort | A::NetworkPort | A::Certificates => &[A::Configuration],
            A::Card => &[A::Reader],
            A::Names | A::Servers => &[A::Configuration, A::NetworkPort],
            A::Service => &[A::Configuration, A::Storage],
            A::Configuration | A::Power | A::Display | A::Reader | A::Clock => &[],
        }
    }

    /// The areas whose facts its judge reads, beside what was gathered before.
    pub const fn facts(self) -> &'static [Self] {
        match self {
            A::Clock => &[A::Servers, A::Clock],
            A::Configuration => &[A::Configuration],
            A::Power => &[A::Power],
            A::Storage => &[A::Storage],
            A::Gpio => &[A::Gpio],
            A::Display => &[A::Display],
            A::Reader => &[A::Reader],
            A::Card => &[A::Card],
            A::TerminalPort => &[A::TerminalPort],
            A::NetworkPort => &[A::NetworkPort],
            A::Names => &[A::Names],
            A::Certificates => &[A::Certificates],
            A::Servers => &[A::Servers],
            A::Service => &[A::Service],
        }
    }

    /// The name in reports and files: `network-port`.
    pub const fn name(self) -> &'static str {
        match self {
            A::Configuration => "configuration",
            A::Power => "power",
            A::Storage => "storage",
            A::Gpio => "gpio",
            A::Display => "display",
            A::Reader => "reader",
            A::Card => "card",
            A::TerminalPort => "terminal-port",
            A::NetworkPort => "network-port",
            A::Names => "names",
            A::Certificates => "certificates",
            A::Servers => "servers",
            A::Clock => "clock",
            A::Service => "service",
        }
    }

    /// For people.
    pub const fn title(self) -> Words {
        match self {
            A::Configuration => words("設定", "Configuration"),
            A::Power => words("電源", "Power"),
            A::Storage => words("記憶領域", "Storage"),
            A::Gpio => words("ランプ・ブザー配線", "Lamp and buzzer lines"),
            A::Display => words("画面", "Display"),
            A::Reader => words("カード読取装置", "Card reader"),
            A::Card => words("カード", "Card"),
            A::TerminalPort => words("ファクス側ポート", "Fax machine's port"),
            A::NetworkPort => words("ネットワーク側ポート", "Network port"),
            A::Names => words("名前解決", "Name service"),
            A::Certificates => words("証明書", "Certificates"),
            A::Servers => words("サーバー", "Servers"),
            A::Clock => words("時計", "Clock"),
            A::Service => words("サービス", "Service"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_judged_before_what_it_stands_on() {
        let place = |area: Area| Area::JUDGED.iter().position(|one| *one == area);
        for area in Area::ALL {
            assert!(place(area).is_some(), "{area:?}");
            for beneath in area.stands_on() {
                assert!(place(*beneath) < place(area), "{area:?} on {beneath:?}");
            }
        }
    }
}
