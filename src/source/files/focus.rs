//! A part of what lies in folders.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// What is at or below some paths. None of the paths lies below another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Focus(BTreeSet<PathBuf>);

impl Focus {
    /// The paths, ascending.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    /// How many paths it takes to say it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is at or below one of the paths.
    pub fn covers(&self, path: &Path) -> bool {
        // Paths are compared part by part, so that what is below one of them comes right after it.
        let before = self.0.range::<Path, _>((Bound::Unbounded, Bound::Included(path))).next_back();
        before.is_some_and(|before| path.starts_with(before))
    }

    /// Whether this is at or below one of the paths, or above one.
    pub fn touches(&self, path: &Path) -> bool {
        let after = self.0.range::<Path, _>((Bound::Excluded(path), Bound::Unbounded)).next();
        self.covers(path) || after.is_some_and(|after| after.starts_with(path))
    }
}

impl FromIterator<PathBuf> for Focus {
    fn from_iter<I: IntoIterator<Item = PathBuf>>(paths: I) -> Self {
        let mut focus = Self::default();
        focus.extend(paths);
        focus
    }
}

impl Extend<PathBuf> for Focus {
    fn extend<I: IntoIterator<Item = PathBuf>>(&mut self, paths: I) {
        for path in paths {
            if self.covers(&path) {
                continue;
            }
            loop {
                let below = self.0.range::<Path, _>((Bound::Excluded(path.as_path()), Bound::Unbounded)).next();
                let Some(below) = below.filter(|below| below.starts_with(&path)).cloned() else { break };
                self.0.remove(&below);
            }
            self.0.insert(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path() -> impl Strategy<Value = PathBuf> {
        proptest::collection::vec("[ab]{1,2}|a-", 1..4).prop_map(|parts| Path::new("/").join(parts.join("/")))
    }

    proptest! {
        #[test]
        fn a_focus_is_what_is_at_or_below_its_paths(paths in proptest::collection::vec(path(), 0..8), asked in path()) {
            let focus: Focus = paths.iter().cloned().collect();
            prop_assert_eq!(focus.covers(&asked), paths.iter().any(|path| asked.starts_with(path)));
            let touches = paths.iter().any(|path| asked.starts_with(path) || path.starts_with(&asked));
            prop_assert_eq!(focus.touches(&asked), touches);
            prop_assert!(focus.paths().all(|one| focus.paths().all(|two| one == two || !one.starts_with(two))));
        }
    }
}
