//! Patterns over paths, as `include`, `exclude` and `--where path=…` have them.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// One glob; what is wrong with it is the error.
pub(crate) fn glob(pattern: &str) -> Result<Glob, String> {
    // `*` stays within one folder, as in a shell and in `.gitignore`.
    GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| format!("is not a glob: {}", error.kind()))
}

/// A set of one glob.
pub(crate) fn single(pattern: &str) -> Result<GlobSet, String> {
    glob_set(vec![glob(pattern)?])
}

/// A set of these globs.
pub(crate) fn glob_set(globs: Vec<Glob>) -> Result<GlobSet, String> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        builder.add(glob);
    }
    builder.build().map_err(|error| format!("these globs cannot be used together: {}", error.kind()))
}

/// The globs of a path as it may be said of a document, matched as `include` matches a file.
pub(crate) fn path_globs(patterns: &[String]) -> Result<GlobSet, String> {
    let globs = patterns.iter().map(|pattern| glob(pattern)).collect::<Result<_, _>>();
    globs.and_then(glob_set)
}

/// As in `.gitignore`: a pattern without `/` matches at any depth, and a `/` in front ties it to the root.
pub(crate) fn anywhere(pattern: &str) -> String {
    match pattern.strip_prefix('/') {
        Some(rooted) => rooted.to_owned(),
        None if pattern.contains('/') => pattern.to_owned(),
        None => format!("**/{pattern}"),
    }
}

pub(crate) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// `./docs/**/*.md` → `./docs`, `**/*.md`.
pub(crate) fn split_glob(text: &str) -> (&str, &str) {
    let meta = text.find(['*', '?', '[', '{']).unwrap_or(text.len());
    let slash = text.get(..meta).and_then(|fixed| fixed.rfind('/'));
    match slash {
        // The root folder is `/` and not nothing.
        Some(0) => text.split_at_checked(1).unwrap_or((text, "")),
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
        None => ("", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_split_at_their_fixed_folder() {
        for (glob, split) in [
            ("./docs/**/*.md", ("./docs", "**/*.md")),
            ("*.md", ("", "*.md")),
            ("/*.md", ("/", "*.md")),
            ("/a/b{c,d}/e", ("/a", "b{c,d}/e")),
        ] {
            assert_eq!(split_glob(glob), split);
        }
    }

    #[test]
    fn patterns_without_a_slash_match_at_any_depth() {
        assert_eq!(anywhere("*.md"), "**/*.md");
        assert_eq!(anywhere("/x"), "x");
        assert_eq!(anywhere("a/*.md"), "a/*.md");
    }
}
