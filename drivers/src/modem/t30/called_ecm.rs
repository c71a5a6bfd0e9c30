//! The called station with error correction (ITU-T T.30, Annex A.4 and A.5): partial pages, PPR, RNR, CTC, EOR.

use std::time::Duration;

use super::called::Called;
use super::dis::rate_of;
use super::ecm::Block;
use super::frame::{CTR, EOM, EOP, ERR, MCF, MPS, NULL, PPR, RNR, plain, without_operator};
use super::{Action, T5, answer};
use crate::modem::error::EndReason;
use crate::modem::hdlc::Frame;

/// The largest page that is taken.
const MOST_OCTETS: usize = 32 << 20;

/// A page on its way in.
#[derive(Default)]
pub(super) struct EcmReception {
    block: Block,
    /// How many frames the block has: what its first PPS says. The PPS of frames that are sent again may count those alone.
    frames: usize,
    page: Vec<u8>,
    /// Page and block of the partial page that was confirmed last.
    confirmed: Option<(u8, u8)>,
    repeated: u32,
}

impl std::fmt::Debug for EcmReception {
    /// Without the page.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EcmReception({} octets)", self.page.len())
    }
}

impl EcmReception {
    pub(super) fn take(&mut self, octets: &[u8], frame_octets: usize) {
        self.block.take(octets, frame_octets);
    }

    /// A DCS came: what was begun comes again from its beginning.
    pub(super) fn new_training(&mut self) {
        *self = Self::default();
    }

    /// The page has been judged; how many frames came again.
    pub(super) fn page_done(&mut self) -> u32 {
        std::mem::take(&mut self.repeated)
    }
}

impl Called {
    /// PPS: a partial page ends.
    pub(super) fn partial_page_ends(&mut self, field: &[u8]) -> Action {
        let [follows, page, block, last, ..] = *field else { return self.listen() };
        let Some(dcs) = self.dcs.filter(|dcs| dcs.format.ecm) else { return self.listen() };
        if self.holding_since.is_some() {
            return self.still_busy();
        }
        if self.ecm.confirmed == Some((page, block)) && self.ecm.block.is_empty() {
            // MCF was lost.
            return self.answer(answer(MCF), matches!(without_operator(plain_fcf2(follows)), NULL | MPS));
        }
        if self.complete {
            return self.close(Ok(()));
        }
        let count = (usize::from(last) + 1).max(self.ecm.frames);
        self.ecm.frames = count;
        if let Some(map) = self.ecm.block.missing(count) {
            let ones = map.iter().map(|octet| octet.count_ones()).sum::<u32>();
            self.ecm.repeated += ones.saturating_sub(u32::try_from(256 - count).unwrap_or(0));
            return self.answer(vec![Frame { fcf: PPR, fif: map, last: true }], true);
        }
        self.block_complete(follows, page, block, count, dcs)
    }

    fn block_complete(&mut self, follows: u8, page: u8, block: u8, count: usize, dcs: super::dis::Dcs) -> Action {
        let received = std::mem::take(&mut self.ecm.block);
        self.ecm.frames = 0;
        self.ecm.page.extend(received.octets(count, dcs.format.coding));
        self.ecm.confirmed = Some((page, block));
        if self.ecm.page.len() > MOST_OCTETS {
            return self.close(Err(EndReason::PageTooLong));
        }
        match without_operator(plain_fcf2(follows)) {
            NULL => self.answer(answer(MCF), true),
            post @ (MPS | EOM | EOP) => {
                self.post = Some(post);
                let octets = std::mem::take(&mut self.ecm.page);
                self.deliver(dcs.format, octets)
            }
            _ => self.confused("PPS with an unknown command"),
        }
    }

    /// The document is not decided on: RNR, and the far end asks again (A.5.2).
    pub(super) fn hold(&mut self) -> Action {
        self.answer(answer(RNR), false)
    }

    /// RR: is it decided now?
    pub(super) fn still_busy(&mut self) -> Action {
        match self.holding_since {
            Some(since) if self.now.saturating_sub(since) > T5 - Duration::from_secs(5) => {
                self.close(Err(EndReason::Refused))
            }
            Some(_) => self.ask(Duration::from_millis(500)),
            None => {
                // Our MCF after an RNR was lost.
                let then_page = !self.complete && self.post != Some(EOM);
                self.answer(answer(MCF), then_page)
            }
        }
    }

    /// CTC: the rest of the block comes at another rate.
    pub(super) fn rate_changes(&mut self, field: &[u8]) -> Action {
        let (Some(rate), Some(dcs)) = (rate_of(field), &mut self.dcs) else { return self.listen() };
        dcs.format.rate = rate;
        self.retrainings += 1;
        self.long_training = true;
        self.answer(answer(CTR), true)
    }

    /// EOR: the far end sends no more of this block (A.4.3). It is told that we know (ERR), and what else it has may
    /// come; but a document with a hole is not taken.
    pub(super) fn given_up(&mut self, field: &[u8]) -> Action {
        let (Some(follows), Some(dcs)) = (field.first(), self.dcs.filter(|dcs| dcs.format.ecm)) else {
            return self.listen();
        };
        let post = without_operator(plain_fcf2(*follows));
        let page = self.pages.len() + 1;
        self.hole.get_or_insert(EndReason::Uncorrectable { page, rate: dcs.format.rate });
        self.ecm.new_training();
        self.post = (post != NULL).then_some(post);
        self.answer(answer(ERR), matches!(post, NULL | MPS))
    }
}

/// FCF2 of PPS and EOR; NULL has no X.
fn plain_fcf2(fcf2: u8) -> u8 {
    if fcf2 == NULL { NULL } else { plain(fcf2) }
}
