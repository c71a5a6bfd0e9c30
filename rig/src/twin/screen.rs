//! What a person at the board sees: the picture in the frame buffer, and the machine-readable marker in its corner.
//!
//! The marker carries the state and a checksum of the words. The rig knows every text that can come up among the people of
//! its region: the one with this checksum is the one that was drawn, letter by letter.

use std::collections::HashMap;

use sealfax_drivers::display::{CardFault, Frame, Language, Marker, NotSent, Screen, marker};

use super::TwinError;
use super::qtest::Qtest;

/// Where QEMU's VideoCore keeps the picture that it shows from reset; `guest/board.dtsi` tells the kernel the same.
const FRAME_BUFFER: u64 = 0x3c10_0000;
/// Octets of a pixel there: blue, green, red, unused.
const PIXEL: usize = 4;

/// The glass, looked at again and again.
#[derive(Debug)]
pub struct Glass(Frame);

impl Default for Glass {
    fn default() -> Self {
        Self(Frame::of(vec![0; (Frame::WIDTH * Frame::HEIGHT * 3) as usize]))
    }
}

impl Glass {
    /// The marker that is on the glass now; `None` while none can be read: before the adapter, or half drawn. Only the rows
    /// in which it stands are looked at, which takes a millisecond.
    pub fn marker(&mut self, qtest: &Qtest) -> Result<Option<Marker>, TwinError> {
        let (first, rows) = marker::ROWS_OF_PICTURE;
        let row = Frame::WIDTH as usize * PIXEL;
        let at = FRAME_BUFFER + u64::from(first) * row as u64;
        let seen = qtest.read(&[(at, rows as usize * row)])?;
        let start = (first * Frame::WIDTH * 3) as usize;
        let place = self.0.rgb_mut().get_mut(start..).unwrap_or_default();
        let pixels = seen.iter().flat_map(|octets| octets.chunks_exact(PIXEL));
        for (to, from) in place.chunks_exact_mut(3).zip(pixels) {
            if let ([red, green, blue], [b, g, r, _]) = (to, from) {
                (*red, *green, *blue) = (*r, *g, *b);
            }
        }
        Ok(marker::read(&self.0))
    }
}

/// A picture as QEMU dumps it: PPM, "P6", width, height, 255, then the pixels. `None` if it is not of our size.
pub fn picture(ppm: &[u8]) -> Option<Frame> {
    let head = format!("P6\n{} {}\n255\n", Frame::WIDTH, Frame::HEIGHT);
    let rgb = ppm.strip_prefix(head.as_bytes())?;
    (rgb.len() == (Frame::WIDTH * Frame::HEIGHT * 3) as usize).then(|| Frame::of(rgb.to_vec()))
}

/// Every text that may come up on a screen of one region.
pub struct Phrasebook(HashMap<Marker, Vec<String>>);

impl std::fmt::Debug for Phrasebook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Phrasebook({} texts)", self.0.len())
    }
}

impl Phrasebook {
    /// For people with these names and addresses, with `language` leading.
    pub fn of(people: &[(&str, &str)], language: Language) -> Self {
        let mut book = HashMap::new();
        for screen in screens(people) {
            let words = screen.words(language).text().lines().map(str::to_owned).collect();
            book.entry(Marker::of(&screen, language)).or_insert(words);
        }
        Self(book)
    }

    /// The words under a marker. A text that the rig did not think of is given as its checksum, which no story expects.
    pub fn words(&self, marker: Marker) -> Vec<String> {
        let unknown = || vec![format!("a text with the checksum {:04x}", marker.words)];
        self.0.get(&marker).cloned().unwrap_or_else(unknown)
    }
}

/// Addresses that nobody has, and stories send to.
const NOBODY: [&str; 2] = ["nobody@b.example", "no-one@b.example"];
/// Most documents and reports that a story has waiting at once.
const MOST: u32 = 20;
/// Longest a document is held for its card, in seconds.
const HELD: u64 = 600;

/// Every screen that may come up, with everything that its words depend on.
fn screens(people: &[(&str, &str)]) -> Vec<Screen> {
    let names: Vec<String> = people.iter().map(|(name, _)| (*name).to_owned()).collect();
    let addresses: Vec<String> = people.iter().map(|(_, address)| (*address).to_owned()).collect();
    let mut all = vec![Screen::Idle, Screen::PinBlocked, Screen::Sending, Screen::Sent];
    all.extend([Screen::SentUnsigned, Screen::SentLegacy, Screen::SentReadable]);
    // The page before its first finding.
    all.push(Screen::Diagnosis { lines: Vec::new(), advice: None });
    for names in arrangements(&names) {
        all.push(Screen::Arrived { names: names.clone() });
        all.push(Screen::WrongCard { names: names.clone() });
        // Since when is told in minutes; a story waits for some.
        all.extend((0..=30).map(|minutes| Screen::StillWaiting {
            names: names.clone(),
            since: std::time::Duration::from_secs(minutes * 60),
        }));
    }
    for name in &names {
        let name = || name.clone();
        all.push(Screen::Ready { name: name() });
        for tries_left in 0..=15 {
            all.extend((0..=8).map(|entered| Screen::Pin { name: name(), entered, tries_left }));
        }
        all.extend((0..=3).map(|tries_left| Screen::Person { name: name(), tries_left }));
        all.extend((0..=MOST).map(|documents| Screen::PressReceive { name: name(), documents }));
    }
    for bits in 0..8u8 {
        let bit = |number: u8| bits >> number & 1 == 1;
        all.push(Screen::Checking { card: bit(0), certificate: bit(1), server: bit(2) });
    }
    all.extend(CardFault::ALL.map(Screen::CardInvalid));
    all.extend((0..=15).map(|tries_left| Screen::PinWrong { tries_left }));
    for total in 1..=MOST {
        all.extend((1..=total).map(|number| Screen::Receiving { number, total }));
        all.push(Screen::Delivered { count: total });
    }
    // They say the same of any number.
    let one = 1;
    all.extend([
        Screen::Done { documents: one },
        Screen::DoneUnsigned { documents: one },
        Screen::DoneLegacy { documents: one },
        Screen::DoneUnbound { documents: one },
        Screen::DoneReadable { documents: one },
    ]);
    let of_faults = CardFault::ALL.into_iter().flat_map(|fault| [fault.code(), fault.correspondent_code()]);
    for code in CODES.into_iter().chain(of_faults) {
        all.push(Screen::CannotOpen { code });
        all.push(Screen::NotGenuine { code });
        all.push(Screen::NotSent(NotSent::CertificateServerUnreachable(code)));
    }
    all.extend((0..=HELD).map(|seconds| Screen::Held { left: std::time::Duration::from_secs(seconds) }));
    all.extend(not_sent(&addresses).into_iter().map(Screen::NotSent));
    all.extend(NOBODY.map(|address| Screen::NotSent(NotSent::NoCertificate(vec![address.to_owned()]))));
    for addresses in arrangements(&addresses) {
        all.push(Screen::CertificateChanged { addresses });
    }
    all
}

fn not_sent(addresses: &[String]) -> Vec<NotSent> {
    let mut all = vec![
        NotSent::ServerUnreachable,
        NotSent::CardDidNotCome,
        NotSent::CardPulled,
        NotSent::PinNotGiven,
        NotSent::CardFailed,
        NotSent::CardInvalid,
        NotSent::CardNotConfirmed,
        NotSent::NotYourAddress,
        NotSent::Unacceptable,
        NotSent::SendSeparately,
    ];
    all.extend((400..600).map(NotSent::Refused));
    for address in addresses {
        all.extend(CardFault::ALL.map(|fault| NotSent::BadCertificate { address: address.clone(), fault }));
    }
    for some in arrangements(addresses) {
        all.push(NotSent::NoCertificate(some.clone()));
        all.push(NotSent::Returned(some.clone()));
        all.push(NotSent::Declined(some));
    }
    all
}

/// Codes that may stand on a screen for want of anything better: see ARCHITECTURE.md, "Codes".
const CODES: [&str; 44] = [
    "SEND-001",
    "SEND-002",
    "SEND-003",
    "SEND-004",
    "CARD-107",
    "RECV-001",
    "RECV-002",
    "RECV-003",
    "RECV-004",
    "RECV-005",
    "RECV-006",
    "RECV-007",
    "RECV-008",
    "RECV-009",
    "OPEN-001",
    "OPEN-010",
    "OPEN-011",
    "OPEN-012",
    "OPEN-013",
    "OPEN-014",
    "OPEN-015",
    "OPEN-016",
    "OPEN-017",
    "OPEN-018",
    "OPEN-019",
    "OPEN-020",
    "OPEN-021",
    "OPEN-022",
    "OPEN-023",
    "OPEN-024",
    "OPEN-025",
    "OPEN-026",
    "OPEN-027",
    "OPEN-028",
    "OPEN-029",
    "OPEN-030",
    "OPEN-031",
    "LOOKUP-001",
    "LOOKUP-002",
    "LOOKUP-003",
    "LOOKUP-004",
    "LOOKUP-005",
    "LOOKUP-006",
    "LDAP-001",
];

/// One, two or three of these, in every order.
fn arrangements(all: &[String]) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut begun: Vec<Vec<String>> = vec![Vec::new()];
    for _ in 0..3 {
        let longer = begun.iter().flat_map(|some| {
            all.iter().filter(|one| !some.contains(one)).map(|one| {
                let mut more = some.clone();
                more.push(one.clone());
                more
            })
        });
        begun = longer.collect();
        found.extend(begun.iter().cloned());
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const PEOPLE: [(&str, &str); 2] = [("山田 太郎", "taro@a.example"), ("佐藤 花子", "hanako@b.example")];

    #[test]
    fn the_words_of_a_marker() {
        let book = Phrasebook::of(&PEOPLE, Language::Japanese);
        let both = Screen::Arrived { names: vec!["佐藤 花子".into(), "山田 太郎".into()] };
        for screen in [both, Screen::CardInvalid(CardFault::Revoked), Screen::PinWrong { tries_left: 2 }] {
            let wanted = screen.words(Language::Japanese).text();
            assert_eq!(book.words(Marker::of(&screen, Language::Japanese)).join("\n"), wanted);
        }
        let stranger = Screen::Ready { name: "somebody else".into() };
        let words = book.words(Marker::of(&stranger, Language::Japanese));
        assert!(words[0].contains("checksum"), "{words:?}");
    }

    /// Sixteen bits for a few thousand texts: those of one state must not be taken for each other, but for seconds of a
    /// countdown, of which there are many and nobody asks for one.
    #[test]
    fn no_two_texts_of_a_state_share_a_checksum() {
        let mut seen: HashMap<Marker, String> = HashMap::new();
        for screen in screens(&PEOPLE) {
            if matches!(screen, Screen::Held { .. }) {
                continue;
            }
            let text = screen.words(Language::Japanese).text();
            let before = seen.insert(Marker::of(&screen, Language::Japanese), text.clone());
            assert!(before.is_none_or(|before| before == text), "{screen:?}");
        }
    }

    #[test]
    fn a_dumped_picture() {
        let mut ppm = b"P6\n1280 720\n255\n".to_vec();
        ppm.resize(ppm.len() + 1280 * 720 * 3, 7);
        assert_eq!(picture(&ppm).unwrap().rgb()[0], 7);
        ppm.pop();
        assert!(picture(&ppm).is_none());
        assert!(picture(b"P6\n640 480\n255\n").is_none());
    }
}
