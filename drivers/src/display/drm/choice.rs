//! Which of the modes a screen offers is taken.

/// A mode of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Pictures a second.
    pub(super) hertz: u32,
    /// The screen prefers it: these are its own pixels.
    pub(super) preferred: bool,
    pub(super) interlaced: bool,
}

/// Wider than this a picture of 1280 pixels gains nothing, and the memory of a small board is short.
const WIDEST: u32 = 1920;

/// What the screen prefers, or if that is too large, the largest it offers that is not; at the rate nearest to 60.
pub(super) fn choose_mode(offers: &[Offer]) -> Option<usize> {
    let fits = |offer: &Offer| offer.width > 0 && offer.height > 0;
    let rank = |offer: &Offer| {
        let small = offer.width <= WIDEST && offer.height <= WIDEST;
        let pixels = i64::from(offer.width) * i64::from(offer.height);
        // Of those that are too large, the smallest.
        let size = if small { pixels } else { -pixels };
        let whole = !offer.interlaced;
        (small && whole && offer.preferred, small, whole, size, -i64::from(offer.hertz.abs_diff(60)))
    };
    let mut usable = offers.iter().enumerate().filter(|(_, offer)| fits(offer));
    let first = usable.next()?;
    // The first of equals: screens name their best first.
    let best = usable.fold(first, |best, next| if rank(next.1) > rank(best.1) { next } else { best });
    Some(best.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    const fn offer(width: u32, height: u32, hertz: u32) -> Offer {
        Offer { width, height, hertz, preferred: false, interlaced: false }
    }

    #[test]
    fn the_screens_own_pixels() {
        let native = Offer { preferred: true, ..offer(1680, 1050, 60) };
        assert_eq!(choose_mode(&[offer(1920, 1080, 60), native, offer(1280, 720, 60)]), Some(1));
        let small = Offer { preferred: true, ..offer(800, 480, 60) };
        assert_eq!(choose_mode(&[offer(1280, 720, 60), small]), Some(1));
    }

    #[test]
    fn a_screen_that_prefers_too_much() {
        let large = Offer { preferred: true, ..offer(3840, 2160, 30) };
        let woven = Offer { interlaced: true, ..offer(1920, 1080, 60) };
        let offers =
            [large, woven, offer(1920, 1080, 24), offer(1920, 1080, 60), offer(1920, 1080, 50), offer(1280, 720, 60)];
        assert_eq!(choose_mode(&offers), Some(3));
        assert_eq!(choose_mode(&[large, woven]), Some(1));
        assert_eq!(choose_mode(&[large, offer(2560, 1440, 60)]), Some(1));
        assert_eq!(choose_mode(&[large]), Some(0));
    }

    #[test]
    fn nothing_to_choose() {
        assert_eq!(choose_mode(&[]), None);
        assert_eq!(choose_mode(&[offer(0, 480, 60)]), None);
    }

    proptest! {
        /// Of any offers one is taken that has pixels, a preferred one if it is whole and not too large.
        #[test]
        fn any_offers(offers in prop::collection::vec((0_u32..5000, 0_u32..5000, 0_u32..200, any::<bool>(), any::<bool>()), 0..12)) {
            let offers: Vec<_> = offers
                .into_iter()
                .map(|(width, height, hertz, preferred, interlaced)| Offer { width, height, hertz, preferred, interlaced })
                .collect();
            let good = |o: &&Offer| o.preferred && !o.interlaced && o.width.min(o.height) > 0 && o.width.max(o.height) <= WIDEST;
            match choose_mode(&offers) {
                Some(at) => {
                    prop_assert!(offers[at].width > 0 && offers[at].height > 0);
                    prop_assert!(good(&&offers[at]) || !offers.iter().any(|offer| good(&offer)));
                }
                None => prop_assert!(offers.iter().all(|o| o.width == 0 || o.height == 0)),
            }
        }
    }
}
