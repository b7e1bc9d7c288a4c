//! Which failures were said already: what fails in each run is news once.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Origin};
use crate::ingest::ledger::FailedDocument;
use crate::source::SourceId;

/// Failures that are said after one run.
const SHOWN: usize = 20;
/// Failed documents that are remembered. What fails beyond them is counted alone.
const REMEMBERED: usize = 10_000;

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Documents that failed when they were last looked at, with a hash of the error.
    known: HashMap<(SourceId, String), blake3::Hash>,
    /// Those that failed in this run.
    failing: HashSet<(SourceId, String)>,
    shown: usize,
    /// New ones of this run that were not said.
    more: u64,
    /// Why the last run failed, as it was said. Not in words: how long it was tried is another each time.
    run: Option<(Origin, String)>,
}

impl Told {
    /// Whether it is to be said why a run failed: it is tried again and again.
    pub fn is_news_of_runs(&mut self, error: &Error) -> bool {
        let failure = Some((error.origin(), error.code().to_owned()));
        std::mem::replace(&mut self.run, failure.clone()) != failure
    }

    /// A run has not failed: whether the one before had.
    pub fn recovered(&mut self) -> bool {
        self.run.take().is_some()
    }

    /// Whether a failure is to be said.
    pub fn is_news(&mut self, failure: &FailedDocument) -> bool {
        let document = (failure.source.clone(), failure.uri.clone());
        let error = blake3::hash(failure.error.as_bytes());
        if self.failing.len() < REMEMBERED {
            self.failing.insert(document.clone());
        }
        if self.known.get(&document) == Some(&error) {
            return false;
        }
        let room = self.known.len() < REMEMBERED || self.known.contains_key(&document);
        if room {
            self.known.insert(document, error);
        }
        if room && self.shown < SHOWN {
            self.shown += 1;
            return true;
        }
        // What there is no room for was counted when it came first, or was not: it is not counted again and again.
        self.more += u64::from(room);
        false
    }

    /// A run has ended that looked at these sources in whole and at a document: what did not fail in it is well. How many failures
    /// were not said.
    pub fn ended(&mut self, whole: &[SourceId], document: Option<&str>) -> u64 {
        let failing = std::mem::take(&mut self.failing);
        let looked_at = |(source, uri): &(SourceId, String)| whole.contains(source) || document == Some(uri);
        self.known.retain(|document, _| failing.contains(document) || !looked_at(document));
        self.shown = 0;
        std::mem::take(&mut self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::report::Stage;
    use crate::providers::{ErrorKind, ProviderError};

    fn failure(uri: &str, error: &str) -> FailedDocument {
        FailedDocument { source: SourceId::files(), uri: uri.into(), stage: Stage::Parse, error: error.into() }
    }

    #[test]
    fn a_document_that_fails_in_each_run_is_said_once_until_its_error_changes() {
        let (mut told, all) = (Told::default(), [SourceId::files()]);
        let run = |told: &mut Told, error: Option<&str>, whole: &[SourceId], document: Option<&str>| {
            let said = error.is_some_and(|error| told.is_news(&failure("a", error)));
            assert_eq!(told.ended(whole, document), 0);
            said
        };
        assert!(run(&mut told, Some("x"), &all, None));
        assert!(!run(&mut told, Some("x"), &all, None));
        assert!(run(&mut told, Some("y"), &all, None), "another error");
        run(&mut told, None, &[], Some("b"));
        assert!(!run(&mut told, Some("y"), &all, None), "what was well is another document");
        run(&mut told, None, &all, None);
        assert!(run(&mut told, Some("y"), &all, None), "it was well meanwhile");
        run(&mut told, None, &[], Some("a"));
        assert!(run(&mut told, Some("y"), &[], None), "it was well meanwhile, in a run of its own");
    }

    #[test]
    fn why_runs_fail_is_said_once_however_long_each_was_tried() {
        let mut told = Told::default();
        let mut away = |kind, seconds| {
            let mut error = ProviderError::new("ollama", kind, "cannot connect");
            (error.attempts, error.waited) = (2, std::time::Duration::from_secs(seconds));
            told.is_news_of_runs(&error.into())
        };
        assert!(away(ErrorKind::Network, 1) && !away(ErrorKind::Network, 2));
        assert!(away(ErrorKind::Auth, 2), "it is another failure");
        assert!(away(ErrorKind::Network, 2) && !away(ErrorKind::Network, 3));
        assert!(told.recovered() && !told.recovered());
        assert!(told.is_news_of_runs(&ProviderError::new("ollama", ErrorKind::Network, "cannot connect").into()));
    }

    #[test]
    fn very_many_failures_are_counted_and_take_no_more_room() {
        let mut told = Told::default();
        let said = (0..REMEMBERED * 2).filter(|n| told.is_news(&failure(&n.to_string(), "x"))).count();
        assert_eq!(said, SHOWN);
        assert_eq!(told.ended(&[SourceId::files()], None) as usize, REMEMBERED - SHOWN);
        assert_eq!(told.known.len(), REMEMBERED);
        assert_eq!((0..REMEMBERED * 2).filter(|n| told.is_news(&failure(&n.to_string(), "x"))).count(), 0);
    }
}
