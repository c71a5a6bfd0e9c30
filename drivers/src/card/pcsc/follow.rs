//! The thread that follows one reader: asks PC/SC for its state, sleeps until something changes, builds everything anew
//! when the daemon was stopped or the reader unplugged.

use std::ffi::{CStr, CString};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::pcsc::{Context, Error, PNP_NOTIFICATION, ReaderState, Scope, State};
use tokio::sync::watch::Sender;

use super::watch::{Look, Watch, flag};
use crate::card::CardError;
use crate::card::sight::Sight;
use crate::pattern::{NamePattern, NotChosen};

/// Without a daemon it is asked for again after this time, then after twice as long, and so on,
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Between two looks when PC/SC would answer at once and nothing would come of it.
const BREATH: Duration = Duration::from_millis(200);
/// The longest sleep in which PC/SC itself wakes us, also when its daemon ends.
const SLEEP: Duration = Duration::from_secs(300);
/// The longest sleep in which it might not: while there is no reader (one may come between a list and the wait for
/// changes of it), and while a card is in of which no event was counted yet (pcsc-lite does not compare a count of 0, and
/// would not tell that another took its place).
const LIGHT_SLEEP: Duration = Duration::from_secs(1);
/// How long the end of the thread is awaited.
const FAREWELL: Duration = Duration::from_millis(500);

/// Why no reader is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Absence {
    /// The daemon cannot be reached.
    NoService(Error),
    /// No reader at all.
    NoReader,
    /// None or several fit.
    NotChosen(NotChosen),
}

impl From<&Absence> for CardError {
    fn from(absence: &Absence) -> Self {
        match absence {
            Absence::NoService(error) => Self::Reader(format!(
                "its service pcscd does not answer ({error}); start it with `systemctl start pcscd.socket`"
            )),
            Absence::NoReader => Self::NoReader,
            Absence::NotChosen(why) => Self::NotChosen(why.clone()),
        }
    }
}

#[derive(Default)]
struct Inner {
    stop: bool,
    ended: bool,
    context: Option<Context>,
    chosen: Option<CString>,
    absence: Option<Absence>,
}

/// What the thread and its reader share.
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    sight: Sender<Sight>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.lock().stop
    }

    /// Sleeps, or is woken to stop: then `true`.
    fn sleep(&self, time: Duration) -> bool {
        let stopped = |inner: &mut Inner| !inner.stop;
        let (inner, _) =
            self.changed.wait_timeout_while(self.lock(), time, stopped).unwrap_or_else(PoisonError::into_inner);
        inner.stop
    }

    /// Keeps the context where [`Follower::drop`] finds it; `true` if the end came before.
    fn hold(&self, context: Option<&Context>) -> bool {
        let mut inner = self.lock();
        inner.context = context.cloned();
        inner.stop
    }

    fn show(&self, sight: Sight) {
        self.sight.send_if_modified(|shown| std::mem::replace(shown, sight) != sight);
    }

    fn choose(&self, chosen: Result<&CStr, Absence>) {
        let mut inner = self.lock();
        let absence = chosen.as_ref().err().cloned();
        if absence != inner.absence {
            match &absence {
                Some(why) => tracing::warn!(why = %CardError::from(why), "no card reader"),
                None => tracing::info!(reader = ?chosen, "card reader found"),
            }
        }
        inner.absence = absence;
        inner.chosen = chosen.ok().map(CStr::to_owned);
    }
}

/// The handle to the thread. Dropping it ends the thread.
pub(super) struct Follower(Arc<Shared>);

impl Follower {
    /// Starts to follow the reader whose name fits.
    pub(super) fn start(pattern: NamePattern, sight: Sender<Sight>) -> Result<Self, CardError> {
        let shared = Arc::new(Shared { inner: Mutex::default(), changed: Condvar::new(), sight });
        let of_thread = shared.clone();
        std::thread::Builder::new()
            .name("card-reader".into())
            .spawn(move || {
                follow(&of_thread, &pattern);
                let mut inner = of_thread.lock();
                inner.context = None;
                inner.ended = true;
                of_thread.changed.notify_all();
            })
            .map_err(|error| CardError::Reader(format!("its thread cannot be started: {error}")))?;
        Ok(Self(shared))
    }

    /// The reader that is followed now.
    pub(super) fn chosen(&self) -> Option<CString> {
        self.0.lock().chosen.clone()
    }

    /// Why there is none.
    pub(super) fn absence(&self) -> Option<CardError> {
        self.0.lock().absence.as_ref().map(CardError::from)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let late = Instant::now() + FAREWELL;
        let mut inner = self.0.lock();
        inner.stop = true;
        self.0.changed.notify_all();
        // SCardCancel is lost on a thread that is not waiting yet, so it is said again.
        while !inner.ended && Instant::now() < late {
            if let Some(context) = inner.context.clone() {
                let _ = context.cancel();
            }
            let next = self.0.changed.wait_timeout(inner, Duration::from_millis(10));
            inner = next.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn follow(shared: &Shared, pattern: &NamePattern) {
    let mut watch = Watch::default();
    let mut pause = FIRST_PAUSE;
    loop {
        let ended = Context::establish(Scope::User).and_then(|context| {
            if shared.hold(Some(&context)) {
                return Ok(());
            }
            let ended = follow_in(&context, shared, pattern, &mut watch, &mut pause);
            shared.hold(None);
            ended
        });
        match ended {
            Ok(()) => return,
            Err(error) => {
                shared.choose(Err(Absence::NoService(error)));
                shared.show(watch.look(Look::Nothing));
            }
        }
        if shared.sleep(pause) {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Follows until it is told to stop (`Ok`) or the context is of no more use.
fn follow_in(
    context: &Context,
    shared: &Shared,
    pattern: &NamePattern,
    watch: &mut Watch,
    pause: &mut Duration,
) -> Result<(), Error> {
    // The pseudo reader whose state changes when readers come and go; it keeps what it told last.
    let mut states = vec![ReaderState::new(PNP_NOTIFICATION(), State::UNAWARE)];
    loop {
        let names = match context.list_readers_owned() {
            Ok(names) => names,
            Err(Error::NoReadersAvailable) => Vec::new(),
            Err(error) => return Err(error),
        };
        // The daemon is there and speaks.
        *pause = FIRST_PAUSE;
        states.truncate(1);
        match choose(pattern, &names) {
            Ok(name) => states.push(ReaderState::new(name, State::UNAWARE)),
            Err(why) => {
                shared.choose(Err(why));
                shared.show(watch.look(Look::Nothing));
            }
        }
        if list_changes(context, shared, watch, &mut states)? == Then::Stop {
            return Ok(());
        }
    }
}

#[derive(PartialEq, Eq)]
enum Then {
    ListAgain,
    Stop,
}

/// Takes looks until readers come or go.
fn list_changes(
    context: &Context,
    shared: &Shared,
    watch: &mut Watch,
    states: &mut [ReaderState],
) -> Result<Then, Error> {
    loop {
        let surely = |reader: &ReaderState| reader.event_count() != 0 || reader.event_state().contains(State::EMPTY);
        let light = !matches!(states, [_, reader] if surely(reader));
        let looked = context.get_status_change(if light { LIGHT_SLEEP } else { SLEEP }, states);
        if shared.stopped() {
            return Ok(Then::Stop);
        }
        match looked {
            Ok(()) | Err(Error::Timeout) => {}
            // Named, and gone before it was asked for.
            Err(Error::UnknownReader | Error::ReaderUnavailable) => {
                shared.choose(Err(Absence::NoReader));
                shared.show(watch.look(Look::Nothing));
                return Ok(if shared.sleep(BREATH) { Then::Stop } else { Then::ListAgain });
            }
            Err(error) => return Err(error),
        }
        let listed = states.first().is_some_and(|list| list.event_state().contains(State::CHANGED));
        let mut known = false;
        if let Some(reader) = states.get(1) {
            let state = raw(reader);
            let sight = watch.look(Look::State(state));
            // One that is unplugged may stay in the list, unavailable, and come back without leaving it.
            known = state & (flag::UNKNOWN | flag::IGNORE) == 0;
            shared.choose(sight.plugged.map(|_| reader.name()).ok_or(Absence::NoReader));
            shared.show(sight);
        }
        for state in states.iter_mut() {
            state.sync_current_state();
        }
        if known && !listed {
            continue;
        }
        // A reader that is listed and yet not known would keep us busy.
        let stop = states.len() > 1 && !known && shared.sleep(BREATH);
        return Ok(if stop { Then::Stop } else { Then::ListAgain });
    }
}

/// `dwEventState` as PC/SC wrote it: flags below, event count above.
pub(super) fn raw(state: &ReaderState) -> u32 {
    let flags = u32::try_from(state.event_state().bits()).unwrap_or_default();
    (flags & 0xFFFF) | state.event_count() << 16
}

fn choose(pattern: &NamePattern, names: &[CString]) -> Result<CString, Absence> {
    let readable: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
    if readable.is_empty() {
        return Err(Absence::NoReader);
    }
    let chosen = pattern.choose(&readable).map_err(Absence::NotChosen)?;
    let at = readable.iter().position(|name| name == chosen);
    at.and_then(|at| names.get(at)).cloned().ok_or(Absence::NoReader)
}
