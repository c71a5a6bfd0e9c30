//! Draws one screen after the other, and of one that stands only its edges: the clock moves every minute, all night.

use super::screens::{draw, edges_anew};
use super::{Album, Fault, Frame, Screen, Status, Style};

/// Keeps the last picture.
#[derive(Debug, Default)]
pub struct Drawer {
    album: Album,
    last: Option<(Screen, Option<Fault>, Frame)>,
}

impl Drawer {
    /// Draws nothing that is in this album already.
    pub fn new(album: Album) -> Self {
        Self { album, last: None }
    }

    /// The picture of this screen, as [`draw`] draws it. The style is always the same one.
    pub fn draw(&mut self, screen: &Screen, status: &Status, style: &Style) -> Frame {
        let stands = |(shown, fault, _): &(Screen, Option<Fault>, Frame)| shown == screen && *fault == status.fault;
        let last = self.last.take().filter(stands);
        let frame = match (self.album.find(screen, status, style.language), last) {
            (Some(frame), _) => frame,
            (None, last) => {
                let drawn = match last {
                    Some((_, _, frame)) => edges_anew(frame, screen, status, style),
                    None => draw(screen, status, style),
                };
                self.album.keep(screen, status, style.language, &drawn);
                drawn
            }
        };
        self.last = Some((screen.clone(), status.fault.clone(), frame.clone()));
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_in_parts_is_what_is_drawn_whole() {
        let style = Style::default();
        let fault = Fault { code: "NET-001", japanese: "ネットワーク断".into(), english: "No network".into() };
        let at = |clock: &str, fault: Option<&Fault>, reader| Status {
            office: "総務課".into(),
            clock: clock.into(),
            terminal_link: true,
            network_link: fault.is_none(),
            reader,
            fault: fault.cloned(),
        };
        let sent = Screen::Arrived { names: vec!["佐藤 花子".into()] };
        let story = [
            (Screen::Idle, at("09:00", None, true)),
            (Screen::Idle, at("09:01", None, true)),
            (Screen::Idle, at("09:01", None, false)),
            (Screen::Idle, at("09:01", Some(&fault), true)),
            (Screen::Idle, at("11:22", Some(&fault), true)),
            (sent.clone(), at("11:22", Some(&fault), true)),
            (sent, at("1:1", Some(&fault), true)),
        ];
        for mut drawer in [Drawer::default(), Drawer::new(Album::with_room(3))] {
            for (screen, status) in story.iter().chain(&story) {
                assert!(drawer.draw(screen, status, &style) == draw(screen, status, &style), "{status:?}");
            }
        }
    }
}
