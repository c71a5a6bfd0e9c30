//! What is taken away: evidence as it was signed, and lists for a spreadsheet.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query as Parameters, State as Given};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use tokio::sync::mpsc::{Sender, channel};

use super::search::Search;
use super::visitor::number;
use crate::history::server::Shared;
use crate::history::view::Query;
use crate::history::{History, HistoryError, export};
use crate::pages::Visit;

/// Transmissions in one file.
const MOST: usize = 10_000;
/// Read at a time: evidence comes with each of them.
const AT_ONCE: usize = 200;

/// A file to be kept, which no browser opens by itself, under a name that is ours alone.
fn attachment(kind: &'static str, name: &str, body: Body) -> Response {
    let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let sandboxed = HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");
    let fields = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CONTENT_SECURITY_POLICY, sandboxed),
    ];
    (fields, body).into_response()
}

pub(super) async fn evidence(Given(shared): Given<Arc<Shared>>, visit: Visit, Path(index): Path<String>) -> Response {
    let visitor = match shared.visitor(visit).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let Some(index) = number(&index) else { return shared.not_there(&visitor.visit) };
    let key = shared.key.clone();
    // What cannot be proven is not given out as evidence.
    let proven = shared.look(move |history| Ok(history.receipt(index)?.verify(&key)?)).await;
    let personal = match proven {
        Ok(proven) => proven.personal,
        Err(error) => return shared.trouble(&visitor.visit, "evidence", &error),
    };
    let personal = personal.filter(|personal| !personal.evidence.is_empty() && visitor.person.sees_personal(personal));
    match personal {
        Some(personal) => {
            shared.looked(&visitor, &format!("the evidence of record {index}"));
            attachment("message/rfc822", &format!("evidence-{index}.eml"), Body::from(personal.evidence))
        }
        None => shared.not_there(&visitor.visit),
    }
}

pub(super) async fn export(
    Given(shared): Given<Arc<Shared>>,
    visit: Visit,
    Parameters(search): Parameters<Search>,
) -> Response {
    let visitor = match shared.visitor(visit).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let Ok(query) = search.query(shared.pages.zone) else { return shared.not_there(&visitor.visit) };
    let Ok(place) = shared.pages.exports.clone().try_acquire_owned() else {
        let language = visitor.language();
        return shared.told(
            &visitor.visit,
            StatusCode::SERVICE_UNAVAILABLE,
            language.say("混み合っています", "Busy"),
            language.say("しばらくしてからもう一度お試しください。", "Please try again in a moment."),
        );
    };
    shared.looked(&visitor, &format!("an export of transmissions: {}", search.told()));
    let query = visitor.person.may(query);
    let (to, from) = channel::<Bytes>(2);
    let giver = shared.clone();
    tokio::task::spawn_blocking(move || {
        let _place = place;
        // The head is on its way by then; a file that breaks off is told in the journal.
        if let Err(error) = write(giver.history.as_ref(), query, &to) {
            drop(giver.answer("an export", &error));
        }
    });
    let lines = unfold(from, |mut from| async move { Some((Ok::<_, Infallible>(from.recv().await?), from)) });
    attachment("text/csv; charset=utf-8", "transmissions.csv", Body::from_stream(lines))
}

/// Writes piece by piece, until there is no more or nobody reads.
fn write(history: &dyn History, mut query: Query, to: &Sender<Bytes>) -> Result<(), HistoryError> {
    let mut text = Vec::new();
    // It cannot fail in memory.
    let _ = export::csv_head(&mut text);
    let mut left = MOST;
    while left > 0 {
        let found = history.find(&query, AT_ONCE.min(left))?;
        let _ = export::csv_rows(&found, &mut text);
        let reads = to.blocking_send(Bytes::from(std::mem::take(&mut text))).is_ok();
        let Some(last) = found.last().filter(|_| reads && found.len() == AT_ONCE) else { break };
        query.before = Some(last.number);
        left -= found.len();
    }
    Ok(())
}
