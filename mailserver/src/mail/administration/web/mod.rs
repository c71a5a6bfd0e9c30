//! The administrator's page: accounts, adapters, the queue and notices, and the few orders that are safe behind a button. All
//! others are the command line's.

mod door;
mod orders;
mod overview;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use sealfax_client::tls::Security;

use super::Administration;
use crate::mail::Core;
use crate::pages::{Sessions, assets, harden};
use crate::web::{self, Limits, ServeError, Served};

/// Octets of a form.
const FORM: usize = 8 * 1024;

/// What the page's handlers share.
struct Desk {
    core: Arc<Core>,
    administration: Administration,
    sessions: Sessions,
}

/// Shows the page at `at`.
pub(in crate::mail) async fn show(
    at: SocketAddr,
    security: Security,
    core: Arc<Core>,
    administration: Administration,
) -> Result<Served, ServeError> {
    let (host, seams) = (core.host().to_owned(), core.seams.clone());
    let desk = Arc::new(Desk { sessions: Sessions::new(&seams), core, administration });
    let router = Router::new()
        .route("/", get(overview::show))
        .route("/sign-in", get(door::show).post(door::sign_in))
        .route("/sign-out", post(door::sign_out))
        .route("/retry", post(orders::retry))
        .route("/suspend", post(orders::suspend))
        .merge(assets())
        .fallback(door::nothing_there)
        .layer(DefaultBodyLimit::max(FORM))
        .layer(from_fn(harden))
        .with_state(desk);
    web::serve(&host, at, router, security, seams, Limits::default()).await
}
