//! What the lamp and the buzzer do at each screen: the table of the product's signals, row by row.

use std::time::Duration;

use super::Screen;
use crate::buzzer::BuzzerSignal;
use crate::lamp::LampPattern;

/// From one call of waiting documents to the next.
const EVERY_MINUTE: Duration = Duration::from_secs(60);
/// The same when nobody came for long.
const LOUDER: Duration = Duration::from_secs(15);
/// From one call of unconfirmed deliveries to the next.
const EVERY_HOUR: Duration = Duration::from_secs(3600);

impl Screen {
    /// How the lamp behaves while this screen shows.
    pub fn lamp(&self) -> LampPattern {
        match self {
            Self::Idle
            | Self::Done { .. }
            | Self::DoneUnsigned { .. }
            | Self::DoneLegacy { .. }
            | Self::DoneUnbound { .. }
            | Self::DoneReadable { .. }
            | Self::Sent
            | Self::SentUnsigned
            | Self::SentLegacy
            | Self::SentReadable
            | Self::Delivered { .. }
            | Self::Diagnosis { .. } => LampPattern::Off,
            Self::Arrived { .. } | Self::WrongCard { .. } | Self::Held { .. } => LampPattern::HZ_1,
            Self::PressReceive { .. } | Self::StillWaiting { .. } => LampPattern::HZ_2,
            Self::CannotOpen { .. } | Self::NotGenuine { .. } => LampPattern::HZ_4,
            Self::Overdue { .. } | Self::CertificateChanged { .. } => LampPattern::HZ_1_SLOW,
            Self::Pin { .. }
            | Self::Person { .. }
            | Self::Checking { .. }
            | Self::CardInvalid(_)
            | Self::PinWrong { .. }
            | Self::PinBlocked
            | Self::Receiving { .. }
            | Self::Ready { .. }
            | Self::Sending
            | Self::NotSent(_) => LampPattern::Steady,
        }
    }

    /// What sounds on entering this screen, with its repeats. On [`Screen::Pin`] each further digit clicks.
    pub fn buzzer(&self) -> BuzzerSignal {
        match self {
            Self::Arrived { .. } => BuzzerSignal::TwoShort { repeat: Some(EVERY_MINUTE) },
            Self::StillWaiting { .. } => BuzzerSignal::TwoShort { repeat: Some(LOUDER) },
            Self::Overdue { .. } => BuzzerSignal::TwoShort { repeat: Some(EVERY_HOUR) },
            Self::Held { .. } | Self::CertificateChanged { .. } => BuzzerSignal::TwoShort { repeat: None },
            Self::Pin { entered, .. } if *entered > 0 => BuzzerSignal::Click,
            Self::WrongCard { .. } | Self::CardInvalid(_) | Self::PinWrong { .. } | Self::PinBlocked => {
                BuzzerSignal::OneLong
            }
            Self::PressReceive { .. } => BuzzerSignal::ThreeRising,
            Self::Done { .. }
            | Self::DoneUnsigned { .. }
            | Self::DoneLegacy { .. }
            | Self::DoneUnbound { .. }
            | Self::DoneReadable { .. }
            | Self::Ready { .. }
            | Self::Sent
            | Self::SentUnsigned
            | Self::SentLegacy
            | Self::SentReadable
            | Self::Delivered { .. } => BuzzerSignal::OneRising,
            Self::CannotOpen { .. } | Self::NotGenuine { .. } | Self::NotSent(_) => BuzzerSignal::ThreeLow,
            Self::Idle
            | Self::Pin { .. }
            | Self::Person { .. }
            | Self::Checking { .. }
            | Self::Receiving { .. }
            | Self::Sending
            | Self::Diagnosis { .. } => BuzzerSignal::Silent,
        }
    }
}
