//! The calling station with error correction (ITU-T T.30, Annex A.4 and A.5): partial pages, PPR, RNR, CTC.

use std::time::Duration;

use super::caller::{Caller, State};
use super::ecm::{BLOCK_FRAMES, partial_page, wanted};
use super::frame::{CTC, FROM_CALLER, NULL, PPS, RR};
use super::{Action, T5, answer};
use crate::modem::error::EndReason;
use crate::modem::hdlc::Frame;

/// After so many PPR for one block, the rate is lowered (A.4.3).
const REQUESTS: u32 = 4;
/// How often the rate is lowered before a block is given up.
const MOST_CORRECTIONS: u32 = 8;

/// A page on its way out.
#[derive(Clone)]
pub(super) struct EcmPage {
    octets: Vec<u8>,
    frame_octets: usize,
    block: usize,
    /// Frames of the block that are to be sent.
    outstanding: Vec<usize>,
    requests: u32,
    corrections: u32,
}

impl std::fmt::Debug for EcmPage {
    /// Without the page.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EcmPage(block {}, {} frames to send)", self.block, self.outstanding.len())
    }
}

impl EcmPage {
    pub(super) fn new(octets: Vec<u8>, frame_octets: usize) -> Self {
        let mut page = Self {
            octets,
            frame_octets: frame_octets.max(1),
            block: 0,
            outstanding: Vec::new(),
            requests: 0,
            corrections: 0,
        };
        page.outstanding = (0..page.frames()).collect();
        page
    }

    fn block_octets(&self) -> &[u8] {
        let size = BLOCK_FRAMES * self.frame_octets;
        self.octets.chunks(size).nth(self.block).unwrap_or_default()
    }

    /// Frames in this block; an empty page has one all the same, for PPS cannot say none.
    fn frames(&self) -> usize {
        self.block_octets().len().div_ceil(self.frame_octets).max(1)
    }

    fn is_last_block(&self) -> bool {
        (self.block + 1) * BLOCK_FRAMES * self.frame_octets >= self.octets.len()
    }

    /// One frame's octets, filled up with zeros (T.4, A.3.6).
    fn frame(&self, number: usize) -> Vec<u8> {
        let mut data = self.block_octets().chunks(self.frame_octets).nth(number).unwrap_or_default().to_vec();
        data.resize(self.frame_octets, 0);
        data
    }
}

impl Caller {
    /// Phase C: what of the block is outstanding.
    pub(super) fn send_part(&mut self) -> Action {
        let (Some(page), Some(dcs)) = (&self.ecm, self.dcs) else { return self.confused("no page") };
        let frames: Vec<(u8, Vec<u8>)> = page
            .outstanding
            .iter()
            .filter_map(|number| Some((u8::try_from(*number).ok()?, page.frame(*number))))
            .collect();
        let rate = dcs.format.rate;
        let octets = partial_page(frames.iter().map(|(number, data)| (*number, data.as_slice())), rate);
        self.state = State::SendingPage;
        Action::SendFast { rate, long_training: self.long_training, octets }
    }

    /// Phase D: PPS with what follows, the page, the block and its last frame's number.
    pub(super) fn part_sent(&mut self) -> Action {
        let Some(page) = &self.ecm else { return self.confused("no page") };
        let follows = if page.is_last_block() { self.post | FROM_CALLER } else { NULL };
        // Counters are counted modulo 256; a block has at least one frame, and PPS says how many more.
        let field = [self.page, page.block, page.frames() - 1].map(|count| (count & 0xFF) as u8);
        let frame = Frame { fcf: PPS | FROM_CALLER, fif: [[follows].as_slice(), &field].concat(), last: true };
        self.send_command(vec![frame])
    }

    /// MCF: the block is complete.
    pub(super) fn part_confirmed(&mut self) -> Action {
        let Some(page) = &mut self.ecm else { return self.confused("no page") };
        if page.is_last_block() {
            return self.page_confirmed(false);
        }
        page.block += 1;
        page.requests = 0;
        page.outstanding = (0..page.frames()).collect();
        self.send_part()
    }

    /// PPR: some frames again; after the fourth in a row at a lower rate (CTC).
    pub(super) fn partly_received(&mut self, map: &[u8]) -> Action {
        let Some(page) = &mut self.ecm else { return self.confused("no page") };
        let mut again = wanted(map, page.frames());
        if again.is_empty() {
            // Nothing is wanted and yet it is not confirmed: all of it.
            again = (0..page.frames()).collect();
        }
        page.outstanding = again;
        page.requests += 1;
        if page.requests < REQUESTS {
            return self.send_part();
        }
        page.requests = 0;
        page.corrections += 1;
        let enough = page.corrections > MOST_CORRECTIONS;
        let failed = self.rate();
        // A page with holes is worth nothing to whom it is meant for: no EOR, the page stays unconfirmed.
        if enough || !self.step_down() {
            return self.close(Err(EndReason::Uncorrectable { page: self.page + 1, rate: failed }));
        }
        self.retrainings += 1;
        let rate = self.rate();
        let Some(dcs) = &mut self.dcs else { return self.confused("no format") };
        dcs.format.rate = rate;
        let frame = Frame { fcf: CTC | FROM_CALLER, fif: dcs.rate_field(), last: true };
        self.long_training = true;
        self.send_command(vec![frame])
    }

    /// RNR: asked again until T5.
    pub(super) fn not_ready(&mut self) -> Action {
        let since: Duration = *self.not_ready_since.get_or_insert(self.now);
        if self.now.saturating_sub(since) > T5 {
            return self.close(Err(EndReason::NotReady));
        }
        self.send_command(answer(RR | FROM_CALLER))
    }
}
