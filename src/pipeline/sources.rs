//! Paths and globs of a source.

mod instead;
mod s3;
mod sql;
mod web;

use std::path::{Path, PathBuf};

use globset::GlobSet;

use crate::source::{anywhere, glob, glob_set, is_glob, normalise, single, split_glob};

use self::instead::instead;
pub(crate) use self::s3::instead_of_bucket;
pub(crate) use self::sql::is_database;
pub(super) use self::sql::is_sqlite;
pub(super) use self::web::is_address;
use super::diagnose::{Diagnostic, printable};
use super::fullwidth;
use super::meaning::{File, Problem};
use super::plan::Plan;
use super::spec::{FilesSpec, SourceKindSpec, SourceSpec};

use crate::source::{FilesPlan, SourcePlan, WebPlan};

/// Larger files are skipped, unless the file says so.
pub(crate) const MAX_BYTES: u64 = 50_000_000;

impl Plan {
    /// The plan with these files, folders, globs and addresses of sites, as given on the command line, in place of its sources. What exists
    /// under its very name is no glob. Relative paths are relative to the working directory.
    ///
    /// # Errors
    /// When a glob or an address cannot be read.
    pub fn with_sources(mut self, paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Result<Self, Diagnostic> {
        let mut plain = Vec::new();
        let (mut sources, mut urls) = (Vec::new(), Vec::new());
        for path in paths {
            let path: PathBuf = path.into();
            if let Some(address) = path.to_str().filter(|text| web::is_address(text)) {
                urls.push(web::address(address).map_err(|Problem { message, hint }| Diagnostic::error(message, hint))?);
                continue;
            }
            if let Some(url) = path.to_str().filter(|text| is_database(text)) {
                return Err(Diagnostic::error("a database is no source by itself", Some(instead(url))));
            }
            if let Some(instead) = path.to_str().and_then(instead_of_bucket) {
                return Err(Diagnostic::error("a bucket is no source by itself", Some(instead)));
            }
            let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
            let glob = path.to_str().filter(|text| is_glob(text) && !path.exists());
            let Some((folder, pattern)) = glob.map(split_glob) else {
                plain.push(normalise(&absolute));
                continue;
            };
            let include = single(pattern).map_err(|problem| {
                let message = format!("`{}` {problem}", printable(&path.display().to_string()));
                Diagnostic::error(message, None)
            })?;
            let folder = std::path::absolute(if folder.is_empty() { "." } else { folder }).unwrap_or_else(|_| folder.into());
            sources.push(files(vec![normalise(&folder)], include, GlobSet::empty(), MAX_BYTES));
        }
        if !plain.is_empty() {
            sources.insert(0, files(plain, GlobSet::empty(), GlobSet::empty(), MAX_BYTES));
        }
        if !urls.is_empty() {
            sources.push(SourcePlan::Web(WebPlan::new(urls, MAX_BYTES)));
        }
        self.sources = sources;
        Ok(self)
    }
}

/// Files of this machine alone.
fn files(paths: Vec<PathBuf>, include: GlobSet, exclude: GlobSet, max_bytes: u64) -> SourcePlan {
    SourcePlan::Files(FilesPlan { paths, include, exclude, max_bytes, shared: false })
}

/// What the file's `sources` are.
pub(super) fn resolve(file: &mut File<'_>, specs: &[Option<SourceSpec>]) -> Vec<SourcePlan> {
    let mut sources = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let index = index.to_string();
        match spec {
            None => {}
            Some(SourceSpec::Path(text)) if web::is_address(text) => {
                let place = ["sources", index.as_str()];
                let url = web::address_at(file, &place, text);
                sources.extend(url.map(|url| SourcePlan::Web(WebPlan::new(vec![url], MAX_BYTES))));
            }
            Some(SourceSpec::Path(text)) => {
                let place = ["sources", index.as_str()];
                let found = location(file, &place, text);
                sources.extend(found.map(|(folder, include)| files(vec![folder], include, GlobSet::empty(), MAX_BYTES)));
            }
            Some(SourceSpec::Kind(kind)) => match &**kind {
                SourceKindSpec { files: Some(spec), .. } => resolve_files(file, &index, spec, &mut sources),
                SourceKindSpec { web: Some(spec), .. } => sources.extend(web::resolve(file, &index, spec)),
                SourceKindSpec { sql: Some(spec), .. } => {
                    let found = sql::resolve(file, &index, spec, &sources);
                    sources.extend(found);
                }
                SourceKindSpec { s3: Some(spec), .. } => {
                    let found = s3::resolve(file, &index, spec, &sources);
                    sources.extend(found);
                }
                // What was left out has been reported.
                SourceKindSpec { files: None, web: None, sql: None, s3: None } => {}
            },
        }
    }
    sources
}

fn resolve_files(file: &mut File<'_>, index: &str, spec: &FilesSpec, sources: &mut Vec<SourcePlan>) {
    let include = included(file, &["sources", index, "files", "include"], spec.include.as_deref());
    let exclude = excluded(file, &["sources", index, "files", "exclude"], spec.exclude.as_deref());
    let max_bytes = spec.max_bytes.map_or(MAX_BYTES, |size| size.0);
    let shared = spec.shared.unwrap_or_default();
    let files = |paths, include, exclude| SourcePlan::Files(FilesPlan { paths, include, exclude, max_bytes, shared });
    let mut plain = Vec::new();
    for (position, text) in spec.paths.iter().enumerate() {
        let Some(text) = text else { continue };
        let position = position.to_string();
        let place = ["sources", index, "files", "paths", position.as_str()];
        let Some((folder, glob)) = location(file, &place, text) else { continue };
        if glob.is_empty() {
            plain.push(folder);
        } else if include.is_empty() {
            sources.push(files(vec![folder], glob, exclude.clone()));
        } else {
            let hint = "give the folder here, and all patterns in `include`";
            file.error(&place, Problem::new("a glob in `paths` and an `include` beside it").hint(hint));
        }
    }
    if !plain.is_empty() {
        sources.push(files(plain, include, exclude));
    }
}

/// Where a path points, and for a glob what is to match below. `None` has been reported.
fn location(file: &mut File<'_>, place: &[&str], text: &str) -> Option<(PathBuf, GlobSet)> {
    let shown = file.shown(place, text);
    if is_database(text) {
        file.error(place, Problem::new("a database is no source by itself").hint(instead(text)));
        return None;
    }
    if let Some(instead) = instead_of_bucket(text) {
        file.error(place, Problem::new("a bucket is no source by itself").hint(instead));
        return None;
    }
    if text.contains("://") {
        let hint = "sources are files, folders and sites (http:// or https://)";
        file.error(place, Problem::new(format!("`{shown}` is not a path")).hint(hint));
        return None;
    }
    if text.starts_with('~') {
        let problem = Problem::new(format!("`{shown}`: `~` has no meaning in a pipeline file"));
        file.error(place, problem.hint("write ${HOME}/… instead"));
        return None;
    }
    if text.contains('\0') {
        file.error(place, Problem::new("a path cannot hold a NUL character"));
        return None;
    }
    if !is_glob(text) {
        let path = resolve_path(file.base, text);
        if let Some(hint) = fullwidth::comma(text, "`, `").filter(|_| !path.exists()) {
            file.warning(place, Problem::new(format!("`{shown}` is one path, and nothing is there")).hint(hint));
        }
        return Some((path, GlobSet::empty()));
    }
    let (folder, pattern) = split_glob(text);
    match single(pattern) {
        Ok(include) => Some((resolve_path(file.base, folder), include)),
        Err(problem) => {
            file.error(place, Problem::new(format!("`{shown}` {problem}")));
            None
        }
    }
}

/// What an `include` matches.
fn included(file: &mut File<'_>, place: &[&str], texts: Option<&[Option<String>]>) -> GlobSet {
    patterns(file, place, texts, |text| vec![anywhere(text)])
}

/// What an `exclude` matches: also all that is below what it names.
fn excluded(file: &mut File<'_>, place: &[&str], texts: Option<&[Option<String>]>) -> GlobSet {
    patterns(file, place, texts, |text| {
        let folder = text.trim_end_matches('/');
        let below = format!("{}/**", anywhere(folder));
        if folder.len() < text.len() { vec![below] } else { vec![anywhere(folder), below] }
    })
}

fn patterns(file: &mut File<'_>, place: &[&str], texts: Option<&[Option<String>]>, expand: fn(&str) -> Vec<String>) -> GlobSet {
    let mut good = Vec::new();
    for (position, text) in texts.unwrap_or_default().iter().enumerate() {
        let Some(text) = text else { continue };
        let position = position.to_string();
        let place = [place, &[position.as_str()]].concat();
        match expand(text.trim_start_matches("./")).iter().map(|pattern| glob(pattern)).collect::<Result<Vec<_>, _>>() {
            Ok(globs) => good.extend(globs),
            Err(problem) => {
                let message = format!("`{}` {problem}", file.shown(&place, text));
                file.error(&place, Problem::new(message));
            }
        }
    }
    glob_set(good).unwrap_or_else(|problem| {
        file.error(place, Problem::new(problem));
        GlobSet::empty()
    })
}

/// A path of the file, absolute.
pub(super) fn resolve_path(base: &Path, text: &str) -> PathBuf {
    normalise(&base.join(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_tidy() {
        assert_eq!(resolve_path(Path::new("/a/b"), "./c/../../d/"), Path::new("/a/d"));
        assert_eq!(resolve_path(Path::new("/a"), "../../../x"), Path::new("/x"));
        assert_eq!(resolve_path(Path::new("/a"), ""), Path::new("/a"));
    }
}
