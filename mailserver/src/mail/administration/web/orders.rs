//! What the page's buttons do.

use std::sync::Arc;

use axum::Form;
use axum::extract::State as Given;
use axum::http::StatusCode;
use axum::response::Response;

use super::Desk;
use crate::mail::{Order, Told};
use crate::pages::{Visit, see_other};

/// Try a mail again now; without a number: all.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Retried {
    token: String,
    #[serde(default)]
    id: String,
}

/// Have nobody log in to an account, or have its owner log in again.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Suspended {
    token: String,
    address: String,
    suspended: bool,
}

pub(super) async fn retry(Given(desk): Given<Arc<Desk>>, visit: Visit, Form(form): Form<Retried>) -> Response {
    let Ok(ids) = (if form.id.is_empty() { Ok(Vec::new()) } else { form.id.parse().map(|id| vec![id]) }) else {
        let language = visit.language;
        let title = language.say("見つかりません", "Not found");
        return desk.told(
            &visit,
            StatusCode::NOT_FOUND,
            title,
            language.say("その番号のメールはありません。", "There is no such mail."),
        );
    };
    carry_out(&desk, &visit, &form.token, Order::Retry { ids }).await
}

pub(super) async fn suspend(Given(desk): Given<Arc<Desk>>, visit: Visit, Form(form): Form<Suspended>) -> Response {
    let order = Order::Suspend { address: form.address, suspended: form.suspended };
    carry_out(&desk, &visit, &form.token, order).await
}

async fn carry_out(desk: &Arc<Desk>, visit: &Visit, token: &str, order: Order) -> Response {
    let Some(who) = desk.administrator(visit) else { return see_other("/sign-in") };
    if let Some(refused) = desk.stray(visit, token) {
        return refused;
    }
    let what = format!("{order:?}");
    let administration = desk.administration.clone();
    let told = tokio::task::spawn_blocking(move || administration.perform(order)).await;
    let language = visit.language;
    match told {
        Ok(Told::Done(said)) => {
            desk.core.seams.journal.note(desk.core.host(), format!("{who} ordered {what}: {said}"));
            see_other("/")
        }
        Ok(Told::Refused(why)) => {
            desk.core.seams.journal.note(desk.core.host(), format!("{who} ordered {what}, which is not done: {why}"));
            desk.told(visit, StatusCode::CONFLICT, language.say("実行されませんでした", "Not done"), &why)
        }
        _ => desk.told(
            visit,
            StatusCode::SERVICE_UNAVAILABLE,
            language.say("実行されませんでした", "Not done"),
            language.say("しばらくしてからもう一度お試しください。", "Please try again later."),
        ),
    }
}
