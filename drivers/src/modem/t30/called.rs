//! The called station, which receives a document (ITU-T T.30, figure 5-2b and clause 5.3; Annex A in `called_ecm`).

use std::time::Duration;

use super::called_ecm::EcmReception;
use super::dis::{Dcs, Dis};
use super::frame::{
    self, CFR, CRP, CSI, CTC, DCN, DCS, DIS, DTC, EOM, EOP, EOR, FTT, MCF, MPS, PPS, PWD, RR, RTN, RTP,
};
use super::frame::{SEP, SID, SUB, TSI, field_text, plain, text_field, without_operator};
use super::training::check_holds;
use super::{Action, Event, T1, T2, T4, TRIES, answer, command, in_phase, is_endless};
use crate::modem::error::EndReason;
use crate::modem::format::{CopyQuality, PageFormat, Phase, Rate};
use crate::modem::hdlc::Frame;
use crate::modem::identity::Identity;

/// How long a decision may take before the far end must have an answer, without error correction and at first.
const GRACE: Duration = Duration::from_millis(1200);
/// So often a far end may train, or send a page, in vain before its call is given up.
const MOST_IN_VAIN: u32 = 32;
/// A post-message command that comes again so soon after its answer is the same one: the answer was lost.
const SOON: Duration = Duration::from_secs(6);

/// One received page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedPage {
    /// As what it was sent.
    pub format: PageFormat,
    /// What the tray thought of it.
    pub quality: CopyQuality,
    /// Error correction: frames that had to be sent again.
    pub frames_repeated: u32,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Start,
    /// DIS is going out.
    SendingDis,
    /// For a command.
    AwaitCommand,
    /// For the training check.
    AwaitCheck,
    /// An answer is going out; then a command is waited for, or a page.
    Answering {
        then_page: bool,
    },
    /// For a page.
    AwaitPage,
    /// For the tray's judgement.
    Judging,
    /// For the decision on the document.
    Deciding,
    Closing,
    Over,
}

/// The receiver of a document.
#[derive(Debug)]
pub struct Called {
    me: Identity,
    pub(super) state: State,
    pub(super) now: Duration,
    phase: Phase,
    steps: u32,
    /// When identification must be over; `None`: it is.
    identify_until: Option<Duration>,
    pub(super) dcs: Option<Dcs>,
    pub(super) long_training: bool,
    /// What came and was not judged yet.
    page: Option<Vec<u8>>,
    /// The post-message command that is being answered or was answered last.
    pub(super) post: Option<u8>,
    answered_at: Duration,
    /// The last answer, for its repetition.
    last_answer: Vec<Frame>,
    quality: CopyQuality,
    pub(super) ecm: EcmReception,
    /// EOP was answered with yes: whatever comes now, the document is here.
    pub(super) complete: bool,
    /// How often EOP went unanswered because nobody had decided.
    held: u32,
    pub(super) holding_since: Option<Duration>,
    silences: u32,
    /// FTT, RTN and commands that were not understood since the last page that was good.
    in_vain: u32,
    /// A page that its sender gave up.
    pub(super) hole: Option<EndReason>,
    result: Option<Result<(), EndReason>>,
    /// Pages so far, those that were refused left out.
    pub pages: Vec<ReceivedPage>,
    /// Pages that were confirmed.
    pub confirmed: usize,
    /// Who the far end says it is (TSI).
    pub far_end: Option<String>,
    /// For whom it is here (SUB).
    pub subaddress: Option<String>,
    /// With which password (SID; PWD of one who polls).
    pub password: Option<String>,
    /// What was selected by one who polls (SEP).
    pub selected: Option<String>,
    /// How often training had to be repeated.
    pub retrainings: u32,
}

impl Called {
    /// Before the call is answered.
    pub fn new(me: Identity) -> Self {
        Self {
            me,
            state: State::Start,
            now: Duration::ZERO,
            phase: Phase::SetUp,
            steps: 0,
            identify_until: None,
            dcs: None,
            long_training: true,
            page: None,
            post: None,
            answered_at: Duration::ZERO,
            last_answer: Vec::new(),
            quality: CopyQuality::Good,
            ecm: EcmReception::default(),
            complete: false,
            held: 0,
            holding_since: None,
            silences: 0,
            in_vain: 0,
            hole: None,
            result: None,
            pages: Vec::new(),
            confirmed: 0,
            far_end: None,
            subaddress: None,
            password: None,
            selected: None,
            retrainings: 0,
        }
    }

    /// The format of the last page.
    pub fn format(&self) -> Option<PageFormat> {
        self.dcs.map(|dcs| dcs.format)
    }

    /// In which phase the call is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What is to be done after `event`, which happened `now`, counted from the call's beginning.
    pub fn step(&mut self, now: Duration, event: Event) -> Action {
        self.now = now;
        self.steps += 1;
        if let Event::Lost(reason) = event {
            let reason = in_phase(reason, self.phase());
            let result = self.result.take().unwrap_or(Err(reason));
            return self.end(result);
        }
        if !matches!(self.state, State::Closing | State::Over) && is_endless(now, self.steps) {
            return self.close(Err(EndReason::CallTooLong));
        }
        match (self.state, event) {
            (State::Start, _) => {
                self.identify_until = Some(now + T1);
                self.identify()
            }
            (State::SendingDis, _) => {
                self.state = State::AwaitCommand;
                Action::Listen { within: T4 }
            }
            (State::AwaitCommand, Event::Burst { frames, damaged }) => self.heard(&frames, damaged),
            (State::AwaitCommand, _) => self.silence(),
            (State::AwaitCheck, Event::Fast(octets)) => self.checked(&octets),
            (State::AwaitCheck, Event::Nothing) => self.checked(&[]),
            (State::AwaitCheck, _) => self.listen(),
            (State::Answering { then_page: true }, _) => self.receive_page(),
            (State::Answering { then_page: false }, _) => self.listen(),
            (State::AwaitPage, Event::Fast(octets)) => self.page_came(octets),
            (State::AwaitPage, _) => self.listen(),
            (State::Judging, Event::Judged(quality)) => self.judged(quality),
            (State::Deciding, Event::Decision(decision)) => self.decided(decision),
            (State::Judging | State::Deciding, _) => self.confused("no judgement"),
            (State::Closing | State::Over, _) => {
                let result = self.result.take().unwrap_or(Ok(()));
                self.end(result)
            }
        }
    }

    /// Who has said yes to a document keeps to it, whatever comes after.
    fn end(&mut self, result: Result<(), EndReason>) -> Action {
        self.state = State::Over;
        Action::End(if self.complete { Ok(()) } else { result })
    }

    /// Phase E: DCN, then the end.
    pub(super) fn close(&mut self, result: Result<(), EndReason>) -> Action {
        self.result = Some(result);
        self.phase = Phase::Release;
        self.state = State::Closing;
        Action::Frames(answer(DCN))
    }

    pub(super) fn confused(&mut self, what: &str) -> Action {
        self.close(Err(EndReason::Protocol { phase: self.phase(), what: what.to_owned() }))
    }

    /// Phase B: CSI and DIS.
    fn identify(&mut self) -> Action {
        self.phase = Phase::Negotiation;
        let mut frames = Vec::new();
        if !self.me.number.is_empty() {
            frames.push(Frame::new(CSI, text_field(&self.me.number)));
        }
        frames.push(Frame { fcf: DIS, fif: Dis::field(&self.me.capabilities), last: true });
        self.last_answer.clone_from(&frames);
        self.state = State::SendingDis;
        Action::Frames(frames)
    }

    pub(super) fn listen(&mut self) -> Action {
        self.state = State::AwaitCommand;
        Action::Listen { within: T2 }
    }

    /// Sends an answer, then waits for a command or for a page.
    pub(super) fn answer(&mut self, frames: Vec<Frame>, then_page: bool) -> Action {
        self.last_answer.clone_from(&frames);
        self.answered_at = self.now;
        self.state = State::Answering { then_page };
        Action::Frames(frames)
    }

    /// FTT, RTN or CRP, and no end of patience.
    fn refuse(&mut self, fcf: u8) -> Action {
        self.in_vain += 1;
        if self.in_vain > MOST_IN_VAIN {
            let rate = self.dcs.map_or(Rate::LOWEST, |dcs| dcs.format.rate);
            return self.close(Err(EndReason::TrainingFailed(rate)));
        }
        if fcf == CRP {
            // It stands for no answer that could be asked for again.
            self.state = State::Answering { then_page: false };
            return Action::Frames(answer(CRP));
        }
        self.answer(answer(fcf), false)
    }

    pub(super) fn receive_page(&mut self) -> Action {
        let Some(dcs) = self.dcs else { return self.listen() };
        self.phase = Phase::Message;
        self.state = State::AwaitPage;
        Action::ReceiveFast { rate: dcs.format.rate, long_training: self.long_training, within: T2 }
    }

    fn silence(&mut self) -> Action {
        if self.complete {
            // Its DCN was lost, or it just hung up: all pages are confirmed.
            return self.end(Ok(()));
        }
        if let Some(until) = self.identify_until {
            if self.now < until {
                return self.identify();
            }
            return self.close(Err(EndReason::NobodyCalling));
        }
        if self.post == Some(EOM) && self.page.is_none() && self.holding_since.is_none() {
            // After EOM both begin anew (5.3.6.1.6); who sends expects to be told what we are.
            self.post = None;
            self.identify_until = Some(self.now + T1);
            return self.identify();
        }
        self.close(Err(EndReason::Silent(self.phase())))
    }

    fn heard(&mut self, frames: &[Frame], damaged: bool) -> Action {
        for frame in frames {
            let text = || Some(field_text(&frame.fif)).filter(|text| !text.is_empty());
            match plain(frame.fcf) {
                TSI | frame::CIG => self.far_end = text(),
                // Pages for two addressees cannot be told apart once they lie in one tray.
                SUB if !self.pages.is_empty() && text() != self.subaddress => {
                    return self.close(Err(EndReason::Refused));
                }
                SUB => self.subaddress = text(),
                SID | PWD => self.password = text(),
                SEP => self.selected = text(),
                _ => {}
            }
        }
        let Some(frame) = command(frames) else {
            // What cannot be read is sent again by itself; whoever hears only noise does not wait for ever.
            self.silences += 1;
            if self.silences > TRIES * 2 {
                return self.silence();
            }
            if damaged && self.identify_until.is_none() {
                self.state = State::Answering { then_page: false };
                return Action::Frames(answer(CRP));
            }
            return self.listen();
        };
        self.silences = 0;
        let fcf = plain(frame.fcf);
        if self.complete && !matches!(without_operator(fcf), EOP | PPS | RR | CRP) {
            // DCN, or what does not belong after the last page: the document is here.
            return self.end(Ok(()));
        }
        match fcf {
            DCS => self.instructed(&frame.fif),
            DCN if self.hole.is_some() => {
                let result = self.hole.take().map_or(Ok(()), Err);
                self.end(result)
            }
            DCN => self.end(Err(EndReason::FarEndHungUp(self.phase()))),
            DTC => self.close(Err(EndReason::PollingRefused)),
            CRP => {
                let again = self.last_answer.clone();
                self.state = State::Answering { then_page: false };
                Action::Frames(again)
            }
            PPS => self.partial_page_ends(&frame.fif),
            RR => self.still_busy(),
            EOR => self.given_up(&frame.fif),
            CTC => self.rate_changes(&frame.fif),
            other => match without_operator(other) {
                post @ (MPS | EOM | EOP) => self.post_message(post),
                _ => self.listen(),
            },
        }
    }

    /// DCS: what comes now.
    fn instructed(&mut self, field: &[u8]) -> Action {
        if self.holding_since.is_some() {
            // Instead of waiting any longer it begins again: the same pages would come twice.
            return self.close(Err(EndReason::Refused));
        }
        match Dcs::parse(field, &self.me.capabilities) {
            // It says that a subaddress came with it, and none was heard: without it the document would go to somebody else.
            Ok(dcs) if dcs.subaddress && self.subaddress.is_none() => self.refuse(CRP),
            // What comes now is for somebody else than the pages before it, and all of them lie in one tray.
            Ok(dcs) if !self.pages.is_empty() && self.dcs.is_some_and(|before| before.subaddress != dcs.subaddress) => {
                self.close(Err(EndReason::Refused))
            }
            Ok(dcs) => {
                self.identify_until = None;
                self.dcs = Some(dcs);
                self.page = None;
                self.post = None;
                self.ecm.new_training();
                self.phase = Phase::Negotiation;
                self.state = State::AwaitCheck;
                Action::ReceiveFast { rate: dcs.format.rate, long_training: true, within: T2 }
            }
            Err(what) => self.close(Err(EndReason::Incompatible { what })),
        }
    }

    /// TCF.
    fn checked(&mut self, octets: &[u8]) -> Action {
        if self.dcs.is_some_and(|dcs| check_holds(octets, dcs.format.rate)) {
            self.long_training = false;
            self.answer(answer(CFR), true)
        } else {
            self.retrainings += 1;
            self.refuse(FTT)
        }
    }

    fn page_came(&mut self, octets: Vec<u8>) -> Action {
        self.phase = Phase::PostMessage;
        self.long_training = false;
        let Some(dcs) = self.dcs else { return self.listen() };
        if dcs.format.ecm {
            self.ecm.take(&octets, dcs.frame_octets);
        } else {
            self.page = Some(octets);
        }
        self.post = self.post.filter(|_| dcs.format.ecm);
        self.listen()
    }

    /// MPS, EOM or EOP without error correction.
    fn post_message(&mut self, post: u8) -> Action {
        let Some(dcs) = self.dcs else { return self.listen() };
        if let Some(octets) = self.page.take().filter(|_| !self.complete) {
            self.post = Some(post);
            return self.deliver(dcs.format, octets);
        }
        if self.state == State::AwaitCommand && self.holding_since.is_some() && self.post == Some(post) {
            return self.ask(GRACE);
        }
        if self.complete || (self.post == Some(post) && self.now.saturating_sub(self.answered_at) < SOON) {
            let again = self.last_answer.clone();
            let then_page = post == MPS && again.first().is_some_and(|frame| frame.fcf == MCF);
            return self.answer(again, then_page);
        }
        // A page was sent and not heard: it must come again.
        self.post = Some(post);
        self.retrainings += 1;
        self.refuse(RTN)
    }

    pub(super) fn deliver(&mut self, format: PageFormat, octets: Vec<u8>) -> Action {
        self.state = State::Judging;
        Action::Deliver { format, octets }
    }

    fn judged(&mut self, quality: CopyQuality) -> Action {
        self.quality = quality;
        let Some(dcs) = self.dcs else { return self.confused("no format") };
        if quality == CopyQuality::Unusable {
            if dcs.format.ecm {
                // What was corrected is what was sent: sending it again makes it no better.
                return self.close(Err(EndReason::Refused));
            }
            self.retrainings += 1;
            return self.refuse(RTN);
        }
        self.in_vain = 0;
        let frames_repeated = self.ecm.page_done();
        self.pages.push(ReceivedPage { format: dcs.format, quality, frames_repeated });
        if let (Some(EOP), Some(hole)) = (self.post, self.hole.take()) {
            return self.close(Err(hole));
        }
        if self.post == Some(EOP) {
            self.holding_since = Some(self.now);
            self.held = 0;
            return self.ask(GRACE);
        }
        self.confirm()
    }

    pub(super) fn ask(&mut self, within: Duration) -> Action {
        self.state = State::Deciding;
        Action::Ask { within }
    }

    /// The owner of the tray has said whether it takes the document, or has not yet.
    fn decided(&mut self, decision: Option<bool>) -> Action {
        match decision {
            Some(true) => {
                self.holding_since = None;
                self.complete = true;
                self.confirm()
            }
            Some(false) => self.close(Err(EndReason::Refused)),
            None if self.dcs.is_some_and(|dcs| dcs.format.ecm) => self.hold(),
            None => {
                // The far end will ask again, thrice in all.
                self.held += 1;
                if self.held >= TRIES { self.close(Err(EndReason::Refused)) } else { self.listen() }
            }
        }
    }

    /// MCF or RTP.
    fn confirm(&mut self) -> Action {
        self.confirmed += 1;
        let good = self.quality == CopyQuality::Good || self.dcs.is_some_and(|dcs| dcs.format.ecm);
        if !good {
            self.retrainings += 1;
        }
        let then_page = good && self.post == Some(MPS);
        self.answer(answer(if good { MCF } else { RTP }), then_page)
    }
}
