//! Colours: one field colour a state, and ink that stands on it with a contrast of at least 7:1 (WCAG 2.2, 1.4.6).

use embedded_graphics::pixelcolor::Rgb888;

use super::ScreenKind;

/// Ink and the paper it stands on. Text is only ever drawn with a pair, so every pair in use is known to the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The colour of letters and shapes.
    pub ink: Rgb888,
    /// The colour beneath.
    pub paper: Rgb888,
}

const fn pair(ink: (u8, u8, u8), paper: (u8, u8, u8)) -> Pair {
    Pair { ink: Rgb888::new(ink.0, ink.1, ink.2), paper: Rgb888::new(paper.0, paper.1, paper.2) }
}

/// Nothing to do.
pub const DARK: Pair = pair((0xa9, 0xb4, 0xc0), (0x0d, 0x12, 0x18));
/// Somebody is called.
pub const AMBER: Pair = pair((0x1c, 0x12, 0x00), (0xff, 0xb3, 0x1a));
/// The person is being asked or checked.
pub const BLUE: Pair = pair((0xff, 0xff, 0xff), (0x0b, 0x4a, 0x9e));
/// It went wrong.
pub const RED: Pair = pair((0xff, 0xff, 0xff), (0x9e, 0x12, 0x1b));
/// It goes well.
pub const GREEN: Pair = pair((0xff, 0xff, 0xff), (0x0a, 0x5a, 0x35));
/// The edge of every screen.
pub const EDGE: Pair = pair((0xd3, 0xda, 0xe2), (0x14, 0x1a, 0x21));
/// Something at the edge that is missing.
pub const EDGE_FAULT: Pair = pair((0xff, 0xa8, 0x9c), (0x14, 0x1a, 0x21));
/// The fault band.
pub const BAND: Pair = pair((0xff, 0xff, 0xff), (0xa8, 0x14, 0x1d));

/// Every pair that text is drawn with.
pub const ALL: [Pair; 8] = [DARK, AMBER, BLUE, RED, GREEN, EDGE, EDGE_FAULT, BAND];

/// The pair of a state's field.
pub fn field(kind: ScreenKind) -> Pair {
    use ScreenKind as K;
    match kind {
        K::Idle => DARK,
        K::Diagnosis => EDGE,
        K::Arrived
        | K::StillWaiting
        | K::Held
        | K::Overdue
        | K::CertificateChanged
        | K::DoneUnsigned
        | K::SentUnsigned
        | K::DoneLegacy
        | K::SentLegacy
        | K::DoneUnbound
        | K::DoneReadable
        | K::SentReadable => AMBER,
        K::Pin | K::Person | K::Checking => BLUE,
        K::WrongCard | K::CardInvalid | K::PinWrong | K::PinBlocked | K::CannotOpen | K::NotGenuine | K::NotSent => RED,
        K::PressReceive | K::Receiving | K::Done | K::Ready | K::Sending | K::Sent | K::Delivered => GREEN,
    }
}

/// Contrast ratio of two colours (WCAG 2.2, definition of "contrast ratio"), from 1 to 21.
pub fn contrast(pair: Pair) -> f64 {
    let (a, b) = (luminance(pair.ink), luminance(pair.paper));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(colour: Rgb888) -> f64 {
    use embedded_graphics::pixelcolor::RgbColor;
    let linear = |octet: u8| {
        let v = f64::from(octet) / 255.0;
        if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_seven_to_one() {
        for pair in ALL {
            assert!(contrast(pair) >= 7.0, "{pair:?}: {:.2}", contrast(pair));
        }
    }

    #[test]
    fn contrast_is_that_of_the_definition() {
        let black_on_white = pair((0, 0, 0), (255, 255, 255));
        assert!((contrast(black_on_white) - 21.0).abs() < 1e-9);
        let grey = pair((0x76, 0x76, 0x76), (255, 255, 255));
        assert!((contrast(grey) - 4.54).abs() < 0.01);
    }
}
