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
    /// But none at or below these, since they could not be listed.
    pub unreadable: Vec<String>,
}

impl Scope {
    /// Whether the run would have listed this document, if its source still had it.
    pub fn covers(&self, source: &SourceId, uri: &str) -> bool {
        let mut parts = self.sources.iter().filter(|part| part.source == *source);
        let within = |prefixes: &[String]| prefixes.iter().any(|prefix| is_within(uri, prefix));
        parts.clone().any(|part| within(&part.roots)) && !parts.any(|part| within(&part.unreadable))
    }

    /// The sources that are named, each once, ascending.
    pub fn sources(&self) -> Vec<&SourceId> {
        let mut sources: Vec<&SourceId> = self.sources.iter().map(|part| &part.source).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(source: &str, roots: &[&str], unreadable: &[&str]) -> SourceScope {
        let owned = |uris: &[&str]| uris.iter().map(ToString::to_string).collect();
        SourceScope { source: SourceId::new(source), roots: owned(roots), unreadable: owned(unreadable) }
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
    fn roots_of_one_source_add_up_and_so_does_what_is_unreadable() {
        let scope = Scope { sources: vec![part("files", &["a"], &["b/x"]), part("files", &["b"], &[])] };
        let covers = |uri| scope.covers(&SourceId::new("files"), uri);
        assert!(covers("a/1") && covers("b/1") && !covers("b/x/1") && !covers("c/1"));
        assert_eq!(scope.sources(), [&SourceId::new("files")]);
    }
}
