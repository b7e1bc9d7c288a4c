//! `-p NAME`: a path, or a file of that name in `./pipelines`.

use std::path::{Path, PathBuf};

use super::diagnose::{Diagnostic, printable};
use crate::suggest::did_you_mean;

/// The folder that names are looked up in.
const FOLDER: &str = "pipelines";
/// Names that are suggested from, at most.
const MAX_LISTED: usize = 1000;

/// The pipeline file that `name_or_path` means: a path, else `pipelines/NAME.yaml` or `.yml`, all relative to `cwd`.
///
/// # Errors
/// What was tried, and which pipelines there are.
pub fn find(name_or_path: &str, cwd: &Path) -> Result<PathBuf, Diagnostic> {
    let folder = cwd.join(FOLDER);
    let mut tried = Vec::new();
    // A folder of that name, such as `docs`, is not meant.
    let candidates = [
        cwd.join(name_or_path),
        folder.join(format!("{name_or_path}.yaml")),
        folder.join(format!("{name_or_path}.yml")),
        folder.join(name_or_path),
    ];
    for candidate in candidates {
        if candidate.exists() && !candidate.is_dir() {
            return Ok(candidate);
        }
        let shown = candidate.strip_prefix(cwd).unwrap_or(&candidate).display().to_string();
        if !tried.contains(&shown) {
            tried.push(shown);
        }
    }
    if cwd.join(name_or_path).is_dir() {
        let shown = printable(name_or_path);
        let hint = format!("to index it, name it without `-p`: `ingest {shown}`");
        return Err(Diagnostic::error(format!("`{shown}` is a folder, and no pipeline has this name"), Some(hint)));
    }
    let names = listed(&folder);
    let mut hint = format!("tried: {}", printable_list(&tried));
    if let Some(guess) = did_you_mean(name_or_path, names.iter().map(String::as_str)) {
        hint = format!("{guess} {hint}");
    } else if !names.is_empty() {
        hint = format!("{hint}; there are: {}", printable_list(&names));
    }
    Err(Diagnostic::error(format!("no pipeline `{}`", printable(name_or_path)), Some(hint)))
}

fn printable_list(names: &[String]) -> String {
    names.iter().take(10).map(|name| printable(name)).collect::<Vec<_>>().join(", ")
}

/// The names in the folder, in order.
fn listed(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_LISTED);
    let mut names: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}
