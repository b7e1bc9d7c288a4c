//! Which documents a run may find missing.

use crate::source::{SourceId, is_within};

/// What a run has listed, and so which documents may be missing from it. Nothing of a source that is not named here is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// By source; what is named twice is covered by both.
    pub sources: Vec<SourceScope>,
}

/// What was listed of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceScope {
    /// The source.
    pub source: SourceId,
    /// Only documents at or below these prefixes; "" is all of the source (see [`is_within`]).
    pub roots: Vec<String>,
    /// Of these, only documents at or below these prefixes, where the source was narrowed to a part of what it has.
    pub focus: Option<Vec<String>>,
    /// But none at or below these, since they could not be listed.
    pub unreadable: Vec<String>,
}

impl Scope {
    /// Whether the run would have listed this document, if its source still had it.
    pub fn covers(&self, source: &SourceId, uri: &str) -> bool {
        self.part_covers(source, uri, |part| part.focus.as_ref().is_none_or(|focus| within(uri, focus)))
    }

    /// Whether it would have, if it had not been narrowed to a part of what its sources have.
    pub fn would_cover(&self, source: &SourceId, uri: &str) -> bool {
        self.part_covers(source, uri, |_| true)
    }

    fn part_covers(&self, source: &SourceId, uri: &str, wanted: impl Fn(&SourceScope) -> bool) -> bool {
        let mut parts = self.sources.iter().filter(|part| part.source == *source);
        parts.clone().any(|part| within(uri, &part.roots) && wanted(part)) && !parts.any(|part| within(uri, &part.unreadable))
    }

    /// What the uris of this source that are covered begin with: ascending, none of them the beginning of another. `None`: any.
    pub fn beginnings(&self, source: &SourceId) -> Option<Vec<String>> {
        let parts = self.sources.iter().filter(|part| part.source == *source);
        let mut beginnings: Vec<String> = parts.map(|part| part.focus.clone()).collect::<Option<Vec<_>>>()?.concat();
        if beginnings.iter().any(|beginning| beginning == ".") {
            return None;
        }
        beginnings.sort_unstable();
        beginnings.dedup_by(|next, kept| next.starts_with(kept.as_str()));
        Some(beginnings)
    }

    /// The sources that are named, each once, ascending.
    pub fn sources(&self) -> Vec<&SourceId> {
        let mut sources: Vec<&SourceId> = self.sources.iter().map(|part| &part.source).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }
}

fn within(uri: &str, prefixes: &[String]) -> bool {
    prefixes.iter().any(|prefix| is_within(uri, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(source: &str, roots: &[&str], unreadable: &[&str]) -> SourceScope {
        let owned = |uris: &[&str]| uris.iter().map(ToString::to_string).collect();
        SourceScope { source: SourceId::new(source), roots: owned(roots), focus: None, unreadable: owned(unreadable) }
    }

    #[test]
    fn a_source_that_is_not_named_is_not_covered_whatever_its_uris_look_like() {
        let scope = Scope { sources: vec![part("files", &["."], &[]), part("wiki", &[""], &["https://w.org/private"])] };
        let covers = |source: &str, uri| scope.covers(&SourceId::new(source), uri);
        assert!(covers("files", "docs/a.md") && !covers("site", "docs/a.md"));
        assert!(covers("wiki", "https://w.org/a") && !covers("files2", "https://w.org/a"));
        assert!(!covers("wiki", "https://w.org/private/a"));
        assert!(!Scope::default().covers(&SourceId::new("files"), "docs/a.md"));
    }

    #[test]
    fn a_focus_is_a_part_of_what_a_source_has() {
        let focus = ["docs/b.md", "docs/b", "docs/a", "docs/a/x"].map(str::to_owned).to_vec();
        let files = SourceId::new("files");
        let scope = Scope { sources: vec![SourceScope { focus: Some(focus), ..part("files", &["docs"], &["docs/a/y"]) }] };
        let covered = ["docs/a", "docs/a/1", "docs/a/x/2", "docs/b", "docs/b.md"];
        assert!(covered.iter().all(|uri| scope.covers(&files, uri) && scope.would_cover(&files, uri)));
        assert!(["docs/bc", "docs/c"].iter().all(|uri| !scope.covers(&files, uri) && scope.would_cover(&files, uri)));
        assert!(["docs/a/y", "a"].iter().all(|uri| !scope.covers(&files, uri) && !scope.would_cover(&files, uri)));
        assert_eq!(scope.beginnings(&files), Some(vec!["docs/a".into(), "docs/b".into()]));
        let mixed = Scope { sources: [scope.sources, vec![part("files", &["x"], &[])]].concat() };
        assert_eq!(mixed.beginnings(&files), None);
    }

    #[test]
    fn roots_of_one_source_add_up_and_so_does_what_is_unreadable() {
        let scope = Scope { sources: vec![part("files", &["a"], &["b/x"]), part("files", &["b"], &[])] };
        let covers = |uri| scope.covers(&SourceId::new("files"), uri);
        assert!(covers("a/1") && covers("b/1") && !covers("b/x/1") && !covers("c/1"));
        assert_eq!(scope.sources(), [&SourceId::new("files")]);
    }
}
