//! The folder that files' uris are relative to.

use std::path::{Path, PathBuf};

use super::normalise;

/// The base folder as a ledger keeps it: by the way from the home to it, where the home lies below it, so that a project which
/// is moved with its home keeps its documents.
pub fn kept_base(base: &Path, home: &Path) -> String {
    match normalise(home).strip_prefix(normalise(base)) {
        Ok(below) => vec![".."; below.components().count()].join("/"),
        Err(_) => base.to_string_lossy().into_owned(),
    }
}

/// The base folder that a ledger keeps; the working folder when there is none yet.
pub fn base_of(kept: Option<&str>, home: &Path, cwd: &Path) -> PathBuf {
    kept.map_or_else(|| cwd.to_owned(), |kept| normalise(&home.join(kept)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_above_the_home_moves_with_it() {
        let kept = kept_base(Path::new("/w/project"), Path::new("/w/project/x/.ragstream"));
        assert_eq!(kept, "../..");
        assert_eq!(base_of(Some(&kept), Path::new("/moved/x/.ragstream"), Path::new("/")), Path::new("/moved"));
        let kept = kept_base(Path::new("/elsewhere"), Path::new("/w/.ragstream"));
        assert_eq!(base_of(Some(&kept), Path::new("/moved/.ragstream"), Path::new("/")), Path::new("/elsewhere"));
        assert_eq!(base_of(None, Path::new("/h"), Path::new("/cwd")), Path::new("/cwd"));
    }
}
