//! The calling station, which sends a document (ITU-T T.30, figure 5-2a and clause 5.3; Annex A in `caller_ecm`).

use std::time::Duration;

use super::caller_ecm::EcmPage;
use super::dis::{Dcs, Dis, common_rates};
use super::frame::{self, CFR, CRP, CSI, CTR, DCN, DIS, EOM, EOP, FROM_CALLER, FTT, MCF, MPS, PIN, PIP, PPR, RNR, RTN};
use super::frame::{DTC, RTP, SID, SUB, TSI, field_text, plain, text_field};
use super::training::check_octets;
use super::{Action, Event, T1, T4, TRIES, answer, command, in_phase, is_endless};
use crate::modem::error::EndReason;
use crate::modem::format::{PageFormat, PageWish, Phase, Rate};
use crate::modem::hdlc::Frame;
use crate::modem::identity::{Identity, same_number};

/// How often a page is sent at most.
const MOST_SENDINGS: u32 = 4;
/// How often training may begin anew in all, before a page goes through.
const MOST_TRAININGS: u32 = 16;

/// What a sender sends, besides its pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Who we are.
    pub me: Identity,
    /// What each page is.
    pub pages: Vec<PageWish>,
    /// For whom it is at the far end (SUB).
    pub subaddress: Option<String>,
    /// The password for a transmission (SID).
    pub password: Option<String>,
    /// Nobody else may have it: the far end has to say one of these numbers (CSI).
    pub only_for: Option<Vec<String>>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing has happened.
    Start,
    /// For a DIS, at the beginning or after EOM.
    AwaitDis { until: Duration },
    /// DCS is going out, the training check follows.
    SendingDcs,
    /// The training check is going out.
    SendingCheck,
    /// For CFR or FTT.
    AwaitConfirmation,
    /// For the page's octets.
    Fetching,
    /// A page, or a part of it, is going out.
    SendingPage,
    /// A command is going out.
    SendingCommand,
    /// For its answer.
    AwaitAnswer,
    /// DCN is going out.
    Closing,
    /// Nothing any more.
    Over,
}

/// The sender of a document.
#[derive(Debug)]
pub struct Caller {
    order: Order,
    pub(super) state: State,
    pub(super) now: Duration,
    steps: u32,
    dis: Option<Dis>,
    pub(super) dcs: Option<Dcs>,
    /// Rates both have, best first; those that failed are taken away.
    rates: Vec<Rate>,
    /// The command that waits for its answer, for its repetition.
    pub(super) command: Vec<Frame>,
    pub(super) tries: u32,
    /// Whether the next message begins with the long training sequence.
    pub(super) long_training: bool,
    pub(super) page: usize,
    /// The page's octets until it is confirmed.
    octets: Option<Vec<u8>>,
    pub(super) ecm: Option<EcmPage>,
    /// EOP, MPS or EOM, whatever follows the page.
    pub(super) post: u8,
    sendings: u32,
    trainings: u32,
    result: Option<Result<(), EndReason>>,
    /// Pages that were confirmed.
    pub confirmed: usize,
    /// Who the far end says it is (CSI).
    pub far_end: Option<String>,
    /// How often training was repeated.
    pub retrainings: u32,
    /// When RNR was first heard.
    pub(super) not_ready_since: Option<Duration>,
}

impl Caller {
    /// Before the call.
    pub fn new(order: Order) -> Self {
        Self {
            order,
            state: State::Start,
            now: Duration::ZERO,
            steps: 0,
            dis: None,
            dcs: None,
            rates: Vec::new(),
            command: Vec::new(),
            tries: 0,
            long_training: true,
            page: 0,
            octets: None,
            ecm: None,
            post: EOP,
            sendings: 0,
            trainings: 0,
            result: None,
            confirmed: 0,
            far_end: None,
            retrainings: 0,
            not_ready_since: None,
        }
    }

    /// The format of the last page.
    pub fn format(&self) -> Option<PageFormat> {
        self.dcs.map(|dcs| dcs.format)
    }

    /// In which phase the call is.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Start => Phase::SetUp,
            State::AwaitDis { .. } | State::SendingDcs | State::SendingCheck | State::AwaitConfirmation => {
                Phase::Negotiation
            }
            State::Fetching | State::SendingPage => Phase::Message,
            State::SendingCommand | State::AwaitAnswer => Phase::PostMessage,
            State::Closing | State::Over => Phase::Release,
        }
    }

    /// What is to be done after `event`, which happened `now`, counted from the call's beginning.
    pub fn step(&mut self, now: Duration, event: Event) -> Action {
        self.now = now;
        self.steps += 1;
        if let Event::Lost(reason) = event {
            let reason = in_phase(reason, self.phase());
            // Who has all pages confirmed need not mind how the line went.
            let result = self.result.take().unwrap_or(Err(reason));
            return self.end(result);
        }
        if !matches!(self.state, State::Closing | State::Over) && is_endless(now, self.steps) {
            return self.close(Err(EndReason::CallTooLong));
        }
        match (self.state, event) {
            (State::Start, _) => self.await_dis(),
            (State::AwaitDis { until }, event) => self.identified(until, event),
            (State::SendingDcs, _) => {
                let Some(dcs) = self.dcs else { return self.confused("no format") };
                self.state = State::SendingCheck;
                Action::SendFast {
                    rate: dcs.format.rate,
                    long_training: true,
                    octets: vec![0; check_octets(dcs.format.rate)],
                }
            }
            (State::SendingCheck, _) => self.listen(State::AwaitConfirmation),
            (State::AwaitConfirmation, event) => self.trained(event),
            (State::Fetching, Event::Page(Ok(octets))) => {
                self.octets = Some(octets);
                self.send_page()
            }
            (State::Fetching, Event::Page(Err(source))) => {
                self.close(Err(EndReason::Document { page: self.page + 1, source }))
            }
            (State::Fetching, _) => self.fetch(),
            (State::SendingPage, _) => self.page_sent(),
            (State::SendingCommand, _) => self.listen(State::AwaitAnswer),
            (State::AwaitAnswer, event) => self.answered(event),
            (State::Closing | State::Over, _) => {
                let result = self.result.take().unwrap_or(Ok(()));
                self.end(result)
            }
        }
    }

    fn end(&mut self, result: Result<(), EndReason>) -> Action {
        self.state = State::Over;
        Action::End(result)
    }

    /// Phase E: DCN, then the end.
    pub(super) fn close(&mut self, result: Result<(), EndReason>) -> Action {
        self.result = Some(result);
        self.state = State::Closing;
        Action::Frames(answer(DCN | FROM_CALLER))
    }

    pub(super) fn confused(&mut self, what: &str) -> Action {
        self.close(Err(EndReason::Protocol { phase: self.phase(), what: what.to_owned() }))
    }

    fn await_dis(&mut self) -> Action {
        let until = self.now + T1;
        self.state = State::AwaitDis { until };
        Action::Listen { within: T1 }
    }

    pub(super) fn listen(&mut self, state: State) -> Action {
        self.state = state;
        Action::Listen { within: T4 }
    }

    /// Sends a command for the first time.
    pub(super) fn send_command(&mut self, frames: Vec<Frame>) -> Action {
        self.command.clone_from(&frames);
        self.tries = 1;
        self.state = State::SendingCommand;
        Action::Frames(frames)
    }

    /// Sends it once more, or gives up.
    pub(super) fn repeat(&mut self) -> Action {
        if self.tries >= TRIES {
            return self.close(Err(EndReason::Silent(self.phase())));
        }
        self.tries += 1;
        self.state = if self.state == State::AwaitConfirmation { State::SendingDcs } else { State::SendingCommand };
        Action::Frames(self.command.clone())
    }

    /// Phase B: who is there.
    fn identified(&mut self, until: Duration, event: Event) -> Action {
        let left = until.saturating_sub(self.now);
        let (frames, damaged) = match event {
            Event::Burst { frames, damaged } => (frames, damaged),
            _ if left.is_zero() => {
                let reason =
                    if self.dis.is_some() { EndReason::Silent(Phase::Negotiation) } else { EndReason::NotAFax };
                return self.close(Err(reason));
            }
            _ => return Action::Listen { within: left },
        };
        for frame in &frames {
            if frame.fcf == CSI {
                self.far_end = Some(field_text(&frame.fif));
            }
        }
        match command(&frames).map(|frame| (plain(frame.fcf), frame)) {
            Some((DIS, frame)) => {
                let dis = Dis::parse(&frame.fif);
                self.rates = common_rates(&self.order.me.capabilities, &dis.capabilities);
                if !dis.receives {
                    return self.close(Err(EndReason::CannotReceive));
                }
                if (self.order.subaddress.is_some() || self.order.password.is_some()) && !dis.capabilities.subaddress {
                    return self.close(Err(EndReason::NoSubaddress));
                }
                self.dis = Some(dis);
                if !self.is_the_one() {
                    // What it said may be among what was lost: it says so once more.
                    if self.far_end.is_none() && damaged && !left.is_zero() {
                        return Action::Listen { within: left };
                    }
                    return self.close(Err(EndReason::WrongMachine { says: self.far_end.clone() }));
                }
                self.trainings = 0;
                self.train()
            }
            Some((DTC, _)) => self.close(Err(EndReason::PollingRefused)),
            Some((DCN, _)) => self.close(Err(EndReason::FarEndHungUp(Phase::Negotiation))),
            _ if left.is_zero() => self.close(Err(EndReason::NotAFax)),
            _ => Action::Listen { within: left },
        }
    }

    /// Whether the document may go to who answered.
    fn is_the_one(&self) -> bool {
        let Some(numbers) = &self.order.only_for else { return true };
        self.far_end.as_ref().is_some_and(|says| numbers.iter().any(|number| same_number(number, says)))
    }

    /// What would be agreed for a page at the best rate that is left.
    fn agreed(&self, page: usize) -> Option<Dcs> {
        let (dis, wish, rate) = (self.dis.as_ref()?, self.order.pages.get(page)?, self.rates.first()?);
        Some(Dcs::agree(&self.order.me.capabilities, dis, *wish, *rate, self.order.subaddress.is_some()))
    }

    /// TSI, SUB, SID, DCS; the training check follows.
    pub(super) fn train(&mut self) -> Action {
        let Some(mut dcs) = self.agreed(self.page) else {
            return self.close(Err(EndReason::TrainingFailed(Rate::LOWEST)));
        };
        // A page that is sent again stays what it was coded as; only the rate may have changed.
        if let (Some(before), true) = (self.dcs, self.octets.is_some()) {
            dcs = Dcs { format: PageFormat { rate: dcs.format.rate, ..before.format }, ..before };
        }
        self.dcs = Some(dcs);
        self.trainings += 1;
        if self.trainings > MOST_TRAININGS {
            return self.close(Err(EndReason::TrainingFailed(dcs.format.rate)));
        }
        let mut frames = Vec::new();
        if !self.order.me.number.is_empty() {
            frames.push(Frame::new(TSI | FROM_CALLER, text_field(&self.order.me.number)));
        }
        if let Some(subaddress) = &self.order.subaddress {
            frames.push(Frame::new(SUB | FROM_CALLER, text_field(subaddress)));
        }
        if let Some(password) = &self.order.password {
            frames.push(Frame::new(SID | FROM_CALLER, text_field(password)));
        }
        frames.push(Frame { fcf: frame::DCS | FROM_CALLER, fif: dcs.field(), last: true });
        self.command.clone_from(&frames);
        self.tries = 1;
        self.state = State::SendingDcs;
        Action::Frames(frames)
    }

    /// The next lower rate is the best from now on; false: there is none.
    pub(super) fn step_down(&mut self) -> bool {
        if self.rates.len() > 1 {
            self.rates.remove(0);
            true
        } else {
            false
        }
    }

    /// The best rate that is left.
    pub(super) fn rate(&self) -> Rate {
        self.rates.first().copied().unwrap_or(Rate::LOWEST)
    }

    fn trained(&mut self, event: Event) -> Action {
        let Event::Burst { frames, .. } = event else { return self.repeat() };
        match command(&frames).map(|frame| plain(frame.fcf)) {
            Some(CFR) => {
                self.long_training = false;
                if self.octets.is_some() { self.send_page() } else { self.fetch() }
            }
            Some(FTT) => {
                self.retrainings += 1;
                let failed = self.rate();
                if self.step_down() { self.train() } else { self.close(Err(EndReason::TrainingFailed(failed))) }
            }
            Some(DCN) => self.close(Err(EndReason::FarEndHungUp(Phase::Negotiation))),
            _ => self.repeat(),
        }
    }

    /// The page in the format that was agreed.
    fn fetch(&mut self) -> Action {
        let Some(dcs) = self.dcs else { return self.confused("no format") };
        self.state = State::Fetching;
        self.sendings = 0;
        self.ecm = None;
        Action::Fetch { page: self.page, format: dcs.format }
    }

    /// Phase C.
    fn send_page(&mut self) -> Action {
        let (Some(dcs), Some(octets)) = (self.dcs, &self.octets) else { return self.confused("no page") };
        self.post = match self.agreed(self.page + 1) {
            None => EOP,
            Some(next) if Dcs { format: PageFormat { rate: dcs.format.rate, ..next.format }, ..next } == dcs => MPS,
            Some(_) => EOM,
        };
        self.sendings += 1;
        if dcs.format.ecm {
            let page = EcmPage::new(octets.clone(), dcs.frame_octets);
            self.ecm.get_or_insert(page);
            return self.send_part();
        }
        self.state = State::SendingPage;
        Action::SendFast { rate: dcs.format.rate, long_training: self.long_training, octets: octets.clone() }
    }

    /// Phase D begins.
    fn page_sent(&mut self) -> Action {
        self.long_training = false;
        if self.ecm.is_some() {
            return self.part_sent();
        }
        self.send_command(answer(self.post | FROM_CALLER))
    }

    fn answered(&mut self, event: Event) -> Action {
        let Event::Burst { frames, .. } = event else { return self.repeat() };
        let Some(frame) = command(&frames) else { return self.repeat() };
        let fcf = plain(frame.fcf);
        if fcf != RNR {
            self.not_ready_since = None;
        }
        match fcf {
            DCN => self.close(Err(EndReason::FarEndHungUp(Phase::PostMessage))),
            CRP => self.repeat(),
            PPR if self.ecm.is_some() => self.partly_received(&frame.fif),
            CTR if self.ecm.is_some() => self.send_part(),
            RNR => self.not_ready(),
            // Nobody stands here who could take the operator's call: PIP is a yes, PIN a no.
            MCF | PIP if self.ecm.is_some() => self.part_confirmed(),
            MCF | PIP => self.page_confirmed(false),
            // With error correction there is no such answer to a part of a page.
            RTP if self.ecm.is_none() => self.page_confirmed(true),
            RTN | PIN => self.page_refused(),
            _ => self.repeat(),
        }
    }

    /// A page has arrived: it will not be sent again, whatever happens.
    pub(super) fn page_confirmed(&mut self, retrain: bool) -> Action {
        self.confirmed += 1;
        self.page += 1;
        self.octets = None;
        self.ecm = None;
        self.trainings = 0;
        match self.post {
            EOP => self.close(Ok(())),
            EOM => self.await_dis(),
            _ if retrain => {
                self.retrainings += 1;
                self.train()
            }
            _ => self.fetch(),
        }
    }

    fn page_refused(&mut self) -> Action {
        if self.sendings >= MOST_SENDINGS {
            return self.close(Err(EndReason::PageRefused { page: self.page + 1, tries: self.sendings }));
        }
        self.step_down();
        self.retrainings += 1;
        self.ecm = None;
        self.train()
    }
}
