//! Care for the screen itself: nothing waits, and after a while it goes dark; what stands long wanders by some pixels, so
//! that no edge burns in. [`Care`] decides (pure), [`Cared`] does it to a display.

use std::time::Duration;

use tokio::time::Instant;

use super::{Display, DisplayError, Fault, Frame, Screen, ScreenKind, Status};

/// From one step of a picture that stands to the next. Edges burn in within days, not minutes.
pub const STEP: Duration = Duration::from_secs(300);

/// Where a picture that stands is moved to, step by step, in pixels right and down. The marker is looked for at each.
pub const PATH: [(i32, i32); 9] = [(0, 0), (4, 0), (8, 0), (8, 4), (8, 8), (4, 8), (0, 8), (0, 4), (4, 4)];

/// How the screen is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// All black.
    pub dark: bool,
    /// The picture is moved so far right and down.
    pub shift: (i32, i32),
}

/// Decides how the screen looks. Times are counted from any fixed start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Care {
    blank_after: Option<Duration>,
    shown: Option<(Screen, Option<Fault>)>,
    /// Since when this screen stands.
    since: Duration,
    /// When a person was last there.
    touched: Duration,
}

impl Care {
    /// The idle screen goes dark after `blank_after`; zero is never.
    pub fn new(blank_after: Duration) -> Self {
        let blank_after = Some(blank_after).filter(|after| !after.is_zero());
        Self { blank_after, shown: None, since: Duration::ZERO, touched: Duration::ZERO }
    }

    /// Whether this is what is shown already. The clock at the edge and the ports' links do not count: a screen in the
    /// dark does not wake for them.
    pub fn stands(&self, screen: &Screen, status: &Status) -> bool {
        self.shown.as_ref().is_some_and(|(shown, fault)| shown == screen && *fault == status.fault)
    }

    /// This is shown from `now` on, if it was not before.
    pub fn shows(&mut self, screen: &Screen, status: &Status, now: Duration) {
        if !self.stands(screen, status) {
            // A countdown changes each second, and would never wander.
            let same = self.shown.as_ref().is_some_and(|(shown, _)| shown.kind() == screen.kind());
            self.touched = now;
            if !same {
                self.since = now;
            }
            self.shown = Some((screen.clone(), status.fault.clone()));
        }
    }

    /// A person is there.
    pub fn touched(&mut self, now: Duration) {
        self.touched = now;
    }

    /// How the screen is to look at `now`.
    pub fn look(&self, now: Duration) -> Look {
        let idle = self.shown.as_ref().is_some_and(|(shown, _)| shown.kind() == ScreenKind::Idle);
        let dark = idle && self.blank_after.is_some_and(|after| now.saturating_sub(self.touched) >= after);
        let steps = now.saturating_sub(self.since).as_secs() / STEP.as_secs();
        let shift = PATH.get(steps as usize % PATH.len()).copied().unwrap_or_default();
        Look { dark, shift: if dark { (0, 0) } else { shift } }
    }

    /// When, after `now`, the look changes by itself; `None`: never.
    pub fn next(&self, now: Duration) -> Option<Duration> {
        self.shown.as_ref()?;
        let Look { dark: false, .. } = self.look(now) else { return None };
        let steps = now.saturating_sub(self.since).as_secs() / STEP.as_secs();
        let step = STEP.checked_mul(u32::try_from(steps).ok()?.checked_add(1)?)?.checked_add(self.since);
        let idle = self.shown.as_ref().is_some_and(|(shown, _)| shown.kind() == ScreenKind::Idle);
        let blank = self.blank_after.filter(|_| idle).and_then(|after| self.touched.checked_add(after));
        step.into_iter().chain(blank).min()
    }
}

/// A frame moved right and down; what comes in from beyond the edge is the edge.
pub fn shifted(frame: &Frame, (right, down): (i32, i32)) -> Frame {
    let (width, height) = (Frame::WIDTH as i32, Frame::HEIGHT as i32);
    let row_length = Frame::WIDTH as usize * 3;
    let mut rgb = Vec::with_capacity(frame.rgb().len());
    for y in 0..height {
        let from = y.saturating_sub(down).clamp(0, height - 1) as usize * row_length;
        let row = frame.rgb().get(from..from + row_length).unwrap_or_default();
        let (first, last) =
            (row.get(..3).unwrap_or_default(), row.get(row.len().saturating_sub(3)..).unwrap_or_default());
        let (right, left) = (right.clamp(0, width), right.saturating_neg().clamp(0, width));
        (0..right).for_each(|_| rgb.extend_from_slice(first));
        let kept = left as usize * 3..row.len().saturating_sub(right as usize * 3);
        rgb.extend_from_slice(row.get(kept).unwrap_or_default());
        (0..left).for_each(|_| rgb.extend_from_slice(last));
    }
    Frame::of(rgb)
}

/// A display that is taken care of.
pub struct Cared {
    display: Box<dyn Display>,
    care: Care,
    start: Instant,
    /// How it looks now; `None`: unknown, or another than it should.
    looks: Option<Look>,
}

impl std::fmt::Debug for Cared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cared").field("looks", &self.looks).finish_non_exhaustive()
    }
}

impl Cared {
    /// `display`, dark when nothing waits for `blank_after`; zero is never.
    pub fn new(display: Box<dyn Display>, blank_after: Duration) -> Self {
        Self { display, care: Care::new(blank_after), start: Instant::now(), looks: None }
    }
}

impl Display for Cared {
    fn show(&mut self, screen: &Screen, status: &Status, frame: &Frame) -> Result<(), DisplayError> {
        let now = self.start.elapsed();
        self.care.shows(screen, status, now);
        let look = self.care.look(now);
        self.looks = None;
        match look {
            Look { dark: true, .. } => self.display.show(screen, status, &Frame::of(vec![0; frame.rgb().len()]))?,
            Look { shift: (0, 0), .. } => self.display.show(screen, status, frame)?,
            Look { shift, .. } => self.display.show(screen, status, &shifted(frame, shift))?,
        }
        self.looks = Some(look);
        Ok(())
    }

    fn wake(&mut self) {
        self.care.touched(self.start.elapsed());
        self.display.wake();
    }

    fn dark(&self, screen: &Screen, status: &Status) -> bool {
        let stays = self.looks.is_some_and(|looks| looks.dark) && self.care.look(self.start.elapsed()).dark;
        stays && self.care.stands(screen, status)
    }

    fn attention(&self) -> Option<Duration> {
        let now = self.start.elapsed();
        let own = self.care.next(now).map(|next| next.saturating_sub(now));
        own.into_iter().chain(self.display.attention()).min()
    }

    fn look(&mut self) -> Result<bool, DisplayError> {
        let again = self.display.look()?;
        if again {
            self.looks = None;
        }
        Ok(again || self.looks.is_some_and(|looks| looks != self.care.look(self.start.elapsed())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::display::{Language, Marker, Style, VirtualDisplay, draw, marker};
    use proptest::prelude::*;
    use std::sync::{Arc, Mutex};

    const MINUTE: Duration = Duration::from_secs(60);

    fn minutes(n: u32) -> Duration {
        MINUTE * n
    }

    #[test]
    fn idle_goes_dark_and_wakes_for_whatever_matters() {
        let mut care = Care::new(minutes(10));
        let clock = |clock: &str| Status { clock: clock.to_owned(), ..Status::default() };
        care.shows(&Screen::Idle, &clock("12:00"), minutes(0));
        care.shows(&Screen::Idle, &clock("12:09"), minutes(9));
        assert!(!care.look(minutes(10) - Duration::from_secs(1)).dark);
        assert!(care.look(minutes(10)).dark);
        assert_eq!(care.next(minutes(11)), None);
        // A hand at the button.
        care.touched(minutes(20));
        assert!(!care.look(minutes(29)).dark);
        assert!(care.look(minutes(30)).dark);
        // A fault.
        let fault = Fault { code: "CARD-001", japanese: String::new(), english: String::new() };
        care.shows(&Screen::Idle, &Status { fault: Some(fault), ..clock("12:40") }, minutes(40));
        assert!(!care.look(minutes(49)).dark);
        // An alert, for days.
        care.shows(&Screen::Arrived { names: vec!["A".into()] }, &clock("12:41"), minutes(41));
        assert!(!care.look(minutes(5000)).dark);
        assert!(!Care::new(Duration::ZERO).look(minutes(5000)).dark);
    }

    #[test]
    fn a_standing_picture_wanders_and_a_countdown_too() {
        let mut care = Care::new(Duration::ZERO);
        let status = Status::default();
        let mut seen = Vec::new();
        let all = STEP * u32::try_from(PATH.len()).unwrap();
        for second in 0..all.as_secs() {
            let now = Duration::from_secs(second);
            care.shows(&Screen::Held { left: all - now }, &status, now);
            seen.push(care.look(now).shift);
        }
        seen.dedup();
        assert_eq!(seen, PATH);
        care.shows(&Screen::Sending, &status, all);
        assert_eq!(care.look(all).shift, (0, 0));
    }

    #[test]
    fn the_marker_is_read_wherever_the_picture_wandered() {
        for screen in [Screen::Idle, Screen::Arrived { names: vec!["佐藤 花子".into()] }] {
            let frame = draw(&screen, &Status::default(), &Style::default());
            for shift in PATH {
                assert_eq!(
                    marker::read(&shifted(&frame, shift)),
                    Some(Marker::of(&screen, Language::Japanese)),
                    "{shift:?}"
                );
            }
        }
    }

    #[test]
    fn shifting_moves_every_pixel() {
        let rgb = (0..1280 * 720 * 3).map(|n| (n * 31 % 251) as u8).collect();
        let frame = Frame::of(rgb);
        let pixel = |frame: &Frame, x: usize, y: usize| frame.rgb()[(y * 1280 + x) * 3..][..3].to_vec();
        for (right, down) in [(4, 8), (-3, -5), (0, 0), (2000, -2000)] {
            let moved = shifted(&frame, (right, down));
            assert_eq!(moved.rgb().len(), frame.rgb().len());
            for (x, y) in [(0, 0), (640, 360), (1279, 719), (3, 700)] {
                let from = |at: usize, by: i32, most: i32| (at as i32 - by).clamp(0, most) as usize;
                assert_eq!(
                    pixel(&moved, x, y),
                    pixel(&frame, from(x, right, 1279), from(y, down, 719)),
                    "{right} {down}"
                );
            }
        }
        assert!(shifted(&Frame::of(vec![1; 7]), (4, 4)).rgb().len() < 100_000);
    }

    proptest! {
        /// What `next` says is when the look changes: not before, and then it does.
        #[test]
        fn next_is_the_next(blank in 0_u64..2000, shown in 0_u64..1000, touch in 0_u64..1000, wait in 0_u64..1500) {
            let s = Duration::from_secs;
            let mut care = Care::new(s(blank));
            care.shows(&Screen::Idle, &Status::default(), s(shown));
            care.touched(s(shown + touch));
            let now = s(shown + touch + wait);
            if let Some(next) = care.next(now) {
                prop_assert!(next > now);
                prop_assert_ne!(care.look(next), care.look(now));
                prop_assert_eq!(care.look(next - Duration::from_nanos(1)), care.look(now));
            } else {
                prop_assert!(care.look(now).dark);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_display_in_the_dark_is_black_and_need_not_be_drawn() {
        let lit = Arc::new(Mutex::new(Vec::new()));
        let log = lit.clone();
        let inner = VirtualDisplay::new(move |_, _, frame: &Frame| {
            log.lock().unwrap().push(frame.rgb().iter().any(|octet| *octet != 0));
        });
        let mut display = Cared::new(Box::new(inner), STEP * 3);
        let frame = Frame::of((0..1280 * 720 * 3).map(|n| (n % 249) as u8 | 1).collect());
        let status = Status::default();
        display.show(&Screen::Idle, &status, &frame).unwrap();
        while !display.dark(&Screen::Idle, &status) {
            tokio::time::sleep(display.attention().unwrap()).await;
            assert!(display.look().unwrap());
            display.show(&Screen::Idle, &status, &frame).unwrap();
        }
        assert_eq!(display.attention(), None);
        assert!(!display.dark(&Screen::Sending, &status));
        // Lit where it stood first and where it wandered to twice, then black.
        assert_eq!(*lit.lock().unwrap(), [true, true, true, false]);
        display.wake();
        assert!(!display.dark(&Screen::Idle, &status));
        display.show(&Screen::Idle, &status, &frame).unwrap();
        assert_eq!(lit.lock().unwrap().last(), Some(&true));
    }
}
