//! What finds passages, opened when it is first needed, and anew where the index is another one by now.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::retrieve::Retriever;
use super::stand_in::is_gone;
use crate::error::Error;

/// For how long an index is taken to be the one that it was.
const SAME: Duration = Duration::from_secs(1);

/// Opens an index.
pub type OpenRetriever = Arc<dyn Fn() -> BoxFuture<'static, Result<Retriever, Error>> + Send + Sync>;

/// Open, or to be opened.
pub(super) struct Lazy {
    opened: Mutex<Option<Opened>>,
    open: Option<OpenRetriever>,
}

struct Opened {
    retriever: Arc<Retriever>,
    /// `None`: it may be another one by now.
    looked: Option<Instant>,
}

impl Opened {
    fn now(retriever: Retriever) -> Self {
        Self { retriever: Arc::new(retriever), looked: Some(Instant::now()) }
    }

    /// Whether the index is still the one that it was opened for, looking at it now and then.
    async fn is_same(&mut self) -> bool {
        let Some(made_with) = &self.retriever.made_with else { return true };
        if self.looked.is_some_and(|looked| looked.elapsed() < SAME) {
            return true;
        }
        let same = match self.retriever.store.meta().await {
            Ok(now) => now.is_some_and(|now| now.is_alike(made_with)),
            // The search says what is wrong.
            Err(_) => true,
        };
        self.looked = Some(Instant::now());
        same
    }
}

impl Lazy {
    /// Of an index that is open, and stays what it is.
    pub(super) fn opened(retriever: Retriever) -> Self {
        Self { opened: Mutex::new(Some(Opened::now(retriever))), open: None }
    }

    /// Of an index that is open, and may be another one later.
    pub(super) fn kept_open(retriever: Retriever, open: OpenRetriever) -> Self {
        Self { open: Some(open), ..Self::opened(retriever) }
    }

    pub(super) fn new(open: OpenRetriever) -> Self {
        Self { opened: Mutex::default(), open: Some(open) }
    }

    /// Opens it, if it is not open. One that could not be opened is tried again by the next who needs it.
    pub(super) async fn get(&self) -> Result<Arc<Retriever>, Error> {
        let mut opened = self.opened.lock().await;
        let Some(open) = &self.open else {
            return match &*opened {
                Some(opened) => Ok(Arc::clone(&opened.retriever)),
                // It would be open.
                None => std::future::pending().await,
            };
        };
        if let Some(opened) = opened.as_mut()
            && opened.is_same().await
        {
            return Ok(Arc::clone(&opened.retriever));
        }
        *opened = None;
        Ok(Arc::clone(&opened.insert(Opened::now(open().await?)).retriever))
    }

    /// What is asked of the index as it is: again, where another one has taken its place meanwhile.
    pub(super) async fn with<T, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl Fn(Arc<Retriever>) -> F,
    ) -> Result<T, Error> {
        let mut retriever = self.get().await?;
        loop {
            match ask(Arc::clone(&retriever)).await {
                Ok(told) => return Ok(told),
                Err(error) => retriever = self.after(error, &retriever).await?,
            }
        }
    }

    /// What to go on with after an error of this one: the index that has taken its place, where it was removed for that.
    ///
    /// # Errors
    /// That error, where there is none; else why the other cannot be opened.
    pub(super) async fn after(&self, error: Error, stale: &Arc<Retriever>) -> Result<Arc<Retriever>, Error> {
        if self.open.is_none() || !is_gone(&error) {
            return Err(error);
        }
        let mut opened = self.opened.lock().await;
        if opened.as_ref().is_some_and(|opened| Arc::ptr_eq(&opened.retriever, stale)) {
            *opened = None;
        }
        drop(opened);
        self.get().await
    }

    /// Opens the index that has taken the place of the one that is open, where that was removed for it.
    ///
    /// # Errors
    /// As [`Self::after`].
    pub(super) async fn renew(&self, error: Error) -> Result<(), Error> {
        match self.if_open().await {
            Some(stale) => self.after(error, &stale).await.map(drop),
            None if is_gone(&error) => self.get().await.map(drop),
            None => Err(error),
        }
    }

    /// Whoever asks next looks whether the index is still the one that is open.
    pub(super) async fn doubt(&self) {
        if let Some(opened) = self.opened.lock().await.as_mut() {
            opened.looked = None;
        }
    }

    pub(super) async fn if_open(&self) -> Option<Arc<Retriever>> {
        self.opened.lock().await.as_ref().map(|opened| Arc::clone(&opened.retriever))
    }
}
