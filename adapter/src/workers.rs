//! The long-running tasks of an adapter, each with a name and a pulse. None of them ends while all is well.

use std::collections::HashMap;
use std::future::poll_fn;

use tokio::task::{Id, JoinError, JoinSet};

use crate::pulse::{Beat, Heart, Silent};

/// A worker that ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the worker `{worker}` ended: {why}")]
pub struct Ended {
    /// Which.
    pub worker: &'static str,
    /// What is known of the reason.
    pub why: String,
}

/// All workers of one adapter. Dropping it ends them at once.
#[derive(Debug)]
pub(crate) struct Workers {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    heart: Heart,
}

impl Workers {
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), names: HashMap::new(), heart: Heart::new() }
    }

    /// A worker that may wait for ever, as one does who listens. What it may not is keep its turn: it has to give it back, and
    /// what blocks in it silences it.
    pub(crate) fn spawn(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.spawn_beating(name, async move |beat: Beat| {
            tokio::pin!(work);
            poll_fn(|context| {
                beat.beat();
                let turn = work.as_mut().poll(context);
                beat.waits();
                turn
            })
            .await;
        });
    }

    /// A worker that beats by itself whenever it comes round, at least every few seconds or until it says that it waits.
    pub(crate) fn spawn_beating<F, Fut>(&mut self, name: &'static str, work: F)
    where
        F: FnOnce(Beat) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let task = self.tasks.spawn(work(self.heart.worker(name)));
        self.names.insert(task.id(), name);
    }

    /// Waits until one ends.
    pub(crate) async fn ended(&mut self) -> Ended {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => self.ended_as(id, "it came to its end, which it never should".to_owned()),
            Some(Err(error)) => self.ended_as(error.id(), reason(error)),
            None => Ended { worker: "all", why: "there is none left".to_owned() },
        }
    }

    fn ended_as(&mut self, id: Id, why: String) -> Ended {
        Ended { worker: self.names.remove(&id).unwrap_or("unnamed"), why }
    }

    /// Those that are stuck.
    pub(crate) fn silent(&self) -> Vec<Silent> {
        self.heart.silent()
    }

    /// Ends them all, and waits until they have.
    pub(crate) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }
}

fn reason(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            format!("it broke off ({}); please report this", words.unwrap_or("without a word"))
        }
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use super::*;
    use crate::pulse::PATIENCE;

    #[tokio::test]
    async fn who_ends_is_named() {
        let mut workers = Workers::new();
        workers.spawn("listener", std::future::pending());
        workers.spawn("outbox", async {});
        assert_eq!(workers.ended().await.worker, "outbox");
        workers.spawn("screen", async { panic!("no ink") });
        let ended = workers.ended().await;
        assert_eq!(ended.worker, "screen");
        assert!(ended.to_string().contains("no ink"), "{ended}");
        workers.shutdown().await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_may_and_who_never_comes_round_is_silent() {
        let mut workers = Workers::new();
        workers.spawn("listener", std::future::pending());
        workers.spawn_beating("screen", async |beat: Beat| {
            std::future::pending::<()>().await;
            drop(beat);
        });
        workers.spawn_beating("keypad", async |beat: Beat| {
            beat.waits();
            std::future::pending::<()>().await;
        });
        tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
        assert!(workers.silent().is_empty());
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(workers.silent().iter().map(|silent| silent.worker).collect::<Vec<_>>(), ["screen"]);
    }

    #[test]
    fn who_keeps_its_turn_is_silent() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        runtime.block_on(async {
            let mut workers = Workers::new();
            let (blocked, blocks) = std::sync::mpsc::channel::<()>();
            let (told, begun) = tokio::sync::oneshot::channel();
            workers.spawn("outbox", async move {
                told.send(()).unwrap();
                let _ = blocks.recv();
                std::future::pending::<()>().await;
            });
            begun.await.unwrap();
            let later = PATIENCE * 2;
            assert_eq!(workers.heart.silent_in(later).len(), 1);
            drop(blocked);
            while !workers.heart.silent_in(later).is_empty() {
                tokio::task::yield_now().await;
            }
            workers.shutdown().await;
        });
    }
}
