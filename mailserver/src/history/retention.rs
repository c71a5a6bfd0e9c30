//! Privacy by time: who and what of transmissions is erased when they have been kept for as long as the configuration says.

use std::sync::Arc;
use std::time::Duration;

use super::HistoryError;
use super::server::Shared;
use super::view::Query;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Transmissions that are erased in one go; others are served in between.
const TOGETHER: usize = 100;

/// Erases what is older than `keep`, at once and then again and again, as long as the server runs.
pub(super) async fn run(shared: Arc<Shared>, keep: Duration) {
    loop {
        match erase(&shared, keep).await {
            Ok(0) => {}
            Ok(count) => {
                let text = format!("who and what of {count} transmissions was erased: they were kept long enough");
                shared.seams.journal.step(&shared.host, &["V5"], text);
            }
            Err(error) => {
                let text = format!("what was kept long enough cannot be erased: {error}");
                shared.seams.journal.failure(&shared.host, "HISTORY-104", text);
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn erase(shared: &Shared, keep: Duration) -> Result<usize, HistoryError> {
    let Some(until) = shared.seams.clock.now().checked_sub(keep) else { return Ok(0) };
    let query = Query { until: Some(until), ..Query::default() };
    let mut erased = 0;
    loop {
        let asked = query.clone();
        let found = shared.ask(move |history| history.find(&asked, TOGETHER)).await?;
        if found.is_empty() {
            return Ok(erased);
        }
        for transmission in found {
            match shared.history.erase(transmission.number).await {
                // Another node, or an administrator, was faster.
                Ok(()) | Err(HistoryError::NoSuchRecord(_)) => erased += 1,
                Err(error) => return Err(error),
            }
        }
    }
}
