//! Another process that has the index open, with the models and the quotas of the providers.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::event::{AnswerEvent, EnsembleEvent};
use super::question::{Ensemble, Question};
use super::retrieve::Found;
use super::why::Trace;
use crate::error::Error;

/// Events of an answer.
pub type Events<E> = BoxStream<'static, Result<E, Error>>;

/// Another process that has the index open, as a running service does: what it answers is what would be answered here. `None` is
/// its answer to what it cannot do, or no longer: nothing has been done then.
///
/// A model of one's own ([`ModelChoice::Own`](super::ModelChoice::Own)) is the one there that has its name.
#[async_trait]
pub trait Owner: fmt::Debug + Send + Sync {
    /// As [`Answerer::trace`](super::Answerer::trace).
    async fn trace(&self, question: &Question, uri: &str) -> Option<Result<Option<Trace>, Error>>;
    /// As [`Answerer::retrieve`](super::Answerer::retrieve).
    async fn retrieve(&self, question: &Question) -> Option<Result<Found, Error>>;
    /// As [`Answerer::ask`](super::Answerer::ask). Returns with the first event; dropping the stream cancels all that is done there.
    async fn ask(&self, question: &Question) -> Option<Events<AnswerEvent>>;
    /// As [`Answerer::ask_all`](super::Answerer::ask_all), in the same way.
    async fn ask_all(&self, question: &Question, ensemble: &Ensemble) -> Option<Events<EnsembleEvent>>;
    /// The same, which answers nothing without one of several indexes; `None`: it does not know how.
    fn needing_every_index(&self) -> Option<Arc<dyn Owner>> {
        None
    }
}
