//! What finds passages, opened when it is first needed.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::retrieve::Retriever;
use crate::error::Error;

/// Opens an index.
pub type OpenRetriever = Arc<dyn Fn() -> BoxFuture<'static, Result<Retriever, Error>> + Send + Sync>;

/// Open, or to be opened.
pub(super) struct Lazy {
    opened: OnceCell<Retriever>,
    open: Option<OpenRetriever>,
}

impl Lazy {
    pub(super) fn opened(retriever: Retriever) -> Self {
        Self { opened: OnceCell::from(retriever), open: None }
    }

    pub(super) fn new(open: OpenRetriever) -> Self {
        Self { opened: OnceCell::new(), open: Some(open) }
    }

    /// Opens it, if it is not open. One that could not be opened is tried again by the next who needs it.
    pub(super) async fn get(&self) -> Result<&Retriever, Error> {
        let opened = self.opened.get_or_try_init(|| async {
            match &self.open {
                Some(open) => open().await,
                // It would be open.
                None => std::future::pending().await,
            }
        });
        opened.await
    }

    pub(super) fn if_open(&self) -> Option<&Retriever> {
        self.opened.get()
    }
}
