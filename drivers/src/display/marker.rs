//! The machine-readable marker in the screen's corner: which state is shown and a checksum of its words, as blocks
//! of black and white that a rig reads off a captured picture, whatever the type and the language.
//!
//! Eight columns by five rows of cells, the most significant bit first: sync `1010_1100`, the state's number, the
//! CRC-16 (CCITT) of the words in two rows, and the check row: the sum of the rows above, complemented.

use embedded_graphics::pixelcolor::{Rgb888, RgbColor};

use super::canvas::Canvas;
use super::{Frame, Language, Screen, ScreenKind};

/// Side of one cell in pixels.
const CELL: i32 = 6;
const COLUMNS: i32 = 8;
const ROWS: i32 = 5;
/// Left and top of the first cell.
const LEFT: i32 = Frame::WIDTH as i32 - 16 - COLUMNS * CELL;
const TOP: i32 = Frame::HEIGHT as i32 - 14 - ROWS * CELL;
const SYNC: u8 = 0b1010_1100;

/// Most that a picture wanders down (`care`).
const WANDERS: i32 = 8;
/// Where the marker stands in a [`Frame`], wherever the picture wandered: its first row, and how many rows it may take. A
/// rig that only wants the marker need not take the whole picture.
pub const ROWS_OF_PICTURE: (u32, u32) = (TOP as u32, (ROWS * CELL + WANDERS) as u32);

/// What the marker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Marker {
    /// The state.
    pub kind: ScreenKind,
    /// CRC-16 of [`super::Words::text`].
    pub words: u16,
}

/// Each state's number; numbers are never given away again.
const KINDS: [(ScreenKind, u8); 31] = [
    (ScreenKind::Idle, 1),
    (ScreenKind::Arrived, 2),
    (ScreenKind::Pin, 3),
    (ScreenKind::Checking, 4),
    (ScreenKind::WrongCard, 5),
    (ScreenKind::CardInvalid, 6),
    (ScreenKind::PinWrong, 7),
    (ScreenKind::PinBlocked, 8),
    (ScreenKind::PressReceive, 9),
    (ScreenKind::Receiving, 10),
    (ScreenKind::Done, 11),
    (ScreenKind::CannotOpen, 12),
    (ScreenKind::NotGenuine, 13),
    (ScreenKind::Ready, 14),
    (ScreenKind::Held, 15),
    (ScreenKind::Sending, 16),
    (ScreenKind::Sent, 17),
    (ScreenKind::NotSent, 18),
    (ScreenKind::Delivered, 19),
    (ScreenKind::Overdue, 20),
    (ScreenKind::CertificateChanged, 21),
    (ScreenKind::Diagnosis, 22),
    (ScreenKind::Person, 23),
    (ScreenKind::DoneUnsigned, 24),
    (ScreenKind::SentUnsigned, 25),
    (ScreenKind::DoneLegacy, 26),
    (ScreenKind::SentLegacy, 27),
    (ScreenKind::DoneUnbound, 28),
    (ScreenKind::DoneReadable, 29),
    (ScreenKind::SentReadable, 30),
    (ScreenKind::StillWaiting, 31),
];

impl Marker {
    /// The marker that `screen` carries when drawn with `language` leading.
    pub fn of(screen: &Screen, language: Language) -> Self {
        Self { kind: screen.kind(), words: crc16(screen.words(language).text().as_bytes()) }
    }

    fn rows(self) -> [u8; ROWS as usize] {
        let number = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or(0, |(_, number)| *number);
        let [high, low] = self.words.to_be_bytes();
        [SYNC, number, high, low, check(number, high, low)]
    }

    fn from_rows(rows: [u8; ROWS as usize]) -> Option<Self> {
        let [sync, number, high, low, sum] = rows;
        if sync != SYNC || sum != check(number, high, low) {
            return None;
        }
        let (kind, _) = KINDS.iter().find(|(_, n)| *n == number)?;
        Some(Self { kind: *kind, words: u16::from_be_bytes([high, low]) })
    }

    /// Draws the marker in its corner, with a quiet zone of one cell.
    pub fn draw(self, canvas: &mut Canvas) {
        let (right, bottom) = (LEFT + COLUMNS * CELL, TOP + ROWS * CELL);
        canvas.fill(LEFT - CELL, TOP - CELL, right + CELL, bottom + CELL, Rgb888::BLACK);
        for (row, bits) in (0..).zip(self.rows()) {
            for column in 0..COLUMNS {
                if bits & (0x80 >> column) != 0 {
                    let (x, y) = (LEFT + column * CELL, TOP + row * CELL);
                    canvas.fill(x, y, x + CELL, y + CELL, Rgb888::WHITE);
                }
            }
        }
    }
}

/// Reads the marker off a picture, wherever the picture wandered: the middle of each cell decides, so that a captured
/// picture may be soft at the edges.
pub fn read(frame: &Frame) -> Option<Marker> {
    super::care::PATH.iter().find_map(|shift| read_at(frame, *shift))
}

fn read_at(frame: &Frame, (right, down): (i32, i32)) -> Option<Marker> {
    let mut rows = [0_u8; ROWS as usize];
    for (row, bits) in (0..).zip(rows.iter_mut()) {
        for column in 0..COLUMNS {
            let (x, y) = (LEFT + right + column * CELL, TOP + down + row * CELL);
            *bits = *bits << 1 | u8::from(lit(frame, x, y)?);
        }
    }
    Marker::from_rows(rows)
}

fn lit(frame: &Frame, x: i32, y: i32) -> Option<bool> {
    let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
    let (mut sum, mut count) = (0_u32, 0_u32);
    for py in y + 2..y + 4 {
        let from = (py * Frame::WIDTH as usize + x + 2) * 3;
        let octets = frame.rgb().get(from..from + 6)?;
        sum += octets.iter().map(|o| u32::from(*o)).sum::<u32>();
        count += 6;
    }
    Some(sum > count * 128)
}

fn check(a: u8, b: u8, c: u8) -> u8 {
    !a.wrapping_add(b).wrapping_add(c)
}

/// CRC-16/CCITT-FALSE.
fn crc16(octets: &[u8]) -> u16 {
    octets.iter().fold(0xffff, |crc, octet| {
        (0..8).fold(crc ^ u16::from(*octet) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_well_known_one() {
        assert_eq!(crc16(b"123456789"), 0x29b1);
    }

    #[test]
    fn every_state_comes_back() {
        assert_eq!(KINDS.map(|(kind, _)| kind), ScreenKind::ALL);
        for (kind, _) in KINDS {
            let marker = Marker { kind, words: 0xbeef };
            let mut canvas = Canvas::new(Rgb888::new(200, 10, 10));
            marker.draw(&mut canvas);
            assert_eq!(read(&canvas.into_frame()), Some(marker));
        }
    }

    #[test]
    fn noise_is_no_marker_and_a_soft_picture_is_read() {
        assert_eq!(read(&Canvas::new(Rgb888::WHITE).into_frame()), None);
        assert_eq!(read(&Canvas::new(Rgb888::BLACK).into_frame()), None);
        assert_eq!(read(&Frame::of(vec![0; 7])), None);
        let marker = Marker { kind: ScreenKind::Held, words: 0x1234 };
        let mut canvas = Canvas::new(Rgb888::BLACK);
        marker.draw(&mut canvas);
        let mut frame = canvas.into_frame();
        for (n, octet) in frame.rgb_mut().iter_mut().enumerate() {
            let noise = (n * 7919 % 61) as u8;
            *octet = (*octet / 2 + 50).saturating_add(noise);
        }
        assert_eq!(read(&frame), Some(marker));
    }

    #[test]
    fn numbers_are_used_once() {
        let mut numbers: Vec<u8> = KINDS.iter().map(|(_, n)| *n).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), KINDS.len());
        assert!(!numbers.contains(&0));
    }
}
