//! What is said of documents that a question about all of them would have read.

use super::event::AnswerEvent;
use super::plan::QueryPlan;
use super::source::Source;
use super::whole::Estimate;

/// What is told of all documents where they are not read for a question about all: nothing where the passages in the prompt turn out to
/// be all that there are.
#[derive(Debug, Default)]
pub(super) struct Unread {
    estimate: Option<Estimate>,
    told: bool,
    /// Of the sources that were found.
    bytes: usize,
    /// Some of the passages are not in the prompt.
    misses: bool,
}

impl Unread {
    /// Of an answer from the best passages, as they are planned.
    pub(super) fn of(estimate: Estimate, plan: &QueryPlan) -> Self {
        let may_be_all = estimate.exact && estimate.passages <= plan.limit.get() as u64 && plan.select.trim.is_none();
        Self { estimate: Some(estimate), told: false, bytes: 0, misses: !may_be_all }
    }

    /// So many passages were found, which are these sources.
    pub(super) fn found(&mut self, passages: usize, sources: &[Source]) -> Option<AnswerEvent> {
        self.misses |= self.estimate.as_ref().is_some_and(|estimate| estimate.passages > passages as u64);
        self.bytes = text(sources);
        self.tell()
    }

    /// Of these sources, those are in the prompt.
    pub(super) fn given(&mut self, sources: &[Source]) -> Option<AnswerEvent> {
        self.misses |= text(sources) < self.bytes;
        self.tell()
    }

    /// What it takes to read them all, once and as soon as it is known that not all will be in the prompt.
    pub(super) fn tell(&mut self) -> Option<AnswerEvent> {
        let estimate = self.estimate.as_ref().filter(|_| self.misses && !self.told)?;
        self.told = true;
        Some(AnswerEvent::Estimate(estimate.clone()))
    }

    /// That not all were read.
    pub(super) fn remark(&self) -> Option<AnswerEvent> {
        let estimate = self.estimate.as_ref().filter(|_| self.misses)?;
        Some(AnswerEvent::Incomplete(estimate.remark(Estimate::HOW)))
    }
}

/// Bytes of the sources' texts.
fn text(sources: &[Source]) -> usize {
    sources.iter().map(|source| source.text.len()).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use super::*;
    use crate::answer::samples;

    fn unread(passages: u64, exact: bool) -> Unread {
        let told = serde_json::json!({"reads": false, "documents": 3, "passages": passages, "parts": 1, "requests": 1, "kept": 0,
            "input_tokens": 800, "output_tokens": 90, "cost_usd": null, "at_most_usd": null, "minutes": null, "exact": exact});
        Unread::of(serde_json::from_value(told).unwrap(), &QueryPlan::default())
    }

    #[test]
    fn nothing_is_said_where_all_passages_are_in_the_prompt() {
        let sources = [samples::source(1, 0.5), samples::source(2, 0.5)];
        let mut all = unread(2, true);
        assert_eq!(all.tell(), None);
        assert_eq!((all.found(2, &sources), all.given(&sources), all.remark()), (None, None, None));
        let event = all.given(sources.get(..1).unwrap());
        assert!(matches!(event, Some(AnswerEvent::Estimate(_))) && all.remark().is_some(), "one did not fit: {event:?}");
        assert_eq!(all.tell(), None, "it is told once");

        let mut some = unread(3, true);
        assert!(some.found(2, &sources).is_some() && some.remark().is_some(), "one was not found");
        assert!(unread(1000, true).tell().is_some(), "more than are looked for are told of at once");
        assert!(unread(2, false).tell().is_some(), "nobody has counted them");
        assert_eq!(Unread::default().remark(), None);
    }
}
