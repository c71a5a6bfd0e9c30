//! Pictures that were drawn before. A bench of many adapters shows the same few screens again and again; drawing each takes
//! longer than all that the software does about it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Frame, Language, Screen, Status};

/// The latest pictures, shared by its clones. All of them are drawn in the same font. The default keeps none, which is what
/// a single adapter needs.
#[derive(Debug, Clone, Default)]
pub struct Album {
    pages: Arc<Mutex<VecDeque<(Subject, Frame)>>>,
    room: usize,
}

/// What a picture was drawn from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subject {
    screen: Screen,
    status: Status,
    language: Language,
}

impl Album {
    /// Keeps up to `room` pictures of 2.7 MB each; the one that was looked at longest ago makes room.
    pub fn with_room(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    /// The picture that was drawn of this.
    pub(super) fn find(&self, screen: &Screen, status: &Status, language: Language) -> Option<Frame> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let of_this = |(subject, _): &(Subject, Frame)| {
            subject.language == language && subject.screen == *screen && subject.status == *status
        };
        let at = pages.iter().position(of_this)?;
        let page = pages.remove(at)?;
        let frame = page.1.clone();
        pages.push_back(page);
        Some(frame)
    }

    /// Keeps a picture.
    pub(super) fn keep(&self, screen: &Screen, status: &Status, language: Language, frame: &Frame) {
        if self.room == 0 {
            return;
        }
        let subject = Subject { screen: screen.clone(), status: status.clone(), language };
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() >= self.room {
            pages.pop_front();
        }
        pages.push_back((subject, frame.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_looked_at_longest_ago_makes_room() {
        let album = Album::with_room(2);
        let status = Status::default();
        let frame = |grey| Frame::of(vec![grey]);
        let find = |screen: &Screen, language| album.find(screen, &status, language);
        for (screen, grey) in [(Screen::Idle, 1), (Screen::Sent, 2)] {
            album.clone().keep(&screen, &status, Language::English, &frame(grey));
        }
        assert_eq!(find(&Screen::Idle, Language::English), Some(frame(1)));
        assert_eq!(find(&Screen::Idle, Language::Japanese), None);
        album.keep(&Screen::Sending, &status, Language::English, &frame(3));
        assert_eq!(find(&Screen::Sent, Language::English), None);
        assert_eq!(find(&Screen::Idle, Language::English), Some(frame(1)));
        let later = Status { clock: "09:01".into(), ..Status::default() };
        assert_eq!(album.find(&Screen::Idle, &later, Language::English), None);
        Album::default().keep(&Screen::Idle, &status, Language::English, &frame(4));
        assert_eq!(Album::default().find(&Screen::Idle, &status, Language::English), None);
    }
}
