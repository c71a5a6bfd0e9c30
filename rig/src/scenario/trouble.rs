//! What a bench finds out about itself while a story runs: an instrument that it has not, or one that broke. Whatever the
//! story makes of it, its verdict is then *unsupported* or *infra-error*, and never one about the product.

use tokio::sync::watch;

use super::Failure;

/// Shared by everything on one bench during one story. The first trouble counts: others follow from it.
#[derive(Debug, Clone)]
pub struct Trouble(watch::Sender<Option<Failure>>);

impl Default for Trouble {
    fn default() -> Self {
        Self(watch::channel(None).0)
    }
}

impl Trouble {
    /// The story wants something that the bench has not.
    pub fn lacks(&self, what: impl Into<String>) {
        self.happened(Failure::Unsupported(what.into()));
    }

    /// An instrument broke.
    pub fn broke(&self, why: impl std::fmt::Display) {
        self.happened(Failure::infrastructure(why));
    }

    /// Something that is already a failure.
    pub fn happened(&self, failure: Failure) {
        self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(failure);
            is_first
        });
    }

    /// The trouble there is.
    pub fn seen(&self) -> Option<Failure> {
        self.0.borrow().clone()
    }

    /// Waits for trouble, perhaps for ever.
    pub async fn comes(&self) -> Failure {
        let mut told = self.0.subscribe();
        loop {
            if let Some(failure) = told.borrow_and_update().clone() {
                return failure;
            }
            if told.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
